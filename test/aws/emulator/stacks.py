"""CloudFormation's engine: makes, changes, replaces, rolls back and deletes a stack's resources, with events.

A stack's work runs on a thread of its own; one resource after the other, each after what it refers to.
"""

import copy
import datetime
import json
import threading
import uuid

import schemas
import template
from access import ACCOUNT
from faults import Fault
from kinds import Context, find_kind
from template import UNKNOWN


def now():
    return datetime.datetime.now(datetime.UTC)


class Resource:
    def __init__(self, logical, kind, properties, physical="", attributes=None, declared=None):
        self.logical, self.kind, self.properties = logical, kind, properties
        self.physical, self.attributes = physical, attributes or {}
        self.declared = declared or {}
        self.status, self.reason, self.changed = "CREATE_IN_PROGRESS", "", now()
        self.drift = "NOT_CHECKED"
        self.differences = []


class Stack:
    def __init__(self, name, region):
        self.name, self.region = name, region
        self.id = f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{name}/{uuid.uuid4()}"
        self.status, self.reason = "REVIEW_IN_PROGRESS", "User Initiated"
        self.body, self.document, self.parameters, self.tags = "", {"Resources": {}}, {}, []
        self.capabilities, self.description = [], ""
        self.resources, self.outputs, self.events, self.change_sets = {}, [], [], {}
        self.created, self.updated, self.deleted = now(), None, None
        self.drift_status, self.drift_checked, self.drift_ids = "NOT_CHECKED", None, {}
        self.termination_protection = False
        self.disable_rollback = False
        self.thread = None
        self.token = ""         # ClientRequestToken of the newest operation

    def emit(self, logical, physical, kind, status, reason="", properties=None):
        self.events.append({
            "StackId": self.id, "EventId": f"{logical}-{status}-{uuid.uuid4()}", "StackName": self.name,
            "LogicalResourceId": logical, "PhysicalResourceId": physical, "ResourceType": kind,
            "Timestamp": now(), "ResourceStatus": status,
            **({"ClientRequestToken": self.token} if self.token else {}),
            **({"ResourceStatusReason": reason} if reason else {}),
            **({"ResourceProperties": json.dumps(properties, default=str)} if properties else {})})

    def become(self, status, reason=""):
        self.status, self.reason = status, reason
        self.emit(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)

    @property
    def busy(self):
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


