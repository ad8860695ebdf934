"""How `x test` counts."""

import contextlib
import io
import os
import unittest
from unittest import mock

import suites
from suites import Count

JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x" tests="6" failures="1" disabled="1" skipped="2">
  <testcase name="good" status="run"/>
  <testcase name="also_good" status="run"/>
  <testcase name="bad" status="fail"><failure message=""/></testcase>
  <testcase name="switched_off" status="disabled"/>
  <testcase name="skips_itself" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>
  <testcase name="not_built" status="notrun"><skipped message="Unable to find executable: nowhere"/></testcase>
</testsuite>
"""


def quietly(function, *arguments):
    with contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments)


class SummaryLine(unittest.TestCase):
    def test_counts(self):
        self.assertEqual(suites.count_summary("3 passed, 1 failed\n", 1), Count(3, 1))
        self.assertEqual(suites.count_summary("3 passed, 0 failed, 2 skipped\n", 0), Count(3, 0, 2))

    def test_another_last_line_is_a_failure(self):
        for line in ["", "done", "3 passed", "3 passed, 0 failed and so on", "so 3 passed, 0 failed"]:
            self.assertEqual(quietly(suites.count_summary, line, 0), Count(failed=1), line)

    def test_a_failure_that_was_not_counted_is_one(self):
        self.assertEqual(quietly(suites.count_summary, "3 passed, 0 failed", 1), Count(3, 1))

    def test_nothing_run_is_not_good(self):
        self.assertFalse(Count().good)
        self.assertFalse(Count(skipped=3).good)
        self.assertFalse(Count(passed=3, failed=1).good)
        self.assertTrue(Count(passed=1, skipped=3).good)

    def test_a_sum_is_printed_as_the_suites_print_it(self):
        total = Count(1, 0) + Count(2, 3, 4)
        self.assertEqual(str(total), "3 passed, 3 failed, 4 skipped")
        self.assertEqual(suites.count_summary(str(total), 1), total)
        self.assertEqual(str(Count(2, 0)), "2 passed, 0 failed")


class Junit(unittest.TestCase):
    def test_a_test_that_could_not_start_failed(self):
        self.assertEqual(suites.count_junit(JUNIT, 8), Count(2, 2, 2))

    def test_a_failure_that_was_not_counted_is_one(self):
        text = '<testsuite><testcase name="good" status="run"/></testsuite>'
        self.assertEqual(suites.count_junit(text, 0), Count(1, 0))
        self.assertEqual(quietly(suites.count_junit, text, 8), Count(1, 1))


class Streaming(unittest.TestCase):
    def run_shell(self, script: str):
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            return *quietly(suites.run_streaming, ["sh", "-c", script], dict(os.environ)), shown.getvalue()

    def test_last_line_and_status(self):
        status, last_line, shown = self.run_shell("echo one; echo two >&2; echo; exit 3")
        self.assertEqual((status, last_line, shown), (3, "two\n", "one\ntwo\n\n"))

    def test_a_suite_that_does_not_end_is_killed_with_its_children(self):
        with mock.patch.object(suites, "SUITE_SECONDS", 0.3):
            status, _, _ = self.run_shell("sleep 60 & sleep 60")
        self.assertLess(status, 0)


if __name__ == "__main__":
    unittest.main()
