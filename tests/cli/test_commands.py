"""The commands, against one real daemon in dev mode.

Each verb is run as a shell runs it, in a process of its own; the many small questions about one go to the same command
within this process, which costs a hundredth.
"""

import asyncio
import errno
import json
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from tests.dev_daemon import dev_daemon, stripe_event
from tests.running import PATIENCE_S, configuration, daemon
from tests.shell import Shell, ask, run
from webhookd import __version__
from webhookd.cli.deliveries import Waits
from webhookd.config import Config
from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.signature import asymmetric_key, new_secret, signing_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
NO_EVENT, NO_DELIVERY = event_id(5, 5), delivery_id(5, 5)
GROUPS = ["events", "deliveries", "endpoints", "payments", "ledger", "config"]
VERBS = [
    *("serve", "listen", "trigger", "status", "sources", "events list", "events show", "events tail"),
    *("deliveries list", "deliveries show", "endpoints list", "endpoints show", "endpoints add", "endpoints update"),
    *("endpoints pause", "endpoints resume", "endpoints remove", "endpoints rotate-secret", "endpoints ping"),
    *(
        "payments list",
        "payments show",
        "payments wait",
        "replay",
        "revenue",
        "ledger list",
        "ledger rebuild",
        "verify",
        "why",
        "reconcile",
    ),
    *("config check", "config show", "deliveries cancel", "move"),
]
EVENT_FIELDS = {
    *("id", "source", "provider", "provider_event_id", "type", "state", "received_at", "occurred_at", "size"),
    *("sha256", "payment"),
}
DELIVERY_FIELDS = {
    *("id", "event_id", "endpoint", "state", "attempts", "next_attempt_at", "last_status", "last_error"),
    *("created_at", "settled_at"),
}
ATTEMPT_FIELDS = {"number", "started_at", "duration_ms", "status", "error", "response", "replay"}
ENDPOINT_FIELDS = {"name", "url", "state", "in_flight", "backlog", "managed_by"}
CANARY = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    async with dev_daemon(tmp_path_factory.mktemp("dev")) as dev:
        yield Shell(dev, tmp_path_factory.mktemp("elsewhere"))


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    line = await stream.readline()
    assert line, "it ended without another line"
    return line.decode()


# --- Help


@pytest.mark.parametrize("verb", ["", *GROUPS, *VERBS])
async def test_every_verb_explains_itself(verb: str) -> None:
    found = await ask(*verb.split(), "--help")
    assert (found.code, found.err) == (0, "")
    assert "Usage: " in found.out
    assert len(found.out.splitlines()) > 5


async def test_the_help_names_every_verb(tmp_path: Path) -> None:
    found = await run("--help", cwd=tmp_path)
    assert (found.code, found.err) == (0, "")
    named = found.out
    for group in GROUPS:
        named += (await ask(group, "--help")).out
    assert all(re.search(rf"│ {verb.split()[-1]} ", named) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_takes_the_options_that_say_which_daemon(verb: str) -> None:
    options = ["-c", "x.toml", "--data-dir", "x", "--url", "http://127.0.0.1:1", "--token-file", "x"]
    assert (await ask(*verb.split(), *options, "--help")).code == 0


async def test_the_version_can_be_asked_for(tmp_path: Path) -> None:
    found = await run("--version", cwd=tmp_path)
    assert (found.code, found.out) == (0, f"webhookd {__version__}\n")


# --- Wrong usage: 2


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense",
        "events nonsense",
        "status --nonsense",
        "status surplus",
        "events show",
        "events list --limit 0",
        "events list --limit 501",
        "events list --limit ten",
        "events list --state dead",
        "events list --since yesterday",
        "events list --since 2026-01-32",
        "events list --until 5parsecs",
        "deliveries list --state accepted",
        "events list --url ftp://127.0.0.1/",
        "payments list --status accepted",
        "payments list --since 2026-01-32",
        "payments list --since yesterday",
        "payments list --provider bogus",
        "events list --provider bogus",
        "revenue --provider bogus",
        "payments show stripe",
        "payments wait stripe",
        "payments wait stripe pi_1 --timeout 5parsecs",
        "payments wait stripe pi_1 --timeout 30",
        "revenue --by year",
        "revenue --currency dollars",
        "revenue --since yesterday",
        "revenue --since 2026-02-30",
        "revenue --since 2026-01-31 --until 2026-01-30",
        "ledger list",
        "ledger list payments",
        "ledger list refunds --status captured",
        "trigger",
        "trigger stripe",
        "trigger nobody charge.refunded",
        "trigger stripe nothing.of.that.name",
        "trigger stripe charge.refunded -n 0",
        "trigger stripe charge.refunded -n many",
        "trigger stripe charge.refunded --duplicates 2",
        "trigger stripe charge.refunded --rate 0",
        "trigger stripe charge.refunded --set amount",
        "trigger stripe charge.refunded --set =5",
        "trigger stripe charge.refunded --set data.nowhere.amount=5",
        "trigger stripe charge.refunded --body /nowhere/at/all",
        "trigger stripe charge.refunded --url 127.0.0.1:8080",
        "trigger standard payment.succeeded --secret short",
        "trigger --list nobody",
        "listen --secret short",
        "listen --delay soon",
        "listen --fail-rate 2",
        "listen --port 99999",
        "serve --sample",
    ],
)
async def test_wrong_usage_is_exit_2_and_is_said_on_standard_error(shell: Shell, arguments: str) -> None:
    found = await shell(*arguments.split())
    assert (found.code, found.out) == (2, "")
    assert found.err.strip()


