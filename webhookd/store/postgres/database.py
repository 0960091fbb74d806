"""Opening the database so that 200 can mean fsynced: what the server promises is read back before anything is written.

All that is webhookd's is in a schema of its own, `webhookd` unless the URL says `?search_path=`: the database may be
the application's.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

import asyncpg
from asyncpg.exceptions import ClientConfigurationError, TargetServerAttributeNotMatched

from webhookd.postgres_errors import LOST, in_its_words
from webhookd.store.postgres.connection import CONNECT_S_MAX, READ_S_MAX
from webhookd.store.postgres.statements import schema
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError
from webhookd.store.protocol.store import WrongStoreError

SCHEMA_VERSION = 1
UNFINISHED = 0
"""The version of a schema that a log is being moved into: no daemon opens it before all of the log is there."""
SERVER_VERSION_MIN = 150_000
SCHEMA = "webhookd"
_MAKING = 0x57484B44
"""The lock under which one node makes the schema while others wait."""
_MUST_BE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}
Connect = Callable[[], Awaitable[asyncpg.Connection]]


_AWAY = (TimeoutError, *LOST, asyncpg.InsufficientResourcesError, asyncpg.TransactionRollbackError)
"""What may be otherwise the next time that it is asked: it starts, it is full, another one is to take over."""
_WRONG = (ValueError, ssl.SSLError, asyncpg.ProtocolViolationError)
"""What is among those and stays as it is; but the end of a connection is an SSLError, too."""
_SILENCE_S_MAX = 10


class UnfitDatabaseError(WrongStoreError):
    """The database is not one that webhookd can keep its promises with; the message says what to do."""


STANDSTILL_S_MAX = 3
"""A node that is frozen in the middle of a transaction holds others up no longer than this: then that is undone."""


def connect(url: str, name: str, *, reads: bool = False, **more: str) -> Connect:
    """How to connect to the primary, as `name`, with `more` settings of the session. What `reads` cannot write, and no
    statement of it takes longer than READ_S_MAX. The function raises what the driver raises.
    """
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    settings = {
        "application_name": f"webhookd {name}",
        "search_path": given.get("search_path", SCHEMA),
        "idle_in_transaction_session_timeout": f"{STANDSTILL_S_MAX}s",
        "tcp_user_timeout": "10s",
        "jit": "off",
        "plan_cache_mode": "force_custom_plan",  # most of what is asked has narrowers that are given or are not
    }
    if reads:
        settings |= {"default_transaction_read_only": "on", "statement_timeout": f"{READ_S_MAX:.0f}s"}
    settings |= more
    several = "," in parts.netloc + given.get("host", "")
    asked_for = given.get("target_session_attrs", "primary") if several else None

    async def make() -> asyncpg.Connection:
        try:
            connection = await asyncpg.connect(
                url,
                timeout=CONNECT_S_MAX,
                statement_cache_size=0,
                server_settings=settings,
                target_session_attrs=asked_for,
            )
        except TargetServerAttributeNotMatched as error:
            raise ConnectionRefusedError("none of the hosts is the primary now") from error
        try:
            _notice_silence(connection)
            await connection.set_type_codec(  # a sum of whole numbers is one
                "numeric", schema="pg_catalog", encoder=str, decoder=int, format="text"
            )
        except BaseException:
            connection.terminate()
            raise
        return connection

    return make


def fit(make: Connect) -> Connect:
    """The same, to a server that is fit, each time: after a failover it is another one.

    Raises StoreUnavailableError when it is not: it was when the store was opened, and may be so again.
    """

    async def made() -> asyncpg.Connection:
        connection = await make()
        try:
            await _see_that_it_is_fit(connection)
        except UnfitDatabaseError as error:
            connection.terminate()
            raise StoreUnavailableError(str(error)) from error
        except BaseException:
            connection.terminate()
            raise
        return connection

    return made


def _notice_silence(connection: asyncpg.Connection) -> None:
    """A server whose machine is gone says nothing, and the kernel would wait a quarter of an hour for it to do so."""
    its = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no other way to it
    if its.family == socket.AF_UNIX:
        return
    its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _SILENCE_S_MAX // 2),
        ("TCP_KEEPINTVL", 2),
        ("TCP_USER_TIMEOUT", _SILENCE_S_MAX * 1_000),
    ):
        if (number := getattr(socket, option, None)) is not None:  # Linux has them all
            its.setsockopt(socket.IPPROTO_TCP, number, value)


See = Callable[[asyncpg.Connection], Awaitable[None]]


async def prepare(make: Connect, see: See | None = None) -> str:
    """See that the server is fit, and that the schema is there, or make it. Gives the server's version.

    `see` is what does the latter, in one transaction and while no other node does, if not what a daemon needs.

    Raises UnfitDatabaseError, and StoreUnavailableError when the server cannot be reached.
    """
    try:
        connection = await make()
        try:
            await _see_that_it_is_fit(connection)
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _MAKING)
                await (see or _recognise_or_make)(connection)
        except asyncpg.InsufficientPrivilegeError as error:
            raise UnfitDatabaseError(
                f"store.url: the role may not do what webhookd needs ({in_its_words(error)}): "
                "GRANT CREATE ON DATABASE to it, or make the schema yourself with it as the owner"
            ) from error
        finally:
            await _hang_up(connection)
    except (ValueError, TimeoutError, asyncpg.PostgresError, *LOST) as error:
        raise _of_starting(error) from error
    version = connection.get_server_version()
    return f"{version.major}.{version.minor}"


def _of_starting(error: Exception) -> StoreError:
    if isinstance(error, ValueError) and not isinstance(error, ClientConfigurationError):
        return UnfitDatabaseError("store.url: it cannot be understood")  # the driver may quote a password
    has_ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    # So asyncpg says that the server will not do TLS; of one that hangs up, or can fork no process, with other words.
    has_no_tls = type(error) is ConnectionError and "rejected" in str(error)
    if isinstance(error, _AWAY) and (has_ended or not isinstance(error, _WRONG)) and not has_no_tls:
        return StoreUnavailableError(f"store.url: PostgreSQL cannot be reached: {in_its_words(error)}")
    return UnfitDatabaseError(f"store.url: {in_its_words(error)}")


async def _hang_up(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=CONNECT_S_MAX)
    except (TimeoutError, *LOST):
        connection.terminate()


async def _see_that_it_is_fit(connection: asyncpg.Connection) -> None:
    version = connection.get_server_version()
    if version.major * 10_000 < SERVER_VERSION_MIN:
        raise UnfitDatabaseError(
            f"store.url: the server is PostgreSQL {version.major}, and webhookd needs {SERVER_VERSION_MIN // 10_000} "
            "or later: upgrade it"
        )
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise UnfitDatabaseError(
            "store.url: the server is a replica, which takes no writes: name the primary, or all hosts: h1:5432,h2:5432"
        )
    if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
        raise UnfitDatabaseError(f"store.url: the database is encoded in {encoding}: make one with ENCODING 'UTF8'")
    for name, good in _MUST_BE.items():
        if (value := await connection.fetchval("SELECT current_setting($1)", name)) not in good:
            raise UnfitDatabaseError(
                f"store.url: the server has {name} = {value}, and 200 would not mean that an event is on the disk: "
                f"set {name} = on, in postgresql.conf or for this role"
            )


async def _recognise_or_make(connection: asyncpg.Connection) -> None:
    if await make_if_empty(connection):
        return
    version = await connection.fetchval("SELECT schema_version FROM webhookd")
    its = await connection.fetchval("SELECT quote_ident(current_schema())")
    if (why := why_unfit(version, its)) is not None:
        raise UnfitDatabaseError(why)


def why_unfit(version: int, name: str = "") -> str | None:
    """What is to be said of a schema of this version; None of one that can be worked with."""
    its = f"the schema {name}".rstrip()
    if version == UNFINISHED:
        return (
            f"store.url: a log is being moved into {its}, and not all of it is there: have "
            "`webhookd move` go on, or drop the schema"
        )
    if version != SCHEMA_VERSION:
        return (
            f"store.url: {its} has version {version} and this webhookd knows {SCHEMA_VERSION}: use the version "
            "that wrote it"
        )
    return None


async def make_if_empty(connection: asyncpg.Connection) -> bool:
    """Make the schema if nothing is there; whether it was made. Raises UnfitDatabaseError for another program's."""
    name = await connection.fetchval("SELECT current_setting('search_path')")
    if "," in name:
        raise UnfitDatabaseError("store.url: search_path must name one schema, which is then webhookd's own")
    its = await connection.fetchval("SELECT quote_ident($1)", name)
    if await connection.fetchval("SELECT to_regnamespace($1) IS NULL", its):
        await connection.execute(f"CREATE SCHEMA {its}")  # IF NOT EXISTS would ask for the right to make what is there
    tables = {
        row[0]
        for row in await connection.fetch(
            "SELECT relname::text FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'v')",
            its,
        )
    }
    if tables and "webhookd" not in tables:
        raise UnfitDatabaseError(
            f"store.url: the schema {its} holds tables that are not webhookd's: name another with ?search_path="
        )
    if not tables:
        await connection.execute(schema())
    return not tables
