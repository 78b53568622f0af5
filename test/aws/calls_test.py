#!/usr/bin/env python3
"""What Berth asks of AWS, and what its tests say that AWS answers, held against AWS's own descriptions of its
APIs (botocore's service models): operations, the names of members on the wire, required members, kinds of
values. Usage: calls_test.py PROGRAM…, the test programs whose fake account notes its calls
(src/aws/testing/fake_client.cpp). Exits with 77 (ctest: skipped) where there is no botocore."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from urllib.parse import parse_qsl

try:
    import botocore.session
except ImportError:
    print("SKIPPED: calls against AWS's models: there is no botocore.")
    sys.exit(77)

BOTO_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "elasticfilesystem": "efs",
              "servicequotas": "service-quotas"}


class Problems(list):
    def add(self, where, what):
        self.append(f"{where}: {what}")


class Checker:
    """One operation's input or output against its shape. `wire` gives a member's name in Berth's JSON."""

    def __init__(self, protocol, problems):
        self.protocol, self.problems = protocol, problems

    def wire(self, name, member, is_input):
        if self.protocol == "json":
            return name
        location = member.serialization.get("name", name)
        if self.protocol == "ec2" and is_input:
            return member.serialization.get("queryName") or location[0].upper() + location[1:]
        return location

    def check(self, value, shape, where, is_input):
        kind = shape.type_name
        if kind == "structure":
            self.check_structure(value, shape, where, is_input)
        elif kind == "list":
            if not isinstance(value, list) and value != "":
                self.problems.add(where, f"is a list, not {value!r}")
            for item in value or []:
                self.check(item, shape.member, where + "[]", is_input)
        elif kind == "map":
            if not isinstance(value, dict):
                self.problems.add(where, f"is a map, not {value!r}")
            else:
                for item in value.values():
                    self.check(item, shape.value, where + "{}", is_input)
        else:
            self.check_scalar(value, shape, where, is_input)

    def check_structure(self, value, shape, where, is_input):
        if not isinstance(value, dict):
            if value != "" or is_input:
                self.problems.add(where, f"is a structure, not {value!r}")
            return
        members = {self.wire(n, m, is_input): m for n, m in shape.members.items()}
        for name, item in value.items():
            if name not in members:
                close = [m for m in members if m.lower()[:6] == name.lower()[:6]]
                self.problems.add(where, f"has no member {name}; near to it: {close}")
            elif item is not None:
                self.check(item, members[name], f"{where}.{name}", is_input)
        if is_input:
            for name in shape.required_members:
                if self.wire(name, shape.members[name], True) not in value:
                    self.problems.add(where, f"lacks the required {name}")

    def check_scalar(self, value, shape, where, is_input):
        kind = shape.type_name
        if self.protocol != "json" and not is_input:
            good = isinstance(value, str)  # XML has no numbers
        elif kind in ("string", "character", "blob"):
            good = isinstance(value, str)
        elif kind == "boolean":
            good = isinstance(value, bool) or self.protocol != "json" and value in ("true", "false")
        else:
            good = isinstance(value, (int, float)) and not isinstance(value, bool) or \
                self.protocol != "json" and isinstance(value, str)
        if not good:
            self.problems.add(where, f"is a {kind}, not {value!r}")
        elif is_input and kind == "string":
            self.check_string(value, shape, where)

    def check_string(self, value, shape, where):
        if shape.enum and value not in shape.enum:
            self.problems.add(where, f"is one of {shape.enum}, not {value!r}")
        longest = shape.metadata.get("max")
        if longest and len(value) > longest:
            self.problems.add(where, f"has at most {longest} characters, not {len(value)}")


def protocol_of(model):
    known = model.metadata.get("protocols", [model.metadata["protocol"]])
    return "ec2" if "ec2" in known else "query" if "query" in known else "json"


def query_words(operation):
    """The words of an operation's query: those that name it, and those that its input may add."""
    uri = operation.http["requestUri"]
    fixed = set(dict(parse_qsl(uri.partition("?")[2], keep_blank_values=True)))
    members = operation.input_shape.members if operation.input_shape else {}
    return fixed, {m.serialization.get("name", n) for n, m in members.items()
                   if m.serialization.get("location") == "querystring"}


