"""The seam to the store where tokens are kept: their hashes, and what each is good for."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, get_args

import msgspec

from webhookd.store.protocol.errors import RefusalError

TokenScope = Literal["publish", "read", "replay", "admin"]
TOKEN_SCOPES: tuple[TokenScope, ...] = get_args(TokenScope)
TOKENS_MAX = 1_000
"""All of them are in memory, and compared with whatever anybody sends."""


class Token(msgspec.Struct, frozen=True):
    number: int
    name: str
    sha256: bytes
    """Of the token, which itself is kept nowhere."""
    scope: TokenScope
    created_at: int
    expires_at: int | None = None
    used_at: int | None = None


class TokenExistsError(RefusalError):
    """There is one of this name."""


class TooManyTokensError(RefusalError):
    """TOKENS_MAX are there."""


class Tokens(Protocol):
    """For `admin`."""

    async def all(self) -> Sequence[Token]:
        """In the order in which they were made."""
        ...

    async def add(self, name: str, sha256: bytes, scope: TokenScope, now_ms: int, expires_at: int | None) -> Token:
        """A crash leaves it or not. Raises TokenExistsError, TooManyTokensError."""
        ...

    async def remove(self, name: str) -> bool:
        """False when there is none of this name. A crash leaves it or not."""
        ...

    async def note_uses(self, used_at: Mapping[int, int]) -> None:
        """When the tokens of these numbers were last used. A crash leaves all of it noted or nothing."""
        ...
