"""A hook that has come whole is taken without a task of its own, and nobody can tell but by the clock."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import pytest
import uvloop

from tests.receive.inside import Inside, receiving
from tests.receive.wire import Wire, assert_problem, event, head, post, standard, stripe, wire
from tests.running import PATIENCE_S, STRIPE_SECRET
from webhookd.core.event import Appended, Event, Hook
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, Needs, Request, Verdict
from webhookd.providers.stripe import Stripe
from webhookd.receive import at_once, server
from webhookd.receive.intake import Source
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

AT_S = 1_700_000_000
CANARY = "c4n4ry-in-an-exception"


def hook(name: str) -> bytes:
    body = event(name)
    return post("stripe", body, stripe(body, at=AT_S))


class Commits:
    """A log whose commits end when the test says so."""

    def __init__(self, inside: Inside) -> None:
        self.pending: asyncio.Queue[tuple[Event, asyncio.Future[Appended]]] = asyncio.Queue()
        self.tasks: list[bool] = []
        """Whether each came from a task."""
        inside.log.append = self._append

    def _append(self, event: Event) -> asyncio.Future[Appended]:
        self.tasks.append(asyncio.current_task() is not None)
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self.pending.put_nowait((event, future))
        return future

    async def next(self) -> tuple[Event, asyncio.Future[Appended]]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.pending.get()

    async def commit(self) -> str:
        """The next one; its provider's id."""
        event, future = await self.next()
        future.set_result(Appended(event.id, "accepted"))
        return event.provider_event_id


def failing(error: Exception, is_at_once: bool) -> Callable[[Event], asyncio.Future[Appended]]:
    """A log that takes nothing, and says so when it is given an event or when that should be committed."""

    def append(_event: Event) -> asyncio.Future[Appended]:
        if is_at_once:
            raise error
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        future.set_exception(error)
        return future

    return append


async def is_silent(connection: Wire) -> bool:
    """Whether nothing comes for as long as it takes the receiver to look at all that it was sent."""
    answer = asyncio.create_task(connection.answer())
    done, _ = await asyncio.wait([answer], timeout=0.05)
    answer.cancel()
    await asyncio.wait([answer])
    return not done


async def test_a_hook_that_comes_whole_has_no_task_and_one_in_pieces_has() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        commits = Commits(inside)
        for number, is_whole in enumerate([True, False, True]):
            request = hook(f"evt_{number}")
            if is_whole:
                await connection.send(request)
            else:
                await connection.send(request[:-5])
                assert await is_silent(connection)
                await connection.send(request[-5:])
            assert await commits.commit() == f"evt_{number}"
            assert (await connection.answer()).json()["status"] == "accepted"
        assert commits.tasks == [False, True, False]


def test_the_first_hook_of_a_connection_has_none_either_though_it_came_before_the_connection_was_accepted() -> None:
    """On the daemon's loop, which reads what is there before aiohttp's task for the connection has begun."""
    uvloop.run(_first_hook())


async def _first_hook() -> None:
    async with receiving() as inside:
        commits = Commits(inside)
        with socket.create_connection(("127.0.0.1", inside.port)) as sender:
            sender.sendall(hook("evt_1"))  # nothing of the receiver runs before this has ended
            assert await commits.commit() == "evt_1"
            reader, writer = await asyncio.open_connection(sock=sender)
            assert (await Wire(reader, writer).answer()).json()["status"] == "accepted"
            await Wire(reader, writer).cut()
        assert commits.tasks == [False]


@pytest.mark.parametrize("count", [2, 40])
def test_what_comes_with_the_connection_is_answered_in_order(count: int) -> None:
    """Hooks in one segment, and one that ends later."""
    uvloop.run(_hooks_in_order(count))


async def _hooks_in_order(count: int) -> None:
    names = [f"evt_{number}" for number in range(count)]
    requests = b"".join(map(hook, names))
    async with receiving() as inside:
        with socket.create_connection(("127.0.0.1", inside.port)) as sender:
            sender.sendall(requests[:-5])
            connection = Wire(*await asyncio.open_connection(sock=sender))
            await connection.send(requests[-5:])
            answers = [(await connection.answer()).json()["event_id"] for _ in names]
            await connection.cut()
        assert [event.provider_event_id for event in inside.log.events] == names
        assert [event.id for event in inside.log.events] == answers


