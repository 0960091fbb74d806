"""What a replay means, and how far each is: the model's list of what a person asked to have sent again."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.store.model import Model
from webhookd.core.delivery import DeliveryKey
from webhookd.core.event import Event
from webhookd.core.identifier import event_id
from webhookd.store.protocol.replays import Replay, Selection

START = DeliveryKey(0, 0)


@dataclass
class Running:
    """One that was begun."""

    begun: Replay
    chosen: Sequence[DeliveryKey] | None
    """What was asked for by id."""
    place: DeliveryKey
    """All before it has been looked at."""
    last_event: int


class Replays:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._running: dict[int, Running] = {}

    def chosen(self, selection: Selection) -> list[DeliveryKey] | None:
        """The deliveries that were asked for by id, in order; None where one cannot be sent."""
        keys: set[DeliveryKey] = set()
        for public_id in selection.ids:
            event = self._event(public_id)
            if event is None or event.key in self._model.bodiless:
                return None
            found = self._of_one(event, selection.endpoint)
            if not found:
                return None
            keys.update(found)
        return sorted(keys)

    def matching(self, selection: Selection, place: DeliveryKey = START) -> list[DeliveryKey]:
        """What is selected otherwise, as things are now, in order; `place` is where it goes on."""
        found: set[DeliveryKey] = set()
        for event in self._model.log.values():
            if event.key in self._model.bodiless or not self._is_meant(selection, event):
                continue
            in_service = [each for each in self._model.endpoints if each.is_in_service]
            if selection.endpoint is not None:
                in_service = [each for each in in_service if each.name == selection.endpoint]
            wanting = {DeliveryKey(event.key, each.number) for each in in_service if each.wants(event)}
            owed = {DeliveryKey(event.key, each.number) for each in in_service} & self._model.deliveries.keys()
            if selection.state == "unrouted":
                is_being_replayed = event.key == place.event and place.endpoint > 0
                found |= wanting if event.state == "unrouted" or is_being_replayed else set()
            elif selection.state is not None:
                found |= {key for key in owed if self._is_in(selection, key)}
            elif selection.endpoint is not None:
                found |= wanting if event.state != "quarantined" else set()
            else:
                found |= owed
        return sorted(key for key in found if key >= place)

    def begin(self, begun: Replay) -> None:
        """It was put on record."""
        selection = begun.selection
        chosen = self.chosen(selection) if selection.ids else None
        place = DeliveryKey(chosen[0].event, 0) if chosen else START
        last_event = chosen[-1].event if chosen else max(self._model.log, default=0)
        self._running[begun.number] = Running(begun, chosen, place, last_event)
        self._model.replaying[begun.number] = place.event, last_event

    def step(self, number: int, limit: int, now_ms: int) -> tuple[list[DeliveryKey], bool]:
        """What it makes due with this step, and whether it is over."""
        running = self._running.get(number)
        if running is None:
            return [], True
        page = [key for key in self._ahead(running) if key.event <= running.last_event][:limit]
        going = [key for key in page if self._may_still_go(running.begun.selection, key)]
        for key in going:
            self._model.make_due(key, now_ms)
        if len(page) < limit:
            self.end(number)
            return going, True
        running.place = DeliveryKey(page[-1].event, page[-1].endpoint + 1)
        self._model.replaying[number] = running.place.event, running.last_event
        return going, False

    def end(self, number: int) -> None:
        self._running.pop(number, None)
        self._model.replaying.pop(number, None)

    @property
    def running(self) -> list[int]:
        return sorted(self._running)

    def _ahead(self, running: Running) -> list[DeliveryKey]:
        if running.chosen is None:
            return self.matching(running.begun.selection, running.place)
        return [key for key in running.chosen if key >= running.place]

    def _may_still_go(self, selection: Selection, key: DeliveryKey) -> bool:
        is_there = key.event in self._model.log and key.event not in self._model.bodiless
        if not is_there or not self._model.endpoints.numbered(key.endpoint).is_in_service:
            return False
        return selection.state != "unrouted" or key not in self._model.deliveries

    def _event(self, public_id: str) -> Event | None:
        return next((each for each in self._model.log.values() if event_id(each.key, each.salt) == public_id), None)

    def _of_one(self, event: Event, endpoint: str | None) -> list[DeliveryKey]:
        """Its delivery to this endpoint; or all it has; or, where it has none, one to each that asks for it now."""
        in_service = [each for each in self._model.endpoints if each.is_in_service]
        if endpoint is not None:
            return [DeliveryKey(event.key, each.number) for each in in_service if each.name == endpoint]
        all_of_it = [DeliveryKey(event.key, each.number) for each in in_service]
        owed = [key for key in all_of_it if key in self._model.deliveries]
        return owed or [DeliveryKey(event.key, each.number) for each in in_service if each.wants(event)]

    def _is_meant(self, selection: Selection, event: Event) -> bool:
        if selection.source not in (None, event.source):
            return False
        return selection.type is None or fnmatchcase(event.type, selection.type)

    def _is_in(self, selection: Selection, key: DeliveryKey) -> bool:
        delivery = self._model.deliveries[key]
        last = delivery.last
        return (
            delivery.state == selection.state
            and selection.error in (None, last.outcome.error if last is not None else None)
            and selection.status in (None, last.outcome.status if last is not None else None)
        )
