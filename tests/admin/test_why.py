"""What is told of an event: on a real store, at a time of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fake_clock import FakeClock
from tests.making import NOW_MS, SEAL, event, spec
from webhookd.admin.door.operation import Asked
from webhookd.admin.door.reasons import NotFoundError
from webhookd.admin.why import WhyApi
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, DeliveryState, Outcome, Settlement
from webhookd.core.event import IMPORTED, Event
from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.core.story import Answer, Entry, Story, Waits
from webhookd.core.story_words import words
from webhookd.core.units import time_text
from webhookd.providers import misread
from webhookd.store.sqlite.store import SqliteStore

LATER_MS = NOW_MS + 3_600_000


class Room:
    """A store with endpoints, and what is told of what is in it."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.unusable: list[str] = []
        self._api = WhyApi(store.stories, FakeClock(LATER_MS), misread, lambda: self.unusable)

    async def endpoints(self, *specs: Any) -> list[int]:
        return [each.number for each in await self.store.adopt(specs, NOW_MS)]

    async def took(self, **fields: Any) -> Event:
        made = event(**fields)
        await self.store.append(made)
        return made

    async def tried(self, made: Event, endpoint: int, number: int, state: DeliveryState, **outcome: Any) -> None:
        aftermath = outcome.pop("aftermath", None)
        due_at = outcome.pop("due_at", LATER_MS + 60_000) if state == "pending" else None
        found = Outcome(NOW_MS + number * 1_000, 120, **outcome)
        key = DeliveryKey(made.key, endpoint)
        await self.store.settle(Settlement(key, number, found, False, state, due_at, 1, aftermath))

    async def write(self, sql: str, *values: Any) -> None:
        await self.store._change_file(lambda connection: connection.execute(sql, values).rowcount)

    async def asked(self, name: str) -> Answer:
        request: Any = type("Request", (), {"match_info": {"id": name}})
        answer = await self._api.why(Asked(request, None, None))
        return msgspec.json.decode(msgspec.json.encode(answer), type=Answer)

    async def story(self, of: Event | str) -> Story:
        story = (await self.asked(of if isinstance(of, str) else of.id)).story
        assert story is not None
        return story


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.unlock(SEAL)
    yield Room(store)
    await store.close()


def kinds(entries: Any) -> list[str]:
    return [str(each.__struct_config__.tag) for each in entries]


def told(story: Story, kind: str) -> str:
    """The one entry of this kind in words."""
    [found] = [each for each in story.entries if str(each.__struct_config__.tag) == kind]
    return words(found)


def advised(story: Story) -> tuple[str, str | None]:
    return story.advice[0].text, story.advice[0].command


def paid(payment: str = "pi_1", status: str = "captured") -> dict[str, Any]:
    return {"payment_id": payment, "fact": Fact("payment", payment, status, None, Money(1050, "USD", 2))}


