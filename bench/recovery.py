"""How long after kill -9 the first event arrives that was acked before it: killed under load, and started again.

    python bench/recovery.py [--kills 20] [--rate 200] [--json]

Signed Stripe events of 1 KiB come in at a steady rate, to one merchant who takes 200 ms for an answer, so that at any
moment some events have had their 200 and are not delivered. At a random moment the daemon is killed with SIGKILL, and
as soon as there is no such process any more it is started again, on the same database. Then:

  ready            until it says that it takes hooks
  first delivery   until the merchant has an event that was acked before the kill and that he had not answered; only
                   requests on connections count that were opened after the start
  all of them      until he has each of those

The next kill strikes the same daemon, so that the log grows from kill to kill. Beside that, once for each kill: how
long Python takes to start and do nothing, and to load what `webhookd serve` delivers with. That is the part of a start
in which nothing of a database has been looked at; what listens is loaded beside the first deliveries. webhookd is
compiled before, as pip does when it installs. A supervisor's own waiting (`RestartSec` of systemd) comes on top.

A run does not count, and nothing is reported, when a hook was answered otherwise than 200, nothing was under way at a
kill, or an event that was owed did not come. Exit code 1 when a first delivery came later than 1 s after its kill.
"""

import argparse
import asyncio
import compileall
import random
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import hooks
from bench.rig.command import above_zero, command, one_or_more, tell
from bench.rig.daemon import Running, daemon, workplace
from bench.rig.merchant import Connection, listen, port_of
from bench.rig.promise import Promise, asked_and_found, at_most
from bench.rig.steady import SteadyLoad

ANSWER_S = 0.2
PACKAGE = Path(__file__).resolve().parents[1] / "webhookd"
LOADED_S = (0.5, 1.5)
"""How long hooks come in before a kill, at least and at most."""
FIRST_DELIVERY_S_ASKED = 1.0
INTERPRETER = "pass"
MODULES = "from webhookd.cli.plain import load_what_delivers; load_what_delivers()"
_ARRIVAL_S_MAX = 30.0
_POLL_S = 0.001


class Shop:
    """A merchant who takes his time for an answer, and knows what he has not been sent again yet."""

    def __init__(self) -> None:
        self.answered: set[int] = set()
        self.came_at: list[float] = []
        """When he got each event of those he waits for."""
        self._awaited: set[int] = set()
        self._since = 0.0
        self._all_came = asyncio.Event()

    def wait_for(self, numbers: Iterable[int], since: float) -> None:
        """From now on these are awaited, on connections that are opened after `since`."""
        self.came_at, self._awaited, self._since = [], set(numbers), since
        self._all_came.clear()

    async def has_all(self) -> None:
        """Raises SystemExit when it takes too long."""
        try:
            async with asyncio.timeout(_ARRIVAL_S_MAX):
                await self._all_came.wait()
        except TimeoutError:
            raise SystemExit(
                f"refused to report: {len(self._awaited)} events that were acked before a kill did not come after it"
            ) from None

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        number = hooks.number_of(body)
        if number in self._awaited and connection.opened_at > self._since:
            self._awaited.remove(number)
            self.came_at.append(time.perf_counter())
            if not self._awaited:
                self._all_came.set()
        asyncio.get_running_loop().call_later(ANSWER_S, self._answer, connection, number)

    def _answer(self, connection: Connection, number: int) -> None:
        if connection.is_open:
            connection.answer()
            self.answered.add(number)


class Kill(msgspec.Struct):
    """What one was followed by, in seconds."""

    owed: int
    """Events that were acked and not answered by the merchant."""
    started_s: float
    """From the kill until its process is gone and the next one is started."""
    ready_s: float
    """From that start, as the others below."""
    first_s: float
    all_s: float
    interpreter_s: float
    """Measured alone."""
    modules_s: float
    """Measured alone; the interpreter's start is in it."""

    @property
    def first_after_kill_s(self) -> float:
        return self.started_s + self.first_s


class Struck(msgspec.Struct):
    killed_at: float
    owed: set[int]


