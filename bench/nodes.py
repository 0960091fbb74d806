"""Receiving and delivering with 1, 2 and 4 nodes on one PostgreSQL: events a second, CPU for an event, how late it is.

    python bench/nodes.py [--seconds 5] [--rounds 3] [--sides "1 node,2 nodes"] [--keep FILE] [--picture FILE] [--json]

The work: take signed Stripe events of 1 KiB, verify, commit, answer 200, post each to its merchant, 64 at a time in
all. Eight sources, each with an endpoint of its own. The endpoints are shared out among the nodes, and so are the
connections of the load: of n nodes, n - 1 of n events are delivered by another than took them in. PostgreSQL is on the
disk of TMPDIR, synchronous_commit = on, each commit synced; everything is on this machine.

  SQLite            one node without PostgreSQL
  1, 2, 4 nodes     on one PostgreSQL
  procrastinate     on PostgreSQL: an aiohttp receiver that verifies and defers a job, a worker that posts
  bullmq-always     on Redis that syncs each write: a receiver and a worker on Node

In each round all have their turn, each begun anew on a fresh directory, in an order that is rotated:

  events/s      a closed loop of 64 connections for so many seconds, after two that do not count: from the first hook
                sent to the last event that reached its merchant
  of 1 node     the same, as the median of the ratios within the rounds
  CPU µs/event  of the nodes' processes meanwhile (or a peer's), and of the database's (Redis, for BullMQ)
  bytes/event   what the tables and indexes grew by; it is not asked of those who forget what is done
  at half load  an open loop at half of what this side has just been found to take, hooks at random (Poisson): from
                when a hook was due to its 200, and until its merchant had the event, p50 and p99

What events/s can say depends on the processors, which load, merchants, nodes and the database share. On a machine with
two of them one node and its database have them busy already: a second node adds no processor, and what it adds in
events a second is what fuller batches save, or less than nothing. What scales is CPU for an event: on machines of
their own each node takes in as many as a processor has time for (a node uses one), until the database has no time
left. `bench/capacity.py` goes on from there with what --keep has kept.

A turn does not count when a hook was not answered 200, an event did not arrive or was not signed; a side that fails is
left out, and that is said. Without 1 node nothing is reported.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.peers import postgresql
from bench.peers.bullmq import BullMQ
from bench.peers.nodes import Alone, Nodes
from bench.peers.peer import Peer
from bench.peers.procrastinate import Procrastinate
from bench.peers.report import ratio, rotated
from bench.rig import picture
from bench.rig.command import above_zero, command, new_file, one_or_more, tell
from bench.rig.disk import need_a_disk
from bench.rig.machine import machine
from bench.rig.side import Cost, Late, Turn, turn
from bench.rig.volume import Volume

ONE = "1 node"
SIDES: Mapping[str, Peer] = {
    peer.name: peer for peer in (Alone(), Nodes(1), Nodes(2), Nodes(4), Procrastinate(), BullMQ("always"))
}


class Figure(msgspec.Struct):
    """Of a side: medians over its rounds; `of_one` is that of the ratios within each round."""

    events_per_s: int
    of_one: float
    cost: Cost
    half: Late | None
    half_cost: Cost | None
    bytes_per_event: int | None
    wal_bytes_per_event: int | None
    sync_ms: float | None
    rounds: list[int]
    refused: list[str]
    """Why half the load was not measured in a round."""


class Kept(msgspec.Struct):
    """What `--keep` writes and `bench/capacity.py` and the docs read."""

    machine: dict[str, str]
    seconds: float
    rounds: int
    figures: dict[str, Figure]
    left_out: dict[str, str]


async def measure(sides: Sequence[str], seconds: float, rounds: int) -> Kept:
    """Raises SystemExit when one node cannot be measured."""
    need_a_disk()
    turns: dict[str, list[Turn]] = {}
    left_out: dict[str, str] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("preparing", total=rounds * len(sides))

        def leave_out(name: str, why: str) -> None:
            if name == ONE:
                raise SystemExit(f"{name}: {why}")
            left_out[name] = why
            turns.pop(name, None)
            progress.console.print(f"without {name}: {why}", highlight=False, markup=False)

        for name in sides:
            if missing := SIDES[name].missing():
                leave_out(name, f"needs what this machine lacks: Debian's {', '.join(missing)}")
                continue
            try:
                await SIDES[name].prepare(progress.console.print)
                turns[name] = []
            except SystemExit as error:
                leave_out(name, str(error))
        for number in range(rounds):
            for name in rotated(sides, number):
                progress.update(bar, description=f"{name}, round {number + 1} of {rounds}")
                if name in turns:
                    try:
                        turns[name].append(await turn(SIDES[name], seconds, f"r{number}"))
                    except (SystemExit, OSError) as error:
                        leave_out(name, str(error) or repr(error))
                progress.advance(bar)
    figures = {name: figure_of(each, turns[ONE]) for name, each in turns.items()}
    return Kept(
        {**machine("asyncpg", "aiohttp"), "PostgreSQL": postgresql.version()}, seconds, rounds, figures, left_out
    )


def figure_of(turns: Sequence[Turn], ones: Sequence[Turn]) -> Figure:
    def median(of: Callable[[Turn], float | None]) -> float | None:
        found = [value for value in map(of, turns) if value is not None]
        return statistics.median(found) if found else None

    def cost(costs: Sequence[Cost]) -> Cost:
        return Cost(*(round(statistics.median(getattr(each, n) for each in costs), 3) for n in Cost.__struct_fields__))

    def of_volume(of: Callable[[Volume, Turn], float]) -> float | None:
        return median(lambda turn: of(turn.volume, turn) if turn.volume is not None else None)

    def whole(value: float | None) -> int | None:
        return None if not value else round(value)

    halves = [turn.half for turn in turns if turn.half is not None]
    half_costs = [turn.half_cost for turn in turns if turn.half_cost is not None]
    rates = [turn.events_per_s for turn in turns]
    sync_ms = of_volume(lambda volume, _: volume.sync_ms / volume.syncs if volume.syncs else 0.0)
    return Figure(
        events_per_s=round(statistics.median(rates)),
        of_one=round(ratio(rates, [turn.events_per_s for turn in ones]), 2),
        cost=cost([turn.cost for turn in turns]),
        half=Late(*(round(statistics.median(getattr(half, n) for half in halves), 1) for n in Late.__struct_fields__))
        if halves
        else None,
        half_cost=cost(half_costs) if half_costs else None,
        bytes_per_event=whole(of_volume(lambda volume, turn: volume.bytes / turn.events)),
        wal_bytes_per_event=whole(of_volume(lambda volume, turn: volume.wal_bytes / turn.events)),
        sync_ms=round(sync_ms, 2) if sync_ms else None,
        rounds=[round(rate) for rate in rates],
        refused=[turn.refused for turn in turns if turn.refused is not None],
    )


def show(kept: Kept) -> None:
    table = Table(
        *(Column("", no_wrap=True), "events/s", "of 1 node", "CPU µs/event: nodes", "database", "bytes/event"),
        *("at half load /s", "to 200: p50 / p99 ms", "to merchant: p50 / p99 ms", "rounds"),
    )
    for name, each in kept.figures.items():
        half = each.half
        table.add_row(
            *(name, f"{each.events_per_s:,}", f"{each.of_one:.2f}"),
            *(f"{each.cost.nodes_us:.0f}", each.cost.database),
            "" if each.bytes_per_event is None else f"{each.bytes_per_event:,}",
            *(
                ("–", "–", "–")
                if half is None
                else (
                    f"{half.per_s:.0f}",
                    f"{half.ack_p50_ms:.1f} / {half.ack_p99_ms:.1f}",
                    f"{half.merchant_p50_ms:.1f} / {half.merchant_p99_ms:.1f}",
                )
            ),
            " ".join(map(str, each.rounds)),
        )
    console = Console()
    console.width = max(console.width, 150)
    console.print(table)
    for name, why in kept.left_out.items():
        console.print(f"without {name}: {why}", highlight=False, markup=False)
    for name, each in kept.figures.items():
        for why in each.refused:
            console.print(f"{name}, half load: {why}", highlight=False, markup=False)


def drawn(kept: Kept) -> bytes:
    parts = {
        name: {"nodes": each.cost.nodes_us, "database": each.cost.database_us} for name, each in kept.figures.items()
    }
    return picture.stacked(parts, "CPU for an event taken in and delivered", unit="µs")


def named(names: str) -> list[str]:
    """Those of a list with commas, and one node, in the order of the table. Raises ArgumentTypeError for others."""
    wanted = {ONE, *filter(None, map(str.strip, names.split(",")))}
    if unknown := wanted - SIDES.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SIDES)}")
    return [name for name in SIDES if name in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=above_zero, default=5, help="of each load, of which there are two in a turn")
    parser.add_argument("--rounds", type=one_or_more, default=3, help="how often all are measured, in turn")
    parser.add_argument("--sides", type=named, default=list(SIDES), metavar="NAMES", help=f"some of {','.join(SIDES)}")
    parser.add_argument("--keep", type=new_file, metavar="FILE", help="write the figures into this JSON file, too")
    parser.add_argument("--picture", type=new_file, metavar="FILE", help="draw the CPU for an event into this PNG")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    kept = uvloop.run(measure(arguments.sides, arguments.seconds, arguments.rounds))
    tell(kept, lambda: show(kept), as_json=arguments.json)
    if arguments.keep is not None:
        arguments.keep.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    if arguments.picture is not None:
        arguments.picture.write_bytes(drawn(kept))


if __name__ == "__main__":
    command(main)
