"""Configurations and databases of garbage: a line that says what is wrong, an exit code of the contract, no more."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.http_grammar import SPOILT
from tests.receive.wire import ask, event, post, stripe
from tests.running import RunningDaemon, configuration, daemon, endpoint
from tests.shell import Ended, run
from tests.shell import ask as command
from webhookd.cli.options import Exit
from webhookd.providers import reread
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.recount import Recount, UnreadableError

NOBODY = 65_000
"""A port where no merchant is."""
CANARY = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ"
LINE_CHARS_MAX = 600
"""Of what is said: a path, a place, a key and a reason."""
LINES_MAX = 100
ODD_VALUES = (
    *(
        "-1",
        "0",
        "1e999",
        "nan",
        "inf",
        "99999999999999999999",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "true",
        '""',
        '"x"',
    ),
    *(
        "[]",
        "{}",
        "[[]]",
        "[1, 'a']",
        "{a = {b = 1}}",
        '"\\u0000"',
        '"\\ud800"',
        '"env:"',
        '"file:/"',
        '"file:/proc/self/mem"',
    ),
    *(
        '"credential:../../etc/passwd"',
        "'''",
        '"',
        "[" * 2_000,
        "{a=" * 2_000,
        "9" * 5_000,
        "0x" + "F" * 5_000,
        "é",
        "\x00",
    ),
    *(
        '"10000000000d"',
        '"1YiB"',
        '"127.0.0.1:99999"',
        '"[::1]:x"',
        '"http://user:pass@a/"',
        '"/dev/zero"',
        '"' + "x" * 9_000 + '"',
    ),
)


def whole() -> str:
    """A configuration with something of each part in it, and a secret that must not be said back."""
    sources = (
        f'[sources.stripe]\nprovider = "stripe"\nsecrets = ["{CANARY}", "env:OTHER"]\n'
        f'[sources.flw]\nprovider = "flutterwave"\nscheme = "hmac"\nsecrets = ["{CANARY}"]\n'
    )
    shop = endpoint("shop", NOBODY, events=["charge.*"], rate_limit="5/s", schedule=["0s", "5s"], max_in_flight=2)
    more = f'[retention]\nevents = "30d"\nbodies = "7d"\n[store]\nkey = "{CANARY}{CANARY}"\n'
    return configuration(sources=sources, endpoints=shop) + more


def spoilt(text: str, dice: Random) -> bytes:
    """A value, a line or some bytes of it are others."""
    lines = text.split("\n")
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        match dice.randrange(5):
            case 0 | 1 if equals:
                lines[at] = f"{key}= {dice.choice(ODD_VALUES)}"
            case 2:
                lines.insert(dice.randrange(len(lines)), lines[at])
            case 3:
                lines[at] = lines[at].replace(
                    dice.choice("abcdefghijklmnop."), dice.choice(("", "x", ".", '"', "\t")), 1
                )
            case _:
                del lines[at]
    raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    return dice.choice(SPOILT[:-1])(raw, dice) if dice.random() < 0.4 else raw


def assert_plainly_said(ended: Ended, codes: Sequence[int], what: str) -> None:
    assert ended.code in codes, (what, ended.code, ended.err)
    lines = ended.err.splitlines()
    assert len(lines) <= LINES_MAX, what
    assert ended.code == 0 or lines, f"{what}: nothing was said"
    for line in lines:
        assert line.startswith("webhookd: "), (what, line)
        assert len(line) <= LINE_CHARS_MAX, (what, line)
        assert line.isprintable(), (what, line)
    assert CANARY not in ended.err + ended.out, what


@pytest.mark.fault(53)
async def test_a_configuration_of_garbage_is_told_what_is_wrong_with_it(
    tmp_path: Path, torture: bool, seed: int, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Neither is a secret said back that is in it, whatever stands beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTHER", CANARY)
    many, text, refused = 2_000 if torture else 120, whole(), 0
    file = tmp_path / "webhookd.toml"
    file.write_text(text)
    assert (await command("config", "check", "-c", file)).code == 0
    for number in range(many):
        content = spoilt(text, Random(f"{seed}:{number}"))
        file.write_bytes(content)
        ended = await command("config", "check", "-c", file)
        assert_plainly_said(ended, (0, 78), f"file {number} of seed {seed}: {content!r}")
        refused += ended.code == Exit.CONFIG
    assert refused > many / 2
    record_property("bad_inputs", many)


GARBAGE = {
    "no text": bytes(range(256)) * 40,
    "no TOML": b"<?xml version='1.0'?>",
    "other TOML": b'[tool.poetry]\nname = "webhookd"\n',
    "deep": b"a = " + b"[" * 100_000,
    "UTF-16": '[server]\nlisten = "127.0.0.1:0"'.encode("utf-16"),
}


@pytest.mark.fault(53)
@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
async def test_a_daemon_does_not_start_on_garbage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "webhookd.toml").write_bytes(content)
    ended = await run("serve", cwd=tmp_path)
    assert_plainly_said(ended, [Exit.CONFIG], "serve")
    assert not (tmp_path / "data").exists()


# --- Databases


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good one, with a few hundred pages of events in it."""
    directory = tmp_path_factory.mktemp("good")
    async with daemon(directory, configuration(endpoints=endpoint("shop", NOBODY, schedule=["1h"]))) as running:
        for number in range(60):
            body = event(f"evt_{number}", note="x" * 5_000)
            assert (await ask(running.port, post("stripe", body, stripe(body)))).status == 200
        assert await running.stop() == 0
    return (directory / "data" / "webhookd.db").read_bytes()


