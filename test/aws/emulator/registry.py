"""ECR: its API, and its data plane, a real docker-registry behind a door that asks IAM as ECR does.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html: the login's user is AWS, the
password a token that stands for the caller who asked for it; each request of the distribution API needs the
ECR permission of the same meaning.
"""

import base64
import datetime
import fnmatch
import hashlib
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from access import ACCOUNT, authorize
from faults import Fault
from wire import arn, operation

CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}}}
  delete: {{enabled: true}}
http: {{net: unix, addr: {socket}, relativeurls: true, secret: emulator}}
"""
TOKEN_HOURS = 12
cloud = None    # set by the emulator when it starts


def now():
    return datetime.datetime.now(datetime.UTC)


class Repository:
    def __init__(self, p, region, endpoint):
        self.name = p["repositoryName"]
        self.arn = arn("ecr", region, f"repository/{self.name}")
        self.uri = f"{endpoint}/{self.name}"
        self.mutability = p.get("imageTagMutability", "MUTABLE")
        self.exclusions = p.get("imageTagMutabilityExclusionFilters", [])
        self.scan_on_push = p.get("imageScanningConfiguration", {}).get("scanOnPush", False)
        self.encryption = p.get("encryptionConfiguration", {"encryptionType": "AES256"})
        self.tags = p.get("tags", [])
        self.created = now()
        self.lifecycle = self.policy = None
        self.images = {}        # digest → Image

    def describe(self):
        return {"repositoryArn": self.arn, "registryId": ACCOUNT, "repositoryName": self.name,
                "repositoryUri": self.uri, "createdAt": self.created, "imageTagMutability": self.mutability,
                "imageTagMutabilityExclusionFilters": self.exclusions,
                "imageScanningConfiguration": {"scanOnPush": self.scan_on_push},
                "encryptionConfiguration": self.encryption}

    def find(self, identity):
        if identity.get("imageDigest"):
            return self.images.get(identity["imageDigest"])
        return next((i for i in self.images.values() if identity.get("imageTag") in i.tags), None)

    def refuse_overwriting(self, tag, digest):
        """Immutable tags stay with their image, but for those that the exclusion filters name."""
        holder = self.find({"imageTag": tag})
        if any(fnmatch.fnmatchcase(tag, f["filter"]) for f in self.exclusions):
            return
        if self.mutability.startswith("IMMUTABLE") and holder and holder.digest != digest:
            raise Fault("ImageTagAlreadyExistsException", f"The image tag '{tag}' already exists in the "
                        f"'{self.name}' repository and cannot be overwritten because the tag is immutable.")

    def put(self, manifest, media_type, tag):
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        if tag:
            self.refuse_overwriting(tag, digest)
            for image in self.images.values():
                image.tags.discard(tag)
        image = self.images.setdefault(digest, Image(manifest, media_type, digest))
        if tag:
            image.tags.add(tag)
        return image


class Image:
    def __init__(self, manifest, media_type, digest):
        self.manifest, self.media_type, self.digest = manifest, media_type, digest
        self.tags, self.pushed, self.scanned = set(), now(), None
        document = json.loads(manifest)
        self.bytes = sum(layer.get("size", 0) for layer in document.get("layers", []))

    def identity(self, tag=None):
        tags = sorted(self.tags)
        return {"imageDigest": self.digest, **({"imageTag": tag or tags[0]} if tags else {})}


class Registry:
    """The repositories and the two processes that serve them."""

    def __init__(self, folder, spawn):
        self.repositories, self.tokens = {}, {}
        self.lock = threading.RLock()
        self.socket = os.path.join(folder, "registry.sock")
        os.makedirs(os.path.join(folder, "registry"), exist_ok=True)
        configuration = os.path.join(folder, "registry.yaml")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(folder=os.path.join(folder, "registry"), socket=self.socket))
        with open(os.path.join(folder, "registry.log"), "wb") as log:
            self.process = spawn(["docker-registry", "serve", configuration], stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log)
        self.door = ThreadingHTTPServer(("127.0.0.1", 0), door_of(self))
        self.door.daemon_threads = True
        self.endpoint = f"127.0.0.1:{self.door.server_port}"
        threading.Thread(target=self.door.serve_forever, name="registry", daemon=True).start()

    def token(self, caller):
        token = secrets.token_urlsafe(48)
        self.tokens[token] = caller
        return token


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("registry", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


ACTIONS = [  # method, path below the repository, permission
    ("GET", r"manifests/", "BatchGetImage"), ("HEAD", r"manifests/", "BatchGetImage"),
    ("PUT", r"manifests/", "PutImage"), ("HEAD", r"blobs/sha256", "BatchCheckLayerAvailability"),
    ("GET", r"blobs/sha256", "GetDownloadUrlForLayer"), ("POST", r"blobs/uploads", "InitiateLayerUpload"),
    ("PATCH", r"blobs/uploads", "UploadLayerPart"), ("PUT", r"blobs/uploads", "CompleteLayerUpload"),
    ("GET", r"blobs/uploads", "UploadLayerPart"), ("GET", r"tags/list", "ListImages"),
]
CODES = {"RepositoryNotFoundException": ("NAME_UNKNOWN", 404), "ImageTagAlreadyExistsException": (
    "TAG_INVALID", 400), "AccessDeniedException": ("DENIED", 403),
    "ImageNotFoundException": ("MANIFEST_UNKNOWN", 404)}


def door_of(registry):
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def serve(self):
            body = self.read_body()
            try:
                self.forward(*self.admit(), body)
            except Fault as fault:
                code, status = CODES.get(fault.code, ("UNKNOWN", fault.status))
                self.answer(status, {}, json.dumps(
                    {"errors": [{"code": code, "message": fault.message}]}).encode())

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve

        def read_body(self):
            if "chunked" not in self.headers.get("transfer-encoding", "").lower():
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def admit(self):
            """(repository, what of it); a Fault for whom ECR would refuse."""
            path = self.path.partition("?")[0]
            caller = None
            scheme, _, word = self.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "basic":
                user, _, token = base64.b64decode(word).decode().partition(":")
                caller = registry.tokens.get(token) if user == "AWS" else None
            if caller is None:
                raise Fault("Unauthenticated", "Your authorization token is missing, wrong or has "
                                               "expired.", 401)
            if path.rstrip("/") == "/v2":
                return None, ""
            match = re.fullmatch(r"/v2/(.+)/((manifests|blobs|tags)/.*)", path)
            if not match:
                raise Fault("NotFound", "no such path", 404)
            name, rest = match.group(1), match.group(2)
            action = next((a for m, start, a in ACTIONS if m == self.command and re.match(start, rest)), None)
            if action is None:
                raise Fault("UNSUPPORTED", "The operation is unsupported.", 405)
            cloud.mishaps.strike("ecr:" + action)
            if cloud.mishaps.take("drop", "ecr:" + action):
                self.connection.shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError("as ordered")
            with cloud.front.noting("ecr:" + action, caller):
                authorize(caller, "ecr:" + action, [arn("ecr", cloud.region, f"repository/{name}")])
            repository = registry.repositories.get(name)
            if repository is None:
                raise Fault("RepositoryNotFoundException", f"The repository with name '{name}' does not "
                                                           "exist "
                            f"in the registry with id '{ACCOUNT}'")
            return repository, rest

        def forward(self, repository, rest, body):
            reference = rest.partition("/")[2]
            is_manifest = repository and self.command == "PUT" and rest.startswith("manifests/")
            tag = reference if is_manifest and not reference.startswith("sha256:") else None
            if repository and self.command in ("GET", "HEAD") and rest.startswith("manifests/"):
                # The process behind keeps what a repository that was deleted had.
                word = "imageDigest" if reference.startswith("sha256:") else "imageTag"
                if repository.find({word: reference}) is None:
                    raise Fault("ImageNotFoundException", f"Requested image not found: {reference}", 404)
            if tag:
                repository.refuse_overwriting(tag, "sha256:" + hashlib.sha256(body).hexdigest())
            headers = {name: value for name, value in self.headers.items() if name.lower() not in (
                "authorization", "transfer-encoding", "content-length", "connection", "host")}
            connection = UnixConnection(registry.socket)
            try:
                connection.request(self.command, self.path, body=body or None, headers={
                    **headers, "Host": registry.endpoint, "Content-Length": str(len(body))})
                answer = connection.getresponse()
                if is_manifest and answer.status == 201:
                    with registry.lock:
                        image = repository.put(body, self.headers.get("content-type"), tag)
                    if repository.scan_on_push:
                        image.scanned = now()
                self.answer(answer.status, dict(answer.getheaders()), answer)
            finally:
                connection.close()

        def answer(self, status, headers, body):
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", f'Basic '
                                                     f'realm="https://{registry.endpoint}/",service="ecr"')
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "date", "content-length"):
                    self.send_header(name, value)
            length = headers.get("Content-Length") if not isinstance(body, bytes) else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if self.command == "HEAD":
                return
            if isinstance(body, bytes):
                self.wfile.write(body)
                return
            while part := body.read(1 << 18):
                self.wfile.write(part)
    return Door


# --- the API ------------------------------------------------------------------------------------------------

def need(call):
    name = call.params["repositoryName"]
    found = cloud.registry.repositories.get(name)
    if found is None:
        raise Fault("RepositoryNotFoundException", f"The repository with name '{name}' does not exist in the "
                    f"registry with id '{ACCOUNT}'")
    return found


@operation("ecr", "GetAuthorizationToken")
def authorization_token(call):
    token = base64.b64encode(f"AWS:{cloud.registry.token(call.caller)}".encode()).decode()
    return {"authorizationData": [{"authorizationToken": token,
                                   "expiresAt": now() + datetime.timedelta(hours=TOKEN_HOURS),
                                   "proxyEndpoint": f"http://{cloud.registry.endpoint}"}]}


@operation("ecr", "CreateRepository")
def create_repository(call):
    name = call.params["repositoryName"]
    if not re.fullmatch(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*", name):
        raise Fault("InvalidParameterException", f"Invalid parameter at 'repositoryName': {name}")
    if name in cloud.registry.repositories:
        raise Fault("RepositoryAlreadyExistsException", f"The repository with name '{name}' already exists "
                                                        "in "
                    f"the registry with id '{ACCOUNT}'")
    made = cloud.registry.repositories[name] = Repository(call.params, call.region, cloud.registry.endpoint)
    return {"repository": made.describe()}


@operation("ecr", "DescribeRepositories")
def describe_repositories(call):
    names = call.params.get("repositoryNames")
    if names is None:
        return {"repositories": [r.describe() for r in cloud.registry.repositories.values()]}
    found = []
    for name in names:
        call.params["repositoryName"] = name
        found.append(need(call).describe())
    return {"repositories": found}


@operation("ecr", "DeleteRepository")
def delete_repository(call):
    found = need(call)
    if found.images and not call.params.get("force"):
        raise Fault("RepositoryNotEmptyException", f"The repository with name '{found.name}' in registry "
                                                   "with "
                    f"id '{ACCOUNT}' cannot be deleted because it still contains images")
    del cloud.registry.repositories[found.name]
    return {"repository": found.describe()}


@operation("ecr", "PutLifecyclePolicy")
def put_lifecycle(call):
    need(call).lifecycle = call.params["lifecyclePolicyText"]
    return {"repositoryName": call.params["repositoryName"], "lifecyclePolicyText": need(call).lifecycle}


@operation("ecr", "GetLifecyclePolicy")
def get_lifecycle(call):
    if need(call).lifecycle is None:
        raise Fault("LifecyclePolicyNotFoundException", "Lifecycle policy does not exist")
    return {"repositoryName": call.params["repositoryName"], "lifecyclePolicyText": need(call).lifecycle}


@operation("ecr", "SetRepositoryPolicy")
def set_policy(call):
    need(call).policy = call.params["policyText"]
    return {"repositoryName": call.params["repositoryName"], "policyText": need(call).policy}


@operation("ecr", "PutImageScanningConfiguration")
def put_scanning(call):
    need(call).scan_on_push = call.params["imageScanningConfiguration"].get("scanOnPush", False)
    return {}


@operation("ecr", "PutImageTagMutability")
def put_mutability(call):
    need(call).mutability = call.params["imageTagMutability"]
    need(call).exclusions = call.params.get("imageTagMutabilityExclusionFilters", [])
    return {}


@operation("ecr", "ListTagsForResource")
def list_tags(call):
    name = call.params["resourceArn"].partition("repository/")[2]
    return {"tags": cloud.registry.repositories[name].tags}


def wanted_images(call):
    """(found, failures) of imageIds."""
    found, failures = [], []
    for identity in call.params.get("imageIds", []):
        image = need(call).find(identity)
        if image is None:
            failures.append({"imageId": identity, "failureCode": "ImageNotFound",
                             "failureReason": "Requested image not found"})
        else:
            found.append((identity, image))
    return found, failures


@operation("ecr", "DescribeImages")
def describe_images(call):
    found, failures = wanted_images(call)
    if failures:
        raise Fault("ImageNotFoundException", f"The image with imageId {json.dumps(failures[0]['imageId'])} "
                    f"does not exist within the repository with name '{need(call).name}' in the registry "
                    "with "
                    f"id '{ACCOUNT}'")
    images = [image for _, image in found] if call.params.get("imageIds") else need(call).images.values()
    return {"imageDetails": [{
        "registryId": ACCOUNT, "repositoryName": need(call).name, "imageDigest": image.digest,
        **({"imageTags": sorted(image.tags)} if image.tags else {}), "imageSizeInBytes": image.bytes,
        "imagePushedAt": image.pushed, "imageManifestMediaType": image.media_type,
        **({"imageScanStatus": {"status": "COMPLETE"}} if image.scanned else {})} for image in images]}


@operation("ecr", "ListImages")
def list_images(call):
    rows = []
    for image in need(call).images.values():
        rows += [image.identity(tag) for tag in sorted(image.tags)] or [image.identity()]
    return {"imageIds": rows}


@operation("ecr", "BatchGetImage")
def batch_get_image(call):
    found, failures = wanted_images(call)
    return {"failures": failures, "images": [{
        "registryId": ACCOUNT, "repositoryName": need(call).name, "imageId": image.identity(
            identity.get("imageTag")), "imageManifest": image.manifest.decode(),
        "imageManifestMediaType": image.media_type} for identity, image in found]}


@operation("ecr", "BatchDeleteImage")
def batch_delete_image(call):
    found, failures = wanted_images(call)
    for identity, image in found:
        image.tags.discard(identity.get("imageTag"))
        if identity.get("imageDigest") or not image.tags:
            need(call).images.pop(image.digest, None)
    return {"imageIds": [identity for identity, _ in found], "failures": failures}


@operation("ecr", "PutImage")
def put_image(call):
    p = call.params
    digest = "sha256:" + hashlib.sha256(p["imageManifest"].encode()).hexdigest()
    known = need(call).find({"imageDigest": digest})
    if known and p.get("imageTag") in known.tags:
        raise Fault("ImageAlreadyExistsException", f"Image with digest '{known.digest}' and tag "
                    f"'{p['imageTag']}' already exists")
    image = need(call).put(p["imageManifest"].encode(), p.get("imageManifestMediaType"), p.get("imageTag"))
    if p.get("imageTag") and known:
        cloud.registry.retag(need(call), image, p["imageTag"])
    return {"image": {"repositoryName": need(call).name, "imageId": image.identity(p.get("imageTag"))}}


def retag(registry, repository, image, tag):
    connection = UnixConnection(registry.socket)
    connection.request("PUT", f"/v2/{repository.name}/manifests/{tag}", body=image.manifest,
                       headers={"Content-Type": image.media_type})
    connection.getresponse().read()
    connection.close()


Registry.retag = retag


@operation("ecr", "StartImageScan")
def start_scan(call):
    found, failures = wanted_images(one_image(call))
    if failures:
        raise Fault("ImageNotFoundException", "The image does not exist")
    found[0][1].scanned = now()
    return {"imageScanStatus": {"status": "IN_PROGRESS"}}


def one_image(call):
    call.params["imageIds"] = [call.params["imageId"]]
    return call


@operation("ecr", "DescribeImageScanFindings")
def scan_findings(call):
    found, failures = wanted_images(one_image(call))
    if failures:
        raise Fault("ImageNotFoundException", f"The image with imageId {json.dumps(call.params['imageId'])} "
                    "does not exist")
    image = found[0][1]
    if image.scanned is None:
        raise Fault("ScanNotFoundException", f"Image scan does not exist for the image with "
                    f"'{json.dumps(call.params['imageId'])}'")
    counts = cloud.mishaps.get("findings", {})
    findings = [{"name": f"CVE-2026-{1000 + i}", "severity": severity, "description": "as ordered",
                 "uri": f"https://example.com/CVE-2026-{1000 + i}",
                 "attributes": [{"key": "package_name", "value": "openssl"},
                                {"key": "package_version", "value": "3.0.1"}]}
                for severity, count in counts.items() for i in range(count)]
    done = now() - image.scanned > datetime.timedelta(seconds=0.3)
    status = {"status": "COMPLETE", "description": "The scan was completed successfully."} if done else {
        "status": "IN_PROGRESS"}
    answer = {"registryId": ACCOUNT, "repositoryName": need(call).name, "imageId": image.identity(),
              "imageScanStatus": status}
    if done:
        answer["imageScanFindings"] = {"imageScanCompletedAt": now(), "findings": findings,
                                       "findingSeverityCounts": counts}
    return answer

