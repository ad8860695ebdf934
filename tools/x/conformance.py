"""`x conformance`: the official client's own tests against the debug build, see tests/conformance/run."""

import os
import subprocess

import build
import install
import paths
import suites
from store import Store

RUN = paths.ROOT / "tests" / "conformance" / "run"


def conformance(arguments: list[str]) -> int:
    """Without TFE_ADDRESS or --address an installation of its own is started, of what is built here."""
    if not os.environ.get("TFE_ADDRESS") and "--address" not in arguments:
        install.install()
        Store(paths.cache()).install(paths.ENGINE)
        build.build("debug")
    return subprocess.run([str(RUN), "--explore", *arguments], cwd=paths.ROOT,
                          env=suites.environment("debug")).returncode
