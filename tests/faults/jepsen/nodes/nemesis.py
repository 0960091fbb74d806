"""What is done to several nodes, to their server and to the lines between them, beside what is done to one daemon."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from tests.daemon.on_postgres import crash
from tests.faults.jepsen.nemesis import DAWDLES, ON_LINES, Kinds, Planned
from tests.faults.jepsen.nodes.several import Several
from tests.faults.jepsen.strikes import Deed, dawdles, kill, pause, reload, stop
from webhookd.store.protocol.claims import LEASE_S

OUTLIVED_S = LEASE_S + 1
"""Whoever is silent for so long is taken for dead."""
LOST = "numgen random mod 100 < 15 drop"
LITTLE = "limit rate over 40 kbytes/second drop"
RELOAD_AGAIN_S = 5.0
FREEZES, KILLS_SERVER = "freezes", "the server is killed"
IN_PROCESS = ("kill", "stop", "pause", FREEZES, "reload", KILLS_SERVER, "the server is stopped")
ON_NODES = (
    "no database",
    "no database for a moment",
    "loses packets to the database",
    "slow line to the database",
    "no merchants",
)
KINDS = Kinds(IN_PROCESS, (*ON_NODES, *ON_LINES))


@asynccontextmanager
async def _struck(world: Several, fault: Planned, ports: Sequence[int], verdict: str = "drop") -> AsyncIterator[str]:
    node = world.picked(fault).name
    world.network.strike(node, ports, verdict)
    try:
        yield node
    finally:
        world.network.heal(node, ports)


async def _no_database(world: Several, fault: Planned, at_least_s: float = 0, verdict: str = "drop") -> str:
    async with _struck(world, fault, [world.server.port], verdict) as node:
        await asyncio.sleep(at_least_s + fault.lasts_s)
    return node


async def _no_merchants(world: Several, fault: Planned) -> str:
    async with _struck(world, fault, [line.port for line in world.lines.values()]) as node:
        await asyncio.sleep(fault.lasts_s)
        # What has been on its way is not to arrive after its sender has given it up: nobody could tell it from a fault.
        for line in world.lines.values():
            line.cut(world.network.address(node))
    return node


async def _the_server_ends(world: Several, fault: Planned, *, is_killed: bool) -> str:
    """And is there again; then all is looked through beside the nodes that go on."""
    if is_killed:
        await asyncio.to_thread(crash, world.server, world.server.data)
    else:
        await asyncio.to_thread(world.server.stop, "immediate")
    await asyncio.sleep(fault.lasts_s)
    await asyncio.to_thread(world.server.start)
    await world.look_through()
    return ""


DEEDS: Mapping[str, Deed] = {
    DAWDLES: dawdles,
    "kill": kill,
    "stop": stop,
    "pause": pause,
    FREEZES: partial(pause, at_least_s=OUTLIVED_S),
    "reload": partial(reload, again_s=RELOAD_AGAIN_S),
    KILLS_SERVER: partial(_the_server_ends, is_killed=True),
    "the server is stopped": partial(_the_server_ends, is_killed=False),
    "no database": partial(_no_database, at_least_s=OUTLIVED_S),
    "no database for a moment": _no_database,
    "loses packets to the database": partial(_no_database, verdict=LOST),
    "slow line to the database": partial(_no_database, verdict=LITTLE),
    "no merchants": _no_merchants,
}
