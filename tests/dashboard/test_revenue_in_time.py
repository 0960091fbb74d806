"""A page of the revenue does not wait for what takes long to count: it says so, and has it when it looks again."""

import asyncio
from typing import Any, cast
from unittest.mock import patch

import pytest
from aiohttp import web
from multidict import MultiDict

from tests.fake_clock import FakeClock
from tests.running import PATIENCE_S
from webhookd.admin.dashboard import revenue
from webhookd.admin.dashboard.frame.visit import Visit
from webhookd.admin.dashboard.revenue import UNDER_WAY_MAX, RevenuePages
from webhookd.admin.ledger import RevenueRows
from webhookd.store.protocol.errors import StoreUnavailableError


class _Visit:
    """Somebody who looks; what is counted takes until it is told."""

    def __init__(self, told: "asyncio.Future[RevenueRows]", path: str = "/revenue") -> None:
        self._told = told
        self.query: MultiDict[str] = MultiDict()
        self.request = self
        self.path_qs = path
        self.asked = 0

    async def ask(self, *_asked: object, **_more: object) -> RevenueRows:
        self.asked += 1
        return await asyncio.shield(self._told)

    def show(self, _template: str, **values: Any) -> web.Response:
        return web.Response(text=repr((values["is_counting"], [each.gross for each in values["rows"]])))


async def shown(pages: RevenuePages, visit: _Visit, paint_s: float = 0.01) -> str | None:
    with patch.object(revenue, "PAINT_S", paint_s):
        return cast(web.Response, await pages.show(cast(Visit, visit))).text


def counted(gross: int) -> RevenueRows:
    return RevenueRows([revenue.Revenue("USD", 2, gross, 0, gross, 0, 0, day="2026-11-21")], "2026-11-21T00:00:00.000Z")


async def test_what_takes_long_is_counted_once_and_shown_to_who_looks_again() -> None:
    told: asyncio.Future[RevenueRows] = asyncio.get_running_loop().create_future()
    pages, visit = RevenuePages(FakeClock()), _Visit(told)
    assert await shown(pages, visit) == "(True, [])"
    assert await shown(pages, visit) == "(True, [])"
    assert visit.asked == 1
    told.set_result(counted(1050))
    assert await shown(pages, visit, PATIENCE_S) == "(False, [1050])"
    assert await shown(pages, visit, PATIENCE_S) == "(False, [1050])"
    assert visit.asked == 2


async def test_who_looks_again_is_told_that_it_could_not_be_counted() -> None:
    told: asyncio.Future[RevenueRows] = asyncio.get_running_loop().create_future()
    pages, visit = RevenuePages(FakeClock()), _Visit(told)
    assert await shown(pages, visit) == "(True, [])"
    told.set_exception(StoreUnavailableError("busy"))
    with pytest.raises(StoreUnavailableError):
        await shown(pages, visit, PATIENCE_S)


async def test_of_too_many_that_are_under_way_the_first_is_given_up() -> None:
    told: asyncio.Future[RevenueRows] = asyncio.get_running_loop().create_future()
    pages = RevenuePages(FakeClock())
    visits = [_Visit(told, f"/revenue?by={number}") for number in range(UNDER_WAY_MAX + 1)]
    for visit in visits:
        assert await shown(pages, visit) == "(True, [])"
    for visit in (visits[1], visits[0]):
        await shown(pages, visit)
    assert [visit.asked for visit in visits[:2]] == [2, 1]
