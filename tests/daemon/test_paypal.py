"""PayPal's hooks on a real daemon: accepted, forged, not to be judged now. PayPal itself is a server on loopback."""

import json
import ssl
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from tests.daemon.merchant import merchant
from tests.paypal_desk import MADE_AT_S, paypal, signing_key
from tests.providers.test_paypal import crc_restored
from tests.receive.wire import Answer, ask, new_address, post
from tests.running import RunningDaemon, configuration, daemon, endpoint
from webhookd.evidence.shelf import Kept, Shelf
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.sandbox import paypal_keys

COMMAND = [sys.executable, "-m", "tests.daemon.paypal_on_loopback", "serve"]
CERTIFICATE = paypal_keys.certificate(signing_key())
TOKEN_PATH, QUESTION_PATH = "/v1/oauth2/token", "/v1/notifications/verify-webhook-signature"
BODY = json.dumps(
    {
        "id": "WH-1",
        "create_time": "2026-03-01T12:00:00Z",
        "resource_type": "capture",
        "event_type": "PAYMENT.CAPTURE.COMPLETED",
        "resource": {
            "id": "CAP1",
            "status": "COMPLETED",
            "amount": {"currency_code": "EUR", "value": "42.00"},
            "custom_id": "1042",
        },
    }
).encode()


class PayPalServer:
    """What it has been asked (method and path), and what it answers to each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, str]] = []
        self.answers: dict[str, Callable[[], web.Response]] = {
            HOME_CERT_URL.partition(".com")[2]: lambda: web.Response(
                body=CERTIFICATE, headers={"Content-Type": "application/x-pem-file", "Cache-Control": "max-age=86400"}
            )
        }
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(
            (request.method, request.path, await request.read(), request.headers.get("Authorization", ""))
        )
        answer = self.answers.get(request.path)
        return answer() if answer is not None else web.Response(status=404)

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.asked]


class World:
    """PayPal, the directory of a daemon, and how it is started there."""

    def __init__(self, directory: Path, server: PayPalServer, environment: dict[str, str]) -> None:
        self.directory = directory
        self.paypal = server
        self._environment = environment

    @asynccontextmanager
    async def daemon(self, source: str = "", endpoints: str = "", **environment: str) -> AsyncIterator[RunningDaemon]:
        (self.directory / "authority.pem").write_bytes(paypal_keys.authority(signing_key()))
        table = [
            '[sources.paypal]\nprovider = "paypal"',
            f'webhook_id = "{paypal_keys.webhook_id(signing_key())}"',
            source or 'authorities = "authority.pem"',
        ]
        config = configuration(sources="\n".join(table) + "\n", endpoints=endpoints)
        started = daemon(self.directory, config, command=COMMAND, **{**self._environment, **environment})
        async with started as running:
            yield running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server = PayPalServer()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "tls.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.sandbox.paypal.com", "api-m.sandbox.paypal.com").configure_cert(tls)
    async with AsyncExitStack() as stack:
        runner = web.ServerRunner(web.Server(server.handle))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        server.port = runner.addresses[0][1]
        environment = {
            "PAYPAL_PORT": str(server.port),
            "PAYPAL_MAY_BE_LOCAL": "1",
            "SSL_CERT_FILE": str(tmp_path / "tls.pem"),
        }
        yield World(tmp_path, server, environment)


def signed(body: bytes = BODY, message_id: str = "msg_1") -> dict[str, str]:
    return {"Content-Type": "application/json", **paypal().sign(body, MADE_AT_S, message_id)}


async def send(running: RunningDaemon, body: bytes = BODY, headers: dict[str, str] | None = None) -> Answer:
    return await ask(running.port, post("paypal", body, headers or signed(body)), address=new_address())


async def events(running: RunningDaemon) -> list[Any]:
    request = f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {running.token}\r\n\r\n"
    answer = await ask(int(running.admin.rpartition(":")[2]), request.encode())
    assert answer.status == 200
    return list(answer.json()["data"])


async def test_a_hook_is_accepted_with_a_certificate_that_is_fetched_once_and_kept_over_a_restart(world: World) -> None:
    async with merchant() as shop:
        async with world.daemon(endpoints=endpoint("shop", shop.port)) as running:
            first = await send(running)
            again = await send(running)
            other = await send(running, BODY.replace(b"WH-1", b"WH-2"), signed(BODY.replace(b"WH-1", b"WH-2"), "msg_2"))
            assert [(each.status, each.json()["status"]) for each in (first, again, other)] == [
                (200, "accepted"),
                (200, "duplicate"),
                (200, "accepted"),
            ]
            assert {got.body for got in await shop.has(2)} == {BODY, BODY.replace(b"WH-1", b"WH-2")}
        assert world.paypal.asked == [("GET", HOME_CERT_URL.partition(".com")[2], b"", "")]
        world.paypal.answers.clear()
        async with world.daemon() as running:
            body = BODY.replace(b"WH-1", b"WH-3")
            assert (await send(running, body, signed(body, "msg_3"))).status == 200
        assert len(world.paypal.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=404),
        lambda: web.Response(status=500, text="Sorry"),
        lambda: web.Response(text="<html>Sorry</html>"),
        lambda: web.Response(status=302, headers={"Location": "https://api.sandbox.paypal.com/evil"}),
        lambda: web.Response(body=CERTIFICATE + b"\n" * 2**16),
        lambda: web.Response(body=CERTIFICATE.replace(b"A", b"B")),
    ],
    ids=["404", "500", "a page", "a redirect", "too large", "garbled"],
)
async def test_without_the_certificate_a_hook_is_neither_accepted_nor_refused(
    world: World, answer: Callable[[], web.Response]
) -> None:
    world.paypal.answers = dict.fromkeys(world.paypal.answers, answer)
    async with world.daemon() as running:
        for _ in range(3):
            found = await send(running)
            assert found.status == 503
            assert int(found.headers["retry-after"]) > 0
        assert len(world.paypal.asked) == 1, "what failed is not tried again at once"
        assert await events(running) == []


async def test_a_name_that_leads_to_a_private_address_is_not_followed(world: World) -> None:
    """The daemon's own guard is between its evidence and the world."""
    async with world.daemon(PAYPAL_MAY_BE_LOCAL="") as running:
        assert (await send(running)).status == 503
        told = await running.logged("evidence_unavailable")
        assert told["why"] == "blocked"
        assert await events(running) == []
    assert world.paypal.asked == []


