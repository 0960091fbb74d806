"""One turn of a peer: what it takes in, what it brings to the merchant and how late, and what that costs."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.peers.parts import Parts
from bench.peers.peer import Peer, started
from bench.peers.tally import Tally
from bench.rig import hooks
from bench.rig.load import answered_per_s
from bench.rig.merchant import listen, port_of
from bench.rig.steady import SteadyLoad, percentile, poisson

WARM_UP_S = 2.0
"""Of a steady load: what is sent in its first seconds does not count."""
_PATIENCE_S = 60.0
_SEED = 1
"""Of the gaps between hooks: the same for each peer."""
_ECHO = Path(__file__).parents[1] / "rig" / "echo.py"


class Late(msgspec.Struct):
    """From when a hook was due to be sent until the merchant has all of its event. Hooks come at random (Poisson)."""

    per_s: float
    p50_ms: float
    p99_ms: float
    lag_p99_ms: float
    """How late the load itself was."""


class Turn(msgspec.Struct):
    accepted_per_s: float
    """While it delivers."""
    events_per_s: float
    """From the first hook sent to the last event that reached the merchant."""
    late: list[Late]
    refused: list[str]
    """Why a rate is not in `late`."""
    idle_mb: float
    loaded_mb: float
    """When the last event had reached the merchant."""
    cpu_ms_per_event: float
    """Of all processors: 2 means that a processor is busy with one event for two milliseconds."""
    processes: int


async def turn(peer: Peer, events: int, rates: Sequence[float], seconds: float, run: str) -> Turn:
    """On a fresh directory. Raises SystemExit when it does not count."""
    tally = Tally()
    server = await listen(tally)
    try:
        with tempfile.TemporaryDirectory(prefix="webhookd-bench-") as directory:
            sink_url = f"http://127.0.0.1:{port_of(server)}/"
            async with started(peer, Path(directory), sink_url) as (parts, port):
                measured = await _burst(parts, port, tally, events, f"{run}b")
                for number, rate in enumerate(rates):
                    try:
                        measured.late.append(await _steady(port, tally, rate, seconds, f"{run}s{number}"))
                    except SystemExit as error:
                        measured.refused.append(f"at {rate:g}/s: {error}")
                parts.check()
            tally.judge(peer.name)
            return measured
    finally:
        server.close()


async def echo_rate(events: int, run: str) -> float:
    """What a bare aiohttp handler takes in, per second."""
    parts = Parts()
    try:
        part = await parts.start("echo", [sys.executable, _ECHO])
        return await answered_per_s(hooks.requests(events, run), int(await part.said("")))
    finally:
        await parts.stop()


async def _burst(parts: Parts, port: int, tally: Tally, events: int, run: str) -> Turn:
    requests = hooks.requests(events, run)
    idle_mb, processes, cpu_s = parts.memory_mb(), len(parts.processes), parts.cpu_s()
    reaching = asyncio.create_task(tally.reached(events, _PATIENCE_S))
    began = time.perf_counter()
    accepted_per_s = await answered_per_s(requests, port)
    if not await reaching:
        raise SystemExit(f"refused to report: {len(tally.first_at)} of {events} events reached the merchant")
    took_s = max(tally.first_at.values()) - began
    return Turn(
        accepted_per_s=accepted_per_s,
        events_per_s=events / took_s,
        late=[],
        refused=[],
        idle_mb=idle_mb,
        loaded_mb=parts.memory_mb(),
        cpu_ms_per_event=1_000 * (parts.cpu_s() - cpu_s) / events,
        processes=processes,
    )


async def _steady(port: int, tally: Tally, rate: float, seconds: float, run: str) -> Late:
    now_s, count = int(time.time()), round((WARM_UP_S + seconds) * rate)
    bodies = [hooks.body(number, run, now_s) for number in range(count)]
    load = SteadyLoad([hooks.request(body, now_s) for body in bodies], rate, poisson(_SEED))
    before = len(tally.first_at)
    await load.run("127.0.0.1", port)
    lag_p99_ms = load.judged()
    if not await tally.reached(before + count, _PATIENCE_S):
        raise SystemExit(f"refused to report: {len(tally.first_at) - before} of {count} events reached the merchant")
    warm = range(round(WARM_UP_S * rate), count)
    late_ms = [1_000 * (tally.first_at[hooks.id_of(bodies[each])] - load.due_at[each]) for each in warm]
    return Late(rate, statistics.median(late_ms), percentile(late_ms, 99), lag_p99_ms)