def test_a_sender_that_leaves_in_the_middle_of_what_it_sent_with_the_connection_is_no_fault_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    uvloop.run(_cut_short())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _cut_short() -> None:
    async with receiving() as inside:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", inside.port)) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                sender.sendall(hook("evt_1")[:-5])
            await asyncio.sleep(0)
        async with wire(inside.port) as connection:
            await connection.send(hook("evt_2"))
            assert (await connection.answer()).json()["status"] == "accepted"
        assert [event.provider_event_id for event in inside.log.events] == ["evt_2"]


async def test_a_hook_that_comes_whole_is_refused_as_any_other_while_not_ready() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        inside.unready = "Not now."
        await connection.send(hook("evt_1"))
        assert_problem(await connection.answer(), 503)
    assert not inside.log.events


async def test_hooks_in_one_segment_are_answered_each_once_and_in_order() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        names = [f"evt_{number}" for number in range(40)]  # more than are queued at one time
        await connection.send(*map(hook, names))
        answers = [(await connection.answer()).json()["event_id"] for _ in names]
        assert [event.provider_event_id for event in inside.log.events] == names
        assert [event.id for event in inside.log.events] == answers


async def test_one_connection_serves_any_number_of_hooks_one_by_one_and_together() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        for number in range(40):
            await connection.send(hook(f"evt_{number}"))
            assert (await connection.answer()).json()["event_id"] == inside.log.events[number].id
        await connection.send(*(hook(f"evt_more_{number}") for number in range(3)))
        answers = [(await connection.answer()).json()["event_id"] for _ in range(3)]
        assert answers == [event.id for event in inside.log.events[-3:]]


class Doubtful(Stripe):
    """Wants something fetched before it judges."""

    def verify(self, hook: Hook, now: int, evidence: Mapping[Request, bytes]) -> Verdict:
        asked = Request("https://certificates.example/1")
        return super().verify(hook, now, evidence) if asked in evidence else Needs(asked)


async def test_a_hook_that_takes_more_than_itself_to_be_judged_goes_the_longer_way_whole() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        inside.sources["stripe"] = Source("stripe", Doubtful(Credentials([Secret(STRIPE_SECRET)])))
        inside.evidence = b"a certificate"
        await connection.send(hook("evt_1"))
        assert (await connection.answer()).json()["status"] == "accepted"
        assert [event.body for event in inside.log.events] == [event("evt_1")]


async def test_a_peer_that_leaves_its_answers_unread_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_once, "UNREAD_BYTES_MAX", -1)
    monkeypatch.setattr(server, "KEEPALIVE_S", 3_600)
    async with receiving() as inside, wire(inside.port) as connection:
        await connection.send(hook("evt_1"))
        assert await connection.rest() == b""
        assert len(inside.log.events) == 1


async def test_what_comes_while_a_hook_is_being_committed_waits_for_its_answer() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        commits = Commits(inside)
        await connection.send(hook("evt_first"))
        first, future = await commits.next()
        await connection.send(head("GET /healthz HTTP/1.1"), hook("evt_second"))
        assert await is_silent(connection)
        future.set_result(Appended(first.id, "accepted"))
        assert (await connection.answer()).json()["event_id"] == first.id
        assert (await connection.answer()).json() == {"status": "ok"}
        assert await commits.commit() == "evt_second"
        assert (await connection.answer()).status == 200


async def test_what_is_no_http_behind_a_hook_does_not_keep_the_hook_from_its_answer() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        commits = Commits(inside)
        await connection.send(hook("evt_1"))
        taken, future = await commits.next()
        await connection.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        future.set_result(Appended(taken.id, "accepted"))
        assert (await connection.answer()).json()["event_id"] == taken.id
        assert_problem(await connection.answer(), 400)
        assert await connection.rest() == b""


async def test_a_sender_that_leaves_before_its_answer_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with receiving() as inside, wire(inside.port) as other:
        commits = Commits(inside)
        async with wire(inside.port) as connection:
            await connection.send(hook("evt_1"))
            taken, future = await commits.next()
        await other.send(head("GET /healthz HTTP/1.1"))  # by its answer the receiver knows of the other's end
        assert (await other.answer()).status == 200
        future.set_result(Appended(taken.id, "accepted"))
        async with asyncio.timeout(PATIENCE_S):
            assert await inside.meter.results.get() == "accepted"
    assert not caplog.records


