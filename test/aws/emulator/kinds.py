"""CloudFormation's resource types as calls of the ordinary APIs, made with the deploying caller's own keys.

So a type asks for the permissions that it really needs, botocore's models check names and types of what is
sent, and the emulated services hold the result. `@kind("AWS::EC2::VPC")` registers a Kind; the files
kinds_*.py hold them by theme.
"""

import json
import random
import re
import string

from botocore import xform_name

from faults import Fault

KINDS = {}


def kind(*names):
    def mark(cls):
        for name in names:
            KINDS[name] = cls
        return cls
    return mark


def find_kind(name):
    if name not in KINDS:
        raise Fault("GeneralServiceException", f"The emulator does not make {name}.")
    return KINDS[name]


class Kind:
    """One resource type. `p` are the resolved properties."""

    @staticmethod
    def create(ctx, p):
        """(physical id, attributes for Fn::GetAtt)"""
        raise NotImplementedError

    @staticmethod
    def update(ctx, physical, old, new):
        """New attributes, or None when they stay. By default tags may change and nothing else."""
        changed = {n for n in {**old, **new} if old.get(n) != new.get(n)} - {"Tags"}
        if changed:
            raise Fault("GeneralServiceException", f"The emulator cannot change {sorted(changed)} in place.")

    @staticmethod
    def delete(ctx, physical, p):
        pass

    @staticmethod
    def live(ctx, physical, p):
        """Property → value as it is now, of those that drift is looked for in; None: it is gone."""
        return {}


class Context:
    """What a Kind may use: the caller's clients, names, tags."""

    def __init__(self, cloud, engine, stack, caller):
        self.cloud, self.engine, self.stack, self.caller = cloud, engine, stack, caller
        self.region = stack.region
        self.made = {}
        self.logical, self.started = "", None

    def of(self, logical, started=lambda physical: None):
        own = Context(self.cloud, self.engine, self.stack, self.caller)
        own.made, own.logical, own.started = self.made, logical, started
        return own

    def initiated(self, physical):
        """The resource exists, though it may not be ready: from here on a failure cleans it up."""
        self.made[self.logical] = physical
        self.started(physical)

    def left_behind(self, logical):
        return self.made.get(logical, "")

    def name(self, longest=64, lower=False):
        """As CloudFormation makes up physical names: stack-logical-RANDOM."""
        alphabet = string.ascii_uppercase + string.digits
        suffix = "".join(random.choice(alphabet) for _ in range(12))
        text = f"{self.stack.name[:24]}-{self.logical}"[:longest - 13].rstrip("-") + "-" + suffix
        return text.lower() if lower else text

    def tags(self, p, keys=("Key", "Value")):
        tags = {t["Key"]: t["Value"] for t in self.stack.tags}
        own = p.get("Tags", [])
        tags |= own if isinstance(own, dict) else {t["Key"]: t["Value"] for t in own}
        if keys is None:
            return {str(k): str(v) for k, v in tags.items()}
        return [{keys[0]: str(k), keys[1]: str(v)} for k, v in tags.items()]

    def call(self, api, operation, p=None, drop=("Tags",), **more):
        """`operation` with the properties `p`, spelled and typed as the API wants them."""
        client = self.cloud.client(self.caller, api, self.region)
        shape = client.meta.service_model.operation_model(operation).input_shape
        own = {k: v for k, v in (p or {}).items() if k not in drop}
        more = {k: v for k, v in more.items() if v or k.lower() != "tags"}
        return getattr(client, xform_name(operation))(**convert(shape, {**own, **more}, operation))

    def tag_ec2(self, physical, p):
        tags = self.tags(p)
        if tags:
            self.call("ec2", "CreateTags", Resources=[physical], Tags=tags)


def convert(shape, value, path):
    """A CloudFormation value as the API's `shape`: case of names, numbers, booleans, lists with Quantity."""
    if shape.type_name == "structure":
        if isinstance(value, list) and {"Items", "Quantity"} <= set(shape.members):
            value = {"Quantity": len(value), **({"Items": value} if value else {})}
        if not isinstance(value, dict):
            raise Fault("InvalidRequest", f"{path}: an object is wanted")
        found = {}
        for name, inner in value.items():
            member = member_of(shape, name)
            if member is None:
                raise Fault("InvalidRequest", f"Encountered unsupported property {name} at {path}")
            found[member] = convert(shape.members[member], inner, f"{path}.{name}")
        return found
    if shape.type_name == "list":
        if not isinstance(value, list):
            raise Fault("InvalidRequest", f"{path}: a list is wanted")
        return [convert(shape.member, item, path) for item in value]
    if shape.type_name == "map":
        return {str(k): convert(shape.value, v, f"{path}.{k}") for k, v in value.items()}
    return scalar(shape.type_name, value, path)


def scalar(kind_name, value, path):
    if kind_name == "boolean":
        if str(value).lower() not in ("true", "false"):
            raise Fault("InvalidRequest", f"{path}: true or false is wanted, not {value}")
        return str(value).lower() == "true"
    try:
        if kind_name in ("integer", "long"):
            return int(value)
        if kind_name in ("float", "double"):
            return float(value)
    except (TypeError, ValueError):
        raise Fault("InvalidRequest", f"{path}: a number is wanted, not {value}") from None
    if kind_name == "string":
        if isinstance(value, bool):
            return str(value).lower()
        return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return value


def member_of(shape, name):
    if name in shape.members:
        return name
    wanted = name.lower()
    return next((member for member in shape.members if member.lower() == wanted), None)


def policy_text(document):
    return document if isinstance(document, str) else json.dumps(document)


def changed(old, new, *names):
    return any(old.get(name) != new.get(name) for name in names)


def wait_until(ctx, what, probe, seconds=120):
    """Polls as a resource handler does; NotStabilized after the time."""
    if not ctx.cloud.wait(probe, seconds):
        raise Fault("NotStabilized", f"Exceeded attempts to wait: {what}")


def words(text):
    return re.findall(r"[A-Za-z0-9]+", text)
