"""The daemon with all that is around it: its provider, its merchants, the lines between, and its lives one by one."""

import asyncio
import json
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.faults.jepsen.history import History
from tests.faults.jepsen.merchants import Merchants
from tests.faults.jepsen.nemesis import NEEDS
from tests.faults.jepsen.provider import CARD_NUMBER, Provider
from tests.faults.jepsen.settings import LATECOMER, NAMES, Settings
from tests.faults.jepsen.surroundings import Ballast, Clock, missing, small_disk
from tests.faults.proxy import Proxy
from tests.running import PATIENCE_S, RunningDaemon
from webhookd.store.sqlite.driver import driver

SOUND_BYTES_MAX = 256 * 2**20
"""Of a database that is looked through after each crash; a larger one only at the end."""


class Load(NamedTuple):
    rate: float
    """New hooks a second."""
    money_one_in: int = 2
    """What was said of money stays in the ledger for good: a run that judges the file says little of it."""
    retention: str = ""
    """What stands under [retention]; the default keeps all of the run."""


class World:
    def __init__(self, directory: Path, seed: int, load: Load, sabotage: str | None) -> None:
        self.directory = directory
        self.history = History(directory / "history.db")
        self.hooks = Proxy()
        self.lines = {name: Proxy() for name in (*NAMES, LATECOMER)}
        self.settings = Settings(random.Random(f"{seed}:settings"), self.lines, load.retention)
        self.merchants = Merchants(random.Random(f"{seed}:merchants"), self.history)
        self.clock = Clock(directory / "clock", self.history)
        self.life = 0
        self.is_up = False
        """From when it has said that it is ready until it is known to have ended."""
        self._load = load
        self._sabotage = sabotage
        self._seed = seed
        self._has_ended = True
        self.began_at = 0.0
        """Of this life."""
        self.ballast = Ballast(directory / "data" / "ballast")

    @property
    def database(self) -> Path:
        return self.directory / "data" / "webhookd.db"

    async def start(self) -> None:
        """All but the daemon."""
        await self.merchants.start()
        for line in self.lines.values():
            line.upstream = ("127.0.0.1", self.merchants.port)
            await line.start()
        await self.hooks.start()
        url = f"http://127.0.0.1:{self.hooks.port}/webhooks/stripe"
        dice = random.Random(f"{self._seed}:provider")
        self.provider = Provider(dice, self.history, url, self._load.rate, self._load.money_one_in)
        self.write_settings()
        self.now_signs()

    async def stop(self) -> None:
        """However the run ended."""
        if not self._has_ended:
            if not self.running.has_ended:
                self.running.send_signal(signal.SIGCONT)
            await self.running.kill()
        for line in (self.hooks, *self.lines.values()):
            await line.stop()
        await self.merchants.stop()
        self.history.close()

    def found(self, invariant: str, what: str) -> None:
        """A promise was broken."""
        self.history.note("finding", invariant, what)

    # --- Settings

    def write_settings(self) -> None:
        self.merchants.secrets = self.settings.of_endpoints
        (self.directory / "webhookd.toml").write_text(self.settings.text())

    def now_signs(self) -> None:
        """The daemon knows the secret by now."""
        self.provider.secret = self.settings.of_provider[0]

    # --- Lives

    async def begin(self) -> None:
        command = [sys.executable, "-m", "tests.faults.jepsen.daemon", "--clock", str(self.clock.file)]
        command += [] if self._sabotage is None else ["--sabotage", self._sabotage]
        self.running = RunningDaemon(self.directory, [*command, "serve"], {})
        self.life += 1
        self.merchants.life = self.life
        self.merchants.taken_in_life = 0
        self.began_at = self.history.now()
        self._has_ended = False
        await self.running.start()
        self.is_up = True
        self.hooks.upstream = ("127.0.0.1", self.running.port)

    async def ended(self, wanted: str | None, code: int) -> None:
        """Wait for its end, which should be with this code, and look at what it leaves."""
        try:
            found = await self.running.ended()
        except TimeoutError:
            self.found("I12", f"life {self.life}, {wanted}: did not end in {PATIENCE_S:g} s: {self.running.log[-3:]}")
            await self.running.kill()
            found = code
        self.is_up, self._has_ended = False, True
        self.history.note("life", self.life, self.began_at, self.history.now(), found, wanted)
        if found != code:
            self.found("I12", f"life {self.life}, {wanted}: ended with {found}, not {code}: {self.running.log[-3:]}")
        self.look_for_secrets("log", *(json.dumps(line, ensure_ascii=False) for line in self.running.log))
        if wanted != "stop" and self.database.stat().st_size < SOUND_BYTES_MAX:
            for line in await asyncio.to_thread(self._look_through):
                self.found("I14", f"after life {self.life}: {line}")

    async def goes_on(self) -> None:
        """If it has ended though nobody wanted that, say so, and start it again."""
        if self.running.has_ended:
            await self.ended(None, 0)
            self.found("I12", f"life {self.life} ended by itself: {self.running.log[-3:]}")
            await self.begin()

    async def end(self, *, begin_again: bool = False) -> None:
        """As a supervisor does it."""
        self.running.send_signal(signal.SIGTERM)
        await self.ended("stop", 0)
        if begin_again:
            await self.begin()

    def look_for_secrets(self, where: str, *texts: str) -> None:
        canaries = {CARD_NUMBER, self.running.token, *self.settings.ever}
        for text in texts:
            for canary in canaries:
                if canary in text:
                    self.found("I16", f"a secret in the {where} of life {self.life}: {text[:200]}")

    def _look_through(self) -> list[str]:
        """What is wrong with a copy of what a crash left; the daemon itself is to recover the original."""
        copy = self.directory / "copy.db"
        shutil.copy(self.database, copy)
        wal = self.database.with_name("webhookd.db-wal")
        if wal.exists():
            shutil.copy(wal, copy.with_name("copy.db-wal"))
        connection = driver.connect(copy)
        try:
            return broken_in(connection)
        finally:
            connection.close()
            copy.unlink()

    # --- What an operator sees

    async def asked(self, method: str, path: str, **arguments: Any) -> Any:
        """The admin API's answer: JSON, or text."""
        headers = {"Authorization": f"Bearer {self.running.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.running.admin + path, **arguments) as response,
        ):
            return await (response.json() if "json" in response.content_type else response.text())

    async def nothing_pending(self, patience_s: float) -> bool:
        """Whether all that was owed has been delivered in time."""
        try:
            async with asyncio.timeout(patience_s):
                while (await self.asked("GET", "/api/v1/status"))["backlog"]:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True


def broken_in(connection: Any) -> list[str]:
    lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
    return lines + [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]


def left_out() -> list[str]:
    """Kinds of faults that cannot be done here."""
    lacking = {*missing()}
    return [kind for kind, needed in NEEDS.items() if needed & lacking]


@asynccontextmanager
async def world(
    directory: Path, seed: int, load: Load, kinds: Collection[str], sabotage: str | None = None
) -> AsyncIterator[World]:
    """Ready for a first life, in which `kinds` of faults may come.

    Nothing of it is left running, or mounted, afterwards.
    """
    on_its_own = "disk full" in kinds
    with small_disk(directory / "data", directory / "disk.image") if on_its_own else nullcontext():
        made = World(directory, seed, load, sabotage)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()


async def comes_true(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether it became so in time."""
    try:
        async with asyncio.timeout(patience_s):
            while not is_so():
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True
