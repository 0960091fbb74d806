"""The only place that knows every room: it joins them, starts them in order and stops them in reverse."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog
from aiohttp import web

from webhookd import __version__, joints
from webhookd.admin.publish import PublishApi
from webhookd.admin.reconcile import ReconcileApi
from webhookd.admin.registry import Registry
from webhookd.admin_door import AdminDoor
from webhookd.clock import Clock, SystemClock
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config
from webhookd.core.delivery import Due, Outcome
from webhookd.core.endpoint import Endpoint
from webhookd.core.fault import place
from webhookd.core.identifier import SALT_BITS, KeyMint
from webhookd.deliver.courier import Courier
from webhookd.deliver.guard import Guard
from webhookd.deliver.http_transport import HttpTransport
from webhookd.deliver.resolve import Resolver
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.notice import Notice
from webhookd.evidence.fetcher import Fetcher
from webhookd.evidence.keeper import Keeper
from webhookd.evidence.shelf import Shelf
from webhookd.instruments import Instruments
from webhookd.observe.health import FREE_CHECK_S, Health
from webhookd.observe.metrics import Metrics
from webhookd.observe.sd_notify import listen_sockets, notify
from webhookd.observe.whereabouts import Whereabouts, forget, note
from webhookd.process import listen, raise_file_limit, watch_signals, watchdog
from webhookd.providers import sign_again
from webhookd.providers.provider import Provider
from webhookd.receive.intake import Intake, Source
from webhookd.receive.refusals import FORGET_S
from webhookd.receive.routes import Routes
from webhookd.receive.server import HookServer
from webhookd.reloader import Reloader, providers_of
from webhookd.service import Service, calm_collector
from webhookd.store.connection import driver, has_wal_reset_bug
from webhookd.store.data_dir import DataDir, file_system_of
from webhookd.store.protocol import StoreError
from webhookd.store.seal import seal_for
from webhookd.store.sqlite import SqliteStore
from webhookd.store.wal import WalWatch
from webhookd.upgrade import bring_up_to_date

RECEIVE_GRACE_S = 10.0
DELIVER_GRACE_S = 20.0
FILES_MAX = 65536
_log = structlog.get_logger("webhookd.daemon")

Attempt = Callable[[Endpoint, Due], Awaitable[Outcome]]


class Seams(Protocol):
    """Where a test may put something of its own between two rooms."""

    def store(self, store: SqliteStore) -> SqliteStore: ...

    def attempt(self, attempt: Attempt) -> Attempt: ...


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
        self._providers: dict[str, Provider] = {}
        self._metrics = Metrics()
        self._health = Health()
        apply = partial(self._apply, strict=True)
        self._reloader = Reloader(config, load, apply, self._clock, self._cannot_reload)
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
            self._warn_of_disk(data_dir.path)
            try:
                await bring_up_to_date(data_dir, self._config, self._clock, self._still_starting)
            except (StoreError, InterruptedError):
                if self._stop.is_set():
                    return
                raise
            its_own = self._config.store.checkpoint == "own"
            store = SqliteStore(self._config.database, committed=self._metrics.committed, checkpoints=its_own)
            await store.open()
            try:
                is_first = not await store.holds_secrets()
                keys = self._config.store
                await store.unlock(seal_for(data_dir.path, keys.key, keys.old_keys, is_first=is_first))
                await self._serve(data_dir, store, ready)
            finally:
                await store.close()
        if self._failure is not None:
            raise DaemonFailedError(self._failure)
        _log.info("stopped")

    async def _serve(
        self, data_dir: DataDir, store: SqliteStore, ready: Callable[["Daemon"], Awaitable[None]] | None
    ) -> None:
        config = self._config
        guard = Guard(config.allow_networks)
        guard.own_ports = frozenset({config.server.listen.port, config.server.admin_listen.port})
        transport = HttpTransport(guard, config.proxy)
        sign = partial(sign_again, self._providers)
        tracing = joints.tracing(config, self._metrics.spans)
        courier = partial(Courier, transport, self._clock, sign_again=sign, tracer=tracing)
        attempt: Attempt = courier(self._metrics).attempt
        log = store
        if self._seams is not None:
            log, attempt = self._seams.store(store), self._seams.attempt(attempt)
        mint, salt = KeyMint(await store.last_key()), partial(random.getrandbits, SALT_BITS)
        notice = Notice(self._clock, mint, salt)
        dispatcher = Dispatcher(
            log,
            attempt,
            self._clock,
            self._metrics,
            max_in_flight=config.delivery.max_in_flight,
            failed=self._on_duty_failed,
            notice=notice,
        )
        store.announce(dispatcher.offer)
        fetcher = Fetcher(Guard().check)
        keeper = Keeper(fetcher.fetch, self._clock, Shelf(data_dir.path))
        await keeper.open()
        fetch = joints.evidence(keeper)
        intake = Intake(log, mint, salt, fetch, self._metrics.unknown_type, self._metrics.fact, tracing)
        routes = Routes(
            intake,
            self._clock,
            self._metrics,
            body_bytes_max=config.server.max_body,
            unready=self._health.unready,
        )
        registry = Registry(store, dispatcher, self._clock, joints.scout(Resolver(), guard, config.proxy))
        self._routes, self._registry, self._store = routes, registry, store
        await self._apply(config, providers_of(config), strict=False)

        sockets = listen_sockets()
        ping = joints.pinger(courier, notice)
        instruments = Instruments(
            data_dir,
            store,
            dispatcher,
            keeper,
            self._clock,
            self._metrics,
            self._health,
            lambda: self._config,
            self._on_duty_failed,
        )
        publish = PublishApi(
            log,
            mint,
            salt,
            self._clock,
            self._metrics,
            body_bytes_max=config.server.max_body,
            unready=self._health.unready,
        )
        exports = joints.Exports(lambda: routes.sources, intake, self._clock)
        secrets = joints.Secrets(lambda: self._config, routes.refusals, intake)
        admin = AdminDoor(
            store,
            registry,
            dispatcher,
            self._clock,
            instruments.scrape,
            instruments.pulse,
            instruments.survey,
            self._health,
            data_dir=data_dir.path,
            hosts=(config.server.admin_listen.host, *config.server.admin_hosts),
            ping=ping,
            publish=publish,
            reconcile=ReconcileApi(store.books, exports, body_bytes_max=config.server.max_body),
            limits=lambda: joints.limits(self._config),
            meter=self._metrics,
            reload=self._reloader.reload,
            backup_keeps_free=config.server.min_free,
            reception=routes,
            counts=self._metrics,
            secrets_of=secrets.of,
            trial=secrets,
            failed=self._on_duty_failed,
        )
        await admin.open()
        hooks_runner = web.ServerRunner(
            HookServer(routes.handle, routes.at_once, body_bytes_max=config.server.max_body),
            shutdown_timeout=RECEIVE_GRACE_S,
        )
        watch = [
            Service("disk-watch", FREE_CHECK_S, self._watch_disk(data_dir), self._on_duty_failed),
            Service("store-watch", 0.25, self._watch_store, self._on_duty_failed),
            Service("refusals", FORGET_S, routes.refusals.forget_old, self._on_duty_failed),
            *admin.duties,
            *instruments.duties,
            *watchdog(self._clock.monotonic, store.answers, dispatcher, self._on_duty_failed),
        ]
        try:
            self.admin_at = await listen(admin.runner, sockets.pop("admin", []), config.server.admin_listen)
            if unknown := sockets.keys() - {"hooks"}:
                raise ConfigError(
                    [f"systemd's FileDescriptorName= is hooks or admin, not {', '.join(sorted(unknown))}"]
                )
            self._health.watch_disk(data_dir.free_bytes, config.server.min_free)
            self._health.starting = False
            self.hooks_at = await listen(hooks_runner, sockets.pop("hooks", []), config.server.listen)
            guard.own_ports = frozenset(at[1] for at in (*admin.runner.addresses, *hooks_runner.addresses))
            for service in watch:
                service.start()
            calm_collector()
            # Before it is said: who hears it may ask at once.
            note(data_dir.path, Whereabouts(f"http://{self.hooks_at}", f"http://{self.admin_at}", os.getpid()))
            _log.info(
                "ready",
                version=__version__,
                hooks=f"http://{self.hooks_at}",
                admin=f"http://{self.admin_at}",
                data_dir=str(data_dir.path),
                sqlite=driver.sqlite_version,
            )
            notify("READY=1", f"STATUS=receiving on {self.hooks_at}")
            if ready is not None:
                await ready(self)
            await self._stop.wait()
        finally:
            # In reverse: no new hooks, then the ones under way, then no new attempts, then those under way.
            notify("STOPPING=1", "STATUS=finishing what is under way")
            await hooks_runner.cleanup()
            self._health.stopping = True  # not before: whoever has been let in is served
            await keeper.close()
            await fetcher.close()
            admin.close()
            self._reloader.close()
            # What a broken store cannot record is sent again after the restart in any case: the sooner, the better.
            await dispatcher.stop(0 if self._health.store_broken else DELIVER_GRACE_S)
            await admin.stop()
            for service in watch:
                await service.stop()
            await transport.close()
            if tracing is not None:
                await tracing.close()
            forget(data_dir.path)

    # --- Configuration

    async def _apply(self, config: Config, providers: Mapping[str, Provider], *, strict: bool) -> None:
        """Make the sources and endpoints those of the configuration, and serve the API's.

        Raises StoreError and, when `strict`, MistakesError; then all stays as it is.
        """
        await self._registry.adopt(config.endpoint_specs(), joints.reader(config), strict=strict)
        self._routes.sources = {name: Source(name, provider) for name, provider in providers.items()}
        self._providers.clear()
        self._providers.update(providers)
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
        wal = WalWatch(self._config.database)

        async def look() -> None:
            if self._health.watch_disk(data_dir.free_bytes, self._config.server.min_free):
                _log.warning("disk_low" if self._health.disk_low else "disk_has_room", free=data_dir.free_bytes())
            if wal.look():
                what = (
                    "whoever checkpoints (store.checkpoint) does not, or somebody reads the database and does not stop"
                )
                _log.warning("wal_large", bytes=wal.bytes, what=what) if wal.is_large else _log.info("wal_has_shrunk")

        return look

    async def _watch_store(self) -> None:
        if self._store.stalled != self._health.store_stalled:
            self._health.store_stalled = self._store.stalled
            _log.warning("store_stalled" if self._store.stalled else "store_goes_on")
        if self._store.broken is not None and not self._health.store_broken:
            self._health.store_broken = True
            _log.error("store_broken", reason=str(self._store.broken), what="check the disk; restarting reads it again")
            self._fail("the store is broken")

    def _on_duty_failed(self, name: str, error: Exception) -> None:
        _log.error("duty_failed", duty=name, kind=type(error).__name__, at=place(error))
        self._fail(f"{name} failed")

    def _still_starting(self, _what: str, _done: int, _total: int) -> None:
        """Raises InterruptedError once somebody wants it to stop: what has been begun is then undone."""
        if self._stop.is_set():
            raise InterruptedError

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._stop.set()

    def _warn_of_disk(self, path: Path) -> None:
        version = tuple(map(int, driver.sqlite_version.split(".")))
        if has_wal_reset_bug(version):
            _log.warning(
                "sqlite_has_wal_reset_bug",
                version=driver.sqlite_version,
                what="only this process may write the database, which keeps it safe; SQLite 3.51.3 has the fix",
            )
        if file_system_of(path).startswith("fuse"):
            _log.warning("data_dir_on_fuse", what="whether fsync is honoured depends on the file system")
