#!/usr/bin/env python3
"""What the emulator makes of metrics, alarms, policies, schedules and limits, on a clock set by hand."""

import datetime
import os
import subprocess
import sys
import threading
import types
import unittest

import scaling
import schedules
from access import ACCOUNT
from alarms import Alarms, calculate
from limits import Limits
from metrics import Metrics
from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends

REGION = "us-east-1"
RESOURCE = "service/app/app"
WHERE = {"ClusterName": "app", "ServiceName": "app"}


def moment(text):
    return datetime.datetime.fromisoformat(text)


class Cloud:
    """One service of three tasks, and the time."""

    def __init__(self):
        self.now, self.region = 6000.0, REGION
        self.watch_clock = lambda: self.now
        service = types.SimpleNamespace(desired=3, steady=True, lock=threading.RLock(), status="ACTIVE")
        self.services = {("app", "app"): service}
        self.service = service
        for backends in (cloudwatch_backends, applicationautoscaling_backends):
            backends[ACCOUNT][REGION].reset()
        scaling.cloud = self
        self.metrics = Metrics(self.watch_clock)
        self.alarms, self.scaling = Alarms(self), scaling.Scaling(self)

    def measure(self, *values, namespace="AWS/ECS", name="CPUUtilization", where=None):
        """One value a minute; None leaves a minute out."""
        for value in values:
            if value is not None:
                self.metrics.put(namespace, name, where or WHERE, value)
            self.now += 60
            self.alarms.work(self.now)

    def alarm(self, name, **settings):
        return cloudwatch_backends[ACCOUNT][REGION].put_metric_alarm(**{
            "name": name, "namespace": "AWS/ECS", "metric_name": "CPUUtilization", "statistic": "Average",
            "dimensions": [{"Name": n, "Value": v} for n, v in WHERE.items()], "alarm_actions": [],
            "period": 60, "evaluation_periods": 2, "comparison_operator": "GreaterThanThreshold",
            "threshold": 70, "description": "", "treat_missing_data": "notBreaching", **settings})

    def target(self, least, most):
        return applicationautoscaling_backends[ACCOUNT][REGION].register_scalable_target(
            "ecs", RESOURCE, "ecs:service:DesiredCount", least, most, "", None)

    def policy(self, name, kind, body):
        return applicationautoscaling_backends[ACCOUNT][REGION].put_scaling_policy(
            name, "ecs", RESOURCE, "ecs:service:DesiredCount", body, kind).policy_arn

    def steps(self, name, change, cooldown, **bounds):
        return self.policy(name, "StepScaling", {
            "AdjustmentType": "ChangeInCapacity", "Cooldown": cooldown,
            "StepAdjustments": [{"ScalingAdjustment": change, **bounds}]})


class Watched(unittest.TestCase):
    def test_an_alarm_needs_all_of_its_periods_and_is_unknown_at_first(self):
        cloud = Cloud()
        cloud.alarm("high", treat_missing_data="missing")
        cloud.measure(None)
        self.assertEqual(cloud.alarms.state("high"), "INSUFFICIENT_DATA")
        cloud.measure(90)
        self.assertEqual(cloud.alarms.state("high"), "OK")
        cloud.measure(80)
        self.assertEqual(cloud.alarms.state("high"), "ALARM")
        self.assertIn("2 out of the last 2 datapoints [80, 90]", cloud.alarms.all["high"].state_reason)
        cloud.measure(60)
        self.assertEqual(cloud.alarms.state("high"), "OK")

    def test_what_is_missing_counts_as_the_alarm_says(self):
        for treatment, state in (("breaching", "ALARM"), ("notBreaching", "OK"),
                                 ("missing", "INSUFFICIENT_DATA"), ("ignore", "INSUFFICIENT_DATA")):
            cloud = Cloud()
            cloud.alarm("high", treat_missing_data=treatment)
            cloud.measure(None, None)
            self.assertEqual(cloud.alarms.state("high"), state, treatment)

    def test_a_changed_alarm_keeps_its_state(self):
        cloud = Cloud()
        cloud.alarm("high")
        cloud.measure(90, 90)
        cloud.alarm("high", threshold=75)
        cloud.alarms.work(cloud.now)
        self.assertEqual(cloud.alarms.state("high"), "ALARM")

    def test_metric_math_as_the_templates_write_it(self):
        idle = "IF(cpu < 30 AND FILL(calls, 0) < 4, 1, 0)"
        for cpu, calls, expected in ((10, None, 1), (10, 3, 1), (10, 4, 0), (40, 0, 0), (None, 0, None)):
            self.assertEqual(calculate(idle, {"cpu": cpu, "calls": calls}), expected)
        self.assertEqual(calculate("errors / (calls + 1) * 100", {"errors": 1, "calls": 3}), 25)

    def test_values_out_of_log_lines_and_their_percentiles(self):
        cloud = Cloud()
        cloud.metrics.read_lines(['{"plain": 1}', (
            '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"Berth","Dimensions":[["ServiceName"]],'
            '"Metrics":[{"Name":"DurationMs"},{"Name":"Calls"}]}]},"ServiceName":"app","Calls":4,'
            '"DurationMs":[1,2,3,40]}')])
        found = [cloud.metrics.statistic("Berth", "DurationMs", {"ServiceName": "app"}, stat, 0, 9000)
                 for stat in ("p50", "p99", "Average", "Maximum", "SampleCount")]
        self.assertEqual(found, [2, 40, 11.5, 40, 4])
        self.assertIsNone(cloud.metrics.statistic("Berth", "Calls", {"ServiceName": "app"}, "Sum", 0, 10))


