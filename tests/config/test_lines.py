"""Where things stand in a TOML file, against tomllib: what it finds there is found here, and on the line it is on."""

import tomllib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.config.lines import Path, lines


def leaves(found: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All that is in it, tables and lists too."""
    if path:
        yield path, found
    items: Any = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, each in items:
        yield from leaves(each, (*path, key))


BARE = st.text("abcXYZ019_-", min_size=1, max_size=4)
QUOTED = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5)
KEYS = BARE | QUOTED
BLANKS = st.sampled_from(["", " ", "\t", "  "])
BREAKS = st.sampled_from(["", " ", "\n", ' # a ] comment, "with" = all\n', "\r\n\n"])


def basic(text: str) -> str:
    escaped = "".join(f"\\u{ord(each):04X}" if each in '"\\' else each for each in text)
    return f'"{escaped}"'


@st.composite
def key(draw: st.DrawFn, text: str) -> str:
    forms = [basic(text)]
    if text and all(each in "abcXYZ019_-" for each in text):
        forms.append(text)
    if "'" not in text:
        forms.append(f"'{text}'")
    return draw(st.sampled_from(forms))


class Writer:
    """Writes TOML in all its ways. Each value has a number of its own in it, which tells the line it is on."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.numbers = count(700_001)

    def value(self, depth: int) -> str:
        token = str(next(self.numbers))
        kinds = ["number", "basic", "literal", "long", "long literal", "quotes", "escapes"]
        if depth:
            kinds += ["list", "table"]
        match self.draw(st.sampled_from(kinds)):
            case "number":
                return token
            case "basic":
                return basic(f"{token} # ] }} = ")
            case "literal":
                return f"'{token} \\ # [ {{'"
            case "long":
                return f'"""{token}\n[not.a.table]\nkey = "1"\n\\""" # "" \\\\"""'
            case "long literal":
                return f"'''{token}\n# '' \\\n[[no]]'''"
            case "quotes":
                return f'"""{token} ""quoted"" """""'
            case "escapes":
                return f'"{token} \\" \\\\"'
            case "list":
                items = [self.value(depth - 1) for _ in range(self.draw(st.integers(0, 3)))]
                parted = ",".join(f"{self.draw(BREAKS)}{each}{self.draw(BREAKS)}" for each in items)
                last = "," if items and self.draw(st.booleans()) else ""
                return f"[{parted}{last}{self.draw(BREAKS)}]"
            case _:
                names = self.draw(st.lists(KEYS, max_size=3, unique=True))
                settings = [f"{self.dotted([each])} = {self.value(depth - 1)}" for each in names]
                return "{" + ", ".join(settings) + " }"

    def dotted(self, keys: list[str]) -> str:
        return f"{self.draw(BLANKS)}.{self.draw(BLANKS)}".join(self.draw(key(each)) for each in keys)

    def settings(self, names: list[str]) -> str:
        text = ""
        for name in names:
            path = [name, *self.draw(st.lists(BARE, max_size=2))]
            text += f"{self.draw(BREAKS)}{self.dotted(path)}{self.draw(BLANKS)}={self.draw(BLANKS)}{self.value(2)}"
            text += self.draw(st.sampled_from(["\n", " # after\n", "\r\n", "\t\n\n"]))
        return text


@st.composite
def documents(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    names = draw(st.lists(KEYS, max_size=8, unique=True))
    cut = draw(st.integers(0, len(names)))
    text = writer.settings(names[:cut])
    for name in names[cut:]:
        below = draw(st.lists(KEYS, max_size=2))
        inside = draw(st.lists(KEYS, max_size=3, unique=True))
        header = writer.dotted([name, *below])
        if draw(st.booleans()):
            text += f"[{header}]\n{writer.settings(inside)}"
            continue
        for _ in range(draw(st.integers(1, 3))):
            text += f"{draw(BREAKS)}[[{header}]] # one more\n{writer.settings(inside)}"
            if draw(st.booleans()):
                text += f"[{header}.{basic('below it')}]\n{writer.settings(['x'])}"
    return text


@given(documents())
def test_everything_that_tomllib_finds_is_found_on_its_line(text: str):
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # two ways to the same key
    found, written = lines(text), text.split("\n")
    expected = dict(leaves(table))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        if not isinstance(value, dict | list):
            assert str(value)[:6] in written[found[path] - 1], path
    for path in expected:
        assert len(path) == 1 or found[path[:-1]] <= found[path]


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("[server]\nlisten = 1", ("server", "listen"), 2),
        ("[server]\nlisten = 1", ("server",), 1),
        ("\n\n[a.b.c]\nd.e = 1", ("a", "b"), 3),
        ("\n\n[a.b.c]\nd.e = 1", ("a", "b", "c", "d", "e"), 4),
        ("x = [\n 1,\n # two\n 2]", ("x", 1), 4),
        ("x = [\n 1,\n # two\n 2]", ("x",), 1),
        ("t = { a = 1, b = [\n2] }", ("t", "b", 0), 2),
        ("[[t]]\na = 1\n[[t]]\na = 2", ("t", 1, "a"), 4),
        ("[[t]]\n[t.u]\na = 1\n[[t]]\n[t.u]\na = 2", ("t", 1, "u", "a"), 6),
        ('x = """\n[y]\n"""\nz = 1', ("z",), 4),
        ('"a.b" = 1\n[c."d e"]\n\'f\' = 2', ("c", "d e", "f"), 3),
        ("a = 1\r\n\r\nb = 2\r\n", ("b",), 3),
        ("a = 1979-05-27 07:32:00 # no key = here\nb = +1.5e3", ("b",), 2),
    ],
)
def test_a_key_is_where_it_stands(text: str, path: Path, line: int):
    assert lines(text)[path] == line
    assert lines(text).keys() == dict(leaves(tomllib.loads(text))).keys()


def test_what_is_not_there_has_no_line():
    assert lines("# [server]\n") == {}
