"""The world of several nodes on one PostgreSQL, each with a network of its own on a bridge."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import asyncpg

from tests.copied import copy
from tests.daemon.on_postgres import STORE_KEY, ask
from tests.faults.jepsen.alone import command
from tests.faults.jepsen.history import History
from tests.faults.jepsen.invariants import Broken, judged, verified
from tests.faults.jepsen.node import Node
from tests.faults.jepsen.nodes.network import HOST, NETWORK, Network, network
from tests.faults.jepsen.nodes.rules import PREPARATION, RULES, TAKEOVERS
from tests.faults.jepsen.nodes.wishes import rate_limit, wishes
from tests.faults.jepsen.settings import Settings
from tests.faults.jepsen.surroundings import Clock
from tests.faults.jepsen.world import ALL_NAMES, Load, World
from tests.faults.proxy import Proxy
from tests.postgres import Server, server
from tests.running import PATIENCE_S
from webhookd.providers import reread
from webhookd.store.postgres.audit import audit as verify
from webhookd.store.postgres.database import connect, prepare
from webhookd.store.sqlite.driver import driver

SCHEMA = "webhookd"
NODES = ("north", "east", "west")
LOOK_S = 0.02
LOG = "log.db"
"""What was in PostgreSQL at the end, for the auditor."""
_WITNESS = Path(__file__).with_name("witness.sql")


class Several(World):
    def __init__(
        self, directory: Path, seed: int, load: Load, server: Server, network: Network, sabotage: str | None
    ) -> None:
        lines = {name: _Junction(self) for name in ALL_NAMES}
        dice = random.Random(f"{seed}:settings")
        settings = Settings(dice, lines, load.retention, wishes(load.rate), HOST)
        super().__init__(directory, seed, load, settings, lines)
        self.server, self.network = server, network
        self.url = server.url(SCHEMA)
        clock = Clock(directory / "clock", self.history)  # nobody sets it
        for name in network.nodes:
            (directory / name).mkdir()
            started = [*network.prefix(name), *command(clock, sabotage)]
            self.nodes.append(Node(self, name, directory / name, started))

    async def start(self) -> None:
        await prepare(connect(self.url, "start"))
        connection = await asyncpg.connect(self.url.partition("?")[0])
        await connection.execute(_WITNESS.read_text().format(schema=SCHEMA))
        await connection.close()
        self.history.note("zero", time.time() - self.history.now(), rate_limit(self.load.rate))
        for name in self.network.nodes:
            self.history.note("place", name, self.network.address(name))
        await super().start()

    def text(self, node: Node) -> str:
        where = self.settings.text(host=self.network.address(node.name), network=NETWORK)
        return f'{where}\n[store]\nurl = "{self.url}"\nkey = "{STORE_KEY}"\n'

    async def look_through(self) -> None:
        """What the server has brought back from a crash."""
        for finding in await verify(self.url, reread):
            self.found("I14", f"after a crash of the server: {finding}")

    async def overtaken(self, node: Node) -> bool:
        """Whether others have in time taken all that it had; the server may be away meanwhile."""
        of_it = f"WHERE name LIKE '% {node.running.pid}'"
        held = f"SELECT count(*) FROM {SCHEMA}.claim JOIN {SCHEMA}.node ON number = node {of_it}"
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with suppress(OSError, asyncpg.PostgresError):
                        if await ask(self.url, held) == [(0,)]:
                            return True
                    await asyncio.sleep(LOOK_S)
        return False

    async def audit(self) -> list[Broken]:
        broken = verified(await verify(self.url, reread))
        log = self.directory / LOG
        await copy(self.url, log, "witness")
        broken += judged_of_nodes(self.history, log, self.settings.ever)
        with closing(driver.connect(log)) as connection:
            (self.takeovers,) = connection.execute(TAKEOVERS).fetchone()
        return broken


def judged_of_nodes(history: History, log: Path, secrets: Iterable[str]) -> list[Broken]:
    """By what all have kept; `verify` asks the server itself."""
    return judged(history, log, secrets, forgets=False, rules=RULES, preparation=PREPARATION)


@asynccontextmanager
async def several(
    directory: Path, seed: int, load: Load, _kinds: Collection[str], sabotage: str | None = None
) -> AsyncIterator[Several]:
    """In a scenario's own namespace (`tests.faults.namespace`), which takes the bridge along when it goes."""
    with network(NODES) as lines, server(HOST) as own:
        made = Several(directory, seed, load, own, lines, sabotage)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()


class _Junction(Proxy):
    """A merchant's line as all nodes dial it: who calls is known by his address."""

    def __init__(self, world: Several) -> None:
        super().__init__(host=HOST)
        self._world = world

    def leads_to(self, dialler: str) -> tuple[str, int] | None:
        node = self._world.network.node_at(dialler)
        return ("127.0.0.1", self._world.merchants.ports[node]) if node is not None else None
