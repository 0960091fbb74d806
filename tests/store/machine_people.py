"""What people do to a store: endpoints, cancellations, replays, retention, and looking things up."""

from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, consumes, multiple, rule
from msgspec.structs import replace

from tests.making import spec
from tests.store.agreement import agree_on_event, delivery_row, event_row, paged
from tests.store.machine import DAY_MS, MINUTE_MS, Machine
from webhookd.admin.broom import Broom, Sweep
from webhookd.core.delivery import DeliveryKey, DeliveryState, Due
from webhookd.core.endpoint import EndpointSpec, EndpointState, Ordering
from webhookd.core.event import Event
from webhookd.core.identifier import key_floor
from webhookd.core.signature import new_secret
from webhookd.store.protocol.cancels import NoDeliveryError, OverError
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.replays import RUNNING_MAX, Replay, Selection, SelectionError, TooManyReplaysError
from webhookd.store.protocol.retention import Extent, Found, Taken

A_SECRET = new_secret(bytes(32))


class Asks(NamedTuple):
    """What somebody asks for an endpoint."""

    name: str
    events: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    ordering: Ordering = "none"
    first_wait_ms: int = 0
    url: Literal["https://a.example/", "https://b.example/"] = "https://a.example/"

    @property
    def spec(self) -> EndpointSpec:
        waits_ms, rest = (self.first_wait_ms, 5_000, 60_000), self._asdict()
        del rest["name"], rest["first_wait_ms"]
        return spec(self.name, waits_ms=waits_ms, **rest)


@st.composite
def asks(draw: st.DrawFn, *names: str) -> Asks:
    events = [(), (), ("*", "webhookd.*"), ("payment.*",), ("webhookd.*",), ("refund.*", "payment.captured")]
    return Asks(
        draw(st.sampled_from(names)),
        draw(st.sampled_from(events)),
        draw(st.sampled_from([(), (), (), ("stripe",), ("stripe-eu", "razorpay")])),
        draw(st.sampled_from(["none", "payment"])),
        draw(st.sampled_from([0, 0, MINUTE_MS])),
        draw(st.sampled_from(["https://a.example/", "https://b.example/"])),
    )


CONFIGURATION = st.lists(asks("shop", "till"), max_size=2, unique_by=lambda each: each.name)
NAMES = st.sampled_from(("shop", "till", "books"))
SELECTIONS = st.builds(
    Selection,
    endpoint=st.sampled_from([None, None, "shop", "till", "nobody"]),
    source=st.sampled_from([None, None, "stripe"]),
    type=st.sampled_from([None, None, "payment.*"]),
    state=st.sampled_from([None, "pending", "delivered", "dead", "cancelled", "unrouted"]),
)


