"""What it costs who sends hooks when a million finished events are taken out of the log: the ack beside it and without.

    python bench/prune.py [--events 1000000] [--undelivered 5000] [--rounds 5] [--seconds 20] [--rate 300] [--json]

1. A log is made: signed Stripe events of 1 KiB, sixty days old, delivered with one attempt each; and among them some
   that are as old and were never delivered, for an endpoint that is paused.
2. A daemon is started on it, and gets hooks at a steady rate. Two kinds of phases alternate, with the same daemon:

     without   nothing is taken out
     pruning   a cleanup of what is older than 30 days is under way; it is cancelled when the phase is over

3. The last cleanup goes on to its end, without load, and the space is given back. Then the daemon is stopped, its files
   are weighed, the database is asked what is left, and `webhookd verify` checks all of it.

Latency is from writing a hook to the socket until its 200, the first seconds of a phase left out. The load is an open
loop: a hook is sent at its time whatever became of those before; how late it was sent (its lag) is printed. The rate at
which events go is that of the phases under load; it is bounded on purpose (see admin/broom.py).

A run does not count, and nothing is reported, when a hook was not answered 200, the load did not keep its rate, or
a phase of pruning had nothing left to take out. Exit code 1 when what is asked for is missed.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import hooks
from bench.rig.backlog import fill, set_state, settle
from bench.rig.command import above_zero, command, one_or_more, tell
from bench.rig.daemon import Running, ask, daemon, database_of, workplace
from bench.rig.disk import need_room
from bench.rig.merchant import Sink, listen, port_of
from bench.rig.steady import SteadyLoad, percentile
from bench.rig.verify import verify
from webhookd.observe.whereabouts import running_at

AGE_DAYS, KEPT_DAYS = 60, 30
WARM_UP_S = 2.0
RATIO_ASKED = 2.0
DISK_BYTES_EACH = 6144
POLL_S = 0.2
_WITHOUT, _PRUNING = "without", "pruning"
_RETENTION = '[retention]\nevents = "366d"\nbodies = "366d"\ndedupe = "366d"\n'
"""Nothing is taken out but by the cleanups that are asked for."""


class Phase(msgspec.Struct):
    latencies_ms: list[float]
    lag_p99_ms: float
    taken: int
    """Events that went while it lasted."""


class Kind(msgspec.Struct):
    """All phases of a kind."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    lag_p99_ms: float
    """The worst phase's."""
    p99_ms_by_phase: list[float]


class Figures(msgspec.Struct):
    events: int
    undelivered: int
    without: Kind
    pruning: Kind
    ratio_of_rounds: float
    """The median of the ratios of the p99s within each pair of phases."""
    ratio_pooled: float
    """Of the p99s of all latencies of a kind."""
    taken_under_load: int
    taken_per_s: float
    """Under load."""
    file_before: int
    file_after: int
    """Bytes, when no daemon runs."""
    wal_max: int
    """Bytes, looked at all along."""
    rss_max_mb: float
    left: dict[str, int]
    """Old events that are still there, by the state of their delivery; and `past`."""
    verified: list[str]

    @property
    def kept(self) -> bool:
        quick = max(self.ratio_of_rounds, self.ratio_pooled) <= RATIO_ASKED
        whole = self.left == {"pending": self.undelivered, "past": self.events} and not self.verified
        return quick and whole and self.file_after < self.file_before


