"""What events say about money: kinds of objects, their states, and which of two facts about one object stands.

Facts arrive late, twice and in any order. Each has a standing, drawn from the event alone; the highest one stands, so
that any order of the same events makes the same ledger. Two rules:

- rank first: the state that is further on stands, whatever the time (payments, refunds, invoices, …);
- time first: the later event stands, for objects that go back and forth (subscriptions, disputes, …).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec

from webhookd.core.money import NO_MONEY, Money

Effect = Literal["first", "moved", "same", "behind", "earlier", "tie"]
"""What a fact did to its object: it was the first, moved it, or said the same again; or it did not stand, because its
state is less far on, it occurred earlier, or it is as far on and as late and of the lesser id."""
Kind = Literal[
    "payment",
    "refund",
    "dispute",
    "invoice",
    "payment_link",
    "order",
    "subscription",
    "transfer",
    "account",
    "fund_account",
    "downtime",
]
KINDS: Sequence[Kind] = get_args(Kind)
LISTS: Mapping[str, Kind] = {f"{kind.replace('_', '-')}s": kind for kind in KINDS if kind != "payment"}
"""What a list of each kind beside payments is called, in paths and commands: `payment-links`."""
TIME_FIRST: frozenset[Kind] = frozenset({"dispute", "subscription", "transfer", "account", "fund_account"})

RANKS: Mapping[Kind, Mapping[str, int]] = {
    "payment": {
        "pending": 0,
        "failed": 1,
        "authorized": 2,
        "cancelled": 3,
        "captured": 4,
        "partially_refunded": 5,
        "refunded": 6,
    },
    "refund": {"pending": 0, "succeeded": 1, "failed": 2, "cancelled": 2},
    "dispute": {"open": 0, "action_required": 1, "under_review": 2, "closed": 3, "won": 4, "lost": 5},
    "invoice": {
        "draft": 0,
        "open": 1,
        "failed": 2,
        "partially_paid": 3,
        "uncollectible": 4,
        "expired": 4,
        "cancelled": 5,
        "paid": 6,
        "refunded": 7,
    },
    "payment_link": {"open": 0, "partially_paid": 1, "expired": 2, "cancelled": 3, "paid": 4},
    "order": {"created": 0, "approved": 1, "expired": 2, "cancelled": 2, "paid": 3},
    "subscription": {
        "pending": 0,
        "trialing": 1,
        "active": 2,
        "past_due": 3,
        "paused": 3,
        "halted": 4,
        "expired": 5,
        "completed": 5,
        "cancelled": 6,
    },
    "transfer": {
        "pending": 0,
        "processing": 1,
        "held": 1,
        "failed": 2,
        "cancelled": 2,
        "succeeded": 3,
        "reversed": 4,
    },
    "account": {
        "pending": 0,
        "under_review": 1,
        "needs_clarification": 1,
        "limited": 2,
        "active": 3,
        "rejected": 4,
        "suspended": 4,
        "revoked": 5,
    },
    "fund_account": {"pending": 0, "failed": 1, "active": 2},
    "downtime": {"started": 0, "updated": 1, "resolved": 2},
}
"""The states of each kind, and how far on each is. The standing of facts of equal rank is decided by time."""

COUNTING: Mapping[Kind, frozenset[str]] = {
    "payment": frozenset({"captured", "partially_refunded", "refunded"}),
    "refund": frozenset({"succeeded"}),
    "dispute": frozenset(RANKS["dispute"]),
}
"""The states in which an object counts in the revenue: from the first event on that says one of them."""

SETTLED = frozenset({"failed", "cancelled", "captured", "partially_refunded", "refunded"})
"""Payment states with which a waiting customer has an answer. `failed` may still become `captured`."""
REFERENCES_MAX = 16
DETAIL_CHARS_MAX = 64


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What one event says of the one object it is about: its primary entity."""

    kind: Kind
    id: str
    status: str
    """One of RANKS[kind]."""
    detail: str | None = None
    """The provider's own word for the state."""
    money: Money = NO_MONEY
    refunded: int | None = None
    """All that has been refunded of the payment so far, smallest units, where the event says so."""
    reference: str | None = None
    """The merchant's own reference."""
    references: tuple[str, ...] = ()
    """Other names by which the payment can be found: the order, the checkout session, values of the metadata."""


def standing(fact: Fact, occurred_at: int | None) -> tuple[int, int]:
    """Compared as a pair; of equals the greater provider event id stands, and of one event the greater source's."""
    rank, at = RANKS[fact.kind][fact.status], occurred_at or 0
    return (at, rank) if fact.kind in TIME_FIRST else (rank, at)


def counts(fact: Fact) -> bool:
    return fact.status in COUNTING.get(fact.kind, ())


def effect(kind: Kind, said: tuple[int, int, str], stood: tuple[int, int, str] | None, *, is_other: bool) -> Effect:
    """Of a fact on an object that stood so before, by their standings and ids.

    None, and one that was only heard of (below any rank), are no standing yet. `is_other`: it says another state.
    """
    if stood is None or stood[0] < 0:
        return "first"
    if said > stood:
        return "moved" if is_other else "same"
    if said[:2] == stood[:2]:
        return "tie"
    by_time = (said[0] != stood[0]) == (kind in TIME_FIRST)
    return "earlier" if by_time else "behind"
