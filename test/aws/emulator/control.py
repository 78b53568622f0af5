"""What a test may ask of the emulator itself: /_emulator/WORD, JSON in and out.

mishaps  POST: orders (faults.Mishaps); GET: what is ordered
user     POST {name, policy}: a user with that policy alone; its keys
role     POST {name, trust, policy}: a role, for assume-role tests
calls    GET: [[action, caller, status] …] since the last DELETE
state    GET: tasks, targets, where the load balancers' names are answered
without  POST {role, policy, statement}: takes that statement (its number) out of a role's policy; {}: puts
         back all that were taken out. GET: {role: {policy: [statement …]}}
left     GET: names of what costs money or takes a name: buckets, file systems, log groups, stacks …
costs    GET: what else costs money: addresses, NAT gateways, secrets, alarms, distributions, tasks …
secrets  GET: name → value of every secret
furnish  POST {zone: name}, {certificate: name} or {vpc: CIDR block}: what a real account has before a deploy;
         its id, its ARN, or {vpc, public_subnets, private_subnets} with a NAT gateway
stack    POST {name, status}: a stack of that name is in that state, as somebody else left it; it is made if
         there is none
kill     POST {task}: the task's processes die, as when its host does
crash    POST {task}: its container ends, which its restart policy may start again
spot     POST {} or {task}: a task on FARGATE_SPOT is taken back; its id
zone     POST {lose: "a"} or {back: "a"}: an Availability Zone is lost, or there again (zones.py)
metrics  POST {"AWS/ECS CPUUtilization": 85}: what a metric says instead of what is measured; {} measures
         again. GET: the newest value of every metric
time     POST {now: "2026-11-23T19:59:30+01:00"}: sets the clock by which schedules go, which then runs as
         fast as --watch-speed; its time
watch    GET: {alarms: {name: state}, told: what alarms have set off, activities: what scaling has done}
"""

import datetime
import ipaddress
import json

import access
import zones
from faults import Fault
from stacks import Stack

cloud = None    # set by the emulator when it starts
taken_out = {}  # (role, policy) → its text as it was


def make_user(name, policy):
    store = access.iam()
    if name in store.users:
        for key in list(store.users[name].access_keys):
            store.delete_access_key(key.access_key_id, name)
    else:
        store.create_user("us-east-1", name)
    store.users[name].policies = {"given": json.dumps(policy)}
    key = store.create_access_key(user_name=name)
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key,
            "arn": f"arn:aws:iam::{access.ACCOUNT}:user/{name}"}


def make_role(name, trust, policy):
    store = access.iam()
    role = store.create_role(name, json.dumps(trust), "/", None, "", [], 3600)
    role.policies = {"given": json.dumps(policy)}
    return {"arn": role.arn}


def state():
    fronts = {}
    for host, name in cloud.balancer.fronts().items():
        if name in cloud.balancer.sockets:
            fronts[host] = f"https://127.0.0.1:{cloud.balancer.port(name)}"
    plain = {}
    for balancer in cloud.balancer.elb.load_balancers.values():
        for listener in balancer.listeners.values():
            name = f"l{listener.arn.rpartition('/')[2]}"
            if listener.protocol == "HTTP" and name in cloud.balancer.sockets:
                plain[balancer.dns_name] = f"http://127.0.0.1:{cloud.balancer.port(name)}"
    tasks = [{"id": t.id, "address": t.address, "zone": t.zone, "status": t.status, "health": t.health,
              "pid": t.pid, "group": t.group, "capacity": t.capacity, "exit_code": t.exit_code,
              "reason": t.reason, "stop_code": t.stop_code, "restarts": t.restarts,
              "container_reason": t.container_reason,
              "definition": t.definition["taskDefinitionArn"]} for t in list(cloud.tasks_by_id.values())]
    targets = [{"address": t.address, "state": t.state, "description": t.description}
               for t in list(cloud.balancer.targets.values())]
    return {"tasks": tasks, "targets": targets, "https": fronts, "http": plain}


def secrets():
    from moto.secretsmanager.models import secretsmanager_backends
    store = secretsmanager_backends[access.ACCOUNT][cloud.region].secrets
    return {secret.name: secret.versions[secret.default_version_id].get("secret_string", "")
            for secret in store.values()}


def role_policies():
    return {role.name: {name: access.parsed(text)["Statement"] for name, text in role.policies.items()}
            for role in access.iam().roles.values()}


def without(given):
    roles = {role.name: role for role in access.iam().roles.values()}
    if not given:
        for (role, policy), text in taken_out.items():
            roles[role].policies[policy] = text
        taken_out.clear()
        return {}
    policies, name = roles[given["role"]].policies, given["policy"]
    taken_out.setdefault((given["role"], name), policies[name])
    document = access.parsed(policies[name])
    gone = document["Statement"].pop(given["statement"])
    policies[name] = json.dumps(document)
    return gone


