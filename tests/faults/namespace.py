"""A network of a test's own, in which it may lose packets and be slow: a Linux network namespace.

A scenario is a module with `async def main(arguments) -> dict`: it is run in there, as a process of its own, and what
it gives comes back. The namespace goes when its last process does.
"""

import asyncio
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.running import PATIENCE_S

ROOT = Path(__file__).parents[2]
_INSIDE = ("unshare", "--net", "--mount", "--")
LEAVES_S_MAX = 30.0
MTU = 1_500
"""That of the loopback interface in there: a packet that is lost is then not all that was said."""


@cache
def missing() -> str | None:
    """What keeps us from having one, though the tools are there; None when nothing does."""
    tried = "ip link set lo up && nft add table ip t && tc qdisc add dev lo root tbf rate 1mbit burst 10kb latency 1s"
    done = subprocess.run([*_INSIDE, "sh", "-c", tried], check=False, capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr.strip()[:200]


def must_be_possible(*, or_skip: bool = True) -> None:
    """Skip the test that asks where it is not, for the right to it is seldom had in a container, be it CI's or not; or
    fail it.
    """
    absent = [tool for tool in ("unshare", "nsenter", "ip", "nft", "tc") if shutil.which(tool) is None]
    assert not absent or "CI" not in os.environ, f"what CI installs has no {absent}"
    if (why := f"there is no {absent}" if absent else missing()) is not None:
        (pytest.skip if or_skip else pytest.fail)(f"no network of our own: {why}")


async def inside(scenario: str, *arguments: str, patience_s: float = 4 * PATIENCE_S) -> dict[str, Any]:
    """What the scenario gives. Raises AssertionError with what it said when it fails."""
    process = await asyncio.create_subprocess_exec(
        *(*_INSIDE, sys.executable, "-m", __name__, scenario, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(patience_s):
            told, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LEAVES_S_MAX)
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()[-5_000:]
    return dict(json.loads(told))


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def lose(per_cent: int) -> None:
    """Of all packets that arrive, drop so many, as they come; 0: none any more."""
    run("nft", "flush", "chain", "ip", "weather", "input")
    if per_cent:
        run("nft", "add", "rule", "ip", "weather", "input", f"numgen random mod 100 < {per_cent} drop")


def swallow(port: int) -> None:
    """Nothing from or to that TCP port arrives any more, and nobody is told; until `lose(0)`."""
    for end in ("dport", "sport"):
        run("nft", "add", "rule", "ip", "weather", "input", "tcp", end, str(port), "drop")


def limit(bits_per_s: int) -> None:
    """Of all that is said."""
    rate = (f"{bits_per_s}bit", "burst", "4kb", "latency", "2s")
    run("tc", "qdisc", "replace", "dev", "lo", "root", "tbf", "rate", *rate)


def unlimit() -> None:
    run("tc", "qdisc", "del", "dev", "lo", "root")


def main() -> None:
    run("ip", "link", "set", "lo", "mtu", str(MTU), "up")
    run("nft", "add", "table", "ip", "weather")
    run("nft", "add", "chain", "ip", "weather", "input", "{ type filter hook input priority 0; }")
    scenario = importlib.import_module(sys.argv[1])
    print(json.dumps(asyncio.run(_done(scenario.main(sys.argv[2:])))))


async def _done(scenario: Coroutine[None, None, dict[str, Any]]) -> dict[str, Any]:
    """Who is told to end leaves nothing running."""
    task = asyncio.ensure_future(scenario)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    main()
