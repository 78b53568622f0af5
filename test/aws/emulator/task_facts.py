"""What a task tells: to ECS's API, and to itself by the task metadata endpoint."""

import datetime

from faults import Fault


def now():
    return datetime.datetime.now(datetime.UTC)


def describe(task):
    """As DescribeTasks."""
    container = {"containerArn": f"{task.arn}/c", "taskArn": task.arn, "name": task.container["name"],
                 "image": task.container["image"], "runtimeId": f"{task.id}-1",
                 "lastStatus": "RUNNING" if task.status == "STOPPING" else task.status,
                 "healthStatus": task.health, "networkInterfaces": [
                     {"attachmentId": task.id[:8], "privateIpv4Address": task.address}]}
    if task.exit_code is not None:
        container["exitCode"] = task.exit_code
    if task.container_reason:
        container["reason"] = task.container_reason
    details = [{"name": "subnetId", "value": task.subnet},
               {"name": "networkInterfaceId", "value": f"eni-{task.id[:17]}"},
               {"name": "privateIPv4Address", "value": task.address}]
    found = {
        "taskArn": task.arn, "clusterArn": task.arn.replace(":task/", ":cluster/").rsplit("/", 1)[0],
        "taskDefinitionArn": task.definition["taskDefinitionArn"], "group": task.group,
        "startedBy": task.started_by, "lastStatus": task.status, "desiredStatus": task.desired,
        "healthStatus": task.health, "availabilityZone": task.zone, "launchType": "FARGATE",
        "capacityProviderName": task.capacity, "cpu": task.definition.get("cpu", "256"),
        "memory": task.definition.get("memory", "512"), "containers": [container],
        "connectivity": "CONNECTED",
        "platformVersion": "1.4.0", "createdAt": task.created, "attachments": [
            {"id": task.id[:8], "type": "ElasticNetworkInterface", "status": "ATTACHED",
             "details": details}]}
    for name, value in (("startedAt", task.started), ("stoppingAt", task.stopping),
                        ("stoppedAt", task.stopped), ("stopCode", task.stop_code),
                        ("stoppedReason", task.reason)):
        if value and (name != "stopCode" or task.stopped or task.stopping):
            found[name] = value
    return found


def metadata(task, words):
    """Task metadata endpoint version 4, as on Fargate (task-metadata-endpoint-v4-fargate.html)."""
    if words == ["credentials"]:
        return {"AccessKeyId": task.role.key, "SecretAccessKey": task.role.secret, "Token": task.role.token,
                "Expiration": (now() + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "RoleArn": task.definition["taskRoleArn"]}
    network_block = {"NetworkMode": "awsvpc", "IPv4Addresses": [task.address],
                     "PrivateDNSName": f"ip-{task.address.replace('.', '-')}.ec2.internal"}
    container = {"DockerId": f"{task.id}-1", "Name": task.container["name"], "Image": task.container["image"],
                 "Limits": {"CPU": 2}, "DesiredStatus": task.desired, "KnownStatus": task.status,
                 "RestartCount": task.restarts, "Type": "NORMAL", "Networks": [network_block],
                 "ContainerARN": f"{task.arn}/c"}
    if words == ["v4"]:
        return container
    if words == ["v4", "task"]:
        return {"Cluster": task.cluster, "TaskARN": task.arn, "Family": task.definition["family"],
                "Revision": str(task.definition["revision"]), "DesiredStatus": task.desired,
                "KnownStatus": task.status, "AvailabilityZone": task.zone, "LaunchType": "FARGATE",
                "ServiceName": task.group.partition(":")[2], "Containers": [container],
                "Limits": {"CPU": int(task.definition["cpu"]) / 1024,
                           "Memory": int(task.definition["memory"])}}
    raise Fault("NotFound", "no such path", 404)
