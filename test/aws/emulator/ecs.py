"""ECS's API: clusters, task definitions, services and tasks, all of the emulator's own."""

import datetime
import re

import network
import task_facts
from access import ACCOUNT
from faults import Fault
from services import Service
from tasks import Task
from wire import arn, operation

FARGATE_SIZES = {"256": (512, 2048), "512": (1024, 4096), "1024": (2048, 8192), "2048": (4096, 16384),
                 "4096": (8192, 30720), "8192": (16384, 61440), "16384": (32768, 122880)}
cloud = None    # set by the emulator when it starts


def client_fault(message):
    return Fault("ClientException", message)


def invalid(message):
    return Fault("InvalidParameterException", message)


def now():
    return datetime.datetime.now(datetime.UTC)


def last(name):
    return (name or "default").rpartition("/")[2]


# --- clusters -----------------------------------------------------------------------------------------------

def need_cluster(call):
    found = cloud.clusters.get(last(call.params.get("cluster")))
    if found is None or found["status"] != "ACTIVE":
        raise Fault("ClusterNotFoundException", "Cluster not found.")
    return found


@operation("ecs", "CreateCluster")
def create_cluster(call):
    p = call.params
    name = p.get("clusterName", "default")
    made = cloud.clusters.setdefault(name, {
        "clusterName": name, "clusterArn": arn("ecs", call.region, f"cluster/{name}")})
    made |= {"status": "ACTIVE", "settings": p.get("settings", []), "tags": p.get("tags", []),
             "capacityProviders": p.get("capacityProviders", []), "configuration": p.get("configuration", {}),
             "defaultCapacityProviderStrategy": p.get("defaultCapacityProviderStrategy", [])}
    return {"cluster": described(made)}


def described(cluster):
    services = [s for s in cloud.services.values() if s.cluster == cluster["clusterName"]]
    return {**cluster, "runningTasksCount": sum(t.status == "RUNNING" for s in services for t in s.tasks),
            "activeServicesCount": sum(s.status == "ACTIVE" for s in services)}


@operation("ecs", "UpdateCluster", "UpdateClusterSettings", "PutClusterCapacityProviders")
def update_cluster(call):
    found = need_cluster(call)
    for name in ("settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy"):
        if name in call.params:
            found[name] = call.params[name]
    return {"cluster": described(found)}


@operation("ecs", "DescribeClusters")
def describe_clusters(call):
    found, failures = [], []
    for name in call.params.get("clusters", ["default"]):
        if last(name) in cloud.clusters:
            found.append(described(cloud.clusters[last(name)]))
        else:
            failures.append({"arn": arn("ecs", call.region, f"cluster/{last(name)}"), "reason": "MISSING"})
    return {"clusters": found, "failures": failures}


@operation("ecs", "ListClusters")
def list_clusters(call):
    return {"clusterArns": [c["clusterArn"] for c in cloud.clusters.values() if c["status"] == "ACTIVE"]}


@operation("ecs", "DeleteCluster")
def delete_cluster(call):
    found = need_cluster(call)
    if any(s.cluster == found["clusterName"] and s.status != "INACTIVE" for s in cloud.services.values()):
        raise Fault("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are "
                                                        "active.")
    found["status"] = "INACTIVE"
    return {"cluster": described(found)}


# --- task definitions ---------------------------------------------------------------------------------------

def check_definition(p):
    if "FARGATE" in p.get("requiresCompatibilities", []):
        if p.get("networkMode") != "awsvpc":
            raise client_fault("Fargate only supports network mode 'awsvpc'.")
        low, high = FARGATE_SIZES.get(str(p.get("cpu")), (1, 0))
        if not low <= int(p.get("memory", 0)) <= high:
            raise client_fault("No Fargate configuration exists for given values: "
                               f"{p.get('cpu')} CPU, {p.get('memory')} memory.")
    names = {v["name"] for v in p.get("volumes", [])}
    for container in p["containerDefinitions"]:
        for point in container.get("mountPoints", []):
            if point["sourceVolume"] not in names:
                raise client_fault(f"Unknown volume '{point['sourceVolume']}'.")
        if container.get("secrets") and not p.get("executionRoleArn"):
            raise client_fault("When you are specifying container secrets, you must also specify a value for "
                               "'executionRoleArn'.")
        if container.get("stopTimeout", 0) > 120:
            raise client_fault("stopTimeout must be at most 120 seconds on Fargate.")


