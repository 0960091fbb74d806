"""The minutes of a day are kept, each once, and no more of them."""

from tests.making import NOW_MS
from tests.store.site import Store
from webhookd.core.minute import KEPT, Minute

NOW = NOW_MS // 60_000
FULL = Minute(NOW, 1, 2, 3, 4, 5, 6, 7, 0.5, 8.25, 9.0, 10.0)
"""Each number another one, so that none can take the place of another."""


async def test_a_minute_is_there_as_it_was_kept(store: Store):
    await store.minutes.keep(FULL)
    await store.minutes.keep(Minute(NOW + 1))
    assert await store.minutes.all() == [FULL, Minute(NOW + 1)]


async def test_who_was_stopped_within_a_minute_goes_on_with_it(store: Store):
    await store.minutes.keep(Minute(NOW, accepted=1))
    await store.minutes.keep(Minute(NOW, accepted=2))
    assert await store.minutes.all() == [Minute(NOW, accepted=2)]


async def test_those_older_than_a_day_go_also_after_a_silence(store: Store):
    for number in (NOW - KEPT, NOW - KEPT + 1, NOW - 1):
        await store.minutes.keep(Minute(number))
    await store.minutes.keep(Minute(NOW))
    assert [each.number for each in await store.minutes.all()] == [NOW - KEPT + 1, NOW - 1, NOW]
    await store.minutes.keep(Minute(NOW + 10 * KEPT))
    assert [each.number for each in await store.minutes.all()] == [NOW + 10 * KEPT]


async def test_of_minutes_from_a_clock_that_ran_ahead_no_more_are_read_than_make_a_day(store: Store):
    for number in range(KEPT):
        await store.minutes.keep(Minute(NOW + 1 + number))
    await store.minutes.keep(Minute(NOW))
    found = [each.number for each in await store.minutes.all()]
    assert found == list(range(NOW + 1, NOW + 1 + KEPT))
