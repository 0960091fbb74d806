"""Starts what delivers, then what listens, and stops them in reverse."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from webhookd import __version__
from webhookd.aside import aside
from webhookd.clock import Clock, SystemClock
from webhookd.config.model import Config
from webhookd.core.fault import place
from webhookd.engine import Engine
from webhookd.observe.health import FREE_CHECK_S, Health
from webhookd.observe.metrics import Metrics
from webhookd.observe.sd_notify import notify
from webhookd.observe.whereabouts import Whereabouts, forget, note
from webhookd.outbound import Outbound, Providers, Seams, providers_of
from webhookd.process import raise_file_limit, watch_signals, watchdog
from webhookd.reloader import Reloader
from webhookd.service import Service, calm_collector
from webhookd.store.data_dir import DataDir
from webhookd.store.seal import seal_for
from webhookd.store_of import engine_of

if TYPE_CHECKING:
    from webhookd.inbound import Inbound

DELIVER_GRACE_S = 20.0
_log = structlog.get_logger("webhookd.daemon")


class DaemonFailedError(Exception):
    """The daemon had to stop. The supervisor should start it again."""


class Daemon:
    """`load` reads the configuration again on SIGHUP; it raises ConfigError, and then all stays as it is."""

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        *,
        clock: Clock | None = None,
        seams: Seams | None = None,
    ) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._seams = seams
        self._metrics = Metrics()
        self._health = Health()
        self._reloader = Reloader(config, load, self._apply, self._clock, self._cannot_reload)
        self._stop = asyncio.Event()
        self._failure: str | None = None
        self.hooks_at = self.admin_at = config.server.listen
        """Where the listeners really are, once `run` has called `ready`."""

    @property
    def data_dir(self) -> Path:
        return self._config.data_dir

    async def run(self, ready: Callable[["Daemon"], Awaitable[None]] | None = None) -> None:
        """From start to stop. Raises DaemonFailedError, ConfigError, StoreError, SealError."""
        watch_signals(self._on_stop_signal, self._reloader.on_signal)
        raise_file_limit()
        with DataDir(self._config.data_dir) as data_dir:
            engine = engine_of(self._config, self._clock, self._metrics.committed)
            if not await engine.open(data_dir, self._stop):
                return
            try:
                is_first = not await engine.store.holds_secrets()
                keys = self._config.store
                await engine.store.unlock(seal_for(data_dir.path, keys.key, keys.old_keys, is_first=is_first))
                await self._serve(data_dir, engine, ready)
            finally:
                await engine.store.close()
        if self._failure is not None:
            raise DaemonFailedError(self._failure)
        _log.info("stopped")

    async def _serve(
        self, data_dir: DataDir, engine: Engine, ready: Callable[["Daemon"], Awaitable[None]] | None
    ) -> None:
        self._engine, store = engine, engine.store
        last_key = await store.last_key()
        self._outbound = outbound = Outbound(
            *(self._config, store, last_key, self._clock, self._metrics, self._on_duty_failed, self._seams),
            engine.shared,
        )
        inbound: Inbound | None = None
        watch = [
            Service("disk-watch", FREE_CHECK_S, self._watch_disk(data_dir), self._on_duty_failed),
            Service("store-watch", 0.25, self._watch_store, self._on_duty_failed),
            *engine.duties(self._on_duty_failed),
            *watchdog(self._clock.monotonic, store.answers, outbound.dispatcher, self._on_duty_failed),
        ]
        try:
            providers = providers_of(self._config)
            await outbound.adopt(self._config, providers, strict=False)
            if outbound.sharing is not None:
                await outbound.sharing.start()
            opened = await aside(_what_listens)
            if self._stop.is_set():
                return
            self._inbound = inbound = opened(
                outbound,
                data_dir,
                engine,
                self._clock,
                self._metrics,
                self._health,
                lambda: self._config,
                self._reloader,
                self._on_duty_failed,
            )
            await inbound.take_from(providers, self._config.outboxes)
            self.hooks_at, self.admin_at = await inbound.open()
            for service in watch:
                service.start()
            calm_collector()
            # Before it is said: who hears it may ask at once.
            self._note(data_dir, Whereabouts(f"http://{self.hooks_at}", f"http://{self.admin_at}", os.getpid()))
            _log.info(
                "ready",
                version=__version__,
                hooks=f"http://{self.hooks_at}",
                admin=f"http://{self.admin_at}",
                data_dir=str(data_dir.path),
                **{engine.name: engine.version},
            )
            notify("READY=1", f"STATUS=receiving on {self.hooks_at}")
            if ready is not None:
                await ready(self)
            await self._stop.wait()
        finally:
            # In reverse: no new hooks, then the ones under way, then no new attempts, then those under way.
            notify("STOPPING=1", "STATUS=finishing what is under way")
            if inbound is not None:
                await inbound.close()
            self._reloader.close()
            # What a broken store cannot record is sent again after the restart in any case: the sooner, the better.
            await outbound.stop(0 if self._health.store_broken else DELIVER_GRACE_S)
            if inbound is not None:
                await inbound.stop()
            for service in watch:
                await service.stop()
            await outbound.close()
            forget(data_dir.path)

    @staticmethod
    def _note(data_dir: DataDir, whereabouts: Whereabouts) -> None:
        try:
            note(data_dir.path, whereabouts)
        except OSError as error:  # a full disk is no reason not to deliver
            _log.warning("whereabouts_not_noted", why=error.strerror, what="commands need --url to find this process")

    # --- Configuration

    async def _apply(self, config: Config, providers: Providers) -> None:
        """Make the sources and endpoints those of the configuration, and serve the API's.

        Raises StoreError, MistakesError; then all stays as it is.
        """
        await self._outbound.adopt(config, providers, strict=True)
        await self._inbound.take_from(providers, config.outboxes)
        self._config = config

    def _cannot_reload(self) -> str | None:
        if self._health.starting:
            return "This process is still starting."
        return "This process is stopping." if self._stop.is_set() else None

    # --- Signals and watches

    def _on_stop_signal(self) -> None:
        if self._stop.is_set():
            _log.warning("stopping_at_once", why="a second signal")
            # What is under way is on disk or was not acknowledged: leaving now loses nothing.
            os._exit(1)
        self._stop.set()
        _log.info("stopping")

    def _watch_disk(self, data_dir: DataDir) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            if self._health.watch_disk(data_dir.free_bytes, self._engine.min_free(self._config.server.min_free)):
                _log.warning("disk_low" if self._health.disk_low else "disk_has_room", free=data_dir.free_bytes())

        return look

    async def _watch_store(self) -> None:
        store = self._engine.store
        if store.stalled != self._health.store_stalled:
            self._health.store_stalled = store.stalled
            if store.stalled:
                _log.warning("store_stalled", why=self._engine.why_stalled())
            else:
                _log.warning("store_goes_on")
        if store.broken is not None and not self._health.store_broken:
            self._health.store_broken = True
            why = self._engine.why_broken(store.broken)
            _log.error("store_broken", reason=why, what="check the disk; restarting reads it again")
            self._fail(f"the store is broken: {why}")

    def _on_duty_failed(self, name: str, error: Exception) -> None:
        _log.error("duty_failed", duty=name, kind=type(error).__name__, at=place(error))
        self._fail(f"{name} failed")

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._stop.set()


def _what_listens() -> "type[Inbound]":
    from webhookd.inbound import Inbound  # noqa: PLC0415 - deliveries do not wait for it

    return Inbound
