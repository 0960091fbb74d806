"""BullMQ on Redis, as its guide to production has it: a process that receives, a process that works, and Redis."""

from collections.abc import Callable
from pathlib import Path

from bench.peers import npm, redis_server
from bench.peers.parts import Parts
from bench.peers.peer import BUILD, IN_FLIGHT, MERCHANT_SECRET, Peer
from bench.rig.hooks import SECRET

_BUILT = BUILD / "bullmq"


class BullMQ(Peer):
    made_of = "BullMQ 6.7, Redis, two Node processes"
    # What was being worked on is taken up by a look every 30 s that finds its lock (30 s) run out: the second or third.
    settles_s = 90.0
    debian = (*npm.DEBIAN, *redis_server.DEBIAN)

    def __init__(self, appendfsync: redis_server.Appendfsync) -> None:
        self.name = f"bullmq-{appendfsync}"
        self.means = redis_server.MEANS[appendfsync]
        self.power_cut = redis_server.POWER_CUT[appendfsync]
        self._appendfsync: redis_server.Appendfsync = appendfsync

    async def prepare(self, say: Callable[[str], None]) -> None:
        await npm.installed(Path(__file__).with_suffix(""), _BUILT, say)

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        redis_port = await redis_server.start_redis(parts, directory, self._appendfsync)
        env = {
            "NODE_ENV": "production",
            "REDIS_PORT": str(redis_port),
            "STRIPE_SECRET": SECRET,
            "MERCHANT_SECRET": MERCHANT_SECRET,
            "SINK_URL": sink_url,
            "IN_FLIGHT": str(IN_FLIGHT),
        }
        worker = await parts.start("worker", ["node", _BUILT / "worker.mjs"], env=env)
        receiver = await parts.start("receiver", ["node", _BUILT / "receiver.mjs"], env=env)
        await worker.said("ready")
        return int((await receiver.said("ready")).split()[1])
