"""Commands of the CLI beside plan, apply and the state's own: login, console, import, refresh, workspaces, projects."""

import json

from common.api import document
from common.cli import Cli
from configurations import ONE
from system import ORGANIZATION, Case

TWO = '''resource "terraform_data" "a" {
  input = "a"
}

resource "terraform_data" "b" {
  input = "b"
}
'''


def remote_block(site, workspaces: str) -> str:
    return (f'terraform {{\n  backend "remote" {{\n    hostname     = "{site.hostname}"\n'
            f'    organization = "{ORGANIZATION}"\n    workspaces {{\n      {workspaces}\n    }}\n  }}\n}}\n')


class Login(Case):
    def test_with_a_token_and_logout(self):
        cli = self.cli(ONE, init=False)
        (cli.directory / ".home" / ".terraform.d").mkdir(parents=True)
        cli.write(".cli.rc", "disable_checkpoint = true\n")
        # With a configuration file named, the CLI does not look where `login` keeps tokens.
        plain = {"TF_CLI_CONFIG_FILE": ""}

        def run(*arguments: str, expect: int = 0) -> str:
            return cli.run(*arguments, expect=expect, environment=plain).text

        self.assertIn("tofu login", run("init", "-input=false", expect=1))
        with cli.terminal("login", self.site.hostname) as terminal:
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("/app/settings/tokens?source=terraform-login")
            terminal.expect("Enter a value:")
            terminal.type(self.site.token + "\n")
            terminal.expect("Retrieved token for user")
            terminal.wait()
        kept = cli.directory / ".home" / ".terraform.d" / "credentials.tfrc.json"
        self.assertEqual(json.loads(kept.read_text())["credentials"][self.site.hostname]["token"], self.site.token)
        run("init", "-input=false")
        self.assertIn("1 added", run("apply", "-input=false", "-auto-approve"))
        run("logout", self.site.hostname)
        self.assertIn("Required token could not be found", run("init", "-input=false", expect=1))

    def test_with_a_wrong_token_keeps_nothing(self):
        cli = self.cli(ONE, init=False)
        cli.write(".cli.rc", "disable_checkpoint = true\n")
        with cli.terminal("login", self.site.hostname) as terminal:
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("Enter a value:")
            terminal.type("no.atlasv1.token\n")
            terminal.wait(expect=1)
        self.assertFalse((cli.directory / ".home" / ".terraform.d" / "credentials.tfrc.json").exists())


class Projects(Case):
    def block(self, cli: Cli, project: str) -> None:
        block = cli.directory / "cloud.tf"
        block.write_text(block.read_text().replace("workspaces {\n", f'workspaces {{\n      project = "{project}"\n'))

    def test_init_makes_the_workspace_in_the_named_project(self):
        project = self.api.post(f"/organizations/{ORGANIZATION}/projects",
                                document("projects", {"name": "Some project"}))["id"]
        cli = self.cli(ONE, init=False)
        self.block(cli, "Some project")
        cli.init()
        made = self.api.workspace(ORGANIZATION, self.name)
        self.assertEqual(made["relationships"]["project"]["data"]["id"], project)
        self.assertIn("1 added", cli.apply().output)

    def test_init_makes_the_project_that_is_not_there(self):
        cli = self.cli(ONE, init=False)
        self.block(cli, "Made by init")
        cli.init()
        made = self.api.workspace(ORGANIZATION, self.name)["relationships"]["project"]["data"]["id"]
        self.assertEqual(self.api.get(f"/projects/{made}")["attributes"]["name"], "Made by init")


