"""Who has logged in: a cookie that nobody can guess, kept by its hash, and the token that was shown for it.

A session ends SESSION_MS after it began, IDLE_MS after it was last used, and as soon as its token is removed or
expires. It is used as long as a page of it is in front of somebody. It outlives a restart, so that nobody is thrown out
by one.
"""

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from webhookd.admin.door.doorkeeper import Doorkeeper, Visitor
from webhookd.clock import Clock
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.sessions import SESSIONS_MAX, Session
from webhookd.store.protocol.sessions import Sessions as Store

IDLE_MS = 30 * 60_000
SESSION_MS = 12 * 3_600_000
USE_NOTED_S = 60.0
"""So often, at most, is it written down when a session was last used."""
NOTICES_MAX = 3
OF_A_TOKEN_MAX = 100
"""Sessions of one token: who logs in again and again throws out himself, and nobody else."""


class Guest(NamedTuple):
    """Somebody with a session."""

    visitor: Visitor
    sha256: bytes
    csrf: str
    """What every form of this session says, and no other site can know (OWASP: signed double submit)."""


class Sessions:
    """`load` first."""

    def __init__(self, store: Store, doorkeeper: Doorkeeper, clock: Clock) -> None:
        self._store = store
        self._doorkeeper = doorkeeper
        self._clock = clock
        self._known: dict[bytes, Session] = {}
        self._unnoted: dict[bytes, int] = {}
        self._unremoved: set[bytes] = set()
        """Closed, and still in the store, which did not take it."""
        self._notices: dict[bytes, deque[str]] = {}

    async def load(self) -> None:
        self._known = {each.sha256: each for each in await self._store.all()}

    async def open(self, token_sha256: bytes) -> str:
        """What the cookie is to say. A crash leaves the session or not. Raises StoreError."""
        cookie, now_ms = secrets.token_urlsafe(32), self._clock.now_ms()
        session = Session(_hash(cookie), token_sha256, now_ms, now_ms)
        own = [each for each in self._known.values() if each.token == token_sha256]
        if len(own) >= OF_A_TOKEN_MAX:
            await self._end(self._unused(own))
        await self._store.add(session)
        self._known[session.sha256] = session
        while len(self._known) > SESSIONS_MAX:
            self._drop(self._unused(self._known.values()))
        return cookie

    def find(self, cookie: str, address: str) -> Guest | None:
        """Who has this cookie; None when it is none, or no more."""
        session = self._known.get(_hash(cookie))
        visitor = None if session is None else self._visitor(session, address)
        if session is None or visitor is None:
            return None
        self._unnoted[session.sha256] = self._clock.now_ms()
        csrf = hmac.new(cookie.encode("utf-8", "replace"), b"webhookd csrf", hashlib.sha256).hexdigest()
        return Guest(visitor, session.sha256, csrf)

    def keep(self, guest: Guest) -> bool:
        """Use it, for a page that is still open; False when it is over."""
        session = self._known.get(guest.sha256)
        if session is None or self._visitor(session, guest.visitor.address) is None:
            return False
        self._unnoted[guest.sha256] = self._clock.now_ms()
        return True

    async def close(self, guest: Guest) -> None:
        """Nobody gets in with it from now on. The store hears of it now, or as soon as it takes it again."""
        await self._end(guest.sha256)

    async def note_uses(self) -> None:
        """Write down what has been used since the last time, and forget what is over. Called every USE_NOTED_S."""
        over = {each.sha256 for each in self._known.values() if self._visitor(each, "") is None}
        for sha256 in over:
            self._drop(sha256)
        over |= self._unremoved
        self._unremoved = set()
        uses, self._unnoted = self._unnoted, {}
        for sha256, at in uses.items():
            self._known[sha256] = msgspec.structs.replace(self._known[sha256], seen_at=at)
        try:
            if over:
                await self._store.remove([*over])
            if uses:
                await self._store.note_uses(uses)
        except StoreError:  # the next time, of those that are still there
            self._unremoved |= over
            self._unnoted = {sha256: at for sha256, at in uses.items() if sha256 in self._known} | self._unnoted

    # --- What is to be said on the next page

    def say(self, guest: Guest, text: str) -> None:
        self._notices.setdefault(guest.sha256, deque(maxlen=NOTICES_MAX)).append(text)

    def said(self, guest: Guest) -> Sequence[str]:
        """Once."""
        return [*self._notices.pop(guest.sha256, ())]

    def _visitor(self, session: Session, address: str) -> Visitor | None:
        now_ms = self._clock.now_ms()
        if now_ms - session.created_at >= SESSION_MS or now_ms - self._seen_at(session) >= IDLE_MS:
            return None
        return self._doorkeeper.holder(session.token, address)

    def _seen_at(self, session: Session) -> int:
        return self._unnoted.get(session.sha256, session.seen_at)

    def _unused(self, sessions: Iterable[Session]) -> bytes:
        """Which of them was used last the longest ago."""
        return min(sessions, key=lambda each: (self._seen_at(each), each.sha256)).sha256

    async def _end(self, sha256: bytes) -> None:
        self._drop(sha256)
        try:
            await self._store.remove([sha256])
        except StoreError:
            self._unremoved.add(sha256)

    def _drop(self, sha256: bytes) -> None:
        for each in (self._known, self._unnoted, self._notices):
            each.pop(sha256, None)


def _hash(cookie: str) -> bytes:
    """So many random bits need no slow hash."""
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
