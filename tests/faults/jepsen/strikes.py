"""How each fault of the nemesis is done to the world, and healed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.faults.jepsen.nemesis import DAWDLES, WEATHERS, Planned
from tests.faults.jepsen.surroundings import Tracer
from tests.faults.jepsen.world import World, comes_true

SYNC_S = 0.15
"""What a slow sync takes longer."""
STALL_S = 1.5
"""The same of one in which the process is killed: in a third of it hooks have queued behind it."""


async def strike(world: World, fault: Planned) -> None:
    """Do it, and heal it."""
    began = world.history.now()
    where, _, weather = fault.kind.partition(": ")
    if weather in WEATHERS:
        detail = await _on_line(world, fault, where, weather)
    else:
        detail = await DEEDS[fault.kind](world, fault)
    world.history.note("fault", fault.kind, began, world.history.now(), detail)


async def _on_line(world: World, fault: Planned, where: str, weather: str) -> str:
    name = where if where == "hooks" else fault.choose(world.settings.names)
    line = world.hooks if where == "hooks" else world.lines[name]
    line.strike(WEATHERS[weather])
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        line.heal()
    return name


async def _dawdles(world: World, fault: Planned) -> str:
    name = fault.choose(world.settings.names)
    world.merchants.dawdling.add(name)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        world.merchants.dawdling.discard(name)
    return name


async def _kill(world: World, _fault: Planned) -> str:
    world.running.send_signal(signal.SIGKILL)
    await world.ended("kill", -signal.SIGKILL)
    await world.begin()
    return ""


async def _kill_in_a_slow_sync(world: World, fault: Planned) -> str:
    """While hooks wait for a commit."""
    async with _slow(world, STALL_S):
        await asyncio.sleep(STALL_S / 3)
        return await _kill(world, fault)


async def _stop(world: World, _fault: Planned) -> str:
    await world.end(begin_again=True)
    return ""


async def _pause(world: World, fault: Planned) -> str:
    world.running.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        world.running.send_signal(signal.SIGCONT)
    return ""


async def _reload(world: World, _fault: Planned) -> str:
    def done() -> int:
        return sum(line.get("event") == "reloaded" for line in world.running.log)

    before = done()
    world.settings.change()
    world.write_settings()
    world.running.send_signal(signal.SIGHUP)
    if not await comes_true(lambda: done() > before):
        world.found("I12", f"a reload did not get through: {world.running.log[-3:]}")
    world.now_signs()
    return ""


async def _clock_jumps(world: World, fault: Planned) -> str:
    world.clock.set(fault.jump_s)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        world.clock.set(0)
    return f"{fault.jump_s:+} s"


async def _disk_full(world: World, fault: Planned) -> str:
    await asyncio.to_thread(world.ballast.fill)
    try:
        await asyncio.sleep(fault.lasts_s)
    finally:
        world.ballast.free()
    return ""


async def _slow_syncs(world: World, fault: Planned) -> str:
    async with _slow(world, SYNC_S):
        await asyncio.sleep(fault.lasts_s)
    return ""


@asynccontextmanager
async def _slow(world: World, sync_s: float) -> AsyncIterator[None]:
    injected = f"fdatasync,fsync:delay_enter={round(sync_s * 1_000_000)}"
    tracer = Tracer(world.directory / "slow.trace", world.running.pid, injected)
    await tracer.start()
    try:
        yield
    finally:
        await tracer.stop()


def _fails(call: str) -> Callable[[World, Planned], Awaitable[str]]:
    async def fail(world: World, fault: Planned) -> str:
        """The first such call of each thread fails; what the disk holds is unknown then, so the process must end."""
        tracer = Tracer(world.directory / "failed.trace", world.running.pid, f"{call}:error=EIO:when=1")
        await tracer.start()
        try:
            await world.ended(fault.kind, 1)
        finally:
            await tracer.stop()
        if (failed_at := tracer.first_failed_at()) is not None:
            world.history.note("sync_failed", world.life, world.history.at(failed_at))
        await world.begin()
        return "" if failed_at is not None else "nothing failed"

    return fail


DEEDS: dict[str, Callable[[World, Planned], Awaitable[str]]] = {
    DAWDLES: _dawdles,
    "kill": _kill,
    "kill in a slow sync": _kill_in_a_slow_sync,
    "stop": _stop,
    "sync fails": _fails("fdatasync"),
    "write fails": _fails("pwrite64"),
    "pause": _pause,
    "reload": _reload,
    "clock jumps": _clock_jumps,
    "slow syncs": _slow_syncs,
    "disk full": _disk_full,
}
