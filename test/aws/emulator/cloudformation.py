"""CloudFormation's API over the engine of stacks.py: change sets, stacks, events (drift: drift.py)."""

import base64
import json
import threading
import uuid

import drift
import schemas
import template
from access import ACCOUNT
from faults import Fault
from stacks import Stack, now, replaces
from template import invalid
from wire import operation

PAGE = 100
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a " \
    "change set."
cloud = None    # set by the emulator when it starts


def engine(call):
    return cloud.engine(call.region)


def need(call, deleted=False):
    name = call.params.get("StackName", "")
    stack = engine(call).find(name, deleted)
    if stack is None:
        raise invalid(f"Stack with id {name} does not exist")
    return stack


def page(call, items, key):
    start = int(base64.b64decode(call.params.get("NextToken") or b"MA=="))
    answer = {key: items[start:start + PAGE]}
    if start + PAGE < len(items):
        answer["NextToken"] = base64.b64encode(str(start + PAGE).encode()).decode()
    return answer


def given_parameters(call):
    return {p["ParameterKey"]: None if p.get("UsePreviousValue") else p.get("ParameterValue", "")
            for p in call.params.get("Parameters", [])}


def body_of(call, stack):
    p = call.params
    if p.get("UsePreviousTemplate"):
        return stack.body
    if p.get("TemplateURL"):
        bucket, key = p["TemplateURL"].split("/", 3)[3].split("/", 1)
        client = cloud.client(call.caller, "s3", call.region)
        return client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    return p.get("TemplateBody", "")


def check(call, stack):
    """(body, document, parameters) of a request that wants to create or change a stack."""
    body = body_of(call, stack)
    document = template.read(body, from_s3=bool(call.params.get("TemplateURL")))
    unknown = sorted({r.get("Type", "?") for r in document["Resources"].values()
                      if schemas.schema(r.get("Type", "?")) is None})
    if unknown:
        raise invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")
    template.check_references(document)
    template.order(document["Resources"])
    needed = template.needed_capabilities(document)
    given = call.params.get("Capabilities") or []
    if needed and not set(given) & ({"CAPABILITY_NAMED_IAM"} | set(needed)):
        raise Fault("InsufficientCapabilitiesException", f"Requires capabilities : [{needed[0]}]")
    return body, document, template.parameter_values(document, given_parameters(call), stack.parameters)


# --- change sets --------------------------------------------------------------------------------------------

class ChangeSet:
    def __init__(self, name, stack, kind, body, document, parameters, call):
        self.name, self.stack, self.kind = name, stack, kind
        self.id = f"arn:aws:cloudformation:{stack.region}:{ACCOUNT}:changeSet/{name}/{uuid.uuid4()}"
        self.body, self.document, self.parameters = body, document, parameters
        self.tags = call.params.get("Tags", stack.tags)
        self.capabilities = call.params.get("Capabilities", [])
        self.description = call.params.get("Description", "")
        self.status, self.execution, self.reason = "CREATE_PENDING", "UNAVAILABLE", ""
        self.changes, self.created = [], now()
        self.reverts = call.params.get("DeploymentMode") == "REVERT_DRIFT"
        self.drifted = drift.find(stack, call.caller) if self.reverts else {}

    def compute(self):
        self.status = "CREATE_IN_PROGRESS"
        try:
            self.changes = changes(self.stack, self.document, self.parameters, self.drifted)
        except Fault as fault:
            self.status, self.reason = "FAILED", fault.message
            return
        if not self.changes and self.kind == "UPDATE" and self.tags == self.stack.tags:
            self.status, self.reason = "FAILED", NO_CHANGES
            return
        self.status, self.execution = "CREATE_COMPLETE", "AVAILABLE"


