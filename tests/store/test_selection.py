"""What a selection means: ids one by one, or all deliveries that have something in common."""

import pytest

from tests.making import NOW_MS, TEN_OF_EACH, spec
from tests.store.raw import write
from tests.store.replaying import LATER_MS, Past
from tests.store.site import Store
from webhookd.core.delivery import DeliveryState
from webhookd.core.identifier import delivery_id, event_id, key_floor
from webhookd.store.protocol.replays import Found, Selection, SelectionError


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


# --- By id


@pytest.mark.parametrize("state", ["delivered", "dead"])
async def test_what_is_settled_is_due_again_from_the_first_wait_on_and_its_attempts_go_on(
    past: Past, state: DeliveryState
):
    [number] = await past.adopt(spec())
    made = await past.append()
    await past.settle((made.key, number), "pending", 1)
    await past.settle((made.key, number), state, 2, step=3)
    assert await past.replay(Selection((delivery_id(made.key, number),))) == [1]
    assert await past.rows("state, due_at, step, replay, attempts, settled_at, created_at") == [
        ("pending", LATER_MS, 1, 1, 2, None, NOW_MS)
    ]
    [due] = (await past.store.due(number, LATER_MS, (), TEN_OF_EACH, 2**30)).due
    assert (due.replay, due.attempts, due.step) == (True, 2, 1)


async def test_what_is_pending_is_due_at_once_and_stays_what_it_is_otherwise(past: Past):
    [number] = await past.adopt(spec())
    made = await past.append()
    await past.settle((made.key, number), "pending", step=2)
    for now_ms in (NOW_MS + 30_000, LATER_MS):  # later than it was due anyway: nothing moves
        assert await past.replay(Selection((made.id,)), now_ms=now_ms) == [1]
        assert await past.rows("state, due_at, step, replay, attempts") == [("pending", NOW_MS + 30_000, 2, 0, 1)]


async def test_an_attempt_under_way_when_its_delivery_is_replayed_decides_about_it(past: Past):
    """What it found is no older than the wish to try again."""
    [number] = await past.adopt(spec())
    made = await past.append()
    await past.replay(Selection((made.id,)))
    await past.settle((made.key, number), "delivered")
    assert await past.rows("state, attempts") == [("delivered", 1)]


async def test_an_event_is_all_its_deliveries_and_with_an_endpoint_the_one_to_it(past: Past):
    one, two = await past.adopt(spec("one"), spec("two"))
    made, other = await past.append(), await past.append()
    for key in (made.key, other.key):
        for number in (one, two):
            await past.settle((key, number), "delivered")
    await past.replay(Selection((made.id,), endpoint="two"))
    assert await past.due_again() == {(made.key, two)}
    await past.replay(Selection((made.id,)))
    assert await past.due_again() == {(made.key, one), (made.key, two)}


async def test_ids_of_both_kinds_may_be_mixed_and_named_twice(past: Past):
    one, two = await past.adopt(spec("one"), spec("two"))
    first, second = await past.append(), await past.append()
    for key in (first.key, second.key):
        for number in (one, two):
            await past.settle((key, number), "dead")
    ids = (delivery_id(second.key, two), first.id, delivery_id(first.key, one), first.id)
    assert await past.replay(Selection(ids)) == [3]
    assert await past.due_again() == {(first.key, one), (first.key, two), (second.key, two)}


async def test_an_event_that_went_nowhere_goes_to_all_who_ask_for_it_now(past: Past):
    unrouted, quarantined = await past.append(), await past.append(state="quarantined", type="webhookd.quarantined")
    _, all_of_it, payments = await past.adopt(
        spec("charges", events=("charge.*",)),
        spec("all"),
        spec("payments", events=("payment_intent.*",)),
        at_ms=LATER_MS,
    )
    assert await past.replay(Selection((unrouted.id, quarantined.id))) == [3]
    assert await past.due_again() == {(unrouted.key, all_of_it), (unrouted.key, payments), (quarantined.key, all_of_it)}
    assert await past.rows("created_at, attempts") == [(LATER_MS, 0)] * 3
    states = [(await past.store.event(each.key, each.salt)).state for each in (unrouted, quarantined)]
    assert states == ["accepted", "quarantined"]


async def test_an_endpoint_gets_whatever_is_asked_for_by_id_though_it_never_asked_for_it(past: Past):
    made = await past.append()
    [number] = await past.adopt(spec("charges", events=("charge.*",)), at_ms=LATER_MS)
    await past.replay(Selection((made.id,), endpoint="charges"))
    assert await past.due_again() == {(made.key, number)}