@operation("ecs", "RegisterTaskDefinition")
def register_definition(call):
    p = dict(call.params)
    if not p.get("containerDefinitions"):
        raise client_fault("Container definitions should not be null or empty.")
    check_definition(p)
    revisions = cloud.definitions.setdefault(p["family"], [])
    tags = p.pop("tags", [])
    made = {**p, "revision": len(revisions) + 1, "status": "ACTIVE", "compatibilities": ["EC2", "FARGATE"],
            "registeredAt": now(), "registeredBy": call.caller.arn,
            "taskDefinitionArn": arn("ecs", call.region,
                                     f"task-definition/{p['family']}:{len(revisions) + 1}")}
    revisions.append(made)
    made["_tags"] = tags
    return {"taskDefinition": public(made), "tags": tags}


def public(definition):
    return {k: v for k, v in definition.items() if not k.startswith("_")}


def find_definition(name):
    family, _, revision = last(name).partition(":")
    revisions = cloud.definitions.get(family, [])
    if revision.isdigit() and 0 < int(revision) <= len(revisions):
        return revisions[int(revision) - 1]
    if not revision:
        return next((d for d in reversed(revisions) if d["status"] == "ACTIVE"), None)
    return None


def need_definition(name):
    found = find_definition(name)
    if found is None:
        raise client_fault("Unable to describe task definition.")
    return found


@operation("ecs", "DescribeTaskDefinition")
def describe_definition(call):
    found = need_definition(call.params["taskDefinition"])
    return {"taskDefinition": public(found), "tags": found["_tags"]}


@operation("ecs", "DeregisterTaskDefinition")
def deregister_definition(call):
    found = need_definition(call.params["taskDefinition"])
    found["status"] = "INACTIVE"
    return {"taskDefinition": public(found)}


@operation("ecs", "DeleteTaskDefinitions")
def delete_definitions(call):
    found = [need_definition(name) for name in call.params["taskDefinitions"]]
    for definition in found:
        definition["status"] = "DELETE_IN_PROGRESS"
    return {"taskDefinitions": [public(d) for d in found], "failures": []}


@operation("ecs", "ListTaskDefinitions")
def list_definitions(call):
    wanted, status = call.params.get("familyPrefix"), call.params.get("status", "ACTIVE")
    found = [d["taskDefinitionArn"] for family, revisions in cloud.definitions.items() for d in revisions
             if wanted in (None, family) and d["status"] == status]
    return {"taskDefinitionArns": found[::-1] if call.params.get("sort") == "DESC" else found}


# --- services -----------------------------------------------------------------------------------------------

def need_service(call, name=None):
    cluster = need_cluster(call)["clusterName"]
    found = cloud.services.get((cluster, last(name or call.params["service"])))
    if found is None:
        raise Fault("ServiceNotFoundException", "Service not found.")
    return found


def active_service(call):
    found = need_service(call)
    if found.status != "ACTIVE":
        raise Fault("ServiceNotActiveException", "Service was not ACTIVE.")
    return found


def check_service(p, definition):
    names = {c["name"]: c for c in definition["containerDefinitions"]}
    for balancer in p.get("loadBalancers", []):
        container = names.get(balancer.get("containerName"))
        if container is None:
            raise invalid(f"The container {balancer.get('containerName')} does not exist in the task "
                          "definition.")
        ports = [m["containerPort"] for m in container.get("portMappings", [])]
        if balancer["containerPort"] not in ports:
            raise invalid(f"The container {balancer['containerName']} did not have a container port "
                          f"{balancer['containerPort']} defined.")
        group = cloud.balancer.group(balancer["targetGroupArn"])
        if group is None:
            raise invalid(f"The target group {balancer['targetGroupArn']} does not exist.")
        if group.target_type != "ip":
            raise invalid("The provided target group has target type instance, which is incompatible with "
                          "the "
                          "awsvpc network mode specified in the task definition.")
        if not group.load_balancer_arns:
            raise invalid(f"The target group with targetGroupArn {balancer['targetGroupArn']} does not have "
                          "an "
                          "associated load balancer.")
    if p.get("launchType") and p.get("capacityProviderStrategy"):
        raise invalid("Specifying both a launch type and capacity provider strategy is not supported.")
    for subnet in p.get("networkConfiguration", {}).get("awsvpcConfiguration", {}).get("subnets", []):
        if network.zone_of(cloud.region, subnet) is None:
            raise invalid(f"Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' "
                          "does "
                          "not exist")


