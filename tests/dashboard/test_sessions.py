"""How long somebody is in, what ends it at once, and what becomes of it when the store fails."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_clock import FakeClock
from tests.making import SEAL
from webhookd.admin.dashboard.frame.sessions import IDLE_MS, OF_A_TOKEN_MAX, SESSION_MS, Sessions
from webhookd.admin.door.doorkeeper import Doorkeeper
from webhookd.admin.door.token import new_token, token_hash
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.sessions import SESSIONS_MAX
from webhookd.store.sqlite.store import SqliteStore

FIRST = new_token()
HOME = "127.0.0.1"
MINUTE_MS = 60_000


class Desk:
    """Sessions at a clock of our own, on a real store that fails when it is told to."""

    def __init__(self, store: SqliteStore, first_token: str = FIRST) -> None:
        self.clock = FakeClock()
        self.store = store
        self.is_failing = False
        self.doorkeeper = Doorkeeper(first_token, store.tokens, store.trail, self.clock)
        self.sessions = Sessions(self, self.doorkeeper, self.clock)

    def __getattr__(self, name: str) -> Any:
        if self.is_failing:
            raise StoreUnavailableError
        return getattr(self.store.sessions, name)

    async def restarted(self, first_token: str = FIRST) -> "Desk":
        desk = Desk(self.store, first_token)
        desk.clock = desk.doorkeeper._clock = desk.sessions._clock = self.clock
        await desk.doorkeeper.load()
        await desk.sessions.load()
        return desk

    def is_in(self, cookie: str) -> bool:
        return self.sessions.find(cookie, HOME) is not None

    async def kept(self) -> int:
        return len(await self.store.sessions.all())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.unlock(SEAL)
    yield Desk(store)
    await store.close()


# --- How long


async def test_who_does_nothing_for_half_an_hour_is_out(house: Desk):
    cookie = await house.sessions.open(token_hash(FIRST))
    for _ in range(3):
        house.clock.step_wall_clock(IDLE_MS - 1)
        assert house.is_in(cookie)
    house.clock.step_wall_clock(IDLE_MS)
    assert not house.is_in(cookie)
    await house.sessions.note_uses()
    assert await house.kept() == 0


async def test_after_twelve_hours_everybody_is_out(house: Desk):
    cookie = await house.sessions.open(token_hash(FIRST))
    for _ in range(SESSION_MS // (10 * MINUTE_MS) - 1):
        house.clock.step_wall_clock(10 * MINUTE_MS)
        assert house.is_in(cookie)
        await house.sessions.note_uses()
    house.clock.step_wall_clock(10 * MINUTE_MS)
    assert not house.is_in(cookie)


async def test_a_page_that_is_open_is_use_until_the_twelve_hours_are_over(house: Desk):
    cookie = await house.sessions.open(token_hash(FIRST))
    guest = house.sessions.find(cookie, HOME)
    assert guest is not None
    for _ in range(SESSION_MS // (10 * MINUTE_MS) - 1):
        house.clock.step_wall_clock(10 * MINUTE_MS)
        assert house.sessions.keep(guest)
    house.clock.step_wall_clock(10 * MINUTE_MS)
    assert not house.sessions.keep(guest)


# --- What ends it


async def test_a_token_that_is_removed_or_expires_ends_what_was_opened_with_it(house: Desk):
    cookies = []
    for name, lasts_ms in (("removed", None), ("short", 5 * MINUTE_MS), ("other", None)):
        _, token = await house.doorkeeper.add(name, "read", lasts_ms)
        cookies.append(await house.sessions.open(token_hash(token)))
    assert [house.is_in(each) for each in cookies] == [True, True, True]
    await house.doorkeeper.remove("removed")
    assert [house.is_in(each) for each in cookies] == [False, True, True]
    house.clock.step_wall_clock(5 * MINUTE_MS)
    assert [house.is_in(each) for each in cookies] == [False, False, True]
    await house.sessions.note_uses()
    assert await house.kept() == 1


async def test_a_token_of_the_same_name_is_another_one(house: Desk):
    _, token = await house.doorkeeper.add("ops", "read", None)
    cookie = await house.sessions.open(token_hash(token))
    await house.doorkeeper.remove("ops")
    await house.doorkeeper.add("ops", "admin", None)
    assert not house.is_in(cookie)


async def test_another_token_in_the_data_directory_ends_what_the_one_before_opened(house: Desk):
    cookie = await house.sessions.open(token_hash(FIRST))
    assert (await house.restarted()).is_in(cookie)
    after = await house.restarted(new_token())
    assert not after.is_in(cookie)
    await after.sessions.note_uses()
    assert await house.kept() == 0


async def test_a_token_that_only_publishes_holds_no_session(house: Desk):
    _, token = await house.doorkeeper.add("shop", "publish", None)
    assert not house.is_in(await house.sessions.open(token_hash(token)))


async def test_beyond_the_bound_who_was_away_longest_is_out_also_after_a_restart(house: Desk):
    cookies = []
    tokens = [(await house.doorkeeper.add(f"t{number}", "read", None))[1] for number in range(20)]
    for number in range(SESSIONS_MAX):
        cookies.append(await house.sessions.open(token_hash(tokens[number % len(tokens)])))
        house.clock.step_wall_clock(1)
    assert house.is_in(cookies[0])
    await house.sessions.note_uses()
    cookies.append(await house.sessions.open(token_hash(FIRST)))
    after = await house.restarted()
    for each in (house, after):
        assert [each.is_in(cookies[number]) for number in (0, 1, 2, -1)] == [True, False, True, True]
    assert await house.kept() == SESSIONS_MAX


async def test_who_logs_in_again_and_again_throws_out_nobody_but_himself(house: Desk):
    _, token = await house.doorkeeper.add("looks", "read", None)
    operator = await house.sessions.open(token_hash(FIRST))
    cookies = []
    for _ in range(OF_A_TOKEN_MAX + 2):
        house.clock.step_wall_clock(1)
        cookies.append(await house.sessions.open(token_hash(token)))
    after = await house.restarted()
    for each in (house, after):
        assert each.is_in(operator)
        assert [each.is_in(cookies[number]) for number in (0, 1, 2, -1)] == [False, False, True, True]
    assert await house.kept() == OF_A_TOKEN_MAX + 1


# --- When the store fails


async def test_who_logs_out_while_nothing_can_be_written_is_out_and_the_store_hears_of_it_later(house: Desk):
    cookie = await house.sessions.open(token_hash(FIRST))
    guest = house.sessions.find(cookie, HOME)
    assert guest is not None
    house.is_failing = True
    await house.sessions.close(guest)
    assert not house.is_in(cookie)
    await house.sessions.note_uses()
    assert await house.kept() == 1
    house.is_failing = False
    await house.sessions.note_uses()
    assert await house.kept() == 0


async def test_a_use_that_could_not_be_noted_is_noted_the_next_time_and_none_of_who_has_left_meanwhile(house: Desk):
    cookies = [await house.sessions.open(token_hash(FIRST)) for _ in range(2)]
    house.clock.step_wall_clock(MINUTE_MS)
    stays, leaves = (house.sessions.find(each, HOME) for each in cookies)
    assert stays is not None
    assert leaves is not None

    class Slow:
        async def note_uses(self, _uses: object) -> None:
            await house.sessions.close(leaves)
            raise StoreUnavailableError

        def __getattr__(self, name: str) -> Any:
            return getattr(house.store.sessions, name)

    house.sessions._store = Slow()
    await house.sessions.note_uses()
    house.sessions._store = house
    await house.sessions.note_uses()
    assert [each.seen_at for each in await house.store.sessions.all()] == [house.clock.now_ms()]


async def test_who_cannot_be_written_down_is_not_in(house: Desk):
    house.is_failing = True
    with pytest.raises(StoreUnavailableError):
        await house.sessions.open(token_hash(FIRST))
    assert house.sessions._known == {}
