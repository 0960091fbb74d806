"""How an attempt reaches the merchant: one POST, one bounded answer. A seam, since it decides the end-to-end rate."""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Response(msgspec.Struct, frozen=True, gc=False):
    status: int
    retry_after: str | None
    body: bytes
    """The first bytes, at most core.delivery.RESPONSE_BYTES_MAX."""


class TransportError(Exception):
    """No answer was had. `word` is the outcome's error: connect, dns, tls, timeout, blocked, protocol."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Transport(Protocol):
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_http: bool
    ) -> Response:
        """Raises TransportError. Redirects are answers like others; nothing is retried here."""
        ...
