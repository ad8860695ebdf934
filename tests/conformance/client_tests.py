"""go-tfe's own tests: the table of them, and the program that is built from the module that go.mod pins."""

import csv
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import golang
import paths
from progress import lock, run_quietly, step

HERE = Path(__file__).resolve().parent
PACKAGE = "github.com/hashicorp/go-tfe"
FIXTURES = "test-fixtures"  # the tests name files in it relative to the directory where they run
GO_TEST = ["test", "-c", "-mod=readonly", "-buildvcs=false"]
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", "GOOS": "linux", "GOFLAGS": ""}


@dataclass(frozen=True)
class Test:
    """One top-level test of the client.

    `kind` is `ok` (can run against a server), `unit` (needs none), `off` (its authors always skip it) or `external`
    (needs GitHub or another service). `mode` is the one in which a test of kind `ok` shows most.
    """

    file: str
    name: str
    tier: str
    kind: str
    mode: str

    @property
    def makes_runs(self) -> bool:
        return self.name.endswith("_RunDependent")


def table() -> list[Test]:
    with (HERE / "tests.tsv").open() as file:
        return [Test(row["file"], row["test"], row["tier"], row["class"], row["mode"])
                for row in csv.DictReader(file, delimiter="\t")]


def version() -> str:
    return re.search(rf"{re.escape(PACKAGE)} (v\S+)", (HERE / "go.mod").read_text())[1]


@dataclass(frozen=True)
class Program:
    """The tests as one executable, and the directory of files that they read."""

    executable: Path
    fixtures: Path


def program() -> Program:
    """Builds the test program into the cache, once per version of everything that goes into it."""
    digest = hashlib.sha256(repr([GO_TEST, GO_ENVIRONMENT, golang.architecture()]).encode())
    for name in ["go.mod", "go.sum"]:
        digest.update((HERE / name).read_bytes())
    parent = paths.cache() / "conformance"
    target = parent / f"{version()}-{digest.hexdigest()[:16]}"
    parent.mkdir(parents=True, exist_ok=True)
    with lock(parent / "lock", "the tests of the client"):
        if not target.exists():
            with step(f"building the tests of go-tfe {version()}"):
                _build(target)
    return Program(target / "tests", target / FIXTURES)


def _build(target: Path) -> None:
    go = golang.go()
    settings = {"cwd": HERE, "env": {**os.environ, **GO_ENVIRONMENT, "GOARCH": golang.architecture(),
                                     **go.environment}}
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        run_quietly([go.program, *GO_TEST, "-o", str(temporary / "tests"), PACKAGE], **settings)
        source = run_quietly([go.program, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", PACKAGE], **settings)
        copy_writable(Path(source.strip()) / FIXTURES, temporary / FIXTURES)
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def copy_writable(source: Path, target: Path) -> None:
    """Copies a directory whose files may be read-only, as those of the module cache are."""
    shutil.copytree(source, target, symlinks=True)
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o755)
