"""webhookd for eight shops: so many processes that share a log in PostgreSQL, each with its own port; or one alone."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import asyncpg

from bench.peers import postgresql
from bench.peers.ours import Ours
from bench.peers.parts import Parts
from bench.peers.peer import IN_FLIGHT, MERCHANT_SECRET, Peer
from bench.rig.daemon import configure

SHOPS = tuple(f"shop{number}" for number in range(8))
"""Sources; what comes of one goes to an endpoint of its own, and these are shared out among the nodes."""
STORE_KEY = "0123456789abcdef0123456789abcdef"
_SHARED_S_MAX = 60.0
_SHARED_POLL_S = 0.05


def endpoints_of(sink_url: str) -> str:
    """Of all together as many posts at a time as a peer has."""
    return "\n".join(
        f'[endpoints.{shop}]\nurl = "{sink_url}"\nsources = ["{shop}"]\nsecret = "{MERCHANT_SECRET}"\n'
        f"max_in_flight = {IN_FLIGHT // len(SHOPS)}"
        for shop in SHOPS
    )


class Alone(Ours):
    """A node without PostgreSQL, for the same endpoints."""

    name = "SQLite"
    sources = SHOPS

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        config = configure(directory, endpoints_of(sink_url), sources=SHOPS)
        return await started_node(parts, config)


async def started_node(parts: Parts, config: Path) -> int:
    """Its port for hooks."""
    node = await parts.start("node", (sys.executable, "-m", "webhookd", "serve", "-c", str(config)))
    ready = json.loads(await node.said('"event": "ready"'))
    return int(ready["hooks"].rpartition(":")[2])


class Nodes(Peer):
    means = "the event and its delivery are committed, and PostgreSQL has synced its log"
    power_cut = "nothing"
    settles_s = 20.0
    sources = SHOPS

    def __init__(self, count: int) -> None:
        self.name = f"{count} node{'s' if count > 1 else ''}"
        self.made_of = f"{count} webhookd, PostgreSQL"
        self.count = count
        self.ports: list[int] = []
        self.url = ""

    def missing(self) -> list[str]:
        return [] if postgresql.programs() else [postgresql.DEBIAN]

    async def prepare(self, say: Callable[[str], None]) -> None:
        pass

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        settings = dict(each.split("=", 1) for each in (await postgresql.start_postgresql(parts, directory)).split())
        self.url = f"postgresql://{settings['user']}@/{settings['dbname']}?host={quote(settings['host'], safe='')}"
        self.ports = [await self._started(parts, directory / f"node{n}", sink_url) for n in range(self.count)]
        await self._shared_out()
        return self.ports[0]

    async def _started(self, parts: Parts, home: Path, sink_url: str) -> int:
        home.mkdir(exist_ok=True)
        store = f'url = "{self.url}"\nkey = "{STORE_KEY}"'
        config = configure(home, endpoints_of(sink_url), sources=SHOPS, store=store)
        return await started_node(parts, config)

    async def _shared_out(self) -> None:
        """Wait until each node delivers to as many endpoints."""
        connection = await asyncpg.connect(self.url)
        try:
            async with asyncio.timeout(_SHARED_S_MAX):
                while True:
                    rows = await connection.fetch(
                        "SELECT count(*) FROM webhookd.claim WHERE node IS NOT NULL GROUP BY node"
                    )
                    if [row[0] for row in rows] == [len(SHOPS) // self.count] * self.count:
                        return
                    await asyncio.sleep(_SHARED_POLL_S)
        except TimeoutError:
            raise SystemExit(f"{self.name}: the endpoints were not shared out") from None
        finally:
            await connection.close()