async def test_a_connection_is_not_idle_while_its_hook_is_being_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEPALIVE_S", 0.01)
    async with receiving() as inside, wire(inside.port) as connection:
        commits = Commits(inside)
        await connection.send(hook("evt_1"))
        taken, future = await commits.next()
        assert await is_silent(connection)  # for five times as long
        future.set_result(Appended(taken.id, "accepted"))
        assert (await connection.answer()).headers.get("connection") is None
        assert await connection.rest() == b""  # idle at last, it is closed


@pytest.mark.parametrize("farewell_s", [0.0, 1.0], ids=["at once", "within the farewell"])
async def test_a_server_that_stops_answers_what_it_has_taken_and_says_that_it_is_the_last(
    farewell_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FAREWELL_S", farewell_s)
    receiver = AsyncExitStack()
    inside = await receiver.enter_async_context(receiving())
    async with wire(inside.port) as connection:
        commits = Commits(inside)
        await connection.send(hook("evt_1"))
        taken, future = await commits.next()
        stopping = asyncio.create_task(receiver.aclose())
        assert await is_silent(connection)
        future.set_result(Appended(taken.id, "accepted"))
        answer = await connection.answer()
        assert answer.json()["event_id"] == taken.id
        assert answer.headers["connection"] == "close"
        assert await connection.rest() == b""
        async with asyncio.timeout(PATIENCE_S):
            await stopping


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("c4n4ry"), StoreBrokenError("c4n4ry")], ids=["later", "broken"]
)
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "in the end"])
async def test_what_cannot_be_stored_is_to_be_sent_again(error: Exception, is_at_once: bool) -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        inside.log.append = failing(error, is_at_once)
        await connection.send(hook("evt_1"))
        answer = await connection.answer()
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["connection"] == "close"
        assert await connection.rest() == b""
        assert await inside.meter.results.get() == "store_unavailable"
        [refusal] = inside.refusals
        assert (refusal.reason, refusal.address) == ("store_unavailable", "127.0.0.1")


@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "in the end"])
async def test_a_fault_of_ours_is_answered_and_quoted_nowhere(
    is_at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        inside.log.append = failing(RuntimeError(CANARY), is_at_once)
        await connection.send(hook("evt_1"))
        answer = await connection.answer()
        assert_problem(answer, 503)
        assert answer.headers["connection"] == "close"
        assert await connection.rest() == b""
        assert CANARY.encode() not in answer.raw
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "unhandled RuntimeError" in record.getMessage()
    assert CANARY not in caplog.text


async def test_a_wrong_signature_is_refused_and_remembered_with_its_address_and_hook() -> None:
    async with receiving() as inside, wire(inside.port) as connection:
        body = event("evt_1")
        await connection.send(post("stripe", body, stripe(body, "whsec_another", at=AT_S)))
        assert_problem(await connection.answer(), 401)
        await connection.send(hook("evt_2"))  # the connection stays
        assert (await connection.answer()).status == 200
        [refusal] = inside.refusals
        assert (refusal.reason, refusal.address, refusal.path, refusal.size) == (
            "wrong_signature",
            "127.0.0.1",
            "/webhooks/stripe",
            len(body),
        )
        assert [each.body for each in inside.refusals.to_try("stripe")] == [body]


async def test_what_is_only_known_at_its_end_is_told_as_on_the_longer_way() -> None:
    """A genuine signature with another body than the one that it is bound to."""

    def forged(event: Event) -> asyncio.Future[Appended]:
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        future.set_result(Appended(event.id, "forged"))
        return future

    async with receiving() as inside, wire(inside.port) as connection:
        inside.log.append = forged
        body = event("evt_1")
        await connection.send(post("standard", body, standard(body, "msg_1", at=AT_S)))
        assert_problem(await connection.answer(), 401)
        [refusal] = inside.refusals
        assert (refusal.reason, refusal.method, refusal.source) == ("forged", "POST", "standard")
