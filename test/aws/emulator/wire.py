"""Requests read and answers written by botocore's service models, whichever the protocol.

`operation("ecs", "CreateService")` marks the function that answers a call in moto's place. It takes a Call
and gives the output as a dict with the names of the API reference, or raises a Fault.
"""

import functools
import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request

from access import ACCOUNT
from faults import Fault

# Signing name → botocore's name, where they differ.
BOTO_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "elasticfilesystem": "efs",
              "servicequotas": "service-quotas"}
# Signing name → IAM's prefix, where they differ.
ACTION_PREFIXES = {"monitoring": "cloudwatch"}

S3_ACTIONS = {  # (method, has key, subresource): action
    ("GET", False, None): "ListBucket", ("HEAD", False, None): "ListBucket",
    ("GET", False, "versions"): "ListBucketVersions", ("GET", False, "uploads"): "ListBucketMultipartUploads",
    ("GET", False, "location"): "GetBucketLocation", ("PUT", False, None): "CreateBucket",
    ("DELETE", False, None): "DeleteBucket", ("POST", False, "delete"): "DeleteObject",
    ("GET", True, None): "GetObject", ("HEAD", True, None): "GetObject", ("PUT", True, None): "PutObject",
    ("DELETE", True, None): "DeleteObject", ("POST", True, None): "PutObject",
}
S3_SUBRESOURCES = {
    "policy": "BucketPolicy", "encryption": "EncryptionConfiguration", "versioning": "BucketVersioning",
    "publicAccessBlock": "BucketPublicAccessBlock", "lifecycle": "LifecycleConfiguration",
    "ownershipControls": "BucketOwnershipControls", "tagging": "BucketTagging", "logging": "BucketLogging",
    "notification": "BucketNotification", "acl": "BucketAcl",
}


@dataclass
class Call:
    service: str                # signing name: "ecs"
    operation: str              # "CreateService"; of S3 the IAM action's name
    region: str
    params: dict
    protocol: str
    caller: object = None
    bucket: str = ""            # S3
    key: str = ""
    body: bytes = b""
    resources: list = field(default_factory=list)

    @property
    def action(self):
        return f"{ACTION_PREFIXES.get(self.service, self.service)}:{self.operation}"


HANDLERS = {}


def operation(service, *names):
    def mark(function):
        for name in names:
            HANDLERS[service, name] = function
        return function
    return mark


@functools.cache
def model(service):
    return get_service_model(BOTO_NAMES.get(service, service))


@functools.cache
def rest_operations(service):
    """[(method, regular expression, query words, operation)], the most particular first."""
    found = []
    for name in model(service).operation_names:
        http = model(service).operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        pattern = re.sub(r"\{(\w+)\+?\}", lambda m: f"(?P<{m.group(1)}>[^/]+)", path)
        if "+}" in path or path.count("{") == 1 and path.endswith("}"):
            pattern = pattern[::-1].replace("]/^[", ".", 1)[::-1]
        words = set(dict(parse_qsl(query, keep_blank_values=True)))
        found.append((http["method"], re.compile(f"^{pattern}/?$"), words, name))
    return sorted(found, key=lambda o: (-len(o[2]), -len(re.sub(r"\(.*?\)", "", o[1].pattern))))