def changes(stack, document, parameters, drifted=()):
    """What an update would do, as DescribeChangeSet words it; `drifted` (drift.find): what it puts back."""
    evaluation = cloud.engine(stack.region).evaluation(stack, document, parameters)
    declared = evaluation.resources()
    found, replaced, touched = [], set(), set()
    for logical in template.order(declared):
        body = declared[logical]
        old = stack.resources.get(logical)
        new = evaluation.value(body.get("Properties", {}))
        live = dict(drifted).get(logical, {})
        if old is None or live is None:
            replaced.add(logical)
            found.append(change("Add", logical, "", body["Type"]))
            continue
        before = {**old.properties, **live}
        names = sorted(n for n in set(before) | set(new) if before.get(n) != new.get(n))
        mentioned = template.references(body, set(declared))
        dynamic = {n for n in new if n not in names
                   and template.references(body["Properties"].get(n), set(declared)) & replaced}
        if old.kind == body["Type"] and not names and not dynamic:
            continue
        only = schemas.create_only(body["Type"])
        details = [detail(n, n in only, "Static", body, n) for n in names]
        details += [detail(n, n in only, "Dynamic", body, n, mentioned & replaced) for n in sorted(dynamic)]
        sure = old.kind != body["Type"] or replaces(body["Type"], old.properties, new)
        verdict = "True" if sure else "Conditional" if dynamic & only else "False"
        if verdict != "False":
            replaced.add(logical)
        touched.add(logical)
        scope = sorted({"Tags" if n == "Tags" else "Properties" for n in names + list(dynamic)})
        found.append(change("Modify", logical, old.physical, body["Type"], verdict, scope, details))
    for logical, old in stack.resources.items():
        if logical not in declared:
            policy = old.declared.get("DeletionPolicy", "Delete")
            found.append(change("Remove", logical, old.physical, old.kind, policy=policy))
    return found


def change(action, logical, physical, kind, replacement=None, scope=None, details=None, policy=None):
    body = {"Action": action, "LogicalResourceId": logical, "ResourceType": kind, "Scope": scope or [],
            "Details": details or []}
    if physical:
        body["PhysicalResourceId"] = physical
    if replacement:
        body["Replacement"] = replacement
    if policy:
        body["PolicyAction"] = "Retain" if policy.startswith("Retain") else "Delete"
    return {"Type": "Resource", "ResourceChange": body}


def detail(name, recreates, evaluation, body, prop, causes=()):
    node = body.get("Properties", {}).get(prop)
    text = json.dumps(node, default=str)
    by_parameter = "ParameterReference" if '"Ref"' in text else "DirectModification"
    source = "ResourceReference" if causes else by_parameter
    target = {"Attribute": "Tags" if name == "Tags" else "Properties", "Name": name,
              "RequiresRecreation": "Never" if not recreates else
              "Always" if evaluation == "Static" else "Conditionally"}
    found = {"Target": target, "Evaluation": evaluation, "ChangeSource": source}
    if causes:
        found["CausingEntity"] = sorted(causes)[0]
    return found


@operation("cloudformation", "CreateChangeSet")
def create_change_set(call):
    name, kind = call.params["StackName"], call.params.get("ChangeSetType", "UPDATE")
    with engine(call).lock:
        stack = engine(call).find(name)
        if kind == "CREATE":
            if stack and stack.status != "REVIEW_IN_PROGRESS":
                raise invalid(f"Stack [{stack.name}] already exists and cannot be created again with the "
                              f"changeSet [{call.params['ChangeSetName']}].")
            new = stack is None
            stack = stack or Stack(name, call.region)
        elif stack is None:
            raise invalid(f"Stack [{name}] does not exist")
        else:
            refuse_unless_ready(stack)
            new = False
        if call.params["ChangeSetName"] in stack.change_sets:
            raise Fault("AlreadyExistsException", f"ChangeSet {call.params['ChangeSetName']} already exists")
        made = ChangeSet(call.params["ChangeSetName"], stack, kind, *check(call, stack), call)
        if new:
            engine(call).stacks[stack.id] = stack
            stack.become("REVIEW_IN_PROGRESS", "User Initiated")
        stack.change_sets[made.name] = made
    threading.Thread(target=made.compute, daemon=True).start()
    return {"Id": made.id, "StackId": stack.id}


def refuse_unless_ready(stack):
    ready = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
    if stack.status not in ready:
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def find_change_set(call):
    wanted = call.params["ChangeSetName"]
    stacks = [need(call)] if call.params.get("StackName") else engine(call).stacks.values()
    for stack in stacks:
        for made in stack.change_sets.values():
            if wanted in (made.name, made.id):
                return made
    raise Fault("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist", 404)


@operation("cloudformation", "DescribeChangeSet")
def describe_change_set(call):
    made = find_change_set(call)
    summary = change_set_summary(made)
    summary["Parameters"] = [{"ParameterKey": k, "ParameterValue": v} for k, v in made.parameters.items()]
    summary |= {"Tags": made.tags, "Capabilities": made.capabilities, **page(call, made.changes, "Changes")}
    return summary


def change_set_summary(made):
    return {"ChangeSetName": made.name, "ChangeSetId": made.id, "StackId": made.stack.id,
            "StackName": made.stack.name, "Description": made.description, "CreationTime": made.created,
            "ExecutionStatus": made.execution, "Status": made.status,
            **({"StatusReason": made.reason} if made.reason else {})}


