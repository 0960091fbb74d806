"""A value that never prints itself."""

import hmac

KEY_CHARS_MIN = 32
"""Of a text that a key is derived from: a shorter one might be guessed."""
MASK = "********"


class Secret:
    """Text that must not reach a log, a traceback or an answer. `reveal()` is the only way to it."""

    __slots__ = ("_text", "shown")

    def __init__(self, text: str, shown: str = MASK) -> None:
        self._text = text
        self.shown = shown
        """What may be printed in its place: where it came from, or stars."""

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)
