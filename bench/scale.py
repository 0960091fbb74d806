"""What a long log costs, and a long backlog: the same figures beside 10⁴, 10⁶ and 10⁷ events, and beside an empty log.

    python bench/scale.py [--sizes 10000 1000000 10000000] [--waiting 1000000] [--logs DIR] [--picture FILE] [--json]

1. Logs are made (see rig/longlog.py): signed Stripe events of 1 KiB, over two weeks, each of a payment of its own and
   delivered with one attempt; and one of as many as `--waiting`, which a merchant who is down is owed, as after an
   outage. With `--logs` they are kept in that directory, and used again by the next run. 10⁷ events take 15 minutes.
2. Each log is measured in turn with an empty one, the order turned round from one round to the next, each time with a
   daemon of its own. It is given, in this order:

     at rest       nothing, for a second: how long it took to be ready, and its resident memory
     receive       hooks that nobody is owed, from 64 clients, each waiting for its answer
     end to end    as many for a healthy merchant, from the first hook sent to the last event that reached him
     latency       hooks at a steady rate, from when each was due until the merchant has all of its event

   Ratios are the medians of those within the pairs. Logs of 10⁵ events or fewer are measured in copies, so that they do
   not grow; longer ones grow by what is measured, which is less than a tenth of 10⁶.
3. Once more each log is started, after the kernel was asked to forget the file.

The ids of events, payments and orders are `dated`: they begin with the time they were made at, as Stripe's seem to, and
what is new goes to the end of each index. With `--ids scattered` they are in no order, as UUIDs are, in the logs and in
the load: what is new goes anywhere in four indexes, and each event changes some pages of its own.

The merchant who is down refuses connections. A run does not count, and nothing is reported, when a hook was not
answered 200, an event did not reach the healthy merchant, or the load was not sent on time. Exit code 1 when what is
asked for is missed.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import picture
from bench.rig.command import above_zero, command, new_file, one_or_more, tell
from bench.rig.daemon import ask, daemon, database_of
from bench.rig.disk import forget
from bench.rig.longlog import Ids
from bench.rig.merchant import listen, port_of, reserve_port
from bench.rig.promise import Promise, asked_and_found, at_least, at_most
from bench.rig.shelf import EMPTY, Log, Shelf
from bench.rig.steady import percentile
from bench.rig.trial import Measured, Stand, Work, put_through

OF_EMPTY_ASKED = 0.9
READY_S_ASKED = 2.0
IDLE_MB_ASKED, WAITING_MB_ASKED = 80, 200


class Pairs(msgspec.Struct):
    """What was measured of a log, and of the empty one in turn with it."""

    of_log: list[Measured] = []
    of_empty: list[Measured] = []


class Rate(msgspec.Struct):
    per_s: int
    of_empty: float | None
    """The median of the ratios within the pairs; None of the empty log itself."""
    rounds: list[int]


class Figures(msgspec.Struct):
    """Of one log; medians, but of memory the most."""

    log: str
    events: int
    waiting: int
    file_bytes: int
    """Before the first round."""
    ready_s: float
    ready_cold_s: float
    rest_mb: float
    most_mb: float
    receive: Rate
    end_to_end: Rate
    p50_ms: float
    p99_ms: float
    lag_p99_ms: float


async def measure(logs: Sequence[Log], shelf: Shelf, stand: Stand, work: Work, rounds: int) -> list[Figures]:
    """The empty log's figures come first. Raises SystemExit when a round does not count."""
    done = {log: Pairs() for log in logs}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        await shelf.make([EMPTY, *logs], progress)
        sizes = {log: await _size(shelf, log) for log in (EMPTY, *logs)}
        bar = progress.add_task("measuring", total=2 * rounds * len(logs))
        for number in range(rounds):
            is_turned = number % 2 == 1
            for log in reversed(logs) if is_turned else logs:
                for each in (log, EMPTY) if is_turned else (EMPTY, log):
                    progress.update(bar, description=each.name)
                    with shelf.taken_down(each) as config:
                        found = await put_through(config, stand, work)
                    (done[log].of_empty if each is EMPTY else done[log].of_log).append(found)
                    progress.advance(bar)
        progress.update(bar, description="cold starts", total=len(logs) + 1, completed=0)
        cold = {}
        for log in (EMPTY, *logs):
            cold[log] = await _cold_start(shelf, log)
            progress.advance(bar)
    empty = [each for pairs in done.values() for each in pairs.of_empty]
    return [
        figures(EMPTY, sizes[EMPTY], cold[EMPTY], empty),
        *(figures(log, sizes[log], cold[log], pairs.of_log, pairs.of_empty) for log, pairs in done.items()),
    ]


async def _size(shelf: Shelf, log: Log) -> tuple[int, int]:
    """Events in it, and bytes."""
    with shelf.taken_down(log) as config:
        [(events,)] = await ask(config, "SELECT count(*) FROM event")
        return events, database_of(config).stat().st_size


async def _cold_start(shelf: Shelf, log: Log) -> float:
    with shelf.taken_down(log) as config:
        forget(database_of(config))
        async with daemon(config) as running:
            return running.ready_s


