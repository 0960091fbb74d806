"""One turn of a peer: what it takes in, what it brings to the merchant and how late, and what that costs."""

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
from bench.rig.load import answered_per_s, warm_up_of
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
                processes, idle_mb = len(parts.processes), parts.memory_mb()
                # Compilers of Node's kind, connections, caches.
                await _burst(port, tally, warm_up_of(events), f"{run}w")
                cpu_s = parts.cpu_s()
                accepted_per_s, events_per_s = await _burst(port, tally, events, f"{run}b")
                measured = Turn(
                    accepted_per_s=accepted_per_s,
                    events_per_s=events_per_s,
                    late=[],
                    refused=[],
                    idle_mb=idle_mb,
                    loaded_mb=parts.memory_mb(),
                    cpu_ms_per_event=1_000 * (parts.cpu_s() - cpu_s) / events,
                    processes=processes,
                )
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
        port = int(await part.said(""))
        await answered_per_s(hooks.requests(warm_up_of(events), f"{run}w"), port)
        return await answered_per_s(hooks.requests(events, run), port)
    finally:
        await parts.stop()


async def _burst(port: int, tally: Tally, events: int, run: str) -> tuple[float, float]:
    """(accepted a second, brought to the merchant a second)."""
    requests = hooks.requests(events, run)
    wanted = len(tally.first_at) + events
    began = time.perf_counter()
    accepted_per_s = await answered_per_s(requests, port)
    if not await tally.reached(wanted, _PATIENCE_S):
        missing = wanted - len(tally.first_at)
        raise SystemExit(f"refused to report: {missing} of {events} events did not reach the merchant")
    return accepted_per_s, events / (max(tally.first_at.values()) - began)


async def _steady(port: int, tally: Tally, rate: float, seconds: float, run: str) -> Late:
    now_s, count = int(time.time()), round((WARM_UP_S + seconds) * rate)
    bodies = [hooks.body(number, run, now_s) for number in range(count)]
    load = SteadyLoad([hooks.request(body, now_s) for body in bodies], rate, poisson(_SEED))
    wanted = len(tally.first_at) + count
    await load.run("127.0.0.1", port)
    await tally.reached(wanted, _PATIENCE_S)
    lag_p99_ms = load.judged()
    arrived_at = [tally.first_at.get(hooks.id_of(body)) for body in bodies]
    late_ms = [1_000 * (at - due_at) for at, due_at in zip(arrived_at, load.due_at, strict=True) if at is not None]
    if len(late_ms) < count:
        raise SystemExit(f"refused to report: {count - len(late_ms)} of {count} events did not reach the merchant")
    warm_ms = late_ms[round(WARM_UP_S * rate) :]
    return Late(rate, statistics.median(warm_ms), percentile(warm_ms, 99), lag_p99_ms)