def spoilt_database(good: bytes, dice: Random) -> bytes:
    raw = bytearray(good)
    match dice.randrange(6):
        case 0:  # in its head, and the schema after it
            for _ in range(dice.choice((1, 3, 20))):
                raw[dice.randrange(min(len(raw), 4_096))] = dice.randrange(256)
        case 1:
            for _ in range(dice.choice((1, 100, 5_000))):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
        case 2:
            del raw[dice.randrange(len(raw)) :]
        case 3:
            page = 4_096 * dice.randrange(len(raw) // 4_096)
            raw[page : page + 4_096] = dice.choice((bytes(4_096), dice.randbytes(4_096)))
        case 4:
            first, second = (4_096 * dice.randrange(1, len(raw) // 4_096) for _ in range(2))
            raw[first : first + 4_096], raw[second : second + 4_096] = (
                raw[second : second + 4_096],
                raw[first : first + 4_096],
            )
        case _:
            raw[:] = dice.choice(
                (dice.randbytes(50_000), b"SQLite format 3\x00" + dice.randbytes(8_176), bytes(100_000))
            )
    return bytes(raw)


@pytest.mark.fault(18)
async def test_a_database_of_garbage_is_verified_without_a_word_too_many(
    tmp_path: Path, torture: bool, seed: int, database: bytes, record_property: Any
) -> None:
    many, path = 500 if torture else 25, tmp_path / "copy.db"
    for number in range(many):
        path.write_bytes(spoilt_database(database, Random(f"{seed}:{number}")))
        ended = await command("verify", path)
        what = f"database {number} of seed {seed}"
        assert ended.code in (0, 1), (what, ended.err)
        assert all(len(line) <= LINE_CHARS_MAX and line.isprintable() for line in ended.err.splitlines()), what
    record_property("bad_inputs", many)


@pytest.mark.fault(18)
async def test_what_sqlite_quotes_of_a_damaged_schema_is_a_line(tmp_path: Path, database: bytes) -> None:
    path = tmp_path / "copy.db"
    path.write_bytes(database.replace(b"CHECK (priority IN (0, 1, 2))", b"CHECK (priority IN [0, 1, 2))"))
    ended = await command("verify", path)
    [line] = ended.err.splitlines()
    assert ended.code == 1
    assert "SQLITE_CORRUPT: malformed database schema (delivery)" in line
    assert len(line) <= LINE_CHARS_MAX


@pytest.mark.fault(18)
async def test_a_daemon_on_a_database_of_garbage_ends_with_a_code_of_the_contract_or_serves(
    tmp_path: Path, torture: bool, seed: int, database: bytes, record_property: Any
) -> None:
    """What it cannot see from the start it sees when it comes upon it: then it ends, and does not say 200."""
    many, ends = 50 if torture else 4, set()
    (tmp_path / "webhookd.toml").write_text(configuration(endpoints=endpoint("shop", NOBODY, schedule=["1h"])))
    data = tmp_path / "data"
    data.mkdir()
    for number in range(many):
        for each in data.iterdir():
            each.unlink()
        (data / "webhookd.db").write_bytes(spoilt_database(database, Random(f"{seed}:{number}")))
        code, status, said = await _served(tmp_path, number)
        what = f"database {number} of seed {seed}: {said}"
        assert (code in (0, 1, 78), status in (None, 200, 503)) == (True, True), (code, status, what)
        assert "Traceback" not in said, what
        ends.add(code)
    assert ends - {0}
    record_property("bad_inputs", many)


async def _served(directory: Path, number: int) -> tuple[int, int | None, str]:
    """Start, send one hook if it starts, stop. The exit code, what the hook was answered, and what was said."""
    running, status = RunningDaemon(directory, [sys.executable, "-m", "webhookd", "serve"], {}), None
    try:
        with suppress(AssertionError, OSError, EOFError):  # it has ended
            await running.start()
            body = event(f"evt_garbage_{number}")
            status = (await ask(running.port, post("stripe", body, stripe(body)))).status
            # Not by way of its process object, which would take the exit code of one that is just ending.
            os.kill(running.pid, signal.SIGTERM)
        code = await running.ended()
    finally:
        await running.kill()
    return code, status, json.dumps(running.log)


@pytest.mark.fault(18)
@pytest.mark.parametrize("harm", ["DROP TABLE delivery", "DROP TABLE endpoint", "ALTER TABLE event DROP COLUMN trace"])
async def test_a_database_that_somebody_took_a_part_out_of_is_not_served(
    tmp_path: Path, database: bytes, harm: str
) -> None:
    (tmp_path / "webhookd.toml").write_text(configuration())
    data = tmp_path / "data"
    data.mkdir()
    (data / "webhookd.db").write_bytes(database)
    with closing(driver.connect(data / "webhookd.db")) as connection:
        connection.execute(harm)
        connection.commit()
    code, status, said = await _served(tmp_path, 1)
    assert (code in (0, 1), status in (None, 503), "Traceback" in said) == (True, True, False), said


class Backwards:
    """A log whose pages lie in the wrong order, as a damaged tree has them."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def execute(self, *asked: Any) -> list[Any]:
        return [*reversed(self._log.execute(*asked).fetchall())]


@pytest.mark.fault(18)
def test_a_log_that_goes_backwards_is_not_followed_for_ever(tmp_path: Path, database: bytes) -> None:
    path = tmp_path / "copy.db"
    path.write_bytes(database)
    with (
        closing(driver.connect(path)) as log,
        closing(Recount(None, reread)) as recount,
        pytest.raises(UnreadableError, match="comes after"),
    ):
        [*recount._follow(Backwards(log), "", lambda _event, _body: None)]  # type: ignore[arg-type]
