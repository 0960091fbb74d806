"""Notes of addresses: bounded, and one for each customer rather than for each of a customer's addresses."""

import pytest

from webhookd.core.by_address import ADDRESSES_MAX, ByAddress


def test_each_address_has_a_note_of_its_own():
    notes: ByAddress[list[str]] = ByAddress(list)
    notes.of("192.0.2.1").append("seen")
    assert notes.of("192.0.2.1") == ["seen"]
    assert notes.of("192.0.2.2") == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:DB8:0:0:1::", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("no:address", "neither:one", False),
        ("", "192.0.2.1", False),
    ],
)
def test_of_ipv6_the_network_counts_that_a_customer_has(one: str, other: str, same: bool):
    notes: ByAddress[list[str]] = ByAddress(list)
    assert (notes.of(one) is notes.of(other)) == same


def test_beyond_the_bound_the_address_heard_of_longest_ago_is_forgotten():
    notes: ByAddress[list[str]] = ByAddress(list)
    first, second = notes.of("first"), notes.of("second")
    for number in range(ADDRESSES_MAX - 2):
        notes.of(str(number))
    notes.of("first")
    notes.of("one more")
    assert len(notes) == ADDRESSES_MAX
    assert notes.of("first") is first
    assert notes.of("second") is not second
