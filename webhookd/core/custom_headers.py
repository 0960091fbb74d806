"""Which headers an endpoint may ask for beside those that every attempt carries."""

import re
from collections.abc import Collection, Iterator, Mapping

from webhookd.core.secret import Secret

COUNT_MAX = 32
BYTES_MAX = 8 * 2**10
"""Of all names and values together: what a server takes by default."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")
RESERVED = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"),
        *("keep-alive", "te", "trailer", "upgrade", "expect", "user-agent", "idempotency-key"),
    }
)
"""What frames the request, and what webhookd says in it."""
RESERVED_PREFIXES = ("proxy-", "webhook-", "webhookd-")


def header_mistakes(headers: Mapping[str, Secret], taken: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Each name that will not do, with why; no value is quoted. `taken` are further names, in lower case.

    An application behind CGI or WSGI cannot tell `_` from `-`: to it, Webhook_Id is ours.
    """
    seen = set()
    for name, value in headers.items():
        low = name.lower().replace("_", "-")
        if not _TOKEN.fullmatch(name):
            yield name, "is no header name: up to 128 letters, digits, - and _ (RFC 9110)"
        elif low in RESERVED or low in taken or low.startswith(RESERVED_PREFIXES):
            yield name, "is set by webhookd itself"
        elif low in seen:
            yield name, "is there twice"
        elif not _VALUE.fullmatch(value.reveal()):
            yield name, "must be printable ASCII, with no space at either end"
        seen.add(low)
    if len(headers) > COUNT_MAX:
        yield "", f"are {len(headers)}, of at most {COUNT_MAX}"
    if sum(len(name) + len(value.reveal()) for name, value in headers.items()) > BYTES_MAX:
        yield "", f"are more than {BYTES_MAX} bytes together"
