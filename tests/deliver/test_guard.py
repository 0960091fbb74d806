"""Which addresses may be dialled."""

import errno
import resource
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.address import METADATA, Network
from webhookd.deliver.guard import BlockedAddressError, Guard, is_this_machine

CLOSED = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "8000::1", "c000::1", "fc00::1", "fd00::1"),
    *("fec0::1", "feff::1", "ff02::1", "ff0e::1"),
]
CARRIES_LOOPBACK = {
    "v4-compatible": "::127.0.0.1",
    "mapped": "::ffff:127.0.0.1",
    "mapped, in hexadecimal": "::ffff:7f00:1",
    "translated": "::ffff:0:127.0.0.1",
    "NAT64": "64:ff9b::7f00:1",
    "NAT64, local": "64:ff9b:1::7f00:1",
    "6to4": "2002:7f00:1::",
    "Teredo server": "2001:0:7f00:1::",
    "Teredo client": "2001:0:0808:0808:0:0:80ff:fffe",
    "ISATAP": "2606:4700::5efe:127.0.0.1",
    "ISATAP, global": "2606:4700::200:5efe:127.0.0.1",
}
OPEN = ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]
CREDENTIALS = [
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fe80::a9fe:a9fe"),
    *("fe80::1", "fe80::1%lo", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),
    *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"),
    *("::ffff:0:169.254.169.254", "64:ff9b:1::a9fe:a9fe", "2001:0:a9fe:a9fe::", "2001:0:0808:0808:0:0:5601:5601"),
    *("64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1::a9:fea9:fe00:0", "64:ff9b:1:0:a9:fea9:fe00:1"),
    *("2606:4700::5efe:169.254.169.254", "2606:4700::200:5efe:a9fe:a9fe"),
]
EVERYTHING = [ip_network("0.0.0.0/0"), ip_network("::/0")]


def is_blocked(address: str, allowed: Sequence[Network] = (), *, port: int = 443, plain_http: bool = False) -> bool:
    try:
        Guard(allowed).check(address, port, plain_http=plain_http)
    except BlockedAddressError:
        return True
    return False


@pytest.mark.parametrize("address", [*CLOSED, *CARRIES_LOOPBACK.values(), *CREDENTIALS])
def test_private_and_reserved_addresses_are_closed_in_every_spelling(address: str):
    assert is_blocked(address)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str):
    assert not is_blocked(address)


def test_a_network_that_the_operator_opens_is_open_and_only_that():
    opened = [ip_network("10.0.0.0/8"), ip_network("::1/128")]
    assert not any(is_blocked(address, opened) for address in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "8.8.8.8"))
    assert all(is_blocked(address, opened) for address in ("127.0.0.1", "192.168.1.1", "fd00::1", "::ffff:127.0.0.1"))


@pytest.mark.parametrize("address", [*CLOSED, *CARRIES_LOOPBACK.values()])
def test_whatever_is_private_or_reserved_can_be_opened(address: str):
    assert not is_blocked(address, EVERYTHING)


@pytest.mark.parametrize("address", CREDENTIALS)
def test_metadata_addresses_stay_closed_whatever_is_opened(address: str):
    assert is_blocked(address, EVERYTHING)
    assert is_blocked(address, [*EVERYTHING, *METADATA])


@pytest.mark.parametrize("spelling", CARRIES_LOOPBACK)
def test_opening_a_tunnel_opens_nothing_behind_it(spelling: str):
    assert is_blocked(CARRIES_LOOPBACK[spelling], [ip_network("::/0")])


