"""The way in, with a token, and the way out."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web

from webhookd.admin.dashboard.frame.cookie import give_cookie, take_cookie
from webhookd.admin.dashboard.frame.sessions import Sessions
from webhookd.admin.dashboard.frame.visit import Page, Visit, ours
from webhookd.admin.door.doorkeeper import Doorkeeper
from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.reasons import RefusedError
from webhookd.admin.door.recorder import Recorder
from webhookd.admin.door.token import token_hash

TOKEN_CHARS_MAX = 512


async def _nothing(_asked: Asked[Any, Any]) -> None: ...


# As the audit trail has them.
_OPEN = Operation("POST", "/login", _nothing, "Log in to the dashboard", action="session.open")
_CLOSE = Operation("POST", "/logout", _nothing, "Log out of the dashboard", action="session.close")


class Login:
    def __init__(self, doorkeeper: Doorkeeper, sessions: Sessions, recorder: Recorder) -> None:
        self._doorkeeper = doorkeeper
        self._sessions = sessions
        self._recorder = recorder

    def pages(self) -> Sequence[Page]:
        return [
            Page("GET", "/login", self.show, "nobody"),
            Page("POST", "/login", self.enter, "nobody"),
            Page("POST", "/logout", self.leave),
        ]

    async def show(self, visit: Visit) -> web.StreamResponse:
        if visit.guest is not None:
            return visit.see_other("/")
        return visit.show("login.html", then="/", wrong=None, asks_again=False)

    async def enter(self, visit: Visit) -> web.StreamResponse:
        then, token = ours(visit.form.get("then", "/")), visit.form.get("token", "").strip()[:TOKEN_CHARS_MAX]
        try:
            visitor = await self._doorkeeper.admit(f"Bearer {token}", visit.request.remote or "", "read")
        except RefusedError as refused:
            wrong = "This token is not known here, or is no longer good." if refused.status == 401 else str(refused)
            response = visit.show("login.html", status=refused.status, then=then, wrong=wrong, asks_again=False)
            response.headers.update(refused.headers)
            return response
        opening = partial(self._sessions.open, token_hash(token))
        cookie = await self._recorder.carry_out(_OPEN, visitor, {}, {}, opening)
        if visit.guest is not None:  # whoever logs in again has one session, and a new one
            await self._sessions.close(visit.guest)
        response = visit.see_other(then)
        give_cookie(visit.request, response, cookie)
        return response

    async def leave(self, visit: Visit) -> web.StreamResponse:
        assert visit.guest is not None
        closing = partial(self._sessions.close, visit.guest)
        await self._recorder.carry_out(_CLOSE, visit.guest.visitor, {}, {}, closing)
        response = visit.see_other("/login")
        take_cookie(visit.request, response)
        return response
