"""Options of plan and apply, variables, imports and providers."""

import json

from configurations import ONE
from system import Case

TWO = '''resource "terraform_data" "a" {
  input = "a"
}

resource "terraform_data" "b" {
  input = "b"
}
'''


class Options(Case):
    def test_var_and_var_file_and_environment(self):
        cli = self.cli('''
variable "a" { type = string }
variable "b" { type = list(number) }
variable "c" { type = string }
output "all" {
  value = jsonencode([var.a, var.b, var.c])
}
''')
        cli.write("more.tfvars", "b = [1, 2]\n")
        cli.run("apply", "-input=false", "-auto-approve", '-var=a=with "quotes" and ${dollars}',
                "-var-file=more.tfvars", environment={"TF_VAR_c": "from the environment"})
        self.assertEqual(json.loads(cli.run("output", "-raw", "all").output),
                         ['with "quotes" and ${dollars}', [1, 2], "from the environment"])

    def test_target(self):
        cli = self.cli(TWO)
        self.assertIn("1 added", cli.apply("-target=terraform_data.a").output)
        self.assertEqual(self.newest_run()["attributes"]["target-addrs"], ["terraform_data.a"])
        self.assertEqual(self.resources(), ["terraform_data.a"])

    def test_replace(self):
        cli = self.cli(TWO)
        cli.apply()
        shown = cli.apply("-replace=terraform_data.b").output
        self.assertIn("terraform_data.b will be replaced, as requested", shown)
        self.assertIn("1 added, 0 changed, 1 destroyed", shown)
        self.assertEqual(self.newest_run()["attributes"]["replace-addrs"], ["terraform_data.b"])

    def test_refresh_only(self):
        cli = self.cli(ONE)
        cli.apply()
        before = self.api.state(self.workspace_id())
        cli.write("main.tf", ONE + 'output "late" {\n  value = 1\n}\n')
        cli.apply("-refresh-only")
        run = self.newest_run()["attributes"]
        self.assertTrue(run["refresh-only"])
        self.assertEqual(run["status"], "applied")
        after = self.api.state(self.workspace_id())
        self.assertEqual(after["outputs"]["late"]["value"], 1)
        self.assertEqual(after["resources"], before["resources"])
        cli.run("plan", "-input=false", "-refresh=false")
        self.assertFalse(self.newest_run()["attributes"]["refresh"])

    def test_import_block(self):
        cli = self.cli(ONE)
        cli.write("import.tf", 'import {\n  to = terraform_data.one\n  id = "from-elsewhere"\n}\n')
        shown = cli.apply().output
        self.assertIn("1 imported", shown)
        run = self.newest_run()["id"]
        self.assertEqual(self.api.phase(run, "plan")["attributes"]["resource-imports"], 1)
        state = self.api.state(self.workspace_id())
        self.assertEqual(state["resources"][0]["instances"][0]["attributes"]["id"], "from-elsewhere")

    def test_working_directory_and_ignored_files(self):
        cli = self.cli("")
        (cli.directory / "deep").mkdir()
        (cli.directory / "modules").mkdir()
        cli.write("modules/main.tf", 'output "here" {\n  value = fileexists("${path.module}/secret.txt")\n}\n')
        cli.write("modules/secret.txt", "not for the server")
        cli.write(".terraformignore", "secret.txt\n.cli.rc\n")
        cli.write("main.tf", 'module "m" {\n  source = "./modules"\n}\noutput "here" {\n  value = module.m.here\n}\n')
        cli.init()
        cli.apply()
        self.assertEqual(cli.run("output", "-raw", "here").output, "false")


