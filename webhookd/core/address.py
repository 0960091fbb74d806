"""Which addresses deliveries may go to: a table, and the operator's exceptions from it.

The table is explicit: `ipaddress.is_global` differs between patch releases of Python and calls NAT64, 6to4 and
multicast addresses global. Sources: IANA's registries of special-purpose addresses; the lists of Smokescreen and Svix;
each cloud's page on its metadata service.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, text.split()))


METADATA = _networks(
    "169.254.0.0/16 fe80::/10 "  # link-local: AWS, Azure, Google, Oracle, OpenStack, Hetzner, DigitalOcean, …
    "168.63.129.16/32 100.100.100.200/32 192.0.0.192/32 "  # Azure's wire server, Alibaba, Oracle
    "fd00:ec2::/32 fd20:ce::254/128 fd00:c1::a9fe:a9fe/128 fd00:42::42/128"  # AWS, Google, Oracle, Scaleway
)
"""Where a cloud hands out a machine's credentials. No setting opens these."""
CLOSED = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 "  # this machine, and private ones
    "192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15 "  # protocols, documentation, benchmarks
    "192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.175.48.0/24 224.0.0.0/4 240.0.0.0/4 "  # relays, multicast, rest
    # All that is not 2000::/3, where the public addresses are: loopback, v4-compatible, NAT64, discard, SRv6, private,
    # site-local, multicast, and what nobody has a use for yet.
    "::/3 4000::/2 8000::/1 "
    "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20"  # Teredo and protocols, 6to4, AS112, documentation
)
_COMPATIBLE, _TRANSLATED = IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96")
_NAT64, _NAT64_LOCAL = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")
_ISATAP = (0x00005EFE, 0x02005EFE)
_LOW = 0xFFFFFFFF


def closed(address: Address, opened: Sequence[Network]) -> str | None:
    """Why nothing may be sent to this address, or None. `opened` are the networks of `allow_networks`.

    An IPv6 address that carries IPv4 ones is judged by all of them: opening a tunnel opens nothing behind it.
    """
    every = forms(address)
    if any(_within(each, METADATA) for each in every):
        return "is link-local or a cloud's metadata service, which nothing opens"
    if any(_within(each, CLOSED) and not _within(each, opened) for each in every):
        return "is private or reserved, and not in allow_networks"
    return None


def is_opened(address: Address, opened: Sequence[Network]) -> bool:
    """Whether the operator has opened this very address, be it public or not."""
    return all(_within(each, opened) for each in forms(address))


def forms(address: Address) -> list[Address]:
    """The address and those it carries. A mapped one *is* the IPv4 address: that is what the kernel dials."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    low = int(address) & _LOW
    found: list[Address] = [address, *(address.teredo or ())]
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    in_its_end = any(address in network for network in (_COMPATIBLE, _TRANSLATED, _NAT64))
    if (in_its_end and int(address) > 1) or int(address) >> 32 & _LOW in _ISATAP:
        found.append(IPv4Address(low))
    if address in _NAT64_LOCAL:
        found += _behind_local_nat64(address)
    return found


def _behind_local_nat64(address: IPv6Address) -> list[Address]:
    """What follows a prefix of 48, 56, 64 or 96 bits (RFC 6052, 2.2): which one a network has, only its operator knows.

    The octet from bit 64 to 71 belongs to none. Read in the wrong place it is mostly zeros, and nobody is at 0.0.0.0/8.
    """
    octets = address.packed[:8] + address.packed[9:]
    readings = [IPv4Address(octets[start : start + 4]) for start in (6, 7, 8, 11)]
    return [each for each in readings if int(each) >> 24]


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
