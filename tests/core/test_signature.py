"""Standard Webhooks signatures, against the specification's own vector and RFC 8032's."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.core.signature import AsymmetricKey, SecretKind, new_secret, signing_key, symmetric_key
from webhookd.providers.provider import VERIFIED, Credentials
from webhookd.providers.standard import Standard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID, TIMESTAMP_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_known_vector_is_reproduced() -> None:
    assert symmetric_key(SECRET).sign(MESSAGE_ID, TIMESTAMP_S, BODY) == SIGNATURE


@pytest.mark.parametrize(
    "changed",
    [
        (MESSAGE_ID + "x", TIMESTAMP_S, BODY),
        (MESSAGE_ID, TIMESTAMP_S + 1, BODY),
        (MESSAGE_ID, TIMESTAMP_S, BODY + b" "),
        (MESSAGE_ID, TIMESTAMP_S, b""),
    ],
    ids=["id", "timestamp", "body", "no body"],
)
def test_the_signature_covers_id_timestamp_and_body(changed: tuple[str, int, bytes]) -> None:
    assert symmetric_key(SECRET).sign(*changed) != SIGNATURE


def test_another_secret_signs_otherwise() -> None:
    assert symmetric_key(new_secret(b"\1" * 32)).sign(MESSAGE_ID, TIMESTAMP_S, BODY) != SIGNATURE


def test_the_prefix_of_a_secret_may_be_missing_as_may_its_padding() -> None:
    raw = bytes(range(25))
    padded = base64.b64encode(raw).decode()
    assert padded.endswith("=")
    spellings = [padded, padded.rstrip("="), "whsec_" + padded, "whsec_" + padded.rstrip("=")]
    assert len({symmetric_key(text).sign(MESSAGE_ID, TIMESTAMP_S, BODY) for text in spellings}) == 1


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_of_24_to_64_bytes_is_taken(size: int) -> None:
    symmetric_key("whsec_" + base64.b64encode(bytes(size)).decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_!!!!" + base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(32)).decode() + "\n\n",
        "whpk_" + base64.b64encode(bytes(32)).decode(),
        "whsec_" + "é" * 40,
    ],
)
def test_a_secret_of_another_kind_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="a Standard Webhooks secret") as refused:
        symmetric_key(text)
    assert len(text) <= len("whsec_") or text not in str(refused.value)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_a_generated_secret_signs_as_the_reference_library_does(random_bytes: bytes, body: bytes) -> None:
    secret = new_secret(random_bytes)
    text = body.decode("latin-1")
    theirs = Webhook(secret).sign(MESSAGE_ID, datetime.fromtimestamp(TIMESTAMP_S, UTC), text)
    assert symmetric_key(secret).sign(MESSAGE_ID, TIMESTAMP_S, text.encode()) == theirs


# --- ed25519

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, 7.1, test 1
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def private(raw: bytes) -> str:
    return "whsk_" + base64.b64encode(raw).decode()


def asymmetric(secret: str) -> AsymmetricKey:
    key = signing_key(secret)
    assert isinstance(key, AsymmetricKey)
    return key


@pytest.mark.parametrize("written", [SEED, SEED + PUBLIC], ids=["the seed", "the seed and its public key"])
def test_the_public_key_is_the_rfcs(written: bytes) -> None:
    assert asymmetric(private(written)).public == "whpk_" + base64.b64encode(PUBLIC).decode()


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_what_an_ed25519_secret_signs_its_public_key_verifies(random_bytes: bytes, body: bytes) -> None:
    key = asymmetric(new_secret(random_bytes, "ed25519"))
    headers = {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(TIMESTAMP_S),
        "webhook-signature": key.sign(MESSAGE_ID, TIMESTAMP_S, body),
    }
    merchant = Standard(Credentials([Secret(key.public)]))
    assert merchant.verify(Hook(headers, body, 0), TIMESTAMP_S, {}) == VERIFIED
    assert merchant.verify(Hook(headers, body + b" ", 0), TIMESTAMP_S, {}) != VERIFIED


@pytest.mark.parametrize(
    "text",
    [
        "whsk_",
        private(bytes(31)),
        private(bytes(33)),
        private(bytes(63)),
        private(SEED + bytes(32)),
        private(SEED + PUBLIC + b"x"),
        "whsk_" + "é" * 43,
        "whsk_!!!!" + base64.b64encode(SEED).decode(),
    ],
)
def test_an_ed25519_secret_of_another_kind_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="ed25519 secret") as refused:
        signing_key(text)
    assert text == "whsk_" or text[5:15] not in str(refused.value)


def test_a_public_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signing_key("whpk_" + base64.b64encode(PUBLIC).decode())


@pytest.mark.parametrize(("kind", "version"), [("hmac", "v1"), ("ed25519", "v1a")])
def test_a_generated_secret_says_which_kind_it_is(kind: SecretKind, version: str) -> None:
    key = signing_key(new_secret(b"\1" * 32, kind))
    assert key.sign("msg_1", 1, b"").partition(",")[0] == version