@operation("cloudformation", "ListChangeSets")
def list_change_sets(call):
    return page(call, [change_set_summary(c) for c in need(call).change_sets.values()], "Summaries")


@operation("cloudformation", "DeleteChangeSet")
def delete_change_set(call):
    try:
        made = find_change_set(call)
    except Fault:
        return {}
    made.stack.change_sets.pop(made.name, None)
    return {}


@operation("cloudformation", "ExecuteChangeSet")
def execute_change_set(call):
    made = find_change_set(call)
    stack = made.stack
    with engine(call).lock:
        if made.execution != "AVAILABLE":
            if is_repeated(call, stack):
                return {}
            raise Fault("InvalidChangeSetStatus", f"ChangeSet [{made.id}] cannot be executed in its current "
                        f"status of [{made.status}]")
        if made.kind == "UPDATE":
            refuse_unless_ready(stack)
        made.execution = "EXECUTE_COMPLETE"
        drift.admit(stack, made.drifted)
        stack.token = call.params.get("ClientRequestToken", "")
        stack.disable_rollback = call.params.get("DisableRollback", False)
        stack.change_sets = {}
        stack.body, stack.capabilities = made.body, made.capabilities
        stack.tags, stack.description = made.tags, made.document.get("Description", "")
        begin(stack, made.document, made.parameters, call.caller, made.kind)
    return {}


def is_repeated(call, stack):
    """Whether the operation that this call asks for has been begun by a call with the same token."""
    token = call.params.get("ClientRequestToken", "")
    if token and token == stack.token and stack.busy:
        return True
    stack.token = token
    return False


def begin(stack, document, parameters, caller, kind):
    if kind == "UPDATE":
        stack.updated = now()
    stack.become(f"{kind}_IN_PROGRESS", "User Initiated")
    work = cloud.engine(stack.region)
    work.start(stack, work.apply, document, parameters, caller, kind)


# --- stacks -------------------------------------------------------------------------------------------------

@operation("cloudformation", "CreateStack")
def create_stack(call):
    with engine(call).lock:
        if engine(call).find(call.params["StackName"]):
            raise Fault("AlreadyExistsException", f"Stack [{call.params['StackName']}] already exists")
        stack = Stack(call.params["StackName"], call.region)
        stack.body, document, parameters = check(call, stack)
        stack.tags, stack.capabilities = call.params.get("Tags", []), call.params.get("Capabilities", [])
        stack.disable_rollback = call.params.get("DisableRollback", False)
        engine(call).stacks[stack.id] = stack
        begin(stack, document, parameters, call.caller, "CREATE")
    return {"StackId": stack.id}


@operation("cloudformation", "UpdateStack")
def update_stack(call):
    with engine(call).lock:
        stack = need(call)
        if is_repeated(call, stack):
            return {"StackId": stack.id}
        refuse_unless_ready(stack)
        body, document, parameters = check(call, stack)
        if not changes(stack, document, parameters) and call.params.get("Tags", stack.tags) == stack.tags:
            raise invalid("No updates are to be performed.")
        stack.body, stack.tags = body, call.params.get("Tags", stack.tags)
        begin(stack, document, parameters, call.caller, "UPDATE")
    return {"StackId": stack.id}


@operation("cloudformation", "DeleteStack")
def delete_stack(call):
    with engine(call).lock:
        stack = engine(call).find(call.params["StackName"])
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return {}
        if stack.termination_protection:
            raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.busy:
            raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        retained = call.params.get("RetainResources", [])
        if retained and stack.status != "DELETE_FAILED":
            raise invalid("Invalid operation on stack. Specify RetainResources only for a stack in "
                          "DELETE_FAILED state")
        stack.status = "DELETE_IN_PROGRESS"
        engine(call).start(stack, engine(call).delete, call.caller, retained)
    return {}


@operation("cloudformation", "UpdateTerminationProtection")
def protect(call):
    stack = need(call)
    stack.termination_protection = call.params["EnableTerminationProtection"]
    return {"StackId": stack.id}


@operation("cloudformation", "CancelUpdateStack")
def cancel_update(call):
    stack = need(call)
    if stack.status != "UPDATE_IN_PROGRESS":
        raise invalid("CancelUpdateStack cannot be called from current stack status")
    cloud.mishaps.order({"fail": {name: "Resource update cancelled" for name in stack.document["Resources"]}})
    return {}


