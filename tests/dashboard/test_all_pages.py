"""Every page there is, on a daemon that was sent hostile text: none of it runs, and anybody can read all of it."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.admin.desk import desk
from tests.dashboard.every_page import every_page
from tests.dashboard.hostile import CANARY, TEXTS, hostile_daemon
from tests.dashboard.survey import Survey, survey, told

pytestmark = pytest.mark.asyncio(loop_scope="module")
AXE = "axe-core@4.14.1"
UNLINKED = ("/endpoints/shop/ping", "/endpoints/shop/", "/nothing")
"""What no link leads to, but a button or somebody who types it; and one of a delivery, by its id."""
NO_PAGES = {"/live", "/login"}
"""A stream, and what who is in is led away from."""
STATUSES = {"/nothing": 404, "/?nobody=in": 401}
SHOWING = {"/events", "/events/{id}", "/payments", "/payments/{provider}/{id}", "/endpoints/{name}", "/refused"}
"""Routes on which something that somebody else said must be seen."""


def axe(directory: Path) -> str | None:
    """The library, or None where nobody can fetch it."""
    if shutil.which("npm") is None and "CI" not in os.environ:
        return None
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", AXE]
    done = subprocess.run(install, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode and "CI" not in os.environ:
        return None
    assert done.returncode == 0, done.stderr
    return (directory / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Survey]:
    library = axe(tmp_path_factory.mktemp("axe"))
    async with (
        hostile_daemon(tmp_path_factory.mktemp("hostile")) as running,
        desk(running) as operator,
    ):
        [delivery] = (await operator.get("/deliveries", state="dead", limit="1"))["data"]
        first = ("/", *UNLINKED, f"/deliveries/{delivery['id']}")
        async with survey(running, tmp_path_factory.mktemp("routes"), library, *first) as made:
            yield made


async def test_every_page_there_is_has_been_seen(seen: Survey, tmp_path: Path):
    routes = {each.path for each in every_page(tmp_path, "GET")}
    assert routes - seen.reached == NO_PAGES


async def test_no_link_leads_to_an_error(seen: Survey):
    # Of a payment that others only name nothing may be known.
    wrong = [
        (each.url, each.status)
        for each in seen.seen
        if each.status != STATUSES.get(each.url, 200)
        and not (each.status == 404 and each.route == "/payments/{provider}/{id}")
        and not (each.status == 422 and CANARY in each.url)
        and "filled in" not in each.url
    ]
    assert told(wrong) == ""


async def test_nothing_that_somebody_else_said_runs_or_is_even_tried(seen: Survey):
    assert seen.ran == []
    assert told((each.url, each.complaints) for each in seen.seen if each.complaints) == ""


async def test_what_they_said_is_shown_as_they_said_it(seen: Survey):
    """So that the test above is about something."""
    shown = " ".join(each.text for each in seen.seen)
    for text in TEXTS[:9]:
        assert text in shown
    assert {each.route for each in seen.seen if CANARY in each.text} >= SHOWING


async def test_a_template_in_a_text_is_a_text(seen: Survey):
    assert [each.url for each in seen.seen if "{{7*7}}" in each.text] != []
    assert [each.url for each in seen.seen if "49{% for" in each.text or "${49}" in each.text] == []


async def test_what_is_no_page_is_a_file_to_be_kept(seen: Survey):
    assert seen.downloads
    assert [path for path, said in seen.downloads.items() if not said.startswith("attachment")] == []


async def test_each_page_has_a_name_of_its_own(seen: Survey):
    assert [each.url for each in seen.seen if not each.title.endswith(" · webhookd") or len(each.title) < 13] == []


@pytest.mark.parametrize("looked_at", ["light", "dark", "phone"])
async def test_anybody_can_read_every_page(seen: Survey, looked_at: str):
    if not any(each.violations for each in seen.seen):
        pytest.skip("needs npm and a network, to fetch axe-core")
    found = [(each.url, each.violations.get(looked_at, [])) for each in seen.seen]
    assert told((url, "\n  ".join(violations)) for url, violations in found if violations) == ""


async def test_on_a_phone_no_page_is_wider_than_it(seen: Survey):
    assert told((each.url, (each.wider_by, each.too_wide)) for each in seen.seen if each.wider_by > 0) == ""
