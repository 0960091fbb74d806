"""A mistake is found by who made it: with file, line and key, in plain words, and with what may have been meant."""

import re
from pathlib import Path

import pytest

from tests.config.test_reader import EVERYTHING_WRONG
from webhookd.config import ConfigError, load
from webhookd.config.doubts import doubts
from webhookd.config.mistake import Found
from webhookd.config.reader import read

CANARY = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ"
SHOP = '[sources.shop]\nprovider = "stripe"\nsecrets = ["whsec_1"]\n'
LIBRARY_WORDS = re.compile(r"Expected|`|\bint\b|\bfloat\b|\bstr\b|array|object|Errno|NoneType|ValueError")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "webhookd.toml"


def found(file: Path, text: str, environment: dict[str, str] | None = None) -> list[Found]:
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(file, {}, environment or {})
    return refused.value.found


def test_every_mistake_is_on_its_line(file: Path):
    written = EVERYTHING_WRONG.split("\n")
    for each in found(file, EVERYTHING_WRONG):
        assert each.file == str(file)
        assert each.line is not None
        name = each.key.rpartition(".")[2].partition("[")[0]
        here = written[each.line - 1]
        assert name in here or (each.reason == "is missing" and here == "[endpoints.two]"), each


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ('[delivery]\nschedule = [\n  "0s",\n  "soon",\n]', "delivery.schedule[1]", 4),
        ("[server]\n\n\nlisten = 5", "server.listen", 4),
        ("server.listen = 5", "server.listen", 1),
        ('server = { max_body = "1MiB", listen = 5 }', "server.listen", 1),
        (
            f'{SHOP}\n["endpoints"."a"]\n"url" = "https://a.example/"\nheaders = {{ Host = "x" }}',
            "endpoints.a.headers.Host",
            7,
        ),
        ('[sources.shop]\n\nprovider = "stripe"', "sources.shop.secrets", 1),
        ("# nothing\n[sources]\n[sources.A]\nprovider = 'stripe'\nsecrets = ['x']", "sources.A", 3),
    ],
)
def test_the_line_is_that_of_the_key_or_of_what_it_is_missing_in(file: Path, text: str, key: str, line: int):
    [only] = found(file, text)
    assert (only.key, only.line) == (key, line)
    assert str(only) == f"{file}:{line}: {key}: {only.reason}"


def test_what_comes_from_the_environment_has_no_line_in_the_file(file: Path):
    [only] = found(file, '[server]\nlisten = "127.0.0.1:1"', {"WEBHOOKD_SERVER__LISTEN": "x"})
    assert (only.file, only.line, only.key) == ("WEBHOOKD_SERVER__LISTEN", None, "server.listen")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[delivery]\nmax_in_flight = 0", "must be a whole number from 1 to 10000, not 0"),
        ("[delivery]\nmax_in_flight = 0xFFFFFFFFFFFFFFFFFFFF", "must be a whole number from 1 to 10000, not a number"),
        ("[delivery]\nmax_in_flight = 1.5", "must be a whole number from 1 to 10000, not a number"),
        ("[delivery]\nmax_in_flight = true", "must be a whole number from 1 to 10000, not a truth value"),
        ("[delivery]\njitter = 2", "must be a number from 0 to 1, not 2"),
        ("[delivery]\nschedule = []", "must be a list of 1 to 100 items, not 0"),
        ('[delivery]\nschedule = "5s"', "must be a list of 1 to 100 items, not a string"),
        ("[delivery]\ntimeout = 15", 'must be a string like "15s" or "2h", not a number'),
        ("[server]\nmax_body = 5", 'must be a string like "64KiB" or "1MiB", not a number'),
        ("[server]\nlisten = 8080", 'must be a string like "127.0.0.1:8080", not a number'),
        ("[server]\ndata_dir = []", "must be a string, not a list"),
        ("[server]\nadmin_hosts = [5]", "must be a string, not a number"),
        ('[delivery]\ntimeout = "15"', 'a duration is a whole number and a unit: "500ms", "5s", "10m", "2h", "3d"'),
        ('[store]\ncheckpoint = "externl"', 'must be "own" or "external"; did you mean external?'),
        ('[sources.a]\nprovider = "strip"\nsecrets = ["x"]', "; did you mean stripe?"),
        (f'{SHOP}[endpoints.a]\nurl = "https://a.example/"\nsources = ["shp"]', 'no source "shp"; did you mean shop?'),
        (
            '[sources.a]\nprovider = "stripe"\nsecrets = ["env:STRIP_SECRET"]',
            "STRIP_SECRET is not set; did you mean STRIPE_SECRET?",
        ),
        ("[sources.a]\nprovider = 'stripe'\nsecrets = ['********']", "is masked"),
        ("[delivery]\nallow_networks = ['10.0.0.1/8']", 'a network is written like "10.0.0.0/8"'),
    ],
)
def test_a_mistake_says_what_is_wanted_in_plain_words(file: Path, text: str, reason: str):
    [only] = found(file, text, {"STRIPE_SECRET": "x"})
    assert only.reason.endswith(reason) or only.reason.startswith(reason)
    assert not LIBRARY_WORDS.search(only.reason)


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("[server]\nlisten 5", 2, 8, "followed by ="),
        ("[server]\nlisten = \n", 2, 10, "no value"),
        ("a = True", 1, 5, "written small"),
        (f'x = "{CANARY}\ny = 1', 1, 44, "quote is missing"),
        (f"x = '{CANARY}\ny = 'b'", 1, 44, "quote is missing"),
        (f"x = '{CANARY}\ny = 1", 2, 6, "single quotes is not closed"),
        (f'x = """{CANARY}\ny = 1\n', 3, 1, "not closed"),
        ("[server]\nlisten = 1\nlisten = 2\n", 3, 11, "has a value already"),
        ("[server]\n[server]\n", 2, 8, "[server] is there already"),
        ("[a.'b c']\nx = 1\n[a.'b c']\n", 3, 9, "[a.b c] is there already"),
        ("x = [1 2]", 1, 8, "comma"),
        ("x = { a = 1", 1, 12, "}"),
        ("[server\nx = 1", 1, 8, "]"),
        ("t = { a = 1, a = 2 }", 1, 19, "twice"),
        ('x = "C:\\dir"', 1, 10, "single quotes"),
        ("= 5", 1, 1, "neither a table"),
        ('listen = "a"b"', 1, 13, "goes on after"),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column_and_quotes_nothing(
    file: Path, text: str, line: int, column: int, said: str
):
    [only] = found(file, text)
    assert (only.line, only.key) == (line, "")
    assert only.reason.startswith(f"not TOML, at column {column}: ")
    assert said in only.reason
    assert CANARY[:12] not in str(only)
    assert not LIBRARY_WORDS.search(only.reason)


