"""The seam to the store where a person calls a delivery off."""

from typing import Protocol

from webhookd.core.delivery import DeliveryKey, DeliveryState
from webhookd.store.protocol.errors import RefusalError


class NoDeliveryError(RefusalError):
    """There is no such delivery."""


class OverError(RefusalError):
    """It is not pending any more."""

    def __init__(self, state: DeliveryState) -> None:
        super().__init__(state)
        self.state = state


class Cancels(Protocol):
    async def cancel(self, key: DeliveryKey, now_ms: int) -> None:
        """A pending delivery is cancelled from now on; fsynced on return. An attempt under way does not bring it back.

        In a chain the next one goes, in the same transaction. A crash leaves all of it or nothing.
        Raises NoDeliveryError, OverError, StoreUnavailableError, StoreBrokenError.
        """
        ...
