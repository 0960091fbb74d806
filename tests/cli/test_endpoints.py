"""`webhookd endpoints`: every verb, as an operator types it."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import desk
from tests.daemon.merchant import Merchant, merchant
from tests.running import ENDPOINT_SECRET, RunningDaemon, configuration, daemon, endpoint
from tests.shell import Ended, ask
from webhookd.cli.endpoint_settings import FIELDS, option_of
from webhookd.config.model import EndpointSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "http://127.0.0.1:10999/"
CANARY = "a canary that no command may sing"


class Operator:
    def __init__(self, running: RunningDaemon, shop: Merchant) -> None:
        self.running, self.data_dir, self.shop = running, running.directory / "data", shop
        self.url = f"http://127.0.0.1:{shop.port}/shop"

    async def __call__(self, *arguments: str | Path) -> Ended:
        return await ask("endpoints", *arguments, "--data-dir", self.data_dir)

    async def done(self, *arguments: str | Path) -> Ended:
        found = await self(*arguments)
        assert (found.code, found.err) == (0, ""), found.err
        return found

    async def json(self, *arguments: str | Path) -> Any:
        return (await self.done(*arguments, "--json")).json

    async def refused(self, *arguments: str | Path, code: int = 2) -> list[str]:
        found = await self(*arguments)
        assert (found.code, found.out) == (code, "")
        return found.err.splitlines()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    directory = tmp_path_factory.mktemp("endpoints")
    async with (
        merchant() as shop,
        daemon(directory, configuration(endpoints=endpoint("configured", shop.port))) as running,
    ):
        yield Operator(running, shop)


@asynccontextmanager
async def endpoint_of(operator: Operator, *arguments: str | Path, url: str | None = None) -> AsyncIterator[str]:
    """A name under which one is added, until it is removed again."""
    await operator.done("add", "shop", url or operator.url, *arguments)
    try:
        yield "shop"
    finally:
        await operator("remove", "shop")


def secret_in(found: Ended) -> str:
    said = re.search(r"^secret, shown only now: (whsec_\S+)$", found.out, re.MULTILINE)
    assert said is not None, found.out
    return said[1]


async def test_a_list_is_narrowed_by_a_part_of_the_name_and_by_the_state(operator: Operator):
    async with endpoint_of(operator):
        await operator.done("pause", "shop")
        assert [each["name"] for each in (await operator.json("list", "--state", "paused"))["data"]] == ["shop"]
        assert [each["name"] for each in (await operator.json("list", "--name", "onfig"))["data"]] == ["configured"]
        nothing = await operator.done("list", "--name", "shop", "--state", "active")
        assert "no endpoint is like that" in nothing.out
    wrong = await operator.refused("list", "--state", "asleep")
    assert any("--state" in line and "active, disabled, paused" in line for line in wrong), wrong


async def test_the_last_failure_is_told_in_words(operator: Operator):
    given = ("--event", "failing.*", "--schedule", "0s")
    async with endpoint_of(operator, *given, url=NOWHERE), desk(operator.running) as asking:
        await asking.done("POST", "/events", {"type": "failing.now", "data": {}})
        while not (await asking.get("/endpoints/shop"))["dead"]:
            pass
        assert re.search(r"last failure +\S+ ago, no connection", (await operator.done("show", "shop")).out)


async def test_an_endpoint_is_added_shown_listed_and_removed(operator: Operator):
    added = await operator.done("add", "shop", operator.url, "--event", "charge.*", "--event", "refund.created")
    assert added.out.startswith("shop is added\n")
    operator.shop.secret = secret_in(added)
    try:
        await operator.done("ping", "shop")
    finally:
        operator.shop.secret = ENDPOINT_SECRET
    shown = await operator.done("show", "shop")
    assert re.search(r"events +charge\.\*, refund\.created", shown.out)
    assert re.search(r"signs with +hmac", shown.out)
    assert re.search(r"url +" + re.escape(operator.url), shown.out)
    [listed] = [each for each in (await operator.json("list"))["data"] if each["name"] == "shop"]
    assert listed["events"] == ["charge.*", "refund.created"]
    assert re.search(r"^ *shop +active +closed +api ", (await operator.done("list")).out, re.MULTILINE)
    assert (await operator.done("remove", "shop")).out == "shop is removed\n"
    assert "shop " not in (await operator.done("list")).out
    assert re.search(r"^ *shop +disabled \(removed\)", (await operator.done("list", "--removed")).out, re.MULTILINE)


async def test_what_was_not_asked_for_is_said_in_words(operator: Operator):
    async with endpoint_of(operator, "--max-in-flight", "2"):
        shown = (await operator.done("show", "shop")).out
        for line in ("sources +all *$", r"events +all but webhookd\.\* *$", r"allowed now +1 \(slow start\) *$"):
            assert re.search(rf"^ *{line}", shown, re.MULTILINE)
    async with endpoint_of(operator, "--max-in-flight", "1"):
        assert re.search(r"allowed now +1 *$", (await operator.done("show", "shop")).out, re.MULTILINE)


async def test_every_setting_has_an_option(operator: Operator, tmp_path: Path):
    assert set(FIELDS.values()) == set(EndpointSettings.__struct_fields__) - {"url", "secret", "old_secrets"}
    (tmp_path / "value").write_text("from a file\n")
    options = {
        "--source": "stripe",
        "--event": "charge.*",
        "--rate-limit": "50/s",
        "--max-in-flight": "3",
        "--ordering": "payment",
        "--signature": "standard",
        "--schedule": "0s, 90s,2h",
        "--timeout": "2500ms",
        "--disable-after": "never",
        "--header": f"X-Key: @{tmp_path}/value",
    }
    given = [each for option in options.items() for each in option]
    async with endpoint_of(operator, *given, "--allow-http", "--ed25519"):
        found = await operator.json("show", "shop")
        assert found["schedule"] == ["0s", "90s", "2h"]
        assert (found["timeout"], found["disable_after"], found["max_in_flight"]) == ("2500ms", "never", 3)
        assert (found["sources"], found["events"], found["rate_limit"]) == (["stripe"], ["charge.*"], "50/s")
        assert (found["ordering"], found["allow_http"], found["headers"]) == ("payment", True, {"X-Key": "********"})
        assert found["secrets"][0]["public_key"] in (await operator.done("show", "shop")).out


async def test_update_changes_what_it_is_given_and_resets_what_it_is_told_to(operator: Operator):
    async with endpoint_of(operator, "--rate-limit", "50/s", "--header", "X-A: 1", "--header", "X-B: 2"):
        before = await operator.json("show", "shop")
        assert (await operator.done("update", "shop", "--timeout", "3s", "--header", "X-A:")).out == "shop is changed\n"
        await operator.done("update", "shop", NOWHERE, "--reset", "rate-limit", "--no-allow-http")
        expected = {**before, "timeout": "3s", "headers": {"X-B": "********"}, "rate_limit": None, "url": NOWHERE}
        assert await operator.json("show", "shop") == expected
        await operator.done("update", "shop", "--reset", "--timeout", "--reset", "header")
        assert await operator.json("show", "shop") == {**expected, "timeout": "15s", "headers": {}}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--rate-limit", "fast"), ("--max-in-flight", "0"), ("--ordering", "fifo"), ("--signature", "none")),
        *(("--schedule", "soon"), ("--timeout", "0s"), ("--disable-after", "0s"), ("--header", "Host: x")),
        *(("--source", "nobody"), ("--event", "[a-z]"), ("--header", "X-Key: env:HOME")),
    ],
)
async def test_what_is_wrong_is_said_by_the_name_of_its_option(operator: Operator, option: str, value: str):
    said = f"{option} {value.partition(':')[0]}" if option == "--header" else option
    [line] = await operator.refused("add", "wrong", NOWHERE, option, value)
    assert line.startswith(f"webhookd: {said}: ")
    async with endpoint_of(operator):
        [line] = await operator.refused("update", "shop", option, value)
        assert line.startswith(f"webhookd: {said}: ")


async def test_all_that_is_wrong_is_said_at_once(operator: Operator):
    lines = await operator.refused("add", "No", "ftp://x", "--timeout", "0s", "--rate-limit", "x")
    assert sorted(line.split(": ")[1] for line in lines) == ["--rate-limit", "--timeout", "NAME", "URL"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "shop"],
        ["add", "shop", NOWHERE, "--header", "no colon"],
        ["add", "shop", NOWHERE, "--header", "X-Key: @/nowhere"],
        ["add", "shop", NOWHERE, "--ca", "/nowhere"],
        ["add", "shop", NOWHERE, "--secret-file", "/nowhere"],
        ["add", "shop", NOWHERE, "--ed25519", "--ask-secret"],
        ["add", "shop", NOWHERE, "--secret", ENDPOINT_SECRET],
        ["update", "configured"],
        ["update", "configured", "--reset", "name"],
        ["update", "configured", "--max-in-flight", "4", "--reset", "max-in-flight"],
        ["rotate-secret", "configured", "--timeout", "5s"],
        ["pause"],
    ],
    ids=" ".join,
)
async def test_wrong_usage_is_exit_2_and_asks_no_daemon(arguments: list[str], tmp_path: Path):
    found = await ask("endpoints", *arguments, "--data-dir", tmp_path)  # where no daemon has ever been
    assert (found.code, found.out) == (2, "")
    assert ENDPOINT_SECRET not in found.err


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["update", "--timeout", "5s"], ["pause"], ["resume"], ["remove"], ["rotate-secret"], ["ping"]],
)
async def test_an_endpoint_that_is_not_there_is_exit_1(operator: Operator, arguments: list[str]):
    verb, *rest = arguments
    assert await operator.refused(verb, "nobody", *rest, code=1) == ['webhookd: There is no endpoint "nobody".']


@pytest.mark.parametrize("verb", [["update", "--timeout", "5s"], ["remove"], ["rotate-secret"]])
async def test_what_the_configuration_manages_is_left_to_it(operator: Operator, verb: list[str]):
    [line] = await operator.refused(verb[0], "configured", *verb[1:], code=1)
    assert "configuration" in line


async def test_a_name_that_is_taken_is_exit_1(operator: Operator):
    [line] = await operator.refused("add", "configured", NOWHERE, code=1)
    assert "configured already" in line


# --- Secrets


async def test_a_secret_comes_from_a_file_and_is_not_said_again(operator: Operator, tmp_path: Path):
    (tmp_path / "secret").write_text(ENDPOINT_SECRET + "\n")
    added = await operator.done("add", "shop", operator.url, "--secret-file", tmp_path / "secret")
    try:
        assert added.out == "shop is added\n"
        assert (await operator.done("ping", "shop")).out.startswith("shop: 200 (succeeded) in ")
    finally:
        await operator("remove", "shop")


async def test_a_secret_is_replaced_with_an_overlap(operator: Operator):
    async with endpoint_of(operator):
        rotated = await operator.done("rotate-secret", "shop")
        assert re.match(r"shop signs with a new secret; with the one before, too, until 20\S+Z\n", rotated.out)
        assert secret_in(rotated)
        assert re.search(r"signs with +hmac, until ", (await operator.done("show", "shop")).out)
        public = await operator.done("rotate-secret", "shop", "--ed25519", "--overlap", "0s")
        assert re.search(r"^public key, for the merchant: whpk_\S+$", public.out, re.MULTILINE)
        assert public.out.startswith("shop signs with a new secret\n")
        assert "whsk_" not in public.out
        [line] = await operator.refused("rotate-secret", "shop", "--overlap", "a day")
        assert line.startswith("webhookd: --overlap: ")


async def test_a_secret_that_signs_no_events_is_not_said_to_sign_them(operator: Operator):
    added = await operator.done("add", "shop", operator.url, "--signature", "provider", "--source", "stripe")
    operator.shop.secret = secret_in(added)
    try:
        rotated = await operator.done("rotate-secret", "shop")
        for said in (added, rotated):
            assert said.out.splitlines()[-1].startswith("it signs only webhookd's own events and pings; events are ")
        shown = (await operator.done("show", "shop")).out
        assert re.search(r"signs with +the source's secret", shown)
        assert re.search(r"signs webhookd's own with +hmac", shown)
        assert "checks only the provider's signature" in (await operator.done("ping", "shop")).out
    finally:
        operator.shop.secret = ENDPOINT_SECRET
        await operator("remove", "shop")
    async with endpoint_of(operator):
        assert "provider's" not in (await operator("ping", "shop")).out


async def test_no_command_shows_what_a_header_holds(operator: Operator):
    async with endpoint_of(operator, "--header", f"X-Key: {CANARY}"):
        for verb in (["list"], ["show", "shop"], ["pause", "shop"], ["update", "shop", "--timeout", "5s"]):
            for form in ([], ["--json"]):
                found = await operator.done(*verb, *form)
                assert CANARY not in found.out + found.err


# --- Ping


async def test_a_ping_that_is_not_answered_well_is_exit_1(operator: Operator):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with endpoint_of(operator, url=f"http://127.0.0.1:{taken.getsockname()[1]}/"):
            found = await operator("ping", "shop")
            assert (found.code, found.err) == (1, "")
            assert found.out.startswith("shop: no answer (connect) in ")
            assert (await operator("ping", "shop", "--json")).json["error"] == "connect"


async def test_what_a_merchant_answers_cannot_drive_the_terminal(operator: Operator):
    operator.shop.answer, operator.shop.text = lambda _got: 503, b"\x1b]0;title\x07[red]closed"
    (operator.data_dir / "secret").write_text(ENDPOINT_SECRET)
    try:
        async with endpoint_of(operator, "--secret-file", operator.data_dir / "secret"):
            found = await operator("ping", "shop")
    finally:
        operator.shop.answer, operator.shop.text = lambda _got: 200, b""
    assert found.code == 1
    assert found.out.startswith("shop: 503 (status) in ")
    assert "\\x1b]0;title\\x07[red]closed" in found.out
    assert "\x1b" not in found.out


async def test_fields_that_no_option_fills_keep_their_name():
    assert option_of("headers.X-Key") == "--header X-Key"
    assert option_of("schedule[3]") == "--schedule"
    assert option_of("max_inflight") == "max_inflight"
