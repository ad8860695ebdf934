"""Cases that take minutes, on an installation of their own with other settings; only with `run --all`."""

import contextlib
import json
import os
import re
import subprocess
import unittest
from pathlib import Path

import networks
from common.installation import Installation
from common.wait import wait_for
from containment_test import GET
from limits_test import CONFIGURATION
from world import HERE, NOBODY, ORGANIZATION, PYTHON, Case, Once, as_user, parse_attacks, processes_with, world

SETTINGS = {"TFE_CAPACITY_MEMORY": "1024", "TERRANE_CAPACITY_DISK": "512", "TFE_CAPACITY_CPU": "1",
            "TERRANE_SANDBOX_NETWORK": "off"}
LOG_LIMIT = 64 << 20
MOST_PERCENT = 115  # of one processor, with what the kernel's accounting is off


def second_site() -> Installation:
    site = Installation(SETTINGS)
    world.more_sites.append(site)
    site.start()
    return site


other = Once(second_site)


def throttled(uid: int, program: str) -> int:
    """For how long the cgroup of that user's program was denied the processor for having had its share."""
    for pid in processes_with(program, uid):
        with contextlib.suppress(OSError):  # it ended meanwhile
            for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
                _, controllers, path = line.split(":", 2)
                root = "/sys/fs/cgroup/cpu" if "cpu" in controllers.split(",") else "/sys/fs/cgroup"
                file = Path(root + path, "cpu.stat")
                if ("cpu" in controllers.split(",") or not controllers) and file.exists():
                    counts = dict(count.split() for count in file.read_text().splitlines())
                    found = int(counts.get("throttled_time") or counts.get("throttled_usec") or 0)
                    if found:
                        return found
    return 0


@unittest.skipUnless(os.environ.get("TERRANE_TEST_ALL"), "takes minutes; only with --all")
class OtherSettings(Case):
    def setUp(self) -> None:
        super().setUp()
        self.site = other.get()
        self.api = self.site.api()

    def start_attack(self, command: str, *files: str, **more: str) -> str:
        """Begins to apply a configuration with the command; gives the run."""
        workspace = self.api.make_workspace(ORGANIZATION, self.name)["id"]
        text = CONFIGURATION.replace("exec /usr/bin/python3 hog.py %s", command)
        content = {"main.tf": text, **{name: (HERE / name).read_text() for name in files}, **more}
        configuration = self.api.make_configuration(workspace, content)
        return self.api.make_run(workspace, configuration, auto_apply=True)["id"]

    def run_attack(self, command: str, *files: str, seconds: float = 60, **more: str) -> str:
        """The same, and waits until it is applied."""
        run = self.start_attack(command, *files, **more)
        self.api.wait_run(run, "applied", seconds=seconds)
        return run

    def test_log_has_a_limit(self):
        run = self.run_attack("exec /usr/bin/python3 hog.py log 72", "hog.py", seconds=400)
        url = self.api.phase(run, "apply")["attributes"]["log-read-url"]
        end = self.api.request("GET", f"{url}?limit=65536&offset={LOG_LIMIT - 4096}").body
        self.assertIn(b"The log exceeds its limit of 64 MiB.", end)
        self.assertLess(len(end), 8192)
        self.assertEqual(end.find(b"\x03"), len(end) - 1)

    def test_processors_are_limited(self):
        def percent(text: str) -> int:
            return int(re.search(r"used (\d+) %", text)[1])

        def outside() -> bool:
            # Before all others, since whatever else this machine does now must not look like a limit. Where the kernel
            # groups processes by sessions, it is the group that counts.
            first = ["sh", "-c", 'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"', "sh"]
            program = as_user(NOBODY, NOBODY, [], [PYTHON, str(world.public / "hog.py"), "spin", "1"])
            done = subprocess.run([*first, *program], capture_output=True, text=True, start_new_session=True)
            return percent(done.stdout) > MOST_PERCENT
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("the machine has one processor")
        self.assertTrue(any(outside() for _ in range(5)), "the control never got more than one processor")
        run = self.start_attack("exec /usr/bin/python3 hog.py spin 8", "hog.py")
        self.api.wait_run(run, "applying")
        wait_for("the limit holds it back", lambda: throttled(self.user_of(run), "hog.py") > 0, 60, 0.2)
        self.api.wait_run(run, "applied")
        self.assertLess(percent(self.api.whole_log(run, "apply")), MOST_PERCENT)

    def user_of(self, run: str) -> int:
        return (self.site.data / "sandbox" / "runs" / run).stat().st_uid

    def test_without_a_network_only_the_platform_is_reached(self):
        order = [{"name": "outside", "probe": "connect",
                  "arguments": {"host": networks.OTHER_HOST, "port": networks.PORT, "send": GET, "expect": "stand-in"}},
                 {"name": "platform", "probe": "connect", "arguments": {"host": "localhost", "port": self.site.port}}]
        run = self.run_attack("exec /usr/bin/python3 attack.py attacks.json", "attack.py",
                              **{"attacks.json": json.dumps(order)})
        found = parse_attacks(self.api.whole_log(run, "apply"))
        self.assertIs(found["outside"]["reached"], False, found)
        self.assertIs(found["platform"]["reached"], True, found)
