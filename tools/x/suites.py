"""`x test`: runs every test and counts what really ran.

A suite is `unit` (all programs that CTest knows) or a folder tests/NAME with an executable `run`, whose last
line says `N passed, N failed` and perhaps `, N skipped`. A suite that cannot be counted, that ends with a
failure it did not count, or that does not end, counts as one failed test: nothing is ever passed silently.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

import build
import install
import paths
from progress import Failure, say
from store import Store

UNIT = "unit"
SUITE_SECONDS = 40 * 60
SUMMARY = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"

    @property
    def good(self) -> bool:
        """Nothing failed, and something ran."""
        return self.failed == 0 and self.passed > 0


def count_summary(last_line: str, status: int) -> Count:
    """What a tests/NAME/run reports with its last line and exit status."""
    found = SUMMARY.fullmatch(last_line.strip())
    if not found:
        say(f"no line `N passed, N failed` at the end, exit status {status}")
        return Count(failed=1)
    count = Count(int(found[1]), int(found[2]), int(found[3] or 0))
    if status != 0 and count.failed == 0:
        say(f"reports no failure but ended with status {status}")
        count.failed = 1
    return count


def count_junit(text: str, status: int) -> Count:
    """What CTest's JUnit report says; a test that could not be started has failed, not been skipped."""
    count = Count()
    for case in xml.fromstring(text).iter("testcase"):
        skipped = case.find("skipped")
        if case.get("status") == "run":
            count.passed += 1
        elif case.get("status") == "disabled" or (skipped is not None
                                                  and skipped.get("message", "").startswith("SKIP_")):
            count.skipped += 1
        else:
            count.failed += 1
    if status != 0 and count.failed == 0:
        say(f"ctest reports no failure but ended with status {status}")
        count.failed = 1
    return count


LONG = {"faults", "openapi"}  # folders of tests/ that take too long for `x test`: parts of `x check`


def run_unit(preset: str) -> Count:
    report = paths.build_dir(preset) / "junit.xml"
    report.unlink(missing_ok=True)
    status, _ = run_streaming(["ctest", "--test-dir", str(paths.build_dir(preset)), "--output-on-failure", "-j2",
                               "--no-tests=error", "--output-junit", str(report)], environment(preset))
    if not report.exists():
        return Count(failed=1)
    return count_junit(report.read_text(errors="replace"), status)


def run_folder(name: str, preset: str, *arguments: str) -> Count:
    status, last_line = run_streaming([str(paths.ROOT / "tests" / name / "run"), *arguments], environment(preset))
    return count_summary(last_line, status)


def environment(preset: str) -> dict[str, str]:
    """For tests: the stores, the binary to test, and sanitizers that end a program at the first finding."""
    symbolizer = "external_symbolizer_path=/usr/bin/llvm-symbolizer-19"
    return {
        **os.environ,
        **paths.store_environment(),
        "TERRANE_BINARY": str(paths.binary(preset)),
        "ASAN_OPTIONS": f"detect_stack_use_after_return=1:{symbolizer}",
        "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:{symbolizer}",
        "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:{symbolizer}",
    }


def run_streaming(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Runs a command, showing its output as it comes; its exit status and last line that is not empty.

    After SUITE_SECONDS the command and its children are killed, and the status is negative.
    """
    process = subprocess.Popen(command, cwd=paths.ROOT, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               start_new_session=True)

    def kill() -> None:
        say(f"{command[0]} did not end within {SUITE_SECONDS} s and is killed")
        os.killpg(process.pid, signal.SIGKILL)

    alarm = threading.Timer(SUITE_SECONDS, kill)
    alarm.start()
    last_line = ""
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            last_line = line if line.strip() else last_line
        return process.wait(), last_line
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        alarm.cancel()


def folders() -> list[str]:
    """The names of the folders of tests/ that have an executable `run`, sorted, without those that `x check` runs."""
    found = (run.parent.name for run in (paths.ROOT / "tests").glob("*/run") if os.access(run, os.X_OK))
    return sorted(name for name in found if name not in LONG)


def test(chosen: list[str]) -> int:
    """Runs the chosen suites, or all; the exit status of `x test`."""
    suites = [UNIT, *folders()]
    unknown = set(chosen) - set(suites)
    if unknown:
        raise Failure(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(suites)}")

    stages: list[tuple[str, float, str]] = []

    def stage(name: str, work) -> Count:
        start = time.monotonic()
        try:
            count = work() or Count()
        except Failure as failure:
            say(str(failure))
            count = Count(failed=1)
        stages.append((name, (time.monotonic() - start) / 60, str(count) if count != Count() else ""))
        return count

    total = Count()
    for name, work in [("install", install.install),
                       ("engine", lambda: Store(paths.cache()).install(paths.ENGINE)),
                       ("build", lambda: build.build("debug"))]:
        total += stage(name, work)
        if total.failed:
            break
    else:
        for suite in chosen or suites:
            say(f"suite {suite}")
            total += stage(suite, lambda: run_unit("debug") if suite == UNIT else run_folder(suite, "debug"))

    for name, minutes, result in stages:
        print(f"{minutes:6.1f} min  {name:16} {result}".rstrip())
    if total.passed + total.failed == 0:
        say("nothing ran")
    print(total, flush=True)
    return 0 if total.good else 1