def left():
    caller = access.find_caller(cloud.admin["access_key_id"])

    def ask(service, operation, key, name):
        return sorted(row[name] for row in getattr(cloud.client(caller, service), operation)()[key])
    vpcs = cloud.client(caller, "ec2").describe_vpcs()["Vpcs"]
    return {"buckets": ask("s3", "list_buckets", "Buckets", "Name"),
            "file_systems": ask("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
            "repositories": sorted(cloud.registry.repositories),
            "load_balancers": ask("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
            "vpcs": sorted(v["VpcId"] for v in vpcs if not v["IsDefault"]),
            "log_groups": ask("logs", "describe_log_groups", "logGroups", "logGroupName"),
            "stacks": sorted(s.name for e in cloud.engines.values() for s in e.stacks.values()
                             if s.status != "DELETE_COMPLETE")}


def costs():
    caller = access.find_caller(cloud.admin["access_key_id"])

    def ask(service, operation, key, name):
        return sorted(row[name] if name else row
                      for row in getattr(cloud.client(caller, service), operation)()[key])
    gateways = cloud.client(caller, "ec2").describe_nat_gateways()["NatGateways"]
    return {"addresses": ask("ec2", "describe_addresses", "Addresses", "AllocationId"),
            "nat_gateways": sorted(g["NatGatewayId"] for g in gateways if g["State"] != "deleted"),
            "secrets": ask("secretsmanager", "list_secrets", "SecretList", "Name"),
            "alarms": sorted(alarm.name for alarm in list(cloud.alarms.all.values())),
            "dashboards": ask("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
            "streams": ask("firehose", "list_delivery_streams", "DeliveryStreamNames", ""),
            "topics": ask("sns", "list_topics", "Topics", "TopicArn"),
            "distributions": sorted(cloud.distributions), "origins": sorted(cloud.vpc_origins),
            "tasks": sorted(t.id for t in list(cloud.tasks_by_id.values()) if t.status != "STOPPED")}


def furnish(given):
    caller = access.find_caller(cloud.admin["access_key_id"])
    if "zone" in given:
        route53 = cloud.client(caller, "route53")
        made = route53.create_hosted_zone(Name=given["zone"], CallerReference="furnish")
        return {"id": look_real(made["HostedZone"]["Id"].rpartition("/")[2])}
    if "certificate" in given:
        made = cloud.client(caller, "acm").request_certificate(DomainName=given["certificate"])
        return {"arn": made["CertificateArn"]}
    return furnish_vpc(cloud.client(caller, "ec2"), ipaddress.ip_network(given["vpc"]))


def look_real(identity):
    """Ids of AWS's hosted zones begin with Z; moto's do not."""
    from moto.route53.models import route53_backends
    zones = route53_backends[access.ACCOUNT]["aws"].zones
    zone = zones.pop(identity)
    zone.resource_id = "Z0" + identity[:18]
    zones[zone.resource_id] = zone
    return zone.resource_id


def furnish_vpc(ec2, block):
    vpc = ec2.create_vpc(CidrBlock=str(block))["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    ranges, found = block.subnets(new_prefix=block.prefixlen + 8), {"vpc": vpc}
    way = {"GatewayId": gateway}
    for kind in ("public_subnets", "private_subnets"):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **way)
        found[kind] = []
        for zone in "abc":
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=str(next(ranges)),
                                       AvailabilityZone=cloud.region + zone)["Subnet"]["SubnetId"]
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            found[kind].append(subnet)
        if kind == "public_subnets":
            address = ec2.allocate_address(Domain="vpc")["AllocationId"]
            nat = ec2.create_nat_gateway(SubnetId=found[kind][0], AllocationId=address)["NatGateway"]
            way = {"NatGatewayId": nat["NatGatewayId"]}
    return found


def leave_stack(given):
    engine = cloud.engine(cloud.region)
    stack = engine.find(given["name"])
    if stack is None:
        stack = Stack(given["name"], cloud.region)
        engine.stacks[stack.id] = stack
    stack.become(given["status"], given.get("reason", ""))
    return {"id": stack.id}


def change_zone(given):
    if "lose" in given:
        return zones.lose(given["lose"])
    zones.bring_back(given["back"])
    return {}


def feed(given):
    if given:
        cloud.metrics.fed.update({name: float(value) for name, value in given.items()})
    else:
        cloud.metrics.fed.clear()
    return cloud.metrics.fed


def set_time(given):
    cloud.scaling.set_wall(datetime.datetime.fromisoformat(given["now"]))
    return {"now": cloud.scaling.wall().isoformat()}


def watched():
    return {"alarms": {alarm.name: alarm.state_value for alarm in list(cloud.alarms.all.values())},
            "told": cloud.alarms.told, "activities": cloud.scaling.activities}


def lose_task(given):
    cloud.tasks_by_id[given["task"].rpartition("/")[2]].kill()
    return {}


def crash_container(given):
    cloud.tasks_by_id[given["task"].rpartition("/")[2]].crash()
    return {}


# What only is asked, and what is ordered.
QUESTIONS = {"state": state, "without": role_policies, "left": left, "costs": costs,
             "secrets": secrets, "watch": watched, "metrics": lambda: cloud.metrics.latest()}
ORDERS = {"without": without, "furnish": furnish, "stack": leave_stack,
          "kill": lose_task, "crash": crash_container,
          "spot": lambda given: {"task": zones.take_spot(given.get("task"))}, "zone": change_zone,
          "metrics": feed, "time": set_time}


def answer(words, environ, body):
    method, word = environ["REQUEST_METHOD"], words[0] if words else ""
    given = json.loads(body) if body else {}
    if word == "mishaps":
        return 200, cloud.mishaps.order(given) if method == "POST" else cloud.mishaps.orders
    if word == "user" and method == "POST":
        return 200, make_user(given["name"], given["policy"])
    if word == "role" and method == "POST":
        return 200, make_role(given["name"], given["trust"], given["policy"])
    if word == "calls":
        if method == "DELETE":
            cloud.front.calls = []
        return 200, cloud.front.calls
    if method == "POST" and word in ORDERS:
        return 200, ORDERS[word](given)
    if method == "GET" and word in QUESTIONS:
        return 200, QUESTIONS[word]()
    raise Fault("NotFound", f"no such control: {word}", 404)
