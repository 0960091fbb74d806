"""What came in and was refused or not understood, and why."""

from collections.abc import Sequence

from webhookd.admin.dashboard.visit import Page


class Refusals:
    def pages(self) -> Sequence[Page]:
        return []
