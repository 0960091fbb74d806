"""What is done to several nodes, to their server and to the lines between them, beside what is done to one daemon."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from tests.daemon.on_postgres import crash
from tests.faults.jepsen.nemesis import DAWDLES, ON_LINES, Kinds, Planned
from tests.faults.jepsen.node import Node
from tests.faults.jepsen.nodes.rules import BEGUN_S
from tests.faults.jepsen.nodes.several import Several
from tests.faults.jepsen.settings import TIMEOUT_S
from tests.faults.jepsen.strikes import DAWDLING_S, Deed, dawdles, dawdling, kill, pause, paused, reload, stop
from tests.faults.jepsen.world import ALL_NAMES
from webhookd.store.protocol.claims import LEASE_S

OUTLIVED_S = LEASE_S + 1
"""Whoever is silent for so long is taken for dead."""
LOST = "numgen random mod 100 < 15 drop"
LITTLE = "limit rate over 40 kbytes/second drop"
RELOAD_AGAIN_S = 5.0
FREEZES, IS_OVERTAKEN = "freezes", "freezes until it is overtaken"
KILLS_SERVER, LONG = "the server is killed", "no database for long, and work for as long"
IN_PROCESS = ("kill", "stop", "pause", FREEZES, IS_OVERTAKEN, "reload", KILLS_SERVER, "the server is stopped")
ON_NODES = (
    "no database",
    "no database until it is overtaken",
    "no database for a moment",
    "loses packets to the database",
    "slow line to the database",
    "no merchants",
    LONG,
)
KINDS = Kinds(IN_PROCESS, (*ON_NODES, *ON_LINES))


@asynccontextmanager
async def _struck(world: Several, fault: Planned, ports: Sequence[int], verdict: str = "drop") -> AsyncIterator[Node]:
    node = world.picked(fault)
    world.network.strike(node.name, ports, verdict)
    try:
        yield node
    finally:
        world.network.heal(node.name, ports)


async def _no_database(world: Several, fault: Planned, at_least_s: float = 0, verdict: str = "drop") -> str:
    async with _struck(world, fault, [world.server.port], verdict) as node:
        await asyncio.sleep(at_least_s + fault.lasts_s)
    return node.name


async def _frozen_until_overtaken(world: Several, fault: Planned) -> str:
    """It goes on while others are about what it was about: what it has to say then comes before what they find."""
    async with dawdling(world, ALL_NAMES):
        await asyncio.sleep(DAWDLING_S / 2)
        async with paused(world, fault) as node:
            return f"{node.name}{'' if await world.overtaken(node) else ' was not overtaken'}"


async def _no_database_until_overtaken(
    world: Several, fault: Planned, dawdles_s: float = DAWDLING_S, after_s: float = 0
) -> str:
    """The same of one that has made attempts meanwhile; and makes none once it is overtaken, though it has work."""
    async with dawdling(world, ALL_NAMES, dawdles_s):
        await asyncio.sleep(2 * dawdles_s)
        async with _struck(world, fault, [world.server.port]) as node:
            is_overtaken = await world.overtaken(node)
            await asyncio.sleep(after_s)
    return f"{node.name}{'' if is_overtaken else ' was not overtaken'}"


async def _no_merchants(world: Several, fault: Planned) -> str:
    async with _struck(world, fault, [line.port for line in world.lines.values()]) as node:
        await asyncio.sleep(fault.lasts_s)
        # What has been on its way is not to arrive after its sender has given it up: nobody could tell it from a fault.
        for line in world.lines.values():
            line.cut(world.network.address(node.name))
    return node.name


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
    IS_OVERTAKEN: _frozen_until_overtaken,
    "reload": partial(reload, again_s=RELOAD_AGAIN_S),
    KILLS_SERVER: partial(_the_server_ends, is_killed=True),
    "the server is stopped": partial(_the_server_ends, is_killed=False),
    "no database": partial(_no_database, at_least_s=OUTLIVED_S),
    "no database until it is overtaken": _no_database_until_overtaken,
    LONG: partial(_no_database_until_overtaken, dawdles_s=0.8 * TIMEOUT_S, after_s=2 * BEGUN_S),
    "no database for a moment": _no_database,
    "loses packets to the database": partial(_no_database, verdict=LOST),
    "slow line to the database": partial(_no_database, verdict=LITTLE),
    "no merchants": _no_merchants,
}
