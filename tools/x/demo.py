"""`x demo` and `x dev`: build, then hand over to `terrane demo`, which knows the rest."""

import os
from pathlib import Path
from typing import NoReturn

import build
import install
import paths
from progress import Failure
from store import Store


def add_flags(parser) -> None:
    """The flags of `terrane demo`; here only so that `./x demo --help` can explain them."""
    parser.add_argument("--once", action="store_true", help="one run in a temporary data directory, then stop; "
                                                            "exit status 0 only if it was applied")
    parser.add_argument("--env", action="store_true", help="print what clients need, as shell assignments")
    parser.add_argument("--status", action="store_true", help="print a process a line: pid, role")
    parser.add_argument("--stop", action="store_true", help="stop a running demo")
    parser.add_argument("--data", metavar="DIR", type=Path, help="the data directory")
    parser.add_argument("--port", metavar="N", type=int, help="the port of the web listener")


def flags(options) -> list[str]:
    words = [f"--{name}" for name in ["once", "env", "status", "stop"] if getattr(options, name)]
    if options.data is not None:
        words += ["--data", str(options.data.absolute())]
    if options.port is not None:
        words += ["--port", str(options.port)]
    return words


def clean_environment() -> dict[str, str]:
    """Nothing of the caller's settings reaches the demo."""
    kept = {name: os.environ[name] for name in ["PATH", "HOME", "LANG"] if name in os.environ}
    return {**kept, **paths.store_environment()}


def demo(options, preset: str) -> NoReturn:
    binary = paths.binary(preset)
    if options.env or options.status or options.stop:
        if not binary.exists():
            raise Failure(f"there is no {binary}: nothing was started from here yet")
    else:
        install.install()
        Store(paths.cache()).install(paths.ENGINE)
        build.build(preset)
    # In our place, so that signals and the exit status are the demo's own.
    os.execve(binary, [str(binary), "demo", *flags(options)], clean_environment())
