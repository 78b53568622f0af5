"""CloudWatch's metrics: what was measured, by namespace, name and dimensions, on the clock of the watch.

Values arrive from meters.py (ECS, the load balancer) and out of log lines (the embedded metric format); a
test may have a metric say something else than what is measured (control.py: metrics).
"""

import collections
import json
import math
import threading

KEPT_SECONDS = 3 * 3600     # of the watch's clock


class Metrics:
    def __init__(self, clock):
        self.clock = clock
        self.lock = threading.Lock()
        self.rows = {}          # (namespace, name, dimensions) → deque of (when, value, how often)
        self.fed = {}           # "NAMESPACE NAME" → the value that is told instead of what is measured

    def put(self, namespace, name, dimensions, value, count=1):
        value = self.fed.get(f"{namespace} {name}", value)
        now = self.clock()
        with self.lock:
            row = self.rows.setdefault((namespace, name, frozenset(dimensions.items())), collections.deque())
            row.append((now, float(value), count))
            while row[0][0] < now - KEPT_SECONDS:
                row.popleft()

    def statistic(self, namespace, name, dimensions, stat, start, end):
        """One statistic of what came in [start, end); None when nothing came."""
        with self.lock:
            row = self.rows.get((namespace, name, frozenset(dimensions.items())), ())
            values = [(value, count) for when, value, count in row if start <= when < end]
        return summary(values, stat) if values else None

    def latest(self):
        """For people and tests: every metric's newest value."""
        with self.lock:
            return [{"namespace": namespace, "name": name, "dimensions": dict(where), "value": row[-1][1]}
                    for (namespace, name, where), row in self.rows.items() if row]

    def read_lines(self, messages):
        """Embedded metric format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
        CloudWatch_Embedded_Metric_Format_Specification.html. Dated by their arrival, as a task's clock is not
        a fast one."""
        for message in messages:
            if '"_aws"' not in message:
                continue
            line = json.loads(message)
            for directive in line["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    dimensions = {name: str(line[name]) for name in names}
                    for metric in directive["Metrics"]:
                        found = line[metric["Name"]]
                        for value in found if isinstance(found, list) else [found]:
                            self.put(directive["Namespace"], metric["Name"], dimensions, value)


def summary(values, stat):
    total = sum(count for _, count in values)
    if stat == "SampleCount":
        return float(total)
    if stat == "Sum":
        return sum(value * count for value, count in values)
    if stat == "Average":
        return sum(value * count for value, count in values) / total
    if stat in ("Minimum", "Maximum"):
        return (min if stat == "Minimum" else max)(value for value, _ in values)
    place, seen = math.ceil(total * float(stat[1:]) / 100), 0     # "p99"
    for value, count in sorted(values):
        seen += count
        if seen >= place:
            return value
    return values[-1][0]