async def test_a_delivered_event_is_told_from_the_provider_to_the_merchant_and_the_money(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took(occurred_at=NOW_MS - 5_000, **paid())
    await room.tried(made, shop, 1, "pending", status=500, error="status")
    await room.tried(made, shop, 2, "delivered", status=200)
    story = await room.story(made)
    assert kinds(story.entries) == ["occurred", "received", "verified", "moved", "routed", "attempted", "attempted"]
    assert [each.at for each in story.entries] == sorted(str(each.at) for each in story.entries)
    assert told(story, "moved") == "payment pi_1 captured"
    assert words(story.entries[-2]) == "1 to shop: answered 500 after 120ms"
    assert words(story.entries[-1]) == "2 to shop: answered 200 after 120ms; delivered"
    assert (story.summary, story.delivery_id) == ("delivered to shop", None)
    assert advised(story) == ("Nothing to do: everybody who asked for it has it.", None)
    assert (story.event.id, story.event.type) == (made.id, made.type)


async def test_one_delivery_is_told_without_the_others(room: Room):
    [shop, crm] = await room.endpoints(spec("shop"), spec("crm"))
    made = await room.took()
    await room.tried(made, shop, 1, "delivered", status=200)
    await room.tried(made, crm, 1, "dead", error="timeout")
    story = await room.story(delivery_id(made.key, crm))
    assert story.delivery_id == delivery_id(made.key, crm)
    assert {each.endpoint for each in story.entries if hasattr(each, "endpoint")} == {"crm"}
    assert story.summary == "dead for crm"
    assert (await room.story(made)).summary == "dead for crm; delivered to shop"


async def test_a_dead_delivery_says_why_and_how_to_send_it_again(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    await room.tried(made, shop, 1, "dead", error="tls")
    text, command = advised(await room.story(made))
    assert "no TLS" in text
    assert command == f"webhookd replay {delivery_id(made.key, shop)}"


async def test_a_dead_delivery_without_its_bytes_is_not_advised_to_be_sent_again(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    await room.tried(made, shop, 1, "dead", error="tls")
    await room.write("UPDATE event SET body = NULL WHERE key = ?", made.key)
    story = await room.story(made)
    assert advised(story)[1] is None
    assert "no longer kept" in told(story, "taken")


async def test_a_410_pauses_the_endpoint_and_the_advice_resumes_it(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    await room.tried(made, shop, 1, "pending", status=410, error="status", due_at=NOW_MS + 1)
    story = await room.story(made)
    assert "gone: that pauses the endpoint" in told(story, "attempted")
    assert told(story, "waits") == "shop: paused, it answered 410"
    assert advised(story)[1] == "webhookd endpoints resume shop"


@pytest.mark.parametrize(
    ("standing", "waits", "command"),
    [
        (("paused", "operator"), "shop: paused by a person", "webhookd endpoints resume shop"),
        (("disabled", "failing"), "shop: disabled, it failed", "webhookd endpoints resume shop"),
        (("disabled", "removed"), "shop: taken out of service", None),
    ],
)
async def test_an_endpoint_that_stands_still_is_named_with_the_reason(
    room: Room, standing: tuple[str, str], waits: str, command: str | None
):
    await room.endpoints(spec("shop"))
    made = await room.took()
    await room.write("UPDATE endpoint SET state = ?, why = ?", *standing)
    story = await room.story(made)
    assert told(story, "waits") == waits
    assert advised(story)[1] == command


async def test_an_endpoint_whose_settings_cannot_be_used_is_to_be_put_right(room: Room):
    await room.endpoints(spec("shop"))
    made = await room.took()
    room.unusable = ["shop"]
    assert advised(await room.story(made))[1] == "webhookd endpoints show shop"


async def test_an_open_breaker_is_waited_for_until_its_probe(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    probe_at = LATER_MS + 300_000
    health = Health("open", probe_at, 1, NOW_MS)
    await room.tried(made, shop, 1, "pending", error="connect", aftermath=Aftermath(health))
    story = await room.story(made)
    wait = story.entries[-1]
    assert isinstance(wait, Waits)
    assert (wait.waits_for, wait.at) == ("breaker", time_text(probe_at))
    assert advised(story)[1] == "webhookd endpoints resume shop"


@pytest.mark.parametrize(
    ("due_at", "waits_for"), [(LATER_MS + 60_000, "attempt"), (LATER_MS - 1, "turn"), (LATER_MS, "turn")]
)
async def test_what_is_not_due_waits_for_its_time_and_what_is_due_for_its_turn(room: Room, due_at: int, waits_for: str):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    await room.tried(made, shop, 1, "pending", error="connect", due_at=due_at)
    story = await room.story(made)
    assert isinstance(wait := story.entries[-1], Waits)
    assert wait.waits_for == waits_for
    assert "Nothing to do" in advised(story)[0]


async def test_an_event_held_by_order_names_the_one_it_is_behind(room: Room):
    await room.endpoints(spec("shop", ordering="payment"))
    first, second = await room.took(**paid()), await room.took(**paid())
    await room.took(**paid("pi_2"))
    story = await room.story(second)
    assert told(story, "waits") == f"shop: in order behind {first.id}"
    assert advised(story)[1] == f"webhookd why {first.id}"


async def test_a_quarantined_event_says_what_was_not_understood_and_quotes_nothing(room: Room):
    await room.endpoints(spec("shop"))
    made = await room.took(body=b'{"id": "<script>", "kind": 7}', state="quarantined", type="webhookd.quarantined")
    story = await room.story(made)
    assert "id or type is missing" in told(story, "quarantined")
    assert advised(story)[1] == f"webhookd events show {made.id} --body"
    assert "script" not in msgspec.json.encode(story).decode()


async def test_a_quarantined_event_that_would_be_understood_by_now_says_so(room: Room):
    made = await room.took(body=b'{"id": "evt_9", "type": "charge.x"}', state="quarantined")
    story = await room.story(made)
    assert told(story, "quarantined") == "its envelope was not understood"
    assert "This version understands it" in advised(story)[0]


async def test_an_unrouted_event_names_the_routes_that_came_near(room: Room):
    await room.endpoints(
        spec("far", events=("banana.*",)),
        spec("typo", events=("payment_intent.succeded",)),
        spec("other", sources=("paypal",), events=("payment_intent.*",)),
    )
    story = await room.story(await room.took())
    said = told(story, "unrouted")
    since = time_text(NOW_MS)
    assert said == (
        "no endpoint asked for it. other asks for payment_intent.* of paypal; typo asks for payment_intent.succeded"
    )
    assert [each.by for each in story.entries[2].routes] == ["source", "type"]  # type: ignore[union-attr]
    assert {each.since for each in story.entries[2].routes} == {since}  # type: ignore[union-attr]
    assert advised(story)[1] == "webhookd endpoints list"


async def test_an_event_that_came_before_its_route_is_to_be_replayed(room: Room):
    made = await room.took()
    assert told(await room.story(made), "unrouted") == "no endpoint asks for it, or for anything like it"
    await room.endpoints(spec("shop"))
    story = await room.story(made)
    assert "shop asks for *, but only since" in told(story, "unrouted")
    assert advised(story) == (
        "It came before somebody asked for it. To have it sent now:",
        f"webhookd replay {made.id}",
    )


async def test_other_bodies_under_its_id_are_told_and_repeats_are_not(room: Room):
    made = await room.took()
    for body in (b'{"id":"evt_1","type":"a"}', b'{"id":"evt_1","type":"a"}', made.body):
        await room.took(provider_event_id=made.provider_event_id, body=body, received_at=NOW_MS + 7)
    story = await room.story(made)
    assert told(story, "conflict") == (
        f"came again with another body, 2 times, until {time_text(NOW_MS + 7)}; the first stays"
    )


async def test_a_cancelled_delivery_says_who_cancelled_it(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    named = delivery_id(made.key, shop)
    await room.write("UPDATE delivery SET state = 'cancelled', due_at = NULL, settled_at = ?", NOW_MS + 9)
    assert told(await room.story(made), "cancelled") == "for shop"
    for actor, subject in (("intern", delivery_id(made.key, shop + 1)), ("ops", named)):
        await room.write(
            "INSERT INTO audit (at, actor, action, subject) VALUES (?, ?, 'delivery.cancel', ?)",
            *(NOW_MS + 9, actor, subject),
        )
    story = await room.story(made)
    assert told(story, "cancelled") == "for shop, by ops"
    assert "changed" not in kinds(story.entries)
    assert advised(story)[1] == f"webhookd replay {named}"


async def test_what_people_did_to_its_endpoints_since_it_came_is_told_and_what_they_did_before_is_not(room: Room):
    await room.endpoints(spec("shop"), spec("crm", events=("nothing",)))
    made = await room.took()
    rows = [(-1, "endpoint.pause", "shop"), (2, "endpoint.pause", "shop"), (3, "endpoint.pause", "crm")]
    rows += [(4, "endpoint.ping", "shop")]  # which does nothing to the event
    for offset, action, subject in rows:
        await room.write(
            "INSERT INTO audit (at, actor, action, subject) VALUES (?, 'ops', ?, ?)",
            *(NOW_MS + offset, action, subject),
        )
    assert told(await room.story(made), "changed") == "shop paused by ops"


async def test_a_payment_that_other_events_have_moved_since_is_told_as_it_stands(room: Room):
    early = await room.took(**paid("pi_3", "pending"), provider_event_id="e1")
    await room.took(**paid("pi_3"), provider_event_id="e2")
    assert told(await room.story(early), "moved") == (
        "payment pi_3 pending; another event's word stands; now it is captured"
    )


async def test_a_refund_is_told_with_its_payment(room: Room):
    fact = Fact("refund", "re_1", "succeeded", None, Money(1050, "USD", 2))
    await room.took(**paid())
    refund = await room.took(payment_id="pi_1", fact=fact)
    assert told(await room.story(refund), "moved") == "refund re_1 succeeded; of payment pi_1, which is refunded"


async def test_an_event_that_retention_has_taken_says_when(room: Room):
    made = await room.took(**paid())
    columns = (
        "key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, "
        "object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, "
        "sha256, size"
    )
    await room.write(f"INSERT INTO past ({columns}, taken_at) SELECT {columns}, ? FROM event", LATER_MS - 1)
    await room.write("DELETE FROM event")
    for name in (made.id, made.provider_event_id, delivery_id(made.key, 1)):
        story = await room.story(name)
        assert story.summary == f"retention took it at {time_text(LATER_MS - 1)}"
        assert kinds(story.entries) == ["received", "verified", "unrouted", "moved", "taken"]
        assert "cannot be sent again" in advised(story)[0]


async def test_an_imported_event_was_not_verified_but_imported(room: Room):
    made = await room.took(headers=[("content-type", "application/json"), (IMPORTED, "true")])
    story = await room.story(made)
    assert "imported from the provider's export" in told(story, "received")
    assert "verified" not in kinds(story.entries)


async def test_an_event_is_found_by_what_its_provider_calls_it_or_its_payment(room: Room):
    made = await room.took(provider_event_id="WH-1", **paid("pi_7"))
    refund = Fact("refund", "re_7", "succeeded", None, Money(1, "USD", 2))
    second = await room.took(provider_event_id="WH-2", source="other", payment_id="pi_7", fact=refund)
    assert (await room.story("WH-1")).event.id == made.id
    assert (await room.story("re_7")).event.id == second.id
    both = await room.asked("pi_7")
    assert both.story is None
    assert [each.id for each in both.candidates] == [second.id, made.id]


async def test_one_event_that_has_a_name_in_two_ways_is_one(room: Room):
    made = await room.took(provider_event_id="pi_8", **paid("pi_8"))
    assert (await room.story("pi_8")).event.id == made.id


@pytest.mark.parametrize("name", ["nope", event_id(5, 5), delivery_id(5, 5), "\x1b[31m", "x" * 300, "evt_1"])
async def test_a_name_that_nothing_has_is_not_found(room: Room, name: str):
    await room.took()
    with pytest.raises(NotFoundError):
        await room.asked(name)


async def test_an_event_of_the_right_time_and_another_salt_is_not_found(room: Room):
    made = await room.took()
    with pytest.raises(NotFoundError):
        await room.asked(event_id(made.key, made.salt + 1))


async def test_a_replay_that_named_it_is_told(room: Room):
    [shop] = await room.endpoints(spec("shop"))
    made, other = await room.took(), await room.took()
    await room.tried(made, shop, 1, "dead", error="timeout")
    sql = (
        "INSERT INTO replay (selection, chosen, state, next_event, last_event, total, total_is_exact, created_at, "
        "ended_at) VALUES ('{}', ?, 'done', 1, 1, 1, 1, ?, 1)"
    )
    for of in (made, other):
        await room.write(sql, f"[[{of.key},{shop}]]", NOW_MS + 2_000)
    assert told(await room.story(made), "replayed").startswith("asked to be sent again (rpl_")


async def test_more_attempts_than_are_told_are_counted(room: Room, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.store.sql.story.ATTEMPTS_MAX", 2)
    [shop] = await room.endpoints(spec("shop"))
    made = await room.took()
    for number in (1, 2, 3):
        await room.tried(made, shop, number, "pending", error="timeout")
    story = await room.story(made)
    assert story.left_out == 1
    assert [words(each)[0] for each in story.entries if "attempted" in kinds([each])] == ["2", "3"]


def test_every_entry_has_words_and_a_name_of_its_own():
    every: Any = Entry
    tags = [str(each.__struct_config__.tag) for each in every.__args__]
    assert len(tags) == len(set(tags)) == 14
