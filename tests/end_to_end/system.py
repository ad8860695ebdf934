"""The installation that all cases share, and what a case is."""

import re
import unittest

from common.api import Api
from common.cli import Cli
from common.installation import Installation

ORGANIZATION = "end-to-end"
_site: Installation | None = None


def start() -> None:
    global _site
    _site = Installation()
    _site.start()
    _site.api().make_organization(ORGANIZATION)


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
