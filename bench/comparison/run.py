"""One side, from its first start to the last delivery that comes."""

import asyncio
import random
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from bench.comparison.merchants import Merchants
from bench.comparison.provider import Provider, payments
from bench.comparison.sides import Side
from bench.comparison.tally import Run, count, judge
from bench.comparison.trouble import SIGNALS, Fault, Trouble
from bench.rig.merchant import reserve_port
from bench.rig.supervised import Supervised

PATIENCE_S = 30.0
"""So long nothing may come before no more is waited for: longer than any pause that either side takes on its own."""
_LOOK_EVERY_S = 0.25

MakeSide = Callable[[Path, int, int, Mapping[str, str]], Side]
Told = Callable[[float, str], None]
"""Hears how many seconds of the load are over, and what happens."""


async def run(make: MakeSide, trouble: Trouble, seed: int, seconds: float, per_s: float, told: Told) -> Run:
    """The same seed is the same load and the same trouble. Raises SystemExit when the run does not count."""
    merchants = Merchants(trouble, random.Random(seed))
    await merchants.start()
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webhookd-compare-")))
            port, admin_port = (_kept_port(stack) for _ in range(2))
            side = make(directory, port, admin_port, merchants.urls)
            hooks = payments(random.Random(seed), seconds, per_s)
            provider = Provider(hooks, side.url)
            async with AsyncExitStack() as running:
                processes = [
                    await running.enter_async_context(Supervised(*program, directory / f"log-{number}"))
                    for number, program in enumerate(side.programs)
                ]
                merchants.began = began = time.perf_counter()
                async with asyncio.TaskGroup() as together:
                    together.create_task(provider.run(began))
                    together.create_task(_strike(processes, trouble.faults, began, told))
                told(seconds, "waiting for the rest")
                await _end(side, merchants)
                for process in processes:
                    await process.stop()
            findings = await side.findings()
    finally:
        await merchants.stop()
    if findings:
        raise SystemExit(f"what was kept is wrong: {'; '.join(findings)}")
    found = count(hooks, merchants.receipts, provider.lags_s)
    judge(found.tally, merchants.forged)
    return found


async def _strike(processes: Sequence[Supervised], faults: Sequence[Fault], began: float, told: Told) -> None:
    """Each fault at its time, or when the one before is over, at one process after the other."""
    for number, fault in enumerate(faults, 1):
        process = processes[(number - 1) % len(processes)]
        while (left_s := began + fault.at_s - time.perf_counter()) > 0:
            told(fault.at_s - left_s, f"{SIGNALS[fault.kind]} {number} of {len(faults)} to come")
            await asyncio.sleep(min(left_s, _LOOK_EVERY_S))
        await (process.deploy() if fault.kind == "deploy" else process.crash())


async def _end(side: Side, merchants: Merchants) -> None:
    """Wait until it has nothing more to deliver, or nothing came for so long."""
    answers, heard_at = -1, time.perf_counter()
    while await side.waiting() and time.perf_counter() - heard_at < PATIENCE_S:
        if merchants.answers > answers:
            answers, heard_at = merchants.answers, time.perf_counter()
        await asyncio.sleep(_LOOK_EVERY_S)


def _kept_port(stack: ExitStack) -> int:
    """A port that stays ours between two processes: who is told it may listen on it, and nobody gets it by chance."""
    reserved = stack.enter_context(reserve_port())
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return int(reserved.getsockname()[1])
