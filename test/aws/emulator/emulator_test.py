#!/usr/bin/env python3
"""The emulator proven with boto3 alone: what it refuses, a service deployed, broken, changed and deleted.

Usage: emulator_test.py BERTH, a static program that serves /readyz over HTTP as `BERTH serve`.
"""

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from pushing import push

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = b"name: trial\nserver: {builtin: workspace}\n"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Emulator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="berth-emulator-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "emulator.py"), "--state", cls.folder.name, "--speed", "10",
             "--with-parent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop)
        readable, _, _ = select.select([cls.process.stdout], [], [], 30)
        if not readable:
            raise AssertionError("the emulator is not ready within 30 s")
        cls.about = json.loads(cls.process.stdout.readline())
        cls.admin = (cls.about["access_key_id"], cls.about["secret_access_key"])
        cls.client("ecr").create_repository(repositoryName="trial", imageTagMutability="IMMUTABLE")
        cls.image = f"{cls.about['registry']}/trial@{cls.push('1', ['/berth', 'serve'])}"
        cls.broken = f"{cls.about['registry']}/trial@{cls.push('2', ['/berth', 'no-such-verb'])}"
        with open(os.path.join(HERE, "trial.yaml"), encoding="utf-8") as file:
            cls.template = file.read()

    @classmethod
    def stop(cls):
        cls.process.stdin.close()
        cls.process.wait(20)
        cls.process.stdout.close()

    @classmethod
    def client(cls, service, keys=None):
        key, secret = keys or cls.admin
        return boto3.client(service, region_name="us-east-1", endpoint_url=cls.about["endpoint"],
                            aws_access_key_id=key, aws_secret_access_key=secret,
                            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}))

    @classmethod
    def control(cls, word, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{cls.about['endpoint']}/_emulator/{word}", data) as answer:
            return json.load(answer)

    @classmethod
    def push(cls, tag, argv):
        token = cls.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        with open(BERTH, "rb") as file:
            files = {"berth": (0o755, file.read()), "app/berth.yaml": (0o644, SPEC)}
        return push(cls.about["registry"], token, "trial", tag, files, {"Entrypoint": argv})

    def until(self, what, probe, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := probe()):
            self.assertLess(time.monotonic(), deadline, what)
            select.select([], [], [], 0.05)
        return found

    def refusal(self, call):
        with self.assertRaises(ClientError) as caught:
            call()
        return caught.exception.response["Error"]

    # --- stacks -----------------------------------------------------------------------------------------

    def change(self, stack, kind, **parameters):
        """Makes and executes a change set; the stack as it ended, and the change set."""
        cloudformation = self.client("cloudformation")
        name = f"c{time.monotonic_ns()}"
        cloudformation.create_change_set(
            StackName=stack, ChangeSetName=name, ChangeSetType=kind, TemplateBody=self.template,
            Capabilities=["CAPABILITY_IAM"], Parameters=[
                {"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()])

        def computed():
            row = cloudformation.describe_change_set(StackName=stack, ChangeSetName=name)
            return row if row["Status"] in ("CREATE_COMPLETE", "FAILED") else None
        made = self.until("a change set", computed)
        if made["Status"] == "FAILED":
            return None, made
        cloudformation.execute_change_set(StackName=stack, ChangeSetName=name)
        return self.settled(stack), made

    def settled(self, stack):
        def over():
            row = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
            return None if row["StackStatus"].endswith("_IN_PROGRESS") else row
        return self.until(f"the end of {stack}", over, 90)

    def reasons(self, stack):
        events = self.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        failed = [(e["LogicalResourceId"], e["ResourceStatusReason"]) for e in events
                  if e["ResourceStatus"].endswith("_FAILED")]
        return failed, [t["reason"] for t in self.control("state")["tasks"]]

    def service(self):
        return self.client("ecs").describe_services(cluster="trial", services=["trial"])["services"][0]

    def ask(self, url):
        context = ssl.create_default_context(cafile=self.about["ca"])
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), NoRedirect())
        try:
            with opener.open(url, timeout=10) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.headers

    # --- the tests, in the order of their names ---------------------------------------------------------

    def test_1_signatures_and_permissions_are_checked(self):
        wrong = self.refusal(self.client("ecs", (self.admin[0], "wrong")).list_clusters)
        self.assertIn(wrong["Code"], ("SignatureDoesNotMatch", "InvalidSignatureException"))
        wrong = self.refusal(self.client("efs", (self.admin[0], "wrong")).describe_file_systems)
        self.assertEqual(wrong["Code"], "SignatureDoesNotMatch")
        self.assertEqual(self.client("efs").describe_file_systems()["FileSystems"], [])
        user = self.control("user", {"name": "reader", "policy": {"Statement": [
            {"Effect": "Allow", "Action": "ecr:Describe*", "Resource": "arn:aws:ecr:*:*:repository/trial"}]}})
        keys = (user["access_key_id"], user["secret_access_key"])
        self.client("ecr", keys).describe_repositories(repositoryNames=["trial"])
        refused = self.refusal(lambda: self.client("ecr", keys).delete_repository(repositoryName="trial"))
        self.assertEqual(refused["Code"], "AccessDeniedException")
        self.assertRegex(refused["Message"], "not authorized to perform: ecr:DeleteRepository on resource: "
                         "arn:aws:ecr:us-east-1:123456789012:repository/trial because no identity-based")

    def test_2_a_tag_that_is_immutable_stays(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.push("1", ["/berth", "other"])
        self.assertEqual(caught.exception.code, 400)
        images = self.client("ecr").describe_images(repositoryName="trial")["imageDetails"]
        self.assertEqual(sorted(tag for i in images for tag in i["imageTags"]), ["1", "2"])

    def test_3_ordered_mishaps_happen(self):
        self.control("mishaps", {"throttle": {"ecs:ListClusters": 1}, "fail": {"Vpc": "as ordered"}})
        self.assertEqual(self.refusal(self.client("ecs").list_clusters)["Code"], "ThrottlingException")
        self.client("ecs").list_clusters()
        stack, _ = self.change("failing", "CREATE", Image=self.image)
        self.assertEqual(stack["StackStatus"], "ROLLBACK_COMPLETE")
        events = self.client("cloudformation").describe_stack_events(StackName="failing")["StackEvents"]
        reason = next(e["ResourceStatusReason"] for e in events if e["ResourceStatus"] == "CREATE_FAILED")
        self.assertIn("as ordered", reason)
        self.control("mishaps", {})

    def test_4_a_stack_ends_with_three_tasks_behind_https(self):
        stack, made = self.change("trial", "CREATE", Image=self.image)
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE", self.reasons("trial"))
        self.assertEqual({c["ResourceChange"]["Action"] for c in made["Changes"]}, {"Add"})
        state = self.control("state")
        running = [t for t in state["tasks"] if t["status"] == "RUNNING"]
        self.assertEqual(sorted(t["zone"][-1] for t in running), ["a", "b", "c"])
        url = stack["Outputs"][0]["OutputValue"]
        self.assertEqual(self.ask(url)[0], 200)
        self.assertEqual(self.ask(url.replace("readyz", "else"))[0], 404)
        status, headers = self.ask(next(iter(state["http"].values())) + "/readyz")
        self.assertEqual((status, headers["location"]), (301, url))
        logs = self.client("logs")
        group = logs.describe_log_groups()["logGroups"][0]["logGroupName"]
        streams = [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"]]
        self.assertEqual(sorted(streams), sorted(f"trial/one/{t['id']}" for t in running))

    def test_5_a_lost_task_is_replaced(self):
        lost = next(t for t in self.control("state")["tasks"] if t["status"] == "RUNNING")
        self.control("kill", {"task": lost["id"]})

        def replaced():
            tasks = [t["id"] for t in self.control("state")["tasks"] if t["status"] == "RUNNING"]
            healthy = sum(t["state"] == "healthy" for t in self.control("state")["targets"])
            return lost["id"] not in tasks and healthy == 3
        self.until("another task", replaced)
        row = self.client("ecs").describe_tasks(cluster="trial", tasks=[lost["id"]])["tasks"][0]
        self.assertEqual(row["stopCode"], "EssentialContainerExited")
        self.assertEqual(row["containers"][0]["exitCode"], 137)

    def test_5_b_a_task_that_runs_out_of_memory_says_so(self):
        if self.about["limits"] is None:
            self.skipTest("no control group may be written here: tasks are not limited")
        lost = next(t for t in self.control("state")["tasks"] if t["status"] == "RUNNING")
        for pid in below(lost["pid"]):
            with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
                file.write("1000")      # whoever takes the memory, these are ended for it
        taken = tempfile.NamedTemporaryFile(dir="/dev/shm")     # counts, but belongs to no process
        self.addCleanup(taken.close)
        group = {"v1": "/sys/fs/cgroup/memory", "v2": "/sys/fs/cgroup"}[self.about["limits"]]
        number = self.about["network"].rpartition(".")[2]
        subprocess.run([sys.executable, "-c", "import sys\nopen(sys.argv[1], 'w').write('0')\n"
                        "with open(sys.argv[2], 'wb') as file:\n"
                        "    for _ in range(520): file.write(bytes(1 << 20))",
                        f"{group}/berth-emulator-{number}/{lost['id']}/cgroup.procs", taken.name],
                       check=False)
        self.until("the end of the task", lambda: any(
            t["id"] == lost["id"] and t["status"] == "STOPPED" for t in self.control("state")["tasks"]))
        row = self.client("ecs").describe_tasks(cluster="trial", tasks=[lost["id"]])["tasks"][0]
        self.assertEqual(row["containers"][0]["exitCode"], 137)
        self.assertRegex(row["containers"][0]["reason"], "^OutOfMemoryError: Container killed due to memory")
        self.until("three tasks again", lambda: 3 == sum(
            t["state"] == "healthy" for t in self.control("state")["targets"]))

    def test_6_a_broken_image_breaks_the_circuit_and_the_old_tasks_stay(self):
        before = {t["id"] for t in self.control("state")["tasks"] if t["status"] == "RUNNING"}
        stack, made = self.change("trial", "UPDATE", Image=self.broken)
        replacements = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"]["Replacement"]
                        for c in made["Changes"]}
        self.assertEqual(replacements, {"Definition": "True", "Service": "False"})
        self.assertEqual(stack["StackStatus"], "UPDATE_ROLLBACK_COMPLETE")
        self.assertEqual(before, {t["id"] for t in self.control("state")["tasks"]
                                  if t["status"] == "RUNNING"})
        service = self.service()
        self.assertRegex(service["taskDefinition"], r":trial:1$|/trial:1$")

    def test_7_what_is_changed_by_hand_is_drift(self):
        ec2, cloudformation = self.client("ec2"), self.client("cloudformation")
        group = cloudformation.describe_stack_resource(
            StackName="trial", LogicalResourceId="TaskGroup")["StackResourceDetail"]["PhysicalResourceId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        cloudformation.detect_stack_drift(StackName="trial")
        rows = cloudformation.describe_stack_resource_drifts(StackName="trial")["StackResourceDrifts"]
        drifted = [r["LogicalResourceId"] for r in rows if r["StackResourceDriftStatus"] == "MODIFIED"]
        self.assertEqual(drifted, ["TaskGroup"])

    def test_8_settings_change_in_place_and_nothing_is_no_change(self):
        stack, made = self.change("trial", "UPDATE", Image=self.image, Delay="10")
        self.assertEqual(stack["StackStatus"], "UPDATE_COMPLETE")
        self.assertEqual([c["ResourceChange"]["LogicalResourceId"] for c in made["Changes"]], ["Targets"])
        _, made = self.change("trial", "UPDATE", Image=self.image, Delay="10")
        self.assertIn("didn't contain changes", made["StatusReason"])

    def test_9_a_deleted_stack_leaves_what_it_retains_and_no_process(self):
        stack = self.client("cloudformation").describe_stacks(StackName="trial")["Stacks"][0]["StackId"]
        pids = [t["pid"] for t in self.control("state")["tasks"] if t["status"] == "RUNNING"]
        self.client("cloudformation").delete_stack(StackName="trial")
        self.assertEqual(self.settled(stack)["StackStatus"], "DELETE_COMPLETE")
        self.assertEqual(len(self.client("s3").list_buckets()["Buckets"]), 1)
        self.assertEqual(self.client("ec2").describe_nat_gateways()["NatGateways"], [])
        # A task finishes its calls first.
        self.until("the end of every task", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


class Death(unittest.TestCase):
    def test_a_killed_emulator_takes_everything_with_it(self):
        with tempfile.TemporaryDirectory(prefix="berth-emulator-") as folder:
            process = subprocess.Popen([sys.executable, os.path.join(HERE, "emulator.py"), "--state", folder],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            json.loads(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            deadline = time.monotonic() + 10
            while processes_about(folder):
                self.assertLess(time.monotonic(), deadline, processes_about(folder))
                select.select([], [], [], 0.05)


def below(pid):
    """A process and everything that descends from it."""
    found = [pid]
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += below(int(name))
    return found


def processes_about(word):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if word.encode() in file.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


if __name__ == "__main__":
    BERTH = sys.argv.pop(1)
    unittest.main(verbosity=2)
