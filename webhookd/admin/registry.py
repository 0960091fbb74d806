"""The endpoints in service, and the only place where they change: in the store first, then in what delivers to them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from webhookd.admin.door.reasons import ConflictError, Mistake, MistakesError, NotFoundError
from webhookd.admin.merge_patch import Settings, merged, without_none
from webhookd.clock import Clock
from webhookd.core.breaker import BreakerState
from webhookd.core.delivery import DeliveryKey
from webhookd.core.endpoint import Endpoint, EndpointSpec, EndpointState
from webhookd.core.signature import SecretKind, new_secret
from webhookd.store.protocol.endpoints import Endpoints

SECRET_KINDS: tuple[SecretKind, ...] = ("hmac", "ed25519")
SECRETS_MAX = 5
"""So many sign at a time, at most: each makes the header of every attempt longer."""
Read = Callable[[str, Settings], EndpointSpec]
"""Makes of a name and its settings what is asked for. Raises MistakesError."""
Scout = Callable[[EndpointSpec], Awaitable[str | None]]
"""Why deliveries may not go where the endpoint's name leads at the moment; None when they may, or it leads nowhere."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_log = structlog.get_logger("webhookd.admin")


class LastFailure(Protocol):
    """Of an endpoint's attempts the last one that failed."""

    @property
    def at(self) -> int: ...

    @property
    def status(self) -> int | None: ...

    @property
    def error(self) -> str: ...

    @property
    def key(self) -> DeliveryKey: ...


class LaneView(Protocol):
    """How deliveries to an endpoint are doing."""

    @property
    def in_flight(self) -> int: ...

    @property
    def limit(self) -> int: ...

    @property
    def breaker(self) -> BreakerState: ...

    @property
    def retry_at(self) -> int | None: ...

    @property
    def failing_since(self) -> int | None: ...

    @property
    def last_failure(self) -> LastFailure | None: ...


class Traffic(Protocol):
    """What the dispatcher can say and do here."""

    @property
    def in_flight(self) -> int: ...

    def view(self, name: str) -> LaneView | None: ...

    def serve(self, endpoints: Iterable[Endpoint]) -> None: ...

    def put(self, endpoint: Endpoint) -> None: ...

    def take_out(self, name: str) -> None: ...

    def set_state(self, name: str, state: EndpointState) -> None: ...


class Kept(NamedTuple):
    """What the API manages, by name."""

    specs: dict[str, EndpointSpec]
    settings: dict[str, Settings]
    """As they were asked for."""
    mistakes: dict[str, Sequence[Mistake]]


