"""The tables in docs/scale.md, of the figures that `make bench-nodes` has kept. `docs/render.py` puts them in."""

from collections.abc import Sequence

import msgspec

from bench.capacity import FOUND, MEASURED, Capacity
from bench.nodes import Kept
from bench.rig.side import Late

ROUNDS_MIN = 3
"""Fewer say little of medians."""


def blocks() -> dict[str, str]:
    """Their text by the names of the blocks."""
    kept = msgspec.json.decode(MEASURED.read_bytes(), type=Kept)
    found = msgspec.json.decode(FOUND.read_bytes(), type=Capacity)
    return {
        "nodes measured on": machine(kept),
        "nodes measured": measured(kept),
        "an event costs": costs(found),
        "loads": loads(found),
        "simulated beside measured": compared(found),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(each) for each in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def machine(kept: Kept) -> str:
    its = kept.machine
    versions = ", ".join(f"{name} {its[name]}" for name in ("PostgreSQL", "Python", "SQLite") if its.get(name))
    turns = f"{kept.rounds} round{'s' if kept.rounds > 1 else ''} of {kept.seconds:g} seconds for each load"
    trust = "" if kept.rounds >= ROUNDS_MIN else " That is a first look and not yet a measurement."
    return f"Measured on {its['processors']} shared processors, {its['system']}, {versions}; {turns}.{trust}"


def measured(kept: Kept) -> str:
    head = (
        "",
        "events/s",
        "of 1 node",
        "CPU µs for an event: nodes",
        "database",
        "half load",
        "hook to 200: p50, p99 ms",
    )
    return table(
        (*head, "hook to merchant: p50, p99 ms"),
        [
            (
                *(name, f"{each.events_per_s:,}", f"{each.of_one:.2f}"),
                *(f"{each.cost.nodes_us:.0f}", each.cost.database),
                *late(each.half),
            )
            for name, each in kept.figures.items()
        ],
    )


def late(half: Late | None) -> tuple[str, str, str]:
    if half is None:
        return "–", "–", "–"
    return (
        f"{half.per_s:,.0f}/s",
        f"{half.ack_p50_ms:.1f}, {half.ack_p99_ms:.1f}",
        f"{half.merchant_p50_ms:.1f}, {half.merchant_p99_ms:.1f}",
    )


def costs(found: Capacity) -> str:
    its, sqlite = found.costs, found.sqlite_bytes
    rows = [
        ("a node's processor", its.node_s, its.node_batch_s, its.node_elsewhere_s, found.of_a_node_per_s),
        (
            "the database's processors",
            *(its.database_s, its.database_batch_s, its.database_elsewhere_s),
            found.of_a_database_processor_per_s,
        ),
    ]
    head = ("", "an event, µs", "a commit, µs", "if another node delivers it, µs", "events/s of one processor at most")
    text = table(head, [(name, *(f"{1e6 * each:.0f}" for each in us), f"{most:,}") for name, *us, most in rows])
    kept = f"{found.postgresql_bytes:,} bytes in PostgreSQL, and {found.wal_bytes:,} of WAL"
    return f"{text}\n\nAn event of 1 KiB keeps {kept}{f'; {sqlite:,} in SQLite' if sqlite else ''}."


def loads(found: Capacity) -> str:
    head = ("events/s", "nodes", "database processors", "to 200: p50, p99 ms", "p99 in bursts", "to merchant: p99 ms")
    return table(
        (*head, "WAL MB/s", "GB a day", f"GB in {found.retention_days:g} days"),
        [
            (
                *(f"{each.events_per_s:,.0f}", f"{each.nodes} ({each.node_busy:.0%} busy)"),
                f"{each.database_processors} ({each.database_busy:.0%})",
                f"{each.ack_p50_ms:.1f}, {each.ack_p99_ms:.1f}",
                *(f"{each.burst_ack_p99_ms:.0f}", f"{each.merchant_p99_ms:.1f}"),
                *(f"{each.wal_mb_per_s:.1f}", f"{each.gb_per_day:,.0f}", f"{each.gb_kept:,}"),
            )
            for each in found.needs
        ],
    )


def compared(found: Capacity) -> str:
    rows = [(each.what, f"{each.measured:,g}", f"{each.simulated:,g}", f"{each.off:+.0%}") for each in found.compared]
    return table(("", "measured", "simulated", "off by"), rows)
