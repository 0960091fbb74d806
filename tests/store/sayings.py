"""What the providers of the model test have to tell, in few words: of two payments, and what belongs to them."""

import hashlib
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from tests.making import NOW_MS
from webhookd.core.event import QUARANTINED_TYPE, Event, Reading
from webhookd.core.event import Hook as RawHook
from webhookd.core.ledger import Fact
from webhookd.core.money import Money

SOURCES = {"stripe": "stripe", "stripe-eu": "stripe", "razorpay": "razorpay"}
"""Each with its provider."""


class Says(NamedTuple):
    what: str
    """The kind of an object, its name and its state."""
    amount: int | None = None
    of: str | None = None
    """The payment that it belongs to."""
    refunded: int | None = None
    reference: str | None = None
    at_s: int | None = None
    currency: str = "USD"

    def __repr__(self) -> str:
        told = [
            self.what,
            *([] if self.amount is None else [f"{self.amount} {self.currency}"]),
            *([] if self.of is None else [f"of {self.of}"]),
            *([] if self.refunded is None else [f"refunded {self.refunded}"]),
            *([] if self.reference is None else [f"reference {self.reference}"]),
            *([] if self.at_s is None else [f"at {self.at_s} s"]),
        ]
        return ", ".join(told)

    @property
    def reading(self) -> tuple[Fact, str | None, int | None]:
        """The fact, its payment, and when it occurred."""
        kind, name, status = self.what.split()
        money = Money(self.amount, self.currency, 2)
        names = ("cs_1",) if self.reference is not None else ()
        fact = Fact(kind, name, status, None, money, self.refunded, self.reference, names)  # type: ignore[arg-type]
        payment = name if kind == "payment" else self.of
        return fact, payment, None if self.at_s is None else NOW_MS + self.at_s * 1_000


SAYINGS = (
    Says("payment pay_1 authorized", 1000),
    Says("payment pay_1 captured", 1000, reference="order 7"),
    Says("payment pay_1 captured", 1000, refunded=300, at_s=2),
    Says("payment pay_1 failed", 1000, at_s=1),
    Says("payment pay_1 refunded", 1000),
    Says("payment pay_2 captured", 500, currency="EUR", reference="order 7"),
    Says("payment pay_2 captured", currency="EUR"),
    Says("refund re_1 succeeded", 300, "pay_1"),
    Says("refund re_1 failed", 300, "pay_1", at_s=3),
    Says("refund re_2 pending", 700, "pay_1"),
    Says("refund re_2 succeeded", 700, "pay_1", refunded=700),
    Says("refund re_3 succeeded", 500, "pay_2", currency="EUR"),
    Says("dispute dp_1 open", 1000, "pay_1", at_s=5),
    Says("dispute dp_1 won", 1000, "pay_1", at_s=4),
    Says("account acc_1 active"),
)
NOTHING_OF_MONEY, NONSENSE = "nothing of money", "nonsense"


class Hook(NamedTuple):
    """What a provider sends. The same id may come again with other words."""

    source: str
    id: int
    says: Says | Literal["nothing of money", "nonsense"]
    alias: Literal["its body", "transmission 1", "transmission 2"] | None = None

    def __repr__(self) -> str:
        """As a story tells it."""
        return f"Hook({self.source}, evt_{self.id}: {self.says}{'' if self.alias is None else f'; {self.alias}'})"

    def received(self, key: int, now_ms: int) -> Event:
        """As the receiver offers it to the store."""
        fact, payment, occurred_at = self.says.reading if isinstance(self.says, Says) else (None, None, None)
        body = _body(self.says)
        sha256 = hashlib.sha256(body).digest()
        fields: dict[str, Any] = {"state": "accepted", "type": "ping" if fact is None else f"{fact.kind}.{fact.status}"}
        if self.says == NONSENSE:
            fields = {"state": "quarantined", "type": QUARANTINED_TYPE}
        return Event(
            key=key,
            salt=key % 1_000,
            source=self.source,
            provider=SOURCES[self.source],
            provider_event_id=f"{'quarantined:' if self.says == NONSENSE else ''}evt_{self.id}",
            received_at=now_ms,
            occurred_at=occurred_at,
            payment_id=payment,
            fact=fact,
            alias=f"sha256:{sha256.hex()}" if self.alias == "its body" else self.alias,
            headers=[("content-type", "application/json")],
            sha256=sha256,
            size=len(body),
            body=body,
            **fields,
        )


def _body(says: Says | str) -> bytes:
    """Longer where more is said, so that bytes are worth counting."""
    return repr(says).encode() * (3 if isinstance(says, Says) else 1)


@st.composite
def hooks(draw: st.DrawFn) -> Hook:
    return Hook(
        draw(st.sampled_from(sorted(SOURCES))),
        draw(st.integers(1, 9)),
        draw(st.sampled_from([*SAYINGS, *SAYINGS, NOTHING_OF_MONEY, NONSENSE])),
        draw(st.sampled_from([None, None, None, "its body", "transmission 1", "transmission 2"])),
    )


HOOKS = hooks()
_READINGS = {_body(says): says.reading for says in SAYINGS}


def reread(_provider: str, hook: RawHook) -> Reading | None:
    """What a body says, for who counts the ledger again."""
    if hook.body not in _READINGS:
        return Reading("", "ping")
    fact, payment, occurred_at = _READINGS[hook.body]
    return Reading("", "", occurred_at, payment, fact)
