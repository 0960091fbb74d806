"""Three daemons on one PostgreSQL, under hooks: one is killed, one frozen beyond its lease, the server crashes."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count, cycle
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.on_postgres import ask, configured, crash, data_directory, send
from tests.postgres import Server, server
from tests.running import PATIENCE_S, RunningDaemon, daemon, endpoint

pytestmark = [pytest.mark.fault(40), pytest.mark.fault(41)]
SHOPS = ("a", "b", "c", "d", "e", "f")


class Cluster:
    """Nodes, what stands before them, and what is behind."""

    def __init__(self, nodes: list[RunningDaemon], shop: Merchant, own: Server, url: str) -> None:
        self.nodes, self.shop, self.own, self._url = nodes, shop, own, url
        self._schema = url.rpartition("=")[2]
        self.acked: list[str] = []
        self._balancer = cycle(nodes)
        self._names = count(1)
        self._is_over = False

    async def provide(self) -> None:
        """Providers send a hook again, to any node, until it is taken."""
        while not self._is_over:
            name = f"evt_{next(self._names)}"
            while True:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        status, event_id = await send(next(self._balancer), name)
                except (aiohttp.ClientError, TimeoutError):
                    continue
                if status == 200:
                    assert event_id is not None
                    self.acked.append(event_id)
                    break

    def enough(self) -> None:
        self._is_over = True

    async def query(self, sql: str) -> list[Any]:
        return await ask(self._url, f"SET search_path = {self._schema}", sql)

    async def until(self, sql: str, holds: Callable[[Any], bool]) -> None:
        """What the database says is so."""
        async with asyncio.timeout(2 * PATIENCE_S):
            while not holds((await self.query(sql))[0][0]):
                await asyncio.sleep(0.1)

    async def more(self, hooks: int = 30) -> None:
        """So many more are acknowledged."""
        wanted = len(self.acked) + hooks
        async with asyncio.timeout(2 * PATIENCE_S):
            while len(self.acked) < wanted:
                await asyncio.sleep(0.01)

    def claims_of(self, name: str) -> str:
        return f"SELECT count(*) FROM claim JOIN node ON number = node WHERE name = '{name}'"


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    with server() as one:
        yield one


@pytest.fixture
async def cluster(tmp_path: Path, own: Server) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as leaving:
        shop = await leaving.enter_async_context(merchant())
        url = own.url()
        config = configured(url, endpoints="".join(endpoint(name, shop.port) for name in SHOPS))
        nodes = []
        for name in ("one", "two", "three"):
            (tmp_path / name).mkdir()
            nodes.append(await leaving.enter_async_context(daemon(tmp_path / name, config)))
        yield Cluster(nodes, shop, own, url)


async def node_name(cluster: Cluster, place: int) -> str:
    [(name,)] = await cluster.query(f"SELECT name FROM node WHERE name LIKE '% {cluster.nodes[place].pid}'")
    return str(name)


async def test_whatever_befalls_nodes_and_server_nothing_acked_is_lost_and_little_is_sent_twice(cluster: Cluster):
    own, nodes = cluster.own, cluster.nodes
    data = await data_directory(own.url())
    for place in range(3):
        name = await node_name(cluster, place)
        await cluster.until(cluster.claims_of(name), lambda held: held == len(SHOPS) // 3)
    providing = [asyncio.create_task(cluster.provide()) for _ in range(4)]
    try:
        await cluster.more()
        killed = await node_name(cluster, 0)
        await nodes[0].kill()
        await cluster.until(cluster.claims_of(killed), lambda held: held == 0)
        await nodes[0].start()
        await cluster.more()
        frozen = await node_name(cluster, 1)
        nodes[1].send_signal(signal.SIGSTOP)
        await cluster.until(cluster.claims_of(frozen), lambda held: held == 0)
        nodes[1].send_signal(signal.SIGCONT)
        await cluster.more()
        await asyncio.to_thread(crash, own, data)
        await asyncio.to_thread(own.start)
        await cluster.more()
    finally:
        cluster.enough()
        await asyncio.gather(*providing)
    await cluster.until("SELECT count(*) FROM delivery WHERE state = 'pending'", lambda pending: pending == 0)
    await all_of_it_is_right(cluster)


async def all_of_it_is_right(cluster: Cluster) -> None:
    sent = Counter((got.path.strip("/"), got.headers["webhook-id"]) for got in cluster.shop.got)
    assert {(shop, event_id) for shop in SHOPS for event_id in cluster.acked} <= sent.keys(), "lost"
    assert max(sent.values()) <= 1 + 3, "each takeover, and the crash, may have one more sent"
    assert len(sent) == len({event_id for _, event_id in sent}) * len(SHOPS)
    [(twice,)] = await cluster.query("SELECT count(*) FROM delivery WHERE state <> 'delivered' OR attempts <> 1")
    assert twice == 0, "of what was sent twice one attempt is on record"
    [(unlike,)] = await cluster.query(
        "SELECT count(*) FROM delivery AS d "
        "WHERE attempts <> (SELECT count(*) FROM attempt AS a WHERE a.event = d.event AND a.endpoint = d.endpoint)"
    )
    assert unlike == 0


async def test_an_endpoint_that_is_changed_at_one_node_is_changed_at_all_and_status_lists_the_nodes(cluster: Cluster):
    first, second, _ = cluster.nodes
    async with desk(first) as operator:
        listed = (await operator.get("/nodes"))["data"]
        assert [(each["role"], each["alive"]) for each in listed] == [("all", True)] * 3
        await operator.done("POST", "/endpoints/a/pause")
    async with desk(second) as operator, asyncio.timeout(PATIENCE_S):
        while (await operator.get("/endpoints/a"))["state"] != "paused":
            pass
    _, event_id = await send(second, "evt_of_a_paused_one")
    assert event_id is not None
    await cluster.shop.has(len(SHOPS) - 1)
    await cluster.until("SELECT count(*) FROM delivery WHERE state = 'pending'", lambda pending: pending == 1)
