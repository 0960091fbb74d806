"""All merchants down, then up, with a long backlog waiting: how a daemon starts with it, and how it gets rid of it.

    python bench/drain.py [--deliveries 1000000] [--merchants 100] [--down 3] [--json]

1. The backlog is made: one signed Stripe event of 1 KiB for each delivery, taken in as hooks are, in turn for each of
   the merchants.
2. A daemon is started on it. Ready is from starting the process until it says so. For `--down` seconds the merchants'
   ports refuse connections.
3. They come up. Each takes 50 ms for an answer, always 200, and notes which event came (by the id in its body: one
   delivery each) and how many requests it had at a time.
4. When each event has come, and a moment later nothing more, the daemon is stopped, the database is asked what became
   of the deliveries, and `webhookd verify` checks all of it.

Looked at all along: resident memory, requests in flight as the merchants see them, what still waits. The slow start is
judged by what a merchant saw: one that has given n answers since it came up never has more than n + 1 requests at a
time, nor more than `max_in_flight`. Retries wait 5 s, not minutes, so that the end is not spent waiting for the last
of them; all else is as a daemon comes. Merchants and daemon share the machine, so the rate is a hint and no more.
Nothing is reported when the backlog was not taken in as a whole; exit code 1 when a promise is not kept.
"""

import argparse
import asyncio
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig.backlog import fill
from bench.rig.chart import Sample, over_time, slow_start, thinned
from bench.rig.command import command, one_or_more, tell
from bench.rig.daemon import ask, daemon, workplace
from bench.rig.disk import need_room
from bench.rig.journal import Journal
from bench.rig.merchant import listen, reserve_port
from bench.rig.promise import Promise, asked_and_found, at_most, none
from bench.rig.verify import verify

CAP, CAP_OF_ALL = 8, 256
"""`max_in_flight` of a merchant and of all together: the defaults."""
DELIVERY = f"max_in_flight = {CAP_OF_ALL}\nschedule = {['0s'] + ['5s'] * 9}"
READY_S_ASKED = 2.0
RSS_MB_ASKED = 200
DISK_BYTES_EACH = 4096
_SAMPLE_S = 0.1
_STALL_S = 60.0
"""Without one answer for so long, the drain is over."""
_LATE_S = 3.0
"""How long a second copy of something is waited for at the end."""


class Figures(msgspec.Struct):
    deliveries: int
    merchants: int
    ready_s: float
    rss_max_mb: float
    refused: int
    """Attempts that found a port closed."""
    first_answer_s: float
    """From the merchants' coming up; what an open breaker still waited for."""
    drained_s: float
    """From the first answer to the last."""
    per_s: float
    promises: list[Promise]
    at_once_after: list[int]
    """By answers given: the most requests that any merchant had at a time then."""
    samples: list[Sample]


async def measure(deliveries: int, merchants: int, down_s: float) -> Figures:
    """Raises SystemExit when the run does not count."""
    need_room(deliveries * DISK_BYTES_EACH)
    journal = Journal(deliveries, merchants, CAP)
    names = [f"shop{number:03}" for number in range(merchants)]
    console = Console(stderr=True)
    with ExitStack() as stack:
        ports = [stack.enter_context(reserve_port()) for _ in names]
        endpoints = "\n".join(
            f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port.getsockname()[1]}/"\n'
            f'sources = ["{name}"]\nmax_in_flight = {CAP}'
            for name, port in zip(names, ports, strict=True)
        )
        config = stack.enter_context(workplace(endpoints, sources=names, delivery=DELIVERY))
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            await fill(config, names, deliveries, "backlog", progress)
            drained = await drain(config, journal, ports, down_s, progress)
        states = dict(await ask(config, "SELECT state, count(*) FROM delivery GROUP BY state"))
        [(attempts,)] = await ask(config, "SELECT count(*) FROM attempt")
        verified = await verify(config)
    if not journal.answers:
        raise SystemExit("refused to report: no merchant was sent anything")
    seconds = journal.last_answer_at - journal.first_answer_at
    return Figures(
        deliveries=deliveries,
        merchants=merchants,
        ready_s=round(drained.ready_s, 3),
        rss_max_mb=round(drained.rss_max_mb, 1),
        refused=attempts - journal.answers,
        first_answer_s=round(journal.first_answer_at - drained.up_at, 3),
        drained_s=round(seconds, 3),
        per_s=round(journal.answers / seconds, 1),
        promises=promises(journal, drained, states, verified),
        at_once_after=journal.at_once_after,
        samples=thinned(drained.samples),
    )


