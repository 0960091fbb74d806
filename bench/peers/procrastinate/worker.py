"""Procrastinate's worker: as many jobs at a time as a peer may have posts under way."""

import sys

import aiohttp
import uvloop
from jobs import HEARTBEAT_S, STALLED_S, app

from bench.peers.peer import IN_FLIGHT


async def work() -> None:
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=IN_FLIGHT), timeout=aiohttp.ClientTimeout(total=15)
        ) as merchant,
        app.open_async(),
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await app.run_worker_async(
            concurrency=IN_FLIGHT,
            additional_context={"merchant": merchant},
            update_heartbeat_interval=HEARTBEAT_S,
            stalled_worker_timeout=STALLED_S,
        )


uvloop.run(work())
