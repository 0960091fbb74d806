"""One log, several nodes: what this one delivers is claimed, what it changes is called out, others' calls are heard."""

import asyncio
import os
import socket
from collections.abc import Collection
from typing import Literal, Protocol

from webhookd.admin.registry import Registry
from webhookd.clock import Clock
from webhookd.core.delivery import DeliveryKey
from webhookd.core.identifier import KeyMint
from webhookd.dispatch.claiming import LOOK_S, RENEW_S, Claiming
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.tenure import Tenure
from webhookd.service import Failed, Service
from webhookd.store.protocol.claims import Calls, Claims, Listener
from webhookd.store.protocol.errors import StoreUnavailableError

REFRESH_RETRY_S = 1.0
Role = Literal["all", "receive", "dispatch"]


class Shared(Protocol):
    """A store that several nodes may have open."""

    def claims(self, *, name: str, version: str, role: str) -> Claims: ...

    def calls(self, listener: Listener) -> Calls: ...


class Sharing:
    """Fits `protocol.claims.Listener`. `attend` first, then `start`; `stop` comes when no attempt is under way."""

    def __init__(self, shared: Shared, version: str, role: Role, clock: Clock, mint: KeyMint) -> None:
        self.claims = shared.claims(name=f"{socket.gethostname()} {os.getpid()}", version=version, role=role)
        self.calls = shared.calls(self)
        self.tenure = Tenure(clock, self.calls.tell)
        self._clock, self._mint = clock, mint
        self._changed = asyncio.Event()
        self._dispatcher: Dispatcher
        self._registry: Registry
        self._claiming: Claiming
        self._services: list[Service] = []

    def attend(self, dispatcher: Dispatcher, registry: Registry, failed: Failed) -> None:
        self._dispatcher, self._registry = dispatcher, registry
        self._claiming = Claiming(self.claims, dispatcher, self.tenure, self._clock)
        self._services = [
            Service("claims", RENEW_S, self._renew, failed),
            Service("overdue", LOOK_S, self._claiming.look, failed),
            Service("endpoints", REFRESH_RETRY_S, self._refresh, failed),
        ]

    async def start(self) -> None:
        """Join, before anything is received: from here on no other node mints this one's keys."""
        await self._renew()
        self.calls.start()
        for service in self._services:
            service.start()

    async def stop(self) -> None:
        for service in self._services:
            await service.stop()
        await self._claiming.leave()
        await self.calls.stop()

    def withdraw(self, key: DeliveryKey) -> None:
        """It was cancelled here."""
        self._dispatcher.withdraw(key)
        self.calls.tell_withdrawn(key)

    # --- What others call

    def due(self, endpoints: Collection[int] | None) -> None:
        self._dispatcher.hear_of(endpoints)

    def endpoints(self) -> None:
        self._changed.set()

    def withdrawn(self, key: DeliveryKey) -> None:
        self._dispatcher.withdraw(key)

    async def _renew(self) -> None:
        await self._claiming.renew()
        self._mint.slot = self.claims.slot

    async def _refresh(self) -> None:
        await self._changed.wait()
        self._changed.clear()
        try:
            await self._registry.refresh()
        except StoreUnavailableError:
            self._changed.set()
