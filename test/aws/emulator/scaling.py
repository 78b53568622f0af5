"""Application Auto Scaling for ECS services: steps, target tracking, schedules, over the targets, policies
and actions that moto keeps.

https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html and its
neighbours. The wall clock by which schedules go is the real one until a test sets it (control.py: time); from
then on it runs as fast as the watch's.
"""

import datetime
import math
import uuid

from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend, FakeApplicationAutoscalingPolicy, applicationautoscaling_backends)
from moto.cloudwatch.models import cloudwatch_backends

import schedules
from access import ACCOUNT
from wire import operation

LOW_PART = 0.9      # of its target, below which target tracking takes tasks away
PREDEFINED = {"ECSServiceAverageCPUUtilization": "CPUUtilization",
              "ECSServiceAverageCPUUtilizationHighResolution": "CPUUtilization",
              "ECSServiceAverageMemoryUtilization": "MemoryUtilization"}
cloud = None    # set by the emulator when it starts


class Scaling:
    def __init__(self, owner):
        self.cloud = owner
        self.activities = []    # the newest first
        self.acted = {}         # (resource, direction) → (the watch's clock, cooldown) of the last activity
        self.wall_set = None    # (what the wall clock was set to, the watch's clock then)
        self.checked = self.wall()

    @property
    def store(self):
        return applicationautoscaling_backends[ACCOUNT][self.cloud.region]

    def target(self, resource):
        return self.store.targets.get("ecs:service:DesiredCount", {}).get(resource)

    def service(self, resource):
        return self.cloud.services.get(tuple(resource.split("/")[1:]))

    # --- alarms -----------------------------------------------------------------------------------------

    def act(self, policy_arn, alarm, value):
        """What an alarm asks a policy for, `value` being its metric's."""
        policy = next((p for p in self.store.policies.values() if policy_arn.startswith(p.policy_arn)), None)
        target = policy and self.target(policy.resource_id)
        if not target or not self.service(policy.resource_id):
            return
        now = self.service(policy.resource_id).desired
        if policy.policy_type == "StepScaling":
            wanted, cooldown = self.by_steps(policy, alarm, value, now)
        else:
            wanted, cooldown = self.by_tracking(policy, value, now)
        wanted = min(max(wanted, target.min_capacity), target.max_capacity)
        if wanted == now:
            return
        direction = "Out" if wanted > now else "In"
        if (target.suspended_state or {}).get(f"DynamicScaling{direction}Suspended"):
            return
        if self.is_cooling(policy.resource_id, direction):
            return
        self.acted[policy.resource_id, direction] = self.cloud.watch_clock(), cooldown
        self.set_count(policy.resource_id, wanted,
                       f"monitor alarm {alarm.name} in state ALARM triggered policy {policy.policy_name}")

    @staticmethod
    def by_steps(policy, alarm, value, now):
        body = policy.step_scaling_policy_configuration
        distance = value - float(alarm.threshold)
        for step in body["StepAdjustments"]:
            low = float(step.get("MetricIntervalLowerBound", -math.inf))
            high = float(step.get("MetricIntervalUpperBound", math.inf))
            # A bound belongs to the step that is nearer to the threshold's other side.
            if low <= distance < high if distance >= 0 else low < distance <= high:
                change = int(step["ScalingAdjustment"])
                if body["AdjustmentType"] == "PercentChangeInCapacity":
                    change = int(math.copysign(max(1, abs(now * change) // 100), change))
                exact = body["AdjustmentType"] == "ExactCapacity"
                return change if exact else now + change, float(body.get("Cooldown", 300))
        return now, 0

    @staticmethod
    def by_tracking(policy, value, now):
        body = policy.target_tracking_scaling_policy_configuration
        aim = float(body["TargetValue"])
        wanted = math.ceil(now * value / aim)
        if value > aim:
            return max(wanted, now + 1), float(body.get("ScaleOutCooldown", 300))
        return min(wanted, now - 1), float(body.get("ScaleInCooldown", 300))

    def is_cooling(self, resource, direction):
        """More tasks wait for tasks that have just been added alone; fewer wait for either."""
        now = self.cloud.watch_clock()
        for each in ("Out",) if direction == "Out" else ("Out", "In"):
            when, cooldown = self.acted.get((resource, each), (0, -math.inf))
            if now < when + cooldown:
                return True
        return False

    def set_count(self, resource, wanted, cause):
        service = self.service(resource)
        with service.lock:
            service.desired, service.steady = wanted, False
        now = datetime.datetime.now(datetime.UTC)
        self.activities.insert(0, {
            "ActivityId": str(uuid.uuid4()), "ServiceNamespace": "ecs", "ResourceId": resource,
            "ScalableDimension": "ecs:service:DesiredCount", "StartTime": now, "EndTime": now,
            "Description": f"Setting desired count to {wanted}.", "Cause": cause, "StatusCode": "Successful",
            "StatusMessage": f"Successfully set desired count to {wanted}. Change successfully fulfilled by "
                             "ecs."})

    # --- schedules --------------------------------------------------------------------------------------

    def wall(self):
        if self.wall_set is None:
            return datetime.datetime.now(datetime.UTC)
        start, then = self.wall_set
        return start + datetime.timedelta(seconds=self.cloud.watch_clock() - then)

    def set_wall(self, moment):
        self.wall_set = moment, self.cloud.watch_clock()
        self.checked = moment

    def work(self, _):
        after, until = self.checked, self.wall()
        self.checked = until
        for action in list(self.store.scheduled_actions):
            if schedules.due(action.schedule, action.timezone, after, until):
                self.obey(action)

    def obey(self, action):
        target, service = self.target(action.resource_id), self.service(action.resource_id)
        if not target or not service or (target.suspended_state or {}).get("ScheduledScalingSuspended"):
            return
        asked = action.scalable_target_action
        target.update(asked.get("MinCapacity"), asked.get("MaxCapacity"), None)
        wanted = min(max(service.desired, target.min_capacity), target.max_capacity)
        if wanted != service.desired:
            self.set_count(action.resource_id, wanted,
                           f"scheduled action name {action.scheduled_action_name} was triggered")


@operation("application-autoscaling", "DescribeScalingActivities")
def describe_activities(call):
    wanted = call.params.get("ResourceId")
    found = [a for a in cloud.scaling.activities if wanted in (None, a["ResourceId"])]
    return {"ScalingActivities": found[:call.params.get("MaxResults", 50)]}


# --- what moto answers too kindly ---------------------------------------------------------------------------

def need_ecs_service(_, resource):
    """In place of moto's look into its own ECS, which holds nothing here."""
    _, cluster, name = resource.split("/")
    found = cloud.services.get((cluster, name))
    if found is None or found.status != "ACTIVE":
        raise AWSValidationException(f"ECS service doesn't exist: {resource}")
    return True


def tracking_alarms(policy):
    """The two alarms of a target tracking policy; moto's look at CPU alone, and at 6 %."""
    body = policy.target_tracking_scaling_policy_configuration
    custom = body.get("CustomizedMetricSpecification")
    _, cluster, name = policy.resource_id.split("/")
    metric = {"namespace": custom["Namespace"], "metric_name": custom["MetricName"],
              "statistic": custom["Statistic"], "dimensions": custom.get("Dimensions", [])} if custom else {
        "namespace": "AWS/ECS", "statistic": "Average",
        "metric_name": PREDEFINED[body["PredefinedMetricSpecification"]["PredefinedMetricType"]],
        "dimensions": [{"Name": "ClusterName", "Value": cluster}, {"Name": "ServiceName", "Value": name}]}
    sides = [("High", "GreaterThanThreshold", 3, 1)]
    if not body.get("DisableScaleIn"):
        sides.append(("Low", "LessThanThreshold", 15, LOW_PART))
    store = cloudwatch_backends[policy.account_id][policy.region_name]
    return [store.put_metric_alarm(
        name=f"TargetTracking-{policy.resource_id}-Alarm{side}-{uuid.uuid4()}", evaluation_periods=periods,
        comparison_operator=comparison, period=60, threshold=float(body["TargetValue"]) * part,
        description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.policy_arn}.",
        alarm_actions=[f"{policy.policy_arn}:createdBy/{uuid.uuid4()}"], **metric)
        for side, comparison, periods, part in sides]


put_scheduled_action = ApplicationAutoscalingBackend.put_scheduled_action


def put_checked_action(self, service_namespace, schedule, timezone, *more, **named):
    if schedule:
        try:
            schedules.check(schedule, timezone)
        except ValueError as error:
            raise AWSValidationException(str(error)) from None
    return put_scheduled_action(self, service_namespace, schedule, timezone, *more, **named)


ApplicationAutoscalingBackend._ecs_service_exists_for_target = need_ecs_service
ApplicationAutoscalingBackend.put_scheduled_action = put_checked_action
FakeApplicationAutoscalingPolicy._generate_ecs_alarms = tracking_alarms
