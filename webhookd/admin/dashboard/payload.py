"""A body as a page shows it: hostile bytes as text, laid out if they are JSON, without sensitive numbers. Pure.

Nothing is made of it but text: numbers, doubled names and their order stay as they are written. It is read token by
token, so that no depth of it is too much, and no further than it is shown.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from webhookd.admin.dashboard.masking import by_check_digits, by_name, in_text, kind

CHARS_MAX = 64 * 1024
"""Of what is shown."""
INDENTS_MAX = 40
"""What lies deeper is not moved further to the right."""
NESTED_MAX = 2
"""JSON within a text of JSON, so many times."""
_TOKEN = re.compile(
    r'[ \t\r\n]++|"(?:[^"\\]++|\\.)*+"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|[{}\[\],:]', re.DOTALL
)
_ODD = re.compile(r"[^\x20-\x7e\n\t]")


class Shown(NamedTuple):
    text: str
    is_json: bool
    is_cut: bool
    """There is more than is shown."""
    is_masked: bool
    """Something in it is not shown as it is."""


class _Place:
    """Where the tokens stand: within an object or a list, and what that is called."""

    __slots__ = ("is_empty", "is_key", "is_object", "name", "secret", "within")

    def __init__(self, within: str, *, is_object: bool, secret: str) -> None:
        self.is_object = self.is_key = is_object
        self.is_empty = True
        self.within = within
        self.name = within
        self.secret = secret
        """The name under which all that is in it is masked; empty where it is not."""


class _NotJsonError(Exception):
    pass


def shown(body: bytes, *, pretty: bool) -> Shown:
    r"""`pretty`: each thing on a line of its own. What is not UTF-8 is shown as `\xff`."""
    # No more is looked at than can be shown, and digits at the end may be the beginning of a number.
    is_long = len(body) > 4 * CHARS_MAX
    text = body[: 4 * CHARS_MAX].decode("utf-8", "backslashreplace")
    try:
        found, is_json = _json(text, pretty=pretty, is_long=is_long), True
    except _NotJsonError:
        found, is_json = _plain(text), False
    written = visible(found.text[: CHARS_MAX + 1])
    return Shown(written[:CHARS_MAX], is_json, is_long or len(written) > CHARS_MAX, found.is_masked)


def visible(text: str) -> str:
    r"""What steers the text around it, or cannot be seen, written out: `\u202e`."""
    return _ODD.sub(lambda found: found[0] if found[0].isprintable() else _written(found[0]), text)


def _written(odd: str) -> str:
    short = {"\r": "\\r", "\b": "\\b", "\f": "\\f"}.get(odd)
    return short or (f"\\u{ord(odd):04x}" if ord(odd) < 0x10000 else f"\\u{{{ord(odd):x}}}")


class _Found(NamedTuple):
    text: str
    is_masked: bool


def _plain(text: str) -> _Found:
    window = _window(text)
    masked = in_text(window)
    return _Found(masked + " " * (len(text) > len(window)), masked != window)


def _window(text: str) -> str:
    """As much of it as can be shown; not digits at its end, which may be the beginning of a number."""
    if len(text) <= CHARS_MAX + 256:
        return text
    return text[: CHARS_MAX + 128] + text[CHARS_MAX + 128 : CHARS_MAX + 256].rstrip("0123456789 -")


def _json(text: str, *, pretty: bool, is_long: bool = False, nested: int = 0) -> _Found:
    pieces: list[str] = []
    length, is_masked = 0, False
    for piece, changed in _pieces(text, pretty, nested, is_long=is_long):
        pieces.append(piece)
        length += len(piece)
        is_masked = is_masked or changed
        if length > CHARS_MAX:
            break
    return _Found("".join(pieces), is_masked)


def _pieces(text: str, pretty: bool, nested: int, *, is_long: bool) -> Iterator[tuple[str, bool]]:
    """Of what to write, and whether that is masked. Raises _NotJsonError."""
    places: list[_Place] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            if not is_long or not at:
                raise _NotJsonError
            yield _plain(text[at:])  # a text that goes on beyond what was looked at
            return
        at, word = found.end(), found[0]
        if word.isspace():
            if not pretty:
                yield word, False
            continue
        place = places[-1] if places else None
        if word in ("}", "]"):
            if place is None:
                raise _NotJsonError
            places.pop()
            yield ("" if place.is_empty or not pretty else _line(places)) + word, False
            continue
        if place is not None and place.is_empty:
            place.is_empty = False
            if pretty:
                yield _line(places), False
        if word in ("{", "["):
            name, secret = ("", "") if place is None else (place.name, _secret(place))
            places.append(_Place(name, is_object=word == "{", secret=secret))
            yield word, False
        elif word == ",":
            if place is not None:
                place.is_key = place.is_object
            yield word + (_line(places) if pretty else ""), False
        elif word == ":":
            yield word + (" " if pretty else ""), False
        elif place is not None and place.is_key:
            place.is_key, place.name = False, _decoded(word)
            yield _without_numbers(word, by_check_digits(place.name))
        else:
            yield _value(word, place, nested)


def _line(places: list[_Place]) -> str:
    return "\n" + "  " * min(len(places), INDENTS_MAX)


def _secret(place: _Place) -> str:
    """What lies under the name of a secret is secret, however deep."""
    return place.secret or (place.name if kind(place.name, place.within) else "")


def _value(word: str, place: _Place | None, nested: int) -> tuple[str, bool]:
    if word in ("true", "false", "null", '""'):
        return word, False
    decoded = _decoded(word) if word[0] == '"' else word
    value = _window(decoded)
    masked = value
    if place is not None:
        masked = by_name(place.name, place.within, value)
        if masked == value and place.secret:
            masked = by_name(place.secret, "", value)
    if masked == value and value[:1] in ("{", "[") and nested < NESTED_MAX:
        try:
            masked = _json(value, pretty=False, nested=nested + 1).text
        except _NotJsonError:
            masked = _plain(value).text
    elif masked == value:
        masked = in_text(value)
    if masked == decoded:
        return word, False
    rest = "…" if len(value) < len(decoded) else ""
    return json.dumps(masked + rest, ensure_ascii=False), masked != value


def _without_numbers(word: str, masked: str) -> tuple[str, bool]:
    if masked == _decoded(word):
        return word, False
    return json.dumps(masked, ensure_ascii=False), True


def _decoded(word: str) -> str:
    """A text as it is meant. Raises _NotJsonError."""
    try:
        text = json.loads(word, strict=False)
    except ValueError:
        raise _NotJsonError from None
    if not isinstance(text, str):  # a name that is none
        raise _NotJsonError
    return text
