"""When systemd is told that all is well, and when it is not: by a clock that goes as the test says."""

from collections.abc import Iterator

import pytest

from tests.fake_clock import FakeClock
from webhookd.config.endpoints import TIMEOUT_MS_MAX
from webhookd.observe.liveness import BEAT_S, DISPATCHER_S_MAX, LOOP_S_MAX, WRITER_S_MAX, Probe, Signs, Watchdog, stuck


class Desk:
    """A dispatcher, of which only is seen when it last had a slot to give away."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.slot_free_at = clock.monotonic()
        self.is_full = False

    def pump(self) -> None:
        if not self.is_full:
            self.slot_free_at = self._clock.monotonic()


class Ill:
    """Three parts of which each may fall silent."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.desk = Desk(self.clock)
        self.writer_is_asked = 0
        self.told: list[tuple[str, ...]] = []
        self.signs = Signs(self.clock.monotonic, self._answer, self.desk)
        self.watchdog = Watchdog(self.signs.probes, 5.0, lambda *lines: self.told.append(lines))

    async def _answer(self) -> None:
        self.writer_is_asked += 1
        await Later()

    def passes(self, seconds: float) -> None:
        self.clock.call_later(seconds, lambda: None)
        self.clock.advance_to_next_timer()

    @property
    def stuck(self) -> list[str]:
        return [said.split()[0] for said in stuck(self.signs.probes)]


class Later:
    def __await__(self) -> Iterator[None]:
        yield


@pytest.fixture
def ill() -> Ill:
    return Ill()


def test_a_part_is_stuck_once_it_has_been_silent_for_its_bound() -> None:
    assert stuck([Probe("loop", lambda: 1.99, 2.0)]) == []
    assert stuck([Probe("loop", lambda: 2.0, 2.0)]) == ["loop (2 s)"]


def test_all_that_are_stuck_are_named_with_how_long() -> None:
    probes = [Probe("loop", lambda: 3.2, 2.0), Probe("writer", lambda: 1.0, 5.0), Probe("dispatcher", lambda: 400, 360)]
    assert stuck(probes) == ["loop (3 s)", "dispatcher (400 s)"]


@pytest.mark.fault(23)
async def test_a_loop_that_does_not_come_round_for_two_seconds_is_stuck(ill: Ill) -> None:
    await ill.signs.beat()
    ill.passes(BEAT_S + LOOP_S_MAX - 0.01)
    assert ill.stuck == []
    ill.passes(0.02)
    assert ill.stuck == ["loop"]
    await ill.signs.beat()
    assert ill.stuck == []


async def test_a_writer_that_does_not_answer_within_five_seconds_is_stuck_until_it_does(ill: Ill) -> None:
    question = ill.signs.ask_writer()
    question.send(None)
    assert ill.writer_is_asked == 1
    ill.passes(WRITER_S_MAX - 0.01)
    await ill.signs.beat()
    assert ill.stuck == []
    ill.passes(0.02)
    assert ill.stuck == ["writer"]
    with pytest.raises(StopIteration):
        question.send(None)
    assert ill.stuck == []


async def test_a_writer_that_was_asked_nothing_yet_owes_no_answer(ill: Ill) -> None:
    ill.passes(WRITER_S_MAX * 10)
    await ill.signs.beat()
    assert ill.stuck == []


async def test_commits_of_seven_tenths_of_a_second_each_are_no_reason(ill: Ill) -> None:
    """The question waits behind the commit that is under way, and perhaps behind one more."""
    for _ in range(20):
        question = ill.signs.ask_writer()
        question.send(None)
        ill.passes(1.4)
        await ill.signs.beat()
        assert ill.stuck == []
        with pytest.raises(StopIteration):
            question.send(None)


async def test_an_idle_dispatcher_is_woken_with_every_beat_and_is_not_stuck(ill: Ill) -> None:
    for _ in range(10):
        ill.passes(DISPATCHER_S_MAX / 2)
        await ill.signs.beat()
    assert ill.stuck == []


async def test_a_dispatcher_that_had_no_slot_for_longer_than_any_attempt_may_take_is_stuck(ill: Ill) -> None:
    ill.desk.is_full = True
    ill.passes(DISPATCHER_S_MAX - 0.01)
    await ill.signs.beat()
    assert ill.stuck == []
    ill.passes(0.02)
    await ill.signs.beat()
    assert ill.stuck == ["dispatcher"]


async def test_systemd_is_fed_while_nothing_is_stuck(ill: Ill) -> None:
    ill.watchdog.look()
    ill.watchdog.look()
    assert ill.told == [("WATCHDOG=1",)] * 2


async def test_systemd_is_not_fed_while_something_is_stuck_and_hears_what(ill: Ill) -> None:
    ill.passes(10.5)
    ill.watchdog.look()
    [(said,)] = ill.told
    assert said.startswith("STATUS=stuck: loop (10 s)")
    await ill.signs.beat()
    ill.watchdog.look()
    assert ill.told[1] == ("WATCHDOG=1", "STATUS=receiving and delivering again")
    ill.watchdog.look()
    assert ill.told[2] == ("WATCHDOG=1",)


def test_the_longest_attempt_there_is_ends_before_the_dispatcher_counts_as_stuck() -> None:
    assert TIMEOUT_MS_MAX / 1_000 + 30 <= DISPATCHER_S_MAX