class Evaluation(Case):
    def test_console_knows_the_state(self):
        cli = self.cli(ONE)
        cli.apply()
        with cli.terminal("console") as console:
            console.expect("> ")
            console.type("terraform_data.one.output\n")
            console.expect('"first"')
            console.type("upper(terraform_data.one.input)\n")
            console.expect('"FIRST"')
            console.type("exit\n")
            console.wait()
        self.assert_unlocked()

    def test_show_reads_the_state(self):
        cli = self.cli(ONE)
        cli.apply()
        shown = json.loads(cli.run("show", "-json").output)
        self.assertEqual(shown["values"]["outputs"]["greeting"]["value"], "first")
        self.assertIn("terraform_data.one", cli.run("show").output)

    def test_refresh_takes_up_new_outputs(self):
        cli = self.cli(ONE)
        cli.apply()
        cli.write("late.tf", 'output "late" {\n  value = "new"\n}\n')
        cli.run("refresh", "-input=false")
        self.assertTrue(self.newest_run()["attributes"]["refresh-only"])
        self.assertEqual(cli.run("output", "-raw", "late").output, "new")

    def test_exit_codes_of_a_plan(self):
        cli = self.cli(ONE)
        cli.run("plan", "-input=false", "-detailed-exitcode", expect=2)
        cli.apply()
        cli.run("plan", "-input=false", "-detailed-exitcode", expect=0)
        shown = cli.run("plan", "-input=false", "-destroy", "-detailed-exitcode", expect=2).output
        self.assertIn("0 to add, 0 to change, 1 to destroy", shown)
        self.assertTrue(self.newest_run()["attributes"]["is-destroy"])
        self.assertEqual(self.resources(), ["terraform_data.one"])

    def test_init_upgrade_and_providers(self):
        cli = self.cli('resource "null_resource" "n" {}\n')
        cli.init("-upgrade")
        self.assertIn("hashicorp/null", cli.run("providers").output)
        cli.run("validate")


class StateOfRemoteExecution(Case):
    """The CLI changes the state itself, though runs execute here."""

    def test_import_and_taint(self):
        workspace = self.workspace(terraform_version="1.12.6")
        self.api.make_variable(workspace, "needed", "by the import")
        cli = self.cli(TWO + 'variable "needed" {}\n')
        cli.apply("-target=terraform_data.a")
        cli.run("import", "-input=false", "terraform_data.b", "imported-id")
        self.assertEqual(self.resources(), ["terraform_data.a", "terraform_data.b"])
        cli.run("taint", "terraform_data.a")
        shown = cli.run("plan", "-input=false").output
        self.assertIn("terraform_data.a is tainted, so it must be replaced", shown)
        cli.run("untaint", "terraform_data.a")
        self.assertNotIn("tainted", cli.run("plan", "-input=false").output)
        self.assert_unlocked()

    def test_replace_provider(self):
        workspace = self.workspace(terraform_version="1.12.6")
        cli = self.cli('resource "null_resource" "n" {}\n')
        cli.apply()
        before = self.api.current_state(workspace)["attributes"]["serial"]
        cli.run("state", "replace-provider", "-auto-approve", "hashicorp/null", "example.com/other/null")
        state = self.api.state(workspace)
        self.assertIn("example.com/other/null", state["resources"][0]["provider"])
        self.assertEqual(state["serial"], before + 1)
        self.assert_unlocked()

    def test_a_held_lock_stops_the_cli(self):
        workspace = self.workspace(terraform_version="1.12.6")
        cli = self.cli(TWO)
        cli.apply()
        self.api.lock(workspace)
        self.assertIn("already locked", cli.run("taint", "terraform_data.a", expect=1).text)
        self.api.unlock(workspace)
        cli.run("taint", "terraform_data.a")


class LockTimeout(Case):
    def test_gives_up_a_run_that_waits_too_long(self):
        workspace = self.workspace()
        cli = self.cli(ONE)
        self.api.lock(workspace)
        # The CLI cancels the run and calls that a success.
        shown = cli.run("apply", "-input=false", "-auto-approve", "-lock-timeout=3s").text
        self.assertIn("Lock timeout exceeded", shown)
        self.assertNotIn("Apply complete", shown)
        run = self.newest_run()["id"]
        self.api.wait_run(run, "canceled")
        self.api.unlock(workspace)
        self.assertIn("1 added", cli.apply("-lock-timeout=60s").output)


