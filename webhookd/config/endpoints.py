"""What must be true of an endpoint's settings, whether they stand in the configuration or come through the API."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from webhookd.config.mistake import Mistake, SettingsError, suggestion
from webhookd.config.model import Config, EndpointSettings, SourceSettings
from webhookd.config.secret_text import ClientsTexts
from webhookd.config.table import NAME, NAME_RULE, SUGGESTIONS_MAX, TableReader
from webhookd.core.address import Network
from webhookd.core.custom_headers import header_mistakes
from webhookd.core.endpoint import ROUTES_MAX, EndpointSpec, check_pattern, routes
from webhookd.core.event import PUBLISHED
from webhookd.core.signature import signing_key
from webhookd.core.url import UrlError, check_url
from webhookd.providers import ORIGINS, why_it_cannot_sign_again

TIMEOUT_MS_MIN, TIMEOUT_MS_MAX = 100, 5 * 60_000
DISABLE_AFTER_MS_MIN = 60_000


class Surroundings(msgspec.Struct, frozen=True):
    """What an endpoint is judged by."""

    opened: list[Network]
    sources: dict[str, SourceSettings | None]
    """None: there is something wrong with it, which is said elsewhere."""


def endpoint_spec(name: str, table: Any, config: Config) -> EndpointSpec:
    """The endpoint that an API's client asks for, in the words of the configuration.

    Secrets stand for themselves, and what is a file there is its content (PEM) here. Raises SettingsError.
    """
    around = Surroundings(config.allow_networks, dict(config.sources))
    reader = TableReader(ClientsTexts(), lambda _kind, given, _key, _refused: endpoint_mistakes(given, around))
    settings: EndpointSettings | None = reader.struct(EndpointSettings, table)
    mistakes = [] if NAME.fullmatch(name) else [("name", NAME_RULE)]
    if (mistakes := mistakes + reader.mistakes) or settings is None:
        raise SettingsError(mistakes)
    return settings.spec(name, config.delivery)


def endpoint_mistakes(given: dict[str, Any], around: Surroundings) -> Iterator[Mistake]:
    """All that is wrong with those settings that are of the right type. The URL is put into the form that is kept."""
    if "url" in given:
        try:
            given["url"] = str(check_url(given["url"], around.opened, allow_http=given.get("allow_http", False)))
        except UrlError as error:
            yield "url", str(error)
    unknown = [name for name in given.get("sources", ()) if name not in around.sources and name != PUBLISHED]
    for count, name in enumerate(unknown):
        meant = suggestion(name, around.sources) if count < SUGGESTIONS_MAX else ""
        yield "sources", f'there is no source "{name[:64]}"{meant}'
    for pattern in given.get("events", ()):
        try:
            check_pattern(pattern)
        except ValueError as error:
            yield "events", str(error)
    if (count := len(routes(given.get("sources", ()), given.get("events", ())))) > ROUTES_MAX:
        yield "events", f"make {count} pairs with the sources, of at most {ROUTES_MAX}: * and ? stand for many"
    yield from _secrets(given)
    yield from span_mistakes(given)
    signers: set[str] = set()
    if given.get("signature") == "provider":
        yield from _signers(given, around, signers)
    for name, reason in header_mistakes(given.get("headers", {}), signers):
        yield f"headers.{name}".rstrip("."), reason
    tls = [given.get(name) for name in ("ca", "client_certificate", "client_key")]
    if any(each is not None for each in tls):
        from webhookd.config.certificates import certificate_mistakes

        yield from certificate_mistakes(*tls)


def span_mistakes(given: Mapping[str, Any]) -> Iterator[Mistake]:
    if (timeout := given.get("timeout")) is not None and not TIMEOUT_MS_MIN <= timeout <= TIMEOUT_MS_MAX:
        yield "timeout", "must be from 100ms to 5m"
    if 0 < (given.get("disable_after") or 0) < DISABLE_AFTER_MS_MIN:
        yield "disable_after", 'must be at least 1m, or "never"'


def _secrets(given: Mapping[str, Any]) -> Iterator[Mistake]:
    old = {f"old_secrets[{at}]": secret for at, secret in enumerate(given.get("old_secrets", ()))}
    for name, secret in {"secret": given.get("secret"), **old}.items():
        try:
            if secret is not None:
                signing_key(secret.reveal())
        except ValueError as error:
            yield name, str(error)


def _signers(given: Mapping[str, Any], around: Surroundings, headers: set[str]) -> Iterator[Mistake]:
    """Whether every source it takes events from can be signed for. The headers that this takes are added to the set."""
    for name in given.get("sources") or around.sources:
        settings = around.sources.get(name)
        if settings is None:
            continue
        provider = ORIGINS[settings.provider](settings.credentials)
        headers.update(provider.kept_headers)
        if (reason := why_it_cannot_sign_again(provider)) is not None:
            yield "signature", f"source {name} cannot be signed for: {reason}"
