"""How many nodes, database processors and how much disk a load takes: simulated, by what `bench/nodes.py` measured.

    python bench/capacity.py [--measured bench/measured.json] [--loads 20 200 2000 20000] [--busy 0.5]
                             [--retention-days 30] [--keep FILE] [--picture FILE] [--json]

Nothing is measured here, and no daemon is started: it takes a minute of one processor. What an event costs a node and
the database (for itself, for its share of a batch, and more where another node delivers it) is fitted to the CPU that
was measured with 1, 2 and 4 nodes, at their most and at half of it. `bench/rig/simulation.py` says what is simulated.

  as measured    the bench itself, simulated: nodes, database and load on the processors of the machine it ran on. Rates
                 and latencies were not fitted to: how far they are off is how far to trust the rest
  capacity       nodes on machines of their own, a processor each, so many that none is busier than --busy, and as many
                 processors for the database; then for one second in ten three times as much comes

Bytes are those of tables and indexes, bodies of 1 KiB included, for as long as events are kept.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import msgspec
from rich.console import Console
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.nodes import Figure, Kept
from bench.rig import picture
from bench.rig.command import above_zero, command, new_file, tell
from bench.rig.fitting import fitted
from bench.rig.load import CONNECTIONS
from bench.rig.simulation import Costs, Plan, World
from bench.rig.steady import percentile, poisson

MEASURED, FOUND = (Path(__file__).with_name(name) for name in ("measured.json", "capacity.json"))
"""What `make bench-nodes` keeps of the one and of the other."""
LOADS = (20.0, 200.0, 2_000.0, 20_000.0)
COUNTS = {"1 node": 1, "2 nodes": 2, "4 nodes": 4}
SIMULATED_EVENTS = 20_000
AT_RANDOM = poisson(seed=1)
BURST_TIMES, BURST_S, CALM_S = 3.0, 1.0, 9.0
MERCHANT_S = 0.05
"""How long a merchant elsewhere takes to answer."""
DAY_S = 86_400


class Compared(msgspec.Struct):
    """Of something that was measured: what the simulation says of it."""

    what: str
    measured: float
    simulated: float

    @property
    def off(self) -> float:
        """The share of what was measured by which it is off."""
        return self.simulated / self.measured - 1


class Need(msgspec.Struct):
    """What a load takes, and what hooks meet there."""

    events_per_s: float
    nodes: int
    node_busy: float
    database_processors: int
    database_busy: float
    rows_in_a_commit: float
    ack_p50_ms: float
    ack_p99_ms: float
    merchant_p99_ms: float
    """Less what the merchant takes to answer."""
    burst_ack_p99_ms: float
    wal_mb_per_s: float
    gb_per_day: float
    gb_kept: int


class Capacity(msgspec.Struct):
    costs: Costs
    of_a_node_per_s: int
    """Events that one node takes in and delivers with a whole processor, in full batches."""
    of_a_database_processor_per_s: int
    sqlite_bytes: int | None
    postgresql_bytes: int
    wal_bytes: int
    compared: list[Compared]
    retention_days: float
    busy: float
    needs: list[Need]


# --- What an event costs


def costs_of(figures: Mapping[str, Figure]) -> Costs:
    """Fitted by least squares to what was measured, none of them below zero. Raises SystemExit for too little of it."""
    points = [
        (cost, (count - 1) / count)
        for name, count in COUNTS.items()
        if name in figures
        for cost in (figures[name].cost, figures[name].half_cost)
        if cost is not None
    ]
    if len(points) < 3 or "1 node" not in figures:
        raise SystemExit("too little was measured: run bench/nodes.py --keep with 1, 2 and 4 nodes")
    rows = [(1.0, cost.commits, elsewhere) for cost, elsewhere in points]
    node = fitted(rows, [cost.nodes_us for cost, _ in points])
    database = fitted(rows, [cost.database_us for cost, _ in points])
    syncs = [figure.sync_ms for name, figure in figures.items() if name in COUNTS and figure.sync_ms is not None]
    load_us, sync_us = statistics.median(cost.load_us for cost, _ in points), 1e3 * statistics.median(syncs)
    return Costs(*(us / 1e6 for us in (*node, *database, load_us, sync_us)))


# --- What the simulation says


def in_bursts(events: int, per_s: float) -> list[float]:
    """The same, but in one second of ten so many times as many, and the fewer in the others."""
    calm = per_s * (CALM_S + BURST_S) / (CALM_S + BURST_S * BURST_TIMES)
    dice, now = Random(1), 0.0
    due: list[float] = []
    while len(due) < events:
        is_burst = now % (CALM_S + BURST_S) >= CALM_S
        now += dice.expovariate(calm * BURST_TIMES if is_burst else calm)
        due.append(now)
    return due


def compared(figures: Mapping[str, Figure], costs: Costs, processors: int) -> list[Compared]:
    found = []
    for name, count in COUNTS.items():
        if (figure := figures.get(name)) is None:
            continue
        plan = Plan(count, processors, one_machine=True)
        most = World(plan, costs).closed_loop(SIMULATED_EVENTS, CONNECTIONS)
        found.append(Compared(f"{name}: events/s", figure.events_per_s, round(most.events_per_s)))
        if (half := figure.half) is not None:
            seen = World(plan, costs).open_loop(AT_RANDOM(SIMULATED_EVENTS, half.per_s))
            found += [
                Compared(f"{name}, half load: {what}", measured, round(simulated, 1))
                for what, measured, simulated in (
                    ("to 200, p50 ms", half.ack_p50_ms, p50_ms(seen.acks_s)),
                    ("to 200, p99 ms", half.ack_p99_ms, p99_ms(seen.acks_s)),
                    ("to merchant, p50 ms", half.merchant_p50_ms, p50_ms(seen.arrivals_s)),
                    ("to merchant, p99 ms", half.merchant_p99_ms, p99_ms(seen.arrivals_s)),
                )
            ]
    return found


def need(per_s: float, costs: Costs, figures: Mapping[str, Figure], busy: float, retention_days: float) -> Need:
    """One more of whatever is too busy, until nothing is."""
    one = figures["1 node"]
    nodes, processors = 1, 1
    while True:
        plan = Plan(nodes, processors, endpoints=max(8, 4 * nodes), window=64, merchant_s=MERCHANT_S)
        seen = World(plan, costs).open_loop(AT_RANDOM(SIMULATED_EVENTS, per_s))
        more_nodes, more_processors = (math.ceil(each / busy - 1e-9) for each in (seen.node_busy, seen.database_busy))
        if more_nodes <= 1 and more_processors <= 1:
            break
        nodes, processors = nodes + (more_nodes > 1), processors + (more_processors > 1)
    bursts = World(plan, costs).open_loop(in_bursts(max(SIMULATED_EVENTS, round(10 * per_s)), per_s))
    day = (one.bytes_per_event or 0) * per_s * DAY_S / 1e9
    return Need(
        events_per_s=per_s,
        nodes=nodes,
        node_busy=round(seen.node_busy, 2),
        database_processors=processors,
        database_busy=round(seen.database_busy, 2),
        rows_in_a_commit=round(seen.batch, 1),
        ack_p50_ms=round(p50_ms(seen.acks_s), 1),
        ack_p99_ms=round(p99_ms(seen.acks_s), 1),
        merchant_p99_ms=round(p99_ms(seen.arrivals_s), 1),
        burst_ack_p99_ms=round(p99_ms(bursts.acks_s), 1),
        wal_mb_per_s=round((one.wal_bytes_per_event or 0) * per_s / 1e6, 2),
        gb_per_day=round(day, 1),
        gb_kept=round(day * retention_days),
    )


def p50_ms(seconds: Sequence[float]) -> float:
    return 1_000 * statistics.median(seconds)


def p99_ms(seconds: Sequence[float]) -> float:
    return 1_000 * percentile(seconds, 99)


def capacity(kept: Kept, loads: Sequence[float], busy: float, retention_days: float) -> Capacity:
    figures = kept.figures
    costs = costs_of(figures)
    sqlite = figures.get("SQLite")
    full = 2 / 128  # an event and its attempt, of batches of 128 rows
    return Capacity(
        costs=costs,
        of_a_node_per_s=round(1 / (costs.node_s + full * costs.node_batch_s)),
        of_a_database_processor_per_s=round(1 / (costs.database_s + full * costs.database_batch_s)),
        sqlite_bytes=sqlite.bytes_per_event if sqlite is not None else None,
        postgresql_bytes=figures["1 node"].bytes_per_event or 0,
        wal_bytes=figures["1 node"].wal_bytes_per_event or 0,
        compared=compared(figures, costs, int(kept.machine["processors"])),
        retention_days=retention_days,
        busy=busy,
        needs=[need(per_s, costs, figures, busy, retention_days) for per_s in loads],
    )


# --- To be looked at


def show(found: Capacity) -> None:
    costs = Table("CPU, µs", "an event", "a batch", "delivered by another node")
    c = found.costs
    for name, seconds in (
        ("node", (c.node_s, c.node_batch_s, c.node_elsewhere_s)),
        ("database", (c.database_s, c.database_batch_s, c.database_elsewhere_s)),
    ):
        costs.add_row(name, *(f"{1e6 * value:.0f}" for value in seconds))
    trust = Table(Column("as measured", no_wrap=True), "measured", "simulated", "off")
    for compare in found.compared:
        trust.add_row(compare.what, f"{compare.measured:,g}", f"{compare.simulated:,g}", f"{compare.off:+.0%}")
    needs = Table(
        *("events/s", "nodes", "busy", "database processors", "busy", "rows in a commit", "to 200: p50 / p99 ms"),
        *("in bursts p99 ms", "to merchant p99 ms", "WAL MB/s", "GB a day", f"GB in {found.retention_days:g} days"),
    )
    for each in found.needs:
        needs.add_row(
            *(f"{each.events_per_s:,g}", str(each.nodes), f"{each.node_busy:.2f}"),
            *(str(each.database_processors), f"{each.database_busy:.2f}", f"{each.rows_in_a_commit:g}"),
            *(f"{each.ack_p50_ms:g} / {each.ack_p99_ms:g}", f"{each.burst_ack_p99_ms:g}", f"{each.merchant_p99_ms:g}"),
            *(f"{each.wal_mb_per_s:g}", f"{each.gb_per_day:,g}", f"{each.gb_kept:,}"),
        )
    console = Console()
    console.width = max(console.width, 150)
    console.print(costs, trust, needs)
    console.print(
        f"a node's processor: {found.of_a_node_per_s:,} events/s at most; one of the database's: "
        f"{found.of_a_database_processor_per_s:,}; bytes an event: {found.postgresql_bytes:,} in PostgreSQL"
        + (f", {found.sqlite_bytes:,} in SQLite" if found.sqlite_bytes else "")
    )


def drawn(costs: Costs) -> bytes:
    """What the ack's p99 becomes as more comes in, by how many nodes there are; the database has processors enough."""

    def late(nodes: int) -> list[tuple[float, float]]:
        most = nodes / (costs.node_s + costs.node_elsewhere_s * (nodes - 1) / nodes)
        loads = [most * share for share in (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)]
        plan = Plan(nodes, 8, endpoints=4 * nodes, window=64, merchant_s=MERCHANT_S)
        return [
            (load, p99_ms(World(plan, costs).open_loop(AT_RANDOM(SIMULATED_EVENTS // 2, load)).acks_s))
            for load in loads
        ]

    series = {f"{nodes} node{'s' if nodes > 1 else ''}": late(nodes) for nodes in (1, 2, 4, 8)}
    return picture.lines(series, "Simulated: from hook to 200, p99", x="events a second", y="milliseconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, default=MEASURED, metavar="FILE", help="what bench/nodes.py has kept")
    parser.add_argument("--loads", type=above_zero, nargs="+", default=LOADS, metavar="RATE", help="events a second")
    parser.add_argument(
        "--busy", type=above_zero, default=0.5, help="the most that a processor is to be busy, up to 0.9"
    )
    parser.add_argument("--retention-days", type=above_zero, default=30, help="for how long events are kept")
    parser.add_argument("--keep", type=new_file, metavar="FILE", help="write what was found into this JSON file, too")
    parser.add_argument(
        "--picture", type=new_file, metavar="FILE", help="draw the ack's p99 over the load into this PNG"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    if arguments.busy > 0.9:
        parser.error("--busy: a queue that is busier than 0.9 has no length to speak of")
    try:
        kept = msgspec.json.decode(arguments.measured.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError) as error:
        raise SystemExit(f"{arguments.measured}: {error}: make it with bench/nodes.py --keep") from error
    found = capacity(kept, arguments.loads, arguments.busy, arguments.retention_days)
    tell(found, lambda: show(found), as_json=arguments.json)
    if arguments.keep is not None:
        arguments.keep.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if arguments.picture is not None:
        arguments.picture.write_bytes(drawn(found.costs))


if __name__ == "__main__":
    command(main)
