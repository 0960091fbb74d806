"""Who has logged in is kept by hashes, bounded, and as it was committed."""

import pytest

from tests.making import NOW_MS
from tests.store.site import Site, Store
from webhookd.store.protocol.sessions import SESSIONS_MAX, Session


def session(number: int, seen_at: int = NOW_MS) -> Session:
    return Session(number.to_bytes(32, "big"), b"the hash of a token", NOW_MS, seen_at)


async def known(store: Store) -> dict[int, int]:
    """When each was last used."""
    return {int.from_bytes(each.sha256, "big"): each.seen_at for each in await store.sessions.all()}


async def test_a_session_is_there_as_it_was_added_until_it_is_removed(store: Store):
    await store.sessions.add(session(1))
    await store.sessions.add(session(2))
    assert await store.sessions.all() == [session(1), session(2)]
    await store.sessions.remove([session(1).sha256, session(3).sha256])
    assert await store.sessions.all() == [session(2)]


async def test_what_was_committed_outlives_a_crash_and_a_note_is_whole_or_not_there(site: Site):
    store = await site.open()
    await store.sessions.add(session(1))
    await store.sessions.add(session(2))
    later = {session(1).sha256: NOW_MS + 5, session(2).sha256: "not a time"}
    with pytest.raises(Exception, match=r"seen_at|not a time"):
        await store.sessions.note_uses(later)  # type: ignore[arg-type]
    found = await site.kill(store)
    assert await known(found) == {1: NOW_MS, 2: NOW_MS}
    await found.close()


async def test_a_use_is_noted_and_never_an_earlier_one(store: Store):
    await store.sessions.add(session(1))
    await store.sessions.note_uses({session(1).sha256: NOW_MS + 5, session(9).sha256: NOW_MS})
    await store.sessions.note_uses({session(1).sha256: NOW_MS + 3})
    assert await known(store) == {1: NOW_MS + 5}


async def test_beyond_the_bound_the_one_that_was_used_last_the_longest_ago_goes(store: Store):
    for number in range(SESSIONS_MAX):
        await store.sessions.add(session(number, NOW_MS + number))
    await store.sessions.note_uses({session(0).sha256: NOW_MS + SESSIONS_MAX})
    await store.sessions.add(session(SESSIONS_MAX, NOW_MS + SESSIONS_MAX))
    left = await known(store)
    assert len(left) == SESSIONS_MAX
    assert {0, 1, SESSIONS_MAX} - left.keys() == {1}
