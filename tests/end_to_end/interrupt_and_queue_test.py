"""Ctrl-C on a terminal, cancelling by the API, and the queue of one workspace."""

from common.wait import wait_for
from configurations import ONE, slow_apply, slow_plan
from system import ORGANIZATION, Case


class Interrupt(Case):
    # The exit status says nothing: the CLI takes it from the run as it was before it canceled.

    def test_during_plan_cancels_the_run(self):
        cli = self.cli(slow_plan(40))
        with cli.terminal("apply") as terminal:
            terminal.expect("Initializing plugins and modules...")
            run = self.newest_run()["id"]
            self.api.wait_run(run, "planning")
            terminal.interrupt()
            terminal.expect("Do you want to cancel the remote operation?")
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("The remote operation was successfully cancelled.")
            terminal.wait(expect=None)
        ended = self.api.wait_run(run, "canceled", seconds=20)
        self.assertIn("canceled-at", ended["attributes"]["status-timestamps"])
        self.assertEqual(self.api.phase(run, "plan")["attributes"]["status"], "canceled")
        self.assertIn("OpenTofu v1.12.6", self.api.whole_log(run, "plan"))
        self.assert_unlocked()

    def test_that_is_not_confirmed_changes_nothing(self):
        cli = self.cli(slow_plan(4))
        with cli.terminal("apply") as terminal:
            terminal.expect("Initializing plugins and modules...")
            run = self.newest_run()["id"]
            terminal.interrupt()
            terminal.expect("Enter a value:")
            terminal.type("no\n")
            terminal.expect("The remote operation was not cancelled.")
            terminal.wait(expect=None)
        self.api.wait_run(run, "planned")
        self.api.act(run, "discard")
        self.assert_unlocked()

    def test_of_a_speculative_plan_only_stops_watching(self):
        cli = self.cli(slow_plan(4))
        with cli.terminal("plan") as terminal:
            terminal.expect("will not stop the plan running remotely")
            terminal.expect("Initializing plugins and modules...")
            terminal.interrupt()
            terminal.wait(expect=1)
        self.api.wait_run(self.newest_run()["id"], "planned_and_finished")

    def test_during_apply_cancels_the_run_and_keeps_the_state(self):
        cli = self.cli(slow_apply(120))
        with cli.terminal("apply") as terminal:
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("it has begun")
            run = self.newest_run()["id"]
            terminal.interrupt()
            terminal.expect("Do you want to cancel the remote operation?")
            terminal.expect("Enter a value:")
            terminal.type("yes\n")
            terminal.expect("The remote operation was successfully cancelled.")
            terminal.wait(expect=None)
        self.api.wait_run(run, "canceled", seconds=20)
        self.assertEqual(self.api.phase(run, "apply")["attributes"]["status"], "canceled")
        self.assertIn("terraform_data.quick", self.resources())
        self.assertIn("it has begun", self.api.whole_log(run, "apply"))
        self.assert_unlocked()

    def test_while_waiting_for_confirmation_leaves_the_run(self):
        cli = self.cli(ONE)
        with cli.terminal("apply") as terminal:
            terminal.expect("Enter a value:")
            run = self.newest_run()["id"]
            terminal.interrupt()
            terminal.wait(expect=None)
        self.assertEqual(self.api.run_status(run), "planned")
        self.api.act(run, "discard")
        self.assert_unlocked()


class Cancel(Case):
    def test_pending_run_ends_at_once(self):
        workspace = self.workspace()
        configuration = self.api.make_configuration(workspace, {"main.tf": ONE})
        first = self.api.make_run(workspace, configuration)["id"]
        self.api.wait_run(first, "planned")
        second = self.api.make_run(workspace, configuration)["id"]
        self.assertEqual(self.api.run_status(second), "pending")
        self.api.act(second, "cancel")
        self.assertEqual(self.api.run_status(second), "canceled")
        self.assertEqual(self.api.run_status(first), "planned")
        self.api.act(second, "cancel", expect=409)
        self.api.act(first, "cancel", expect=409)  # a planned run is discarded, not canceled
        self.api.act(first, "discard")

    def test_wish_is_obeyed_by_an_apply(self):
        workspace = self.workspace(auto_apply=True)
        configuration = self.api.make_configuration(workspace, {"main.tf": slow_apply(120)})
        run = self.api.make_run(workspace, configuration)["id"]
        wait_for("the apply has begun", lambda: b"it has begun" in self.api.log(run, "apply"))
        self.api.act(run, "force-cancel", expect=409)  # only some time after a cancel
        self.api.act(run, "cancel")
        self.assertIn(self.api.run_status(run), ["applying", "canceled"])
        self.api.wait_run(run, "canceled", seconds=20)
        self.assertIn("terraform_data.quick", self.resources())


class Queue(Case):
    def test_second_run_waits_for_the_first(self):
        cli = self.cli(ONE)
        cli.run("apply", "-input=false", expect=1)
        workspace = self.workspace_id()
        first = self.newest_run()
        self.assertEqual(first["attributes"]["status"], "planned")
        second = self.api.make_run(workspace, message="the second")["id"]
        third = self.api.make_run(workspace, message="the third")["id"]
        self.assertEqual([run["id"] for run in self.api.runs(workspace)], [third, second, first["id"]])
        # A speculative plan needs no place in the queue, so by its end the others had every chance to begin.
        cli.run("plan", "-input=false")
        self.assertEqual(self.api.run_status(second), "pending")
        self.assertEqual(self.api.run_status(third), "pending")
        self.api.act(first["id"], "apply")
        self.api.wait_run(first["id"], "applied")
        self.api.wait_run(second, "planned_and_finished")  # the first made what the second would have
        self.api.wait_run(third, "planned_and_finished")
        began = [self.api.run(run)["attributes"]["status-timestamps"]["plan-queued-at"] for run in [second, third]]
        self.assertEqual(began, sorted(began))
        self.assertEqual(self.api.current_state(workspace)["relationships"]["run"]["data"]["id"], first["id"])
        self.assert_unlocked()

    def test_cli_waits_in_the_queue_and_says_so(self):
        cli = self.cli(ONE)
        cli.run("apply", "-input=false", expect=1)
        first = self.newest_run()["id"]
        with cli.terminal("apply", "-auto-approve") as terminal:
            terminal.expect("Waiting for 1 run(s) to finish before being queued...")
            self.api.act(first, "discard")
            terminal.expect("Apply complete! Resources: 1 added")
            terminal.wait()

    def test_locked_workspace_holds_the_queue(self):
        workspace = self.workspace()
        configuration = self.api.make_configuration(workspace, {"main.tf": ONE})
        self.api.lock(workspace, "maintenance")
        run = self.api.make_run(workspace, configuration)["id"]
        speculative = self.api.make_run(workspace, configuration, plan_only=True)["id"]
        self.api.wait_run(speculative, "planned_and_finished")
        self.assertEqual(self.api.run_status(run), "pending")
        self.api.unlock(workspace)
        self.api.wait_run(run, "planned")
        locked = self.api.workspace(ORGANIZATION, self.name)
        self.assertEqual(locked["relationships"]["locked-by"]["data"], {"type": "runs", "id": run})
        self.api.act(run, "discard")
        self.assert_unlocked()
