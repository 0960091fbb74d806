"""The ledger as what was said, gone through from the beginning each time: of every object the fact that stands."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from webhookd.core.event import Event
from webhookd.core.ledger import Fact, Kind, counts, standing
from webhookd.store.protocol.ledger import ObjectRow, PaymentRow, RevenueRow

DAY_MS = 86_400_000


class _Said(NamedTuple):
    """One fact, and the event that said it."""

    event: Event
    fact: Fact

    @property
    def at(self) -> int:
        return self.event.received_at if self.event.occurred_at is None else self.event.occurred_at

    @property
    def standing(self) -> tuple[Any, ...]:
        return (*standing(self.fact, self.event.occurred_at), *self.tie)

    @property
    def tie(self) -> tuple[str, str]:
        return self.event.provider_event_id, self.event.source

    @property
    def refunded(self) -> int | None:
        """Of a payment, as reported; all of it where its state says so and no amount is given."""
        if self.fact.kind == "payment" and self.fact.status == "refunded" and self.fact.refunded is None:
            return self.fact.money.amount
        return self.fact.refunded


class _Object:
    """One object, by all that was said of it."""

    def __init__(self, said: Sequence[_Said]) -> None:
        self.said = said
        self.stands = max(said, key=lambda each: each.standing)
        self.fact, self.occurred_at = self.stands.fact, self.stands.event.occurred_at
        self.first_event = min(each.event.key for each in said)
        self.payment_id = max((each.event.payment_id or "" for each in said), default="") or None
        self.reference = max((each.fact.reference or "" for each in said), default="") or None
        self.counted_at = min((each.at for each in said if counts(each.fact)), default=None)


class _Payment:
    """A payment, by what was said of it and by what named it; without the former it is there, and pending."""

    def __init__(self, own: Sequence[_Said], naming: Sequence[_Said], refunds: Iterable[_Object]) -> None:
        told = _Object(own) if own else None
        named_by = max(naming, key=lambda each: each.tie) if naming else None
        money = told.fact.money if told is not None else None
        self.status = told.fact.status if told is not None else "pending"
        self.detail = told.fact.detail if told is not None else None
        self.amount = money.amount if money is not None else None
        of = money or (named_by.fact.money if named_by is not None else None)
        assert of is not None
        self.currency, self.exponent = of.currency, of.exponent
        self.reference = told.reference if told is not None else None
        self.counted_at = told.counted_at if told is not None else None
        self.occurred_at = self.counted_at if self.counted_at is not None or told is None else told.occurred_at
        self.first_event = min(each.event.key for each in (*own, *naming))
        self._reckon(own, naming, [each for each in refunds if each.fact.money.currency == self.currency])

    def _reckon(self, own: Sequence[_Said], naming: Sequence[_Said], refunds: Sequence[_Object]) -> None:
        reports = [each for each in (*own, *naming) if each.refunded is not None]
        most = max((each.refunded or 0 for each in reports), default=0)
        self.refunded_at = min((each.at for each in reports if each.refunded == most), default=None) if most else None
        came_to_nothing = [
            each
            for each in refunds
            if each.fact.status in ("failed", "cancelled")
            # What was reported later is without it.
            and (each.occurred_at is None or each.occurred_at >= (self.refunded_at or 0))
        ]
        reported = most - sum(each.fact.money.amount or 0 for each in came_to_nothing)
        itemised = sum(each.fact.money.amount or 0 for each in refunds if each.fact.status == "succeeded")
        self.refunded, self.unitemised = max(reported, itemised), max(0, reported - itemised)
        if self.refunded > 0 and self.status in ("authorized", "captured", "partially_refunded"):
            is_all = self.amount is not None and self.refunded >= self.amount
            self.status = "refunded" if is_all else "partially_refunded"


class LedgerModel:
    def __init__(self, said: Iterable[Event], log: Mapping[int, Event]) -> None:
        self._log = [log[key] for key in sorted(log)]
        self._objects: dict[tuple[str, Kind, str], list[_Said]] = {}
        naming: dict[tuple[str, str], list[_Said]] = {}
        for event in said:
            if (fact := event.fact) is None:
                continue
            self._objects.setdefault((event.provider, fact.kind, fact.id), []).append(_Said(event, fact))
            if fact.kind != "payment" and event.payment_id is not None:
                naming.setdefault((event.provider, event.payment_id), []).append(_Said(event, fact))
        own = {(provider, name): said for (provider, kind, name), said in self._objects.items() if kind == "payment"}
        self._payments = {
            each: _Payment(own.get(each, ()), naming.get(each, ()), self._refunds_of(*each))
            for each in own.keys() | naming.keys()
        }

    def _of(self, kind: Kind) -> list[tuple[str, str, _Object]]:
        return [(provider, name, _Object(said)) for (provider, its, name), said in self._objects.items() if its == kind]

    def _refunds_of(self, provider: str, payment_id: str) -> list[_Object]:
        refunds = self._of("refund")
        return [each for its, _, each in refunds if (its, each.payment_id) == (provider, payment_id)]

    def payments(self) -> list[PaymentRow]:
        """Those first heard of last come first."""
        rows = [
            PaymentRow(
                provider,
                name,
                each.status,
                each.detail,
                each.amount,
                each.currency,
                each.exponent,
                each.refunded,
                each.reference,
                each.occurred_at,
                each.first_event,
                [event.id for event in self._log if (event.provider, event.payment_id) == (provider, name)],
            )
            for (provider, name), each in self._payments.items()
        ]
        return sorted(rows, key=lambda row: -row.first_event)

    def objects(self, kind: Kind) -> list[ObjectRow]:
        rows = [
            ObjectRow(
                provider,
                kind,
                name,
                each.fact.status,
                each.fact.detail,
                each.fact.money.amount,
                each.fact.money.currency,
                each.fact.money.exponent,
                each.payment_id,
                each.reference,
                each.occurred_at,
                each.first_event,
                [event.id for event in self._log if self._is_about(event, provider, kind, name)],
            )
            for provider, name, each in self._of(kind)
        ]
        return sorted(rows, key=lambda row: -row.first_event)

    def _is_about(self, event: Event, provider: str, kind: Kind, name: str) -> bool:
        fact = event.fact
        return fact is not None and (event.provider, fact.kind, fact.id) == (provider, kind, name)

    def revenue(self) -> list[RevenueRow]:
        """Of all time, in the order of their keys."""
        sums: dict[tuple[Any, ...], Counter[str]] = {}

        def add(what: str, at: int, *named: Any, amount: int | None) -> None:
            found = sums.setdefault((at // DAY_MS, *named), Counter())
            found[what] += amount or 0
            found["unreadable"] += amount is None

        for (provider, name), payment in self._payments.items():
            of = provider, payment.currency, payment.exponent
            if payment.counted_at is None:
                continue
            add("gross", payment.counted_at, *of, amount=payment.amount)
            if payment.unitemised and payment.refunded_at is not None:
                add("refunded", payment.refunded_at, *of, amount=payment.unitemised)
            for refund in self._refunds_of(provider, name):
                if refund.fact.status == "succeeded" and refund.counted_at is not None:
                    money = refund.fact.money
                    add("refunded", refund.counted_at, provider, money.currency, money.exponent, amount=money.amount)
        for provider, _, dispute in self._of("dispute"):
            if dispute.counted_at is not None:
                money = dispute.fact.money
                add("disputed", dispute.counted_at, provider, money.currency, money.exponent, amount=money.amount)
        columns = ("gross", "refunded", "disputed", "unreadable")
        return [RevenueRow(*key, *(sums[key][each] for each in columns)) for key in sorted(sums, key=repr)]
