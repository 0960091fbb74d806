"""How each fault of the nemesis is done to the world, and healed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.jepsen.alone import Alone
from tests.faults.jepsen.nemesis import DAWDLES, WEATHERS, Planned
from tests.faults.jepsen.node import Node, comes_true
from tests.faults.jepsen.surroundings import Tracer
from tests.faults.jepsen.world import World
from tests.running import PATIENCE_S

DAWDLING_S = 0.4
SYNC_S = 0.15
"""What a slow sync takes longer."""
STALL_S = 1.5
"""The same of one in which the process is killed: in a third of it hooks have queued behind it."""

Deed = Callable[[Any, Planned], Awaitable[str]]
"""Does a fault to a world, and heals it; what there is to say of it."""


async def strike(world: World, fault: Planned, deeds: Mapping[str, Deed]) -> None:
    """Do it, and heal it. `deeds` are those that are no weather."""
    began = world.history.now()
    where, _, weather = fault.kind.partition(": ")
    if weather in WEATHERS:
        detail = await _on_line(world, fault, where, weather)
    else:
        detail = await deeds[fault.kind](world, fault)
    world.history.note("fault", fault.kind, began, world.history.now(), detail)


async def _on_line(world: World, fault: Planned, where: str, weather: str) -> str:
    node = world.picked(fault)
    name = node.name or where if where == "hooks" else fault.choose(world.settings.names)
    line = node.hooks if where == "hooks" else world.lines[name]
    line.strike(WEATHERS[weather])
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        line.heal()
    return name


@asynccontextmanager
async def dawdling(world: World, names: Sequence[str], seconds: float = DAWDLING_S) -> AsyncIterator[None]:
    """Each takes so long for a request."""
    world.merchants.dawdling.update(dict.fromkeys(names, seconds))
    try:
        yield
    finally:
        for name in names:
            world.merchants.dawdling.pop(name, None)


async def dawdles(world: World, fault: Planned) -> str:
    name = fault.choose(world.settings.names)
    async with dawdling(world, [name]):
        await asyncio.sleep(fault.lasts_s)
    return name


async def kill(world: World, fault: Planned) -> str:
    node = world.picked(fault)
    node.running.send_signal(signal.SIGKILL)
    await node.ended("kill", -signal.SIGKILL)
    await node.begin()
    return node.name


async def _kill_in_a_slow_sync(world: Alone, fault: Planned) -> str:
    """While hooks wait for a commit."""
    async with _slow(world, STALL_S):
        await asyncio.sleep(STALL_S / 3)
        return await kill(world, fault)


async def stop(world: World, fault: Planned) -> str:
    node = world.picked(fault)
    await node.end()
    await node.begin()
    return node.name


@asynccontextmanager
async def paused(world: World, fault: Planned) -> AsyncIterator[Node]:
    node = world.picked(fault)
    node.running.send_signal(signal.SIGSTOP)
    try:
        yield node
    finally:
        node.running.send_signal(signal.SIGCONT)


async def pause(world: World, fault: Planned, at_least_s: float = 0) -> str:
    async with paused(world, fault) as node:
        await asyncio.sleep(at_least_s + fault.lasts_s)
    return node.name


async def reload(world: World, _fault: Planned, again_s: float = PATIENCE_S) -> str:
    """Who has not read it after so long is told again."""

    def done(node: Node) -> int:
        return sum(line.get("event") == "reloaded" for line in node.running.log)

    before = {node.name: done(node) for node in world.nodes}

    def behind() -> list[Node]:
        return [node for node in world.nodes if done(node) == before[node.name]]

    world.settings.change()
    world.write_settings()
    for _ in range(round(PATIENCE_S / again_s)):
        for node in behind():
            node.running.send_signal(signal.SIGHUP)
        if await comes_true(lambda: not behind(), again_s):
            break
    for node in behind():
        node.found("I12", f"a reload did not get through: {node.running.log[-3:]}")
    world.now_signs()
    return ""


async def _clock_jumps(world: Alone, fault: Planned) -> str:
    world.clock.set(fault.jump_s)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        world.clock.set(0)
    return f"{fault.jump_s:+} s"


async def _disk_full(world: Alone, fault: Planned) -> str:
    await asyncio.to_thread(world.ballast.fill)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        world.ballast.free()
    return ""


async def _slow_syncs(world: Alone, fault: Planned) -> str:
    async with _slow(world, SYNC_S):
        await asyncio.sleep(fault.lasts_s)
    return ""


@asynccontextmanager
async def _slow(world: Alone, sync_s: float) -> AsyncIterator[None]:
    injected = f"fdatasync,fsync:delay_enter={round(sync_s * 1_000_000)}"
    tracer = Tracer(world.directory / "slow.trace", world.nodes[0].running.pid, injected)
    await tracer.start()
    try:
        yield
    finally:
        await tracer.stop()


def _fails(call: str) -> Deed:
    async def fail(world: Alone, fault: Planned) -> str:
        """The first such call of each thread fails; what the disk holds is unknown then, so the process must end."""
        [node] = world.nodes
        tracer = Tracer(world.directory / "failed.trace", node.running.pid, f"{call}:error=EIO:when=1")
        await tracer.start()
        try:
            await node.ended(fault.kind, 1)
        finally:
            await tracer.stop()
        if (failed_at := tracer.first_failed_at()) is not None:
            world.history.note("sync_failed", node.life, world.history.at(failed_at))
        await node.begin()
        return "" if failed_at is not None else "nothing failed"

    return fail


DEEDS: Mapping[str, Deed] = {
    DAWDLES: dawdles,
    "kill": kill,
    "kill in a slow sync": _kill_in_a_slow_sync,
    "stop": stop,
    "sync fails": _fails("fdatasync"),
    "write fails": _fails("pwrite64"),
    "pause": pause,
    "reload": reload,
    "clock jumps": _clock_jumps,
    "slow syncs": _slow_syncs,
    "disk full": _disk_full,
}
