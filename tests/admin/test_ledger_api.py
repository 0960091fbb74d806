"""The ledger over the API: payments, what belongs to them, revenue, and waiting for a payment to settle."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yarl

from tests.dev_daemon import DevDaemon, dev_daemon
from tests.running import PATIENCE_S, daemon
from tests.shop import CREATED, Shop
from webhookd.admin.ledger_views import revenue_view
from webhookd.core.ledger import LISTS, RANKS, SETTLED
from webhookd.sandbox.samples import sample
from webhookd.store.protocol.ledger import RevenueRow

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYMENTS, REVENUE = "/api/v1/payments", "/api/v1/revenue"
OBJECT_FIELDS = {
    *(
        "provider",
        "id",
        "status",
        "detail",
        "amount",
        "payment",
        "reference",
        "occurred_at",
        "first_heard_at",
        "events",
    ),
}
SAMPLES = {
    "refunds": ("stripe", "refund.created"),
    "disputes": ("stripe", "charge.dispute.created"),
    "invoices": ("stripe", "invoice.paid"),
    "payment-links": ("stripe", "payment_link.created"),
    "orders": ("stripe", "checkout.session.completed"),
    "subscriptions": ("stripe", "customer.subscription.created"),
    "transfers": ("stripe", "payout.paid"),
    "accounts": ("stripe", "account.updated"),
    "fund-accounts": ("razorpay", "fund_account.validation.completed"),
    "downtimes": ("razorpay", "payment.downtime.started"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("ledger")) as found:
        yield found


class Answer:
    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status, self.headers, self.json = response.status, response.headers, json.loads(body)


async def ask(dev: DevDaemon, path: str | yarl.URL, **query: Any) -> Answer:
    headers = {"Authorization": f"Bearer {dev.running.token}"}
    url = path if isinstance(path, yarl.URL) else dev.running.admin + path
    async with dev.session.get(url, params=query, headers=headers) as response:
        return Answer(response, await response.read())


def refused(answer: Answer, status: int) -> str:
    assert answer.status == status, answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    return str(answer.json["detail"])


@pytest.fixture
def shop(dev: DevDaemon, request: pytest.FixtureRequest) -> Shop:
    return Shop(dev, f"{abs(hash(request.node.name)):x}")


async def ids(dev: DevDaemon, path: str = PAYMENTS, **query: Any) -> list[str]:
    return [each["id"] for each in (await dev.get(path, **query))["data"]]


# --- Payments


async def test_a_payment_is_exactly_what_the_contract_says(dev: DevDaemon, shop: Shop) -> None:
    pending = await shop.intent("pi_whole", "processing", CREATED - 5, metadata={"order_id": "order 7"})
    captured = await shop.intent("pi_whole", "succeeded", CREATED, metadata={"order_id": "order 7"})
    refunded = await shop.refund("re_whole", "pi_whole", 250, CREATED + 9)
    expected = {
        "provider": "stripe",
        "id": "pi_whole",
        "status": "partially_refunded",
        "detail": "succeeded",
        "settled": True,
        "amount": {"amount": 1050, "currency": "USD", "exponent": 2},
        "refunded": {"amount": 250, "currency": "USD", "exponent": 2},
        "reference": "order 7",
        "occurred_at": "2025-11-21T00:00:00.000Z",
        "first_heard_at": (await dev.get(f"/api/v1/events/{pending}"))["received_at"],
        "events": [pending, captured, refunded],
    }
    assert await dev.get(f"{PAYMENTS}/stripe/pi_whole") == expected
    assert (await dev.get(PAYMENTS, reference="order 7"))["data"] == [expected]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("requires_payment_method", "pending"),
        ("processing", "pending"),
        ("requires_capture", "authorized"),
        ("canceled", "cancelled"),
        ("succeeded", "captured"),
    ],
)
async def test_a_payment_says_whether_it_is_settled(dev: DevDaemon, shop: Shop, told: str, status: str) -> None:
    await shop.intent(f"pi_is_{told}", told)
    found = await dev.get(f"{PAYMENTS}/stripe/pi_is_{told}")
    assert (found["status"], found["settled"]) == (status, status in SETTLED)


async def test_what_nobody_said_yet_is_null_in_the_same_shape(dev: DevDaemon, shop: Shop) -> None:
    await shop.refund("re_first", "pi_later", 250)
    found = await dev.get(f"{PAYMENTS}/stripe/pi_later")
    assert (found["status"], found["settled"], found["detail"], found["reference"]) == ("pending", False, None, None)
    assert found["amount"] == {"amount": None, "currency": "USD", "exponent": 2}
    assert found["refunded"] == {"amount": 250, "currency": "USD", "exponent": 2}
    assert found["occurred_at"] is None


async def test_a_currency_that_is_not_known_has_no_exponent(dev: DevDaemon, shop: Shop) -> None:
    await shop.intent("pi_odd", currency="xtq")
    found = await dev.get(f"{PAYMENTS}/stripe/pi_odd")
    assert found["amount"] == {"amount": 1050, "currency": "XTQ", "exponent": None}


@pytest.mark.parametrize(
    "payment",
    ["pi/a/b", "pi%2Fa", "pi?a=b&c", "pi#a", "pi {a}", "pi+a b", "pi'\"\\", "pi_é€𝄞", "..", "pi:a@b;c,d", "%", "pi%"],
)
async def test_an_id_of_any_characters_is_found_by_its_quoted_segment(dev: DevDaemon, shop: Shop, payment: str) -> None:
    await shop.intent(payment)
    quoted = "".join(f"%{byte:02X}" for byte in payment.encode())
    url = yarl.URL(f"{dev.running.admin}{PAYMENTS}/stripe/{quoted}", encoded=True)
    answer = await ask(dev, url)
    assert (answer.status, answer.json["id"]) == (200, payment)


@pytest.mark.parametrize(
    "path",
    ["stripe/pi_nobody", "paypal/pi_whole", "nobody/pi_1", "stripe/%FF%FE", "stripe/%00", f"stripe/{'x' * 3000}"],
)
async def test_a_payment_that_nobody_spoke_of_is_404(dev: DevDaemon, path: str) -> None:
    url = yarl.URL(f"{dev.running.admin}{PAYMENTS}/{path}", encoded=True)
    assert "pi_" not in refused(await ask(dev, url), 404)


async def test_payments_are_found_by_every_name_an_event_gave_them(dev: DevDaemon, shop: Shop) -> None:
    await shop.intent("pi_named", latest_charge="ch_named", metadata={"order_id": "order 71", "cart": "cart 9"})
    session = {"id": "cs_named", "object": "checkout.session", "payment_intent": "pi_named", "payment_status": "paid"}
    await shop.says("checkout.session.completed", {**session, "status": "complete", "client_reference_id": "basket 3"})
    for name in ("order 71", "cart 9", "ch_named", "cs_named", "basket 3", "pi_named"):
        assert await ids(dev, reference=name) == ["pi_named"], name
    assert await ids(dev, reference="order 72") == []
    assert "reference" in refused(await ask(dev, PAYMENTS, reference=""), 422)


async def test_payments_can_be_narrowed_by_each_filter(dev: DevDaemon, shop: Shop) -> None:
    for number, status in enumerate(("succeeded", "processing", "canceled")):
        await shop.intent(f"pi_narrow_{number}", status, metadata={"order_id": "narrow"})
    all_three = ["pi_narrow_2", "pi_narrow_1", "pi_narrow_0"]
    assert await ids(dev, reference="narrow") == all_three
    assert await ids(dev, reference="narrow", provider="stripe") == all_three
    assert await ids(dev, reference="narrow", provider="paypal") == []
    assert await ids(dev, reference="narrow", status="captured") == ["pi_narrow_0"]
    assert await ids(dev, reference="narrow", status="cancelled") == ["pi_narrow_2"]
    assert await ids(dev, reference="narrow", status="refunded") == []
    assert await ids(dev, reference="narrow", since="2100-01-01T00:00:00Z") == []
    assert await ids(dev, reference="narrow", until="2000-01-01T00:00:00Z") == []
    assert (
        await ids(dev, reference="narrow", since="2000-01-01T00:00:00+02:00", until="2100-01-01T00:00:00Z") == all_three
    )
    assert (await ids(dev))[:3] == all_three
    assert (await ids(dev, status="cancelled"))[:1] == ["pi_narrow_2"]
    assert await ids(dev, provider="paypal") == []


@pytest.mark.parametrize("limit", [1, 3, 4, 11, 12, 13, 500])
@pytest.mark.parametrize("path", [PAYMENTS, "/api/v1/refunds"])
async def test_paging_visits_everything_once_and_what_was_heard_of_last_first(
    dev: DevDaemon, shop: Shop, path: str, limit: int
) -> None:
    name = f"paged {path} {limit}"
    sent = [f"{path}_{limit}_{number}" for number in range(12)]
    for each in sent:
        if path == PAYMENTS:
            await shop.intent(each, metadata={"order_id": name})
        else:
            await shop.refund(each, f"pi_of_{each}", metadata={"order_id": name})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await dev.get(path, reference=name, limit=limit, **cursor)
        assert len(page["data"]) <= limit
        seen += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        assert len(page["data"]) == limit
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sent[::-1]


@pytest.mark.parametrize("path", [PAYMENTS, *(f"/api/v1/{name}" for name in LISTS)])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "green"),
        ("Status", "captured"),
        ("status", "wrong"),
        ("status", ""),
        ("limit", "0"),
        ("limit", "501"),
        ("cursor", "nonsense"),
        ("cursor", "WzEsMl0"),
        ("since", "yesterday"),
        ("until", "2026-13-31T12:00:00Z"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_422_and_named(
    dev: DevDaemon, path: str, name: str, value: str
) -> None:
    assert name in refused(await ask(dev, path, **{name: value}), 422)


async def test_a_wrong_status_is_answered_with_those_of_the_list(dev: DevDaemon) -> None:
    for path, kind in ((PAYMENTS, "payment"), *((f"/api/v1/{name}", kind) for name, kind in LISTS.items())):
        detail = refused(await ask(dev, path, status="no such"), 422)
        assert detail == f"status: must be one of {', '.join(sorted(RANKS[kind]))}"


async def test_a_list_of_payments_is_not_narrowed_by_a_payment(dev: DevDaemon) -> None:
    assert "payment" in refused(await ask(dev, PAYMENTS, payment="pi_1"), 422)


@pytest.mark.parametrize("path", [PAYMENTS, f"{PAYMENTS}/stripe/pi_1", REVENUE, *(f"/api/v1/{name}" for name in LISTS)])
async def test_without_the_token_there_is_no_answer(dev: DevDaemon, path: str) -> None:
    async with dev.session.get(dev.running.admin + path) as response:
        assert response.status == 401


# --- What is no payment


@pytest.mark.parametrize("name", LISTS)
async def test_every_kind_has_its_list(dev: DevDaemon, name: str) -> None:
    provider, event_type = SAMPLES[name]
    event = await dev.send(sample(provider, event_type, int(time.time()), Random(name)), provider, f"msg_{name}")
    page = await dev.get(f"/api/v1/{name}", provider=provider, limit=1)
    [found] = page["data"]
    assert found.keys() == OBJECT_FIELDS
    assert (found["provider"], found["events"]) == (provider, [event])
    assert found["status"] in RANKS[LISTS[name]]
    assert found["amount"].keys() == {"amount", "currency", "exponent"}
    assert await ids(dev, f"/api/v1/{name}", provider=provider, status=found["status"], limit=1) == [found["id"]]
    if found["payment"] is not None:
        assert found["payment"].keys() == {"provider", "id"}
        [again] = (await dev.get(f"/api/v1/{name}", payment=found["payment"]["id"]))["data"]
        assert again == found


async def test_a_refund_is_exactly_what_the_contract_says(dev: DevDaemon, shop: Shop) -> None:
    event = await shop.refund("re_exact", "pi_exact", 250, metadata={"order_id": "order 81"})
    expected = {
        "provider": "stripe",
        "id": "re_exact",
        "status": "succeeded",
        "detail": "succeeded",
        "amount": {"amount": 250, "currency": "USD", "exponent": 2},
        "payment": {"provider": "stripe", "id": "pi_exact"},
        "reference": "order 81",
        "occurred_at": "2025-11-21T00:00:00.000Z",
        "first_heard_at": (await dev.get(f"/api/v1/events/{event}"))["received_at"],
        "events": [event],
    }
    for narrowed in ({"payment": "pi_exact"}, {"reference": "order 81"}, {"reference": "re_exact"}, {"limit": 1}):
        assert (await dev.get("/api/v1/refunds", **narrowed))["data"] == [expected], narrowed
    assert await ids(dev, "/api/v1/refunds", payment="pi_exact", reference="order 82") == []
    assert await ids(dev, "/api/v1/refunds", payment="pi_exact", status="failed") == []
    assert await ids(dev, "/api/v1/refunds", payment="pi_exact", provider="paypal") == []
    assert await ids(dev, "/api/v1/disputes", payment="pi_exact") == []


# --- Revenue


async def test_the_revenue_is_summed_by_currency_day_month_and_provider(tmp_path: Path) -> None:
    day = 86_400
    async with dev_daemon(tmp_path) as dev:
        shop = Shop(dev, "revenue")
        await shop.intent("pi_1")
        await shop.intent("pi_2", at=CREATED + day - 1)
        await shop.intent("pi_3", at=CREATED + day)
        await shop.intent("pi_4", at=CREATED + 15 * day, currency="jpy")
        await shop.intent("pi_5", "processing")
        await shop.intent("pi_6", currency="xtq")
        await shop.refund("re_1", "pi_1", 250, CREATED + 15 * day)
        dispute = {"id": "dp_1", "object": "dispute", "status": "needs_response", "amount": 1050, "currency": "usd"}
        await shop.says("charge.dispute.created", {**dispute, "payment_intent": "pi_2", "charge": "ch_2"})

        def row(currency: str, gross: int, refunded: int = 0, disputed: int = 0, **group: str) -> dict[str, Any]:
            exponent = {"USD": 2, "JPY": 0}.get(currency)
            sums = {"gross": gross, "refunded": refunded, "net": gross - refunded, "disputed": disputed}
            return {"currency": currency, "exponent": exponent, **sums, "unreadable": 0, **group}

        async def revenue(**query: str) -> list[dict[str, Any]]:
            answer = await dev.get(REVENUE, **query)
            assert answer.keys() == {"data", "as_of"}
            return list(answer["data"])

        whole = [row("JPY", 1050), row("USD", 3150, 250, 1050), row("XTQ", 1050)]
        assert await revenue() == whole
        assert await revenue(by="day") == [
            row("USD", 2100, 0, 1050, day="2025-11-21"),
            row("XTQ", 1050, day="2025-11-21"),
            row("USD", 1050, day="2025-11-22"),
            row("JPY", 1050, day="2025-12-06"),
            row("USD", 0, 250, day="2025-12-06"),
        ]
        assert await revenue(by="month") == [
            row("USD", 3150, 0, 1050, month="2025-11"),
            row("XTQ", 1050, month="2025-11"),
            row("JPY", 1050, month="2025-12"),
            row("USD", 0, 250, month="2025-12"),
        ]
        assert await revenue(by="provider") == [{**each, "provider": "stripe"} for each in whole]
        assert await revenue(currency="jpy") == [row("JPY", 1050)]
        assert await revenue(currency="EUR") == []
        assert await revenue(provider="stripe") == whole
        assert await revenue(provider="paypal") == []
        assert await revenue(since="2025-12-01T00:00:00Z") == [row("JPY", 1050), row("USD", 0, 250)]
        assert await revenue(until="2025-11-22T00:00:00Z", currency="USD") == [row("USD", 2100, 0, 1050)]
        assert await revenue(until="2025-11-22T00:00:00.001Z", currency="USD") == [row("USD", 3150, 0, 1050)]
        assert await revenue(since="2025-11-22T00:00:00Z", until="2025-11-22T00:00:00Z") == []
        await shop.intent("pi_now", at=int(time.time()), currency="eur")
        assert await revenue(currency="EUR") == [{**row("EUR", 1050), "exponent": 2}]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("since", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        ("since", {"since": "9999-01-01T00:00:00Z"}),
        ("since", {"since": "2026-01-02"}),
        ("by", {"by": "year"}),
        ("by", {"by": ""}),
        ("currency", {"currency": ""}),
        ("currency", {"currency": "dollars"}),
        ("currency", {"currency": "€€€"}),
        ("limit", {"limit": "5"}),
    ],
)
async def test_revenue_of_what_makes_no_sense_is_422_and_named(
    dev: DevDaemon, name: str, query: dict[str, str]
) -> None:
    assert name in refused(await ask(dev, REVENUE, **query), 422)


async def test_what_could_not_be_read_is_counted_and_comes_last() -> None:
    rows = [
        RevenueRow(1, "stripe", None, None, 0, 0, 0, 2),
        RevenueRow(1, "stripe", "USD", None, 7, 0, 0, 1),
        RevenueRow(1, "stripe", "USD", 2, 10, 3, 1, 0),
        RevenueRow(2, "paypal", "USD", 2, 5, 0, 0, 4),
        RevenueRow(2, "paypal", "EUR", 2, 1, 2, 0, 0),
    ]
    found = [(row.currency, row.exponent, row.gross, row.net, row.unreadable) for row in revenue_view(rows, None)]
    assert found == [("EUR", 2, 1, -1, 0), ("USD", 2, 15, 12, 4), ("USD", None, 7, 7, 1), (None, None, 0, 0, 2)]
    assert [(row.day, row.currency) for row in revenue_view(rows, "day")] == [
        ("1970-01-02", "USD"),
        ("1970-01-02", "USD"),
        ("1970-01-02", None),
        ("1970-01-03", "EUR"),
        ("1970-01-03", "USD"),
    ]


# --- Waiting


async def test_who_waits_is_answered_the_moment_the_payment_settles(dev: DevDaemon, shop: Shop) -> None:
    await shop.intent("pi_polled", "processing")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        known = tasks.create_task(ask(dev, f"{PAYMENTS}/stripe/pi_polled", wait="60s"))
        unknown = tasks.create_task(ask(dev, f"{PAYMENTS}/stripe/pi_unheard", wait="60s"))
        assert (await dev.get(f"{PAYMENTS}/stripe/pi_polled"))["settled"] is False
        await shop.intent("pi_unheard", "processing")
        await shop.intent("pi_polled", "requires_capture")
        assert (known.done(), unknown.done()) == (False, False)
        await shop.intent("pi_polled")
        await shop.intent("pi_unheard", "canceled")
    assert (known.result().status, known.result().json["status"]) == (200, "captured")
    assert known.result().json == await dev.get(f"{PAYMENTS}/stripe/pi_polled")
    assert (unknown.result().status, unknown.result().json["status"]) == (200, "cancelled")
    assert len(unknown.result().json["events"]) == 2


@pytest.mark.parametrize("wait", ["60s", "1m", "500ms", "0s"])
async def test_a_payment_that_is_settled_is_answered_at_once(dev: DevDaemon, shop: Shop, wait: str) -> None:
    await shop.intent(f"pi_at_once_{wait}")
    async with asyncio.timeout(PATIENCE_S):
        found = await dev.get(f"{PAYMENTS}/stripe/pi_at_once_{wait}", wait=wait)
    assert found["status"] == "captured"


async def test_when_the_time_is_over_the_payment_is_answered_as_it_is(dev: DevDaemon, shop: Shop) -> None:
    await shop.intent("pi_slow", "processing")
    began = time.monotonic()
    found = await dev.get(f"{PAYMENTS}/stripe/pi_slow", wait="300ms")
    assert (found["status"], found["settled"]) == ("pending", False)
    assert time.monotonic() - began >= 0.3


async def test_an_unknown_payment_is_waited_for_and_then_404(dev: DevDaemon) -> None:
    began = time.monotonic()
    refused(await ask(dev, f"{PAYMENTS}/stripe/pi_never", wait="300ms"), 404)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("path", ["nobody/pi_1", "stripe/%00", f"stripe/{'x' * 300}"])
async def test_what_nobody_will_ever_speak_of_is_404_at_once(dev: DevDaemon, path: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        refused(await ask(dev, yarl.URL(f"{dev.running.admin}{PAYMENTS}/{path}?wait=60s", encoded=True)), 404)


@pytest.mark.parametrize("wait", ["", "30", "s", "-1s", "1.5s", "61s", "60001ms", "2m", "1h", "٥s", "1s" * 99])
async def test_a_wait_that_makes_no_sense_is_422_and_named(dev: DevDaemon, wait: str) -> None:
    assert "wait" in refused(await ask(dev, f"{PAYMENTS}/stripe/pi_1", wait=wait), 422)


async def test_no_other_parameter_is_taken_with_one_payment(dev: DevDaemon) -> None:
    assert "timeout" in refused(await ask(dev, f"{PAYMENTS}/stripe/pi_1", timeout="30s"), 422)


async def test_hundreds_who_wait_for_a_few_payments_are_all_answered(dev: DevDaemon, shop: Shop) -> None:
    payments = [f"pi_many_{number}" for number in range(3)]
    await shop.intent(payments[0], "processing")
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        asyncio.timeout(PATIENCE_S),
        asyncio.TaskGroup() as tasks,
    ):
        many = DevDaemon(dev.running, session)
        waiting = [
            tasks.create_task(many.get(f"{PAYMENTS}/stripe/{payments[number % 3]}", wait="60s"))
            for number in range(300)
        ]
        await dev.get("/api/v1/status")
        for payment in payments:
            await shop.intent(payment)
    found = [task.result() for task in waiting]
    assert [each["id"] for each in found] == payments * 100
    assert {each["status"] for each in found} == {"captured"}


async def test_a_daemon_that_stops_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with dev_daemon(tmp_path) as dev:
        await Shop(dev, "stop").intent("pi_stop", "processing")
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            known = [tasks.create_task(ask(dev, f"{PAYMENTS}/stripe/pi_stop", wait="60s")) for _ in range(20)]
            unknown = [tasks.create_task(ask(dev, f"{PAYMENTS}/stripe/pi_{each}", wait="60s")) for each in range(20)]
            for _ in range(3):  # all have been heard when later ones are answered
                await dev.get(f"{PAYMENTS}/stripe/pi_stop", wait="100ms")
            assert await dev.running.stop() == 0
        assert [(each.result().status, each.result().json["status"]) for each in known] == [(200, "pending")] * 20
        for each in unknown:
            assert "stopping" in refused(each.result(), 503)
            assert each.result().headers["Retry-After"] == "1"


async def test_no_more_wait_than_may_and_who_leaves_makes_room_at_once(tmp_path: Path) -> None:
    """A third of the descriptors: here thirty."""
    few = ["sh", "-c", 'ulimit -n 90; exec "$0" "$@"', sys.executable, "-m", "webhookd", "serve", "--dev"]
    free_ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")]
    async with (
        daemon(tmp_path, '[server]\nmin_free = "1MiB"\n', *free_ports, command=few) as running,
        aiohttp.ClientSession() as session,
        asyncio.timeout(PATIENCE_S),
    ):
        dev = DevDaemon(running, session)
        path = f"{PAYMENTS}/stripe/pi_awaited"

        async def until_there_is_room(asker: DevDaemon, wait: str) -> Answer:
            while (answer := await ask(asker, path, wait=wait)).status == 503:
                assert "wait" in refused(answer, 503)
                assert answer.headers["Retry-After"] == "1"
            return answer

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as others:
            crowd = [asyncio.create_task(until_there_is_room(DevDaemon(running, others), "60s")) for _ in range(30)]
            while (await ask(dev, path, wait="1ms")).status == 404:
                pass
            for task in crowd[:10]:
                task.cancel()
            refused(await until_there_is_room(dev, "1ms"), 404)
            await Shop(dev, "room").intent("pi_awaited")
            assert {(await task).json["status"] for task in crowd[10:]} == {"captured"}
