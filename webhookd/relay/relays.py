"""The relays of all outboxes that are configured: each a task of its own, begun and ended as the configuration says."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from webhookd.relay.relay import Relay
from webhookd.relay.standing import Standing

Make = Callable[[str, Any], Relay]


class Relays:
    """`make` makes the relay of a source by its settings. Settings that are equal keep theirs."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._running: dict[str, tuple[Any, Relay, asyncio.Task[None]]] = {}
        self._settings: Mapping[str, Any] = {}
        self._is_open = False

    @property
    def standings(self) -> Mapping[str, Standing | None]:
        """Of each outbox that is configured; None where this process takes from none."""
        return {name: self._running[name][1].standing if name in self._running else None for name in self._settings}

    async def adopt(self, settings: Mapping[str, Any]) -> None:
        """These are the outboxes from now on, each by its source's name."""
        self._settings = settings
        if self._is_open:
            await self._change()

    async def open(self) -> None:
        self._is_open = True
        await self._change()

    async def close(self) -> None:
        """What is on its way into the log is looked for again after the next start."""
        self._is_open = False
        await self._end(list(self._running))

    async def _change(self) -> None:
        wanted = self._settings
        await self._end([name for name, (had, _, _) in self._running.items() if wanted.get(name) != had])
        for name, its in wanted.items():
            if self._is_open and name not in self._running:
                relay = self._make(name, its)
                self._running[name] = its, relay, asyncio.create_task(relay.run(), name=f"relay {name}")

    async def _end(self, names: list[str]) -> None:
        tasks = [self._running.pop(name)[2] for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
