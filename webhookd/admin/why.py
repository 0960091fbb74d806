"""`/api/v1/why/{id}`: everything that happened to one event or delivery, in order, and what to do now."""

from collections.abc import Callable, Collection, Sequence

from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.reasons import NotFoundError
from webhookd.admin.story import Teller, subject
from webhookd.clock import Clock
from webhookd.core.event import Hook, is_name
from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_event_id
from webhookd.core.story import Answer, Story
from webhookd.store.protocol.stories import Record, Stories

Misread = Callable[[str, Hook], str | None]


class WhyApi:
    """`misread` says why a stored hook is not understood; `unusable` names endpoints whose settings cannot be used."""

    def __init__(self, store: Stories, clock: Clock, misread: Misread, unusable: Callable[[], Collection[str]]) -> None:
        self._store = store
        self._clock = clock
        self._misread = misread
        self._unusable = unusable

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/why/{id}",
                self.why,
                "Everything that happened to one event or delivery, in order, and what to do now. `id` is evt_…, "
                "dlv_…, or a name that it has at its provider: if more than one has it, they are listed.",
                answer=Answer,
                problems=(404,),
            )
        ]

    async def why(self, asked: Asked[None, None]) -> Answer:
        name = asked.path["id"]
        if (story := await self._of_our_own(name)) is not None:
            return Answer(story)
        if not is_name(name):
            raise NotFoundError
        found = await self._store.bearing(name)
        if not found:
            raise NotFoundError
        if len(found) > 1:
            return Answer(None, [subject(each) for each in found])
        record = await self._store.record(found[0].key, found[0].salt, None)
        if record is None:
            raise NotFoundError  # retention has come in between
        return Answer(self._story(record, None))

    async def _of_our_own(self, name: str) -> Story | None:
        """None when it is no id of ours that there is: a provider's may look the same."""
        salt = endpoint = None
        try:
            if name.startswith("dlv_"):
                key, endpoint = parse_delivery_id(name)
            else:
                key, salt = parse_event_id(name)
        except UnknownIdError:
            return None
        record = await self._store.record(key, salt, endpoint)
        return None if record is None else self._story(record, endpoint)

    def _story(self, record: Record, endpoint: int | None) -> Story:
        misread = None
        event = record.event
        if record.body is not None:
            misread = self._misread(event.provider, Hook(dict(event.headers), record.body, event.received_at))
        return Teller(record, self._clock.now_ms(), misread, self._unusable(), endpoint).story()
