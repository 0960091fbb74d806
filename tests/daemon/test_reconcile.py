"""Hooks that never came are found in the provider's own export and taken in: then nothing tells the two logs apart."""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.daemon.test_every_provider import SAMPLES
from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from tests.shell import ROOT, Ended, Shell
from webhookd.providers import reread
from webhookd.sandbox.samples import sample
from webhookd.store.sqlite.audit import audit

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = ("payments", "refunds", "disputes", "subscriptions", "transfers", "downtimes", "orders", "invoices")
Hook = tuple[bytes, str]
"""A body, and the id that its sender has for it."""


class Party:
    def __init__(self, dev: DevDaemon, shell: Shell, directory: Path) -> None:
        self.dev, self.shell, self._directory = dev, shell, directory
        self._numbers = iter(range(1_000))

    def file(self, lines: list[bytes]) -> Path:
        path = self._directory / f"export-{next(self._numbers)}"
        path.write_bytes(b"\n".join(lines) + b"\n")
        return path

    async def reconcile(self, source: str, lines: list[bytes], *options: str) -> Ended:
        return await self.shell("reconcile", source, "--from", self.file(lines), *options, "--json")

    async def ledger(self, provider: str) -> dict[str, Any]:
        """Without what is of the daemon that was asked: when it heard of each."""
        found = {}
        for name in LISTS:
            page = await self.dev.get(f"/api/v1/{name}", provider=provider, limit=500)
            rows = [
                {field: each[field] for field in each if field not in ("events", "first_heard_at")}
                for each in page["data"]
            ]
            found[name] = sorted(rows, key=lambda row: row["id"])
        found["revenue"] = (await self.dev.get("/api/v1/revenue", provider=provider))["data"]
        return found

    async def events(self, source: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.dev.get("/api/v1/events", source=source, limit=500))["data"]
        return found


async def party(directory: Path) -> AsyncIterator[Party]:
    async with dev_daemon(directory) as dev:
        (directory / "files").mkdir()
        yield Party(dev, Shell(dev, directory), directory / "files")
        assert await dev.running.stop() == 0
        assert list(audit(dev.data_dir / "webhookd.db", reread)) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Party]:
    """It got every hook."""
    async for each in party(tmp_path_factory.mktemp("whole")):
        yield each


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def half(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Party]:
    """It did not."""
    async for each in party(tmp_path_factory.mktemp("half")):
        yield each


def hooks(provider: str) -> list[Hook]:
    dice = random.Random(provider)
    now_s = int(time.time()) - 60
    return [(sample(provider, each, now_s, dice), f"msg_{dice.getrandbits(64):x}") for each in SAMPLES[provider]]


def line(provider: str, hook: Hook) -> bytes:
    """As a provider's list has it: on one line, other spaces, and with the id where there is one."""
    body, message_id = hook
    said = json.dumps(json.loads(body), ensure_ascii=False).encode()
    return b'{"id": "%b", "payload": %b}' % (message_id.encode(), said) if provider == "standard" else said


def counts(found: Ended) -> dict[str, int]:
    return {word: count for word, count in found.json["counts"].items() if count}


@pytest.mark.parametrize("provider", SAMPLES)
async def test_lost_hooks_are_found_and_taken_in_and_the_ledger_is_as_if_all_had_come(
    whole: Party, half: Party, provider: str
):
    every = hooks(provider)
    for body, message_id in every:
        await whole.dev.send(body, provider, message_id)
    for body, message_id in every[::2]:
        await half.dev.send(body, provider, message_id)
    lines = [line(provider, hook) for hook in every]
    lost = len(every) - len(every[::2])

    compared = await half.reconcile(provider, lines)
    assert (compared.code, counts(compared)) == (1, {"missing": lost, "present": len(every) - lost})
    assert [each["line"] for each in compared.json["findings"]] == list(range(2, len(every) + 1, 2))
    assert await half.ledger(provider) != await whole.ledger(provider)

    taken = await half.reconcile(provider, lines, "--import")
    assert (taken.code, counts(taken)) == (0, {"imported": lost, "present": len(every) - lost})
    assert await half.ledger(provider) == await whole.ledger(provider)
    events = await half.events(provider)
    assert len(events) == len(every)

    again = await half.reconcile(provider, lines, "--import")
    assert (again.code, counts(again)) == (0, {"present": len(every)})
    assert [each["id"] for each in await half.events(provider)] == [each["id"] for each in events]
    for each in taken.json["findings"]:
        await half.dev.delivered(each["event_id"])
        story = (await half.shell.done("why", each["event_id"], "--json")).json["story"]
        assert [entry["by"] for entry in story["entries"] if entry["kind"] == "received"] == ["import"]


