"""Events per second: a bare aiohttp echo, receiving without and with the ledger, and hook to merchant; their ratios.

    python bench/throughput.py [--events 10000] [--rounds 5] [--clients 64] [--picture throughput.png] [--json]

All in turn, in one run, in an order that is another one in each round. Every hook is a signed Stripe event of about 1
KiB with an id of its own, of a payment of its own; 200 means verified, committed and fsynced. 64 clients each wait for
their answer (a closed loop): what waits for a disk gets nearer to what does not the more of them there are. Each is
started anew, and before what counts comes a tenth as many hooks that do not: connections, caches, a log of some size.

  bare aiohttp echo    reads the body and answers a line of JSON: what aiohttp itself takes, with the same load
  receive, no ledger   the ledger's triggers are taken out
  receive only         nobody is delivered to
  end to end           one merchant; from the first hook sent to the last event that reached him
  1 or 100 idle more   the same, with endpoints that are active and whose `events` match nothing that comes: what having
                       them costs (a paused one that matches is not idle, it is owed each event)

The ratios are what to compare: they hold when the machine's speed drifts. Each is the median of the ratios within the
rounds. Nothing else may run on the machine meanwhile. A run in which hooks were not answered 200, or events did not
arrive, is refused. Exit code 1 when what is asked for is missed: receiving at 0.8 of the echo, end to end at 0.4, and
an idle endpoint more that costs less than a twentieth.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import picture
from bench.rig.command import command, new_file, one_or_more, tell
from bench.rig.daemon import daemon, database_of, workplace
from bench.rig.hooks import requests
from bench.rig.load import CONNECTIONS, answered_per_s, warm_up_of
from bench.rig.merchant import Sink, listen, port_of
from bench.rig.promise import Promise, asked_and_found, at_least
from webhookd.store.sqlite.connection import open_writer

ECHO, NO_LEDGER, RECEIVE, END_TO_END = "bare aiohttp echo", "receive, no ledger", "receive only", "end to end"
IDLE, IDLE_MANY = "end to end, 1 idle more", "end to end, 100 idle more"
LEDGER_TRIGGERS = ("event_moves_ledger", "event_names_payment", "event_gives_references")
MATCHES_NOTHING = "charge.dispute.*"
OF_ECHO_ASKED = {RECEIVE: 0.8, END_TO_END: 0.4}
WITH_IDLE_ASKED = 0.95
_ARRIVAL_S_MAX = 120.0


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


async def warm_rate(port: int, count: int, run: str, clients: int) -> float:
    await answered_per_s(requests(warm_up_of(count), f"{run}w"), port, clients)
    return await answered_per_s(requests(count, run), port, clients)


async def echo_rate(count: int, run: str, clients: int = CONNECTIONS) -> float:
    with echo_server() as port:
        return await warm_rate(port, count, run, clients)


async def receive_rate(count: int, run: str, clients: int = CONNECTIONS) -> float:
    async with fresh_daemon() as port:
        return await warm_rate(port, count, run, clients)


async def no_ledger_rate(count: int, run: str, clients: int = CONNECTIONS) -> float:
    async with fresh_daemon(ledger=False) as port:
        return await warm_rate(port, count, run, clients)


async def end_to_end_rate(count: int, run: str, clients: int = CONNECTIONS, *, idle: int = 0) -> float:
    """`idle`: how many endpoints are there beside the merchant's, and match nothing."""
    sink = Sink(warm_up_of(count))
    server = await listen(sink)
    url = f"http://127.0.0.1:{port_of(server)}/"
    endpoints = [f'[endpoints.sink]\nurl = "{url}"\nmax_in_flight = 64']
    endpoints += [f'[endpoints.idle{n:03}]\nurl = "{url}"\nevents = ["{MATCHES_NOTHING}"]' for n in range(idle)]

    async def brought(hooks: Sequence[bytes]) -> None:
        await answered_per_s(hooks, port, clients)
        async with asyncio.timeout(_ARRIVAL_S_MAX):
            await sink.reached.wait()

    try:
        async with fresh_daemon("\n".join(endpoints)) as port:
            await brought(requests(warm_up_of(count), f"{run}w"))
            hooks = requests(count, run)
            sink.want_more(count)
            began = time.perf_counter()
            await brought(hooks)
            return count / (time.perf_counter() - began)
    except TimeoutError:
        raise SystemExit(f"refused to report: not all of {count} events reached their merchant") from None
    finally:
        server.close()