def test_a_file_that_is_not_utf_8_is_told_with_the_line(file: Path):
    file.write_bytes(b'[server]\n\ndata_dir = "\xff"\n')
    with pytest.raises(ConfigError) as refused:
        load(file, {}, {})
    assert refused.value.mistakes == [f"{file}:3: cannot be read: it is not UTF-8 here"]


@pytest.mark.parametrize("text", ["a = " + "9" * 5_000, "a = " + "[" * 100_000])
def test_a_file_that_no_reader_gets_through_is_a_mistake(file: Path, text: str):
    [only] = found(file, text)
    assert "cannot be read" in str(only)


# --- Doubts

STRIPE = '[sources.stripe]\nprovider = "stripe"\nsecrets = ["x"]\n'
DODO = '[sources.dodo]\nprovider = "standard"\nsecrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]\n'


def doubted(file: Path, text: str) -> list[str]:
    file.write_text(text)
    loaded = read(file, {}, {})
    return [str(loaded.places.found(*doubt)).removeprefix(f"{file}:") for doubt in doubts(loaded.config)]


def shop(**settings: str) -> str:
    given = {"url": '"https://shop.example/"', **settings}
    return "[endpoints.shop]\n" + "".join(f"{name} = {value}\n" for name, value in given.items())


@pytest.mark.parametrize(
    "text",
    [
        "",
        STRIPE,
        STRIPE + shop(),
        STRIPE + shop(events='["payment_intent.*", "*", "webhookd.*", "charge.refunded"]'),
        STRIPE + DODO + shop(events='["made.up"]'),
        STRIPE + DODO + shop(sources='["stripe"]') + shop().replace("shop]", "other]"),
        shop(events='["made.up"]'),
        '[server]\nadmin_listen = "localhost:8081"',
        '[server]\nadmin_listen = "[::1]:8081"',
        '[delivery]\nallow_networks = ["127.0.0.0/8"]\n' + shop(url='"http://127.0.0.1:9000/"'),
    ],
)
def test_there_is_no_doubt_of_what_is_usual(file: Path, text: str):
    assert doubted(file, text) == []


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        (STRIPE + shop(events='["charge.refundet"]'), "6: endpoints.shop.events: ", "did you mean charge.refunded?"),
        (STRIPE + DODO + shop(sources='["stripe"]'), "4: sources.dodo: ", "sent to nobody"),
        (shop(url='"http://shop.example/"', allow_http="true"), "2: endpoints.shop.url: ", "https:// does not"),
        ('[server]\nadmin_listen = "0.0.0.0:8081"', "2: server.admin_listen: ", "keep a proxy before it"),
    ],
)  # fmt: skip
def test_what_is_right_and_likely_not_meant_is_doubted(file: Path, text: str, begins: str, ends: str):
    [only] = doubted(file, text)
    assert only.startswith(begins)
    assert only.endswith(ends)
