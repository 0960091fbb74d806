"""A table that cannot be used is said to be so, with what mends it; once it is mended, nothing needs a restart."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.relay.relaying import Log, relaying, stands, table_of, until
from tests.relay.shop import PostgresShop, Shop, SqliteShop
from webhookd.relay.postgres import PostgresTable
from webhookd.relay.sqlite import SqliteTable
from webhookd.relay.table import AwayError, OutboxError, Table, UnfitError

PASSWORD = "aHjWq8ZrT"


async def why(table: Table, kind: type[OutboxError] = UnfitError) -> str:
    with pytest.raises(kind) as refused:
        await table.open()
    await table.close()
    return str(refused.value)


async def made_of(shop: Shop, columns: str, *more: str) -> Table:
    await shop.ask("DROP TABLE webhookd_outbox")
    await shop.ask(f"CREATE TABLE webhookd_outbox ({columns})")
    for each in more:
        await shop.ask(each)
    return table_of(shop)


async def test_a_table_that_is_missing_is_named_with_what_makes_it(shop: Shop):
    reason = await why(table_of(shop, name="elsewhere"))
    assert "no table elsewhere" in reason
    assert f"webhookd outbox sql --engine {'sqlite' if isinstance(shop, SqliteShop) else 'postgres'}" in reason


async def test_all_that_a_table_lacks_is_said_at_once(shop: Shop):
    reason = await why(await made_of(shop, "id text, body text"))
    assert "column type is missing" in reason
    assert "column refused is missing: ALTER TABLE" in reason
    assert "ADD COLUMN refused text" in reason
    reason = await why(await made_of(shop, "id text, type text, body text, refused text"))
    assert "column id must be unique: CREATE UNIQUE INDEX" in reason
    assert "column id must be NOT NULL" in reason


async def test_what_is_said_to_mend_it_mends_it_while_it_is_waited_for(shop: Shop):
    is_file = isinstance(shop, SqliteShop)
    await made_of(shop, "id integer PRIMARY KEY, type text, body text")
    log = Log()
    async with relaying(shop, log) as relay:
        reason = await stands(relay, "waits", "column refused is missing")
        await shop.ask("INSERT INTO webhookd_outbox (id, type, body) VALUES (7, 'a', '{}')")
        [mend] = [part for part in reason.split(": ") if part.startswith("ALTER TABLE")]
        await shop.ask(mend)
        await stands(relay, "follows")
        await until(shop, 0)
    assert log.kept == {"7": b"{}"}
    assert is_file == ('"' in mend)


@pytest.mark.parametrize(
    ("columns", "mistakes"),
    [
        ("id boolean NOT NULL UNIQUE, type text, body text, refused text", ["id is boolean, and must be text, uuid"]),
        ("id uuid PRIMARY KEY, type int, body text, refused text", ["type is integer, and must be text"]),
        ("id uuid PRIMARY KEY, type text, body int[], refused text", ["body is integer[], and must be json"]),
        (
            "id uuid PRIMARY KEY, type text, body xml, refused boolean, created_at text",
            ["body is xml", "refused is boolean", "created_at is text, and must be timestamptz"],
        ),
    ],
)
async def test_columns_of_another_type_are_named(postgres: Server, columns: str, mistakes: Sequence[str]):
    shop = await PostgresShop(postgres, f"types_{abs(hash(columns))}").make()
    reason = await why(await made_of(shop, columns))
    assert [mistake for mistake in mistakes if mistake not in reason] == []


@pytest.mark.parametrize("kind", ["text", "varchar(40)", "bigint", "smallint", "uuid", "code"])
@pytest.mark.parametrize("content", ["json", "jsonb", "text", "bytea"])
async def test_any_type_that_may_be_is_taken(postgres: Server, kind: str, content: str):
    shop = await PostgresShop(postgres, f"fit_{kind[:4]}_{content}").make()
    await shop.ask("CREATE DOMAIN code AS text")
    await made_of(shop, f"id {kind} PRIMARY KEY, type text, body {content} NOT NULL, refused text")
    name = "6f1c6f5e-0000-4000-8000-000000000001" if kind == "uuid" else "7"
    await shop.ask(f"INSERT INTO webhookd_outbox VALUES ('{name}', 'a', '{{\"n\": \"é\"}}')")
    log = Log()
    async with relaying(shop, log):
        await until(shop, 0)
    assert log.kept == {name: '{"n": "é"}'.encode()}


async def test_rights_that_are_missing_are_each_named_with_the_grant(postgres: Server):
    shop = await PostgresShop(postgres, "rights").make()
    await shop.ask("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; CREATE SCHEMA own")
    await shop.ask("ALTER TABLE webhookd_outbox SET SCHEMA own")
    url = shop.url.replace("webhookd@", "reader@")
    table = PostgresTable(url, "own.webhookd_outbox", is_marked=False)
    reason = await why(table)
    assert "own.webhookd_outbox" in reason
    assert "GRANT USAGE ON SCHEMA own TO reader" in reason
    await shop.ask("GRANT USAGE ON SCHEMA own TO reader")
    reason = await why(table)
    wanted = ["SELECT", "UPDATE (refused)", "DELETE"]
    assert [right for right in wanted if f"GRANT {right} ON own.webhookd_outbox TO reader" not in reason] == []
    marking = PostgresTable(url, "own.webhookd_outbox", is_marked=True)
    assert "GRANT UPDATE (taken_at) ON own.webhookd_outbox TO reader" in await why(marking)
    await shop.ask("GRANT SELECT, DELETE, UPDATE (refused) ON own.webhookd_outbox TO reader")
    await table.open()
    assert await table.take(["6f1c6f5e-0000-4000-8000-000000000001"], {}) == set(), "it has all that it takes"
    await table.close()
    await shop.ask(
        "GRANT UPDATE (taken_at) ON own.webhookd_outbox TO reader; REVOKE DELETE ON own.webhookd_outbox FROM reader"
    )
    await marking.open()
    assert await marking.take(["6f1c6f5e-0000-4000-8000-000000000001"], {}) == set()
    await marking.close()


async def test_a_wrong_dsn_is_told_from_a_server_that_is_away_and_quotes_no_password(postgres: Server):
    at = f"127.0.0.1:{postgres.port}"
    away = PostgresTable(f"postgresql://shop:{PASSWORD}@127.0.0.1:1/shop", "webhookd_outbox", is_marked=False)
    reason = await why(away, AwayError)
    assert "cannot be reached" in reason
    nowhere = PostgresTable(f"postgresql://webhookd:{PASSWORD}@{at}/nowhere", "webhookd_outbox", is_marked=False)
    reasons = [reason, await why(nowhere)]
    assert 'database "nowhere" does not exist' in reasons[-1]
    nobody = PostgresTable(f"postgresql://nobody:{PASSWORD}@{at}/postgres", "webhookd_outbox", is_marked=False)
    reasons.append(await why(nobody))
    assert 'role "nobody" does not exist' in reasons[-1]
    assert PASSWORD not in str(reasons)


async def test_a_file_that_is_missing_is_waited_for_and_never_made(tmp_path: Path):
    file = tmp_path / "shop.db"
    assert "No such file" in await why(SqliteTable(str(file), "webhookd_outbox", is_marked=False, own=None), AwayError)
    assert not file.exists()


async def test_what_is_no_database_or_webhookds_own_is_no_outbox(tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.write_text("Remember the milk. " * 100)
    assert "is no database" in await why(SqliteTable(str(file), "webhookd_outbox", is_marked=False, own=None))
    shop = SqliteShop(tmp_path)
    (tmp_path / "webhookd.db").symlink_to(shop.file)
    assert "webhookd's own store" in await why(table_of(shop, own=tmp_path / "webhookd.db"))


async def test_a_file_in_another_encoding_is_refused(tmp_path: Path):
    file = tmp_path / "wide.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16'")
        connection.execute("CREATE TABLE webhookd_outbox (id TEXT)")
    assert "UTF-16" in await why(SqliteTable(str(file), "webhookd_outbox", is_marked=False, own=None))


async def test_a_file_that_is_locked_for_long_is_waited_for(tmp_path: Path):
    shop = SqliteShop(tmp_path, wal=False)
    await shop.pay("pay_1")
    log = Log()
    with closing(shop.connect()) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        async with relaying(shop, log) as relay:
            await stands(relay, "waits", "is locked by another process")
            assert log.offered == []
            connection.execute("ROLLBACK")
            await until(shop, 0)
            await stands(relay, "follows")


async def test_another_file_in_its_place_is_opened_anew(tmp_path: Path):
    shop = SqliteShop(tmp_path)
    log = Log()
    async with relaying(shop, log) as relay:
        await stands(relay, "follows")
        (tmp_path / "before").mkdir()
        for each in tmp_path.glob("shop.db*"):
            each.rename(tmp_path / "before" / each.name)
        restored = SqliteShop(tmp_path)
        await restored.pay("pay_restored")
        await log.has(1)
    assert log.payments == ["pay_restored"]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"blob"])
async def test_an_id_that_is_no_text_is_refused_in_its_row(tmp_path: Path, name: object):
    shop = SqliteShop(tmp_path)
    cast = "CAST(? AS TEXT)" if name == b"\xff\xfe" else "?"
    await shop.ask(f"INSERT INTO webhookd_outbox (id, type, body) VALUES ({cast}, 'a', '{{}}')", name)
    await shop.pay("pay_1")
    log = Log()
    async with relaying(shop, log):
        await until(shop, 1)
        await until(shop, 1, "refused LIKE 'id must have%'")
    assert log.payments[-1] == "pay_1"


async def test_the_journal_mode_is_left_as_it_is_and_no_wal_is_moved(tmp_path: Path):
    for wal in (True, False):
        directory = tmp_path / str(wal)
        directory.mkdir()
        shop = SqliteShop(directory, wal=wal)
        with closing(shop.connect()) as application:
            application.execute("SELECT count(*) FROM payment").fetchone()  # it has it open
            log = Log()
            async with relaying(shop, log):
                await shop.pay("pay_1")
                await until(shop, 0)
            assert application.execute("PRAGMA journal_mode").fetchone() == ("wal" if wal else "delete",)
            if wal:
                log_frames = application.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                assert log_frames[1] > 0, "they are all still there"
