"""What each daemon takes, as it goes on: memory, descriptors, threads, and the bytes of its files."""

import asyncio
from contextlib import suppress
from pathlib import Path

from tests.faults.jepsen.node import Node
from tests.faults.jepsen.world import World

EVERY_S = 0.25


async def sample(world: World, every_s: float = EVERY_S) -> None:
    """Until it is cancelled."""
    while True:
        for node in world.nodes:
            # It may be dead though nobody has noticed.
            with suppress(OSError, KeyError):
                if node.is_up:
                    look(world, node)
        await asyncio.sleep(every_s)


def look(world: World, node: Node) -> None:
    process = Path(f"/proc/{node.running.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    now = world.history.now()
    world.history.note(
        "sample",
        now,
        node.life,
        now - node.began_at,
        int(status["VmRSS"].split()[0]) * 1024,
        sum(1 for _ in (process / "fd").iterdir()),
        int(status["Threads"]),
        *world.files(),
    )
