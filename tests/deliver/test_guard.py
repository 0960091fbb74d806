"""Which addresses may be dialled."""

from ipaddress import ip_network

import pytest

from webhookd.deliver.guard import BlockedAddressError, Guard

CLOSED = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("100.64.0.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "100::1"),
    *("2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1"),
]
OPEN = [
    "93.184.216.34",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
METADATA = [
    "192.0.0.192",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "168.63.129.16",
    "fd00:ec2::254",
    "fe80::1",
]


@pytest.mark.parametrize("address", CLOSED)
def test_private_and_reserved_addresses_are_closed_in_every_spelling(address: str):
    with pytest.raises(BlockedAddressError):
        Guard().check(address)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str):
    Guard().check(address)


def test_a_network_that_the_operator_opens_is_open_and_only_that():
    guard = Guard([ip_network("10.0.0.0/8"), ip_network("::1/128")])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "::1"):
        guard.check(address)
    for address in ("127.0.0.1", "192.168.1.1", "fd00::1"):
        with pytest.raises(BlockedAddressError):
            guard.check(address)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_addresses_stay_closed_whatever_is_opened(address: str):
    with pytest.raises(BlockedAddressError):
        Guard([ip_network("0.0.0.0/0"), ip_network("::/0")]).check(address)


def test_plain_http_is_for_opened_networks_unless_the_endpoint_allows_it():
    guard = Guard([ip_network("10.0.0.0/8")])
    guard.check("10.1.2.3", plain_http=True)
    guard.check("8.8.8.8", plain_http=False)
    with pytest.raises(BlockedAddressError, match="allow_http"):
        guard.check("8.8.8.8", plain_http=True)


def test_what_is_not_an_address_is_refused_and_not_let_through():
    with pytest.raises(ValueError):
        Guard().check("localhost")
