"""Which addresses may be dialled: judged where the socket is made, for a resolver can be lied to and a literal address
asks none. The table is in core/address.py.
"""

import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from webhookd.core.address import Address, Network, closed, forms, is_opened
from webhookd.core.url import Url, check_url

_NOT_OURS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL})
"""The last two: of a kind that this machine has none of, or only with the name of a link."""


class BlockedAddressError(Exception):
    """The endpoint's name leads to an address that deliveries may not go to. Not an OSError: no network failed."""


class Guard:
    """`allowed` are networks that the operator has opened; metadata addresses and our own listeners stay closed."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self.own_ports: frozenset[int] = frozenset()
        """Where this process listens itself, once it does: a delivery to itself would be a hook, or an order."""

    def check_url(self, text: str, *, allow_http: bool) -> Url:
        """What can be said before anybody is asked where a name leads. Raises core.url.UrlError."""
        return check_url(text, self._allowed, allow_http=allow_http)

    def check(self, host: str, port: int, *, plain_http: bool = False) -> None:
        """Raises BlockedAddressError unless this address, as a number, may be dialled at this port.

        `plain_http`: the URL is http:// and the endpoint does not say `allow_http`; then only opened networks will do.
        """
        try:
            address = ip_address(host)
        except ValueError:
            raise BlockedAddressError("not an address") from None
        if port in self.own_ports and any(is_this_machine(form) for form in forms(address)):
            raise BlockedAddressError("a listener of webhookd's own")
        if (reason := closed(address, self._allowed)) is not None:
            raise BlockedAddressError(f"the address {reason}")
        if plain_http and not is_opened(address, self._allowed):
            raise BlockedAddressError("http:// without allow_http")


def is_this_machine(address: Address) -> bool:
    """Whether a connection to the address would not leave this machine. Sends nothing.

    Where foreign addresses may be bound to (net.ipv4.ip_nonlocal_bind), every address is taken for one of ours; so it
    is while nobody can say, as when there are no descriptors left.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))  # only a machine's own addresses can be bound to
    except OSError as error:
        return error.errno not in _NOT_OURS
    return True
