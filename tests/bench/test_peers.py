"""How webhookd and its peers are compared: what is counted as lost, what ratios are of, and who is left out."""

import argparse
import asyncio
import datetime as dt
import io
import sys
from pathlib import Path

import pytest
import standardwebhooks
from rich.console import Console
from rich.progress import Progress

from bench.peers import comparison
from bench.peers.__main__ import compare, named
from bench.peers.comparison import Comparison
from bench.peers.family import family, gone
from bench.peers.known import OURS, PEERS
from bench.peers.loss import audit
from bench.peers.ours import Ours
from bench.peers.parts import Parts
from bench.peers.peer import MERCHANT_SECRET, Peer
from bench.peers.provider import Provider
from bench.peers.report import Late, Rounds, asked_of, ratio, rotated, row, show
from bench.peers.speed import Turn
from bench.peers.tally import Tally, is_signed
from bench.rig.hooks import body, id_of
from bench.rig.merchant import Connection, listen, port_of
from tests.running import PATIENCE_S


def test_what_was_acknowledged_and_never_came_is_lost():
    losses = audit(1, acked_at={b"a": 1.0, b"b": 1.0}, times={b"a": 1}, first_at={b"a": 2.0})
    assert (losses.acked, losses.lost, losses.repeated) == (2, 1, 0)


def test_what_came_without_having_been_acknowledged_is_not_counted_against_a_loss():
    losses = audit(1, acked_at={b"a": 1.0}, times={b"b": 1}, first_at={b"b": 2.0})
    assert (losses.acked, losses.lost) == (1, 1)


def test_an_event_that_came_three_times_is_one_that_was_repeated():
    losses = audit(1, acked_at={b"a": 1.0, b"b": 1.0}, times={b"a": 3, b"b": 1}, first_at={b"a": 2.0, b"b": 2.0})
    assert (losses.lost, losses.repeated) == (0, 1)


def test_the_longest_wait_is_from_the_200_to_the_first_delivery():
    losses = audit(1, acked_at={b"a": 1.0, b"b": 3.0, b"c": 0.0}, times={}, first_at={b"a": 2.0, b"b": 33.0})
    assert losses.waited_s == 30.0


