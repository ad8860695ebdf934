"""Finds a Go that can build what `engine/` pins, or obtains one through the Go module proxy.

In this order: a `go` on this machine that is new enough; a `go` ≥ 1.21, which fetches the wanted
toolchain by itself; any older `go` (Debian 12 has 1.19), which downloads the toolchain as the ordinary
module that it is, checked against the checksum database like any other.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from paths import ENGINE, cache
from progress import Failure, run_quietly

PLACES = ["/usr/local/go/bin/go", "/usr/lib/go/bin/go"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class Go:
    program: str
    environment: dict[str, str] = field(default_factory=dict)


def architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def parse(version: str) -> tuple[int, int, int]:
    found = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", version)
    if not found:
        raise Failure(f"not a Go version: {version!r}")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def required() -> str:
    """The newest `go` line of the modules in engine/."""
    versions = [re.search(r"^go (\S+)$", module.read_text(), re.MULTILINE)[1] for module in ENGINE.glob("*/go.mod")]
    return max(versions, key=parse)


def any_go() -> list[str]:
    """Every go program of this machine, the one on PATH first."""
    return [go for go in [shutil.which("go"), *PLACES] if go and os.access(go, os.X_OK)]


def version_of(go: str) -> tuple[int, int, int]:
    # `go version` asks the local program; GOTOOLCHAIN=local keeps it from answering for another one.
    answer = subprocess.run([go, "version"], env={**os.environ, "GOTOOLCHAIN": "local"}, cwd="/",
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    words = answer.split()
    return parse(words[2]) if len(words) > 2 and re.match(r"go\d+\.\d+", words[2]) else (0, 0, 0)


def obtained() -> Path:
    return cache() / "go" / required() / "bin" / "go"


def find() -> Go | None:
    """A Go that builds engine/, without installing anything; None if there is none."""
    wanted = required()
    for go in [*any_go(), str(obtained())]:
        if not os.access(go, os.X_OK):
            continue
        version = version_of(go)
        if version >= parse(wanted):
            return Go(go, {"GOTOOLCHAIN": "local"})
        if version >= (1, 21, 0):
            return Go(go, {"GOTOOLCHAIN": f"go{wanted}"})
    return None


def obtain() -> None:
    """Downloads the wanted toolchain with an old go, and unpacks it into the cache."""
    wanted = f"golang.org/toolchain@v0.0.1-go{required()}.linux-{architecture()}"
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    answer = run_quietly([any_go()[0], "mod", "download", "-json", wanted], env=environment, cwd="/")
    source = Path(json.loads(answer)["Dir"])
    target = obtained().parents[1]
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copytree(source, temporary)
    make_toolchain(temporary)
    try:
        temporary.rename(target)
    except OSError:
        # Another installation was faster.
        shutil.rmtree(temporary)


def make_toolchain(directory: Path) -> None:
    """Undoes what a module archive cannot hold: programs' permissions and the names of nested go.mod files."""
    for folder, _, files in os.walk(directory):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder, name)
            relative = path.relative_to(directory)
            executable = relative.parts[0] == "bin" or relative.parts[:2] == ("pkg", "tool")
            path.chmod(0o755 if executable else 0o644)
            if name == "_go.mod":
                path.rename(path.with_name("go.mod"))


def go() -> Go:
    found = find()
    if found is None:
        raise Failure(f"needs Go {required()} or newer; ./x install obtains it")
    return found
