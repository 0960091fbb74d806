"""Says why what an event said of an object stands, or does not."""

from webhookd.admin.payment_history import Fact
from webhookd.core.ledger import TIME_FIRST


def why(fact: Fact) -> str:
    status, before, what = words(fact.status), words(fact.against or ""), words(fact.kind)
    match fact.effect:
        case "first":
            return f"The first that was said of this {what}."
        case "moved":
            beyond = "it occurred later" if fact.kind in TIME_FIRST else f"{status} is further on"
            return f"The {what} was {before}; {beyond}, so this stands."
        case "same":
            return f"The {what} was {before} already; this is the newer word for it."
        case "behind":
            return f"Nothing moved: the {what} was {before} already, and {status} is less far on."
        case "earlier":
            return f"Nothing moved: it occurred before what stood already ({before})."
        case "tie":
            return "Nothing moved: as far on and of the same time as what stood; of the two the greater id stands."


def words(name: str) -> str:
    """Of a state or a kind, as people write it."""
    return name.replace("_", " ")
