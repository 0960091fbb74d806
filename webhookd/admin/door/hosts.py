"""The names under which the admin listener may be asked.

A page that somebody looks at can have its own name lead to the operator's network, and ask there as if it were at home
(DNS rebinding). What it cannot change is the Host that its browser sends: the page's name, which is none of ours.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import web

from webhookd.admin.door.reasons import RefusedError

_LOOPBACK_NAME = "localhost"


class Hosts:
    """`names` are those of the configuration. Loopback's, and the address that was dialled, are always good."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(map(_plain, names))

    def check(self, request: web.Request) -> None:
        """Raises RefusedError: 400 without a Host, 421 with another's. Its port does not matter."""
        given = request.headers.get("Host", "")
        if not given:
            raise RefusedError(400, "Send a Host header: HTTP/1.1 has one in every request.")
        dialled = request.transport.get_extra_info("sockname") if request.transport is not None else None
        # RFC 9112, 3.2.2: the host of a request's absolute form, if it has one, counts instead; here both must be good.
        for host in {_without_port(given), _without_port(request.host)}:
            if not self._is_ours(_plain(host), dialled):
                detail = (
                    "The admin listener is not asked under this name. Use its address, or put the name into "
                    "server.admin_hosts."
                )
                raise RefusedError(421, detail)

    def _is_ours(self, name: str, dialled: object) -> bool:
        if name in self._names or name == _LOOPBACK_NAME or name.endswith(f".{_LOOPBACK_NAME}"):
            return True
        address = _address(name)
        if address is None:
            return False
        return address.is_loopback or (isinstance(dialled, tuple) and address == _address(str(dialled[0])))


def _without_port(host: str) -> str:
    """Of "name:80", "[::1]:80", "::1" and the like."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _plain(name: str) -> str:
    return name.strip().strip("[]").lower().removesuffix(".")


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
