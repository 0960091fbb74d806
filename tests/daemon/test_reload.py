"""The configuration read again while running: one time after the other, all or nothing, and whoever asked is told."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.admin.desk import desk
from tests.fake_clock import FakeClock
from tests.running import PATIENCE_S, STRIPE_SECRET, configuration, daemon, endpoint
from webhookd import reloader
from webhookd.admin.door.reasons import BusyError, ConflictError, MistakesError
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config
from webhookd.config.reader import from_table
from webhookd.providers.provider import Provider
from webhookd.reloader import Reloader
from webhookd.store.protocol.errors import StoreUnavailableError

NEW_SOURCE = f'[sources.new]\nprovider = "stripe"\nsecrets = ["{STRIPE_SECRET}"]\n'
OTHER_SOURCE = f'[sources.stripe]\nprovider = "stripe"\nsecrets = ["{STRIPE_SECRET}x"]\n'


async def test_a_reload_is_answered_once_it_holds_and_says_what_it_changed(tmp_path: Path):
    before = configuration(endpoints=endpoint("shop", 9999) + endpoint("old", 9999))
    async with daemon(tmp_path, before) as running, desk(running) as ask:
        now = configuration(
            sources=NEW_SOURCE + OTHER_SOURCE,
            endpoints=endpoint("shop", 9998) + endpoint("added", 9999, sources=["new"]),
            server='max_body = "2MiB"',
        )
        (tmp_path / "webhookd.toml").write_text(now)
        assert await ask.done("POST", "/reload") == {
            "sources": {"total": 2, "added": ["new"], "removed": ["standard"], "changed": ["stripe"]},
            "endpoints": {"total": 2, "added": ["added"], "removed": ["old"], "changed": ["shop"]},
            "restart_needed": ["server.max_body"],
        }
        assert {each["name"] for each in (await ask.get("/endpoints"))["data"]} == {"shop", "added"}
        again = await ask.done("POST", "/reload")
        assert again["sources"] == {"total": 2, "added": [], "removed": [], "changed": []}
        assert again["restart_needed"] == ["server.max_body"], "as long as it is not in force"


@pytest.mark.fault(42)
async def test_a_configuration_with_mistakes_is_422_with_all_of_them_and_changes_nothing(tmp_path: Path):
    async with daemon(tmp_path, configuration(endpoints=endpoint("shop", 9999))) as running, desk(running) as ask:
        wrong = configuration() + "\n[sources.bad]\nprovidr = 1\n[endpoints.worse]\nurl = 7\n"
        (tmp_path / "webhookd.toml").write_text(wrong)
        refused = await ask.ask("POST", "/reload")
        assert refused.status == 422
        reasons = " ".join(each["reason"] for each in refused.json["errors"])
        assert "sources.bad.providr" in reasons
        assert "endpoints.worse.url" in reasons
        assert [each["name"] for each in (await ask.get("/endpoints"))["data"]] == ["shop"]
        (tmp_path / "webhookd.toml").unlink()
        gone = await ask.ask("POST", "/reload", gone="1")
        assert gone.status == 422


# --- Without a daemon: two at once, and a disk that hangs


class Desk:
    """Reads and applies configurations when the test says so."""

    def __init__(self) -> None:
        self.config = from_table({}, "webhookd.toml")
        self.may_load = threading.Event()
        self.may_load.set()
        self.loads = 0
        self.failures: list[Exception] = []
        self.applied: list[Config] = []
        self.why: str | None = None
        self.reloader = Reloader(self.config, self.load, self.apply, FakeClock(), lambda: self.why)

    def load(self) -> Config:
        self.loads += 1
        self.may_load.wait(PATIENCE_S)
        if self.failures:
            raise self.failures.pop()
        return self.config

    async def apply(self, config: Config, _providers: Mapping[str, Provider]) -> None:
        await asyncio.sleep(0)
        self.applied.append(config)

    async def in_turn(self) -> None:
        """A reload once the one under way, if there is one, is through."""
        while True:
            try:
                await self.reloader.reload()
            except ConflictError:
                await asyncio.sleep(0)
            else:
                return

    async def until(self, done: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                await asyncio.sleep(0)


async def test_of_two_reloads_at_once_the_second_is_refused_and_both_ends_are_told():
    books = Desk()
    books.may_load.clear()
    first = asyncio.create_task(books.reloader.reload())
    await books.until(lambda: books.loads == 1)
    with pytest.raises(ConflictError):
        await books.reloader.reload()
    books.may_load.set()
    assert (await first).sources.total == 0
    await books.reloader.reload()
    assert len(books.applied) == 2


@pytest.mark.fault(42)
async def test_signals_during_a_reload_are_one_more_reload_after_it():
    books = Desk()
    books.may_load.clear()
    books.reloader.on_signal()
    await books.until(lambda: books.loads == 1)
    books.reloader.on_signal()
    books.reloader.on_signal()
    books.may_load.set()
    await books.until(lambda: len(books.applied) == 2)
    await books.in_turn()
    assert (books.loads, len(books.applied)) == (3, 3)


@pytest.mark.fault(42)
async def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_who_asks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reloader, "ANSWER_S_MAX", 0.01)
    books = Desk()
    books.may_load.clear()
    with pytest.raises(BusyError, match="goes on"):
        await books.reloader.reload()
    with pytest.raises(ConflictError):
        await books.reloader.reload()
    books.may_load.set()
    await books.until(lambda: books.applied)


async def test_a_daemon_that_stops_waits_for_no_reload():
    books = Desk()
    books.may_load.clear()
    asking = asyncio.create_task(books.reloader.reload())
    await books.until(lambda: books.loads == 1)
    books.reloader.on_signal()
    books.reloader.close()
    await books.until(asking.done)
    books.may_load.set()
    books.why = "This process is stopping."
    with pytest.raises(BusyError, match="stopping"):
        await books.reloader.reload()
    books.reloader.on_signal()
    assert (asking.cancelled(), books.loads, books.applied) == (True, 1, [])


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ConfigError(["webhookd.toml: sources.x: wrong", "webhookd.toml: y: wrong too"]), MistakesError),
        (StoreUnavailableError("full"), BusyError),
        (OSError("nobody foresaw this"), OSError),
    ],
)
async def test_a_reload_that_fails_says_so_and_the_next_one_is_made(failure: Exception, told: type[Exception]):
    books = Desk()
    books.failures = [failure]
    with pytest.raises(told) as found:
        await books.reloader.reload()
    if isinstance(found.value, MistakesError):
        assert [each.reason for each in found.value.mistakes] == failure.mistakes  # type: ignore[attr-defined]
    assert books.applied == []
    assert (await books.reloader.reload()).restart_needed == []
