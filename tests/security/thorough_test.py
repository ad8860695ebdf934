"""Cases that take minutes, on an installation of their own with other settings; only with `run --all`."""

import json
import os
import re
import subprocess
import unittest

import networks
from common.installation import Installation
from containment_test import GET
from limits_test import CONFIGURATION
from world import HERE, NOBODY, ORGANIZATION, PYTHON, Case, Once, as_user, parse_attacks, world

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


@unittest.skipUnless(os.environ.get("TERRANE_TEST_ALL"), "takes minutes; only with --all")
class OtherSettings(Case):
    def setUp(self) -> None:
        super().setUp()
        self.site = other.get()
        self.api = self.site.api()

    def run_attack(self, command: str, *files: str, seconds: float = 60, **more: str) -> str:
        """Applies a configuration with the command; gives the run."""
        workspace = self.api.make_workspace(ORGANIZATION, self.name)["id"]
        text = CONFIGURATION.replace("exec /usr/bin/python3 hog.py %s", command)
        content = {"main.tf": text, **{name: (HERE / name).read_text() for name in files}, **more}
        configuration = self.api.make_configuration(workspace, content)
        run = self.api.make_run(workspace, configuration, auto_apply=True)["id"]
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
            command = as_user(NOBODY, NOBODY, [], [PYTHON, str(world.public / "hog.py"), "spin", "2"])
            return percent(subprocess.run(command, capture_output=True, text=True).stdout) > MOST_PERCENT
        if not any(outside() for _ in range(20)):
            self.skipTest("the machine has no two processors to spare")
        run = self.run_attack("exec /usr/bin/python3 hog.py spin 5", "hog.py")
        self.assertLess(percent(self.api.whole_log(run, "apply")), MOST_PERCENT)

    def test_without_a_network_only_the_platform_is_reached(self):
        order = [{"name": "outside", "probe": "connect",
                  "arguments": {"host": networks.OTHER_HOST, "port": networks.PORT, "send": GET, "expect": "stand-in"}},
                 {"name": "platform", "probe": "connect", "arguments": {"host": "localhost", "port": self.site.port}}]
        run = self.run_attack("exec /usr/bin/python3 attack.py attacks.json", "attack.py",
                              **{"attacks.json": json.dumps(order)})
        found = parse_attacks(self.api.whole_log(run, "apply"))
        self.assertIs(found["outside"]["reached"], False, found)
        self.assertIs(found["platform"]["reached"], True, found)