async def test_a_shell_sees_wrong_usage_as_exit_2(shell: Shell) -> None:
    found = await shell.process("events", "list", "--state", "dead")
    assert (found.code, found.out) == (2, "")
    assert "--state: must be one of accepted" in found.err


async def test_a_day_that_no_calendar_has_is_said_in_the_words_of_the_help(shell: Shell) -> None:
    found = await shell("events", "list", "--since", "2026-02-30")
    assert (found.code, found.out) == (2, "")
    assert "must be a day like 2026-01-31" in " ".join(found.err.split())


# --- A daemon that cannot be reached: 69

ASKING = [
    ("status",),
    ("events", "list"),
    ("events", "show", NO_EVENT),
    ("events", "tail"),
    ("deliveries", "list"),
    ("deliveries", "show", NO_DELIVERY),
    ("endpoints", "list"),
    ("endpoints", "pause", "local"),
    ("endpoints", "resume", "local"),
    ("endpoints", "show", "local"),
    ("endpoints", "add", "shop", "https://shop.example/"),
    ("endpoints", "update", "shop", "--timeout", "5s"),
    ("endpoints", "remove", "shop"),
    ("endpoints", "rotate-secret", "shop"),
    ("endpoints", "ping", "shop"),
    ("payments", "list"),
    ("payments", "show", "stripe", "pi_1"),
    ("payments", "wait", "stripe", "pi_1"),
    ("revenue",),
    ("ledger", "list", "refunds"),
]


@pytest.mark.parametrize("verb", ASKING, ids=" ".join)
async def test_without_a_daemon_a_verb_that_asks_one_is_exit_69(verb: tuple[str, ...], tmp_path: Path) -> None:
    found = await ask(*verb, "--json", "--data-dir", tmp_path / "data")
    assert (found.code, found.out) == (69, "")
    assert "admin.token" in found.err


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that is taken and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


