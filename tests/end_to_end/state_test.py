"""States: commands of the CLI, remote and local execution, reading another workspace's, locks."""

import hashlib
import json
import uuid

from common.api import document
from configurations import ONE
from system import ORGANIZATION, Case

TWO = '''resource "terraform_data" "a" {
  input = "a"
}

resource "terraform_data" "b" {
  input = "b"
}
'''


def state_of(serial: int, lineage: str, value: str = "v") -> bytes:
    return json.dumps({"version": 4, "terraform_version": "1.12.6", "serial": serial, "lineage": lineage,
                       "outputs": {"o": {"value": value, "type": "string"}}, "resources": [],
                       "check_results": None}).encode()


class Commands(Case):
    def commands(self, execution_mode: str) -> None:
        """list, show, pull, push, mv and rm, each seen in the state of the workspace."""
        workspace = self.workspace(execution_mode=execution_mode, terraform_version="1.12.6")
        cli = self.cli(TWO)
        cli.apply()
        self.assertEqual(cli.run("state", "list").output.split(), ["terraform_data.a", "terraform_data.b"])
        self.assertIn('input  = "a"', cli.run("state", "show", "terraform_data.a").output)
        cli.run("state", "mv", "terraform_data.a", "terraform_data.c")
        self.assertEqual(self.resources(), ["terraform_data.b", "terraform_data.c"])
        cli.run("state", "rm", "terraform_data.b")
        self.assertEqual(self.resources(), ["terraform_data.c"])
        pulled = cli.run("state", "pull").output
        self.assertEqual(pulled.strip().encode(), self.api.state_bytes(workspace).strip())
        changed = json.loads(pulled)
        changed["serial"] += 1
        changed["outputs"] = {"pushed": {"value": "by hand", "type": "string"}}
        cli.write("new.tfstate", json.dumps(changed))
        cli.run("state", "push", "new.tfstate")
        self.assertEqual(json.loads(cli.run("output", "-json").output)["pushed"]["value"], "by hand")
        stale = dict(changed, serial=changed["serial"] - 2)
        cli.write("stale.tfstate", json.dumps(stale))
        refused = cli.run("state", "push", "stale.tfstate", expect=1)
        self.assertIn("serial", refused.text)
        foreign = dict(changed, serial=changed["serial"] + 5, lineage=str(uuid.uuid4()))
        cli.write("foreign.tfstate", json.dumps(foreign))
        self.assertIn("lineage", cli.run("state", "push", "foreign.tfstate", expect=1).text)
        self.assertEqual(self.api.state(workspace)["outputs"]["pushed"]["value"], "by hand")
        self.assert_unlocked()

    def test_with_remote_execution(self):
        self.commands("remote")

    def test_with_local_execution(self):
        self.commands("local")
        self.assertEqual(self.api.runs(self.workspace_id()), [])

    def test_taint_and_import_with_local_execution(self):
        self.workspace(execution_mode="local", terraform_version="1.12.6")
        cli = self.cli(TWO)
        cli.apply("-target=terraform_data.a")
        cli.run("import", "-input=false", "terraform_data.b", "imported-id")
        cli.run("taint", "terraform_data.a")
        shown = cli.run("plan", "-input=false").output
        self.assertIn("terraform_data.a is tainted, so it must be replaced", shown)
        instance = [item for item in self.api.state(self.workspace_id())["resources"] if item["name"] == "b"][0]
        self.assertEqual(instance["instances"][0]["attributes"]["id"], "imported-id")

    def test_migration_of_a_local_state(self):
        cli = self.cli(TWO, init=False)
        block = (cli.directory / "cloud.tf").read_text()
        (cli.directory / "cloud.tf").unlink()
        cli.init()
        cli.run("apply", "-input=false", "-auto-approve")
        before = json.loads((cli.directory / "terraform.tfstate").read_text())
        cli.write("cloud.tf", block)
        with cli.terminal("init") as terminal:
            terminal.expect("Should OpenTofu migrate your existing state?")
            terminal.type("yes\n")
            terminal.expect("successfully initialized")
            terminal.wait()
        self.assertEqual(self.api.state(self.workspace_id())["resources"], before["resources"])
        self.assertIn("No changes.", cli.apply().output)