class Registry:
    """Changes are made one after the other; one that fails leaves all as it was. `changed` is told of each."""

    def __init__(
        self, store: Endpoints, traffic: Traffic, clock: Clock, scout: Scout, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._changed = changed
        self._store = store
        self._traffic = traffic
        self._clock = clock
        self._scout = scout
        self._turn = asyncio.Lock()
        self._read: Read
        self._configured: Sequence[EndpointSpec] = ()
        self._endpoints: dict[str, Endpoint] = {}
        self._settings: dict[str, Settings] = {}
        """Of those that the API manages, as they were asked for."""
        self.mistakes: dict[str, Sequence[Mistake]] = {}
        """Why one of the API's cannot be delivered to: its settings and the configuration have come to disagree."""

    def get(self, name: str) -> Endpoint | None:
        return self._endpoints.get(name)

    def find(self, name: str) -> Endpoint:
        """Raises NotFoundError, ConflictError."""
        if name in self.mistakes:
            raise ConflictError(f"The settings of {name} and the configuration disagree; change them first.")
        if (endpoint := self._endpoints.get(name)) is None:
            raise NotFoundError
        return endpoint

    async def adopt(self, configured: Sequence[EndpointSpec], read: Read, *, strict: bool) -> None:
        """Serve the configured endpoints and those that the API manages.

        Where both know a name the configuration has it from now on: that is how an endpoint moves into the file. One of
        the API's with settings that cannot be read (its source may have left the configuration) raises MistakesError
        when `strict`; otherwise what it is owed is held until somebody puts it right.
        """
        async with self._turn:
            kept = await self._kept(configured, read)
            if strict and kept.mistakes:
                raise MistakesError(
                    [
                        Mistake(f"endpoint {name} (managed by the API): {each.field}", each.reason)
                        for name, found in kept.mistakes.items()
                        for each in found
                    ]
                )
            endpoints = await self._store.adopt(configured, self._clock.now_ms(), list(kept.specs.values()))
            self._configured, self._read = configured, read
            self._serve(endpoints, kept)
            self._changed()

    async def refresh(self) -> None:
        """Another process has changed endpoints: serve them as the store has them now. Raises StoreError."""
        async with self._turn:
            kept = await self._kept(self._configured, self._read)
            specs = [*kept.specs.values(), *self._configured]
            self._serve(await self._store.endpoints_as_they_stand(specs, self._clock.now_ms()), kept)

    def _serve(self, endpoints: Sequence[Endpoint], kept: "Kept") -> None:
        self._settings, self.mistakes = kept.settings, kept.mistakes
        self._endpoints = {endpoint.spec.name: endpoint for endpoint in endpoints}
        self._traffic.serve(endpoints)
        for name, found in kept.mistakes.items():
            _log.error("endpoint_held", endpoint=name, mistakes=[f"{each.field}: {each.reason}" for each in found])

    async def _kept(self, configured: Sequence[EndpointSpec], read: Read) -> "Kept":
        """What the API manages, but for names that the configuration has."""
        names, kept = {spec.name for spec in configured}, Kept({}, {}, {})
        for each in await self._store.kept_endpoints():
            if each.name in names:
                _log.warning("endpoint_taken_over", endpoint=each.name, by="the configuration")
                continue
            kept.settings[each.name] = _decode(each.settings)
            try:
                kept.specs[each.name] = read(each.name, kept.settings[each.name])
            except MistakesError as error:
                kept.mistakes[each.name] = error.mistakes
        return kept

    async def add(self, name: str, asked: Settings, kind: SecretKind, mistakes: Sequence[Mistake] = ()) -> str | None:
        """Gives the secret if none was asked for, and one was generated. `mistakes` are told with those found here.

        Raises MistakesError, ConflictError, StoreError.
        """
        await self._look_where_it_leads(self._spec(name, asked, mistakes))
        async with self._turn:
            spec = self._spec(name, asked)
            generated = _generated(kind) if spec.secret is None else None
            secret = generated or (spec.secret.reveal() if spec.secret else "")
            spec = msgspec.structs.replace(spec, secret=None)
            settings = without_none({**asked, "secret": None})
            endpoint = await self._store.add_endpoint(spec, _encode(settings), secret, self._clock.now_ms())
            if endpoint is None:
                raise ConflictError(f"There is an endpoint {name} already.")
            self._put(endpoint, settings)
        _log.info("endpoint_added", endpoint=name)
        return generated

    async def change(self, name: str, patch: Settings, mistakes: Sequence[Mistake] = ()) -> None:
        """A JSON merge patch (RFC 7396) on the settings.

        Raises NotFoundError, MistakesError, ConflictError, StoreError.
        """
        spec = self._spec(name, merged(self._asked_for(name), patch), mistakes)
        now = self._endpoints.get(name)
        if now is None or (spec.url, spec.allow_http) != (now.spec.url, now.spec.allow_http):
            await self._look_where_it_leads(spec)
        async with self._turn:
            asked = merged(self._asked_for(name), patch)
            spec, settings = self._spec(name, asked), without_none(asked)
            endpoint = await self._store.change_endpoint(spec, _encode(settings), self._clock.now_ms())
            if endpoint is None:
                raise NotFoundError
            self._put(endpoint, settings)
        _log.info("endpoint_changed", endpoint=name, settings=sorted(patch))

    async def remove(self, name: str) -> None:
        """Raises NotFoundError, ConflictError, StoreError."""
        async with self._turn:
            self._asked_for(name)
            await self._store.remove_endpoint(name)
            self._traffic.take_out(name)
            self._changed()
            for known in (self._endpoints, self._settings, self.mistakes):
                known.pop(name, None)
        _log.info("endpoint_removed", endpoint=name)

    async def set_state(self, name: str, state: EndpointState) -> None:
        """Pause or resume. Raises NotFoundError, StoreError."""
        async with self._turn:
            if not await self._store.set_endpoint_state(name, state):
                raise NotFoundError
            # Also before going on: who has stood still begins anew, with nothing held against him.
            self._traffic.set_state(name, "paused")
            self._traffic.set_state(name, state)
            self._changed()
        _log.info("endpoint_paused" if state == "paused" else "endpoint_resumed", endpoint=name, by="the operator")

    async def rotate(self, name: str, given: str | None, kind: SecretKind, overlap_ms: int) -> str | None:
        """Gives the secret if it was generated. Raises NotFoundError, ConflictError, StoreError."""
        async with self._turn:
            endpoint = self.find(name)
            if endpoint.spec.secret is not None:
                raise ConflictError(
                    "Its secret is the configuration's: put a new one there, and this into old_secrets."
                )
            now_ms = self._clock.now_ms()
            signing = [key for key in endpoint.keys if key.until_ms is None or now_ms < key.until_ms]
            if overlap_ms and len(signing) >= SECRETS_MAX:
                raise ConflictError(
                    f"{SECRETS_MAX} of its secrets sign already: wait for one to end, or give no overlap."
                )
            secret = given or _generated(kind)
            endpoint = await self._store.rotate_secret(endpoint.spec, secret, now_ms, now_ms + overlap_ms)
            self._endpoints[name] = endpoint
            self._traffic.put(endpoint)
            self._changed()
        _log.info("secret_rotated", endpoint=name)
        return None if given else secret

    async def _look_where_it_leads(self, spec: EndpointSpec) -> None:
        """Not in turn: it may take a while."""
        if (reason := await self._scout(spec)) is not None:
            raise MistakesError([Mistake("url", reason)])

    def _spec(self, name: str, settings: Settings, mistakes: Sequence[Mistake] = ()) -> EndpointSpec:
        try:
            spec = self._read(name, settings)
        except MistakesError as error:
            raise MistakesError([*mistakes, *error.mistakes]) from None
        if mistakes:
            raise MistakesError(mistakes)
        return spec

    def _asked_for(self, name: str) -> Settings:
        if name in self._settings:
            return self._settings[name]
        self.find(name)
        raise ConflictError(f"The configuration manages {name}: change it there, and reload.")

    def _put(self, endpoint: Endpoint, settings: Settings) -> None:
        name = endpoint.spec.name
        self._endpoints[name], self._settings[name] = endpoint, settings
        self.mistakes.pop(name, None)
        self._traffic.put(endpoint)
        self._changed()


def _generated(kind: SecretKind) -> str:
    return new_secret(secrets.token_bytes(32), kind)
