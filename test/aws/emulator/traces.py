"""X-Ray's OTLP endpoint: spans become events of the log group aws/spans."""

import json
import time

from access import ACCOUNT
from faults import Fault
from wire import operation

SPAN_GROUP = "aws/spans"
SPANS_MAX = 10_000
cloud = None    # set by the emulator when it starts


def receive(body, content_type):
    """POST /v1/traces (JSON): spans into the log group, one event each. AWS's limits are the protocol's."""
    if cloud.transaction_search is None:
        raise Fault("InvalidRequestException", "The OTLP API is supported with CloudWatch Logs as a Trace "
                                               "Segment "
                    "Destination. Please enable the CloudWatch Logs destination for your traces using the "
                    "UpdateTraceSegmentDestination API")
    if "json" not in content_type:
        raise Fault("UnsupportedMediaType", "The emulator reads OTLP as JSON alone.", 415)
    document = json.loads(body)
    events = []
    for resource in document.get("resourceSpans", []):
        attributes = flat(resource.get("resource", {}).get("attributes", []))
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                check_span(span)
                events.append(record(span, attributes, scope.get("scope", {})))
    if len(events) > SPANS_MAX:
        raise Fault("InvalidRequestException", "too many spans")
    store(events)
    return {"partialSuccess": {}}


def check_span(span):
    if len(span["traceId"]) != 32 or len(span["spanId"]) != 16:
        raise Fault("InvalidRequestException", "trace and span ids are 16 and 8 bytes, in hexadecimal digits")
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    age = time.time() - start / 1e9
    if not -7200 < age < 14 * 86400 or end < start:
        raise Fault("InvalidRequestException", "a span's time is out of range")


def value_of(any_value):
    (kind, value), = any_value.items()
    if kind == "intValue":
        return int(value)
    return [value_of(v) for v in value.get("values", [])] if kind == "arrayValue" else value


def flat(attributes):
    return {a["key"]: value_of(a["value"]) for a in attributes}


def record(span, resource, scope):
    """As CloudWatch writes a span: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
    CloudWatch-Transaction-Search-search-analyze-spans.html"""
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    return {"resource": {"attributes": resource}, "scope": scope, "traceId": span["traceId"],
            "spanId": span["spanId"], "parentSpanId": span.get("parentSpanId", ""), "name": span["name"],
            "kind": span.get("kind", 0), "startTimeUnixNano": start, "endTimeUnixNano": end,
            "durationNano": end - start, "attributes": flat(span.get("attributes", [])),
            "status": span.get("status", {})}


def store(events):
    from moto.logs.models import logs_backends
    backend = logs_backends[ACCOUNT][cloud.region]
    if SPAN_GROUP not in backend.groups:
        backend.create_log_group(SPAN_GROUP, {})
    if "default" not in backend.groups[SPAN_GROUP].streams:
        backend.create_log_stream(SPAN_GROUP, "default")
    stamped = [{"timestamp": e["endTimeUnixNano"] // 1_000_000, "message": json.dumps(e)} for e in events]
    if stamped:
        backend.put_log_events(SPAN_GROUP, "default", stamped)


@operation("xray", "GetTraceSegmentDestination")
def destination(call):
    on = cloud.transaction_search is not None
    return {"Destination": "CloudWatchLogs" if on else "XRay", "Status": "ACTIVE"}


@operation("xray", "UpdateTraceSegmentDestination")
def update_destination(call):
    on = call.params["Destination"] == "CloudWatchLogs"
    cloud.transaction_search = 1 if on else None
    return {"Destination": call.params["Destination"], "Status": "ACTIVE"}


@operation("xray", "GetIndexingRules")
def indexing_rules(call):
    rate = cloud.transaction_search or 1
    return {"IndexingRules": [{"Name": "Default", "Rule": {"Probabilistic": {
        "DesiredSamplingPercentage": rate, "ActualSamplingPercentage": rate}}}]}
