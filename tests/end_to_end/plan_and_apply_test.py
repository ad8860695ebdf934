"""init, plan, apply, output, destroy: the way of nearly every run."""

import json

from configurations import ONE
from system import ORGANIZATION, Case


class Init(Case):
    def test_by_name_makes_the_workspace(self):
        path = f"/api/v2/organizations/{ORGANIZATION}/workspaces/{self.name}"
        self.assertEqual(self.api.request("GET", path).status, 404)
        cli = self.cli(ONE, init=False)
        self.assertIn("Cloud backend has been successfully initialized!", cli.init().output)
        made = self.api.workspace(ORGANIZATION, self.name)["attributes"]
        self.assertEqual(made["execution-mode"], "remote")
        self.assertEqual(made["terraform-version"], "1.12.6")
        self.assertFalse(made["locked"])
        cli.init()  # the workspace is there now
        self.assertEqual(cli.run("workspace", "show").output.strip(), self.name)

    def test_wrong_token_is_refused(self):
        cli = self.cli(ONE, init=False)
        rc = cli.directory / ".cli.rc"
        rc.write_text(rc.read_text().replace(self.site.token, "no.atlasv1.token"))
        refused = cli.run("init", "-input=false", expect=1)
        self.assertIn("unauthorized", refused.text)

    def test_unknown_organization_is_named(self):
        cli = self.cli(ONE, init=False)
        block = cli.directory / "cloud.tf"
        block.write_text(block.read_text().replace(f'"{ORGANIZATION}"', '"nobody"'))
        refused = cli.run("init", "-input=false", expect=1)
        self.assertIn('organization "nobody"', refused.text)


class Plan(Case):
    def test_is_speculative(self):
        cli = self.cli(ONE)
        shown = cli.run("plan", "-input=false").output
        self.assertIn("Plan: 1 to add, 0 to change, 0 to destroy.", shown)
        self.assertIn(f"https://{self.site.hostname}/app/{ORGANIZATION}/{self.name}/runs/run-", shown)
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "planned_and_finished")
        self.assertTrue(run["attributes"]["plan-only"])
        self.assertTrue(run["attributes"]["has-changes"])
        self.assertFalse(run["attributes"]["actions"]["is-confirmable"])
        self.assertEqual(self.api.phase(run["id"], "apply")["attributes"]["status"], "unreachable")
        self.assert_unlocked()

    def test_that_fails_ends_errored(self):
        cli = self.cli('resource "terraform_data" "x" {\n  input = file("missing.txt")\n}\n')
        failed = cli.run("plan", "-input=false", expect=1)
        self.assertIn("missing.txt", failed.text)
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "errored")
        self.assertEqual(self.api.phase(run["id"], "plan")["attributes"]["status"], "errored")
        self.assert_unlocked()

    def test_json_output_is_that_of_show(self):
        cli = self.cli(ONE)
        cli.run("plan", "-input=false")
        run = self.newest_run()
        redirect = self.api.request("GET", f"/api/v2/plans/{run['relationships']['plan']['data']['id']}/json-output")
        self.assertEqual(redirect.status, 307)
        plan = self.api.request("GET", redirect.headers["Location"])
        self.assertEqual(plan.status, 200)
        self.assertEqual(plan.json["terraform_version"], "1.12.6")
        resources = plan.json["planned_values"]["root_module"]["resources"]
        self.assertEqual([item["address"] for item in resources], ["terraform_data.one"])
        phase = self.api.phase(run["id"], "plan")["attributes"]
        self.assertEqual([phase["resource-additions"], phase["resource-changes"], phase["resource-destructions"],
                          phase["resource-imports"]], [1, 0, 0, 0])

    def test_outputs_alone_are_changes(self):
        cli = self.cli('output "only" {\n  value = "this"\n}\n')
        shown = cli.apply().output
        self.assertIn('only = "this"', shown)
        self.assertEqual(self.newest_run()["attributes"]["status"], "applied")


