"""`webhookd tokens` and `webhookd audit`; and what a verb says when the daemon does not let it in."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.running import RunningDaemon, configuration, daemon
from tests.shell import Ended, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Operator:
    def __init__(self, running: RunningDaemon, directory: Path) -> None:
        self.running, self.directory = running, directory

    async def __call__(self, *arguments: str | Path) -> Ended:
        return await ask(*arguments, "--data-dir", self.running.directory / "data")

    async def done(self, *arguments: str | Path) -> str:
        found = await self(*arguments)
        assert (found.code, found.err) == (0, ""), found.err
        return found.out

    async def json(self, *arguments: str | Path) -> Any:
        found = await self(*arguments, "--json")
        assert (found.code, found.err) == (0, ""), found.err
        return found.json

    async def token_file(self, name: str, scope: str) -> Path:
        path = self.directory / name
        path.write_text((await self.json("tokens", "add", name, "--scope", scope))["token"])
        return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    directory = tmp_path_factory.mktemp("access")
    async with daemon(directory, configuration()) as running:
        yield Operator(running, directory)


async def test_a_token_is_shown_once_listed_without_it_and_removed(operator: Operator):
    assert "no tokens but the one in the data directory" in await operator.done("tokens", "list")
    added = await operator.done("tokens", "add", "grafana", "--scope", "read", "--expires-in", "90d")
    assert "grafana is good for read until 20" in added
    [token] = [line.rpartition(" ")[2] for line in added.splitlines() if "shown only now" in line]
    assert token.startswith("whd_")
    listed = await operator.done("tokens", "list")
    assert "grafana" in listed
    assert token not in listed
    [one] = (await operator.json("tokens", "list"))["data"]
    assert (one["name"], one["scope"], one["used_at"]) == ("grafana", "read", None)
    assert "grafana is removed; it was never used" in await operator.done("tokens", "remove", "grafana")
    assert (await operator.json("tokens", "list"))["data"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x",), "--scope"),
        (("x", "--scope", "root"), "--scope: must be one of"),
        (("-", "--scope", "read"), "NAME"),
        (("x", "--scope", "read", "--expires-in", "soon"), "--expires-in"),
        (("x", "--scope", "read", "--expires-in", "1s"), "--expires-in: must be at least 1m"),
    ],
)
async def test_what_is_wrong_with_a_new_token_is_said_by_option(
    operator: Operator, arguments: tuple[str, ...], said: str
):
    found = await operator("tokens", "add", *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


async def test_a_name_that_is_taken_or_not_there_is_said(operator: Operator):
    await operator.done("tokens", "add", "twice", "--scope", "read")
    for arguments, said in (
        (("add", "twice", "--scope", "read"), "There is a token twice already."),
        (("remove", "nobody"), 'There is no token "nobody".'),
    ):
        found = await operator("tokens", *arguments)
        assert found.code == 1
        assert said in found.err


async def test_a_token_of_too_small_a_scope_is_wrong_usage_and_names_the_one_that_is_needed(operator: Operator):
    reader = await operator.token_file("reader", "read")
    assert (await operator("status", "--token-file", reader)).code == 0
    found = await operator("tokens", "list", "--token-file", reader)
    assert (found.code, found.out) == (2, "")
    assert 'The token "reader" is good for read, and this needs one for admin.' in found.err
    assert str(reader) in found.err


async def test_a_wrong_token_cannot_reach_the_daemon_and_is_not_shown(operator: Operator):
    wrong = operator.directory / "wrong"
    wrong.write_text("whd_canary")
    said = []
    for _ in range(6):
        found = await operator("status", "--token-file", wrong)
        assert (found.code, found.out) == (69, "")
        assert f"does not know the token in {wrong}" in found.err
        assert "canary" not in found.err
        said.append("a right one is let in at any time" in found.err)
    assert said == [False] * 5 + [True]
    assert (await operator("status")).code == 0


async def test_a_name_that_the_daemon_does_not_answer_to_is_said_with_what_to_do(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    port = operator.running.admin.rpartition(":")[2]
    look_up = socket.getaddrinfo
    monkeypatch.setattr("socket.getaddrinfo", lambda host, *more: look_up("127.0.0.1", *more))
    found = await operator("status", "--url", f"http://admin.example:{port}")
    assert (found.code, found.out) == (69, "")
    assert f"http://admin.example:{port}" in found.err
    assert "server.admin_hosts" in found.err


async def test_the_trail_is_listed_and_narrowed(operator: Operator):
    await operator.done("tokens", "add", "traced", "--scope", "read", "--expires-in", "2h")
    await operator.done("tokens", "remove", "traced")
    listed = await operator.done("audit", "list", "--subject", "traced")
    first, second = [line for line in listed.splitlines() if "admin.token" in line]
    assert "token.remove" in first
    assert "name=traced, scope=read, expires_in=2h" in second
    found = await operator.json("audit", "list", "--action", "token.*", "--subject", "traced", "--since", "1h")
    assert [each["action"] for each in found["data"]] == ["token.remove", "token.add"]
    assert "nothing was changed" in await operator.done("audit", "list", "--actor", "nobody")
    assert len((await operator.json("audit", "list", "--limit", "1"))["data"]) == 1


@pytest.mark.parametrize("verb", ["tokens list", "tokens add", "tokens remove", "audit list"])
async def test_help_teaches_with_an_example(verb: str):
    found = await ask(*verb.split(), "--help")
    assert found.code == 0
    assert f"webhookd {verb}" in found.out