def figures(
    log: Log, size: tuple[int, int], cold_s: float, found: Sequence[Measured], beside: Sequence[Measured] = ()
) -> Figures:
    """`beside` is what was measured of the empty log in turn with this one."""
    latencies_ms = [ms for each in found for ms in each.latencies_ms]
    return Figures(
        log=log.name,
        events=size[0],
        waiting=log.events if log.is_waiting else 0,
        file_bytes=size[1],
        ready_s=round(statistics.median(each.ready_s for each in found), 3),
        ready_cold_s=round(cold_s, 3),
        rest_mb=round(max(each.rest_mb for each in found), 1),
        most_mb=round(max(each.most_mb for each in found), 1),
        receive=_rate([each.receive_per_s for each in found], [each.receive_per_s for each in beside]),
        end_to_end=_rate([each.end_to_end_per_s for each in found], [each.end_to_end_per_s for each in beside]),
        p50_ms=round(percentile(latencies_ms, 50), 3),
        p99_ms=round(percentile(latencies_ms, 99), 3),
        lag_p99_ms=round(max(each.lag_p99_ms for each in found), 3),
    )


def _rate(rates: Sequence[float], of: Sequence[float]) -> Rate:
    of_empty = round(statistics.median(a / b for a, b in zip(rates, of, strict=True)), 3) if of else None
    return Rate(round(statistics.median(rates)), of_empty, [round(rate) for rate in rates])


def promises(found: Sequence[Figures]) -> list[Promise]:
    asked = [at_most("at rest, the most of all", max(each.rest_mb for each in found), IDLE_MB_ASKED, "MB")]
    for each in found:
        for what, rate in (("receive", each.receive), ("end to end", each.end_to_end)):
            if rate.of_empty is not None:
                asked.append(at_least(f"{each.log}: {what}, of empty", rate.of_empty, OF_EMPTY_ASKED))
        if each.waiting:
            asked.append(at_most(f"{each.log}: memory", each.most_mb, WAITING_MB_ASKED, "MB"))
            asked.append(at_most(f"{each.log}: ready", max(each.ready_s, each.ready_cold_s), READY_S_ASKED, "s"))
    return asked


def show(found: Sequence[Figures], asked: Sequence[Promise]) -> None:
    table = Table(
        *("log", "GB", "B/event", "ready s", "cold", "MB at rest", "most"),
        *("receive /s", "of empty", "end to end /s", "of empty", "p50 ms", "p99"),
    )
    for each in found:
        table.add_row(
            each.log,
            f"{each.file_bytes / 1e9:.2f}",
            f"{each.file_bytes / each.events:,.0f}" if each.events else "",
            *(f"{each.ready_s:.2f}", f"{each.ready_cold_s:.2f}", f"{each.rest_mb:.0f}", f"{each.most_mb:.0f}"),
            *(text for rate in (each.receive, each.end_to_end) for text in (f"{rate.per_s:,}", _share(rate.of_empty))),
            *(f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}"),
        )
    console = Console()
    console.width = max(console.width, 130)
    console.print(table, asked_and_found(asked))


def _share(of_empty: float | None) -> str:
    return "" if of_empty is None else f"{of_empty:.2f}"


def draw(found: Sequence[Figures]) -> bytes:
    shares = {
        f"{each.log}: {what}": rate.of_empty
        for each in found
        for what, rate in (("receive", each.receive), ("end to end", each.end_to_end))
        if rate.of_empty is not None
    }
    return picture.bars(shares, "Events a second, of what they are with an empty log", form="{:.2f}")


async def run(arguments: argparse.Namespace) -> list[Figures]:
    logs = [Log(size) for size in sorted(arguments.sizes) if size]
    if arguments.waiting:
        logs.append(Log(arguments.waiting, is_waiting=True))
    stand, work = Stand(), Work(arguments.ids, arguments.events, arguments.rate, arguments.seconds)
    with ExitStack() as stack:
        directory = arguments.logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webhookd-logs-")))
        directory.mkdir(parents=True, exist_ok=True)
        server = await listen(stand)
        stack.callback(server.close)
        closed = stack.enter_context(reserve_port()).getsockname()[1]
        endpoints = "\n".join(
            f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port}/"\nsources = ["{name}"]\nmax_in_flight = 64\n'
            for name, port in (("shop", port_of(server)), ("dead", closed))
        )
        return await measure(logs, Shelf(directory.resolve(), arguments.ids, endpoints), stand, work, arguments.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=(10_000, 1_000_000, 10_000_000), metavar="EVENTS", help="of the logs"
    )
    parser.add_argument("--waiting", type=int, default=1_000_000, help="deliveries for who is down; 0: no such log")
    parser.add_argument("--ids", choices=get_args(Ids), default="dated", help="how events and payments are numbered")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the logs here, and use those that are here")
    parser.add_argument("--events", type=one_or_more, default=10_000, help="hooks of each measurement of throughput")
    parser.add_argument(
        "--rounds", type=one_or_more, default=5, help="how often each log is measured in turn with the empty one"
    )
    parser.add_argument("--rate", type=above_zero, default=200, help="hooks a second, where latency is measured")
    parser.add_argument("--seconds", type=above_zero, default=10, help="of that, that are measured")
    parser.add_argument("--picture", type=new_file, metavar="FILE", help="draw the ratios into this PNG")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    if not arguments.sizes and not arguments.waiting:
        parser.error("neither --sizes nor --waiting: there is nothing to measure")
    found = uvloop.run(run(arguments))
    asked = promises(found)
    tell({"logs": found, "promises": asked}, lambda: show(found, asked), as_json=arguments.json)
    if arguments.picture is not None:
        arguments.picture.write_bytes(draw(found))
    sys.exit(0 if all(promise.kept for promise in asked) else 1)


if __name__ == "__main__":
    command(main)
