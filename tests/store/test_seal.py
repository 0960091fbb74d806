"""Secrets in the database: only the operator's key opens them, each in its own place, and the file says nothing."""

import base64
import re
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making import NOW_MS, spec
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.seal import Seal, SealError, seal_for, secret_of, settings_of
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.fault(53)

KEY, OTHER = (Secret(f"{word} key with enough characters to be one") for word in ("a", "another"))
SEAL = Seal(KEY)
ABOUT = secret_of(1, NOW_MS)
SECRET = new_secret(b"\7" * 32)
CANARIES = (new_secret(b"\1" * 32), new_secret(b"\2" * 32, "ed25519"))


# --- A sealed text


@given(st.text(), st.text())
def test_what_was_sealed_opens_with_the_same_words(text: str, about: str) -> None:
    assert SEAL.open(SEAL.seal(text, about), about) == text


@given(st.text(), st.text(), st.text())
def test_and_with_no_others(text: str, about: str, other: str) -> None:
    if about != other:
        with pytest.raises(SealError) as refused:
            SEAL.open(SEAL.seal(text, about), other)
        assert other in str(refused.value)


def test_a_row_of_one_endpoint_is_none_of_another_nor_an_older_secret_or_settings() -> None:
    sealed = SEAL.seal(SECRET, ABOUT)
    for other in (secret_of(2, NOW_MS), secret_of(1, NOW_MS + 1), settings_of(1)):
        with pytest.raises(SealError, match="put in its place from elsewhere"):
            SEAL.open(sealed, other)


@given(st.integers(min_value=0), st.integers(min_value=0), st.integers(min_value=0), st.integers(min_value=0))
def test_no_two_places_are_called_the_same(endpoint: int, made_at: int, other: int, other_made_at: int) -> None:
    assert (secret_of(endpoint, made_at) == secret_of(other, other_made_at)) == (
        (endpoint, made_at) == (other, other_made_at)
    )
    assert settings_of(endpoint) != secret_of(other, other_made_at)


def test_every_shorter_blob_is_refused() -> None:
    sealed = SEAL.seal(SECRET, ABOUT)
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            SEAL.open(sealed[:length], ABOUT)


@given(st.data())
def test_every_changed_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(SEAL.seal(SECRET, ABOUT))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError) as refused:
        SEAL.open(bytes(sealed), ABOUT)
    assert SECRET not in str(refused.value)


def test_the_same_text_is_never_sealed_the_same() -> None:
    sealed = {SEAL.seal(SECRET, ABOUT) for _ in range(100)}
    assert len(sealed) == 100
    assert len({each[9:21] for each in sealed}) == 100, "a nonce that comes twice gives both texts away"


def test_another_key_does_not_open_it_and_the_setting_is_named() -> None:
    with pytest.raises(SealError, match=r"^store\.key: .*another key.*store\.old_keys") as refused:
        Seal(OTHER).open(SEAL.seal(SECRET, ABOUT), ABOUT)
    assert not any(word in str(refused.value) for word in (SECRET, KEY.reveal(), OTHER.reveal()))


def test_an_old_key_opens_and_no_longer_seals() -> None:
    both = Seal(OTHER, [KEY])
    old, new = SEAL.seal(SECRET, ABOUT), both.seal(SECRET, ABOUT)
    assert (both.open(old, ABOUT), both.open(new, ABOUT)) == (SECRET, SECRET)
    assert (both.is_current(old), both.is_current(new)) == (False, True)
    assert Seal(OTHER).open(new, ABOUT) == SECRET


def test_a_key_may_be_listed_as_old_and_be_the_current_one() -> None:
    assert Seal(KEY, [KEY, OTHER]).is_current(SEAL.seal(SECRET, ABOUT))


def test_a_seal_shows_no_key() -> None:
    shown = f"{SEAL!r} {vars(SEAL)!r}"
    assert KEY.reveal() not in shown


# --- The key of the data directory


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = seal_for(tmp_path, None, ()).seal(SECRET, ABOUT)
    file = tmp_path / "store.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().strip()) >= 43, "256 bits"
    assert seal_for(tmp_path, None, ()).open(sealed, ABOUT) == SECRET
    assert [each.name for each in tmp_path.iterdir()] == ["store.key"]


def test_a_configured_key_makes_no_file_and_the_file_may_be_the_old_one(tmp_path: Path) -> None:
    seal_for(tmp_path, KEY, ())
    assert list(tmp_path.iterdir()) == []
    sealed = seal_for(tmp_path, None, ()).seal(SECRET, ABOUT)
    old = Secret((tmp_path / "store.key").read_text().strip())
    assert seal_for(tmp_path, KEY, [old]).open(sealed, ABOUT) == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 50])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.key").write_bytes(content)
    with pytest.raises(SealError, match=r"store\.key"):
        seal_for(tmp_path, None, ())
    assert (tmp_path / "store.key").read_bytes() == content


# --- In a store


@asynccontextmanager
async def opened(path: Path, seal: Seal) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    try:
        await store.unlock(seal)
        yield store
    finally:
        await store.close()


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """Two endpoints of the configuration whose secrets the store made, and one of the API's."""
    path = tmp_path / "webhookd.db"
    async with opened(path, SEAL) as store:
        await store.adopt([spec("one"), spec("two")], NOW_MS)
        await store.add_endpoint(spec("api"), b'{"headers": {"authorization": "Bearer c-a-n-a-r-y"}}', SECRET, NOW_MS)
    return path


def changed(path: Path, statement: str) -> None:
    connection = driver.connect(path)
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


