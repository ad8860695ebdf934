"""What `x` does around other programs: installing packages, starting the demo, naming a tree."""

import argparse
import os
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import check
import demo
import install
import paths


class NoServiceStarts(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.policy = Path(directory.name, "policy-rc.d")
        for name, value in [("POLICY", self.policy), ("as_root", lambda command: command)]:
            patched = mock.patch.object(install, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def test_forbids_starts_only_meanwhile(self):
        with self.assertRaises(ZeroDivisionError):
            with install.no_service_starts():
                self.assertEqual(subprocess.run([str(self.policy)]).returncode, 101)
                raise ZeroDivisionError
        self.assertFalse(self.policy.exists())

    def test_leaves_a_policy_of_the_machines_own(self):
        self.policy.write_text("theirs")
        with install.no_service_starts():
            self.assertEqual(self.policy.read_text(), "theirs")
        self.assertEqual(self.policy.read_text(), "theirs")


class Packages(unittest.TestCase):
    def test_missing(self):
        self.assertEqual(install.missing(["dpkg", "terrane-does-not-exist"]), ["terrane-does-not-exist"])
        self.assertEqual(install.missing(["dpkg"]), [])

    def test_every_server_to_be_kept_quiet_is_installed(self):
        self.assertLessEqual(set(install.SERVICES), set(install.PACKAGES))


class Demo(unittest.TestCase):
    def run_demo(self, *words: str) -> dict:
        """The environment and arguments with which the binary is started in place of x."""
        parser = argparse.ArgumentParser()
        demo.add_flags(parser)
        with tempfile.TemporaryDirectory() as directory:
            binary = Path(directory, "terrane")
            binary.write_text("")
            with mock.patch.object(paths, "binary", lambda preset: binary), \
                    mock.patch.object(os, "execve") as execve, \
                    mock.patch.object(install, "install") as installed, \
                    mock.patch.object(demo, "Store"), mock.patch.object(demo.build, "build") as built, \
                    mock.patch.dict(os.environ, {"HOME": "/home/x", "TFE_TOKEN": "secret", "LD_PRELOAD": "x.so"}):
                demo.demo(parser.parse_args(words), "release")
        _, arguments, environment = execve.call_args.args
        return {"arguments": arguments[1:], "environment": environment,
                "built": built.called and installed.called}

    def test_passes_flags_on(self):
        started = self.run_demo("--once", "--data", "relative", "--port", "9999")
        self.assertEqual(started["arguments"], ["demo", "--once", "--data", str(Path("relative").absolute()),
                                                "--port", "9999"])
        self.assertTrue(started["built"])

    def test_environment_is_clean(self):
        environment = self.run_demo()["environment"]
        self.assertLessEqual(set(environment), {"PATH", "HOME", "LANG", "TERRANE_ENGINE_STORE",
                                                "TERRANE_PROVIDER_STORE"})
        self.assertEqual(environment["HOME"], "/home/x")
        self.assertEqual(environment["TERRANE_ENGINE_STORE"], str(paths.cache() / "engines"))

    def test_questions_build_nothing(self):
        for flag in ["--env", "--status", "--stop"]:
            self.assertFalse(self.run_demo(flag)["built"], flag)


class TreeHash(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        patched = mock.patch.object(paths, "ROOT", self.root)
        patched.start()
        self.addCleanup(patched.stop)
        self.git("init", "--quiet")
        (self.root / ".gitignore").write_text("/build/\n")
        (self.root / "file").write_text("one\n")

    def git(self, *words: str) -> str:
        return subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.invalid", *words],
                              cwd=self.root, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def test_is_the_tree_that_a_commit_would_have(self):
        before = check.tree_hash()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        self.assertEqual(self.git("rev-parse", "HEAD^{tree}"), before)
        self.assertEqual(check.tree_hash(), before)

    def test_sees_changes_and_new_files_but_not_ignored_ones(self):
        hashes = [check.tree_hash()]
        (self.root / "file").write_text("two\n")
        hashes.append(check.tree_hash())
        (self.root / "new").write_text("new\n")
        hashes.append(check.tree_hash())
        self.assertEqual(len(set(hashes)), 3)
        (self.root / "build").mkdir()
        (self.root / "build" / "output").write_text("x")
        self.assertEqual(check.tree_hash(), hashes[-1])

    def test_touches_neither_index_nor_objects(self):
        def files():
            return {path: path.stat().st_mtime_ns for path in (self.root / ".git").rglob("*") if path.is_file()}
        before = files()
        check.tree_hash()
        self.assertEqual(files(), before)


class EntryPoint(unittest.TestCase):
    def test_help_lists_the_verbs_and_only_real_ones(self):
        listed = subprocess.run([paths.ROOT / "x", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        for verb in ["demo", "dev", "build", "test", "check", "format", "install", "engine"]:
            self.assertRegex(listed, rf"(?m)^ +{verb}\b")
        self.assertEqual("bench" in listed, (paths.ROOT / "bench").is_dir())

    def test_an_unknown_verb_fails(self):
        done = subprocess.run([paths.ROOT / "x", "nothing"], stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 2)

    def test_ci_runs_the_tests(self):
        script = paths.ROOT / ".ci" / "run"
        self.assertTrue(script.stat().st_mode & stat.S_IXUSR)
        self.assertIn("exec ./x test", script.read_text())


if __name__ == "__main__":
    unittest.main()
