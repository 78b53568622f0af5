"""CloudWatch's alarms, those that moto keeps: evaluated period by period, and what they set off.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html. Metric math is what the
templates use of it: comparisons, arithmetic, AND, OR, IF and FILL, point by point.
"""

import ast
import operator
import re

from moto.cloudwatch.models import cloudwatch_backends

from access import ACCOUNT

COMPARISONS = {"GreaterThanThreshold": (operator.gt, "greater than"),
               "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
               "LessThanThreshold": (operator.lt, "less than"),
               "LessThanOrEqualToThreshold": (operator.le, "less than or equal to")}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
             ast.Eq: operator.eq, ast.NotEq: operator.ne}
SPARE = 2   # periods that are looked at besides, for what comes late or not at all


def calculate(expression, points):
    """The expression at one point in time; None where a metric that it needs is missing."""
    words = re.sub(r"\b(AND|OR)\b", lambda m: m.group(0).lower(), expression).replace("IF(", "WHEN(")
    return value_of(ast.parse(words, mode="eval").body, points)


def value_of(node, points):
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.Name):
        return points[node.id]
    if isinstance(node, ast.Call) and node.func.id == "FILL":
        found = value_of(node.args[0], points)
        return value_of(node.args[1], points) if found is None else found
    if isinstance(node, ast.Call) and node.func.id == "WHEN":
        chosen = value_of(node.args[0], points)
        return None if chosen is None else value_of(node.args[1 if chosen else 2], points)
    if isinstance(node, ast.BoolOp):
        values = [value_of(each, points) for each in node.values]
        if None in values:
            return None
        return float(all(values) if isinstance(node.op, ast.And) else any(values))
    if isinstance(node, (ast.BinOp, ast.Compare)):
        is_sum = isinstance(node, ast.BinOp)
        sides = [value_of(node.left, points), value_of(node.right if is_sum else node.comparators[0], points)]
        work = OPERATORS[type(node.op if is_sum else node.ops[0])]
        return None if None in sides else float(work(*sides))
    raise ValueError(f"metric math that the emulator does not know: {ast.dump(node)}")


class Alarms:
    def __init__(self, cloud):
        self.cloud = cloud
        self.known = {}     # name → the alarm object of moto that was evaluated last
        self.evaluated = {}     # name → the period that was evaluated last
        self.told = []      # {alarm, state, action}: what was set off, other than scaling

    @property
    def all(self):
        return cloudwatch_backends[ACCOUNT][self.cloud.region].alarms

    def state(self, name):
        """"OK", "ALARM", "INSUFFICIENT_DATA", or None when there is no such alarm."""
        found = self.all.get(name)
        return found.state_value if found else None

    def seconds(self, name):
        """How long an alarm looks back."""
        found = self.all.get(name)
        return self.period(found) * int(found.evaluation_periods) if found else 0

    def work(self, now):
        for alarm in list(self.all.values()):
            if alarm.rule is not None:
                continue
            self.recognise(alarm)
            period = self.period(alarm)
            if self.evaluated.get(alarm.name) != now // period:
                self.evaluated[alarm.name] = now // period
                self.evaluate(alarm, now // period * period, period)

    def recognise(self, alarm):
        """A new alarm knows nothing yet; one whose settings change keeps its state."""
        before = self.known.get(alarm.name)
        if before is alarm:
            return
        self.known[alarm.name] = alarm
        alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"

    @staticmethod
    def period(alarm):
        periods = [int(q.metric_stat.period) for q in alarm.metric_data_queries if q.metric_stat]
        return max(periods) if periods else int(alarm.period)

    def point(self, alarm, start, end):
        ask = self.cloud.metrics.statistic
        if not alarm.metric_data_queries:
            stat = alarm.statistic or alarm.extended_statistic
            dimensions = {d.name: d.value for d in alarm.dimensions}
            return ask(alarm.namespace, alarm.metric_name, dimensions, stat, start, end)
        points, answer = {}, None
        for query in alarm.metric_data_queries:
            if query.metric_stat:
                metric, stat = query.metric_stat.metric, query.metric_stat.stat
                dimensions = {d.name: d.value for d in metric.dimensions}
                points[query.id] = ask(metric.namespace, metric.metric_name, dimensions, stat, start, end)
        for query in alarm.metric_data_queries:
            if query.expression:
                points[query.id] = calculate(query.expression, points)
            if str(query.return_data).lower() != "false":
                answer = points[query.id]
        return answer

    def evaluate(self, alarm, end, period):
        """Of somewhat more periods than asked for, the newest that have a value; what then is missing counts
        as the alarm says."""
        wanted = int(alarm.evaluation_periods)
        ends = [end - n * period for n in range(wanted + SPARE)]
        points = [self.point(alarm, each - period, each) for each in ends]
        breaks = COMPARISONS[alarm.comparison_operator][0]
        missing = alarm.treat_missing_data or "missing"
        there = [p for p in points if p is not None][:wanted]
        bad = sum(breaks(p, float(alarm.threshold)) for p in there)
        bad += (wanted - len(there)) * (missing == "breaching")
        enough = int(alarm.datapoints_to_alarm or wanted)
        if not there and missing in ("missing", "ignore"):
            state = alarm.state_value if missing == "ignore" else "INSUFFICIENT_DATA"
        else:
            state = "ALARM" if bad >= enough else "OK"
        if state != alarm.state_value:
            alarm.update_state(self.reason(alarm, state, there, bad, wanted), "{}", state)
            self.tell(alarm, state)
        if state == "ALARM" and there:
            self.scale(alarm, there[0])

    @staticmethod
    def reason(alarm, state, there, bad, wanted):
        if state == "INSUFFICIENT_DATA":
            return f"Insufficient Data: {wanted} datapoints were unknown."
        words = COMPARISONS[alarm.comparison_operator][1]
        shown = ", ".join(f"{point:g}" for point in there)
        count = bad if state == "ALARM" else wanted - bad
        return f"Threshold Crossed: {count} out of the last {wanted} datapoints [{shown}] were " \
            f"{'' if state == 'ALARM' else 'not '}{words} the threshold ({float(alarm.threshold):g})."

    def tell(self, alarm, state):
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions}.get(
            state, alarm.insufficient_data_actions)
        self.told += [{"alarm": alarm.name, "state": state, "action": action} for action in actions or []
                      if ":autoscaling:" not in action]

    def scale(self, alarm, value):
        """Scaling is asked for again in every period while the alarm lasts."""
        for action in alarm.alarm_actions or []:
            if ":autoscaling:" in action:
                self.cloud.scaling.act(action, alarm, value)
