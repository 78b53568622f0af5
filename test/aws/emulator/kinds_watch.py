"""Resource types that watch, announce, scale, protect and distribute."""

import json
import uuid

from access import ACCOUNT, authorize
from faults import Fault
from kinds import Kind, changed, convert, kind, policy_text


def putting(name, service, operation, identity, remove, attributes=lambda ctx, physical, answer: {},
            drop=("Tags",), longest=128):
    """A type whose create and update are one idempotent Put. `identity`: the property that names it."""
    @kind(name)
    class Putting(Kind):
        @staticmethod
        def create(ctx, p):
            physical = p.get(identity) or ctx.name(longest)
            answer = ctx.call(service, operation, {**p, identity: physical}, drop=drop)
            return physical, attributes(ctx, physical, answer)

        @staticmethod
        def update(ctx, physical, old, new):
            ctx.call(service, operation, {**new, identity: physical}, drop=drop)

        @staticmethod
        def delete(ctx, physical, p):
            removal, argument = remove
            ctx.call(service, removal, **{argument: [physical] if argument.endswith("s") else physical})
    return Putting


def cloudwatch_arn(ctx, physical):
    return {"Arn": f"arn:aws:cloudwatch:{ctx.region}:{ACCOUNT}:alarm:{physical}"}


putting("AWS::CloudWatch::Alarm", "cloudwatch", "PutMetricAlarm", "AlarmName", ("DeleteAlarms", "AlarmNames"),
        attributes=lambda ctx, physical, _: cloudwatch_arn(ctx, physical))
putting("AWS::CloudWatch::CompositeAlarm", "cloudwatch", "PutCompositeAlarm", "AlarmName",
        ("DeleteAlarms", "AlarmNames"), attributes=lambda ctx, physical, _: cloudwatch_arn(ctx, physical))


