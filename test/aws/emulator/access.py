"""Who calls, and may they: Signature Version 4 and IAM, checked on every request.

The signature is computed anew by botocore from what arrived. The decision follows
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html for one account:
explicit deny, then permissions boundary, then session and identity policies. Users, roles and policies are
those of moto's IAM and STS.
"""

import datetime
import fnmatch
import json
import re
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from faults import Fault

ACCOUNT = "123456789012"
SKEW_SECONDS_MAX = 300


def iam():
    return iam_backends[ACCOUNT]["aws"]


class Caller:
    """A principal: its ARN, keys, and the policies that speak about it."""

    def __init__(self, arn, key, secret, token="", user=None, role=None, session_policy=None):
        self.arn, self.key, self.secret, self.token = arn, key, secret, token
        self.user, self.role, self.session_policy = user, role, session_policy

    def policies(self):
        owner = self.user or self.role
        documents = list(owner.policies.values()) + [attached(p) for p in owner.managed_policies.values()]
        if self.user:
            for group in iam().get_groups_for_user(self.user.name):
                documents += list(group.policies.values())
                documents += [attached(p) for p in group.managed_policies.values()]
        return [parsed(document) for document in documents]

    def boundary(self):
        arn = getattr(self.role or self.user, "permissions_boundary_arn", None)
        return parsed(attached(iam().managed_policies[arn])) if arn in iam().managed_policies else None

    def client_keys(self):
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return {**keys, "aws_session_token": self.token} if self.token else keys


def attached(policy):
    return next(v.document for v in policy.versions if v.is_default)


def parsed(document):
    return json.loads(document) if isinstance(document, str) else document


def find_caller(key):
    for user in iam().users.values():
        for access_key in user.access_keys:
            if access_key.access_key_id == key:
                arn = f"arn:aws:iam::{ACCOUNT}:user{user.path}{user.name}"
                return Caller(arn, key, access_key.secret_access_key, user=user)
    for session in sts_backends[ACCOUNT]["aws"].assumed_roles:
        if session.access_key_id == key:
            name = session.role_arn.split("/")[-1]
            role = iam().get_role(name)
            policy = parsed(session.policy) if session.policy else None
            return Caller(session.arn, key, session.secret_access_key, session.session_token, role=role,
                          session_policy=policy)
    return None


def assume(role_arn, session_name):
    """Credentials of a role for a service of AWS: what ECS hands to a task."""
    session = sts_backends[ACCOUNT]["aws"].assume_role("us-east-1", session_name, role_arn, None, 3600, None)
    return find_caller(session.access_key_id)


# --- signatures ---------------------------------------------------------------------------------------------