def check_rest(line, model, problems):
    """Whether one of the API's operations has this method, path and query."""
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = operation.http["requestUri"].partition("?")[0]
        pattern = re.sub(r"\{\w+(\+?)\}", lambda m: ".+" if m[1] else "[^/]+", path)
        fixed, optional = query_words(operation)
        asked = set(line["query"])
        if line["method"] == operation.http["method"] and re.fullmatch(f"{pattern}/?", line["path"]) and \
                fixed <= asked <= fixed | optional:
            return check_body(line, operation, problems)
    problems.add(f"{line['service']} {line['operation']}",
                 f"there is no {line['method']} {line['path']} with the query {sorted(line['query'])}")


def check_body(line, operation, problems):
    if line["body"].startswith("{"):
        Checker("json", problems).check(json.loads(line["body"]), operation.input_shape,
                                        f"{line['service']} {operation.name} body", True)


def check(line, problems, session=botocore.session.Session(), models={}):
    service = line["service"]
    if service not in models:
        models[service] = session.get_service_model(BOTO_NAMES.get(service, service))
    if "method" in line:
        return check_rest(line, models[service], problems)
    call = f"{service} {line['operation']}"
    if line["operation"] not in models[service].operation_names:
        return problems.add(call, "is no operation")
    operation = models[service].operation_model(line["operation"])
    checker = Checker(protocol_of(models[service]), problems)
    if operation.input_shape is not None:
        checker.check(line["input"], operation.input_shape, f"{call} input", True)
    elif line["input"]:
        problems.add(call, "takes no input")
    for name in operation.idempotent_members:  # SDKs send one of their own
        if name not in line["input"]:
            problems.add(call, f"lacks the {name} by which it can be repeated")
    if operation.output_shape is not None and "output" in line:
        checker.check(line["output"], operation.output_shape, f"{call} output", False)


class Calls(unittest.TestCase):
    def test_every_call_is_one_that_aws_describes(self):
        problems, names = Problems(), set()
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, os.path.basename(program)) for program in PROGRAMS]
            running = [subprocess.Popen([program, "--gtest_brief=1"], stdout=subprocess.DEVNULL,
                                        env=dict(os.environ, BERTH_AWS_CALLS=path))
                       for program, path in zip(PROGRAMS, paths)]
            self.assertEqual([program.wait() for program in running], [0] * len(running))
            for path in paths:
                with open(path) as calls:
                    for line in map(json.loads, calls):
                        names.add((line["service"], line["operation"]))
                        check(line, problems)
        self.assertEqual(sorted(set(problems)), [])
        self.assertGreater(len(names), 30)


class TheChecker(unittest.TestCase):
    def test_finds_what_aws_would_refuse(self):
        for service, operation, given, wanted in (
                ("ec2", "DescribeSecurityGroups", {"GroupIds": ["sg-1"]}, "no member GroupIds"),
                ("ecs", "DescribeServices", {"cluster": "x"}, "lacks the required services"),
                ("ecs", "ListTasks", {"maxResults": "5"}, "is a integer"),
                ("secretsmanager", "PutSecretValue", {"SecretId": "x"}, "lacks the ClientRequestToken"),
                ("ecs", "ListThings", {}, "is no operation")):
            problems = Problems()
            check({"service": service, "operation": operation, "input": given}, problems)
            self.assertIn(wanted, " ".join(problems))

    def test_finds_paths_that_are_none(self):
        problems = Problems()
        line = {"service": "xray", "operation": "GetTraces", "method": "POST", "query": {}, "body": ""}
        check({**line, "path": "/Traces"}, problems)
        self.assertEqual(problems, [])
        check({**line, "path": "/Spans"}, problems)
        self.assertIn("there is no POST /Spans", problems[0])


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:]
    if not PROGRAMS:
        sys.exit("usage: calls_test.py PROGRAM…")
    unittest.main(argv=sys.argv[:1])