@operation("ecs", "CreateService")
def create_service(call):
    cluster = need_cluster(call)
    p = call.params
    key = (cluster["clusterName"], p["serviceName"])
    known = cloud.services.get(key)
    if known and known.status != "INACTIVE":
        raise invalid("Creation of service was not idempotent.")
    definition = need_definition(p["taskDefinition"])
    check_service(p, definition)
    for entry in p.get("capacityProviderStrategy", []):
        if entry["capacityProvider"] not in cluster["capacityProviders"]:
            raise invalid("The specified capacity provider was not found in the cluster.")
    made = cloud.services[key] = Service(cloud, cluster["clusterArn"], p, definition)
    return {"service": made.describe()}


@operation("ecs", "UpdateService")
def update_service(call):
    p = call.params
    found = active_service(call)
    with found.lock:
        definition = need_definition(p["taskDefinition"]) if "taskDefinition" in p else \
            found.deployments[0].definition
        check_service({**found.settings, **p}, definition)
        now_set = {**found.settings, "networkConfiguration": found.network}
        moved = any(name in p and p[name] != now_set.get(name) for name in (
            "networkConfiguration", "capacityProviderStrategy", "loadBalancers"))
        found.configure(p)
        found.desired = p.get("desiredCount", found.desired)
        if definition is not found.deployments[0].definition or p.get("forceNewDeployment") or moved:
            found.deploy(definition)
        found.steady = False
        return {"service": found.describe()}


@operation("ecs", "DeleteService")
def delete_service(call):
    found = need_service(call)
    with found.lock:
        if found.desired > 0 and found.status == "ACTIVE" and not call.params.get("force"):
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        if found.status == "ACTIVE":
            found.status = "DRAINING"
        return {"service": found.describe()}


@operation("ecs", "DescribeServices")
def describe_services(call):
    cluster = need_cluster(call)["clusterName"]
    found, failures = [], []
    for name in call.params["services"]:
        service = cloud.services.get((cluster, last(name)))
        if service is None:
            failures.append({"arn": arn("ecs", call.region, f"service/{cluster}/{last(name)}"),
                             "reason": "MISSING"})
        else:
            with service.lock:
                found.append(service.describe())
    return {"services": found, "failures": failures}


@operation("ecs", "ListServices")
def list_services(call):
    cluster = need_cluster(call)["clusterName"]
    return {"serviceArns": [s.arn for s in cloud.services.values()
                            if s.cluster == cluster and s.status != "INACTIVE"]}


@operation("ecs", "ListServiceDeployments")
def list_service_deployments(call):
    p = call.params
    service = need_service(call)
    rows = [d.describe_as_service_deployment() for d in service.history]
    rows = [r for r in rows if not p.get("status") or r["status"] in p["status"]]
    return {"serviceDeployments": [{
        "serviceDeploymentArn": r["serviceDeploymentArn"], "serviceArn": r["serviceArn"],
        "status": r["status"],
        "clusterArn": r["clusterArn"], "createdAt": r["createdAt"], "startedAt": r["startedAt"],
        "statusReason": r["statusReason"], "targetServiceRevisionArn": r["targetServiceRevision"]["arn"],
        **({"finishedAt": r["finishedAt"]} if r.get("finishedAt") else {})} for r in rows]}


@operation("ecs", "DescribeServiceDeployments")
def describe_service_deployments(call):
    rows, failures = [], []
    known = {d.arn: d for s in cloud.services.values() for d in s.history}
    for wanted in call.params["serviceDeploymentArns"]:
        row = known[wanted].describe_as_service_deployment() if wanted in known else None
        if row:
            rows.append(row)
        else:
            failures.append({"arn": wanted, "reason": "MISSING"})
    return {"serviceDeployments": rows, "failures": failures}


