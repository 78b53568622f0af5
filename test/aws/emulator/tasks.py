"""One ECS task: what Fargate does between "run it" and its last word, with a real process.

Differences from Fargate, all of them: the task's address is one of loopback (127.N.zone.n) and is also told
by BERTH_LISTEN; metadata, credentials and X-Ray (BERTH_OTLP_ENDPOINT) are reached by a full URL on loopback;
its own metrics come at the pace of the watch's clock (BERTH_METRICS_PERIOD); CPU and memory are limited where
limits.py can; a volume that lives with the task is empty again after its container was restarted.
"""

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

import awslogs
import network
from access import assume, decide
from faults import Fault
from images import PullError

HERE = os.path.dirname(os.path.abspath(__file__))
SPOT_NOTICE_SECONDS = 120
METRICS_PERIOD_SECONDS = 60


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
        self.registered = self.failed_health = self.lost = False
        self.restarts = 0
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
        self.cloud.limits.forget(self.id)
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
            "groups": self.cloud.limits.task(self.id, int(definition.get("cpu", 256)) / 1024,
                                             int(definition.get("memory", 512))),
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
        try:
            self.log = awslogs.client_of(self.cloud, self.container.get("logConfiguration"), executor,
                                         f"{self.container['name']}/{self.id}")
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
        given = {e["name"]: e["value"] for e in self.container.get("environment", [])}
        if given.get("BERTH_METRICS") == "emf":
            period = float(given.get("BERTH_METRICS_PERIOD", METRICS_PERIOD_SECONDS)) / self.cloud.watch_speed
            found["BERTH_METRICS_PERIOD"] = f"{max(1, round(period))}"
        if self.role:
            found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{base}/credentials"
        return found

    # --- running ----------------------------------------------------------------------------------------

    def run(self, box):
        """The container, again and again where its restart policy says so."""
        while True:
            begun = self.cloud.clock()
            self.run_container(box)
            if not self.may_restart(self.cloud.clock() - begun):
                return
            self.restarts, self.health = self.restarts + 1, "UNKNOWN"
            self.exit_code, self.container_reason = None, ""

    def may_restart(self, ran):
        """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-restart-policy.html"""
        policy = self.container.get("restartPolicy", {})
        return bool(policy.get("enabled")) and self.desired == "RUNNING" and not self.lost and \
            self.exit_code not in policy.get("ignoredExitCodes", []) and \
            ran >= policy.get("restartAttemptPeriod", 300)

    def run_container(self, box):
        kills = self.cloud.limits.kills(self.id)
        receiver, sender = os.pipe()
        self.process = self.cloud.spawn([sys.executable, "-SEs", os.path.join(HERE, "sandbox.py"),
                                         str(sender)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, pass_fds=[sender])
        os.close(sender)
        self.process.stdin.write(json.dumps(box).encode())
        self.process.stdin.close()
        pump = threading.Thread(target=awslogs.pump, args=(self.process.stdout, self.log), daemon=True)
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
        self.started = self.started or now()
        self.status = "RUNNING"
        if self.container.get("healthCheck"):
            threading.Thread(target=self.check_health, args=(self.process,), daemon=True).start()
        code = self.process.wait()
        self.pid = None
        pump.join(5)
        self.exit_code = code if code >= 0 else 128 - code
        if self.exit_code == 137 and self.cloud.limits.kills(self.id) > kills:
            self.container_reason = "OutOfMemoryError: Container killed due to memory usage"

    # --- its end ----------------------------------------------------------------------------------------

    def stop(self, code, reason):
        """SIGTERM once it is idle at the load balancer, SIGKILL after the stop timeout."""
        self.end(code, reason, self.container.get("stopTimeout", 30), drains=True)

    def interrupt(self):
        """Spot takes it back: out of the load balancer, SIGTERM at once, SIGKILL two minutes later."""
        self.end("SpotInterruption", "Your Spot Task was interrupted.", SPOT_NOTICE_SECONDS, drains=False)

    def end(self, code, reason, patience, drains):
        with self.lock:
            if self.desired == "STOPPED":
                return
            self.desired, self.stop_code, self.reason, self.stopping = "STOPPED", code, reason, now()
        threading.Thread(target=self.end_process, args=(patience, drains), daemon=True).start()

    def end_process(self, patience, drains):
        self.cloud.wait(lambda: not self.registered, 10)    # the service takes it out of its target groups
        if drains:
            self.cloud.wait(lambda: self.cloud.balancer.drained(self.address), 3600)
        process = self.process
        if process is None or process.poll() is not None:
            return
        self.status = "STOPPING"
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience / self.cloud.speed)
        except subprocess.TimeoutExpired:
            process.kill()

    def crash(self):
        """Its container's processes end at once."""
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill(self):
        """The loss of its host: nobody restarts the container."""
        self.lost = True
        if self.pid is None:
            self.desired = "STOPPED"
        self.crash()

    # --- health -----------------------------------------------------------------------------------------

    def check_health(self, process):
        check = self.container["healthCheck"]
        interval, timeout = check.get("interval", 30), check.get("timeout", 5)
        begun = time.monotonic()
        failures = 0
        while not self.ended.wait(interval / self.cloud.speed):
            if self.desired == "STOPPED" or process.poll() is not None:
                return
            if self.execute(check["command"], timeout):
                self.health, failures = "HEALTHY", 0
            elif self.health == "HEALTHY" or \
                    time.monotonic() > begun + self.cloud.patience(check.get("startPeriod", 0)):
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


def role_allows(caller, action, resource, context):
    """Whether a role's own policies let it do `action`; for what no API call asks, such as mounting."""
    context = {"aws:SecureTransport": "true", **context}
    return caller is not None and decide(caller.policies(), action, [resource], context) == "allow"
