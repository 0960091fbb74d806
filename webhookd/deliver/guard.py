"""Which addresses a delivery may be sent to, checked where the socket is dialled.

The table is explicit: `ipaddress.is_global` differs between patch releases of Python and calls NAT64, 6to4 and
multicast addresses global. An IPv6 address that carries an IPv4 one is judged by both.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_METADATA = tuple(
    map(
        ip_network,
        (
            *("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),
            *("fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128"),
        ),
    )
)
"""Cloud metadata services and link-local: no setting opens these."""
_CLOSED = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24"),
            *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "5f00::/16", "fc00::/7"),
            *("fec0::/10", "ff00::/8"),
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class BlockedAddressError(Exception):
    """The endpoint's name leads to an address that deliveries may not go to. Not an OSError: no network failed."""


class Guard:
    """`allowed` are private networks that the operator has opened; metadata addresses stay closed even so."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def check(self, host: str, *, plain_http: bool = False) -> None:
        """Raises BlockedAddressError unless the address may be dialled.

        `plain_http`: the URL is http:// and the endpoint does not say `allow_http`; then only opened networks will do.
        """
        address = ip_address(host.partition("%")[0])
        forms = (address, *_embedded(address))
        if any(_within(form, _METADATA) for form in forms):
            raise BlockedAddressError("a link-local or metadata address")
        if all(_within(form, self._allowed) for form in forms[-1:]):
            return
        if any(_within(form, _CLOSED) for form in forms):
            raise BlockedAddressError("a private or reserved address outside allow_networks")
        if plain_http:
            raise BlockedAddressError("http:// without allow_http")


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address carries: mapped, NAT64, 6to4, Teredo."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
