"""Calls that moto lacks, or answers too kindly, for services that are otherwise moto's."""

import json

from moto.efs.models import efs_backends

from access import ACCOUNT
from faults import Fault
from wire import operation

backup_policies, file_system_policies = {}, {}


def file_system(call):
    identity = call.params["FileSystemId"]
    if identity not in efs_backends[ACCOUNT][call.region].file_systems_by_id:
        raise Fault("FileSystemNotFound", f"File system '{identity}' does not exist.", 404)
    return identity


@operation("elasticfilesystem", "PutBackupPolicy")
def put_backup_policy(call):
    backup_policies[file_system(call)] = call.params["BackupPolicy"]
    return {"BackupPolicy": call.params["BackupPolicy"]}


@operation("elasticfilesystem", "DescribeBackupPolicy")
def describe_backup_policy(call):
    found = backup_policies.get(file_system(call))
    if found is None:
        raise Fault("PolicyNotFound", "No backup policy.", 404)
    return {"BackupPolicy": found}


@operation("elasticfilesystem", "PutFileSystemPolicy")
def put_file_system_policy(call):
    json.loads(call.params["Policy"])
    file_system_policies[file_system(call)] = call.params["Policy"]
    return {"FileSystemId": call.params["FileSystemId"], "Policy": call.params["Policy"]}


@operation("elasticfilesystem", "DescribeFileSystemPolicy")
def describe_file_system_policy(call):
    found = file_system_policies.get(file_system(call))
    if found is None:
        raise Fault("PolicyNotFound", "No file system policy.", 404)
    return {"FileSystemId": call.params["FileSystemId"], "Policy": found}
