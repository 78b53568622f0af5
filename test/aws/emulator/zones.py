"""An Availability Zone is lost, and comes back; Spot capacity is taken back.

A lost zone's tasks end at once and nothing starts there. Its node of the load balancer goes too: connections
of clients are spread over the nodes by their source port, and those of that node are cut. Its address leaves
the name at once; with a real one clients meet it for up to a minute.
"""

import re

from faults import Fault

cloud = None    # set by the emulator when it starts


def nodes():
    """The zones in which the load balancers have nodes."""
    found = {zone for balancer in cloud.balancer.elb.load_balancers.values() for zone in zones_of(balancer)}
    return sorted(found)


def zones_of(load_balancer):
    from network import zone_of
    return [zone_of(cloud.region, subnet) for subnet in load_balancer.subnets]


def lose(zone):
    """`zone`: "a" or "us-east-1a"; what was cut."""
    zone = cloud.region + zone[-1]
    cloud.lost_zones.add(zone)
    tasks = [t for t in list(cloud.tasks_by_id.values()) if t.zone == zone and t.status != "STOPPED"]
    for task in tasks:
        task.kill()
    return {"tasks": [t.id for t in tasks], "connections": cut_node(zone)}


def cut_node(zone):
    places, cut = nodes(), 0
    if zone not in places:
        return cut
    for proxy in list(cloud.balancer.proxies.values()):
        for line in proxy.command("show sess").splitlines():
            found = re.match(r"(0x[0-9a-f]+): proto=tcpv4 src=[\d.]+:(\d+) fe=[ld]", line)
            if found and places[int(found.group(2)) % len(places)] == zone:
                proxy.command(f"shutdown session {found.group(1)}")
                cut += 1
    return cut


def bring_back(zone):
    cloud.lost_zones.discard(cloud.region + zone[-1])


def take_spot(identity=None):
    """Takes one task on Spot back, the one named or any; its id."""
    running = [t for t in list(cloud.tasks_by_id.values())
               if t.capacity == "FARGATE_SPOT" and t.status == "RUNNING" and t.desired == "RUNNING"]
    task = next((t for t in running if identity in (None, t.id)), None)
    if task is None:
        raise Fault("NotFound", "no such task on Spot", 404)
    task.interrupt()
    return task.id
