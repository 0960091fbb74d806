"""What was given up on, by endpoint and reason; and the replays that bring it back."""

from collections.abc import Sequence

from webhookd.admin.dashboard.visit import Page


class DeadLetters:
    def pages(self) -> Sequence[Page]:
        return []
