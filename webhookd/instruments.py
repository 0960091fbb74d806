"""Reads off the rooms what the metrics show of this moment, and keeps an eye on the event loop."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from webhookd import __version__
from webhookd.clock import Clock
from webhookd.config.model import Config
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.engine import Engine
from webhookd.evidence.keeper import Keeper
from webhookd.observe.certificates import Expiries
from webhookd.observe.health import Health
from webhookd.observe.metrics import Metrics
from webhookd.observe.pulse import LOOK_S, Pulse
from webhookd.observe.scrape import LaneReading, OutboxReading, Reading, Scrape
from webhookd.observe.survey import STUCK_EVERY_S, Survey
from webhookd.relay.relays import Relays
from webhookd.service import Failed, Service
from webhookd.store.data_dir import DataDir
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError

LAG_EVERY_S = 0.5


class Instruments:
    """`config` gives the configuration as it stands. `scrape` answers; `duties` are what it takes in the background."""

    def __init__(
        self,
        data_dir: DataDir,
        engine: Engine,
        dispatcher: Dispatcher,
        keeper: Keeper,
        relays: Relays,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        config: Callable[[], Config],
        failed: Failed,
    ) -> None:
        self._data_dir, self._engine, self._dispatcher, self._keeper = data_dir, engine, dispatcher, keeper
        self._relays = relays
        store = engine.store
        self._health, self._config = health, config
        self._started_at = clock.now_ms()
        self._expiries = Expiries()
        survey = Survey(store, store.outbox_survey, clock.now_ms, clock.monotonic, StoreUnavailableError)
        self.survey = survey
        self.scrape = Scrape(metrics, survey, self._read)
        is_served = partial(_is_served, dispatcher)
        backlog = partial(_backlog, survey)
        self.pulse = Pulse(metrics, store.minutes, backlog, is_served, clock.now_ms, clock.monotonic, StoreError)
        self.duties = [
            Service("stuck", STUCK_EVERY_S, survey.look_for_stuck, failed),
            Service("pulse", LOOK_S, self.pulse.look, failed),
            Service("minutes", LOOK_S, self.pulse.keep, failed),
            Service("loop-lag", LAG_EVERY_S, LoopLag(clock, metrics.loop_was_late).look, failed),
        ]

    def _read(self) -> Reading:
        config, dispatcher, health = self._config(), self._dispatcher, self._health
        return Reading(
            version=__version__,
            sqlite=self._engine.version if self._engine.name == "sqlite" else "",
            started_at=self._started_at,
            unready={
                "starting": health.starting,
                "stopping": health.stopping,
                "store_broken": health.store_broken,
                "store_stalled": health.store_stalled,
                "disk_low": health.disk_low,
            },
            queued=self._engine.store.queued,
            files=self._engine.files,
            free=self._data_dir.free_bytes(),
            free_min=self._engine.min_free(config.server.min_free),
            in_flight=dispatcher.in_flight,
            in_flight_max=dispatcher.max_in_flight,
            unsettled=dispatcher.unsettled,
            held_bytes=dispatcher.held_bytes,
            lanes=[
                LaneReading(endpoint.spec.name, view.breaker, view.in_flight, view.limit, view.window, view.paced)
                for endpoint, view in dispatcher.views()
            ],
            certificates=self._certificates(config),
            outboxes=[
                OutboxReading(name, its.state, its.waiting, its.oldest_at)
                for name, its in self._relays.standings.items()
                if its is not None
            ],
        )

    def _certificates(self, config: Config) -> list[tuple[str, str, float]]:
        ends = self._expiries.of(self._texts(config))
        paypals = [end for kind, _, end in ends if kind == "paypal"]
        # PayPal names another certificate when it signs with another: the old ones may end.
        newest = [("paypal", "paypal", max(paypals))] if paypals else []
        return [*(each for each in ends if each[0] != "paypal"), *newest]

    def _texts(self, config: Config) -> Iterator[tuple[str, str, bytes]]:
        for endpoint, _ in self._dispatcher.views():
            if (tls := endpoint.spec.tls) is not None:
                for kind, text in (("ca", tls.ca), ("client", tls.certificate)):
                    if text is not None:
                        yield kind, endpoint.spec.name, text
        for name, source in config.sources.items():
            if source.authorities is not None:
                with suppress(OSError):  # it has gone since the configuration was read
                    yield "authorities", name, Path(source.authorities).read_bytes()
        for url, body in self._keeper.kept():
            if url.split("/", 3)[2].endswith(".paypal.com"):  # the others are issuers' certificates
                yield "paypal", url, body


class LoopLag:
    """How late a timer rings: nothing else on the loop was any sooner."""

    def __init__(self, clock: Clock, was_late: Callable[[float], None]) -> None:
        self._clock = clock
        self._was_late = was_late
        self._expected: float | None = None

    async def look(self) -> None:
        now = self._clock.monotonic()
        if self._expected is not None:
            self._was_late(max(0.0, now - self._expected))
        self._expected = now + LAG_EVERY_S


async def _backlog(survey: Survey) -> int:
    await survey.look()
    return sum(row.pending for row in survey.rows)


def _is_served(dispatcher: Dispatcher, name: str) -> bool:
    return dispatcher.view(name) is not None
