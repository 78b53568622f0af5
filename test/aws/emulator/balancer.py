"""The load balancers: a haproxy for each, configured from the state of ELBv2 (and of CloudFront before it).

Listening sockets belong to the emulator and are handed to each new haproxy, so no connection is refused while
the configuration of a load balancer changes; those of the others are not touched by it, as in AWS. Targets
come and go over haproxy's runtime socket. Health checks are made here, as
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html says.
"""

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from moto.elbv2.models import elbv2_backends

import network
from access import ACCOUNT
from certificates import Authority
from wire import operation

# CloudFront's managed policy AllViewerExceptHostHeader: the origin sees its own name.
ALL_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
SLOTS = 16      # targets that one group can hold at a time
cloud = None    # set by the emulator when it starts

GLOBAL = """\
global
  stats socket {socket} mode 600 level admin expose-fd listeners
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.ssl.default-dh-param 2048
  hard-stop-after 60s
defaults
  mode http
  timeout connect 2s
  timeout client {idle}s
  timeout server {idle}s
  timeout http-keep-alive 60s
  option forwardfor
  option http-server-close
  option idle-close-on-response
  retries 0
"""


class Target:
    def __init__(self, group, address, port, slot, groups):
        self.group, self.address, self.port, self.slot, self.groups = group, address, port, slot, groups
        self.state, self.reason = "initial", "Elb.RegistrationInProgress"
        self.description = "Target registration is in progress"
        self.drain_until = None
        self.gone = threading.Event()


