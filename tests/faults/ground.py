"""The installation under test: its processes as victims, and what its phases leave on the disk while they run."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator, TypeVar

from common.installation import Installation, processes_of
from common.wait import wait_for

Made = TypeVar("Made")

# Victims by the name in the tables, and what the supervisor calls them.
ROLES = {"web": "web", "archivist": "archivist", "vault": "vault", "services": "services",
         "background": "background", "worker": "worker-1", "broker": "broker", "Redis": "redis", "RabbitMQ": "rabbitmq",
         "PostgreSQL": "postgres"}
SUPERVISOR = "supervisor"
VICTIMS = [*ROLES, SUPERVISOR]
BACK_SECONDS = 90

# A provider whose start takes time while the engine plans, and only then: the real one behind a pause. How long
# says the workspace's environment variable SLOW_PLAN, in seconds.
SLOW_PROVIDER = """#!/bin/sh
case "$(tr '\\0' ' ' < /proc/$PPID/cmdline)" in
  *" plan "*) sleep "${SLOW_PLAN:-0}" ;;
esac
exec /run/terrane/providers/registry.opentofu.org/hashicorp/time/*/linux_amd64/terraform-provider-time*
"""


def make_provider_store(real: Path) -> Path:
    """The real store's time provider and, beside it, a slow one that is made of it."""
    store = Path(tempfile.mkdtemp(prefix="terrane-providers-", dir="/var/tmp"))
    store.chmod(0o755)
    host = store / "registry.opentofu.org" / "hashicorp"
    shutil.copytree(real / "registry.opentofu.org" / "hashicorp" / "time", host / "time")
    slow = host / "slow" / "1.0.0" / "linux_amd64" / "terraform-provider-slow_v1.0.0"
    slow.parent.mkdir(parents=True)
    slow.write_text(SLOW_PROVIDER)
    slow.chmod(0o755)
    return store


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def members(cgroup: str) -> list[int]:
    """The living processes of a cgroup, by the end of its name in any hierarchy."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and any(line.endswith(cgroup) for line in
                                            (entry / "cgroup").read_text().splitlines()) and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def run_tool(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Runs a program of the system to its end, which must be good; gives what it printed."""
    done = subprocess.run(command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **(environment or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Ground:
    """One installation with the means to hurt it. Use it in `with`."""

    def __init__(self, settings: dict[str, str] | None = None):
        self.site = Installation(settings)
        self.site.provider_store = make_provider_store(self.site.provider_store)
        self.failed = False
        self._restarts: list[subprocess.Popen] = []
        self._made: dict[type, object] = {}

    def __enter__(self) -> "Ground":
        try:
            self.site.start()
        except BaseException:
            self.failed = True
            self.__exit__()
            raise
        self.api = self.site.api()
        self.api.make_organization("faults")
        return self

    def __exit__(self, *_) -> None:
        for process in self._restarts:
            process.kill()
            process.wait()
        keep = self.failed and bool(os.environ.get("TERRANE_KEEP"))
        self.site.destroy(keep=keep)
        shutil.rmtree(self.site.provider_store, ignore_errors=True)
        if keep:
            print(f"kept: {self.site.data}", flush=True)

    def once(self, kind: type[Made]) -> Made:
        """The one object of a class that cases share, made at its first use."""
        if kind not in self._made:
            self._made[kind] = kind(self)
        return self._made[kind]

    # Victims

    def pid(self, victim: str) -> int:
        return self.site.supervisor() if victim == SUPERVISOR else self.site.pid_of(ROLES[victim])

    def kill(self, victim: str) -> int:
        """kill -9; gives the pid that it had, and fails when it was not alive just before."""
        pid = self.pid(victim)
        # RabbitMQ's own process is a shell script with the server below it.
        pids = descendants(pid) if victim == "RabbitMQ" else [pid]
        if not alive(pid):
            raise AssertionError(f"{victim} (pid {pid}) was dead before it was killed")
        kill(pids)
        return pid

    def restart_supervisor(self) -> None:
        """What systemd would do: starts it again, in the background."""
        self._restarts.append(subprocess.Popen(
            [str(self.site.binary), "demo", "--port", str(self.site.port), "--data", str(self.site.data)],
            env=self.site.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))

    @contextlib.contextmanager
    def stopped(self, victim: str) -> Iterator[None]:
        """The victim, with all its processes, stands still for as long as the block takes.

        The supervisor too, or it would replace what gives no sign of life.
        """
        main, supervisor = self.pid(victim), self.pid(SUPERVISOR)
        pids = descendants(main)
        kill([supervisor, *pids], signal.SIGSTOP)
        try:
            yield
            if not alive(main):
                raise AssertionError(f"{victim} (pid {main}) ended while it stood still")
        finally:
            kill([*pids, supervisor], signal.SIGCONT)

    @contextlib.contextmanager
    def away(self, victim: str) -> Iterator[None]:
        """The victim is dead for as long as the block takes; then it is started again as it always is."""
        supervisor = self.pid(SUPERVISOR)
        kill([supervisor], signal.SIGSTOP)
        try:
            self.kill(victim)
            yield
        finally:
            kill([supervisor], signal.SIGCONT)

    @contextlib.contextmanager
    def another(self, role: str, config: str, user: str, environment: dict[str, str] | None = None) -> Iterator[int]:
        """A further process of a role, outside the supervisor; gives its pid. Its log is NAME-of-test.log."""
        data = self.site.data
        with open(data / "log" / f"{config}-of-test.log", "w") as log:
            process = subprocess.Popen(
                ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "/usr/bin/env",
                 *(f"{name}={value}" for name, value in (environment or {}).items()),
                 str(data / "bin" / "terrane"), role, "--config", str(data / "etc" / f"{config}.json")],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process.pid
            if process.poll() is not None:
                raise AssertionError(f"the second {role} ended with {process.returncode}: "
                                     f"{(data / 'log' / f'{config}-of-test.log').read_text()[-2000:]}")
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def shims_with(self, environment: dict[str, str]) -> Iterator[None]:
        """Shims that are started in the block have these variables in their environment.

        Shims are executed ahead of their phases by the broker, so it is started anew.
        """
        program = self.site.data / "bin" / "terrane"
        real = program.with_name("terrane-itself")
        program.rename(real)
        exports = "\n".join(f"  export {name}='{value}'" for name, value in environment.items())
        program.write_text(f'#!/bin/sh\nif [ "$1" = shim ]; then\n{exports}\nfi\nexec {real} "$@"\n')
        program.chmod(0o755)
        try:
            self.wait_ready("broker", self.kill("broker"))
            yield
        finally:
            real.rename(program)
            self.wait_ready("broker", self.kill("broker"))

    def log_of_another(self, config: str) -> str:
        return (self.site.data / "log" / f"{config}-of-test.log").read_text()

    def node(self) -> str:
        return json.loads((self.site.data / "etc" / "worker-1.json").read_text())["node"]

    def drain(self, wanted: bool) -> None:
        """Takes the node out of the hand-out of jobs, or back in."""
        self.site.command("node", "drain" if wanted else "undrain", self.node())

    def flush_redis(self) -> None:
        run_tool(["/usr/bin/redis-cli", "-s", str(self.site.data / "redis" / "redis.sock"), "FLUSHALL"])

    def purge(self, queue: str) -> None:
        """Empties a queue of RabbitMQ, which must hold messages that nobody has been given."""
        # RabbitMQ counts a quorum queue's messages every few seconds.
        wait_for(f"{queue} has messages", lambda: self.queue_count(queue, "messages_ready") > 0, 30, 0.5)
        self._rabbitmqctl("purge_queue", queue)

    def queue_count(self, queue: str, column: str) -> int:
        """A number that RabbitMQ tells of a queue: messages_ready, consumers."""
        listed = self._rabbitmqctl("list_queues", "--no-table-headers", "name", column)
        return next(int(line.split()[1]) for line in listed.splitlines() if line.split()[:1] == [queue])

    def _rabbitmqctl(self, *arguments: str) -> str:
        made = json.loads((self.site.data / "generated.json").read_text())
        return run_tool(["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", "-p", "/terrane", *arguments],
                        {"HOME": str(self.site.data / "rabbitmq"), "RABBITMQ_NODENAME": "terrane@localhost",
                         "ERL_EPMD_PORT": str(made["epmd_port"]), "RABBITMQ_CONF_ENV_FILE": "/dev/null"})

    def wait_back(self, victim: str, old: int) -> float:
        """Waits until another process does the victim's work and is ready; gives the seconds that took."""
        start = time.monotonic()
        wait_for(f"{victim} is gone", lambda: not alive(old), 10, 0.01)
        if victim == SUPERVISOR:
            self.restart_supervisor()
            wait_for("the supervisor is another", lambda: self.site.supervisor() != old, BACK_SECONDS)
            self.site.wait_until_ready(BACK_SECONDS)
        else:
            self.wait_ready(victim, old)
        return time.monotonic() - start

    def wait_ready(self, victim: str, old: int = 0) -> None:
        """Waits until the supervisor calls the victim ready, and it is not the process `old`."""
        def ready() -> bool:
            with contextlib.suppress(OSError, ValueError):
                return any(part["name"] == ROLES[victim] and part["pid"] not in (0, old) and part["state"] == "ready"
                           for part in self.site.status())
            return False
        wait_for(f"{victim} is back", ready, BACK_SECONDS, 0.02)

    def processes(self) -> dict[int, str]:
        return processes_of(self.site.data)

    # Phases on the disk

    def spools(self) -> dict[str, Path]:
        """The spool directories of executing phases by run."""
        found = {}
        for meta in (self.site.data / "spool").glob("*/spool/*/meta.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                found[json.loads(meta.read_text())["run"]] = meta.parent
        return found

    def run_directory(self, run: str) -> Path:
        return self.site.data / "sandbox" / "runs" / run

    def phase_record(self, run: str) -> dict | None:
        """What the broker wrote down about the run's phase that has not ended."""
        for file in (self.site.data / "sandbox" / "runs" / ".phases").glob("*"):
            with contextlib.suppress(OSError, ValueError):
                record = json.loads(file.read_text())
                if record["run"] == run and not record["ended"]:
                    return record
        return None

    def shim(self, run: str) -> int:
        """The pid of the shim that keeps the run's phase."""
        record = self.phase_record(run)
        if not record or not alive(record["shim"]):
            raise AssertionError(f"{run} has no living shim: {record}")
        return record["shim"]

    def sandboxed(self, run: str) -> list[int]:
        """The processes in the sandbox of the run's phase."""
        record = self.phase_record(run)
        return members(f"/{record['cgroups']}/run") if record else []

    def engine(self, run: str, command: str) -> int | None:
        """The pid of the engine that executes this command for the run."""
        for pid in self.sandboxed(run):
            if command_of(pid).startswith("/run/terrane/engine/") and command_of(pid).split()[1:2] == [command]:
                return pid
        return None
