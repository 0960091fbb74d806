"""One side of `bench/nodes.py` in its turn: what it brings, what that costs, and how late it is at half of it."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.peers.nodes import Alone, Nodes
from bench.peers.parts import Parts
from bench.peers.peer import Peer, started
from bench.peers.tally import Tally
from bench.rig import hooks
from bench.rig.load import answered_per_s
from bench.rig.merchant import listen, port_of
from bench.rig.steady import SteadyLoad, percentile, poisson
from bench.rig.volume import Volume, of_postgresql, of_sqlite

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

    @property
    def database(self) -> str:
        """Its microseconds, and what share of both that is."""
        share = self.database_us / (self.nodes_us + self.database_us)
        return f"{self.database_us:.0f} ({share:.0%})" if self.database_us else "–"


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
