#!/usr/bin/env python3
"""Every template as a stack of the emulator: made, without tasks, and deleted again.

Usage: templates_stacks.py FOLDER with NAME-base.json and NAME-service.json for each option set. Prints a line
for each stack that does not come up or go; nothing when all is well.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import account

EMULATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "emulator", "emulator.py")
REGION = account.REGION
# Another image than the one that is there would do: no task is started.
DIGEST = "sha256:" + "0" * 64
STACK_SECONDS_MAX = 120


class Aws:
    """The emulator as a child process, with what the option sets take for granted in it."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, EMULATOR, "--state", folder, "--speed", "10", "--region", REGION,
             "--with-parent"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        readable, _, _ = select.select([self.process.stdout], [], [], 60)
        if not readable:
            raise SystemExit("the emulator is not ready within 60 s")
        self.about = json.loads(self.process.stdout.readline())
        self.cloudformation = self.client("cloudformation")
        self.names = self.prepare()
        self.traced = False

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.about["endpoint"], region_name=REGION, verify=self.about["ca"],
            aws_access_key_id=self.about["access_key_id"],
            aws_secret_access_key=self.about["secret_access_key"], config=Config(retries={"max_attempts": 1}))

    def prepare(self):
        """What stands in the specs → what there is here."""
        zone = self.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")
        return {"Z0123456789ABC": zone["HostedZone"]["Id"].split("/")[-1], **account.furnish(self.client)}

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for said, there in self.names.items():
            text = text.replace(said, there)
        template = json.loads(text)
        for resource in template["Resources"].values():
            resource.pop("Metadata", None)
        return template

    def state(self, name):
        """Status and description of a stack once nothing moves any more; "GONE" when there is none."""
        deadline = time.monotonic() + STACK_SECONDS_MAX
        while True:
            try:
                stack = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError:
                return "GONE", {}
            if not stack["StackStatus"].endswith("IN_PROGRESS") or time.monotonic() > deadline:
                return stack["StackStatus"], stack
            time.sleep(0.1)

    def create(self, name, template, parameters):
        self.cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps(template, separators=(",", ":")),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM"], Tags=[{"Key": "berth:service", "Value": "orders"}])
        status, stack = self.state(name)
        if status == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        events = self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        failed = [event for event in reversed(events) if event["ResourceStatus"].endswith("FAILED")]
        reason = failed[0].get("ResourceStatusReason", "") if failed else ""
        print(f"{name}: {status}: {failed[0]['LogicalResourceId'] if failed else ''} {reason}")
        return None

    def delete(self, name):
        self.cloudformation.delete_stack(StackName=name)
        status, _ = self.state(name)
        if status != "GONE":
            print(f"{name}: {status}, though it was deleted")

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def try_set(aws, folder, name):
    base = f"{name}-base"
    outputs = aws.create(base, aws.read(os.path.join(folder, f"{name}-base.json")), {})
    if outputs is not None:
        template = aws.read(os.path.join(folder, f"{name}-service.json"))
        parameters = {key: outputs[key] for key in template["Parameters"] if key in outputs}
        parameters |= {"ImageUri": f"{outputs['RepositoryUri']}@{DIGEST}", "DesiredCount": "0"}
        if "CloudFrontPrefixList" in template["Parameters"]:
            parameters["CloudFrontPrefixList"] = "pl-a3a144ca"
        if "TransactionSearch" in template["Parameters"] and not aws.traced:
            # One switch for the account, which stays on when the stack goes.
            parameters["TransactionSearch"] = "true"
            aws.traced = True
        made = aws.create(name, template, parameters)
        if made is not None and not made["Url"].startswith("https://"):
            print(f"{name}: its Url is {made['Url']}")
        aws.delete(name)
    aws.delete(base)


def main():
    folder = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="berth-stacks-") as state:
        aws = Aws(state)
        try:
            for file in sorted(os.listdir(folder)):
                if file.endswith("-base.json"):
                    try_set(aws, folder, file.removesuffix("-base.json"))
        finally:
            aws.end()


if __name__ == "__main__":
    main()
