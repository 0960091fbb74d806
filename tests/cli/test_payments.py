"""`payments`, `revenue` and `ledger list`: what they show, what they wait for, and how they end."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.dev_daemon import dev_daemon
from tests.running import PATIENCE_S
from tests.shell import ROOT, Shell
from tests.shop import CREATED, Shop
from webhookd.cli.amounts import money_text

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    async with dev_daemon(tmp_path_factory.mktemp("payments")) as dev:
        yield Shell(dev, tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture
def shop(shell: Shell, request: pytest.FixtureRequest) -> Shop:
    return Shop(shell.dev, f"{abs(hash(request.node.name)):x}")


@pytest.mark.parametrize(
    ("amount", "currency", "exponent", "text"),
    [
        (1050, "USD", 2, "10.50 USD"),
        (5, "USD", 2, "0.05 USD"),
        (0, "USD", 2, "0.00 USD"),
        (-1050, "USD", 2, "-10.50 USD"),
        (1050, "JPY", 0, "1050 JPY"),
        (1050, "KWD", 3, "1.050 KWD"),
        (10**40 + 1, "EUR", 2, f"1{'0' * 38}.01 EUR"),
        (1050, "XTQ", None, "1050 smallest units of XTQ"),
        (1050, None, None, "1050 smallest units"),
        (None, "USD", 2, "– USD"),
        (None, None, None, "–"),
    ],
)
async def test_an_amount_is_written_with_its_point_or_said_to_be_without(
    amount: int | None, currency: str | None, exponent: int | None, text: str
) -> None:
    assert money_text({"amount": amount, "currency": currency, "exponent": exponent}) == text


# --- Payments


async def test_payments_are_listed_as_the_api_has_them_and_for_people_in_major_units(shell: Shell, shop: Shop) -> None:
    await shop.intent("pi_listed_1", metadata={"order_id": "list 1"})
    await shop.intent("pi_listed_2", metadata={"order_id": "list 1"}, currency="xtq")
    await shop.refund("re_listed", "pi_listed_1")
    found = await shell.process("payments", "list", "--reference", "list 1", "--json")
    assert found.code == 0
    assert found.json == await shell.dev.get("/api/v1/payments", reference="list 1")
    for_people = (await shell.process("payments", "list", "--reference", "list 1")).out
    second, first = (line for line in for_people.splitlines() if "pi_listed" in line)
    for part in ("pi_listed_1", "stripe", "partially_refunded", "10.50 USD", "2.50 USD", "list 1"):
        assert part in first
    for part in ("pi_listed_2", "captured", "1050 smallest units of XTQ"):
        assert part in second


async def test_payments_can_be_narrowed(shell: Shell, shop: Shop) -> None:
    await shop.intent("pi_narrowed", "canceled", metadata={"order_id": "narrow 1"})

    async def ids(*narrowed: str) -> list[str]:
        found = await shell.done("payments", "list", "--reference", "narrow 1", *narrowed, "--json")
        return [each["id"] for each in found.json["data"]]

    for narrowed in ("--status cancelled", "--provider stripe", "--since 1h", "--limit 1"):
        assert await ids(*narrowed.split()) == ["pi_narrowed"], narrowed
    for narrowed in ("--status captured", "--provider paypal", "--until 1h"):
        assert await ids(*narrowed.split()) == [], narrowed
    assert (await shell.done("payments", "list", "--reference", "no such")).out == "no payments\n"


async def test_one_payment_is_shown(shell: Shell, shop: Shop) -> None:
    event = await shop.intent("pi_shown", "requires_capture", metadata={"order_id": "show 1"})
    found = await shell.process("payments", "show", "stripe", "pi_shown", "--json")
    assert (found.code, found.json) == (0, await shell.dev.get("/api/v1/payments/stripe/pi_shown"))
    text = (await shell.process("payments", "show", "stripe", "pi_shown")).out
    for part in ("pi_shown", "authorized, not settled", "requires_capture", "10.50 USD", "show 1", event):
        assert part in text


@pytest.mark.parametrize("payment", ["pi/a?b#c%2Fd", "pi {e}", "pi_é€", "[bold]pi[/bold]", "[/oops]"])
async def test_an_id_of_any_characters_is_found_and_shown_as_it_is(shell: Shell, shop: Shop, payment: str) -> None:
    await shop.intent(payment, metadata={"order_id": "odd id"})
    for verb in ("show", "wait"):
        found = await shell.done("payments", verb, "stripe", payment)
        assert payment in found.out
    assert payment in (await shell.done("payments", "list", "--reference", payment)).out


@pytest.mark.parametrize("payment", [("stripe", "pi_nobody"), ("nobody", "pi_1"), ("stripe", "../../status")])
async def test_a_payment_that_nobody_spoke_of_is_exit_1(shell: Shell, payment: tuple[str, str]) -> None:
    found = await shell("payments", "show", *payment, "--json")
    assert (found.code, found.out) == (1, "")
    assert "There is nothing with this name or id" in found.err


# --- Waiting


class Terminal:
    """What a verb says there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._said, self._more = descriptor, b"", asyncio.Event()
        self._over = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            self._said += os.read(self._descriptor, 65536)
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._over.set()
        self._more.set()

    async def says(self, words: str) -> None:
        while words.encode() not in self._said:
            self._more.clear()
            await self._more.wait()

    async def all_said(self) -> bytes:
        await self._over.wait()
        return self._said

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


