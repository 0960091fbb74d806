"""The comparison with the old way: what counts as lost and as twice, what is refused, and one small run of both."""

import asyncio
import json
import math
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
import pytest
from standardwebhooks import Webhook

from bench.compare import compare, faults
from bench.comparison.merchants import NAMES, SECRET, Merchants, Receipt
from bench.comparison.provider import PAID, Hook, payments
from bench.comparison.report import rows, write
from bench.comparison.sides import OldWay, Outbox, Webhookd
from bench.comparison.tally import Run, Tally, count, judge
from bench.comparison.trouble import Stretch, Trouble, draw
from bench.rig.merchant import reserve_port
from bench.rig.supervised import Supervised


def hook(event_id: str, acked_s: float | None = 1.0, *, kind: str = PAID, sends: int = 1) -> Hook:
    return Hook(event_id, f"pi_{event_id}", kind, 0.5, b"", sends, acked_s)


def receipt(at_s: float = 1.5, times: int = 1, *ids: str) -> Receipt:
    return Receipt(at_s, set(ids) or {"a"}, times)


def tallied(hooks: list[Hook], receipts: dict[str, dict[str, Receipt]]) -> Tally:
    return count(hooks, receipts, [0.0]).tally


def test_an_acknowledged_webhook_is_lost_when_one_merchant_never_got_it():
    found = tallied([hook("x"), hook("y")], {"a": {"x": receipt(), "y": receipt()}, "b": {"x": receipt()}})
    assert (found.lost, found.lost_share, found.received) == (1, 0.5, {"a": 2, "b": 1})


def test_what_was_never_acknowledged_is_not_lost():
    found = tallied([hook("x"), hook("y", None)], {"a": {"x": receipt()}})
    assert (found.hooks, found.acked, found.lost) == (2, 1, 0)


def test_a_payment_is_unheard_of_when_the_event_that_says_it_is_paid_is_lost():
    lost = [hook("x"), hook("y", kind="charge.succeeded")]
    assert tallied(lost, {"a": {}}).payments_unheard == 1


def test_more_than_once_at_one_merchant_is_a_duplicate_and_once_at_each_is_none():
    both = {"a": {"x": receipt(), "y": receipt(1.5, 3)}, "b": {"x": receipt(), "y": receipt()}}
    assert tallied([hook("x"), hook("y")], both).duplicated == 1


def test_a_repeat_under_another_id_is_told_from_one_that_merchants_know():
    found = tallied([hook("x"), hook("y")], {"a": {"x": receipt(1.5, 2, "i"), "y": receipt(1.5, 2, "i", "j")}})
    assert (found.duplicated, found.renamed) == (2, 1)


def test_what_the_provider_sent_again_is_counted():
    assert tallied([hook("x", sends=4), hook("y", None, sends=0)], {"a": {"x": receipt()}}).sent_again == 3


def test_latency_begins_when_a_hook_was_due_and_what_is_lost_counts_as_never():
    hooks = [hook(str(number)) for number in range(100)]
    run = count(hooks, {"a": {str(number): receipt(0.5 + number / 1_000) for number in range(96)}}, [0.0])
    assert (run.tally.p50_ms, run.tally.p95_ms, run.tally.p99_ms) == (49.0, 94.0, None)
    assert list(run.latencies_ms).count(math.inf) == 4


def test_the_line_of_what_is_missing_ends_at_what_never_came():
    run = count([hook("x"), hook("y"), hook("z")], {"a": {"x": receipt(2.0), "y": receipt(0.6)}}, [0.0])
    line = dict(run.missing)
    assert line[0.75] == 0, "with the merchant before the answer was with the provider"
    assert (line[1.0], line[1.75], line[2.0], run.missing[-1][1]) == (2, 2, 1, 1)


GOOD = tallied([hook(str(number)) for number in range(200)], {"a": {str(number): receipt() for number in range(200)}})


def test_a_run_in_which_enough_succeeded_counts():
    judge(GOOD, forged=0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"acked": 190}, "only 190 were answered"),
        ({"hooks": 50, "acked": 50}, "too few"),
        ({"lag_p99_ms": 6_000.0}, "late"),
    ],
)
def test_a_run_in_which_too_little_succeeded_is_refused(change, why):
    with pytest.raises(SystemExit, match=rf"refused to report.*{why}"):
        judge(msgspec.structs.replace(GOOD, **change), forged=0)


def test_a_run_with_forged_requests_is_refused():
    with pytest.raises(SystemExit, match=r"refused to report.*not signed"):
        judge(GOOD, forged=1)


def run_with(lost: int) -> Run:
    return Run(msgspec.structs.replace(GOOD, lost=lost), [1.0, 2.0], [(0.0, 1.0), (1.0, 0.0)])


def test_it_is_a_success_when_the_old_way_loses_and_webhookd_does_not():
    assert faults({OldWay.name: run_with(5), Webhookd.name: run_with(0)}) == []


