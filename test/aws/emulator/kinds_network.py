"""EC2's network and the load balancer's resource types."""

from faults import Fault
from kinds import Kind, changed, kind, wait_until


@kind("AWS::EC2::VPC")
class Vpc(Kind):
    @staticmethod
    def create(ctx, p):
        vpc = ctx.call("ec2", "CreateVpc", p, drop=("Tags", "EnableDnsSupport", "EnableDnsHostnames"))["Vpc"]
        identity = vpc["VpcId"]
        ctx.initiated(identity)
        ctx.tag_ec2(identity, p)
        Vpc.update(ctx, identity, {}, p)
        groups = ctx.call("ec2", "DescribeSecurityGroups",
                          Filters=[{"Name": "vpc-id", "Values": [identity]}])["SecurityGroups"]
        return identity, {"VpcId": identity, "CidrBlock": vpc["CidrBlock"],
                          "DefaultSecurityGroup": groups[0]["GroupId"]}

    @staticmethod
    def update(ctx, physical, old, new):
        for name in ("EnableDnsSupport", "EnableDnsHostnames"):
            if name in new and changed(old, new, name):
                ctx.call("ec2", "ModifyVpcAttribute", {"VpcId": physical, name: {"Value": new[name]}})

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DeleteVpc", VpcId=physical)


@kind("AWS::EC2::Subnet")
class Subnet(Kind):
    @staticmethod
    def create(ctx, p):
        subnet = ctx.call("ec2", "CreateSubnet", p, drop=("Tags", "MapPublicIpOnLaunch"))["Subnet"]
        identity = subnet["SubnetId"]
        ctx.initiated(identity)
        ctx.tag_ec2(identity, p)
        if "MapPublicIpOnLaunch" in p:
            ctx.call("ec2", "ModifySubnetAttribute", SubnetId=identity,
                     MapPublicIpOnLaunch={"Value": p["MapPublicIpOnLaunch"]})
        return identity, {"SubnetId": identity, "AvailabilityZone": subnet["AvailabilityZone"],
                          "VpcId": subnet["VpcId"], "CidrBlock": subnet["CidrBlock"]}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DeleteSubnet", SubnetId=physical)


def plain(name, operation, answer, identity, delete, keep=(), wait=None):
    """A type of EC2 that one call makes and another deletes. `keep`: properties that go into tags alone."""
    @kind(name)
    class Plain(Kind):
        @staticmethod
        def create(ctx, p):
            made = ctx.call("ec2", operation, p, drop=("Tags", *keep))
            made = made[answer] if answer else made
            physical = made[identity]
            ctx.initiated(physical)
            ctx.tag_ec2(physical, p)
            return physical, {identity: physical, "Id": physical,
                              "AllocationId": made.get("AllocationId", ""),
                              "PublicIp": made.get("PublicIp", "")}

        @staticmethod
        def delete(ctx, physical, p):
            ctx.call("ec2", delete, **{identity: physical})
    return Plain


plain("AWS::EC2::InternetGateway", "CreateInternetGateway", "InternetGateway", "InternetGatewayId",
      "DeleteInternetGateway")
plain("AWS::EC2::RouteTable", "CreateRouteTable", "RouteTable", "RouteTableId", "DeleteRouteTable")
plain("AWS::EC2::NatGateway", "CreateNatGateway", "NatGateway", "NatGatewayId", "DeleteNatGateway")
plain("AWS::EC2::EIP", "AllocateAddress", None, "AllocationId", "ReleaseAddress")


