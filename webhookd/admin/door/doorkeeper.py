"""Who is at the door: every token in memory by its hash, what it is good for, and when it was last shown."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import structlog

from webhookd.admin.door.guessing import Guessing, Slowed
from webhookd.admin.door.reasons import ConflictError, NotFoundError, RefusedError
from webhookd.admin.door.token import GOOD_FOR, NAME, new_token, token_hash
from webhookd.clock import Clock
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.tokens import TOKENS_MAX, Token, TokenExistsError, Tokens, TokenScope, TooManyTokensError
from webhookd.store.protocol.trail import BY_ITSELF, Deed, Trail

USE_NOTED_S = 60.0
"""So often, at most, is it written down when a token was last used."""
_NOT_KNOWN = (
    "Send Authorization: Bearer with a token: the one in DATA_DIR/admin.token, or one of `webhookd tokens add`."
)
_log = structlog.get_logger("webhookd.admin")


class Visitor(NamedTuple):
    """Somebody with a right token."""

    name: str
    """The token's."""
    scope: TokenScope
    address: str


class Doorkeeper:
    """`load` first. Tokens change only here: in the store, and then, before anybody is told, in memory.

    Changes are heard of in the order in which they are committed, so that the two end alike.
    """

    def __init__(self, first_token: str, store: Tokens, trail: Trail, clock: Clock) -> None:
        """`first_token` is the one in the data directory: it is in no table, and good for everything."""
        self._store = store
        self._trail = trail
        self._clock = clock
        self._guessing = Guessing()
        self._first = Token(0, NAME, token_hash(first_token), "admin", 0)
        self._known: dict[str, Token] = {}
        self._by_hash = {self._first.sha256: self._first}
        self._unnoted: dict[int, int] = {}
        """Uses that are not written down yet: at most one of each token."""
        self._inside: dict[asyncio.Task[Any], str] = {}
        """What is being read with which token; a stream goes on for days."""

    async def load(self) -> None:
        self._known = {each.name: each for each in await self._store.all()}
        self._by_hash = {each.sha256: each for each in (self._first, *self._known.values())}

    async def admit(self, authorization: str | None, address: str, scope: str | None) -> Visitor:
        """Whoever comes with a token that is good for the scope, or for anything if it is None.

        Raises RefusedError: 401, one and the same for a token that is missing, unknown or expired; 429 where it is one
        wrong token too many, and never for a right one; 403.
        """
        token = self._find(authorization)
        if token is None:
            raise await self._refusal(authorization, address)
        self._guessing.right(address)
        if token.number:
            self._unnoted[token.number] = self._clock.now_ms()
        if scope is not None and scope not in GOOD_FOR[token.scope]:
            lacks = f'The token "{token.name}" is good for {token.scope}, and this needs one for {scope}.'
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise RefusedError(403, lacks, {"WWW-Authenticate": challenge})
        return Visitor(token.name, token.scope, address)

    def holder(self, sha256: bytes, address: str) -> Visitor | None:
        """Whoever has shown the token with this hash, as long as it is known, good, and good for reading.

        The hash is one that was kept, and nothing that anybody sends: how long it takes tells nobody anything.
        """
        token = self._by_hash.get(sha256)
        if token is None or self.is_expired(token) or "read" not in GOOD_FOR[token.scope]:
            return None
        return Visitor(token.name, token.scope, address)

    @contextmanager
    def reading(self, visitor: Visitor | None) -> Iterator[None]:
        """What is read meanwhile is cut off when the token is removed, and within USE_NOTED_S after it has expired."""
        task = asyncio.current_task()
        if visitor is None or visitor.name == NAME or task is None:
            yield
            return
        self._inside[task] = visitor.name
        try:
            yield
        finally:
            del self._inside[task]

    def _show_out(self) -> None:
        for task, name in self._inside.items():
            if (token := self._known.get(name)) is None or self.is_expired(token):
                task.cancel()

    def _find(self, authorization: str | None) -> Token | None:
        """What is given is compared with all that is known, whatever it is: a miss costs as much as a hit."""
        scheme, given = _parts(authorization)
        sha256 = token_hash(given)
        found: Token | None = None
        for each in (self._first, *self._known.values()):
            if hmac.compare_digest(each.sha256, sha256):
                found = each
        return None if found is None or scheme != "bearer" or self.is_expired(found) else found

    async def _refusal(self, authorization: str | None, address: str) -> RefusedError:
        scheme, given = _parts(authorization)
        is_a_guess = scheme == "bearer" and bool(given)
        slowed = self._guessing.wrong(address, self._clock.monotonic()) if is_a_guess else None
        if slowed is None:
            return RefusedError(401, _NOT_KNOWN, {"WWW-Authenticate": "Bearer"})
        if slowed.is_news:
            await self._tell(address, slowed)
        detail = "Too many wrong tokens came from your address, or from strangers. A right one is let in at any time."
        return RefusedError(429, detail, {"Retry-After": str(slowed.wait_s)})

    async def _tell(self, address: str, slowed: Slowed) -> None:
        _log.warning("guessing_slowed", address=address, wait_s=slowed.wait_s)
        try:
            await self._trail.record(Deed(self._clock.now_ms(), BY_ITSELF, "guessing.slow", address=address))
        except StoreError as error:
            _log.error("audit_row_lost", action="guessing.slow", reason=str(error)[:200])

    # --- Tokens

    def is_expired(self, token: Token) -> bool:
        return token.expires_at is not None and token.expires_at <= self._clock.now_ms()

    def tokens(self) -> Sequence[Token]:
        """In the order in which they were made, with the uses that are not written down yet."""
        return [
            msgspec.structs.replace(each, used_at=self._unnoted.get(each.number, each.used_at))
            for each in self._known.values()
        ]

    async def add(self, name: str, scope: TokenScope, lasts_ms: int | None) -> tuple[Token, str]:
        """A new token, and what nobody can be told again. Raises ConflictError, StoreError."""
        secret, now_ms = new_token(), self._clock.now_ms()
        expires_at = None if lasts_ms is None else now_ms + lasts_ms
        try:
            token = await self._store.add(name, token_hash(secret), scope, now_ms, expires_at)
        except TokenExistsError:
            raise ConflictError(f"There is a token {name} already.") from None
        except TooManyTokensError:
            raise ConflictError(f"There are {TOKENS_MAX} tokens: remove those that nobody uses first.") from None
        self._known[name] = self._by_hash[token.sha256] = token
        return token, secret

    async def remove(self, name: str) -> Token:
        """Nobody gets in with it from now on. Gives it as it was. Raises NotFoundError, StoreError."""
        if name not in self._known or not await self._store.remove(name):
            raise NotFoundError
        token = self._known.pop(name)
        self._by_hash.pop(token.sha256, None)
        used_at = self._unnoted.pop(token.number, token.used_at)
        self._show_out()
        return msgspec.structs.replace(token, used_at=used_at)

    async def note_uses(self) -> None:
        """Write down what has been used since the last time. Called every USE_NOTED_S."""
        self._show_out()
        uses, self._unnoted = self._unnoted, {}
        if not uses:
            return
        self._known = {
            name: msgspec.structs.replace(each, used_at=uses.get(each.number, each.used_at))
            for name, each in self._known.items()
        }
        try:
            await self._store.note_uses(uses)
        except StoreError:  # the next time
            self._unnoted = {**uses, **self._unnoted}


def _parts(authorization: str | None) -> tuple[str, str]:
    """The scheme in small letters, and what follows it."""
    scheme, _, given = (authorization or "").partition(" ")
    return scheme.lower(), given.strip()
