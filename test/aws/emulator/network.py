"""The VPC as a task meets it: a way to the registry, the file system's door, security groups."""

import os
import threading

from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends

from access import ACCOUNT


def ec2(region):
    return ec2_backends[ACCOUNT][region]


def zone_of(region, subnet):
    """The subnet's Availability Zone; None when there is no such subnet."""
    for subnets in ec2(region).subnets.values():
        if subnet in subnets:
            return subnets[subnet].availability_zone
    return None


def vpc_of(region, subnet):
    for subnets in ec2(region).subnets.values():
        if subnet in subnets:
            return subnets[subnet].vpc_id
    return None


def default_route(region, subnet):
    """"nat", "internet" or None: where the subnet's packets to the world go."""
    vpc = vpc_of(region, subnet)
    tables = [t for t in ec2(region).route_tables.values() if t.vpc_id == vpc]
    own = [t for t in tables if subnet in t._associations.values()]
    for table in own or tables[:1]:
        for route in table.routes:
            if route.destination_cidr_block == "0.0.0.0/0":
                if route.nat_gateway is not None:
                    return "nat"
                if route.gateway is not None:
                    return "internet"
    return None


def check_way_out(task):
    """Fargate reaches ECR, S3, Secrets Manager, Logs by a route to the world or endpoints in the VPC."""
    from tasks import StartError
    region = task.cloud.region
    route = default_route(region, task.subnet)
    if route == "nat" or route == "internet" and task.public:
        return
    vpc = vpc_of(region, task.subnet)
    names = {e.service_name.rpartition(f"{region}.")[2] for e in ec2(region).vpc_end_points.values()
             if e.vpc_id == vpc}
    needed = {"ecr.api", "ecr.dkr", "s3"}
    if task.container.get("secrets"):
        needed.add("secretsmanager")
    if task.container.get("logConfiguration"):
        needed.add("logs")
    missing = sorted(needed - names)
    if missing:
        raise StartError(
            "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull "
            "registry "
            "auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your "
            "task "
            f"network configuration. operation error ECR: GetAuthorizationToken, exceeded maximum number of "
            f"attempts, 3, https response error StatusCode: 0, dial tcp: i/o timeout (no way from "
            f"{task.subnet} "
            f"to {', '.join(missing)})")


# Tasks start side by side, and the first one makes the folder of an access point.
making_folders = threading.Lock()


def efs_folder(task, volume):
    """The shared folder behind an EFS volume, when the task may mount it."""
    from tasks import StartError, role_allows
    fault = "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: "
    backend = efs_backends[ACCOUNT][task.cloud.region]
    system = backend.file_systems_by_id.get(volume["fileSystemId"])
    if system is None:
        raise StartError(fault + f"Failed to resolve \"{volume['fileSystemId']}.efs.{task.cloud.region}."
                         "amazonaws.com\" - check that your file system ID is correct")
    targets = [t for t in backend.mount_targets_by_id.values() if t.file_system_id == volume["fileSystemId"]]
    if not any(zone_of(task.cloud.region, t.subnet_id) == task.zone for t in targets):
        raise StartError(fault + f"no mount target in {task.zone}: mount.nfs4: Connection timed out")
    target = next(t for t in targets if zone_of(task.cloud.region, t.subnet_id) == task.zone)
    if not reaches(task.cloud.region, task.groups, target.security_groups or [], 2049):
        raise StartError(fault + "mount.nfs4: Connection timed out: unsuccessful EFS utils command execution")
    authorization = volume.get("authorizationConfig", {})
    if authorization.get("iam") == "ENABLED":
        arn = f"arn:aws:elasticfilesystem:{task.cloud.region}:{ACCOUNT}:file-system/{volume['fileSystemId']}"
        point = f"arn:aws:elasticfilesystem:{task.cloud.region}:{ACCOUNT}:access-point/" \
            f"{authorization.get('accessPointId')}"
        context = {"elasticfilesystem:AccessPointArn": point,
                   "elasticfilesystem:AccessedViaMountTarget": "true"}
        if not all(role_allows(task.role, f"elasticfilesystem:{action}", arn, context)
                   for action in ("ClientMount", "ClientWrite")):
            task.cloud.front.note("elasticfilesystem:ClientMount", task.role, 403)
            raise StartError(fault + "b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'")
    folder = os.path.join(task.cloud.state, "efs", volume["fileSystemId"])
    point = authorization.get("accessPointId")
    if point:
        access_point = backend.access_points.get(point)
        if access_point is None:
            raise StartError(fault + f"access point {point} does not exist")
        root = access_point.root_directory or {}
        folder += root.get("Path", "/")
        with making_folders:
            if not os.path.isdir(folder):
                info = root.get("CreationInfo", {})
                os.makedirs(folder)
                if os.geteuid() == 0 and info:
                    os.chown(folder, int(info["OwnerUid"]), int(info["OwnerGid"]))
                os.chmod(folder, int(str(info.get("Permissions", "755")), 8))
    os.makedirs(folder, exist_ok=True)
    return folder


def reaches(region, sources, targets, port):
    """Whether security groups let a TCP connection from one of `sources` to one of `targets` at `port`."""
    def lets(rules, others):
        for rule in rules:
            protocol = str(rule.ip_protocol)
            if protocol not in ("-1", "tcp", "6"):
                continue
            if protocol != "-1" and not int(rule.from_port) <= port <= int(rule.to_port):
                continue
            if rule.source_group.get("GroupId") in others or rule.ip_range:
                return True
        return False
    groups = {}
    for by_id in ec2(region).groups.values():
        groups.update(by_id)
    out = any(lets(groups[g].egress_rules, targets) for g in sources if g in groups)
    into = any(lets(groups[g].ingress_rules, sources) for g in targets if g in groups)
    return out and into
