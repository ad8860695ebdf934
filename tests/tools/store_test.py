"""The store of `x engine`: builds once, notices damage, bears two installs at once."""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import golang
import store
from progress import Failure
from store import Store

PINS = [
    {"folder": "tiny", "engine": "tiny", "version": "1.0.0", "package": ".", "binary": "tiny",
     "ldflags": "-s -w -X main.version=1.0.0"},
    {"folder": "tiny", "provider": "acme/tiny", "version": "2.0.0", "package": ".",
     "binary": "terraform-provider-tiny_v2.0.0", "ldflags": "-s -w -X main.version=2.0.0"},
]
PROGRAM = 'package main\n\nvar version = "none"\n\nfunc main() { println(version) }\n'


def quietly(function, *arguments):
    with contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments)


class StoreTest(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="terrane-store-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.cache = self.directory / "cache"
        self.engine = self.directory / "engine"
        (self.engine / "tiny").mkdir(parents=True)
        (self.engine / "tiny" / "go.mod").write_text("module example.invalid/tiny\n\ngo 1.21\n")
        (self.engine / "tiny" / "main.go").write_text(PROGRAM)
        (self.engine / "pins.json").write_text(json.dumps(PINS))
        self.log = self.directory / "log"

    def fake_builder(self, folder, pin, target):
        """Writes which build this is, so that every build differs, and logs it."""
        with self.log.open("a") as log:
            log.write(pin.name + "\n")
        target.write_text(f"{pin.name} {self.log.stat().st_size} {(folder / 'main.go').read_text()}")

    def install(self):
        quietly(Store(self.cache, self.fake_builder).install, self.engine)

    def builds(self):
        return len(self.log.read_text().splitlines())

    def engine_entry(self):
        return json.loads((self.cache / "engines" / "manifest.json").read_text())[0]

    def engine_binary(self):
        return self.cache / "engines" / self.engine_entry()["path"]

    def provider_binaries(self):
        manifest = json.loads((self.cache / "providers" / "manifest.json").read_text())
        return [self.cache / "providers" / entry["path"] for entry in manifest]


class Layout(StoreTest):
    def test_paths_hashes_and_permissions(self):
        previous = os.umask(0o077)
        self.addCleanup(os.umask, previous)
        self.install()
        digest = store.sha256(self.engine_binary())
        self.assertEqual(self.engine_entry(), {"engine": "tiny", "version": "1.0.0", "sha256": digest,
                                               "path": f"tiny/1.0.0/{digest}/tiny"})
        self.assertEqual(self.provider_binaries(), [
            self.cache / "providers" / host / "acme/tiny/2.0.0" / store.platform_name() /
            "terraform-provider-tiny_v2.0.0" for host in ["registry.opentofu.org", "registry.terraform.io"]])
        self.assertTrue(self.provider_binaries()[0].samefile(self.provider_binaries()[1]))
        for folder, folders, files in os.walk(self.cache):
            for name in folders:
                self.assertEqual(Path(folder, name).stat().st_mode & 0o777, 0o755, name)
            for name in files:
                if name in ["tiny", "terraform-provider-tiny_v2.0.0"]:
                    self.assertEqual(Path(folder, name).stat().st_mode & 0o777, 0o755, name)
                elif name == "manifest.json":
                    self.assertEqual(Path(folder, name).stat().st_mode & 0o777, 0o644, name)
        self.assertEqual(Store(self.cache).verify(), [])

    def test_nothing_but_the_binary_lies_in_a_providers_directory(self):
        self.install()
        for binary in self.provider_binaries():
            self.assertEqual([binary], list(binary.parent.iterdir()))


class Idempotence(StoreTest):
    def test_builds_once(self):
        self.install()
        inodes = [path.stat().st_ino for path in [self.engine_binary(), *self.provider_binaries()]]
        self.install()
        self.assertEqual(self.builds(), 2)
        self.assertEqual(inodes, [path.stat().st_ino for path in [self.engine_binary(), *self.provider_binaries()]])

    def test_builds_again_when_source_module_or_flags_change(self):
        self.install()
        for name, text in [("main.go", PROGRAM + "// more\n"), ("go.mod", "module x\n\ngo 1.22\n"), ("go.sum", "x\n")]:
            before = self.builds()
            (self.engine / "tiny" / name).write_text(text)
            self.install()
            self.assertEqual(self.builds(), before + 2, name)
        before = self.builds()
        changed = [{**PINS[0], "ldflags": ""}, PINS[1]]
        (self.engine / "pins.json").write_text(json.dumps(changed))
        self.install()
        self.assertEqual(self.builds(), before + 1)
        self.assertEqual(Store(self.cache).verify(), [])

    def test_another_version_stays_beside_the_first(self):
        self.install()
        (self.engine / "pins.json").write_text(json.dumps([{**PINS[0], "version": "1.1.0"}]))
        self.install()
        manifest = json.loads((self.cache / "engines" / "manifest.json").read_text())
        self.assertEqual([entry["version"] for entry in manifest], ["1.0.0", "1.1.0"])
        self.assertEqual(len(self.provider_binaries()), 2)

    def test_a_change_and_its_undoing_build_once_each(self):
        self.install()
        first = self.provider_binaries()[0].read_text()
        (self.engine / "tiny" / "main.go").write_text(PROGRAM + "// more\n")
        self.install()
        self.assertNotEqual(self.provider_binaries()[0].read_text(), first)
        (self.engine / "tiny" / "main.go").write_text(PROGRAM)
        self.install()
        self.assertEqual(self.provider_binaries()[0].read_text(), first)
        self.assertEqual(self.builds(), 4)


class Damage(StoreTest):
    def test_a_damaged_binary_is_found_and_built_again(self):
        self.install()
        for binary in [self.engine_binary(), self.provider_binaries()[1]]:
            before = self.builds()
            with binary.open("a") as file:
                file.write("!")
            self.assertTrue(any("does not match its hash" in line for line in Store(self.cache).verify()))
            self.install()
            self.assertEqual(self.builds(), before + 1)
            self.assertEqual(Store(self.cache).verify(), [])

    def test_a_missing_binary_comes_back(self):
        self.install()
        for binary in [self.engine_binary(), self.provider_binaries()[0]]:
            binary.unlink()
            self.assertTrue(any("missing" in line for line in Store(self.cache).verify()))
            self.install()
            self.assertEqual(Store(self.cache).verify(), [])
        self.assertEqual(self.builds(), 2)

    def test_a_half_written_build_record_is_built_again(self):
        self.install()
        for record in self.cache.glob("builds/*/build.json"):
            record.write_text("")
        self.install()
        self.assertEqual(self.builds(), 4)
        self.assertEqual(Store(self.cache).verify(), [])

    def test_a_half_written_manifest_is_written_again(self):
        self.install()
        (self.cache / "providers" / "manifest.json").write_text("[{")
        self.install()
        self.assertEqual(Store(self.cache).verify(), [])
        self.assertEqual(len(self.provider_binaries()), 2)

    def test_a_failed_build_publishes_nothing(self):
        def fails(folder, pin, target):
            target.write_text("half")
            raise Failure("no compiler")
        with self.assertRaises(Failure):
            quietly(Store(self.cache, fails).install, self.engine)
        self.assertEqual(list((self.cache / "builds").iterdir()), [])
        self.assertNotEqual(Store(self.cache).verify(), [])
        self.install()
        self.assertEqual(Store(self.cache).verify(), [])

    def test_what_a_killed_install_left_goes_away(self):
        (self.cache / "builds" / ".new-x").mkdir(parents=True)
        self.install()
        self.assertFalse((self.cache / "builds" / ".new-x").exists())


class Concurrency(StoreTest):
    def test_two_installs_at_once_build_once(self):
        def slow(folder, pin, target):
            time.sleep(0.2)
            self.fake_builder(folder, pin, target)

        def install():
            quietly(Store(self.cache, slow).install, self.engine)

        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=install) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(30)
        self.assertEqual([process.exitcode for process in processes], [0, 0, 0])
        self.assertEqual(self.builds(), 2)
        self.assertEqual(Store(self.cache).verify(), [])


@unittest.skipIf(golang.find() is None, "no Go that is new enough")
class RealGo(StoreTest):
    def test_a_module_is_built_with_its_flags(self):
        quietly(Store(self.cache).install, self.engine)
        done = subprocess.run([self.engine_binary()], stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.stderr, "1.0.0\n")

    def test_a_module_that_does_not_compile_says_why(self):
        (self.engine / "tiny" / "main.go").write_text("package main\n\nfunc main() { nowhere() }\n")
        with self.assertRaisesRegex(Failure, "undefined: nowhere"):
            quietly(Store(self.cache).install, self.engine)


class GoVersions(unittest.TestCase):
    def test_order(self):
        self.assertLess(golang.parse("go1.9.7"), golang.parse("go1.26"))
        self.assertLess(golang.parse("1.26"), golang.parse("go1.26.8"))
        self.assertEqual(golang.parse("go1.26.8 X:nocoverageredesign"), (1, 26, 8))
        self.assertGreaterEqual(golang.parse(golang.required()), (1, 26, 0))


if __name__ == "__main__":
    unittest.main()
