"""Joins the operator's API to the rooms behind it."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from aiohttp import web

from webhookd.admin.app import admin_app
from webhookd.admin.endpoints import EndpointsApi, Ping
from webhookd.admin.ledger import LedgerApi
from webhookd.admin.log import LogApi
from webhookd.admin.pages import Pages
from webhookd.admin.rebuild import LedgerRebuild
from webhookd.admin.registry import Registry
from webhookd.admin.replayer import Replayer
from webhookd.admin.replays import ReplaysApi
from webhookd.admin.status import StatusApi
from webhookd.admin.token import ensure_token
from webhookd.admin.why import WhyApi
from webhookd.clock import Clock
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.observe.health import Health
from webhookd.observe.metrics import Metrics
from webhookd.providers import misread, reread
from webhookd.service import Failed, Service
from webhookd.store.sqlite import SqliteStore


class AdminDoor:
    """`runner` serves it; `duties` are what it does in the background. `sources` gives the configured ones' names."""

    def __init__(
        self,
        store: SqliteStore,
        registry: Registry,
        dispatcher: Dispatcher,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        *,
        data_dir: Path,
        ping: Ping,
        sources: Callable[[], Collection[str]],
        failed: Failed,
    ) -> None:
        token = ensure_token(data_dir)
        pages = Pages(token)
        self._ledger = LedgerApi(store.ledger, store, clock, pages)
        self._rebuild = LedgerRebuild(partial(store.rebuild_ledger, reread))
        replayer = Replayer(store.replays, clock, dispatcher.look_again)
        app = admin_app(
            token,
            StatusApi(store, clock, metrics, health, dispatcher, registry),
            LogApi(store, store, pages),
            EndpointsApi(store, registry, dispatcher, clock, ping, pages),
            ReplaysApi(store.replays, clock, replayer.wake, sources, pages),
            WhyApi(store.stories, clock, misread, lambda: registry.mistakes),
            self._ledger,
            self._rebuild,
        )
        self.duties = [Service("replayer", 0, replayer.turn, failed)]
        self.runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=15, shutdown_timeout=2, handler_cancellation=True
        )

    def close(self) -> None:
        """Nobody waits for anything from now on."""
        self._ledger.close()

    async def stop(self) -> None:
        """After `close`, and once the deliveries have stopped."""
        await self.runner.cleanup()
        await self._rebuild.stop()
