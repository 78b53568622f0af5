"""ECS's resource types."""

import copy

from botocore import xform_name

import schemas
from faults import Fault
from kinds import Kind, convert, kind

STABLE_SECONDS_MAX = 3 * 3600    # how long CloudFormation waits for a service without a circuit breaker


@kind("AWS::ECS::Cluster")
class Cluster(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("ClusterName") or ctx.name(64)
        own = {("Settings" if k == "ClusterSettings" else k): v for k, v in p.items()}
        made = ctx.call("ecs", "CreateCluster", own, drop=("Tags", "ClusterName"), ClusterName=name,
                        tags=ctx.tags(p, ("key", "value")))["cluster"]
        return name, {"Arn": made["clusterArn"]}

    @staticmethod
    def update(ctx, physical, old, new):
        own = {("Settings" if k == "ClusterSettings" else k): v for k, v in new.items()
               if k in ("ClusterSettings", "Configuration")}
        ctx.call("ecs", "UpdateCluster", own, cluster=physical)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ecs", "DeleteCluster", cluster=physical)


@kind("AWS::ECS::ClusterCapacityProviderAssociations")
class Associations(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("ecs", "PutClusterCapacityProviders", p)
        return p["Cluster"], {}

    @staticmethod
    def update(ctx, physical, old, new):
        ctx.call("ecs", "PutClusterCapacityProviders", new)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ecs", "PutClusterCapacityProviders", cluster=physical, capacityProviders=[],
                 defaultCapacityProviderStrategy=[])


@kind("AWS::ECS::TaskDefinition")
class TaskDefinition(Kind):
    @staticmethod
    def create(ctx, p):
        family = p.get("Family") or ctx.name(64)
        made = ctx.call("ecs", "RegisterTaskDefinition", p, drop=("Tags", "Family"), family=family,
                        tags=ctx.tags(p, ("key", "value")))["taskDefinition"]
        return made["taskDefinitionArn"], {"TaskDefinitionArn": made["taskDefinitionArn"]}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ecs", "DeregisterTaskDefinition", taskDefinition=physical)


def young_properties(value, path=""):
    """What botocore's model does not know yet: "Monitoring", "DeploymentConfiguration/Early…" → value."""
    found = {}
    for name in list(value):
        where = f"{path}/{name}".lstrip("/")
        if where in schemas.NEWER["AWS::ECS::Service"]:
            found[where] = value.pop(name)
        elif isinstance(value[name], dict):
            found |= young_properties(value[name], where)
    return found


@kind("AWS::ECS::Service")
class EcsService(Kind):
    ONLY_CREATE = ("ServiceName", "Tags", "Role", "SchedulingStrategy", "LaunchType", "DeploymentController",
                   "ForceNewDeployment")

    @staticmethod
    def send(ctx, operation, p, **more):
        own = copy.deepcopy({k: v for k, v in p.items() if k not in ("Tags", "ServiceName",
                                                                     "ForceNewDeployment")})
        young_properties(own)
        client = ctx.cloud.client(ctx.caller, "ecs", ctx.region)
        shape = client.meta.service_model.operation_model(operation).input_shape
        return getattr(client, xform_name(operation))(**convert(shape, {**own, **more}, operation))["service"]

    @staticmethod
    def hold_young(ctx, arn, p):
        """The newest properties go straight to the service, as the API will take them one day."""
        young = young_properties(copy.deepcopy(p))
        service = next(s for s in ctx.cloud.services.values() if s.arn == arn)
        for where, value in young.items():
            value = camel(value)
            if where.endswith("/EarlySuccessCriteria"):
                service.deployment_configuration["earlySuccessCriteria"] = value
            elif where.endswith("/ThresholdConfiguration"):
                service.deployment_configuration["deploymentCircuitBreaker"]["thresholdConfiguration"] = value
            elif where.endswith("/ResetOnHealthyTask"):
                service.deployment_configuration["deploymentCircuitBreaker"]["resetOnHealthyTask"] = value
            elif where == "Monitoring":
                service.settings["monitoring"] = value
        service.deployments[0].configuration = service.deployment_configuration

    @staticmethod
    def create(ctx, p):
        more = {} if "DesiredCount" in p else {"desiredCount": 1}
        made = EcsService.send(ctx, "CreateService", p, serviceName=p.get("ServiceName") or ctx.name(64),
                               tags=ctx.tags(p, ("key", "value")), **more)
        ctx.initiated(made["serviceArn"])
        EcsService.hold_young(ctx, made["serviceArn"], p)
        EcsService.stabilize(ctx, made)
        return made["serviceArn"], {"Name": made["serviceName"], "ServiceArn": made["serviceArn"]}

    @staticmethod
    def update(ctx, physical, old, new):
        own = {k: v for k, v in new.items() if k not in EcsService.ONLY_CREATE}
        if old.get("DesiredCount") == new.get("DesiredCount"):
            own.pop("DesiredCount", None)
        force = old.get("ForceNewDeployment") != new.get("ForceNewDeployment")
        made = EcsService.send(ctx, "UpdateService", {k: v for k, v in own.items() if k != "Cluster"},
                               cluster=physical.split("/")[1], service=physical, forceNewDeployment=force)
        EcsService.hold_young(ctx, physical, own)
        EcsService.stabilize(ctx, made)

    @staticmethod
    def stabilize(ctx, service):
        """Until the deployment is over; a broken circuit fails the resource."""
        seen = {}

        def over():
            row = ctx.call("ecs", "DescribeServices", cluster=service["clusterArn"],
                           services=[service["serviceArn"]])["services"][0]
            seen["state"] = next((d["rolloutState"] for d in row["deployments"]
                                  if d["id"] == service["deployments"][0]["id"]), None)
            primary = row["deployments"][0]
            seen["rolled_back"] = primary["id"] != service["deployments"][0]["id"]
            return seen["state"] in ("COMPLETED", "FAILED") or seen["rolled_back"]
        done = ctx.cloud.wait(over, STABLE_SECONDS_MAX)
        if seen.get("state") == "FAILED" or seen.get("rolled_back"):
            raise Fault("GeneralServiceException", "Error occurred during operation 'ECS Deployment Circuit "
                        "Breaker was triggered'.")
        if not done:
            raise Fault("NotStabilized", f"Service {service['serviceArn']} did not stabilize.")

    @staticmethod
    def delete(ctx, physical, p):
        cluster = physical.split("/")[1]
        ctx.call("ecs", "DeleteService", cluster=cluster, service=physical, force=True)

        def gone():
            rows = ctx.call("ecs", "DescribeServices", cluster=cluster, services=[physical])["services"]
            return not rows or rows[0]["status"] == "INACTIVE"
        if not ctx.cloud.wait(gone, 900):
            raise Fault("NotStabilized", "The service still has tasks.")

    @staticmethod
    def live(ctx, physical, p):
        rows = ctx.call("ecs", "DescribeServices", cluster=physical.split("/")[1],
                        services=[physical])["services"]
        if not rows or rows[0]["status"] != "ACTIVE":
            return None
        return {"TaskDefinition": rows[0]["taskDefinition"],
                **({"DesiredCount": type(p["DesiredCount"])(rows[0]["desiredCount"])} if "DesiredCount" in p
                   else {})}


def camel(value):
    if isinstance(value, dict):
        return {k[0].lower() + k[1:]: camel(v) for k, v in value.items()}
    if isinstance(value, list):
        return [camel(item) for item in value]
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if isinstance(value, str) and value.isdigit() else value
