"""What must be true of settings beyond their types, but for those of endpoints."""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webhookd.config.endpoints import Surroundings, endpoint_mistakes, span_mistakes
from webhookd.config.mistake import Mistake, suggestion
from webhookd.config.model import (
    OUTBOX_TABLE,
    Config,
    Delivery,
    EndpointSettings,
    Server,
    SourceSettings,
    Store,
    Tracing,
)
from webhookd.core.address import METADATA
from webhookd.core.event import OPERATIONAL, OUTBOX, PUBLISHED
from webhookd.core.proxy import Proxy
from webhookd.core.secret import KEY_CHARS_MIN
from webhookd.providers import ORIGINS
from webhookd.providers.provider import CredentialsError

BODY_BYTES_MIN, BODY_BYTES_MAX = 2**10, 64 * 2**20
_OUTBOX_TAKES = frozenset({"url", "table", "taken"})
_TABLE = re.compile(r"[a-z_][a-z0-9_$]{0,62}(\.[a-z_][a-z0-9_$]{0,62})?", re.ASCII | re.IGNORECASE)
_HOST = re.compile(r"[\w.-]{1,253}|(?=.*:.*:)[0-9A-Fa-f:.]{2,45}", re.ASCII)  # one colon would be a port's


class Checks:
    """For one reading of a whole configuration: what was read is what later tables are judged by."""

    def __init__(self, sources: Mapping[str, Any], *, is_whole: bool) -> None:
        """`sources` are the tables of that name, as they are written. Where not all tables are read, not `is_whole`."""
        self._surroundings = Surroundings([], dict.fromkeys(sources))
        self._is_whole = is_whole

    def __call__(self, kind: type, given: dict[str, Any], key: str, refused: frozenset[str]) -> Iterator[Mistake]:
        if kind is Config and self._is_whole and not refused & {"server", "store"}:
            server, store = given.get("server", Server()), given.get("store", Store())
            yield from _together(server, store)
            yield from _outboxes(given.get("sources", {}), server, store)
        elif kind is Store:
            yield from _store(given, refused)
        elif kind is Server:
            if not BODY_BYTES_MIN <= given.get("max_body", BODY_BYTES_MIN) <= BODY_BYTES_MAX:
                yield "max_body", "must be from 1KiB to 64MiB, which is what may wait for a commit"
            if "\0" in given.get("data_dir", ""):
                yield "data_dir", "is no name of a directory"
            for at, host in enumerate(given.get("admin_hosts", ())):
                if not _HOST.fullmatch(host):
                    yield f"admin_hosts[{at}]", 'must be a name or an address, without a port: "webhookd.internal"'
            if not refused:
                yield from _listeners(Server(**given))
        elif kind is Tracing:
            yield from _tracing(given)
        elif kind is Delivery:
            yield from self._delivery(given)
        elif kind is SourceSettings:
            yield from self._source(given, key.rpartition(".")[2], refused)
        elif kind is EndpointSettings:
            yield from endpoint_mistakes(given, self._surroundings)

    def _delivery(self, given: Mapping[str, Any]) -> Iterator[Mistake]:
        yield from span_mistakes(given)
        for text in given.get("allow_networks", ()):
            try:
                network = ip_network(text)
            except ValueError as error:
                yield "allow_networks", f'{error}: a network is written like "10.0.0.0/8"'
                continue
            if any(network.version == each.version and network.subnet_of(each) for each in METADATA):  # type: ignore[arg-type]
                yield "allow_networks", f"{text} is link-local or a cloud's metadata service, which nothing opens"
            self._surroundings.opened.append(network)
        if (proxy := given.get("proxy")) is not None:
            try:
                Proxy.parse(proxy.reveal())
            except ValueError as error:
                yield "proxy", str(error)

    def _source(self, given: dict[str, Any], name: str, refused: frozenset[str]) -> Iterator[Mistake]:
        if name == OPERATIONAL:
            yield "", f'the name "{OPERATIONAL}" is for what webhookd says itself'
        if name == PUBLISHED:
            yield "", f'the name "{PUBLISHED}" is for what applications publish through the API'
        if "provider" not in given:
            return
        if given["provider"] not in ORIGINS:
            meant = suggestion(given["provider"], ORIGINS)
            yield "provider", f"must be one of {', '.join(ORIGINS)}{meant}"
            return
        provider = ORIGINS[given["provider"]]
        takes = _OUTBOX_TAKES if given["provider"] == OUTBOX else provider.takes
        for each in sorted(given.keys() - takes - {"provider"}):
            yield each, f"is not a setting of provider {given['provider']}"
        if given["provider"] == OUTBOX:
            yield from _outbox(given, refused)
        settings = SourceSettings(**given)
        try:
            provider(settings.credentials)
        except CredentialsError as error:
            if error.name not in refused:
                yield error.name, str(error)
        except (OSError, ValueError) as error:
            yield "authorities", f"cannot be read: {getattr(error, 'strerror', None) or 'no file name'}"
        else:
            self._surroundings.sources[name] = settings


