"""Procrastinate on PostgreSQL: a process that receives, a process that works, and the database."""

from collections.abc import Callable
from pathlib import Path

from bench.peers import postgresql, pypi
from bench.peers.parts import Parts
from bench.peers.peer import BUILD, Peer

_HERE = Path(__file__).with_suffix("")
_BUILT = BUILD / "procrastinate"


class Procrastinate(Peer):
    name = "procrastinate"
    made_of = "procrastinate 3.10, PostgreSQL, two Python processes"
    means = postgresql.MEANS
    power_cut = "nothing"
    # What a killed worker was doing is stalled after 10 s, which is looked at every 5 s (`procrastinate/jobs.py`).
    settles_s = 20.0

    def missing(self) -> list[str]:
        return [] if postgresql.programs() else [postgresql.DEBIAN]

    async def prepare(self, say: Callable[[str], None]) -> None:
        await pypi.installed(_HERE / "requirements.txt", _BUILT, say)

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        python = _BUILT / "bin" / "python"
        new = not (directory / "postgresql").exists()
        env = {
            "DATABASE": await postgresql.start_postgresql(parts, directory),
            "SINK_URL": sink_url,
            "PYTHONPATH": str(pypi.ROOT),
        }
        if new:
            await pypi.done(python, "-m", "procrastinate", "--app=jobs.app", "schema", "--apply", env=env, cwd=_HERE)
        # One: a second was tried, and brings no more.
        worker = await parts.start("worker", [python, _HERE / "worker.py"], env=env)
        receiver = await parts.start("receiver", [python, _HERE / "receiver.py"], env=env)
        await worker.said("ready")
        return int((await receiver.said("ready")).split()[1])
