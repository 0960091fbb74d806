"""What PayPal's resources have in common: states, amounts, links, and the names that lead from one to another."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from webhookd.core.ledger import COUNTING, Fact, Kind
from webhookd.core.money import Money, of_major
from webhookd.providers.paypal.states import STATES
from webhookd.providers.tree import at, name, references, text, word

Json = Mapping[str, Any]
Said = tuple[str | None, Fact | None]

LINKS_MAX = 32
COUNTED = tuple(said for said, status in STATES["payment"].items() if status in COUNTING["payment"])
"""PayPal's words for a payment that came in, given back later or not."""
DEFAULT_UNIT = "default"
"""The reference_id that PayPal gives the only unit of an order."""
_PAYMENT_LINK = re.compile(r"https://[a-z.-]{1,100}/v\d/payments/(?:captures?|sale)/([A-Za-z0-9-]{1,64})", re.ASCII)
_NAMES = (
    *("invoice_id", "custom_id", "invoice_number", "custom", "parent_payment", "billing_agreement_id", "sale_id"),
    "capture_id",
)
_OWN = ("custom_id", "invoice_id", "custom", "invoice_number", "reference_id")


def fact(
    kind: Kind,
    object_id: str | None,
    state: str | None,
    amount: Money,
    names: Sequence[str | None],
    *,
    reference: str | None,
    refunded: int | None = None,
) -> Fact | None:
    """None where the ledger must be left alone: no id, a state we have no word for, an amount that cannot be read."""
    status = None if state is None else STATES[kind].get(state.upper())
    if object_id is None or status is None or (kind in COUNTING and not _is_readable(amount)):
        return None
    others = references(*(each for each in names if each not in (object_id, reference)))
    return Fact(kind, object_id, status, state, amount, refunded, reference, others)


def _is_readable(amount: Money) -> bool:
    """A currency of which PayPal's decimals are not known is a mark on the amount, not a mistake in it."""
    if amount.currency is None or (amount.amount is None and amount.exponent is not None):
        return False
    return amount.amount is None or amount.amount >= 0


def state_of(resource: Json, rest: str) -> str | None:
    """The resource's own word, else what the event's name ends with. None where its own word cannot be read."""
    for field in ("status", "state"):
        if resource.get(field) is not None:
            return word(resource, field)
    return rest or None


def money(amount: Any, currency: Any = None) -> Money:
    """v2: value and currency_code. v1: total (a payment's), or value, and currency. Else with the currency given."""
    value = at(amount, "value")
    code = at(amount, "currency_code") or at(amount, "currency") or currency
    return of_major("paypal", at(amount, "total") if value is None else value, code)


def positive(amount: Money) -> Money:
    """What was given back is below zero in v1."""
    if amount.amount is None:
        return amount
    return Money(abs(amount.amount), amount.currency, amount.exponent)


def parent_payment(resource: Json) -> str | None:
    """The capture or sale that this was given back of: by name, else by a link to one that is not itself."""
    own = text(resource, "id")
    related = at(resource, "supplementary_data", "related_ids", "capture_id")
    for found in (related, resource.get("capture_id"), resource.get("sale_id")):
        if (payment_id := name(found)) not in (None, own):
            return payment_id
    links = resource.get("links")
    for link in links[:LINKS_MAX] if isinstance(links, list) else ():
        href = at(link, "href")
        found = _PAYMENT_LINK.fullmatch(href) if isinstance(href, str) else None
        if found is not None and found[1] != own:
            return found[1]
    return None


def names_of(resource: Any) -> list[str | None]:
    """By what else a shop may know it: the order and the authorization it came from, and the shop's own numbers."""
    related = at(resource, "supplementary_data", "related_ids")
    found = [text(related, field) for field in ("order_id", "authorization_id", "capture_id")]
    found += [text(resource, field) for field in _NAMES]
    found.append(_own(resource, "reference_id"))
    links = at(resource, "links")
    for link in links[:LINKS_MAX] if isinstance(links, list) else ():
        if at(link, "rel") in ("up", "parent_payment", "order") and (href := text(link, "href")) is not None:
            found.append(name(href.rpartition("/")[2]))
    return found


def reference_of(resource: Any) -> str | None:
    """The merchant's own reference."""
    return next((found for field in _OWN if (found := _own(resource, field)) is not None), None)


def _own(resource: Any, field: str) -> str | None:
    found = text(resource, field)
    return None if found == DEFAULT_UNIT else found


def first(found: Any) -> Any:
    """Of a list, if it has one."""
    return found[0] if isinstance(found, list) and found else None
