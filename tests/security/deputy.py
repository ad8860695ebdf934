#!/usr/bin/env python3
"""Tries to make the platform read or write for it what it cannot reach itself.

`deputy.py WHAT NAME TARGET` leaves a process behind that replaces the files of this run which the platform reads
(state and events of the engine) over and over, until the sandbox ends.
"""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


def pipe(path: Path, target: str) -> None:
    """Whoever opens it waits for ever."""
    os.mkfifo(path)


def sparse(path: Path, target: str) -> None:
    """A terabyte that takes no place."""
    path.touch()
    os.truncate(path, 1 << 40)


def directory(path: Path, target: str) -> None:
    path.mkdir()


def parent_link(path: Path, target: str) -> None:
    """The directory of the file leads elsewhere."""
    place = path.parent
    if not place.is_symlink():
        place.rename(place.with_name(f"moved-{time.monotonic_ns()}"))
        place.symlink_to(Path(target).parent)


WHAT = {what.__name__: what for what in (link, pipe, sparse, directory, parent_link)}


def main() -> None:
    what, workspace, target = sys.argv[1:]
    victims = [Path(f"terraform.tfstate.d/{workspace}/terraform.tfstate").resolve()]
    if what != "parent_link":
        victims.append(Path(os.environ["HOME"]) / "terrane.events")
    if os.fork():
        return
    os.setsid()
    for stream in (0, 1, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), stream)
    while True:
        for path in victims:
            fresh = path.with_name(f"fresh-{os.getpid()}")
            with contextlib.suppress(OSError):
                if what == "parent_link":
                    parent_link(path, target)
                    continue
                WHAT[what](fresh, target)
                if what == "directory" and not path.is_dir():
                    path.unlink(missing_ok=True)
                os.replace(fresh, path)
            with contextlib.suppress(OSError):
                shutil.rmtree(fresh) if fresh.is_dir() and not fresh.is_symlink() else fresh.unlink(missing_ok=True)
        time.sleep(0.001)


if __name__ == "__main__":
    main()
