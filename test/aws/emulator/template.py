"""CloudFormation templates: reading, parameters, conditions, intrinsic functions, order of dependence.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

import ipaddress
import json
import re

import yaml

from access import ACCOUNT
from faults import Fault

BODY_BYTES_MAX = 51_200
UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"   # what AWS shows for a value that creation will make
NOTHING = object()                            # AWS::NoValue

ZONES = ("a", "b", "c")


class Loader(yaml.SafeLoader):
    pass


def short_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


def invalid(message):
    return Fault("ValidationError", message)


def read(text, from_s3=False):
    """The template as a dict; a Fault in CloudFormation's words when it is none."""
    if len(text.encode()) > BODY_BYTES_MAX and not from_s3:
        raise invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
                      "Member must have length less than or equal to 51200")
    try:
        document = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. ({error})") from None
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise invalid("Template format error: At least one Resources member must be defined.")
    return document


def parameter_values(document, given, previous):
    """Parameter → value, of what the caller gave, what the stack had, and the defaults."""
    values, missing = {}, []
    for name, declared in document.get("Parameters", {}).items():
        if name in given:
            values[name] = given[name] if given[name] is not None else previous.get(name)
        elif "Default" in declared:
            values[name] = str(declared["Default"])
        else:
            missing.append(name)
            continue
        allowed = [str(v) for v in declared.get("AllowedValues", [])]
        if allowed and values[name] not in allowed:
            raise invalid(f"Parameter '{name}' must be one of AllowedValues")
        if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], values[name]):
            raise invalid(f"Parameter '{name}' must match pattern {declared['AllowedPattern']}")
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    unknown = [name for name in given if name not in document.get("Parameters", {})]
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    return values


class Evaluation:
    """Values in one stack. `physical(logical)` gives a resource's id, `attribute(logical, name)` one of its
    attributes; both give UNKNOWN for what is not made yet."""

    def __init__(self, document, parameters, region, stack_name, stack_id, physical, attribute, imports):
        self.document, self.parameters, self.region = document, parameters, region
        self.physical, self.attribute, self.imports = physical, attribute, imports
        self.pseudo = {
            "AWS::Region": region, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com", "AWS::StackName": stack_name, "AWS::StackId": stack_id,
            "AWS::NoValue": NOTHING, "AWS::NotificationARNs": [],
        }
        self.conditions = {}
        for name in document.get("Conditions", {}):
            self.condition(name)

    def condition(self, name):
        if name not in self.conditions:
            if name not in self.document.get("Conditions", {}):
                raise invalid(f"Template format error: Unresolved condition {name}")
            self.conditions[name] = bool(self.value(self.document["Conditions"][name]))
        return self.conditions[name]

    def resources(self):
        """The resources whose condition holds: logical id → declaration."""
        return {name: body for name, body in self.document["Resources"].items()
                if "Condition" not in body or self.condition(body["Condition"])}

    def value(self, node):
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [v for v in values if v is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            if name == "Ref":
                return self.reference(argument)
            if name == "Condition" and isinstance(argument, str) and argument in self.document.get(
                    "Conditions", {}):
                return self.condition(argument)
            if name.startswith("Fn::"):
                function = getattr(self, "fn_" + name[4:].lower(), None)
                if function is None:
                    raise invalid(f"Template format error: {name} is not supported")
                return function(argument)
        values = {name: self.value(item) for name, item in node.items()}
        return {name: v for name, v in values.items() if v is not NOTHING}

    def reference(self, name):
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            kind = self.document["Parameters"][name].get("Type", "String")
            text = self.parameters[name]
            return text.split(",") if kind.startswith("List<") or kind == "CommaDelimitedList" else text
        return self.physical(name)

    def fn_getatt(self, argument):
        logical, name = argument.split(".", 1) if isinstance(argument, str) else argument
        return self.attribute(logical, name)

    def fn_sub(self, argument):
        text, names = (argument, {}) if isinstance(argument, str) else argument
        names = {name: self.value(v) for name, v in names.items()}

        def one(match):
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in names:
                return str(names[name])
            return str(self.fn_getatt(name) if "." in name and "::" not in name else self.reference(name))
        return re.sub(r"\$\{([^}]+)\}", one, text)

    def fn_join(self, argument):
        separator, items = argument
        return separator.join(str(item) for item in self.value(items))

    def fn_select(self, argument):
        items = self.value(argument[1])
        return items[int(self.value(argument[0]))] if items != UNKNOWN else UNKNOWN

    def fn_split(self, argument):
        return self.value(argument[1]).split(argument[0])

    def fn_if(self, argument):
        name, then, otherwise = argument
        return self.value(then if self.condition(name) else otherwise)

    def fn_equals(self, argument):
        left, right = self.value(argument)
        return str(left) == str(right)

    def fn_not(self, argument):
        return not self.value(argument)[0]

    def fn_and(self, argument):
        return all(self.value(argument))

    def fn_or(self, argument):
        return any(self.value(argument))

    def fn_findinmap(self, argument):
        name, first, second = self.value(argument)
        return self.document["Mappings"][name][first][second]

    def fn_getazs(self, argument):
        return [(self.value(argument) or self.region) + zone for zone in ZONES]

    def fn_cidr(self, argument):
        block, count, bits = self.value(argument)
        if block == UNKNOWN:
            return [UNKNOWN] * int(count)
        subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(next(subnets)) for _ in range(int(count))]

    def fn_base64(self, argument):
        import base64
        return base64.b64encode(self.value(argument).encode()).decode()

    def fn_tojsonstring(self, argument):
        return json.dumps(self.value(argument), separators=(",", ":"))

    def fn_importvalue(self, argument):
        return self.imports(self.value(argument))