@kind("AWS::EC2::VPCGatewayAttachment")
class GatewayAttachment(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("ec2", "AttachInternetGateway", p)
        return f"IGW|{p['VpcId']}", {}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DetachInternetGateway", p)


@kind("AWS::EC2::Route")
class Route(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("ec2", "CreateRoute", p)
        return f"{p['RouteTableId']}|{p['DestinationCidrBlock']}", {}

    @staticmethod
    def update(ctx, physical, old, new):
        ctx.call("ec2", "ReplaceRoute", new)

    @staticmethod
    def delete(ctx, physical, p):
        table, block = physical.split("|")
        ctx.call("ec2", "DeleteRoute", RouteTableId=table, DestinationCidrBlock=block)


@kind("AWS::EC2::SubnetRouteTableAssociation")
class RouteAssociation(Kind):
    @staticmethod
    def create(ctx, p):
        identity = ctx.call("ec2", "AssociateRouteTable", p)["AssociationId"]
        return identity, {"Id": identity}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DisassociateRouteTable", AssociationId=physical)


@kind("AWS::EC2::VPCEndpoint")
class Endpoint(Kind):
    @staticmethod
    def create(ctx, p):
        identity = ctx.call("ec2", "CreateVpcEndpoint", p)["VpcEndpoint"]["VpcEndpointId"]
        ctx.initiated(identity)
        ctx.tag_ec2(identity, p)
        return identity, {"Id": identity}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DeleteVpcEndpoints", VpcEndpointIds=[physical])


@kind("AWS::EC2::FlowLog")
class FlowLog(Kind):
    @staticmethod
    def create(ctx, p):
        answer = ctx.call("ec2", "CreateFlowLogs", p, drop=("Tags", "ResourceId"),
                          ResourceIds=[p["ResourceId"]])
        if answer.get("Unsuccessful"):
            raise Fault("InvalidRequest", answer["Unsuccessful"][0]["Error"]["Message"])
        return answer["FlowLogIds"][0], {"Id": answer["FlowLogIds"][0]}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DeleteFlowLogs", FlowLogIds=[physical])


# --- security groups ----------------------------------------------------------------------------------------

def permission(p):
    """One rule of CloudFormation as an IpPermission of the API."""
    found = {"IpProtocol": str(p["IpProtocol"])}
    if "FromPort" in p:
        found |= {"FromPort": int(p["FromPort"]), "ToPort": int(p.get("ToPort", p["FromPort"]))}
    note = {"Description": p["Description"]} if "Description" in p else {}
    group = p.get("SourceSecurityGroupId") or p.get("DestinationSecurityGroupId")
    prefix = p.get("SourcePrefixListId") or p.get("DestinationPrefixListId")
    if group:
        found["UserIdGroupPairs"] = [{"GroupId": group, **note}]
    if prefix:
        found["PrefixListIds"] = [{"PrefixListId": prefix, **note}]
    if "CidrIp" in p:
        found["IpRanges"] = [{"CidrIp": p["CidrIp"], **note}]
    if "CidrIpv6" in p:
        found["Ipv6Ranges"] = [{"CidrIpv6": p["CidrIpv6"], **note}]
    return found


EVERYTHING = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}


@kind("AWS::EC2::SecurityGroup")
class SecurityGroup(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("GroupName") or ctx.name(255)
        identity = ctx.call("ec2", "CreateSecurityGroup", GroupName=name, VpcId=p["VpcId"],
                            Description=p["GroupDescription"])["GroupId"]
        ctx.initiated(identity)
        ctx.tag_ec2(identity, p)
        SecurityGroup.update(ctx, identity, {"SecurityGroupEgress": [EVERYTHING]},
                             {"SecurityGroupEgress": [EVERYTHING], **p})
        return identity, {"GroupId": identity, "Id": identity, "VpcId": p["VpcId"]}

    @staticmethod
    def update(ctx, physical, old, new):
        for name, way in (("SecurityGroupIngress", "Ingress"), ("SecurityGroupEgress", "Egress")):
            before, after = old.get(name, []), new.get(name, [])
            for verb, rules in (("Revoke", [r for r in before if r not in after]),
                                ("Authorize", [r for r in after if r not in before])):
                if rules:
                    ctx.call("ec2", f"{verb}SecurityGroup{way}", GroupId=physical,
                             IpPermissions=[permission(r) for r in rules])

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", "DeleteSecurityGroup", GroupId=physical)

    @staticmethod
    def live(ctx, physical, p):
        """Rules that came from elsewhere are the drift that matters: a port opened by hand."""
        ctx.call("ec2", "DescribeSecurityGroups", GroupIds=[physical])
        rules = ctx.call("ec2", "DescribeSecurityGroupRules",
                         Filters=[{"Name": "group-id", "Values": [physical]}])["SecurityGroupRules"]
        own = {r.physical for r in ctx.stack.resources.values()
               if r.kind.startswith("AWS::EC2::SecurityGroup")}
        alien = [r for r in rules if not r["IsEgress"] and r.get("CidrIpv4")
                 and r["SecurityGroupRuleId"] not in own]
        wanted = p.get("SecurityGroupIngress", [])
        seen = {(r["IpProtocol"], str(r.get("FromPort", -1)), r["CidrIpv4"]) for r in alien}
        said = {(str(r["IpProtocol"]), str(r.get("FromPort", -1)), r.get("CidrIp")) for r in wanted}
        more = [{"IpProtocol": a, "FromPort": b, "CidrIp": c} for a, b, c in sorted(seen - said)]
        return {"SecurityGroupIngress": wanted + more} if more or wanted else {"GroupDescription":
                                                                               p["GroupDescription"]}


@kind("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
class SecurityGroupRule(Kind):
    @staticmethod
    def way(p):
        return "Egress" if any(n.startswith("Destination") for n in p) else "Ingress"

    @staticmethod
    def create(ctx, p):
        answer = ctx.call("ec2", f"AuthorizeSecurityGroup{SecurityGroupRule.way(p)}", GroupId=p["GroupId"],
                          IpPermissions=[permission(p)])
        identity = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return identity, {"Id": identity}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("ec2", f"RevokeSecurityGroup{SecurityGroupRule.way(p)}", GroupId=p["GroupId"],
                 IpPermissions=[permission(p)])


# --- Elastic Load Balancing ---------------------------------------------------------------------------------

def attributes_of(p, name):
    return [{"Key": a["Key"], "Value": str(a["Value"]).lower() if isinstance(a["Value"], bool)
             else str(a["Value"])} for a in p.get(name, [])]


@kind("AWS::ElasticLoadBalancingV2::LoadBalancer")
class LoadBalancer(Kind):
    @staticmethod
    def create(ctx, p):
        made = ctx.call("elbv2", "CreateLoadBalancer", p, drop=("Tags", "Name", "LoadBalancerAttributes"),
                        Name=p.get("Name") or ctx.name(32), Tags=ctx.tags(p))["LoadBalancers"][0]
        arn = made["LoadBalancerArn"]
        ctx.initiated(arn)
        LoadBalancer.update(ctx, arn, {}, {"LoadBalancerAttributes": p.get("LoadBalancerAttributes", [])})
        return arn, {"LoadBalancerArn": arn, "DNSName": made["DNSName"],
                     "LoadBalancerName": made["LoadBalancerName"],
                     "CanonicalHostedZoneID": made["CanonicalHostedZoneId"],
                     "LoadBalancerFullName": arn.split("loadbalancer/")[1]}

    @staticmethod
    def update(ctx, physical, old, new):
        attributes = attributes_of(new, "LoadBalancerAttributes")
        if attributes and changed(old, new, "LoadBalancerAttributes"):
            ctx.call("elbv2", "ModifyLoadBalancerAttributes", LoadBalancerArn=physical, Attributes=attributes)
        if old and changed(old, new, "SecurityGroups"):
            ctx.call("elbv2", "SetSecurityGroups", LoadBalancerArn=physical,
                     SecurityGroups=new["SecurityGroups"])
        if old and changed(old, new, "Subnets"):
            ctx.call("elbv2", "SetSubnets", LoadBalancerArn=physical, Subnets=new["Subnets"])

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("elbv2", "DeleteLoadBalancer", LoadBalancerArn=physical)

    @staticmethod
    def live(ctx, physical, p):
        ctx.call("elbv2", "DescribeLoadBalancers", LoadBalancerArns=[physical])
        rows = ctx.call("elbv2", "DescribeLoadBalancerAttributes", LoadBalancerArn=physical)["Attributes"]
        now = {row["Key"]: row["Value"] for row in rows}
        wanted = p.get("LoadBalancerAttributes", [])
        if not wanted:
            return {}
        # The API answers text where a template may have a number or a truth value.
        changed = {key: value for key, value in now.items()
                   for one in wanted if one["Key"] == key and str(one["Value"]).lower() != value.lower()}
        return {"LoadBalancerAttributes": [
            {**one, "Value": changed.get(one["Key"], one["Value"])} for one in wanted]}


TARGET_GROUP_CHANGES = ("HealthCheckEnabled", "HealthCheckIntervalSeconds", "HealthCheckPath",
                        "HealthCheckPort",
                        "HealthCheckProtocol", "HealthCheckTimeoutSeconds", "HealthyThresholdCount",
                        "Matcher",
                        "UnhealthyThresholdCount")


@kind("AWS::ElasticLoadBalancingV2::TargetGroup")
class TargetGroup(Kind):
    @staticmethod
    def create(ctx, p):
        if int(p.get("HealthCheckTimeoutSeconds", 5)) >= int(p.get("HealthCheckIntervalSeconds", 30)):
            raise Fault("InvalidRequest", "Health check timeout must be smaller than the interval")
        made = ctx.call("elbv2", "CreateTargetGroup", p, drop=("Tags", "Name", "TargetGroupAttributes"),
                        Name=p.get("Name") or ctx.name(32), Tags=ctx.tags(p))["TargetGroups"][0]
        arn = made["TargetGroupArn"]
        ctx.initiated(arn)
        TargetGroup.update(ctx, arn, {}, {"TargetGroupAttributes": p.get("TargetGroupAttributes", [])})
        return arn, {"TargetGroupArn": arn, "TargetGroupFullName": arn.split(":")[-1],
                     "TargetGroupName": made["TargetGroupName"]}

    @staticmethod
    def update(ctx, physical, old, new):
        attributes = attributes_of(new, "TargetGroupAttributes")
        if attributes and changed(old, new, "TargetGroupAttributes"):
            ctx.call("elbv2", "ModifyTargetGroupAttributes", TargetGroupArn=physical, Attributes=attributes)
        if old and changed(old, new, *TARGET_GROUP_CHANGES):
            own = {k: v for k, v in new.items() if k in TARGET_GROUP_CHANGES}
            ctx.call("elbv2", "ModifyTargetGroup", own, TargetGroupArn=physical)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("elbv2", "DeleteTargetGroup", TargetGroupArn=physical)


@kind("AWS::ElasticLoadBalancingV2::Listener")
class Listener(Kind):
    @staticmethod
    def create(ctx, p):
        made = ctx.call("elbv2", "CreateListener", p, drop=("Tags", "ListenerAttributes"))["Listeners"][0]
        arn = made["ListenerArn"]
        ctx.initiated(arn)
        attributes = attributes_of(p, "ListenerAttributes")
        if attributes:
            ctx.call("elbv2", "ModifyListenerAttributes", ListenerArn=arn, Attributes=attributes)
        ctx.cloud.balancer.changed()
        return arn, {"ListenerArn": arn}

    @staticmethod
    def update(ctx, physical, old, new):
        ctx.call("elbv2", "ModifyListener", new, drop=("Tags", "ListenerAttributes", "LoadBalancerArn"),
                 ListenerArn=physical)
        if changed(old, new, "ListenerAttributes"):
            ctx.call("elbv2", "ModifyListenerAttributes", ListenerArn=physical,
                     Attributes=attributes_of(new, "ListenerAttributes"))
        ctx.cloud.balancer.changed()

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("elbv2", "DeleteListener", ListenerArn=physical)
        ctx.cloud.balancer.changed()


@kind("AWS::ElasticLoadBalancingV2::ListenerRule")
class ListenerRule(Kind):
    @staticmethod
    def create(ctx, p):
        arn = ctx.call("elbv2", "CreateRule", p)["Rules"][0]["RuleArn"]
        ctx.cloud.balancer.changed()
        return arn, {"RuleArn": arn}

    @staticmethod
    def update(ctx, physical, old, new):
        ctx.call("elbv2", "ModifyRule", RuleArn=physical, Conditions=new["Conditions"],
                 Actions=new["Actions"])
        if changed(old, new, "Priority"):
            ctx.call("elbv2", "SetRulePriorities",
                     RulePriorities=[{"RuleArn": physical, "Priority": new["Priority"]}])
        ctx.cloud.balancer.changed()

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("elbv2", "DeleteRule", RuleArn=physical)
        ctx.cloud.balancer.changed()


@kind("AWS::ElasticLoadBalancingV2::ListenerCertificate")
class ListenerCertificate(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("elbv2", "AddListenerCertificates", p)
        return f"{p['ListenerArn']}|certificates", {}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("elbv2", "RemoveListenerCertificates", p)


# --- names and certificates ---------------------------------------------------------------------------------

@kind("AWS::Route53::RecordSet")
class RecordSet(Kind):
    @staticmethod
    def change(ctx, p, action):
        own = {k: v for k, v in p.items() if k not in ("HostedZoneId", "HostedZoneName", "Comment")}
        if "ResourceRecords" in own:
            own["ResourceRecords"] = [{"Value": v} for v in own["ResourceRecords"]]
        if "AliasTarget" in own:
            own["AliasTarget"] = {"EvaluateTargetHealth": False, **own["AliasTarget"]}
        ctx.call("route53", "ChangeResourceRecordSets", HostedZoneId=p["HostedZoneId"],
                 ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": own}]})

    @staticmethod
    def create(ctx, p):
        RecordSet.change(ctx, p, "CREATE")
        return p["Name"], {}

    @staticmethod
    def update(ctx, physical, old, new):
        RecordSet.change(ctx, new, "UPSERT")

    @staticmethod
    def delete(ctx, physical, p):
        RecordSet.change(ctx, p, "DELETE")


@kind("AWS::CertificateManager::Certificate")
class Certificate(Kind):
    @staticmethod
    def create(ctx, p):
        own = {**p, "DomainValidationOptions": [
            {k: v for k, v in o.items() if k != "HostedZoneId"} for o in p.get("DomainValidationOptions",
                                                                               [])]}
        own["DomainValidationOptions"] = [o for o in own["DomainValidationOptions"]
                                          if "ValidationDomain" in o]
        arn = ctx.call("acm", "RequestCertificate", {k: v for k, v in own.items() if v != []},
                       Tags=ctx.tags(p))["CertificateArn"]
        ctx.initiated(arn)
        zoned = [o for o in p.get("DomainValidationOptions", []) if "HostedZoneId" in o]
        if ctx.cloud.mishaps.get("unvalidated") or not zoned:
            ctx.cloud.wait(lambda: not ctx.cloud.mishaps.get("unvalidated"), 10)
            if ctx.cloud.mishaps.get("unvalidated"):
                raise Fault("NotStabilized", "Certificate has not been validated: no CNAME record answered")
        for option in zoned:
            ctx.call("route53", "GetHostedZone", Id=option["HostedZoneId"])
            ctx.call("route53", "ChangeResourceRecordSets", HostedZoneId=option["HostedZoneId"], ChangeBatch={
                "Changes": [{"Action": "UPSERT", "ResourceRecordSet": {
                    "Name": f"_validate.{p['DomainName']}", "Type": "CNAME", "TTL": 300,
                    "ResourceRecords": [{"Value": "_x.acm-validations.aws."}]}}]})
        wait_until(ctx, "the certificate's validation", lambda: True)
        return arn, {"CertificateArn": arn}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("acm", "DeleteCertificate", CertificateArn=physical)
