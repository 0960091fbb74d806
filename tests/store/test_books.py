"""What an export names is found in the log by its id or its alias, also when it is past; and what is like it."""

from tests.making import NOW_MS, event
from tests.store.history import captured, finished, refunded, take, told
from tests.store.site import Store
from webhookd.store.protocol.books import Known, Name
from webhookd.store.sql import reconcile

SOURCE = "stripe"


async def known(store: Store, *names: Name, source: str = SOURCE) -> list[tuple[int, bool] | None]:
    """The key of each, and whether it is past."""
    return [None if each is None else (each.key, each.is_past) for each in await store.books.known(source, names)]


async def test_each_is_found_in_its_place_by_its_id_or_its_alias(store: Store):
    await finished(store, one := captured(alias="transmission:1"), two := told())
    names = [
        Name(two.provider_event_id),
        Name("never"),
        Name(one.provider_event_id, "transmission:9"),
        Name("never", "transmission:1"),
        Name(two.provider_event_id, "transmission:1"),
    ]
    assert await known(store, *names) == [(two.key, False), None, (one.key, False), (one.key, False), (two.key, False)]
    assert await known(store, *names, source="another") == [None] * 5
    assert await store.books.known(SOURCE, []) == []


async def test_what_retention_has_taken_is_known_as_past(store: Store):
    await finished(store, one := captured(alias="transmission:1"), two := told(alias="transmission:2"))
    await take(store)
    await store.append(late := event())
    names = [Name(one.provider_event_id), Name("never", "transmission:2"), Name(late.provider_event_id)]
    assert await known(store, *names) == [(one.key, True), (two.key, True), (late.key, False)]


async def test_all_that_is_compared_is_told(store: Store):
    await finished(store, paid := captured())
    [found] = await store.books.known(SOURCE, [Name(paid.provider_event_id)])
    assert paid.fact is not None
    assert found == Known(
        paid.key,
        paid.salt,
        paid.provider_event_id,
        paid.type,
        paid.sha256,
        NOW_MS,
        "pay_1",
        "payment",
        "pay_1",
        "captured",
        1000,
        "USD",
        is_past=False,
    )
    assert await store.books.body(paid.key) == paid.body


async def test_what_is_alike_is_of_the_same_type_and_about_the_same(store: Store, monkeypatch):
    paid, again, other = (captured(payment, type="paid") for payment in ("pay_1", "pay_1", "pay_2"))
    await finished(store, paid, again, other, refund := refunded(type="refunded"), told(payment="pay_1", type="silent"))

    async def alike(event_type: str, payment: str | None, object_id: str | None = None) -> list[int]:
        return [each.key for each in await store.books.alike(SOURCE, event_type, payment, object_id)]

    assert await alike("paid", "pay_1") == [paid.key, again.key]
    assert await alike("refunded", "pay_1", "re_1") == await alike("refunded", None, "re_1") == [refund.key]
    assert await alike("paid", None, "pay_1") == [], "a payment is found as one"
    assert await alike("paid", "pay_3", "re_3") == await alike("paid", None) == []
    monkeypatch.setattr(reconcile, "ALIKE_MAX", 1)
    assert await alike("paid", "pay_1") == [paid.key]
