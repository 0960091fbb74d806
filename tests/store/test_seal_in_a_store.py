"""Secrets in a database: only the operator's key opens them, each in its own place, and no byte of one is there."""

import base64
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest

from tests.making import NOW_MS, spec
from tests.store.conftest import Found
from tests.store.raw import blob, read, write
from tests.store.site import Store
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.postgres.database import connect
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.seal import Seal, SealError
from webhookd.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.fault(53)

KEY, OTHER = (Secret(f"{word} key with enough characters to be one") for word in ("a", "another"))
SEAL = Seal(KEY)
SECRET = new_secret(b"\7" * 32)
CANARIES = (new_secret(b"\1" * 32), new_secret(b"\2" * 32, "ed25519"))


@asynccontextmanager
async def opened(found: Found, seal: Seal) -> AsyncIterator[Store]:
    store = found()
    await store.open()
    try:
        await store.unlock(seal)
        yield store
    finally:
        await store.close()


@pytest.fixture
async def database(found: Found) -> Found:
    """Two endpoints of the configuration whose secrets the store made, and one of the API's."""
    async with opened(found, SEAL) as store:
        await store.adopt([spec("one"), spec("two")], NOW_MS)
        await store.add_endpoint(spec("api"), b'{"headers": {"authorization": "Bearer c-a-n-a-r-y"}}', SECRET, NOW_MS)
    return found


@asynccontextmanager
async def locked(found: Found) -> AsyncIterator[Store]:
    store = found()
    await store.open()
    yield store
    await store.close()


async def changed(found: Found, statement: Callable[[Callable[[bytes], str]], str]) -> None:
    async with locked(found) as store:
        before = await sealed(store)
        await write(store, statement(partial(blob, store)))
        assert await sealed(store) != before


async def rows(found: Found) -> list[bytes]:
    async with locked(found) as store:
        return [each for each, *_ in await sealed(store) if each is not None]


async def sealed(store: Store) -> list[tuple[bytes | None, int]]:
    return await read(
        store,
        "SELECT sealed, endpoint, created_at FROM secret "
        "UNION ALL SELECT settings, number, 0 FROM endpoint ORDER BY 2, 3",
    )


async def test_a_key_is_replaced_by_listing_the_old_one_for_one_start(database: Found) -> None:
    before = await rows(database)
    assert len(before) == 4
    async with opened(database, Seal(OTHER, [KEY])) as store:
        [one, *_] = await store.adopt([spec("one")], NOW_MS)
    after = await rows(database)
    assert all(Seal(OTHER).is_current(each) for each in after)
    assert not set(before) & set(after)
    async with opened(database, Seal(OTHER)) as store:
        [again, *_] = await store.adopt([spec("one")], NOW_MS)
        assert (await store.kept_endpoints())[0].name == "api"
    assert one.signature("m", NOW_MS, b"") == again.signature("m", NOW_MS, b"")
    with pytest.raises(SealError, match=r"store\.key"):
        async with opened(database, SEAL):
            pass


async def test_what_is_sealed_with_the_current_key_stays_as_it_is(database: Found) -> None:
    before = await rows(database)
    async with opened(database, Seal(KEY, [OTHER])):
        pass
    assert await rows(database) == before


async def test_with_a_wrong_key_nothing_changes(database: Found) -> None:
    before = await rows(database)
    with pytest.raises(SealError, match=r"^store\.key: secrets of endpoint \w+ were sealed with another key: put"):
        async with opened(database, Seal(OTHER)):
            pass
    assert await rows(database) == before


async def test_if_one_row_does_not_open_none_is_sealed_anew(database: Found) -> None:
    await changed(database, lambda _blob: "UPDATE endpoint SET settings = substr(settings, 1, 40) WHERE name = 'api'")
    before = await rows(database)
    with pytest.raises(SealError, match=r"^endpoint api: the settings of endpoint 3"):
        async with opened(database, Seal(OTHER, [KEY])):
            pass
    assert await rows(database) == before