class Variables(Case):
    def test_of_the_workspace_reach_the_run(self):
        workspace = self.workspace()
        secret = "sensitive-value-that-nobody-may-read"
        self.api.make_variable(workspace, "text", "plain ${not} interpolated")
        self.api.make_variable(workspace, "list", '["x", "y"]', hcl=True)
        self.api.make_variable(workspace, "password", secret, sensitive=True)
        self.api.make_variable(workspace, "GREETING", "from the environment", category="env")
        self.api.make_variable(workspace, "TF_VAR_number", "42", category="env")
        listed = self.api.get(f"/workspaces/{workspace}/vars")
        shown = {item["attributes"]["key"]: item["attributes"] for item in listed}
        self.assertIsNone(shown["password"]["value"])
        self.assertEqual(shown["text"]["value"], "plain ${not} interpolated")
        cli = self.cli('''
variable "text" {}
variable "list" { type = list(string) }
variable "number" { type = number }
variable "password" {
  sensitive = true
}
resource "terraform_data" "shell" {
  provisioner "local-exec" {
    command = "echo greeting: $GREETING"
  }
}
output "text" { value = var.text }
output "list" { value = join("-", var.list) }
output "number" { value = var.number + 1 }
output "length" { value = nonsensitive(length(var.password)) }
output "password" {
  value     = var.password
  sensitive = true
}
''')
        shown = cli.apply().text
        self.assertIn("greeting: from the environment", shown)
        values = {name: item["value"] for name, item in json.loads(cli.run("output", "-json").output).items()}
        self.assertEqual(values, {"text": "plain ${not} interpolated", "list": "x-y", "number": 43,
                                  "length": len(secret), "password": secret})
        self.assertNotIn(secret, shown)
        run = self.newest_run()["id"]
        for phase in ["plan", "apply"]:
            self.assertNotIn(secret, self.api.whole_log(run, phase))
        for path in [f"/runs/{run}", f"/workspaces/{workspace}/vars", f"/plans/plan-{run[4:]}"]:
            self.assertNotIn(secret.encode(), self.api.request("GET", f"/api/v2{path}").body)

    def test_of_the_run_win_over_those_of_the_workspace(self):
        workspace = self.workspace(auto_apply=True)
        self.api.make_variable(workspace, "name", "workspace")
        configuration = self.api.make_configuration(
            workspace, {"main.tf": 'variable "name" {}\noutput "name" { value = var.name }\n'})
        run = self.api.make_run(workspace, configuration, variables=[{"key": "name", "value": '"run"'}])["id"]
        self.api.wait_run(run, "applied")
        self.assertEqual(self.api.state(workspace)["outputs"]["name"]["value"], "run")
        self.assertEqual(self.api.run(run)["attributes"]["variables"], [{"key": "name", "value": '"run"'}])

    def test_changed_later_do_not_change_a_run(self):
        workspace = self.workspace()
        variable = self.api.make_variable(workspace, "name", "before")
        configuration = self.api.make_configuration(
            workspace, {"main.tf": 'variable "name" {}\noutput "name" { value = var.name }\n'})
        self.api.lock(workspace)
        run = self.api.make_run(workspace, configuration)["id"]
        self.api.patch(f"/workspaces/{workspace}/vars/{variable['id']}",
                       {"data": {"type": "vars", "id": variable["id"], "attributes": {"value": "after"}}})
        self.api.unlock(workspace)
        self.api.wait_run(run, "planned")
        self.api.act(run, "apply")
        self.api.wait_run(run, "applied")
        self.assertEqual(self.api.state(workspace)["outputs"]["name"]["value"], "before")


class Providers(Case):
    def test_come_from_the_mirror(self):
        cli = self.cli('''
terraform {
  required_providers {
    time = {
      source = "hashicorp/time"
    }
  }
}
resource "null_resource" "null" {
  triggers = { when = time_static.now.id }
}
resource "time_static" "now" {}
''')
        shown = cli.apply().output
        self.assertIn("Apply complete! Resources: 2 added", shown)
        self.assertEqual(self.resources(), ["null_resource.null", "time_static.now"])

    def test_that_nobody_has_are_named(self):
        workspace = self.workspace()
        configuration = self.api.make_configuration(workspace, {
            "main.tf": 'terraform {\n  required_providers {\n    x = { source = "example.invalid/nobody/x" }\n  }\n}\n'
                       'resource "x_y" "z" {}\n'})
        run = self.api.make_run(workspace, configuration)["id"]
        self.api.wait_run(run, "errored")
        self.assertIn("example.invalid/nobody/x", self.api.whole_log(run, "plan"))
