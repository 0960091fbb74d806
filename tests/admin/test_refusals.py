"""`/api/v1/refusals` and the trial of a secret, asked of a daemon; and that every reason has its words."""

import ast
import base64
import json
import re
from collections.abc import AsyncIterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pytest

from tests.admin.desk import Desk, desk
from tests.receive.wire import Headers, ask, event, new_address, post, standard, stripe
from tests.running import STANDARD_SECRET, STRIPE_SECRET, RunningDaemon, configuration, daemon
from webhookd.admin import refusals
from webhookd.admin.provider_secrets import PROVIDER_SECRETS, sender_of
from webhookd.admin.refusal_words import MEANINGS, OTHER, meaning
from webhookd.providers import PROVIDERS

PACKAGE = Path(__file__).parents[2] / "webhookd"
RIGHT = "whsec_c4n4ry_right"
WRONG = "whsec_c4n4ry_wrong"
SOURCES = f"""
[sources.stripe]
provider = "stripe"
secrets = ["{STRIPE_SECRET}", "env:SECOND"]
[sources.dodo]
provider = "standard"
secrets = ["{STANDARD_SECRET}"]
[sources.flw]
provider = "flutterwave"
scheme = "verif-hash"
secrets = ["another hash"]
[sources.paypal]
provider = "paypal"
webhook_id = "4JH86294D6297924G"
"""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path, configuration(SOURCES), SECOND="whsec_second") as made:
        yield made


@pytest.fixture
async def found(running: RunningDaemon) -> AsyncIterator[Desk]:
    async with desk(running) as made:
        yield made


async def refused(
    running: RunningDaemon, source: str, headers: Headers, body: bytes = b"{}", status: int = 401
) -> None:
    assert (await ask(running.port, post(source, body, headers), address=new_address())).status == status


# --- What was refused


async def test_the_newest_comes_first_and_is_told_with_its_reason_in_words(running: RunningDaemon, found: Desk):
    await refused(running, "stripe", {})
    await refused(running, "dodo", {**standard(b"{}", "msg_1", at=1_700_000_000), "User-Agent": "Svix-Webhooks/1.2"})
    answer = await found.get("/refusals")
    assert [(each["source"], each["reason"]) for each in answer["data"]] == [
        ("dodo", "stale_timestamp"),
        ("stripe", "no_signature"),
    ]
    newest = answer["data"][0]
    assert newest["meaning"] == MEANINGS["stale_timestamp"].text
    assert newest["signature"]["webhook-timestamp"] == "1700000000"
    assert newest["signed_at"] == "2023-11-14T22:13:20.000Z"
    assert newest["age_s"] > 90_000_000
    assert newest["user_agent"] == "Svix-Webhooks/1.2"
    assert answer["clock_off_s"] is None


async def test_they_are_narrowed_by_source_and_by_reason(running: RunningDaemon, found: Desk):
    await refused(running, "stripe", {})
    await refused(running, "stripe", stripe(b"{}", WRONG))
    await refused(running, "dodo", {})
    assert len((await found.get("/refusals", source="stripe"))["data"]) == 2
    assert len((await found.get("/refusals", reason="no_signature"))["data"]) == 2
    assert len((await found.get("/refusals", source="stripe", reason="wrong_signature"))["data"]) == 1
    assert (await found.get("/refusals", source="nobody"))["data"] == []
    assert (await found.ask("GET", "/refusals", since="now")).wrong.keys() == {"since"}


async def test_who_asks_for_a_source_that_there_is_not_is_told_apart_and_what_he_meant_is_guessed(
    running: RunningDaemon, found: Desk
):
    for name in ("strippe", "zzzzzzzz"):
        await refused(running, name, {}, status=404)
    answer = (await found.get("/refusals", reason="unknown_source"))["data"]
    assert [(each["source"], each["path"], each["meant"]) for each in answer] == [
        (None, "/webhooks/zzzzzzzz", None),
        (None, "/webhooks/strippe", "stripe"),
    ]


def test_names_that_strangers_make_up_are_compared_with_few_sources_and_once(monkeypatch: pytest.MonkeyPatch):
    compared: list[int] = []

    def matches(name: str, sources: list[str], most: int) -> list[str]:
        compared.append(len(sources))
        return get_close_matches(name, sources, most)

    monkeypatch.setattr(refusals, "get_close_matches", matches)
    refusals._most_like.cache_clear()
    sources = (*(f"stripe-{number:04}-eu-west" for number in range(500)), "paypal-live")
    assert [refusals._most_like("paypal-life", sources) for _ in range(2)] == ["paypal-live"] * 2
    assert refusals._most_like("zzz", sources) is None
    assert compared == [refusals.LIKE_MAX] * 2


async def test_a_clock_that_is_wrong_is_told(running: RunningDaemon, found: Desk):
    for number in range(3):
        await refused(running, "stripe", stripe(b"{}", at=1_700_000_000 + number))
    assert (await found.get("/refusals"))["clock_off_s"] > 90_000_000


async def test_they_are_forgotten_at_a_restart(running: RunningDaemon, found: Desk):
    await refused(running, "stripe", {})
    assert await running.stop() == 0
    await running.start()
    assert (await found.get("/refusals"))["data"] == []


async def test_a_source_says_where_its_secrets_are_and_not_what_they_are(found: Desk):
    sources = {each["name"]: each for each in (await found.get("/sources"))["data"]}
    assert sources["stripe"]["secrets"] == ["********", "env:SECOND"]
    assert len(sources["paypal"]["secrets"]) == 1
    assert sources["stripe"]["conflicts"] == 0


