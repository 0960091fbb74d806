"""On which line of a TOML file each key stands, and each item of a list: what no TOML library tells.

It only looks for where things are. That the text is TOML, and what it says, is tomllib's business, and was before.
"""

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""Keys from the outermost on; the items of a list, and of an array of tables, by number."""
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(
    r"""[ \t]*(?: (?P<bare>[A-Za-z0-9_-]+) | (?P<quoted>"(?:[^"\\\n]|\\.)*" | '[^'\n]*') )[ \t]*""", re.VERBOSE
)
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""(?!") | \'\'\'.*?\'\'\'(?!') | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' ''', re.VERBOSE | re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\n]*")


def lines(text: str) -> Mapping[Path, int]:
    """The line, from 1 on, of everything in a text that is TOML. A table that is only implied is where it is named."""
    return _Scan(text).found


class _Scan:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._counted, self._line = 0, 1
        self._arrays: dict[Path, int] = {}
        """Arrays of tables: how many of each there are so far."""
        table: Path = ()
        while self._skip():
            if self._peek("["):
                table = self._header()
            else:
                self._setting(table)

    def _header(self) -> Path:
        line, is_array = self._line_here(), self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        table: Path = ()
        keys = self._keys()
        for number, key in enumerate(keys, 1):
            table = (*table, key)
            self._note(table, line)
            if is_array and number == len(keys):
                self._arrays[table] = self._arrays.get(table, 0) + 1
            if table in self._arrays:  # the last one is meant
                table = (*table, self._arrays[table] - 1)
                self._note(table, line)
        self._at += 2 if is_array else 1
        return table

    def _setting(self, table: Path) -> None:
        line = self._line_here()
        for key in self._keys():
            table = (*table, key)
            self._note(table, line)
        self._at += 1  # the =
        self._value(table)

    def _value(self, path: Path) -> None:
        while self._text[self._at] in " \t":
            self._at += 1
        if self._peek("["):
            self._list(path)
        elif self._peek("{"):
            self._inline_table(path)
        else:
            # A quote that nobody closes is no TOML, and this was read as TOML before.
            found = _STRING.match(self._text, self._at) or _PLAIN.match(self._text, self._at)
            assert found is not None
            self._at = found.end()

    def _list(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._skip() and not self._peek("]"):
            self._note((*path, number), self._line_here())
            self._value((*path, number))
            number += 1
            if self._skip() and self._peek(","):
                self._at += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip() and not self._peek("}"):
            self._setting(path)
            if self._skip() and self._peek(","):
                self._at += 1
        self._at += 1

    def _keys(self) -> list[str]:
        keys = []
        while (found := _KEY.match(self._text, self._at)) is not None:
            self._at = found.end()
            keys.append(found["bare"] if found["quoted"] is None else tomllib.loads(f"k = {found['quoted']}")["k"])
            if not self._peek("."):
                break
            self._at += 1
        return keys

    def _skip(self) -> bool:
        """Go to what is neither blank nor a comment; False when there is nothing more."""
        found = _BLANK.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._at < len(self._text)

    def _peek(self, character: str) -> bool:
        return self._text.startswith(character, self._at)

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _note(self, path: Path, line: int) -> None:
        self.found.setdefault(path, line)
