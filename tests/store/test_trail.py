"""The audit trail's promise: a change and its row are one transaction, and what changes nothing leaves none."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.raw import ask, make
from tests.store.site import Site, Store
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, Outcome, Settlement
from webhookd.store.protocol.errors import RefusalError, StoreUnavailableError
from webhookd.store.protocol.tokens import Token, TokenExistsError, TooManyTokensError
from webhookd.store.protocol.trail import BY_ITSELF, AuditRow, Deed, TrailFilter, current_deed
from webhookd.store.sql.batch import Committed
from webhookd.store.sql.connection import Connection, Write

ALL = TrailFilter()
HASH = b"0" * 32


class Commits:
    """Counts them."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, *_figures: object) -> None:
        self.made += 1


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
async def store(site: Site, commits: Commits) -> AsyncIterator[Store]:
    opened = await site.open()
    opened._told = commits  # type: ignore[attr-defined]
    await opened.adopt([spec("shop")], NOW_MS)
    commits.made = 0
    yield opened
    await opened.close()


@contextmanager
def done_by(actor: str, action: str = "endpoint.pause", subject: str = "shop") -> Iterator[Deed]:
    deed = Deed(NOW_MS, actor, action, address="192.0.2.1", subject=subject, detail='{"why":"tea"}')
    token = current_deed.set(deed)
    try:
        yield deed
    finally:
        current_deed.reset(token)


async def rows(store: Store) -> list[AuditRow]:
    return [*await store.trail.list(ALL, 100)]


async def actors(store: Store) -> list[str]:
    return [each.actor for each in await rows(store)]


async def test_a_change_and_its_row_are_one_commit(store: Store, commits: Commits):
    with done_by("alice"):
        assert await store.set_endpoint_state("shop", "paused")
    assert commits.made == 1
    assert await rows(store) == [AuditRow(1, NOW_MS, "alice", "192.0.2.1", "endpoint.pause", "shop", '{"why":"tea"}')]


async def test_a_change_that_fails_after_it_has_written_leaves_neither_itself_nor_its_row(store: Store):
    def fails(connection: Connection) -> None:
        ask(connection, "UPDATE endpoint SET url = 'https://elsewhere.example'")
        raise ValueError("no")

    with done_by("alice"), pytest.raises(ValueError, match="no"):
        await make(store, fails)
    assert await rows(store) == []
    found = await store.endpoint("shop")
    assert found is not None
    assert found.url == spec("shop").url


async def test_when_the_row_cannot_be_written_neither_is_the_change(store: Store):
    with done_by("alice") as deed:
        deed.action = None  # type: ignore[assignment]
        with pytest.raises(Exception, match="action"):
            await store.set_endpoint_state("shop", "paused")
    found = await store.endpoint("shop")
    assert found is not None
    assert (found.state, await rows(store)) == ("active", [])


async def test_a_change_that_is_refused_leaves_no_row(store: Store):
    await store.tokens.add("ci", HASH, "read", NOW_MS, None)
    with done_by("alice"), pytest.raises(TokenExistsError):
        await store.tokens.add("ci", b"1" * 32, "admin", NOW_MS, None)
    assert await rows(store) == []


async def test_a_change_of_nothing_leaves_no_row(store: Store):
    with done_by("alice", subject="nobody"):
        assert not await store.set_endpoint_state("nobody", "paused")
    assert await rows(store) == []


async def test_what_is_only_read_leaves_no_row(store: Store):
    with done_by("alice"):
        await store.kept_endpoints()
        await store.endpoint("shop")
    assert await rows(store) == []


async def test_several_changes_of_one_deed_leave_one_row_in_the_commit_of_the_first(store: Store, commits: Commits):
    with done_by("alice"):
        await store.set_endpoint_state("shop", "paused")
        assert (commits.made, await actors(store)) == (1, ["alice"])
        await asyncio.gather(*(store.set_endpoint_state("shop", "active") for _ in range(3)))
    assert await actors(store) == ["alice"]


async def test_of_several_changes_the_first_that_is_made_has_the_row(store: Store):
    def refused(_connection: Connection) -> None:
        raise RefusalError

    def fails(connection: Connection) -> None:
        ask(connection, "UPDATE endpoint SET url = 'https://elsewhere.example'")
        raise ValueError

    with done_by("alice"):
        found = await asyncio.gather(
            *(make(store, refused), make(store, fails), store.set_endpoint_state("shop", "paused")),
            return_exceptions=True,
        )
    assert [type(each) for each in found] == [RefusalError, ValueError, bool]
    assert await actors(store) == ["alice"]