async def test_another_body_under_a_known_id_is_a_conflict_of_its_source(running: RunningDaemon, found: Desk):
    for note in ("one", "two"):
        body = event("evt_conflict", note=note)
        await refused(running, "stripe", stripe(body), body, status=200)
    (source,) = [each for each in (await found.get("/sources"))["data"] if each["name"] == "stripe"]
    assert (source["conflicts"], source["duplicates"]) == (1, 1)


# --- A secret, tried


async def tried(found: Desk, source: str, secret: str) -> dict[str, Any]:
    answer: dict[str, Any] = await found.done("POST", f"/sources/{source}/try-secret", {"secret": secret})
    return answer


async def test_the_right_secret_is_told_from_a_wrong_one(running: RunningDaemon, found: Desk):
    for number in range(2):
        body = event(f"evt_{number}")
        await refused(running, "stripe", stripe(body, RIGHT), body)
    nothing = {"hooks": 2, "right": 0, "stale": 0, "is_configured": False}
    assert await tried(found, "stripe", WRONG) == nothing
    assert await tried(found, "stripe", f" {RIGHT}\n") == {**nothing, "right": 2}
    assert await tried(found, "stripe", STRIPE_SECRET) == {**nothing, "is_configured": True}
    assert await tried(found, "dodo", STANDARD_SECRET) == {**nothing, "hooks": 0, "is_configured": True}


async def test_an_old_hook_is_good_for_it_and_its_age_is_told(running: RunningDaemon, found: Desk):
    await refused(running, "stripe", stripe(b"{}", RIGHT, at=1_700_000_000))
    assert await tried(found, "stripe", RIGHT) == {"hooks": 1, "right": 1, "stale": 1, "is_configured": False}


async def test_a_secret_that_is_sent_as_it_is_is_compared(running: RunningDaemon, found: Desk):
    await refused(running, "flw", {"verif-hash": "the hash"})
    assert (await tried(found, "flw", "the hash"))["right"] == 1
    assert (await tried(found, "flw", "a hash"))["right"] == 0


@pytest.mark.parametrize(
    ("source", "secret"),
    [
        ("stripe", "env:SECOND"),
        ("stripe", "file:/etc/hostname"),
        ("stripe", " "),
        ("stripe", ""),
        ("stripe", "x" * 1_025),
        ("dodo", "whsec_short"),
        ("paypal", "no id at all"),
    ],
)
async def test_what_cannot_be_a_secret_of_this_source_is_refused_and_not_quoted(found: Desk, source: str, secret: str):
    answer = await found.ask("POST", f"/sources/{source}/try-secret", {"secret": secret})
    assert answer.wrong.keys() == {"secret"}
    assert len(secret.strip()) < 3 or secret.encode() not in answer.body


async def test_a_source_that_there_is_not_is_not_found(found: Desk):
    answer = await found.ask("POST", "/sources/nobody/try-secret", {"secret": "x"})
    assert (answer.status, answer.json["detail"]) == (404, 'There is no source "nobody".')


@pytest.mark.parametrize("scope", ["read", "replay", "publish"])
async def test_only_an_admin_may_try_one(found: Desk, scope: str):
    found.token = (await found.done("POST", "/tokens", {"name": f"only-{scope}", "scope": scope}))["token"]
    answer = await found.ask("POST", "/sources/stripe/try-secret", {"secret": RIGHT})
    assert answer.status == 403


async def test_a_secret_that_was_tried_is_nowhere_afterwards_and_that_it_was_is_on_record(
    running: RunningDaemon, found: Desk
):
    sent = stripe(b"{}", RIGHT)
    await refused(running, "stripe", sent)
    signature = str(sent["Stripe-Signature"]).partition("v1=")[2]
    answers = [
        (await found.ask("POST", "/sources/stripe/try-secret", {"secret": each})).body for each in (RIGHT, WRONG)
    ]
    answers += [
        (await found.ask(*each)).body for each in (("GET", "/refusals"), ("GET", "/audit"), ("GET", "/sources"))
    ]
    rows = (await found.get("/audit", action="source.try-secret"))["data"]
    assert [(row["subject"], row["detail"]) for row in rows] == [("stripe", {"secret": "…"})] * 2
    assert await running.stop() == 0
    kept = [path.read_bytes() for path in (running.directory / "data").rglob("*") if path.is_file()]
    everything = b"".join([*answers, *kept, json.dumps(running.log).encode()])
    for canary in (b"c4n4ry", signature.encode(), base64.b64encode(RIGHT.encode())):
        assert canary not in everything


# --- Words


def words_of(folder: str) -> set[str]:
    """Every word that a hook can be refused with, read off the code that refuses it."""
    found = set()
    for path in (PACKAGE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Refused", "Reason", "unavailable"):
                found |= {
                    each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    return {word for word in found if re.fullmatch("[a-z_]+", word)}


@pytest.mark.parametrize("folder", ["providers", "receive"])
def test_every_reason_has_its_words_and_something_to_do(folder: str):
    words = words_of(folder)
    assert {"providers": "no_signature", "receive": "too_large"}[folder] in words
    assert [word for word in words if meaning(word) is OTHER or not meaning(word).advice] == []


def test_every_provider_is_known_by_where_its_secret_is_and_by_its_own_headers():
    assert PROVIDER_SECRETS.keys() == PROVIDERS.keys()
    for name, secret in PROVIDER_SECRETS.items():
        assert secret.setting in PROVIDERS[name].takes
        assert (PACKAGE.parent / "docs" / "sources" / f"{name}.md").exists()
        assert {sender_of([header]) for header in secret.headers} == {name}
        # verif-hash is the secret itself, and not kept
        assert set(secret.headers) - {"verif-hash"} <= set(PROVIDERS[name].kept_headers)
