#!/usr/bin/env python3
"""An AWS on loopback that is good enough to deploy to: `emulator.py --state FOLDER [--port 0] …`.

Moto answers what only has to be remembered; CloudFormation, ECS, ECR and the load balancer are the emulator's
own: a stack makes resources through the ordinary APIs with the caller's keys, a service runs the pushed image
as real processes, haproxy balances them. Every request is checked: signature, permission, parameters.

Prints one JSON line when it is ready, with the endpoint (AWS_ENDPOINT_URL), an administrator's keys, the
registry and the authority to trust. Ends with everything it started on SIGTERM, SIGINT, or, with
--with-parent, when its standard input is closed. A control endpoint answers under /_emulator/ (control.py).
"""

import argparse
import collections
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

os.environ.update({"AWS_EC2_METADATA_DISABLED": "true", "MOTO_ACCOUNT_ID": "123456789012",
                   "MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "AWS_CONFIG_FILE": "/dev/null",
                   "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "NO_PROXY": "*"})
for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import boto3  # noqa: E402  (moto and boto3 read the environment when they are imported)
from botocore.config import Config  # noqa: E402

import access  # noqa: E402
import balancer  # noqa: E402
import cloudformation  # noqa: E402
import control  # noqa: E402
import drift  # noqa: E402
import ecs  # noqa: E402
import images  # noqa: E402
import kinds_data  # noqa: E402, F401  (the kinds_* register resource types)
import kinds_ecs  # noqa: E402, F401
import kinds_network  # noqa: E402, F401
import kinds_watch  # noqa: E402, F401
import registry  # noqa: E402
import scaling  # noqa: E402
import supplements  # noqa: E402, F401  (registers operations)
import task_facts  # noqa: E402
import traces  # noqa: E402
import watch  # noqa: E402
import zones  # noqa: E402
from faults import Mishaps  # noqa: E402
from front import Front  # noqa: E402
from limits import Limits  # noqa: E402
from metrics import Metrics  # noqa: E402
from stacks import Engine  # noqa: E402

ZONE_NUMBERS = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}


class Spawner:
    """Starts every process from one thread that never ends: each child asks to be killed when that thread,
    and so the emulator, is gone."""

    def __init__(self):
        self.orders = queue.Queue()
        threading.Thread(target=self.work, name="spawner", daemon=True).start()

    def work(self):
        while True:
            arguments, options, answer = self.orders.get()
            try:
                # A container's environment may have a PATH of its own.
                words = [shutil.which("setpriv"), "--pdeathsig", "KILL", shutil.which(arguments[0])]
                answer.put(subprocess.Popen([*words, *arguments[1:]], start_new_session=True, **options))
            except OSError as error:
                answer.put(error)

    def __call__(self, arguments, **options):
        answer = queue.Queue()
        self.orders.put((arguments, options, answer))
        made = answer.get()
        if isinstance(made, OSError):
            raise made
        return made


class Addresses:
    """127.N.zone.n: N is this emulator's own among those that run, held by a name in the abstract space."""

    def __init__(self):
        for number in range(77, 127):
            self.claim = socket.socket(socket.AF_UNIX)
            try:
                self.claim.bind(f"\0berth-emulator-{number}")
                break
            except OSError:
                self.claim.close()
        self.number = number
        self.lock = threading.Lock()
        self.free = collections.defaultdict(lambda: collections.deque(range(1, 255)))

    def take(self, zone):
        with self.lock:
            return f"127.{self.number}.{ZONE_NUMBERS[zone[-1]]}.{self.free[zone[-1]].popleft()}"

    def give_back(self, address):
        _, _, zone, last = address.split(".")
        letter = next(z for z, n in ZONE_NUMBERS.items() if n == int(zone))
        with self.lock:
            self.free[letter].append(int(last))


class Cloud:
    """What the services share."""

    def __init__(self, options):
        self.state, self.region, self.speed = os.path.abspath(options.state), options.region, options.speed
        self.start_seconds = options.start_seconds
        self.watch_speed = options.watch_speed or options.speed
        os.makedirs(os.path.join(self.state, "tasks"), exist_ok=True)
        os.chmod(self.state, 0o755)
        self.mishaps = Mishaps()
        self.spawn = Spawner()
        self.addresses = Addresses()
        self.limits = Limits(f"berth-emulator-{self.addresses.number}")
        self.metrics = Metrics(self.watch_clock)
        self.lost_zones = set()
        self.clusters, self.definitions, self.services, self.tasks_by_id = {}, {}, {}, {}
        self.vpc_origins, self.distributions, self.transaction_search = {}, {}, None
        self.engines, self.clients, self.client_lock = {}, {}, threading.Lock()
        self.session = boto3.Session()
        self.front = Front(options.port, self.mishaps)
        self.url = self.front.url
        self.store = images.Store(options.layers or os.path.join(self.state, "layers"))
        self.registry = registry.Registry(self.state, self.spawn)
        self.balancer = balancer.Balancer(self.state, self.spawn, self.region)
        for module in (balancer, cloudformation, control, drift, ecs, registry, scaling, traces, zones):
            module.cloud = self
        self.front.private |= {"_emulator": control.answer, "_task": self.answer_task}
        self.front.cloud = self
        watch.start(self)
        self.front.start()
        self.admin = control.make_user("admin", {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"}]})

    def engine(self, region):
        return self.engines.setdefault(region, Engine(self, region))

    def client(self, caller, service, region=None):
        """A boto3 client of this emulator with the caller's keys."""
        key = (caller.key, service, region or self.region)
        with self.client_lock:
            if key not in self.clients:
                # CloudFormation waits out throttling and broken connections, too.
                config = Config(retries={"mode": "standard", "max_attempts": 5}, parameter_validation=True,
                                s3={"addressing_style": "path"})
                self.clients[key] = self.session.client(
                    service, region_name=key[2], endpoint_url=self.url, config=config, **caller.client_keys())
            return self.clients[key]

    def pause(self, seconds):
        """`seconds` of the emulated clock."""
        if seconds > 0:
            time.sleep(seconds / self.speed)

    def patience(self, seconds):
        """How long a task may take to get ready. Its program runs no faster than the machine lets it, so
        that the emulated clock does not count here."""
        return seconds / self.mishaps.get("hasty", 1)

    def clock(self):
        return time.monotonic() * self.speed

    def watch_clock(self):
        """That of CloudWatch and Application Auto Scaling."""
        return time.monotonic() * self.watch_speed

    @staticmethod
    def wait(probe, seconds):
        """True as soon as `probe` gives something; false after `seconds`."""
        deadline = time.monotonic() + seconds
        while not probe():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def public_url(self, text):
        return self.balancer.public_url(text)

    @staticmethod
    def hosted_zones():
        """For each zone, the (name, alias target) of its records."""
        from moto.route53.models import route53_backends
        for zone in route53_backends[access.ACCOUNT]["aws"].zones.values():
            yield [(r.name, (r.alias_target or {}).get("DNSName", "")) for r in zone.rrsets if r.alias_target]

    def certificate_names(self, certificate_arn):
        from moto.acm.models import acm_backends
        try:
            made = acm_backends[access.ACCOUNT][self.region].get_certificate(certificate_arn)
        except Exception:
            return []
        return [made.common_name] + [n for n in (made.in_use_by or []) if False]

    def answer_task(self, words, environ, body):
        task = self.tasks_by_id.get(words[0] if words else "")
        if task is None or task.status == "STOPPED":
            return 404, {"message": "no such task"}
        return 200, task_facts.metadata(task, words[1:])

    def end(self):
        for service in list(self.services.values()):
            service.status = "INACTIVE"     # or it would start others in their place
        for task in list(self.tasks_by_id.values()):
            task.kill()
        for task in list(self.tasks_by_id.values()):
            task.ended.wait(2)
        self.limits.forget()
        for proxy in list(self.balancer.proxies.values()):
            proxy.end()
        if self.registry.process is not None:
            self.registry.process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", required=True, help="folder for everything that the emulator keeps")
    parser.add_argument("--layers", help="folder of unpacked image layers, kept between runs")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--speed", type=float, default=1, help="how much faster AWS's own clocks run: health "
                        "check intervals, delays, timeouts; not what a task has to get ready")
    parser.add_argument("--watch-speed", type=float, default=0, help="the same of CloudWatch and Application "
                        "Auto Scaling: periods of metrics and alarms, cooldowns; by default as --speed")
    parser.add_argument("--start-seconds", type=float, default=0, help="of the emulated clock, from "
                                                                       "PROVISIONING "
                        "to PENDING")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input is closed")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    cloud = Cloud(options)
    print(json.dumps({
        "endpoint": cloud.url, "region": cloud.region, "account": access.ACCOUNT, "pid": os.getpid(),
        "limits": cloud.limits.kind,
        "registry": cloud.registry.endpoint, "ca": cloud.balancer.authority.file, "state": cloud.state,
        "access_key_id": cloud.admin["access_key_id"], "network": f"127.{cloud.addresses.number}",
        "secret_access_key": cloud.admin["secret_access_key"]}), flush=True)
    if options.with_parent:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), ended.set()), daemon=True).start()
    ended.wait()
    cloud.end()
    os._exit(0)


if __name__ == "__main__":
    main()
