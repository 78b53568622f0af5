#!/usr/bin/env python3
"""An account as people have it before they deploy: what the option sets in specs/ take for granted.

Each verb speaks to the emulator that AWS_ENDPOINT_URL names and prints JSON:
furnish  makes what the specs name; what stands in them → what there is now
search   switches transaction search on, as the first deploy does: first deploys at once cannot both
left     what costs money, kind → names
"""

import json
import sys

import boto3
from botocore.config import Config

REGION = "eu-central-1"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
ACCOUNT = f"arn:aws:%s:{REGION}:123456789012:%s"


def furnish(client):
    """What stands in the specs → what there is, by `client`, which makes a boto3 client of a service."""
    client("iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(EVERYTHING))
    client("logs").create_log_group(logGroupName="cloudtrail")
    certificate = client("acm").request_certificate(DomainName="mcp.example.com", ValidationMethod="DNS")
    secrets = client("secretsmanager")
    database = secrets.create_secret(Name="orders-db", SecretString='{"url": "postgres://db/orders"}')
    upstream = secrets.create_secret(Name="upstream", SecretString="let-me-in")
    return {
        ACCOUNT % ("acm", "certificate/0a1b2c3d"): certificate["CertificateArn"],
        ACCOUNT % ("kms", "key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"):
            client("kms").create_key()["KeyMetadata"]["Arn"],
        ACCOUNT % ("secretsmanager", "secret:orders-db-AbCdEf"): database["ARN"],
        ACCOUNT % ("secretsmanager", "secret:upstream-AbCdEf"): upstream["ARN"],
        **furnish_network(client("ec2"))}


def furnish_network(ec2):
    """A VPC with two public subnets and two private ones, whose way to the world is a NAT gateway."""
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = []
    for number, zone in enumerate("abab"):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.99.{number}.0/24", AvailabilityZone=REGION + zone)
        subnets.append(made["Subnet"]["SubnetId"])
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnets[2], AllocationId=address)["NatGateway"]["NatGatewayId"]
    for some, way in ((subnets[:2], {"NatGatewayId": nat}), (subnets[2:], {"GatewayId": gateway})):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **way)
        for subnet in some:
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    return {"vpc-0a1b2c3d4e5f60718": vpc,
            **{f"subnet-{i}a1b2c3d4e5f60718": subnet for i, subnet in enumerate(subnets)}}


def search(client):
    return client("xray").update_trace_segment_destination(Destination="CloudWatchLogs")["Status"]


def left(client):
    """What is billed by the month, or holds what is, kind → names."""
    def names(service, operation, rows, name, **words):
        found = getattr(client(service), operation)(**words)
        for part in rows.split("."):
            found = found.get(part) or []
        return sorted(row[name] if name else row for row in found)
    alive = [{"Name": "state", "Values": ["pending", "available"]}]
    return {
        "NAT gateways": names("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId", Filter=alive),
        "addresses": names("ec2", "describe_addresses", "Addresses", "AllocationId"),
        "endpoints": names("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId",
                           Filters=[{"Name": "vpc-endpoint-state", "Values": ["available"]}]),
        "networks": names("ec2", "describe_vpcs", "Vpcs", "VpcId"),
        "load balancers": names("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
        "firewalls": names("wafv2", "list_web_acls", "WebACLs", "Name", Scope="REGIONAL"),
        "clusters": names("ecs", "list_clusters", "clusterArns", ""),
        "repositories": names("ecr", "describe_repositories", "repositories", "repositoryName"),
        "file systems": names("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
        "buckets": names("s3", "list_buckets", "Buckets", "Name"),
        "streams": names("firehose", "list_delivery_streams", "DeliveryStreamNames", ""),
        "log groups": names("logs", "describe_log_groups", "logGroups", "logGroupName"),
        "alarms": names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "dashboards": names("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        "secrets": names("secretsmanager", "list_secrets", "SecretList", "Name"),
        "stacks": stacks(client("cloudformation"))}


def stacks(cloudformation):
    return sorted(stack["StackName"] for stack in cloudformation.list_stacks()["StackSummaries"]
                  if stack["StackStatus"] != "DELETE_COMPLETE")


def main():
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    verbs = {"furnish": furnish, "search": search, "left": left}
    found = verbs[sys.argv[1]](lambda service: boto3.client(service, region_name=REGION, config=config))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
