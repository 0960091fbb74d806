"""What is owed goes out: to whom, who attempts it, and when. Nothing of what listens is needed for that.

It is loaded and begins before all else: after a crash deliveries are what somebody waits for.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from webhookd import __version__
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.registry import Read, Registry, Scout
from webhookd.clock import Clock
from webhookd.config.endpoints import endpoint_spec
from webhookd.config.mistake import SettingsError
from webhookd.config.model import Config, EndpointSettings
from webhookd.core.delivery import Due, Outcome
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.identifier import SALT_BITS, KeyMint
from webhookd.core.proxy import Proxy
from webhookd.core.url import parse_url
from webhookd.deliver.courier import Courier, Meter
from webhookd.deliver.guard import BlockedAddressError, Guard
from webhookd.deliver.http_transport import HttpTransport
from webhookd.deliver.resolve import Resolver, UnknownNameError
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.notice import Notice
from webhookd.observe.metrics import Metrics
from webhookd.providers import PROVIDERS, sign_again
from webhookd.providers.provider import Provider
from webhookd.sharing import Shared, Sharing
from webhookd.store.protocol.claims import Node
from webhookd.store.protocol.store import Store

if TYPE_CHECKING:
    from webhookd.observe.tracing import Tracing

LEAVE_S_MAX = 3.0
Attempt = Callable[[Endpoint, Due], Awaitable[Outcome]]
Providers = Mapping[str, Provider]


class Seams(Protocol):
    """Where a test may put something of its own between two rooms."""

    def store(self, store: Store) -> Store: ...

    def attempt(self, attempt: Attempt) -> Attempt: ...


class Outbound:
    """Delivers from the first `adopt` on, until `stop`; `close` comes last. `failed` is told of a fault of its own."""

    def __init__(
        self,
        config: Config,
        store: Store,
        last_key: int,
        clock: Clock,
        metrics: Metrics,
        failed: Callable[[str, Exception], None],
        seams: Seams | None,
        shared: Shared | None = None,
    ) -> None:
        self.guard = Guard(config.allow_networks)
        self.guard.own_ports = frozenset({config.server.listen.port, config.server.admin_listen.port})
        self._transport = HttpTransport(self.guard, config.proxy)
        self._providers: dict[str, Provider] = {}
        self.tracing = tracing(config, metrics.spans)
        self._clock = clock
        attempt: Attempt = self.courier(metrics).attempt
        self.log = store
        if seams is not None:
            self.log, attempt = seams.store(store), seams.attempt(attempt)
        self.mint, self.salt = KeyMint(last_key), partial(random.getrandbits, SALT_BITS)
        self.notice = Notice(clock, self.mint, self.salt)
        self.sharing = sharing = (
            Sharing(shared, __version__, config.server.role, clock, self.mint) if shared is not None else None
        )
        self.dispatcher = Dispatcher(
            self.log,
            attempt,
            clock,
            metrics,
            max_in_flight=config.delivery.max_in_flight,
            failed=failed,
            notice=self.notice,
            tenure=sharing.tenure if sharing is not None else None,
        )
        store.announce(self.dispatcher.offer)
        self.registry = Registry(
            store,
            self.dispatcher,
            clock,
            scout(Resolver(), self.guard, config.proxy),
            sharing.calls.tell_of_endpoints if sharing is not None else lambda: None,
        )
        self.withdraw = sharing.withdraw if sharing is not None else self.dispatcher.withdraw
        if sharing is not None:
            sharing.attend(self.dispatcher, self.registry, failed)

    def courier(self, meter: Meter) -> Courier:
        """One that counts there."""
        again = partial(sign_again, self._providers)
        return Courier(self._transport, self._clock, meter, sign_again=again, tracer=self.tracing)

    async def adopt(self, config: Config, providers: Providers, *, strict: bool) -> None:
        """Deliver to the endpoints of the configuration and to the API's, as these providers would sign.

        Raises StoreError and, when `strict`, MistakesError; then all stays as it is.
        """
        await self.registry.adopt(config.endpoint_specs(), reader(config), strict=strict)
        self._providers.clear()
        self._providers.update(providers)

    async def nodes(self) -> Sequence[Node]:
        """Those that share the log; none where this process has it to itself."""
        return await self.sharing.claims.nodes() if self.sharing is not None else ()

    @property
    def leads(self) -> Callable[[], bool] | None:
        """Whether this process does what one of those that share the log has to do; None where nobody shares it."""
        sharing = self.sharing
        return None if sharing is None else lambda: sharing.claims.leads

    async def stop(self, grace_s: float) -> None:
        """No new attempts, then those under way, for so long at most."""
        await self.dispatcher.stop(grace_s)
        if self.sharing is not None:
            with suppress(TimeoutError):  # a server hangs: what is claimed is free once the lease has run out
                await asyncio.wait_for(self.sharing.stop(), LEAVE_S_MAX)

    async def close(self) -> None:
        await self._transport.close()
        if self.tracing is not None:
            await self.tracing.close()


def providers_of(config: Config) -> Providers:
    """Each source's that hooks come to, with its credentials. May read certificates."""
    return {
        name: PROVIDERS[each.provider](each.credentials)
        for name, each in config.sources.items()
        if each.provider in PROVIDERS
    }


def reader(config: Config) -> Read:
    """Reads what a client asks for by the rules, and with the defaults, of this configuration."""
    known = set(EndpointSettings.__struct_fields__)

    def read(name: str, settings: Mapping[str, Any]) -> EndpointSpec:
        given = {field: value for field, value in settings.items() if value is not None or field not in known}
        try:
            return endpoint_spec(name, given, config)
        except SettingsError as error:
            raise MistakesError([Mistake(field, reason) for field, reason in error.settings]) from None

    return read


def scout(resolver: Resolver, guard: Guard, proxy: Proxy | None) -> Scout:
    """Judges by every address that a name has: with one that is closed, attempts would fail now and then.

    Where a proxy does the dialling, it has another resolver and its own judgement.
    """

    async def look(spec: EndpointSpec) -> str | None:
        url = parse_url(spec.url)
        if proxy is not None:
            return None
        try:
            found = await resolver.resolve(url.host, url.port)
        except UnknownNameError:
            return None
        try:
            for *_, address in found:
                guard.check(address[0], url.port, plain_http=url.scheme == "http" and not spec.allow_http)
        except BlockedAddressError as error:
            return f"deliveries may not go there: {error}"
        return None

    return look


def tracing(config: Config, count: Callable[[str, int], None]) -> "Tracing | None":
    """None where no spans are sent. What it takes to send them takes a while to import, and may not be there."""
    if config.tracing.otlp is None:
        return None
    from webhookd.observe.tracing import Tracing  # noqa: PLC0415

    return Tracing(config.tracing.otlp, config.tracing.sample, __version__, count)
