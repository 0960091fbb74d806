"""Public ids: `evt_…` names an event, `dlv_…` one delivery of it, `rpl_…` a replay. All sort by time as text.

An event's id is 128 bits: its key (milliseconds and a counter: the row's primary key and its place in the log) and a
random salt that makes it unique among all logs there will ever be. A delivery *is* the pair (event, endpoint), and so
is its id; neither needs an index of its own. All are written in hex, which keeps the order and costs least.
"""

import struct

_EVENT = struct.Struct(">QQ")
_DELIVERY = struct.Struct(">QI")
_REPLAY = struct.Struct(">Q")
COUNTER_BITS = 21
SALT_BITS = 63
_KEY_MAX = 2**63 - 1


class UnknownIdError(ValueError):
    """The text is not an id of the kind that was asked for."""


SLOTS = 64
"""Processes that can share a log; each mints up to 32,768 keys in a millisecond."""


class KeyMint:
    """Gives event keys that only ever grow, also when the clock steps back.

    `last` is the highest key already in the log: a restart goes on above it. Once it has a `slot`, its keys are no
    other slot's: several processes mint for one log.
    """

    __slots__ = ("_last", "slot")

    def __init__(self, last: int = 0) -> None:
        self._last = last
        self.slot: int | None = None

    @property
    def last(self) -> int:
        """The highest key given so far."""
        return self._last

    def next(self, now_ms: int) -> int:
        self._last = max(self._last + 1, now_ms << COUNTER_BITS)
        if self.slot is not None:
            self._last += (self.slot - self._last) % SLOTS
        return self._last


def key_floor(at_ms: int) -> int:
    """The lowest key an event received at that time (Unix milliseconds) can have; for searches by time."""
    return max(0, min(at_ms << COUNTER_BITS, _KEY_MAX))


def key_ms(key: int) -> int:
    """When the event was received, Unix milliseconds, or a little later where several came in one."""
    return key >> COUNTER_BITS


def event_id(key: int, salt: int) -> str:
    return "evt_" + _EVENT.pack(key, salt).hex()


def delivery_id(event_key: int, endpoint_number: int) -> str:
    return "dlv_" + _DELIVERY.pack(event_key, endpoint_number).hex()


def parse_event_id(text: str) -> tuple[int, int]:
    """`(key, salt)` of an event id. Raises UnknownIdError."""
    key, salt = _EVENT.unpack(_bytes(text, "evt_", _EVENT.size))
    return _in_range(text, key, salt)


def parse_delivery_id(text: str) -> tuple[int, int]:
    """`(event key, endpoint number)` of a delivery id. Raises UnknownIdError."""
    key, endpoint = _DELIVERY.unpack(_bytes(text, "dlv_", _DELIVERY.size))
    return _in_range(text, key, endpoint)


def replay_id(number: int) -> str:
    return "rpl_" + _REPLAY.pack(number).hex()


def parse_replay_id(text: str) -> int:
    """The number of a replay. Raises UnknownIdError."""
    (number,) = _REPLAY.unpack(_bytes(text, "rpl_", _REPLAY.size))
    return _in_range(text, number, 0)[0]


def _bytes(text: str, prefix: str, size: int) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix(prefix))
    except ValueError:
        raw = b""
    # Only the canonical spelling counts, so that an id is equal to itself as text.
    if len(raw) != size or prefix + raw.hex() != text:
        raise UnknownIdError(f"not an id of the form {prefix}…")
    return raw


def _in_range(text: str, key: int, other: int) -> tuple[int, int]:
    if key > _KEY_MAX or other > _KEY_MAX:
        raise UnknownIdError(f"not an id of the form {text[:4]}…")
    return key, other
