"""A comparison as a table, as pictures, and as one page that stands alone."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.comparison.sides import OldWay, Outbox, Webhookd
from bench.comparison.tally import Run, Tally
from bench.comparison.trouble import SIGNALS, Trouble
from bench.rig.picture import DARK, LIGHT, Moment, Theme, inline, lines, percentiles

_TEMPLATES = Path(__file__).parent
_ACCENT_FIRST = (Webhookd.name, OldWay.name, Outbox.name)
"""So that each has one colour in all pictures."""


class Comparison(NamedTuple):
    seed: int
    seconds: float
    per_s: float
    """Payments."""
    trouble: Trouble
    machine: Mapping[str, str]
    runs: Mapping[str, Run]
    """By the name of the side, in the order in which they were made."""

    @property
    def summary(self) -> str:
        down, slow = self.trouble.down, self.trouble.slow
        struck = ", ".join(f"{SIGNALS[fault.kind]} at {fault.at_s:.0f} s" for fault in self.trouble.faults)
        return (
            f"{self.seconds:g} s of {self.per_s:g} payments a second, seed {self.seed}: {struck or 'no kills'}; "
            f"{down.merchant} down from {down.from_s:.0f} to {down.until_s:.0f} s, "
            f"{slow.merchant} slow from {slow.from_s:.0f} to {slow.until_s:.0f} s"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "payments_per_s": self.per_s,
            "faults": [fault._asdict() for fault in self.trouble.faults],
            "down": self.trouble.down._asdict(),
            "slow": self.trouble.slow._asdict(),
            "machine": self.machine,
            "sides": {name: run.tally for name, run in self.runs.items()},
        }


class Row(NamedTuple):
    name: str
    values: Sequence[str]
    is_point: bool = False


_ROWS: Sequence[tuple[str, Callable[[Tally], str]]] = (
    ("payments created", lambda tally: f"{tally.payments:,}"),
    ("webhooks of them", lambda tally: f"{tally.hooks:,}"),
    ("sent again by the provider", lambda tally: f"{tally.sent_again:,}"),
    ("answered 2xx", lambda tally: f"{tally.acked:,}"),
    ("lost: answered, and never at some merchant", lambda tally: f"{tally.lost:,}"),
    ("loss rate", lambda tally: f"{tally.lost_share:.2%}"),
    ("payments that a merchant never heard of", lambda tally: f"{tally.payments_unheard:,}"),
    ("duplicated: more than once at a merchant", lambda tally: f"{tally.duplicated:,}"),
    ("… under another webhook-id", lambda tally: f"{tally.renamed:,}"),
    ("hook to merchant p50", lambda tally: _time(tally.p50_ms)),
    ("hook to merchant p95", lambda tally: _time(tally.p95_ms)),
    ("hook to merchant p99", lambda tally: _time(tally.p99_ms)),
    ("the load was sent late by (p99)", lambda tally: _time(tally.lag_p99_ms)),
)
_POINT = ("lost", "loss", "payments that")


def rows(runs: Mapping[str, Run]) -> list[Row]:
    """What the table says, a value for each side."""
    tallies = [run.tally for run in runs.values()]
    found = [Row(name, [say(tally) for tally in tallies], name.startswith(_POINT)) for name, say in _ROWS]
    at_merchants = [
        Row(f"received by {merchant}", [f"{tally.received[merchant]:,}" for tally in tallies])
        for merchant in tallies[0].received
    ]
    return [*found[:4], *at_merchants, *found[4:]]


def write(comparison: Comparison, directory: Path) -> Path:
    """The page; beside it its pictures, for use elsewhere."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = {theme: pictures(comparison, theme) for theme in (LIGHT, DARK)}
    for name, png in drawn[LIGHT].items():
        (directory / f"{name}.png").write_bytes(png)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html").render(
        comparison=comparison,
        rows=rows(comparison.runs),
        old=comparison.runs[OldWay.name].tally,
        new=comparison.runs[Webhookd.name].tally,
        outbox=comparison.runs[Outbox.name].tally if Outbox.name in comparison.runs else None,
        light={name: inline(png) for name, png in drawn[LIGHT].items()},
        dark={name: inline(png) for name, png in drawn[DARK].items()},
        made_at=datetime.now(tz=UTC),
    )
    file = directory / "report.html"
    file.write_text(page)
    return file


def pictures(comparison: Comparison, theme: Theme) -> dict[str, bytes]:
    """PNGs by name."""
    runs = {name: comparison.runs[name] for name in _ACCENT_FIRST if name in comparison.runs}
    last_s = max(run.missing[-1][0] for run in runs.values())
    trouble = comparison.trouble
    moments = [
        *(Moment(fault.at_s, SIGNALS[fault.kind]) for fault in trouble.faults),
        Moment(trouble.down.from_s, f"{trouble.down.merchant} is down", trouble.down.until_s),
        Moment(trouble.slow.from_s, f"{trouble.slow.merchant} is slow", trouble.slow.until_s),
    ]
    return {
        "missing": lines(
            {name: [*run.missing, (last_s, run.missing[-1][1])] for name, run in runs.items()},
            "Answered 2xx, and not with the merchant yet",
            y="deliveries",
            moments=moments,
            theme=theme,
        ),
        "latency": percentiles({name: run.latencies_ms for name, run in runs.items()}, "Hook to merchant", theme=theme),
    }


def _time(ms: float | None) -> str:
    if ms is None:
        return "never"
    return f"{ms:.1f} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"
