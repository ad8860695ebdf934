"""What the modes say together, and how it is printed."""

from collections import Counter, defaultdict
from pathlib import Path

from client_tests import Test
from execution import Result

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected.txt"
COMMENT = "# Tests of the client that pass; a line here is never taken away. `./x conformance --accept` adds lines.\n"
SHOWN_LINES = 40


def expected() -> set[str]:
    lines = EXPECTED.read_text().splitlines() if EXPECTED.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def accept(names: set[str]) -> None:
    """Adds to the expected passes."""
    EXPECTED.write_text(COMMENT + "".join(f"{name}\n" for name in sorted(expected() | names)))


def merge(modes: dict[str, dict[str, Result]]) -> dict[str, str]:
    """Per test: failed if it is bad in any mode, passed if it passed in at least one, else skipped."""
    statuses: dict[str, set[str]] = defaultdict(set)
    for results in modes.values():
        for name, result in results.items():
            statuses[name].add("failed" if result.bad else result.status)
    return {name: next(status for status in ["failed", "passed", "skipped"] if status in found)
            for name, found in statuses.items()}


def show_failures(modes: dict[str, dict[str, Result]]) -> None:
    for mode, results in modes.items():
        for name, result in sorted(results.items()):
            if result.bad:
                lines = [line.rstrip() for line in result.output[-SHOWN_LINES:]]
                print(f"\n--- {name} {result.status} in mode {mode} after {result.seconds:.0f} s")
                print("\n".join(f"    {line}" for line in lines))


def table(tests: list[Test], merged: dict[str, str]) -> str:
    """Counts per tier and file, then per tier."""
    by_file: dict[tuple[str, str], Counter] = defaultdict(Counter)
    by_tier: dict[str, Counter] = defaultdict(Counter)
    for test in tests:
        if test.name in merged:
            by_file[test.tier, test.file][merged[test.name]] += 1
            by_tier[test.tier][merged[test.name]] += 1
    lines = [f"{'tier':5}{'file':40}{'passed':>8}{'failed':>8}{'skipped':>8}"]

    def add(tier: str, file: str, count: Counter) -> None:
        lines.append(f"{tier:5}{file:40}{count['passed']:8}{count['failed']:8}{count['skipped']:8}")

    for (tier, file), count in sorted(by_file.items()):
        add(tier, file, count)
    for tier, count in sorted(by_tier.items()):
        add(tier, "all", count)
    return "\n".join(lines)


def summary(merged: dict[str, str]) -> str:
    count = Counter(merged.values())
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    return f"{count['passed']} passed, {count['failed']} failed{skipped}"