def test_it_is_none_when_webhookd_loses_or_the_old_way_does_not():
    assert len(faults({OldWay.name: run_with(0), Webhookd.name: run_with(1)})) == 2
    assert len(faults({Webhookd.name: run_with(1)})) == 1
    assert len(faults({Outbox.name: run_with(1)})) == 1


def test_a_seed_decides_the_load_and_the_trouble():
    def drawn(seed: int):
        hooks = [(each.event_id, each.due_s) for each in payments(random.Random(seed), 5, 20)]
        return hooks, draw(random.Random(seed), 60, NAMES, 3, 3)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_each_fault_has_a_part_of_the_run_for_itself():
    for seed in range(50):
        trouble = draw(random.Random(seed), 60, NAMES, 2, 4)
        assert [int(fault.at_s // 10) for fault in trouble.faults] == list(range(6))
        assert [fault.kind for fault in trouble.faults].count("deploy") == 2
        assert trouble.down.merchant != trouble.slow.merchant
        assert 0 < trouble.down.from_s < trouble.down.until_s < 60


def test_the_hooks_of_a_run_are_in_the_order_in_which_they_are_due_and_their_ids_are_their_own():
    hooks = payments(random.Random(3), 5, 20)
    assert [each.due_s for each in hooks] == sorted(each.due_s for each in hooks)
    assert len({each.event_id for each in hooks}) == len(hooks)
    assert len({each.payment for each in hooks}) == sum(each.type == PAID for each in hooks) == 100


async def test_a_merchant_counts_what_is_signed_and_refuses_what_is_not_and_everything_while_it_is_down():
    nobody_slow, down = Stretch("inventory", 0, 0), Stretch("checkout", 0, 1_000)
    merchants = Merchants(Trouble([], down, nobody_slow), random.Random(1))
    body = b'{"id": "evt_1"}'

    async def status(name: str, webhook_id: str, signed: bytes = body) -> int:
        now = datetime.now(tz=UTC)
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(webhook_id, now, signed.decode()),
        }
        async with session.post(merchants.urls[name], data=body, headers=headers) as response:
            return response.status

    await merchants.start()
    try:
        async with aiohttp.ClientSession() as session:
            assert await status("inventory", "i", b"another") == 401
            assert await status("checkout", "i") == 503
            assert [await status("inventory", each) for each in ("i", "i", "j")] == [200, 200, 200]
    finally:
        await merchants.stop()
    assert (merchants.forged, merchants.receipts["checkout"]) == (1, {})
    [taken] = merchants.receipts["inventory"].values()
    assert (taken.times, taken.webhook_ids) == (3, {"i", "j"})


async def test_a_supervised_program_is_started_again_after_each_signal_and_its_own_end_is_noticed(tmp_path: Path):
    program = (
        "import signal, socket, sys; print('started', flush=True); signal.signal(15, lambda *_: sys.exit(0))\n"
        "listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while listening.accept()[0].recv(9) != b'end': pass"
    )
    with reserve_port() as reserved:
        reserved.setsockopt(1, 2, 1)
        port = reserved.getsockname()[1]
        async with Supervised([sys.executable, "-c", program, str(port)], port, tmp_path / "log") as supervised:
            await supervised.deploy()
            await supervised.crash()
            assert (tmp_path / "log").read_text().count("started") == 3
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"end")
            writer.close()
            await supervised._process.wait()
            with pytest.raises(SystemExit, match="ended with 0"):
                await supervised.crash()


def test_on_a_small_run_the_old_way_loses_and_webhookd_does_not_with_an_outbox_either_and_a_page_says_so(
    tmp_path: Path, monkeypatch
):
    # On a busy machine the load is late; whether anything is lost does not depend on it.
    monkeypatch.setattr("bench.comparison.tally.LAG_P99_MS_MAX", math.inf)
    names = [OldWay.name, Webhookd.name, Outbox.name]
    comparison = compare(names, seed=5, seconds=4, per_s=18, deploys=0, crashes=2)
    old, new, outbox = (comparison.runs[name].tally for name in names)
    assert old.acked == new.acked == old.hooks == new.hooks
    assert old.lost > 0
    assert new.lost == 0
    assert new.received == dict.fromkeys(NAMES, new.acked)
    assert (outbox.acked, outbox.lost, outbox.received) == (new.acked, 0, new.received)
    assert json.loads(msgspec.json.encode(comparison.as_json()))["sides"][OldWay.name]["lost"] == old.lost
    page = write(comparison, tmp_path).read_text()
    assert f"The old way lost {old.lost} of" in page
    assert all(row.name in page for row in rows(comparison.runs))
    assert "http:" not in page, "it stands alone"
    assert "https:" not in page, "it stands alone"
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "missing.png", "latency.png"}
