"""Lists in pages: what each is asked for, and cursors that nobody can make up.

A cursor is where the page before ended, signed with the list and the filters it belongs to: of another list, with other
filters or made by hand it is refused. The key is the data directory's, so that one is good over a restart.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from webhookd.admin.door.operation import Asked
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.texts import LIMIT_DEFAULT, Limit, Text
from webhookd.core.identifier import key_ms
from webhookd.core.units import time_text

T = TypeVar("T")
_MAC_BYTES = 16
_encode = msgspec.json.Encoder(order="sorted").encode


class Paged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every list is asked for."""

    limit: Limit = LIMIT_DEFAULT
    """At most so many."""
    cursor: Text | None = None
    """`next_cursor` of the page before, with the same filters."""


class Page(msgspec.Struct, Generic[T]):
    data: Sequence[T]
    """It may be fewer than `limit`, or none, without this being the last page."""
    next_cursor: str | None
    """Null, and nothing else: this is the last page."""
    looked_to: str | UnsetType = UNSET
    """Where a page is not full and not the last one: the time that was looked up to. So much is looked through for
    one page; what is rare is further on."""


class Pages:
    """`secret` is anything that the data directory keeps and nobody else knows."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.blake2b(secret.encode(), person=b"webhookd cursors").digest()

    def after(self, asked: Asked[Any, Any], count: int = 1) -> tuple[int, ...] | None:
        """The numbers that the page before ended with; None for the first page. Raises MistakesError."""
        cursor = asked.query.cursor
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        except ValueError:
            raw = b""
        packed, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        right = hmac.compare_digest(mac, self._mac(asked, packed))
        if not right or len(packed) != 8 * count or cursor != _text(raw):
            raise MistakesError([Mistake("cursor", "is not one that this list has given for these filters")])
        return struct.unpack(f">{count}Q", packed)

    def page(self, asked: Asked[Any, Any], data: Sequence[T], *last: int) -> Page[T]:
        """`last` are the numbers that the page ends with; there may be another one if it is full."""
        return Page(data, self._cursor(asked, last if len(data) == asked.query.limit else None))

    def looked(self, asked: Asked[Any, Any], data: Sequence[T], then: Sequence[int] | None) -> Page[T]:
        """`then` is where the look ended, first of all a key of the log; None at the end of the list."""
        is_cut_short = then is not None and len(data) < asked.query.limit
        looked_to = time_text(key_ms(then[0])) if then is not None and is_cut_short else UNSET
        return Page(data, self._cursor(asked, then), looked_to)

    def _cursor(self, asked: Asked[Any, Any], numbers: Sequence[int] | None) -> str | None:
        if not numbers:
            return None
        packed = struct.pack(f">{len(numbers)}Q", *numbers)
        return _text(packed + self._mac(asked, packed))

    def _mac(self, asked: Asked[Any, Any], packed: bytes) -> bytes:
        # A form of filters sends those that are empty too; a link of the next page need not.
        given = asked.request.query.items()
        query = {name: value for name, value in given if value and name not in ("limit", "cursor")}
        signed = _encode([asked.request.path, query]) + packed
        return hashlib.blake2b(signed, key=self._key, digest_size=_MAC_BYTES).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
