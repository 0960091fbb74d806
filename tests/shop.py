"""What Stripe says of the payments of a shop, sent as signed hooks."""

from typing import Any

from tests.dev_daemon import DevDaemon

CREATED = 1_763_683_200
"""2025-11-21T00:00:00Z"""


class Shop:
    """What Stripe says of the payments of one shop; each shop of its own names and times."""

    def __init__(self, dev: DevDaemon, name: str) -> None:
        self.dev, self.name, self.number = dev, name, 0

    async def says(self, event_type: str, subject: dict[str, Any], at: int = CREATED) -> str:
        self.number += 1
        event = {"id": f"evt_{self.name}_{self.number}", "type": event_type, "created": at, "object": "event"}
        return await self.dev.send({**event, "data": {"object": subject}})

    async def intent(self, payment: str, status: str = "succeeded", at: int = CREATED, **more: Any) -> str:
        amounts = {"amount": 1050, "amount_received": 1050 if status == "succeeded" else 0, "currency": "usd"}
        subject = {"id": payment, "object": "payment_intent", "status": status, **amounts, **more}
        return await self.says(f"payment_intent.{status}", subject, at)

    async def refund(self, refund: str, payment: str, amount: int = 250, at: int = CREATED, **more: Any) -> str:
        subject = {"id": refund, "object": "refund", "status": "succeeded", "amount": amount, "currency": "usd"}
        return await self.says("refund.created", {**subject, "payment_intent": payment, "charge": None, **more}, at)
