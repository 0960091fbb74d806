"""What the daemon hands from one room to another that does not know it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from webhookd.admin.door.reasons import BusyError, Mistake, MistakesError
from webhookd.admin.endpoints import Ping
from webhookd.admin.reconcile import Exported
from webhookd.admin.refusals import Tried
from webhookd.aside import aside
from webhookd.clock import Clock
from webhookd.config.model import Config, SourceSettings
from webhookd.config.secret_text import ClientsTexts
from webhookd.core.delivery import Due, Outcome
from webhookd.core.endpoint import Endpoint
from webhookd.core.event import OPERATIONAL, Appended, Event, Hook
from webhookd.core.secret import Secret
from webhookd.deliver.courier import Courier, Meter
from webhookd.evidence.keeper import Keeper, UnavailableError
from webhookd.providers import PROVIDERS
from webhookd.providers.export import exported
from webhookd.providers.provider import (
    STALE,
    VERIFIED,
    CredentialsError,
    NotUnderstoodError,
    Provider,
    Request,
)
from webhookd.receive.intake import EvidenceUnavailableError, Intake, Source
from webhookd.receive.refusals import Refusals
from webhookd.store.protocol.retention import Limits


def evidence(keeper: Keeper) -> Callable[[Request], Awaitable[bytes]]:
    async def get(request: Request) -> bytes:
        try:
            return await keeper.get(request)
        except UnavailableError as error:
            raise EvidenceUnavailableError(str(error)) from None

    return get


class Exports:
    """Fits `admin.reconcile.Exports`."""

    def __init__(self, sources: Callable[[], Mapping[str, Source]], intake: Intake, clock: Clock) -> None:
        self._sources = sources
        self._intake = intake
        self._clock = clock

    def provider(self, source: str) -> str:
        return self._sources()[source].provider.name

    def read(self, source: str, raw: bytes) -> Exported:
        provider = self.provider(source)
        hook = exported(provider, raw, self._clock.now_ms())
        try:
            return Exported(hook, PROVIDERS[provider].read(hook), None)
        except NotUnderstoodError as error:
            return Exported(hook, None, str(error))

    async def take_in(self, source: str, hook: Hook) -> Appended:
        return await self._intake.take_in_exported(self._sources()[source], hook)


class Secrets:
    """Where those of a source are, and what another one would make of what was refused. Fits `admin.refusals.Trial`.

    `config` gives the configuration as it stands.
    """

    def __init__(self, config: Callable[[], Config], refusals: Refusals, intake: Intake) -> None:
        self._config = config
        self._refusals = refusals
        self._intake = intake

    def of(self, source: str) -> Sequence[str]:
        return [secret.shown for secret in _secrets(self._config().sources[source])]

    async def __call__(self, source: str, secret: Secret) -> Tried:
        settings = self._config().sources[source]
        try:
            ClientsTexts().secret(secret.reveal())  # one that names what this machine holds is not for a client
            provider = await aside(partial(_provider_with, settings, secret))
        except (CredentialsError, ValueError) as error:
            raise MistakesError([Mistake("secret", str(error))]) from None
        try:
            found = [await self._intake.judge(provider, hook) for hook in self._refusals.to_try(source)]
        except EvidenceUnavailableError:
            raise BusyError("What the signature is checked with cannot be had now; try it again.") from None
        return Tried(
            hooks=len(found),
            right=sum(verdict in _RIGHT for verdict in found),
            stale=found.count(STALE),
            is_configured=secret in _secrets(settings),
        )


_RIGHT = (VERIFIED, STALE)


def _secrets(settings: SourceSettings) -> Sequence[Secret]:
    return settings.secrets if settings.webhook_id is None else [settings.webhook_id]


def _provider_with(settings: SourceSettings, secret: Secret) -> Provider:
    """Raises CredentialsError. May read certificates."""
    provider = PROVIDERS[settings.provider]
    field = "secrets" if "secrets" in provider.takes else "webhook_id"
    other: Any = {"secrets": [secret], "webhook_id": secret}
    return provider(msgspec.structs.replace(settings.credentials, **{field: other[field]}))


class _Uncounted:
    def attempt(self, endpoint: str, result: str, seconds: float) -> None:
        """Alarms are set on the attempts of deliveries."""


def limits(config: Config) -> Limits:
    """How long history is kept."""
    kept = config.retention
    return Limits(int(kept.events), int(kept.bodies), int(kept.dedupe), int(kept.audit))


def pinger(courier: Callable[[Meter], Courier], notice: Callable[[str, Mapping[str, object]], Event]) -> Ping:
    """An attempt with an event that goes into no log. `courier` makes one that counts in this."""
    attempt = courier(_Uncounted()).attempt

    async def ping(endpoint: Endpoint) -> Outcome:
        event = notice(f"{OPERATIONAL}.ping", {"endpoint": endpoint.spec.name})
        return await attempt(endpoint, Due(endpoint.number, event, event.received_at))

    return ping
