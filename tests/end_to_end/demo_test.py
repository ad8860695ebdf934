"""`terrane demo` itself: once, twice in a row, after kill -9. These run one by one, after all others."""

import os
import signal
import subprocess

from common.installation import Installation, processes_of
from common.wait import wait_for
from system import Case


class Demo(Case):
    alone = True

    def test_once_applies_and_leaves_nothing(self):
        before = set(os.listdir("/var/tmp"))
        done = subprocess.run([str(self.site.binary), "demo", "--once"], env=self.site.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Apply complete! Resources: 1 added", done.stdout)
        self.assertIn("is applied", done.stdout)
        self.assertEqual([name for name in os.listdir("/var/tmp")
                          if name not in before and name.startswith("terrane-once")], [])

    def test_twice_in_a_row_and_after_kill(self):
        site = Installation()
        self.addCleanup(site.destroy)
        self.assertIn("is applied", site.start())
        supervisor = site.supervisor()
        token = site.token

        again = site.start()  # it runs: the same installation performs another run
        self.assertIn("Terrane runs at", again)
        self.assertEqual(site.supervisor(), supervisor)
        self.assertNotEqual(site.token, token)
        self.assertEqual(site.api(token).request("GET", "/api/v2/account/details").status, 200)

        second = subprocess.run([str(site.binary), "serve", "--data", str(site.data)], env=site.environment(),
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(second.returncode, 0)  # one supervisor per data directory

        status = site.command("demo", "--status").stdout.splitlines()
        roles = {line.split()[1] for line in status}
        for line in status:
            self.assertTrue(os.path.exists(f"/proc/{line.split()[0]}"), line)
        self.assertLessEqual({"serve", "postgres", "redis", "rabbitmq", "vault", "archivist", "web", "background",
                              "services"}, roles)

        os.kill(supervisor, signal.SIGKILL)
        wait_for("the children of the killed supervisor have ended",
                 lambda: not processes_of(site.data), 30)
        self.assertIn("Terrane runs at", site.start())
        self.assertNotEqual(site.supervisor(), supervisor)
        self.assertEqual(site.api(token).request("GET", "/api/v2/account/details").status, 200)

        site.stop()
        wait_for("everything has ended", lambda: not processes_of(site.data), 30)
        self.assertIn("does not run", site.command("demo", "--status", check=False).stdout)
        self.assertIn("does not run", site.command("demo", "--stop").stdout)
        self.assertIn("Terrane runs at", site.start())
        self.assertEqual(site.api(token).request("GET", "/api/v2/account/details").status, 200)
