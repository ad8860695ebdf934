"""`x engine`: the store of engines and providers, built from the modules that `engine/` pins.

    builds/KEY/BINARY, build.json     one build; KEY is the hash of everything that went into it
    engines/NAME/VERSION/SHA256/tofu  a hard link to the build, addressed by its content
    engines/manifest.json
    providers/HOST/NAMESPACE/TYPE/VERSION/PLATFORM/BINARY   the same, as an unpacked filesystem mirror
    providers/manifest.json

Every use verifies every binary by its hash; one that does not match is built again. Files and manifests
appear by rename, and a lock makes concurrent installs wait for each other.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import golang
from progress import Failure, lock, run_quietly, say, step, write_atomically

# The hosts under which a configuration may name a provider: OpenTofu's default and Terraform's.
PROVIDER_HOSTS = ["registry.opentofu.org", "registry.terraform.io"]
GO_BUILD = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", "GOOS": "linux"}


@dataclass(frozen=True)
class Pin:
    """One program to build; exactly one of engine and provider is set."""

    folder: str
    version: str
    package: str
    binary: str
    ldflags: str
    engine: str = ""
    provider: str = ""

    @property
    def name(self) -> str:
        return f"{self.engine or self.provider} {self.version}"


def load_pins(engine: Path) -> list[Pin]:
    return [Pin(**fields) for fields in json.loads((engine / "pins.json").read_text())]


def platform_name() -> str:
    return f"linux_{golang.architecture()}"


def key(engine: Path, pin: Pin) -> str:
    """The hash of all that decides what a build contains: the pin, the module, our own sources, the flags."""
    folder = engine / pin.folder
    digest = hashlib.sha256()
    digest.update(json.dumps([vars(pin), GO_BUILD, GO_ENVIRONMENT, platform_name()], sort_keys=True).encode())
    for source in [folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))]:
        content = source.read_bytes() if source.exists() else b""
        digest.update(f"\0{source.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, otherwise):
    """The file's content, or `otherwise` if it is missing or was cut short by a power loss."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return otherwise


def go_build(folder: Path, pin: Pin, target: Path) -> None:
    go = golang.go()
    environment = {**os.environ, **GO_ENVIRONMENT, "GOARCH": golang.architecture(), **go.environment}
    run_quietly([go.program, *GO_BUILD, "-ldflags", pin.ldflags, "-o", str(target), pin.package],
                cwd=folder, env=environment)


class Store:
    """The store below one cache directory. `builder` makes a pin's binary; tests give another one."""

    def __init__(self, cache: Path, builder: Callable[[Path, Pin, Path], None] = go_build):
        self.cache = cache
        self.builder = builder

    def install(self, engine: Path) -> None:
        """Brings everything that engine/ pins into the store; builds only what is absent or damaged."""
        self._directory(self.cache)
        with lock(self.cache / "store.lock", "the store"):
            for abandoned in self.cache.glob("builds/.new-*"):
                shutil.rmtree(abandoned)
            pins = load_pins(engine)
            builds = []
            for pin in pins:
                build = self.cache / "builds" / key(engine, pin)
                if not self._intact(build, pin):
                    with step(f"building {pin.name}"):
                        self._build(engine / pin.folder, pin, build)
                builds.append((pin, build / pin.binary, read_json(build / "build.json", {})["sha256"]))
            self._publish_engines([entry for entry in builds if entry[0].engine])
            self._publish_providers([entry for entry in builds if entry[0].provider])

    def verify(self) -> list[str]:
        """What is wrong with the published files, a line each; empty when all is as the manifests say."""
        wrong = []
        for part in ["engines", "providers"]:
            manifest = self.cache / part / "manifest.json"
            if not manifest.exists():
                wrong.append(f"{manifest}: missing")
                continue
            entries = read_json(manifest, None)
            if entries is None:
                wrong.append(f"{manifest}: not JSON")
            for entry in entries or []:
                path = self.cache / part / entry["path"]
                if not path.exists():
                    wrong.append(f"{path}: missing")
                elif sha256(path) != entry["sha256"]:
                    wrong.append(f"{path}: does not match its hash")
        return wrong

    def _intact(self, build: Path, pin: Pin) -> bool:
        record = build / "build.json"
        if not record.exists():
            return False
        if (build / pin.binary).exists() and sha256(build / pin.binary) == read_json(record, {}).get("sha256"):
            return True
        say(f"{pin.name} in the store does not match its hash and is built again: {build}")
        return False

    def _build(self, folder: Path, pin: Pin, build: Path) -> None:
        self._directory(build.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=build.parent))
        try:
            temporary.chmod(0o755)
            binary = temporary / pin.binary
            self.builder(folder, pin, binary)
            if not binary.exists():
                raise Failure(f"building {pin.name} made no {pin.binary}")
            binary.chmod(0o755)
            (temporary / "build.json").write_text(json.dumps({"name": pin.name, "sha256": sha256(binary)}) + "\n")
            if build.exists():
                # A damaged one. What is published is a link to the damaged file and is replaced below.
                shutil.rmtree(build)
            temporary.rename(build)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _publish_engines(self, builds: list[tuple[Pin, Path, str]]) -> None:
        entries = []
        for pin, binary, digest in builds:
            path = Path(pin.engine, pin.version, digest, pin.binary)
            self._link(binary, self.cache / "engines" / path, digest)
            entries.append({"engine": pin.engine, "version": pin.version, "sha256": digest, "path": str(path)})
        self._write_manifest("engines", entries, ["engine", "version"])

    def _publish_providers(self, builds: list[tuple[Pin, Path, str]]) -> None:
        entries = []
        for pin, binary, digest in builds:
            for host in PROVIDER_HOSTS:
                path = Path(host, pin.provider, pin.version, platform_name(), pin.binary)
                self._link(binary, self.cache / "providers" / path, digest)
                entries.append({"source": f"{host}/{pin.provider}", "version": pin.version,
                                "platform": platform_name(), "sha256": digest, "path": str(path)})
        self._write_manifest("providers", entries, ["source", "version", "platform"])

    def _link(self, binary: Path, target: Path, digest: str) -> None:
        if target.exists() and (target.samefile(binary) or sha256(target) == digest):
            return
        self._directory(target.parent)
        # Not beside the target: nothing but the binary may ever lie in a provider's directory.
        temporary = self.cache / ".link"
        temporary.unlink(missing_ok=True)
        os.link(binary, temporary)
        temporary.rename(target)

    def _write_manifest(self, part: str, entries: list[dict], identity: list[str]) -> None:
        """Replaces the entries of the same identity and keeps others that still exist (of another checkout)."""
        self._directory(self.cache / part)
        manifest = self.cache / part / "manifest.json"
        given = {tuple(entry[name] for name in identity) for entry in entries}
        before = read_json(manifest, [])
        kept = [entry for entry in before if tuple(entry[name] for name in identity) not in given
                and (self.cache / part / entry["path"]).exists()]
        text = json.dumps(sorted(kept + entries, key=lambda entry: entry["path"]), indent=2) + "\n"
        if not manifest.exists() or manifest.read_text() != text:
            write_atomically(manifest, text)

    def _directory(self, path: Path) -> None:
        """Makes a directory and its parents readable for everybody, whatever the umask."""
        if path.exists():
            return
        self._directory(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            path.chmod(0o755)
