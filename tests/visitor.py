"""Somebody who opens the dashboard without a browser: logs in, reads a page, and loads what it needs."""

import re
import urllib.request
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

STATIC = Path(__file__).parents[1] / "webhookd" / "admin" / "dashboard" / "static"


class Visitor:
    """`admin` is the URL of the admin listener. Whatever is not answered well raises HTTPError."""

    def __init__(self, admin: str, patience_s: float = 30) -> None:
        self._admin = admin
        self._patience_s = patience_s
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def log_in(self, token: str) -> str:
        """The page that one is led to."""
        form = urlencode({"token": token, "then": "/"}).encode()
        return self._asked("/login", form).decode()

    def page(self, path: str) -> str:
        return self._asked(path).decode()

    def files(self, page: str) -> dict[str, bytes]:
        """All files there are beside the page's own, by name, as they are served."""
        links = [unescape(link) for link in re.findall(r'(?:href|src)="(/static/[^"]+)"', page)]
        assert links, "the page loads nothing"
        place = links[0].rpartition("/")[0]
        return {name: self._asked(f"{place}/{name}") for name in sorted(file.name for file in STATIC.iterdir())}

    def neighbours(self, page: str) -> list[str]:
        """The pages that it names at its top."""
        [top] = re.findall(r'<nav aria-label="Pages">(.*?)</nav>', page, re.DOTALL)
        return [unescape(link) for link in re.findall(r'href="([^"]+)"', top)]

    def _asked(self, path: str, form: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self._admin}{path}", form, {"Origin": self._admin})
        with self._opener.open(request, timeout=self._patience_s) as response:
            return bytes(response.read())


def see_the_dashboard(admin: str, token: str) -> None:
    """Log in, see the overview and every page that it names, and that each of its files is the one in the checkout."""
    visitor = Visitor(admin)
    overview = visitor.log_in(token)
    assert "<h1>Overview</h1>" in overview, overview
    for path in visitor.neighbours(overview):
        assert "<h1>" in visitor.page(path), path
    for name, body in visitor.files(overview).items():
        assert body == (STATIC / name).read_bytes(), name
