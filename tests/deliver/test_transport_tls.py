"""TLS to merchants: whom we trust, whom we show ourselves to, and what comes of the others."""

import asyncio
import datetime as dt
import socket
import ssl

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as how

from tests.deliver.raw import Peer, merchant, polite, post, served_by, transport, trusting, word
from webhookd.core.endpoint import ClientTls
from webhookd.core.secret import Secret
from webhookd.deliver import dial

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
TRUSTING = trusting(AUTHORITY)
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_private_authority_is_trusted_for_the_names_and_addresses_that_it_vouches_for(host: str):
    async with merchant(polite, ssl=served_by(AUTHORITY, host)) as there, transport() as ours:
        for number in range(2):
            assert (await post(ours, f"https://{host}:{there.port}/", number, tls=TRUSTING)).body == b"%d" % number
        assert there.requests == [2]


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("context", "tls"),
    [
        pytest.param(served_by(AUTHORITY, not_after=YESTERDAY), TRUSTING, id="expired"),
        pytest.param(served_by(AUTHORITY, "other.example"), TRUSTING, id="another name"),
        pytest.param(served_by(AUTHORITY, "127.0.0.1"), TRUSTING, id="an address for a name"),
        pytest.param(served_by(STRANGER), TRUSTING, id="another authority"),
        pytest.param(served_by(AUTHORITY), None, id="an authority that the system does not know"),
    ],
)
async def test_a_certificate_that_does_not_vouch_for_the_host_is_a_tls_failure(
    context: ssl.SSLContext, tls: ClientTls | None
):
    async with merchant(polite, ssl=context) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/", tls=tls) == "tls"
        assert there.peers == [], "no request, and not even a connection"


@pytest.mark.fault(28)
async def test_an_address_that_the_certificate_does_not_name_is_a_tls_failure():
    async with merchant(polite, ssl=served_by(AUTHORITY, "localhost")) as there, transport() as ours:
        assert await word(ours, f"https://127.0.0.1:{there.port}/", tls=TRUSTING) == "tls"


@pytest.mark.fault(28)
async def test_a_self_signed_certificate_is_a_tls_failure():
    itself = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with STRANGER.cert_pem.tempfile() as certificate, STRANGER.private_key_pem.tempfile() as key:
        itself.load_cert_chain(certificate, key)
    async with merchant(polite, ssl=itself) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/", tls=TRUSTING) == "tls"


@pytest.mark.fault(28)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_who_speaks_only_an_old_tls_is_not_spoken_to(version: ssl.TLSVersion):
    old = served_by(AUTHORITY)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    async with merchant(polite, ssl=old) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/", tls=TRUSTING) == "tls"


async def test_tls_1_2_will_do():
    context = served_by(AUTHORITY)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with merchant(polite, ssl=context) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/", tls=TRUSTING) is None