async def test_a_daemon_that_is_gone_is_exit_69_and_says_what_to_do(shell: Shell) -> None:
    with deaf_port() as port:
        found = await shell.process("status", "--url", f"http://127.0.0.1:{port}")
    assert (found.code, found.out) == (69, "")
    assert "is `webhookd serve` running?" in found.err


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"\xff\xfe\x00",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("verb", [("status", "--json"), ("endpoints", "pause", "local")], ids=" ".join)
async def test_something_else_that_listens_there_is_no_daemon(
    shell: Shell, verb: tuple[str, ...], answer: bytes
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        found = await shell(*verb, "--url", f"http://127.0.0.1:{port}")
    assert (found.code, found.out) == (69, "")
    assert "no daemon answers" in found.err


async def test_a_proxy_of_the_environment_does_not_come_between_a_verb_and_its_daemon(shell: Shell) -> None:
    with deaf_port() as port:
        proxy = f"http://127.0.0.1:{port}"
        found = await run(
            *("status", "--json", "--data-dir", shell.dev.data_dir),
            cwd=shell.cwd,
            environment={"http_proxy": proxy, "HTTP_PROXY": proxy, "no_proxy": ""},
        )
    assert found.code == 0


async def test_a_wrong_token_is_refused_without_being_shown(shell: Shell, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("whd_canary\n")
    found = await shell("status", "--token-file", wrong)
    assert found.code != 0
    assert str(wrong) in found.err
    assert "whd_canary" not in found.err + found.out


async def test_a_token_file_that_is_not_there_is_said_with_where_it_was_looked_for(tmp_path: Path) -> None:
    found = await run("status", cwd=tmp_path)
    assert (found.code, found.out) == (69, "")
    assert f"{tmp_path}/data/admin.token cannot be read: No such file" in found.err
    assert "is this its data directory?" in found.err
    given = await run("status", "--token-file", "mine", cwd=tmp_path)
    assert (given.code, given.err) == (
        69,
        f"webhookd: {tmp_path}/mine cannot be read: No such file or directory (see --token-file)\n",
    )


async def test_a_token_file_that_is_anothers_is_said_to_be_that(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_text", refuse)  # root may read all
    found = await shell("status")
    assert (found.code, found.out) == (69, "")
    assert "admin.token cannot be read: Permission denied" in found.err
    assert "webhookd tokens add" in found.err


async def test_a_verb_finds_the_daemon_by_url_and_token_alone(shell: Shell, tmp_path: Path) -> None:
    found = await run(
        *(
            "status",
            "--json",
            "--url",
            shell.dev.running.admin,
            "--token-file",
            shell.dev.data_dir / "admin.token",
        ),
        cwd=tmp_path,
    )
    assert (found.code, found.json["ready"]) == (0, True)


async def test_a_verb_finds_the_daemon_by_the_configuration(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(f'[server]\ndata_dir = "{shell.dev.data_dir}"\n')
    assert (await run("status", "-c", "other.toml", cwd=tmp_path)).code == 0
    (tmp_path / "webhookd.toml").write_text(f'[server]\ndata_dir = "{shell.dev.data_dir}"\n')
    assert (await run("status", cwd=tmp_path)).code == 0


async def test_a_hook_that_nobody_takes_is_exit_69(shell: Shell) -> None:
    with deaf_port() as port:
        url = f"http://127.0.0.1:{port}/webhooks/stripe"
        found = await shell("trigger", "stripe", "charge.refunded", "--url", url)
    assert found.code == 69
    assert "is `webhookd serve` running?" in found.err


# --- A bad configuration: 78


@pytest.mark.parametrize(
    "verb", [("config", "check"), ("config", "show"), ("serve",), ("status",), ("listen",)], ids=" ".join
)
async def test_a_bad_configuration_is_exit_78_and_names_file_key_and_reason(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "webhookd.toml").write_text('[server]\nlisten = "nowhere"\nmax_bdy = "1MiB"\n')
    found = await run(*verb, cwd=tmp_path)
    assert (found.code, found.out) == (78, "")
    lines = found.err.splitlines()
    assert [line.split(": ")[:3] for line in lines] == [
        ["webhookd", "webhookd.toml:2", "server.listen"],
        ["webhookd", "webhookd.toml:3", "server.max_bdy"],
    ]
    assert "did you mean max_body?" in lines[1]


async def test_a_configuration_that_is_not_there_is_exit_78(tmp_path: Path) -> None:
    found = await ask("config", "check", "-c", tmp_path / "nowhere.toml")
    assert (found.code, "nowhere.toml: there is no such file" in found.err) == (78, True)


async def test_mistakes_are_told_to_a_program_too(tmp_path: Path) -> None:
    (tmp_path / "webhookd.toml").write_text("colour = 1\n[server]\nlisten = 5\n")
    found = await ask("config", "check", "--json", "-c", tmp_path / "webhookd.toml")
    assert (found.code, found.json["right"]) == (78, False)
    assert [(each["line"], each["key"]) for each in found.json["mistakes"]] == [(1, "colour"), (3, "server.listen")]
    assert all(each.keys() == {"file", "line", "key", "reason"} for each in found.json["mistakes"])


async def test_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    source = '[sources.shop]\nprovider = "strpe"\nsecrets = ["env:NOBODY_SET_IT"]\n'
    (tmp_path / "webhookd.toml").write_text(
        f'[server]\nlisten = "x"\nadmin_listn = "y"\n\n{source}\n[delivery]\njitter = 2\n\n[endpoint.shop]\n'
    )
    found = await run("config", "check", "--json", cwd=tmp_path)
    assert [each["line"] for each in found.json["mistakes"]] == [2, 3, 6, 7, 10, 12]


async def test_a_right_configuration_is_exit_0(tmp_path: Path) -> None:
    (tmp_path / "webhookd.toml").write_text(configuration())
    found = await run("config", "check", cwd=tmp_path)
    assert (found.code, found.out, found.err) == (0, "webhookd.toml: right. 2 sources, 0 endpoints\n", "")
    found = await run("config", "check", "--json", cwd=tmp_path)
    assert found.json == {"right": True, "mistakes": [], "warnings": []}


async def test_a_doubt_is_a_warning_and_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "webhookd.toml").write_text('[server]\nadmin_listen = "0.0.0.0:8081"\n')
    found = await ask("config", "check", "-c", tmp_path / "webhookd.toml")
    assert (found.code, found.out.count("right")) == (0, 1)
    assert found.err.startswith(f"webhookd: warning: {tmp_path}/webhookd.toml:2: server.admin_listen: ")
    [warning] = (await ask("config", "check", "--json", "-c", tmp_path / "webhookd.toml")).json["warnings"]
    assert (warning["line"], warning["key"]) == (2, "server.admin_listen")


async def test_the_configuration_that_is_shown_is_one(tmp_path: Path) -> None:
    secret = {"S": "whsec_1"}
    text = '[sources.a]\nprovider = "stripe"\nsecrets = ["env:S"]\n[endpoints.b]\nurl = "https://shop.example/"\n'
    (tmp_path / "webhookd.toml").write_text(text)
    shown = await run("config", "show", cwd=tmp_path, environment=secret)
    (tmp_path / "shown.toml").write_text(shown.out)
    assert (await run("config", "check", "-c", "shown.toml", cwd=tmp_path, environment=secret)).code == 0
    assert (await run("config", "show", "-c", "shown.toml", cwd=tmp_path, environment=secret)).out == shown.out


async def test_without_a_source_to_sign_for_trigger_is_exit_78(tmp_path: Path) -> None:
    found = await ask("trigger", "stripe", "charge.refunded", "--data-dir", tmp_path / "data")
    assert found.code == 78
    assert "--secret" in found.err


async def test_a_source_with_a_public_key_cannot_be_signed_for(tmp_path: Path) -> None:
    public = "whpk_C2FVsBQIhrscChlQIMV+b5sSYspob7oDAAAAAAAAAAA="
    (tmp_path / "webhookd.toml").write_text(f'[sources.ed]\nprovider = "standard"\nsecrets = ["{public}"]\n')
    found = await ask("trigger", "standard", "payment.succeeded", "-c", tmp_path / "webhookd.toml")
    assert (found.code, "public keys only" in found.err) == (78, True)


@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["text", "json"])
async def test_the_configuration_is_shown_with_its_secrets_masked(tmp_path: Path, extra: tuple[str, ...]) -> None:
    (tmp_path / "secret").write_text(CANARY)
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "webhookd.toml").write_text(
        f'[sources.a]\nprovider = "stripe"\nsecrets = ["{CANARY}", "env:S", "file:{tmp_path}/secret"]\n'
        f'[endpoints.a]\nurl = "https://shop.example/"\nsecret = "{CANARY}"\n'
    )
    found = await run("config", "show", *extra, cwd=tmp_path, environment={"S": CANARY})
    assert found.code == 0
    assert CANARY not in found.out + found.err
    assert "env:S" in found.out
    assert "********" in found.out


async def test_the_effective_configuration_holds_every_section_and_what_overrides_it(tmp_path: Path) -> None:
    found = await run(
        *("config", "show", "--json", "--data-dir", "elsewhere"),
        cwd=tmp_path,
        environment={"WEBHOOKD_SERVER__LISTEN": "127.0.0.1:7"},
    )
    assert found.json.keys() == set(Config.__struct_fields__)
    assert (found.json["server"]["listen"], found.json["server"]["data_dir"]) == ("127.0.0.1:7", "elsewhere")


# --- Trigger


async def test_a_sample_is_accepted_and_its_id_is_printed(shell: Shell) -> None:
    found = await shell.process("trigger", "stripe", "payment_intent.succeeded")
    printed = re.fullmatch(r"200 accepted (evt_[0-9a-f]{32}) [\d.]+ ms\n", found.out)
    assert printed is not None
    event = await shell.dev.get(f"/api/v1/events/{printed[1]}")
    assert (event["type"], event["source"]) == ("payment_intent.succeeded", "stripe")


async def test_many_samples_are_sent_and_counted(shell: Shell) -> None:
    found = await shell.done("trigger", "standard", "payment.succeeded", "-n", "30", "--rate", "1000")
    assert re.search(r"accepted +30\b", found.out)


async def test_as_many_as_are_asked_for_are_sent_each_an_event_of_its_own(shell: Shell) -> None:
    found = await shell.done("trigger", "standard", "payment.succeeded", "-n", "7", "--json")
    assert [line["result"] for line in found.json_lines] == ["accepted"] * 7
    assert len({line["event_id"] for line in found.json_lines}) == 7
    assert all(line.keys() >= {"number", "status", "result", "event_id"} for line in found.json_lines)


@pytest.mark.parametrize(("provider", "kind"), [("stripe", "charge.refunded"), ("standard", "refund.succeeded")])
async def test_duplicates_are_sent_twice_and_recognised(shell: Shell, provider: str, kind: str) -> None:
    found = await shell.done("trigger", provider, kind, "-n", "5", "--duplicates", "1", "--json")
    lines = found.json_lines
    accepted = sorted(line["event_id"] for line in lines if line["result"] == "accepted")
    duplicate = sorted(line["event_id"] for line in lines if line["result"] == "duplicate")
    assert len(accepted) == 5
    assert accepted == duplicate


async def test_a_field_can_be_set_to_a_number_or_a_text(shell: Shell) -> None:
    found = await shell.done(
        *("trigger", "stripe", "payment_intent.succeeded", "--json"),
        *("--set", "data.object.amount=995", "--set", "data.object.metadata.order_id=a=b", "--set", "livemode=true"),
    )
    body = json.loads((await shell.done("events", "show", found.json["event_id"], "--body")).raw)
    assert body["data"]["object"]["amount"] == 995
    assert body["data"]["object"]["metadata"]["order_id"] == "a=b"
    assert body["livemode"] is True


async def test_a_body_of_ones_own_is_sent_byte_for_byte(shell: Shell, tmp_path: Path) -> None:
    body = b'{ "id":"evt_own",\n"type" : "own.type","price": 1.0, "note":"2 \xc3\x97 mug" }\r\n\n'
    (tmp_path / "own.json").write_bytes(body)
    found = await shell.done("trigger", "stripe", "--body", tmp_path / "own.json", "--json")
    shown = await shell.process("events", "show", found.json["event_id"], "--body")
    assert shown.raw == body


async def test_a_body_that_is_no_event_is_quarantined_which_is_no_failure(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\x00\xff not json")
    found = await shell.done("trigger", "stripe", "--body", tmp_path / "odd", "--json")
    assert found.json["result"] == "quarantined"
    listed = await shell.done("events", "list", "--state", "quarantined", "--json")
    assert found.json["event_id"] in [event["id"] for event in listed.json["data"]]


async def test_a_hook_that_is_refused_is_exit_1_and_shows_the_answer(shell: Shell) -> None:
    found = await shell.process("trigger", "stripe", "charge.refunded", "--secret", "whsec_of_somebody_else")
    assert found.code == 1
    assert found.out.startswith("401 The signature is missing, wrong")


async def test_the_types_of_samples_are_listed(shell: Shell) -> None:
    everything = (await shell.done("trigger", "--list", "--json")).json
    assert set(everything) >= {"stripe", "standard"}
    assert "payment_intent.succeeded" in everything["stripe"]
    lines = (await shell.done("trigger", "--list", "stripe")).out.splitlines()
    assert lines == [f"stripe {kind}" for kind in everything["stripe"]]


# --- Events and deliveries


async def test_what_a_verb_prints_for_programs_is_one_json_document(shell: Shell) -> None:
    found, delivery = await delivered(shell, "documents", "cli.documents")
    fields: dict[tuple[str, ...], set[str]] = {
        ("status",): {"ready", "endpoints"},
        ("events", "list"): {"data", "next_cursor"},
        ("events", "show", found): EVENT_FIELDS | {"headers", "deliveries"},
        ("events", "tail", "--type", "cli.documents"): EVENT_FIELDS,
        ("deliveries", "list"): {"data", "next_cursor"},
        ("deliveries", "show", delivery): DELIVERY_FIELDS | {"history"},
        ("endpoints", "list"): {"data", "next_cursor"},
        ("payments", "list"): {"data", "next_cursor"},
        ("ledger", "list", "refunds"): {"data", "next_cursor"},
        ("revenue",): {"data"},
        ("endpoints", "pause", "local"): ENDPOINT_FIELDS,
        ("endpoints", "resume", "local"): ENDPOINT_FIELDS,
        ("trigger", "stripe", "charge.refunded"): {"status", "result", "event_id"},
        ("trigger", "--list"): {"stripe", "standard"},
        ("config", "show"): {"server", "sources", "endpoints"},
        ("config", "check"): {"right", "mistakes"},
    }
    for verb, expected in fields.items():
        ended = await shell.process(*verb, "--json")
        assert (ended.code, ended.err) == (0, ""), verb
        assert ended.json.keys() >= expected, verb


async def send(shell: Shell, name: str, kind: str, **more: Any) -> str:
    return await shell.dev.send(stripe_event(name, kind, **more))


async def delivered(shell: Shell, name: str, kind: str) -> tuple[str, str]:
    """The ids of an event and of its delivery, once that is made."""
    found = await send(shell, name, kind)
    async with asyncio.timeout(PATIENCE_S):
        return found, (await shell.dev.delivered(found))["id"]


async def test_events_are_listed_the_newest_first(shell: Shell) -> None:
    sent = [await send(shell, f"listed-{number}", "cli.listed") for number in range(3)]
    found = await shell.done("events", "list", "--type", "cli.listed", "--json")
    assert [event["id"] for event in found.json["data"]] == sent[::-1]
    assert all(event.keys() >= EVENT_FIELDS for event in found.json["data"])
    assert "next_cursor" in found.json
    limited = await shell.done("events", "list", "--type", "cli.list?d", "--limit", "2", "--json")
    assert [event["id"] for event in limited.json["data"]] == sent[:0:-1]


async def test_a_list_for_people_never_cuts_an_id_short(shell: Shell) -> None:
    found, delivery = await delivered(shell, "whole", "cli.whole." + "long_" * 30)
    listed = await shell.done("events", "list", "--type", "cli.whole.*")
    assert found in listed.out
    assert "pi_whole" in listed.out
    listed = await shell.done("deliveries", "list", "--type", "cli.whole.*")
    assert found in listed.out
    assert delivery in listed.out


async def test_lists_can_be_narrowed(shell: Shell) -> None:
    found, delivery = await delivered(shell, "narrowed", "cli.narrowed")
    for verb, expected in (("events", found), ("deliveries", delivery)):

        async def ids(*narrowed: str, verb: str = verb) -> list[str]:
            listed = await shell.done(verb, "list", "--type", "cli.narrowed", "--json", *narrowed)
            return [each["id"] for each in listed.json["data"]]

        assert await ids("--source", "stripe", "--provider", "stripe", "--since", "1h") == [expected]
        assert await ids("--source", "standard") == []
        assert await ids("--until", "1h") == []
        assert await ids("--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00Z") == []
    listed = await shell.done("deliveries", "list", "--endpoint", "local", "--state", "delivered", "--json")
    assert delivery in [each["id"] for each in listed.json["data"]]
    nobody = await shell("deliveries", "list", "--endpoint", "nobody", "--json")
    assert (nobody.code, nobody.err) == (2, 'webhookd: --endpoint: there is no endpoint "nobody"\n')


async def test_an_empty_list_says_so(shell: Shell) -> None:
    assert (await shell.done("events", "list", "--type", "never.seen")).out == "no events\n"
    assert (await shell.done("deliveries", "list", "--state", "dead")).out == "no deliveries\n"


async def test_one_event_is_shown_with_its_deliveries_and_attempts(shell: Shell) -> None:
    found, delivery = await delivered(shell, "shown", "cli.shown")
    event = (await shell.done("events", "show", found, "--json")).json
    assert event.keys() >= EVENT_FIELDS | {"headers", "deliveries"}
    assert event["deliveries"][0].keys() >= DELIVERY_FIELDS | {"history"}
    assert event["deliveries"][0]["history"][0].keys() >= ATTEMPT_FIELDS
    text = (await shell.done("events", "show", found)).out
    for part in (found, delivery, "evt_shown", "cli.shown", event["sha256"], "thank you"):
        assert part in text


async def test_one_delivery_is_shown_with_its_attempts(shell: Shell) -> None:
    found, delivery = await delivered(shell, "owed", "cli.owed")
    shown = (await shell.done("deliveries", "show", delivery, "--json")).json
    assert shown.keys() >= DELIVERY_FIELDS | {"history"}
    assert (shown["id"], shown["event_id"], shown["endpoint"], shown["state"]) == (
        delivery,
        found,
        "local",
        "delivered",
    )
    text = (await shell.done("deliveries", "show", delivery)).out
    for part in (delivery, found, "cli.owed"):
        assert part in text
    assert "delivered after 1 attempt  " in text


@pytest.mark.parametrize(
    "verb",
    [
        ("events", "show", NO_EVENT),
        ("events", "show", "evt_1"),
        ("events", "show", NO_EVENT, "--body"),
        ("events", "show", "../status"),
        ("events", "show", "a b\n\r?#%/é"),
        ("deliveries", "show", NO_DELIVERY),
        ("deliveries", "show", "a b"),
        ("endpoints", "pause", "nobody"),
        ("endpoints", "resume", "no body/../local"),
    ],
    ids=ascii,
)
async def test_what_is_not_there_is_exit_1(shell: Shell, verb: tuple[str, ...]) -> None:
    found = await shell(*verb, "--json")
    assert (found.code, found.out) == (1, "")
    what = f'no endpoint "{verb[-1]}"' if verb[0] == "endpoints" else "nothing with this name or id"
    assert f"There is {what}." in found.err


@pytest.mark.parametrize("kind", ["[/oops]", "[red]x[/red]", "[bold", "\\[x]", "[link=https://evil.example]x[/link]"])
async def test_a_type_with_brackets_is_shown_as_it_is(shell: Shell, kind: str) -> None:
    found, delivery = await delivered(shell, f"brackets-{kind}", kind)
    for verb in (("list",), ("show", found), ("tail",)):
        assert kind in (await shell.done("events", *verb)).out
    for verb in (("list",), ("show", delivery)):
        assert delivery in (await shell.done("deliveries", *verb)).out


# --- Tail


async def test_the_tail_is_the_last_events_in_the_order_they_came(shell: Shell) -> None:
    sent = [await send(shell, f"tail-{number}", "cli.tail") for number in range(4)]
    found = await shell.done("events", "tail", "--type", "cli.tail", "--limit", "3", "--json")
    assert [event["id"] for event in found.json_lines] == sent[1:]
    assert all(event.keys() >= EVENT_FIELDS for event in found.json_lines)
    text = await shell.done("events", "tail", "--type", "cli.tail")
    assert [re.search(r"evt_[0-9a-f]{32}", line)[0] for line in text.out.splitlines()] == sent  # type: ignore[index]


@pytest.mark.parametrize("before", [0, 2])
async def test_a_tail_that_follows_shows_what_comes_once_and_in_order_until_ctrl_c(shell: Shell, before: int) -> None:
    kind = f"cli.follow-{before}"
    sent = [await send(shell, f"{kind}-{number}", kind) for number in range(before)]
    async with shell.running("events", "tail", "--type", kind, "--follow", "--json") as tail:
        shown = [json.loads(await line_of(tail.stdout))["id"] for _ in sent]
        assert shown == sent
        sent += [await send(shell, f"{kind}-{number}-later", kind) for number in range(5)]
        shown += [json.loads(await line_of(tail.stdout))["id"] for _ in range(5)]
        assert shown == sent


# --- Status and endpoints


@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["text", "json"])
async def test_a_daemon_that_is_well_is_exit_0(shell: Shell, extra: tuple[str, ...]) -> None:
    found = await shell.done("status", *extra)
    if extra:
        assert found.json["ready"] is True
        assert {"version", "backlog", "oldest_pending_at", "endpoints", "accepted_per_s"} <= found.json.keys()
    else:
        assert f"webhookd {__version__} at {shell.dev.running.admin}" in found.out
        assert ": ready" in found.out
        assert "local" in found.out


async def test_a_daemon_that_cannot_accept_hooks_is_exit_1(tmp_path: Path) -> None:
    config = (
        '[server]\nlisten = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\ndata_dir = "data"\nmin_free = "900000GiB"\n'
    )
    async with daemon(tmp_path, config):
        text = await run("status", cwd=tmp_path)
        data = await ask("status", "--json", "--data-dir", tmp_path / "data")
    assert (text.code, data.code) == (1, 1)
    assert "The disk is nearly full" in text.out
    assert data.json["ready"] is False


async def test_endpoints_are_listed_with_what_they_are_owed(shell: Shell) -> None:
    found = (await shell.done("endpoints", "list", "--json")).json
    (local,) = found["data"]
    assert local.keys() >= ENDPOINT_FIELDS
    assert (local["name"], local["managed_by"]) == ("local", "config")
    text = (await shell.done("endpoints", "list")).out
    assert "local" in text
    assert local["url"] in text


async def test_a_paused_endpoint_is_held_and_a_resumed_one_gets_what_waited(shell: Shell) -> None:
    assert re.fullmatch(r"local is paused, \d+ pending\n", (await shell.done("endpoints", "pause", "local")).out)
    found = await send(shell, "waiting", "cli.waiting")
    pending = (await shell.done("deliveries", "list", "--type", "cli.waiting", "--json")).json["data"]
    assert [(each["event_id"], each["state"], each["attempts"]) for each in pending] == [(found, "pending", 0)]
    for verb in (("list", "--type", "cli.waiting"), ("show", pending[0]["id"])):
        assert "waits: local is paused (operator)" in (await shell.done("deliveries", *verb)).out
    (local,) = (await shell.done("endpoints", "list", "--json")).json["data"]
    assert local["state"] == "paused"
    assert local["backlog"] >= 1
    assert "paused" in (await shell.done("status")).out
    resumed = (await shell.done("endpoints", "resume", "local", "--json")).json
    assert resumed.keys() >= ENDPOINT_FIELDS
    assert resumed["state"] == "active"
    async with asyncio.timeout(PATIENCE_S):
        await shell.dev.delivered(found)


async def test_what_the_breaker_holds_waits_for_it_and_not_for_an_attempt_that_is_long_past() -> None:
    broken = {"state": "active", "why": None, "retry_at": "2026-01-01T12:00:10.000Z"}
    waits = Waits(lambda _name: broken)
    pending = {"state": "pending", "endpoint": "shop", "next_attempt_at": "2026-01-01T12:00:00.000Z"}
    assert waits(pending) == "waits for the breaker, until 2026-01-01T12:00:10.000Z"
    assert waits({**pending, "next_attempt_at": "2026-01-01T12:00:11.000Z"}) is None
    assert waits({**pending, "state": "dead"}) is None


# --- Listen


@asynccontextmanager
async def listening(shell: Shell, *arguments: str) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """A merchant on a free port: its URL, and what it prints."""
    async with shell.running("listen", "--port", "0", "--json", *arguments) as process:
        url = re.search(r"http://127\.0\.0\.1:\d+/", await line_of(process.stderr))
        assert url is not None
        assert process.stdout is not None
        yield url[0], process.stdout


async def visit(url: str, secret: str, message_id: str = "evt_1", body: str = "{}") -> int:
    at = datetime.fromtimestamp(int(time.time()), UTC)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": (
            signing_key(secret).sign(message_id, int(at.timestamp()), body.encode())
            if secret.startswith("whsk_")
            else Webhook(secret).sign(message_id, at, body)
        ),
        "webhookd-event-type": "charge.refunded",
        "webhookd-attempt": "1",
        "webhookd-delivery-id": "dlv_1",
    }
    async with aiohttp.ClientSession() as session, session.post(url, data=body.encode(), headers=headers) as response:
        return response.status


