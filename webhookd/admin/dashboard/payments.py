"""Payments and the revenue."""

from collections.abc import Sequence

from webhookd.admin.dashboard.visit import Page


class Payments:
    def pages(self) -> Sequence[Page]:
        return []
