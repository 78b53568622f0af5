"""Resource types that hold something: file system, buckets, registry, secrets, roles, logs; and backups."""

import json

from botocore.exceptions import ClientError

from faults import Fault
from kinds import Kind, changed, kind, policy_text

# --- EFS ----------------------------------------------------------------------------------------------------


@kind("AWS::EFS::FileSystem")
class FileSystem(Kind):
    @staticmethod
    def create(ctx, p):
        own = {k: p[k] for k in ("Encrypted", "KmsKeyId", "PerformanceMode", "ThroughputMode") if k in p}
        tags = ctx.tags({"Tags": p.get("FileSystemTags", [])})
        made = ctx.call("efs", "CreateFileSystem", own, CreationToken=ctx.name(64), Tags=tags)
        ctx.initiated(made["FileSystemId"])
        FileSystem.update(ctx, made["FileSystemId"], {}, p)
        return made["FileSystemId"], {"Arn": made["FileSystemArn"], "FileSystemId": made["FileSystemId"]}

    @staticmethod
    def update(ctx, physical, old, new):
        if changed(old, new, "LifecyclePolicies"):
            ctx.call("efs", "PutLifecycleConfiguration", FileSystemId=physical,
                     LifecyclePolicies=new.get("LifecyclePolicies", []))
        if changed(old, new, "BackupPolicy"):
            ctx.call("efs", "PutBackupPolicy", FileSystemId=physical, BackupPolicy=new["BackupPolicy"])
        if changed(old, new, "FileSystemPolicy"):
            ctx.call("efs", "PutFileSystemPolicy", FileSystemId=physical,
                     Policy=policy_text(new["FileSystemPolicy"]))

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("efs", "DeleteFileSystem", FileSystemId=physical)


@kind("AWS::EFS::MountTarget")
class MountTarget(Kind):
    @staticmethod
    def create(ctx, p):
        identity = ctx.call("efs", "CreateMountTarget", p)["MountTargetId"]
        return identity, {"Id": identity, "IpAddress": "127.0.0.1"}

    @staticmethod
    def update(ctx, physical, old, new):
        ctx.call("efs", "ModifyMountTargetSecurityGroups", MountTargetId=physical,
                 SecurityGroups=new["SecurityGroups"])

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("efs", "DeleteMountTarget", MountTargetId=physical)


@kind("AWS::EFS::AccessPoint")
class AccessPoint(Kind):
    @staticmethod
    def create(ctx, p):
        made = ctx.call("efs", "CreateAccessPoint", p, drop=("AccessPointTags", "ClientToken"),
                        ClientToken=ctx.name(64), Tags=ctx.tags({"Tags": p.get("AccessPointTags", [])}))
        return made["AccessPointId"], {"Arn": made["AccessPointArn"], "AccessPointId": made["AccessPointId"]}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("efs", "DeleteAccessPoint", AccessPointId=physical)


# --- S3 -----------------------------------------------------------------------------------------------------