def test_each_is_first_in_its_turn():
    assert [rotated(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_a_ratio_is_made_within_each_round():
    # The machine is ten times slower in the second round: no ratio of medians would be 2.
    assert ratio([200.0, 20.0, 180.0], of=[100.0, 10.0, 90.0]) == 2.0


def test_figures_are_medians_of_rounds():
    ours = Rounds([turn_of(100), turn_of(300), turn_of(200)])
    found = row(Ours(), Rounds([turn_of(50), turn_of(30), turn_of(100)]), ours, echo=[1_000, 1_000, 1_000])
    assert (found.events_per_s, found.of_ours, found.of_echo) == (50, 0.5, 0.05)
    assert [(late.per_s, late.p99_ms) for late in found.late] == [(200.0, 50.0)]
    assert found.rounds == [50, 30, 100]


def test_what_is_asked_beside_a_peer_is_only_asked_when_he_took_part():
    rounds = Rounds([turn_of(100)])
    ours = row(Ours(), rounds, rounds, echo=[200.0])
    assert [promise.kept for promise in asked_of({OURS: ours}, OURS)] == [True]
    slow = row(Ours(), Rounds([turn_of(60)]), rounds, echo=[200.0])
    assert [promise.kept for promise in asked_of({OURS: ours, "bullmq-always": slow}, OURS)] == [True, False]


def test_who_needs_what_the_machine_lacks_is_left_out_and_it_is_said(said):
    progress, text = said
    asyncio.run(Comparison([Ours(), Lacking()], progress).prepare())
    assert text() == "without lacking: needs what this machine lacks: Debian's nonesuch-server\n"


async def test_who_fails_is_left_out_and_the_others_go_on(monkeypatch, said):
    async def turn(peer, *_):
        if peer.name == "lacking":
            raise SystemExit("it ended with 1: no more room")
        return turn_of(100)

    monkeypatch.setattr(comparison, "turn", turn)
    monkeypatch.setattr(comparison, "echo_rate", echo_of_200)
    side_by_side = Comparison([Ours(), Lacking()], said[0])
    await side_by_side.measure(events=10, rounds=2, rates=[], seconds=0)
    report = side_by_side.report(10)
    assert [(each.name, each.rounds) for each in report.peers] == [(OURS, [100, 100])]
    assert report.left_out == {"lacking": "it ended with 1: no more room"}


async def test_who_does_not_come_back_from_a_kill_keeps_his_figures_and_it_is_said(monkeypatch, said):
    async def turn(*_):
        return turn_of(100)

    async def losses(peer, *_):
        if peer.name == "lacking":
            raise SystemExit("redis-server did not start: bad file format")
        return audit(2, {b"a": 1.0}, {b"a": 1}, {b"a": 2.0})

    monkeypatch.setattr(comparison, "turn", turn)
    monkeypatch.setattr(comparison, "losses", losses)
    monkeypatch.setattr(comparison, "echo_rate", echo_of_200)
    side_by_side = Comparison([Ours(), Lacking()], said[0])
    await side_by_side.measure(events=10, rounds=1, rates=[], seconds=0)
    await side_by_side.kill(2, seed=1)
    report = side_by_side.report(10)
    assert [(each.events_per_s, each.losses is None) for each in report.peers] == [(100, False), (100, True)]
    assert report.left_out == {"lacking, kill -9": "redis-server did not start: bad file format"}


async def test_a_failure_without_words_is_named(monkeypatch, said):
    async def turn(peer, *_):
        if peer.name == "lacking":
            raise TimeoutError
        return turn_of(100)

    monkeypatch.setattr(comparison, "turn", turn)
    monkeypatch.setattr(comparison, "echo_rate", echo_of_200)
    side_by_side = Comparison([Ours(), Lacking()], said[0])
    await side_by_side.measure(events=10, rounds=1, rates=[], seconds=0)
    report = side_by_side.report(10)
    show(report)
    assert report.left_out == {"lacking": "TimeoutError()"}


async def test_without_webhookd_nothing_is_reported(monkeypatch, said):
    async def turn(*_):
        raise SystemExit("refused to report: 3 of 10 hooks were not answered 200")

    monkeypatch.setattr(comparison, "turn", turn)
    monkeypatch.setattr(comparison, "echo_rate", echo_of_200)
    with pytest.raises(SystemExit, match="webhookd: refused to report: 3 of 10"):
        await Comparison([Ours(), Lacking()], said[0]).measure(events=10, rounds=1, rates=[], seconds=0)


def test_webhookd_always_takes_part_and_strangers_never_do():
    assert [peer.name for peer in named("bullmq-always")] == [OURS, "bullmq-always"]
    assert next(iter(PEERS)) == OURS
    with pytest.raises(argparse.ArgumentTypeError, match="there is no bulmq"):
        named("bulmq")


def test_a_delivery_is_signed_when_the_reference_library_says_so():
    hook, now = body(1, "t", 0), dt.datetime.fromtimestamp(1_700_000_000, dt.UTC)
    signature = standardwebhooks.Webhook(MERCHANT_SECRET).sign("evt_t_1", now, hook.decode())
    head = f"POST / HTTP/1.1\r\nwebhook-id: evt_t_1\r\nwebhook-timestamp: 1700000000\r\nwebhook-signature: {signature}"
    assert is_signed(head.lower().encode(), hook)
    assert not is_signed(head.lower().encode(), hook + b" ")
    assert not is_signed(b"post / http/1.1\r\nwebhook-id: evt_t_1", hook)


def test_posts_that_are_not_signed_are_refused():
    tally = Tally()
    tally.take(Unheard(), b"post / http/1.1\r\nwebhook-id: a", body(1, "t", 0))
    with pytest.raises(SystemExit, match="what slapdash posts is not signed"):
        tally.judge("slapdash")


async def test_a_provider_sends_again_what_had_no_200_and_no_more():
    provider, deaf = Provider("t"), Deaf(answers=100)
    server = await listen(deaf)
    await provider.connect(port_of(server))
    async with asyncio.timeout(PATIENCE_S):
        await deaf.silent.wait()
        deaf.hang_up()
        await provider.disconnected()
        assert len(provider.acked_at) == 100
        deaf.answers = 2**60
        await provider.connect(port_of(server))
        await provider.acked_more(100, PATIENCE_S)
        await provider.finish(PATIENCE_S)
    server.close()
    assert provider.acked_at.keys() == set(deaf.heard)
    assert len(set(deaf.heard)) < len(deaf.heard)
    assert {deaf.heard.count(event) for event in deaf.heard[:100]} == {1}


async def test_who_has_left_the_family_s_session_is_killed_with_it():
    parts = Parts()
    child = "import subprocess; subprocess.run(['setsid', '--wait', 'sh', '-c', 'sleep 600 & echo ready; wait'])"
    part = await parts.start("parent", [sys.executable, "-c", child])
    await part.said("ready")
    everyone, memory_mb = family(part.pid), parts.memory_mb()
    await parts.kill()
    assert len(everyone) >= 3
    assert memory_mb > 1
    assert all(map(gone, everyone))
    assert parts.processes == []


async def test_a_part_that_does_not_start_says_why():
    parts = Parts()
    part = await parts.start("redis", ["sh", "-c", "echo no room; exit 3"])
    with pytest.raises(SystemExit, match="redis did not start: no room"):
        await part.said("ready")


async def test_the_whole_comparison_with_webhookd_alone():
    report = await compare([Prompt()], events=200, rounds=1, rates=[], seconds=0, kills=1, seed=1)
    [ours] = report.peers
    assert ours.losses is not None
    assert (ours.losses.kills, ours.losses.lost) == (1, 0)
    assert ours.losses.acked >= 100
    assert ours.processes == 1
    assert ours.of_ours == 1
    assert report.left_out == {}


class Prompt(Ours):
    settles_s = 0.2


class Lacking(Peer):
    name = "lacking"
    made_of = means = power_cut = ""
    settles_s = 0.0
    debian = (("sh", "dash"), ("nonesuch", "nonesuch-server"))

    async def prepare(self, say):
        raise AssertionError("it cannot be prepared")

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        raise AssertionError("it cannot be started")


class Unheard(Connection):
    def __init__(self) -> None:
        pass

    def answer(self) -> None:
        pass


class Deaf:
    """Answers so many requests and none after that, until it hangs up."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.heard: list[bytes] = []
        self.silent = asyncio.Event()
        self._waiting: set[Connection] = set()

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self.heard.append(id_of(body))
        if len(self.heard) > self.answers:
            self._waiting.add(connection)
            if len(self._waiting) == 64:
                self.silent.set()
        else:
            connection._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def hang_up(self) -> None:
        for each in self._waiting:
            each._transport.close()


def turn_of(events_per_s: float) -> Turn:
    return Turn(
        accepted_per_s=2 * events_per_s,
        events_per_s=events_per_s,
        late=[Late(200.0, p50_ms=1.0, p99_ms=events_per_s, lag_p99_ms=0.1)],
        refused=[],
        idle_mb=50.0,
        loaded_mb=60.0,
        cpu_ms_per_event=0.5,
        processes=1,
    )


async def echo_of_200(*_) -> float:
    return 200.0


@pytest.fixture
def said():
    """A progress bar, and what was said above it."""
    console = Console(width=200, file=io.StringIO())
    return Progress(console=console, disable=True), console.file.getvalue