class Engine:
    """All stacks of one region."""

    def __init__(self, cloud, region):
        self.cloud, self.region = cloud, region
        self.stacks = {}        # id → Stack
        self.lock = threading.RLock()

    def find(self, name, deleted=False):
        """By name or id. A deleted stack is found by its id alone."""
        for stack in self.stacks.values():
            if stack.id == name and (deleted or stack.status != "DELETE_COMPLETE"):
                return stack
            if stack.name == name and stack.status != "DELETE_COMPLETE":
                return stack
        return None

    def imports(self, name):
        for stack in self.stacks.values():
            for output in stack.outputs:
                if output.get("ExportName") == name:
                    return output["OutputValue"]
        raise template.invalid(f"No export named {name} found.")

    def evaluation(self, stack, document, parameters):
        def physical(logical):
            made = stack.resources.get(logical)
            return made.physical if made and made.physical else UNKNOWN

        def attribute(logical, name):
            made = stack.resources.get(logical)
            if not made or not made.physical:
                return UNKNOWN
            if name not in made.attributes:
                raise template.invalid(f"Template error: resource {logical} does not support attribute type "
                                       f"{name} in Fn::GetAtt")
            return made.attributes[name]
        return template.Evaluation(document, parameters, self.region, stack.name, stack.id, physical,
                                   attribute, self.imports)

    # --- work on threads --------------------------------------------------------------------------------

    def start(self, stack, function, *arguments):
        def run():
            try:
                function(stack, *arguments)
            except Exception as error:     # a defect of the emulator: the stack must not hang for it
                import traceback
                traceback.print_exc()
                stack.become("UPDATE_ROLLBACK_FAILED", f"The emulator failed: {error}")
        stack.thread = threading.Thread(target=run, name=f"stack-{stack.name}", daemon=True)
        stack.thread.start()

    def apply(self, stack, document, parameters, caller, kind):
        """Creates or updates to `document`; rolls back to what was when a resource fails."""
        before = dict(stack.resources)
        old_document, old_parameters, old_tags = stack.document, stack.parameters, stack.tags
        stack.document, stack.parameters = document, parameters
        context = Context(self.cloud, self, stack, caller)
        undo = []
        failed = self.go_forward(stack, context, document, parameters, undo)
        if failed is None:
            removed = [r for name, r in before.items() if stack.resources.get(name) is not r]
            gone = [r for r in removed if r.logical not in stack.resources or
                    stack.resources[r.logical].physical != r.physical]
            if kind == "UPDATE":
                stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
                self.remove(stack, context, gone, before)
            stack.outputs = self.outputs(stack, document, parameters)
            stack.become(f"{kind}_COMPLETE")
            return
        verb = "create" if kind == "CREATE" else "update"
        reason = f"The following resource(s) failed to {verb}: [{failed}]. "
        if kind == "CREATE" and stack.disable_rollback:
            stack.become("CREATE_FAILED", reason)
            return
        stack.document, stack.parameters, stack.tags = old_document, old_parameters, old_tags
        if kind == "CREATE":
            stack.become("ROLLBACK_IN_PROGRESS", reason + "Rollback requested by user.")
            stuck = self.remove(stack, context, list(stack.resources.values()), dict(stack.resources))
            if stuck:
                stack.become("ROLLBACK_FAILED", f"The following resource(s) failed to delete: "
                             f"[{', '.join(stuck)}]. ")
            else:
                stack.become("ROLLBACK_COMPLETE")
            return
        stack.become("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        self.roll_back(stack, context, before, undo)

    def roll_back(self, stack, context, before, undo):
        made = [r for name, r in stack.resources.items()
                if name not in before or before[name].physical != r.physical]
        for resource, properties in reversed(undo):
            stack.emit(resource.logical, resource.physical, resource.kind, "UPDATE_IN_PROGRESS")
            try:
                kind = find_kind(resource.kind)
                attributes = kind.update(context.of(resource.logical), resource.physical,
                                         resource.properties, properties)
                resource.attributes = attributes or resource.attributes
                resource.properties = properties
                self.settle(stack, resource, "UPDATE_COMPLETE")
            except Exception as error:
                self.settle(stack, resource, "UPDATE_FAILED", reason_of(error))
                stack.become("UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: "
                             f"[{resource.logical}]. ")
                return
        stack.resources = before
        stack.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self.remove(stack, context, made, {r.logical: r for r in made}, drop=False)
        stack.become("UPDATE_ROLLBACK_COMPLETE")

    def go_forward(self, stack, context, document, parameters, undo):
        """The logical ids that failed, joined; None when all is as declared."""
        evaluation = self.evaluation(stack, document, parameters)
        declared = evaluation.resources()
        stack.resources = {name: r for name, r in stack.resources.items() if name in declared}
        for logical in template.order(declared):
            body = declared[logical]
            old = stack.resources.get(logical)
            try:
                properties = copy.deepcopy(evaluation.value(body.get("Properties", {})))
            except Fault as fault:
                stack.emit(logical, "", body["Type"], "CREATE_FAILED", fault.message)
                return logical
            if old and old.kind == body["Type"] and old.properties == properties:
                old.declared = body
                continue
            if not self.make(stack, context, logical, body, properties, old, undo):
                return logical
        return None

    def make(self, stack, context, logical, body, properties, old, undo):
        kind = find_kind(body["Type"])
        replaced = old and (old.kind != body["Type"] or replaces(body["Type"], old.properties, properties))
        verb = "UPDATE" if old else "CREATE"
        if old and not replaced:
            resource = copy.copy(old)
            resource.declared = body
        else:
            resource = Resource(logical, body["Type"], properties, declared=body)
        reason = "Requested update requires the creation of a new physical resource; hence creating one." \
            if replaced else ""
        stack.emit(logical, old.physical if old else "", body["Type"], f"{verb}_IN_PROGRESS", reason,
                   properties)
        try:
            self.cloud.pause(self.cloud.mishaps.get("delay", 0))
            ordered = self.cloud.mishaps.get("fail", {}).get(logical)
            if ordered:
                raise Fault("GeneralServiceException", ordered)
            schemas.check(body["Type"], properties)
            own = context.of(logical, lambda physical: stack.emit(
                logical, physical, body["Type"], f"{verb}_IN_PROGRESS", "Resource creation Initiated",
                properties))
            if old and not replaced:
                undo.append((resource, old.properties))
                attributes = kind.update(own, old.physical, old.properties, properties)
                resource.attributes = attributes or resource.attributes
                resource.properties = properties
            else:
                resource.physical, resource.attributes = kind.create(own, properties)
        except Exception as error:
            # What a failed creation left behind is cleaned up with the rest.
            resource.physical = resource.physical or context.left_behind(logical)
            if not (old and not replaced) and resource.physical:
                stack.resources[logical] = resource
            self.settle(stack, resource, f"{verb}_FAILED", reason_of(error))
            return False
        stack.resources[logical] = resource
        self.settle(stack, resource, f"{verb}_COMPLETE")
        return True

    def settle(self, stack, resource, status, reason=""):
        resource.status, resource.reason, resource.changed = status, reason, now()
        stack.emit(resource.logical, resource.physical, resource.kind, status, reason)

    def remove(self, stack, context, resources, declared, drop=True):
        """Deletes in the reverse of the order of dependence. The logical ids that would not go."""
        bodies = {name: r.declared for name, r in declared.items()}
        position = {name: index for index, name in enumerate(template.order(bodies))}
        stuck = []
        for resource in sorted(resources, key=lambda r: -position.get(r.logical, 0)):
            replaced = stack.resources.get(resource.logical, resource) is not resource
            policy = resource.declared.get("UpdateReplacePolicy" if replaced else "DeletionPolicy", "Delete")
            if policy in ("Retain", "RetainExceptOnCreate") and resource.physical and not (
                    policy == "RetainExceptOnCreate" and stack.status == "ROLLBACK_IN_PROGRESS"):
                self.settle(stack, resource, "DELETE_SKIPPED")
            elif not self.delete_one(stack, context, resource):
                stuck.append(resource.logical)
                continue
            if drop and stack.resources.get(resource.logical) is resource:
                del stack.resources[resource.logical]
        return stuck

    def delete_one(self, stack, context, resource):
        if not resource.physical:
            self.settle(stack, resource, "DELETE_COMPLETE")
            return True
        stack.emit(resource.logical, resource.physical, resource.kind, "DELETE_IN_PROGRESS")
        self.cloud.pause(self.cloud.mishaps.get("delay", 0) / 2)
        try:
            ordered = self.cloud.mishaps.get("stuck", {}).get(resource.logical)
            if ordered:
                raise Fault("GeneralServiceException", ordered)
            find_kind(resource.kind).delete(context.of(resource.logical), resource.physical,
                                            resource.properties)
        except Exception as error:
            if not is_gone(error):
                self.settle(stack, resource, "DELETE_FAILED", reason_of(error))
                return False
        self.settle(stack, resource, "DELETE_COMPLETE")
        return True

    def delete(self, stack, caller, retained):
        stack.become("DELETE_IN_PROGRESS", "User Initiated")
        context = Context(self.cloud, self, stack, caller)
        for logical in retained:
            resource = stack.resources.pop(logical, None)
            if resource:
                self.settle(stack, resource, "DELETE_SKIPPED")
        stuck = self.remove(stack, context, list(stack.resources.values()), dict(stack.resources))
        if stuck:
            stack.become("DELETE_FAILED", f"The following resource(s) failed to delete: "
                                          f"[{', '.join(stuck)}]. ")
            return
        stack.outputs = []
        stack.deleted = now()
        stack.become("DELETE_COMPLETE")

    def outputs(self, stack, document, parameters):
        evaluation = self.evaluation(stack, document, parameters)
        found = []
        for name, body in document.get("Outputs", {}).items():
            if "Condition" in body and not evaluation.condition(body["Condition"]):
                continue
            value = self.cloud.public_url(str(evaluation.value(body["Value"])))
            output = {"OutputKey": name, "OutputValue": value}
            if "Description" in body:
                output["Description"] = body["Description"]
            if "Export" in body:
                output["ExportName"] = evaluation.value(body["Export"]["Name"])
            found.append(output)
        return found


def replaces(kind, old, new):
    return any(old.get(name) != new.get(name) for name in schemas.create_only(kind))


def reason_of(error):
    """CloudFormation's sentence about what a resource handler met."""
    token = uuid.uuid4()
    if isinstance(error, Fault):
        code, message, status, action = error.code, error.message, error.status, ""
    elif hasattr(error, "response"):                # botocore's ClientError
        details = error.response["Error"]
        code, message = details["Code"], details["Message"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        action = f" (Service: {error.operation_name}, Status Code: {status}, Request ID: {uuid.uuid4()})"
    else:
        code, message, status, action = "InternalFailure", str(error), 500, ""
    if code in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"):
        code = "AccessDenied"
    elif code.endswith("AlreadyExistsException") or code.endswith("AlreadyExists") or "Duplicate" in code:
        code = "AlreadyExists"
    elif code not in ("GeneralServiceException", "InvalidRequest", "NotStabilized", "ServiceLimitExceeded"):
        code = "InvalidRequest" if status < 500 else "GeneralServiceException"
    return f'Resource handler returned message: "{message}{action}" ' \
           f"(RequestToken: {token}, HandlerErrorCode: {code})"


def is_gone(error):
    code = error.response["Error"]["Code"] if hasattr(error, "response") else getattr(error, "code", "")
    return any(word in code for word in ("NotFound", "NoSuch", "NotExist", "ResourceNotFound"))
