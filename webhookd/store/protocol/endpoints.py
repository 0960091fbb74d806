"""The seam to the store where endpoints are kept: what the configuration and the API ask for, and how each stands."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.endpoint import Endpoint, EndpointSpec, EndpointState, ManagedBy, Why


class KeptEndpoint(NamedTuple):
    """An endpoint that the API manages, as it was asked for."""

    name: str
    settings: bytes
    """As the API gave them: JSON, without the secret, which is kept apart."""


class EndpointRow(msgspec.Struct, frozen=True):
    """An endpoint as it stands, and what it is still owed."""

    number: int
    name: str
    url: str
    state: EndpointState
    why: Why | None
    managed_by: ManagedBy
    health: Health
    created_at: int
    pending: int
    dead: int
    oldest_pending_at: int | None


class Endpoints(Protocol):
    """For `admin`. A method is one transaction: a crash leaves all of it or nothing."""

    async def kept_endpoints(self) -> Sequence[KeptEndpoint]:
        """Those in service that the API manages."""
        ...

    async def adopt(
        self, specs: Sequence[EndpointSpec], now_ms: int, kept: Sequence[EndpointSpec] = ()
    ) -> Sequence[Endpoint]:
        """Make the configured endpoints exactly `specs`, and give them and the `kept` ones as they stand.

        One that left the configuration is disabled: what it is still owed is held, and goes on when it comes back.
        One of the API's whose name is configured now is the configuration's from then on.
        """
        ...

    async def endpoints_as_they_stand(self, specs: Sequence[EndpointSpec], now_ms: int) -> Sequence[Endpoint]:
        """Those of these that are in service. Changes nothing."""
        ...

    async def add_endpoint(self, spec: EndpointSpec, settings: bytes, secret: str, now_ms: int) -> Endpoint | None:
        """Put a new one into service; None when one of this name is.

        If one was removed under this name it comes back, with all that is still owed to it.
        """
        ...

    async def change_endpoint(self, spec: EndpointSpec, settings: bytes, now_ms: int) -> Endpoint | None:
        """Give one of the API's another spec; None when there is no such one in service."""
        ...

    async def remove_endpoint(self, name: str) -> bool:
        """Take one of the API's out of service; False when there is no such one.

        Its settings and secrets are forgotten, what it is still owed is held.
        """
        ...

    async def set_endpoint_state(self, name: str, state: EndpointState) -> bool:
        """Pause or resume, with its failures forgotten; False when there is no such endpoint in service."""
        ...

    async def rotate_secret(self, spec: EndpointSpec, secret: str, now_ms: int, until_ms: int) -> Endpoint:
        """Have it sign with this secret from now on, and with those before it until then."""
        ...

    async def endpoint(self, name: str) -> EndpointRow | None:
        """Also one that was removed."""
        ...

    async def endpoints(
        self,
        after: int = 0,
        limit: int = -1,
        *,
        removed: bool,
        part: str | None = None,
        state: EndpointState | None = None,
        unusable: Iterable[str] = (),
    ) -> Sequence[EndpointRow]:
        """Those of a number above `after`, by number; `removed`: with those that are not in service.

        `part` is contained in the name; those that are `unusable` count as disabled, whatever the store has of them.
        Counts what they are owed, which takes a fifth of a second for a million. Raises StoreUnavailableError.
        """
        ...
