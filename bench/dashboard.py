"""How long a page of the dashboard takes beside a long log, and what a reader costs those whose hooks come in.

    python bench/dashboard.py [--events 1000000] [--times 20] [--rounds 3] [--seconds 20] [--rate 300] [--json]

1. A log is made: signed Stripe events of 1 KiB, two weeks of them, each of a payment of its own. Of ten, eight are
   delivered, one is dead, and one waits for an endpoint that is paused.
2. Each page is loaded `--times` times cold and as often warm. Cold: a daemon has just started, the kernel was asked to
   forget the database, and the page has not been asked for; a start's first page is another one each time. Warm: it
   was asked for before. Measured is the time from writing the request to its last byte, over loopback.
3. Hooks come in at a steady rate (an open loop). Two kinds of phases alternate, with the same daemon:

     alone     nobody looks
     reading   somebody loads all pages in turn, one each 200 ms

   The ack is from writing a hook to the socket until its 200, the first seconds of a phase left out.

A run does not count, and nothing is reported, when a page was not answered 200 or a hook was not, or when the load did
not keep its rate. Exit code 1 when a page took as long as is asked that none does, or longer.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import hooks
from bench.rig.backlog import fill, set_state, settle
from bench.rig.command import above_zero, command, one_or_more, tell
from bench.rig.daemon import Running, ask, daemon, database_of, workplace
from bench.rig.disk import forget, need_room
from bench.rig.merchant import Sink, listen, port_of
from bench.rig.reader import Reader
from bench.rig.steady import SteadyLoad, percentile
from webhookd.core.identifier import event_id
from webhookd.observe.whereabouts import running_at

PAGES = (
    "/",
    "/?over=day",
    "/events",
    "/events?source=hole",
    "/events?type=charge.*",
    "/events?q={payment}",
    "/events/{event}",
    "/deliveries?state=pending",
    "/deliveries?state=dead",
    "/endpoints",
    "/endpoints/shop",
    "/endpoints/hole",
    "/dead",
    "/dead?endpoint=broken",
    "/replays",
    "/payments",
    "/payments?status=refunded",
    "/payments/stripe/{payment}",
    "/ledger/refunds",
    "/revenue",
    "/refused",
    "/refused/quarantined",
)
"""Braces stand for one in the middle of the log; there is nothing of type charge.*, and nothing refunded."""
PAGE_MS_ASKED = 200.0
DAYS = 14
SOURCES = ("shop",) * 8 + ("hole", "broken")
READ_EVERY_S = 0.2
WARM_UP_S = 2.0
DISK_BYTES_EACH = 6144
_ALONE, _READING = "alone", "reading"
_RETENTION = '[retention]\nevents = "366d"\nbodies = "366d"\ndedupe = "366d"\n'


class Times(msgspec.Struct):
    p50_ms: float
    p95_ms: float
    max_ms: float


class PageTimes(msgspec.Struct):
    path: str
    bytes: int
    cold: Times
    warm: Times


class Acks(msgspec.Struct):
    p50_ms: float
    p99_ms: float
    lag_p99_ms: float
    """The worst phase's."""
    p99_ms_by_phase: list[float]


class Figures(msgspec.Struct):
    events: int
    file_bytes: int
    ready_s: float
    """The median of the starts."""
    rss_max_mb: float
    pages: list[PageTimes]
    alone: Acks
    reading: Acks
    ratio_of_rounds: float
    """The median of the ratios of the acks' p99 within each pair of phases."""
    pages_read: int
    """While hooks came in."""

    @property
    def slowest_ms(self) -> float:
        return max(max(each.cold.max_ms, each.warm.max_ms) for each in self.pages)


class Phase(msgspec.Struct):
    acks_ms: list[float]
    lag_p99_ms: float
    pages_read: int


