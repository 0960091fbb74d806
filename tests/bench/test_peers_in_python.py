"""What the peers in Python share: their signatures, and ports that stay."""

import time

import pytest
import standardwebhooks
import stripe

from bench.peers.peer import MERCHANT_SECRET
from bench.peers.ports import kept_ports
from bench.peers.signatures import authentic, signed
from bench.rig import hooks

BODY = hooks.body(1, "peers", 0)


def header(*, secret: str = hooks.SECRET, at: int | None = None) -> str:
    now_s = int(time.time()) if at is None else at
    return stripe.WebhookSignature.generate_signature_header(BODY.decode(), secret, timestamp=now_s)


def test_what_stripes_own_library_signed_is_authentic():
    assert authentic(BODY, header())


@pytest.mark.parametrize(
    "forged",
    [
        lambda: "",
        lambda: "nonsense",
        lambda: "t=,v1=",
        lambda: header(secret="whsec_other"),
        lambda: header(at=1),
        lambda: header().replace("v1=", "v0="),
    ],
)
def test_what_it_did_not_sign_now_with_our_secret_is_not(forged):
    assert not authentic(BODY, forged())


def test_another_body_under_the_same_signature_is_not_authentic():
    assert not authentic(BODY + b" ", header())


def test_the_reference_library_takes_what_is_posted():
    standardwebhooks.Webhook(MERCHANT_SECRET).verify(BODY, signed("evt_1", BODY))


def test_a_server_that_is_started_again_in_its_directory_has_the_same_ports(tmp_path):
    ports = kept_ports(tmp_path, ("ingress", "admin"))
    assert len(set(ports.values())) == 2
    assert kept_ports(tmp_path, ("ingress", "admin")) == ports
