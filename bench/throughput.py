"""Events per second: a bare aiohttp echo, receiving without and with the ledger, and hook to merchant; their ratios.

    python bench/throughput.py [--events 10000] [--rounds 3] [--json]

All in turn, in one run. Every hook is a signed Stripe event of about 1 KiB with an id of its own, of a payment of its
own; 200 means verified, committed and fsynced. End to end is measured from the first hook sent to the last event that
reached the merchant. Nothing else may run on the machine meanwhile. The ratios are what to compare: they hold when the
machine's speed drifts.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig.daemon import daemon, database_of, workplace
from bench.rig.hooks import requests
from bench.rig.load import answered_per_s
from bench.rig.merchant import Sink, listen, port_of
from webhookd.store.connection import open_writer

ECHO, NO_LEDGER = "bare aiohttp echo", "receive, no ledger"
LEDGER_TRIGGERS = ("event_moves_ledger", "event_names_payment", "event_gives_references")


@contextmanager
def echo_server() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "rig" / "echo.py")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


async def without_ledger(database: Path) -> None:
    """Make the database before the daemon does, and take the ledger's triggers out of it."""
    database.parent.mkdir(mode=0o700)
    writer = await open_writer(database)
    for trigger in LEDGER_TRIGGERS:
        await writer.run(lambda connection, name=trigger: connection.execute(f"DROP TRIGGER {name}"))  # type: ignore[misc]
    await writer.close()


@asynccontextmanager
async def fresh_daemon(endpoints: str = "", *, ledger: bool = True) -> AsyncIterator[int]:
    """A real daemon on a fresh data directory; its port for hooks."""
    with workplace(endpoints) as config:
        if not ledger:
            await without_ledger(database_of(config))
        async with daemon(config) as running:
            yield running.port


async def echo_rate(count: int, run: str) -> float:
    with echo_server() as port:
        return await answered_per_s(requests(count, run), port)


async def receive_rate(count: int, run: str) -> float:
    async with fresh_daemon() as port:
        return await answered_per_s(requests(count, run), port)


async def no_ledger_rate(count: int, run: str) -> float:
    async with fresh_daemon(ledger=False) as port:
        return await answered_per_s(requests(count, run), port)


async def end_to_end_rate(count: int, run: str) -> float:
    sink = Sink(count)
    server = await listen(sink)
    endpoint = f'[endpoints.sink]\nurl = "http://127.0.0.1:{port_of(server)}/"\nmax_in_flight = 64'
    try:
        async with fresh_daemon(endpoint) as port:
            hooks = requests(count, run)
            began = time.perf_counter()
            await answered_per_s(hooks, port)
            async with asyncio.timeout(120):
                await sink.reached.wait()
            return count / (time.perf_counter() - began)
    finally:
        server.close()


async def measure(count: int, rounds: int) -> dict[str, list[float]]:
    kinds = {ECHO: echo_rate, NO_LEDGER: no_ledger_rate, "receive only": receive_rate, "end to end": end_to_end_rate}
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("measuring", total=rounds * len(kinds))
        for number in range(rounds):
            for name, rate in kinds.items():
                progress.update(bar, description=name)
                rates[name].append(await rate(count, f"{number}{name[0]}"))
                progress.advance(bar)
    return rates


class Figure(msgspec.Struct):
    """Medians over the rounds; `of_…` are medians of the ratios within each round."""

    events_per_s: int
    of_echo: float
    of_no_ledger: float
    rounds: list[int]


def _share(rates: list[float], of: list[float]) -> float:
    return round(statistics.median(rate / base for rate, base in zip(rates, of, strict=True)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000, help="hooks in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often all are measured, in turn")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    rates = uvloop.run(measure(arguments.events, arguments.rounds))
    figures = {
        name: Figure(
            events_per_s=round(statistics.median(each)),
            of_echo=_share(each, rates[ECHO]),
            of_no_ledger=_share(each, rates[NO_LEDGER]),
            rounds=[round(rate) for rate in each],
        )
        for name, each in rates.items()
    }
    if arguments.json:
        print(msgspec.json.encode(figures).decode())
        return
    table = Table("", "events/s", "of bare echo", "of no ledger", "rounds")
    for name, figure in figures.items():
        shares = f"{figure.of_echo:.2f}", f"{figure.of_no_ledger:.2f}"
        table.add_row(name, str(figure.events_per_s), *shares, " ".join(map(str, figure.rounds)))
    Console().print(table)


if __name__ == "__main__":
    main()