@pytest.mark.parametrize("prefix", ["64:ff9b:1::/48", "64:ff9b:1::/56", "64:ff9b:1::/64", "64:ff9b:1::/96"])
def test_so_can_one_with_a_prefix_of_its_own_wherever_that_ends(prefix: str):
    opened = ip_network(prefix)
    for carried in ("8.8.8.8", "10.0.0.1", "169.254.169.254"):
        whole = opened.network_address.packed[: opened.prefixlen // 8] + ip_address(carried).packed
        if opened.prefixlen < 96:
            whole = whole[:8] + b"\0" + whole[8:]
        address = str(ip_address(whole.ljust(16, b"\0")))
        assert is_blocked(address)
        assert is_blocked(address, [opened]) is (carried != "8.8.8.8")


def test_a_network_with_nat64_can_open_it_for_public_addresses():
    opened = [ip_network("64:ff9b::/96")]
    assert is_blocked("64:ff9b::808:808")
    assert not is_blocked("64:ff9b::808:808", opened)
    assert is_blocked("64:ff9b::a00:1", opened)
    assert is_blocked("64:ff9b::808:808", opened, plain_http=True)


def test_plain_http_is_for_opened_networks_unless_the_endpoint_allows_it():
    opened = [ip_network("10.0.0.0/8")]
    assert not is_blocked("10.1.2.3", opened, plain_http=True)
    assert not is_blocked("8.8.8.8", opened)
    with pytest.raises(BlockedAddressError, match="allow_http"):
        Guard(opened).check("8.8.8.8", 80, plain_http=True)


@pytest.mark.parametrize(
    "text",
    [
        *("localhost", "", "2130706433", "127.1", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.1.", "8.8.8.8 ", "①②⑦.0.0.1"),
        *("[::1]", "8.8.8.8%lo", "8.8.8.8/32", "8.8.8.08", "::ffff:8.8.8.8.8", "\0"),
    ],
)
def test_what_is_not_an_address_is_refused_and_not_let_through(text: str):
    assert is_blocked(text, EVERYTHING)


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-fx:.%]{1,40}", fullmatch=True))
def test_whatever_is_asked_the_answer_is_yes_or_blocked(text: str):
    is_blocked(text)


@given(st.ip_addresses(v=6) | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_no_opening_reaches_further_than_everything_but_metadata(address: object):
    if is_blocked(str(address), EVERYTHING):
        assert is_blocked(str(address))


# --- Our own listeners


def own_address() -> str:
    """The address of this machine that it would speak to others from, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "own"])
def test_our_own_listeners_are_closed_inside_opened_networks_and_nothing_else_there(address: str):
    guard = Guard(EVERYTHING)
    address = own_address() if address == "own" else address
    guard.check(address, 8080)
    guard.own_ports = frozenset({8080, 8081})
    for port in guard.own_ports:
        with pytest.raises(BlockedAddressError, match="own"):
            guard.check(address, port)
    guard.check(address, 9000)


def test_another_machine_may_listen_where_we_do():
    guard = Guard()
    guard.own_ports = frozenset({8080})
    guard.check("8.8.8.8", 8080)
    guard.check("2606:4700::1111", 8080)


@pytest.mark.parametrize(
    ("address", "ours"), [("127.0.0.1", True), ("::", True), ("8.8.8.8", False), ("192.0.2.1", False)]
)
def test_a_machine_knows_its_own_addresses(address: str, ours: bool):
    assert is_this_machine(ip_address(address)) is ours


def test_where_nobody_can_say_whose_an_address_is_it_is_taken_for_one_of_ours():
    guard = Guard(EVERYTHING)
    guard.own_ports = frozenset({8080})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # no descriptor is to be had
    try:
        with pytest.raises(BlockedAddressError, match="own"):
            guard.check("127.0.0.1", 8080)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        *((errno.EADDRNOTAVAIL, False), (errno.EAFNOSUPPORT, False), (errno.EINVAL, False)),
        *(
            (errno.EMFILE, True),
            (errno.ENFILE, True),
            (errno.ENOBUFS, True),
            (errno.ENOMEM, True),
            (errno.EACCES, True),
        ),
    ],
)
def test_only_a_machine_that_says_so_has_not_an_address(monkeypatch: pytest.MonkeyPatch, code: int, ours: bool):
    def refuse(*_: object) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(socket, "socket", refuse)
    assert is_this_machine(ip_address("192.0.2.1")) is ours
