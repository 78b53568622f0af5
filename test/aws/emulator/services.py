"""ECS's service scheduler: keeps the wanted tasks running, rolls out, breaks the circuit, rolls back.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
"""

import collections
import math
import threading
import uuid

import network
from access import ACCOUNT
from deployments import Deployment, now
from tasks import Task

EVENTS_KEPT = 100
TICK_SECONDS = 0.1
RESTART_PAUSES = (0, 0, 1, 5, 15, 30)    # after that many failures in a row, of the emulated clock


class Service:
    def __init__(self, cloud, cluster_arn, p, definition):
        self.cloud, self.cluster_arn, self.name = cloud, cluster_arn, p["serviceName"]
        self.cluster = cluster_arn.rpartition("/")[2]
        self.arn = f"arn:aws:ecs:{cloud.region}:{ACCOUNT}:service/{self.cluster}/{self.name}"
        self.status, self.created = "ACTIVE", now()
        self.desired = p.get("desiredCount", 1)
        self.tags = p.get("tags", [])
        self.tasks, self.deployments, self.history, self.events = [], [], [], []
        self.lock = threading.RLock()
        self.settings, self.deployment_configuration, self.network = {}, {}, {}
        self.configure(p)
        self.steady, self.extra = False, None
        self.deploy(definition)
        self.thread = threading.Thread(target=self.run, name=f"service-{self.name}", daemon=True)
        self.thread.start()

    SETTINGS = ("loadBalancers", "capacityProviderStrategy", "launchType", "healthCheckGracePeriodSeconds",
                "enableExecuteCommand", "availabilityZoneRebalancing", "propagateTags",
                "enableECSManagedTags",
                "platformVersion", "serviceRegistries", "monitoring", "schedulingStrategy",
                "deploymentController")

    def configure(self, p):
        self.settings |= {name: p[name] for name in self.SETTINGS if name in p}
        self.network = p.get("networkConfiguration", self.network)
        self.deployment_configuration = {"maximumPercent": 200, "minimumHealthyPercent": 100,
                                         **self.deployment_configuration,
                                         **p.get("deploymentConfiguration", {})}

    def say(self, text):
        self.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": now(),
                               "message": f"(service {self.name}) {text}"})
        del self.events[EVENTS_KEPT:]

    def deploy(self, definition):
        for older in self.deployments:
            if older.state == "IN_PROGRESS":
                older.finish("FAILED", "A newer deployment took its place.")
        made = Deployment(self, definition, self.desired)
        self.deployments.insert(0, made)
        self.history.insert(0, made)
        self.steady = False
        return made

    # --- the loop ---------------------------------------------------------------------------------------

    def run(self):
        while True:
            with self.lock:
                if self.status == "INACTIVE":
                    return
                try:
                    self.tick()
                except Exception:
                    import traceback
                    traceback.print_exc()
            self.cloud.pause(TICK_SECONDS * self.cloud.speed)

    def tick(self):
        primary = self.deployments[0]
        primary.desired = self.desired if self.status == "ACTIVE" else 0
        self.bury_the_dead(primary)
        for task in self.tasks:
            self.mind(task)
        if self.check_circuit(primary) or self.check_alarms(primary):
            return
        self.adjust(primary)
        self.rebalance(primary)
        self.judge(primary)
        if self.status == "DRAINING" and not self.tasks:
            self.status = "INACTIVE"
            self.deployments[0].finish("COMPLETED", "")

    def bury_the_dead(self, primary):
        for task in [t for t in self.tasks if t.status == "STOPPED"]:
            self.tasks.remove(task)
            self.unregister(task)
            owner = next((d for d in self.deployments if d.id == task.started_by), None)
            asked = task.stop_code in ("ServiceSchedulerInitiated", "UserInitiated",
                                       "SpotInterruption") and not task.failed_health
            if owner is primary and primary.state == "IN_PROGRESS" and not asked:
                primary.failed += 1
                pause = RESTART_PAUSES[min(primary.failed, len(RESTART_PAUSES) - 1)]
                primary.next_start = self.cloud.clock() + pause
                if task.started is None:
                    self.say(f"was unable to start a task successfully: {task.reason}")

    def mind(self, task):
        """A running task is put behind the load balancer, and stopped when a health check gives it up."""
        if task.status != "RUNNING" or task.desired != "RUNNING":
            if task.registered and task.desired != "RUNNING":
                self.unregister(task)
            return
        if not task.registered:
            self.register(task)
        if task.health == "UNHEALTHY":
            self.say(f"(task {task.id}) failed container health checks.")
            task.failed_health = True
            task.stop("ServiceSchedulerInitiated", "Task failed container health checks")
            return
        grace = self.cloud.patience(self.settings.get("healthCheckGracePeriodSeconds", 0))
        age = (now() - task.started).total_seconds()
        for group, port in self.target_groups():
            state, reason = self.cloud.balancer.health(group, task.address, port)
            if state == "unhealthy" and age > grace:
                self.say(f"(port {port}) is unhealthy in (target-group {group}) due to (reason {reason}).")
                task.failed_health = True
                task.stop("ServiceSchedulerInitiated", f"Task failed ELB health checks in (target-group "
                                                       f"{group})")

    def is_healthy(self, task):
        if task.status != "RUNNING" or task.desired != "RUNNING":
            return False
        if task.container.get("healthCheck") and task.health != "HEALTHY":
            return False
        return all(self.cloud.balancer.health(group, task.address, port)[0] == "healthy"
                   for group, port in self.target_groups())

    def target_groups(self):
        return [(b["targetGroupArn"], b["containerPort"]) for b in self.settings.get("loadBalancers", [])
                if b.get("targetGroupArn")]

    def register(self, task):
        task.registered = True
        for group, port in self.target_groups():
            self.cloud.balancer.add(group, task.address, port, task.groups)
            self.say(f"registered 1 targets in (target-group {group})")

    def unregister(self, task):
        if task.registered:
            task.registered = False
            for group, port in self.target_groups():
                self.cloud.balancer.remove(group, task.address, port)
                self.say(f"deregistered 1 targets in (target-group {group})")

    def adjust(self, primary):
        """Starts and stops within minimumHealthyPercent and maximumPercent."""
        new = [t for t in self.tasks if t.started_by == primary.id and t.desired == "RUNNING"]
        old = [t for t in self.tasks if t.started_by != primary.id and t.desired == "RUNNING"]
        most = max(primary.desired, math.floor(primary.desired * self.percent("maximumPercent") / 100))
        least = math.ceil(primary.desired * self.percent("minimumHealthyPercent") / 100)
        missing = primary.desired + self.surplus() - len(new)
        room = most - len(new) - len(old)
        if primary.state != "FAILED" and self.cloud.clock() >= primary.next_start:
            for _ in range(max(0, min(missing, room))):
                if not self.start_one(primary):
                    break
        for task in self.superfluous(new, -missing):
            self.retire(task, "Scaling activity initiated by deployment " + primary.id)
        healthy = [t for t in new + old if self.is_healthy(t)]
        for task in sorted(old, key=self.is_healthy):
            spare = len(healthy) - least
            if task in healthy and spare <= 0 and primary.desired > 0:
                continue
            if task in healthy:
                healthy.remove(task)
            elif primary.state == "IN_PROGRESS" and not [t for t in new if self.is_healthy(t)]:
                continue
            self.retire(task, f"Scaling activity initiated by deployment {primary.id}")

    def superfluous(self, tasks, count):
        """Which `count` of `tasks` go: those that are not healthy, then of the fullest zone, the newest."""
        left, chosen = list(tasks), []
        while len(chosen) < count:
            per_zone = collections.Counter(t.zone for t in left)
            chosen.append(max(left, key=lambda t: (not self.is_healthy(t), per_zone[t.zone], t.created)))
            left.remove(chosen[-1])
        return chosen

    def rebalance(self, primary):
        """A zone that has two tasks fewer than another gets one, and then the other gives one up: https://
        docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html"""
        if self.settings.get("availabilityZoneRebalancing") != "ENABLED" or not self.steady:
            return
        subnets = self.network.get("awsvpcConfiguration", {}).get("subnets", [])
        counts = {zone: 0 for zone in (network.zone_of(self.cloud.region, s) for s in subnets)
                  if zone not in self.cloud.lost_zones}
        counts |= collections.Counter(t.zone for t in self.tasks)
        if counts and max(counts.values()) - min(counts.values()) > 1:
            self.steady = False
            if self.start_one(primary):
                self.extra = self.tasks[-1]

    def surplus(self):
        """1 while a task comes up that is to make the zones even."""
        if self.extra and (self.is_healthy(self.extra) or self.extra.desired == "STOPPED"):
            self.extra = None
        return int(self.extra is not None)

    def percent(self, name):
        return self.deployment_configuration[name]

    def retire(self, task, reason):
        """Out of the load balancer first; SIGTERM after the deregistration delay, or when it is idle."""
        self.unregister(task)
        self.say(f"has stopped 1 running tasks: (task {task.id}).")
        task.stop("ServiceSchedulerInitiated", reason)

    def start_one(self, primary):
        capacity = self.capacity(primary)
        if capacity == "FARGATE_SPOT" and self.cloud.mishaps.get("spot"):
            self.say("was unable to place a task. Reason: Capacity is unavailable at this time. Please try "
                     "again "
                     "later or in a different availability zone.")
            primary.next_start = self.cloud.clock() + 10
            return False
        configuration = self.network.get("awsvpcConfiguration", {})
        zones = {}
        for subnet in configuration.get("subnets", []):
            zone = network.zone_of(self.cloud.region, subnet)
            if zone is None:
                self.say(f"was unable to place a task because the subnet {subnet} does not exist")
                return False
            if zone not in self.cloud.lost_zones:
                zones.setdefault(zone, subnet)
        if not zones:
            self.say("was unable to place a task. Reason: Capacity is unavailable at this time. Please try "
                     "again later or in a different availability zone.")
            primary.next_start = self.cloud.clock() + 10
            return False
        mine = [t for t in primary.tasks if t.desired == "RUNNING"]
        zone = min(zones, key=lambda z: (sum(t.zone == z for t in mine), z))
        place = (zones[zone], zone, configuration.get("securityGroups", []),
                 configuration.get("assignPublicIp") == "ENABLED")
        task = Task(self.cloud, self.cluster, primary.definition, place, f"service:{self.name}", primary.id,
                    capacity)
        self.tasks.append(task)
        self.say(f"has started 1 tasks: (task {task.id}).")
        return True

    def capacity(self, primary):
        strategy = self.settings.get("capacityProviderStrategy")
        if not strategy:
            return "FARGATE"
        counts = {s["capacityProvider"]: sum(t.capacity == s["capacityProvider"] for t in primary.tasks)
                  for s in strategy}
        for entry in strategy:
            if counts[entry["capacityProvider"]] < entry.get("base", 0):
                return entry["capacityProvider"]
        weighted = [s for s in strategy if s.get("weight", 0) > 0] or strategy
        return min(weighted, key=lambda s: (max(0, counts[s["capacityProvider"]] - s.get("base", 0)) + 1)
                   / max(1, s.get("weight", 1)))["capacityProvider"]

    def judge(self, primary):
        healthy = [t for t in primary.tasks if self.is_healthy(t)]
        others = [t for t in self.tasks if t.started_by != primary.id]
        full = len(healthy) >= primary.desired
        early = self.deployment_configuration.get("earlySuccessCriteria", {})
        enough = full
        if early.get("enable"):
            enough = len(healthy) >= math.ceil(primary.desired * early.get("healthyPercent", 100) / 100)
        deferred = early.get("enable") and early.get("sourceServiceRevisionCleanup") == "DEFERRED"
        if enough and primary.ready_at is None:
            primary.ready_at = self.cloud.watch_clock()
        if primary.state == "IN_PROGRESS" and enough and primary.is_baked() and (deferred or not others):
            primary.finish("COMPLETED", f"ECS deployment {primary.id} completed.")
            self.say(f"(deployment {primary.id}) deployment completed.")
        if primary.state == "COMPLETED" and not others:
            self.deployments = [primary]
        steady = full and not others and len(self.tasks) == primary.desired
        if steady and not self.steady:
            self.say("has reached a steady state.")
        self.steady = steady

    def check_circuit(self, primary):
        threshold = primary.threshold()
        breaker = primary.configuration.get("deploymentCircuitBreaker", {})
        if breaker.get("resetOnHealthyTask") and any(self.is_healthy(t) for t in primary.tasks):
            primary.failed = 0
        if threshold is None or primary.state != "IN_PROGRESS" or primary.failed < threshold:
            return False
        self.say(f"(deployment {primary.id}) deployment failed: tasks failed to start.")
        primary.finish("FAILED", "ECS deployment circuit breaker: tasks failed to start.")
        good = self.last_good()
        if primary.configuration["deploymentCircuitBreaker"].get("rollback") and good:
            self.roll_back(primary, good, "ECS deployment circuit breaker")
        return True

    def check_alarms(self, primary):
        ringing = primary.ringing() if primary.state == "IN_PROGRESS" else []
        if not ringing:
            return False
        primary.triggered = ringing
        self.say(f"(deployment {primary.id}) deployment failed: alarm detected.")
        primary.finish("FAILED", "ECS deployment failed: alarm detected.")
        good = self.last_good()
        if primary.configuration["alarms"].get("rollback") and good:
            self.roll_back(primary, good, "ECS deployment alarm")
        return True

    def last_good(self):
        """The deployment whose tasks still run beside a failed one."""
        return next((d for d in self.deployments[1:] if d.finished and d.reason.endswith("completed.")), None)

    def roll_back(self, failed, good, why):
        """The former deployment is the primary one again. What of the failed one is in use stays until it is
        replaced, so that nobody is missing."""
        self.say(f"rolling back to deployment {good.id}.")
        self.deployments.remove(good)
        self.deployments.insert(0, good)
        good.undoes, failed.rollback, failed.rolled_back_at = failed, good, now()
        good.state, good.failed, good.updated = "IN_PROGRESS", 0, now()
        good.reason = f"{why}: rolling back to deploymentId {good.id}."
        for task in failed.tasks:
            if not self.is_healthy(task):
                task.stop("ServiceSchedulerInitiated", f"Scaling activity initiated by deployment {good.id}")

    # --- what others ask --------------------------------------------------------------------------------

    def describe(self):
        primary = self.deployments[0]
        return {"serviceArn": self.arn, "serviceName": self.name, "clusterArn": self.cluster_arn,
                "status": self.status, "desiredCount": self.desired if self.status == "ACTIVE" else 0,
                "runningCount": sum(t.status in ("RUNNING", "STOPPING") for t in self.tasks),
                "pendingCount": sum(t.status in ("PROVISIONING", "PENDING") for t in self.tasks),
                "taskDefinition": primary.definition["taskDefinitionArn"],
                "deploymentConfiguration": self.deployment_configuration, "createdAt": self.created,
                "deployments": [d.describe() for d in self.deployments], "events": self.events,
                "networkConfiguration": self.network, "schedulingStrategy": "REPLICA", **self.settings}
