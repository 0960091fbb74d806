"""To ask PayPal about each hook: what it is asked, and what is made of its answer."""

import base64
import json

import pytest

from tests.paypal_desk import at_home, judged, paypal, signing_key
from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.paypal import PayPal
from webhookd.providers.provider import Credentials, Evidence, Needs, Refused, Request, Verdict, Verified
from webhookd.sandbox import paypal_keys

ROOM = PayPal(
    Credentials(
        scheme="postback",
        webhook_id=Secret("1JE4291016473214C"),
        client_id=Secret("AClient_-1"),
        client_secret=Secret("EKey"),
    )
)
NOW_S = 1_772_366_400
BODY = b'{ "id":"WH-1", "event_type":"PAYMENT.CAPTURE.COMPLETED", "amount":1.0,\n"note":"2 \xc3\x97 mug \\u2713" }'
HEADERS = {
    "paypal-transmission-id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
    "paypal-transmission-time": "2016-02-18T20:01:35Z",
    "paypal-transmission-sig": "bGVtb24=",
    "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-1",
    "paypal-auth-algo": "SHA256withRSA",
}
TOKEN = b'{"scope":"https://uri.paypal.com/x","access_token":"A21AA-x_y","token_type":"Bearer","expires_in":31668}'


def hook(body: bytes = BODY, **changes: str) -> Hook:
    return Hook({**HEADERS, **{f"paypal-{name.replace('_', '-')}": value for name, value in changes.items()}}, body, 0)


def asked(given: Hook) -> tuple[Request, Request]:
    """For the token, and about the hook."""
    for_token = ROOM.verify(given, NOW_S, {})
    assert isinstance(for_token, Needs)
    about = ROOM.verify(given, NOW_S, {for_token.request: TOKEN})
    assert isinstance(about, Needs)
    assert about.request != for_token.request
    return for_token.request, about.request


def verdict(given: Hook, answer: bytes, token: bytes = TOKEN) -> Verdict:
    for_token, about = asked(given)
    evidence: Evidence = {for_token: token, about: answer}
    return ROOM.verify(given, NOW_S, evidence)


@pytest.mark.parametrize(
    ("host", "api"),
    [
        ("api.paypal.com", "https://api-m.paypal.com"),
        ("api-m.paypal.com", "https://api-m.paypal.com"),
        ("api.sandbox.paypal.com", "https://api-m.sandbox.paypal.com"),
        ("api-m.sandbox.paypal.com", "https://api-m.sandbox.paypal.com"),
    ],
)
def test_the_api_that_is_asked_is_that_of_the_certificate(host: str, api: str) -> None:
    for_token, about = asked(hook(cert_url=f"https://{host}/v1/notifications/certs/CERT-1"))
    assert for_token.url == f"{api}/v1/oauth2/token"
    assert about.url == f"{api}/v1/notifications/verify-webhook-signature"


def test_the_token_is_asked_for_with_the_credentials_and_never_kept_on_disk() -> None:
    for_token, about = asked(hook())
    headers = {name.lower(): value for name, value in for_token.headers}
    assert headers["authorization"] == "Basic " + base64.b64encode(b"AClient_-1:EKey").decode()
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert for_token.body == b"grant_type=client_credentials"
    assert (for_token.kept, about.kept) == ("memory", "no")


def test_no_credential_shows_in_what_may_be_logged() -> None:
    for request in asked(hook()):
        assert "EKey" not in repr(request)
        assert "A21AA" not in repr(request)
        assert "Basic" not in repr(Needs(request))


