"""Celery on Redis: a process that receives, one that works, and Redis."""

from collections.abc import Callable
from pathlib import Path

from bench.peers import pypi, redis_server
from bench.peers.parts import Parts
from bench.peers.peer import BUILD, IN_FLIGHT, Peer

_HERE = Path(__file__).with_suffix("")
_BUILT = BUILD / "celery"
_PUBLISHERS = 16
"""Threads of the receiver that publish."""
_WORKERS = 4
"""A worker takes from Redis one task after the other, and waits for each. Its guide: several do better than one."""


class Celery(Peer):
    name = "celery"
    made_of = "Celery 5.7, Redis, five Python processes"
    means = redis_server.MEANS["always"]
    power_cut = redis_server.POWER_CUT["always"]
    settles_s = 45.0  # the visibility timeout (`celery/tasks.py`), and a worker's next look, every 10 s
    debian = redis_server.DEBIAN

    async def prepare(self, say: Callable[[str], None]) -> None:
        await pypi.installed(_HERE / "requirements.txt", _BUILT, say)

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        redis_port = await redis_server.start_redis(parts, directory, "always")
        env = {
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "SINK_URL": sink_url,
            "PUBLISHERS": str(_PUBLISHERS),
            "PYTHONPATH": str(pypi.ROOT),
        }
        python = _BUILT / "bin" / "python"
        # Tasks wait for the network: threads, then, or gevent. Under gevent (as of 5.7) an idle worker never looks for
        # what a killed one had in hand; with threads it does, and they are no slower here.
        command = (python, "-m", "celery", "--app=tasks", "worker", "--pool=threads")
        workers = [
            await parts.start(
                f"worker {number}",
                [*command, f"--concurrency={IN_FLIGHT // _WORKERS}", f"--hostname=worker{number}@%h"],
                env=env,
                cwd=_HERE,
            )
            for number in range(_WORKERS)
        ]
        receiver = await parts.start("receiver", [python, _HERE / "receiver.py"], env=env)
        for worker in workers:
            await worker.said("ready")
        return int((await receiver.said("ready")).split()[-1])
