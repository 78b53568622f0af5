"""One ECS task: what Fargate does between "run it" and its last word, with a real process.

Differences from Fargate, all of them: the task's address is one of loopback (127.N.zone.n) and is also told
by BERTH_LISTEN; metadata, credentials and X-Ray (BERTH_OTLP_ENDPOINT) are reached by a full URL on loopback;
CPU and memory are not limited.
"""

import datetime
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

import network
from access import assume, decide
from faults import Fault
from images import PullError

HERE = os.path.dirname(os.path.abspath(__file__))
LOG_BATCH_SECONDS = 0.1


def now():
    return datetime.datetime.now(datetime.UTC)


class StartError(Exception):
    """Why a task did not start: ECS's stoppedReason."""


class Task:
    def __init__(self, cloud, cluster, definition, place, group, started_by, capacity, public=False):
        self.cloud, self.cluster, self.definition = cloud, cluster, definition
        self.id = uuid.uuid4().hex
        self.arn = f"arn:aws:ecs:{cloud.region}:123456789012:task/{cluster}/{self.id}"
        self.subnet, self.zone, self.groups, self.public = place
        self.address = cloud.addresses.take(self.zone)
        self.group, self.started_by, self.capacity = group, started_by, capacity
        self.status, self.desired, self.health = "PROVISIONING", "RUNNING", "UNKNOWN"
        self.stop_code = self.reason = ""
        self.exit_code, self.container_reason = None, ""
        self.created, self.started, self.stopping, self.stopped = now(), None, None, None
        self.role, self.pid, self.process = None, None, None
        self.environment, self.image_digest = {}, ""
        self.folder = os.path.join(cloud.state, "tasks", self.id)
        self.registered = self.failed_health = False
        self.lock = threading.RLock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.live, name=f"task-{self.id[:8]}", daemon=True)
        self.thread.start()

    @property
    def container(self):
        return self.definition["containerDefinitions"][0]

    # --- life -------------------------------------------------------------------------------------------

    def live(self):
        try:
            self.cloud.tasks_by_id[self.id] = self
            self.cloud.pause(self.cloud.start_seconds)
            self.status = "PENDING"
            box = self.prepare()
            if self.desired == "RUNNING":
                self.run(box)
        except StartError as error:
            self.finish("TaskFailedToStart", str(error))
        except Exception as error:
            import traceback
            traceback.print_exc()
            self.finish("TaskFailedToStart", f"InternalError: {error}")
        self.finish(self.stop_code or "EssentialContainerExited", self.reason or
                    "Essential container in task exited")

    def finish(self, code, reason):
        with self.lock:
            if self.status == "STOPPED":
                return
            self.stop_code, self.reason = code, reason
            self.status, self.desired, self.stopped = "STOPPED", "STOPPED", now()
            if self.health != "UNHEALTHY":
                self.health = "UNKNOWN"
        self.cloud.balancer.forget(self.address)
        self.cloud.addresses.give_back(self.address)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.ended.set()

    def prepare(self):
        """Everything before the first instruction; the description for sandbox.py."""
        definition, container = self.definition, self.container
        ordered = self.cloud.mishaps.get("fail_start")
        if ordered:
            raise StartError(ordered)
        network.check_way_out(self)
        execution = definition.get("executionRoleArn")
        if definition.get("taskRoleArn"):
            self.role = self.assume(definition["taskRoleArn"])
        executor = self.assume(execution) if execution else None
        secrets = self.secrets(executor)
        self.open_log(executor)
        layers, image = self.pull(executor)
        binds = self.mounts()
        environment = dict(e.split("=", 1) for e in image.get("Env") or [])
        environment |= {e["name"]: e["value"] for e in container.get("environment", [])} | secrets
        environment |= self.metadata_environment()
        argv = (container.get("entryPoint") or image.get("Entrypoint") or []) + (
            container.get("command") or ([] if container.get("entryPoint") else image.get("Cmd") or []))
        if not argv:
            raise StartError("CannotCreateContainerError: Error response from daemon: No command specified")
        self.environment = environment
        user = str(container.get("user") or image.get("User") or "0")
        uid, _, gid = user.partition(":")
        self.uid = (uid if uid.isdigit() else "0"), (gid if gid.isdigit() else uid if uid.isdigit() else "0")
        tmpfs = self.volatile()
        return {
            "layers": [self.skeleton(tmpfs + [b["target"] for b in binds])] + layers,
            "read_only": bool(container.get("readonlyRootFilesystem")), "binds": binds, "tmpfs": tmpfs,
            "root": os.path.join(self.folder, "root"), "scratch": os.path.join(self.folder, "scratch"),
            "environment": environment, "argv": argv, "uid": int(self.uid[0]), "gid": int(self.uid[1]),
            "directory": container.get("workingDirectory") or image.get("WorkingDir") or "/",
            "init": bool(container.get("linuxParameters", {}).get("initProcessEnabled"))}

    def assume(self, role_arn):
        try:
            caller = assume(role_arn, self.id)
            trust = caller.role.assume_role_policy_document
            trust = json.loads(trust) if isinstance(trust, str) else trust
            trusted = any("ecs-tasks.amazonaws.com" in json.dumps(s.get("Principal", {}))
                          for s in trust["Statement"])
        except Exception:
            trusted = False
        if not trusted:
            raise StartError("ECS was unable to assume the role that was provided for this task. Please "
                             "verify "
                             f"that the role '{role_arn}' exists and its trust relationship allows ECS")
        return caller

    def secrets(self, executor):
        values = {}
        for secret in self.container.get("secrets", []):
            parts = secret["valueFrom"].split(":")
            arn, key = ":".join(parts[:7]), (parts[7:8] or [""])[0]
            try:
                if executor is None:
                    raise Fault("AccessDeniedException", "the task definition has no execution role")
                client = self.cloud.client(executor, "secretsmanager")
                text = client.get_secret_value(SecretId=arn)["SecretString"]
                values[secret["name"]] = str(json.loads(text)[key]) if key else text
            except KeyError:
                raise StartError(f"ResourceInitializationError: unable to pull secrets or registry auth: "
                                 f"execution resource retrieval failed: unable to retrieve secret from asm: "
                                 f"retrieved secret from Secrets Manager did not contain json key "
                                 f"{key}") from None
            except Exception as error:
                raise StartError(f"ResourceInitializationError: unable to pull secrets or registry auth: "
                                 f"execution resource retrieval failed: unable to retrieve secret from asm: "
                                 f"service call has been retried 1 time(s): failed to fetch secret {arn} "
                                 "from "
                                 f"secrets manager: {error}") from None
        return values

    def open_log(self, executor):
        configuration = self.container.get("logConfiguration")
        self.log = None
        if not configuration or configuration.get("logDriver") != "awslogs":
            return
        options = configuration["options"]
        group, prefix = options["awslogs-group"], options.get("awslogs-stream-prefix", "ecs")
        self.log = (executor, group, f"{prefix}/{self.container['name']}/{self.id}")
        try:
            client = self.cloud.client(executor, "logs")
            client.create_log_stream(logGroupName=group, logStreamName=self.log[2])
        except Exception as error:
            raise StartError(f"ResourceInitializationError: failed to validate logger args: create stream "
                             "has "
                             f"been retried 1 times: failed to create Cloudwatch log stream: {error} : exit "
                             f"status 1") from None

    def pull(self, executor):
        reference = self.container["image"]
        architecture = self.definition.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
        token = None
        try:
            if reference.startswith(self.cloud.registry.endpoint):
                data = self.cloud.client(executor, "ecr").get_authorization_token()["authorizationData"][0]
                import base64
                token = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]
            return self.cloud.store.pull(reference, token, architecture)
        except PullError as error:
            raise StartError(f"CannotPullContainerError: pull image manifest has been retried 1 time(s): "
                             f"failed to resolve ref {reference}: {error}") from None
        except Exception as error:
            raise StartError(f"ResourceInitializationError: unable to pull secrets or registry auth: The "
                             "task "
                             f"cannot pull registry auth from Amazon ECR: {error}") from None

    def mounts(self):
        volumes = {v["name"]: v for v in self.definition.get("volumes", [])}
        binds = []
        for point in self.container.get("mountPoints", []):
            volume = volumes[point["sourceVolume"]]
            if "efsVolumeConfiguration" in volume:
                source = network.efs_folder(self, volume["efsVolumeConfiguration"])
                binds.append({"source": source, "target": point["containerPath"],
                              "read_only": bool(point.get("readOnly"))})
        return binds

    def volatile(self):
        """Paths that are written though the root is not: volumes that live with the task, and /tmp."""
        volumes = {v["name"]: v for v in self.definition.get("volumes", [])}
        paths = [p["containerPath"] for p in self.container.get("mountPoints", [])
                 if "efsVolumeConfiguration" not in volumes[p["sourceVolume"]]]
        return paths or ([] if self.container.get("readonlyRootFilesystem") else ["/tmp"])

    def skeleton(self, targets):
        """The topmost layer: where things are mounted, and who the host is."""
        folder = os.path.join(self.folder, "skeleton")
        for path in ("root", "scratch"):
            os.makedirs(os.path.join(self.folder, path))
        for target in ["/proc", "/dev", "/etc", *targets]:
            os.makedirs(folder + target, exist_ok=True)
        for name, text in (("hosts", f"127.0.0.1 localhost\n{self.address} {self.id[:12]}\n"),
                           ("resolv.conf", "nameserver 127.0.0.1\n")):
            with open(f"{folder}/etc/{name}", "w", encoding="ascii") as file:
                file.write(text)
        for path, _, _ in os.walk(self.folder):
            os.chmod(path, 0o755)
        return folder

    def metadata_environment(self):
        base = f"{self.cloud.url}/_task/{self.id}"
        port = next((p["containerPort"] for p in self.container.get("portMappings", [])), 3000)
        found = {"ECS_CONTAINER_METADATA_URI_V4": f"{base}/v4", "ECS_AGENT_URI": base,
                 "AWS_REGION": self.cloud.region, "AWS_DEFAULT_REGION": self.cloud.region,
                 "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "AWS_ENDPOINT_URL": self.cloud.url,
                 "BERTH_LISTEN": f"{self.address}:{port}", "BERTH_OTLP_SIGN": "1",
                 "BERTH_OTLP_ENDPOINT": f"{self.cloud.url}/v1/traces"}
        if self.role:
            found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{base}/credentials"
        return found

    # --- running ----------------------------------------------------------------------------------------

    def run(self, box):
        receiver, sender = os.pipe()
        self.process = self.cloud.spawn([sys.executable, "-SEs", os.path.join(HERE, "sandbox.py"),
                                         str(sender)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, pass_fds=[sender])
        os.close(sender)
        self.process.stdin.write(json.dumps(box).encode())
        self.process.stdin.close()
        pump = threading.Thread(target=self.pump, args=(self.process.stdout,), daemon=True)
        pump.start()
        with os.fdopen(receiver) as report:
            lines = [json.loads(line) for line in report.read().splitlines() if line]
        error = next((line["error"] for line in lines if "error" in line), None)
        self.pid = next((line["pid"] for line in lines if "pid" in line), None)
        if error or self.pid is None:
            self.process.wait()
            pump.join(5)
            raise StartError(f"CannotStartContainerError: ResourceInitializationError: failed to create new "
                             f"container runtime task: OCI runtime create failed: {error or 'no process'}")
        self.started = now()
        self.status = "RUNNING"
        if self.container.get("healthCheck"):
            threading.Thread(target=self.check_health, daemon=True).start()
        code = self.process.wait()
        pump.join(5)
        self.exit_code = code if code >= 0 else 128 - code

    def stop(self, code, reason):
        """SIGTERM now, SIGKILL after the stop timeout."""
        with self.lock:
            if self.desired == "STOPPED":
                return
            self.desired, self.stop_code, self.reason, self.stopping = "STOPPED", code, reason, now()
        threading.Thread(target=self.end_process, daemon=True).start()

    def end_process(self):
        self.cloud.wait(lambda: self.cloud.balancer.drained(self.address), 3600)
        process = self.process
        if process is None or process.poll() is not None:
            return
        self.status = "STOPPING"
        process.send_signal(signal.SIGTERM)
        timeout = self.container.get("stopTimeout", 30)
        try:
            process.wait(timeout / self.cloud.speed)
        except subprocess.TimeoutExpired:
            process.kill()

    def kill(self):
        """The loss of a task: its processes end at once, nobody asked them to."""
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def pump(self, stream):
        """Output to CloudWatch Logs, as the awslogs driver: one event a line, in batches."""
        descriptor, buffer, batch, due = stream.fileno(), b"", [], None
        while True:
            wait = None if due is None else max(0, due - time.monotonic())
            readable, _, _ = select.select([descriptor], [], [], wait)
            chunk = os.read(descriptor, 65536) if readable else None
            if chunk:
                *lines, buffer = (buffer + chunk).split(b"\n")
                stamp = int(time.time() * 1000)
                batch += [{"timestamp": stamp, "message": line.decode(errors="replace")}
                          for line in lines if line]
                due = due or time.monotonic() + LOG_BATCH_SECONDS
            if batch and (not readable or chunk == b"" or len(batch) > 500):
                self.send_logs(batch)
                batch, due = [], None
            elif not readable:
                due = None
            if chunk == b"":
                if buffer:
                    self.send_logs([{"timestamp": int(time.time() * 1000),
                                     "message": buffer.decode(errors="replace")}])
                return

    def send_logs(self, events):
        if self.log is None:
            return
        executor, group, stream = self.log
        try:
            self.cloud.client(executor, "logs").put_log_events(logGroupName=group, logStreamName=stream,
                                                               logEvents=events)
        except Exception as error:
            print(f"logs of task {self.id} are lost: {error}", file=sys.stderr, flush=True)

    def check_health(self):
        check = self.container["healthCheck"]
        interval, timeout = check.get("interval", 30), check.get("timeout", 5)
        grace_end = time.monotonic() + check.get("startPeriod", 0) / self.cloud.speed
        failures = 0
        while not self.ended.wait(interval / self.cloud.speed):
            if self.desired == "STOPPED" or self.process.poll() is not None:
                return
            if self.execute(check["command"], timeout):
                self.health, failures = "HEALTHY", 0
            elif self.health == "HEALTHY" or time.monotonic() > grace_end:
                failures += 1
                if failures >= check.get("retries", 3):
                    self.health = "UNHEALTHY"

    def execute(self, command, timeout):
        """A program inside the container, as its health check; true when it ends with 0."""
        words = command[1:] if command[0] == "CMD" else ["/bin/sh", "-c", *command[1:]]
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd"]
        enter += ["--user", "--preserve-credentials"] if os.geteuid() else ["-S", self.uid[0], "-G",
                                                                            self.uid[1]]
        try:
            done = self.cloud.spawn([*enter, "--", *words], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, env=self.environment)
            return done.wait(timeout) == 0
        except subprocess.TimeoutExpired:
            done.kill()
            done.wait()
            return False

    # --- what others ask --------------------------------------------------------------------------------

    def describe(self):
        container = {"containerArn": f"{self.arn}/c", "taskArn": self.arn, "name": self.container["name"],
                     "image": self.container["image"], "runtimeId": f"{self.id}-1",
                     "lastStatus": "RUNNING" if self.status == "STOPPING" else self.status,
                     "healthStatus": self.health, "networkInterfaces": [
                         {"attachmentId": self.id[:8], "privateIpv4Address": self.address}]}
        if self.exit_code is not None:
            container["exitCode"] = self.exit_code
        if self.container_reason:
            container["reason"] = self.container_reason
        details = [{"name": "subnetId", "value": self.subnet},
                   {"name": "networkInterfaceId", "value": f"eni-{self.id[:17]}"},
                   {"name": "privateIPv4Address", "value": self.address}]
        found = {
            "taskArn": self.arn, "clusterArn": self.arn.replace(":task/", ":cluster/").rsplit("/", 1)[0],
            "taskDefinitionArn": self.definition["taskDefinitionArn"], "group": self.group,
            "startedBy": self.started_by, "lastStatus": self.status, "desiredStatus": self.desired,
            "healthStatus": self.health, "availabilityZone": self.zone, "launchType": "FARGATE",
            "capacityProviderName": self.capacity, "cpu": self.definition.get("cpu", "256"),
            "memory": self.definition.get("memory", "512"), "containers": [container],
            "connectivity": "CONNECTED",
            "platformVersion": "1.4.0", "createdAt": self.created, "attachments": [
                {"id": self.id[:8], "type": "ElasticNetworkInterface", "status": "ATTACHED",
                 "details": details}]}
        for name, value in (("startedAt", self.started), ("stoppingAt", self.stopping),
                            ("stoppedAt", self.stopped), ("stopCode", self.stop_code),
                            ("stoppedReason", self.reason)):
            if value and (name != "stopCode" or self.stopped or self.stopping):
                found[name] = value
        return found

    def metadata(self, words):
        """Task metadata endpoint version 4, as on Fargate (task-metadata-endpoint-v4-fargate.html)."""
        if words == ["credentials"]:
            return {"AccessKeyId": self.role.key, "SecretAccessKey": self.role.secret,
                    "Token": self.role.token,
                    "Expiration": (now() + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "RoleArn": self.definition["taskRoleArn"]}
        network_block = {"NetworkMode": "awsvpc", "IPv4Addresses": [self.address],
                         "PrivateDNSName": f"ip-{self.address.replace('.', '-')}.ec2.internal"}
        container = {"DockerId": f"{self.id}-1", "Name": self.container["name"],
                     "Image": self.container["image"],
                     "Limits": {"CPU": 2}, "DesiredStatus": self.desired, "KnownStatus": self.status,
                     "Type": "NORMAL", "Networks": [network_block], "ContainerARN": f"{self.arn}/c"}
        if words == ["v4"]:
            return container
        if words == ["v4", "task"]:
            return {"Cluster": self.cluster, "TaskARN": self.arn, "Family": self.definition["family"],
                    "Revision": str(self.definition["revision"]), "DesiredStatus": self.desired,
                    "KnownStatus": self.status, "AvailabilityZone": self.zone, "LaunchType": "FARGATE",
                    "ServiceName": self.group.partition(":")[2], "Containers": [container],
                    "Limits": {"CPU": int(self.definition["cpu"]) / 1024,
                               "Memory": int(self.definition["memory"])}}
        raise Fault("NotFound", "no such path", 404)


def role_allows(caller, action, resource, context):
    """Whether a role's own policies let it do `action`; for what no API call asks, such as mounting."""
    context = {"aws:SecureTransport": "true", **context}
    return caller is not None and decide(caller.policies(), action, [resource], context) == "allow"
