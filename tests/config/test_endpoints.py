"""What an endpoint may say, in the configuration and through the API: the same rules, and a mistake under its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from webhookd.config.endpoints import endpoint_spec
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config, EndpointSettings
from webhookd.config.reader import from_table
from webhookd.config.value import shown
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.rate_limit import RateLimit
from webhookd.core.secret import Secret

URL = "https://shop.example/hooks"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARY = "hunter2hunter2hunter2hunter2hunter2"
AUTHORITY = trustme.CA()
OURS = AUTHORITY.issue_cert("us.example")
CA = AUTHORITY.cert_pem.bytes().decode()
CERTIFICATE = "".join(blob.bytes().decode() for blob in OURS.cert_chain_pems)
KEY = OURS.private_key_pem.bytes().decode()
ANOTHER_KEY = AUTHORITY.issue_cert("them.example").private_key_pem.bytes().decode()
SOURCES = {
    "shop": {"provider": "stripe", "secrets": ["whsec_1"]},
    "dodo": {"provider": "standard", "secrets": [SECRET]},
    "keys-only": {"provider": "standard", "secrets": ["whpk_" + "A" * 43 + "="]},
}
Spec = Callable[..., EndpointSpec]


def config(**tables: Any) -> Config:
    return from_table({"sources": SOURCES, **tables}, "file", {"TOKEN": CANARY, "S": SECRET})


def from_file(**settings: Any) -> EndpointSpec:
    (spec,) = config(endpoints={"a": {"url": URL, **settings}}).endpoint_specs()
    return spec


def from_client(**settings: Any) -> EndpointSpec:
    return endpoint_spec("a", {"url": URL, **settings}, config())


@pytest.fixture(params=[from_file, from_client])
def spec(request: pytest.FixtureRequest) -> Spec:
    made: Spec = request.param
    return made


def mistakes(spec: Spec, **settings: Any) -> list[str]:
    """Each without the place it is in."""
    with pytest.raises(ConfigError) as refused:
        spec(**settings)
    return [line.removeprefix("file: endpoints.a.") for line in refused.value.mistakes]


def mistake(spec: Spec, **settings: Any) -> str:
    (only,) = mistakes(spec, **settings)
    return only


# --- What there is


def test_an_endpoint_that_says_nothing_has_the_defaults(spec: Spec) -> None:
    assert spec() == EndpointSpec("a", URL)


def test_an_endpoint_may_say_all_of_this(spec: Spec) -> None:
    made = spec(
        secret=SECRET,
        old_secrets=[SECRET, SECRET],
        sources=["shop", "dodo"],
        events=["charge.*", "webhookd.*"],
        max_in_flight=3,
        rate_limit="3000/m",
        allow_http=True,
        ordering="payment",
        signature="provider",
        schedule=["0s", "2m"],
        timeout="5m",
        disable_after="2h",
        headers={"Authorization": "Bearer x", "X-Shop": "1"},
    )
    assert made.secret == Secret(SECRET)
    assert made.old_secrets == (Secret(SECRET), Secret(SECRET))
    assert (made.sources, made.events) == (("shop", "dodo"), ("charge.*", "webhookd.*"))
    assert (made.max_in_flight, made.rate_limit, made.allow_http) == (3, RateLimit(3_000, 60_000), True)
    assert (made.ordering, made.signature) == ("payment", "provider")
    assert (made.retry.waits_ms, made.retry.jitter) == ((0, 120_000), 0.2)
    assert (made.timeout_ms, made.disable_after_ms) == (300_000, 7_200_000)
    assert made.headers == (("Authorization", Secret("Bearer x")), ("X-Shop", Secret("1")))


def test_an_endpoint_asks_for_so_many_sources_and_events_and_pairs_of_them_and_for_each_once(spec: Spec) -> None:
    many = [f"charge.{number}" for number in range(201)]
    assert spec(sources=["shop", "dodo"] * 100, events=many[:200]).events == tuple(many[:200])
    for field in ("sources", "events"):
        assert mistake(spec, **{field: many}).startswith(f"{field}: must be a list of at most 200 items, not 201")
    sources = {f"shop-{number}": SOURCES["shop"] for number in range(11)}
    around = msgspec.structs.replace(config(), sources=config(sources=sources).sources)
    assert endpoint_spec("a", {"url": URL, "sources": [*sources][:10], "events": many[:200]}, around)
    with pytest.raises(ConfigError, match=r"^events: make 2200 pairs with the sources, of at most 2000"):
        endpoint_spec("a", {"url": URL, "sources": [*sources], "events": many[:200]}, around)


@pytest.mark.parametrize(
    "settings", [{f"max_in_fligh{n}": 1 for n in range(50_000)}, {"headers": dict.fromkeys(map(str, range(50_000)), 1)}]
)
def test_of_many_mistakes_some_are_told_and_few_are_wondered_about(
    spec: Spec, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    guessed = []
    monkeypatch.setattr("difflib.get_close_matches", lambda name, *_, **__: guessed.append(name) or ["max_in_flight"])
    told = mistakes(spec, **settings)
    assert (len(told), len(guessed)) == (50, 5 if "headers" not in settings else 0)
    assert told[-1].endswith("; and 49950 mistakes more")
    assert [line for line in told if "did you mean max_in_flight?" in line] == told[: len(guessed)]


def test_what_an_endpoint_does_not_say_is_as_delivery_says() -> None:
    delivery = {"schedule": ["0s", "1h"], "jitter": 0.5, "timeout": "3s", "disable_after": "never"}
    around = config(delivery=delivery, endpoints={"a": {"url": URL}, "b": {"url": URL, "disable_after": "1d"}})
    plain, other = around.endpoint_specs()
    for made in (plain, endpoint_spec("a", {"url": URL}, around)):
        assert (made.retry.waits_ms, made.retry.jitter, made.timeout_ms) == ((0, 3_600_000), 0.5, 3_000)
        assert made.disable_after_ms is None
    assert other.disable_after_ms == 86_400_000


def test_an_endpoint_may_be_meant_never_to_be_given_up(spec: Spec) -> None:
    assert spec(disable_after="never").disable_after_ms is None


def test_the_url_is_kept_in_its_plain_form(spec: Spec) -> None:
    assert spec(url="HTTPS://Bücher.example:443").url == "https://xn--bcher-kva.example/"


def test_a_network_that_is_opened_is_open_to_clients_too() -> None:
    url = "http://10.0.0.1:8080/"
    around = config(delivery={"allow_networks": ["10.0.0.0/8"]}, endpoints={"a": {"url": url}})
    assert around.endpoint_specs()[0].url == endpoint_spec("b", {"url": url}, around).url == url


# --- Mistakes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "http://shop.example/"}, "url: must begin with https:// (or set allow_http)"),
        ({"url": "https://127.0.0.1/"}, "url: its address is private or reserved"),
        ({"url": "https://shop.example:6379/"}, "url: port 6379"),
        ({"url": f"https://me:{CANARY}@shop.example/"}, "url: must not hold a user name"),
        ({"url": 5}, "url: must be a string, not a number"),
        ({"secret": "sk_live_1"}, "secret: a Standard Webhooks secret"),
        ({"secret": "whsk_AAAA"}, "secret: an ed25519 secret"),
        ({"old_secrets": [SECRET, "x"]}, "old_secrets[1]: a Standard Webhooks secret"),
        ({"old_secrets": SECRET}, "old_secrets: must be a list, not a string"),
        ({"sources": ["nowhere"]}, 'sources: there is no source "nowhere"'),
        ({"events": ["{a,b}"]}, "events: "),
        ({"max_in_flight": 0}, "max_in_flight: "),
        ({"max_in_flight": 10_001}, "max_in_flight: "),
        ({"rate_limit": "50"}, 'rate_limit: "50" is not a rate'),
        ({"rate_limit": "0/s"}, "rate_limit: "),
        ({"rate_limit": "10001/s"}, "rate_limit: "),
        ({"rate_limit": 50}, 'rate_limit: must be a string like "50/s", not a number'),
        ({"allow_http": "yes"}, "allow_http: must be true or false, not a string"),
        ({"ordering": "strict"}, 'ordering: must be "none" or "payment"'),
        ({"ordering": ["none"]}, 'ordering: must be "none" or "payment"'),
        ({"signature": "stripe"}, 'signature: must be "standard" or "provider"'),
        ({"schedule": []}, "schedule: "),
        ({"schedule": ["1s"] * 101}, "schedule: "),
        ({"schedule": ["1s", "soon"]}, 'schedule[1]: "soon" is not understood'),
        ({"schedule": ["367d"]}, 'schedule[0]: "367d" is longer than a year'),
        ({"schedule": "1s"}, "schedule: must be a list of 1 to 100 items, not a string"),
        ({"timeout": "99ms"}, "timeout: must be from 100ms to 5m"),
        ({"timeout": "6m"}, "timeout: must be from 100ms to 5m"),
        ({"disable_after": "0s"}, "disable_after: must be longer than 0"),
        ({"disable_after": "59s"}, "disable_after: must be at least 1m"),
        ({"disable_after": "ever"}, 'disable_after: "ever" is not understood'),
        ({"disable_after": 5}, "disable_after: must be a string"),
        ({"headers": ["A: b"]}, "headers: must be a table, not a list"),
        ({"headers": {"A": 5}}, "headers.A: must be a string, not a number"),
        ({"headres": {}}, "headres: is not a setting; did you mean headers?"),
        ({"jitter": 0.1}, "jitter: is not a setting"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_under_its_name(spec: Spec, settings: dict[str, Any], said: str) -> None:
    found = mistake(spec, **settings)
    assert found.startswith(said)
    assert CANARY not in found


def test_all_mistakes_are_said_at_once(spec: Spec) -> None:
    found = mistakes(
        spec, url="ftp://x", rate_limit="fast", timeout="1ms", headers={"Host": "x", "A b": "c"}, secret="x", ca=5
    )
    said = sorted(line.partition(": ")[0] for line in found)
    assert said == ["ca", "headers.A b", "headers.Host", "rate_limit", "secret", "timeout", "url"]


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "ü", "a" * 65])
def test_a_name_that_cannot_stand_in_a_path_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 64 of a-z"):
        endpoint_spec(name, {"url": URL}, config())
    with pytest.raises(ConfigError, match="1 to 64 of a-z"):
        config(endpoints={name: {"url": URL}})


@pytest.mark.parametrize("table", [None, 5, "https://shop.example/", [], [{"url": URL}]])
def test_what_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(ConfigError, match="must be a table"):
        endpoint_spec("a", table, config())


@pytest.mark.parametrize("name", [each for each in EndpointSettings.__struct_fields__ if each != "url"])
def test_null_is_the_default_where_there_is_one_without_a_value_and_a_mistake_elsewhere(name: str) -> None:
    optional = EndpointSettings(URL)
    if getattr(optional, name) is None:
        assert from_client(**{name: None}) == from_client()
    else:
        assert mistake(from_client, **{name: None}).startswith(f"{name}: ")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(EndpointSettings.__struct_fields__) | st.text(max_size=5), VALUES, max_size=6))
def test_whatever_a_client_sends_it_is_an_endpoint_or_a_list_of_mistakes(table: dict[str, Any]) -> None:
    try:
        assert isinstance(endpoint_spec("a", table, Config()), EndpointSpec)
    except ConfigError as refused:
        assert refused.mistakes  # noqa: PT017 - either is right


# --- Headers


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "Transfer-Encoding", "CONNECTION", "keep-alive", "TE", "Trailer", "upgrade"),
        *("Proxy-Authorization", "Content-Type", "content-encoding", "Expect", "User-Agent", "Idempotency-Key"),
        *("webhook-id", "Webhook-Signature", "webhookd-source", "Webhookd-Anything"),
        *("Webhook_Id", "webhookd_source", "Transfer_Encoding", "content_length", "User_Agent", "PROXY_Authorization"),
    ],
)
def test_headers_that_webhookd_sets_itself_are_refused(spec: Spec, name: str) -> None:
    assert mistake(spec, headers={name: CANARY}) == f"headers.{name}: is set by webhookd itself"


@pytest.mark.parametrize("name", ["", "A b", "A:", "A\r\nB", "Ä", "A(b)", "A\0", "A" * 129, "A/B"])
def test_what_is_no_header_name_is_refused(spec: Spec, name: str) -> None:
    found = mistake(spec, headers={name: CANARY})
    assert found.startswith("headers")
    assert "is no header name" in found
    assert found.isprintable()
    assert CANARY not in found


@pytest.mark.parametrize("value", ["a\r\nb", "a\nX-Evil: 1", "a\0", "a\x7f", "ä", " a", "a ", "\ta"])
def test_a_header_that_would_break_the_request_is_refused_without_being_quoted(spec: Spec, value: str) -> None:
    text = f"{CANARY}{value}" if not value.startswith((" ", "\t")) else value + CANARY
    assert mistake(spec, headers={"X-A": text}) == "headers.X-A: must be printable ASCII, with no space at either end"


def test_a_secret_that_is_no_text_is_refused_without_being_quoted(spec: Spec) -> None:
    assert mistake(spec, headers={"X-A": CANARY + "\udcff"}) == "headers.X-A: is not UTF-8"


def test_an_empty_header_is_refused(spec: Spec) -> None:
    assert mistake(spec, headers={"X-A": ""}) == "headers.X-A: is empty"


def test_a_header_is_there_once(spec: Spec) -> None:
    assert mistake(spec, headers={"X-Shop": "1", "x-shop": "2"}) == "headers.x-shop: is there twice"
    assert mistake(spec, headers={"X-Shop": "1", "X_Shop": "2"}) == "headers.X_Shop: is there twice"
    assert spec(headers={"X_Shop": "1"}).headers == (("X_Shop", Secret("1")),)


@pytest.mark.parametrize("value", ["env", "file", "credential", "environment", "files:x"])
def test_a_word_that_only_begins_like_a_reference_is_a_value(spec: Spec, value: str) -> None:
    assert spec(headers={"X-A": value}).headers == (("X-A", Secret(value)),)


def test_headers_are_bounded_in_number_and_size(spec: Spec) -> None:
    assert len(spec(headers={f"X-{number}": "1" for number in range(32)}).headers) == 32
    assert mistake(spec, headers={f"X-{number}": "1" for number in range(33)}).startswith("headers: are 33")
    assert spec(headers={"X-A": "b" * (8 * 1024 - 3)})
    assert mistake(spec, headers={"X-A": "b" * (8 * 1024 - 2)}).startswith("headers: are more than 8192 bytes")


def test_the_headers_of_the_providers_signature_are_refused_where_it_is_sent(spec: Spec) -> None:
    assert spec(headers={"Stripe-Signature": "x"}).headers
    assert mistake(spec, headers={"Stripe-Signature": "x"}, signature="provider", sources=["shop"]).startswith(
        "headers.Stripe-Signature: is set by webhookd"
    )
    assert mistake(spec, headers={"Stripe_Signature": "x"}, signature="provider", sources=["shop"]).startswith(
        "headers.Stripe_Signature: is set by webhookd"
    )
    assert spec(headers={"Stripe-Signature": "x"}, signature="provider", sources=["dodo"])


# --- The provider's signature


@pytest.mark.parametrize("sources", [[], ["keys-only"], ["shop", "keys-only"]])
def test_who_wants_the_providers_signature_hears_which_source_cannot_be_signed_for(
    spec: Spec, sources: list[str]
) -> None:
    found = mistake(spec, signature="provider", sources=sources)
    assert found.startswith("signature: source keys-only cannot be signed for: ")


def test_a_source_that_is_itself_a_mistake_is_not_blamed_twice() -> None:
    broken = {"provider": "stripe", "secrets": []}
    with pytest.raises(ConfigError) as refused:
        from_table({"sources": {"shop": broken}, "endpoints": {"a": {"url": URL, "signature": "provider"}}}, "file", {})
    (only,) = refused.value.mistakes
    assert only.startswith("file: sources.shop.secrets: ")


# --- TLS


def pem(tmp_path: Path, text: str, name: str = "file.pem") -> str:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_certificates_are_files_in_the_configuration_and_their_content_in_the_api(tmp_path: Path) -> None:
    made = from_file(
        ca=pem(tmp_path, CA, "ca"),
        client_certificate=pem(tmp_path, CERTIFICATE, "certificate"),
        client_key="file:" + pem(tmp_path, KEY, "key"),
    )
    assert made.tls == from_client(ca=CA, client_certificate=CERTIFICATE, client_key=KEY.strip()).tls
    assert made.tls is not None
    assert (made.tls.ca, made.tls.certificate) == (CA.encode(), CERTIFICATE.encode())
    assert made.tls.key == Secret(KEY.strip())
    assert from_client(ca=CA).tls == from_file(ca=pem(tmp_path, CA)).tls != made.tls


ENCRYPTED = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ca": "no PEM"}, "ca: holds no certificates"),
        ({"ca": ""}, "ca: holds no certificates"),
        ({"ca": KEY}, "ca: holds no certificates"),
        ({"ca": CA + "ü"}, "ca: holds no certificates"),
        ({"client_certificate": CERTIFICATE}, "client_key: is missing"),
        ({"client_key": KEY}, "client_certificate: is missing"),
        ({"client_certificate": "x", "client_key": KEY}, "client_certificate: holds no certificates"),
        ({"client_certificate": CERTIFICATE, "client_key": CANARY}, "client_key: is no private key"),
        ({"client_certificate": CERTIFICATE, "client_key": ENCRYPTED.decode()}, "client_key: is no private key"),
        (
            {
                "client_certificate": CERTIFICATE,
                "client_key": AUTHORITY.issue_cert("b").private_key_pem.bytes().decode(),
            },
            "client_key: is not the key of client_certificate",
        ),
    ],
)
def test_certificates_that_could_not_be_used_are_refused(settings: dict[str, str], said: str) -> None:
    found = mistake(from_client, **settings)
    assert found.startswith(said)
    assert CANARY not in found


def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert mistake(from_file, ca=str(tmp_path / "nowhere")) == "ca: cannot be read: No such file or directory"
    assert mistake(from_file, ca="a\0b") == "ca: cannot be read: no file name"


# --- Secrets


def test_the_configuration_may_name_where_its_secrets_are() -> None:
    made = from_file(secret="env:S", old_secrets=["env:S"], headers={"Authorization": "env:TOKEN"})
    assert made.secret == Secret(SECRET)
    assert made.headers == (("Authorization", Secret(CANARY)),)


@pytest.mark.parametrize("reference", ["env:PATH", "file:/etc/passwd", "credential:store-key", "env:", "file:x\0"])
@pytest.mark.parametrize("name", ["secret", "old_secrets", "headers", "client_key"])
def test_a_client_reads_nothing_of_the_daemons(name: str, reference: str) -> None:
    given: Any = {"headers": {"X-A": reference}, "old_secrets": [reference]}.get(name, reference)
    found = mistakes(from_client, **{name: given})
    assert any("must be the secret itself" in line and line.startswith(name) for line in found)


def test_a_client_names_no_file(tmp_path: Path) -> None:
    path = pem(tmp_path, CA)
    assert mistake(from_client, ca=path) == "ca: holds no certificates (PEM)"


def test_what_is_shown_of_an_endpoint_holds_no_secret() -> None:
    table = {
        "url": URL,
        "secret": SECRET,
        "rate_limit": "50/s",
        "disable_after": "never",
        "schedule": ["0s", "5s"],
        "headers": {"Authorization": CANARY, "X-From": "env:TOKEN"},
    }
    whole = config(
        endpoints={"a": table},
        delivery={"proxy": f"http://me:{CANARY}@proxy.example:3128"},
        store={"key": CANARY, "old_keys": [CANARY, "env:TOKEN"]},
    )
    text = msgspec.json.encode(shown(whole)).decode()
    assert CANARY not in text + repr(whole)
    assert SECRET not in text + repr(whole)
    endpoint = shown(whole)["endpoints"]["a"]
    assert endpoint["headers"] == {"Authorization": "********", "X-From": "env:TOKEN"}
    assert (endpoint["rate_limit"], endpoint["disable_after"]) == ("50/s", "never")
    assert endpoint["schedule"] == ["0s", "5s"]
    assert shown(whole)["delivery"]["proxy"] == "********"
    assert shown(whole)["store"]["old_keys"] == ["********", "env:TOKEN"]


# --- The proxy


def test_a_proxy_may_ask_for_a_password() -> None:
    given = config(delivery={"proxy": "http://me:p%40ss@proxy.example:3128"}).proxy
    assert given is not None
    assert (given.host, given.port, given.credentials) == ("proxy.example", 3128, Secret("me:p@ss"))
    plain = config(delivery={"proxy": "http://127.0.0.1:4750/"}).proxy
    assert plain is not None
    assert (plain.host, plain.port, plain.credentials) == ("127.0.0.1", 4750, None)
    assert config().proxy is None


@pytest.mark.parametrize(
    "url",
    ["socks5://proxy.example:1080", f"http://me:{CANARY}@", "proxy", f"http://{CANARY}:x", "http://x:0", "http://"],
)
def test_what_is_no_proxy_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(delivery={"proxy": url})
    (only,) = refused.value.mistakes
    assert only.startswith("file: delivery.proxy: ")
    assert CANARY not in only
