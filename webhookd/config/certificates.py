"""What TLS to one endpoint is made with: whether it can be loaded, and fits together."""

import ssl
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from webhookd.config.mistake import Mistake
from webhookd.config.value import Pem
from webhookd.core.certificate import UNREADABLE
from webhookd.core.secret import Secret
from webhookd.deliver.tls import present

PEM_BYTES_MAX = 64 * 2**10
"""Of a chain, or of the authorities that an endpoint trusts: they are held for as long as it is there."""
_UNUSABLE = (ValueError, ssl.SSLError)
_NO_PAIR = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons for a key that is another's, of the same kind or of another kind."""


def certificate_mistakes(ca: Pem | None, certificate: Pem | None, key: Secret | None) -> Iterator[Mistake]:
    """What could be read may still be nothing that TLS is made with, so it is tried. No content is quoted."""
    readable = True
    for name, pem in (("ca", ca), ("client_certificate", certificate)):
        if pem is not None and len(pem.content) > PEM_BYTES_MAX:
            yield name, f"has more than {PEM_BYTES_MAX // 1024} KiB: the certificates that are needed, and no others"
            readable = False
        elif pem is not None and not _certificates(pem):
            yield name, "holds no certificates (PEM)"
            readable = False
    if key is not None and not _is_private_key(key):
        yield "client_key", "is no private key without a password (PEM)"
        readable = False
    if certificate is None and key is not None:
        yield "client_certificate", "is missing: a client key needs its certificate"
    if certificate is not None and key is None:
        yield "client_key", "is missing: a client certificate needs its private key"
    if readable:
        yield from _tried(ca, certificate, key)


def _tried(ca: Pem | None, certificate: Pem | None, key: Secret | None) -> Iterator[Mistake]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca is not None:
            context.load_verify_locations(cadata=ca.content.decode("ascii"))
    except _UNUSABLE as error:
        yield "ca", _reason(error)
    try:
        if certificate is not None and key is not None:
            present(context, certificate.content, key)
    except _UNUSABLE as error:
        if getattr(error, "reason", None) in _NO_PAIR:
            yield "client_key", "is not the key of client_certificate, which begins with our own"
        else:
            yield "client_certificate", _reason(error)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or "it is refused"
    return f"cannot be used for TLS: {reason.lower().replace('_', ' ')}"


def _certificates(pem: Pem) -> list[x509.Certificate]:
    try:
        pem.content.decode("ascii")
        return x509.load_pem_x509_certificates(pem.content)
    except UNREADABLE:
        return []


def _is_private_key(key: Secret) -> bool:
    try:
        load_pem_private_key(key.reveal().encode(), password=None)
    except UNREADABLE:
        return False
    return True
