"""Standard Webhooks signatures, against the specification's own vector."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from webhookd.core.signature import new_secret, symmetric_key

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
    from datetime import UTC, datetime

    theirs = Webhook(secret).sign(MESSAGE_ID, datetime.fromtimestamp(TIMESTAMP_S, UTC), text)
    assert symmetric_key(secret).sign(MESSAGE_ID, TIMESTAMP_S, text.encode()) == theirs
