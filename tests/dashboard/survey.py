"""Every page that a link leads to, opened by a real browser, and what was seen of it: light, dark, and on a phone.

No list is kept: pages are found by following links. So that it ends, of each route so many are opened without
a query, and so many with one. What takes long, whether anybody can read it, is looked at once of each route.
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from playwright.async_api import BrowserContext, Dialog, Error, Page

from tests.dashboard.browsing import DESK, PHONE, Tab, browser, tab
from tests.dashboard.every_page import Route, every_page
from tests.dashboard.hostile import TYPED
from tests.running import RunningDaemon

OF_A_ROUTE_MAX = 2
_LOOKS: dict[str, Any] = {
    "light": ("light", DESK, None),
    "dark": ("dark", DESK, ["color-contrast", "link-in-text-block"]),
    "phone": ("light", PHONE, ["scrollable-region-focusable", "target-size", "color-contrast"]),
}
"""Of what only depends on the page every rule is asked once."""
_VIOLATIONS = """async (options) => (await axe.run(document, options)).violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => `${each.id}: ${each.help}\\n` + each.nodes.map((node) => `    ${node.html.slice(0, 200)}\\n` +
      `      ${node.any.concat(node.all, node.none).map((check) => check.message).join("; ")}`).join("\\n"))"""
_FIELDS = "input[type=text], input[type=url], input:not([type]), textarea"
_FILL_IN = f"""(text) => {{
      const fields = document.querySelectorAll("main form[method=post] :is({_FIELDS})");
      for (const each of fields) each.value = text;
      fields[0].form.noValidate = true;
      fields[0].form.requestSubmit(); }}"""
_FILTERS = """[...document.querySelectorAll("form[method=get]")].map((form) => [
      form.getAttribute("action") ?? location.pathname,
      [...form.querySelectorAll("input:not([type=hidden]), textarea")].map((each) => each.name)])"""
_WIDER = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
_TOO_WIDE = """() => [...document.querySelectorAll("body *")].filter((each) => {
      const box = each.getBoundingClientRect();
      return box.right > document.scrollingElement.clientWidth + 1 && !each.closest(".wide, pre, nav");
    }).slice(0, 3).map((each) => each.outerHTML.slice(0, 160))"""


class Seen(NamedTuple):
    url: str
    route: str
    status: int
    text: str
    """As a person reads it."""
    title: str
    complaints: list[str]
    """Of the browser: a violation of the policy, a script that failed, a request that went elsewhere."""
    violations: dict[str, list[str]]
    """Of accessibility, serious and critical ones, by how it was looked at."""
    wider_by: int
    """Pixels, on a phone."""
    too_wide: list[str]
    """What sticks out there."""


class Survey:
    def __init__(self, found: Tab, routes: list[Route], axe: str | None, first: list[str]) -> None:
        self.seen: list[Seen] = []
        self.downloads: dict[str, str] = {}
        """What is no page but a file: its Content-Disposition, by its path."""
        self.ran: list[str] = []
        """What ran that no page of ours has: calls of `canary`, and dialogs."""
        self._tab, self._axe = found, axe
        self._routes = [
            (
                re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(each.path).replace(r"\{", "{").replace(r"\}", "}"))),
                each.path,
            )
            for each in routes
        ]
        self._queue = [*first]
        self._known: dict[tuple[str, bool], set[str]] = {}

    @property
    def reached(self) -> set[str]:
        return {each.route for each in self.seen} | {self.route_of(path) for path in self.downloads}

    def route_of(self, path: str) -> str:
        plain = urlsplit(path).path
        # A path that is written out goes before one that has names in it.
        fitting = [route for pattern, route in self._routes if pattern.fullmatch(plain)]
        return min(fitting, key=lambda route: route.count("{"), default="")

    async def go_round(self) -> None:
        while self._queue:
            path = self._queue.pop(0)
            kind = self.route_of(path), bool(urlsplit(path).query)
            known = self._known.setdefault(kind, set())
            if path not in known and len(known) < OF_A_ROUTE_MAX:
                known.add(path)
                await self._look(path)

    async def _look(self, path: str) -> None:
        page = self._tab.page
        answer = await page.context.request.head(f"{self._tab.url}{path}", headers={"Accept": "text/html"})
        if not answer.headers["content-type"].startswith("text/html"):
            self.downloads[path] = answer.headers.get("content-disposition", "")
            return
        self._tab.complaints.clear()
        try:
            await self._look_at(page, path)
        except Error as error:  # what came of it is no page of ours any more
            complaints = [*self._tab.complaints, f"cannot be looked at: {error}"]
            self.seen.append(Seen(path, self.route_of(path), 200, "", " · webhookd" * 2, complaints, {}, 0, []))

    async def _look_at(self, page: Page, path: str) -> None:
        status = await self._tab.go(path)
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        await page.wait_for_function("window.violations !== undefined")
        text, title = await page.inner_text("body"), await page.title()
        self._queue += await self._filters(page) + await self._links(page)
        complaints = self._tab.complaints + await page.evaluate("window.violations")
        route = self.route_of(path)
        judged = await self._judged(page, is_new=route not in self.reached)
        self.seen.append(Seen(path, route, status, text, title, complaints, *judged))

    async def _links(self, page: Page) -> list[str]:
        found = await page.evaluate("[...document.links].map((each) => each.getAttribute('href'))")
        return [each.partition("#")[0] for each in found if each.startswith("/") and not each.startswith("//")]

    async def _filters(self, page: Page) -> list[str]:
        """Forms that only ask, filled in with all that is hostile."""
        forms = await page.evaluate(_FILTERS)
        return [f"{action}?{urlencode(dict.fromkeys(filter(None, names), TYPED))}" for action, names in forms]

    async def _judged(self, page: Page, *, is_new: bool) -> tuple[dict[str, list[str]], int, list[str]]:
        violations: dict[str, list[str]] = {}
        if is_new and self._axe is not None:
            await page.evaluate(self._axe)
            for name, (media, size, rules) in _LOOKS.items():
                await page.emulate_media(color_scheme=media)
                await page.set_viewport_size(size)
                violations[name] = await page.evaluate(_VIOLATIONS, {"runOnly": rules} if rules else {})
        await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        wider_by = int(await page.evaluate(_WIDER))
        too_wide = await page.evaluate(_TOO_WIDE) if wider_by > 0 else []
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size(DESK)  # type: ignore[arg-type]
        return violations, wider_by, too_wide

    async def see_the_login(self) -> None:
        await self._tab.page.context.clear_cookies()
        await self._look("/?nobody=in")

    async def fill_in(self) -> None:
        """Each form that changes something and takes a text, with hostile text, and look at what comes of it."""
        done: set[str] = set()
        for url in [each.url for each in self.seen if each.text]:
            page = self._tab.page
            if self.route_of(url) in done or not await self._has_fields(page, url):
                continue
            done.add(self.route_of(url))
            self._tab.complaints.clear()
            async with page.expect_navigation():
                await page.evaluate(_FILL_IN, TYPED)
            self.seen.append(
                Seen(
                    f"{url} (filled in)",
                    self.route_of(url),
                    0,
                    await page.inner_text("body"),
                    await page.title(),
                    self._tab.complaints + await page.evaluate("window.violations"),
                    *await self._judged(page, is_new=True),
                )
            )

    async def _has_fields(self, page: Page, url: str) -> bool:
        await self._tab.go(url)
        return await page.locator(f"main form[method=post] :is({_FIELDS})").count() > 0


@asynccontextmanager
async def survey(running: RunningDaemon, data_dir: Path, axe: str | None, *first: str) -> AsyncIterator[Survey]:
    """All that is found from these pages has been seen, and what a stranger sees."""
    async with browser() as opened, tab(running, opened) as found:
        made = Survey(found, every_page(data_dir, "GET"), axe, [*first])
        await _listen(found.page.context, found.page, made)
        await made.go_round()
        await made.fill_in()
        await made.see_the_login()
        found.complaints.clear()
        yield made


async def _listen(context: BrowserContext, page: Page, made: Survey) -> None:
    async def asked(dialog: Dialog) -> None:
        if dialog.type != "confirm":
            made.ran.append(f"a dialog: {dialog.message}")
        await dialog.accept()

    page.on("dialog", asked)
    await context.expose_function("canary", lambda *_said: made.ran.append(f"canary() on {page.url}"))


def told(findings: Iterable[tuple[str, Any]]) -> str:
    return "\n".join(f"{where}\n  {what}" for where, what in findings)
