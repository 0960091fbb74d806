"""Where something stands in a trace (W3C Trace Context). What comes in is a stranger's: its grammar is checked."""

import re
from typing import NamedTuple

STATE_CHARS_MAX, STATE_MEMBERS_MAX = 512, 32
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_MEMBER = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII)
SAMPLED = 1


class Trace(NamedTuple):
    """A span of somebody's, and whether it is recorded."""

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str = ""
    """What its vendors say to each other (`tracestate`)."""

    @property
    def parent(self) -> str:
        """As the header `traceparent` has it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{SAMPLED if self.is_sampled else 0:02x}"

    @property
    def text(self) -> str:
        """As the log keeps it."""
        return f"{self.parent} {self.state}".rstrip()

    @property
    def headers(self) -> dict[str, str]:
        return {"traceparent": self.parent, **({"tracestate": self.state} if self.state else {})}


def parse_trace(parent: str, state: str = "") -> Trace | None:
    """Of the two headers; None where `traceparent` is none. A `tracestate` that is none is left out."""
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):  # a later version may say more
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & SAMPLED), _state(state))


def kept_trace(text: str) -> Trace | None:
    """What `Trace.text` was made of."""
    parent, _, state = text.partition(" ")
    return parse_trace(parent, state)


def _state(text: str) -> str:
    members = [each.strip(" \t") for each in text.split(",")] if len(text) <= STATE_CHARS_MAX else []
    members = [each for each in members if each]
    found = [_MEMBER.fullmatch(each) for each in members]
    keys = [each[1] for each in found if each is not None]
    if len(keys) < len(members) or len(members) > STATE_MEMBERS_MAX or len(set(keys)) < len(keys):
        return ""
    return ",".join(members)