def references(node, names):
    """Logical ids among `names` that a declaration speaks of."""
    found = set()
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref" and value in names:
                found.add(value)
            elif key == "Fn::GetAtt":
                found.add((value if isinstance(value, list) else value.split("."))[0])
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                found |= {name for name in re.findall(r"\$\{([A-Za-z0-9]+)[}.]", text) if name in names}
                found |= references(value, names) if isinstance(value, list) else set()
            elif key == "DependsOn":
                found |= set([value] if isinstance(value, str) else value)
            else:
                found |= references(value, names)
    elif isinstance(node, list):
        for item in node:
            found |= references(item, names)
    return found


def order(declared):
    """Logical ids so that each comes after what it refers to; a Fault for circles."""
    names = set(declared)
    waiting = {name: references(body, names) & names - {name} for name, body in declared.items()}
    result = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs & set(waiting)]
        if not ready:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(waiting))}]")
        result += ready
        for name in ready:
            del waiting[name]
    return result


def check_references(document):
    names = set(document["Resources"])
    known = names | set(document.get("Parameters", {}))
    for section, bodies in (("Resources", document["Resources"]), ("Outputs", document.get("Outputs", {}))):
        unresolved = set()
        for reference in every_reference(bodies):
            if reference not in known and not reference.startswith("AWS::"):
                unresolved.add(reference)
        if unresolved:
            raise invalid(f"Template format error: Unresolved resource dependencies "
                          f"[{', '.join(sorted(unresolved))}] in the {section} block of the template")


def every_reference(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref" and isinstance(value, str):
                yield value
            elif key == "Fn::GetAtt":
                yield (value if isinstance(value, list) else value.split("."))[0]
            elif key == "Fn::Sub":
                text, own = (value, {}) if isinstance(value, str) else value
                for name in re.findall(r"\$\{([A-Za-z0-9:]+)[}.]", text):
                    if name not in own:
                        yield name
                yield from every_reference(own)
            else:
                yield from every_reference(value)
    elif isinstance(node, list):
        for item in node:
            yield from every_reference(item)


def needed_capabilities(document):
    needed = set()
    for body in document["Resources"].values():
        if body.get("Type", "").startswith("AWS::IAM::"):
            named = any(key in body.get("Properties", {})
                        for key in ("RoleName", "UserName", "GroupName", "ManagedPolicyName"))
            needed.add("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM")
    return ["CAPABILITY_NAMED_IAM"] if "CAPABILITY_NAMED_IAM" in needed else sorted(needed)
