"""What was earned: by day, month or provider, each currency by itself; as pictures, as a table, and to download."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from aiohttp import web
from multidict import MultiDict

from webhookd.admin.dashboard.charts import Chart, Series, bar_chart, number_text
from webhookd.admin.dashboard.filters import TIMES, filled_in, narrowed
from webhookd.admin.dashboard.frame.render import digits_text
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.dashboard.payment_words import words
from webhookd.admin.dashboard.payments import TABS
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.texts import PAYER_NAMES
from webhookd.admin.ledger import RevenueRows
from webhookd.admin.ledger_views import BY, Revenue
from webhookd.clock import Clock

RANGES: Mapping[str, str] = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "month": "this month"}
ROWS_MAX = 1_000
"""Of the table; the download has all."""
CHARTS_MAX = 12
BARS_MAX = 400
SUMS = ("gross", "refunded", "net", "disputed")
_DEFAULT = "30d"
_AGE, _NEW_MS = "60s", 2_000
"""How old what is shown may be; that it is older than new is said, and it is soon looked at again."""
PAINT_S = 0.1
"""A page waits so long for what is counted. Then it is shown without it, and looks again."""
UNDER_WAY_MAX = 8
"""Counts that pages wait for; the one that was begun first is given up."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class RevenuePages:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[RevenueRows]] = {}
        """By the page that waits for it: whoever looks again finds it, or what became of it."""

    def pages(self) -> Sequence[Page]:
        return [Page("GET", "/revenue", self.show), Page("GET", "/revenue.csv", self.download)]

    async def show(self, visit: Visit) -> web.StreamResponse:
        given = {**filled_in(visit.query)}
        given["by"] = given.get("by") or "day"
        if not any(given.get(name) for name in TIMES):
            given["range"] = given.get("range") or _DEFAULT
        try:
            found = await self._counted(visit)
        except MistakesError as error:
            return _page(visit, given, [], status=422, mistakes=error.mistakes)
        if found is None:
            return _page(visit, given, [], is_counting=True)
        age_ms = self._clock.now_ms() - datetime.fromisoformat(found.as_of).timestamp() * 1_000
        return _page(visit, given, found.data, counted_at=found.as_of if age_ms > _NEW_MS else None)

    async def _counted(self, visit: Visit) -> RevenueRows | None:
        """None: it is being counted still. Raises what counting it raised, here or since the last look."""
        page = visit.request.path_qs
        counting = self._under_way.get(page)
        if counting is None:
            counting = self._under_way[page] = asyncio.create_task(self._ask(visit, max_age=_AGE))
            # Perhaps nobody looks again.
            counting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        done, _ = await asyncio.wait([counting], timeout=PAINT_S)
        if done:
            self._under_way.pop(page, None)
            return counting.result()
        while len(self._under_way) > UNDER_WAY_MAX:
            self._under_way.pop(next(iter(self._under_way))).cancel()
        return None

    async def download(self, visit: Visit) -> web.StreamResponse:
        """Raises MistakesError."""
        by = narrowed(visit.query).get("by", "day")
        return web.Response(
            text=csv_text(by, (await self._ask(visit)).data),
            content_type="text/csv",
            charset="utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="revenue-by-{by}.csv"',
                "Content-Security-Policy": "sandbox",
            },
        )

    async def _ask(self, visit: Visit, **more: str) -> RevenueRows:
        query: MultiDict[str] = narrowed(visit.query, "range")
        query.setdefault("by", "day")
        name = narrowed(visit.query).get("range", _DEFAULT)
        if name not in RANGES:
            raise MistakesError([Mistake("range", f"must be one of {', '.join(RANGES)}")])
        if not any(each in query for each in TIMES):
            query["since"] = f"{self._first_day(name)}T00:00:00Z"
        query.extend(more)
        found: RevenueRows = await visit.ask("GET /api/v1/revenue", query=query)
        return found

    def _first_day(self, name: str) -> str:
        today = datetime.fromtimestamp(self._clock.now_ms() / 1_000, UTC).date()
        first = today.replace(day=1) if name == "month" else today - timedelta(days=int(name[:-1]) - 1)
        return first.isoformat()


class Total(NamedTuple):
    """Of one currency."""

    currency: str | None
    exponent: int | None
    gross: int
    refunded: int
    net: int
    disputed: int
    unreadable: int