@operation("ecs", "DescribeServiceRevisions")
def describe_service_revisions(call):
    known = {d.revision: d for s in cloud.services.values() for d in s.history}
    wanted = call.params["serviceRevisionArns"]
    return {"failures": [{"arn": w, "reason": "MISSING"} for w in wanted if w not in known],
            "serviceRevisions": [{
                "serviceRevisionArn": w, "serviceArn": known[w].service.arn,
                "clusterArn": known[w].service.cluster_arn, "createdAt": known[w].created,
                "taskDefinition": known[w].definition["taskDefinitionArn"], "launchType": "FARGATE",
                "networkConfiguration": known[w].service.network,
                "loadBalancers": known[w].service.settings.get("loadBalancers", [])}
                for w in wanted if w in known]}


@operation("ecs", "StopServiceDeployment")
def stop_service_deployment(call):
    wanted = call.params["serviceDeploymentArn"]
    for service in cloud.services.values():
        primary = service.deployments[0]
        if primary.arn == wanted and primary.state == "IN_PROGRESS":
            with service.lock:
                primary.finish("FAILED", "Stopped by the user.")
                good = service.last_good()
                if call.params.get("stopType", "ROLLBACK") == "ROLLBACK" and good:
                    service.roll_back(primary, good, "ECS deployment stopped")
            return {"serviceDeploymentArn": wanted}
    raise Fault("ServiceDeploymentNotFoundException", "The service deployment was not found or is over.")


# --- tasks --------------------------------------------------------------------------------------------------

def tasks_of(cluster):
    return [t for t in cloud.tasks_by_id.values() if t.cluster == cluster]


@operation("ecs", "ListTasks")
def list_tasks(call):
    p, cluster = call.params, need_cluster(call)["clusterName"]
    desired = p.get("desiredStatus", "RUNNING")
    found = [t for t in tasks_of(cluster) if t.desired == desired]
    if p.get("serviceName"):
        found = [t for t in found if t.group == f"service:{last(p['serviceName'])}"]
    if p.get("family"):
        found = [t for t in found if t.definition["family"] == p["family"]]
    if p.get("startedBy"):
        found = [t for t in found if t.started_by == p["startedBy"]]
    return {"taskArns": [t.arn for t in found]}


@operation("ecs", "DescribeTasks")
def describe_tasks(call):
    need_cluster(call)
    known = {t.id: t for t in list(cloud.tasks_by_id.values())}
    wanted = call.params["tasks"]
    return {"tasks": [task_facts.describe(known[last(w)]) for w in wanted if last(w) in known],
            "failures": [{"arn": w, "reason": "MISSING"} for w in wanted if last(w) not in known]}


@operation("ecs", "StopTask")
def stop_task(call):
    need_cluster(call)
    task = cloud.tasks_by_id.get(last(call.params["task"]))
    if task is None:
        raise invalid("The referenced task was not found.")
    task.stop("UserInitiated", call.params.get("reason", "Task stopped by user"))
    return {"task": task_facts.describe(task)}


@operation("ecs", "RunTask")
def run_task(call):
    p, cluster = call.params, need_cluster(call)
    configuration = p["networkConfiguration"]["awsvpcConfiguration"]
    definition = need_definition(p["taskDefinition"])
    subnet = configuration["subnets"][0]
    place = (subnet, network.zone_of(call.region, subnet), configuration.get("securityGroups", []),
             configuration.get("assignPublicIp") == "ENABLED")
    made = [Task(cloud, cluster["clusterName"], definition, place,
                 p.get("group", f"family:{definition['family']}"),
                 p.get("startedBy", ""), "FARGATE") for _ in range(p.get("count", 1))]
    return {"tasks": [task_facts.describe(t) for t in made], "failures": []}


@operation("ecs", "ListTagsForResource")
def list_tags(call):
    wanted = call.params["resourceArn"]
    for service in cloud.services.values():
        if service.arn == wanted:
            return {"tags": service.tags}
    for revisions in cloud.definitions.values():
        for definition in revisions:
            if definition["taskDefinitionArn"] == wanted:
                return {"tags": definition["_tags"]}
    cluster = cloud.clusters.get(last(wanted), {})
    return {"tags": cluster.get("tags", [])}


@operation("ecs", "TagResource", "UntagResource")
def tag_resource(call):
    match = re.match(rf"arn:aws:ecs:[\w-]+:{ACCOUNT}:", call.params["resourceArn"])
    if not match:
        raise invalid("Invalid resource ARN.")
    return {}
