"""What was survived, as a table for people and as JSON: a pytest plugin that listens to tests marked `fault(row)`."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.faults.matrix import FAULTS


class Report:
    """Gathers outcomes and what tests counted (`record_property("kills", 12)`), and writes FILE.md and FILE.json."""

    def __init__(self, file: Path, seed: int) -> None:
        self._file = file
        self._seed = seed
        self._outcomes: dict[int, Counter[str]] = defaultdict(Counter)
        self._counts: dict[int, Counter[str]] = defaultdict(Counter)
        self._total: Counter[str] = Counter()
        """A test of several rows counts once."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test that fails in its set-up has no call; one that passes its call may still fail in its end.
        if report.when != "call" and report.outcome == "passed":
            return
        own = dict(report.user_properties)
        counted = Counter({name: value for name, value in own.items() if name != "fault" and isinstance(value, int)})
        for row in {value for name, value in report.user_properties if name == "fault"}:
            self._outcomes[row][report.outcome] += 1
            self._counts[row] += counted
        self._total += counted

    def pytest_sessionfinish(self) -> None:
        rows = [self._row(number) for number in FAULTS]
        survived = sum(row["result"] == "survived" for row in rows)
        counted = dict(self._total)
        found = {"seed": self._seed, "faults": len(rows), "survived": survived, "counted": counted, "rows": rows}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
        self._file.with_suffix(".md").write_text(_page(found))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(f"seed {self._seed}; the report: {self._file.with_suffix('.md')}")

    def _row(self, number: int) -> dict[str, Any]:
        outcomes = self._outcomes[number]
        result = "failed" if outcomes["failed"] else "survived" if outcomes["passed"] else "not tried"
        return {
            "row": number,
            "fault": FAULTS[number].name,
            "promise": FAULTS[number].promise,
            "result": result,
            "tests": sum(outcomes.values()),
            "skipped": outcomes["skipped"],
            "counted": dict(self._counts[number]),
        }


def _page(found: dict[str, Any]) -> str:
    lines = [
        "# What was survived",
        "",
        f"{found['survived']} of {found['faults']} faults; {_counted(found['counted'])}. Seed {found['seed']}.",
        "",
        "| | fault | promise | result | tests | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['row']} | {row['fault']} | {row['promise']} | {row['result']} | {row['tests']} "
        f"| {_counted(row['counted'])} |"
        for row in found["rows"]
    ]
    return "\n".join(lines) + "\n"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))