class Standstill:
    """A clock on which nothing takes time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return 0.0

    def call_later(self, delay_s: float, callback: object) -> Any:
        raise AssertionError

    async def sleep(self, delay_s: float) -> None:
        pass


class Uncounted:
    def pruned(self, what: str, rows: int) -> None:
        pass


class People(Machine):
    event = Bundle("event")
    attempt = Bundle("attempt")
    replay = Bundle("replay")

    # --- Endpoints

    @rule(asked=CONFIGURATION)
    def the_configuration_is_reloaded(self, asked: list[Asks]) -> None:
        self.adopt([each.spec for each in asked])

    @rule(what=st.sampled_from(("adds", "changes", "removes")), asked=asks("till", "books"))
    def the_api(self, what: str, asked: Asks) -> None:
        settings = repr(asked).encode()
        if what == "removes":
            assert self.do(self.store.remove_endpoint(asked.name)) == self.model.endpoints.remove(asked.name)
        elif what == "changes":
            changed = self.do(self.store.change_endpoint(asked.spec, settings, self.now_ms))
            assert (changed is not None) == self.model.endpoints.change(asked.spec, settings)
        else:
            added = self.do(self.store.add_endpoint(asked.spec, settings, A_SECRET, self.now_ms))
            assert (added is None) == (self.model.endpoints.in_service(asked.name) is not None)
            if added is not None:
                self.model.endpoints.add(asked.spec, settings, added.number, self.now_ms)
                assert added.number == self.model.endpoints.by_name[asked.name].number

    @rule(name=NAMES, state=st.sampled_from(("paused", "active")))
    def a_person_pauses_or_resumes(self, name: str, state: EndpointState) -> None:
        assert self.do(self.store.set_endpoint_state(name, state)) == self.model.endpoints.set_state(name, state)

    # --- Deliveries

    @rule(event=event, endpoint=NAMES)
    def a_person_cancels_a_delivery(self, event: Event, endpoint: str) -> None:
        standing = self.model.endpoints.by_name.get(endpoint)
        self._cancel(DeliveryKey(event.key, 99 if standing is None else standing.number))

    @rule(attempt=attempt, and_replays_it=st.booleans())
    def a_person_cancels_what_is_under_way(self, attempt: Due, and_replays_it: bool) -> None:
        self._cancel(attempt.key)
        if and_replays_it:
            for begun in self._begin(Selection((attempt.event.id,))).values:
                self._go_on(begun, limit=20)

    def _cancel(self, key: DeliveryKey) -> None:
        before = self.model.cancel(key, self.now_ms)
        stood: DeliveryState | None = "pending"
        try:
            self.do(self.store.cancels.cancel(key, self.now_ms))
        except NoDeliveryError:
            stood = None
        except OverError as refusal:
            stood = refusal.state
        assert stood == before

    @rule(target=replay, events=st.lists(event, min_size=1, max_size=3), endpoint=st.sampled_from((None, "shop")))
    def a_person_asks_to_replay_events(self, events: list[Event], endpoint: str | None) -> MultipleResults[Replay]:
        return self._begin(Selection(tuple(each.id for each in events), endpoint))

    @rule(target=replay, selection=SELECTIONS)
    def a_person_asks_to_replay_what_is_selected(self, selection: Selection) -> MultipleResults[Replay]:
        return self._begin(selection)

    def _begin(self, selection: Selection) -> MultipleResults[Replay]:
        found = self._selected(selection)
        try:
            begun = self.do(self.store.replays.begin(selection, None, self.now_ms))
        except SelectionError:
            assert found is None
        except TooManyReplaysError:
            assert len(self.replays.running) == RUNNING_MAX
        else:
            assert found is not None
            assert (begun.state, begun.total, begun.total_is_exact) == ("running", len(found), True)
            self.replays.begin(begun)
            return multiple(begun)
        return multiple()

    def _selected(self, selection: Selection) -> list[DeliveryKey] | None:
        """None where it cannot be replayed."""
        if selection.endpoint is not None and self.model.endpoints.in_service(selection.endpoint) is None:
            return None
        return self.replays.chosen(selection) if selection.ids else self.replays.matching(selection)

    @rule(replay=replay, limit=st.integers(1, 9))
    def a_replay_goes_on(self, replay: Replay, limit: int) -> None:
        self._go_on(replay, limit)

    def _go_on(self, replay: Replay, limit: int) -> None:
        step = self.do(self.store.replays.step(replay.number, limit, self.now_ms))
        going, is_over = self.replays.step(replay.number, limit, self.now_ms)
        assert (step.replayed, step.over) == (len(going), is_over)
        assert set(step.endpoints) == {key.endpoint for key in going}
        assert [each.number for each in self.do(self.store.replays.running())] == self.replays.running

    @rule(replay=consumes(replay))
    def a_replay_is_called_off(self, replay: Replay) -> None:
        self.do(self.store.replays.cancel(replay.number, self.now_ms))
        self.replays.end(replay.number)

    @rule(status=st.sampled_from((500, None)), limit=st.integers(1, 4))
    def what_is_dead_for_one_reason_is_replayed_to_its_end(self, status: int | None, limit: int) -> None:
        selection = Selection(state="dead", error="timeout" if status is None else "status", status=status)
        expected = self.replays.matching(selection)
        if len(self.replays.running) == RUNNING_MAX:
            return
        begun = self.do(self.store.replays.begin(selection, None, self.now_ms))
        replayed, is_over = 0, False
        while not is_over:
            step = self.do(self.store.replays.step(begun.number, limit, self.now_ms))
            assert step.replayed <= limit
            replayed, is_over = replayed + step.replayed, step.over
        assert replayed == begun.total == len(expected)
        for key in expected:
            self.model.make_due(key, self.now_ms)

    # --- Retention

    @rule(older_than_ms=st.sampled_from((0, MINUTE_MS, DAY_MS)), bodies_only=st.booleans(), stripe_only=st.booleans())
    def retention_takes_what_is_finished(self, older_than_ms: int, bodies_only: bool, stripe_only: bool) -> None:
        """It asks for all, and what must stay stays."""
        extent = Extent(
            self.mint.last + 1,
            self.now_ms - older_than_ms + 1,
            provider="stripe" if stripe_only else None,
            bodies_only=bodies_only,
        )
        look = self.do(self.store.retention.look(extent, 0, counted=True))
        assert (list(look.found), look.over) == (self._found(extent), True)
        keys = [each.key for each in look.found if each.stays != "bodiless"]
        taken: Taken = self.do(self.store.retention.take(extent, keys, self.now_ms))
        assert taken.tallies == self.model.take(extent, keys, self.now_ms)

    @rule()
    def retention_sweeps_out_what_is_finished(self) -> None:
        """Up to a time that has not come yet: of a store that may take a week at once all of it is meant."""
        extent = Extent(key_floor(self.now_ms + 30 * DAY_MS), self.now_ms + 1)
        broom = Broom(self.store.retention, Standstill(self.now_ms), Uncounted())
        self.do(broom.sweep(sweep := Sweep(extent)))
        assert sweep.tallies == self.model.take(extent, sorted(self.model.log), self.now_ms)

    def _found(self, extent: Extent) -> list[Found]:
        found = []
        for key, event in sorted(self.model.log.items()):
            if extent.provider in (None, event.provider):
                its = [each for each in self.model.deliveries.values() if each.key.event == key]
                size = 0 if key in self.model.bodiless else event.size
                attempts = sum(len(each.attempts) for each in its)
                stays = self.model.why_it_stays(key, extent)
                found.append(Found(key, event.provider, size, stays, len(its), attempts))
        return found

    @rule(limit=st.integers(1, 3))
    def retention_forgets_what_is_past(self, limit: int) -> None:
        taken = self.do(self.store.retention.forget(self.mint.last + 1, limit))
        assert sum(tally.events for tally in taken.tallies.values()) == self.model.forget(self.mint.last + 1, limit)

    # --- Looking things up

    @rule(event=event)
    def somebody_looks_at_an_event(self, event: Event) -> None:
        self.do(agree_on_event(self.store, self.model, event))
        is_there = event.key in self.model.log
        assert self.do(self.store.lookup.bearing(event.id)) == ([event.key] if is_there else [])

    @rule(after=event, source=st.sampled_from((None, "stripe")), kind=st.sampled_from((None, "refund.*")))
    def a_listener_reads_on_from(self, after: Event, source: str | None, kind: str | None) -> None:
        narrowed = Filter(source=source, type=kind)
        stretch = self.do(self.store.feed.stretch(after.key, narrowed))
        coming = [self.model.log[key] for key in sorted(self.model.log) if key > after.key]
        wanted = [each for each in coming if source in (None, each.source) and self._is_kind(each, kind)]
        assert list(stretch.events) == [replace(event_row(each), headers=()) for each in wanted]
        assert stretch.reached == (coming[-1].key if coming else after.key)

    @rule(
        state=st.sampled_from((None, "pending", "delivered", "dead", "cancelled")),
        endpoint=st.sampled_from((None, "shop", "till")),
        kind=st.sampled_from((None, "refund.*", "payment.*")),
        page=st.integers(1, 4),
    )
    def somebody_pages_through_deliveries(
        self, state: str | None, endpoint: str | None, kind: str | None, page: int
    ) -> None:
        narrowed = Filter(state=state, endpoint=endpoint, type=kind)
        rows = self.do(paged(lambda each: self.store.deliveries(each, page), narrowed))
        newest_first = sorted(self.model.deliveries.values(), key=lambda each: each.key, reverse=True)
        expected = [
            delivery_row(self.model, each)
            for each in newest_first
            if state in (None, each.state) and self._is_kind(self.model.log[each.key.event], kind)
        ]
        assert rows == [row for row in expected if endpoint in (None, row.endpoint_name)]

    def _is_kind(self, event: Event, kind: str | None) -> bool:
        return kind is None or event.type.startswith(kind.removesuffix("*"))
