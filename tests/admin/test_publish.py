"""An application's own events: published once for each key, stored, delivered and retried as a provider's are."""

import asyncio
import gzip
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.admin.desk import Answer, Desk, desk
from tests.admin.parts import served
from tests.admin.publishing import SHIPPED, Publisher, publisher
from tests.daemon.merchant import merchant
from tests.fake_clock import FakeClock
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from tests.shell import ask as shell
from webhookd.admin.publish import PublishApi
from webhookd.config.mistake import ConfigError
from webhookd.config.reader import from_table
from webhookd.core.event import Appended, Event
from webhookd.core.identifier import KeyMint
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.sqlite.driver import driver

OTHER = b'{"type": "order.shipped", "data": {"order": "1002"}}'


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path) as found:
        yield found


@pytest.fixture
async def publish(running: RunningDaemon) -> AsyncIterator[Publisher]:
    async with publisher(running) as found:
        yield found


@pytest.fixture
async def ask(running: RunningDaemon) -> AsyncIterator[Desk]:
    async with desk(running) as found:
        yield found


@contextmanager
def log_of(running: RunningDaemon) -> Iterator[Any]:
    """The database of a daemon that does not run."""
    connection = driver.connect(running.directory / "data" / "webhookd.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


async def test_a_published_event_reaches_the_merchant_byte_for_byte_and_passes_the_official_check(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        async with publisher(running) as publish:
            answer = await publish.done(key="order-1001")
        [got] = await shop.has(1)
        assert answer == {"status": "accepted", "event_id": got.headers["webhook-id"]}
        assert got.body == SHIPPED
        assert got.headers["content-type"] == "application/json"
        assert got.headers["webhookd-source"] == "published"
        assert got.headers["webhookd-provider"] == "webhookd"
        assert got.headers["webhookd-event-type"] == "order.shipped"


async def test_an_event_is_on_disk_before_it_is_answered(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda _got: 500
        retries = 'schedule = ["0s", "0s", "0s", "0s", "0s", "0s", "0s", "0s", "0s", "0s"]'
        config = configuration(endpoints=endpoint("shop", shop.port), delivery=retries)
        async with daemon(tmp_path, config) as running, publisher(running) as publish:
            answer = await publish.done(key="order-1001")
            running.send_signal(signal.SIGKILL)
            await running.ended()
            with log_of(running) as log:
                [(body,)] = log.execute("SELECT body FROM event WHERE provider_event_id = 'order-1001'").fetchall()
                assert body == SHIPPED
            shop.answer = lambda _got: 200
            before = len(shop.got)
            await running.start()
            assert (await shop.has(before + 1))[-1].headers["webhook-id"] == answer["event_id"]


async def test_a_repeat_is_given_the_first_answer_word_for_word_after_a_crash_too(
    running: RunningDaemon, publish: Publisher, ask: Desk
):
    first = await publish(key="order-1001")
    assert (first.status, first.json["status"]) == (200, "accepted")
    assert (await publish(key="order-1001")).body == first.body
    await running.kill()
    await running.start()
    assert (await publish(key="order-1001")).body == first.body
    assert len((await ask.get("/events"))["data"]) == 1


@pytest.mark.fault(51)
async def test_another_body_under_a_known_key_is_422_and_leaves_no_trace(
    running: RunningDaemon, publish: Publisher, ask: Desk
):
    first = await publish.done(key="order-1001")
    refused = await publish(OTHER, key="order-1001")
    assert first["event_id"] in refused.wrong["Idempotency-Key"]
    [event] = (await ask.get("/events"))["data"]
    assert event["id"] == first["event_id"]
    assert (await publish.done(key="order-1001")) == first
    await running.stop()
    with log_of(running) as log:
        assert log.execute("SELECT count(*) FROM conflict").fetchone() == (0,)


async def test_a_key_is_remembered_when_retention_has_taken_its_event(
    running: RunningDaemon, publish: Publisher, ask: Desk
):
    first = await publish(key="order-1001")
    await running.stop()
    columns = "key, salt, source, provider, provider_event_id, type, state, received_at, sha256, size"
    with log_of(running) as log:
        log.execute(f"INSERT INTO past ({columns}, taken_at) SELECT {columns}, 1 FROM event")
        log.execute("DELETE FROM event")
    await running.start()
    assert (await publish(key="order-1001")).body == first.body
    assert "Idempotency-Key" in (await publish(OTHER, key="order-1001")).wrong
    assert (await ask.get("/events"))["data"] == []


async def test_without_a_key_each_is_an_event_of_its_own(publish: Publisher):
    assert (await publish.done())["event_id"] != (await publish.done())["event_id"]


async def test_a_key_is_a_source_s_own_and_means_nothing_to_hooks(publish: Publisher, ask: Desk):
    await publish.done(key="evt_1")
    assert (await ask.get("/events"))["data"][0]["source"] == "published"


class HeldLog:
    """A log whose commits end when the test says so."""

    def __init__(self) -> None:
        self.offered: list[Event] = []
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def append(self, event: Event) -> Appended:
        self.offered.append(event)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Appended(event.id, "accepted")


class Counted:
    def __init__(self) -> None:
        self.results: list[tuple[str, str]] = []

    def hook(self, source: str, result: str, seconds: float) -> None:
        self.results.append((source, result))


class Door:
    """An application at the door of a log that the test holds."""

    def __init__(self) -> None:
        self.log, self.counted = HeldLog(), Counted()
        self.why: str | None = None
        self.url = ""
        self.session: aiohttp.ClientSession

    async def publish(self, key: str) -> Answer:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        async with self.session.post(f"{self.url}/api/v1/events", data=SHIPPED, headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    part = PublishApi(
        door.log,
        KeyMint(),
        lambda: 7,
        FakeClock(),
        door.counted,
        body_bytes_max=1024,
        unready=lambda: door.why,
    )
    patience = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with served(part) as door.url, aiohttp.ClientSession(timeout=patience) as door.session:
        yield door


@pytest.mark.fault(51)
async def test_a_key_that_is_being_stored_just_now_is_409_and_free_again_afterwards(door: Door):
    first = asyncio.create_task(door.publish("order-1001"))
    while not door.log.offered:
        await asyncio.sleep(0)
    refused = await door.publish("order-1001")
    assert (refused.status, "Idempotency-Key" in refused.json["detail"]) == (409, True)
    other = asyncio.create_task(door.publish("order-1002"))
    while len(door.log.offered) < 2:
        await asyncio.sleep(0)
    door.log.gate.set()
    assert ((await first).status, (await other).status) == (200, 200)
    assert (await door.publish("order-1001")).status == 200
    assert set(door.counted.results) == {("published", "accepted")}


@pytest.mark.parametrize("failure", [StoreUnavailableError("full"), StoreBrokenError("gone")])
async def test_what_cannot_be_stored_is_503_with_when_to_come_again_and_its_key_is_free(door: Door, failure: Exception):
    door.log.gate.set()
    door.log.failure = failure
    refused = await door.publish("order-1001")
    assert (refused.status, refused.headers["Retry-After"].isdigit()) == (503, True)
    door.log.failure = None
    assert (await door.publish("order-1001")).status == 200


async def test_a_daemon_that_takes_no_hooks_takes_no_events(door: Door):
    door.why = "The disk is nearly full; hooks are refused until there is room."
    refused = await door.publish("order-1001")
    assert (refused.status, "Retry-After" in refused.headers) == (503, True)
    assert "nearly full" in refused.json["detail"]
    assert door.log.offered == []


async def test_a_client_that_leaves_before_the_answer_has_published_all_the_same(door: Door):
    asking = asyncio.create_task(door.publish("order-1001"))
    while not door.log.offered:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    door.log.gate.set()
    while not door.counted.results:
        await asyncio.sleep(0)
    assert door.counted.results == [("published", "accepted")]


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\xe9", "a\tb"])
@pytest.mark.fault(51)
async def test_a_key_that_is_none_is_400_and_names_the_header(publish: Publisher, ask: Desk, key: str):
    answer = await publish(key=key)
    assert (answer.status, "Idempotency-Key" in answer.json["detail"]) == (400, True)
    assert (await ask.get("/events"))["data"] == []


@pytest.mark.parametrize("key", ["k" * 255, "order 1001 ~!", '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
async def test_a_key_is_kept_as_it_is(publish: Publisher, ask: Desk, key: str):
    await publish.done(key=key)
    assert (await ask.get("/events"))["data"][0]["provider_event_id"] == key


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b'{"type": "order.shipped", "data": "\xff"}', "body"),
        (b'{"type": "order.shipped", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "body"),
        (b'{"type": "order.shipped"}', "data"),
        (b'{"data": {}}', "type"),
        (b'{"type": 1, "data": {}}', "type"),
        (b'{"type": "", "data": {}}', "type"),
        (b'{"type": "order..shipped", "data": {}}', "type"),
        (b'{"type": ".order", "data": {}}', "type"),
        (b'{"type": "order shipped", "data": {}}', "type"),
        (b'{"type": "order.shipped\\n", "data": {}}', "type"),
        (b'{"type": "webhookd.quarantined", "data": {}}', "type"),
        (b'{"type": "' + b"t" * 256 + b'", "data": {}}', "type"),
        (b'{"type": "order.shipped", "data": {}, "timestamp": "yesterday"}', "timestamp"),
        (b'{"type": "order.shipped", "data": {}, "timestamp": 1700000000}', "timestamp"),
        (b'{"type": "order.shipped", "data": {}, "payment": "pi_1"}', "payment"),
    ],
)
async def test_a_body_that_is_no_event_is_422_and_names_the_field(
    publish: Publisher, ask: Desk, body: bytes, field: str
):
    answer = await publish(body, key="order-1001")
    assert list(answer.wrong) == [field]
    assert (await ask.get("/events"))["data"] == []
    await publish.done(key="order-1001")


async def test_all_that_is_wrong_with_a_body_is_told_at_once(publish: Publisher):
    answer = await publish(b'{"type": 1, "timestamp": "now", "dta": {}}')
    assert answer.wrong.keys() == {"type", "timestamp", "dta", "data"}


async def test_the_timestamp_is_when_it_occurred(publish: Publisher, ask: Desk):
    await publish.done(b'{"type": "order.shipped", "timestamp": "2026-01-31T13:00:00.5+01:00", "data": null}')
    assert (await ask.get("/events"))["data"][0]["occurred_at"] == "2026-01-31T12:00:00.500Z"


async def in_parts(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024


async def test_a_body_larger_than_server_max_body_is_413_however_it_is_sent(tmp_path: Path):
    async with daemon(tmp_path, configuration(server='max_body = "2MiB"')) as running, publisher(running) as publish:
        filling = b'"' + b"x" * (2**21 - 64) + b'"'
        fits = b'{"type": "order.shipped", "data": ' + filling + b"}"
        await publish.done(fits)
        assert (await publish(fits + b" " * 64)).status == 413
        assert (await publish(in_parts(2**21 + 2**20))).status == 413


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Type": "text/plain"}])
async def test_what_would_not_be_delivered_as_it_is_is_415(publish: Publisher, headers: dict[str, str]):
    body = gzip.compress(SHIPPED) if "Content-Encoding" in headers else SHIPPED
    assert (await publish(body, **headers)).status == 415


async def test_the_ledger_hears_nothing_of_a_published_event_whatever_it_says(
    running: RunningDaemon, publish: Publisher, ask: Desk
):
    says = {"object": {"id": "pi_1", "object": "payment_intent", "amount": 1000, "currency": "usd"}}
    await publish.done(json.dumps({"type": "payment_intent.succeeded", "data": says}).encode())
    assert (await ask.get("/payments"))["data"] == []
    assert (await ask.get("/events"))["data"][0]["payment"] is None
    for verb in (["ledger", "rebuild"], ["verify"]):
        said = await shell(*verb, "--data-dir", running.directory / "data")
        assert said.code == 0, said.err
    assert (await ask.get("/payments"))["data"] == []


async def test_an_event_goes_to_who_asks_for_published_ones_or_for_all(tmp_path: Path):
    async with merchant() as shop:
        asking = (
            endpoint("own", shop.port, sources=["published"], events=["order.*"])
            + endpoint("all", shop.port)
            + endpoint("signed", shop.port, sources=["published"], signature="provider")
            + endpoint("stripe", shop.port, sources=["stripe"])
            + endpoint("webhookd", shop.port, events=["webhookd.*"])
        )
        async with daemon(tmp_path, configuration(endpoints=asking)) as running, publisher(running) as publish:
            await publish.done()
            got = await shop.has(3)
            assert sorted(each.path for each in got) == ["/all", "/own", "/signed"]
            async with desk(running) as ask:
                deliveries = (await ask.get("/deliveries"))["data"]
                assert {each["endpoint"] for each in deliveries} == {"own", "all", "signed"}


async def test_one_that_nobody_asks_for_is_seen_found_and_replayed(tmp_path: Path):
    async with merchant() as shop:
        config = configuration(endpoints=endpoint("shop", shop.port, sources=["stripe"]))
        async with daemon(tmp_path, config) as running, publisher(running) as publish, desk(running) as ask:
            answer = await publish.done()
            ways = {"state": "unrouted", "source": "published", "provider": "webhookd", "type": "order.*"}
            for name, value in ways.items():
                found = (await ask.get("/events", **{name: value}))["data"]
                assert [each["id"] for each in found] == [answer["event_id"]], name
            wanting = configuration(endpoints=endpoint("shop", shop.port, sources=["stripe", "published"]))
            (tmp_path / "webhookd.toml").write_text(wanting)
            await ask.done("POST", "/reload")
            replayed = await ask.ask("POST", "/replays", {"source": "published", "state": "unrouted"})
            assert replayed.status == 202, replayed.body
            [got] = await shop.has(1)
            assert (got.body, got.headers["webhookd-replay"]) == (SHIPPED, "true")


async def test_what_is_published_is_counted(publish: Publisher, ask: Desk):
    await publish.done(key="order-1001")
    await publish.done(key="order-1001")
    text = await ask.metrics()
    assert 'webhookd_hooks_total{result="accepted",source="published"} 1.0' in text
    assert 'webhookd_hooks_total{result="duplicate",source="published"} 1.0' in text


def test_no_source_may_bear_the_name_that_published_events_have():
    with pytest.raises(ConfigError, match="published"):
        from_table({"sources": {"published": {"provider": "stripe", "secrets": ["whsec_x"]}}}, "webhookd.toml")