async def test_a_merchant_verifies_what_it_gets_and_notices_repeats(shell: Shell) -> None:
    async with listening(shell, "--secret", CANARY) as (url, printed):
        assert [await visit(url, CANARY), await visit(url, CANARY)] == [200, 200]
        assert await visit(url, "whsec_" + "A" * 32) == 401
        first, again, forged = [json.loads(await line_of(printed)) for _ in range(3)]
    assert (first["event_id"], first["type"], first["delivery_id"]) == ("evt_1", "charge.refunded", "dlv_1")
    assert [(each["verified"], each["repeated"], each["status"]) for each in (first, again, forged)] == [
        (True, False, 200),
        (True, True, 200),
        (False, True, 401),
    ]


async def test_a_merchant_may_hold_a_public_key_instead_of_a_secret(shell: Shell) -> None:
    secret, other = (new_secret(bytes([number]) * 32, "ed25519") for number in (1, 2))
    async with listening(shell, "--secret", asymmetric_key(secret).public) as (url, _printed):
        assert [await visit(url, secret), await visit(url, other)] == [200, 401]


async def test_a_merchant_uses_the_secret_that_dev_mode_made(shell: Shell) -> None:
    async with listening(shell) as (url, printed):
        assert await visit(url, shell.dev.secret("local")) == 200
        assert json.loads(await line_of(printed))["verified"] is True