class Drained(msgspec.Struct):
    ready_s: float
    rss_max_mb: float
    up_at: float
    """When the merchants came up, by `time.perf_counter`."""
    samples: list[Sample]


async def drain(
    config: Path, journal: Journal, ports: Sequence[socket.socket], down_s: float, progress: Progress
) -> Drained:
    """From the daemon's start to its stop."""
    samples: list[Sample] = []
    bar = progress.add_task("draining", total=journal.events)
    async with daemon(config) as running:
        up_at = time.perf_counter() + down_s

        async def watch() -> None:
            while True:
                waiting = journal.events - journal.answers
                samples.append(Sample(time.perf_counter() - up_at, journal.peak(), waiting, running.rss_mb()))
                progress.update(bar, completed=journal.answers)
                await asyncio.sleep(_SAMPLE_S)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(down_s)
        servers = [await listen(shop, port) for shop, port in zip(journal.merchants, ports, strict=True)]
        await journal.end(_STALL_S)
        watching.cancel()
        await asyncio.sleep(_LATE_S)
        rss_max_mb = running.rss_max_mb()
    for server in servers:
        server.close()
    return Drained(running.ready_s, rss_max_mb, up_at, samples)


def promises(journal: Journal, drained: Drained, states: Mapping[str, int], verified: Sequence[str]) -> list[Promise]:
    one, together = journal.in_flight_of_one_max, journal.in_flight_max
    too_soon = [
        answers for answers, at_once in enumerate(journal.at_once_after[:-1]) if at_once > min(answers + 1, CAP)
    ]
    delivered = states == {"delivered": journal.events}
    return [
        at_most("ready", drained.ready_s, READY_S_ASKED, "s"),
        at_most("memory, RSS max", drained.rss_max_mb, RSS_MB_ASKED, "MB"),
        at_most("in flight at one merchant", one, CAP),
        at_most("in flight at all", together, CAP_OF_ALL),
        Promise("slow start", "1, 2, 3, …", f"too many after {too_soon} answers" if too_soon else "kept", not too_soon),
        none("never sent", journal.never),
        none("sent twice", journal.repeated),
        none("sent to the wrong one", journal.strays),
        Promise("in the database", "all delivered", _counted(states), delivered),
        Promise("webhookd verify", "nothing is wrong", "; ".join(verified[:5]) or "nothing is wrong", not verified),
    ]


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def show(figures: Figures) -> None:
    console = Console()
    console.print(over_time(figures.samples), slow_start(figures.at_once_after))
    console.print(asked_and_found(figures.promises))
    console.print(
        f"{figures.deliveries} deliveries to {figures.merchants} merchants in {figures.drained_s:.1f} s, "
        f"{figures.per_s:.0f} a second; the first {figures.first_answer_s:.1f} s after they came up; "
        f"{figures.refused} attempts before that were refused",
        highlight=False,
        soft_wrap=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=one_or_more, default=1_000_000, help="that wait when the daemon starts")
    parser.add_argument("--merchants", type=one_or_more, default=100)
    parser.add_argument("--down", type=float, default=3, help="seconds until the merchants come up")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    figures = uvloop.run(measure(arguments.deliveries, arguments.merchants, arguments.down))
    tell(figures, lambda: show(figures), as_json=arguments.json)
    sys.exit(0 if all(promise.kept for promise in figures.promises) else 1)


if __name__ == "__main__":
    command(main)
