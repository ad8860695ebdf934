"""Where things are: the source tree and the cache outside it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"


def cache() -> Path:
    """The directory for whatever is built or fetched once per machine.

    For root it is a system directory, because unprivileged users execute the engines in it.
    """
    given = os.environ.get("TERRANE_CACHE")
    if given:
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/terrane")
    return Path.home() / ".cache" / "terrane"


def engine_store() -> Path:
    return cache() / "engines"


def provider_store() -> Path:
    return cache() / "providers"


def build_dir(preset: str) -> Path:
    return ROOT / "build" / preset


def binary(preset: str) -> Path:
    return build_dir(preset) / "terrane"


def store_environment() -> dict[str, str]:
    """What tells a terrane process where the engines and providers are."""
    return {"TERRANE_ENGINE_STORE": str(engine_store()), "TERRANE_PROVIDER_STORE": str(provider_store())}
