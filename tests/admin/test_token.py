"""Tokens: the file that is made once, the doorkeeper's memory of all others, and never a door open by accident."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fake_clock import FakeClock
from tests.making import SEAL
from webhookd.admin.door import doorkeeper as doorkeepers
from webhookd.admin.door.doorkeeper import Doorkeeper, Visitor
from webhookd.admin.door.reasons import ConflictError, NotFoundError, RefusedError
from webhookd.admin.door.token import GOOD_FOR, TokenError, ensure_token, new_token
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.tokens import TOKEN_SCOPES, TokenScope
from webhookd.store.protocol.trail import TrailFilter
from webhookd.store.sqlite.store import SqliteStore

FIRST = "whd_" + "f" * 43
A, B = "192.0.2.1", "192.0.2.2"
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    await store.unlock(SEAL)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "webhookd.db") as found:
        yield found


@pytest.fixture
async def keeper(store: SqliteStore, clock: FakeClock) -> Doorkeeper:
    found = Doorkeeper(FIRST, store.tokens, store.trail, clock)
    await found.load()
    return found


async def refused(keeper: Doorkeeper, token: str | None, scope: str | None = "read", address: str = A) -> RefusedError:
    with pytest.raises(RefusedError) as found:
        await keeper.admit(None if token is None else f"Bearer {token}", address, scope)
    return found.value


def told(refusal: RefusedError) -> tuple[int, str, dict[str, str]]:
    return refusal.status, str(refusal), dict(refusal.headers)


# --- The file


def test_a_token_is_made_once_and_kept(tmp_path: Path):
    token = ensure_token(tmp_path)
    assert ensure_token(tmp_path) == token


@pytest.mark.parametrize("content", [b"", b"\n", b"whd_", b"secret", b"\xff\xfe", b"whd_short"])
def test_a_token_file_that_holds_no_token_is_refused_and_opens_nothing(tmp_path: Path, content: bytes):
    (tmp_path / "admin.token").write_bytes(content)
    (tmp_path / "admin.token").chmod(0o600)
    with pytest.raises(TokenError, match="remove it"):
        ensure_token(tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_token_that_others_may_have_read_is_refused(tmp_path: Path, mode: int):
    token = ensure_token(tmp_path)
    (tmp_path / "admin.token").chmod(mode)
    with pytest.raises(TokenError, match=r"admin\.token can be read by others: chmod 600 it, or remove it"):
        ensure_token(tmp_path)
    (tmp_path / "admin.token").chmod(0o600)
    assert ensure_token(tmp_path) == token


def test_a_token_is_256_random_bits_that_can_be_told_from_others():
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("whd_") and len(each) == 4 + 43 for each in made)


# --- Who is let in


@pytest.mark.parametrize("scope", TOKEN_SCOPES)
async def test_a_token_is_good_for_its_scope_and_what_that_includes(keeper: Doorkeeper, scope: TokenScope):
    _, token = await keeper.add("ci", scope, None)
    for needed in TOKEN_SCOPES:
        if needed in GOOD_FOR[scope]:
            assert await keeper.admit(f"Bearer {token}", A, needed) == Visitor("ci", scope, A)
        else:
            refusal = await refused(keeper, token, needed)
            assert refusal.status == 403
            assert f'"ci" is good for {scope}' in str(refusal)
            assert f"one for {needed}" in str(refusal)
            assert f'scope="{needed}"' in refusal.headers["WWW-Authenticate"]
    assert await keeper.admit(f"Bearer {token}", A, None) == Visitor("ci", scope, A)


def test_read_is_less_than_replay_is_less_than_admin_and_publish_is_apart():
    assert GOOD_FOR["read"] < GOOD_FOR["replay"] < GOOD_FOR["admin"]
    assert GOOD_FOR["publish"] == {"publish"} < GOOD_FOR["admin"]
    assert "publish" not in GOOD_FOR["replay"]


async def test_the_token_of_the_data_directory_is_good_for_everything(keeper: Doorkeeper):
    for needed in TOKEN_SCOPES:
        assert await keeper.admit(f"Bearer {FIRST}", A, needed) == Visitor("admin.token", "admin", A)


@pytest.mark.fault(51)
async def test_unknown_missing_expired_and_removed_are_told_the_same(keeper: Doorkeeper, clock: FakeClock):
    """Row 60."""
    _, expired = await keeper.add("old", "admin", DAY_MS)
    _, removed = await keeper.add("gone", "admin", None)
    assert (await keeper.admit(f"Bearer {expired}", A, "admin")).name == "old"
    await keeper.remove("gone")
    clock.step_wall_clock(DAY_MS - 1)
    assert (await keeper.admit(f"Bearer {expired}", A, "admin")).name == "old"
    clock.step_wall_clock(1)
    given = [None, "", "whd_unknown", expired, removed, FIRST[:-1], f"{FIRST}x", FIRST.upper(), "geh\udceb im", "é"]
    found = [told(await refused(keeper, token, address=f"192.0.2.{at}")) for at, token in enumerate(given)]
    assert found == [found[0]] * len(given)
    status, detail, headers = found[0]
    assert (status, headers) == (401, {"WWW-Authenticate": "Bearer"})
    assert "Authorization: Bearer" in detail


@pytest.mark.parametrize("form", ["{}", "Basic {}", "Token {}", "Bearer{}", " Bearer {}", "Bearer x {}"])
async def test_only_a_bearer_is_asked_in(keeper: Doorkeeper, form: str):
    with pytest.raises(RefusedError):
        await keeper.admit(form.format(FIRST), A, "read")


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {} "])
async def test_the_scheme_is_read_as_http_says(keeper: Doorkeeper, form: str):
    assert (await keeper.admit(form.format(FIRST), A, "read")).name == "admin.token"


@pytest.mark.fault(51)
async def test_a_miss_does_the_same_work_as_a_hit(
    keeper: Doorkeeper, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    """Row 60: whatever is sent is hashed once, and compared in constant time with every token there is."""
    tokens = [(await keeper.add(f"ci-{number}", "read", DAY_MS if number == 1 else None))[1] for number in range(5)]
    clock.step_wall_clock(DAY_MS)
    work: list[str] = []
    compare, make = hmac.compare_digest, doorkeepers.token_hash

    def compared(one: bytes, other: bytes) -> bool:
        work.append(f"compare {len(one)} {len(other)}")
        return compare(one, other)

    def hashed(token: str) -> bytes:
        work.append("hash")
        return make(token)

    monkeypatch.setattr(doorkeepers.hmac, "compare_digest", compared)
    monkeypatch.setattr(doorkeepers, "token_hash", hashed)
    headers: list[str | None] = [*(f"Bearer {each}" for each in (FIRST, *tokens, "whd_no", "")), f"Basic {FIRST}", None]
    for header in headers:
        work.clear()
        with suppress(RefusedError):
            await keeper.admit(header, A, "read")
        assert work == ["hash", *["compare 32 32"] * 6], header


# --- Guessing


@pytest.mark.fault(51)
async def test_six_wrong_tokens_in_a_minute_are_one_too_many_and_a_right_one_is_let_in_all_the_same(
    keeper: Doorkeeper, store: SqliteStore
):
    """Row 62."""
    found = [await refused(keeper, f"whd_guess-{number}") for number in range(7)]
    assert [each.status for each in found] == [401] * 5 + [429] * 2
    assert [each.headers.get("Retry-After") for each in found[5:]] == ["60", "120"]
    assert (await keeper.admit(f"Bearer {FIRST}", A, "admin")).name == "admin.token"
    assert (await refused(keeper, "whd_guess", address=B)).status == 401
    [row] = await store.trail.list(TrailFilter(), 10)
    assert (row.actor, row.action, row.address, row.subject) == ("webhookd", "guessing.slow", A, None)


async def test_who_brings_no_token_is_not_guessing(keeper: Doorkeeper):
    for header in (None, "", "Bearer", "Bearer ", "Basic d2hkOndoZA==", FIRST) * 5:
        with pytest.raises(RefusedError) as found:
            await keeper.admit(header, A, "read")
        assert found.value.status == 401


async def test_a_token_of_too_small_a_scope_is_not_guessing(keeper: Doorkeeper):
    _, token = await keeper.add("ci", "read", None)
    assert {(await refused(keeper, token, "admin")).status for _ in range(20)} == {403}


async def test_guessing_is_slowed_when_the_store_has_no_room_for_a_row(
    keeper: Doorkeeper, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    async def full(_deed: Any) -> None:
        raise StoreUnavailableError("the disk is full")

    monkeypatch.setattr(keeper._trail, "record", full)
    assert [(await refused(keeper, "whd_guess")).status for _ in range(6)] == [401] * 5 + [429]


# --- Tokens that come and go


async def test_tokens_are_known_again_after_a_restart(tmp_path: Path, clock: FakeClock):
    path = tmp_path / "webhookd.db"
    async with opened(path) as store:
        before = Doorkeeper(FIRST, store.tokens, store.trail, clock)
        _, token = await before.add("ci", "replay", None)
        _, other = await before.add("gone", "replay", None)
        await before.remove("gone")
    async with opened(path) as store:
        after = Doorkeeper(FIRST, store.tokens, store.trail, clock)
        await after.load()
        assert (await after.admit(f"Bearer {token}", A, "replay")).name == "ci"
        assert (await refused(after, other)).status == 401


async def test_a_token_itself_is_kept_nowhere(tmp_path: Path, clock: FakeClock):
    path = tmp_path / "webhookd.db"
    async with opened(path) as store:
        keeper = Doorkeeper(FIRST, store.tokens, store.trail, clock)
        made, token = await keeper.add("ci", "read", None)
        await keeper.admit(f"Bearer {token}", A, "read")
        await keeper.note_uses()
        kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert made.sha256 in kept
    assert token.removeprefix("whd_").encode() not in kept


async def test_a_name_is_used_once_and_a_stranger_is_not_removed(keeper: Doorkeeper):
    await keeper.add("ci", "read", None)
    with pytest.raises(ConflictError, match="ci"):
        await keeper.add("ci", "admin", None)
    for name in ("nobody", "admin.token"):
        with pytest.raises(NotFoundError):
            await keeper.remove(name)


async def test_two_at_a_time_who_want_a_name_do_not_both_get_it(keeper: Doorkeeper):
    found = await asyncio.gather(*(keeper.add("ci", scope, None) for scope in TOKEN_SCOPES), return_exceptions=True)
    [(made, token)] = [each for each in found if isinstance(each, tuple)]
    assert [type(each) for each in found if not isinstance(each, tuple)] == [ConflictError] * 3
    assert (await keeper.admit(f"Bearer {token}", A, None)).scope == made.scope


async def test_what_is_made_and_removed_all_at_once_ends_alike_in_memory_and_on_disk(
    keeper: Doorkeeper, store: SqliteStore
):
    await keeper.add("ci", "read", None)
    changes = [keeper.remove("ci") if number % 3 else keeper.add("ci", "read", None) for number in range(60)]
    found = await asyncio.gather(*changes, return_exceptions=True)
    assert {type(each) for each in found if isinstance(each, BaseException)} == {ConflictError, NotFoundError}
    assert [*keeper.tokens()] == await store.tokens.all()


async def test_a_token_that_could_not_be_removed_on_disk_is_still_good(
    keeper: Doorkeeper, monkeypatch: pytest.MonkeyPatch
):
    _, token = await keeper.add("ci", "read", None)

    async def full(_name: str) -> bool:
        raise StoreUnavailableError("the disk is full")

    monkeypatch.setattr(keeper._store, "remove", full)
    with pytest.raises(StoreUnavailableError):
        await keeper.remove("ci")
    assert (await keeper.admit(f"Bearer {token}", A, "read")).name == "ci"


async def test_at_the_bound_no_more_tokens_are_made(keeper: Doorkeeper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.store.sql.tokens.TOKENS_MAX", 1)
    await keeper.add("ci", "read", None)
    with pytest.raises(ConflictError, match="remove those that nobody uses"):
        await keeper.add("more", "read", None)


# --- When a token was last used


async def test_when_a_token_was_used_is_known_at_once_and_written_once_for_any_number_of_uses(
    keeper: Doorkeeper, store: SqliteStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    writes: list[dict[int, int]] = []
    note = keeper._store.note_uses

    async def noted(uses: Any) -> None:
        writes.append(dict(uses))
        await note(uses)

    monkeypatch.setattr(keeper._store, "note_uses", noted)
    made, token = await keeper.add("ci", "read", None)
    await keeper.note_uses()
    for _ in range(50):
        clock.step_wall_clock(10)
        await keeper.admit(f"Bearer {token}", A, "read")
    [seen] = keeper.tokens()
    [kept] = await store.tokens.all()
    assert (seen.used_at, kept.used_at, writes) == (clock.now_ms(), None, [])
    await keeper.note_uses()
    await keeper.note_uses()
    [kept] = await store.tokens.all()
    assert (kept.used_at, writes) == (clock.now_ms(), [{made.number: clock.now_ms()}])
    assert [*keeper.tokens()] == [kept]


async def test_a_refused_use_is_none(keeper: Doorkeeper, clock: FakeClock):
    await keeper.add("ci", "read", None)
    await refused(keeper, "whd_unknown")
    [seen] = keeper.tokens()
    assert seen.used_at is None


async def test_uses_that_could_not_be_written_are_written_the_next_time(
    keeper: Doorkeeper, store: SqliteStore, clock: FakeClock
):
    _, token = await keeper.add("ci", "read", None)
    await keeper.admit(f"Bearer {token}", A, "read")

    async def full(_uses: Any) -> None:
        raise StoreUnavailableError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper._store, "note_uses", full)
        await keeper.note_uses()
    await keeper.note_uses()
    [kept] = await store.tokens.all()
    assert kept.used_at == clock.now_ms()


# --- Who is inside


async def test_what_is_read_goes_on_until_its_token_is_removed_or_has_expired(keeper: Doorkeeper, clock: FakeClock):
    async def reads(visitor: Visitor | None) -> None:
        with keeper.reading(visitor):
            await asyncio.Event().wait()

    visitors = [
        *[await keeper.admit(f"Bearer {(await keeper.add(name, 'read', DAY_MS))[1]}", A, "read") for name in "ab"],
        *[await keeper.admit(f"Bearer {(await keeper.add('c', 'read', 2 * DAY_MS))[1]}", A, "read")],
        *[await keeper.admit(f"Bearer {FIRST}", A, "read"), None],
    ]
    readers = [asyncio.ensure_future(reads(each)) for each in visitors]
    await asyncio.sleep(0)

    async def cut() -> list[int]:
        await asyncio.wait(readers, timeout=0)
        return [at for at, each in enumerate(readers) if each.cancelled()]

    await keeper.remove("a")
    assert await cut() == [0]
    clock.step_wall_clock(DAY_MS)
    assert await cut() == [0]
    await keeper.note_uses()
    assert await cut() == [0, 1]
    assert len(keeper._inside) == 1
    for each in readers:
        each.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert keeper._inside == {}
