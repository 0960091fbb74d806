"""What came of a run: what was sent, acknowledged, received, lost and received twice."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from bench.comparison.merchants import Receipt
from bench.comparison.provider import PAID, Hook

_LINE_EVERY_S = 0.25
ACKED_SHARE_MIN = 0.99
HOOKS_MIN = 100
LAG_P99_MS_MAX = 5_000.0
"""It is part of all latencies, and said beside them; what is lost does not depend on it, unless it is another load."""


class Tally(msgspec.Struct):
    """Of one side. A webhook is lost when it was answered 2xx and then did not reach each merchant."""

    payments: int
    hooks: int
    sent_again: int
    """Attempts of the provider beyond the first of each hook."""
    acked: int
    received: dict[str, int]
    """By each merchant: acknowledged webhooks, each counted once."""
    lost: int
    lost_share: float
    """Of those that were acknowledged."""
    payments_unheard: int
    """That a merchant was never told are paid, though that was acknowledged."""
    duplicated: int
    """Webhooks that a merchant took more than once, summed over the merchants."""
    renamed: int
    """Of these, those that came under another webhook-id, so that the merchant cannot know."""
    lag_p99_ms: float
    """How late the load was sent: the bench's own fault, and part of the latencies."""
    p50_ms: float | None
    """From when a hook was due until a merchant had it, of all that are owed. None: never, as it was lost."""
    p95_ms: float | None
    p99_ms: float | None


class Run(msgspec.Struct):
    """A tally and what it was made of."""

    tally: Tally
    latencies_ms: Sequence[float]
    """Of each webhook to each merchant; infinity for what was lost."""
    missing: Sequence[tuple[float, float]]
    """(seconds, how many deliveries were acknowledged and not yet with their merchant)."""


def count(hooks: Sequence[Hook], receipts: Mapping[str, Mapping[str, Receipt]], lags_s: Sequence[float]) -> Run:
    acked = [hook for hook in hooks if hook.acked_s is not None]
    lost = [hook for hook in acked if any(hook.event_id not in each for each in receipts.values())]
    latencies_ms = sorted(_latency_ms(hook, each) for hook in acked for each in receipts.values())
    taken = [receipt for each in receipts.values() for receipt in each.values()]
    tally = Tally(
        payments=len({hook.payment for hook in hooks}),
        hooks=len(hooks),
        sent_again=sum(max(hook.sends - 1, 0) for hook in hooks),
        acked=len(acked),
        received={name: sum(hook.event_id in each for hook in acked) for name, each in receipts.items()},
        lost=len(lost),
        lost_share=round(len(lost) / len(acked), 6) if acked else 0.0,
        payments_unheard=sum(hook.type == PAID for hook in lost),
        duplicated=sum(receipt.times > 1 for receipt in taken),
        renamed=sum(len(receipt.webhook_ids) > 1 for receipt in taken),
        lag_p99_ms=1_000 * (percentile(sorted(lags_s), 99) or 0.0),
        p50_ms=percentile(latencies_ms, 50),
        p95_ms=percentile(latencies_ms, 95),
        p99_ms=percentile(latencies_ms, 99),
    )
    return Run(tally, latencies_ms, _missing(acked, receipts))


def judge(tally: Tally, forged: int) -> None:
    """Raises SystemExit when too little succeeded for the run to mean anything."""
    if tally.hooks < HOOKS_MIN:
        raise SystemExit(f"refused to report: {tally.hooks} hooks are too few")
    if tally.acked < ACKED_SHARE_MIN * tally.hooks:
        raise SystemExit(f"refused to report: of {tally.hooks} hooks only {tally.acked} were answered 2xx")
    if tally.lag_p99_ms > LAG_P99_MS_MAX:
        raise SystemExit(
            f"refused to report: the load was sent {tally.lag_p99_ms:.0f} ms late (p99); is the machine busy?"
        )
    if forged:
        raise SystemExit(f"refused to report: merchants got {forged} requests that were not signed as they should be")


def _latency_ms(hook: Hook, receipts: Mapping[str, Receipt]) -> float:
    receipt = receipts.get(hook.event_id)
    return math.inf if receipt is None else 1_000 * (receipt.at_s - hook.due_s)


def percentile(ascending: Sequence[float], percent: float) -> float | None:
    """The value that so many are not above; None when that is infinite, or there is none."""
    if not ascending:
        return None
    value = ascending[max(math.ceil(len(ascending) * percent / 100) - 1, 0)]
    return None if math.isinf(value) else round(value, 3)


def _missing(acked: Sequence[Hook], receipts: Mapping[str, Mapping[str, Receipt]]) -> list[tuple[float, float]]:
    owed, paid = [], []
    for hook in acked:
        for each in receipts.values():
            assert hook.acked_s is not None
            receipt = each.get(hook.event_id)
            owed.append(hook.acked_s)
            # It may be with the merchant before the answer is with the provider.
            paid += [max(receipt.at_s, hook.acked_s)] if receipt else []
    owed.sort()
    paid.sort()
    last_s = max([*owed[-1:], *paid[-1:]], default=0.0)
    times = [step * _LINE_EVERY_S for step in range(math.ceil(last_s / _LINE_EVERY_S) + 2)]
    return [(at_s, bisect_right(owed, at_s) - bisect_right(paid, at_s)) for at_s in times]
