"""One deployment of a service, as ECS counts and tells it, and the alarms that it is watched by.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
"""

import datetime
import math
import uuid

from access import ACCOUNT


def now():
    return datetime.datetime.now(datetime.UTC)


class Deployment:
    def __init__(self, service, definition, desired):
        self.number = str(uuid.uuid4().int)[:19]
        self.id = f"ecs-svc/{self.number}"
        self.service, self.definition, self.desired = service, definition, desired
        self.state, self.reason = "IN_PROGRESS", f"ECS deployment {self.id} in progress."
        self.created = self.updated = now()
        self.failed = 0
        self.next_start = 0.0
        self.configuration = service.deployment_configuration
        place = f"{service.cluster}/{service.name}"
        base = f"arn:aws:ecs:{service.cloud.region}:{ACCOUNT}"
        self.arn = f"{base}:service-deployment/{place}/{uuid.uuid4().hex[:21]}"
        self.revision = f"{base}:service-revision/{place}/{self.number}"
        self.sources = [d.revision for d in service.deployments if d.state == "COMPLETED"]
        self.finished = None
        self.rollback = None     # the deployment that came back for this one, and when
        self.rolled_back_at = None
        self.undoes = None       # the deployment for which this one came back
        self.ready_at = None     # the watch's clock when all its tasks were healthy for the first time
        self.triggered = []      # alarms that made it fail
        self.ignored = [name for name in self.alarm_names() if self.alarm_state(name) == "ALARM"]

    @property
    def tasks(self):
        return [t for t in self.service.tasks if t.started_by == self.id]

    # --- its end ----------------------------------------------------------------------------------------

    def finish(self, state, reason):
        self.state, self.reason, self.updated, self.finished = state, reason, now(), now()

    def threshold(self):
        """Failed tasks that break the circuit; None when it is off."""
        breaker = self.configuration.get("deploymentCircuitBreaker", {})
        if not breaker.get("enable"):
            return None
        asked = breaker.get("thresholdConfiguration", {"type": "BOUNDED_PERCENT", "value": 50})
        if asked["type"] == "COUNT":
            return int(asked["value"])
        part = math.ceil(self.desired * float(asked["value"]) / 100)
        return min(200, max(3, part)) if asked["type"] == "BOUNDED_PERCENT" else max(1, part)

    # --- alarms -----------------------------------------------------------------------------------------

    def alarm_names(self):
        alarms = self.configuration.get("alarms", {})
        return alarms.get("alarmNames", []) if alarms.get("enable") else []

    def alarm_state(self, name):
        return self.service.cloud.alarms.state(name)

    def ringing(self):
        """Alarms that make it fail. Those that rang when it began say nothing about it, and a first
        deployment has nothing to go back to."""
        if not self.sources or self.undoes:
            return []
        return [name for name in self.alarm_names()
                if name not in self.ignored and self.alarm_state(name) == "ALARM"]

    def is_baked(self):
        """ECS goes on watching alarms for as long as they look back, or as it was told."""
        if not self.sources or self.undoes:
            return True
        cloud = self.service.cloud
        bake = max([cloud.alarms.seconds(name) for name in self.alarm_names()], default=0)
        if "bakeTimeInMinutes" in self.configuration:
            bake = 60 * self.configuration["bakeTimeInMinutes"]
        return cloud.watch_clock() >= self.ready_at + bake

    # --- what others ask --------------------------------------------------------------------------------

    def describe(self):
        running = [t for t in self.tasks if t.status == "RUNNING"]
        pending = [t for t in self.tasks if t.status in ("PROVISIONING", "PENDING")]
        primary = self.service.deployments[0] is self
        return {"id": self.id, "status": "PRIMARY" if primary else "ACTIVE",
                "taskDefinition": self.definition["taskDefinitionArn"],
                "desiredCount": self.desired if primary else 0, "runningCount": len(running),
                "pendingCount": len(pending), "failedTasks": self.failed, "createdAt": self.created,
                "updatedAt": self.updated, "launchType": "FARGATE", "platformVersion": "1.4.0",
                "networkConfiguration": self.service.network, "rolloutState": self.state,
                "rolloutStateReason": self.reason}

    def describe_as_service_deployment(self):
        back = self.rollback
        status = {"IN_PROGRESS": "IN_PROGRESS", "COMPLETED": "SUCCESSFUL", "FAILED": "STOPPED"}[self.state]
        status = "SUCCESSFUL" if self.undoes else status
        if back:
            status = {"IN_PROGRESS": "ROLLBACK_IN_PROGRESS", "COMPLETED": "ROLLBACK_SUCCESSFUL",
                      "FAILED": "ROLLBACK_FAILED"}[back.state]
        running = len([t for t in self.tasks if t.status == "RUNNING"])
        found = {"serviceDeploymentArn": self.arn, "serviceArn": self.service.arn, "status": status,
                 "clusterArn": self.service.cluster_arn, "createdAt": self.created, "startedAt": self.created,
                 "updatedAt": self.updated, "statusReason": self.reason,
                 "deploymentConfiguration": self.configuration,
                 "targetServiceRevision": {"arn": self.revision, "requestedTaskCount": self.desired,
                                           "runningTaskCount": running, "pendingTaskCount":
                                           len([t for t in self.tasks if t.status == "PENDING"])},
                 "sourceServiceRevisions": [{"arn": arn} for arn in self.sources]}
        if self.threshold() is not None:
            broken = "TRIGGERED" if back or self.state == "FAILED" else \
                "MONITORING_COMPLETE" if self.state == "COMPLETED" else "MONITORING"
            found["deploymentCircuitBreaker"] = {"status": broken, "failureCount": self.failed,
                                                 "threshold": self.threshold()}
        if self.alarm_names():
            state = "TRIGGERED" if self.triggered else \
                "MONITORING" if self.state == "IN_PROGRESS" else "MONITORING_COMPLETE"
            found["alarms"] = {"status": state, "alarmNames": self.alarm_names(),
                               "triggeredAlarmNames": self.triggered}
        if self.finished:
            found["finishedAt"] = back.finished if back else self.finished
        if back:
            found["rollback"] = {"reason": back.reason, "startedAt": self.rolled_back_at,
                                 "serviceRevisionArn": back.revision}
        return found