@pytest.mark.parametrize("provider", ["stripe", "paypal", "flutterwave"])
async def test_a_hook_that_comes_after_its_import_is_a_duplicate(half: Party, provider: str):
    [hook] = hooks(provider)[:1]
    body = hook[0].replace(b'"id"', b'"id" ')
    renamed = json.loads(body)
    renamed["id"] = f"late-{provider}"
    if provider == "flutterwave":
        renamed["webhook_id"] = f"late-{provider}"
    fresh = json.dumps(renamed).encode(), hook[1] + "0"
    taken = await half.reconcile(provider, [line(provider, fresh)], "--import")
    [found] = [each for each in taken.json["findings"] if each["state"] != "extra"]
    assert found["state"] == "imported"
    assert await half.dev.send(json.dumps(renamed, indent=2).encode(), provider, fresh[1]) == found["event_id"]


async def test_a_kept_hook_has_the_id_that_its_header_gave_it(half: Party):
    body = hooks("razorpay")[0][0].replace(b"pay_", b"pay_k")
    kept = json.dumps({"headers": {"X-Razorpay-Event-Id": "kept_1"}, "body": body.decode()}).encode()
    findings = (await half.reconcile("razorpay", [kept], "--import")).json["findings"]
    [found] = [each for each in findings if each["state"] != "extra"]  # others are of the same second, or are not
    assert (found["state"], found["provider_event_id"]) == ("imported", "kept_1")
    assert await half.dev.send(body, "razorpay", "kept_1") == found["event_id"]


async def test_the_same_bytes_are_the_same_event_whatever_id_their_header_gave_them(half: Party):
    body = b'{"event": "nothing.of.money", "n": 1}'
    sent = await half.dev.send(body, "razorpay", "of_the_header")
    found = await half.reconcile("razorpay", [body, body.replace(b"1", b"2")])
    assert counts(found) == {"present": 1, "missing": 1}
    assert sent in [each["id"] for each in await half.events("razorpay")]


async def test_what_the_log_has_otherwise_is_told_and_stays(half: Party):
    said = stripe_event("differs")
    sent = await half.dev.send(said)
    other = {**said, "type": "charge.updated", "created": said["created"] + 1}
    moving = {**said, "pending_webhooks": 3}
    found = await half.reconcile("stripe", [json.dumps(each).encode() for each in (said, moving, other)])
    assert (found.code, counts(found)) == (0, {"different": 1, "present": 2})
    [finding] = found.json["findings"]
    assert (finding["event_id"], finding["differences"]) == (sent, ["type", "time", "body"])


async def test_what_is_in_the_log_within_the_files_time_and_not_in_the_file_is_extra(half: Party):
    now_s = int(time.time())
    first, between, last, later = [
        {**stripe_event(f"extra_{number}", "customer.created"), "created": now_s - 100 + number} for number in range(4)
    ]
    for each in (first, between, last, later):
        await half.dev.send(each)
    found = await half.reconcile("stripe", [json.dumps(each).encode() for each in (first, last)])
    extra = [each for each in found.json["findings"] if each["state"] == "extra"]
    assert between["id"] in [each["provider_event_id"] for each in extra]
    assert not {first["id"], last["id"], later["id"]} & {each["provider_event_id"] for each in extra}
    assert found.code == 0, "nothing is missing"


async def test_lines_that_are_no_events_are_named_and_do_not_stop_the_rest(half: Party):
    lines = [b"{not json", json.dumps(stripe_event("amid")).encode(), b"", b'"text"', b'{"id": 7}']
    found = await half.reconcile("stripe", lines, "--import")
    assert found.code == 1
    told = {each["line"]: (each["state"], each["reason"]) for each in found.json["findings"]}
    assert told[1] == ("malformed", "is no JSON")
    assert told[2] == ("imported", None)
    assert told[4] == ("malformed", "is no JSON object")
    assert told[5] == ("misread", "id or type is missing, empty, too long or unprintable")
    assert len(told) == 4


