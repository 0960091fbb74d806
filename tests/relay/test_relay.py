"""Out of the table only what is durably in the log; nothing missed, nothing twice, and nothing behind a bad row."""

import asyncio
import json
import tracemalloc

import pytest

from tests.postgres import Server
from tests.relay.relaying import BODY_BYTES_MAX, Counts, Log, left, relay_of, relaying, stands, table_of, until
from tests.relay.shop import PostgresShop, Shop, SqliteShop, body
from tests.running import PATIENCE_S
from webhookd.relay.table import BYTES_MAX, ROWS_MAX
from webhookd.store.protocol.errors import StoreUnavailableError

INSERT = "INSERT INTO webhookd_outbox (id, type, body) VALUES "


async def test_a_row_is_taken_out_of_the_table_only_once_it_is_durably_in_the_log(shop: Shop):
    log, is_synced, is_asked = Log(), asyncio.Event(), asyncio.Event()

    async def sync() -> None:
        is_asked.set()
        await is_synced.wait()

    log.before = sync
    await shop.pay("pay_1", "pay_2")
    async with relaying(shop, log):
        async with asyncio.timeout(PATIENCE_S):
            await is_asked.wait()
        assert await left(shop) == 2
        is_synced.set()
        await until(shop, 0)
    assert log.payments == ["pay_1", "pay_2"]


async def test_what_the_log_could_not_take_stays_in_the_table_until_it_can(shop: Shop):
    log, refused = Log(), 0

    async def full() -> None:
        nonlocal refused
        refused += 1
        raise StoreUnavailableError("the disk is full")

    log.before = full
    await shop.pay("pay_1", "pay_2")
    async with relaying(shop, log) as relay:
        assert "the disk is full" in await stands(relay, "waits")
        assert (await left(shop), log.kept) == (2, {})
        log.before = None
        await until(shop, 0)
        await stands(relay, "follows")
    assert refused >= 2
    assert log.payments == ["pay_1", "pay_2"]


async def test_nothing_is_read_while_the_log_is_not_ready(shop: Shop):
    log = Log()
    log.unready = "There is too little free disk."
    await shop.pay("pay_1")
    async with relaying(shop, log) as relay:
        await stands(relay, "waits", "too little free disk")
        assert log.offered == []
        log.unready = None
        await until(shop, 0)


async def test_a_row_that_was_taken_and_not_deleted_is_taken_again_and_there_once(shop: Shop):
    log = Log()
    await shop.pay("pay_1")
    table = table_of(shop)
    await table.open()
    relay = relay_of(table, log)
    [row] = await table.waiting((), BODY_BYTES_MAX)
    await relay._offer(row)  # and then the process is killed
    await table.close()
    counts = Counts()
    async with relaying(shop, log, counts):
        await until(shop, 0)
    assert (len(log.kept), counts.results) == (1, ["duplicate"])


async def test_marked_rows_stay_with_the_time_they_were_taken_at(shop: Shop):
    log = Log()
    await shop.pay("pay_1")
    async with relaying(shop, log, is_marked=True):
        await until(shop, 1, "taken_at IS NOT NULL")
        await shop.pay("pay_2")
        await until(shop, 2, "taken_at IS NOT NULL")
    assert log.offered == [*log.kept]
    assert log.payments == ["pay_1", "pay_2"]
    [(age_s,)] = await shop.ask(
        "SELECT unixepoch() - unixepoch(max(taken_at)) FROM webhookd_outbox"
        if isinstance(shop, SqliteShop)
        else "SELECT extract(epoch FROM now() - max(taken_at))::float FROM webhookd_outbox"
    )
    assert abs(age_s) < PATIENCE_S


async def test_a_transaction_that_began_first_and_commits_last_is_not_missed(postgres: Server):
    shop = await PostgresShop(postgres, "out_of_order").make()
    log = Log()
    slow, quick = await shop.connect(), await shop.connect()
    async with relaying(shop, log):
        undecided = slow.transaction()
        await undecided.start()
        await slow.execute(INSERT + "(gen_random_uuid(), 'a', $1)", body("pay_slow"))
        async with quick.transaction():
            await quick.execute(INSERT + "(gen_random_uuid(), 'a', $1)", body("pay_quick"))
        await log.has(1)
        assert log.payments == ["pay_quick"], "whose position is the greater one"
        await until(shop, 0)
        await undecided.commit()
        await log.has(2)
        await until(shop, 0)
    assert log.payments == ["pay_quick", "pay_slow"]
    await slow.close()
    await quick.close()