class Apply(Case):
    def test_auto_approved(self):
        cli = self.cli(ONE)
        shown = cli.apply().output
        self.assertIn("Apply complete! Resources: 1 added, 0 changed, 0 destroyed.", shown)
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "applied")
        self.assertTrue(run["attributes"]["auto-apply"])
        state = self.api.state(self.workspace_id())
        self.assertEqual(state["outputs"]["greeting"]["value"], "first")
        version = self.api.current_state(self.workspace_id())
        self.assertEqual(version["relationships"]["run"]["data"]["id"], run["id"])
        self.assertEqual(version["attributes"]["status"], "finalized")
        self.assert_unlocked()
        again = cli.apply().output
        self.assertIn("No changes.", again)
        self.assertEqual(self.newest_run()["attributes"]["status"], "planned_and_finished")
        self.assertEqual(self.api.current_state(self.workspace_id())["id"], version["id"])

    def test_with_a_typed_yes(self):
        cli = self.cli(ONE)
        with cli.terminal("apply") as terminal:
            terminal.expect("Do you want to perform these actions")
            terminal.expect("Enter a value:")
            run = self.newest_run()
            self.assertEqual(run["attributes"]["status"], "planned")
            self.assertTrue(self.api.workspace(ORGANIZATION, self.name)["attributes"]["locked"])
            terminal.type("yes\n")
            terminal.expect("Apply complete! Resources: 1 added")
            terminal.wait()
        run = self.api.run(run["id"])
        self.assertEqual(run["attributes"]["status"], "applied")
        self.assertEqual(run["relationships"]["confirmed-by"]["data"]["id"], self.api.get("/account/details")["id"])
        self.assert_unlocked()

    def test_with_a_typed_no(self):
        cli = self.cli(ONE)
        with cli.terminal("apply") as terminal:
            terminal.expect("Enter a value:")
            terminal.type("no\n")
            terminal.wait(expect=1)
        self.assertEqual(self.newest_run()["attributes"]["status"], "discarded")
        self.assert_unlocked()

    def test_without_input_stays_planned_until_discarded(self):
        cli = self.cli(ONE)
        refused = cli.run("apply", "-input=false", expect=1)
        self.assertIn("Please handle run confirmation in the UI", " ".join(refused.text.split()))
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "planned")
        self.assertTrue(run["attributes"]["actions"]["is-confirmable"])
        self.api.act(run["id"], "discard")
        ended = self.api.wait_run(run["id"], "discarded")
        self.assertFalse(ended["attributes"]["actions"]["is-discardable"])
        self.assertIn("discarded-at", ended["attributes"]["status-timestamps"])
        self.api.act(run["id"], "apply", expect=409)
        self.api.act(run["id"], "discard", expect=409)
        self.assert_unlocked()
        self.assertIsNone(self.api.workspace(ORGANIZATION, self.name)["relationships"].get("current-state-version", {})
                          .get("data"))

    def test_confirmed_by_the_api_with_a_comment(self):
        cli = self.cli(ONE)
        cli.run("apply", "-input=false", expect=1)
        run = self.newest_run()["id"]
        self.api.post(f"/runs/{run}/actions/apply", {"comment": "looks good"}, expect=202)
        ended = self.api.wait_run(run, "applied")
        self.assertEqual(len(ended["relationships"]["comments"]["data"]), 1)
        for key in ["plan-queueable-at", "planning-at", "planned-at", "confirmed-at", "applying-at", "applied-at"]:
            self.assertIn(key, ended["attributes"]["status-timestamps"])

    def test_that_fails_keeps_what_was_made(self):
        cli = self.cli(ONE + '''
resource "terraform_data" "broken" {
  input = terraform_data.one.id
  provisioner "local-exec" {
    command = "echo it broke on purpose; exit 3"
  }
}
''')
        failed = cli.apply(expect=1)
        self.assertIn("exit status 3", " ".join(failed.text.split()))
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "errored")
        log = self.api.whole_log(run["id"], "apply")
        self.assertIn("it broke on purpose", log)
        self.assertIn("exit status 3", " ".join(log.split()))
        self.assertEqual(self.api.phase(run["id"], "apply")["attributes"]["status"], "errored")
        self.assertIn("terraform_data.one", self.resources())
        self.assert_unlocked()
        # What was made is not made again; the tainted one is replaced.
        cli.write("main.tf", ONE)
        self.assertIn("0 added, 0 changed, 1 destroyed", cli.apply().output)

    def test_of_a_saved_plan(self):
        cli = self.cli(ONE)
        cli.run("plan", "-input=false", "-out=saved.plan")
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "planned_and_saved")
        self.assertTrue(run["attributes"]["save-plan"])
        self.assert_unlocked()
        self.assertIn("Apply complete! Resources: 1 added", cli.run("apply", "-input=false", "saved.plan").output)
        self.assertEqual(self.api.run_status(run["id"]), "applied")
        self.assertEqual(len(self.api.runs(self.workspace_id())), 1)
        shown = json.loads(cli.run("show", "-json", "saved.plan").output)
        self.assertEqual([item["address"] for item in shown["resource_changes"]], ["terraform_data.one"])
        again = cli.run("apply", "-input=false", "saved.plan", expect=1)
        self.assertIn("already", again.text)