@asynccontextmanager
async def at_a_terminal(shell: Shell, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Terminal]]:
    """A verb whose messages go to a terminal."""
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "webhookd", *arguments, "--data-dir", str(shell.dev.data_dir)),
        cwd=shell.cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    terminal = Terminal(ours)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield process, terminal
    finally:
        terminal.close()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_who_waits_at_a_terminal_sees_so_and_goes_on_the_moment_the_payment_settles(
    shell: Shell, shop: Shop
) -> None:
    await shop.intent("pi_waited", "processing")
    arguments = ("payments", "wait", "stripe", "pi_waited", "--timeout", "10m", "--json")
    async with at_a_terminal(shell, *arguments) as (process, terminal):
        await terminal.says("waiting for pi_waited")
        await shop.intent("pi_waited")
        assert process.stdout is not None
        found = json.loads(await process.stdout.read())
        assert await process.wait() == 0
    assert found == await shell.dev.get("/api/v1/payments/stripe/pi_waited")
    assert found["status"] == "captured"


async def test_a_payment_that_is_not_heard_of_yet_is_waited_for(shell: Shell, shop: Shop) -> None:
    async with at_a_terminal(shell, "payments", "wait", "stripe", "pi_to_come") as (process, terminal):
        await terminal.says("waiting for pi_to_come")
        await shop.intent("pi_to_come", "canceled")
        assert process.stdout is not None
        assert b"cancelled" in await process.stdout.read()
        assert await process.wait() == 1


async def test_nothing_is_said_of_waiting_where_there_is_no_terminal(shell: Shell, shop: Shop) -> None:
    await shop.intent("pi_quiet")
    found = await shell.process("payments", "wait", "stripe", "pi_quiet")
    assert (found.code, found.err) == (0, "")
    assert "captured" in found.out


@pytest.mark.parametrize(("state", "said"), [("canceled", "cancelled"), ("requires_payment_method", None)])
async def test_what_is_settled_without_money_is_exit_1_so_that_nothing_is_shipped(
    shell: Shell, shop: Shop, state: str, said: str | None
) -> None:
    await shop.intent(f"pi_{state}", state)
    found = await shell.process("payments", "wait", "stripe", f"pi_{state}", "--timeout", "100ms")
    assert found.code == 1
    expected = f"is settled, and not captured: {said}" if said else "is pending after 100ms"
    assert found.err == f"webhookd: pi_{state} {expected}\n"


async def test_a_time_that_is_over_is_exit_1_and_shows_the_payment_as_it_is(shell: Shell, shop: Shop) -> None:
    await shop.intent("pi_over", "processing")
    found = await shell.process("payments", "wait", "stripe", "pi_over", "--timeout", "200ms", "--json")
    assert (found.code, found.json) == (1, await shell.dev.get("/api/v1/payments/stripe/pi_over"))
    assert found.err == "webhookd: pi_over is pending after 200ms\n"
    assert "pending, not settled" in (await shell("payments", "wait", "stripe", "pi_over", "--timeout", "0s")).out


async def test_a_time_that_is_over_for_what_nobody_spoke_of_is_exit_1(shell: Shell) -> None:
    found = await shell.process("payments", "wait", "stripe", "pi_never", "--timeout", "200ms", "--json")
    assert (found.code, found.out) == (1, "")
    assert found.err == "webhookd: no event spoke of pi_never within 200ms\n"
    assert (await shell("payments", "wait", "nobody", "pi_never", "--timeout", "1ms")).code == 1


