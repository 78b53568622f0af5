#!/usr/bin/env python3
"""The AWS client against moto with its signature and permission checks on: an independent judge of what
src/aws signs; its table of services against botocore's rules. Usage: client_test.py AWS_CALL, the program of
src/aws/testing/aws_call.cpp. Exits with 77 (ctest: skipped) where there is no moto_server."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import unittest
import urllib.request

SETUP_CALLS = 5  # made before moto begins to check: what `setUpClass` calls with no keys of its own
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
    "cloudformation:*", "ecs:*", "logs:*", "s3:*", "ecr:*", "secretsmanager:*", "elasticloadbalancing:*",
    "ec2:Describe*", "sts:AssumeRole"]}]}
REFUSALS = ("SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure")
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """src/aws/testing/aws_call.cpp: a line of JSON in, a line out."""

    def __init__(self):
        self.process = subprocess.Popen([AWS_CALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Services(unittest.TestCase):
    """Against botocore's service models and endpoint rules."""

    NAMES = {"cloudformation": "cloudformation", "ec2": "ec2", "elasticloadbalancing": "elbv2", "sts": "sts",
             "iam": "iam", "monitoring": "cloudwatch", "sns": "sns", "ecs": "ecs", "ecr": "ecr",
             "logs": "logs", "secretsmanager": "secretsmanager",
             "application-autoscaling": "application-autoscaling", "events": "events", "s3": "s3",
             "xray": "xray", "elasticfilesystem": "efs", "portal.sso": "sso", "oidc": "sso-oidc",
             "route53": "route53"}
    PROTOCOLS = ["query", "ec2", "json", "rest"]

    @classmethod
    def setUpClass(cls):
        try:
            import botocore.endpoint_provider
            import botocore.session
        except ImportError:
            raise unittest.SkipTest("there is no botocore")
        cls.loader = botocore.session.Session().get_component("data_loader")
        cls.rules = botocore.endpoint_provider.EndpointProvider
        cls.partitions = cls.loader.load_data("partitions")
        cls.program = Program()
        cls.addClassCleanup(cls.program.stop)

    def test_are_spoken_to_as_their_models_say(self):
        for ours, name in self.NAMES.items():
            said = self.program.ask({"endpoint": ours, "region": "us-east-1"})
            metadata = self.loader.load_service_model(name, "service-2")["metadata"]
            known = metadata.get("protocols", [metadata["protocol"]])
            with self.subTest(ours):
                protocol = self.PROTOCOLS[said["protocol"]]
                self.assertTrue(any(p.split("-")[0] == protocol for p in known), known)
                if protocol == "json":
                    self.assertEqual((said["version"], metadata["jsonVersion"]),
                                     (metadata["targetPrefix"], "1.1"))
                elif protocol != "rest":
                    self.assertEqual(said["version"], metadata["apiVersion"])
                service_id = metadata["serviceId"].upper().replace(" ", "_")
                self.assertEqual(said["variable"], service_id)
                if "." not in ours and ours != "oidc":
                    self.assertEqual(metadata.get("signingName", metadata["endpointPrefix"]), ours)

    def test_have_the_endpoints_of_botocores_rules(self):
        regions = [r for p in self.partitions["partitions"] for r in p["regions"] if "global" not in r]
        self.assertGreater(len(regions), 40)
        for ours, name in self.NAMES.items():
            rules = self.loader.load_service_model(name, "endpoint-rule-set-1")
            provider = self.rules(rules, self.partitions)
            for region in regions:
                self.compare(ours, region, provider)

    def compare(self, ours, region, provider):
        kinds = [(False, False), (True, False), (False, True)]
        if region.startswith(("cn-", "us-gov-", "eu-isoe", "us-iso", "eusc-")):
            kinds = kinds[:2] if region.startswith("us-gov-") else kinds[:1]
        for fips, dual in kinds:
            wanted = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual)
            signing = (wanted.properties.get("authSchemes") or [{}])[0].get("signingRegion", region)
            said = self.program.ask({"endpoint": ours, "region": region, "environment": {
                "AWS_USE_FIPS_ENDPOINT": str(fips).lower(), "AWS_USE_DUALSTACK_ENDPOINT": str(dual).lower()}})
            with self.subTest(f"{ours} {region} fips {fips} dual {dual}"):
                self.assertEqual((said["url"], said["signing_region"]), (wanted.url, signing))


class AwsClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.endpoint = f"http://127.0.0.1:{port}"
        environment = dict(os.environ, INITIAL_NO_AUTH_ACTION_COUNT=str(SETUP_CALLS))
        cls.program = Program()
        cls.moto = subprocess.Popen(["moto_server", "-H", "127.0.0.1", "-p", str(port)], env=environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.stop)
        cls.wait_for_moto()
        cls.keys = {"AWS_ACCESS_KEY_ID": "AKIASETUP", "AWS_SECRET_ACCESS_KEY": "none"}
        cls.iam("CreateUser", UserName="deployer")
        cls.iam("PutUserPolicy", UserName="deployer", PolicyName="p", PolicyDocument=json.dumps(POLICY))
        cls.iam("CreateRole", RoleName="role", AssumeRolePolicyDocument=json.dumps(TRUST))
        cls.iam("PutRolePolicy", RoleName="role", PolicyName="p", PolicyDocument=json.dumps(POLICY))
        key = cls.iam("CreateAccessKey", UserName="deployer")["AccessKey"]
        cls.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    @classmethod
    def stop(cls):
        cls.program.stop()
        cls.moto.terminate()
        cls.moto.wait()

    @classmethod
    def wait_for_moto(cls):
        for _ in range(600):
            if cls.moto.poll() is not None:
                raise RuntimeError("moto_server ended")
            try:
                urllib.request.urlopen(cls.endpoint + "/moto-api/data.json", timeout=1).read()
                return
            except OSError:
                pause()
        raise RuntimeError("moto_server does not answer")

    @classmethod
    def ask(cls, line, keys=None):
        environment = {"AWS_ENDPOINT_URL": cls.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
                       "HOME": "/nowhere", "AWS_MAX_ATTEMPTS": "1", **(keys or cls.keys)}
        return cls.program.ask({"environment": environment, **line})

    @classmethod
    def iam(cls, operation, **given):
        reply = cls.ask({"service": "iam", "operation": operation, "input": given})
        if "fault" in reply:
            raise RuntimeError(f"{operation}: {reply}")
        return reply["answer"]

    def call(self, service, operation, given=None, keys=None, items=None):
        line = {"service": service, "operation": operation, "input": given or {}}
        if items:
            line["items"] = items
        return self.ask(line, keys)

    def s3(self, operation, method, path, query=None, body="", keys=None, bucket="a-bucket"):
        return self.ask({"service": "s3", "operation": operation, "method": method, "bucket": bucket,
                         "path": path, "query": query or {}, "body": body}, keys)

    def wrong(self):
        return dict(self.keys, AWS_SECRET_ACCESS_KEY="wrong")

    def test_good_keys_pass_and_wrong_ones_are_refused(self):
        for service, operation in (("cloudformation", "DescribeStacks"), ("ecs", "ListClusters"),
                                   ("logs", "DescribeLogGroups"), ("ecr", "DescribeRepositories"),
                                   ("sts", "GetCallerIdentity"), ("secretsmanager", "ListSecrets"),
                                   ("elasticloadbalancing", "DescribeLoadBalancers"),
                                   ("ec2", "DescribeVpcs")):
            with self.subTest(service):
                self.assertIn("answer", self.call(service, operation))
                fault = self.call(service, operation, keys=self.wrong())["fault"]
                self.assertIn(fault["code"], REFUSALS)
                self.assertIn("signed with the keys of the environment", fault["message"])

    def test_s3_takes_objects_and_queries(self):
        # moto refuses other reserved characters in paths and values from boto3 too; the vectors of
        # src/aws/testing/sigv4_vectors.h judge those.
        self.assertIn("answer", self.s3("CreateBucket", "PUT", "/"))
        for key in ("plain.txt", "folder/a b.txt", "a~b_c-d.e"):
            with self.subTest(key):
                self.assertIn("answer", self.s3("PutObject", "PUT", "/" + key, body="content of " + key))
                self.assertEqual(self.s3("GetObject", "GET", "/" + key), {"answer": "content of " + key})
        listing = {"prefix": "folder", "list-type": "2", "max-keys": "5"}
        self.assertIn("folder/a b.txt", self.s3("ListObjectsV2", "GET", "/", listing)["answer"])
        self.assertIn("answer", self.s3("GetBucketVersioning", "GET", "/", {"versioning": ""}))
        fault = self.s3("GetObject", "GET", "/plain.txt", keys=self.wrong())["fault"]
        self.assertEqual(fault["code"], "SignatureDoesNotMatch")
        missing = self.s3("GetObject", "GET", "/none.txt")["fault"]
        self.assertEqual((missing["code"], missing["status"]), ("NoSuchKey", 404))

    def test_an_action_outside_the_policy_is_named(self):
        fault = self.call("iam", "ListUsers")["fault"]
        self.assertTrue(fault["denied"])
        self.assertEqual(fault["denied_action"], "iam:ListUsers")

    def test_a_roles_session_token_is_signed_too(self):
        assumed = self.call("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/role",
                                                  "RoleSessionName": "test"})["answer"]["Credentials"]
        keys = {"AWS_ACCESS_KEY_ID": assumed["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": assumed["SecretAccessKey"],
                "AWS_SESSION_TOKEN": assumed["SessionToken"]}
        self.assertIn("answer", self.call("ecs", "ListClusters", keys=keys))
        wrong = dict(keys, AWS_SECRET_ACCESS_KEY="wrong")
        self.assertIn("fault", self.call("ecs", "ListClusters", keys=wrong))

    def test_lists_follow_their_pages(self):
        for number in range(7):
            self.call("logs", "CreateLogGroup", {"logGroupName": f"/berth/{number}"})
        groups = self.call("logs", "DescribeLogGroups", {"limit": 2}, items="logGroups")["answer"]
        self.assertEqual(len([g for g in groups if g["logGroupName"].startswith("/berth/")]), 7)


def pause():
    """A pause between two looks at whether the server has come up; nothing tells when it does."""
    select.select([], [], [], 0.05)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: client_test.py AWS_CALL")
    AWS_CALL = sys.argv.pop(1)
    if not shutil.which("moto_server"):
        print("SKIPPED: the AWS client against moto: there is no moto_server on PATH.")
        sys.exit(77)
    unittest.main()