class Bytes(Case):
    def test_are_given_back_exactly(self):
        workspace = self.workspace()
        lineage = str(uuid.uuid4())
        state = ('{ "version": 4,\n\t"serial":7, "lineage": "' + lineage + '", "x": "\u00fc \\u0000"}\n\n').encode()
        self.api.lock(workspace)
        for inline in [True, False]:
            serial = 7 if inline else 8
            answer = self.api.make_state_version(workspace, state, serial, lineage, inline=inline)
            self.assertEqual(answer.status, 201, answer.body)
            if not inline:
                self.assertEqual(answer.json["data"]["attributes"]["status"], "pending")
                url = answer.json["data"]["attributes"]["hosted-state-upload-url"]
                self.assertEqual(self.api.request("PUT", url, state).status, 200)
                self.assertEqual(self.api.request("PUT", url, state).status, 200)  # a repeated PUT answers as the first
                self.assertGreaterEqual(self.api.request("PUT", url, state + b" ").status, 400)
            current = self.api.current_state(workspace)["attributes"]
            self.assertEqual([current["serial"], current["md5"], current["size"]],
                             [serial, hashlib.md5(state).hexdigest(), len(state)])
            self.assertEqual(self.api.state_bytes(workspace), state)
        self.api.unlock(workspace)

    def test_that_do_not_fit_are_refused(self):
        workspace = self.workspace()
        lineage = str(uuid.uuid4())
        state = state_of(3, lineage)
        self.assertEqual(self.api.make_state_version(workspace, state, 3, lineage).status, 409)  # not locked
        self.api.lock(workspace)
        self.assertEqual(self.api.make_state_version(workspace, state, 3, lineage).status, 201)
        first = self.api.current_state(workspace)["id"]
        self.assertEqual(self.api.make_state_version(workspace, state_of(2, lineage), 2, lineage).status, 409)
        self.assertEqual(self.api.make_state_version(workspace, state_of(3, lineage, "x"), 3, lineage).status, 409)
        self.assertEqual(self.api.make_state_version(workspace, state_of(4, "other"), 4, "other").status, 409)
        wrong = self.api.make_state_version(workspace, state_of(4, lineage), 4, lineage, md5="0" * 32)
        self.assertEqual(wrong.status, 422)
        self.assertIn("/data/attributes/md5", wrong.errors)
        self.assertEqual(self.api.current_state(workspace)["id"], first)
        # The same by an upload URL: what does not match the md5 that was announced is not kept.
        pending = self.api.make_state_version(workspace, state_of(4, lineage), 4, lineage, inline=False).json["data"]
        url = pending["attributes"]["hosted-state-upload-url"]
        self.assertIn(self.api.request("PUT", url, state_of(4, lineage, "forged")).status, [409, 422])
        self.assertEqual(self.api.current_state(workspace)["id"], first)
        # Equal serial, lineage and md5 make a new version; force replaces.
        self.assertEqual(self.api.make_state_version(workspace, state, 3, lineage).status, 201)
        self.assertNotEqual(self.api.current_state(workspace)["id"], first)
        forced = self.api.make_state_version(workspace, state_of(1, lineage), 1, lineage, force=True)
        self.assertEqual(forced.status, 201)
        self.assertEqual(self.api.current_state(workspace)["attributes"]["serial"], 1)
        self.api.unlock(workspace)


class Locks(Case):
    def test_lock_and_unlock(self):
        workspace = self.workspace()
        self.api.lock(workspace, "maintenance")
        again = self.api.request("POST", f"/api/v2/workspaces/{workspace}/actions/lock", {"reason": "me too"})
        self.assertEqual(again.status, 409)
        self.assertIn("locked", again.errors)
        cli = self.cli(TWO)
        cli.write("a.tfstate", state_of(1, str(uuid.uuid4())).decode())
        self.assertIn("workspace already locked", cli.run("state", "push", "a.tfstate", expect=1).text)
        self.api.unlock(workspace)
        refused = self.api.request("POST", f"/api/v2/workspaces/{workspace}/actions/unlock", {})
        self.assertEqual(refused.status, 409)
        cli.run("state", "push", "a.tfstate")

    def test_force_unlock_by_the_cli(self):
        workspace = self.workspace(execution_mode="local", terraform_version="1.12.6")
        cli = self.cli(TWO)
        self.api.lock(workspace)
        cli.run("force-unlock", "-force", f"{ORGANIZATION}/{self.name}")
        self.assert_unlocked()

    def test_of_a_run_is_not_unlocked_by_others(self):
        workspace = self.workspace()
        configuration = self.api.make_configuration(workspace, {"main.tf": TWO})
        run = self.api.make_run(workspace, configuration)["id"]
        self.api.wait_run(run, "planned")
        refused = self.api.request("POST", f"/api/v2/workspaces/{workspace}/actions/unlock", {})
        self.assertEqual(refused.status, 409)
        self.assertIn("is locked by Run", refused.errors)
        written = self.api.make_state_version(workspace, state_of(1, "l"), 1, "l")
        self.assertEqual(written.status, 409)
        self.api.act(run, "discard")
        self.assert_unlocked()


READER = '''data "terraform_remote_state" "other" {
  backend = "remote"
  config = {
    hostname     = "HOSTNAME"
    organization = "ORGANIZATION"
    workspaces   = { name = "SOURCE" }
  }
}

output "seen" {
  value = data.terraform_remote_state.other.outputs.greeting
}
'''


class RemoteState(Case):
    def source(self) -> str:
        """A workspace with an output, that shares with nobody."""
        workspace = self.workspace(f"{self.name}-source", auto_apply=True, global_remote_state=False)
        configuration = self.api.make_configuration(workspace, {"main.tf": ONE})
        self.api.wait_run(self.api.make_run(workspace, configuration)["id"], "applied")
        return workspace

    def read(self, expected: str) -> dict:
        """A run in the case's workspace that reads the source's state with its own token."""
        text = READER.replace("HOSTNAME", self.site.hostname).replace("ORGANIZATION", ORGANIZATION)
        workspace = self.workspace_id()
        text = text.replace("SOURCE", f"{self.name}-source")
        configuration = self.api.make_configuration(workspace, {"main.tf": text})
        return self.api.wait_run(self.api.make_run(workspace, configuration)["id"], expected)

    def test_of_a_workspace_that_grants_it(self):
        source, reader = self.source(), self.workspace(auto_apply=True)
        self.api.post(f"/workspaces/{source}/relationships/remote-state-consumers",
                      {"data": [{"type": "workspaces", "id": reader}]}, expect=204)
        self.read("applied")
        self.assertEqual(self.api.state(reader)["outputs"]["seen"]["value"], "first")

    def test_of_a_workspace_that_shares_with_all(self):
        source, reader = self.source(), self.workspace(auto_apply=True)
        self.api.patch(f"/workspaces/{source}", document("workspaces", {"global-remote-state": True}))
        self.read("applied")
        self.assertEqual(self.api.state(reader)["outputs"]["seen"]["value"], "first")

    def test_that_is_not_granted_is_not_found(self):
        self.source()
        self.workspace(auto_apply=True)
        run = self.read("errored")
        log = " ".join(self.api.whole_log(run["id"], "plan").split())
        self.assertIn("resource not found", log)