class RemoteBackend(Case):
    """The `remote` backend, which asks for the same things in its own way."""

    def remote(self, configuration: str, workspaces: str | None = None) -> Cli:
        cli = self.cli(configuration, init=False)
        cli.write("cloud.tf", remote_block(self.site, workspaces or f'name = "{self.name}"'))
        return cli

    def test_options_of_runs(self):
        cli = self.remote(TWO)
        cli.init()
        self.assertIn("1 added", cli.apply("-target=terraform_data.a").output)
        self.assertEqual(self.newest_run()["attributes"]["target-addrs"], ["terraform_data.a"])
        self.assertIn("1 added", cli.apply().output)
        shown = cli.apply("-replace=terraform_data.b").output
        self.assertIn("1 added, 0 changed, 1 destroyed", shown)
        cli.apply("-refresh-only")
        self.assertTrue(self.newest_run()["attributes"]["refresh-only"])
        cli.run("destroy", "-input=false", "-auto-approve")
        self.assertEqual(self.resources(), [])
        self.assert_unlocked()

    def test_state_commands(self):
        self.workspace(terraform_version="1.12.6")
        cli = self.remote(TWO)
        cli.init()
        cli.apply()
        self.assertEqual(cli.run("state", "list").output.split(), ["terraform_data.a", "terraform_data.b"])
        cli.run("state", "mv", "terraform_data.a", "terraform_data.c")
        cli.run("state", "rm", "terraform_data.b")
        cli.run("import", "-input=false", "terraform_data.b", "imported-id")
        self.assertEqual(self.resources(), ["terraform_data.b", "terraform_data.c"])
        pulled = json.loads(cli.run("state", "pull").output)
        cli.write("new.tfstate", json.dumps(dict(pulled, serial=pulled["serial"] + 1)))
        cli.run("state", "push", "new.tfstate")
        self.api.lock(self.workspace_id())
        cli.run("force-unlock", "-force", f"{ORGANIZATION}/{self.name}")
        self.assert_unlocked()

    def test_interactive_yes(self):
        cli = self.remote(ONE)
        cli.init()
        with cli.terminal("apply") as terminal:
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("Apply complete! Resources: 1 added")
            terminal.wait()

    def test_workspaces_by_prefix(self):
        cli = self.remote(ONE, f'prefix = "{self.name}-"')
        self.workspace(f"{self.name}-first")
        self.workspace(f"{self.name}2-another")  # not of this prefix
        with cli.terminal("init") as terminal:
            terminal.expect("successfully initialized")
            terminal.wait()
        self.assertEqual(cli.run("workspace", "list").output.replace("*", " ").split(), ["first"])
        cli.run("workspace", "new", "second")
        self.assertEqual(self.api.workspace(ORGANIZATION, f"{self.name}-second")["attributes"]["name"],
                         f"{self.name}-second")
        cli.apply()
        self.assertEqual(cli.run("workspace", "show").output.strip(), "second")
        cli.run("workspace", "select", "first")
        self.assertIn("No outputs found", cli.run("output").text)
        self.assertIn("not empty", cli.run("workspace", "delete", "second", expect=1).text)
        cli.run("workspace", "delete", "-force", "second")
        self.assertEqual(cli.run("workspace", "list").output.replace("*", " ").split(), ["first"])
        path = f"/api/v2/organizations/{ORGANIZATION}/workspaces/{self.name}-second"
        self.assertEqual(self.api.request("GET", path).status, 404)

    def test_local_execution(self):
        self.workspace(execution_mode="local", terraform_version="1.12.6")
        cli = self.remote(ONE)
        cli.init()
        self.assertIn("1 added", cli.apply().output)
        self.assertEqual(self.resources(), ["terraform_data.one"])
        self.assertEqual(self.api.runs(self.workspace_id()), [])

    def test_migration_to_the_cloud_block(self):
        cli = self.remote(ONE)
        cli.init()
        cli.apply()
        before = self.api.state(self.workspace_id())
        cli.write("cloud.tf", self.cloud())
        with cli.terminal("init") as terminal:
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("successfully initialized")
            terminal.wait()
        self.assertIn("No changes.", cli.apply().output)
        after = self.api.state(self.workspace_id())
        self.assertEqual([after["resources"], after["lineage"]], [before["resources"], before["lineage"]])
        self.assert_unlocked()

    def cloud(self) -> str:
        return remote_block(self.site, f'name = "{self.name}"').replace('backend "remote"', "cloud")