def read_call(environ, body, service, region):
    """The Call of a signed request; the Fault of AWS for one that says nothing known."""
    if service == "s3":
        return read_s3(environ, body, region)
    request = Request(environ)
    name, groups = None, {}
    target = request.headers.get("x-amz-target")
    if target:
        name = target.split(".")[-1]
    elif (request.content_type or "").startswith("application/x-www-form-urlencoded") or \
            "Action" in request.args:
        name = request.values.get("Action")
    else:
        for method, pattern, words, candidate in rest_operations(service):
            match = pattern.match(request.path)
            if method == request.method and match and words <= set(request.args):
                name, groups = candidate, {k: unquote(v) for k, v in match.groupdict().items()}
                break
    protocol = model(service).protocol
    if protocol not in PROTOCOL_PARSERS:
        protocol = "query"  # what newer protocols such as smithy-rpc-v2-cbor are spoken beside
    if name not in model(service).operation_names:
        raise Fault("UnknownOperationException" if "json" in protocol else "InvalidAction",
                    f"The action {name} is not valid for this endpoint.")
    if target:
        protocol = "json"
        try:
            params = json.loads(body or b"{}")
        except ValueError:
            raise Fault("SerializationException", "The request is not JSON.") from None
    else:
        parser = PROTOCOL_PARSERS[protocol](model(service).operation_model(name), map_type=dict)
        params = parser.parse({"method": request.method, "values": request.values, "headers": request.headers,
                               "body": body, "url_path": request.path, "url_params": groups})
    return Call(service, name, region, params or {}, protocol, body=body)


def read_s3(environ, body, region):
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    method = environ["REQUEST_METHOD"]
    call = Call("s3", "ListAllMyBuckets", region, query, "s3", bucket=bucket, key=key, body=body)
    if not bucket:
        return call
    word = next((word for word in S3_SUBRESOURCES if word in query), None)
    if word and not key:
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete" if word == "policy" else "Put"}[method]
        call.operation = verb + S3_SUBRESOURCES[word]
        return call
    word = next((word for word in ("versions", "uploads", "location", "delete") if word in query), None)
    known = S3_ACTIONS.get((method, bool(key), word)) or S3_ACTIONS.get((method, bool(key), None))
    call.operation = (known or "GetObject") + ("Version" if key and "versionId" in query else "")
    return call


def write_answer(call, result):
    """(status, headers, body) of a handler's output."""
    operation_model = model(call.service).operation_model(call.operation)
    name = BOTO_NAMES.get(call.service, call.service)
    serializer = get_serializer_class(name, call.protocol)(operation_model=operation_model)
    answer = serializer.serialize(result or {})
    return answer["status_code"], dict(answer["headers"]), answer["body"]


# --- what a call is about -----------------------------------------------------------------------------------

def arn(service, region, rest):
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{rest}"


STAR_ONLY = re.compile(  # actions that know no resource: a policy has to say "*"
    r"ecr:GetAuthorizationToken|xray:Put\w+|cloudwatch:(PutMetricData|GetMetric\w+|ListMetrics)|"
    r"ec2:Describe\w+|elasticloadbalancing:Describe\w+|ecs:(ListClusters|DescribeTaskDefinition|"
    r"ListTaskDefinitions|DeregisterTaskDefinition)|sts:GetCallerIdentity|logs:DescribeQueries|"
    r"application-autoscaling:Describe\w+|cloudformation:(ValidateTemplate|ListStacks|"
    r"DescribeStackDriftDetectionStatus)|s3:ListAllMyBuckets|elasticfilesystem:CreateFileSystem")


def resources_of(call):
    """ARNs of what the call is about, for IAM; None where the emulator does not know them."""
    if STAR_ONLY.fullmatch(call.action):
        return ["*"]
    if call.service == "s3":
        return [f"arn:aws:s3:::{call.bucket}/{call.key}" if call.key or call.operation == "DeleteObject"
                else f"arn:aws:s3:::{call.bucket}"]
    finder = FINDERS.get(call.service)
    return finder(call.params, call.region, call.operation) if finder else None


def ecs_resources(p, region, name):
    cluster = (p.get("cluster") or p.get("clusterName") or "default").split("/")[-1]
    if name in ("CreateService", "UpdateService", "DeleteService", "DescribeServices"):
        services = p.get("services") or [p.get("service") or p.get("serviceName")]
        return [arn("ecs", region, f"service/{cluster}/{s.split('/')[-1]}") for s in services]
    if name in ("CreateCluster", "DeleteCluster", "UpdateCluster", "PutClusterCapacityProviders"):
        return [arn("ecs", region, f"cluster/{cluster}")]
    if name in ("DescribeTasks", "StopTask"):
        return [arn("ecs", region, f"task/{cluster}/{t.split('/')[-1]}")
                for t in p.get("tasks") or [p.get("task")]]
    if name == "RegisterTaskDefinition":
        return [arn("ecs", region, f"task-definition/{p.get('family')}:*")]
    return None