async def test_a_table_is_compared_by_its_ids_and_cannot_be_imported(half: Party):
    await half.dev.send(stripe_event("csv"))
    table = [b"id,Type,Created (UTC)", b"evt_csv,charge.refunded,x", b"evt_nowhere,charge.x,x", b'evt_csv,"charge.y",x']
    found = await half.reconcile("stripe", table)
    assert found.code == 1
    told = [(each["line"], each["state"], each["differences"]) for each in found.json["findings"]]
    assert told == [(3, "missing", []), (4, "different", ["type"])]
    refused = await half.shell("reconcile", "stripe", "--from", half.file(table), "--import")
    assert (refused.code, "only the ids" in refused.err) == (2, True)
    other = [b"no;such", b"1;2"]
    assert (await half.shell("reconcile", "stripe", "--from", half.file(other))).code == 2
    assert counts(await half.reconcile("stripe", [b"My Id,x", b"evt_csv,1"], "--id-column", "my id")) == {"present": 1}


async def test_the_answer_of_a_list_is_an_export_and_so_is_standard_input(half: Party):
    events = [stripe_event(f"list_{number}") for number in range(3)]
    await half.dev.send(events[0])
    answer = json.dumps({"object": "list", "data": events, "has_more": False}, indent=2).encode()
    assert counts(await half.reconcile("stripe", [answer])) == {"missing": 2, "present": 1}
    shown = await half.shell("reconcile", "stripe", "--from", half.file([json.dumps(events).encode()]))
    assert (shown.code, shown.out.splitlines()[-1].startswith("2 missing, 0 different")) == (1, True)
    assert "missing     evt_list_1  charge.refunded" in shown.out
    command = [sys.executable, "-m", "webhookd", "reconcile", "stripe", "--from", "-", "--data-dir", half.dev.data_dir]
    given = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE, "cwd": half.shell.cwd}
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **given)
    out, _ = await process.communicate(answer)
    assert (process.returncode, out.decode().splitlines()[-1]) == (1, shown.out.splitlines()[-1])


async def test_more_events_than_a_request_takes_are_compared(half: Party):
    lines = [json.dumps(stripe_event(f"many_{number}")).encode() for number in range(1_203)]
    assert counts(await half.reconcile("stripe", lines)) == {"missing": 1_203}


@pytest.mark.parametrize(("source", "file"), [("nobody", "export"), ("stripe", "nowhere")])
async def test_an_unknown_source_and_a_file_that_is_not_there_are_wrong_usage(half: Party, source: str, file: str):
    path = half.file([json.dumps(stripe_event(1)).encode()]) if file == "export" else Path(file)
    found = await half.shell("reconcile", source, "--from", path)
    assert found.code == 2
    assert ("there is no source" in found.err) or ("No such file" in found.err)


async def test_a_file_without_an_event_is_said_to_be_one_and_is_no_excuse_for_a_wrong_source(half: Party):
    found = await half.reconcile("stripe", [b""])
    assert (found.code, counts(found)) == (0, {})
    assert "holds no event: nothing was compared" in found.err
    assert (await half.reconcile("nobody", [b""])).code == 2


async def test_only_who_may_change_all_may_import_and_it_is_on_record(half: Party, tmp_path: Path):
    made = await half.shell.done("tokens", "add", "reader", "--scope", "read", "--json")
    (tmp_path / "token").write_text(made.json["token"])
    (tmp_path / "token").chmod(0o600)
    asked = ["reconcile", "stripe", "--from", half.file([json.dumps(stripe_event("scoped")).encode()])]
    as_reader = ["--token-file", tmp_path / "token", "--json"]
    assert counts(await half.shell(*asked, *as_reader)) == {"missing": 1}
    refused = await half.shell(*asked, *as_reader, "--import")
    assert (refused.code, "good for read" in refused.err) == (2, True)
    await half.shell.done(*asked, "--import")
    rows = (await half.dev.get("/api/v1/audit"))["data"]
    newest = next(row for row in rows if row["action"] == "source.reconcile")
    assert (newest["subject"], newest["actor"]) == ("stripe", "admin.token")