async def measure(events: int, times: int, rounds: int, seconds: float, rate: float) -> Figures:
    """Raises SystemExit when the run does not count."""
    need_room(events * DISK_BYTES_EACH)
    console = Console(stderr=True)
    phases: dict[str, list[Phase]] = {_ALONE: [], _READING: []}
    with ExitStack() as stack:
        server = await listen(Sink(2**60))
        stack.callback(server.close)
        names = tuple(dict.fromkeys(SOURCES))
        endpoints = "\n".join(
            f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port_of(server)}/"\nsources = ["{name}"]' for name in names
        )
        config = stack.enter_context(workplace(f"{endpoints}\n{_RETENTION}", sources=names))
        progress = stack.enter_context(Progress(console=console, transient=True, disable=not console.is_terminal))
        await make_log(config, events, names, progress)
        paths = await _paths(config)
        bar = progress.add_task("cold", total=times)
        cold: dict[str, list[float]] = {path: [] for path in paths}
        starts = []
        for number in range(times):
            first = number % len(paths)
            async with looked_at(config) as (running, reader):
                starts.append(running.ready_s)
                for path in (*paths[first:], *paths[:first]):
                    cold[path].append(await _load(reader, path))
            progress.advance(bar)
        async with looked_at(config) as (running, reader):
            progress.update(bar, description="warm", total=len(paths), completed=0)
            warm, sizes = {}, {}
            for path in paths:
                sizes[path] = len((await reader.read(path)).body)
                warm[path] = [await _load(reader, path) for _ in range(times)]
                progress.advance(bar)
            progress.update(bar, total=2 * rounds, completed=0)
            for number in range(rounds):
                for kind in (_ALONE, _READING) if number % 2 == 0 else (_READING, _ALONE):
                    progress.update(bar, description=kind)
                    read = paths if kind == _READING else ()
                    phases[kind].append(await _phase(running, reader, read, f"{kind}{number}", seconds, rate))
                    progress.advance(bar)
            rss_max_mb = running.rss_max_mb()
        file_bytes = database_of(config).stat().st_size
    alone, reading = _acks(phases[_ALONE]), _acks(phases[_READING])
    ratios = [b / a for a, b in zip(alone.p99_ms_by_phase, reading.p99_ms_by_phase, strict=True)]
    return Figures(
        events=events,
        file_bytes=file_bytes,
        ready_s=round(statistics.median(starts), 3),
        rss_max_mb=round(rss_max_mb, 1),
        pages=[
            PageTimes(page, sizes[path], _times(cold[path]), _times(warm[path]))
            for page, path in zip(PAGES, paths, strict=True)
        ],
        alone=alone,
        reading=reading,
        ratio_of_rounds=round(statistics.median(ratios), 3),
        pages_read=sum(each.pages_read for each in phases[_READING]),
    )


async def make_log(config: Path, events: int, names: Sequence[str], progress: Progress) -> None:
    """Oldest first, the same number for each day."""
    async with daemon(config):
        pass
    await set_state(config, "paused", *names)  # or what is taken in would be sent meanwhile
    for day in range(DAYS):
        count = events * (day + 1) // DAYS - events * day // DAYS
        await fill(config, SOURCES, count, f"d{day:02}", progress, age_s=(DAYS - day) * 86_400)
    await settle(config, "shop", "delivered", progress)
    await settle(config, "broken", "dead", progress)
    await set_state(config, "active", "shop", "broken")


async def _paths(config: Path) -> list[str]:
    """PAGES, of an event and a payment in the middle of the log."""
    middle = "SELECT key, salt, payment_id FROM event ORDER BY key LIMIT 1 OFFSET (SELECT count(*) / 2 FROM event)"
    ((key, salt, payment),) = await ask(config, middle)
    return [page.format(event=event_id(key, salt), payment=payment) for page in PAGES]


@asynccontextmanager
async def looked_at(config: Path) -> AsyncIterator[tuple[Running, Reader]]:
    """A daemon that finds nothing of its database in memory, and somebody who has logged in."""
    forget(database_of(config))
    async with daemon(config) as running:
        noted = running_at(config.parent / "data")
        if noted is None:
            raise SystemExit("the daemon ended while it was measured")
        reader = Reader(noted.admin)
        await reader.open((config.parent / "data" / "admin.token").read_text().strip())
        try:
            yield running, reader
        finally:
            reader.close()


