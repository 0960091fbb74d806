"""What an attempt carries: the event's name and way, and a signature of the kind that the endpoint asked for."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from standardwebhooks.webhooks import WebhookVerificationError

from tests.application import CHECKS, KINDS, body_of, now_s, sent, source_of
from tests.making import event, spec
from webhookd.core.delivery import Due
from webhookd.core.endpoint import Endpoint, EndpointKey
from webhookd.core.event import OPERATIONAL, Event
from webhookd.core.secret import Secret
from webhookd.core.signature import AsymmetricKey, new_secret, signing_key
from webhookd.deliver.courier import UnsignedError, headers
from webhookd.providers import sign_again

OLD, NEW = (new_secret(bytes([number]) * 32) for number in (1, 2))
OURS = {"webhook-id", "idempotency-key", "webhookd-source", "webhookd-delivery-id", "user-agent", "content-type"}


def endpoint(*keys: tuple[str, int | None], **fields: Any) -> Endpoint:
    held = tuple(EndpointKey(signing_key(secret), until_ms) for secret, until_ms in keys or ((NEW, None),))
    return Endpoint(1, spec(**fields), held, "active", "config")


def carried(to: Endpoint, kept: Event | None = None, now_ms: int | None = None, kind: str = "stripe") -> dict[str, str]:
    kept = kept or event()
    at_ms = now_s() * 1_000 if now_ms is None else now_ms
    return headers(to, Due(1, kept, 0), at_ms, lambda event, at_s: sign_again({kind: source_of(kind)}, event, at_s))


def stored(kind: str) -> Event:
    provider = source_of(kind)
    kept = [(name, value) for name, value in sent(kind, 1).items() if name in provider.kept_headers]
    return event(source=kind, provider=provider.name, headers=kept, body=body_of(kind))


def verifies(secret: str, got: dict[str, str], kept: Event) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(kept.body, got)
    except WebhookVerificationError:
        return False
    return True


# --- While a secret is being replaced


@pytest.mark.fault(42)
def test_the_old_and_the_new_secret_sign_until_the_old_one_is_over() -> None:
    now_ms, kept = now_s() * 1_000, event()
    to = endpoint((NEW, None), (OLD, now_ms + 1))
    during, after = carried(to, kept, now_ms), carried(to, kept, now_ms + 1)
    assert during["webhook-signature"].count("v1,") == 2
    assert (verifies(OLD, during, kept), verifies(NEW, during, kept)) == (True, True)
    assert (verifies(OLD, after, kept), verifies(NEW, after, kept)) == (False, True)


def test_the_newest_signs_first() -> None:
    kept = event()
    both = carried(endpoint((NEW, None), (OLD, None)), kept)["webhook-signature"].split(" ")
    assert both[0] == carried(endpoint((NEW, None)), kept)["webhook-signature"]


# --- ed25519


def openssl_verifies(directory: Path, public: str, content: bytes, signature: bytes) -> bool:
    key = base64.b64decode(public.removeprefix("whpk_"))
    der = bytes.fromhex("302a300506032b6570032100") + key  # RFC 8410: SubjectPublicKeyInfo of ed25519
    for name, written in {"key": der, "content": content, "signature": signature}.items():
        (directory / name).write_bytes(written)
    command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in content -sigfile signature"
    return subprocess.run(command.split(), cwd=directory, capture_output=True, check=False, timeout=30).returncode == 0


def test_an_ed25519_signature_is_one_that_openssl_verifies(tmp_path: Path) -> None:
    secret = new_secret(bytes(range(32)), "ed25519")
    key = signing_key(secret)
    assert isinstance(key, AsymmetricKey)
    kept, now_ms = event(), 1_700_000_000_000
    got = carried(endpoint((secret, None)), kept, now_ms)
    version, _, text = got["webhook-signature"].partition(",")
    content = f"{kept.id}.1700000000.".encode() + kept.body
    assert version == "v1a"
    assert openssl_verifies(tmp_path, key.public, content, base64.b64decode(text))
    assert not openssl_verifies(tmp_path, key.public, content + b" ", base64.b64decode(text))


def test_a_merchant_may_go_from_one_kind_of_secret_to_the_other() -> None:
    kept = event()
    to = endpoint((new_secret(bytes(32), "ed25519"), None), (OLD, None))
    got = carried(to, kept)
    assert [each.partition(",")[0] for each in got["webhook-signature"].split(" ")] == ["v1a", "v1"]
    assert verifies(OLD, got, kept)


# --- As the provider signs


@pytest.mark.parametrize("kind", KINDS)
def test_an_application_that_checks_the_provider_finds_what_it_needs(kind: str) -> None:
    got = carried(endpoint(signature="provider"), stored(kind), kind=kind)
    CHECKS[kind](got, body_of(kind))
    assert got.keys() >= OURS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("standard", "dodo")])
def test_and_no_signature_of_ours_beside_it(kind: str) -> None:
    kept = stored(kind)
    got = carried(endpoint(signature="provider"), kept, kind=kind)
    assert not got.keys() & {"webhook-signature", "webhook-timestamp"}
    assert got["webhook-id"] == got["idempotency-key"] == kept.id


def test_a_senders_webhook_id_is_what_its_library_checks_and_ours_is_the_idempotency_key() -> None:
    kept = stored("standard")
    got = carried(endpoint(signature="provider"), kept, kind="standard")
    assert (got["webhook-id"], got["idempotency-key"]) == ("msg_of_the_sender", kept.id)


def test_what_webhookd_says_itself_is_signed_by_webhookd() -> None:
    kept = event(source=OPERATIONAL, provider=OPERATIONAL, type="webhookd.endpoint.disabled")
    assert verifies(NEW, carried(endpoint(signature="provider"), kept), kept)


def test_without_a_source_to_sign_for_nothing_is_sent() -> None:
    with pytest.raises(UnsignedError):
        carried(endpoint(signature="provider"), stored("stripe"), kind="razorpay")


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_is_not_given_the_signature_of_a_source_that_is_none_of_its_own(kind: str) -> None:
    with pytest.raises(UnsignedError):
        carried(endpoint(signature="provider", sources=("another",)), stored(kind), kind=kind)
    CHECKS[kind](
        carried(endpoint(signature="provider", sources=("another", kind)), stored(kind), kind=kind), body_of(kind)
    )
    of_ours = event(source=OPERATIONAL, provider=OPERATIONAL, type="webhookd.endpoint.disabled")
    assert verifies(NEW, carried(endpoint(signature="provider", sources=("another",)), of_ours), of_ours)


# --- The endpoint's own


def test_an_endpoints_own_headers_go_along_and_never_in_place_of_ours_or_the_providers() -> None:
    own = {"Authorization": "Basic x", "Webhook-Id": "mine", "STRIPE-SIGNATURE": "mine", "webhookd-source": "mine"}
    to = endpoint(signature="provider", headers=tuple((name, Secret(value)) for name, value in own.items()))
    kept = stored("stripe")
    got = carried(to, kept)
    assert got["authorization"] == "Basic x"
    assert "mine" not in got.values()
    assert len(got) == len({name.lower() for name in got})
    CHECKS["stripe"](got, kept.body)