def totals(rows: Iterable[Revenue]) -> Sequence[Total]:
    """Each currency by itself, in the order of their names; one that could not be read comes last."""
    sums: dict[tuple[str | None, int | None], list[int]] = {}
    for row in rows:
        found = sums.setdefault((row.currency, row.exponent), [0] * 5)
        for place, name in enumerate((*SUMS, "unreadable")):
            found[place] += getattr(row, name)
    return [
        Total(*key, *sums[key])
        for key in sorted(sums, key=lambda key: (key[0] or "~", 99 if key[1] is None else key[1]))
    ]


def charts(by: str, rows: Sequence[Revenue], all_totals: Sequence[Total]) -> Sequence[Chart]:
    """A picture for each currency that has anything to show, with a bar for each day, month or provider."""
    labels = _labels(by, rows)
    if len(labels) > BARS_MAX:
        return []
    shown = [each for each in all_totals if each.gross or each.refunded][:CHARTS_MAX]
    return [_chart(by, labels, rows, each) for each in shown]


def _chart(by: str, labels: Sequence[str], rows: Sequence[Revenue], of: Total) -> Chart:
    at = {getattr(row, by): row for row in rows if (row.currency, row.exponent) == (of.currency, of.exponent)}
    if by == "provider":
        labels = [label for label in labels if label in at]
    net = [at[label].net if label in at else 0 for label in labels]
    refunded = [at[label].refunded if label in at else 0 for label in labels]

    def exactly(value: float) -> str:
        return digits_text(int(value), of.exponent)

    def shortly(value: float) -> str:
        return number_text(value / 10 ** (of.exponent or 0))

    series = [Series("net", net, 2), Series("refunded", refunded, 3)]
    title = f"{of.currency or 'Currency not known'}{' (smallest units)' if of.exponent is None else ''}"
    made = bar_chart(title, labels, series, of=by.capitalize(), show=exactly)
    # At the axes there is little room.
    short = bar_chart(title, [_short(by, label) for label in labels], series, show=shortly)
    return made._replace(ticks_x=short.ticks_x, ticks_y=short.ticks_y)


def _short(by: str, label: str) -> str:
    """Like "7 Nov", or "Nov 2026"."""
    if by == "provider":
        return label
    at = date.fromisoformat(label if by == "day" else f"{label}-01")
    return f"{at.day} {at:%b}" if by == "day" else f"{at:%b %Y}"


def _labels(by: str, rows: Sequence[Revenue]) -> Sequence[str]:
    """From the first to the last; of days and months those in between too, in which nothing was earned."""
    found = sorted({getattr(row, by) for row in rows})
    if by == "provider" or not found:
        return found
    first, last = (date.fromisoformat(each if by == "day" else f"{each}-01") for each in (found[0], found[-1]))
    days = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    return days if by == "day" else list(dict.fromkeys(day[:7] for day in days))


def _page(
    visit: Visit,
    given: Mapping[str, str],
    rows: Sequence[Revenue],
    *,
    status: int = 200,
    mistakes: Sequence[Mistake] = (),
    counted_at: str | None = None,
    is_counting: bool = False,
) -> web.Response:
    by, all_totals = given["by"], totals(rows)
    pictures = charts(by, rows, all_totals) if rows else []
    return visit.show(
        "revenue.html",
        status=status,
        given=given,
        mistakes=mistakes,
        counted_at=counted_at,
        is_counting=is_counting,
        by=by,
        totals=all_totals,
        charts=pictures,
        are_all_drawn=len(pictures) == sum(1 for each in all_totals if each.gross or each.refunded),
        rows=sorted(rows, key=lambda row: getattr(row, by) or "", reverse=by != "provider")[:ROWS_MAX],
        left_out=max(0, len(rows) - ROWS_MAX),
        ranges=RANGES,
        groups=BY,
        providers=PAYER_NAMES,
        tabs=TABS,
        words=words,
    )


def csv_text(by: str, rows: Iterable[Revenue]) -> str:
    """A line for each row of the API's answer.

    Amounts have a point where the exponent is known, and are in smallest units where the column `exponent` is empty.
    """
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow([by, "currency", "exponent", *SUMS, "unreadable"])
    for row in rows:
        sums = [digits_text(getattr(row, name), row.exponent, thousands="") for name in SUMS]
        exponent = "" if row.exponent is None else row.exponent
        lines.writerow([_cell(getattr(row, by)), _cell(row.currency or ""), exponent, *sums, row.unreadable])
    return file.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula (OWASP, CSV Injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text