def logs_resources(p, region, name):
    group = p.get("logGroupName") or p.get("logGroupIdentifier", "").split(":")[-1]
    if not group or name.startswith("DescribeLogGroups"):
        return None
    stream = p.get("logStreamName")
    of_stream = stream and name in ("PutLogEvents", "CreateLogStream", "GetLogEvents")
    of_all = name in ("FilterLogEvents", "DescribeLogStreams", "StartQuery")
    suffix = f":log-stream:{stream}" if of_stream else ":*" if of_all else ""
    return [arn("logs", region, f"log-group:{group}{suffix}")]


def secret_resources(p, region, _):
    from moto.secretsmanager.models import secretsmanager_backends
    wanted = p.get("SecretId")
    if not wanted:
        return [arn("secretsmanager", region, f"secret:{p['Name']}-??????")] if p.get("Name") else None
    store = secretsmanager_backends[ACCOUNT][region].secrets
    secret = store[wanted] if wanted in store.keys() else None
    return [secret.arn if secret else wanted if wanted.startswith("arn:") else
            arn("secretsmanager", region, f"secret:{wanted}-AAAAAA")]


def ecr_resources(p, region, _):
    names = p.get("repositoryNames") or [p.get("repositoryName")]
    return [arn("ecr", region, f"repository/{name}") for name in names] if names[0] else None


def stack_resources(p, region, _):
    name = p.get("StackName", "")
    if name.startswith("arn:"):
        return [name]
    return [arn("cloudformation", region, f"stack/{name}/00000000")] if name else None


def iam_resources(p, *_):
    for key, kind in (("RoleName", "role"), ("UserName", "user"), ("PolicyName", "policy")):
        if p.get(key):
            return [f"arn:aws:iam::{ACCOUNT}:{kind}{p.get('Path', '/')}{p[key]}"]
    return [p["PolicyArn"]] if p.get("PolicyArn") else None


def efs_resources(p, region, name):
    if p.get("FileSystemId") and name != "DescribeFileSystems":
        return [arn("elasticfilesystem", region, f"file-system/{p['FileSystemId']}")]
    return None


FINDERS = {"ecs": ecs_resources, "logs": logs_resources, "secretsmanager": secret_resources,
           "ecr": ecr_resources, "cloudformation": stack_resources, "iam": iam_resources,
           "elasticfilesystem": efs_resources,
           "sts": lambda p, *_: [p["RoleArn"]] if p.get("RoleArn") else None}


def passed_roles(call):
    """(role ARN, service) of each role that the call hands on: the caller needs iam:PassRole for it."""
    p = call.params
    if call.action == "ecs:RegisterTaskDefinition":
        return [(p[k], "ecs-tasks.amazonaws.com") for k in ("taskRoleArn", "executionRoleArn") if p.get(k)]
    services = {"logs:PutSubscriptionFilter": ("roleArn", "logs.amazonaws.com"),
                "firehose:CreateDeliveryStream": ("RoleARN", "firehose.amazonaws.com"),
                "ec2:CreateFlowLogs": ("DeliverLogsPermissionArn", "vpc-flow-logs.amazonaws.com"),
                "backup:CreateBackupSelection": ("IamRoleArn", "backup.amazonaws.com"),
                "cloudformation:CreateChangeSet": ("RoleARN", "cloudformation.amazonaws.com")}
    key, service = services.get(call.action, ("", ""))
    return [(role, service) for role in find_all(p, key)] if key else []


def find_all(value, key):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            yield from find_all(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from find_all(inner, key)
