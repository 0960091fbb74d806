"""Which URLs an endpoint may have, and in what form they are kept."""

from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from webhookd.core.address import Network
from webhookd.core.url import FORBIDDEN_PORTS, URL_CHARS_MAX, ForbiddenUrlError, UrlError, check_url, parse_url

LOOPBACK = [ip_network("127.0.0.0/8")]
PRIVATE = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def kept(url: str, *opened: Network, allow_http: bool = False) -> str:
    return str(check_url(url, opened, allow_http=allow_http))


def refused(url: str, *opened: Network, allow_http: bool = False) -> UrlError:
    with pytest.raises(UrlError) as found:
        check_url(url, opened, allow_http=allow_http)
    return found.value


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://shop.example/hooks?a=1&b=%20", "https://shop.example/hooks?a=1&b=%20"),
        ("https://shop.example", "https://shop.example/"),
        ("https://shop.example?a=1", "https://shop.example/?a=1"),
        ("HTTPS://Shop.Example/Hooks", "https://shop.example/Hooks"),
        ("https://shop.example:443/", "https://shop.example/"),
        ("https://shop.example:80/", "https://shop.example:80/"),
        ("https://shop.example:8443/", "https://shop.example:8443/"),
        ("https://my_shop/hooks", "https://my_shop/hooks"),
        ("https://shop.example/@me:x/~;a=(1)!*'$+,", "https://shop.example/@me:x/~;a=(1)!*'$+,"),
        ("https://shop.example/?ids[]=1&to=me@shop.example", "https://shop.example/?ids[]=1&to=me@shop.example"),
        ("https://8.8.8.8:8443/", "https://8.8.8.8:8443/"),
        ("https://[2606:4700:0:0::1111]/", "https://[2606:4700::1111]/"),
        ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://BÜCHER.example/x", "https://xn--bcher-kva.example/x"),
        ("https://xn--bcher-kva.example/x", "https://xn--bcher-kva.example/x"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://магазин.example/", "https://xn--80aairftm.example/"),
    ],
)
def test_a_url_is_kept_in_the_one_form_that_everybody_understands_alike(url: str, form: str) -> None:
    assert kept(url) == form
    assert kept(form) == form


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with https://"),
        ("shop.example/hooks", "must begin with https://"),
        ("//shop.example/", "must begin with https://"),
        ("ftp://shop.example/", "must begin with https://"),
        ("gopher://shop.example/", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("javascript:alert(1)", "must begin with https://"),
        ("https:shop.example", "must begin with https://"),
        ("https://", "is not a URL"),
        ("https:///hooks", "is not a URL"),
        ("https://:443/", "is not a URL"),
        ("https://shop.example:/", "is not a URL"),
        ("https://shop.example:0/", "is not a URL"),
        ("https://shop.example:+443/", "is not a URL"),
        ("https://shop.example:٤٤٣/", "is not a URL"),
        ("https://shop.example:99999/", "65535"),
        ("https://shop.example:1:2/", "is not a URL"),
        ("https://user:password@shop.example/", "user name"),
        ("https://user@shop.example/", "user name"),
        ("https://@shop.example/", "user name"),
        ("https://shop.example\\@127.0.0.1/", "user name"),
        ("https://shop.example/#part", "#fragment"),
        ("https://shop.example#", "#fragment"),
        ("https://shop.example/a b", "spaces"),
        (" https://shop.example/", "spaces"),
        ("https://shop.example/\n", "spaces"),
        ("https://shop.example/\r\nX-Evil: 1", "spaces"),
        ("https://shop.example/\0", "spaces"),
        ("https://shop\texample/", "spaces"),
        ("https://shop\u00a0.example/", "spaces"),
        ("https://shop\u200b.example/", "spaces"),
        ("https://shop\u202e.example/", "spaces"),
        ("https://shop.example/é", "is not a URL"),
        ("https://shop.example/\\x", "is not a URL"),
        ("https://shop.example/%zz", "is not a URL"),
        ("https://shop.example/%", "is not a URL"),
        ("https://shop.example/<script>", "is not a URL"),
        ("https://shop%2eexample/", "is not a URL"),
        ("https://shop.example./", "no name"),
        ("https://shop..example/", "no name"),
        ("https://.example/", "no name"),
        ("https://-shop.example/", "no name"),
        ("https://shop-.example/", "no name"),
        ("https://shop!.example/", "no name"),
        ("https://" + "a" * 64 + ".example/", "no name"),
        ("https://" + "a." * 126 + "example/", "253"),
        ("https://xn--a/", "IDNA"),
        ("https://xn--n3h.example/", "IDNA"),
        ("https://☃.example/", "IDNA"),
        ("https://shop⁄.example/", "IDNA"),
        ("https://ﬁsh.example/", "IDNA"),
        ("https://shop。example/", "IDNA"),
        ("https://ｓhop.example/", "IDNA"),
        ("https://pаypal.example/", "alphabets"),
        ("https://xn--pypal-4ve.example/", "alphabets"),
        ("https://gοοgle.example/", "alphabets"),
        ("https://[::1/", "is not a URL"),
        ("https://::1/", "is not a URL"),
        ("https://[fe80::1%25lo]/", "is not a URL"),
        ("https://[8.8.8.8]/", "usual way"),
        ("https://[1::2::3]/", "usual way"),
        ("https://shop.example/" + "a" * URL_CHARS_MAX, "2048"),
        ("https://" + "ü" * 50 + ".example/" + "a" * 1980, "2048"),
    ],
)
def test_what_is_no_url_to_deliver_to_is_refused_with_the_reason(url: str, reason: str) -> None:
    found = refused(url)
    assert reason in str(found)
    assert found.word == "url"


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "127.1", "127.0.1", "0177.0.0.1", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "017700000001", "0"),
        *("127.0.0.1.", "1.2.3.4.5", "256.1.1.1", "08.8.8.8", "8.8.8.08", "8.8.8.0x8", "0x", "shop.0x7f", "shop.1"),
        *("①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1", "127.0.0.١", "٨.٨.٨.٨"),
    ],
)
def test_an_address_in_any_but_the_usual_spelling_is_refused(host: str) -> None:
    """Resolvers and libraries read these each in a way of their own."""
    assert refused(f"https://{host}/").word == "url"
    assert refused(f"https://{host}/", ip_network("0.0.0.0/0")).word == "url"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::]", "[::ffff:7f00:1]", "[fd00::1]"),
        *("[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "shop.localhost", "LOCALHOST"),
    ],
)
def test_what_is_private_by_its_spelling_is_refused_at_once(host: str) -> None:
    assert refused(f"https://{host}/").word == "blocked"