async def test_what_webhookd_says_itself_is_only_for_those_who_ask_for_it(past: Past):
    made = await past.append(source="webhookd", type="webhookd.endpoint_disabled")
    [_, operators] = await past.adopt(spec("all"), spec("operators", sources=("webhookd",)))
    await past.replay(Selection((made.id,)))
    assert await past.due_again() == {(made.key, operators)}


@pytest.mark.parametrize(("kind", "priority"), [("'dispute'", 0), ("'account'", 1), ("'refund'", 2), ("NULL", 2)])
async def test_what_is_owed_by_replay_has_the_priority_it_would_have_had(past: Past, kind: str, priority: int):
    made = await past.append()
    await write(past.store, f"UPDATE event SET kind = {kind}")
    await past.adopt(spec())
    await past.replay(Selection((made.id,)))
    assert await past.rows("priority") == [(priority,)]


async def refused(past: Past, selection: Selection) -> str:
    with pytest.raises(SelectionError) as error:
        await past.store.replays.begin(selection, None, LATER_MS)
    with pytest.raises(SelectionError, match=str(error.value).replace("[", r"\[")):
        await past.store.replays.count(selection)
    assert await past.store.replays.running() == []
    return str(error.value)


async def test_an_id_that_means_nothing_is_refused_by_its_place(past: Past):
    [one, two] = await past.adopt(spec("one"), spec("two", events=("charge.*",)))
    made = await past.append()
    for wrong in ("evt_1", "dlv_1", "", "x", event_id(2**63 - 1, 2**63 - 1).upper()):
        assert await refused(past, Selection((made.id, wrong))) == (
            "ids[1] is neither an event's id, evt_…, nor a delivery's, dlv_…"
        )
    for missing in (event_id(5, 5), event_id(made.key, made.salt + 1)):
        assert await refused(past, Selection((made.id, missing))) == "ids[1] is no event of the log"
    for missing in (delivery_id(5, one), delivery_id(made.key, two)):
        assert await refused(past, Selection((missing,))) == "ids[0] is no delivery of the log"
    to_one = Selection((delivery_id(made.key, one),), endpoint="two")
    assert await refused(past, to_one) == "ids[0] is a delivery to another endpoint"


async def test_what_nobody_asks_for_is_refused_unless_an_endpoint_is_named(past: Past):
    await past.adopt(spec(events=("charge.*",)))
    made = await past.append()
    assert "nobody asks for it now" in await refused(past, Selection((made.id,)))


async def test_an_endpoint_that_is_not_there_or_was_removed_is_refused(past: Past):
    [number] = await past.adopt(spec("gone"))
    made = await past.append()
    await past.settle((made.key, number), "dead")
    await past.adopt()
    assert await refused(past, Selection(endpoint="never")) == 'endpoint there is no endpoint "never"'
    assert "endpoint was removed" in await refused(past, Selection(endpoint="gone"))
    assert "to an endpoint that was removed" in await refused(past, Selection((delivery_id(made.key, number),)))
    assert "nobody asks for it now" in await refused(past, Selection((made.id,)))
    for selection in (Selection(state="dead"), Selection(source="stripe")):
        assert await past.replay(selection) == [0]
    assert await past.rows("state") == [("dead",)]


async def test_what_has_no_bytes_any_more_is_refused_by_id_and_passed_over_otherwise(past: Past):
    [number] = await past.adopt(spec())
    made, unrouted = await past.append(), await past.append(type="other", source="webhookd")
    await past.settle((made.key, number), "dead")
    await past.adopt(spec(sources=("stripe", "webhookd")))
    await write(past.store, "UPDATE event SET body = NULL")
    for public_id in (made.id, unrouted.id, delivery_id(made.key, number)):
        assert "bytes are no longer kept" in await refused(past, Selection((public_id,)))
    for selection in (Selection(state="dead"), Selection(state="unrouted"), Selection(endpoint="shop")):
        assert await past.replay(selection) == [0]


# --- By what they have in common


