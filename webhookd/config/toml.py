"""Reads a TOML file: what it says, and on which lines; what is no TOML is said in plain words, with line and column."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webhookd.config.lines import Path as Keys
from webhookd.config.lines import lines
from webhookd.config.mistake import ConfigError, Found

_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
_TABLE = re.compile(r"(Cannot declare|Cannot mutate immutable namespace) \((?P<keys>.*?),?\)( twice)?")
_PLAIN = {
    "Expected '=' after a key in a key/value pair": 'a name is to be followed by = and a value: name = "value"',
    "Invalid value": 'this is no value: text stands in quotes, like "15s"; true and false are written small',
    "Invalid initial character for a key part": "here a name is to begin: a-z, 0-9, _ and - are free, others in quotes",
    "Invalid statement": 'neither a table, [name], nor a setting, name = "value"',
    "Expected newline or end of document after a statement": "the line goes on after its value: is a quote missing?",
    "Expected ']' at the end of a table declaration": "a table's name ends with ]",
    "Expected ']]' at the end of an array declaration": "the name ends with ]]",
    "Unclosed array": "a list is not closed with ], or a comma is missing in it",
    "Unclosed inline table": "a table in braces is not closed with }, or a comma is missing in it",
    "Unterminated string": "a string is not closed: a quote is missing",
    "Illegal character '\\n'": "a string is not closed on its line: a quote is missing",
    "Unescaped '\\' in a string": r"a \ in a string is written \\, or the string in single quotes",
    "Cannot overwrite a value": "this name has a value already, further up",
    'Expected "\'"': "a string in single quotes is not closed",
    "Found invalid character '\\n'": "a string is not closed on its line: a quote is missing",
}
"""What tomllib says, and what it means to who wrote the file. What is not here is told as it is."""


def read_toml(path: Path) -> tuple[dict[str, Any], Mapping[Keys, int]]:
    """Raises ConfigError. No word of it quotes the file: there are secrets in it."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Found(str(path), line, "", "cannot be read: it is not UTF-8 here")]) from None
    text = text.replace("\r\n", "\n")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_mistake(str(path), text, str(error))]) from None
    except (ValueError, RecursionError):
        raise ConfigError([f"{path}: cannot be read: a number in it is too long, or it is nested too deep"]) from None
    return table, lines(text)


def _syntax_mistake(file: str, text: str, said: str) -> Found:
    found = _PLACE.fullmatch(said)
    if found is None:
        return Found(file, None, "", f"not TOML: {said}")
    if found["line"] is None:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    else:
        line, column = int(found["line"]), int(found["column"])
    return Found(file, line, "", f"not TOML, at column {column}: {_plainly(found['what'])}")


def _plainly(what: str) -> str:
    if (table := _TABLE.fullmatch(what)) is not None:
        name = ".".join(re.findall("'([^']*)'", table["keys"]))
        return f"the table [{name}] is there already, further up"
    if what.startswith("Duplicate inline table key"):
        return "a name stands twice in one table in braces"
    return _PLAIN.get(what, what)