def test_an_address_in_an_opened_network_is_taken_and_needs_no_https() -> None:
    assert kept("http://10.0.0.1:8080/", *PRIVATE) == "http://10.0.0.1:8080/"
    assert kept("http://[fd00::1]:8080/", *PRIVATE) == "http://[fd00::1]:8080/"
    assert kept("http://localhost:8080/", *LOOPBACK) == "http://localhost:8080/"
    assert refused("http://127.0.0.1:8080/", *PRIVATE).word == "blocked"
    assert refused("http://8.8.8.8/", *PRIVATE).word == "blocked"


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "168.63.129.16"])
def test_a_metadata_address_is_refused_whatever_is_opened(host: str) -> None:
    opened = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    assert "metadata" in str(refused(f"http://{host}/", *opened, allow_http=True))


def test_plain_http_is_refused_unless_it_is_allowed_or_the_name_may_lead_into_an_opened_network() -> None:
    assert "allow_http" in str(refused("http://shop.example/"))
    assert kept("http://shop.example/", allow_http=True) == "http://shop.example/"
    assert kept("http://shop.example/", *PRIVATE) == "http://shop.example/"


@pytest.mark.parametrize(
    "port", [1, 22, 25, 53, 81, 444, 1023, 2375, 3306, 5432, 6000, 6379, 9200, 10080, 11211, 27017]
)
def test_ports_of_anything_but_webhooks_are_refused_in_opened_networks_too(port: int) -> None:
    for url, opened in ((f"https://shop.example:{port}/", ()), (f"http://10.0.0.1:{port}/", PRIVATE)):
        found = refused(url, *opened, allow_http=True)
        assert isinstance(found, ForbiddenUrlError)
        assert str(port) in str(found)


@pytest.mark.parametrize("port", [443, 80, 1024, 3000, 5000, 8000, 8080, 8443, 9000, 65535])
def test_the_usual_ports_are_open(port: int) -> None:
    assert check_url(f"https://shop.example:{port}/", (), allow_http=False).port == port


def test_no_port_that_linux_gives_out_by_itself_is_forbidden() -> None:
    assert not FORBIDDEN_PORTS & set(range(32_768, 61_000))


@pytest.mark.parametrize("url", ["https://user:hunter2@shop.example/", "https://hunter2 .example/", "ftp://hunter2/"])
def test_no_reason_quotes_the_url(url: str) -> None:
    assert "hunter2" not in str(refused(url))


HOSTS = ["shop.example", "a", "1a", "a_b", "xn--bcher-kva", "bücher", "127.0.0.1", "[::1]", "[2606:4700::1]", "8.8.8.8"]
ODD = [*"@ / \\ ? # % .. : // xn-- ü 。 0x7f .1 %41 %2e [ ] & ;".split(), "\t"]
TEXTS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS://"]),
    st.sampled_from(["", "", "", *ODD]),
    st.sampled_from(HOSTS),
    st.sampled_from(["", "", ":443", ":80", ":8443", *ODD]),
    st.lists(st.sampled_from(["/", "?", "a", "=", "&", "%20", ".", ":", "@", "//", *ODD]), max_size=5).map("".join),
)


@given(TEXTS | st.text(max_size=60))
@example("https://shop.example\\@127.0.0.1/")
def test_whatever_is_taken_other_programs_read_as_we_do(text: str) -> None:
    """The form that is kept, as the standard library and aiohttp's yarl take it apart."""
    try:
        url = parse_url(text)
    except UrlError:
        return
    form = str(url)
    assert form.isascii()
    assert parse_url(form) == url
    other, third = urlsplit(form), URL(form, encoded=True)
    port = other.port or {"https": 443, "http": 80}[other.scheme]
    assert (other.scheme, other.hostname, port) == (url.scheme, url.host, url.port)
    assert (third.scheme, third.raw_host, third.port) == (url.scheme, url.host, url.port)
    assert other.username is None
