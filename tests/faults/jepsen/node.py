"""One daemon of those that are up, and its lives one by one."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from tests.faults.jepsen.history import History
from tests.faults.proxy import Proxy
from tests.running import PATIENCE_S, RunningDaemon


class Around(Protocol):
    """What a node has to know of the world."""

    history: History

    def born(self, node: "Node") -> int:
        """The number of its next life."""
        ...

    async def left(self, node: "Node", wanted: str | None) -> None:
        """Look at what has been left by one that has ended."""
        ...

    def found(self, invariant: str, what: str) -> None: ...


class Node:
    """`command` starts it. It is sent hooks by a line of its own."""

    def __init__(self, around: Around, name: str, directory: Path, command: list[str]) -> None:
        self.name = name
        self.directory = directory
        self.running: RunningDaemon
        self.hooks = Proxy()
        self.life = 0
        self.began_at = 0.0
        """Of this life."""
        self.is_up = False
        """From when it has said that it is ready until it is known to have ended."""
        self._around = around
        self._command = command
        self._has_ended = True

    async def begin(self) -> None:
        self.running = RunningDaemon(self.directory, self._command, {})
        self.life = self._around.born(self)
        self.began_at = self._around.history.now()
        self._has_ended = False
        try:
            await self.running.start()
        finally:
            self._around.history.note("born", self.life, self.name, self.running.pid)
        self.is_up = True
        host, _, port = self.running.hooks.removeprefix("http://").rpartition(":")
        self.hooks.upstream = (host, int(port))

    async def ended(self, wanted: str | None, code: int) -> None:
        """Wait for its end, which should be with this code, and look at what it leaves."""
        try:
            found = await self.running.ended()
        except TimeoutError:
            self.found("I12", f"{wanted}: did not end in {PATIENCE_S:g} s: {self.running.log[-3:]}")
            await self.running.kill()
            found = code
        self.is_up, self._has_ended = False, True
        history = self._around.history
        history.note("life", self.life, self.began_at, history.now(), found, wanted)
        if found != code:
            self.found("I12", f"{wanted}: ended with {found}, not {code}: {self.running.log[-3:]}")
        await self._around.left(self, wanted)

    async def goes_on(self) -> None:
        """If it has ended though nobody wanted that, say so, and start it again."""
        if self.running.has_ended:
            await self.ended(None, 0)
            self.found("I12", f"ended by itself: {self.running.log[-3:]}")
            await self.begin()

    async def end(self) -> None:
        """As a supervisor does it."""
        self.running.send_signal(signal.SIGTERM)
        await self.ended("stop", 0)

    async def destroy(self) -> None:
        """However the run ended."""
        if not self._has_ended:
            if not self.running.has_ended:
                self.running.send_signal(signal.SIGCONT)
            await self.running.kill()
        await self.hooks.stop()

    def found(self, invariant: str, what: str) -> None:
        """A promise was broken in this life."""
        self._around.found(invariant, f"life {self.life}{self.name and f' of {self.name}'}, {what}")

    def look_for_secrets(self, where: str, secrets: set[str], *texts: str) -> None:
        for text in texts:
            for secret in secrets:
                if secret in text:
                    self.found("I16", f"a secret in the {where}: {text[:200]}")

    @property
    def said(self) -> list[str]:
        """The lines of its log."""
        return [json.dumps(line, ensure_ascii=False) for line in self.running.log]

    async def asked(self, method: str, path: str, **arguments: Any) -> Any:
        """The admin API's answer: JSON, or text."""
        headers = {"Authorization": f"Bearer {self.running.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.running.admin + path, **arguments) as response,
        ):
            return await (response.json() if "json" in response.content_type else response.text())


async def comes_true(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether it became so in time."""
    try:
        async with asyncio.timeout(patience_s):
            while not is_so():
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True
