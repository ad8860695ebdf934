"""The real CLI: the engine of the engine store, run in a directory of its own, plainly or on a terminal."""

import contextlib
import errno
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from .installation import Installation

RUN_SECONDS = 90
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Result:
    status: int
    output: str  # standard output alone
    errors: str  # standard error; on a terminal both are in `output`

    @property
    def text(self) -> str:
        return self.output + self.errors


def engine(store: Path) -> Path:
    """The newest engine that the store holds."""
    return store / json.loads((store / "manifest.json").read_text())[-1]["path"]


def cloud_block(site: Installation, organization: str, workspace: str) -> str:
    return (f'terraform {{\n  cloud {{\n    hostname     = "{site.hostname}"\n    organization = "{organization}"\n'
            f'    workspaces {{\n      name = "{workspace}"\n    }}\n  }}\n}}\n')


class Cli:
    """A directory with a configuration and a `cloud` block, and the CLI in it. Use it in `with`, or call remove()."""

    def __init__(self, site: Installation, organization: str, workspace: str, configuration: str = "",
                 token: str | None = None):
        self.site = site
        self.tofu = engine(site.engine_store)
        self.directory = Path(tempfile.mkdtemp(prefix="terrane-cli-"))
        self.write("cloud.tf", cloud_block(site, organization, workspace))
        if configuration:
            self.write("main.tf", configuration)
        mirror = site.provider_store
        self.write(".cli.rc", "disable_checkpoint = true\n"
                   f'credentials "{site.hostname}" {{\n  token = "{token or site.token}"\n}}\n'
                   f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
        self.write(".terraformignore", ".cli.rc\n.home/\n")

    def __enter__(self) -> "Cli":
        return self

    def __exit__(self, *_) -> None:
        self.remove()

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.directory / ".home"),
                "SSL_CERT_FILE": self.site.certificate, "TF_CLI_CONFIG_FILE": str(self.directory / ".cli.rc"),
                "TF_IN_AUTOMATION": "1", "NO_COLOR": "1", "TERM": "dumb", **(extra or {})}

    def run(self, *arguments: str, expect: int | None = 0, environment: dict[str, str] | None = None,
            seconds: float = RUN_SECONDS) -> Result:
        """Runs `tofu ARGUMENTS` to its end without a terminal; another exit status than `expect` fails."""
        try:
            done = subprocess.run([str(self.tofu), *arguments], cwd=self.directory,
                                  env=self.environment(environment), stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, errors="replace", timeout=seconds)
        except subprocess.TimeoutExpired as expired:
            shown = b"".join(part for part in (expired.stdout, expired.stderr) if part).decode(errors="replace")
            raise AssertionError(f"tofu {' '.join(arguments)} did not end within {seconds} s\n{shown}") from None
        result = Result(done.returncode, ESCAPES.sub("", done.stdout), ESCAPES.sub("", done.stderr))
        if expect is not None and result.status != expect:
            raise AssertionError(f"tofu {' '.join(arguments)} ended with {result.status}, not {expect}\n{result.text}")
        return result

    def init(self, *arguments: str) -> Result:
        return self.run("init", "-input=false", *arguments)

    def apply(self, *arguments: str, expect: int | None = 0) -> Result:
        return self.run("apply", "-input=false", "-auto-approve", *arguments, expect=expect)

    def terminal(self, *arguments: str) -> "Terminal":
        """Starts `tofu ARGUMENTS` on a terminal of its own. Use it in `with`."""
        return Terminal([str(self.tofu), *arguments], self.directory, self.environment())


class Terminal:
    """A program on a pseudo terminal: what it shows is waited for, keys are typed."""

    def __init__(self, command: list[str], directory: Path, environment: dict[str, str]):
        self.command = " ".join(command)
        self.master, slave = os.openpty()

        def take_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen(command, cwd=directory, env=environment, stdin=slave, stdout=slave,
                                        stderr=slave, start_new_session=True, preexec_fn=take_terminal)
        os.close(slave)
        self.shown = ""
        self._seen = 0  # up to here expect() has looked

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)

    def _read(self, seconds: float) -> bool:
        """Takes in what is shown within `seconds`; false at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno == errno.EIO:  # the other side is closed
                return False
            raise
        self.shown += ESCAPES.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
        return bool(data)

    def expect(self, text: str, seconds: float = RUN_SECONDS) -> None:
        """Waits until `text` is shown after what was expected before."""
        deadline = time.monotonic() + seconds
        alive = True
        while (found := self.shown.find(text, self._seen)) < 0:
            if not alive or time.monotonic() > deadline:
                state = "before the end" if not alive else f"within {seconds} s"
                raise AssertionError(f"{self.command} did not show {text!r} {state}; it showed:\n{self.shown}")
            alive = self._read(0.5)
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def wait(self, expect: int | None = 0, seconds: float = RUN_SECONDS) -> Result:
        deadline = time.monotonic() + seconds
        while self._read(0.5):
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.command} did not end within {seconds} s; it showed:\n{self.shown}")
        status = self.process.wait(timeout=max(1.0, deadline - time.monotonic()))
        if expect is not None and status != expect:
            raise AssertionError(f"{self.command} ended with {status}, not {expect}; it showed:\n{self.shown}")
        return Result(status, self.shown, "")