def scope_of(environ):
    """(access key, region, service) of a signed request, or None."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    if header.startswith("AWS4-HMAC-SHA256"):
        match = re.search(r"Credential=([^,\s]+)", header)
    else:
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        match = re.match(r"(.+)", query.get("X-Amz-Credential", ""))
    parts = match.group(1).split("/") if match else []
    return (parts[0], parts[2], parts[3]) if len(parts) == 5 else None


def signed_request(environ, body):
    headers = {}
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers[name[5:].replace("_", "-").lower()] = value
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return headers, f"http://{environ['HTTP_HOST']}{raw}", AWSRequest(method=environ["REQUEST_METHOD"],
                                                                      data=body)


def authenticate(environ, body, mishaps):
    """The Caller of a request, or a Fault as AWS words it."""
    key, region, service = scope_of(environ)
    caller = find_caller(key)
    token_fault = "InvalidAccessKeyId" if service == "s3" else "UnrecognizedClientException"
    if caller is None:
        text = "The AWS Access Key Id you provided does not exist in our records." if service == "s3" else \
            "The security token included in the request is invalid."
        raise Fault("InvalidClientTokenId" if service in ("cloudformation", "sts", "iam") else token_fault,
                    text, 403)
    if key in mishaps.get("expired", []):
        raise Fault("ExpiredToken" if service in ("s3", "sts", "cloudformation") else "ExpiredTokenException",
                    "The security token included in the request is expired", 403)
    headers, url, request = signed_request(environ, body)
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    presigned = "X-Amz-Signature" in query
    token = query.get("X-Amz-Security-Token") if presigned else headers.get("x-amz-security-token")
    if (token or "") != caller.token:
        raise Fault("InvalidToken" if service == "s3" else "InvalidClientTokenId",
                    "The security token included in the request is invalid.", 403)
    sent = query.get("X-Amz-Date") if presigned else headers.get("x-amz-date")
    check_time(sent, service, presigned and int(query.get("X-Amz-Expires", "0")), mishaps.get("clock", 0))
    names = query["X-Amz-SignedHeaders"] if presigned else between(headers["authorization"], "SignedHeaders=")
    signature = query["X-Amz-Signature"] if presigned else between(headers["authorization"], "Signature=")
    if presigned:
        url = re.sub(r"[?&]X-Amz-Signature=[0-9a-f]+", "", url)
    request.url = url
    for name in names.split(";"):
        request.headers[name] = " ".join(headers.get(name, "").split())
    request.context["timestamp"] = sent
    kinds = (S3SigV4QueryAuth, SigV4QueryAuth) if presigned else (S3SigV4Auth, SigV4Auth)
    if signature != compute(kinds[service != "s3"], caller, service, region, request):
        raise Fault("SignatureDoesNotMatch" if service != "ecs" else "InvalidSignatureException",
                    "The request signature we calculated does not match the signature you provided.", 403)
    return caller


def compute(kind, caller, service, region, request):
    signer = kind(Credentials(caller.key, caller.secret, caller.token or None), service, region)
    canonical = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, canonical), request)


def between(header, start):
    return header.partition(start)[2].partition(",")[0].strip()


def check_time(sent, service, expires, ahead):
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead)
    when = datetime.datetime.strptime(sent, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    if expires:
        if now > when + datetime.timedelta(seconds=expires):
            raise Fault("AccessDenied", "Request has expired", 403)
    elif abs((now - when).total_seconds()) > SKEW_SECONDS_MAX:
        if service == "s3":
            raise Fault("RequestTimeTooSkewed", "The difference between the request time and the current "
                        "time is too large.", 403)
        clock = now.strftime("%Y%m%dT%H%M%SZ")
        raise Fault("SignatureDoesNotMatch" if service in ("cloudformation", "sts", "iam", "ec2")
                    else "InvalidSignatureException",
                    f"Signature expired: {sent} is now earlier than {clock} ({clock} - 5 min.)", 403)


# --- policies -----------------------------------------------------------------------------------------------

def as_list(value):
    return value if isinstance(value, list) else [value]


def like(pattern, value):
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def statement_applies(statement, action, resources, context):
    if "Action" in statement:
        if not any(like(p.lower(), action.lower()) for p in as_list(statement["Action"])):
            return False
    elif any(like(p.lower(), action.lower()) for p in as_list(statement["NotAction"])):
        return False
    if resources is not None and "Resource" in statement:
        patterns = as_list(statement["Resource"])
        if not all(any(like(p, resource) for p in patterns) for resource in resources):
            return False
    return all(condition_holds(operator, key, as_list(wanted), context)
               for operator, pairs in statement.get("Condition", {}).items()
               for key, wanted in pairs.items())


def condition_holds(operator, key, wanted, context):
    name = next((k for k in context if k.lower() == key.lower()), None)
    actual = [str(v) for v in as_list(context[name])] if name else []
    quantifier, _, rest = operator.rpartition(":")
    optional = rest.endswith("IfExists")
    rest = rest.removesuffix("IfExists")
    if rest == "Null":
        return (not actual) == (str(wanted[0]).lower() == "true")
    if not actual:
        # A key that the emulator does not know about is not held against the caller when it is negated.
        return optional or rest.startswith(("StringNot", "ArnNot", "NotIp")) or quantifier == "ForAllValues"
    wanted = [str(w) for w in wanted]
    if rest.startswith(("StringNot", "ArnNot")):
        return not any(like(w, a) for w in wanted for a in actual)
    if rest in ("StringEquals", "Bool", "StringEqualsIgnoreCase"):
        matched = [a for a in actual if a.lower() in (w.lower() for w in wanted)]
    else:
        matched = [a for a in actual if any(like(w, a) for w in wanted)]
    return len(matched) == len(actual) if quantifier == "ForAllValues" else bool(matched)


def decide(documents, action, resources, context):
    """"deny", "allow" or None when nothing speaks about it."""
    verdict = None
    for document in documents:
        for statement in as_list(document.get("Statement", [])):
            if statement_applies(statement, action, resources, context):
                if statement["Effect"] == "Deny":
                    return "deny"
                verdict = "allow"
    return verdict


def permitted(caller, action, resources, context=None):
    """Why not, as IAM says it; None when the caller may. `resources`: ARNs, or None when unknown."""
    context = {"aws:SecureTransport": "true", "aws:PrincipalArn": caller.arn,
               "aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT, **(context or {})}
    identity = decide(caller.policies(), action, resources, context)
    boundary = caller.boundary()
    limit = decide([boundary], action, resources, context) if boundary else "allow"
    session = decide([caller.session_policy], action, resources,
                     context) if caller.session_policy else "allow"
    if "deny" in (identity, limit, session):
        return "with an explicit deny in an identity-based policy"
    if identity is None:
        return f"because no identity-based policy allows the {action} action"
    if limit is None:
        return f"because no permissions boundary allows the {action} action"
    return None if session else f"because no session policy allows the {action} action"


def authorize(caller, action, resources, context=None, service=None):
    why = permitted(caller, action, resources, context)
    if why is None:
        return
    resource = (resources or ["*"])[0]
    text = f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} {why}"
    service = service or action.split(":")[0]
    if service == "ec2":
        raise Fault("UnauthorizedOperation", f"You are not authorized to perform this operation. {text}", 403)
    by_json = service in ("ecs", "ecr", "logs", "secretsmanager", "acm", "events", "firehose", "wafv2",
                          "application-autoscaling", "xray", "elasticfilesystem", "backup")
    raise Fault("AccessDeniedException" if by_json else "AccessDenied", text, 400 if by_json else 403)