_SECRET, _SETTINGS = "SELECT sealed FROM secret WHERE endpoint = ", "SELECT settings FROM endpoint WHERE number = "
SWAPS = {
    "one's secret is another's": f"UPDATE secret SET sealed = ({_SECRET} 2) WHERE endpoint = 1",
    "an older secret is newer": "UPDATE secret SET created_at = created_at + 1 WHERE endpoint = 1",
    "a secret is settings": f"UPDATE endpoint SET settings = ({_SECRET} 3) WHERE number = 3",
    "settings are a secret": f"UPDATE secret SET sealed = ({_SETTINGS} 3) WHERE endpoint = 3",
    "one's settings are another's": f"UPDATE endpoint SET settings = ({_SETTINGS} 3) WHERE number = 2",
    "a secret of a stranger's own": "UPDATE secret SET sealed = {stranger}",
    "nothing": "UPDATE secret SET sealed = {nothing}",
}


@pytest.mark.parametrize("swap", SWAPS)
async def test_a_row_that_was_put_in_anothers_place_is_noticed_at_start(database: Found, swap: str) -> None:
    await changed(database, lambda blob: SWAPS[swap].format(stranger=blob(SECRET.encode()), nothing=blob(b"")))
    with pytest.raises(SealError) as refused:
        async with opened(database, SEAL):
            pass
    assert re.match(
        r"endpoint (one|two|api): the (secret|settings) .*; put the database back from a backup$", str(refused.value)
    )
    assert "whsec_" not in str(refused.value)


async def everything(store: Store) -> None:
    """Every way in which a secret comes into a store."""
    await store.adopt([spec("config", secret=Secret(CANARIES[0]))], NOW_MS)
    settings = b'{"headers": {"authorization": "Bearer c-a-n-a-r-y"}}'
    api = spec("api", url="https://api.example/")
    await store.add_endpoint(api, settings, CANARIES[0], NOW_MS)
    await store.rotate_secret(api, CANARIES[1], NOW_MS + 1, NOW_MS + 1_000)
    await store.change_endpoint(api, settings, NOW_MS + 2)


async def bytes_of(store: Store, copies: Path) -> bytes:
    """All that the database holds: SQLite's files, while they are in use, or PostgreSQL's rows as it sends them."""
    if isinstance(store, SqliteStore):
        copies.mkdir(exist_ok=True)
        # By another process: if this one closed the file, SQLite's locks on it would be gone.
        files = map(str, store._path.parent.glob("webhookd.db*"))
        subprocess.run(["cp", *files, str(copies)], check=True, timeout=30)
        return b"".join(each.read_bytes() for each in copies.iterdir())
    connection, content = await connect(cast(PostgresStore, store)._url, "test")(), BytesIO()
    tables = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    for (name,) in await connection.fetch(tables):
        await connection.copy_from_query(f"SELECT * FROM {name}", output=content, format="binary")
    await connection.close()
    return content.getvalue()


def forms(secret: str) -> list[bytes]:
    text = secret.partition("_")[2]
    raw = base64.b64decode(text)
    return [text.rstrip("=").encode(), raw, raw.hex().encode()]


async def test_no_byte_of_a_secret_is_in_the_database(found: Found, tmp_path: Path) -> None:
    async with opened(found, SEAL) as store:
        await everything(store)
        while_it_runs = await bytes_of(store, tmp_path / "copies")
    async with locked(found) as store:
        later = await bytes_of(store, tmp_path / "copies")
    for content in (while_it_runs, later):
        assert b"https://api.example/" in content, "the rows are there to be looked at"
        assert not any(form in content for canary in CANARIES for form in forms(canary))
        assert b"c-a-n-a-r-y" not in content
        assert KEY.reveal().encode() not in content


async def test_without_a_seal_these_bytes_would_be_found(
    found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Seal, "seal", lambda _seal, text, _about: text.encode())
    monkeypatch.setattr(Seal, "open", lambda _seal, sealed, _about: sealed.decode())
    async with opened(found, SEAL) as store:
        await everything(store)
        content = await bytes_of(store, tmp_path / "copies")
    assert all(any(form in content for form in forms(canary)) for canary in CANARIES)
    assert b"c-a-n-a-r-y" in content


async def test_there_is_something_to_open_once_a_secret_or_settings_are_kept(found: Found) -> None:
    async with opened(found, SEAL) as store:
        assert not await store.holds_secrets()
        await store.adopt([spec()], NOW_MS)
        assert await store.holds_secrets()
