"""`x bench`: runs the benchmark programs of a release build."""

import os
import subprocess

import build
import paths
from progress import Failure, say


def offered() -> bool:
    return (paths.ROOT / "bench").is_dir()


def bench(names: list[str]) -> int:
    build.build("release")
    programs = sorted(path for path in (paths.build_dir("release") / "bench").glob("*")
                      if path.is_file() and os.access(path, os.X_OK))
    chosen = [path for path in programs if not names or path.name in names]
    if not chosen:
        raise Failure(f"no such benchmark; there are {', '.join(path.name for path in programs) or 'none'}")
    environment = {**os.environ, **paths.store_environment(), "TERRANE_BINARY": str(paths.binary("release"))}
    status = 0
    for program in chosen:
        say(program.name)
        status |= subprocess.run([str(program)], cwd=paths.ROOT, env=environment).returncode != 0
    return int(status)
