"""How the official client's tests are read and counted."""

import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

CONFORMANCE = Path(__file__).resolve().parents[1] / "conformance"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, CONFORMANCE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


client_tests = load("client_tests")
execution = load("execution")
report = load("report")
Result = execution.Result

# What a process prints with -test.v=test2json; `^` stands for the byte that begins the framework's lines.
PRINTED = """^=== RUN   TestGood
^=== PAUSE TestGood
^=== RUN   TestBad
^=== RUN   TestBad/part
^=== NAME  TestBad/part
    file_test.go:7: it is not equal
^    --- FAIL: TestBad/part (0.10s)
^--- FAIL: TestBad (0.20s)
^=== RUN   TestOnlySkips
^=== RUN   TestOnlySkips/one
^    --- SKIP: TestOnlySkips/one (0.00s)
^--- PASS: TestOnlySkips (0.00s)
^=== RUN   TestSkipped
^--- SKIP: TestSkipped (0.00s)
^=== CONT  TestGood
text without an end^--- PASS: TestGood (1.50s)
PASS
""".replace("^", execution.MARK)


def read(text: str):
    reader = execution.Reader()
    for line in text.splitlines(keepends=True):
        reader.take(line)
    return reader


class Reading(unittest.TestCase):
    def test_each_test_has_its_end_and_what_it_printed(self):
        results = read(PRINTED).finish()
        self.assertEqual({name: result.status for name, result in results.items()},
                         {"TestGood": "passed", "TestBad": "failed", "TestOnlySkips": "skipped",
                          "TestSkipped": "skipped"})
        self.assertEqual(results["TestGood"].seconds, 1.5)
        self.assertIn("    file_test.go:7: it is not equal", results["TestBad"].output)

    def test_a_paused_test_does_not_run(self):
        reader = read("".join(PRINTED.splitlines(keepends=True)[:3]))
        self.assertEqual(list(reader.running), ["TestBad"])


class Processes(unittest.TestCase):
    """A program that behaves as it is told by its first argument's tests: `^(A|B)$` of `-test.run`."""

    def run_tests(self, script: str, names: list[str], limit: float = 60) -> dict[str, Result]:
        with tempfile.TemporaryDirectory() as scratch:
            program = Path(scratch, "program")
            program.write_text("#!/bin/sh\nline() { printf '\\026%s\\n' \"$*\"; }\n"
                               "names=$(echo \"$2\" | tr -c 'A-Za-z' ' '); names=${names#* test run }\n"
                               "for name in $names; do\n  [ $name = TestUnknown ] && continue\n"
                               f"  line === RUN  $name\n{script}\ndone\n")
            program.chmod(0o755)
            fixtures = Path(scratch, "fixtures")
            fixtures.mkdir()
            mode = execution.Mode(client_tests.Program(program, fixtures),
                                  execution.Server("https://localhost", "token", ""), "cloud", limit,
                                  lambda *_: None)
            return mode.run([(names, 1)])

    def statuses(self, *arguments, **options) -> dict[str, str]:
        return {name: result.status for name, result in self.run_tests(*arguments, **options).items()}

    def test_all_end(self):
        self.assertEqual(self.statuses("  line '--- PASS:' $name '(0.00s)'", ["TestA", "TestB"]),
                         {"TestA": "passed", "TestB": "passed"})

    def test_what_hangs_is_named_and_the_rest_is_run(self):
        script = "  [ $name = TestB ] && sleep 60\n  line '--- PASS:' $name '(0.00s)'"
        self.assertEqual(self.statuses(script, ["TestA", "TestB", "TestC"], limit=0.5),
                         {"TestA": "passed", "TestB": "hung", "TestC": "passed"})

    def test_what_kills_the_process_is_named_and_the_rest_is_run(self):
        script = "  [ $name = TestB ] && exit 2\n  line '--- PASS:' $name '(0.00s)'"
        self.assertEqual(self.statuses(script, ["TestA", "TestB", "TestC"]),
                         {"TestA": "passed", "TestB": "died", "TestC": "passed"})

    def test_a_name_that_the_program_does_not_know_has_failed(self):
        self.assertEqual(self.statuses("  line '--- PASS:' $name '(0.00s)'", ["TestA", "TestUnknown"]),
                         {"TestA": "passed", "TestUnknown": "failed"})


class Merging(unittest.TestCase):
    def merged(self, *statuses: str) -> str:
        modes = {str(number): {"TestX": Result(status)} for number, status in enumerate(statuses)}
        return report.merge(modes)["TestX"]

    def test_one_failure_in_any_mode_is_one(self):
        self.assertEqual(self.merged("passed", "failed", "skipped"), "failed")
        self.assertEqual(self.merged("passed", "hung"), "failed")
        self.assertEqual(self.merged("died"), "failed")

    def test_a_pass_needs_one_mode_that_did_not_skip(self):
        self.assertEqual(self.merged("skipped", "passed"), "passed")
        self.assertEqual(self.merged("skipped", "skipped"), "skipped")


class Lists(unittest.TestCase):
    def test_expected_passes_are_tests_that_can_run(self):
        runnable = {test.name for test in client_tests.table() if test.kind == "ok"}
        self.assertEqual(report.expected() - runnable, set())
        self.assertEqual(len([test for test in client_tests.table() if test.tier == "T1" and test.kind == "ok"]), 112)

    def test_expected_passes_only_grow(self):
        git = ["git", "-C", str(CONFORMANCE), "show", "HEAD~1:./expected.txt"]
        before = subprocess.run(git, capture_output=True, text=True)
        if before.returncode != 0:
            self.skipTest("there is no earlier commit with this file")
        names = {line for line in before.stdout.splitlines() if line and not line.startswith("#")}
        self.assertEqual(names - report.expected(), set())

    def test_accepting_adds_and_keeps(self):
        with tempfile.TemporaryDirectory() as scratch:
            with mock.patch.object(report, "EXPECTED", Path(scratch, "expected.txt")):
                report.accept({"TestB"})
                report.accept({"TestA"})
                self.assertEqual(report.expected(), {"TestA", "TestB"})


if __name__ == "__main__":
    unittest.main()
