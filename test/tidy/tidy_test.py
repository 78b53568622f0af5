#!/usr/bin/env python3
"""Every check of tidy.py on text that obeys it and on text that does not."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402


def lines(problems):
    return [line for line, _ in problems]


def body(count):
    return "\n".join("  step();" for _ in range(count))


class Lengths(unittest.TestCase):
    def test_a_line_may_have_110_columns(self):
        self.assertEqual(lines(tidy.check_line_length("a.cpp", "x" * 110 + "\n" + "x" * 111)), [2])

    def test_columns_count_characters_not_bytes(self):
        self.assertEqual(lines(tidy.check_line_length("a.cpp", "→" * 110)), [])

    def test_tests_may_be_longer_than_sources(self):
        text = "x\n" * 700
        self.assertEqual(lines(tidy.check_file_length("src/a.cpp", text)), [1])
        self.assertEqual(lines(tidy.check_file_length("src/a_test.cpp", text)), [])

    def test_a_long_function_is_found_in_its_namespace_and_class(self):
        text = "namespace a {\nclass B {\n  int c() const {\n" + body(70) + "\n  }\n};\n}\n"
        self.assertEqual(lines(tidy.check_function_length("a.cpp", text)), [3])

    def test_a_function_with_an_initializer_list_is_a_function(self):
        text = "B::B(int x) : x_{x}, y_(2) {\n" + body(80) + "\n}\n"
        self.assertEqual(lines(tidy.check_function_length("a.cpp", text)), [1])

    def test_short_functions_tables_and_classes_may_add_up(self):
        table = "constexpr int table[] = {\n" + "1,\n" * 100 + "};\n"
        klass = "class A {\n" + "  void f() { g(); }\n" * 100 + "};\n"
        self.assertEqual(lines(tidy.check_function_length("a.cpp", table + klass)), [])

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = 'void f() {\n  g("{");  // {\n}\nvoid h() {\n' + body(60) + "\n}\n"
        self.assertEqual(lines(tidy.check_function_length("a.cpp", text)), [])


class Banned(unittest.TestCase):
    def banned(self, code, path="src/net/a.cpp"):
        return lines(tidy.check_banned(path, code))

    def test_each_call_has_a_replacement(self):
        for code in ("co_spawn(e, f(), asio::detached);", "std::getenv(\"A\");", "std::cout << 1;",
                     "usleep(1);",
                     "::sleep(1);", "std::this_thread::sleep_for(1s);", "std::regex r;", "system(\"ls\");",
                     "std::system(\"ls\");", "#include <iostream>", "steady_clock::now()",
                     "using namespace std;"):
            self.assertEqual(self.banned(code), [1], code)

    def test_words_in_text_and_own_functions_are_free(self):
        for code in ("// std::cout", 'log("system(1)");', "clock.sleep_for(1s);",
                     "co_await clock_->sleep(1s);",
                     "file_system(1);", "spec.system(1);"):
            self.assertEqual(self.banned(code), [], code)

    def test_the_composition_root_reads_the_environment(self):
        self.assertEqual(self.banned('std::getenv("A");', "src/app/main.cpp"), [])


class CoAwait(unittest.TestCase):
    def problems(self, statement):
        return lines(tidy.check_co_await("a.cpp", "Task<void> f() {\n" + statement + "\n}\n"))

    def test_the_three_forms_pass(self):
        for statement in ("co_await g();", "const auto x = co_await g(1, h(2));", "co_return co_await g();",
                          "if (a) co_await g();", "for (int i = 0; i < 3; ++i) co_await g();",
                          "x.y[2] = co_await g();",
                          "while (true) {\n co_await g();\n }", "else co_await g();",
                          "case a::b: co_await g(); break;",
                          "Result<std::vector<int>> r =\n    co_await g();",
                          "if (a) {\n b();\n}\nco_await g();",
                          "auto f = [&]() -> Task<void> { co_await g(); };", "this->x_ = co_await g();",
                          "try {\n co_await g();\n} catch (...) {\n}", "const A a{1, 2};\nco_await g(a);"):
            self.assertEqual(self.problems(statement), [], statement)

    def test_every_other_place_fails(self):
        for statement in ("if (co_await g()) return;", "h(co_await g());", "A a{co_await g()};",
                          "x = a + co_await g();",
                          "x = b ? co_await g() : co_await h();", "while (co_await g()) {}",
                          "return h(1, co_await g());",
                          "for (auto x : co_await g()) {}", "co_return h(co_await g());",
                          "auto x = {co_await g()};"):
            self.assertTrue(self.problems(statement), statement)

    def test_aggregates_and_closures_have_names(self):
        self.assertTrue(self.problems("co_await g({1, 2});"))
        self.assertTrue(self.problems("co_await g(1, [x] { h(x); });"))
        self.assertFalse(self.problems("co_await g([] { h(); });"))
        self.assertFalse(self.problems("co_await g(a, {});"))


class Comments(unittest.TestCase):
    def test_leftovers(self):
        self.assertEqual(lines(tidy.check_leftovers("a.cpp",
        "// TO" + "DO later\n// fix\n// FIX" + "ME")), [1, 3])

    def test_commented_out_code(self):
        for line in ("// return 1;", "// foo(bar);", "  // x = y + 1;", "// if (a) {", "// #include <a>",
                     "// }"):
            self.assertEqual(lines(tidy.check_commented_code("a.cpp", line)), [1], line)

    def test_prose_is_not_code(self):
        for line in ("// Returns one; then waits for", "/// `foo(bar);` does it.", "// a = b means that",
                     "x();  // why"):
            self.assertEqual(lines(tidy.check_commented_code("a.cpp", line)), [], line)


class Files(unittest.TestCase):
    def test_pragma_once(self):
        self.assertEqual(lines(tidy.check_pragma_once("a.h", "#include <a>\n")), [1])
        self.assertEqual(lines(tidy.check_pragma_once("a.h", "// About.\n#pragma once\n")), [])

    def test_machine_words(self):
        self.assertEqual(lines(tidy.check_machine_words("a.md", "see /wo" + "rk/main\n/usr/bin")), [1])

    def test_one_title(self):
        self.assertEqual(lines(tidy.check_markdown_title("a.md", "# A\n```\n# comment\n```\n")), [])
        self.assertEqual(lines(tidy.check_markdown_title("a.md", "# A\n# B\n")), [2])
        self.assertEqual(lines(tidy.check_markdown_title("a.md", "text\n# A\n")), [1])

    def test_what_is_ignored_is_not_tracked(self):
        with tempfile.TemporaryDirectory() as root:
            git = ["git", "-C", root]
            subprocess.run([*git, "init", "-q"], check=True)
            for name, text in {".gitignore": "*.pyc\n", "a.pyc": "", "a.py": ""}.items():
                with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                    file.write(text)
            subprocess.run([*git, "add", "-f", "."], check=True)
            self.assertEqual(tidy.ignored_files(root), ["a.pyc"])
        self.assertEqual([path for path, _, _ in tidy.check_ignored(["a.pyc"])], ["a.pyc"])


class Tree(unittest.TestCase):
    floors = ("set(BERTH_FLOOR_base 0)\nset(BERTH_FLOOR_model 0)\nset(BERTH_FLOOR_net 1)\n"
              "set(BERTH_SISTERS_model base)\n")

    def check(self, **files):
        tree = {"cmake/floors.cmake": self.floors, "src/base/CMakeLists.txt": "SOURCES a.cpp sub/b.cpp"}
        tree.update({name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()})
        return [(path, line) for path, line, _ in tidy.check_tree(tree)]

    def test_includes_go_down(self):
        self.assertEqual(self.check(src__base__a_dot_cpp='#include "net/x.h"\n'), [("src/base/a.cpp", 1)])
        self.assertEqual(self.check(src__base__a_dot_cpp='#include "model/x.h"\n'), [("src/base/a.cpp", 1)])
        self.assertEqual(self.check(src__model__x_dot_h='#pragma once\n#include "base/x.h"\n'), [])

    def test_every_source_is_listed(self):
        self.assertEqual(self.check(src__base__sub__b_dot_cpp=""), [])
        self.assertEqual(self.check(src__base__c_dot_cpp=""), [("src/base/c.cpp", 1)])
        loop = "foreach(program c d)\n  add_executable(${program} ${program}.cpp)\nendforeach()\n"
        listed = self.check(src__base__c_dot_cpp="", src__base__CMakeLists_dot_txt=loop)
        self.assertEqual(listed, [])


class Definitions(unittest.TestCase):
    def found(self, **texts):
        files = {f"src/{name}.h": text for name, text in texts.items()}
        return [(path, line) for path, line, _ in tidy.check_one_definition(files)]

    def test_a_qualified_name_has_one_definition(self):
        for kind in ("struct T", "class T final : public B", "enum class T : unsigned char"):
            text = "namespace a::b {\n" + kind + " {\n};\n}\n"
            self.assertEqual(self.found(one=text, two=text), [("src/two.h", 2)], kind)

    def test_fakes_of_tests_are_looked_at_too_for_one_program_may_link_them(self):
        text = "namespace a::testing {\nclass T {\n};\n}\n"
        files = {"src/one/testing/fake.h": text, "src/two/testing/fake.h": text}
        found = [(path, line) for path, line, _ in tidy.check_one_definition(files)]
        self.assertEqual(found, [("src/two/testing/fake.h", 2)])

    def test_other_namespaces_inner_types_and_declarations_are_no_second_one(self):
        one = "namespace a { struct T { struct In {}; }; }"
        for other in ("namespace b { struct T {}; }", "namespace a { namespace { struct T {}; } }",
                      "namespace a { struct T; }", "namespace a { struct U { struct T {}; struct In {}; }; }",
                      "namespace a { T f() { struct T {}; } }", "namespace a { // struct T {}\n}"):
            self.assertEqual(self.found(one=one, two=other), [], other)


if __name__ == "__main__":
    unittest.main()
