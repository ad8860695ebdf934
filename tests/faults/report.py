"""What came out: counted, printed as tables, and compared with docs/reliability.md, which `--write` writes."""

import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table {part}: written by tests/faults/run --part {part} --write -->\n", "<!-- end of table -->\n"
HEADINGS = ("What happens", "When", "Outcome", "Back after", "Ended after")


@dataclass
class Row:
    """One case: `back` is how long the victim was away, `ended` how long after the fault the run ended."""
    what: str
    when: str
    outcome: str
    back: float | None = None
    ended: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.what, self.when

    def cells(self) -> list[str]:
        return [self.what, self.when, self.outcome, in_seconds(self.back), in_seconds(self.ended)]


class Skipped(Exception):
    """A case cannot be made on this machine; the text says why."""


def in_seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


class Report:
    """Collects rows; threads share it."""

    def __init__(self):
        self.part = ""  # whose cases are performed now
        self.rows: dict[str, list[Row]] = {}
        self.failed = self.skipped = 0
        self._lock = threading.Lock()

    def add(self, row: Row) -> None:
        with self._lock:
            self.rows.setdefault(self.part, []).append(row)
            print("passed  " + "  ".join(cell for cell in row.cells() if cell), flush=True)

    def fail(self, what: str, text: str) -> None:
        with self._lock:
            self.failed += 1
            print(f"FAILED  {what}\n{text}", flush=True)

    def skip(self, what: str, why: str) -> None:
        with self._lock:
            self.skipped += 1
            print(f"skipped {what}: {why}", flush=True)

    def guard(self, what: str, work: Callable[[], None]) -> bool:
        """Does the work of a case; what goes wrong counts as one failure. Gives whether it went well."""
        try:
            work()
            return True
        except Skipped as skipped:
            self.skip(what, str(skipped))
        except Exception:
            self.fail(what, traceback.format_exc())
        return False

    def together(self, works: dict[str, Callable[[], None]]) -> None:
        """Guards several at once."""
        threads = [threading.Thread(target=self.guard, args=item) for item in works.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # The document

    def compare(self, whole: Iterable[str]) -> None:
        """Whether what was found stands in the document in the same words, and in `whole` parts nothing else."""
        for part, rows in list(self.rows.items()):
            known = documented(part)
            for row in rows:
                if known.get(row.key) != row.outcome:
                    self.fail(f"docs/reliability.md, {row.what}, {row.when}",
                              f"the document says {known.get(row.key)!r}, the outcome is {row.outcome!r}")
            missing = known.keys() - {row.key for row in rows}
            if part in whole and missing and not self.failed and not self.skipped:
                self.fail("docs/reliability.md", f"the document has what was not found: {sorted(missing)}")

    def write(self, parts: Iterable[str]) -> None:
        text = DOCUMENT.read_text()
        for part in parts:
            before, begin, rest = text.partition(BEGIN.format(part=part))
            _, end, after = rest.partition(END)
            if not begin or not end:
                raise AssertionError(f"{DOCUMENT} has no place for the table of {part}")
            text = before + begin + table(self.rows[part]) + end + after
        DOCUMENT.write_text(text)
        print(f"written: {DOCUMENT}", flush=True)

    def finish(self) -> int:
        """Prints the tables and the last line; the exit status."""
        for rows in self.rows.values():
            print("\n" + table(rows), flush=True)
        passed = sum(len(rows) for rows in self.rows.values())
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{passed} passed, {self.failed} failed{skipped}", flush=True)
        return 0 if self.failed == 0 and passed else 1


def table(rows: list[Row]) -> str:
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def documented(part: str) -> dict[tuple[str, str], str]:
    """The outcomes that the document states."""
    text = DOCUMENT.read_text().partition(BEGIN.format(part=part))[2].partition(END)[0]
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {(row[0], row[1]): row[2] for row in rows[2:] if len(row) == len(HEADINGS)}
