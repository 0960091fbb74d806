"""Ids that are bound to a body: what repeats one is a duplicate, what brings another body under it is a forgery."""

import hashlib

import pytest

from tests.making import event
from tests.store.raw import together
from tests.store.site import Store
from webhookd.core.event import Event


def hashed(body: bytes, **fields: str) -> Event:
    """As Razorpay's: the header's id is not signed, so the body's hash is the alias."""
    return event(body=body, alias=f"sha256:{hashlib.sha256(body).hexdigest()}", **fields)


def sent(transmission: str, body: bytes, **fields: str) -> Event:
    """As PayPal's: one transmission is signed with one body."""
    return event(body=body, alias=f"transmission:{transmission}", **fields)


async def test_the_same_body_under_another_unsigned_id_is_a_duplicate(store: Store):
    first = await store.append(hashed(b"{}", provider_event_id="a"))
    again = await store.append(hashed(b"{}", provider_event_id="b"))
    assert (again.status, again.event_id) == ("duplicate", first.event_id)


async def test_another_body_under_a_bound_transmission_is_a_forgery_and_is_not_stored(store: Store):
    first = await store.append(sent("t1", b"genuine", provider_event_id="WH-1"))
    forged = await store.append(forgery := sent("t1", b"forged", provider_event_id="WH-2"))
    assert (forged.status, forged.event_id) == ("forged", first.event_id)
    assert await store.body(forgery.key) is None
    # Nor when it claims to be the same event.
    assert (await store.append(sent("t1", b"forged", provider_event_id="WH-1"))).status == "forged"


async def test_the_transmission_of_a_repeated_event_is_bound_too(store: Store):
    await store.append(sent("t1", b"genuine", provider_event_id="WH-1"))
    assert (await store.append(sent("t2", b"genuine", provider_event_id="WH-1"))).status == "duplicate"
    assert (await store.append(sent("t2", b"forged", provider_event_id="WH-2"))).status == "forged"


async def test_another_signed_body_under_a_known_unsigned_id_is_another_event(store: Store):
    first = await store.append(hashed(b"one", provider_event_id="a"))
    other = await store.append(sent_two := hashed(b"two", provider_event_id="a"))
    assert (other.status, other.conflict) == ("accepted", True)
    assert other.event_id == sent_two.id != first.event_id
    assert await store.body(sent_two.key) == b"two"
    # Under its own id, or the foreseen one once more, it is the same.
    for name in ("b", "a"):
        again = await store.append(hashed(b"two", provider_event_id=name))
        assert (again.status, again.event_id) == ("duplicate", other.event_id)


@pytest.mark.parametrize("known", [False, True])
async def test_aliases_hold_within_one_batch_as_well(store: Store, known: bool):
    if known:
        await store.append(hashed(b"known", provider_event_id="k"))
    events = [
        hashed(b"one", provider_event_id="a"),
        hashed(b"one", provider_event_id="b"),
        sent("t1", b"x", provider_event_id="c"),
        sent("t1", b"y", provider_event_id="d"),
        event(),
        hashed(b"two", provider_event_id="k" if known else "e"),
        hashed(b"two", provider_event_id="f"),
    ]
    results = await together(store, *events)
    expected = ["accepted", "duplicate", "accepted", "forged", "accepted"]
    expected += ["accepted", "duplicate"]
    assert [result.status for result in results] == expected
    assert results[1].event_id == results[0].event_id == events[0].id
