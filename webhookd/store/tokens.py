"""Tokens in SQLite, by their hashes."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import cast

from webhookd.store.batch import Change
from webhookd.store.connection import SerialConnection
from webhookd.store.queries import ACCESS
from webhookd.store.token_protocol import TOKENS_MAX, Token, TokenExistsError, TokenScope, TooManyTokensError


class SqliteTokens:
    """Fits `token_protocol.Tokens`. `change` runs a function on the writer's thread, in a transaction."""

    def __init__(self, reader: SerialConnection, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def all(self) -> Sequence[Token]:
        return [Token(*row) for row in await self._read(ACCESS["tokens"])]

    async def add(self, name: str, sha256: bytes, scope: TokenScope, now_ms: int, expires_at: int | None) -> Token:
        token = Token(0, name, sha256, scope, now_ms, expires_at)
        return cast(Token, await self._change(partial(_add, token=token)))

    async def remove(self, name: str) -> bool:
        return bool(await self._change(lambda connection: connection.execute(ACCESS["remove_token"], (name,)).rowcount))

    async def note_uses(self, used_at: Mapping[int, int]) -> None:
        rows = [(at, number) for number, at in used_at.items()]
        await self._change(lambda connection: connection.executemany(ACCESS["note_token_use"], rows).rowcount)


def _add(connection: sqlite3.Connection, token: Token) -> Token:
    [(exists,)] = connection.execute(ACCESS["has_token"], (token.name,)).fetchall()
    if exists:
        raise TokenExistsError
    given = {
        "name": token.name,
        "sha256": token.sha256,
        "scope": token.scope,
        "now": token.created_at,
        "expires_at": token.expires_at,
        "tokens_max": TOKENS_MAX,
    }
    added = connection.execute(ACCESS["add_token"], given)
    if added.rowcount == 0:
        raise TooManyTokensError
    return Token(cast(int, added.lastrowid), token.name, token.sha256, token.scope, token.created_at, token.expires_at)
