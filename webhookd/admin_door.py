"""Joins the operator's API to the rooms behind it."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from webhookd.admin.audit import AuditApi
from webhookd.admin.backups import BackupApi
from webhookd.admin.broom import Broom, Meter
from webhookd.admin.cancel import CancelApi
from webhookd.admin.cleanup import CleanupApi
from webhookd.admin.dashboard.dead import DeadLetters
from webhookd.admin.dashboard.deliveries import Deliveries
from webhookd.admin.dashboard.endpoints import Endpoints
from webhookd.admin.dashboard.events import Events
from webhookd.admin.dashboard.find import Find
from webhookd.admin.dashboard.frame.live import Live, News
from webhookd.admin.dashboard.frame.login import Login
from webhookd.admin.dashboard.frame.render import Renderer
from webhookd.admin.dashboard.frame.sessions import Sessions
from webhookd.admin.dashboard.frame.site import Dashboard
from webhookd.admin.dashboard.overview import Overview, numbers_of
from webhookd.admin.dashboard.payments import Payments
from webhookd.admin.dashboard.refused import Refusals
from webhookd.admin.dashboard.replays import Replays
from webhookd.admin.dashboard.revenue import RevenuePages
from webhookd.admin.dead import DeadApi
from webhookd.admin.door.app import admin_app
from webhookd.admin.door.doorkeeper import USE_NOTED_S, Doorkeeper
from webhookd.admin.door.hosts import Hosts
from webhookd.admin.door.inside import Inside
from webhookd.admin.door.operation import Part
from webhookd.admin.door.pages import Pages
from webhookd.admin.door.recorder import Recorder
from webhookd.admin.door.token import ensure_token
from webhookd.admin.endpoints import EndpointsApi, Ping
from webhookd.admin.ledger import LedgerApi
from webhookd.admin.log import LogApi
from webhookd.admin.nodes import NodesApi
from webhookd.admin.payment_history import PaymentHistoryApi
from webhookd.admin.pruner import Pruner
from webhookd.admin.publish import PublishApi
from webhookd.admin.pulse import Counted, Pulse, PulseApi
from webhookd.admin.rebuild import LedgerRebuild
from webhookd.admin.reconcile import ReconcileApi
from webhookd.admin.refusals import Reception, RefusalsApi, Trial
from webhookd.admin.registry import Registry
from webhookd.admin.reload import ReloadApi
from webhookd.admin.reloaded import Reloaded
from webhookd.admin.replayer import Replayer
from webhookd.admin.replays import ReplaysApi
from webhookd.admin.sources import Counts, Outboxes, SourcesApi
from webhookd.admin.status import Numbers, StatusApi
from webhookd.admin.stream import StreamApi
from webhookd.admin.tokens import TokensApi
from webhookd.admin.why import WhyApi
from webhookd.admin_server import AdminRunner
from webhookd.clock import Clock
from webhookd.core.delivery import DeliveryKey
from webhookd.core.identifier import key_ms
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.observe.health import Health
from webhookd.observe.survey import Survey
from webhookd.providers import misread, reread
from webhookd.service import Failed, Service
from webhookd.store.protocol.backups import Backups
from webhookd.store.protocol.claims import Node
from webhookd.store.protocol.retention import Limits
from webhookd.store.protocol.store import Store


class AdminDoor:
    """`runner` serves it; `duties` are what it does in the background. `counts` are of sources' hooks.

    `leads` says, where nodes share the log, whether this one does what only one of them is to do.
    `hosts` are the names that it is asked under, beside loopback's and the address it listens on. `open` first.
    """

    def __init__(
        self,
        store: Store,
        backups: Backups,
        registry: Registry,
        dispatcher: Dispatcher,
        clock: Clock,
        numbers: Numbers,
        pulse: Pulse,
        survey: Survey,
        health: Health,
        *,
        withdraw: Callable[[DeliveryKey], None],
        nodes: Callable[[], Awaitable[Sequence[Node]]],
        leads: Callable[[], bool] | None,
        data_dir: Path,
        hosts: Collection[str],
        ping: Ping,
        publish: PublishApi,
        reconcile: ReconcileApi,
        limits: Callable[[], Limits],
        meter: Meter,
        reload: Callable[[], Awaitable[Reloaded]],
        reception: Reception,
        outboxes: Outboxes,
        counts: Counts,
        secrets_of: Callable[[str], Sequence[str]],
        trial: Trial,
        failed: Failed,
    ) -> None:
        self._last_key = store.last_key
        token = ensure_token(data_dir)
        pages = Pages(token)
        self._ledger = LedgerApi(store.ledger, store, clock, pages)
        self._stream = StreamApi(store.feed, clock)
        self._rebuild = LedgerRebuild(partial(store.rebuild_ledger, reread))
        replayer = Replayer(store.replays, clock, dispatcher.look_again, leads)
        broom = Broom(store.retention, clock, meter)
        self._cleanup = CleanupApi(broom, clock)
        self._backup = BackupApi(backups, clock)
        self._doorkeeper = Doorkeeper(token, store.tokens, store.trail, clock)
        recorder = Recorder(store.trail, clock)
        count, revenue = partial(counted, survey), store.ledger.revenue
        pulse_api = PulseApi(pulse, count, revenue, clock, health, dispatcher, registry)
        parts: Sequence[Part] = (
            StatusApi(store, clock, numbers, pulse, health, dispatcher, registry),
            pulse_api,
            LogApi(store, store.retention, store, store.lookup, store.dead_letters, pages),
            DeadApi(store.dead_letters, store, pages),
            NodesApi(nodes),
            CancelApi(store.cancels, store, clock, withdraw),
            SourcesApi(reception, outboxes, counts, store.lookup, secrets_of),
            RefusalsApi(reception, trial),
            EndpointsApi(store, registry, dispatcher, clock, ping, pages),
            ReplaysApi(store.replays, clock, replayer.wake, lambda: {*reception.sources, *outboxes.standings}, pages),
            WhyApi(store.stories, clock, misread, lambda: registry.mistakes),
            publish,
            reconcile,
            self._stream,
            ReloadApi(reload),
            self._ledger,
            PaymentHistoryApi(store.ledger),
            self._rebuild,
            self._cleanup,
            self._backup,
            TokensApi(self._doorkeeper, pages),
            AuditApi(store.trail, pages),
        )
        self._sessions = Sessions(store.sessions, self._doorkeeper, clock)
        self._live = Live(partial(news, numbers, reception, pulse_api, clock), self._sessions, clock)
        site = Dashboard(
            self._doorkeeper,
            self._sessions,
            Inside((each for part in parts for each in part.operations()), recorder),
            Renderer(clock),
            Login(self._doorkeeper, self._sessions, recorder),
            self._live,
            Overview(),
            Events(clock),
            Deliveries(clock),
            Find(),
            Endpoints(),
            DeadLetters(clock),
            Replays(),
            Payments(clock),
            RevenuePages(clock),
            Refusals(),
        )
        app = admin_app(self._doorkeeper, Hosts(hosts), recorder, *parts, site=site)
        self._pruner = Pruner(broom, clock, limits)
        self.duties = [
            Service("replayer", 0, replayer.turn, failed),
            Service("pruner", 0, self._pruner.turn, failed),
            Service("token-use", USE_NOTED_S, self._doorkeeper.note_uses, failed),
            Service("session-use", USE_NOTED_S, self._sessions.note_uses, failed),
        ]
        self.runner = AdminRunner(app, shutdown_timeout=2)

    async def open(self) -> None:
        """Know who may ask, and where the log ends. Raises StoreError."""
        await self._doorkeeper.load()
        await self._sessions.load()
        self._pruner.begin(key_ms(await self._last_key()))

    def close(self) -> None:
        """Nobody waits for anything from now on."""
        self._ledger.close()
        self._stream.close()
        self._live.close()

    async def stop(self) -> None:
        """After `close`, and once the deliveries have stopped."""
        await self.runner.cleanup()
        await self._rebuild.stop()
        await self._backup.stop()
        await self._cleanup.stop()


async def news(numbers: Numbers, reception: Reception, pulse: PulseApi, clock: Clock) -> News:
    """Refused hooks are in no commit, and on a page all the same; and what is drawn over time moves on each minute.

    What takes long to count may be counted again long after the commit that changed it.
    """
    now = await pulse.now()
    changes = numbers.commits + reception.refusals.count + clock.now_ms() // 60_000 + pulse.changes
    return News(changes, numbers_of(now))


async def counted(survey: Survey) -> Counted | None:
    """None: not yet, for the store has not answered since the start."""
    await survey.look()
    return None if survey.counted_at is None else Counted(survey.rows, survey.counted_at)
