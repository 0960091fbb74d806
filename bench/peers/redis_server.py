"""A Redis of the bench's own, on a port of its own; its files are in the peer's directory."""

from pathlib import Path
from typing import Literal

from bench.peers.parts import Parts
from bench.peers.ports import free_port

Appendfsync = Literal["always", "everysec"]
DEBIAN = (("redis-server", "redis-server"),)
MEANS: dict[Appendfsync, str] = {
    "always": "Redis has synced it to its append-only file (appendfsync always)",
    "everysec": "Redis has written it to its append-only file, which is synced once a second (appendfsync everysec)",
}
POWER_CUT: dict[Appendfsync, str] = {"always": "nothing", "everysec": "about a second of acknowledged hooks"}


async def start_redis(parts: Parts, directory: Path, appendfsync: Appendfsync) -> int:
    """Its port. Ready: what was in its append-only file is loaded."""
    files = directory / "redis"
    files.mkdir(exist_ok=True)
    port = free_port()
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(files),
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "save": "",  # the append-only file has it all: snapshots beside it would only cost
        "maxmemory-policy": "noeviction",  # what BullMQ's and Celery's guides ask for, and Redis' default
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    part = await parts.start("redis-server", ["redis-server", *options])
    await part.said("Ready to accept connections")
    return port