class Scaled(unittest.TestCase):
    def test_steps_go_one_by_one_between_the_bounds_and_wait_out_their_cooldown(self):
        cloud = Cloud()
        cloud.target(3, 5)
        cloud.alarm("high", alarm_actions=[cloud.steps("out", 1, 60, MetricIntervalLowerBound=0)])
        cloud.alarm("low", alarm_actions=[cloud.steps("in", -1, 300, MetricIntervalUpperBound=0)],
                    comparison_operator="LessThanThreshold", threshold=30, evaluation_periods=10)
        seen = []
        for value in [90] * 6 + [50] * 3 + [10] * 30:
            cloud.measure(value)
            seen.append(cloud.service.desired)
        self.assertEqual(seen[:9], [3, 4, 5, 5, 5, 5, 5, 5, 5])
        changes = [n for n in range(9, 39) if seen[n] != seen[n - 1]]
        self.assertEqual(changes[0], 9 + 9)             # ten minutes of little CPU
        self.assertEqual(changes[1] - changes[0], 5)    # the cooldown of five
        self.assertEqual(seen[-1], 3)
        self.assertIn("monitor alarm low in state ALARM triggered policy in",
                      cloud.scaling.activities[0]["Cause"])

    def test_target_tracking_adds_what_is_missing_at_once(self):
        cloud = Cloud()
        cloud.target(3, 9)
        cloud.policy("calls", "TargetTrackingScaling", {
            "TargetValue": 8, "DisableScaleIn": True, "ScaleOutCooldown": 60,
            "CustomizedMetricSpecification": {
                "Namespace": "Berth", "MetricName": "CallsInFlight", "Statistic": "Average",
                "Dimensions": [{"Name": "ServiceName", "Value": "app"}]}})
        self.assertEqual(len(cloud.alarms.all), 1)
        cloud.measure(16, 16, 16, namespace="Berth", name="CallsInFlight", where={"ServiceName": "app"})
        self.assertEqual(cloud.service.desired, 6)

    def test_hours_set_the_bounds_and_the_service_follows(self):
        cloud = Cloud()
        target = cloud.target(3, 5)
        store = applicationautoscaling_backends[ACCOUNT][REGION]
        for name, hour, bounds in (("open", 7, (2, 5)), ("close", 20, (0, 0))):
            store.put_scheduled_action("ecs", f"cron(0 {hour} ? * MON-FRI *)", "Europe/Berlin", name,
                                       RESOURCE, "ecs:service:DesiredCount", None, None,
                                       {"MinCapacity": bounds[0], "MaxCapacity": bounds[1]})
        cloud.scaling.set_wall(moment("2026-11-23T19:59:30+01:00"))
        cloud.scaling.work(0)
        self.assertEqual(cloud.service.desired, 3)
        cloud.now += 60
        cloud.scaling.work(0)
        self.assertEqual((cloud.service.desired, target.max_capacity), (0, 0))
        cloud.scaling.set_wall(moment("2026-11-24T06:59:59+01:00"))
        cloud.now += 1
        cloud.scaling.work(0)
        self.assertEqual((cloud.service.desired, target.max_capacity), (2, 5))

    def test_schedules_know_days_zones_and_summer_time(self):
        evening = ("cron(0 20 ? * MON-FRI *)", "Europe/Berlin")
        for until, expected in (("2026-11-23T20:00:10+01:00", True), ("2026-11-23T20:00:10+00:00", False),
                                ("2026-11-22T20:00:10+01:00", False), ("2026-07-20T18:00:10+00:00", True)):
            after = moment(until) - datetime.timedelta(seconds=30)
            self.assertEqual(schedules.due(*evening, after, moment(until)), expected, until)
        weekend = schedules.values_of("FRI-MON", schedules.FIELDS[4])
        self.assertEqual(weekend, {6, 7, 1, 2})
        for wrong in ("cron(0 20 * * MON-FRI *)", "cron(0 25 ? * MON *)", "cron(0 20 ? * MO *)", "every day"):
            with self.assertRaises(AWSValidationException, msg=wrong):
                applicationautoscaling_backends[ACCOUNT][REGION].put_scheduled_action(
                    "ecs", wrong, "UTC", "x", RESOURCE, "ecs:service:DesiredCount", None, None, {})


class Limited(unittest.TestCase):
    def setUp(self):
        self.limits = Limits(f"berth-emulator-test-{os.getpid()}")
        self.addCleanup(self.limits.forget)
        if self.limits.kind is None:
            self.skipTest("no control group may be written here: tasks are not limited")

    def run_within(self, cores, megabytes, program):
        groups = self.limits.task("one", cores, megabytes)
        self.addCleanup(self.limits.forget, "one")
        start = "import sys\nfor path in sys.argv[1:]: open(path, 'w').write('0')\n"
        return subprocess.run([sys.executable, "-c", start + program, *groups], check=False,
                              stdout=subprocess.PIPE, text=True)

    def test_a_container_that_takes_too_much_memory_is_killed_and_that_is_known(self):
        done = self.run_within(1, 64, "bytearray(32 << 20)")
        self.assertEqual((done.returncode, self.limits.kills("one")), (0, 0))
        done = self.run_within(1, 64, "held = [bytearray(b'x' * (16 << 20)) for _ in range(16)]")
        self.assertEqual((done.returncode, self.limits.kills("one")), (-9, 1))

    def test_half_a_processor_is_half_a_processor(self):
        done = self.run_within(0.5, 64, "import time\nend, used = time.monotonic() + 1, time.process_time()\n"
                               "while time.monotonic() < end: pass\nprint(time.process_time() - used)")
        self.assertLess(float(done.stdout), 0.7)


if __name__ == "__main__":
    unittest.main(verbosity=2)
