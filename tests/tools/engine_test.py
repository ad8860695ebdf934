"""The installed store: the engine works with its providers, offline and as a user without privileges."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import paths
from store import Store

CONFIGURATION = """
terraform {
  required_providers {
    null  = { source = "hashicorp/null", version = "3.2.4" }
    time  = { source = "hashicorp/time" }
    local = { source = "registry.terraform.io/hashicorp/local" }
    http  = { source = "hashicorp/http" }
  }
}
variable "trigger" {}
resource "null_resource" "it" { triggers = { value = var.trigger } }
resource "null_resource" "without_triggers" {}
resource "time_static" "it" {}
resource "terraform_data" "it" { input = time_static.it.year }
resource "local_file" "it" {
  content  = "hello"
  filename = "${path.module}/hello"
}
data "null_data_source" "it" { inputs = { a = "b" } }
output "id" { value = null_resource.it.id }
output "other_id" { value = null_resource.without_triggers.id }
output "data" { value = data.null_data_source.it }
"""
NOBODY = 65534


@unittest.skipIf(not (paths.engine_store() / "manifest.json").exists(), "no store; ./x engine makes it")
@unittest.skipIf(os.geteuid() != 0, "needs root, to give up privileges and network")
class Offline(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="terrane-engine-"))
        self.addCleanup(shutil.rmtree, self.directory)
        (self.directory / "main.tf").write_text(CONFIGURATION)
        (self.directory / "tofu.rc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{ path = "{paths.provider_store()}" }}\n}}\n')
        for path in [self.directory, *self.directory.iterdir()]:
            os.chown(path, NOBODY, NOBODY)
        manifest = json.loads((paths.engine_store() / "manifest.json").read_text())
        self.entry = next(entry for entry in manifest if entry["engine"] == "opentofu")
        self.engine = paths.engine_store() / self.entry["path"]

    def tofu(self, *words):
        done = subprocess.run(
            ["unshare", "--net", "setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
             "--no-new-privs", str(self.engine), *words],
            cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory),
                 "TF_CLI_CONFIG_FILE": str(self.directory / "tofu.rc")})
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def outputs(self):
        return {name: value["value"] for name, value in json.loads(self.tofu("output", "-json")).items()}

    def test_the_store_is_whole(self):
        self.assertEqual(Store(paths.cache()).verify(), [])

    def test_the_engine_calls_itself_a_release(self):
        self.assertEqual(self.tofu("version").splitlines()[0], f"OpenTofu v{self.entry['version']}")

    def test_init_plan_apply_replace_destroy(self):
        self.tofu("init", "-no-color")
        self.assertIn("5 to add", self.tofu("plan", "-no-color", "-var", "trigger=1", "-out", "plan"))
        self.assertIn("5 added", self.tofu("apply", "-no-color", "plan"))
        first = self.outputs()
        self.assertRegex(first["id"], r"^\d{1,19}$")
        self.assertNotEqual(first["id"], first["other_id"])
        self.assertEqual(first["data"]["outputs"], {"a": "b"})
        self.assertEqual(first["data"]["has_computed_default"], "default")
        self.assertRegex(first["data"]["random"], r"^\d{1,19}$")

        self.assertIn("0 added, 0 changed, 0 destroyed",
                      self.tofu("apply", "-no-color", "-auto-approve", "-var", "trigger=1"))
        self.assertIn("must be replaced", self.tofu("plan", "-no-color", "-var", "trigger=2"))
        self.assertIn("1 added, 0 changed, 1 destroyed",
                      self.tofu("apply", "-no-color", "-auto-approve", "-var", "trigger=2"))
        second = self.outputs()
        self.assertNotEqual(second["id"], first["id"])
        self.assertEqual(second["other_id"], first["other_id"])
        self.assertIn("5 destroyed", self.tofu("destroy", "-no-color", "-auto-approve", "-var", "trigger=2"))


if __name__ == "__main__":
    unittest.main()
