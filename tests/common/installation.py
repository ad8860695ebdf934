"""A demo installation of a test's own: started once, on a free port, in a temporary data directory."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .api import Api
from .wait import wait_for

START_SECONDS = 240
COMMAND_SECONDS = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def required(name: str) -> Path:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set; ./x test sets it")
    return Path(value)


def make_data_directory() -> Path:
    """A new directory that the processes of an installation, which have users of their own, can reach."""
    data = Path(tempfile.mkdtemp(prefix="terrane-test-", dir="/var/tmp"))
    data.chmod(0o755)
    return data


def processes_of(data: Path) -> dict[int, str]:
    """Every living process whose command line names the data directory: pid and command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if f"{data}/" in command + "/" or f"{data} " in command + " ":
                found[int(entry.name)] = command
    return found


class Installation:
    """One installation; `settings` are written to its settings file before the first start."""

    def __init__(self, settings: dict[str, str] | None = None):
        self.binary = required("TERRANE_BINARY")
        self.engine_store = required("TERRANE_ENGINE_STORE")
        self.provider_store = required("TERRANE_PROVIDER_STORE")
        self.data = make_data_directory()
        self.port = free_port()
        self.hostname = ""  # host:port, as clients name it
        self.certificate = ""  # of the CA, for clients
        self.scratch_database = ""  # libpq URL
        self.token = ""  # of the first site admin
        if settings:
            file = self.data / "terrane.env"
            file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
            file.chmod(0o600)

    def environment(self) -> dict[str, str]:
        """What the commands of the installation see: nothing of the caller's settings."""
        return {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8", "HOME": "/root",
                "TERRANE_ENGINE_STORE": str(self.engine_store), "TERRANE_PROVIDER_STORE": str(self.provider_store)}

    def command(self, *arguments: str, seconds: float = COMMAND_SECONDS,
                check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `terrane ARGUMENTS --data DIRECTORY`."""
        done = subprocess.run([str(self.binary), *arguments, "--data", str(self.data)], env=self.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=seconds)
        if check and done.returncode != 0:
            raise AssertionError(f"terrane {' '.join(arguments)} ended with {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}\n{self.log_tails()}")
        return done

    def start(self) -> str:
        """Starts everything and performs the demo's own run; gives what was printed."""
        done = self.command("demo", "--port", str(self.port), seconds=START_SECONDS)
        self.read_environment()
        return done.stdout + done.stderr

    def read_environment(self) -> None:
        """Asks what clients need; makes a fresh token."""
        given = {}
        for line in self.command("demo", "--env").stdout.splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            given[name] = shlex.split(value)[0]
        self.hostname = given["TFE_HOSTNAME"]
        self.certificate = given["SSL_CERT_FILE"]
        self.scratch_database = given["TERRANE_PG"]
        self.token = given["TFE_TOKEN"]

    def api(self, token: str | None = None) -> Api:
        host, _, port = self.hostname.rpartition(":")
        return Api(host, int(port), self.certificate, self.token if token is None else token)

    def status(self) -> list[dict]:
        """What the supervisor says of its children: name, pid, state."""
        return json.loads((self.data / "status.json").read_text())

    def pid_of(self, name: str) -> int:
        """The pid of the child process with that name."""
        for part in self.status():
            if part["name"] == name:
                return part["pid"]
        raise AssertionError(f"there is no process {name}: {self.status()}")

    def supervisor(self) -> int:
        return int((self.data / "serve.pid").read_text())

    def wait_until_ready(self, seconds: float = 90) -> None:
        """Waits until the supervisor calls every process ready and the whole system calls itself healthy."""
        def ready() -> bool:
            with contextlib.suppress(OSError, ValueError, AssertionError):
                if all(part["state"] == "ready" for part in self.status()):
                    return self.api(token="").request("GET", "/_health_check?full=1").status == 200
            return False
        wait_for("the installation is ready", ready, seconds)

    def trace(self, run: str) -> str:
        return self.command("trace", run).stdout

    def stop(self) -> None:
        self.command("demo", "--stop")

    def destroy(self, keep: bool = False) -> None:
        """Ends whatever still lives, unmounts and removes everything; `keep` leaves the directory for a look."""
        with contextlib.suppress(Exception):
            self.command("demo", "--stop", check=False)

        def gone() -> bool:
            for pid in processes_of(self.data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not processes_of(self.data)
        wait_for(f"the processes of {self.data} are gone", gone, 30)
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.data}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False)
        if not keep:
            shutil.rmtree(self.data, ignore_errors=True)

    def log_tails(self, lines: int = 15) -> str:
        """The ends of all process logs, for a failure's message."""
        tails = []
        for file in sorted((self.data / "log").glob("*.log")):
            with contextlib.suppress(OSError):
                tail = file.read_text(errors="replace").splitlines()[-lines:]
                tails.append(f"--- {file.name}\n" + "\n".join(tail))
        return "\n".join(tails)
