"""The seam to the store where sessions are kept: who has logged in to the dashboard, by the hash of the cookie."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

SESSIONS_MAX = 1_000
"""All of them are in memory. Who logs in beyond it takes the place of the one that was used last the longest ago."""


class Session(msgspec.Struct, frozen=True):
    sha256: bytes
    """Of what the cookie says, which itself is kept nowhere."""
    token: bytes
    """The hash of the token that was shown: a session is good for what that is good for, and no longer than that."""
    created_at: int
    seen_at: int
    """To the minute or so."""


class Sessions(Protocol):
    """For `admin`."""

    async def all(self) -> Sequence[Session]: ...

    async def add(self, session: Session) -> None:
        """A crash leaves it or not. Beyond SESSIONS_MAX the one that was used last the longest ago goes."""
        ...

    async def remove(self, sha256: Sequence[bytes]) -> None:
        """A crash leaves all of them or none."""
        ...

    async def note_uses(self, seen_at: Mapping[bytes, int]) -> None:
        """When they were last used. A crash leaves all of it noted or nothing."""
        ...