@pytest.mark.fault(28)
async def test_a_handshake_that_stalls_is_a_tls_failure_in_time(monkeypatch: pytest.MonkeyPatch):
    async def stalls(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.hung_up()

    monkeypatch.setattr(dial, "TLS_S", 0.05)
    async with merchant(stalls) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/") == "tls"
        await there.left_alone()


@pytest.mark.fault(28)
async def test_the_time_of_the_attempt_bounds_the_handshake_too():
    async with merchant(Peer.hung_up) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/", timeout_s=0.05) == "timeout"
        await there.left_alone()


@pytest.mark.fault(28)
@pytest.mark.parametrize("hello", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"])
async def test_who_does_not_speak_tls_is_a_tls_failure(hello: bytes):
    async def says(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(hello)

    async with merchant(says) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/") == "tls"


async def test_the_merchant_is_told_whom_we_want_to_speak_to_and_in_what():
    asked: list[tuple[str | None, str | None]] = []
    context = served_by(AUTHORITY)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda tls, name, _: asked.append((name, None))

    async def serve(peer: Peer) -> None:
        asked.append((None, peer.writer.get_extra_info("ssl_object").selected_alpn_protocol()))
        await polite(peer)

    async with merchant(serve, ssl=context) as there, transport() as ours:
        await post(ours, f"https://localhost:{there.port}/", tls=TRUSTING)
    assert asked == [("localhost", None), (None, "http/1.1")]


# --- Who we are


def curious(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A merchant's, who wants to know us."""
    context = served_by(AUTHORITY)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    return context


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
UNKNOWN = pytest.mark.parametrize("tls", [TRUSTING, trusting(AUTHORITY, STRANGER.issue_cert("webhookd.example"))])


@VERSIONS
async def test_a_client_certificate_is_shown(version: ssl.TLSVersion):
    shown: list[object] = []

    async def serve(peer: Peer) -> None:
        shown.append(peer.writer.get_extra_info("peercert")["subjectAltName"])
        await polite(peer)

    async with merchant(serve, ssl=curious(version)) as there, transport() as ours:
        us = trusting(AUTHORITY, AUTHORITY.issue_cert("webhookd.example"))
        assert (await post(ours, f"https://localhost:{there.port}/", tls=us)).body == b"1"
    assert shown == [(("DNS", "webhookd.example"),)]


@VERSIONS
@UNKNOWN
async def test_a_merchant_who_wants_to_know_us_and_does_not_is_a_tls_failure(version: ssl.TLSVersion, tls: ClientTls):
    """With TLS 1.3 his refusal comes when the handshake is over for us: in place of an answer."""

    def refuse() -> None:
        connected, _ = listening.accept()
        with curious(version).wrap_socket(connected, server_side=True, do_handshake_on_connect=False) as server:
            with pytest.raises(ssl.SSLError):
                server.do_handshake()
            while socket.socket.recv(server, 65_536):  # or the alert might be lost to a reset
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with transport() as ours:
            refused = asyncio.create_task(asyncio.to_thread(refuse))
            assert await word(ours, f"https://localhost:{listening.getsockname()[1]}/", tls=tls) == "tls"
            await refused


PAIR = AUTHORITY.issue_cert("webhookd.example")
CHAIN, KEY = PAIR.cert_chain_pems[0].bytes(), PAIR.private_key_pem.bytes().decode()


@pytest.mark.parametrize(
    "tls",
    [
        ClientTls(ca=b"not a certificate"),
        ClientTls(ca=b"\xff"),
        ClientTls(certificate=CHAIN),
        ClientTls(certificate=b"", key=Secret(KEY)),
        ClientTls(certificate=CHAIN, key=Secret("not a key")),
        ClientTls(certificate=CHAIN, key=Secret(STRANGER.private_key_pem.bytes().decode())),
    ],
)
async def test_certificates_that_make_no_sense_are_a_tls_failure_and_nothing_stays_open(tls: ClientTls):
    async with merchant(polite, ssl=served_by(AUTHORITY)) as there, transport() as ours:
        assert await word(ours, f"https://localhost:{there.port}/", tls=tls) == "tls"


async def test_an_encrypted_key_does_not_make_the_terminal_ask(monkeypatch: pytest.MonkeyPatch):
    passwords: list[object] = []
    load = ssl.SSLContext.load_cert_chain

    def load_cert_chain(self: ssl.SSLContext, *arguments: object, password: object = None) -> None:
        passwords.append(password)
        load(self, *arguments, password=password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load_cert_chain)
    key = how.load_pem_private_key(KEY.encode(), None)
    secret = key.private_bytes(how.Encoding.PEM, how.PrivateFormat.PKCS8, how.BestAvailableEncryption(b"x"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with transport() as ours:
            tls = ClientTls(TRUSTING.ca, CHAIN, Secret(secret.decode()))
            assert await word(ours, f"https://localhost:{listening.getsockname()[1]}/", tls=tls) == "tls"
    assert len(passwords) == 1
    assert callable(passwords[0]), "else OpenSSL asks"


async def test_a_body_that_lasts_until_the_end_may_end_without_a_farewell():
    """Only a length or chunks tell a cut from an end, and the status is what counts."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await told.wait()
        peer.writer.transport.abort()

    told = asyncio.Event()
    async with merchant(serve, ssl=served_by(AUTHORITY)) as there, transport() as ours:
        posted = asyncio.create_task(post(ours, f"https://localhost:{there.port}/", tls=TRUSTING))
        while not any(each._reader._body for each in ours._pool._open):
            await asyncio.sleep(0)
        told.set()
        assert (await posted).body == b"all of it"


async def test_certificates_that_are_changed_again_and_again_are_not_held_by_what_is_known_of_the_url():
    async with merchant(polite) as there, transport() as ours:
        for number in range(20):
            tls = ClientTls(b"no certificate %d" % number)
            assert await word(ours, f"https://127.0.0.1:{there.port}/", tls=tls) == "tls"
        assert ours._route.cache_info().currsize == 1
