"""Secrets exist in clear only in memory: planted ones are found nowhere else, and the search finds what is there."""

import base64
import contextlib
import gzip
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import zlib
from pathlib import Path
from typing import Iterator

from common.api import document
from common.wait import wait_for
from world import ORGANIZATION, PYTHON, Case, Once, processes_with, world

CONFIGURATION = '''# {configuration}
variable "plain" {{}}
variable "sensitive" {{ sensitive = true }}
variable "structured" {{}}
variable "own" {{}}
resource "terraform_data" "holder" {{
  input = [var.plain, var.sensitive, var.structured, var.own, "{state}"]
  provisioner "local-exec" {{
    command = "echo {log}; exec /usr/bin/python3 wait.py"
  }}
}}
output "shown" {{ value = "{output}" }}
output "hidden" {{
  value     = var.sensitive
  sensitive = true
}}
'''
# Stays until the test has looked around.
WAIT = '''import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("waits", flush=True)
signal.sigwait({signal.SIGUSR1})
'''


def encodings(secret: str) -> list[bytes]:
    """The ways in which a secret may stand somewhere: as it is, in hex, in UTF-16, in base64 at each offset."""
    raw = secret.encode()
    found = [raw, raw.hex().encode(), raw.hex().upper().encode(), secret.encode("utf-16-le"), raw[::-1]]
    for offset in range(3):
        # Only the characters that do not depend on what stands before and after.
        text = base64.b64encode(b"\0" * offset + raw)
        inner = text[(0, 2, 3)[offset]:len(text) - 4]
        found += [inner, inner.replace(b"+", b"-").replace(b"/", b"_")]
    return found


class Search:
    """Looks for secrets, by name, in everything that is given to it."""

    def __init__(self, named: dict[str, str]):
        self._forms = [(name, form) for name, secret in named.items() for form in encodings(secret)]
        self.found: list[str] = []
        self.looked_at = 0

    def look(self, place: str, content: bytes) -> None:
        self.looked_at += len(content)
        self.found += [f"{name} in {place}" for name, form in self._forms if form in content]
        if content[:2] == b"\x1f\x8b":
            with contextlib.suppress(OSError, EOFError, zlib.error):
                self.look(f"{place} (unpacked)", gzip.decompress(content))

    def look_at_files(self, directory: Path, exempt: tuple[str, ...] = ()) -> None:
        for path in files_below(directory):
            if str(path.relative_to(directory)) not in exempt:
                with contextlib.suppress(FileNotFoundError):
                    self.look(str(path), path.read_bytes())


def files_below(directory: Path) -> Iterator[Path]:
    for place, _, names in os.walk(directory):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                yield path


def database_dump() -> bytes:
    data = world.site.data
    port = json.loads((data / "generated.json").read_text())["postgres_port"]
    place = [f"--host={data}/postgres/sock", f"--port={port}", "--username=admin"]
    tools = Path("/usr/lib/postgresql/15/bin")
    subprocess.run([tools / "psql", *place, "-q", "-c", "CHECKPOINT", "terrane"], check=True, stdin=subprocess.DEVNULL)
    return subprocess.run([tools / "pg_dump", *place, "terrane"], check=True, capture_output=True).stdout