async def test_a_commit_calls_and_need_not_be_looked_for(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    for engine in ("postgres", "sqlite"):
        monkeypatch.setattr(f"webhookd.relay.{engine}.LOOK_S", 100 * PATIENCE_S)
    monkeypatch.setattr("webhookd.relay.postgres._SILENT_S_MAX", 0)  # or it would be found by a new connection
    log = Log()
    async with relaying(shop, log) as relay:
        await stands(relay, "follows")
        for name in ("pay_1", "pay_2"):
            await shop.pay(name)
            await until(shop, 0)
    assert log.payments == ["pay_1", "pay_2"]


async def test_without_the_trigger_that_calls_rows_are_found_all_the_same(postgres: Server):
    shop = await PostgresShop(postgres, "silent").make()
    await shop.ask("DROP TRIGGER webhookd_outbox_calls ON webhookd_outbox")
    log = Log()
    async with relaying(shop, log) as relay:
        await stands(relay, "follows")
        await shop.pay("pay_1")
        await until(shop, 0)


async def test_what_is_rolled_back_becomes_no_event(shop: Shop):
    log = Log()
    async with relaying(shop, log):
        with pytest.raises(Exception, match=r"(?i)unique"):
            await shop.pay("pay_1", "pay_1")
        await shop.pay("pay_2")
        await until(shop, 0)
    assert log.payments == ["pay_2"]


UUIDS = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(10)]


async def test_rows_that_can_never_be_taken_say_why_and_hold_up_none(shop: Shop):
    if isinstance(shop, PostgresShop):
        await shop.ask("ALTER TABLE webhookd_outbox ALTER COLUMN id TYPE text, ALTER COLUMN body TYPE text")
    large = json.dumps({"data": "x" * BODY_BYTES_MAX})
    rows = {
        "x" * 256: ("a", "{}", "id must have"),
        "2": ("", "{}", "type must have"),
        "3": ("webhookd.ping", "{}", "is for what webhookd says itself"),
        "4": ("a", "[]", "body must be a JSON object"),
        "5": ("a", "{", "body must be a JSON object"),
        "6": ("a", large, f"body has {len(large)} bytes, and server.max_body is {BODY_BYTES_MAX}"),
        "known": ("a", '{"of": "another"}', "which has another body and stands"),
    }
    log, counts = Log(), Counts()
    log.kept["known"], log.offered = b'{"of": "one"}', ["known"]
    place = ("?, ?, ?") if isinstance(shop, SqliteShop) else "$1, $2, $3"
    for name, (kind, text, _) in rows.items():
        await shop.ask(f"{INSERT}({place})", name, kind, text)
    await shop.pay("pay_1")
    async with relaying(shop, log, counts):
        await until(shop, len(rows), "refused IS NOT NULL")
        await until(shop, 0, "refused IS NULL")
        found = dict(await shop.ask("SELECT id, refused FROM webhookd_outbox"))
        assert [name for name, (_, _, why) in rows.items() if why not in found[name]] == []
        refused = ["conflict", *["not_understood"] * 5, "too_large"]
        assert sorted(counts.results) == sorted([*refused, "accepted"])
        await shop.ask("UPDATE webhookd_outbox SET refused = NULL, type = 'a' WHERE id = '2'")
        await until(shop, len(rows) - 1)
    assert len(log.kept) == 3
    assert counts.results.count("too_large") == 1, "it is not tried again by itself"


async def test_a_row_that_somebody_else_holds_is_there_once_and_taken_out_when_it_is_free(shop: Shop):
    log = Log()
    await shop.pay("pay_1")
    holder = await shop.hold()
    async with relaying(shop, log) as relay:
        await log.has(1)
        await stands(relay, "waits", "locked by others")
        if isinstance(shop, PostgresShop):
            await shop.pay("pay_2")
            await until(shop, 1)  # the others go
        await holder.release()
        await until(shop, 0)
        await stands(relay, "follows")
    assert len(log.offered) == len(log.kept), "what is in the log is known, not offered again"


