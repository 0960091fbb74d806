"""How an attempt reaches the merchant: one POST, one bounded answer. A seam, since it decides the end-to-end rate."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from webhookd.core.endpoint import ClientTls


class Target(msgspec.Struct, frozen=True):
    """Where to, and on what terms."""

    url: str
    allow_http: bool = False
    """Whether http:// may leave the opened networks."""
    tls: ClientTls | None = None


class Response(msgspec.Struct, frozen=True, gc=False):
    status: int
    retry_after: str | None
    body: bytes
    """The first bytes, at most core.delivery.RESPONSE_BYTES_MAX."""


class TransportError(Exception):
    """No answer was had. `word` is the outcome's error, and says how far the attempt came:

    url           nobody could post to this: see core.url
    dns           the name has no address, or none was said in time
    blocked       the guard forbids the URL or the address, or the egress proxy the destination
    connect       nobody there took the connection, or not in time
    proxy         the egress proxy could not be reached, or did not connect us
    tls           no trust: a bad certificate, too old a protocol, a handshake that failed or stalled
    disconnected  the connection ended before the answer did
    protocol      the answer is no HTTP, or its head is too large
    timeout       the answer was not complete when the time for the whole attempt was over
    """

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Transport(Protocol):
    async def post(self, target: Target, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> Response:
        """Raises TransportError; ValueError for a header that would break the line. Redirects are answers like others.

        `timeout_s` is for everything from the name's resolution to the answer's last byte. Time for which this process
        stood still is not the peer's: he is given as much again, up to STOOD_STILL_S_MAX.
        """
        ...

    async def close(self) -> None:
        """Ends every connection. What is under way fails, with a TransportError."""
        ...
