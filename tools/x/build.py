"""`x build`: configure and build one preset with CMake, Ninja and ccache."""

import os
import subprocess
import sys

import paths
from progress import Failure, lock, run_quietly, step

PRESETS = ["debug", "release", "asan", "tsan"]


def environment() -> dict[str, str]:
    """The caller's environment with ccache set up for precompiled headers, in our cache unless he has his own.

    Paths are hashed relative to the tree, so that every checkout on a machine shares what one has compiled.
    """
    defaults = {
        "CCACHE_DIR": str(paths.cache() / "ccache"),
        "CCACHE_BASEDIR": str(paths.ROOT),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_PCH_EXTSUM": "1",
        "CCACHE_MAXSIZE": "5G",
        "CCACHE_SLOPPINESS": "pch_defines,time_macros,include_file_mtime,include_file_ctime",
    }
    return {**defaults, **os.environ}


def build(preset: str) -> None:
    """Builds everything of the preset into build/PRESET. On a terminal ninja shows its own progress."""
    settings = {"cwd": paths.ROOT, "env": environment()}
    command = ["cmake", "--build", "--preset", preset]
    paths.build_dir(preset).mkdir(parents=True, exist_ok=True)
    with lock(paths.build_dir(preset) / ".lock", f"build/{preset}"):
        with step(f"configure {preset}"):
            run_quietly(["cmake", "--preset", preset], **settings)
        if not sys.stderr.isatty():
            with step(f"build {preset}"):
                run_quietly(command, **settings)
        elif subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **settings).returncode != 0:
            raise Failure(f"the {preset} build failed")
