"""What takes more than its share: it succeeds outside, is stopped inside, and the run says which limit it hit."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from common.wait import wait_for
from world import APPLY_SECONDS, HERE, NOBODY, PYTHON, SETTINGS, Case, as_user, processes_with, world

# The first resource is made before the attack, the second waits for it and is the attack.
CONFIGURATION = '''resource "terraform_data" "before" {
  input = "made before"
}

resource "terraform_data" "attack" {
  depends_on = [terraform_data.before]
  provisioner "local-exec" {
    command = "exec /usr/bin/python3 hog.py %s"
  }
}
'''
GRACE_SECONDS = 60


def outside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The control: the same program as an unprivileged user of the host."""
    command = as_user(NOBODY, NOBODY, [], [PYTHON, str(world.public / "hog.py"), *arguments])
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class LimitCase(Case):
    def start(self, attack: str) -> dict:
        """A run with that attack in its apply."""
        workspace = self.api.make_workspace("demo", self.name)
        self.workspace = workspace["id"]
        hog = (HERE / "hog.py").read_text()
        files = {"main.tf": CONFIGURATION % attack, "hog.py": hog}
        configuration = self.api.make_configuration(self.workspace, files)
        return self.api.make_run(self.workspace, configuration, auto_apply=True)

    def end(self, run: dict, status: str, seconds: float = 120) -> dict:
        return self.api.wait_run(run["id"], status, seconds=seconds)["attributes"]

    def assert_named(self, run: dict, limit: str) -> str:
        """The run ends errored, and its error and its log name the limit; gives the log."""
        error = self.end(run, "errored")["error-message"]
        log = self.api.whole_log(run["id"], "apply")
        self.assertIn(limit, error or "", log[-3000:])
        self.assertIn(limit, log[-3000:])
        return log

    def assert_nothing_made_is_lost(self, run: dict) -> None:
        """What was made before the attack is in the state, or listed for import; and the workspace is free."""
        answer = self.api.request("GET", f"/api/v2/workspaces/{self.workspace}/current-state-version")
        kept = []
        if answer.status == 200:
            kept = [resource["name"] for resource in self.api.state(self.workspace)["resources"]]
        if "before" not in kept:
            apply = self.api.phase(run["id"], "apply")
            imports = self.api.request("GET", f"/api/v2/applies/{apply['id']}/import-list")
            self.assertIn(b"terraform_data.before", imports.body, f"{imports.status}; in the state: {kept}")
        self.assertFalse(self.api.get(f"/workspaces/{self.workspace}")["attributes"]["locked"])

    def assert_stopped(self, attack: str, limit: str, said_outside: str) -> None:
        """The attack fails at `limit`, which the run's error and its log name; what was made before is kept."""
        control = outside(*attack.split())
        self.assertEqual(control.returncode, 0, control.stderr)
        self.assertIn(said_outside, control.stdout)
        run = self.start(attack)
        log = self.assert_named(run, limit)
        self.assertNotIn(said_outside, log)
        self.assert_nothing_made_is_lost(run)


class Memory(LimitCase):
    def test_too_much_memory(self):
        self.assert_stopped("memory 600", "The memory limit was hit", "took 600 MiB")


class Processes(LimitCase):
    def test_fork_bomb(self):
        count = int(SETTINGS["TERRANE_CAPACITY_PROCESSES"]) * 3
        self.assert_stopped(f"processes {count}", "The limit of processes was hit", f"started {count} processes")


class Storage(LimitCase):
    def fill(self, what: str, said: str, *amount: str) -> None:
        with tempfile.TemporaryDirectory(dir=world.public) as directory:
            Path(directory).chmod(0o777)
            control = outside(what, directory, *amount)
            self.assertEqual(control.returncode, 0, control.stderr)
            self.assertIn(said, control.stdout)
        run = self.start(f"{what} /tmp {' '.join(amount)}")
        self.assert_named(run, "size limit of the run directory was hit")
        self.assert_nothing_made_is_lost(run)

    def test_full_disk(self):
        self.fill("disk", "wrote 240 MiB", "240")

    def test_full_disk_by_many_files(self):
        self.fill("files", "made 60000 files", "60000")