async def test_ten_thousand_rows_are_taken_a_hundred_at_a_time(shop: Shop):
    rows = 10_000
    numbers = (
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000) "
        "INSERT INTO webhookd_outbox (type, body) SELECT 'a', '{\"n\": ' || n || '}' FROM number"
        if isinstance(shop, SqliteShop)
        else "INSERT INTO webhookd_outbox (type, body) "
        "SELECT 'a', ('{\"n\": ' || n || '}')::json FROM generate_series(1, 10000) AS n"
    )
    await shop.ask(numbers)

    class Counting(Log):
        """Keeps none of it."""

        taken, last, in_order = 0, 0, True

        async def append(self, hook):  # type: ignore[no-untyped-def]
            appended = await super().append(hook)
            number = json.loads(hook.body)["n"]
            self.in_order &= number == self.last + 1
            self.taken, self.last = self.taken + 1, number
            self.kept.clear()
            self.offered.clear()
            return appended

    log = Counting()
    tracemalloc.start()
    try:
        async with relaying(shop, log) as relay:
            await stands(relay, "follows")
            await until(shop, 0)
            async with asyncio.timeout(PATIENCE_S):
                while relay.standing.waiting:
                    await asyncio.sleep(0.01)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (log.taken, log.in_order) == (rows, True)
    assert log.most_at_once <= ROWS_MAX
    assert peak < 4 * 2**20


async def test_bodies_are_read_some_megabytes_at_a_time(shop: Shop):
    half = json.dumps({"data": "x" * (BODY_BYTES_MAX // 2)})
    for _ in range(12):
        sql = "INSERT INTO webhookd_outbox (type, body) VALUES ('a', {})"
        await shop.ask(sql.format("?" if isinstance(shop, SqliteShop) else "$1"), half)
    table = table_of(shop)
    await table.open()
    try:
        read = sum(row.size for row in await table.waiting((), BODY_BYTES_MAX))
        assert BYTES_MAX <= read <= BYTES_MAX + len(half)
    finally:
        await table.close()
    log = Log()
    async with relaying(shop, log):
        await until(shop, 0)
    assert len(log.kept) == 12


async def test_rows_that_were_marked_once_are_not_taken_again_when_rows_are_to_be_deleted(shop: Shop):
    log = Log()
    await shop.pay("pay_1")
    async with relaying(shop, log, is_marked=True):
        await until(shop, 1, "taken_at IS NOT NULL")
    await shop.pay("pay_2")
    async with relaying(shop, log):
        await until(shop, 1)
    assert log.offered == [*log.kept]


async def test_odd_columns_beside_the_body_hold_up_nothing_and_are_read_as_far_as_they_can_mean_something(shop: Shop):
    odd = "'infinity'" if isinstance(shop, PostgresShop) else "'some day'"
    columns = "(type, body, created_at, payment_id, status, amount, currency, reference)"
    long = "x" * 100_000
    for created, kind in ((odd, "odd.time"), ("'2026-01-31T12:00:00Z'", long)):
        await shop.ask(
            f"INSERT INTO webhookd_outbox {columns}"
            f" VALUES ('{kind}', '{{}}', {created}, '{long}', 'unheard of', 1, 'x', '{long}')"
        )
    table = table_of(shop)
    await table.open()
    try:
        rows = await table.waiting((), BODY_BYTES_MAX)
        assert max(len(value) for row in rows for value in row.columns.values()) == 256
        assert await table.backlog() == (2, 1769860800000)
    finally:
        await table.close()
    log = Log()
    async with relaying(shop, log):
        await until(shop, 1, "refused LIKE 'type must have%'")
        await until(shop, 1)


async def test_fifty_rows_that_are_known_are_not_read_again_and_the_others_are(shop: Shop):
    await shop.pay(*(f"pay_{number:03}" for number in range(60)))
    table = table_of(shop)
    await table.open()
    try:
        first = (await table.waiting((), BODY_BYTES_MAX))[:50]
        others = await table.waiting([row.key for row in first], BODY_BYTES_MAX)
        assert len(others) == 10
        assert not {row.key for row in first} & {row.key for row in others}
        assert list(await table.take([row.key for row in first], {})) == []
        assert [row.key for row in await table.waiting((), BODY_BYTES_MAX)] == [row.key for row in others]
    finally:
        await table.close()


async def test_how_many_wait_and_since_when_is_known(shop: Shop):
    log = Log()
    await shop.pay(*(f"pay_{number}" for number in range(3 * ROWS_MAX)))
    entered, goes_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await goes_on.wait()

    log.before = wait
    async with relaying(shop, log) as relay:
        async with asyncio.timeout(PATIENCE_S):
            await entered.wait()
        assert relay.standing.waiting == 3 * ROWS_MAX
        assert relay.standing.oldest_at is not None
        goes_on.set()
        await until(shop, 0)
