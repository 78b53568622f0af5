#!/usr/bin/env python3
"""The house style as a test (CONTRIBUTING.md): reads every tracked file once and prints what breaks a rule.

Each check is a generator of (line number, message); `CHECKS` lists them with the files they apply to.
tidy_test.py tests every one of them. Usage: tidy.py [repository]
"""

import os
import re
import subprocess
import sys

LINE_COLUMNS_MAX = 110
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
TEST_FILE_LINES_MAX = 1000


def is_test(path):
    name = os.path.basename(path)
    by_name = re.search(r"(_test|_fuzz|_bench)\.(cpp|py)$|\.test\.mjs$", name)
    return bool(by_name) or path.startswith(("test/", "bench/"))


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


LITERAL_OR_COMMENT = re.compile(
    r'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", flags=re.S)


def strip(source):
    """C++ without comments and with the insides of literals blanked; offsets and lines stay the same."""
    return LITERAL_OR_COMMENT.sub(lambda m: blank(m) if m.group(0)[0] == "/" else literal(m), source)


def literal(match):
    text = blank(match)
    return '"' + text[1:-1] + '"'


def strip_directives(source):
    """`strip`, without preprocessor lines too."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, strip(source), flags=re.M)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


# --- lengths ------------------------------------------------------------------------------------------------

def check_line_length(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns; {LINE_COLUMNS_MAX} is the limit. Break the line."


def check_file_length(path, text):
    limit = TEST_FILE_LINES_MAX if is_test(path) else FILE_LINES_MAX
    lines = text.count("\n")
    if lines > limit:
        yield 1, f"{lines} lines; {limit} is the limit. Split it by noun."


CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()=]*$")
FUNCTION_END = re.compile(r"\)\s*(const|noexcept|override|final|mutable|&|&&|->[^;{}]*|requires[^;{}]*|\s)*$")


def brace_kind(before, parent):
    """What a `{` opens, by the text of its statement so far and by what encloses it."""
    if parent != "container":
        return "inside"
    if CONTAINER.search(before) or not before.strip():
        return "container"
    has_initializers = re.search(r"\)\s*(noexcept)?\s*:[^:]", before) and before.rstrip()[-1] in ")}"
    if FUNCTION_END.search(before) or has_initializers:
        return "function"
    return "inside"


def check_function_length(path, text):
    code = strip_directives(text)
    stack = [("container", 0, "")]
    statement = ""
    for offset, char in enumerate(code):
        if char == "{":
            stack.append((brace_kind(statement, stack[-1][0]), offset, statement))
            statement = ""
        elif char == "}" and len(stack) > 1:
            kind, start, before = stack.pop()
            lines = code.count("\n", start, offset) + 1
            if kind == "function" and lines > FUNCTION_LINES_MAX:
                yield line_of(code, start), (
                    f"a function of {lines} lines; {FUNCTION_LINES_MAX} is the limit. Split it.")
            initializer = kind == "inside" and stack[-1][0] == "container"
            statement = before + "{}" if initializer else ""
        elif char == ";":
            statement = ""
        else:
            statement += char


# --- banned calls -------------------------------------------------------------------------------------------

BANNED = [  # (pattern, where it is allowed, what to use)
    (r"\basio::detached\b", r"^src/base/task\.cpp$", "spawn into a TaskScope"),
    (r"\bgetenv\s*\(", r"^src/app/|_test\.cpp$|/testing/", "the environment is read in app/ and handed down"),
    (r"\bstd::(cout|cerr|clog|cin|[io]?stringstream|[io]?fstream)\b|#include <(iostream|sstream|fstream)>",
     r"_(test|bench)\.cpp$|/testing/", "use fmt and base/log"),
    (r"(?<![\w.>])(std::this_thread::sleep_\w+|(::)?(u|nano)?sleep)\s*\(", r"/testing/\w+_server\.cpp$",
     "wait by Clock; tests use testing::SimClock"),
    (r"\bstd::regex\b|#include <regex>", None, "write a small scanner"),
    (r"(?<![\w.>])(std::|::)?(system|popen)\s*\(", None, "start programs by net::ProcessLauncher"),
    (r"\b(steady_clock|system_clock|high_resolution_clock)::now\s*\(",
     r"^src/(app|base)/|^bench/|_(bench|test)\.cpp$", "take a Clock"),
    (r"\busing namespace std\b\s*;", None, "name what is used"),
]


def check_banned(path, text):
    code = strip(text)
    for pattern, allowed, instead in BANNED:
        if allowed and re.search(allowed, path):
            continue
        for match in re.finditer(pattern, code):
            yield line_of(code, match.start()), f"`{match.group(0).strip()}` is banned: {instead}."


# --- coroutines ---------------------------------------------------------------------------------------------

ASSIGNMENT = re.compile(r"^[\w:<>,&*\s\[\].-]*?[\w\]]\s*=$")
CONTROL = re.compile(r"^\s*(else\s+)?(if|for|while|switch)\b(\s+constexpr)?\s*\(")
BLOCK_END = re.compile(
    r"(\)|\belse|\bdo|\btry|\bnoexcept|\bmutable|\bconst|\boverride|\bfinal|:|->[^;{}()]*)\s*$")


def await_problem(prefix, depth):
    label = r"^\s*(case\b[^:]*(::[^:]*)*:(?!:)|default\s*:|else\b|do\b)\s*"
    prefix = re.sub(label, "", prefix).strip()
    if depth == 0 and (prefix in ("", "co_return") or ASSIGNMENT.match(prefix)):
        return None
    return "co_await stands alone, right of one assignment, or after co_return: give its result a name first."


def check_co_await(path, text):
    code = strip_directives(text)
    frames = [[0, 0]]  # statement start and parenthesis depth, one frame per open brace
    for match in re.finditer(r"[(){};]|\bco_await\b", code):
        token, at, frame = match.group(0), match.start(), frames[-1]
        statement = code[frame[0]:at]
        if token == "co_await":
            problem = await_problem(statement, frame[1])
            if problem:
                yield line_of(code, at), problem
        elif token == "(":
            frame[1] += 1
        elif token == ")":
            frame[1] -= 1
            if frame[1] == 0 and CONTROL.match(statement):
                frame[0] = at + 1
        elif token == "{":
            empty = re.match(r"\{\s*\}", code[at:at + 40])
            if not empty and re.search(r"\bco_await\b[^{}]*([(,]|\[[^\[\]]+\][^;{}]*)\s*$", statement):
                yield line_of(code, at), (
                    "an aggregate or a capturing closure handed to a coroutine has a name first.")
            opens_block = not statement.strip() or BLOCK_END.search(statement) or CONTAINER.search(statement)
            frames.append([at + 1, 0 if opens_block else 1])
        elif token == "}" and len(frames) > 1:
            frames.pop()
            opened_by = code[frames[-1][0]:at].split("{")[0]
            if frames[-1][1] == 0 and not re.search(r"=\s*\w*$|\breturn\b", opened_by):
                frames[-1][0] = at + 1
        elif token == ";" and frame[1] == 0:
            frame[0] = at + 1


# --- comments -----------------------------------------------------------------------------------------------

def check_leftovers(path, text):
    for match in re.finditer(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b", text):
        yield line_of(text, match.start()), f"`{match.group(0)}`: do it, or open an issue."


COMMENTED_CODE = re.compile(
    r"^\s*//(?!/)\s*(#include\b.*|(if|for|while|return|co_return|co_await|const|auto|static)\b.*[;{]|"
    r"[\w:.>-]+\(.*\);|[\w:.<>*&]+(\s+[\w*&]+)?\s*=\s*[^=].*;|\}.*)\s*$")


def check_commented_code(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if COMMENTED_CODE.match(line):
            yield number, "code in a comment: delete it, git remembers."


# --- files --------------------------------------------------------------------------------------------------

def check_pragma_once(path, text):
    first = next((line for line in text.split("\n") if line.strip() and not line.startswith("//")), "")
    if first != "#pragma once":
        yield 1, "a header begins with #pragma once."


MACHINE = re.compile(
    r"/wo" r"rk/(main|shared|brief|\.)|/ro" r"ot/|regi" r"stry\.npm|\"reso" r"lved\":|deb\.deb" r"ian")


def check_machine_words(path, text):
    for match in MACHINE.finditer(text):
        yield line_of(text, match.start()), f"`{match.group(0)}` belongs to one machine or registry."


def check_markdown_title(path, text):
    prose = re.sub(r"^```.*?^```", blank, text, flags=re.S | re.M)
    titles = [line_of(prose, m.start()) for m in re.finditer(r"^# .+", prose, flags=re.M)]
    if titles[:1] != [1] or len(titles) != 1:
        yield (titles[1] if len(titles) > 1 else 1), "a page has one title (# …), in its first line."


# --- floors and build lists ---------------------------------------------------------------------------------

def read_floors(cmake):
    floors = {name: int(floor) for name, floor in re.findall(r"set\(BERTH_FLOOR_(\w+) (\d+)\)", cmake)}
    sisters = re.findall(r"set\(BERTH_SISTERS_(\w+) ([\w ]+)\)", cmake)
    return floors, {name: names.split() for name, names in sisters}


def check_floors(path, text, floors, sisters):
    own = path.split("/")[1]
    for match in re.finditer(r'^#include "(\w+)/', text, flags=re.M):
        other = match.group(1)
        if own not in floors or other not in floors or other == own:
            continue
        if floors[other] >= floors[own] and other not in sisters.get(own, []):
            yield line_of(text, match.start()), (
                f"{own}/ is on floor {floors[own]} and {other}/ on floor {floors[other]}: "
                "a file includes from its own folder and from lower floors only.")


def check_listed(path, lists):
    """`lists`: folder → text of its CMakeLists.txt. A source is named, relative to it, by a list above it."""
    folder = os.path.dirname(path)
    while True:
        if folder in lists:
            name = os.path.relpath(path, folder or ".")
            if re.search(r"(?<![\w/.-])" + re.escape(name) + r"(?![\w/])", lists[folder]):
                return
            if re.search(r"/" + re.escape(path) + r"(?![\w/])", lists[folder]):
                return
            if re.search(r"foreach\([^)]*\b" + re.escape(name[:-len(".cpp")]) + r"\b", lists[folder]):
                return
        if not folder:
            break
        folder = os.path.dirname(folder)
    yield 1, "is listed in no CMakeLists.txt, so nothing builds it."


# --- one definition a name ----------------------------------------------------------------------------------

TYPE = re.compile(
    r"\b(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(\w+)(?:\s+final)?(?:\s*:[^:].*)?$",
    flags=re.S)


def types_of(text):
    """Qualified names of the types that a file defines in namespaces with a name, with their lines."""
    code = strip_directives(text)
    stack, start = [], 0  # names of the namespaces around; None for everything else
    for match in re.finditer(r"[{};]", code):
        if match.group(0) == "{":
            before = code[start:match.start()].strip()
            space = re.search(r"\bnamespace\s+([\w:]+)$", before)
            found = None if "template" in before else TYPE.search(before)
            if found and None not in stack:
                yield "::".join([*stack, found.group(1)]), line_of(code, match.start())
            stack.append(space.group(1) if space else None)
        elif match.group(0) == "}" and stack:
            stack.pop()
        start = match.end()


def check_one_definition(files):
    """Two types of one qualified name crash the program that links both: nothing else tells."""
    first = {}
    for path, text in files.items():
        if not re.search(r"^src/.*\.(cpp|h)$", path) or re.search(r"_(test|bench|fuzz)\.cpp$", path):
            continue
        for name, line in types_of(text):
            if first.setdefault(name, path) != path:
                yield path, line, f"{name} is defined in {first[name]} too: a name has one definition."


# --- the whole ----------------------------------------------------------------------------------------------

CPP = r"^(src|include|test|examples|bench)/.*\.(cpp|h)$"
CODE = r"\.(cpp|h|mjs|py|lua|sh)$|^run$"
CHECKS = [
    (CODE, check_line_length),
    (CODE, check_file_length),
    (CPP, check_function_length),
    (CPP, check_banned),
    (CPP, check_co_await),
    (CPP, check_commented_code),
    (r"\.(cpp|h|mjs|py|lua|sh|cmake|md|txt|yaml)$|^run$", check_leftovers),
    (r"^(src|include|test|examples|bench)/.*\.h$", check_pragma_once),
    (r"", check_machine_words),
    (r"\.md$", check_markdown_title),
]


def tracked_files(root):
    command = ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    return sorted(name for name in set(names) if name and os.path.isfile(os.path.join(root, name)))


def check_ignored(names):
    """`names`: tracked files that .gitignore names, so that nobody sees when they change."""
    for path in names:
        yield path, 1, f"is tracked although .gitignore names it: git rm --cached {path}"


def ignored_files(root):
    command = ["git", "-C", root, "ls-files", "-ci", "--exclude-standard", "-z"]
    names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    return sorted(name for name in names if name)


def check_tree(files):
    """`files`: path → text. Yields (path, line, message)."""
    floors, sisters = read_floors(files.get("cmake/floors.cmake", ""))
    lists = {os.path.dirname(path): text for path, text in files.items() if path.endswith("CMakeLists.txt")}
    for module in (path for path in files if path.endswith(".cmake")):
        lists[""] = lists.get("", "") + files[module]
    yield from check_one_definition(files)
    for path, text in files.items():
        for pattern, check in CHECKS:
            if re.search(pattern, path):
                yield from ((path, line, message) for line, message in check(path, text))
        if path.startswith("src/") and path.endswith((".cpp", ".h")):
            for line, message in check_floors(path, text, floors, sisters):
                yield path, line, message
        if path.endswith(".cpp"):
            yield from ((path, line, message) for line, message in check_listed(path, lists))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../..")
    files = {}
    for path in tracked_files(root):
        if path.startswith("test/corpus/") and not path.endswith(".cpp"):
            continue
        with open(os.path.join(root, path), "rb") as file:
            raw = file.read()
        if b"\0" not in raw:
            files[path] = raw.decode("utf-8", "replace")
    problems = list(check_tree(files)) + list(check_ignored(ignored_files(root)))
    for path, line, message in problems:
        print(f"{path}:{line}: {message}")
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