class Time(LimitCase):
    def test_endless_apply(self):
        run = self.start("endless")
        self.end(run, "errored", APPLY_SECONDS + 60)
        self.assert_named(run, "The apply exceeded its time limit of")
        self.assert_nothing_made_is_lost(run)

    def test_interrupt_is_ignored(self):
        control = subprocess.Popen(["sh", "-c", f"{PYTHON} {world.public / 'hog.py'} stubborn; true"],
                                   stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(control.stdout.close)
        self.addCleanup(control.wait)
        self.addCleanup(os.killpg, control.pid, signal.SIGKILL)
        self.assertEqual(control.stdout.readline(), "stopped its parent\n")
        control.send_signal(signal.SIGINT)
        run = self.start("stubborn")
        self.api.wait_run(run["id"], "applying")
        self.wait_until_stopped(run)
        self.api.act(run["id"], "cancel")
        asked = time.monotonic()
        self.end(run, "canceled", GRACE_SECONDS + 60)
        self.assertGreater(time.monotonic() - asked, GRACE_SECONDS - 5)  # it was given time to save its state
        self.assertIsNone(control.poll())
        self.assertIn("did not end in time after the interrupt and is killed", self.api.whole_log(run["id"], "apply"))
        self.assert_nothing_made_is_lost(run)

    def wait_until_stopped(self, run: dict) -> None:
        """Waits until the engine of the run is stopped."""
        uid = (self.site.data / "sandbox" / "runs" / run["id"]).stat().st_uid

        def stopped() -> bool:
            states = [Path(f"/proc/{pid}/stat").read_text() for pid in processes_with("/tofu", uid)]
            return any(") T " in state for state in states)
        wait_for("the engine is stopped", stopped, 30)


class Log(LimitCase):
    def test_endless_log_is_ended(self):
        run = self.start("log 10000")
        self.api.wait_run(run["id"], "applying")
        url = self.api.phase(run["id"], "apply")["attributes"]["log-read-url"]
        wait_for("megabytes are shown", lambda: self.api.request("GET", f"{url}?limit=10&offset={2 << 20}").body, 60)
        self.api.act(run["id"], "cancel")
        self.end(run, "canceled", 30)
        end = wait_for("the log has ended", lambda: self.end_of(url, 2 << 20), 30)
        self.assertNotIn(b"\x02", end)
        self.assertEqual(end.find(b"\x03"), len(end) - 1)  # the attack wrote such marks too
        self.assert_nothing_made_is_lost(run)

    def end_of(self, url: str, offset: int) -> bytes | None:
        """What the log has from there on, once it has ended."""
        read = b""
        while piece := self.api.request("GET", f"{url}?limit=1048576&offset={offset + len(read)}").body:
            read += piece
        return read if read.endswith(b"\x03") else None


class Leftovers(LimitCase):
    def test_processes_that_a_run_leaves_end_with_it(self):
        mark = f"{self.name}-control"
        outside("daemon", mark)
        left = wait_for("the control leaves its process", lambda: processes_with(mark))
        for pid in left:
            subprocess.run(["kill", "-9", str(pid)], check=True)
        run = self.start(f"daemon {self.name}-inside")
        self.end(run, "applied")
        wait_for("nothing of the run lives", lambda: not processes_with(f"{self.name}-inside"), 10)


class Kill(LimitCase):
    def test_killing_all_kills_only_the_run(self):
        lonely = 64999  # a uid that nothing else has
        bystander = subprocess.Popen(as_user(lonely, lonely, [], ["sleep", "600"]))
        self.addCleanup(bystander.wait)
        self.addCleanup(bystander.kill)
        wait_for("the other process runs", lambda: bystander.pid in processes_with("sleep", lonely))
        subprocess.run(as_user(lonely, lonely, [], [PYTHON, str(world.public / "hog.py"), "kill_all"]), check=False)
        self.assertEqual(bystander.wait(timeout=10), -signal.SIGKILL)
        run = self.start("kill_all")
        self.assertIn("signal 9", self.end(run, "errored")["error-message"])
        self.assert_nothing_made_is_lost(run)


class Host(LimitCase):
    alone = True

    def test_mounts_of_the_host_stay(self):
        self.end(self.start("files /tmp 3"), "applied")
        self.assertIn(f" {world.inner_mount} ", Path("/proc/self/mounts").read_text())


class AnotherRun(LimitCase):
    alone = True  # after all others

    def test_the_platform_works_after_all_that(self):
        run = self.start("files /tmp 3")
        self.end(run, "applied")
        states = {part["name"]: part for part in self.site.status()}
        self.assertEqual({name: part["restarts"] for name, part in states.items()}, {name: 0 for name in states})
        health = self.site.api(token="").request("GET", "/_health_check?full=1")
        self.assertEqual(health.status, 200, health.body)
