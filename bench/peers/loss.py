"""What a peer loses when every part of it is killed (SIGKILL) at once, under load, at random moments."""

import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bench.peers.peer import Peer, started
from bench.peers.provider import Provider
from bench.peers.tally import Tally
from bench.rig.merchant import listen, port_of

ACKS_BEFORE_KILL = (100, 1_000)
"""How many more events have had their 200 when the next kill strikes: at least, and at most."""
_PATIENCE_S = 60.0
"""For the next 200."""


class Losses(msgspec.Struct):
    kills: int
    acked: int
    """Events that had a 200."""
    lost: int
    """Of these, those that never reached the merchant."""
    repeated: int
    """Events that reached him more than once."""
    waited_s: float
    """From an event's 200 until the merchant had it first: the longest, of those that he got."""


async def losses(peer: Peer, kills: int, seed: int, run: str, told: Callable[[], None] = lambda: None) -> Losses:
    """`told` hears of each kill. Raises SystemExit when the peer does not take hooks in, or does not start again."""
    dice, tally, provider = random.Random(seed), Tally(), Provider(run)
    server = await listen(tally)
    try:
        with tempfile.TemporaryDirectory(prefix="webhookd-bench-") as directory:
            sink_url = f"http://127.0.0.1:{port_of(server)}/"
            for _ in range(kills):
                async with started(peer, Path(directory), sink_url) as (parts, port):
                    await provider.connect(port)
                    await provider.acked_more(dice.randint(*ACKS_BEFORE_KILL), _PATIENCE_S)
                    await parts.kill()
                await provider.disconnected()
                told()
            async with started(peer, Path(directory), sink_url) as (parts, port):
                await provider.connect(port)
                await provider.finish(_PATIENCE_S)
                # What was under way at the last kill comes again when it is taken up again, delivered or not.
                await tally.silence(peer.settles_s)
                parts.check()
    finally:
        server.close()
    tally.judge(peer.name)
    return audit(kills, provider.acked_at, tally.times, tally.first_at)


def audit(
    kills: int, acked_at: Mapping[bytes, float], times: Mapping[bytes, int], first_at: Mapping[bytes, float]
) -> Losses:
    """`times`: how often each event came to the merchant. One that came and had no 200 is neither lost nor late."""
    came = acked_at.keys() & first_at.keys()
    return Losses(
        kills=kills,
        acked=len(acked_at),
        lost=len(acked_at) - len(came),
        repeated=sum(each > 1 for each in times.values()),
        waited_s=max((first_at[event] - acked_at[event] for event in came), default=0.0),
    )