class Output(Case):
    def test_plain_json_and_sensitive(self):
        cli = self.cli('''
output "text" {
  value = "a \\"quoted\\" word"
}
output "map" {
  value = { a = 1, b = [true, null] }
}
output "secret" {
  value     = "hidden"
  sensitive = true
}
''')
        cli.apply()
        shown = cli.run("output").output
        self.assertIn('text = "a \\"quoted\\" word"', shown)
        self.assertIn("secret = <sensitive>", shown)
        values = json.loads(cli.run("output", "-json").output)
        self.assertEqual(values["map"]["value"], {"a": 1, "b": [True, None]})
        self.assertEqual(values["secret"], {"sensitive": True, "type": "string", "value": "hidden"})
        self.assertEqual(cli.run("output", "-raw", "text").output, 'a "quoted" word')
        listed = self.api.get(f"/workspaces/{self.workspace_id()}/current-state-version-outputs")
        self.assertIsNone({item["attributes"]["name"]: item for item in listed}["secret"]["attributes"]["value"])


class Destroy(Case):
    def test_removes_everything(self):
        cli = self.cli(ONE)
        cli.apply()
        self.assertIn("Apply complete! Resources: 0 added, 0 changed, 1 destroyed.",
                      cli.run("destroy", "-input=false", "-auto-approve").output)
        run = self.newest_run()
        self.assertEqual(run["attributes"]["status"], "applied")
        self.assertTrue(run["attributes"]["is-destroy"])
        self.assertEqual(self.resources(), [])
        self.assert_unlocked()

    def test_without_configuration(self):
        self.cli(ONE).apply()
        empty = self.cli("")
        self.assertIn("1 destroyed", empty.run("destroy", "-input=false", "-auto-approve").output)
        self.assertEqual(self.resources(), [])


class RemoteBackend(Case):
    def test_plan_apply_and_output(self):
        cli = self.cli(ONE, init=False)
        cli.write("cloud.tf", f'''terraform {{
  backend "remote" {{
    hostname     = "{self.site.hostname}"
    organization = "{ORGANIZATION}"
    workspaces {{
      name = "{self.name}"
    }}
  }}
}}
''')
        cli.init()
        self.assertIn("Plan: 1 to add, 0 to change, 0 to destroy.", cli.run("plan", "-input=false").output)
        self.assertIn("Apply complete! Resources: 1 added", cli.apply().output)
        self.assertEqual(cli.run("output", "-raw", "greeting").output, "first")
        self.assertEqual(self.newest_run()["attributes"]["status"], "applied")
