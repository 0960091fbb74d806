"""`/api/v1/tokens`: who may ask the API for what. A token is told once, when it is made; only its hash is kept."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from webhookd.admin.door.doorkeeper import Doorkeeper
from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.token import NAME
from webhookd.core.units import duration_ms, time_text
from webhookd.store.protocol.tokens import Token, TokenScope
from webhookd.store.protocol.trail import BY_ITSELF

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
RESERVED = (NAME, BY_ITSELF)
"""Actors of the audit trail that are no token of the table."""


class Lifetime(int):
    """Milliseconds; on the wire a duration of a minute to a year."""

    SCHEMA: ClassVar = {
        "type": "string",
        "pattern": "^[0-9]{1,12}(ms|s|m|h|d)$",
        "description": "A duration, from 1m to 366d.",
        "examples": ["30d"],
    }

    @classmethod
    def read(cls, text: str) -> "Lifetime":
        lasts_ms = duration_ms(text)
        if lasts_ms < 60_000:
            raise ValueError("must be at least 1m")
        return cls(lasts_ms)


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    scope: TokenScope
    expires_in: Lifetime | None = None
    """Null: it is good until it is removed."""


class TokenView(msgspec.Struct, kw_only=True):
    name: str
    scope: TokenScope
    created_at: str
    expires_at: str | None
    is_expired: bool
    used_at: str | None
    """When it was last let in, to the minute or so."""


class ToldToken(TokenView, kw_only=True):
    token: str
    """Told only now."""


class TokensApi:
    def __init__(self, doorkeeper: Doorkeeper, pages: Pages) -> None:
        self._doorkeeper = doorkeeper
        self._pages = pages

    def operations(self) -> Sequence[Operation]:
        path = "/api/v1/tokens"
        return [
            Operation("GET", path, self.list, "List tokens", Page[TokenView], scope="admin", query=Paged),
            Operation(
                "POST",
                path,
                self.add,
                "Make a token, which is told once",
                ToldToken,
                scope="admin",
                action="token.add",
                body=NewToken,
                status=201,
                problems=[409],
            ),
            Operation(
                "DELETE",
                f"{path}/{{name}}",
                self.remove,
                "Remove a token: nobody gets in with it from now on",
                TokenView,
                scope="admin",
                action="token.remove",
                problems=[404],
                segments={"name": NAME_PATTERN},
            ),
        ]

    async def list(self, asked: Asked[Paged, Any]) -> Page[TokenView]:
        (after,) = self._pages.after(asked) or (0,)
        tokens = [each for each in self._doorkeeper.tokens() if each.number > after][: asked.query.limit]
        views = [self._view(each) for each in tokens]
        return self._pages.page(asked, views, tokens[-1].number) if tokens else Page([], None)

    async def add(self, asked: Asked[Any, NewToken]) -> ToldToken:
        wanted = asked.body
        if wanted.name in RESERVED:
            raise MistakesError(
                [Mistake("name", f"must not be {' or '.join(RESERVED)}, which the audit trail speaks of")]
            )
        token, secret = await self._doorkeeper.add(wanted.name, wanted.scope, wanted.expires_in)
        return ToldToken(**msgspec.structs.asdict(self._view(token)), token=secret)

    async def remove(self, asked: Asked[Any, Any]) -> TokenView:
        return self._view(await self._doorkeeper.remove(asked.path["name"]))

    def _view(self, token: Token) -> TokenView:
        return TokenView(
            name=token.name,
            scope=token.scope,
            created_at=time_text(token.created_at),
            expires_at=time_text(token.expires_at),
            is_expired=self._doorkeeper.is_expired(token),
            used_at=time_text(token.used_at),
        )
