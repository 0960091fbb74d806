"""Tokens, by their hashes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import cast

from webhookd.store.protocol.tokens import TOKENS_MAX, Token, TokenExistsError, TokenScope, TooManyTokensError
from webhookd.store.sql.connection import Change, Connection, Reader


class SqlTokens:
    """Fits `protocol.tokens.Tokens`. `change` runs a function in the transaction of a commit."""

    def __init__(self, reader: Reader, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def all(self) -> Sequence[Token]:
        return [Token(*row) for row in await self._read("access.tokens")]

    async def add(self, name: str, sha256: bytes, scope: TokenScope, now_ms: int, expires_at: int | None) -> Token:
        token = Token(0, name, sha256, scope, now_ms, expires_at)
        return cast(Token, await self._change(partial(_add, token=token)))

    async def remove(self, name: str) -> bool:
        return bool(await self._change(lambda connection: connection.execute("access.remove_token", (name,)).rowcount))

    async def note_uses(self, used_at: Mapping[int, int]) -> None:
        rows = [(at, number) for number, at in used_at.items()]
        await self._change(lambda connection: connection.execute_many("access.note_token_use", rows).rowcount)


def _add(connection: Connection, token: Token) -> Token:
    [(exists,)] = connection.execute("access.has_token", (token.name,)).fetchall()
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
    added = connection.execute("access.add_token", given).fetchall()
    if not added:
        raise TooManyTokensError
    [(number,)] = added
    return Token(number, token.name, token.sha256, token.scope, token.created_at, token.expires_at)
