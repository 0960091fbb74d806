"""`POST /api/v1/deliveries/{id}/cancel`: what is owed is owed no more, until somebody replays it."""

from collections.abc import Callable, Sequence

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import ConflictError, NotFoundError
from webhookd.admin.log import DELIVERY
from webhookd.admin.views import Delivery, delivery_view
from webhookd.clock import Clock
from webhookd.core.delivery import DeliveryKey
from webhookd.core.identifier import parse_delivery_id
from webhookd.store.protocol.cancels import Cancels, NoDeliveryError, OverError
from webhookd.store.protocol.history import History


class CancelApi:
    """`withdraw` has the dispatcher forget it."""

    def __init__(self, store: Cancels, history: History, clock: Clock, withdraw: Callable[[DeliveryKey], None]) -> None:
        self._store = store
        self._history = history
        self._clock = clock
        self._withdraw = withdraw

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "POST",
                "/api/v1/deliveries/{id}/cancel",
                self.cancel,
                "Cancel a pending delivery",
                Delivery,
                scope="replay",
                action="delivery.cancel",
                problems=[404, 409],
                segments=DELIVERY,
                detail="No attempt starts from then on. One that is under way ends, is recorded, and does not bring it "
                "back. A replay does.",
            )
        ]

    async def cancel(self, asked: Asked[Nothing, Nothing]) -> Delivery:
        key = DeliveryKey(*parse_delivery_id(asked.path["id"]))
        try:
            await self._store.cancel(key, self._clock.now_ms())
        except NoDeliveryError:
            raise NotFoundError from None
        except OverError as over:
            raise ConflictError(f"It is {over.state} already: only what is pending can be cancelled.") from None
        self._withdraw(key)
        row = await self._history.delivery(*key)
        if row is None:
            raise NotFoundError  # retention has come in between
        return delivery_view(row, await self._history.attempts(*key))
