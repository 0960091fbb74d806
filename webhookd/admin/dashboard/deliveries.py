"""What is owed to whom: the list, and what a person can do about one delivery, which is shown with its event."""

from collections.abc import Sequence

from aiohttp import web

from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.dashboard.listing import clean, fresh_s, listed, ranges
from webhookd.clock import Clock
from webhookd.core.delivery import DELIVERY_STATES
from webhookd.core.story_words import failure
from webhookd.core.units import time_text


class Deliveries:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def pages(self) -> Sequence[Page]:
        one = "/deliveries/{id}"
        return [
            Page("GET", "/deliveries", self.list),
            Page("GET", one, self.show),
            Page("POST", f"{one}/replay", self.replay, "replay"),
            Page("POST", f"{one}/cancel", self.cancel, "replay"),
        ]

    async def list(self, visit: Visit) -> web.StreamResponse:
        if (cleaned := clean(visit)) is not None:
            return visit.see_other(cleaned)
        began = self._clock.monotonic()
        found = await listed(visit, "GET /api/v1/deliveries")
        return visit.show(
            "event_deliveries.html",
            status=found.status,
            found=found,
            fresh_s=fresh_s(self._clock.monotonic() - began),
            states=DELIVERY_STATES,
            failure=failure,
            ranges=ranges(visit, time_text(self._clock.now_ms())),
        )

    async def show(self, visit: Visit) -> web.StreamResponse:
        """An id from a log line or a header leads to its event."""
        delivery = await visit.ask("GET /api/v1/deliveries/{id}", path=visit.path)
        return visit.see_other(f"/events/{delivery.event_id}#{delivery.id}")

    async def replay(self, visit: Visit) -> web.StreamResponse:
        delivery = await visit.ask("GET /api/v1/deliveries/{id}", path=visit.path)
        replay = await visit.ask("POST /api/v1/replays", body={"ids": [delivery.id]})
        said = f"It is sent to {delivery.endpoint} again."
        return visit.see_other(f"/events/{delivery.event_id}?replay={replay.id}#{delivery.id}", said)

    async def cancel(self, visit: Visit) -> web.StreamResponse:
        delivery = await visit.ask("POST /api/v1/deliveries/{id}/cancel", path=visit.path)
        said = f"It is no longer owed to {delivery.endpoint}, until somebody replays it."
        return visit.see_other(f"/events/{delivery.event_id}#{delivery.id}", said)