async def test_who_waits_for_longer_than_one_request_may_asks_again(
    shell: Shell, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookd.cli.payments.ASKED_MS", 50)
    monkeypatch.setattr("webhookd.cli.payments.PAUSE_S", 0)
    waiting = asyncio.create_task(shell("payments", "wait", "stripe", "pi_longer", "--timeout", "1h"))
    path = "/api/v1/payments/stripe/pi_longer"
    await shop.intent("pi_longer", "processing")
    for _ in range(3):
        assert (await shell.dev.get(path, wait="50ms"))["settled"] is False
    assert not waiting.done()
    await shop.intent("pi_longer")
    async with asyncio.timeout(PATIENCE_S):
        assert (await waiting).code == 0


async def test_a_daemon_that_stops_while_somebody_waits_is_exit_69(tmp_path: Path) -> None:
    async with dev_daemon(tmp_path) as dev:
        await Shop(dev, "stops").intent("pi_1", "processing")
        verb = "payments", "wait", "stripe", "pi_1"
        async with at_a_terminal(Shell(dev, tmp_path), *verb) as (process, terminal):
            await terminal.says("waiting for pi_1")
            assert await dev.running.stop() == 0
            # That it stops, or that nobody is there any more: it depends on when the verb asks again.
            assert await process.wait() == 69


# --- Revenue and the rest of the ledger


async def test_the_revenue_is_whole_numbers_for_programs_and_major_units_for_people(tmp_path: Path) -> None:
    async with dev_daemon(tmp_path) as dev:
        shell, shop = Shell(dev, tmp_path), Shop(dev, "revenue")
        assert (await shell.done("revenue")).out == "no revenue\n"
        await shop.intent("pi_1")
        await shop.intent("pi_2", at=CREATED + 86_400, currency="jpy")
        await shop.intent("pi_3", at=CREATED + 86_400, currency="xtq")
        await shop.refund("re_1", "pi_1")
        found = await shell.process("revenue", "--json")
        assert (found.code, found.json["data"]) == (0, (await dev.get("/api/v1/revenue"))["data"])
        rows = {row["currency"]: row for row in found.json["data"]}
        assert (rows["USD"]["gross"], rows["USD"]["refunded"], rows["USD"]["net"]) == (1050, 250, 800)

        async def lines(*narrowed: str) -> list[list[str]]:
            printed = (await shell.done("revenue", *narrowed)).out.splitlines()
            return [line.split() for line in printed if any(code in line for code in ("USD", "JPY", "XTQ"))]

        jpy, usd, xtq = await lines()
        assert " ".join(usd) == "10.50 USD 2.50 USD 8.00 USD 0.00 USD –"
        assert " ".join(jpy) == "1050 JPY 0 JPY 1050 JPY 0 JPY –"
        assert " ".join(xtq).startswith("1050 smallest units of XTQ 0 smallest units of XTQ")
        assert [line[0] for line in await lines("--by", "day")] == ["2025-11-21", "2025-11-22", "2025-11-22"]
        assert [line[0] for line in await lines("--by", "month")] == ["2025-11"] * 3
        assert [line[0] for line in await lines("--by", "provider")] == ["stripe"] * 3
        assert await lines("--currency", "jpy") == [jpy]
        assert await lines("--since", "2025-11-21", "--until", "2025-11-22") == [usd]
        assert await lines("--since", "2025-11-22T00:00:00Z") == [jpy, xtq]
        assert await lines("--since", "1h") == []
        assert await lines("--provider", "paypal") == []


async def test_what_is_no_payment_is_listed_by_its_kind(shell: Shell, shop: Shop) -> None:
    await shop.refund("re_kind", "pi_kind", metadata={"order_id": "kind 1"})
    found = await shell.process("ledger", "list", "refunds", "--payment", "pi_kind", "--json")
    assert (found.code, found.json) == (0, await shell.dev.get("/api/v1/refunds", payment="pi_kind"))
    text = (await shell.process("ledger", "list", "refunds", "--payment", "pi_kind")).out
    for part in ("re_kind", "succeeded", "2.50 USD", "pi_kind", "kind 1"):
        assert part in text

    async def ids(*narrowed: str) -> list[str]:
        listed = await shell.done("ledger", "list", "refunds", "--reference", "kind 1", *narrowed, "--json")
        return [each["id"] for each in listed.json["data"]]

    assert await ids("--status", "succeeded", "--provider", "stripe", "--since", "1h", "--limit", "5") == ["re_kind"]
    assert await ids("--status", "failed") == []
    assert await ids("--provider", "paypal") == []
    assert (await shell.done("ledger", "list", "downtimes")).out == "no downtimes\n"


async def test_a_kind_that_there_is_not_is_answered_with_those_there_are(shell: Shell) -> None:
    found = await shell("ledger", "list", "refund")
    assert found.code == 2
    assert "fund-accounts" in found.err
