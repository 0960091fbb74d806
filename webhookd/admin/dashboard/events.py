"""The log: what came in, what became of it, and one event with all that was made of it."""

from collections.abc import Sequence

from webhookd.admin.dashboard.visit import Page


class Events:
    def pages(self) -> Sequence[Page]:
        return []
