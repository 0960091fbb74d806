"""Certificates that can be read and are still nothing that TLS is made with: refused when they are registered."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP192R1, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import CertificateBuilder, Name, NameAttribute, load_pem_x509_certificate
from cryptography.x509.oid import NameOID

from webhookd.config.certificates import PEM_BYTES_MAX, certificate_mistakes
from webhookd.config.value import Pem
from webhookd.core.secret import Secret

AUTHORITY = generate_private_key(SECP256R1())
ELLIPTIC, OTHER, EDWARDS = (
    generate_private_key(SECP256R1()),
    generate_private_key(SECP256R1()),
    Ed25519PrivateKey.generate(),
)
ED25519, UNKNOWN = bytes.fromhex("2b6570"), bytes.fromhex("2b657f")
"""The first is the algorithm's name in DER (1.3.101.112)."""


def certificate(public: CertificatePublicKeyTypes) -> bytes:
    name, now = Name([NameAttribute(NameOID.COMMON_NAME, "us.example")]), datetime.now(UTC)
    made = CertificateBuilder(name, name, public, 1, now, now + timedelta(days=1)).sign(AUTHORITY, SHA256())
    return made.public_bytes(Encoding.PEM)


def text(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def mistakes(content: bytes, key: PrivateKeyTypes) -> list[tuple[str, str]]:
    found = list(certificate_mistakes(None, Pem(content, "shown"), Secret(text(key))))
    assert not any(line in reason for _, reason in found for line in text(key).splitlines())
    return found


@pytest.mark.parametrize("key", [ELLIPTIC, EDWARDS, generate_rsa_key(65537, 2048)])
def test_what_can_be_used_is_taken(key: PrivateKeyTypes) -> None:
    assert mistakes(certificate(key.public_key()), key) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (generate_rsa_key(65537, 1024), "key too small"),
        (generate_private_key(SECP192R1()), "key too small"),
        (X25519PrivateKey.generate(), "unknown certificate type"),
    ],
)
def test_what_no_connection_could_be_made_with_is_refused(key: PrivateKeyTypes, why: str) -> None:
    [(name, reason)] = mistakes(certificate(key.public_key()), key)  # type: ignore[arg-type]
    assert name == "client_certificate"
    assert reason.startswith("cannot be used for TLS: ")
    assert why in reason


def test_a_key_of_no_known_algorithm_is_a_mistake() -> None:
    known = load_pem_x509_certificate(certificate(EDWARDS.public_key())).public_bytes(Encoding.DER)
    unknown = base64.encodebytes(known.replace(ED25519, UNKNOWN))
    content = b"-----BEGIN CERTIFICATE-----\n" + unknown + b"-----END CERTIFICATE-----\n"
    [(name, reason)] = mistakes(content, EDWARDS)
    assert (name, reason.partition(":")[0]) == ("client_certificate", "cannot be used for TLS")


@pytest.mark.parametrize("own", [OTHER, EDWARDS, generate_rsa_key(65537, 2048)])
def test_a_key_that_is_not_the_certificates_is_refused(own: PrivateKeyTypes) -> None:
    assert mistakes(certificate(ELLIPTIC.public_key()), own) == [
        ("client_key", "is not the key of client_certificate, which begins with our own")
    ]


def test_nor_is_one_that_stands_before_it_in_the_certificates_file() -> None:
    [(name, _)] = mistakes(text(OTHER).encode() + certificate(ELLIPTIC.public_key()), ELLIPTIC)
    assert name == "client_key"


def test_there_is_room_for_a_chain_and_not_for_every_authority_there_is() -> None:
    whole = certificate(ELLIPTIC.public_key())
    many = whole * (PEM_BYTES_MAX // len(whole))
    assert list(certificate_mistakes(Pem(many, "shown"), None, None)) == []
    assert mistakes(many, ELLIPTIC) == []
    for found in (certificate_mistakes(Pem(many + whole, "shown"), None, None), mistakes(many + whole, ELLIPTIC)):
        [(name, reason)] = found
        assert name in ("ca", "client_certificate")
        assert reason.startswith("has more than 64 KiB")
