"""`webhookd serve` as a unit starts it is read without the command line's library, and means the same."""

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.running import configuration, daemon
from tests.shell import run
from webhookd.cli import plain
from webhookd.cli.app import read_verb

CARRIED_IN_VAIN = {"typer", "pydantic", "pydantic_core", "rich", "jinja2", "webhookd.sandbox", "webhookd.cli.serve"}
"""By a daemon: what reads command lines, prints tables, draws pages, and plays at being a shop."""
PROBE = """
import sys
from webhookd.__main__ import main
try:
    main()
finally:
    sys.stderr.write("read: " + " ".join(sorted(sys.modules)) + "\\n")
"""
PLAIN = [
    "serve",
    "serve -c a.toml",
    "serve --config a.toml --data-dir /d",
    "serve --config=a=b.toml --data-dir=/d",
    "serve --listen 127.0.0.1:1 --admin-listen=[::1]:2",
    "serve -c a.toml -c b.toml",
    "serve --role receive",
]
NOT_PLAIN = [
    *(
        "",
        "status",
        "-c a.toml serve",
        "serve --help",
        "serve --dev",
        "serve -c a.toml --dev --sample",
        "serve nonsense",
    ),
    *("serve -c", "serve --config=", "serve -ca.toml", "serve --listen --dev", "serve --url http://a", "serve -- -c a"),
]


def read_by_either(words: list[str]) -> tuple[Any, Any]:
    """What each of the two has loaded: the plain reader, and the one for people."""
    loaded: list[Any] = []

    def load(path: Path | None, server: Any, opened: Any = ()) -> None:
        loaded.append((path, server, [*opened]))

    given = plain.read(words)
    assert given is not None
    with patch("webhookd.cli.start.start", lambda load, *_: load()), patch("webhookd.config.load", load):
        plain.serve(given)
    with (
        patch("webhookd.cli.serve.start", lambda load, *_: load()),
        patch("webhookd.cli.serve.load", load),
        pytest.raises(SystemExit),
    ):
        read_verb("serve")(words[1:])
    return loaded[0], loaded[1]


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_command_line_means_what_it_means_to_the_library(line: str):
    plainly, by_library = read_by_either(line.split())
    assert plainly == by_library


@pytest.mark.parametrize("line", NOT_PLAIN)
def test_any_other_command_line_is_left_to_the_library(line: str):
    assert plain.read(line.split()) is None


def test_every_option_of_serve_that_has_a_value_is_known():
    shown = [each for each in read_verb("serve").params if not each.hidden and not each.is_flag]
    assert {name: each.name for each in shown for name in each.opts} == plain.OPTIONS


async def test_a_daemon_does_not_carry_what_is_for_people(tmp_path: Path):
    async with daemon(tmp_path, command=[sys.executable, "-c", PROBE, "serve"]) as running:
        assert await running.stop() == 0
        [said] = [line["text"] for line in running.log if line["event"] is None]
    read = set(said.split()[1:])
    assert "webhookd.daemon" in read
    assert not CARRIED_IN_VAIN & read


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (configuration(server="nonsense = 1"), 78),
        (configuration(server='[store]\nkey = "file:missing"'), 78),
        (configuration(server='[store]\ncheckpoint = "own"').replace('"data"', '"webhookd.toml"'), 78),
    ],
    ids=["configuration", "key", "directory"],
)
async def test_a_start_that_fails_ends_alike_however_its_command_line_was_read(config: str, code: int, tmp_path: Path):
    (tmp_path / "webhookd.toml").write_text(config)
    plainly = await run("serve", cwd=tmp_path)
    by_library = await run("serve", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert (plainly.code, plainly.err) == (by_library.code, by_library.err)
    assert plainly.code == code
    assert plainly.err.startswith("webhookd: ")
