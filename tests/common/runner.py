"""Runs independent cases side by side and counts them: most of a case's time is waiting for the system."""

import argparse
import threading
import time
import traceback
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator


def cases_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases_in(item)
        else:
            yield item


class Counter:
    """Prints each result as it comes; threads share it."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self._lock = threading.Lock()

    def count(self, name: str, result: unittest.TestResult, seconds: float) -> None:
        problems = [text for _, text in result.failures + result.errors]
        problems += [f"{case} passed though it is expected to fail" for case in result.unexpectedSuccesses]
        with self._lock:
            if problems:
                self.failed += 1
                print(f"FAILED  {seconds:5.1f} s  {name}\n" + "\n".join(problems), flush=True)
            elif result.skipped:
                self.skipped += 1
                print(f"skipped {seconds:5.1f} s  {name}: {result.skipped[0][1]}", flush=True)
            else:
                self.passed += 1
                print(f"passed  {seconds:5.1f} s  {name}", flush=True)

    def fail(self, what: str) -> None:
        with self._lock:
            self.failed += 1
            print(f"FAILED  {what}\n{traceback.format_exc()}", flush=True)

    def finish(self) -> int:
        """Prints the last line; the exit status."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 0 if self.failed == 0 and self.passed + self.skipped > 0 else 1


def run_case(case: unittest.TestCase, counter: Counter) -> None:
    result = unittest.TestResult()
    start = time.monotonic()
    case.run(result)
    counter.count(case.id(), result, time.monotonic() - start)


def main(folder: Path, set_up: Callable[[], None], tear_down: Callable[[bool], None], workers: int) -> int:
    """Loads *_test.py of `folder` and runs their cases, those whose class says `alone = True` one by one at the end.

    `tear_down` is told whether anything failed. Arguments of the command line choose cases by parts of their names.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="only name the cases")
    parser.add_argument("--workers", type=int, default=workers, help="cases at once")
    parser.add_argument("parts", nargs="*", help="run the cases whose names contain one of these")
    options = parser.parse_args()
    loader = unittest.TestLoader()
    cases = list(cases_in(loader.discover(str(folder), pattern="*_test.py")))
    if options.parts:
        cases = [case for case in cases if any(part in case.id() for part in options.parts)]
    if options.list:
        print("\n".join(case.id() for case in cases))
        return 0
    counter = Counter()
    try:
        set_up()
        together = [case for case in cases if not getattr(case, "alone", False)]
        alone = [case for case in cases if getattr(case, "alone", False)]
        with ThreadPoolExecutor(options.workers) as pool:
            list(pool.map(lambda case: run_case(case, counter), together))
        for case in alone:
            run_case(case, counter)
    except BaseException as problem:  # also Ctrl-C: what was started must end
        counter.fail("the suite itself")
        if not isinstance(problem, Exception):
            raise
    finally:
        try:
            tear_down(counter.failed > 0)
        except Exception:
            counter.fail("ending the suite")
    return counter.finish()
