"""Providers who come all at once, and again when they are refused; and a daemon that can take nothing for a while."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.receive.wire import ask, event, post, stripe
from tests.running import RunningDaemon
from webhookd.store.sqlite.connection import open_alone

HURRY = 0.1
"""Of the time that they are told to wait: so that a test does not take as long."""


class Crowd:
    """Whoever comes stays until his hook is taken; what came of it is counted."""

    def __init__(self, port: int, dice: Random) -> None:
        self.taken: dict[str, str] = {}
        """Our id, by the provider's."""
        self.refused = 0
        self.requests = 0
        self._port = port
        self._dice = dice
        self._tasks: list[asyncio.Task[None]] = []

    def comes(self, name: str, kind: str = "payment_intent.succeeded") -> None:
        self._tasks.append(asyncio.create_task(self._until_taken(name, kind)))

    async def is_taken(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _until_taken(self, name: str, kind: str) -> None:
        subject = {"id": f"of_{name}", "object": kind.split(".")[-2], "amount": 4200, "currency": "usd"}
        body = event(name, type=kind, data={"object": {**subject, "status": "needs_response"}})
        request = post("stripe", body, stripe(body))
        if self._dice.random() < 0.25:
            request = request.replace(b" HTTP/1.1", b" HTTP/1.0", 1)  # as a proxy that does not keep connections
        while True:
            self.requests += 1
            answer = await ask(self._port, request)
            if answer.status == 200:
                self.taken[name] = answer.json()["event_id"]
                return
            assert answer.status == 503, answer.raw
            assert int(answer.headers["retry-after"]) in range(1, 6)
            self.refused += 1
            await asyncio.sleep(HURRY * int(answer.headers["retry-after"]))


@contextmanager
def locked(running: RunningDaemon) -> Iterator[None]:
    """Nothing can be committed meanwhile: somebody else writes to the database."""
    holder = open_alone(running.directory / "data" / "webhookd.db")
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


def files_of(running: RunningDaemon) -> int:
    """Descriptors that it has open."""
    return len([*Path(f"/proc/{running.pid}/fd").iterdir()])


def threads_of(running: RunningDaemon) -> int:
    return len([*Path(f"/proc/{running.pid}/task").iterdir()])


def memory_most_mib(running: RunningDaemon) -> float:
    """The most that it ever had, as the kernel keeps it."""
    lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
