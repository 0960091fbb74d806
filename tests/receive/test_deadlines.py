"""Bad-input catalogue, rows 9, 28, 30 and 59 to the second, and what happens when something else fails."""

import asyncio
import logging

import pytest

from tests.receive.inside import receiving
from tests.receive.wire import Headers, ask, assert_problem, event, event_of_size, head, post, standard, stripe, wire
from tests.running import PATIENCE_S
from webhookd.core.by_address import ADDRESSES_MAX
from webhookd.core.event import Appended, Event
from webhookd.receive import routes, server
from webhookd.receive.bad_signatures import BURST, BadSignatures
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

pytestmark = pytest.mark.fault(51)

HOOK = "POST /webhooks/stripe HTTP/1.1"
BODY = event("evt_1")
FRAMINGS: list[Headers] = [{"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}]
CANARY = "c4n4ry-in-an-exception"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same deadlines, only sooner."""
    monkeypatch.setattr(routes, "BODY_S", 0.1)
    monkeypatch.setattr(server, "LINGERING_S", 0.01)


def test_a_body_has_ten_seconds() -> None:
    """Row 30: what the tests below shorten."""
    assert routes.BODY_S == 10


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("sent", [b"", b'{"id"'])
@pytest.mark.parametrize(
    "framing", [{"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}], ids=["length", "chunks"]
)
async def test_a_body_that_stays_away_is_not_waited_for(framing: Headers, sent: bytes) -> None:
    """Row 28."""
    if sent and "Transfer-Encoding" in framing:
        sent = b"64\r\n" + sent
    async with receiving() as inside, wire(inside.port) as connection:
        await connection.send(head(HOOK, framing), sent)
        answer = await connection.answer()
        assert_problem(answer, 408)
        assert answer.headers["connection"] == "close"
        assert await connection.rest() == b""
        assert await inside.meter.results.get() == "slow_body"


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_comes_byte_by_byte_has_no_longer_than_any_other() -> None:
    """Row 30: the deadline is the whole body's, not that of each byte."""
    async with receiving() as inside, wire(inside.port) as connection:
        await connection.send(head(HOOK, {"Content-Length": str(2**20)}))

        async def dribble() -> None:
            while True:
                await connection.send(b" ")
                await asyncio.sleep(0)

        dribbling = asyncio.create_task(dribble())
        assert_problem(await connection.answer(), 408)
        dribbling.cancel()
        await asyncio.wait([dribbling])
        dribbling.cancelled() or dribbling.exception()


@pytest.mark.parametrize(
    "framing", [{"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}], ids=["length", "chunks"]
)
async def test_a_sender_that_hangs_up_in_the_middle_is_counted_and_not_complained_of(
    framing: Headers, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 32, its last."""
    async with receiving() as inside:
        async with wire(inside.port) as connection:
            await connection.send(head(HOOK, {**framing, "Expect": "100-continue"}))
            assert (await connection.answer()).status == 100
        async with asyncio.timeout(PATIENCE_S):
            assert await inside.meter.results.get() == "cut_short"
        assert (await ask(inside.port, head("GET /healthz HTTP/1.1"))).status == 200
    assert not caplog.records


async def test_what_was_pipelined_before_the_rubbish_is_answered_and_the_broken_body_not_waited_for() -> None:
    """Row 32: the first hook is still being committed when the second one's body breaks."""
    first = asyncio.Event()
    async with receiving() as inside, wire(inside.port) as connection:
        take = inside.log.append

        async def slowly(taken: object) -> object:
            await first.wait()
            return await take(taken)

        inside.log.append = slowly
        signed = stripe(BODY, at=int(inside.clock.at_s))
        await connection.send(post("stripe", BODY, signed), head(HOOK, {"Transfer-Encoding": "chunked", **signed}))
        await ask(inside.port, head("GET /healthz HTTP/1.1"))
        await connection.send(b"zz\r\n")
        await ask(inside.port, head("GET /healthz HTTP/1.1"))
        first.set()
        assert (await connection.answer()).status == 200
        assert_problem(await connection.answer(), 400)
        assert await connection.rest() == b""
    assert len(inside.log.events) == 1


async def test_a_large_hook_that_had_to_wait_for_an_earlier_one_is_read_to_its_end() -> None:
    """While the first is being committed, more of the second comes than is read ahead: reading pauses, and goes on."""
    first = asyncio.Event()
    large = event_of_size("evt_large", 3 * 2**20)
    async with receiving(body_bytes_max=4 * 2**20) as inside, wire(inside.port) as connection:
        take = inside.log.append

        async def slowly(taken: Event) -> Appended:
            await first.wait()
            return await take(taken)

        inside.log.append = slowly
        at = int(inside.clock.at_s)
        requests = [post("stripe", each, stripe(each, at=at)) for each in (BODY, large, BODY)]
        sending = asyncio.create_task(connection.send(*requests))
        for _ in range(20):  # as much as will be read ahead, has been
            await ask(inside.port, head("GET /healthz HTTP/1.1"))
        first.set()
        await sending
        assert [(await connection.answer()).status for _ in requests] == [200, 200, 200]
    assert [each.body for each in inside.log.events] == [BODY, large, BODY]


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)])
async def test_a_signature_holds_for_five_minutes_either_way(seconds: int, status: int) -> None:
    """Row 9."""
    async with receiving() as inside:
        at = int(inside.clock.at_s) + seconds
        assert (await ask(inside.port, post("stripe", BODY, stripe(BODY, at=at)))).status == status
        assert (await ask(inside.port, post("standard", BODY, standard(BODY, "msg_1", at=at)))).status == status


async def test_guessing_is_slowed_down_and_a_right_signature_is_not() -> None:
    """Row 59: a burst is answered as ever, then one a second; whoever guesses, the provider is heard."""
    async with receiving() as inside:
        wrong = post("stripe", BODY, {"Stripe-Signature": "t=1,v1=0"})
        right = post("stripe", BODY, stripe(BODY, at=int(inside.clock.at_s)))
        for _ in range(BURST):
            assert_problem(await ask(inside.port, wrong), 401)
        for _ in range(3):
            slowed = await ask(inside.port, wrong)
            assert_problem(slowed, 429)
            assert int(slowed.headers["retry-after"]) > 0
            assert (await ask(inside.port, right)).status == 200
        inside.clock.at_s += 1
        assert_problem(await ask(inside.port, wrong), 401)
        assert_problem(await ask(inside.port, wrong), 429)


def test_only_so_many_addresses_are_remembered() -> None:
    """Row 59: from many addresses, its memory is bounded; one heard of lately is not the one that is forgotten."""
    bad = BadSignatures()
    for _ in range(BURST):
        assert not bad.too_many("a", 0)
    for number in range(ADDRESSES_MAX - 1):
        bad.too_many(str(number), 0)
    assert bad.too_many("a", 0)
    bad.too_many("one more", 0)
    assert bad.too_many("a", 0)
    for number in range(ADDRESSES_MAX):
        bad.too_many(f"other {number}", 0)
    assert not bad.too_many("a", 0)


@pytest.mark.parametrize("error", [StoreUnavailableError(CANARY), StoreBrokenError(CANARY)])
async def test_what_cannot_be_stored_is_to_be_sent_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving() as inside:

        async def full(_event: object) -> object:
            raise error

        inside.log.append = full
        answer = await ask(inside.port, post("stripe", BODY, stripe(BODY, at=int(inside.clock.at_s))))
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert CANARY.encode() not in answer.raw
    assert not caplog.records


async def test_a_fault_of_ours_is_a_503_and_one_line_that_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The exception's own words might hold the body: neither the answer nor the log repeats them."""
    async with receiving() as inside:

        async def stumble(_event: object) -> object:
            raise ValueError(CANARY)

        inside.log.append = stumble
        answer = await ask(inside.port, post("stripe", BODY, stripe(BODY, at=int(inside.clock.at_s))))
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert CANARY.encode() not in answer.raw
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("unhandled ValueError at ")
    assert CANARY not in record.getMessage()
    assert record.exc_info is None


async def test_a_hook_is_refused_unread_while_not_ready() -> None:
    async with receiving() as inside:
        inside.unready = "Not now."
        assert_problem(await ask(inside.port, head(HOOK, {"Content-Length": "20"})), 503)
        assert_problem(await ask(inside.port, head("GET /readyz HTTP/1.1")), 503)
        inside.unready = None
        assert (await ask(inside.port, head("GET /readyz HTTP/1.1"))).status == 200
    assert not inside.log.events


async def test_what_is_being_received_all_together_is_bounded_and_the_rest_is_asked_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stranger needs no signature to begin a body: without a bound, connections times max_body would be held."""
    monkeypatch.setattr(routes, "READING_BYTES_MAX", 1_000)
    unwhole = head(HOOK, {"Content-Length": "900"}) + b"x" * 600
    async with receiving() as inside, wire(inside.port) as first, wire(inside.port) as second:
        for each in (first, second):
            await each.send(unwhole)
            await ask(inside.port, head("GET /healthz HTTP/1.1"))
        answer = await second.answer()
        assert_problem(answer, 503)
        assert "retry-after" in answer.headers
        await first.send(b"x" * 300)
        assert_problem(await first.answer(), 401)
        async with wire(inside.port) as third:
            await third.send(unwhole)
            await ask(inside.port, head("GET /healthz HTTP/1.1"))
            await third.send(b"x" * 300)
            assert_problem(await third.answer(), 401)
