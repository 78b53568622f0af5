"""Container images for tasks: pulled over the distribution API, each layer unpacked once, by its digest."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

MANIFESTS = ", ".join((
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json"))
ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}


class PullError(Exception):
    """The sentence behind CannotPullContainerError."""


class Store:
    """Unpacked layers in `folder`/<digest>; may be shared by emulators that run after another."""

    def __init__(self, folder):
        self.folder = folder
        self.locks, self.lock = {}, threading.Lock()
        os.makedirs(folder, exist_ok=True)

    def pull(self, reference, token, architecture):
        """(layers from the top down, image configuration) of `host:port/name:tag` or `…@sha256:…`."""
        registry, _, rest = reference.partition("/")
        name, at, digest = rest.partition("@")
        tag = "latest"
        if ":" in name.rpartition("/")[2]:
            name, _, tag = name.rpartition(":")
        source = Source(f"http://{registry}/v2/{name}", token, reference)
        manifest = source.json(f"manifests/{digest if at else tag}", digest if at else None)
        if "manifests" in manifest:
            wanted = ARCHITECTURES[architecture]
            fitting = [m for m in manifest["manifests"]
                       if m.get("platform", {}).get("architecture") == wanted]
            if not fitting:
                raise PullError(f"image Manifest does not contain descriptor matching platform "
                                f"'linux/{wanted}'")
            manifest = source.json(f"manifests/{fitting[0]['digest']}", fitting[0]["digest"])
        configuration = source.json(f"blobs/{manifest['config']['digest']}", manifest["config"]["digest"])
        if configuration.get("architecture") != ARCHITECTURES[architecture]:
            raise PullError(f"image Manifest does not contain descriptor matching platform "
                            f"'linux/{ARCHITECTURES[architecture]}'")
        layers = [self.layer(source, layer) for layer in manifest["layers"]]
        return layers[::-1], configuration.get("config", {})

    def layer(self, source, layer):
        digest = layer["digest"]
        target = os.path.join(self.folder, digest.partition(":")[2])
        with self.lock:
            lock = self.locks.setdefault(digest, threading.Lock())
        with lock:
            if not os.path.isdir(target):
                self.unpack(source, digest, target)
        return target

    def unpack(self, source, digest, target):
        partial = f"{target}.{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        archive = partial + ".tar"
        try:
            source.download(digest, archive)
            done = subprocess.run(["tar", "-xf", archive, "-C", partial, "--numeric-owner", "--no-same-owner"
                                   if os.geteuid() else "--same-owner"], capture_output=True, check=False)
            if done.returncode != 0:
                raise PullError(f"failed to extract layer {digest}: {done.stderr.decode()[:200]}")
            turn_whiteouts(partial)
            os.chmod(partial, 0o755)
            os.rename(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            if os.path.exists(archive):
                os.unlink(archive)


def turn_whiteouts(folder):
    """A layer's .wh.NAME as overlayfs says it: a character device 0:0; .wh..wh..opq as an attribute."""
    for path, _, files in os.walk(folder):
        for name in files:
            if not name.startswith(".wh."):
                continue
            os.unlink(os.path.join(path, name))
            if name == ".wh..wh..opq":
                os.setxattr(path, "trusted.overlay.opaque", b"y")
            else:
                os.mknod(os.path.join(path, name[4:]), 0o020000, 0)


class Source:
    """One repository, read with a token of ECR."""

    def __init__(self, url, token, reference):
        self.url, self.reference = url, reference
        self.headers = {"Accept": MANIFESTS}
        if token:
            self.headers["Authorization"] = "Basic " + base64.b64encode(f"AWS:{token}".encode()).decode()

    def open(self, path):
        try:
            return urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", headers=self.headers),
                                          timeout=60)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            if error.code == 404:
                raise PullError(f"{self.reference}: not found") from None
            try:
                text = json.loads(text)["errors"][0]["message"]
            except (ValueError, LookupError):
                pass
            raise PullError(f"unexpected status from GET request to {self.url}/{path}: {error.code}: "
                            f"{text}") from None
        except OSError as error:
            raise PullError(f"failed to do request: {error}") from None

    def json(self, path, digest=None):
        with self.open(path) as answer:
            body = answer.read()
        if digest and "sha256:" + hashlib.sha256(body).hexdigest() != digest:
            raise PullError(f"failed to verify {digest}: the content has another digest")
        return json.loads(body)

    def download(self, digest, file):
        sha = hashlib.sha256()
        with self.open(f"blobs/{digest}") as answer, open(file, "wb") as out:
            while part := answer.read(1 << 20):
                sha.update(part)
                out.write(part)
        if "sha256:" + sha.hexdigest() != digest:
            raise PullError(f"failed to verify {digest}: the content has another digest")
