"""Endpoints: how each is doing, and what can be done about it."""

from collections.abc import Sequence

from webhookd.admin.dashboard.visit import Page


class Endpoints:
    def pages(self) -> Sequence[Page]:
        return []
