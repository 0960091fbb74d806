"""Where the store is: a file of SQLite's in the data directory, or a database of PostgreSQL's."""

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote

import msgspec

from webhookd.core.secret import MASK, Secret

_FILE = re.compile(r"[\w-][\w.-]{0,100}", re.ASCII)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.%-]*)(?::(?P<port>\d{1,5}))?", re.ASCII)
_PLAIN = re.compile("[!-~]*")
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_SECRETS = ("password", "sslpassword")
_OTHERS = {
    *("connect_timeout", "channel_binding", "gssencmode", "sslcompression", "keepalives", "load_balance_hosts"),
    *("fallback_application_name", "requirepeer", "require_auth", "sslsni", "sslcrldir", "replication", "options"),
}
"""Settings of libpq's that asyncpg would hand to the server as if they were the server's own."""
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_ENCRYPTED = ("require", "verify-ca", "verify-full")
_SSL_MODES = ("disable", "allow", "prefer", *_ENCRYPTED)
_EITHER = (
    'must be "sqlite:" and a plain file name, which is then in server.data_dir, or "postgresql://user@host/database"'
)
_FORM = (
    "is not postgresql://user:password@host:port/database; in a user's name, a password and a database's name "
    "@ : / ? # and % are written %40 %3A %2F %3F %23 and %25"
)
_QUERY = "has something else after its ? than settings like search_path=webhookd&sslmode=verify-full"


class StoreUrl(msgspec.Struct, frozen=True):
    """What `parse` makes of it."""

    url: Secret
    """Whole: it may hold a password."""
    shown: str
    """What may be printed in its place: where it came from, or itself with stars for a password."""
    file: str | None
    """Of SQLite, a plain name in the data directory: the lock is the directory's. None: it is PostgreSQL's."""
    may_be_overheard: bool = False
    """Whether it leaves this machine, and does not say that it must be encrypted."""

    @classmethod
    def parse(cls, url: Secret) -> "StoreUrl":
        """Raises ValueError, which quotes nothing of it."""
        text = url.reveal()
        kind, _, rest = text.partition(":")
        if kind == "sqlite" and _FILE.fullmatch(rest):
            return cls(url, text if url.shown == MASK else url.shown, rest)
        if kind not in ("postgresql", "postgres") or not rest.startswith("//"):
            raise ValueError(_EITHER)
        if MASK in text:
            raise ValueError('is masked: "config show" has stars for a password. Write it, or "env:NAME" for it all')
        parts = _Parts(rest.removeprefix("//"))
        shown = f"{kind}://{parts.masked}" if url.shown == MASK else url.shown
        return cls(url, shown, None, parts.may_be_overheard)


class _Parts:
    """Of what follows `postgresql://`. Raises ValueError.

    What is not clear is refused here: asyncpg would take a part of a password for a host or a port, and name it.
    """

    def __init__(self, text: str) -> None:
        place, _, self._query = text.partition("?")
        whole, _, self._path = place.partition("/")
        self._who, self._at, self._where = whole.rpartition("@")
        unclear = "@" in self._who + self._path + self._query or "/" in self._path or "#" in text
        if unclear or not _PLAIN.fullmatch(text) or _NO_ESCAPE.search(text):
            raise ValueError(_FORM)
        if not all(_is_host(host) for host in self._where.split(",")):
            raise ValueError(_FORM)
        try:
            self._settings = dict(parse_qsl(self._query, strict_parsing=True)) if self._query else {}
        except ValueError:
            raise ValueError(_QUERY) from None
        for mistake in _mistakes(self._settings, unquote(self._path)):
            raise ValueError(mistake)

    @property
    def masked(self) -> str:
        user, colon, _ = self._who.partition(":")
        pairs = [pair.partition("=") for pair in self._query.split("&")] if self._query else []
        query = "&".join(f"{name}={MASK if name in _SECRETS else value}" for name, _, value in pairs)
        path = f"/{self._path}" if self._path else ""
        mask = f":{MASK}" if colon else ""
        return f"{user}{mask}{self._at}{self._where}{path}" + (f"?{query}" if query else "")

    @property
    def may_be_overheard(self) -> bool:
        hosts = self._settings.get("host") or unquote(self._where)
        is_near = all(_is_near(host) for host in hosts.split(","))
        return not is_near and self._settings.get("sslmode") not in _ENCRYPTED and "service" not in self._settings


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and (found["port"] is None or 0 < int(found["port"]) <= 65_535)


def _is_near(host: str) -> bool:
    """A socket of this machine's, or its loopback."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return not name or name.startswith(("/", "127.")) or name in ("localhost", "::1")


def _mistakes(settings: Mapping[str, str], database: str) -> Iterator[str]:
    if not (database or settings.get("dbname") or settings.get("database") or settings.get("service")):
        yield "names no database: postgresql://user@host/database"
    if not all(port.isdigit() for port in settings.get("port", "1").split(",")):
        yield "has a port= that is no number"
    schema = settings.get("search_path", "webhookd")
    if "," in schema:
        yield "names several schemas with search_path=: webhookd keeps all that is its own in one"
    elif not _SCHEMA.fullmatch(schema):
        yield "has a search_path= that is no name of a schema: up to 63 of a-z, 0-9 and _, not a digit or pg_ first"
    if settings.get("sslmode", "prefer") not in _SSL_MODES:
        yield f"has a sslmode= that is none of {', '.join(_SSL_MODES)}"
    for name in _FILES:
        if name in settings and not os.access(settings[name], os.R_OK):
            yield f"names a file with {name}= that cannot be read"
    for name in sorted(settings.keys() & _OTHERS):
        yield f"has a setting of libpq's that webhookd does not know: leave {name}= out"
