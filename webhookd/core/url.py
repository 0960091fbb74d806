"""The URL of an endpoint: read in one way only, and judged when it is registered and again before each attempt.

What is no URL as RFC 3986 has it is refused, not repaired: two programs that repair it differently are how a check is
got around. What a name resolves to is judged when it is dialled (deliver/guard.py).
"""

import re
import unicodedata
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

import idna
import msgspec

from webhookd.core.address import Address, Network, closed, is_opened

URL_CHARS_MAX = 2048
HOST_CHARS_MAX = 253
DEFAULT_PORTS = {"https": 443, "http": 80}
PORT_MIN = 1024
FORBIDDEN_PORTS = frozenset(
    (
        # What browsers refuse: https://fetch.spec.whatwg.org/#port-blocking
        *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697),
        10080,
        # Databases, queues and caches, where a POST can be an order.
        *(1433, 1521, 1883, 2181, 3306, 5432, 5671, 5672, 5984, 6379, 9042, 9092, 9200, 9300, 11211, 25672),
        *(27017, 27018, 27019),
        # What rules a machine or a cluster: Docker, etcd, Kubernetes, Consul, remote desktops.
        *(2375, 2376, 2379, 2380, 3389, 4369, 5900, 5985, 5986, 6443, 8500, 10250, 10255),
    )
)
"""Above PORT_MIN; none is among those that an operating system gives out by itself."""
_URL = re.compile(
    r"""(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://
        (?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?:\[\]@\\%]+)
        (?::(?P<port>[1-9][0-9]{0,4}))?
        (?P<target>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?
        (?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*)?)""",
    re.VERBOSE,
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LIKE_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ALIKE = {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE"}
_LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


class UrlError(ValueError):
    """Nobody could post to this. The message says why, and never quotes the URL: it may hold a password."""

    word = "url"
    """The error of an attempt that ends here."""


class ForbiddenUrlError(UrlError):
    """One could post to this, but webhookd does not."""

    word = "blocked"


class Url(msgspec.Struct, frozen=True):
    scheme: Literal["https", "http"]
    host: str
    """An ASCII name in lower case, or an address without brackets."""
    port: int
    target: str
    """Path and query; at least "/"."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it leads, as far as that can be said without asking anybody."""
        if self.host == "localhost" or self.host.endswith(".localhost"):  # RFC 6761, 6.3
            return _LOOPBACK
        try:
            return (ip_address(self.host),)
        except ValueError:
            return ()

    @property
    def authority(self) -> str:
        """As in a Host header: without the port where that is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def check_url(text: str, opened: Sequence[Network], *, allow_http: bool) -> Url:
    """The URL, if deliveries may go there. `opened` are the networks of `allow_networks`.

    http:// without `allow_http` is for addresses in opened networks; a name is then judged when it is dialled. Raises
    UrlError.
    """
    url = parse_url(text)
    if (url.port < PORT_MIN and url.port not in DEFAULT_PORTS.values()) or url.port in FORBIDDEN_PORTS:
        raise ForbiddenUrlError(f"port {url.port} is not one for webhooks: 443, 80, or one from {PORT_MIN} on")
    reasons = [closed(address, opened) for address in url.addresses]
    if reasons and None not in reasons:
        raise ForbiddenUrlError(f"its address {reasons[0]}")
    if url.scheme == "http" and not allow_http and not _may_be_opened(url, opened):
        raise ForbiddenUrlError("must begin with https:// (or set allow_http)")
    return url


def parse_url(text: str) -> Url:
    """Raises UrlError unless it is one of http or https, spelled in the one way that everybody understands alike."""
    if len(text) > URL_CHARS_MAX:
        raise UrlError(f"has more than {URL_CHARS_MAX} characters")
    if not text.isprintable() or any(character.isspace() for character in text):
        raise UrlError("must not hold spaces or control characters")
    _scheme, _, rest = text.partition("://")
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        raise UrlError("must not hold a user name or a password")
    if "#" in text:
        raise UrlError("must not hold a #fragment, which is never sent")
    found = _URL.fullmatch(text)
    scheme = _scheme.lower()
    if scheme not in ("https", "http"):
        raise UrlError("must begin with https:// (or http://, see allow_http)")
    if found is None:
        raise UrlError("is not a URL; in its path and query, what is not ASCII is written with %")
    port = int(found["port"] or DEFAULT_PORTS[scheme])
    if port > 65535:
        raise UrlError("has a port above 65535")
    target = found["target"]
    url = Url(
        "https" if scheme == "https" else "http",
        _host(found["host"]),
        port,
        target if target.startswith("/") else f"/{target}",
    )
    if len(str(url)) > URL_CHARS_MAX:
        raise UrlError(f"has more than {URL_CHARS_MAX} characters")
    return url


def _may_be_opened(url: Url, opened: Sequence[Network]) -> bool:
    return any(is_opened(address, opened) for address in url.addresses) if url.addresses else bool(opened)


def _host(text: str) -> str:
    """Raises UrlError."""
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        host = ".".join(_label(label) for label in text.split("."))
        if _LIKE_A_NUMBER.fullmatch(host.rpartition(".")[2]):
            return str(IPv4Address(host))
    except UrlError:
        raise
    except ValueError:
        raise UrlError("has an address that is not written in the usual way, like 192.0.2.1 or [2001:db8::1]") from None
    if len(host) > HOST_CHARS_MAX:
        raise UrlError(f"has a host of more than {HOST_CHARS_MAX} characters")
    return host


def _label(text: str) -> str:
    """A part of a name as the domain name system has it: IDNA 2008 (RFC 5891). Raises UrlError."""
    label = text.lower()
    if label.isascii() and not label.startswith("xn--"):
        if not _LABEL.fullmatch(label):
            raise UrlError("has a host that is no name: letters, digits, - and _ between dots, and no dot at the end")
        return label
    try:
        label = idna.ulabel(label)
        ascii_form = idna.alabel(label).decode("ascii")
    except UnicodeError:  # idna.IDNAError is one
        raise UrlError("has a host that is no internationalised name (IDNA 2008)") from None
    if len({unicodedata.name(letter, "").partition(" ")[0] for letter in label} & _ALIKE) > 1:
        raise UrlError("has a host that mixes alphabets whose letters look alike")
    return ascii_form
