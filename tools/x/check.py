"""`x check` and `x format`: what must hold of the whole tree and takes longer than a test may.

A result is stamped with the hash of the tree it was found for, so one can see which parts still count.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import build
import paths
import suites
from progress import Failure, run_quietly, say, step, write_atomically

CLANG_FORMAT = "clang-format-19"


def tracked(*patterns: str) -> list[str]:
    """Files of the tree by pattern, also those not yet added, without ignored and deleted ones."""
    listed = run_quietly(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
                         cwd=paths.ROOT)
    return sorted({name for name in listed.split("\0") if name and (paths.ROOT / name).exists()})


def format_sources(check: bool) -> None:
    files = tracked("*.h", "*.cc")
    if not files:
        return
    mode = ["--dry-run", "-Werror"] if check else ["-i"]
    with step(f"{'checking the format of' if check else 'formatting'} {len(files)} files"):
        run_quietly([CLANG_FORMAT, *mode, *files], cwd=paths.ROOT)


def layers() -> None:
    with step("dependencies between folders"):
        run_quietly(["python3", "tools/check_layers.py"], cwd=paths.ROOT)


def tidy() -> None:
    """clang-tidy with the compile commands and the precompiled header of the debug build."""
    build.build("debug")
    with step("clang-tidy"):
        run_quietly(["run-clang-tidy-19", "-quiet", "-p", str(paths.build_dir("debug")),
                     f"^{paths.ROOT}/(src|bench)/"], cwd=paths.ROOT)


def sanitize(preset: str) -> None:
    build.build(preset)
    count = suites.run_unit(preset)
    say(f"{preset}: {count}")
    if not count.good:
        raise Failure(f"unit tests under {preset}: {count}")


def whole_suite(folder: str, *arguments: str) -> None:
    """A folder of tests/ with the arguments that make it complete, against the debug build."""
    build.build("debug")
    count = suites.run_folder(folder, "debug", *arguments)
    say(f"{folder}: {count}")
    if not count.good:
        raise Failure(f"tests/{folder}/run {' '.join(arguments)}: {count}")


PARTS = {
    "format": lambda: format_sources(check=True),
    "layers": layers,
    "tidy": tidy,
    "asan": lambda: sanitize("asan"),
    "tsan": lambda: sanitize("tsan"),
    "faults": lambda: whole_suite("faults", "--part", "killed"),
    "faults-outages": lambda: whole_suite("faults", "--part", "outages"),
    "security": lambda: whole_suite("security", "--all"),
    "conformance": lambda: whole_suite("conformance", "--all"),
    "openapi": lambda: whole_suite("openapi"),
}


def tree_hash() -> str:
    """The git tree of the working directory as it is now, changes and new files included.

    With nothing to commit it is the tree of HEAD. Neither the index nor the object store is touched.
    """
    def git_path(name: str) -> Path:
        return paths.ROOT / run_quietly(["git", "rev-parse", "--git-path", name], cwd=paths.ROOT).strip()

    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index")
        if git_path("index").exists():
            shutil.copy2(git_path("index"), index)
        objects = Path(scratch, "objects")
        objects.mkdir()
        environment = {**os.environ, "GIT_INDEX_FILE": str(index), "GIT_OBJECT_DIRECTORY": str(objects),
                       "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(git_path("objects"))}
        run_quietly(["git", "add", "--all"], cwd=paths.ROOT, env=environment)
        return run_quietly(["git", "write-tree"], cwd=paths.ROOT, env=environment).strip()


def stamp_path(part: str, tree: str) -> Path:
    return paths.cache() / "check" / f"{part}-{tree}"


def check(part: str) -> int:
    """Runs one part and stamps its result; the exit status."""
    tree = tree_hash()
    start = time.monotonic()
    problem = None
    try:
        PARTS[part]()
    except Failure as failure:
        problem = failure
    result = "failed" if problem else "passed"
    if problem:
        say(str(problem))
    line = f"{result} in {time.monotonic() - start:.0f} s at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
    if tree_hash() != tree:
        print(f"{part}: {line}, not stamped: the tree changed meanwhile")
        return 1
    stamp = stamp_path(part, tree)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(stamp, line + "\n")
    print(f"{part}: {line}, tree {tree}")
    return 1 if problem else 0


def list_parts() -> None:
    tree = tree_hash()
    print(f"tree {tree}")
    for part in PARTS:
        stamp = stamp_path(part, tree)
        print(f"{part:14} {stamp.read_text().strip() if stamp.exists() else '-'}")
