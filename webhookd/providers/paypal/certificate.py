"""Whose key signed: a chain of certificates up to a trusted root, valid at the time, with PayPal's name on the first.

Source: PayPal-Java-SDK, SSLUtil.validateCertificateChain, for the name; RFC 5280 by way of cryptography for the rest.
The certificates seen are TLS server certificates of DigiCert, named messageverificationcerts.paypal.com (live) and
messageverificationcerts.sandbox.paypal.com.
"""

import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import certifi
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from webhookd.core.certificate import UNREADABLE

KEY_BITS_MIN = 2048
CERTIFICATES_MAX = 8
"""In one answer; a chain is two to four long."""
REMEMBERED_MAX = 16
"""Keys whose chain was found good. PayPal signs with one or two at a time."""
ISSUER_HOSTS = ("cacerts.digicert.com",)
"""Where the certificate of an issuer may be fetched from, when PayPal's answer is without it."""
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_NAME = re.compile(r"messageverificationcerts[a-z0-9.-]*\.paypal\.com", re.ASCII)
_ISSUER_URL = re.compile(
    rf"https?://({'|'.join(map(re.escape, ISSUER_HOSTS))})(/[A-Za-z0-9_.-]{{1,100}}\.(?:crt|cer))", re.ASCII
)

Certificates = Sequence[x509.Certificate]


class Signer(msgspec.Struct, frozen=True):
    """A key of PayPal's, and from when until when every certificate of its chain is valid."""

    key: RSAPublicKey
    from_s: float
    until_s: float

    def is_valid(self, now_s: int) -> bool:
        return self.from_s <= now_s <= self.until_s


class Trust:
    """What a chain must end in: the public roots, or the authorities given.

    Each of the authorities is trusted by itself, be it a root or an intermediate.
    """

    def __init__(self, authorities: bytes | None) -> None:
        """Raises ValueError when there is no certificate among the authorities."""
        self._store = _public_roots() if authorities is None else Store(certificates(authorities))
        self._signers: dict[bytes, Signer] = {}

    def known(self, answer: bytes, now_s: int) -> RSAPublicKey | None:
        """The key found before in this answer of PayPal's, as long as all of its chain is valid.

        To read and to check a chain costs ten times what the signature does.
        """
        known = self._signers.get(answer)
        return known.key if known is not None and known.is_valid(now_s) else None

    def key(self, answer: bytes, chain: Certificates, now_s: int) -> RSAPublicKey | None:
        """The key that the chain's first certificate holds, or None where the chain is not to be trusted now.

        `answer` is what it is to be known by from then on.
        """
        if (name := paypal_name(chain[0])) is None:
            return None
        try:
            policy = PolicyBuilder().store(self._store).time(datetime.fromtimestamp(now_s, UTC).replace(tzinfo=None))
            path = policy.build_server_verifier(x509.DNSName(name)).verify(chain[0], list(chain[1:]))
            key = path[0].public_key()
            from_s = max(each.not_valid_before_utc.timestamp() for each in path)
            until_s = min(each.not_valid_after_utc.timestamp() for each in path)
        except (VerificationError, *UNREADABLE):
            return None
        if not isinstance(key, RSAPublicKey) or key.key_size < KEY_BITS_MIN:
            return None
        signer = Signer(key, from_s, until_s)
        if not signer.is_valid(now_s):
            return None
        if len(self._signers) >= REMEMBERED_MAX:
            del self._signers[next(iter(self._signers))]
        self._signers[answer] = signer
        return key


def certificates(pem: bytes) -> list[x509.Certificate]:
    """All that are in the text. Raises ValueError when there is none, or one that cannot be read."""
    try:
        found = [x509.load_pem_x509_certificate(block) for block in _BLOCK.findall(pem)]
    except UNREADABLE as error:
        raise ValueError(str(error)) from None
    if not found:
        raise ValueError("there is no certificate in it")
    return found


def read_chain(answer: bytes) -> list[x509.Certificate] | None:
    """What PayPal answered: the signer's certificate first, perhaps its issuers after it. None: it cannot be read."""
    try:
        found = certificates(answer)
    except ValueError:
        return None
    return found if len(found) <= CERTIFICATES_MAX else None


def read_issuer(answer: bytes) -> x509.Certificate | None:
    """An issuer's certificate as authorities publish it (DER, RFC 5280 4.2.2.1), or in PEM."""
    try:
        return certificates(answer)[0] if b"-----BEGIN" in answer else x509.load_der_x509_certificate(answer)
    except UNREADABLE:
        return None


def issuer_url(certificate: x509.Certificate) -> str | None:
    """Where the certificate says its issuer's can be had (caIssuers), if we go there; always by https."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except UNREADABLE:
        return None
    for each in access:
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            each.access_location, x509.UniformResourceIdentifier
        ):
            found = _ISSUER_URL.fullmatch(each.access_location.value)
            if found is not None:
                return f"https://{found[1]}{found[2]}"
    return None


def is_paypals(certificate: x509.Certificate, now_s: int) -> bool:
    """Whether it would do, if its issuer were known."""
    try:
        from_s, until_s = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    except UNREADABLE:
        return False
    return from_s <= now_s <= until_s and paypal_name(certificate) is not None


def paypal_name(certificate: x509.Certificate) -> str | None:
    """The name on it, if it is one of PayPal's for what it signs: the only common name, and an alternative name too."""
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if len(names) != 1 or not isinstance(name := names[0].value, str) or not _NAME.fullmatch(name):
            return None
        return name if name in alternative.get_values_for_type(x509.DNSName) else None
    except UNREADABLE:
        return None


@cache
def _public_roots() -> Store:
    """Those of Mozilla, as the package certifi has them. One that cryptography does not read is left out."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old roots have the serial number 0
        for block in _BLOCK.findall(certifi.contents().encode("ascii", "ignore")):
            try:
                found.append(x509.load_pem_x509_certificate(block))
            except ValueError:
                continue
    return Store(found)