def _outbox(given: Mapping[str, Any], refused: frozenset[str]) -> Iterator[Mistake]:
    if (url := given.get("url")) is None:
        if "url" not in refused:
            yield "url", "is missing: the application's database, where its outbox is"
    elif url.file is None and not find_spec("asyncpg"):
        yield "url", "needs what is not installed: pip install 'webhookd[postgres]'"
    name = given.get("table", OUTBOX_TABLE)
    if not _TABLE.fullmatch(name) or ("." in name and url is not None and url.file is not None):
        yield (
            "table",
            f'must be the name of a table, without quotes: "{OUTBOX_TABLE}"; of PostgreSQL also "shop.{OUTBOX_TABLE}"',
        )


def _together(server: Server, store: Store) -> Iterator[Mistake]:
    if server.role != "all" and store.url.file is not None:
        yield "server.role", 'must be "all" with SQLite: only nodes that share a PostgreSQL can divide the work'


def _outboxes(sources: Mapping[str, SourceSettings], server: Server, store: Store) -> Iterator[Mistake]:
    own = None if store.url.file is None else _file(f"{server.data_dir}/{store.url.file}")
    known: dict[tuple[str, str], str] = {}
    for name, source in sources.items():
        if (outbox := source.outbox) is None:
            continue
        if own is not None and outbox.url.file is not None and _file(outbox.url.file) == own:
            yield f"sources.{name}.url", "is webhookd's own store: name the application's file"
        first = known.setdefault((outbox.url.file or outbox.url.url.reveal(), outbox.table), name)
        if first != name:
            yield f"sources.{name}.table", f"is that of source {first}, which takes its rows"


def _file(name: str) -> Path | None:
    """None for what no file can be called, which is another mistake."""
    return None if "\0" in name else Path(name).resolve()


def _listeners(server: Server) -> Iterator[Mistake]:
    if server.listen == server.admin_listen and server.listen.port:
        yield "admin_listen", "is where server.listen listens: the API must be apart from the hooks"


def _tracing(given: Mapping[str, Any]) -> Iterator[Mistake]:
    if (otlp := given.get("otlp")) is None:
        return
    url = urlsplit(otlp)
    if url.scheme not in ("http", "https") or not url.hostname or url.username is not None:
        yield "otlp", "must be a URL like http://127.0.0.1:4318/v1/traces"
    if not (find_spec("opentelemetry") and find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter")):
        yield "otlp", "needs what is not installed: pip install 'webhookd[tracing]'"


def _store(given: Mapping[str, Any], refused: frozenset[str]) -> Iterator[Mistake]:
    if "url" in given and given["url"].file is None:
        yield from _postgres(given, refused)
    keys = {"key": given.get("key")} | {f"old_keys[{at}]": key for at, key in enumerate(given.get("old_keys", ()))}
    for name, key in keys.items():
        if key is not None and len(key.reveal()) < KEY_CHARS_MIN:
            yield name, f"must have at least {KEY_CHARS_MIN} characters, drawn at random: openssl rand -base64 32"


def _postgres(given: Mapping[str, Any], refused: frozenset[str]) -> Iterator[Mistake]:
    if not (find_spec("asyncpg") and find_spec("greenlet")):
        yield "url", "needs what is not installed: pip install 'webhookd[postgres]'"
    if given.get("checkpoint", "own") != "own":
        yield "checkpoint", "is for SQLite's file: PostgreSQL is replicated by its own means"
    if given.get("key") is None and "key" not in refused:
        # Made in a data directory it would be another one for each node, and go with a container.
        yield "key", "is missing: with PostgreSQL every node is given the same one: openssl rand -base64 32"
