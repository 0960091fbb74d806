"""What TLS to one endpoint is made with: whether it can be loaded, and fits together."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from webhookd.config.table import Mistake
from webhookd.config.value import Pem
from webhookd.core.secret import Secret

_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def certificate_mistakes(ca: Pem | None, certificate: Pem | None, key: Secret | None) -> Iterator[Mistake]:
    """No content is quoted."""
    public = None
    if ca is not None and not _certificates(ca):
        yield "ca", "holds no certificates (PEM)"
    if certificate is not None:
        if chain := _certificates(certificate):
            public = chain[0].public_key()
        else:
            yield "client_certificate", "holds no certificates (PEM)"
        if key is None:
            yield "client_key", "is missing: a client certificate needs its private key"
    if key is not None:
        if certificate is None:
            yield "client_certificate", "is missing: a client key needs its certificate"
        try:
            private = load_pem_private_key(key.reveal().encode(), password=None)
        except _UNREADABLE:
            yield "client_key", "is no private key without a password (PEM)"
            return
        if public is not None and private.public_key() != public:
            yield "client_key", "is not the key of client_certificate, which begins with our own"


def _certificates(pem: Pem) -> list[x509.Certificate]:
    try:
        pem.content.decode("ascii")
        return x509.load_pem_x509_certificates(pem.content)
    except _UNREADABLE:
        return []
