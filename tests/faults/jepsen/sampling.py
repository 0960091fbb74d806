"""What the daemon takes, as it goes on: memory, descriptors, threads, and the bytes of its files."""

import asyncio
from contextlib import suppress
from pathlib import Path

from tests.faults.jepsen.world import World

EVERY_S = 0.25


async def sample(world: World, every_s: float = EVERY_S) -> None:
    """Until it is cancelled."""
    while True:
        # It may be dead though nobody has noticed.
        with suppress(OSError, KeyError):
            if world.is_up:
                look(world)
        await asyncio.sleep(every_s)


def look(world: World) -> None:
    process = Path(f"/proc/{world.running.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    wal = world.database.with_name(f"{world.database.name}-wal")
    now = world.history.now()
    world.history.note(
        "sample",
        now,
        world.life,
        now - world.began_at,
        int(status["VmRSS"].split()[0]) * 1024,
        sum(1 for _ in (process / "fd").iterdir()),
        int(status["Threads"]),
        world.database.stat().st_size,
        wal.stat().st_size if wal.exists() else 0,
    )
