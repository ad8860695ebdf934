"""The installation that all cases share, and what a case is."""

import re
import unittest

from common.api import Api
from common.cli import Cli
from common.installation import Installation
from configurations import ONE

ORGANIZATION = "end-to-end"
short_lived_url = ""  # of a plan's JSON, taken at the beginning: a case at the end sees it expired
_site: Installation | None = None


def start() -> None:
    global _site, short_lived_url
    _site = Installation()
    _site.start()
    api = _site.api()
    api.make_organization(ORGANIZATION)
    workspace = api.make_workspace(ORGANIZATION, "system")["id"]
    run = api.make_run(workspace, api.make_configuration(workspace, {"main.tf": ONE}), plan_only=True)["id"]
    api.wait_run(run, "planned_and_finished")
    short_lived_url = api.request("GET", f"/api/v2/runs/{run}/plan/json-output").headers["Location"]
    if api.request("GET", short_lived_url).status != 200:
        raise AssertionError("the URL of a plan's JSON gives nothing")


def stop(failed: bool) -> None:
    if _site is None:
        return
    if failed:
        print(_site.log_tails(), flush=True)
    _site.destroy()


class Case(unittest.TestCase):
    """A case with a workspace name of its own; nothing it does is seen by another."""

    def setUp(self) -> None:
        assert _site is not None
        self.site = _site
        self.api: Api = _site.api()
        self.name = re.sub(r"[^a-z0-9]+", "-", self.id().split(".", 1)[1].lower().replace(".test_", "-"))[:80]

    def cli(self, configuration: str, workspace: str | None = None, init: bool = True) -> Cli:
        """A directory with this configuration for the case's workspace (or another), initialised."""
        cli = Cli(self.site, ORGANIZATION, workspace or self.name, configuration)
        self.addCleanup(cli.remove)
        if init:
            cli.init()
        return cli

    def workspace(self, name: str | None = None, **attributes) -> str:
        """Makes the case's workspace, or another, by the API; gives its id."""
        return self.api.make_workspace(ORGANIZATION, name or self.name, **attributes)["id"]

    def workspace_id(self, name: str | None = None) -> str:
        return self.api.workspace(ORGANIZATION, name or self.name)["id"]

    def newest_run(self, name: str | None = None) -> dict:
        return self.api.runs(self.workspace_id(name))[0]

    def assert_unlocked(self, name: str | None = None) -> None:
        self.assertFalse(self.api.workspace(ORGANIZATION, name or self.name)["attributes"]["locked"])

    def resources(self, name: str | None = None) -> list[str]:
        """The addresses in the workspace's current state, without index."""
        state = self.api.state(self.workspace_id(name))
        return sorted(f"{item['type']}.{item['name']}" for item in state["resources"] if item["instances"])
