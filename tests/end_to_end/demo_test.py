"""The installation itself: what runs leave behind, and `terrane demo`. One by one, after all others."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from common.api import FINAL
from common.installation import processes_of
from common.wait import wait_for
from configurations import ONE
from system import ORGANIZATION, Case


def user_of(pid: int) -> int:
    """The process's user, root when it is gone."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"^Uid:\t(\d+)", status, re.MULTILINE)[1])
    return 0


class Demo(Case):
    alone = True

    def assert_serves(self) -> None:
        """A token of before is good, and a run ends well."""
        workspace = self.workspace(f"{self.name}-{self.site.supervisor()}", auto_apply=True)
        run = self.api.make_run(workspace, self.api.make_configuration(workspace, {"main.tf": ONE}))["id"]
        self.api.wait_run(run, "applied")

    def test_again_while_it_runs(self):
        supervisor, token = self.site.supervisor(), self.site.token
        self.assertIn("Terrane runs at", self.site.start())
        self.assertEqual(self.site.supervisor(), supervisor)
        self.assertNotEqual(self.site.token, token)  # a fresh one at each call
        self.assert_serves()
        second = subprocess.run([str(self.site.binary), "serve", "--data", str(self.site.data)],
                                env=self.site.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=60)
        self.assertNotEqual(second.returncode, 0)  # one supervisor per data directory
        self.assertEqual(self.site.supervisor(), supervisor)

    def test_status_names_living_processes(self):
        lines = [line.split() for line in self.site.command("demo", "--status").stdout.splitlines()]
        for pid, role, *_ in lines:
            self.assertTrue(os.path.exists(f"/proc/{pid}"), role)
        self.assertLessEqual({"serve", "postgres", "redis", "rabbitmq", "vault", "archivist", "web", "background",
                              "services"}, {role for _, role, *_ in lines})

    def test_after_kill_of_the_supervisor(self):
        supervisor = self.site.supervisor()
        os.kill(supervisor, signal.SIGKILL)
        wait_for("the children of the killed supervisor have ended", lambda: not processes_of(self.site.data), 20)
        self.assertIn("Terrane runs at", self.site.start())
        self.assertNotEqual(self.site.supervisor(), supervisor)
        self.assert_serves()

    def test_after_stop(self):
        self.site.stop()
        wait_for("everything has ended", lambda: not processes_of(self.site.data), 20)
        self.assertIn("does not run", self.site.command("demo", "--status", check=False).stdout)
        self.assertIn("does not run", self.site.command("demo", "--stop").stdout)
        self.assertIn("Terrane runs at", self.site.start())
        self.assert_serves()

    def test_once_applies_and_leaves_nothing(self):
        before = set(os.listdir("/var/tmp"))
        done = subprocess.run([str(self.site.binary), "demo", "--once"], env=self.site.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Apply complete! Resources: 1 added", done.stdout)
        self.assertIn("is applied", done.stdout)
        self.assertEqual([name for name in os.listdir("/var/tmp")
                          if name not in before and name.startswith("terrane-once")], [])

    def test_trace_tells_the_way_of_a_run(self):
        workspace = self.workspace(auto_apply=True)
        run = self.api.make_run(workspace, self.api.make_configuration(workspace, {"main.tf": ONE}))["id"]
        self.api.wait_run(run, "applied")
        trace = self.site.trace(run)
        places = [trace.find(step) for step in ["queue plan", "claim plan", "finish plan", "confirm", "claim apply",
                                                "finish apply"]]
        self.assertNotIn(-1, places, trace)
        self.assertEqual(places, sorted(places), trace)


class Leftovers(Case):
    alone = True

    def test_finished_runs_leave_nothing_behind(self):
        """No lock, no shim, no spool, and no run directory but of a run whose apply may still come."""
        workspaces = self.api.all(f"/organizations/{ORGANIZATION}/workspaces")
        runs = [run for item in workspaces for run in self.api.runs(item["id"])]
        self.assertEqual([run["id"] for run in runs if run["attributes"]["status"] not in FINAL], [])
        locked = [item for item in workspaces if item["attributes"]["locked"]]
        self.assertEqual([item["relationships"]["locked-by"] for item in locked
                          if item["relationships"]["locked-by"]["data"]["type"] == "runs"], [])
        wait_for("the spools are empty", lambda: not list(self.site.data.glob("spool/*/spool/*")), 20)

        def kept_without_need() -> list[str]:
            runs = [path.stem for path in self.site.data.glob("spool/*/kept/*.json")]
            return [run for run in runs if self.api.run(run)["attributes"]["status"] in FINAL - {"planned_and_saved"}]
        wait_for("directories of ended runs are given back", lambda: not kept_without_need(), 20)

        def shims() -> list[int]:
            """Those that have an assignment: what the broker holds ready waits as root."""
            return [pid for pid, command in processes_of(self.site.data).items()
                    if "terrane shim" in command and user_of(pid) != 0]
        wait_for("the shims have ended", lambda: not shims(), 20)