@kind("AWS::CloudWatch::Dashboard")
class Dashboard(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("DashboardName") or ctx.name()
        json.loads(p["DashboardBody"])
        ctx.call("cloudwatch", "PutDashboard", DashboardName=name, DashboardBody=p["DashboardBody"])
        return name, {}

    @staticmethod
    def update(ctx, physical, old, new):
        Dashboard.create(ctx, {**new, "DashboardName": physical})

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("cloudwatch", "DeleteDashboards", DashboardNames=[physical])


@kind("AWS::Events::Rule")
class EventRule(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("Name") or ctx.name()
        own = {k: v for k, v in p.items() if k not in ("Name", "Targets", "EventPattern")}
        if "EventPattern" in p:
            own["EventPattern"] = policy_text(p["EventPattern"])
        arn = ctx.call("events", "PutRule", own, Name=name)["RuleArn"]
        ctx.initiated(name)
        if p.get("Targets"):
            ctx.call("events", "PutTargets", Rule=name, Targets=p["Targets"])
        return name, {"Arn": arn}

    @staticmethod
    def update(ctx, physical, old, new):
        EventRule.create(ctx, {**new, "Name": physical})

    @staticmethod
    def delete(ctx, physical, p):
        if p.get("Targets"):
            ctx.call("events", "RemoveTargets", Rule=physical, Ids=[t["Id"] for t in p["Targets"]])
        ctx.call("events", "DeleteRule", Name=physical)


# --- SNS ----------------------------------------------------------------------------------------------------

@kind("AWS::SNS::Topic")
class Topic(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("TopicName") or ctx.name()
        attributes = {k: str(p[k]) for k in ("KmsMasterKeyId", "DisplayName") if k in p}
        arn = ctx.call("sns", "CreateTopic", Name=name, Attributes=attributes, Tags=ctx.tags(p))["TopicArn"]
        ctx.initiated(arn)
        for subscription in p.get("Subscription", []):
            ctx.call("sns", "Subscribe", subscription, TopicArn=arn)
        return arn, {"TopicArn": arn, "TopicName": name}

    @staticmethod
    def update(ctx, physical, old, new):
        for name in ("KmsMasterKeyId", "DisplayName"):
            if name in new and changed(old, new, name):
                ctx.call("sns", "SetTopicAttributes", TopicArn=physical, AttributeName=name,
                         AttributeValue=new[name])
        for subscription in new.get("Subscription", []):
            if subscription not in old.get("Subscription", []):
                ctx.call("sns", "Subscribe", subscription, TopicArn=physical)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("sns", "DeleteTopic", TopicArn=physical)


@kind("AWS::SNS::TopicPolicy")
class TopicPolicy(Kind):
    @staticmethod
    def create(ctx, p):
        for topic in p["Topics"]:
            ctx.call("sns", "SetTopicAttributes", TopicArn=topic, AttributeName="Policy",
                     AttributeValue=policy_text(p["PolicyDocument"]))
        return ctx.name(), {}

    @staticmethod
    def update(ctx, physical, old, new):
        TopicPolicy.create(ctx, new)


@kind("AWS::SNS::Subscription")
class Subscription(Kind):
    @staticmethod
    def create(ctx, p):
        own = {k: p[k] for k in ("TopicArn", "Protocol", "Endpoint") if k in p}
        arn = ctx.call("sns", "Subscribe", own, ReturnSubscriptionArn=True)["SubscriptionArn"]
        return arn, {"Arn": arn}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("sns", "Unsubscribe", SubscriptionArn=physical)


# --- Application Auto Scaling -------------------------------------------------------------------------------

WHERE = ("ServiceNamespace", "ScalableDimension", "ResourceId")


@kind("AWS::ApplicationAutoScaling::ScalableTarget")
class ScalableTarget(Kind):
    @staticmethod
    def create(ctx, p):
        own = {k: p[k] for k in (*WHERE, "MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState") if k in p}
        ctx.call("application-autoscaling", "RegisterScalableTarget", own)
        place = {k: p[k] for k in WHERE}
        for action in p.get("ScheduledActions", []):
            ctx.call("application-autoscaling", "PutScheduledAction", action, **place)
        return "|".join(p[k] for k in ("ResourceId", "ScalableDimension", "ServiceNamespace")), {}

    @staticmethod
    def update(ctx, physical, old, new):
        names = {a["ScheduledActionName"] for a in new.get("ScheduledActions", [])}
        for action in old.get("ScheduledActions", []):
            if action["ScheduledActionName"] not in names:
                ctx.call("application-autoscaling", "DeleteScheduledAction", {k: new[k] for k in WHERE},
                         ScheduledActionName=action["ScheduledActionName"])
        ScalableTarget.create(ctx, new)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("application-autoscaling", "DeregisterScalableTarget", {k: p[k] for k in WHERE})


@kind("AWS::ApplicationAutoScaling::ScalingPolicy")
class ScalingPolicy(Kind):
    @staticmethod
    def place(p):
        if "ScalingTargetId" in p:
            resource, dimension, namespace = p["ScalingTargetId"].split("|")
            return {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}
        return {k: p[k] for k in WHERE}

    @staticmethod
    def create(ctx, p):
        own = {k: v for k, v in p.items() if k not in ("ScalingTargetId", *WHERE)}
        arn = ctx.call("application-autoscaling", "PutScalingPolicy", own,
                       **ScalingPolicy.place(p))["PolicyARN"]
        return arn, {"Arn": arn}

    @staticmethod
    def update(ctx, physical, old, new):
        ScalingPolicy.create(ctx, new)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("application-autoscaling", "DeleteScalingPolicy", PolicyName=p["PolicyName"],
                 **ScalingPolicy.place(p))


# --- WAF ----------------------------------------------------------------------------------------------------

@kind("AWS::WAFv2::WebACL")
class WebAcl(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("Name") or ctx.name()
        made = ctx.call("wafv2", "CreateWebACL", {**p, "Name": name})["Summary"]
        physical = f"{name}|{made['Id']}|{p['Scope']}"
        return physical, {"Arn": made["ARN"], "Id": made["Id"]}

    @staticmethod
    def update(ctx, physical, old, new):
        name, identity, scope = physical.split("|")
        lock = ctx.call("wafv2", "GetWebACL", Name=name, Id=identity, Scope=scope)["LockToken"]
        ctx.call("wafv2", "UpdateWebACL", new, drop=("Tags", "Name", "Scope"), Name=name, Id=identity,
                 Scope=scope, LockToken=lock)

    @staticmethod
    def delete(ctx, physical, p):
        name, identity, scope = physical.split("|")
        lock = ctx.call("wafv2", "GetWebACL", Name=name, Id=identity, Scope=scope)["LockToken"]
        ctx.call("wafv2", "DeleteWebACL", Name=name, Id=identity, Scope=scope, LockToken=lock)


@kind("AWS::WAFv2::IPSet")
class IpSet(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("Name") or ctx.name()
        made = ctx.call("wafv2", "CreateIPSet", {**p, "Name": name})["Summary"]
        return f"{name}|{made['Id']}|{p['Scope']}", {"Arn": made["ARN"], "Id": made["Id"]}

    @staticmethod
    def update(ctx, physical, old, new):
        name, identity, scope = physical.split("|")
        lock = ctx.call("wafv2", "GetIPSet", Name=name, Id=identity, Scope=scope)["LockToken"]
        own = {k: new[k] for k in ("Description", "Addresses") if k in new}
        ctx.call("wafv2", "UpdateIPSet", own, Name=name, Id=identity, Scope=scope, LockToken=lock)

    @staticmethod
    def delete(ctx, physical, p):
        name, identity, scope = physical.split("|")
        lock = ctx.call("wafv2", "GetIPSet", Name=name, Id=identity, Scope=scope)["LockToken"]
        ctx.call("wafv2", "DeleteIPSet", Name=name, Id=identity, Scope=scope, LockToken=lock)


@kind("AWS::WAFv2::WebACLAssociation")
class WebAclAssociation(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("wafv2", "AssociateWebACL", p)
        return f"{p['ResourceArn']}|{p['WebACLArn']}", {}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("wafv2", "DisassociateWebACL", ResourceArn=p["ResourceArn"])


# --- CloudFront and X-Ray: checked against the API's model, then held here ----------------------------------

def check_shape(ctx, service, operation, member, value):
    """What the API would refuse: unknown names, wrong types, missing members."""
    client = ctx.cloud.client(ctx.caller, service, ctx.region)
    shape = client.meta.service_model.operation_model(operation).input_shape.members[member]
    return convert(shape, value, f"{operation}.{member}")


@kind("AWS::CloudFront::Function")
class ViewerFunction(Kind):
    @staticmethod
    def create(ctx, p):
        authorize(ctx.caller, "cloudfront:CreateFunction", None)
        check_shape(ctx, "cloudfront", "CreateFunction", "FunctionConfig", p["FunctionConfig"])
        arn = f"arn:aws:cloudfront::{ACCOUNT}:function/{p['Name']}"
        return arn, {"FunctionARN": arn, "FunctionMetadata.FunctionARN": arn, "Stage": "LIVE"}

    @staticmethod
    def update(ctx, physical, old, new):
        authorize(ctx.caller, "cloudfront:UpdateFunction", None)

    @staticmethod
    def delete(ctx, physical, p):
        authorize(ctx.caller, "cloudfront:DeleteFunction", None)


@kind("AWS::CloudFront::VpcOrigin")
class VpcOrigin(Kind):
    @staticmethod
    def create(ctx, p):
        authorize(ctx.caller, "cloudfront:CreateVpcOrigin", None)
        check_shape(ctx, "cloudfront", "CreateVpcOrigin", "VpcOriginEndpointConfig",
                    {k: v for k, v in p["VpcOriginEndpointConfig"].items()})
        identity = "vo_" + uuid.uuid4().hex[:20]
        ctx.cloud.vpc_origins[identity] = p["VpcOriginEndpointConfig"]
        arn = f"arn:aws:cloudfront::{ACCOUNT}:vpcorigin/{identity}"
        return identity, {"Id": identity, "Arn": arn}

    @staticmethod
    def update(ctx, physical, old, new):
        authorize(ctx.caller, "cloudfront:UpdateVpcOrigin", None)
        ctx.cloud.vpc_origins[physical] = new["VpcOriginEndpointConfig"]

    @staticmethod
    def delete(ctx, physical, p):
        authorize(ctx.caller, "cloudfront:DeleteVpcOrigin", None)
        ctx.cloud.vpc_origins.pop(physical, None)


@kind("AWS::CloudFront::Distribution")
class Distribution(Kind):
    @staticmethod
    def hold(ctx, physical, p, domain):
        config = p["DistributionConfig"]
        vpc_origins = []
        for origin in config["Origins"]:
            identity = origin.get("VpcOriginConfig", {}).get("VpcOriginId")
            if identity is not None:
                vpc_origins.append(ctx.cloud.vpc_origins[identity])
        ctx.cloud.distributions[physical] = {"domain": domain, "origins": vpc_origins, "config": config}
        ctx.cloud.balancer.changed()

    @staticmethod
    def create(ctx, p):
        authorize(ctx.caller, "cloudfront:CreateDistribution", None)
        behaviour = p["DistributionConfig"]["DefaultCacheBehavior"]
        if behaviour["TargetOriginId"] not in [o["Id"] for o in p["DistributionConfig"]["Origins"]]:
            raise Fault("InvalidRequest", "The specified origin does not exist")
        identity = "E" + uuid.uuid4().hex[:13].upper()
        domain = f"d{uuid.uuid4().hex[:13]}.cloudfront.net"
        Distribution.hold(ctx, identity, p, domain)
        return identity, {"Id": identity, "DomainName": domain}

    @staticmethod
    def update(ctx, physical, old, new):
        authorize(ctx.caller, "cloudfront:UpdateDistribution", None)
        Distribution.hold(ctx, physical, new, ctx.cloud.distributions[physical]["domain"])

    @staticmethod
    def delete(ctx, physical, p):
        authorize(ctx.caller, "cloudfront:DeleteDistribution", None)
        ctx.cloud.distributions.pop(physical, None)
        ctx.cloud.balancer.changed()


@kind("AWS::XRay::TransactionSearchConfig")
class TransactionSearch(Kind):
    @staticmethod
    def create(ctx, p):
        authorize(ctx.caller, "xray:UpdateTraceSegmentDestination", None)
        if ctx.cloud.transaction_search is not None:
            raise Fault("AlreadyExists", "Transaction search is configured already")
        ctx.cloud.transaction_search = p.get("IndexingPercentage", 1)
        return ACCOUNT, {"AccountId": ACCOUNT}

    @staticmethod
    def update(ctx, physical, old, new):
        ctx.cloud.transaction_search = new.get("IndexingPercentage", 1)

    @staticmethod
    def delete(ctx, physical, p):
        authorize(ctx.caller, "xray:UpdateTraceSegmentDestination", None)
        ctx.cloud.transaction_search = None
