"""What the published resource specification says of a type, from the copy that cfn-lint ships."""

import functools
import re

from faults import Fault

# Properties younger than cfn-lint's copy: type → path of names that may follow.
NEWER = {
    "AWS::ECS::Service": {"Monitoring", "DeploymentConfiguration/EarlySuccessCriteria",
                          "DeploymentConfiguration/DeploymentCircuitBreaker/ThresholdConfiguration",
                          "DeploymentConfiguration/DeploymentCircuitBreaker/ResetOnHealthyTask"},
}


@functools.cache
def schema(kind):
    """The type's JSON schema, or None for a type that CloudFormation does not know."""
    from cfnlint.schema import manager
    provider = manager.PROVIDER_SCHEMA_MANAGER
    try:
        return provider.get_resource_schema("us-east-1", kind).schema
    except manager.ResourceNotFoundError:
        return None


def create_only(kind):
    """Names of the top-level properties whose change replaces the resource."""
    found = set()
    for path in schema(kind).get("createOnlyProperties", []):
        found.add(path.split("/")[2])
    return found


def check(kind, properties):
    """A Fault for a property that the type does not have, or that it needs and lacks."""
    root = schema(kind)
    if root is None:
        raise Fault("ValidationError", f"Template format error: Unrecognized resource types: [{kind}]")
    walk(kind, root, root, properties, "")


def walk(kind, root, node, value, path):
    node = resolve(root, node)
    if isinstance(value, dict):
        members = node.get("properties")
        if members is None or node.get("type", "object") != "object":
            return
        open_ended = node.get("additionalProperties", path != "") is not False or "patternProperties" in node
        for name, inner in value.items():
            where = f"{path}/{name}".lstrip("/")
            if where in NEWER.get(kind, ()):
                continue
            if name in members:
                walk(kind, root, members[name], inner, where)
            elif not open_ended:
                raise Fault("InvalidRequest", f"Model validation failed (#{'/' + path if path else ''}: "
                            f"extraneous key [{name}] is not permitted)")
        for name in node.get("required", []):
            if name not in value:
                raise Fault("InvalidRequest", f"Model validation failed (#{'/' + path if path else ''}: "
                            f"required key [{name}] not found)")
    elif isinstance(value, list):
        for item in value:
            walk(kind, root, node.get("items", {}), item, path)
    elif "enum" in node and value not in node["enum"] and str(value) not in map(str, node["enum"]):
        raise Fault("InvalidRequest", f"Model validation failed (#/{path}: #: only 1 subschema matches out "
                    f"of 2; {value} is not a valid enum value)")
    elif "pattern" in node and isinstance(value, str) and not matches(node["pattern"], value):
        raise Fault("InvalidRequest", f"Model validation failed (#/{path}: failed validation constraint for "
                    f"keyword [pattern])")


def matches(pattern, value):
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True     # a pattern of another dialect says nothing here


def resolve(root, node):
    while "$ref" in node:
        target = root
        for word in node["$ref"].lstrip("#/").split("/"):
            target = target[word]
        node = target
    return node
