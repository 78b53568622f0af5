#!/usr/bin/env python3
"""Turns ctest's JUnit file and GoogleTest's JSON files into result lines: pass|fail|skip, suite, name.

Usage: tally.py SUITE JUNIT_XML GTEST_FOLDER. GoogleTest programs count by test case; a program that ended
without a result file counts as one failure. The lines go to stdout.
"""

import json
import os
import sys
import xml.etree.ElementTree


def gtest_cases(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    for group in report.get("testsuites", []):
        for case in group.get("testsuite", []):
            name = f"{group['name']}.{case['name']}"
            if case.get("failures"):
                yield "fail", name
            elif case.get("status") == "NOTRUN" or case.get("result") == "SKIPPED":
                yield "skip", name
            else:
                yield "pass", name


def ctest_case(case):
    if case.find("failure") is not None or case.get("status") == "fail":
        return "fail"
    skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
    return "skip" if skipped else "pass"


def main():
    suite, junit, folder = sys.argv[1:4]
    for case in xml.etree.ElementTree.parse(junit).getroot().iter("testcase"):
        name, verdict = case.get("name"), ctest_case(case)
        report = os.path.join(folder, f"{name}_test.json")
        cases = list(gtest_cases(report)) if os.path.exists(report) else []
        for outcome, test in cases:
            print(f"{outcome}\t{suite}\t{name}: {test}")
        if not cases or (verdict == "fail" and not any(outcome == "fail" for outcome, _ in cases)):
            print(f"{verdict}\t{suite}\t{name}")


if __name__ == "__main__":
    main()
