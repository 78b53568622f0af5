"""Drift: what of a stack's resources is no longer as its template says, and change sets that put it back.

CloudFormation compares what its handlers read; here each Kind's `live` says what is looked at.
"""

import json
import uuid

from kinds import Context, find_kind
from stacks import is_gone, now
from template import UNKNOWN, invalid
from wire import operation

cloud = None    # set by the emulator when it starts


def live_of(context, resource):
    """Property → value as it is now; None when the resource is gone."""
    try:
        return find_kind(resource.kind).live(context.of(resource.logical), resource.physical,
                                             resource.properties)
    except Exception as error:
        if is_gone(error):
            return None
        raise


def differences(resource, live):
    return {name: actual for name, actual in live.items()
            if resource.properties.get(name) not in (actual, UNKNOWN)}


def find(stack, caller):
    """Logical id → what differs, None for what is gone; of those that drifted alone. Leaves the number of
    tasks out, which AWS itself changes (drift-aware change sets do not touch it)."""
    context = Context(cloud, cloud.engine(stack.region), stack, caller)
    found = {}
    for resource in stack.resources.values():
        live = live_of(context, resource)
        changed = live and {k: v for k, v in differences(resource, live).items() if k != "DesiredCount"}
        if live is None or changed:
            found[resource.logical] = changed if live else None
    return found


def admit(stack, drifted):
    """Makes the engine see the resources as they are, so that an update to what the template says changes
    what differs and makes what is gone."""
    for logical, live in drifted.items():
        if live is None:
            stack.resources.pop(logical, None)
        else:
            stack.resources[logical].properties = {**stack.resources[logical].properties, **live}


def need(call):
    stack = cloud.engine(call.region).find(call.params.get("StackName", ""))
    if stack is None:
        raise invalid(f"Stack with id {call.params.get('StackName', '')} does not exist")
    return stack


@operation("cloudformation", "DetectStackDrift")
def detect_drift(call):
    stack = need(call)
    if not stack.status.endswith("_COMPLETE"):
        raise invalid(f"Drift detection cannot be performed on stack [{stack.name}] while it is in "
                      f"{stack.status} state.")
    detection = str(uuid.uuid4())
    context = Context(cloud, cloud.engine(call.region), stack, call.caller)
    for resource in stack.resources.values():
        live = live_of(context, resource)
        resource.differences = []
        if live is None:
            resource.drift = "DELETED"
            continue
        for name, actual in differences(resource, live).items():
            expected = resource.properties.get(name)
            resource.differences.append({
                "PropertyPath": f"/{name}", "ExpectedValue": json.dumps(expected),
                "ActualValue": json.dumps(actual),
                "DifferenceType": "ADD" if expected is None else "NOT_EQUAL"})
        resource.drift = "MODIFIED" if resource.differences else "IN_SYNC" if live else "NOT_CHECKED"
    drifted = [r for r in stack.resources.values() if r.drift in ("MODIFIED", "DELETED")]
    stack.drift_status, stack.drift_checked = "DRIFTED" if drifted else "IN_SYNC", now()
    stack.drift_ids[detection] = len(drifted)
    return {"StackDriftDetectionId": detection}


@operation("cloudformation", "DescribeStackDriftDetectionStatus")
def drift_status(call):
    wanted = call.params["StackDriftDetectionId"]
    stack = next((s for s in cloud.engine(call.region).stacks.values() if wanted in s.drift_ids), None)
    if stack is None:
        raise invalid(f"Drift detection {wanted} does not exist")
    return {"StackId": stack.id, "StackDriftDetectionId": wanted, "StackDriftStatus": stack.drift_status,
            "DetectionStatus": "DETECTION_COMPLETE", "Timestamp": stack.drift_checked,
            "DriftedStackResourceCount": stack.drift_ids[wanted]}


@operation("cloudformation", "DescribeStackResourceDrifts")
def resource_drifts(call):
    stack = need(call)
    wanted = call.params.get("StackResourceDriftStatusFilters")
    found = [{"StackId": stack.id, "LogicalResourceId": r.logical, "PhysicalResourceId": r.physical,
              "ResourceType": r.kind, "StackResourceDriftStatus": r.drift, "Timestamp": stack.drift_checked,
              "ExpectedProperties": json.dumps(r.properties, default=str), "ActualProperties": "{}",
              "PropertyDifferences": r.differences}
             for r in stack.resources.values() if not wanted or r.drift in wanted]
    return {"StackResourceDrifts": found}