async def test_a_merchant_misbehaves_when_asked_to(shell: Shell) -> None:
    async with listening(shell, "--secret", CANARY, "--fail-rate", "1", "--delay", "1ms") as (url, printed):
        assert await visit(url, CANARY) == 500
        failed = json.loads(await line_of(printed))
    assert (failed["verified"], failed["status"]) == (True, 500)


async def test_a_merchant_for_people_prints_a_line_for_each_request(shell: Shell) -> None:
    async with shell.running("listen", "--port", "0", "--secret", CANARY) as process:
        url = re.search(r"http://127\.0\.0\.1:\d+/", await line_of(process.stderr))
        assert url is not None
        await visit(url[0], CANARY, message_id="evt_" + "0" * 32)
        line = await line_of(process.stdout)
    assert line == f"200 charge.refunded evt_{'0' * 32} attempt 1, 2 bytes, signed\n"


async def test_a_port_that_is_taken_is_exit_1(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = await shell("listen", "--port", str(port))
    assert (found.code, found.out) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}" in found.err


# --- Dev mode


async def test_dev_mode_keeps_its_secrets_to_itself(shell: Shell) -> None:
    kept = shell.dev.data_dir / "dev-secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert (shell.dev.data_dir / "admin.token").stat().st_mode & 0o777 == 0o600
    secrets = json.loads(kept.read_text())
    assert len(set(secrets.values())) == len(secrets) >= 3
    assert not any(secret in json.dumps(shell.dev.running.log) for secret in secrets.values())
    assert shell.dev.running.token not in json.dumps(shell.dev.running.log)
