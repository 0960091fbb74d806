"""`webhookd cleanup`, as an operator types it, against one daemon in dev mode."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.dev_daemon import dev_daemon, stripe_event
from tests.shell import Shell, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    async with dev_daemon(tmp_path_factory.mktemp("dev")) as dev:
        yield Shell(dev, tmp_path_factory.mktemp("elsewhere"))


async def test_before_there_was_one_it_says_so(shell: Shell):
    assert (await shell.done("cleanup", "--watch")).out == "there was no cleanup since the daemon started\n"


async def test_a_dry_run_counts_and_the_real_one_takes_the_same_out(shell: Shell):
    sent = [await shell.dev.send(stripe_event(number)) for number in range(3)]
    for each in sent:
        await shell.dev.delivered(each)
    counted = (await shell.done("cleanup", "--days", "0", "--dry-run", "--json")).json
    assert (counted["state"], counted["dry_run"], counted["gone"]["events"]) == ("done", True, 3)
    assert (await shell.done("cleanup", "--days", "1")).out.startswith("nothing went\nfinished before ")
    found = await shell.done("cleanup", "--days", "0", "--provider", "stripe")
    head, line, *_ = [each.split() for each in found.out.splitlines() if each.strip() and "─" not in each]
    assert head == ["provider", "events", "deliveries", "attempts", "bytes"]
    assert line == ["stripe", "3", "3", "3", str(counted["gone"]["bytes"])]
    assert (await shell.dev.get("/api/v1/events"))["data"] == []
    again = (await shell.done("cleanup", "--watch", "--json")).json
    assert (again["state"], again["gone"]) == ("done", counted["gone"])
    shown = await shell("events", "show", sent[0])
    assert (shown.code, shown.out) == (1, "")
    assert "taken out of the log by retention at" in shown.err
    cancelled = await shell("cleanup", "--cancel", "--json")
    assert (cancelled.code, cancelled.json["state"]) == (0, "done")
    assert "no cleanup is under way" in cancelled.err


async def test_it_can_be_run_from_a_shell(shell: Shell):
    found = await shell.process("cleanup", "--days", "0", "--dry-run")
    assert (found.code, found.out.splitlines()[0]) == (0, "nothing would go")
    assert found.out.rstrip().endswith("nothing was changed")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say how old what goes must be"),
        (("--dry-run",), "say how old what goes must be"),
        (("--days", "3", "--watch"), "which stand alone"),
        (("--cancel", "--watch"), "which stand alone"),
        (("--days", "-1"), "--days"),
        (("--days", "999999"), "--days"),
        (("--days", "1", "--provider", "nobody"), "--provider"),
    ],
)
async def test_wrong_usage_is_told_in_the_words_of_the_command_line(
    shell: Shell, arguments: tuple[str, ...], said: str
):
    found = await shell("cleanup", *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


async def test_without_a_daemon_it_says_that(tmp_path: Path):
    found = await ask("cleanup", "--days", "1", "--data-dir", tmp_path)
    assert found.code == 69
