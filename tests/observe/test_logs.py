"""What gets into the logs, and what never does."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.secret import Secret
from webhookd.observe.logs import VALUE_CHARS_MAX, redact

pytestmark = pytest.mark.fault(53)

ROOT = Path(__file__).parents[2]
CANARY = "canary-0b5f"
CARD = "4242424242424242"


def logged(**entry: Any) -> dict[str, Any]:
    found = redact(None, "info", {"event": "happened", **entry})
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "client_secret",
        "stripe_signature",
        "Authorization",
        "token",
        "admin_token",
        "cookie",
        "Set-Cookie",
        "body",
        "request_body",
        "password",
    ],
)
@pytest.mark.parametrize("value", [CANARY, CANARY.encode(), [CANARY], {"of": CANARY}, 5], ids=type)
def test_a_name_that_must_not_be_logged_is_masked_whatever_it_holds(name: str, value: Any) -> None:
    assert logged(**{name: value})[name] == "********"


def test_such_a_name_is_masked_inside_a_value_too() -> None:
    assert CANARY not in repr(logged(headers={"Authorization": CANARY, "deeper": [{"token": CANARY}]}))


def test_other_names_are_left_as_they_are() -> None:
    entry = {"endpoint": "fulfillment", "attempts": 3, "share": 0.5, "ok": True, "none": None, "café": "2 × mug"}
    assert logged(**entry) == {"event": "happened", **entry}


def test_bytes_are_counted_and_not_quoted() -> None:
    assert logged(answer=CANARY.encode())["answer"] == f"[{len(CANARY)} bytes]"


def test_a_secret_does_not_print_itself_into_a_log() -> None:
    assert CANARY not in repr(logged(key=Secret(CANARY), keys=[Secret(CANARY)]))


CARDS = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "5555555555554444",
    "3782 822463 10005",
    "6011000990139424",
    "4222222222222",
    "6304000000000000000",
]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "card {} refused",
        "what came:\n{}\n",
        '{{"number":"{}"}}',
        "{}, {}",
        "pan={};",
        "{} 12/29",
        "{} 12 29",
        "12 {}",
        "no. 7 {} 123",
    ],
)
def test_a_card_number_is_masked_wherever_it_stands(card: str, around: str) -> None:
    found = logged(reason=around.format(card, card))["reason"]
    assert card not in found
    assert "[card number]" in found


def test_a_card_number_is_masked_in_the_message_and_within_values() -> None:
    found = redact(None, "info", {"event": f"refused {CARD}", "all": [f"no {CARD}"], "by": {"what": (CARD,)}, CARD: 1})
    assert CARD not in repr({name: value for name, value in found.items() if name != CARD})


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "424242424242",
        "42424242424242424242",
        "2026-03-01T12:00:00.250Z",
        "127.0.0.1:8080",
        "+1 555 0100",
    ],
)
def test_other_digits_are_left_as_they_are(text: str) -> None:
    assert logged(text=text)["text"] == text


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
def test_an_id_of_ours_is_never_taken_for_a_card_number(key: int, salt: int, endpoint: int) -> None:
    text = f"{event_id(key, salt)} {delivery_id(key, endpoint)}"
    assert logged(delivery=text)["delivery"] == text


@pytest.mark.parametrize(
    "text",
    ["a\nb", 'a\r\n{"event":"forged"}', "a\x1b[31mred", "a\x00b", "a\u2028b", "a\u202eb", "a\x9bb", "a\x7fb", "\ud800"],
    ids=ascii,
)
def test_what_could_forge_a_line_or_steer_a_terminal_is_escaped(text: str) -> None:
    for found in (logged(text=text)["text"], *logged(texts=[text])["texts"], *logged(texts={text: 1})["texts"]):
        assert found.isprintable()
        assert "\\" in found


@given(
    st.recursive(
        st.text(max_size=2_000) | st.binary() | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
        max_leaves=20,
    )
)
def test_every_text_in_a_log_line_is_printable_and_of_bounded_length(value: Any) -> None:
    def check(found: Any) -> None:
        if isinstance(found, str):
            assert found.isprintable()
            assert len(found) <= VALUE_CHARS_MAX
        elif isinstance(found, dict):
            for name, each in found.items():
                check(name)
                check(each)
        elif isinstance(found, list):
            for each in found:
                check(each)
        else:
            assert found is None or isinstance(found, int)

    check(logged(value=value)["value"])


def test_a_line_stays_short_however_much_it_is_given() -> None:
    found = logged(text="x" * 10**6, many=["y" * 10**4] * 10**4, nested=[[[[[["z" * 10**4] * 10**3]]]]])
    assert len(repr(found)) < 100 * 600 + 3_000


# --- As the daemon sets it up

PROGRAM = f"""
import logging, sys, structlog
from webhookd.observe import logs
logs.configure(json=MODE)
log = structlog.get_logger("webhookd.test")
log.info("hello", endpoint="fulfillment", token="{CANARY}", why="card {CARD}\\nforged", mistakes=["a {CARD}"])
log.warning("formatted %s", "{CARD}")
log.debug("not shown")
logging.getLogger("some.library").warning("from a library: %s\\nforged", "{CARD}")
try:
    raise ValueError("with {CARD}\\nforged")
except ValueError:
    logging.getLogger("some.library").exception("broke")
logging.getLogger("some.library").info("chatter")
logging.getLogger("aiohttp.server").error("Error handling request {CANARY}")
logging.getLogger("aiohttp.access").error("GET /{CANARY}")
"""


async def run(mode: str) -> tuple[bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM.replace("MODE", mode)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        return await process.communicate()


async def test_logs_are_json_lines_on_standard_error_and_nothing_else_is() -> None:
    output, errors = await run("True")
    assert output == b""
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["event"] for line in lines] == [
        "hello",
        "formatted [card number]",
        "from a library: [card number]\\nforged",
        "broke",
    ]
    first = lines[0]
    assert (first["level"], first["endpoint"], first["token"]) == ("info", "fulfillment", "********")
    assert first["why"] == "card [card number]\\nforged"
    assert first["mistakes"] == ["a [card number]"]
    assert first["timestamp"].endswith("Z")
    assert lines[3]["exception"] == "ValueError: with [card number]\\nforged"


@pytest.mark.parametrize("mode", ["True", "False"])
async def test_neither_form_of_log_holds_what_must_not_be_logged(mode: str) -> None:
    _, errors = await run(mode)
    assert b"hello" in errors
    assert CANARY.encode() not in errors
    assert CARD.encode() not in errors
    assert not [line for line in errors.splitlines() if line.startswith(b"forged")]


async def test_logs_that_do_not_go_to_a_terminal_are_json_by_themselves() -> None:
    _, errors = await run("None")
    assert all(json.loads(line) for line in errors.splitlines())