class Redis:
    """Speaks to the installation's Redis with the few commands needed here."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(world.site.data / "redis" / "redis.sock"))
        self._input = self._socket.makefile("rb")

    def command(self, *words: str | bytes):
        encoded = [word.encode() if isinstance(word, str) else word for word in words]
        lines = [b"*%d" % len(encoded)]
        for word in encoded:
            lines += [b"$%d" % len(word), word]
        self._socket.sendall(b"\r\n".join([*lines, b""]))
        return self._answer()

    def _answer(self):
        line = self._input.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self._input.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if kind == b"-":
            raise AssertionError(rest.decode())
        return rest

    def everything(self) -> bytes:
        whole = []
        for key in self.command("KEYS", "*"):
            whole += [key, self.command("DUMP", key) or b""]
        return b"\n".join(whole)

    def close(self) -> None:
        self._input.close()
        self._socket.close()


class Watch:
    """Looks at the command lines of all processes of the machine over and over until it is stopped."""

    def __init__(self, named: dict[str, str]):
        self._forms = [(name, form) for name, secret in named.items() for form in encodings(secret)]
        self.found: set[str] = set()
        self.commands: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for pid in os.listdir("/proc"):
                if not pid.isdigit():
                    continue
                with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
                    if command not in self.commands:
                        self.commands.add(command)
                        self.found |= {f"{name} in {command[:80]!r}" for name, form in self._forms if form in command}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()


def words(*names: str) -> dict[str, str]:
    return {name: f"Planted{secrets.token_hex(12)}" for name in names}


class Planted:
    """A run through which every kind of secret passes, with a look at everything during it and after it."""

    def __init__(self) -> None:
        self.api, site = world.site.api(), world.site
        self.secrets = words("plain", "sensitive", "structured", "own", "environment", "state", "log", "output",
                             "configuration", "file")
        user = self.api.get("/account/details")["id"]
        token = document("authentication-tokens", {"description": "planted"})
        made = self.api.post(f"/users/{user}/authentication-tokens", token)
        self.secrets["token of a user"] = made["attributes"]["token"]
        self.secrets["token of the admin"] = site.token
        self.in_commands = Watch(self.secrets)
        with self.in_commands:
            run = self._start()
            self.during = self._look()
            for pid in processes_with("wait.py", (site.data / "sandbox" / "runs" / run).stat().st_uid):
                os.kill(pid, signal.SIGUSR1)
            self.api.wait_run(run, "applied")
        self.log = self.api.whole_log(run, "apply")
        self.state = self.api.state_bytes(self.workspace)
        wait_for("the run's directory is gone", lambda: not (site.data / "sandbox" / "runs" / run).exists(), 30)
        self.after = self._look()

    def _start(self) -> str:
        planted, name = self.secrets, f"planted-{secrets.token_hex(4)}"
        self.workspace = self.api.make_workspace(ORGANIZATION, name)["id"]
        self.api.make_variable(self.workspace, "plain", planted["plain"])
        self.api.make_variable(self.workspace, "sensitive", planted["sensitive"], sensitive=True)
        self.api.make_variable(self.workspace, "structured", f'["{planted["structured"]}"]', hcl=True)
        self.api.make_variable(self.workspace, "SECRET", planted["environment"], category="env", sensitive=True)
        text = CONFIGURATION.format(**planted)
        configuration = self.api.make_configuration(self.workspace, {
            "main.tf": text, "wait.py": WAIT, "secret.txt": planted["file"]})
        run = self.api.make_run(self.workspace, configuration, auto_apply=True,
                                variables=[{"key": "own", "value": f'"{planted["own"]}"'}])["id"]
        self.api.wait_run(run, "applying")
        wait_for("the run waits", lambda: b"waits" in self.api.log(run, "apply"), 60)
        return run

    def _look(self) -> Search:
        """At everything that lies outside the run's own directory, which is memory of the run."""
        search = Search(self.secrets)
        data = world.site.data
        for part in sorted(data.iterdir()):
            if part.name not in ("sandbox", "terrane.env") and part.is_dir():
                search.look_at_files(part)
            elif part.name != "terrane.env" and part.is_file():
                search.look(str(part), part.read_bytes())
        search.look("a dump of PostgreSQL", database_dump())
        redis = Redis()
        search.look("Redis", redis.everything())
        redis.close()
        return search


planted = Once(Planted)


class Secrets(Case):
    def test_planted_secrets_went_through(self):
        held = planted.get()
        self.assertIn(held.secrets["log"], held.log)
        for name in ("plain", "sensitive", "structured", "own", "state", "output"):
            self.assertIn(held.secrets[name].encode(), held.state, name)

    def test_nothing_is_found_at_rest(self):
        self.assertEqual(planted.get().after.found, [])
        self.assertGreater(planted.get().after.looked_at, 10 << 20)

    def test_nothing_is_found_during_the_run(self):
        self.assertEqual(planted.get().during.found, [])

    def test_command_lines_show_nothing(self):
        watch = planted.get().in_commands
        self.assertTrue(any(b"/run/terrane/engine" in command for command in watch.commands), "no engine was seen")
        self.assertEqual(watch.found, set())

    def test_the_search_finds_what_is_there(self):
        self.assertEqual(len(encodings("Planted0123456789")), 11)
        named = words("raw", "base64", "base64 after one", "base64 after two", "hex", "packed", "row", "key", "command")
        directory = self.site.data / "postgres" / f"control-{secrets.token_hex(4)}"
        directory.mkdir()
        self.addCleanup(subprocess.run, ["rm", "-r", str(directory)], check=True)
        (directory / "raw").write_text(f'{{"value": "{named["raw"]}"}}')
        (directory / "base64").write_bytes(base64.b64encode(named["base64"].encode()))
        (directory / "one").write_bytes(base64.b64encode(b"=" + named["base64 after one"].encode() + b"; and more"))
        (directory / "two").write_bytes(base64.b64encode(b"a=" + named["base64 after two"].encode() + b"; and more"))
        (directory / "hex").write_text(named["hex"].encode().hex())
        (directory / "packed").write_bytes(gzip.compress(named["packed"].encode()))
        self.api.make_workspace(ORGANIZATION, self.name, description=named["row"])
        redis = Redis()
        self.addCleanup(redis.close)
        redis.command("SET", "control", named["key"], "EX", "60")
        search = Search(named)
        search.look_at_files(directory)
        search.look("dump", database_dump())
        search.look("redis", redis.everything())
        found = {place.split(" in ")[0] for place in search.found}
        self.assertEqual(found, set(named) - {"command"})
        with Watch(named) as watch:
            child = subprocess.Popen([PYTHON, "-c", "input()", named["command"]], stdin=subprocess.PIPE)
            try:
                wait_for("the command line is seen", lambda: watch.found, 10)
            finally:
                child.stdin.close()
                child.wait()
