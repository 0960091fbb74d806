"""The first page: what is happening, what is stuck, and for whom."""

from collections.abc import Sequence

from aiohttp import web

from webhookd.admin.dashboard.visit import Page, Visit


class Overview:
    def pages(self) -> Sequence[Page]:
        return [Page("GET", "/", self.show)]

    async def show(self, visit: Visit) -> web.StreamResponse:
        return visit.show("overview.html", status_now=await visit.ask("GET /api/v1/status"))