class Proxy:
    """The haproxy of one load balancer."""

    def __init__(self, folder, name, spawn):
        self.folder, self.name, self.spawn = folder, name, spawn
        self.socket = os.path.join(folder, f"{name}.sock")
        self.process, self.generation, self.text, self.backends = None, 0, "", set()

    def replace(self, text, descriptors):
        """One with the configuration `text` takes over, unless it is what runs; whether it did."""
        if text == self.text:
            return False
        self.generation += 1
        path = os.path.join(self.folder, f"{self.name}-{self.generation % 2}.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        old = self.process
        with open(os.path.join(self.folder, f"{self.name}.log"), "ab") as log:
            self.process = self.spawn(["haproxy", "-db", "-f", path], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, pass_fds=descriptors)
        self.wait_for_socket()
        self.text, self.backends = text, set(re.findall(r"^backend (\S+)$", text, re.M))
        if old is not None:
            old.send_signal(signal.SIGUSR1)
        return True

    def wait_for_socket(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"^Pid: (\d+)", self.command("show info"), re.M)
            if found and int(found.group(1)) == self.process.pid:
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"haproxy refused its configuration: see {self.name}.log")
            time.sleep(0.01)

    def command(self, text):
        """One line to haproxy; "" while it does not run."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(self.socket)
                connection.sendall(text.encode() + b"\n")
                parts = []
                while part := connection.recv(65536):
                    parts.append(part)
                return b"".join(parts).decode()
        except OSError:
            return ""

    def end(self):
        if self.process is not None:
            self.process.kill()


class Balancer:
    def __init__(self, folder, spawn, region):
        self.folder, self.spawn, self.region = folder, spawn, region
        self.authority = Authority(folder)
        self.targets = {}       # (group ARN, address, port) → Target
        self.sockets = {}       # name → listening socket
        self.proxies = {}       # load balancer's ARN → Proxy
        self.lock = threading.RLock()

    @property
    def elb(self):
        return elbv2_backends[ACCOUNT][self.region]

    def group(self, group_arn):
        return self.elb.target_groups.get(group_arn)

    # --- targets ----------------------------------------------------------------------------------------

    def add(self, group_arn, address, port, groups):
        with self.lock:
            taken = {t.slot for t in self.targets.values() if t.group == group_arn}
            slot = next(n for n in range(1, SLOTS + 1) if n not in taken)
            target = Target(group_arn, address, port, slot, groups)
            self.targets[group_arn, address, port] = target
        threading.Thread(target=self.watch, args=(target,), name=f"health-{address}", daemon=True).start()

    def remove(self, group_arn, address, port):
        """Draining begins; it ends after the delay, or when nothing is in flight."""
        with self.lock:
            target = self.targets.get((group_arn, address, port))
            if target is None or target.state == "draining":
                return
            group = self.group(group_arn)
            delay = float(group.attributes.get("deregistration_delay.timeout_seconds", 300)) if group else 0
            target.state, target.reason = "draining", "Target.DeregistrationInProgress"
            target.description = "Target deregistration is in progress"
            target.drain_until = time.monotonic() + delay / cloud.speed
            self.command(group_arn, f"set server {backend(group_arn)}/t{target.slot} state drain")

    def drained(self, address):
        """True when no group still drains `address`; frees what is done."""
        with self.lock:
            for key, target in list(self.targets.items()):
                if target.address != address or target.state != "draining":
                    continue
                if time.monotonic() < target.drain_until and self.sessions(target) > 0:
                    return False
                self.drop(key, target)
            return True

    def drop(self, key, target):
        self.command(target.group, f"set server {backend(target.group)}/t{target.slot} state maint")
        target.gone.set()
        del self.targets[key]

    def forget(self, address):
        """The task is dead: nothing is sent to it any more."""
        with self.lock:
            for key, target in list(self.targets.items()):
                if target.address == address:
                    self.drop(key, target)

    def sessions(self, target):
        for line in self.command(target.group, "show stat").splitlines():
            cells = line.split(",")
            if cells[:2] == [backend(target.group), f"t{target.slot}"]:
                return int(cells[4] or 0)
        return 0

    def health(self, group_arn, address, port):
        target = self.targets.get((group_arn, address, port))
        if target is None:
            return "unused", "Target.NotRegistered"
        return target.state, target.description

    def watch(self, target):
        """One target's health checks, until it is deregistered."""
        good = bad = 0
        while True:
            group = self.group(target.group)
            if group is None or target.state == "draining":
                return
            fine, reason, description = self.check(target, group)
            good, bad = (good + 1, 0) if fine else (0, bad + 1)
            with self.lock:
                if target.state == "draining" or target.gone.is_set():
                    return
                if fine and target.state != "healthy" and good >= int(group.healthy_threshold_count):
                    target.state, target.reason, target.description = "healthy", "", ""
                    self.point(target)
                elif not fine and bad >= int(group.unhealthy_threshold_count):
                    if target.state == "healthy":
                        self.command(target.group,
                                     f"set server {backend(target.group)}/t{target.slot} state maint")
                    target.state, target.reason, target.description = "unhealthy", reason, description
                elif target.state == "initial":
                    target.reason = "Elb.InitialHealthChecking"
                    target.description = "Initial health checks in progress"
            if target.gone.wait(float(group.healthcheck_interval_seconds if hasattr(
                    group, "healthcheck_interval_seconds") else group.health_check_interval_seconds)
                    / cloud.speed):
                return

    def check(self, target, group):
        """(passed, reason code, description)"""
        timed_out = (False, "Target.Timeout", "Request timed out")
        if cloud.mishaps.get("unhealthy"):
            return False, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]"
        for load_balancer in self.load_balancers_of(target.group):
            if not network.reaches(self.region, load_balancer.security_groups or [], target.groups,
                                   target.port):
                return timed_out
        timeout = float(group.health_check_timeout_seconds)
        https = (group.health_check_protocol or group.protocol) == "HTTPS"
        connection = http.client.HTTPSConnection(target.address, target.port, timeout=timeout,
                                                 context=ssl._create_unverified_context()) if https else \
            http.client.HTTPConnection(target.address, target.port, timeout=timeout)
        try:
            connection.request("GET", group.health_check_path or "/", headers={
                "User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"})
            status = connection.getresponse().status
        except TimeoutError:
            return timed_out
        except (OSError, http.client.HTTPException):
            return False, "Target.FailedHealthChecks", "Health checks failed"
        finally:
            connection.close()
        wanted = (group.matcher or {}).get("HttpCode", "200")
        fits = any(int(part.partition("-")[0]) <= status <= int(part.rpartition("-")[2])
                   for part in wanted.split(","))
        return fits, "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"

    def load_balancers_of(self, group_arn):
        arns = self.group(group_arn).load_balancer_arns
        return [b for b in self.elb.load_balancers.values() if b.arn in arns]

    def point(self, target):
        name = f"{backend(target.group)}/t{target.slot}"
        self.command(target.group, f"set server {name} addr {target.address} port {target.port}")
        self.command(target.group, f"set server {name} state ready")

    def command(self, group_arn, text):
        """One line to each haproxy that sends requests to the group."""
        name = backend(group_arn)
        chosen = [proxy for proxy in list(self.proxies.values()) if name in proxy.backends]
        return "".join(proxy.command(text) for proxy in chosen)

    # --- configuration ----------------------------------------------------------------------------------

    def changed(self):
        """Listeners or rules have changed: balancers whose configuration is another get a new haproxy."""
        with self.lock:
            present = dict(self.elb.load_balancers)
            for arn in [arn for arn in self.proxies if arn not in present]:
                self.proxies.pop(arn).end()
            for arn, load_balancer in present.items():
                self.configure(arn, load_balancer)

    def configure(self, arn, load_balancer):
        proxy = self.proxies.get(arn) or Proxy(self.folder, identity(arn), self.spawn)
        text, names, hosts = self.configuration(load_balancer, proxy.socket)
        if not names:
            if arn in self.proxies:
                self.proxies.pop(arn).end()
            return
        for name in names:
            if name not in self.sockets:
                self.sockets[name] = listening()
            text = text.replace(f"@@{name}@@", f"fd@{self.sockets[name].fileno()}")
            text = text.replace(f"@port:{name}@", str(self.port(name)))
        text = text.replace("@@certificate@@", self.authority.issue(hosts))
        self.proxies[arn] = proxy
        if proxy.replace(text, [self.sockets[name].fileno() for name in names]):
            for target in self.targets.values():
                if target.state == "healthy" and backend(target.group) in proxy.backends:
                    self.point(target)

    def port(self, name):
        return self.sockets[name].getsockname()[1]

    def public_names(self, load_balancer):
        """Names by which the world knows a load balancer, the first one first."""
        names = []
        for zone in cloud.hosted_zones():
            for record in zone:
                if record[1].rstrip(".").removeprefix("dualstack.").lower() == load_balancer.dns_name.lower():
                    names.append(record[0].rstrip("."))
        for listener in load_balancer.listeners.values():
            for certificate in listener.certificates or []:
                names += cloud.certificate_names(certificate)
        return [n for n in names if not n.startswith("*")] + [load_balancer.dns_name]

    def fronts(self):
        """Host name → the https socket's name that answers for it."""
        found = {}
        for load_balancer in self.elb.load_balancers.values():
            for listener in load_balancer.listeners.values():
                if listener.protocol == "HTTPS":
                    for name in self.public_names(load_balancer):
                        found[name.lower()] = f"l{identity(listener.arn)}"
        for name, distribution in cloud.distributions.items():
            found[distribution["domain"].lower()] = f"d{name}"
        return found

    def public_url(self, text):
        """`text` with the host of an https URL replaced by where the emulator answers for it."""
        match = re.match(r"https://([^/:]+)(.*)", text)
        socket_name = match and self.fronts().get(match.group(1).lower())
        if not socket_name or socket_name not in self.sockets:
            return text
        return f"https://127.0.0.1:{self.port(socket_name)}{match.group(2)}"

    def configuration(self, load_balancer, command_socket):
        """(text with places for sockets and certificate, socket names, host names)"""
        lines, names, public = [], [], self.public_names(load_balancer)
        hosts = set(public)
        for listener in load_balancer.listeners.values():
            name = f"l{identity(listener.arn)}"
            names.append(name)
            lines += self.frontend(name, listener, load_balancer, public[0], listener.protocol == "HTTPS")
        for name, distribution in cloud.distributions.items():
            if load_balancer.listeners and self.origin_of(distribution) is load_balancer:
                hosts.add(distribution["domain"])
                names.append(f"d{name}")
                lines += self.distribution(name, distribution, load_balancer)
        for group in self.elb.target_groups.values():
            if any(f"use_backend {backend(group.arn)} " in line for line in lines):
                lines += self.backend(group)
        idle = int(load_balancer.attrs.get("idle_timeout.timeout_seconds", 60))
        head = GLOBAL.format(socket=command_socket, idle=idle)
        return head + "\n".join(lines) + "\n", names, hosts

    def origin_of(self, distribution):
        """The load balancer behind it; None while there is none."""
        arns = {origin.get("Arn") for origin in distribution["origins"]}
        names = {origin.get("DomainName", "").lower() for origin in distribution["config"]["Origins"]}
        return next((each for each in self.elb.load_balancers.values()
                     if each.arn in arns or each.dns_name.lower() in names), None)

    def frontend(self, name, listener, load_balancer, host, tls, extra=()):
        bind = f"bind @@{name}@@" + (" ssl crt @@certificate@@ alpn h2,http/1.1" if tls else "")
        lines = ["", f"frontend {name}", f"  {bind}"]
        lines += [f"  http-request set-header Host {host} if {{ req.hdr(host) -m beg 127.0.0.1 localhost }}",
                  "  http-request set-header X-Forwarded-Proto " + ("https" if tls else "http"),
                  "  http-request set-var-fmt(txn.time) %{+X}Ts",
                  "  http-request set-header X-Amzn-Trace-Id "
                  "Root=1-%[var(txn.time),lower]-%[uuid,regsub(-,,g),bytes(0,24)] "
                  "unless { req.hdr(x-amzn-trace-id) -m found }", *extra]
        rules = sorted(listener.rules.values() if isinstance(listener.rules, dict) else listener.rules,
                       key=lambda r: 1 << 30 if r.priority == "default" else int(r.priority))
        # haproxy runs every http-request line before the first use_backend: the rule is chosen first.
        for number, rule in enumerate(rules):
            test = "" if rule.priority == "default" else self.conditions(rule.conditions)
            lines.append(f"  http-request set-var(txn.rule) int({number}) if !{{ var(txn.rule) -m found }} "
                         f"{test}")
        for number, rule in enumerate(rules):
            lines += self.actions(rule.actions, f"{{ var(txn.rule) -m int {number} }}", load_balancer)
        return lines

    @staticmethod
    def conditions(conditions):
        tests = []
        for condition in conditions:
            field = condition["Field"]
            values = condition.get("Values") or next(
                (v.get("Values") for k, v in condition.items() if k.endswith("Config")), [])
            pattern = " ".join("^" + re.escape(v).replace(r"\*", ".*").replace(r"\?", ".") + "$"
                               for v in values)
            if field == "path-pattern":
                tests.append(f"{{ path -m reg {pattern} }}")
            elif field == "host-header":
                tests.append(f"{{ req.hdr(host),field(1,:) -m reg -i {pattern} }}")
            elif field == "http-header":
                header = condition["HttpHeaderConfig"]["HttpHeaderName"]
                tests.append(f"{{ req.fhdr({header}) -m reg -i {pattern} }}")
            elif field == "http-request-method":
                tests.append(f"{{ method {' '.join(values)} }}")
            elif field == "source-ip":
                tests.append(f"{{ src {' '.join(values)} }}")
        return " ".join(tests)

    def actions(self, actions, test, load_balancer):
        condition, lines = f" if {test}", []
        for action in actions:
            data = action.data if hasattr(action, "data") else action
            kind = data["Type"]
            if kind == "forward":
                groups = [g["TargetGroupArn"] for g in data.get("ForwardConfig", {}).get("TargetGroups", [])]
                group = data.get("TargetGroupArn") or groups[0]
                lines.append(f"  use_backend {backend(group)}{condition}")
            elif kind == "redirect":
                secure = next((f"l{identity(each.arn)}" for each in load_balancer.listeners.values()
                               if each.protocol == "HTTPS"), "")
                code = data["RedirectConfig"]["StatusCode"].removeprefix("HTTP_")
                lines.append(f"  http-request redirect location https://127.0.0.1:@port:{secure}@%[path] "
                             f"code {code}{condition}")
            elif kind == "fixed-response":
                fixed = data["FixedResponseConfig"]
                text = re.sub(r'([\\" ])', r"\\\1", fixed.get("MessageBody") or "-")
                lines.append(f"  http-request return status {fixed['StatusCode']} content-type "
                             f"{fixed.get('ContentType', 'text/plain')} string {text}{condition}")
        return lines

    def distribution(self, name, distribution, load_balancer):
        """CloudFront: TLS at its own name, then the origin's listener and rules."""
        origin = distribution["config"]["Origins"][0]
        headers = [f"  http-request set-header {h['HeaderName']} {h['HeaderValue']}"
                   for h in origin.get("OriginCustomHeaders", [])]
        secure = [each for each in load_balancer.listeners.values() if each.protocol == "HTTPS"]
        plain = [each for each in load_balancer.listeners.values() if each.protocol == "HTTP"]
        protocol = (distribution["origins"] or [{}])[0].get("OriginProtocolPolicy", "http-only")
        chosen = (secure if protocol == "https-only" else plain) or secure or plain
        policy = distribution["config"]["DefaultCacheBehavior"].get("OriginRequestPolicyId")
        host = load_balancer.dns_name if policy == ALL_BUT_HOST else distribution["domain"]
        return self.frontend(f"d{name}", chosen[0], load_balancer, host, True, headers)

    @staticmethod
    def backend(group):
        algorithm = {"least_outstanding_requests": "leastconn"}.get(
            group.attributes.get("load_balancing.algorithm.type"), "roundrobin")
        tls = " ssl verify none alpn http/1.1" if group.protocol == "HTTPS" else ""
        return ["", f"backend {backend(group.arn)}", f"  balance {algorithm}",
                f"  server-template t 1-{SLOTS} 127.0.0.1:1{tls} disabled"]


def identity(arn_text):
    return arn_text.rpartition("/")[2]


def backend(group_arn):
    return f"g{identity(group_arn)}"


def listening():
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(1024)
    return made


@operation("elasticloadbalancing", "DescribeTargetHealth")
def describe_target_health(call):
    wanted = call.params["TargetGroupArn"]
    rows = []
    for (group, address, port), target in list(cloud.balancer.targets.items()):
        if group == wanted:
            health = {"State": target.state}
            if target.reason:
                health |= {"Reason": target.reason, "Description": target.description}
            rows.append({"Target": {"Id": address, "Port": port}, "HealthCheckPort": str(port),
                         "TargetHealth": health})
    return {"TargetHealthDescriptions": rows}
