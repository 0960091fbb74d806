"""One attempt to one endpoint: sign, post, and say what was found. Never touches the store."""

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

import structlog

from webhookd import __version__
from webhookd.clock import Clock
from webhookd.core.delivery import Due, Outcome
from webhookd.core.endpoint import Endpoint
from webhookd.core.event import OPERATIONAL, Event
from webhookd.core.retry import parse_retry_after
from webhookd.deliver.echo import may_echo, without_credentials
from webhookd.deliver.transport import Target, Transport, TransportError

_USER_AGENT = f"webhookd/{__version__}"
_log = structlog.get_logger("webhookd.deliver")

SignAgain = Callable[[Event, int], Mapping[str, str] | None]
"""The headers that make an application's check of the provider's signature pass at this Unix second; None: nobody can
sign, for the source has left the configuration, or was given to another provider."""


class UnsignedError(Exception):
    """The endpoint wants the provider's signature, and it cannot be had."""


class Meter(Protocol):
    """What the courier counts."""

    def attempt(self, endpoint: str, result: str, seconds: float) -> None: ...


class Trying(Protocol):
    """An attempt's span."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By which the endpoint knows what its work is a part of (W3C Trace Context)."""
        ...

    def end(self, status: int | None, error: str | None) -> None: ...


class Tracer(Protocol):
    def attempt(self, endpoint: Endpoint, due: Due, started_at: int) -> Trying: ...


class Courier:
    def __init__(
        self, transport: Transport, clock: Clock, meter: Meter, sign_again: SignAgain, tracer: Tracer | None = None
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._meter = meter
        self._sign_again = sign_again
        self._tracer = tracer

    async def attempt(self, endpoint: Endpoint, due: Due) -> Outcome:
        """Never raises: a fault of ours is an outcome too ("internal"), so that one event cannot stop the others."""
        started_at, began = self._clock.now_ms(), self._clock.monotonic()
        status, error, body, retry_after_ms = None, None, b"", None
        spec = endpoint.spec
        span = self._tracer.attempt(endpoint, due, started_at) if self._tracer is not None else None
        try:
            sent = headers(endpoint, due, started_at, self._sign_again)
            if span is not None:
                sent |= span.headers
            response = await self._transport.post(
                Target(spec.url, spec.allow_http, spec.tls),
                sent,
                due.event.body,
                timeout_s=spec.timeout_ms / 1_000,
            )
        except TransportError as failure:
            error = failure.word
        except UnsignedError:
            error = "unsigned"
        except Exception as failure:  # noqa: BLE001
            error = "internal"
            _log.error("attempt_failed_inside", delivery_id=due.key.id, kind=type(failure).__name__)
        else:
            status, body = response.status, response.body
            if body and may_echo(spec):
                body = without_credentials(body, spec, sent)
            error = _error(status)
            if error is not None and response.retry_after is not None:
                retry_after_ms = parse_retry_after(response.retry_after, self._clock.now_ms())
        if span is not None:
            span.end(status, error)
        seconds = self._clock.monotonic() - began
        self._meter.attempt(spec.name, error or "succeeded", seconds)
        return Outcome(started_at, round(seconds * 1_000), status, error, body, retry_after_ms)


def headers(endpoint: Endpoint, due: Due, now_ms: int, sign_again: SignAgain) -> dict[str, str]:
    """What every attempt carries. Only timestamp, signature and the attempt's number differ between attempts.

    Ours come after the endpoint's own and the provider's last: an application that checks those is to find them. An
    endpoint that takes events of certain sources only is never given the signature of another, which may be a plain
    secret: what it is still owed of a source that it has left stays unsigned. Raises UnsignedError.
    """
    event, sources = due.event, endpoint.spec.sources
    event_id = event.id
    carried = {
        **{name.lower(): value.reveal() for name, value in endpoint.spec.headers},
        "content-type": event.content_type,
        "user-agent": _USER_AGENT,
        "webhook-id": event_id,
        "idempotency-key": event_id,
        "webhookd-source": event.source,
        "webhookd-provider": event.provider,
        "webhookd-event-type": event.type if event.type.isascii() else quote(event.type),
        "webhookd-delivery-id": due.key.id,
        "webhookd-attempt": str(due.attempts + 1),
    }
    if due.replay:
        carried["webhookd-replay"] = "true"
    if endpoint.spec.signature == "provider" and event.provider != OPERATIONAL:
        if (sources and event.source not in sources) or (signed := sign_again(event, now_ms // 1_000)) is None:
            raise UnsignedError
        carried |= {name.lower(): value for name, value in signed.items()}
    else:
        carried["webhook-timestamp"] = str(now_ms // 1_000)
        carried["webhook-signature"] = endpoint.signature(event_id, now_ms, event.body)
    return carried


def _error(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return "redirect" if 300 <= status < 400 else "status"
