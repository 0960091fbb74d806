"""Names of any letters, as long as they may be, and patterns: they mean the same to every store."""

import random
import re
from fnmatch import translate

from hypothesis import given
from hypothesis import strategies as st

from tests.making import NOW_MS, event, spec
from tests.store.raw import Database, ask
from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.core.event import NAME_CHARS_MAX, is_name
from webhookd.core.ledger import REFERENCES_MAX, Fact
from webhookd.core.money import Money
from webhookd.store.protocol.books import Name
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.ledger import LedgerFilter
from webhookd.store.protocol.replays import Selection
from webhookd.store.protocol.trail import TrailFilter

FOUR_BYTES_EACH = [letter for letter in map(chr, range(0x20000, 0x2A6D0)) if letter.isprintable()]


async def test_names_of_any_letters_as_long_as_may_be_are_kept_and_found(store: Store):
    dice = random.Random(7)  # what repeats itself would be kept in less room
    names = ["".join(dice.choices(FOUR_BYTES_EACH, k=NAME_CHARS_MAX)) for _ in range(REFERENCES_MAX + 5)]
    provider_event_id, kind, payment, object_id, alias, *references = names
    assert all(map(is_name, names))
    [shop] = await store.adopt([spec(ordering="payment")], NOW_MS)
    money = Money(1_000, "USD", 2)
    made = event(
        provider_event_id=provider_event_id,
        type=kind,
        payment_id=payment,
        alias=f"transmission:{alias}",
        fact=Fact("order", object_id, "paid", None, money, None, references[0], tuple(references[1:])),
    )
    assert (await store.append(made)).status == "accepted"
    assert (await store.append(event(provider_event_id=provider_event_id))).event_id == made.id
    for name in (provider_event_id, payment, object_id, references[0]):
        assert await store.lookup.bearing(name) == [made.key]
    for name in (payment, *references):
        [found] = (await store.ledger.payments(LedgerFilter(reference=name), 10)).rows
        assert (found.id, found.events) == (payment, [made.id])
    [known] = await store.books.known("stripe", [Name("other", f"transmission:{alias}")])
    assert known is not None
    assert known.provider_event_id == provider_event_id
    outcome = Outcome(NOW_MS, 5, 500, "status")
    await store.settle(Settlement(DeliveryKey(made.key, shop.number), 1, outcome, False, "dead", None, 2))
    assert (await store.replays.count(Selection(state="dead", type=f"{kind[:-1]}?"))).deliveries == 1


async def test_what_no_name_can_be_is_looked_for_and_not_found(store: Store):
    await store.adopt([spec()], NOW_MS)
    await store.append(event())
    for name in ("\0", "a\0b", "", "'", "\\", "%", "_", "*", "🦆" * 1_000):
        assert await store.lookup.bearing(name) == []
        assert await store.stories.bearing(name) == []
        assert await store.endpoint(name) is None
        assert await store.dead_letters.by_reason(0, 10, name) == []
        assert (await store.ledger.payments(LedgerFilter(reference=name), 10)).rows == []
        assert (await store.events(Filter(source=name), 10)).rows == []
        assert (await store.deliveries(Filter(endpoint=name, error=name), 10)).rows == []
        assert await store.trail.list(TrailFilter(actor=name, subject=name), 10) == []
        assert await store.books.known(name, [Name(name, name)]) == [None]
        assert not await store.replays.has_source(name)


LETTERS = "ab.:-_/%\\é\n"


@given(pattern=st.text("ab.:-_/*?", min_size=1, max_size=8), type_=st.text(LETTERS, max_size=10))
def test_a_pattern_means_the_same_to_every_store(database: Database, pattern: str, type_: str):
    with database() as connection:
        [(found,)] = ask(connection, f"SELECT glob('{pattern}', '{type_}')")
    assert bool(found) == (re.fullmatch(translate(pattern), type_) is not None)
