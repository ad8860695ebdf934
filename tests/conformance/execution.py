"""Runs tests of the client against a server, and reads what became of each from what they print.

The client repeats a request that was answered 5xx for six minutes, a panic ends all tests of a process, and a
test may wait for ever. So each test has a time limit: when it is over, or the process has died, what did not get
a result is run again in a new process, and the culprit is named.
"""

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable
from urllib.parse import urlsplit

from client_tests import FIXTURES, Program, copy_writable

# What unlocks other tests, or other parts of a test. The merged result counts.
MODES = {
    "enterprise": {"ENABLE_TFE": "1"},
    "cloud": {"ENABLE_TFE": "0"},
    "beta": {"ENABLE_TFE": "0", "ENABLE_BETA": "1"},
}
ADMIN_ROLES = ["SITE_ADMIN", "CONFIGURATION", "PROVISION_LICENSES", "SUBSCRIPTION", "SUPPORT",
               "SECURITY_MAINTENANCE", "VERSION_MAINTENANCE"]
EXCLUDED = "^TestClient_"  # they change the environment of the process while others read it
KEPT_LINES = 200  # of what one test prints

# With -test.v=test2json each line of the framework begins with this byte, also after a line that was not ended.
MARK = "\x16"
STARTED = re.compile(r"=== (RUN|PAUSE|CONT|NAME) +(\S*)")
ENDED = re.compile(r" *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)")
WORDS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


@dataclass(frozen=True)
class Server:
    """A running installation as clients see it; the token is a site administrator's.

    `proxy` stands for all other hosts, see outside.py; `certificates` is a file with all that are to be trusted.
    """

    address: str
    token: str
    certificates: str
    proxy: str = ""


@dataclass
class Result:
    """`status` is passed, failed, skipped, hung (over its time limit) or died (the process ended under it)."""

    status: str
    seconds: float = 0
    output: list[str] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        return self.status in ("failed", "hung", "died")


class Reader:
    """Understands the lines of one process: which tests run, which ended how."""

    def __init__(self):
        self.running: dict[str, float] = {}  # since when
        self.parts: dict[str, dict[str, str]] = {}  # per test, its subtests and their ends
        self.results: dict[str, Result] = {}
        self.output: dict[str, deque[str]] = {}
        self._current = ""

    def take(self, line: str) -> None:
        for piece in re.split(f"(?={MARK})", line):
            self._take(piece)

    def _take(self, piece: str) -> None:
        text = piece.removeprefix(MARK).rstrip("\n")
        started = STARTED.fullmatch(text)
        ended = ENDED.fullmatch(text)
        if started:
            self._start(started[1], started[2])
        elif ended:
            self._end(WORDS[ended[1]], ended[2], float(ended[3]))
        elif text.strip() and self._current:
            self.output.setdefault(self._current, deque(maxlen=KEPT_LINES)).append(text)

    def _start(self, event: str, name: str) -> None:
        root, _, part = name.partition("/")
        self._current = root
        if part or not root:
            return
        if event == "PAUSE":
            self.running.pop(root, None)
        elif event in ("RUN", "CONT"):
            self.running[root] = time.monotonic()

    def _end(self, status: str, name: str, seconds: float) -> None:
        root, _, part = name.partition("/")
        self._current = root
        if part:
            self.parts.setdefault(root, {})[part] = status
            if status != "passed":
                self.output.setdefault(root, deque(maxlen=KEPT_LINES)).append(f"--- {status}: {part}")
            return
        self.running.pop(root, None)
        # A test that only skipped parts has shown nothing.
        ends = set(self.parts.get(root, {}).values())
        if status == "passed" and ends == {"skipped"}:
            status = "skipped"
        self.results[root] = Result(status, seconds)

    def finish(self) -> dict[str, Result]:
        """The results, each with what the test printed."""
        for name, result in self.results.items():
            result.output = list(self.output.get(name, []))
        return self.results


class Mode:
    """Runs tests in one mode."""

    def __init__(self, program: Program, server: Server, mode: str, limit: float,
                 progress: Callable[[str, str, Result], None]):
        self.program = program
        self.server = server
        self.name = mode
        self.limit = limit
        self.progress = progress

    def run(self, groups: list[tuple[list[str], int]]) -> dict[str, Result]:
        """Runs groups of tests side by side; of each group's parallel tests as many at once as it says."""
        with ThreadPoolExecutor(len(groups) or 1) as pool:
            results: dict[str, Result] = {}
            for part in pool.map(lambda group: self._run_group(*group), [group for group in groups if group[0]]):
                results.update(part)
            return results

    def _run_group(self, names: list[str], parallel: int) -> dict[str, Result]:
        results: dict[str, Result] = {}
        left = list(names)
        alone = False
        while left:
            batch = left[:1] if alone else left
            found = self._run_process(batch, parallel)
            results.update(found)
            if not found and alone:
                results[batch[0]] = Result("died")
                self.progress(self.name, batch[0], results[batch[0]])
            # Without any result it is not known whose fault it is: one after the other then.
            alone = alone or not found
            left = [name for name in left if name not in results]
        return results

    def _run_process(self, names: list[str], parallel: int) -> dict[str, Result]:
        """The results of one process; not of every test if it had to be killed or died."""
        directory = Path(tempfile.mkdtemp(prefix="terrane-conformance-", dir="/var/tmp"))
        try:
            copy_writable(self.program.fixtures, directory / FIXTURES)
            command = [str(self.program.executable), "-test.v=test2json", f"-test.run=^({'|'.join(names)})$",
                       f"-test.skip={EXCLUDED}", f"-test.parallel={parallel}", "-test.timeout=0"]
            process = subprocess.Popen(command, cwd=directory, env=self._environment(directory),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, errors="replace", start_new_session=True)
            return self._watch(process, names)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _watch(self, process: subprocess.Popen, names: list[str]) -> dict[str, Result]:
        reader = Reader()
        lines: queue.Queue[str | None] = queue.Queue()

        def pump() -> None:
            for line in process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=pump, daemon=True).start()
        told: set[str] = set()
        try:
            while True:
                with contextlib.suppress(queue.Empty):
                    line = lines.get(timeout=1)
                    if line is None:
                        break
                    reader.take(line)
                for name in reader.results.keys() - told:
                    told.add(name)
                    self.progress(self.name, name, reader.results[name])
                over = [name for name, since in reader.running.items() if time.monotonic() - since > self.limit]
                if over:
                    self._end(process)
                    for name in over:
                        reader.results[name] = Result("hung", self.limit)
                        self.progress(self.name, name, reader.results[name])
                    break
            status = process.wait()
        finally:
            self._end(process)
        if status >= 0 and len(reader.running) == 1 and len(reader.results) < len(names):
            # The process died while one test ran: its fault.
            name = next(iter(reader.running))
            reader.results[name] = Result("died")
            self.progress(self.name, name, reader.results[name])
        elif status == 0:
            for name in names:
                reader.results.setdefault(name, Result("failed", 0, ["the program has no test of this name"]))
        return reader.finish()

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def _environment(self, directory: Path) -> dict[str, str]:
        """All that the tests see: nothing of the caller's."""
        tokens = {f"TFE_ADMIN_{role}_TOKEN": self.server.token for role in ADMIN_ROLES}
        return {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TMPDIR": str(directory),
                "TFE_ADDRESS": self.server.address, "TFE_TOKEN": self.server.token,
                "SSL_CERT_FILE": self.server.certificates, "HTTPS_PROXY": self.server.proxy,
                "HTTP_PROXY": self.server.proxy, "NO_PROXY": urlsplit(self.server.address).hostname, **tokens, **MODES[self.name]}
