"""What is right and yet is likely not what was meant. Nothing is refused for it."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address

from webhookd.config.mistake import Mistake, suggestion
from webhookd.config.model import Config, EndpointSettings, SourceSettings
from webhookd.core.event import OPERATIONAL, OUTBOX
from webhookd.core.url import parse_url
from webhookd.providers import PROVIDERS

ANY_TYPE = frozenset({"standard", OUTBOX})
"""Providers whose senders name their events as they like."""
_OVERHEARD = "what goes to the database may be read on the way: ?sslmode=verify-full lets nobody listen"


def doubts(config: Config) -> Iterator[Mistake]:
    """Each under the whole key of the setting."""
    if not _is_loopback(config.server.admin_listen.host):
        yield "server.admin_listen", "the API is reachable from elsewhere, and without TLS: keep a proxy before it"
    if config.store.url.may_be_overheard:
        yield "store.url", _OVERHEARD
    for name, outbox in config.outboxes.items():
        if outbox.url.may_be_overheard:
            yield f"sources.{name}.url", _OVERHEARD
    for name, endpoint in config.endpoints.items():
        for pattern in _unsent(endpoint, config.sources):
            yield f"endpoints.{name}.events", pattern
        if endpoint.allow_http and parse_url(endpoint.url).scheme == "http":
            yield f"endpoints.{name}.url", "http:// shows what it carries to whoever is on the way: https:// does not"
    if config.endpoints and all(each.sources for each in config.endpoints.values()):
        asked_for = {source for each in config.endpoints.values() for source in each.sources}
        for name in config.sources:
            if name not in asked_for:
                yield f"sources.{name}", "no endpoint here asks for its events: they are stored, and sent to nobody"


def _unsent(endpoint: EndpointSettings, sources: Mapping[str, SourceSettings]) -> Iterator[str]:
    """The patterns that no event of its sources can have. Where a source's senders make up names, nobody can say."""
    known = {sources[name].provider for name in endpoint.sources or sources if name in sources}
    if not known or known & ANY_TYPE or any(name not in sources for name in endpoint.sources):
        return
    types = sorted({each for provider in known for each in PROVIDERS[provider].event_types})
    for pattern in endpoint.events:
        if pattern.startswith(f"{OPERATIONAL}.") or any(fnmatchcase(each, pattern) for each in types):
            continue
        yield f'no event that its sources are known to send is like "{pattern}"{suggestion(pattern, types)}'


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