async def test_a_batch_that_is_written_again_change_by_change_has_each_row_once(store: Store):
    """One change of a batch fails, and all that was written with it is undone and written once more, alone."""

    def fails(_connection: Connection) -> None:
        raise ValueError

    async def pause(actor: str) -> None:
        with done_by(actor):
            await store.set_endpoint_state("shop", "paused")

    first = asyncio.ensure_future(make(store, lambda connection: ask(connection, "SELECT 1")))
    await asyncio.gather(
        first, pause("alice"), make(store, fails), pause("bob"), store.append(event()), return_exceptions=True
    )
    assert sorted(await actors(store)) == ["alice", "bob"]


async def test_a_row_whose_commit_failed_is_written_by_the_next_change_of_the_deed(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    apply = store._apply  # type: ignore[attr-defined]

    def no_room(_connection: Connection) -> None:
        raise StoreUnavailableError("the disk is full")

    async def full(batch: Sequence[Write]) -> Committed:
        return await apply([*batch, no_room])

    with done_by("alice"):
        monkeypatch.setattr(store, "_apply", full)
        with pytest.raises(StoreUnavailableError):
            await store.set_endpoint_state("shop", "paused")
        monkeypatch.setattr(store, "_apply", apply)
        assert await store.set_endpoint_state("shop", "paused")
    assert await actors(store) == ["alice"]


async def test_what_goes_on_after_the_deed_is_none_of_it(store: Store):
    with done_by("alice") as deed:
        deed.is_over = True
        await store.set_endpoint_state("shop", "paused")
    assert await rows(store) == []


async def test_a_deed_that_changed_nothing_here_can_be_put_on_record_once(store: Store):
    with done_by("alice", "endpoint.ping") as deed:
        await store.trail.record(deed)
        await store.trail.record(deed)
        await store.set_endpoint_state("shop", "paused")
    assert [each.action for each in await rows(store)] == ["endpoint.ping"]


async def test_an_endpoint_that_webhookd_disables_is_on_record_in_the_same_commit(store: Store, commits: Commits):
    [shop] = await store.adopt([spec("shop")], NOW_MS)
    sent = event()
    await store.append(sent)
    commits.made = 0
    aftermath = Aftermath(Health("open", NOW_MS + 5, 3, NOW_MS - 5), gives_up=True)
    outcome = Outcome(NOW_MS, 5, 500, "status")
    for number in (1, 2):  # settled once more, it is disabled already
        key = DeliveryKey(sent.key, shop.number)
        await store.settle(Settlement(key, number, outcome, False, "pending", NOW_MS + 9, 2, aftermath))
        assert commits.made == number
        assert await rows(store) == [AuditRow(1, NOW_MS + 5, BY_ITSELF, None, "endpoint.disable", "shop", None)]


async def test_the_trail_is_narrowed_by_each_filter_and_paged(store: Store):
    for number, (actor, action) in enumerate([("a", "endpoint.pause"), ("b", "endpoint.resume"), ("a", "token.add")]):
        await store.trail.record(Deed(NOW_MS + number, actor, action, subject=f"s{number}"))

    async def found(**filters: Any) -> list[str | None]:
        return [each.subject for each in await store.trail.list(TrailFilter(**filters), 10)]

    assert await found() == ["s2", "s1", "s0"]
    assert await found(actor="a") == ["s2", "s0"]
    assert await found(action="endpoint.*") == ["s1", "s0"]
    assert await found(subject="s1") == ["s1"]
    assert await found(since_ms=NOW_MS + 1) == ["s2", "s1"]
    assert await found(until_ms=NOW_MS + 1) == ["s0"]
    [newest] = await store.trail.list(ALL, 1)
    assert await found(below=newest.number) == ["s1", "s0"]


async def test_tokens_are_kept_until_they_are_removed_and_names_are_used_once(store: Store):
    made = await store.tokens.add("ci", HASH, "replay", NOW_MS, NOW_MS + 5)
    assert made == Token(1, "ci", HASH, "replay", NOW_MS, NOW_MS + 5, None)
    await store.tokens.note_uses({1: NOW_MS + 2, 99: NOW_MS})
    await store.tokens.note_uses({1: NOW_MS + 1})
    assert await store.tokens.all() == [Token(1, "ci", HASH, "replay", NOW_MS, NOW_MS + 5, NOW_MS + 2)]
    with pytest.raises(TokenExistsError):
        await store.tokens.add("ci", b"1" * 32, "read", NOW_MS, None)
    assert await store.tokens.remove("ci")
    assert not await store.tokens.remove("ci")
    assert await store.tokens.all() == []


async def test_there_are_only_so_many_tokens(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.store.sql.tokens.TOKENS_MAX", 2)
    for number in range(2):
        await store.tokens.add(f"ci-{number}", bytes([number] * 32), "read", NOW_MS, None)
    with pytest.raises(TooManyTokensError):
        await store.tokens.add("ci-2", bytes([2] * 32), "read", NOW_MS, None)
    await store.tokens.remove("ci-0")
    await store.tokens.add("ci-2", bytes([2] * 32), "read", NOW_MS, None)
