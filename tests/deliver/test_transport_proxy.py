"""Through an egress proxy: CONNECT and nothing else, and the words for all that it may say instead."""

import base64

import pytest
import trustme

from tests.deliver.raw import LOOPBACK, Merchant, Peer, merchant, polite, post, served_by, transport, trusting, word
from tests.deliver.test_transport_ended import tunnelling
from webhookd.core.proxy import Proxy
from webhookd.core.secret import Secret
from webhookd.deliver import dial
from webhookd.deliver.guard import Guard

AUTHORITY = trustme.CA()


def at(proxy: Merchant, credentials: str | None = None) -> Proxy:
    return Proxy("127.0.0.1", proxy.port, None if credentials is None else Secret(credentials))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_everything_goes_through_a_tunnel_and_the_tunnel_is_kept(scheme: str):
    heads: list[bytes] = []

    async def serve(peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        peer.reader._buffer[:0] = head
        await tunnelling(peer)

    tls = served_by(AUTHORITY) if scheme == "https" else None
    async with merchant(polite, ssl=tls) as there, merchant(serve) as proxy:
        async with transport(proxy=at(proxy)) as ours:
            url, settings = f"{scheme}://localhost:{there.port}/", {"allow_http": True}
            for number in range(3):
                tls_of_ours = trusting(AUTHORITY) if tls else None
                assert (await post(ours, url, number, tls=tls_of_ours, **settings)).body == b"%d" % number
        assert there.requests == [3]
    name = b"localhost:%d" % there.port
    assert heads == [b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (name, name)]


async def test_the_proxy_is_told_who_we_are_and_resolves_the_name():
    heads: list[bytes] = []

    async def serve(peer: Peer) -> None:
        heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        await polite(peer)

    def never(host: str, port: int) -> list[object]:
        raise AssertionError(host)

    async with merchant(serve) as proxy, transport(proxy=at(proxy, "us:pä:ss"), look_up=never) as ours:
        assert (await post(ours, "http://shop.example/", allow_http=True)).body == b"1"
    assert heads == [
        b"CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\nProxy-Authorization: Basic %b\r\n\r\n"
        % base64.b64encode("us:pä:ss".encode())
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "blocked"),
        (b"HTTP/1.1 407 Request rejected by proxy\r\nX-Smokescreen-Error: denied\r\n\r\nwhy", "blocked"),
        (b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\n\r\n", "proxy"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "proxy"),
        (b"HTTP/1.1 301 Elsewhere\r\nLocation: http://127.0.0.1/\r\n\r\n", "proxy"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "proxy"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "proxy"),
        (b"HTTP/1.1 200\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "proxy"),
        (b"x" * 100_000, "proxy"),
        (b"HTTP/1.1 200 OK\r\n", "proxy"),
        (b"", "proxy"),
    ],
)
async def test_what_the_proxy_says_instead_has_a_word(answer: bytes, expected: str):
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(answer)

    async with merchant(serve) as proxy, transport(proxy=at(proxy)) as ours:
        assert await word(ours, "https://shop.example/") == expected
        await proxy.left_alone()


async def test_the_proxys_answer_may_come_in_pieces():
    answer = b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n"

    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(*[answer[place : place + 1] for place in range(len(answer))])
        await polite(peer)

    async with merchant(serve) as proxy, transport(proxy=at(proxy)) as ours:
        assert (await post(ours, "http://shop.example/", allow_http=True)).body == b"1"


async def test_a_proxy_that_says_nothing_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dial, "PROXY_S", 0.05)
    async with merchant(Peer.hung_up) as proxy, transport(proxy=at(proxy)) as ours:
        assert await word(ours, "https://shop.example/") == "proxy"
        await proxy.left_alone()


async def test_the_time_of_the_attempt_bounds_the_proxy_too():
    async with merchant(Peer.hung_up) as proxy, transport(proxy=at(proxy)) as ours:
        assert await word(ours, "https://shop.example/", timeout_s=0.05) == "timeout"
        await proxy.left_alone()


async def test_a_proxy_that_is_not_there_is_its_own_failure_and_not_the_merchants():
    async with merchant(polite) as proxy:
        pass
    async with transport(proxy=at(proxy)) as ours:
        assert await word(ours, "https://shop.example/") == "proxy"
    async with transport(proxy=Proxy("nowhere.invalid", 3128)) as ours:
        assert await word(ours, "https://shop.example/") == "proxy"


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://10.0.0.1/"]
)
async def test_an_address_in_the_url_is_judged_before_the_proxy_hears_of_it(url: str):
    async with merchant(polite) as proxy, transport(Guard(), proxy=at(proxy)) as ours:
        assert await word(ours, url) == "blocked"
        assert proxy.peers == []


async def test_the_guard_judges_addresses_that_only_a_resolver_would_read():
    class OnlyAddresses(Guard):
        """Who takes any URL for what it may be."""

        def check_url(self, text: str, *, allow_http: bool) -> object:
            from webhookd.core.url import Url

            return Url("https", text, 443, "/")

    async with merchant(polite) as proxy, transport(OnlyAddresses(), proxy=at(proxy)) as ours:
        for host in ("2130706433", "0x7f000001", "127.1", "0177.0.0.1"):
            assert await word(ours, host) == "blocked"
        assert proxy.peers == []


async def test_plain_http_to_a_name_needs_allow_http_since_only_the_proxy_knows_where_it_leads():
    async with merchant(polite) as proxy, transport(Guard(LOOPBACK), proxy=at(proxy)) as ours:
        assert await word(ours, "http://shop.example/") == "blocked"
        assert proxy.peers == []


async def test_the_proxys_own_address_is_the_operators_choice():
    async with merchant(polite) as there, merchant(tunnelling) as proxy:
        url = f"http://localhost:{there.port}/"
        async with transport(Guard([LOOPBACK[1]]), proxy=at(proxy)) as ours:
            assert (await post(ours, url, allow_http=True)).body == b"1"


async def test_a_bad_certificate_behind_the_proxy_is_a_tls_failure():
    stranger = served_by(trustme.CA())
    async with (
        merchant(polite, ssl=stranger) as there,
        merchant(tunnelling) as proxy,
        transport(proxy=at(proxy)) as ours,
    ):
        assert await word(ours, f"https://localhost:{there.port}/", tls=trusting(AUTHORITY)) == "tls"


async def test_ipv6_is_spelled_with_brackets_for_the_proxy():
    heads: list[bytes] = []

    async def serve(peer: Peer) -> None:
        heads.append(await peer.reader.readuntil(b"\r\n"))

    async with merchant(serve) as proxy, transport(proxy=at(proxy)) as ours:
        assert await word(ours, "https://[2606:4700::1111]/") == "proxy"
    assert heads == [b"CONNECT [2606:4700::1111]:443 HTTP/1.1\r\n"]
