#!/usr/bin/env python3
"""Fails on an #include that crosses folders against the declared dependencies.

The order of TERRANE_FOLDERS in CMakeLists.txt is the architecture; a folder's own CMakeLists.txt names its DEPS. A file may include
headers of its folder and of the closure of its DEPS. Tests may also use `testing` and what their TEST_LIBS name. A few heavy third-party
headers are allowed in named folders only.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#include\s+(?:"([a-z_0-9]+)/[^"]+"|<([^>]+)>)')
# Tests and what only tests include.
TEST_FILE = re.compile(r"_test\.cc$|_fixture\.(h|cc)$|^testing")
# Third-party headers that stay behind one folder's .cc files.
OWNED = {
    "boost/beast": {"http"},
    "openssl/": {"crypto", "http"},
    "libpq-fe.h": {"postgres"},
    "amqp.h": {"amqp"},
    "hiredis/": {"redis"},
    "archive.h": {"sandbox"},
}


def folder_order(text: str) -> list[str]:
    return re.search(r"set\(TERRANE_FOLDERS\s+(.*?)\)", text, re.S).group(1).split()


def declared(text: str) -> tuple[set[str], set[str]]:
    """Returns (DEPS, TEST_LIBS without prefix) of a folder's CMakeLists.txt."""
    call = re.search(r"terrane_folder\((.*?)\)", text, re.S).group(1).split()
    found: dict[str, set[str]] = {"DEPS": set(), "LIBS": set(), "TEST_LIBS": set()}
    key = None
    for word in call[1:]:
        if word in found:
            key = word
        elif key:
            found[key].add(word)
    return found["DEPS"], {lib.removeprefix("terrane_") for lib in found["TEST_LIBS"] if lib.startswith("terrane_")}


def check(root: pathlib.Path) -> list[str]:
    order = folder_order((root / "CMakeLists.txt").read_text())
    problems: list[str] = []
    closure: dict[str, set[str]] = {}
    tests: dict[str, set[str]] = {}
    for position, folder in enumerate(order):
        build = root / "src" / folder / "CMakeLists.txt"
        if not build.exists():
            continue
        # The composition root links every folder, so it declares none.
        if folder == "app":
            closure[folder], tests[folder] = set(order) - {"testing"}, set(order)
            continue
        deps, test_libs = declared(build.read_text())
        for dep in deps:
            if dep not in order[:position]:
                problems.append(f"src/{folder}/CMakeLists.txt: '{dep}' does not stand before '{folder}' in TERRANE_FOLDERS")
        closure[folder] = {folder} | deps | {far for dep in deps for far in closure.get(dep, set())}
        tests[folder] = closure[folder] | {far for lib in test_libs for far in closure.get(lib, {lib})}
    present = {path.name for path in (root / "src").iterdir() if path.is_dir()}
    for stray in sorted(present - set(order)):
        problems.append(f"src/{stray}: not in TERRANE_FOLDERS")
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        folder = path.relative_to(root / "src").parts[0]
        allowed = (tests if TEST_FILE.search(path.name) else closure).get(folder, set())
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if match.group(1) and match.group(1) not in allowed:
                problems.append(f"{path.relative_to(root)}:{number}: includes '{match.group(1)}', which src/{folder} does not declare")
            for prefix, owners in OWNED.items():
                if match.group(2) and match.group(2).startswith(prefix) and folder not in owners:
                    problems.append(f"{path.relative_to(root)}:{number}: <{match.group(2)}> belongs to {', '.join(sorted(owners))}")
    return problems


def main() -> int:
    problems = check(ROOT)
    print("\n".join(problems) if problems else "layers: every include is declared")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