async def measure(events: int, undelivered: int, rounds: int, seconds: float, rate: float) -> Figures:
    """Raises SystemExit when the run does not count."""
    need_room(events * DISK_BYTES_EACH)
    console = Console(stderr=True)
    phases: dict[str, list[Phase]] = {_WITHOUT: [], _PRUNING: []}
    with ExitStack() as stack:
        server = await listen(Sink(2**60))
        stack.callback(server.close)
        endpoints = "\n".join(
            f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port_of(server)}/"\nsources = ["{name}"]'
            for name in ("shop", "hole")
        )
        config = stack.enter_context(workplace(f"{endpoints}\n{_RETENTION}", sources=("shop", "hole")))
        progress = stack.enter_context(Progress(console=console, transient=True, disable=not console.is_terminal))
        async with daemon(config):
            pass
        await set_state(config, "paused", "shop", "hole")  # or what is taken in would be sent meanwhile
        await fill(config, ("hole",), undelivered // 2, "early", progress, age_s=(AGE_DAYS + 1) * 86_400)
        await fill(config, ("shop",), events, "old", progress, age_s=AGE_DAYS * 86_400)
        await fill(config, ("hole",), undelivered - undelivered // 2, "late", progress, age_s=(AGE_DAYS - 1) * 86_400)
        await settle(config, "shop", "delivered", progress)
        await set_state(config, "active", "shop")
        file_before = database_of(config).stat().st_size
        bar = progress.add_task("measuring", total=2 * rounds)
        async with daemon(config) as running:
            watch = asyncio.create_task(_watch_wal(config))
            for number in range(rounds):
                for kind in (_WITHOUT, _PRUNING) if number % 2 == 0 else (_PRUNING, _WITHOUT):
                    progress.update(bar, description=kind)
                    phases[kind].append(await measure_phase(config, running, kind, f"{kind}{number}", seconds, rate))
                    progress.advance(bar)
            under_load = sum(each.taken for each in phases[_PRUNING])
            await _cleanup(config)
            await _cleanup_over(config, progress, events)
            rss_max_mb = running.rss_max_mb()
            watch.cancel()
        left = dict(await ask(config, _LEFT.format(before=_key_of(time.time() - KEPT_DAYS * 86_400))))
        file_after = database_of(config).stat().st_size
        verified = await verify(config)
    one, other = _kind(phases[_WITHOUT]), _kind(phases[_PRUNING])
    ratios = [b / a for a, b in zip(one.p99_ms_by_phase, other.p99_ms_by_phase, strict=True)]
    return Figures(
        events=events,
        undelivered=undelivered,
        without=one,
        pruning=other,
        ratio_of_rounds=round(statistics.median(ratios), 3),
        ratio_pooled=round(other.p99_ms / one.p99_ms, 3),
        taken_under_load=under_load,
        taken_per_s=round(under_load / (rounds * (WARM_UP_S + seconds)), 1),
        file_before=file_before,
        file_after=file_after,
        wal_max=_wal_max,
        rss_max_mb=round(rss_max_mb, 1),
        left={state: count for state, count in left.items() if count},
        verified=verified,
    )


_LEFT = (
    "SELECT d.state, count(*) FROM event AS e JOIN delivery AS d ON d.event = e.key WHERE e.key < {before} GROUP BY 1"
    " UNION ALL SELECT 'past', count(*) FROM past"
)


async def measure_phase(config: Path, running: Running, kind: str, run: str, seconds: float, rate: float) -> Phase:
    """Raises SystemExit when it does not count."""
    count, now_s = round((WARM_UP_S + seconds) * rate), int(time.time())
    requests = [hooks.request(hooks.body(number, run, now_s), now_s, "shop") for number in range(count)]
    load = SteadyLoad(requests, rate)
    if kind == _PRUNING:
        await _cleanup(config)
    await load.run("127.0.0.1", running.port)
    taken = 0
    if kind == _PRUNING:
        found = await _call(config, "POST", "/cleanup/cancel")
        if found["state"] != "cancelled":
            raise SystemExit(f"refused to report: a cleanup was {found['state']} before its phase was: more --events")
        taken = found["gone"]["events"]
    lag_p99_ms = load.judged()
    warm = load.latencies_s[round(WARM_UP_S * rate) :]
    return Phase([1_000 * latency for latency in warm], lag_p99_ms, taken)


async def _cleanup(config: Path) -> None:
    await _call(config, "POST", "/cleanup", {"days": KEPT_DAYS})


async def _cleanup_over(config: Path, progress: Progress, events: int) -> None:
    bar = progress.add_task("taking out the rest", total=1.0)
    while (found := await _call(config, "GET", "/cleanup"))["state"] == "running":
        progress.update(bar, completed=found["progress"])
        await asyncio.sleep(POLL_S)
    if found["state"] != "done":
        raise SystemExit(f"refused to report: the last cleanup {found['state']}, of {events} events")


_wal_max = 0


async def _watch_wal(config: Path) -> None:
    global _wal_max  # noqa: PLW0603 - one run, one process
    wal = database_of(config).with_name(f"{database_of(config).name}-wal")
    while True:
        _wal_max = max(_wal_max, wal.stat().st_size if wal.exists() else 0)
        await asyncio.sleep(POLL_S)


async def _call(config: Path, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The daemon's API."""
    data_dir = config.parent / "data"
    noted = running_at(data_dir)
    if noted is None:
        raise SystemExit("the daemon ended while it was measured")
    headers = {
        "Authorization": f"Bearer {(data_dir / 'admin.token').read_text().strip()}",
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{noted.admin}/api/v1{path}", data, headers, method=method)

    def call() -> Any:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())

    return await asyncio.to_thread(call)


def _key_of(at_s: float) -> int:
    return int(at_s * 1_000) << 21


def _kind(phases: list[Phase]) -> Kind:
    pooled = [latency for each in phases for latency in each.latencies_ms]
    return Kind(
        p50_ms=round(percentile(pooled, 50), 3),
        p95_ms=round(percentile(pooled, 95), 3),
        p99_ms=round(percentile(pooled, 99), 3),
        lag_p99_ms=round(max(each.lag_p99_ms for each in phases), 3),
        p99_ms_by_phase=[round(percentile(each.latencies_ms, 99), 3) for each in phases],
    )


def show(figures: Figures) -> None:
    console = Console()
    table = Table("", "p50 ms", "p95", "p99", "p99 by phase", "lag p99")
    for name, kind in ((_WITHOUT, figures.without), (_PRUNING, figures.pruning)):
        by_phase = " ".join(f"{each:.1f}" for each in kind.p99_ms_by_phase)
        latencies = (f"{each:.2f}" for each in (kind.p50_ms, kind.p95_ms, kind.p99_ms))
        table.add_row(name, *latencies, by_phase, f"{kind.lag_p99_ms:.2f}")
    console.print(table)
    left = ", ".join(f"{count} {state}" for state, count in sorted(figures.left.items()))
    console.print(
        "From hook to 200.\n"
        f"p99 pruning / without: {figures.ratio_of_rounds:.2f} (median of rounds), {figures.ratio_pooled:.2f} (pooled)"
        f"; asked: {RATIO_ASKED:g}\n"
        f"{figures.taken_under_load} of {figures.events} events went under load, {figures.taken_per_s:.0f} a second\n"
        f"The file: {figures.file_before / 1e6:.0f} MB before, {figures.file_after / 1e6:.0f} MB after; "
        f"the WAL never above {figures.wal_max / 1e6:.0f} MB; RSS max {figures.rss_max_mb:.0f} MB\n"
        f"Old events left: {left} (asked: {figures.undelivered} pending, {figures.events} past)\n"
        f"webhookd verify: {'; '.join(figures.verified[:5]) or 'nothing is wrong'}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=one_or_more, default=1_000_000, help="finished ones, old enough to go")
    parser.add_argument("--undelivered", type=int, default=5_000, help="as old, and never delivered")
    parser.add_argument("--rounds", type=one_or_more, default=5, help="how often both are measured, in turn")
    parser.add_argument("--seconds", type=above_zero, default=20, help="of each phase that are measured")
    parser.add_argument("--rate", type=above_zero, default=300, help="hooks a second")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    figures = uvloop.run(
        measure(arguments.events, arguments.undelivered, arguments.rounds, arguments.seconds, arguments.rate)
    )
    tell(figures, lambda: show(figures), as_json=arguments.json)
    sys.exit(0 if figures.kept else 1)


if __name__ == "__main__":
    command(main)