async def history(past: Past) -> dict[str, tuple[int, int]]:
    """One delivery in each state, to each of two endpoints; and an event of another source that went nowhere."""
    shop_number, audit_number = await past.adopt(spec("shop", sources=("stripe",)), spec("audit", sources=("stripe",)))
    keys = {}
    for state in ("pending", "delivered", "dead", "cancelled"):
        made = await past.append(type=f"charge.{state}")
        for name, number in (("shop", shop_number), ("audit", audit_number)):
            keys[f"{name} {state}"] = (made.key, number)
            await past.settle((made.key, number), state)
    lost = await past.append(source="paypal", type="PAYMENT.CAPTURE.COMPLETED")
    keys["shop lost"], keys["audit lost"] = (lost.key, shop_number), (lost.key, audit_number)
    return keys


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(state="dead"), "shop dead, audit dead"),
        (Selection(state="cancelled"), "shop cancelled, audit cancelled"),
        (Selection(state="delivered"), "shop delivered, audit delivered"),
        (Selection(state="dead", endpoint="audit"), "audit dead"),
        (Selection(state="delivered", endpoint="shop"), "shop delivered"),
        (Selection(state="dead", source="paypal"), ""),
        (Selection(state="dead", type="charge.*", source="stripe"), "shop dead, audit dead"),
        (Selection(state="dead", type="*.delivered"), ""),
        (Selection(type="charge.d*"), "shop dead, audit dead, shop delivered, audit delivered"),
        (Selection(source="paypal"), ""),
        (Selection(endpoint="shop"), "shop delivered, shop dead, shop cancelled"),
        (Selection(endpoint="shop", type="*.cancelled"), "shop cancelled"),
        (Selection(state="unrouted"), ""),
        (Selection(state="unrouted", endpoint="shop"), ""),
    ],
)
async def test_a_selection_means_what_all_its_fields_say(past: Past, selection: Selection, expected: str):
    keys = await history(past)
    await past.replay(selection)
    assert await past.due_again() == {keys[name] for name in filter(None, expected.split(", "))}


@pytest.mark.parametrize("looks", [1, 2, 100])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_events_that_went_nowhere_are_owed_to_all_who_ask_for_them_by_now(
    past: Past, limit: int, looks: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.store.sql.selection.LOOKS", looks)
    keys = await history(past)
    more = [await past.append(source="paypal", type="PAYMENT.CAPTURE.DENIED") for _ in range(3)]
    numbers = await past.adopt(spec("shop"), spec("audit"), spec("third", events=("*.COMPLETED",)), at_ms=LATER_MS)
    await past.replay(Selection(state="unrouted"), limit)
    assert await past.due_again() == {
        *(keys[name] for name in ("shop lost", "audit lost")),
        (keys["shop lost"][0], numbers[2]),
        *((each.key, number) for each in more for number in numbers[:2]),
    }
    assert await past.store.odd_events() == {}
    assert await past.replay(Selection(state="unrouted")) == [0]


async def test_an_endpoint_is_owed_what_it_asks_for_now_also_from_before_it_was_there(past: Past):
    keys = await history(past)
    [*_, late] = await past.adopt(
        spec("shop", sources=("stripe",)), spec("audit"), spec("late", events=("charge.*", "*.d*")), at_ms=LATER_MS
    )
    await past.append(state="quarantined", type="charge.quarantined")
    await past.replay(Selection(endpoint="late", type="*d"))
    wanted = {(keys[f"shop {state}"][0], late) for state in ("delivered", "dead", "cancelled")}
    assert await past.due_again() == wanted
    assert await past.store.odd_events() == {"unrouted": 1, "quarantined": 1}


async def test_a_stretch_of_time_has_its_beginning_and_not_its_end(past: Past):
    [number] = await past.adopt(spec())
    made = []
    for at_ms in (NOW_MS, NOW_MS + 1, NOW_MS + 2, NOW_MS + 3):
        made.append(await past.append(key=key_floor(at_ms) + 2**20, received_at=at_ms))
        await past.settle((made[-1].key, number), "dead")
    for selection in (
        Selection(since_ms=NOW_MS + 1, until_ms=NOW_MS + 3),
        Selection(since_ms=NOW_MS + 1, until_ms=NOW_MS + 3, state="dead"),
        Selection(since_ms=NOW_MS + 1, until_ms=NOW_MS + 3, endpoint="shop"),
    ):
        assert await past.store.replays.count(selection) == Found(2, True, {"shop": 2})
    assert await past.store.replays.count(Selection(state="dead", since_ms=0, until_ms=1)) == Found(0, is_exact=True)
    await past.replay(Selection(since_ms=NOW_MS + 1, until_ms=NOW_MS + 3))
    assert await past.due_again() == {(made[1].key, number), (made[2].key, number)}


async def test_an_event_that_went_somewhere_is_not_one_that_did_not_though_the_stretch_begins_with_it(
    past: Past,
):
    await past.adopt(spec("one"))
    await past.append(key=key_floor(NOW_MS) + 2**21)
    await past.adopt(spec("one"), spec("two"), at_ms=LATER_MS)
    assert await past.replay(Selection(state="unrouted", since_ms=NOW_MS + 1)) == [0]


async def test_in_an_empty_log_there_is_nothing_to_replay(past: Past):
    await past.adopt(spec())
    for selection in (Selection(state="dead"), Selection(state="unrouted"), Selection(endpoint="shop")):
        assert await past.replay(selection) == [0]
