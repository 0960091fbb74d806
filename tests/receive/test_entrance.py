"""Row 35: when more comes in than can be taken, who is let in, who waits, and what those are told who are refused."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import pytest

from tests.receive.inside import Inside, receiving
from tests.receive.test_at_once import AT_S, Commits, Doubtful, hook, is_silent
from tests.receive.wire import Wire, ask, assert_problem, event, head, post, standard, stripe, wire
from tests.running import PATIENCE_S, STRIPE_SECRET
from webhookd.admin.refusal_words import MEANINGS
from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, Request, Verdict
from webhookd.providers.stripe import Stripe
from webhookd.receive import connection, entrance, replies, server
from webhookd.receive.entrance import CrowdedError, Entrance
from webhookd.receive.intake import Source

pytestmark = pytest.mark.fault(35)
UNREAD = head("POST /webhooks/stripe HTTP/1.1", {"Content-Length": "20"})


class Street:
    """Connections to a receiver that lets in two at a time, whose commits end when the test says so."""

    def __init__(self, inside: Inside, stack: AsyncExitStack) -> None:
        self.inside = inside
        self.commits = Commits(inside)
        self._stack = stack

    async def comes(self, *pieces: bytes) -> Wire:
        comer = await self._stack.enter_async_context(wire(self.inside.port))
        await comer.send(*pieces)
        # By its answer the receiver has looked at what came before.
        assert (await ask(self.inside.port, head("GET /healthz HTTP/1.1"))).status == 200
        return comer

    async def stands_still(self) -> list[Wire]:
        """Two are inside, and nobody has been called for so long that who comes is refused."""
        comers = [await self.comes(hook(f"evt_{number}")) for number in range(3)]
        self.inside.clock.at_s += entrance.WAIT_S + 0.1
        return comers


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "INSIDE_MAX", 2)


@pytest.mark.usefixtures("narrow")
async def test_who_comes_while_nobody_is_called_is_told_to_come_again_and_those_who_wait_are_taken() -> None:
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        waiting = await street.stands_still()
        refused = await street.comes(hook("evt_late"))
        answer = await refused.answer()
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) in range(1, 6)
        assert "connection" not in answer.headers  # it was read: another may come on the same one
        assert [await street.commits.commit() for _ in waiting] == ["evt_0", "evt_1", "evt_2"]
        assert [(await each.answer()).status for each in waiting] == [200, 200, 200]
        await refused.send(hook("evt_late"))
        assert await street.commits.commit() == "evt_late"
        assert (await refused.answer()).status == 200
        results = [inside.meter.results.get_nowait() for _ in range(5)]
        assert results == ["overloaded", "accepted", "accepted", "accepted", "accepted"]


@pytest.mark.usefixtures("narrow")
async def test_once_the_first_have_waited_for_long_the_last_is_the_next_and_the_first_are_refused_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entrance, "WAIT_S", 0.125)
    monkeypatch.setattr(entrance, "WAIT_S_MAX", 0.25)
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        for number in range(3):
            await street.comes(hook(f"evt_{number}"))
        first = await street.comes(hook("evt_first"))
        inside.clock.at_s += 0.125
        assert await street.commits.commit() == "evt_0"  # and the first in line was called: it is a burst yet
        early = await street.comes(hook("evt_early"))
        inside.clock.at_s += 0.0625
        late = await street.comes(hook("evt_late"))
        assert await street.commits.commit() == "evt_1"  # and the last was called
        inside.clock.at_s += 0.0625
        assert_problem(await first.answer(), 503)
        assert [await street.commits.commit() for _ in range(3)] == ["evt_2", "evt_late", "evt_early"]
        assert [(await each.answer()).status for each in (late, early)] == [200, 200]


@pytest.mark.usefixtures("narrow")
async def test_the_body_of_who_is_refused_is_not_waited_for_nor_is_he_verified() -> None:
    async with AsyncExitStack() as stack:
        street = Street(await stack.enter_async_context(receiving()), stack)
        await street.stands_still()
        unread = await street.comes(UNREAD)
        answer = await unread.answer()
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["connection"] == "close"
        assert await unread.rest() == b""
        forger = await street.comes(post("stripe", b"{}", {"Stripe-Signature": "t=1,v1=0"}))
        assert_problem(await forger.answer(), 503)


@pytest.mark.usefixtures("narrow")
async def test_those_who_are_refused_together_are_not_told_to_come_back_together() -> None:
    async with AsyncExitStack() as stack:
        street = Street(await stack.enter_async_context(receiving()), stack)
        await street.stands_still()
        told = [(await (await street.comes(hook("evt_late"))).answer()).headers["retry-after"] for _ in range(10)]
        assert told == [*"1234512345"]


@pytest.mark.usefixtures("narrow")
async def test_a_crowd_of_refused_is_one_line_in_the_log_and_one_refusal_that_is_remembered() -> None:
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        await street.stands_still()
        for request in (hook("evt_late"), UNREAD, hook("evt_later")):
            assert_problem(await (await street.comes(request)).answer(), 503)
        assert [refusal.reason for refusal in inside.refusals] == [replies.OVERLOADED]


@pytest.mark.usefixtures("narrow")
async def test_a_burst_is_taken_to_its_last_hook_and_in_the_order_in_which_it_came() -> None:
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        names = [f"evt_{number}" for number in range(30)]
        burst = [await street.comes(hook(name)) for name in names]
        assert [await street.commits.commit() for _ in names] == names
        assert {(await each.answer()).status for each in burst} == {200}


@pytest.mark.usefixtures("narrow")
async def test_no_more_are_inside_than_may_be_whichever_way_they_came() -> None:
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        whole, slow = hook("evt_whole"), hook("evt_slow").replace(b"HTTP/1.1", b"HTTP/1.0")
        burst = [await street.comes(request) for request in (whole, slow, whole, slow, whole)]
        for left in (3, 3, 2, 1, 0):
            assert street.commits.pending.qsize() <= 2
            await street.commits.commit()
            assert await is_silent(burst[-1]) is (left > 0) or left == 0
        assert [(await each.answer()).status for each in burst[:4]] == [200] * 4


@pytest.mark.usefixtures("narrow")
async def test_who_has_left_before_his_turn_is_not_taken() -> None:
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        await street.comes(hook("evt_0"))
        await street.comes(hook("evt_1"))
        for name, version in (("evt_gone", b"HTTP/1.1"), ("evt_gone_too", b"HTTP/1.0")):
            async with wire(inside.port) as gone:
                await gone.send(hook(name).replace(b"HTTP/1.1", version))
                await ask(inside.port, head("GET /healthz HTTP/1.1"))
        last = await street.comes(hook("evt_last"))
        assert [await street.commits.commit() for _ in range(3)] == ["evt_0", "evt_1", "evt_last"]
        assert (await last.answer()).status == 200
        results = [await inside.meter.results.get() for _ in range(5)]
        assert results.count(replies.GAVE_UP) == 2


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"], ids=["whole", "in pieces"])
async def test_nobody_waits_for_ever_when_nothing_goes_on(version: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "WAIT_S_MAX", 0.05)
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        taken = [await street.comes(hook(f"evt_{number}")) for number in range(2)]
        waiting = await street.comes(hook("evt_waits").replace(b"HTTP/1.1", version))
        assert await is_silent(waiting)
        inside.clock.at_s += entrance.WAIT_S_MAX
        answer = await waiting.answer()
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert [await street.commits.commit() for _ in taken] == ["evt_0", "evt_1"]
        assert [(await each.answer()).status for each in taken] == [200, 200]


@pytest.mark.usefixtures("narrow")
async def test_bodies_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "WAITING_BYTES_MAX", 300)
    async with AsyncExitStack() as stack:
        street = Street(await stack.enter_async_context(receiving()), stack)
        crowd = [await street.comes(hook(f"evt_{number}")) for number in range(4)]  # 160 bytes each
        assert_problem(await (await street.comes(hook("evt_late"))).answer(), 503)
        assert [await street.commits.commit() for _ in crowd] == [f"evt_{number}" for number in range(4)]


def test_the_bounds_are_what_they_are_said_to_be() -> None:
    """docs/bounds.md has them."""
    assert (entrance.INSIDE_MAX, entrance.INSIDE_BYTES_MAX) == (256, 32 * 2**20)
    assert (entrance.WAIT_S, entrance.WAIT_S_MAX, entrance.WAITING_BYTES_MAX) == (1, 4, 64 * 2**20)
    assert entrance.REFUSALS_PER_S == 1_000


@pytest.mark.usefixtures("narrow")
async def test_what_is_fetched_for_some_does_not_keep_others_out() -> None:
    """As a certificate: its hooks are not inside while it is fetched."""
    fetched = asyncio.Event()

    class Slowly(Doubtful):
        """Its evidence takes a while."""

    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        inside.sources["stripe"] = Source("stripe", Slowly(Credentials([Secret(STRIPE_SECRET)])))
        inside.evidence, inside.evidence_comes = b"a certificate", fetched
        doubtful = [await street.comes(hook(f"evt_{number}")) for number in range(3)]
        body = event("evt_other")
        other = await street.comes(post("standard", body, standard(body, "msg_1", at=AT_S)))
        assert await street.commits.commit() == "msg_1"
        assert (await other.answer()).status == 200
        fetched.set()
        assert {await street.commits.commit() for _ in doubtful} == {"evt_0", "evt_1", "evt_2"}
        assert [(await each.answer()).status for each in doubtful] == [200] * 3


@pytest.mark.usefixtures("narrow")
async def test_whoever_is_refused_for_his_signature_leaves_room_for_the_next() -> None:
    async with AsyncExitStack() as stack:
        street = Street(await stack.enter_async_context(receiving()), stack)
        inside = [await street.comes(hook(f"evt_{number}")) for number in range(2)]
        body = event("evt_forged")
        forgers = [await street.comes(post("stripe", body, stripe(body, "whsec_another", at=AT_S))) for _ in range(5)]
        last = await street.comes(hook("evt_last"))
        assert [await street.commits.commit() for _ in range(3)] == ["evt_0", "evt_1", "evt_last"]
        assert [(await each.answer()).status for each in (*inside, *forgers, last)] == [200, 200, *[401] * 5, 200]


class Stumbling(Stripe):
    """A fault of ours."""

    def verify(self, hook: Hook, now: int, evidence: Mapping[Request, bytes]) -> Verdict:
        raise RuntimeError("stumbled")


@pytest.mark.usefixtures("narrow")
async def test_a_fault_of_ours_keeps_no_place_inside() -> None:
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        street = Street(inside, stack)
        good = inside.sources["stripe"]
        inside.sources["stripe"] = Source("stripe", Stumbling(Credentials([Secret(STRIPE_SECRET)])))
        for version in (b"HTTP/1.1", b"HTTP/1.0") * 2:
            stumbled = await street.comes(hook("evt_stumbles").replace(b"HTTP/1.1", version))
            assert_problem(await stumbled.answer(), 503)
        inside.sources["stripe"] = good
        for name in ("evt_1", "evt_2"):
            await street.comes(hook(name))
        assert [await street.commits.commit() for _ in range(2)] == ["evt_1", "evt_2"]


async def test_refusals_are_given_at_a_pace_and_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "REFUSALS_AT_ONCE", 2)
    monkeypatch.setattr(entrance, "REFUSALS_PER_S", 100)
    door, refused, all_are = Entrance(lambda: 0.0), list[int](), asyncio.Event()

    def note(number: int) -> None:
        refused.append(number)
        if len(refused) == 9:
            all_are.set()

    for number in range(9):
        door.refuse(lambda number=number: note(number))  # type: ignore[misc]
    assert refused == [0, 1]
    async with asyncio.timeout(PATIENCE_S):
        await all_are.wait()
    assert refused == [*range(9)]


async def test_a_loop_that_comes_late_refuses_as_many_as_its_time_has_earned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "REFUSALS_AT_ONCE", 3)
    monkeypatch.setattr(entrance, "REFUSALS_PER_S", 8)
    loop = asyncio.get_running_loop()
    at_s = [loop.time()]
    monkeypatch.setattr(loop, "time", lambda: at_s[0])
    door, refused = Entrance(lambda: 0.0), list[None]()
    for _ in range(10):
        door.refuse(lambda: refused.append(None))
    assert len(refused) == 3
    at_s[0] += 0.25
    while len(refused) == 3:
        await asyncio.sleep(0)
    assert len(refused) == 5


async def test_who_is_cancelled_while_he_waits_or_as_he_is_called_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entrance, "INSIDE_MAX", 1)
    door = Entrance(lambda: 0.0)

    async def visit(stays: asyncio.Event) -> None:
        async with door.turn(1):
            await stays.wait()

    first_stays, others_stay = asyncio.Event(), asyncio.Event()
    first, waits, called, last = [
        asyncio.create_task(visit(stays)) for stays in (first_stays, others_stay, others_stay, others_stay)
    ]
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.wait([waits])
    first_stays.set()
    await asyncio.wait([first])
    while door.waiting[0] > 1:  # until the next one has been called
        await asyncio.sleep(0)
    called.cancel()
    await asyncio.wait([called])
    others_stay.set()
    await last
    assert door.enter(1)
    assert not door.enter(1)


async def test_who_can_wait_no_longer_hears_that_it_is_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "INSIDE_MAX", 1)
    monkeypatch.setattr(entrance, "WAIT_S_MAX", 0.0)
    door = Entrance(lambda: 0.0)
    assert door.enter(1)
    with pytest.raises(CrowdedError):
        async with door.turn(1):
            pass


async def test_a_connection_too_many_is_told_so_and_there_is_room_again_once_one_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 2)
    async with receiving() as inside, wire(inside.port) as first, wire(inside.port) as second:
        for each in (first, second):
            await each.send(head("GET /healthz HTTP/1.1"))
            assert (await each.answer()).status == 200
        for sent in (hook("evt_late"), UNREAD, b""):
            async with wire(inside.port) as third:
                await third.send(sent)
                answer = await third.answer()
                assert_problem(answer, 503)
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["connection"] == "close"
                assert await third.rest() == b""
        await first.cut()
        await second.send(hook("evt_1"))  # by its answer the receiver knows of the other's end
        assert (await second.answer()).status == 200
        assert (await ask(inside.port, hook("evt_2"))).status == 200
        assert [each.provider_event_id for each in inside.log.events] == ["evt_1", "evt_2"]


async def test_of_connections_too_many_only_some_are_told_and_none_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 1)
    monkeypatch.setattr(connection, "TURNED_AWAY_MAX", 2)
    monkeypatch.setattr(connection, "TURNED_AWAY_S", 0.05)
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(receiving())
        first = await stack.enter_async_context(wire(inside.port))
        await first.send(head("GET /healthz HTTP/1.1"))
        assert (await first.answer()).status == 200
        others = [await stack.enter_async_context(wire(inside.port)) for _ in range(5)]
        heard = [await each.rest() for each in others]  # none of them has closed his end
        assert 2 <= sum(each.startswith(b"HTTP/1.1 503 ") for each in heard) <= 5
        assert all(each == b"" or each.startswith(b"HTTP/1.1 503 ") for each in heard)
        assert heard[0] == heard[1] != b""


def test_there_are_words_for_those_who_were_refused() -> None:
    assert {replies.OVERLOADED, replies.GAVE_UP} <= MEANINGS.keys()
