"""An endpoint's URL, read once: a post only joins bytes."""

from collections.abc import Mapping

import msgspec

from webhookd.core.endpoint import ClientTls
from webhookd.core.url import UrlError
from webhookd.deliver.guard import Guard
from webhookd.deliver.transport import TransportError


class Origin(msgspec.Struct, frozen=True):
    """What a connection was dialled for: where to, and the terms that it was allowed on. Other terms, another dial."""

    https: bool
    host: str
    port: int
    plain_http: bool
    """As the guard has it: unencrypted, and the endpoint does not allow that outside opened networks."""
    tls: ClientTls | None = None

    def with_tls(self, tls: ClientTls) -> "Origin":
        return msgspec.structs.replace(self, tls=tls) if self.https else self

    @property
    def authority(self) -> str:
        """`host:port` as CONNECT wants it, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Route(msgspec.Struct, frozen=True):
    origin: Origin
    start: bytes
    """The request line and Host."""

    def request(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """Raises ValueError when a header holds a line break, which would let its author write headers of his own."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
            raise ValueError("a header may not hold a line break or NUL")
        # A provider's content-type came in as bytes, decoded like this: what was no UTF-8 goes out as it came.
        head = lines.encode("utf-8", "surrogateescape")
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self.start, head, len(body), body)


def route(guard: Guard, url: str, allow_http: bool) -> Route:
    """With the origin as it is without certificates, so that no cache holds those. Raises TransportError: "url", or
    "blocked" for one that is forbidden whatever its name leads to.
    """
    try:
        found = guard.check_url(url, allow_http=allow_http)
    except UrlError as error:
        raise TransportError(error.word) from error
    https = found.scheme == "https"
    origin = Origin(https, found.host, found.port, plain_http=not https and not allow_http)
    return Route(origin, f"POST {found.target} HTTP/1.1\r\nHost: {found.authority}\r\n".encode("ascii"))
