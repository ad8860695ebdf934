"""A node of the release before must work while the schema is already the new one: upgrades roll."""

import subprocess
import unittest
from pathlib import Path

import build
import paths

from common.cli import Cli
from common.installation import Installation


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(paths.ROOT), *arguments], capture_output=True, text=True, timeout=120)
    return done.stdout.strip() if done.returncode == 0 else ""


def previous_commit() -> str:
    """The commit whose binary the new schema must still serve, empty when there is none."""
    tag = git("describe", "--tags", "--abbrev=0", "HEAD")
    if tag:
        return git("rev-list", "-1", tag)
    newest = sorted(file.name for file in (paths.ROOT / "migrations").glob("*.sql"))[-1]
    return git("rev-list", "-1", git("log", "--diff-filter=A", "--format=%H", "--", f"migrations/{newest}") + "^")


def build_previous(commit: str) -> Path:
    """Builds that commit beside our caches, once a commit; gives its binary."""
    tree = paths.cache() / "previous" / commit
    binary = tree / "build" / "debug" / "terrane"
    if binary.exists():
        return binary
    if not tree.exists():
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(paths.ROOT), str(tree)], check=True, timeout=300)
    subprocess.run(["git", "-C", str(tree), "checkout", "--quiet", commit], check=True, timeout=300)
    environment = {**build.environment(), "CCACHE_BASEDIR": str(tree), "CCACHE_NOHASHDIR": "1"}
    for command in (["cmake", "--preset", "debug"], ["cmake", "--build", "--preset", "debug", "--target", "terrane"]):
        subprocess.run(command, cwd=tree, env=environment, check=True, timeout=1800, stdout=subprocess.DEVNULL)
    return binary


class PreviousBinary(unittest.TestCase):
    def test_it_performs_a_run_on_the_new_schema(self):
        commit = previous_commit()
        if not commit or not git("ls-tree", commit, "src/app"):
            self.skipTest("there is no earlier binary: the migrations came with the first one")
        previous = build_previous(commit)
        site = Installation()
        try:
            site.start()  # the new binary migrates
            site.stop()
            site.binary = previous
            site.start()
            with Cli(site, "demo", "rolled", 'resource "terraform_data" "a" {}') as cli:
                cli.run("init", "-input=false")
                self.assertIn("Apply complete", cli.run("apply", "-auto-approve", "-input=false").text)
        finally:
            site.destroy()