async def _load(reader: Reader, path: str) -> float:
    """Milliseconds. Raises SystemExit when it is not answered 200."""
    read = await reader.read(path)
    if read.status != 200:
        raise SystemExit(f"refused to report: {path} was answered {read.status}")
    return 1_000 * read.seconds


async def _phase(running: Running, reader: Reader, read: Sequence[str], run: str, seconds: float, rate: float) -> Phase:
    """Raises SystemExit when it does not count."""
    count, now_s = round((WARM_UP_S + seconds) * rate), int(time.time())
    load = SteadyLoad([hooks.request(hooks.body(n, run, now_s), now_s, "shop") for n in range(count)], rate)
    sending = asyncio.create_task(load.run("127.0.0.1", running.port))
    pages_read = 0
    while not sending.done():
        if read:
            await _load(reader, read[pages_read % len(read)])
            pages_read += 1
        await asyncio.wait([sending], timeout=READ_EVERY_S)
    await sending
    lag_p99_ms = load.judged()
    return Phase([1_000 * ack for ack in load.latencies_s[round(WARM_UP_S * rate) :]], lag_p99_ms, pages_read)


def _times(ms: list[float]) -> Times:
    return Times(round(percentile(ms, 50), 2), round(percentile(ms, 95), 2), round(max(ms), 2))


def _acks(phases: list[Phase]) -> Acks:
    pooled = [ack for each in phases for ack in each.acks_ms]
    return Acks(
        p50_ms=round(percentile(pooled, 50), 3),
        p99_ms=round(percentile(pooled, 99), 3),
        lag_p99_ms=round(max(each.lag_p99_ms for each in phases), 3),
        p99_ms_by_phase=[round(percentile(each.acks_ms, 99), 3) for each in phases],
    )


def show(figures: Figures) -> None:
    console = Console()
    console.width = max(console.width, 110)
    table = Table(Column("page", no_wrap=True), "kB", "cold p50 ms", "p95", "max", "warm p50 ms", "p95", "max")
    for page in figures.pages:
        times = [f"{ms:.1f}" for kind in (page.cold, page.warm) for ms in (kind.p50_ms, kind.p95_ms, kind.max_ms)]
        table.add_row(page.path, f"{page.bytes / 1e3:.0f}", *times)
    console.print(table)
    acks = Table("ack", "p50 ms", "p99", "p99 by phase", "lag p99")
    for name, kind in ((_ALONE, figures.alone), (_READING, figures.reading)):
        by_phase = " ".join(f"{each:.1f}" for each in kind.p99_ms_by_phase)
        acks.add_row(name, f"{kind.p50_ms:.2f}", f"{kind.p99_ms:.2f}", by_phase, f"{kind.lag_p99_ms:.2f}")
    console.print(acks)
    console.print(
        f"{figures.events} events, {figures.file_bytes / 1e6:.0f} MB; ready in {figures.ready_s:.2f} s; "
        f"RSS max {figures.rss_max_mb:.0f} MB\n"
        f"The slowest page took {figures.slowest_ms:.1f} ms; asked: less than {PAGE_MS_ASKED:g}\n"
        f"p99 of the ack, reading / alone: {figures.ratio_of_rounds:.2f} (median of rounds); "
        f"{figures.pages_read} pages were read",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=one_or_more, default=1_000_000, help="in the log")
    parser.add_argument("--times", type=one_or_more, default=20, help="how often each page is loaded cold, and warm")
    parser.add_argument(
        "--rounds", type=one_or_more, default=3, help="how often hooks come in with a reader and without"
    )
    parser.add_argument("--seconds", type=above_zero, default=20, help="of each phase of those that are measured")
    parser.add_argument("--rate", type=above_zero, default=300, help="hooks a second")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    figures = uvloop.run(
        measure(arguments.events, arguments.times, arguments.rounds, arguments.seconds, arguments.rate)
    )
    tell(figures, lambda: show(figures), as_json=arguments.json)
    sys.exit(0 if figures.slowest_ms < PAGE_MS_ASKED else 1)


if __name__ == "__main__":
    command(main)