def rows(path: Path) -> list[bytes]:
    connection: sqlite3.Connection = driver.connect(path)
    found = connection.execute("SELECT sealed FROM secret UNION ALL SELECT settings FROM endpoint").fetchall()
    connection.close()
    return [sealed for (sealed,) in found if sealed is not None]


async def test_a_key_is_replaced_by_listing_the_old_one_for_one_start(database: Path) -> None:
    before = rows(database)
    assert len(before) == 4
    async with opened(database, Seal(OTHER, [KEY])) as store:
        [one, *_] = await store.adopt([spec("one")], NOW_MS)
    after = rows(database)
    assert all(Seal(OTHER).is_current(each) for each in after)
    assert not set(before) & set(after)
    async with opened(database, Seal(OTHER)) as store:
        [again, *_] = await store.adopt([spec("one")], NOW_MS)
        assert (await store.kept_endpoints())[0].name == "api"
    assert one.signature("m", NOW_MS, b"") == again.signature("m", NOW_MS, b"")
    with pytest.raises(SealError, match=r"store\.key"):
        async with opened(database, SEAL):
            pass


async def test_what_is_sealed_with_the_current_key_stays_as_it_is(database: Path) -> None:
    before = rows(database)
    async with opened(database, Seal(KEY, [OTHER])):
        pass
    assert rows(database) == before


async def test_with_a_wrong_key_nothing_changes(database: Path) -> None:
    before = rows(database)
    with pytest.raises(SealError, match=r"^store\.key: secrets of endpoint \w+ were sealed with another key: put"):
        async with opened(database, Seal(OTHER)):
            pass
    assert rows(database) == before


async def test_if_one_row_does_not_open_none_is_sealed_anew(database: Path) -> None:
    changed(database, "UPDATE endpoint SET settings = substr(settings, 1, 40) WHERE name = 'api'")
    before = rows(database)
    with pytest.raises(SealError, match=r"^endpoint api: the settings of endpoint 3"):
        async with opened(database, Seal(OTHER, [KEY])):
            pass
    assert rows(database) == before


_SECRET, _SETTINGS = "SELECT sealed FROM secret WHERE endpoint = ", "SELECT settings FROM endpoint WHERE number = "
SWAPS = {
    "one's secret is another's": f"UPDATE secret SET sealed = ({_SECRET} 2) WHERE endpoint = 1",
    "an older secret is newer": "UPDATE secret SET created_at = created_at + 1 WHERE endpoint = 1",
    "a secret is settings": f"UPDATE endpoint SET settings = ({_SECRET} 3) WHERE number = 3",
    "settings are a secret": f"UPDATE secret SET sealed = ({_SETTINGS} 3) WHERE endpoint = 3",
    "one's settings are another's": f"UPDATE endpoint SET settings = ({_SETTINGS} 3) WHERE number = 2",
    "a secret of a stranger's own": f"UPDATE secret SET sealed = CAST('{SECRET}' AS BLOB)",
    "nothing": "UPDATE secret SET sealed = x''",
}


@pytest.mark.parametrize("swap", SWAPS)
async def test_a_row_that_was_put_in_anothers_place_is_noticed_at_start(database: Path, swap: str) -> None:
    changed(database, SWAPS[swap])
    with pytest.raises(SealError) as refused:
        async with opened(database, SEAL):
            pass
    assert re.match(
        r"endpoint (one|two|api): the (secret|settings) .*; put the database back from a backup$", str(refused.value)
    )
    assert "whsec_" not in str(refused.value)


async def everything(store: SqliteStore) -> None:
    """Every way in which a secret comes into a store."""
    await store.adopt([spec("config", secret=Secret(CANARIES[0]))], NOW_MS)
    settings = b'{"headers": {"authorization": "Bearer c-a-n-a-r-y"}}'
    api = spec("api", url="https://api.example/")
    await store.add_endpoint(api, settings, CANARIES[0], NOW_MS)
    await store.rotate_secret(api, CANARIES[1], NOW_MS + 1, NOW_MS + 1_000)
    await store.change_endpoint(api, settings, NOW_MS + 2)


def bytes_of(directory: Path) -> bytes:
    return b"".join(each.read_bytes() for each in directory.glob("webhookd.db*"))


def forms(secret: str) -> list[bytes]:
    text = secret.partition("_")[2]
    raw = base64.b64decode(text)
    return [text.rstrip("=").encode(), raw, raw.hex().encode()]


async def test_no_byte_of_a_secret_is_in_the_database_or_its_wal(tmp_path: Path) -> None:
    copies = tmp_path / "while it runs"
    copies.mkdir()
    async with opened(tmp_path / "webhookd.db", SEAL) as store:
        await everything(store)
        assert (tmp_path / "webhookd.db-wal").stat().st_size > 0
        # By another process: if this one closed the file, SQLite's locks on it would be gone.
        subprocess.run(["cp", *map(str, tmp_path.glob("webhookd.db*")), str(copies)], check=True, timeout=30)
    for found in (bytes_of(copies), bytes_of(tmp_path)):
        assert b"https://api.example/" in found, "the rows are there to be looked at"
        assert not any(form in found for canary in CANARIES for form in forms(canary))
        assert b"c-a-n-a-r-y" not in found
        assert KEY.reveal().encode() not in found


async def test_without_a_seal_these_bytes_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seal, "seal", lambda _seal, text, _about: text.encode())
    monkeypatch.setattr(Seal, "open", lambda _seal, sealed, _about: sealed.decode())
    async with opened(tmp_path / "webhookd.db", SEAL) as store:
        await everything(store)
    found = bytes_of(tmp_path)
    assert all(any(form in found for form in forms(canary)) for canary in CANARIES)
    assert b"c-a-n-a-r-y" in found
