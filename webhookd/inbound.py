"""What listens: the hooks' door and the operator's, and all that is behind the two.

It takes longer to load than all the rest, and nothing that is delivered needs it: so it is loaded while `outbound`
delivers already what was owed.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from webhookd import joints
from webhookd.admin.publish import PublishApi
from webhookd.admin.reconcile import ReconcileApi
from webhookd.admin_door import AdminDoor
from webhookd.clock import Clock
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config, OutboxSettings
from webhookd.config.value import Address
from webhookd.deliver.guard import Guard
from webhookd.engine import Engine
from webhookd.evidence.fetcher import Fetcher
from webhookd.evidence.keeper import Keeper
from webhookd.evidence.shelf import Shelf
from webhookd.instruments import Instruments
from webhookd.listening import listen
from webhookd.observe.health import Health
from webhookd.observe.metrics import Metrics
from webhookd.observe.sd_notify import listen_sockets
from webhookd.outbound import Outbound, Providers
from webhookd.outboxes import relay_of
from webhookd.receive.intake import Intake, Source
from webhookd.receive.refusals import FORGET_S
from webhookd.receive.routes import Routes
from webhookd.receive.server import HookServer
from webhookd.relay.relays import Relays
from webhookd.reloader import Reloader
from webhookd.service import Failed, Service
from webhookd.store.data_dir import DataDir

RECEIVE_GRACE_S = 10.0


class Inbound:
    """`open`, then `close`, and `stop` once deliveries have ended. `config` gives the configuration as it stands."""

    def __init__(
        self,
        outbound: Outbound,
        data_dir: DataDir,
        engine: Engine,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        config: Callable[[], Config],
        reloader: Reloader,
        failed: Failed,
    ) -> None:
        """Raises TokenError."""
        server, store = config().server, engine.store
        self._guard, self._data_dir, self._health, self._server = outbound.guard, data_dir, health, server
        self._engine = engine
        self._fetcher = Fetcher(Guard().check)
        self._keeper = Keeper(self._fetcher.fetch, clock, Shelf(data_dir.path))
        log, mint, salt = outbound.log, outbound.mint, outbound.salt
        fetch = joints.evidence(self._keeper)
        intake = Intake(log, mint, salt, fetch, metrics.unknown_type, metrics.fact, outbound.tracing)
        routes = Routes(intake, clock, metrics, body_bytes_max=server.max_body, unready=health.unready)
        self._routes = routes
        self._relays = Relays(relay_of(intake, clock, metrics, config(), health.unready))
        instruments = Instruments(
            data_dir, engine, outbound.dispatcher, self._keeper, self._relays, clock, metrics, health, config, failed
        )
        publish = PublishApi(log, mint, salt, clock, metrics, body_bytes_max=server.max_body, unready=health.unready)
        exports = joints.Exports(lambda: routes.sources, intake, clock)
        secrets = joints.Secrets(config, routes.refusals, intake)
        self._admin = AdminDoor(
            store,
            engine.backups(server.min_free),
            outbound.registry,
            outbound.dispatcher,
            clock,
            instruments.scrape,
            instruments.pulse,
            instruments.survey,
            health,
            withdraw=outbound.withdraw,
            nodes=outbound.nodes,
            leads=outbound.leads,
            data_dir=data_dir.path,
            hosts=(server.admin_listen.host, *server.admin_hosts),
            ping=joints.pinger(outbound.courier, outbound.notice),
            publish=publish,
            reconcile=ReconcileApi(store.books, exports, body_bytes_max=server.max_body),
            limits=lambda: joints.limits(config()),
            meter=metrics,
            reload=reloader.reload,
            reception=routes,
            outboxes=self._relays,
            counts=metrics,
            secrets_of=secrets.of,
            trial=secrets,
            failed=failed,
        )
        self._hooks = web.ServerRunner(
            HookServer(routes.handle, routes.at_once, body_bytes_max=server.max_body), shutdown_timeout=RECEIVE_GRACE_S
        )
        self._duties = [
            Service("refusals", FORGET_S, routes.refusals.forget_old, failed),
            *self._admin.duties,
            *instruments.duties,
        ]

    async def take_from(self, providers: Providers, outboxes: Mapping[str, OutboxSettings]) -> None:
        """Hooks are taken from the providers' sources, and rows from these outboxes, from now on."""
        self._routes.sources = {name: Source(name, provider) for name, provider in providers.items()}
        await self._relays.adopt(outboxes)

    async def open(self) -> tuple[Address, Address]:
        """Answer on both listeners: where hooks come in, and where operators ask. Raises ConfigError, StoreError."""
        await self._keeper.open()
        await self._admin.open()
        sockets = listen_sockets()
        admin_at = await listen(self._admin.runner, sockets.pop("admin", []), self._server.admin_listen)
        if unknown := sockets.keys() - {"hooks"}:
            raise ConfigError([f"systemd's FileDescriptorName= is hooks or admin, not {', '.join(sorted(unknown))}"])
        self._health.watch_disk(self._data_dir.free_bytes, self._engine.min_free(self._server.min_free))
        self._health.starting = False
        hooks_at = self._server.listen
        if is_receiving := self._server.role != "dispatch":
            hooks_at = await listen(self._hooks, sockets.pop("hooks", []), self._server.listen)
            await self._relays.open()
        listeners = [self._admin.runner, self._hooks] if is_receiving else [self._admin.runner]
        self._guard.own_ports = frozenset(at[1] for runner in listeners for at in runner.addresses)
        for duty in self._duties:
            duty.start()
        return hooks_at, admin_at

    async def close(self) -> None:
        """No new hooks, then those under way; and nobody waits for anything any more."""
        await self._relays.close()
        await self._hooks.cleanup()
        self._health.stopping = True  # not before: whoever has been let in is served
        await self._keeper.close()
        await self._fetcher.close()
        self._admin.close()

    async def stop(self) -> None:
        """Answer no operator any more."""
        await self._admin.stop()
        for duty in self._duties:
            await duty.stop()
