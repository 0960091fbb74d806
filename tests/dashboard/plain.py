"""A browser without scripts: it keeps cookies, says what browsers say of themselves, and sends forms."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import aiohttp
import yarl

from tests.running import PATIENCE_S, RunningDaemon

UNDER_WAY = "There is much to count: it is under way"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


class Seen:
    def __init__(self, status: int, headers: Any, text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text)
        return "" if found is None else unescape(found[1])

    @property
    def words(self) -> str:
        """What there is to read."""
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.text)))

    @property
    def csrf(self) -> str:
        """What the forms of this page say; empty when there is none."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.text)
        return "" if found is None else found[1]

    @property
    def is_login(self) -> bool:
        return '<input id="token"' in self.text

    @property
    def then(self) -> str:
        """Where the login leads back to."""
        found = re.search(r'name="then" value="([^"]*)"', self.text)
        return "" if found is None else unescape(found[1])


class Plain:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session

    async def ask(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] = SAME_ORIGIN, **more: Any
    ) -> Seen:
        """As it is told, and no further: redirects are not followed."""
        url = yarl.URL(f"{self.url}{path}", encoded=True)
        asked = self.session.request(method, url, data=data, headers=headers, allow_redirects=False, **more)
        async with asked as response:
            return Seen(response.status, response.headers, await response.text())

    async def get(self, path: str, **headers: str) -> Seen:
        """What takes long to count is looked at again until it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while UNDER_WAY in (seen := await self.ask("GET", path, headers={**SAME_ORIGIN, **headers})).words:
                pass
        return seen

    async def send(self, path: str, **fields: str) -> Seen:
        """A form of a page of ours."""
        return await self.ask("POST", path, {"csrf": (await self.get("/")).csrf, **fields})

    async def log_in(self, token: str) -> Seen:
        return await self.ask("POST", "/login", {"token": token, "then": "/"})

    @property
    def cookies(self) -> dict[str, str]:
        return {each.key: each.value for each in self.session.cookie_jar}


@asynccontextmanager
async def plain(running: RunningDaemon, token: str | None = "", address: str = "127.0.0.1") -> AsyncIterator[Plain]:
    """Logged in with the daemon's own token, another one, or (None) not at all; from this address of loopback."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(local_addr=(address, 0)),
        cookie_jar=aiohttp.CookieJar(unsafe=True, quote_cookie=False),  # unsafe: of an IP address, too
        timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
    ) as session:
        found = Plain(running.admin, session)
        if token is not None:
            assert (await found.log_in(token or running.token)).status == 303
        yield found
