"""The first page: what is happening, what is stuck, for whom, and what to do about it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from aiohttp import web

from webhookd.admin.dashboard.charts import Chart, Series, line_chart, ms_text, number_text
from webhookd.admin.dashboard.diagnosis import diagnosed
from webhookd.admin.dashboard.frame.render import money_text
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.ledger_views import Money, Revenue
from webhookd.admin.pulse import Now, Point
from webhookd.core.story_words import failure
from webhookd.core.units import duration_text

NOTHING = "–"
OLD_S = 60
_OLD = "What is waiting and dead was counted {} ago: the store does not answer, or there is very much to count."
EXAMPLE_OF = {
    "stripe": "payment_intent.succeeded",
    "paypal": "PAYMENT.CAPTURE.COMPLETED",
    "flutterwave": "charge.completed",
    "paystack": "charge.success",
    "razorpay": "payment.captured",
    "standard": "payment.succeeded",
}
"""A type of event of each provider, to begin with."""
FRESH_S = {"hour": 2, "day": 20}
"""How often the charts are drawn anew, at most."""


class Overview:
    def pages(self) -> Sequence[Page]:
        return [Page("GET", "/", self.show)]

    async def show(self, visit: Visit) -> web.StreamResponse:
        over = {"over": visit.query["over"]} if visit.query.get("over") else {}
        sources = await visit.ask("GET /api/v1/sources")  # first: the other may have much to count behind it
        refusals = await visit.ask("GET /api/v1/refusals")
        hooks = [each for each in sources.data if each.outbox is None]
        diagnoses = [diagnosed(each, hooks, refusals.data) for each in hooks]
        nodes = await visit.ask("GET /api/v1/nodes")
        pulse = await visit.ask("GET /api/v1/pulse", query=over)
        shown = over.get("over", "hour")
        return visit.show(
            "overview.html",
            over=shown,
            fresh_s=FRESH_S[shown],
            numbers=numbers_of(pulse.now),
            is_known=pulse.now.counted_s is not None and not is_old(pulse.now),
            charts=charts_of(pulse.points, "minute" if shown == "hour" else "10 minutes"),
            needy=pulse.needy,
            more_needy=pulse.more_needy,
            failure=failure,
            refusing=[each for each in diagnoses if each.is_urgent],
            sources=sources.data,
            first=hooks[0] if hooks else None,
            stuck=[each for each in sources.data if each.outbox is not None and each.outbox.state == "waits"],
            nodes=nodes.data,
            example_of=EXAMPLE_OF,
            is_new=not any(each.last_event_at or each.accepted for each in sources.data),
        )


def numbers_of(now: Now) -> Mapping[str, str]:
    """The texts of what changes all the time, by their places on a page: `/live` tells them each second."""
    is_counted = now.counted_s is not None
    return {
        "why_not_ready": "" if now.ready else f"Not ready: {now.why_not_ready}",
        "accepted_per_s": _rate(now.accepted_per_s),
        "delivered_per_s": _rate(now.delivered_per_s),
        "success_rate": NOTHING if now.success_rate is None else _percent(now.success_rate),
        **{
            name: NOTHING if value is None else ms_text(float(f"{value:.2g}"))
            for name, value in (
                ("ack_p50", now.ack_p50_ms),
                ("ack_p99", now.ack_p99_ms),
                ("delivery_p50", now.delivery_p50_ms),
                ("delivery_p99", now.delivery_p99_ms),
            )
        },
        "in_flight": f"{now.in_flight:,}",
        "backlog": f"{now.backlog:,}" if is_counted else "…",
        "oldest": _age(now) or NOTHING,
        "dead": f"{now.dead:,}" if is_counted else "…",
        "captured": "…" if now.captured_today is None else _captured(now.captured_today) or "nothing yet",
        "is_old": _OLD.format(duration_text(1_000 * (now.counted_s or 0))) if is_old(now) else "",
    }


def is_old(now: Now) -> bool:
    """Whether what was counted on disk may no longer be so."""
    return now.counted_s is not None and now.counted_s >= OLD_S


def _captured(today: Sequence[Revenue]) -> str:
    return " · ".join(money_text(Money(each.gross, each.currency, each.exponent)) for each in today if each.gross)


def charts_of(points: Sequence[Point], step: str) -> Mapping[str, Chart]:
    times = [round(datetime.fromisoformat(each.at).timestamp() * 1_000) for each in points]
    return {
        "flow": line_chart(
            f"Events in, deliveries out, each {step}",
            times,
            [
                Series("events in", [each.accepted for each in points], 1),
                Series("deliveries out", [each.delivered for each in points], 2),
            ],
            is_running=True,
        ),
        "failures": line_chart(
            f"Failures, each {step}",
            times,
            [
                Series("attempts failed", [each.failed for each in points], 4),
                Series("deliveries dead", [each.died for each in points], 3),
                Series("hooks refused", [each.refused for each in points], 1),
            ],
            is_running=True,
        ),
        "ack": line_chart(
            "From hook to 200",
            times,
            [
                Series("p50", [each.ack_p50_ms for each in points], 1),
                Series("p99", [each.ack_p99_ms for each in points], 4),
            ],
            show=ms_text,
            is_running=True,
        ),
        "delivery": line_chart(
            "From hook to delivered",
            times,
            [
                Series("p50", [each.delivery_p50_ms for each in points], 1),
                Series("p99", [each.delivery_p99_ms for each in points], 4),
            ],
            show=ms_text,
            is_running=True,
        ),
        "backlog": line_chart(
            "Deliveries waiting", times, [Series("waiting", [each.backlog for each in points], 1)], is_running=True
        ),
    }


def _age(now: Now) -> str | None:
    """Of what has waited longest."""
    if now.oldest_pending_at is None:
        return None
    age = datetime.fromisoformat(now.at) - datetime.fromisoformat(now.oldest_pending_at)
    return duration_text(max(1_000, age.total_seconds() * 1_000))


def _rate(per_s: float) -> str:
    return number_text(round(per_s, 1)) if per_s < 10 else number_text(round(per_s))


def _percent(share: float) -> str:
    """Never 100% of what failed somewhere."""
    return "100%" if share == 1 else f"{min(100 * share, 99.99):.4g}%"