async def measure(kills: int, rate: float, dice: random.Random) -> list[Kill]:
    """Raises SystemExit when the run does not count."""
    compileall.compile_dir(PACKAGE, quiet=1)
    shop, found, struck = Shop(), list[Kill](), Struck(0, set())
    server = await listen(shop)
    console = Console(stderr=True)
    endpoint = f'[endpoints.shop]\nurl = "http://127.0.0.1:{port_of(server)}/"\nmax_in_flight = 64'
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    with workplace(endpoint) as config, bars as progress:
        bar = progress.add_task("killing", total=kills)
        for number in range(kills + 1):
            started_at = time.perf_counter()
            shop.wait_for(struck.owed, started_at)
            async with daemon(config) as running:
                if number > 0:
                    await shop.has_all()
                    found.append(
                        Kill(
                            owed=len(struck.owed),
                            started_s=started_at - struck.killed_at,
                            ready_s=running.ready_s,
                            first_s=shop.came_at[0] - started_at,
                            all_s=shop.came_at[-1] - started_at,
                            interpreter_s=await seconds_of(INTERPRETER),
                            modules_s=await seconds_of(MODULES),
                        )
                    )
                    slowest_s = max(each.first_after_kill_s for each in found)
                    progress.update(bar, advance=1, description=f"first delivery after {slowest_s:.2f} s at most")
                if number < kills:
                    struck = await strike(running, shop, number, rate, dice)
    server.close()
    return found


async def strike(running: Running, shop: Shop, number: int, rate: float, dice: random.Random) -> Struck:
    """Load, and a kill in the middle of it. Raises SystemExit when nothing was under way."""
    least_s, most_s = LOADED_S
    count, now_s = round((most_s + 1) * rate), int(time.time())
    first = number * count
    load = SteadyLoad([hooks.request(hooks.body(first + n, "load", now_s), now_s) for n in range(count)], rate)
    sending = asyncio.create_task(load.run("127.0.0.1", running.port))

    def under_way() -> set[int]:
        return {first + each for each in load.answered_at} - shop.answered

    try:
        await asyncio.sleep(dice.uniform(least_s, most_s))
        # While a disk is slow to sync, everything that was acked may be delivered.
        while not under_way() and not sending.done():
            await asyncio.sleep(_POLL_S)
        killed_at = time.perf_counter()
        await running.kill()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    if load.refused:
        raise SystemExit(f"refused to report: {load.refused} hooks were not answered 200 before a kill")
    owed = under_way()
    if not owed:
        raise SystemExit("refused to report: nothing was under way when the daemon was killed")
    return Struck(killed_at, owed)


async def seconds_of(code: str) -> float:
    """How long this interpreter takes from its start to its end with it."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    if await process.wait() != 0:
        raise SystemExit(f"refused to report: python -c {code!r} failed")
    return time.perf_counter() - began


def promise(found: Sequence[Kill]) -> Promise:
    slowest_s = max(each.first_after_kill_s for each in found)
    return at_most("first delivery after the kill, at each", slowest_s, FIRST_DELIVERY_S_ASKED, "s")


def show(found: Sequence[Kill], asked: Promise) -> None:
    table = Table(Column("s", no_wrap=True), "median", "longest")
    rows = {
        "from the kill to the next start": [each.started_s for each in found],
        "from the start": None,
        "  Python has started (alone)": [each.interpreter_s for each in found],
        "  what delivers is loaded (alone)": [each.modules_s for each in found],
        "  ready": [each.ready_s for each in found],
        "  first delivery": [each.first_s for each in found],
        "  all of them": [each.all_s for each in found],
        "from the kill to the first delivery": [each.first_after_kill_s for each in found],
    }
    for name, seconds in rows.items():
        table.add_row(name, *([f"{statistics.median(seconds):.3f}", f"{max(seconds):.3f}"] if seconds else ()))
    console = Console()
    console.print(table)
    owed = [each.owed for each in found]
    console.print(
        f"{len(found)} kills, {min(owed)} to {max(owed)} events under way at each", highlight=False, soft_wrap=True
    )
    console.print(asked_and_found([asked]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=one_or_more, default=20)
    parser.add_argument("--rate", type=above_zero, default=200, help="hooks a second until each kill")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    found = uvloop.run(measure(arguments.kills, arguments.rate, random.Random(arguments.seed)))
    asked = promise(found)
    tell({"kills": found, "promises": [asked]}, lambda: show(found, asked), as_json=arguments.json)
    sys.exit(0 if asked.kept else 1)


if __name__ == "__main__":
    command(main)
