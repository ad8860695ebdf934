"""The one installation that all cases of this suite attack, with small limits, and the networks around it."""

import contextlib
import grp
import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from common.api import Api
from common.cli import Cli
from common.installation import Installation
from networks import Networks

HERE = Path(__file__).resolve().parent
ORGANIZATION = "demo"
NOBODY = 65534
PYTHON = "/usr/bin/python3"  # the one that sandboxes have too
APPLY_SECONDS = 75
SETTINGS = {
    "TFE_CAPACITY_MEMORY": "384",
    "TERRANE_CAPACITY_PROCESSES": "64",
    "TERRANE_CAPACITY_DISK": "160",
    "TERRANE_APPLY_TIMEOUT": str(APPLY_SECONDS),
    "TERRANE_RESTRICT_PRIVATE": "true",
}


class World:
    """What set_up makes and every case uses."""

    site: Installation
    networks: Networks
    public: Path  # a directory that every user may read, with the hostile programs
    inner_mount: Path  # of the host, in one that is shared
    more_sites: list[Installation]  # of single cases

    def set_up(self) -> None:
        os.umask(0o022)
        self.more_sites = []
        self.public = Path(tempfile.mkdtemp(prefix="terrane-attacks-", dir="/var/tmp"))
        self.public.chmod(0o755)
        for name in ("attack.py", "hog.py"):
            shutil.copy(HERE / name, self.public / name)
        self._share_mounts()
        self.networks = Networks()
        self.networks.start()
        self.site = Installation(SETTINGS)
        self.site.start()

    def _share_mounts(self) -> None:
        """Mounts as any host may have them: one that is shared, with another one in it."""
        shared = self.public / "shared"
        self.inner_mount = shared / "inner"
        for place in (shared, self.inner_mount):
            place.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "terrane-test", str(place)], check=True)
            subprocess.run(["mount", "--make-shared", str(place)], check=True)

    def _remove_public(self) -> None:
        for place in (self.inner_mount, self.inner_mount.parent):
            subprocess.run(["umount", str(place)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.public)

    def tear_down(self, failed: bool) -> None:
        if failed and hasattr(self, "site"):
            print(self.site.log_tails())
        for site in getattr(self, "more_sites", []):
            site.destroy()
        for name, end in (("site", lambda: self.site.destroy()), ("networks", lambda: self.networks.stop()),
                          ("inner_mount", lambda: self._remove_public())):
            if hasattr(self, name):
                end()


world = World()


class Once:
    """A value that is made by the first case that asks for it; the others wait and get the same."""

    def __init__(self, make):
        self._make, self._lock, self._value, self._problem = make, threading.Lock(), None, None

    def get(self):
        with self._lock:
            if self._make:
                try:
                    self._value = self._make()
                except BaseException as problem:
                    self._problem = problem
                self._make = None
        if self._problem:
            raise AssertionError("what this case looks at could not be made") from self._problem
        return self._value


def as_user(uid: int, gid: int, groups: list[int], command: list[str]) -> list[str]:
    """The command with the rights of an unprivileged user of the host."""
    extra = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    return ["setpriv", "--reuid", str(uid), "--regid", str(gid), *extra, *command]


def as_account(name: str, command: list[str]) -> list[str]:
    """The same by name, with the account's groups; a second group may follow as `user:group`."""
    user, _, group = name.partition(":")
    entry = pwd.getpwnam(user)
    return as_user(entry.pw_uid, entry.pw_gid, [grp.getgrnam(group).gr_gid] if group else [], command)


def processes_with(text: str, uid: int | None = None) -> list[int]:
    """The pids of all processes of the machine whose command line holds the text, of one user if given."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if (entry.name.isdigit() and text.encode() in (entry / "cmdline").read_bytes()
                    and uid in (None, entry.stat().st_uid)):
                found.append(int(entry.name))
    return sorted(found)


def parse_attacks(output: str) -> dict[str, dict]:
    """The results in the output of attack.py, also as the engine shows it."""
    found = {}
    for line in output.splitlines():
        _, mark, result = line.partition("ATTACK {")
        if mark:
            parsed = json.loads("{" + result)
            found[parsed["name"]] = parsed
    return found


def attack_outside(attacks: list[dict], user: list[str]) -> dict[str, dict]:
    """Runs attacks on the host itself; `user` is a prefix as `as_user` makes it."""
    order = world.public / f"control-{secrets.token_hex(4)}.json"
    order.write_text(json.dumps(attacks))
    done = subprocess.run([*user, PYTHON, str(world.public / "attack.py"), str(order)], capture_output=True,
                          text=True, timeout=120, cwd=world.public, env={"PATH": "/usr/bin:/bin"})
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return parse_attacks(done.stdout)


class Case(unittest.TestCase):
    """A case has a workspace name of its own."""

    maxDiff = None

    def setUp(self) -> None:
        self.site = world.site
        self.api: Api = world.site.api()
        self.name = f"{type(self).__name__}-{secrets.token_hex(4)}".lower()

    def cli(self, configuration: str, files: tuple[str, ...] = ()) -> Cli:
        """The real CLI in a directory with a configuration and hostile programs, initialised."""
        cli = Cli(self.site, ORGANIZATION, self.name, configuration)
        self.addCleanup(cli.remove)
        for file in files:
            shutil.copy(HERE / file, cli.directory / file)
        cli.init()
        return cli
