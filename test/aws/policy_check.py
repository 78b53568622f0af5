"""Whether a policy can do what it says, by AWS's service authorization reference as cfn-lint carries it.

policy_check.py FILE…: each a list of policy documents, as `berth plan --iam --json` prints them. One line for
 - an action that IAM does not know;
 - an action that IAM cannot limit to a resource, in a statement without "*": it would allow nothing;
 - an action whose kinds of resources none of the statement's ARNs can be.
Exit code 77: this cfn-lint has no such data.
"""

import fnmatch
import functools
import json
import re
import sys
from importlib import resources


def reference():
    try:
        text = resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    except (ModuleNotFoundError, FileNotFoundError):
        sys.exit(77)
    return json.loads(text)


def both_can_be(a, b):
    """Whether some text fits both patterns, in which * is any text."""

    @functools.cache
    def from_here(i, j):
        if i == len(a) and j == len(b):
            return True
        if i < len(a) and a[i] == "*":
            return from_here(i + 1, j) or (j < len(b) and from_here(i, j + 1))
        if j < len(b) and b[j] == "*":
            return from_here(i, j + 1) or (i < len(a) and from_here(i + 1, j))
        return i < len(a) and j < len(b) and a[i] == b[j] and from_here(i + 1, j + 1)

    return from_here(0, 0)


def can_be(arn, form):
    """Whether `arn` of a policy can be of this form of a reference (arn:${Partition}:ecs:…:cluster/.*)."""
    known = re.sub(r"\$\{[^}]*\}", "*", form).replace(".*", "*").split(":", 5)
    given = arn.split(":", 5)
    if len(known) < 6 or len(given) < 6:
        return both_can_be(arn, form)
    return all(both_can_be(one, other) for one, other in zip(given, known))


def problems(statement, services):
    arns = statement["Resource"]
    arns = [arns] if isinstance(arns, str) else arns
    actions = statement["Action"]
    for name in [actions] if isinstance(actions, str) else actions:
        service, _, action = name.partition(":")
        known = services.get(service, {})
        found = fnmatch.filter(known.get("Actions", {}), action.lower())
        if not found:
            yield f"{name} is no action"
        if "*" in arns:
            continue
        for one in found:
            kinds = known["Actions"][one].get("Resources", [])
            kinds = [kinds] if isinstance(kinds, str) else kinds
            if not kinds:
                yield f"{name} ({one}) cannot be limited to {arns}"
            described = [known["Resources"].get(kind, {}) for kind in kinds]
            forms = [form for kind in described for form in kind.get("ARNFormats", [])]
            if forms and not any(can_be(arn, form) for arn in arns for form in forms):
                yield f"{name} ({one}) is of {kinds}, which none of {arns} can be"


def main():
    services = reference()
    found = set()
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            documents = json.load(file)
        for document in documents if isinstance(documents, list) else [documents]:
            for statement in document["Statement"]:
                found.update(problems(statement, services))
    print("".join(f"{line}\n" for line in sorted(found)), end="")


if __name__ == "__main__":
    main()
