"""What is noted of the addresses that strangers come from, in a bounded memory."""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Generic, TypeVar

T = TypeVar("T")
ADDRESSES_MAX = 4096
"""Beyond it the address heard of longest ago is forgotten."""


class ByAddress(Generic[T]):
    """One note for each address, which `make` begins. Of IPv6, 64 bits count: so much one customer has."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._notes: OrderedDict[str | int, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._notes)

    def of(self, address: str) -> T:
        """The note of the address, which is heard of hereby."""
        whose = _whose(address)
        note = self._notes.get(whose)
        if note is not None:
            self._notes.move_to_end(whose)
            return note
        note = self._notes[whose] = self._make()
        if len(self._notes) > ADDRESSES_MAX:
            self._notes.popitem(last=False)
        return note


@lru_cache(1024)
def _whose(address: str) -> str | int:
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped) if found.ipv4_mapped is not None else int(found) >> 64
