"""What a daemon is put through beside a log, and how it did: at rest, receiving, delivering, at a steady rate."""

import asyncio
import secrets
import time
from pathlib import Path

import msgspec

from bench.rig import hooks
from bench.rig.daemon import daemon
from bench.rig.load import answered_per_s, warm_up_of
from bench.rig.longlog import Ids, run_of
from bench.rig.merchant import Connection, Merchant, Witness
from bench.rig.steady import SteadyLoad

REST_S = 1.0
WARM_UP_S = 2.0
_ARRIVAL_S_MAX = 120.0


class Stand:
    """Where a healthy merchant stands: the address stays, and who is there changes."""

    def __init__(self) -> None:
        self.merchant: Merchant = Witness(0)

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self.merchant.take(connection, head, body)

    def witness(self, wanted: int) -> Witness:
        """Someone else, who waits for so many events."""
        self.merchant = witness = Witness(wanted)
        return witness


class Work(msgspec.Struct, frozen=True):
    """What a daemon is given each time."""

    ids: Ids
    events: int
    """Hooks to be received, and as many to be delivered."""
    per_s: float
    seconds: float


class Measured(msgspec.Struct):
    """One daemon's."""

    ready_s: float
    rest_mb: float
    most_mb: float
    receive_per_s: float
    end_to_end_per_s: float
    latencies_ms: list[float]
    lag_p99_ms: float


async def put_through(config: Path, stand: Stand, work: Work) -> Measured:
    """Raises SystemExit when it does not count."""
    received, delivered = (_requests(work, source, work.events) for source in ("quiet", "shop"))
    steady = _requests(work, "shop", round((WARM_UP_S + work.seconds) * work.per_s))
    load = SteadyLoad(steady, work.per_s)
    async with daemon(config) as running:
        await asyncio.sleep(REST_S)
        rest_mb = running.rss_mb()
        await answered_per_s(_requests(work, "quiet", warm_up_of(work.events)), running.port)
        receive_per_s = await answered_per_s(received, running.port)
        shop = stand.witness(len(delivered))
        began = time.perf_counter()
        await answered_per_s(delivered, running.port)
        await shop.sees_all(_ARRIVAL_S_MAX)
        end_to_end_per_s = len(delivered) / (time.perf_counter() - began)
        shop = stand.witness(len(steady))
        await load.run("127.0.0.1", running.port)
        lag_p99_ms = load.judged()
        await shop.sees_all(_ARRIVAL_S_MAX)
        most_mb = running.rss_max_mb()
    warm = range(round(WARM_UP_S * work.per_s), len(steady))
    return Measured(
        ready_s=running.ready_s,
        rest_mb=rest_mb,
        most_mb=most_mb,
        receive_per_s=receive_per_s,
        end_to_end_per_s=end_to_end_per_s,
        latencies_ms=[1_000 * (shop.arrived_at[n] - load.due_at[n]) for n in warm],
        lag_p99_ms=lag_p99_ms,
    )


def _requests(work: Work, source: str, count: int) -> list[bytes]:
    """Hooks that no log has seen."""
    now_s, run = int(time.time()), secrets.token_hex(3)
    bodies = (hooks.body(number, run_of(number, run, now_s, work.ids), now_s) for number in range(count))
    return [hooks.request(body, now_s, source) for body in bodies]
