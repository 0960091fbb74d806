"""An application with a database of its own, which writes a payment and its event in one transaction."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from tests.postgres import Server

SQL = Path(__file__).parents[2] / "webhookd" / "relay"
PAYMENT = "CREATE TABLE payment (id text PRIMARY KEY, amount bigint NOT NULL)"


def body(payment: str) -> str:
    return json.dumps({"type": "payment.captured", "data": {"payment": payment}})


class SqliteShop:
    """In a file; `url` is what a source is given."""

    def __init__(self, directory: Path, *, wal: bool = True) -> None:
        self.file = directory / "shop.db"
        self.url = f"sqlite://{self.file}"
        with closing(self.connect()) as connection:
            connection.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
            connection.executescript(PAYMENT + ";" + (SQL / "sqlite.sql").read_text())

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, isolation_level=None)

    async def ask(self, sql: str, *given: Any) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection:
            return connection.execute(sql, given).fetchall()

    async def pay(self, *payments: str) -> None:
        """All in one transaction."""
        with closing(self.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for payment in payments:
                connection.execute("INSERT INTO payment VALUES (?, 1050)", (payment,))
                connection.execute(
                    "INSERT INTO webhookd_outbox (type, body, payment_id, status, amount, currency)"
                    " VALUES ('payment.captured', ?, ?, 'captured', 1050, 'USD')",
                    (body(payment), payment),
                )
            connection.execute("COMMIT")

    async def hold(self) -> "SqliteHolder":
        return SqliteHolder(self.connect())


class SqliteHolder:
    """A transaction of the application's that writes, and takes its time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("BEGIN IMMEDIATE")

    async def release(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


class PostgresHolder:
    """A transaction that has locked all the rows there are."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def release(self) -> None:
        await self._connection.close()


class PostgresShop:
    """In a database of its own on the server."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.url = f"postgresql://webhookd@127.0.0.1:{server.port}/{name}"

    async def make(self) -> "PostgresShop":
        connection = await asyncpg.connect(self.server.url().partition("?")[0])
        try:
            await connection.execute(f"CREATE DATABASE {self.name}")
        finally:
            await connection.close()
        await self.ask(PAYMENT)
        await self.ask((SQL / "postgres.sql").read_text())
        return self

    async def connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.url)

    async def ask(self, sql: str, *given: Any) -> list[tuple[Any, ...]]:
        connection = await self.connect()
        try:
            if not given and not sql.lstrip().upper().startswith("SELECT"):
                await connection.execute(sql)
                return []
            return [tuple(row) for row in await connection.fetch(sql, *given)]
        finally:
            await connection.close()

    async def pay(self, *payments: str) -> None:
        connection = await self.connect()
        try:
            async with connection.transaction():
                for payment in payments:
                    await connection.execute("INSERT INTO payment VALUES ($1, 1050)", payment)
                    await connection.execute(
                        "INSERT INTO webhookd_outbox (type, body, payment_id, status, amount, currency)"
                        " VALUES ('payment.captured', $1, $2, 'captured', 1050, 'USD')",
                        body(payment),
                        payment,
                    )
        finally:
            await connection.close()

    async def hold(self) -> PostgresHolder:
        connection = await self.connect()
        await connection.execute("BEGIN")
        await connection.execute("SELECT FROM webhookd_outbox FOR UPDATE")
        return PostgresHolder(connection)


Shop = SqliteShop | PostgresShop


def source(shop: Shop, **settings: Any) -> str:
    """A source's table."""
    lines = ["[sources.shop]", 'provider = "outbox"', f'url = "{shop.url}"']
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]) + "\n"
