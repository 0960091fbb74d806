"""The egress proxy that attempts go through, where the network lets nothing else out."""

from urllib.parse import unquote

import msgspec

from webhookd.core.secret import Secret
from webhookd.core.url import UrlError, parse_url

_RULE = "a proxy is http://host:port, with user:password@ before the host if it asks for them"


class Proxy(msgspec.Struct, frozen=True):
    host: str
    port: int
    credentials: Secret | None = None
    """`user:password`, sent as Basic."""

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Raises ValueError, which quotes nothing."""
        scheme, _, rest = text.partition("://")
        credentials, at, place = rest.rpartition("@")
        try:
            url = parse_url(f"{scheme}://{place}")
        except UrlError as error:
            raise ValueError(f"{error}: {_RULE}") from None
        if url.scheme != "http" or url.target != "/" or (at and not credentials):
            raise ValueError(_RULE)
        return cls(url.host, url.port, Secret(unquote(credentials)) if at else None)
