"""The stream: what happens as it happens, events without a gap or a repeat, and nothing a slow listener could fill."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.admin.desk import desk
from tests.admin.listening import listening
from tests.admin.publishing import publisher
from tests.daemon.merchant import merchant
from tests.fake_clock import FakeClock
from tests.making import event
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from webhookd.admin.crier import ATTEMPTS_HELD_MAX, HEARTBEAT_S, Crier, Listener
from webhookd.admin.door.reasons import BusyError
from webhookd.admin.stream import LISTENERS_MAX, Listeners
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.core.identifier import event_id
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.feed import Landed, StandingRow, Stretch
from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter
from webhookd.store.sql.feed import LOOKS, landed


def shipped(number: int, kind: str = "order.shipped") -> bytes:
    return b'{"type": "%s", "data": %d}' % (kind.encode(), number)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path) as found:
        yield found


async def test_an_event_is_told_as_the_api_has_it_under_its_own_id(running: RunningDaemon):
    async with listening(running) as ear, publisher(running) as publish, desk(running) as ask:
        assert (await ear.next()).kind == "hello"
        published = await publish.done(shipped(1))
        told = await ear.next()
        assert (told.kind, told.id) == ("event", published["event_id"])
        assert [told.data] == (await ask.get("/events"))["data"]
        assert told.data["state"] == "unrouted"


async def test_every_attempt_is_told_with_how_its_delivery_stands_after_its_event(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda _got: 500 if len(shop.got) == 1 else 200
        config = configuration(endpoints=endpoint("shop", shop.port), delivery='schedule = ["0s", "0s"]\njitter = 0')
        async with daemon(tmp_path, config) as running, listening(running) as ear, publisher(running) as publish:
            await ear.next("hello")
            published = await publish.done(shipped(1))
            told = [await ear.next(), await ear.next()]
            while told[-1].data["state"] != "delivered":
                told.append(await ear.next())
            assert [each.kind for each in told] == ["event", *["delivery"] * (len(told) - 1)]
            assert {each.data["event_id"] for each in told[1:]} == {published["event_id"]}
            attempts = [attempt for each in told[1:] for attempt in each.data["history"]]
            assert [(each["number"], each["status"]) for each in attempts] == [(1, 500), (2, 200)]
            async with desk(running) as ask:
                [delivery] = (await ask.get("/deliveries"))["data"]
                assert {**told[-1].data, "history": None} == {**delivery, "history": None}


async def test_an_endpoint_is_told_when_it_stands_otherwise_and_not_before(tmp_path: Path):
    config = configuration(endpoints=endpoint("shop", 9999) + endpoint("other", 9999))
    async with daemon(tmp_path, config) as running, listening(running) as ear, desk(running) as ask:
        await ear.next("hello")
        await ask.done("POST", "/endpoints/shop/pause")
        told = await ear.next()
        assert (told.kind, told.data["name"], told.data["state"]) == ("endpoint", "shop", "paused")
        assert (told.data["why"], told.data["breaker"], told.id) == ("operator", "closed", None)
        await ask.done("POST", "/endpoints/shop/resume")
        told = await ear.next()
        assert (told.data["name"], told.data["state"]) == ("shop", "active")


async def test_who_comes_back_goes_on_behind_the_last_event_he_was_told(running: RunningDaemon):
    async with publisher(running) as publish:
        async with listening(running) as ear:
            await ear.next("hello")
            first = await publish.done(shipped(1))
            told = await ear.next("event")
            assert told.id == first["event_id"]
        missed = [(await publish.done(shipped(number)))["event_id"] for number in range(2, 5)]
        await running.kill()
        await running.start()
        async with listening(running, last=told.id) as ear:
            assert (await ear.next()).kind == "hello"
            found = [(await ear.next("event")).id for _ in missed]
            then = await publish.done(shipped(5))
            assert [*found, (await ear.next("event")).id] == [*missed, then["event_id"]]


async def test_who_was_told_of_no_event_goes_on_from_where_he_began(running: RunningDaemon):
    async with publisher(running) as publish:
        await publish.done(shipped(1))
        async with listening(running) as ear:
            hello = await ear.next()
            assert hello.id == hello.data["position"]
        missed = await publish.done(shipped(2))
        async with listening(running, last=hello.id) as ear:
            assert (await ear.next("event")).id == missed["event_id"]
        async with listening(running, after=hello.id) as ear:
            assert (await ear.next("event")).id == missed["event_id"]


async def test_a_place_that_the_log_has_not_reached_is_its_end(running: RunningDaemon):
    """The database may be one that was restored from before."""
    async with publisher(running) as publish, listening(running, last=event_id(2**63 - 1, 1)) as ear:
        await ear.next("hello")
        published = await publish.done(shipped(1))
        assert (await ear.next("event")).id == published["event_id"]


async def test_a_listener_who_is_behind_by_much_reads_all_of_it_in_order(running: RunningDaemon):
    count = LOOKS + 10
    async with publisher(running) as publish, listening(running, kinds="event") as ear:
        hello = await ear.next()
        published = [(await publish.done(shipped(number)))["event_id"] for number in range(count)]
        assert [(await ear.next()).id for _ in range(count)] == published
        async with listening(running, last=hello.id, type="order.*") as again:
            assert (await again.next()).kind == "hello"
            assert [(await again.next()).id for _ in range(count)] == published


NARROWINGS = {
    "kinds": {"kinds": "delivery"},
    "type": {"kinds": "event", "type": "invoice.*"},
    "source": {"kinds": "event", "source": "stripe"},
    "provider": {"kinds": "event,delivery", "provider": "stripe"},
    "state": {"state": "delivered"},
    "endpoint": {"kinds": "delivery", "endpoint": "another"},
}


async def test_who_asks_for_less_is_told_less(tmp_path: Path):
    async with (
        merchant() as shop,
        daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running,
        publisher(running) as publish,
        AsyncExitStack() as stack,
    ):
        ears = {
            name: await stack.enter_async_context(listening(running, **query)) for name, query in NARROWINGS.items()
        }
        for ear in ears.values():
            await ear.next("hello")
        await publish.done(shipped(1))
        wanted = await publish.done(shipped(2, "invoice.paid"))
        await shop.has(2)
        assert (await ears["type"].next()).id == wanted["event_id"]
        for name in ("kinds", "state"):
            delivered = [await ears[name].next(), await ears[name].next()]
            assert {(each.kind, each.data["state"]) for each in delivered} == {("delivery", "delivered")}
        running.send_signal(signal.SIGTERM)
        rest = {name: await ear.end() for name, ear in ears.items()}
        assert {name for name, told in rest.items() if told} == set()


@pytest.mark.parametrize(
    ("query", "last", "field"),
    [
        ({"kinds": "events"}, None, "kinds"),
        ({"kinds": ""}, None, "kinds"),
        ({"state": "gone"}, None, "state"),
        ({"sources": "x"}, None, "sources"),
        ({"after": "evt_1"}, None, "after"),
        ({}, "17", "Last-Event-ID"),
    ],
)
async def test_what_cannot_be_told_is_422_before_anything_is(
    running: RunningDaemon, query: dict[str, str], last: str | None, field: str
):
    headers = {"Authorization": f"Bearer {running.token}"} | ({"Last-Event-ID": last} if last else {})
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{running.admin}/api/v1/stream", params=query) as response,
    ):
        assert response.status == 422
        assert [each["field"] for each in (await response.json())["errors"]] == [field]


async def test_without_a_token_nothing_is_told(running: RunningDaemon):
    async with aiohttp.ClientSession() as session, session.get(f"{running.admin}/api/v1/stream") as response:
        assert response.status == 401


async def test_so_many_may_listen_and_the_next_is_503_until_one_leaves(running: RunningDaemon):
    headers = {"Authorization": f"Bearer {running.token}"}
    url = f"{running.admin}/api/v1/stream"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        listeners = [await session.get(url) for _ in range(LISTENERS_MAX)]
        async with session.get(url) as refused:
            assert (refused.status, "Retry-After" in refused.headers) == (503, True)
        listeners.pop().close()
        async with asyncio.timeout(PATIENCE_S):
            while True:  # the daemon hears of it when it hears of it
                async with session.get(url) as response:
                    if response.status == 200:
                        break
        for each in listeners:
            each.close()


async def test_a_stop_ends_every_stream_at_once_and_well(running: RunningDaemon):
    async with listening(running) as ear, listening(running) as other:
        await ear.next("hello")
        await other.next("hello")
        running.send_signal(signal.SIGTERM)
        assert (await ear.end(), await other.end()) == ([], [])  # an ill end would raise
        assert await running.ended() == 0


async def test_head_is_answered_and_ends(running: RunningDaemon):
    headers = {"Authorization": f"Bearer {running.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.head(f"{running.admin}/api/v1/stream") as response,
    ):
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")


# --- Without a daemon: what it costs, and what it holds


class Book:
    """What a feed reads, counted; and who watches its commits."""

    def __init__(self) -> None:
        self.listener: Callable[[Landed], None] | None = None
        self.rows: list[EventRow] = []
        self.asked: list[Sequence[DeliveryKey]] = []
        self.standing: list[StandingRow] = []
        self.failure: Exception | None = None

    def watch_commits(self, listener: Callable[[Landed], None] | None) -> None:
        self.listener = listener

    async def head(self) -> int:
        return self.rows[-1].key if self.rows else 0

    async def stretch(self, after: int, narrowed: Filter) -> Stretch:
        if self.failure is not None:
            raise self.failure
        rows = [each for each in self.rows if each.key > after][:2]
        return Stretch(rows, rows[-1].key if rows else after)

    async def deliveries(self, keys: Sequence[DeliveryKey], narrowed: Filter) -> Sequence[DeliveryRow]:
        self.asked.append(keys)
        return [
            DeliveryRow(each.event, 1, each.endpoint, "shop", "delivered", 1, None, 200, None, 1, 2) for each in keys
        ]

    async def standings(self) -> Sequence[StandingRow]:
        return self.standing


def settled(number: int, attempt: int = 1) -> Settlement:
    return Settlement(DeliveryKey(number, 1), attempt, Outcome(1, 1, 200), False, "delivered", None, 1)


def attempts(*settlements: Settlement) -> Landed:
    return Landed(0, settlements, endpoints_moved=False)


def test_while_nobody_listens_the_store_is_not_even_watched():
    book = Book()
    listeners = Listeners(book)
    assert book.listener is None
    first, second = listeners.join(), listeners.join()
    assert book.listener is not None
    listeners.leave(first)
    assert book.listener is not None
    listeners.leave(second)
    listeners.leave(second)
    assert book.listener is None


def test_once_the_daemon_stops_nobody_may_listen_any_more():
    listeners = Listeners(Book())
    listener = listeners.join()
    listeners.close()
    assert (listener.over, listener.news.is_set()) == (True, True)
    with pytest.raises(BusyError):
        listeners.join()


async def told_in(crier: Crier, listener: Listener, enough: Callable[[bytes], bool]) -> bytes:
    said = b""

    async def take(data: bytes) -> None:
        nonlocal said
        said += data
        if enough(said):
            listener.end()

    await crier.tell(take)
    return said


async def passed_until(done: Callable[[], bool], clock: FakeClock) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance_to_next_timer()


async def test_a_listener_who_falls_behind_holds_so_many_attempts_and_is_told_how_many_he_missed():
    book, listener = Book(), Listener()
    for number in range(ATTEMPTS_HELD_MAX):
        listener.hear(attempts(settled(number)))
    listener.hear(attempts(settled(5_000), settled(5_001), settled(5_002)))
    crier = Crier(book, FakeClock(), listener, ("delivery",), Filter(), 0)
    said = await told_in(crier, listener, lambda said: said.count(b"event: delivery") == ATTEMPTS_HELD_MAX)
    assert said.count(b'event: lagged\ndata: {"attempts":3}\n\n') == 1
    assert [len(keys) for keys in book.asked] == [ATTEMPTS_HELD_MAX]
    assert book.asked[0][0] == DeliveryKey(3, 1), "the oldest were dropped"


async def test_several_attempts_of_a_delivery_are_one_message_and_one_read():
    book, listener = Book(), Listener()
    listener.hear(attempts(settled(1, 1), settled(2, 1), settled(1, 2)))
    crier = Crier(book, FakeClock(), listener, ("delivery",), Filter(), 0)
    said = await told_in(crier, listener, lambda said: said.count(b"event: delivery") == 2)
    assert said.count(b'"number":') == 3
    assert [len(keys) for keys in book.asked] == [2]
    assert b"lagged" not in said


async def test_in_a_silence_there_is_a_comment_every_15_seconds():
    clock, listener = FakeClock(), Listener()
    crier = Crier(Book(), clock, listener, ("event",), Filter(), 0)
    began = clock.now_ms()
    telling = asyncio.create_task(told_in(crier, listener, lambda said: said.count(b"\n: ") == 2))
    await passed_until(telling.done, clock)
    assert b": still here\n\n: still here\n\n" in telling.result()
    assert 2 * HEARTBEAT_S <= (clock.now_ms() - began) / 1_000 < 2 * HEARTBEAT_S + 2


async def test_what_comes_while_the_log_is_read_is_told_by_the_next_look():
    book, listener, clock = Book(), Listener(), FakeClock()

    def row(key: int) -> EventRow:
        return EventRow(key, 1, "s", "p", f"e{key}", "t", "accepted", 1, None, None, 1, b"", ())

    book.rows = [row(1), row(2), row(3)]
    crier = Crier(book, clock, listener, ("event",), Filter(), 0)

    def enough(said: bytes) -> bool:
        if said.count(b"event: event") == 3 and len(book.rows) == 3:
            book.rows.append(row(4))
            listener.hear(Landed(4, (), endpoints_moved=False))
        return said.count(b"event: event") == 4

    telling = asyncio.create_task(told_in(crier, listener, enough))
    await passed_until(telling.done, clock)
    ids = [line.split(b": ")[1].decode() for line in telling.result().splitlines() if line.startswith(b"id: ")]
    assert ids[1:] == [event_id(key, 1) for key in (1, 2, 3, 4)]


async def test_a_log_that_cannot_be_read_ends_the_stream_and_not_the_daemon():
    book, listener = Book(), Listener()
    book.failure = StoreUnavailableError("busy")
    crier = Crier(book, FakeClock(), listener, ("event",), Filter(), 0)
    with pytest.raises(StoreUnavailableError):
        await told_in(crier, listener, lambda _said: False)


def test_a_commit_is_told_by_what_it_stored_and_not_by_what_it_could_not():
    stored, refused = event(), event()
    found = landed([stored, refused, settled(1)], [None, StoreUnavailableError("full"), None])
    assert (found.head, len(found.settlements), found.endpoints_moved) == (stored.key, 1, False)
    gone = Settlement(DeliveryKey(1, 1), 1, Outcome(1, 1, 410, "status"), False, "pending", 1, 1)
    assert landed([gone], [None]).endpoints_moved
    assert landed([lambda _connection: None], [None]).endpoints_moved