async def test_a_forgery_is_refused_and_leaves_nothing(world: World) -> None:
    async with world.daemon() as running:
        stranger = paypal(1).sign(BODY, MADE_AT_S, "msg_1")
        for body, headers in (
            (BODY, dict(stranger)),
            (BODY.replace(b"42.00", b"43.00"), signed()),
            (BODY + b" ", signed(BODY + b" ")),
            (BODY, {**signed(), "Paypal-Transmission-Id": "another"}),
            (BODY, {**signed(), "Paypal-Cert-Url": "https://evil.example/v1/notifications/certs/CERT-1"}),
            (BODY, {**signed(), "Paypal-Auth-Algo": "SHA1withRSA"}),
        ):
            assert (await send(running, body, headers)).status == 401
        assert await events(running) == []
    assert set(world.paypal.paths) == {HOME_CERT_URL.partition(".com")[2]}


async def test_a_forgery_with_the_crc_of_the_genuine_body_is_refused_and_raises_the_alarm(world: World) -> None:
    async with world.daemon() as running:
        headers = signed()
        genuine = await send(running, BODY, headers)
        changed = BODY.replace(b"42.00", b"99999.00")
        forged = crc_restored(changed, 1, zlib.crc32(BODY))
        assert json.loads(forged)["resource"]["amount"]["value"] == "99999.00"
        assert (await send(running, forged, headers)).status == 401
        # Nor is it kept as something that nobody understands: one transmission would fill the disk.
        assert (await send(running, crc_restored(b'["no event"]', 1, zlib.crc32(BODY)), headers)).status == 401
        assert (await send(running, BODY, headers)).json()["status"] == "duplicate"
        alarm = await running.logged("hooks_forged")
        assert alarm["genuine_event_id"] == genuine.json()["event_id"]
        assert [each["id"] for each in await events(running)] == [genuine.json()["event_id"]]


async def test_without_authorities_the_public_roots_decide(world: World) -> None:
    async with world.daemon('scheme = "certificate"') as running:
        assert (await send(running)).status == 401
        assert await events(running) == []


# --- Postback

POSTBACK = 'scheme = "postback"\nclient_id = "AClient"\nclient_secret = "EKey"'


def told(**answer: Any) -> Callable[[], web.Response]:
    return lambda: web.json_response(answer)


async def test_with_postback_paypals_word_decides(world: World) -> None:
    world.paypal.answers = {
        TOKEN_PATH: told(access_token="t0ken", expires_in=32_400),
        QUESTION_PATH: told(verification_status="SUCCESS"),
    }
    async with world.daemon(POSTBACK) as running:
        assert (await send(running)).json()["status"] == "accepted"
        assert (await send(running)).json()["status"] == "duplicate"
        assert world.paypal.paths == [TOKEN_PATH, QUESTION_PATH, QUESTION_PATH]
        _, _, question, authorization = world.paypal.asked[1]
        assert authorization == "Bearer t0ken"
        assert BODY in question
        world.paypal.answers[QUESTION_PATH] = told(verification_status="FAILURE")
        body = BODY.replace(b"WH-1", b"WH-2")
        assert (await send(running, body, signed(body, "msg_2"))).status == 401
        assert len(await events(running)) == 1
        assert "EKey" not in json.dumps(running.log)
        assert "t0ken" not in json.dumps(running.log)
    assert not (world.directory / "data" / "evidence").exists()


async def test_postback_recovers_from_a_token_that_is_no_longer_taken(world: World) -> None:
    world.paypal.answers = {
        TOKEN_PATH: told(access_token="old", expires_in=32_400),
        QUESTION_PATH: lambda: web.Response(status=401),
    }
    async with world.daemon(POSTBACK) as running:
        assert (await send(running)).status == 503
        world.paypal.answers[TOKEN_PATH] = told(access_token="new", expires_in=32_400)
        world.paypal.answers[QUESTION_PATH] = told(verification_status="SUCCESS")
        assert (await send(running)).json()["status"] == "accepted"
    assert [authorization for *_, authorization in world.paypal.asked if "Bearer" in authorization] == [
        "Bearer old",
        "Bearer new",
    ]


async def test_a_daemon_starts_with_what_an_earlier_one_kept(world: World) -> None:
    Shelf(world.directory / "data").put(Kept(HOME_CERT_URL, 4_000_000_000_000, CERTIFICATE))
    world.paypal.answers.clear()
    async with world.daemon() as running:
        assert (await send(running)).status == 200
    assert world.paypal.asked == []
