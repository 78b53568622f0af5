"""Measures what AWS measures: CPU and memory of tasks, requests and hosts of load balancers.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html and
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html. Of
the time that targets take haproxy tells an average alone, so every percentile is that.
"""

import csv
import os
import time
import traceback

STANDARD_SECONDS = 60   # between two values, unless a service asks for more (Monitoring)
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def processes():
    """pid → (parent, seconds of CPU with those of children that have ended, bytes of its own memory)"""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                cells = file.read().rpartition(")")[2].split()
            with open(f"/proc/{name}/statm", encoding="ascii") as file:
                memory = file.read().split()
        except OSError:
            continue    # it has ended meanwhile
        cpu = sum(int(cell) for cell in cells[11:15]) / TICKS
        found[int(name)] = int(cells[1]), cpu, (int(memory[1]) - int(memory[2])) * PAGE
    return found


def usage(table, root):
    """(seconds of CPU, bytes) of `root` and everything below it."""
    children = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    cpu = memory = 0
    left = [root] if root in table else []
    while left:
        pid = left.pop()
        cpu, memory = cpu + table[pid][1], memory + table[pid][2]
        left += children.get(pid, ())
    return cpu, memory


def period_of(service):
    asked = service.settings.get("monitoring", {}).get("metricConfigurations", [])
    return min([int(each["resolutionSeconds"]) for each in asked] or [STANDARD_SECONDS])


class Meters:
    def __init__(self, cloud):
        self.cloud = cloud
        self.due = {}       # what is measured → when next, of the watch's clock
        self.cpu = {}       # (task id, pid) → (real time, seconds of CPU) when it was last looked at
        self.counters = {}  # (proxy, server, column) of haproxy → what it was

    def work(self, now):
        """Whatever is due; called by the watch again and again."""
        table = None
        for service in list(self.cloud.services.values()):
            if service.status == "ACTIVE" and self.is_due(service.arn, now, period_of(service)):
                table = table or processes()
                self.measure_tasks(service, table)
        if self.is_due("load balancers", now, STANDARD_SECONDS):
            try:
                self.measure_balancers()
            except Exception:
                traceback.print_exc()

    def is_due(self, what, now, period):
        if now < self.due.get(what, 0):
            return False
        self.due[what] = now + period
        return True

    def measure_tasks(self, service, table):
        dimensions = {"ClusterName": service.cluster, "ServiceName": service.name}
        looked = time.monotonic()
        for task in list(service.tasks):
            if task.status != "RUNNING" or task.pid is None:
                continue
            cpu, memory = usage(table, task.pid)
            before = self.cpu.get((task.id, task.pid))
            self.cpu[task.id, task.pid] = looked, cpu
            if before is None or looked <= before[0]:
                continue    # one look tells nothing yet
            cores = int(task.definition.get("cpu", 256)) / 1024
            share = max(0, cpu - before[1]) / (looked - before[0]) / cores
            size = int(task.definition.get("memory", 512)) << 20
            self.cloud.metrics.put("AWS/ECS", "CPUUtilization", dimensions, 100 * share)
            self.cloud.metrics.put("AWS/ECS", "MemoryUtilization", dimensions, 100 * memory / size)

    def measure_balancers(self):
        balancer = self.cloud.balancer
        tables = [proxy.command("show stat").lstrip("# ") for proxy in list(balancer.proxies.values())]
        rows = [row for table in tables for row in csv.DictReader(table.splitlines())]
        for group in list(balancer.elb.target_groups.values()):
            name = f"g{group.arn.rpartition('/')[2]}"
            of_group = [row for row in rows if row["pxname"] == name]
            for load_balancer in balancer.load_balancers_of(group.arn):
                whole = {"LoadBalancer": load_balancer.arn.partition(":loadbalancer/")[2]}
                part = {**whole, "TargetGroup": group.arn.rpartition(":")[2]}
                self.measure_requests(of_group, whole, part)
                states = [t.state for t in list(balancer.targets.values()) if t.group == group.arn]
                for metric, state in (("HealthyHostCount", "healthy"), ("UnHealthyHostCount", "unhealthy")):
                    self.cloud.metrics.put("AWS/ApplicationELB", metric, part, states.count(state))

    def measure_requests(self, rows, whole, part):
        put = self.cloud.metrics.put
        servers = [row for row in rows if row["svname"] not in ("BACKEND", "FRONTEND")]
        backends = [row for row in rows if row["svname"] == "BACKEND"]
        answers = {f"{n}XX": sum(self.grown(row, f"hrsp_{n}xx") for row in servers) for n in range(1, 6)}
        all_errors = sum(self.grown(row, "hrsp_5xx") for row in backends)
        for kind, count in answers.items():
            if count:
                for dimensions in (whole, part):
                    put("AWS/ApplicationELB", f"HTTPCode_Target_{kind}_Count", dimensions, count)
        if all_errors > answers["5XX"]:
            put("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", whole, all_errors - answers["5XX"])
        if sum(answers.values()):
            for dimensions in (whole, part):
                put("AWS/ApplicationELB", "RequestCount", dimensions, sum(answers.values()))
        for row in servers:
            count, took = self.grown(row, "stot"), int(row["rtime"] or 0) / 1000
            for dimensions in (whole, part) if count else ():
                put("AWS/ApplicationELB", "TargetResponseTime", dimensions, took, count)

    def grown(self, row, column):
        """How much a counter has grown; a new haproxy counts from nothing."""
        key, now = (row["pxname"], row["svname"], column), int(row[column] or 0)
        before = self.counters.get(key, 0)
        self.counters[key] = now
        return now - before if now >= before else now
