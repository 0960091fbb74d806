"""What is said of all peers: medians of their rounds, what they are of webhookd and of the bare echo, and a table."""

import statistics
from collections.abc import Callable, Mapping, Sequence

import msgspec
from rich.console import Console
from rich.table import Column, Table

from bench.peers.loss import Losses
from bench.peers.peer import Peer
from bench.peers.speed import Late, Turn
from bench.rig.promise import Promise, asked_and_found, at_least, none

ASKED = {"bullmq-always": 2.0, "restate": 5.0}
"""How many times as many events a second webhookd is to bring to the merchant."""
OF_ECHO_ASKED = 0.4


class Rounds(msgspec.Struct):
    """All that was measured of a peer."""

    turns: list[Turn] = []
    losses: Losses | None = None


class Row(msgspec.Struct):
    """Of one peer: medians over its rounds; `of_…` are medians of the ratios of events a second within each round."""

    name: str
    made_of: str
    means: str
    """What its 200 says: "200 means that …"."""
    power_cut: str
    """What of that a power cut takes."""
    accepted_per_s: int
    events_per_s: int
    of_echo: float
    of_ours: float
    late: list[Late]
    idle_mb: int
    loaded_mb: int
    cpu_ms_per_event: float
    processes: int
    rounds: list[int]
    """Events a second."""
    refused: list[str]
    """Rates that could not be measured, and why."""
    losses: Losses | None


class Report(msgspec.Struct):
    events: int
    echo_per_s: int
    peers: list[Row]
    left_out: dict[str, str]
    """Who does not take part, and why."""
    asked: list[Promise]

    @property
    def kept(self) -> bool:
        return all(each.kept for each in self.asked)


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: each round begins with who was second in the one before."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def ratio(rates: Sequence[float], of: Sequence[float]) -> float:
    """The median of the ratios within each round, so that it holds when the machine's speed drifts between them."""
    return statistics.median(rate / base for rate, base in zip(rates, of, strict=True))


def row(peer: Peer, found: Rounds, ours: Rounds, echo: Sequence[float]) -> Row:
    """Of a peer that was measured in each round in which `ours` and the echo were."""

    def median(of: Callable[[Turn], float]) -> float:
        return statistics.median(map(of, found.turns))

    rates = [turn.events_per_s for turn in found.turns]
    return Row(
        name=peer.name,
        made_of=peer.made_of,
        means=peer.means,
        power_cut=peer.power_cut,
        accepted_per_s=round(median(lambda turn: turn.accepted_per_s)),
        events_per_s=round(median(lambda turn: turn.events_per_s)),
        of_echo=round(ratio(rates, echo), 3),
        of_ours=round(ratio(rates, [turn.events_per_s for turn in ours.turns]), 3),
        late=_late(found.turns),
        idle_mb=round(median(lambda turn: turn.idle_mb)),
        loaded_mb=round(median(lambda turn: turn.loaded_mb)),
        cpu_ms_per_event=round(median(lambda turn: turn.cpu_ms_per_event), 3),
        processes=round(median(lambda turn: turn.processes)),
        rounds=[round(rate) for rate in rates],
        refused=[reason for turn in found.turns for reason in turn.refused],
        losses=found.losses,
    )


def _late(turns: Sequence[Turn]) -> list[Late]:
    found = []
    for rate in sorted({each.per_s for turn in turns for each in turn.late}):
        late = [each for turn in turns for each in turn.late if each.per_s == rate]
        found.append(
            Late(
                rate,
                p50_ms=round(statistics.median(each.p50_ms for each in late), 2),
                p99_ms=round(statistics.median(each.p99_ms for each in late), 2),
                lag_p99_ms=round(max(each.lag_p99_ms for each in late), 2),
            )
        )
    return found


def asked_of(rows: Mapping[str, Row], ours: str) -> list[Promise]:
    """What is asked of webhookd beside those that took part."""
    asked = [at_least("events/s of bare echo", rows[ours].of_echo, OF_ECHO_ASKED)]
    asked += [
        at_least(f"events/s of {name}", 1 / rows[name].of_ours, times) for name, times in ASKED.items() if name in rows
    ]
    losses = rows[ours].losses
    return asked if losses is None else [*asked, none("lost after kill -9", losses.lost)]


def show(report: Report) -> None:
    console = Console()
    console.width = max(console.width, 120)
    console.print(_speeds(report), _latencies(report), _durability(report), asked_and_found(report.asked))
    lines = [f"Bare echo: {report.echo_per_s} hooks/s. Medians of rounds ({len(report.peers[0].rounds)})."]
    lines += [f"{row.name} ({row.made_of}): 200 means that {row.means}." for row in report.peers]
    lines += [f"{row.name} {reason}" for row in report.peers for reason in row.refused]
    # Of what a program said last, the last line.
    lines += [f"Left out: {name}: {reason.strip().splitlines()[-1]}" for name, reason in report.left_out.items()]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _speeds(report: Report) -> Table:
    table = Table(
        *(Column("", no_wrap=True), "accepted/s", "events/s", "of echo", "of webhookd"),
        *("CPU ms/event", "MB idle", "loaded", "processes"),
    )
    for row in report.peers:
        table.add_row(
            *(row.name, str(row.accepted_per_s), str(row.events_per_s)),
            *(f"{row.of_echo:.2f}", f"{row.of_ours:.2f}", f"{row.cpu_ms_per_event:.2f}"),
            *(str(row.idle_mb), str(row.loaded_mb), str(row.processes)),
        )
    return table


def _latencies(report: Report) -> Table:
    rates = sorted({late.per_s for row in report.peers for late in row.late})
    table = Table(Column("hook to merchant", no_wrap=True), *(f"{rate:g}/s p50 / p99 ms" for rate in rates))
    for row in report.peers:
        late = {each.per_s: f"{each.p50_ms:.1f} / {each.p99_ms:.1f}" for each in row.late}
        table.add_row(row.name, *(late.get(rate, "–") for rate in rates))
    return table


def _durability(report: Report) -> Table:
    table = Table(
        *(Column("kill -9 of all parts", no_wrap=True), "kills", "acknowledged", "lost", "twice or more"),
        *("waited longest s", "a power cut takes"),
    )
    for row in report.peers:
        found = row.losses
        counts = (found.kills, found.acked, found.lost, found.repeated, round(found.waited_s, 1)) if found else "–" * 5
        table.add_row(row.name, *map(str, counts), row.power_cut)
    return table