def test_the_body_is_in_the_question_as_it_came_byte_for_byte() -> None:
    """Source of the fields: the API specification's own sample of the request."""
    _, about = asked(hook())
    headers = {name.lower(): value for name, value in about.headers}
    assert headers == {"authorization": "Bearer A21AA-x_y", "content-type": "application/json"}
    assert about.body is not None
    assert BODY in about.body
    assert json.loads(about.body) == {
        "auth_algo": "SHA256withRSA",
        "cert_url": "https://api.paypal.com/v1/notifications/certs/CERT-1",
        "transmission_id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
        "transmission_sig": "bGVtb24=",
        "transmission_time": "2016-02-18T20:01:35Z",
        "webhook_id": "1JE4291016473214C",
        "webhook_event": json.loads(BODY),
    }


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"verification_status":"SUCCESS"}', Verified()),
        (b'{ "links": [], "verification_status" : "SUCCESS" }', Verified()),
        (b'{"verification_status":"FAILURE"}', Refused("wrong_signature")),
    ],
)
def test_paypals_word_decides(answer: bytes, expected: Verdict) -> None:
    assert verdict(hook(), answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"null", b"[]", b'"SUCCESS"', b"<html>", b"\xff", b"[" * 16_000),
        *(
            b'{"verification_status":"success"}',
            b'{"verification_status":["SUCCESS"]}',
            b'{"verification_status":null}',
        ),
        *(b'{"verification_status":true}', b'{"status":"SUCCESS"}', b'{"verification_status":"SUCCESS"', b'{"a":{}}'),
    ],
)
def test_any_other_answer_is_neither_yes_nor_no(answer: bytes) -> None:
    """It is asked for again, which the receiver takes for "cannot be verified now"."""
    assert verdict(hook(), answer) == Needs(asked(hook())[1])


@pytest.mark.parametrize(
    "token",
    [b"", b"null", b"{}", b'{"access_token":5}', b'{"access_token":"a\\r\\nEvil: 1"}', b'{"access_token":"\\u00e9"}'],
)
def test_a_token_that_is_none_is_asked_for_again(token: bytes) -> None:
    given = hook()
    assert verdict(given, b'{"verification_status":"SUCCESS"}', token) == Needs(asked(given)[0])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{}, "webhook_id": "OTHER", "webhook_event": {}', "no_json"),
        (b'{"id":1}}', "no_json"),
        (b"", "no_json"),
        (b"hello", "no_json"),
        (b"\xff", "no_json"),
        (b'{"id":"\xff"}', "no_json"),
        (b"[" * 100_000, "no_json"),
        (b'{"id":1} ', "trailing_bytes"),
        (b'{"id":1}\n\n', "trailing_bytes"),
    ],
)
def test_a_body_that_would_change_the_question_is_refused_unasked(body: bytes, reason: str) -> None:
    assert ROOM.verify(hook(body), NOW_S, {}) == Refused(reason)


@pytest.mark.parametrize("name", ["transmission_id", "transmission_time", "transmission_sig", "cert_url", "auth_algo"])
@pytest.mark.parametrize("value", ["", '"', "a|b", "é", "x" * 5_000, '","webhook_id":"OTHER'])
def test_odd_headers_are_refused_unasked(name: str, value: str) -> None:
    assert isinstance(ROOM.verify(hook(**{name: value}), NOW_S, {}), Refused)


def test_what_a_key_in_paypals_place_signs_is_not_taken_on_its_own_word() -> None:
    headers = {name.lower(): value for name, value in paypal().sign(BODY, NOW_S, "msg_1").items()}
    found = judged(ROOM, Hook(headers, BODY, 0), NOW_S, at_home())
    assert isinstance(found, Needs)
    assert found.request.url.endswith("/v1/oauth2/token")


def test_settings_of_the_other_scheme_may_stay_when_the_scheme_is_changed() -> None:
    given = {"webhook_id": Secret("1JE4"), "client_id": Secret("a"), "client_secret": Secret("b")}
    authorities = paypal_keys.authority(signing_key())
    for scheme, host in (("certificate", "api.paypal.com"), (None, "api.paypal.com"), ("postback", "api-m.paypal.com")):
        room = PayPal(Credentials(scheme=scheme, authorities=authorities, **given))
        needed = room.verify(hook(), NOW_S, {})
        assert isinstance(needed, Needs)
        assert needed.request.url.startswith(f"https://{host}/")