@operation("cloudformation", "ContinueUpdateRollback")
def continue_rollback(call):
    stack = need(call)
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be continued.")
    stack.become("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
    stack.become("UPDATE_ROLLBACK_COMPLETE")
    return {}


@operation("cloudformation", "DescribeStacks")
def describe_stacks(call):
    if call.params.get("StackName"):
        return {"Stacks": [description(need(call, deleted=True))]}
    return page(call, [description(s) for s in engine(call).stacks.values()
                       if s.status != "DELETE_COMPLETE"], "Stacks")


def description(stack):
    declared = stack.document.get("Parameters", {})
    found = {
        "StackId": stack.id, "StackName": stack.name, "Description": stack.description,
        "Parameters": [{"ParameterKey": k, "ParameterValue": "****" if declared.get(k, {}).get("NoEcho")
                        else v} for k, v in stack.parameters.items()],
        "CreationTime": stack.created, "StackStatus": stack.status, "DisableRollback": stack.disable_rollback,
        "Capabilities": stack.capabilities, "Outputs": stack.outputs, "Tags": stack.tags,
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": {"StackDriftStatus": stack.drift_status,
                             **({"LastCheckTimestamp": stack.drift_checked} if stack.drift_checked else {})},
    }
    for key, value in (("StackStatusReason", stack.reason), ("LastUpdatedTime", stack.updated),
                       ("DeletionTime", stack.deleted)):
        if value:
            found[key] = value
    return found


@operation("cloudformation", "ListStacks")
def list_stacks(call):
    wanted = call.params.get("StackStatusFilter")
    found = [{"StackId": s.id, "StackName": s.name, "CreationTime": s.created, "StackStatus": s.status}
             for s in engine(call).stacks.values() if not wanted or s.status in wanted]
    return page(call, found, "StackSummaries")


@operation("cloudformation", "DescribeStackEvents")
def describe_events(call):
    return page(call, need(call, deleted=True).events[::-1], "StackEvents")


@operation("cloudformation", "GetTemplate")
def get_template(call):
    return {"TemplateBody": need(call, deleted=True).body, "StagesAvailable": ["Original", "Processed"]}


@operation("cloudformation", "ValidateTemplate")
def validate_template(call):
    document = template.read(body_of(call, None))
    template.check_references(document)
    return {"Description": document.get("Description", ""),
            "Capabilities": template.needed_capabilities(document),
            "Parameters": [{"ParameterKey": name, "DefaultValue": str(p.get("Default", "")),
                            "NoEcho": bool(p.get("NoEcho")), "Description": p.get("Description", "")}
                           for name, p in document.get("Parameters", {}).items()]}


@operation("cloudformation", "GetTemplateSummary")
def template_summary(call):
    document = template.read(need(call).body if call.params.get("StackName") else body_of(call, None))
    return {"ResourceTypes": sorted({r["Type"] for r in document["Resources"].values()}),
            "Capabilities": template.needed_capabilities(document)}


def resource_row(stack, resource):
    return {"StackName": stack.name, "StackId": stack.id, "LogicalResourceId": resource.logical,
            "PhysicalResourceId": resource.physical, "ResourceType": resource.kind,
            "Timestamp": resource.changed, "LastUpdatedTimestamp": resource.changed,
            "ResourceStatus": resource.status, "ResourceStatusReason": resource.reason,
            "DriftInformation": {"StackResourceDriftStatus": resource.drift}}


@operation("cloudformation", "DescribeStackResources")
def describe_resources(call):
    if call.params.get("PhysicalResourceId"):
        rows = [resource_row(s, r) for s in engine(call).stacks.values() for r in s.resources.values()
                if r.physical == call.params["PhysicalResourceId"]]
        return {"StackResources": rows}
    stack = need(call, deleted=True)
    wanted = call.params.get("LogicalResourceId")
    return {"StackResources": [resource_row(stack, r) for r in stack.resources.values()
                               if wanted in (None, r.logical)]}


@operation("cloudformation", "DescribeStackResource")
def describe_resource(call):
    stack = need(call, deleted=True)
    resource = stack.resources.get(call.params["LogicalResourceId"])
    if resource is None:
        raise invalid(f"Resource {call.params['LogicalResourceId']} does not exist for stack {stack.name}")
    return {"StackResourceDetail": resource_row(stack, resource)}


@operation("cloudformation", "ListStackResources")
def list_resources(call):
    stack = need(call, deleted=True)
    return page(call, [resource_row(stack, r) for r in stack.resources.values()], "StackResourceSummaries")


@operation("cloudformation", "ListExports")
def list_exports(call):
    return page(call, [{"ExportingStackId": s.id, "Name": o["ExportName"], "Value": o["OutputValue"]}
                       for s in engine(call).stacks.values() for o in s.outputs if "ExportName" in o],
                       "Exports")
