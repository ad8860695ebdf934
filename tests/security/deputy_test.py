"""The platform's own processes cannot be made to read for a run what the run may not see."""

import json
import subprocess

from world import HERE, ORGANIZATION, Case, as_account, world

CONFIGURATION = '''resource "terraform_data" "first" {
  input = "made first"
}
resource "terraform_data" "deputy" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "exec /usr/bin/python3 deputy.py %s"
  }
}
'''


class Deputy(Case):
    def attack(self, what: str) -> tuple[dict, bytes, bytes]:
        """Runs the attack; gives the run, its log, and the workspace's state when there is one."""
        target = self.site.data / "etc" / "worker-1.json"  # the worker's and its shims' user may read it
        workspace = self.api.make_workspace(ORGANIZATION, self.name)["id"]
        configuration = self.api.make_configuration(workspace, {
            "main.tf": CONFIGURATION % f"{what} {self.name} {target}", "deputy.py": (HERE / "deputy.py").read_text()})
        run = self.api.make_run(workspace, configuration, auto_apply=True)["id"]
        ended = self.api.wait_run(run, seconds=60)
        self.assertIn(ended["attributes"]["status"], ("applied", "errored"))
        log = self.api.whole_log(run, "apply").encode()
        state = b""
        if self.api.request("GET", f"/api/v2/workspaces/{workspace}/current-state-version").status == 200:
            state = self.api.state_bytes(workspace)
            self.assertEqual(json.loads(state)["version"], 4)
        self.assertFalse(self.api.get(f"/workspaces/{workspace}")["attributes"]["locked"])
        return ended, log, state

    def check(self, what: str) -> None:
        secret = json.loads((self.site.data / "etc" / "worker-1.json").read_text())["amqp_password"].encode()
        _, log, state = self.attack(what)
        self.assertNotIn(secret, log)
        self.assertNotIn(secret, state)

    def test_links_are_not_followed(self):
        # The control: whoever follows such a link with the shim's rights sees the secret.
        link = world.public / "link"
        link.symlink_to(self.site.data / "etc" / "worker-1.json")
        shown = subprocess.run(as_account("terrane-worker", ["cat", str(link)]), capture_output=True, text=True).stdout
        self.assertIn("amqp_password", shown)
        self.check("link")

    def test_directories_that_are_links_are_not_followed(self):
        self.check("parent_link")

    def test_pipes_hold_up_nobody(self):
        self.check("pipe")

    def test_a_sparse_terabyte_is_not_read(self):
        self.check("sparse")

    def test_directories_in_place_of_files(self):
        self.check("directory")
