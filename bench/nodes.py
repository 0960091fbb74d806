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
import tempfile
import time
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
from bench.peers.parts import Parts
from bench.peers.peer import Peer, started
from bench.peers.procrastinate import Procrastinate
from bench.peers.report import ratio, rotated
from bench.peers.tally import Tally
from bench.rig import hooks, picture
from bench.rig.command import above_zero, command, new_file, one_or_more, tell
from bench.rig.disk import need_a_disk
from bench.rig.load import answered_per_s
from bench.rig.machine import machine
from bench.rig.merchant import listen, port_of
from bench.rig.steady import SteadyLoad, percentile, poisson
from bench.rig.volume import Volume, of_postgresql, of_sqlite

ONE = "1 node"
SIDES: Mapping[str, Peer] = {
    peer.name: peer for peer in (Alone(), Nodes(1), Nodes(2), Nodes(4), Procrastinate(), BullMQ("always"))
}
DATABASES = ("postgres", "redis-server")
WARM_UP = 500
"""Hooks that do not count, and tell how many would take so many seconds."""
COUNTED_MIN = 200
WARM_UP_S = 1.0
_PATIENCE_S = 60.0
_SEED = 1


class Cost(msgspec.Struct):
    """Of an event, in microseconds of processors."""

    nodes_us: float
    database_us: float
    load_us: float
    """Of the load and the merchants: of this process."""
    commits: float = 0.0
    """Transactions that wrote, for an event; 0 where they are not counted."""


class Late(msgspec.Struct):
    """Milliseconds from when a hook was due to be sent, at half of what is taken."""

    per_s: float
    ack_p50_ms: float
    ack_p99_ms: float
    merchant_p50_ms: float
    merchant_p99_ms: float
    lag_p99_ms: float
    """How late the load itself was."""


class Turn(msgspec.Struct):
    events: int
    events_per_s: float
    cost: Cost
    half: Late | None
    half_cost: Cost | None
    refused: str | None
    """Why there is nothing of half the load."""
    volume: Volume | None
    """What it grew by, of the events of the closed loop."""


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


class Side:
    """One side while it runs: its processes, where hooks go, and the merchants' tally."""

    def __init__(self, peer: Peer, parts: Parts, port: int, tally: Tally) -> None:
        self._peer, self._parts, self._tally = peer, parts, tally
        self._ports = peer.ports if isinstance(peer, Nodes) else [port]

    async def burst(self, count: int, run: str) -> tuple[float, Cost]:
        """(events a second until the last has reached its merchant, what one of them cost)."""
        requests = self._requests(count, run)[0]
        wanted, before = len(self._tally.first_at) + count, await self._spent()
        began = time.perf_counter()
        await answered_per_s(requests, self._ports)
        await self._all_arrive(wanted)
        return count / (max(self._tally.first_at.values()) - began), await self._cost(before, count)

    async def steady(self, per_s: float, seconds: float, run: str) -> tuple[Late, Cost]:
        requests, ids = self._requests(round((WARM_UP_S + seconds) * per_s), run)
        load = SteadyLoad(requests, per_s, poisson(_SEED))
        wanted, before = len(self._tally.first_at) + len(ids), await self._spent()
        await load.run("127.0.0.1", *self._ports)
        await self._all_arrive(wanted)
        cost, lag_p99_ms = await self._cost(before, len(ids)), load.judged()
        counted = range(round(WARM_UP_S * per_s), len(ids))
        acks = [1_000 * (load.answered_at[n] - load.due_at[n]) for n in counted]
        arrivals = [1_000 * (self._tally.first_at[ids[n]] - load.due_at[n]) for n in counted]
        late = Late(
            *(per_s, statistics.median(acks), percentile(acks, 99)),
            *(statistics.median(arrivals), percentile(arrivals, 99), lag_p99_ms),
        )
        return late, cost

    async def volume(self, directory: Path) -> Volume | None:
        if isinstance(self._peer, Nodes):
            return await of_postgresql(self._peer.url)
        return of_sqlite(directory / "data") if isinstance(self._peer, Alone) else None

    def _requests(self, count: int, run: str) -> tuple[list[bytes], list[bytes]]:
        """The hooks, made and signed beforehand, and the provider's ids of their events."""
        now_s, sources = int(time.time()), self._peer.sources
        bodies = [hooks.body(number, run, now_s) for number in range(count)]
        requests = [hooks.request(body, now_s, sources[n % len(sources)]) for n, body in enumerate(bodies)]
        return requests, [hooks.id_of(body) for body in bodies]

    async def _all_arrive(self, wanted: int) -> None:
        if not await self._tally.reached(wanted, _PATIENCE_S):
            missing = wanted - len(self._tally.first_at)
            raise SystemExit(f"refused to report: {missing} of {wanted} events did not reach their merchant")

    async def _spent(self) -> Sequence[float]:
        """So far: microseconds of nodes, database and load, and transactions."""
        commits = (await of_postgresql(self._peer.url)).commits if isinstance(self._peer, Nodes) else 0
        all_of_it, database = self._parts.cpu_s(), self._parts.cpu_s(*DATABASES)
        return (1e6 * (all_of_it - database), 1e6 * database, 1e6 * time.process_time(), commits)

    async def _cost(self, before: Sequence[float], events: int) -> Cost:
        return Cost(*((now - then) / events for now, then in zip(await self._spent(), before, strict=True)))


async def turn(peer: Peer, seconds: float, run: str) -> Turn:
    """On a fresh directory. Raises SystemExit when it does not count."""
    tally = Tally()
    server = await listen(tally)
    try:
        with tempfile.TemporaryDirectory(prefix="webhookd-bench-") as name:
            directory = Path(name)
            async with started(peer, directory, f"http://127.0.0.1:{port_of(server)}/") as (parts, port):
                side = Side(peer, parts, port, tally)
                await side.burst(WARM_UP, f"{run}c")  # connections, plans, compilers
                per_s, _ = await side.burst(WARM_UP, f"{run}w")
                before, events = await side.volume(directory), max(COUNTED_MIN, round(per_s * seconds))
                events_per_s, cost = await side.burst(events, f"{run}b")
                after = await side.volume(directory)
                grown = after.since(before) if before is not None and after is not None else None
                late, half_cost, refused = None, None, None
                try:
                    late, half_cost = await side.steady(events_per_s / 2, seconds, f"{run}s")
                except SystemExit as error:
                    refused = str(error)
                parts.check()
            tally.judge(peer.name)
            return Turn(events, events_per_s, cost, late, half_cost, refused, grown)
    finally:
        server.close()


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
            *(f"{each.cost.nodes_us:.0f}", f"{each.cost.database_us:.0f}"),
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
