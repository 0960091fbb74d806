"""What a signature looks like, for a person who looks for what is wrong with it: never the signature itself."""

import re

ENTRIES_MAX = 4
"""Of a header with several; the rest is an ellipsis."""
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_DIGITS_MAX = 12


def shape(text: str) -> str:
    """Like "64 hex", "44 base64", "12 characters"."""
    if not text:
        return "empty"
    if _HEX.fullmatch(text) and len(text) % 2 == 0:
        return f"{len(text)} hex"
    if _BASE64.fullmatch(text) and len(text) % 4 == 0:
        return f"{len(text)} base64"
    return f"{len(text)} characters"


def number_shape(text: str) -> str:
    """Of what should be a whole number and no secret: itself, if it is one."""
    return text if whole(text) is not None else shape(text)


def whole(text: str | None) -> int | None:
    """Unix seconds, or None."""
    if text is None or len(text) > _DIGITS_MAX or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def some(entries: list[str], joint: str) -> str:
    return joint.join(entries if len(entries) <= ENTRIES_MAX else [*entries[:ENTRIES_MAX], "…"])