KINDS: dict[str, Callable[[int, str, int], Awaitable[float]]] = {
    ECHO: echo_rate,
    NO_LEDGER: no_ledger_rate,
    RECEIVE: receive_rate,
    END_TO_END: end_to_end_rate,
    IDLE: partial(end_to_end_rate, idle=1),
    IDLE_MANY: partial(end_to_end_rate, idle=100),
}


def order(number: int) -> list[str]:
    """Of the kinds, in a round. Two rounds have one order, there and back; the next two begin with another kind."""
    names = list(KINDS)
    first = number // 2 % len(names)
    turned = names[first:] + names[:first]
    return turned[::-1] if number % 2 else turned


async def measure(count: int, rounds: int, clients: int) -> dict[str, list[float]]:
    """Events a second, by kind: one figure for each round."""
    rates: dict[str, list[float]] = {name: [] for name in KINDS}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("measuring", total=rounds * len(KINDS))
        for number in range(rounds):
            for name in order(number):
                progress.update(bar, description=name)
                rates[name].append(await KINDS[name](count, f"round{number}", clients))
                progress.advance(bar)
    return rates


class Figure(msgspec.Struct):
    """Medians over the rounds; `of_…` are medians of the ratios within each round."""

    events_per_s: int
    of_echo: float
    of_no_ledger: float
    of_end_to_end: float
    rounds: list[int]


def figures_of(rates: Mapping[str, list[float]]) -> dict[str, Figure]:
    return {
        name: Figure(
            events_per_s=round(statistics.median(each)),
            of_echo=_share(each, rates[ECHO]),
            of_no_ledger=_share(each, rates[NO_LEDGER]),
            of_end_to_end=_share(each, rates[END_TO_END]),
            rounds=[round(rate) for rate in each],
        )
        for name, each in rates.items()
    }


def _share(rates: list[float], of: list[float]) -> float:
    return round(statistics.median(rate / base for rate, base in zip(rates, of, strict=True)), 3)


def promises(figures: Mapping[str, Figure]) -> list[Promise]:
    return [
        *(at_least(f"{name}, of the echo", figures[name].of_echo, asked) for name, asked in OF_ECHO_ASKED.items()),
        at_least("with an idle endpoint more, of without", figures[IDLE].of_end_to_end, WITH_IDLE_ASKED),
    ]


def show(figures: Mapping[str, Figure], asked: Sequence[Promise]) -> None:
    table = Table(Column("", no_wrap=True), "events/s", "of echo", "of no ledger", "of end to end", "rounds")
    for name, figure in figures.items():
        shares = [f"{share:.2f}" for share in (figure.of_echo, figure.of_no_ledger)]
        shares.append(f"{figure.of_end_to_end:.2f}" if name in {END_TO_END, IDLE, IDLE_MANY} else "")
        table.add_row(name, str(figure.events_per_s), *shares, " ".join(map(str, figure.rounds)))
    console = Console()
    console.width = max(console.width, 110)
    console.print(table, asked_and_found(asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=one_or_more, default=10_000, help="hooks in each measurement")
    parser.add_argument("--rounds", type=one_or_more, default=5, help="how often all are measured, in turn")
    parser.add_argument(
        "--clients", type=one_or_more, default=CONNECTIONS, help="connections, each with one hook at a time"
    )
    parser.add_argument("--picture", type=new_file, metavar="FILE", help="draw the shares of the echo into this PNG")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    figures = figures_of(uvloop.run(measure(arguments.events, arguments.rounds, arguments.clients)))
    asked = promises(figures)
    tell({"figures": figures, "promises": asked}, lambda: show(figures, asked), as_json=arguments.json)
    if arguments.picture is not None:
        shares = {name: figure.of_echo for name, figure in figures.items()}
        arguments.picture.write_bytes(
            picture.bars(shares, "Events a second, as shares of a bare aiohttp echo", form="{:.2f}")
        )
    sys.exit(0 if all(promise.kept for promise in asked) else 1)


if __name__ == "__main__":
    command(main)
