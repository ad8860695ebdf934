"""What the benchmark programs share: installations, the bare engine, numbers and their table."""

import contextlib
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from common.cli import engine  # noqa: E402
from common.installation import Installation  # noqa: E402

ORGANIZATION = "demo"
RESOURCES = 10
CONFIGURATION = "".join(f'''resource "terraform_data" "r{number}" {{
  input = "value {number}"
}}
''' for number in range(RESOURCES)) + '''output "last" {
  value = terraform_data.r9.output
}
'''


@contextlib.contextmanager
def installation(settings: dict[str, str] | None = None) -> Iterator[Installation]:
    """A running installation of the benchmark's own."""
    site = Installation(settings)
    try:
        site.start()
        yield site
    finally:
        site.destroy()


class Bare:
    """The engine alone, as a user would call it in a shell: the measure for what the platform adds."""

    SEQUENCE = ('"$0" init -input=false -no-color && "$0" plan -input=false -no-color -out=plan'
                ' && "$0" show -json plan > plan.json && "$0" init -input=false -no-color'
                ' && "$0" apply -input=false -no-color plan')

    def __init__(self, site: Installation):
        self._engine = engine(site.engine_store)
        self._home = Path(tempfile.mkdtemp(prefix="terrane-bench-"))
        (self._home / "rc").write_text("disable_checkpoint = true\n")
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self._home), "TF_IN_AUTOMATION": "1",
                            "TF_CLI_CONFIG_FILE": str(self._home / "rc"), "LANG": "C.UTF-8"}

    def directory(self) -> Path:
        """A fresh directory with the configuration."""
        place = Path(tempfile.mkdtemp(dir=self._home))
        (place / "main.tf").write_text(CONFIGURATION)
        return place

    def command(self) -> list[str]:
        return ["sh", "-c", self.SEQUENCE, str(self._engine)]

    def seconds(self) -> float:
        place = self.directory()
        began = time.perf_counter()
        subprocess.run(self.command(), cwd=place, env=self.environment, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
        shutil.rmtree(place)
        return took

    def close(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that is not less than that share of all."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Table:
    """Prints a line for each number with its bound; `failed` counts those that do not hold theirs."""

    def __init__(self) -> None:
        self.failed = 0
        self._load = os.getloadavg()[0]

    def add(self, what: str, value: float, unit: str, bound: float | None = None) -> None:
        verdict = ""
        if bound is not None:
            holds = value <= bound
            self.failed += not holds
            verdict = f"  (at most {bound:g} {unit}: {'holds' if holds else 'MISSED'})".replace(" )", ")")
        print(f"{what:44} {value:9.3f} {unit}{verdict}".rstrip(), flush=True)

    def note(self, text: str) -> None:
        print(text, flush=True)

    def finish(self) -> int:
        print(f"load before {self._load:.1f}, after {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors", flush=True)
        return 1 if self.failed else 0


def median(values: list[float]) -> float:
    return statistics.median(values)