def lifecycle_rule(rule):
    found = {"ID": rule.get("Id", "rule"), "Status": rule["Status"],
             "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        found["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "ExpiredObjectDeleteMarker" in rule:
        found["Expiration"] = {"ExpiredObjectDeleteMarker": rule["ExpiredObjectDeleteMarker"]}
    if "AbortIncompleteMultipartUpload" in rule:
        found["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    if "NoncurrentVersionExpiration" in rule:
        found["NoncurrentVersionExpiration"] = rule["NoncurrentVersionExpiration"]
    for name, day in (("Transitions", "TransitionInDays"), ("NoncurrentVersionTransitions",
                                                            "TransitionInDays")):
        if name in rule:
            key = "Days" if name == "Transitions" else "NoncurrentDays"
            found[name] = [{key: t[day], "StorageClass": t["StorageClass"]} for t in rule[name]]
    return found


@kind("AWS::S3::Bucket")
class Bucket(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("BucketName") or ctx.name(63, lower=True)
        place = {} if ctx.region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": ctx.region}}
        ctx.call("s3", "CreateBucket", Bucket=name, **place)
        ctx.initiated(name)
        Bucket.update(ctx, name, {}, p)
        return name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com",
                      "RegionalDomainName": f"{name}.s3.{ctx.region}.amazonaws.com"}

    @staticmethod
    def update(ctx, physical, old, new):
        def put(name, operation, **input):
            if name in new and changed(old, new, name):
                ctx.call("s3", operation, Bucket=physical, **input)
        rules = new.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
        rules = [{"ApplyServerSideEncryptionByDefault": r["ServerSideEncryptionByDefault"],
                  **({"BucketKeyEnabled": r["BucketKeyEnabled"]} if "BucketKeyEnabled" in r else {})}
                 for r in rules]
        put("BucketEncryption", "PutBucketEncryption", ServerSideEncryptionConfiguration={"Rules": rules})
        put("PublicAccessBlockConfiguration", "PutPublicAccessBlock",
            PublicAccessBlockConfiguration=new.get("PublicAccessBlockConfiguration"))
        put("VersioningConfiguration", "PutBucketVersioning",
            VersioningConfiguration=new.get("VersioningConfiguration"))
        put("OwnershipControls", "PutBucketOwnershipControls", OwnershipControls=new.get("OwnershipControls"))
        put("LifecycleConfiguration", "PutBucketLifecycleConfiguration", LifecycleConfiguration={
            "Rules": [lifecycle_rule(r) for r in new.get("LifecycleConfiguration", {}).get("Rules", [])]})
        logging = new.get("LoggingConfiguration", {})
        try:
            put("LoggingConfiguration", "PutBucketLogging", BucketLoggingStatus={"LoggingEnabled": {
                "TargetBucket": logging.get("DestinationBucketName", physical),
                "TargetPrefix": logging.get("LogFilePrefix", "")}})
        except ClientError as error:
            # S3 takes a target whose policy comes later; moto does not.
            if error.response["Error"]["Code"] != "InvalidTargetBucketForLogging":
                raise
        tags = ctx.tags(new)
        if tags:
            ctx.call("s3", "PutBucketTagging", Bucket=physical, Tagging={"TagSet": tags})

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("s3", "DeleteBucket", Bucket=physical)

    @staticmethod
    def live(ctx, physical, p):
        ctx.call("s3", "HeadBucket", Bucket=physical)
        found = {}
        if "VersioningConfiguration" in p:
            status = ctx.call("s3", "GetBucketVersioning", Bucket=physical).get("Status", "Suspended")
            found["VersioningConfiguration"] = {"Status": status}
        if "PublicAccessBlockConfiguration" in p:
            blocks, wanted = Bucket.blocks(ctx, physical), p["PublicAccessBlockConfiguration"]
            same = blocks and all(str(blocks.get(name)).lower() == str(value).lower()
                                  for name, value in wanted.items())
            found["PublicAccessBlockConfiguration"] = wanted if same else blocks
        return found

    @staticmethod
    def blocks(ctx, physical):
        try:
            return ctx.call("s3", "GetPublicAccessBlock",
                            Bucket=physical)["PublicAccessBlockConfiguration"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
                raise
            return None


@kind("AWS::S3::BucketPolicy")
class BucketPolicy(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("s3", "PutBucketPolicy", Bucket=p["Bucket"], Policy=policy_text(p["PolicyDocument"]))
        return p["Bucket"], {}

    @staticmethod
    def update(ctx, physical, old, new):
        BucketPolicy.create(ctx, new)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("s3", "DeleteBucketPolicy", Bucket=physical)


# --- ECR ----------------------------------------------------------------------------------------------------

@kind("AWS::ECR::Repository")
class Repository(Kind):
    @staticmethod
    def exclusions(p):
        name = "ImageTagMutabilityExclusionFilter"
        filters = [{"filterType": f[f"{name}Type"], "filter": f[f"{name}Value"]}
                   for f in p.get(f"{name}s", [])]
        return {"imageTagMutabilityExclusionFilters": filters} if filters else {}

    @staticmethod
    def create(ctx, p):
        own = {k: v for k, v in p.items() if k in ("ImageTagMutability", "ImageScanningConfiguration",
                                                   "EncryptionConfiguration", "RepositoryName")}
        own.setdefault("RepositoryName", ctx.name(64, lower=True))
        own |= Repository.exclusions(p)
        made = ctx.call("ecr", "CreateRepository", own, Tags=ctx.tags(p))["repository"]
        ctx.initiated(made["repositoryName"])
        Repository.update(ctx, made["repositoryName"], {}, {
            k: v for k, v in p.items() if k in ("LifecyclePolicy", "RepositoryPolicyText")})
        return made["repositoryName"], {"Arn": made["repositoryArn"], "RepositoryUri": made["repositoryUri"]}

    @staticmethod
    def update(ctx, physical, old, new):
        if changed(old, new, "LifecyclePolicy"):
            text = new["LifecyclePolicy"]["LifecyclePolicyText"]
            json.loads(text)
            ctx.call("ecr", "PutLifecyclePolicy", repositoryName=physical, lifecyclePolicyText=text)
        if changed(old, new, "RepositoryPolicyText"):
            ctx.call("ecr", "SetRepositoryPolicy", repositoryName=physical,
                     policyText=policy_text(new["RepositoryPolicyText"]))
        if old and changed(old, new, "ImageScanningConfiguration"):
            ctx.call("ecr", "PutImageScanningConfiguration", repositoryName=physical,
                     imageScanningConfiguration=new["ImageScanningConfiguration"])
        if old and changed(old, new, "ImageTagMutability", "ImageTagMutabilityExclusionFilters"):
            ctx.call("ecr", "PutImageTagMutability", Repository.exclusions(new), repositoryName=physical,
                     imageTagMutability=new["ImageTagMutability"])

    @staticmethod
    def delete(ctx, physical, p):
        force = str(p.get("EmptyOnDelete", False)).lower() == "true"
        ctx.call("ecr", "DeleteRepository", repositoryName=physical, force=force)


# --- Secrets Manager ----------------------------------------------------------------------------------------

@kind("AWS::SecretsManager::Secret")
class Secret(Kind):
    @staticmethod
    def create(ctx, p):
        text = p.get("SecretString", "")
        generate = p.get("GenerateSecretString")
        if generate is not None:
            own = {k: v for k, v in generate.items() if k not in ("SecretStringTemplate",
                                                                  "GenerateStringKey")}
            text = ctx.call("secretsmanager", "GetRandomPassword", own)["RandomPassword"]
            if "SecretStringTemplate" in generate:
                text = json.dumps(json.loads(generate["SecretStringTemplate"]) |
                                  {generate["GenerateStringKey"]: text})
        more = {k: p[k] for k in ("Description", "KmsKeyId") if k in p}
        if text:
            more["SecretString"] = text
        arn = ctx.call("secretsmanager", "CreateSecret", Name=p.get("Name") or ctx.name(64), Tags=ctx.tags(p),
                       **more)["ARN"]
        return arn, {"Id": arn}

    @staticmethod
    def update(ctx, physical, old, new):
        if "SecretString" in new and changed(old, new, "SecretString"):
            ctx.call("secretsmanager", "UpdateSecret", SecretId=physical, SecretString=new["SecretString"])
        if changed(old, new, "Description", "KmsKeyId"):
            own = {k: new[k] for k in ("Description", "KmsKeyId") if k in new}
            ctx.call("secretsmanager", "UpdateSecret", own, SecretId=physical)

    @staticmethod
    def delete(ctx, physical, p):
        # CloudFormation deletes without the recovery window.
        ctx.call("secretsmanager", "DeleteSecret", SecretId=physical, ForceDeleteWithoutRecovery=True)


# --- IAM ----------------------------------------------------------------------------------------------------

@kind("AWS::IAM::Role")
class Role(Kind):
    @staticmethod
    def create(ctx, p):
        own = {k: p[k] for k in ("Description", "MaxSessionDuration", "PermissionsBoundary", "Path")
               if k in p}
        name = p.get("RoleName") or ctx.name(64)
        made = ctx.call("iam", "CreateRole", own, RoleName=name, Tags=ctx.tags(p),
                        AssumeRolePolicyDocument=policy_text(p["AssumeRolePolicyDocument"]))["Role"]
        ctx.initiated(name)
        Role.update(ctx, name, {}, {k: v for k, v in p.items() if k in ("Policies", "ManagedPolicyArns")})
        return name, {"Arn": made["Arn"], "RoleId": made["RoleId"]}

    @staticmethod
    def update(ctx, physical, old, new):
        before = {q["PolicyName"]: q["PolicyDocument"] for q in old.get("Policies", [])}
        after = {q["PolicyName"]: q["PolicyDocument"] for q in new.get("Policies", [])}
        for name, document in after.items():
            if before.get(name) != document:
                ctx.call("iam", "PutRolePolicy", RoleName=physical, PolicyName=name,
                         PolicyDocument=policy_text(document))
        for name in before.keys() - after.keys():
            ctx.call("iam", "DeleteRolePolicy", RoleName=physical, PolicyName=name)
        for arn in set(new.get("ManagedPolicyArns", [])) - set(old.get("ManagedPolicyArns", [])):
            ctx.call("iam", "AttachRolePolicy", RoleName=physical, PolicyArn=arn)
        for arn in set(old.get("ManagedPolicyArns", [])) - set(new.get("ManagedPolicyArns", [])):
            ctx.call("iam", "DetachRolePolicy", RoleName=physical, PolicyArn=arn)
        if old and changed(old, new, "AssumeRolePolicyDocument"):
            ctx.call("iam", "UpdateAssumeRolePolicy", RoleName=physical,
                     PolicyDocument=policy_text(new["AssumeRolePolicyDocument"]))
        if old and changed(old, new, "PermissionsBoundary"):
            ctx.call("iam", "PutRolePermissionsBoundary", RoleName=physical,
                     PermissionsBoundary=new["PermissionsBoundary"])

    @staticmethod
    def delete(ctx, physical, p):
        Role.update(ctx, physical, {k: p.get(k, []) for k in ("Policies", "ManagedPolicyArns")}, {})
        ctx.call("iam", "DeleteRole", RoleName=physical)


@kind("AWS::IAM::Policy")
class InlinePolicy(Kind):
    @staticmethod
    def create(ctx, p):
        for role in p.get("Roles", []):
            ctx.call("iam", "PutRolePolicy", RoleName=role, PolicyName=p["PolicyName"],
                     PolicyDocument=policy_text(p["PolicyDocument"]))
        return p["PolicyName"], {"Id": p["PolicyName"]}

    @staticmethod
    def update(ctx, physical, old, new):
        InlinePolicy.create(ctx, new)

    @staticmethod
    def delete(ctx, physical, p):
        for role in p.get("Roles", []):
            ctx.call("iam", "DeleteRolePolicy", RoleName=role, PolicyName=p["PolicyName"])


@kind("AWS::IAM::RolePolicy")
class RolePolicy(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("iam", "PutRolePolicy", RoleName=p["RoleName"], PolicyName=p["PolicyName"],
                 PolicyDocument=policy_text(p["PolicyDocument"]))
        return f"{p['PolicyName']}|{p['RoleName']}", {}

    @staticmethod
    def update(ctx, physical, old, new):
        RolePolicy.create(ctx, new)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("iam", "DeleteRolePolicy", RoleName=p["RoleName"], PolicyName=p["PolicyName"])


@kind("AWS::IAM::ManagedPolicy")
class ManagedPolicy(Kind):
    @staticmethod
    def create(ctx, p):
        made = ctx.call("iam", "CreatePolicy", PolicyName=p.get("ManagedPolicyName") or ctx.name(64),
                        PolicyDocument=policy_text(p["PolicyDocument"]))["Policy"]
        for role in p.get("Roles", []):
            ctx.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=made["Arn"])
        return made["Arn"], {"PolicyArn": made["Arn"]}

    @staticmethod
    def delete(ctx, physical, p):
        for role in p.get("Roles", []):
            ctx.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=physical)
        ctx.call("iam", "DeletePolicy", PolicyArn=physical)


# --- CloudWatch Logs ----------------------------------------------------------------------------------------

@kind("AWS::Logs::LogGroup")
class LogGroup(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("LogGroupName") or ctx.name(128)
        own = {k: p[k] for k in ("KmsKeyId", "LogGroupClass") if k in p}
        tags = ctx.tags(p, keys=None)
        ctx.call("logs", "CreateLogGroup", own, logGroupName=name, **({"tags": tags} if tags else {}))
        ctx.initiated(name)
        LogGroup.update(ctx, name, {}, {"RetentionInDays": p.get("RetentionInDays")})
        return name, {"Arn": f"arn:aws:logs:{ctx.region}:123456789012:log-group:{name}:*"}

    @staticmethod
    def update(ctx, physical, old, new):
        if new.get("RetentionInDays") and changed(old, new, "RetentionInDays"):
            ctx.call("logs", "PutRetentionPolicy", logGroupName=physical,
                     retentionInDays=new["RetentionInDays"])

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("logs", "DeleteLogGroup", logGroupName=physical)

    @staticmethod
    def live(ctx, physical, p):
        groups = ctx.call("logs", "DescribeLogGroups", logGroupNamePrefix=physical)["logGroups"]
        group = next((g for g in groups if g["logGroupName"] == physical), None)
        same_type = type(p.get("RetentionInDays", 0))
        return group and {"RetentionInDays": same_type(group.get("retentionInDays", 0))}


@kind("AWS::Logs::MetricFilter")
class MetricFilter(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("FilterName") or ctx.name()
        own = [{k: v for k, v in t.items() if k != "Dimensions"} for t in p["MetricTransformations"]]
        ctx.call("logs", "PutMetricFilter", logGroupName=p["LogGroupName"], filterName=name,
                 filterPattern=p["FilterPattern"], metricTransformations=own)
        return name, {}

    @staticmethod
    def update(ctx, physical, old, new):
        MetricFilter.create(ctx, {**new, "FilterName": physical})

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("logs", "DeleteMetricFilter", logGroupName=p["LogGroupName"], filterName=physical)


@kind("AWS::Logs::SubscriptionFilter")
class SubscriptionFilter(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("FilterName") or ctx.name()
        ctx.call("logs", "PutSubscriptionFilter", p, drop=("FilterName",), filterName=name)
        return name, {}

    @staticmethod
    def update(ctx, physical, old, new):
        SubscriptionFilter.create(ctx, {**new, "FilterName": physical})

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("logs", "DeleteSubscriptionFilter", logGroupName=p["LogGroupName"], filterName=physical)


@kind("AWS::Logs::ResourcePolicy")
class LogResourcePolicy(Kind):
    @staticmethod
    def create(ctx, p):
        ctx.call("logs", "PutResourcePolicy", p)
        return p["PolicyName"], {}

    @staticmethod
    def update(ctx, physical, old, new):
        LogResourcePolicy.create(ctx, new)

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("logs", "DeleteResourcePolicy", policyName=physical)


# --- Firehose and Backup ------------------------------------------------------------------------------------

@kind("AWS::KinesisFirehose::DeliveryStream")
class DeliveryStream(Kind):
    @staticmethod
    def create(ctx, p):
        name = p.get("DeliveryStreamName") or ctx.name(64)
        made = ctx.call("firehose", "CreateDeliveryStream", p, drop=("Tags", "DeliveryStreamName"),
                        DeliveryStreamName=name)
        return name, {"Arn": made["DeliveryStreamARN"]}

    @staticmethod
    def update(ctx, physical, old, new):
        raise Fault("GeneralServiceException", "The emulator cannot change a delivery stream.")

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("firehose", "DeleteDeliveryStream", DeliveryStreamName=physical)


@kind("AWS::Backup::BackupVault")
class BackupVault(Kind):
    @staticmethod
    def create(ctx, p):
        made = ctx.call("backup", "CreateBackupVault", p, drop=("BackupVaultTags", "Notifications",
                                                                "AccessPolicy", "LockConfiguration"))
        return made["BackupVaultName"], {"BackupVaultName": made["BackupVaultName"],
                                         "BackupVaultArn": made["BackupVaultArn"]}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("backup", "DeleteBackupVault", BackupVaultName=physical)


@kind("AWS::Backup::BackupPlan")
class BackupPlan(Kind):
    @staticmethod
    def create(ctx, p):
        plan = dict(p["BackupPlan"])
        rules = [{("Rules" if k == "BackupPlanRule" else "TargetBackupVaultName" if k == "TargetBackupVault"
                   else k): v for k, v in rule.items()} for rule in plan.pop("BackupPlanRule")]
        made = ctx.call("backup", "CreateBackupPlan", BackupPlan={**plan, "Rules": rules})
        return made["BackupPlanId"], {"BackupPlanId": made["BackupPlanId"], "BackupPlanArn":
                                      made["BackupPlanArn"], "VersionId": made.get("VersionId", "1")}

    @staticmethod
    def delete(ctx, physical, p):
        ctx.call("backup", "DeleteBackupPlan", BackupPlanId=physical)
