"""Whose certificates sign for PayPal, with `openssl verify` as the oracle for the chain."""

import base64
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.paypal_desk import judged
from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.paypal import PayPal
from webhookd.providers.paypal.certificate import REMEMBERED_MAX, Trust, read_chain
from webhookd.providers.paypal.transmission import message
from webhookd.providers.provider import Credentials, Needs, Refused, Verdict, Verified

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
DAY = timedelta(days=1)
LIVE, SANDBOX = "messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com"
URL = "https://api.paypal.com/v1/notifications/certs/CERT-1"
ISSUER_URL = "https://cacerts.digicert.com/Issuer.crt"
BODY = b'{"id":"WH-1","event_type":"X"}'
UNTRUSTED = Refused("untrusted_certificate")
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def key(kind: str) -> Key:
    """`rsa2048`, `ec`, …; what is before a colon tells one from another."""
    kind = kind.rpartition(":")[2]
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, int(kind[3:]))


class Made(msgspec.Struct, frozen=True):
    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def made(
    names: Sequence[str],
    issuer: "Made | None" = None,
    *,
    kind: str = "rsa2048",
    ca: bool = False,
    alternative: Sequence[str] | None = None,
    since: datetime = NOW - 30 * DAY,
    until: datetime = NOW + 30 * DAY,
    issuer_url: str | None = None,
    signed_with: Any = None,
) -> Made:
    own = key(kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    signer = issuer.key if issuer else own
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    alternative = (() if ca else tuple(names)) if alternative is None else alternative
    if alternative:
        dns_names = [x509.DNSName(name) for name in alternative]
        builder = builder.add_extension(x509.SubjectAlternativeName(dns_names), critical=False)
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if issuer_url is not None:
        where = x509.UniformResourceIdentifier(issuer_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Made(builder.sign(signer, signed_with or hashes.SHA256()), own)


ROOT = made(["Root of tests"], kind="root:ec", ca=True)
ISSUER = made(["Issuer of tests"], ROOT, kind="issuer:ec", ca=True)
GOOD = made([LIVE], ISSUER)
ROOM = PayPal(Credentials(webhook_id=Secret("WEBHOOK1"), authorities=ROOT.pem))


def verdict(leaf: Made, *above: Made, room: PayPal = ROOM, at: datetime = NOW, issuer: bytes | None = None) -> Verdict:
    """Of a hook that is signed with the leaf's key, when PayPal answers with these certificates."""
    content = message("id-1", "2026-03-01T12:00:00Z", "WEBHOOK1", BODY)
    signature = b"\0" * 64
    if isinstance(leaf.key, rsa.RSAPrivateKey):
        signature = leaf.key.sign(content, PKCS1v15(), hashes.SHA256())
    headers = {
        "paypal-transmission-id": "id-1",
        "paypal-transmission-time": "2026-03-01T12:00:00Z",
        "paypal-transmission-sig": base64.b64encode(signature).decode(),
        "paypal-cert-url": URL,
        "paypal-auth-algo": "SHA256withRSA",
    }
    answers = {URL: b"".join(each.pem for each in (leaf, *above))}
    if issuer is not None:
        answers[ISSUER_URL] = issuer
    return judged(room, Hook(headers, BODY, 0), int(at.timestamp()), answers)


def openssl_accepts(directory: Path, leaf: Made, *above: Made, at: datetime = NOW) -> bool:
    names = leaf.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    for name, content in (("root", ROOT.pem), ("leaf", leaf.pem), ("above", b"".join(each.pem for each in above))):
        (directory / name).write_bytes(content)
    command = ["openssl", "verify", "-attime", str(int(at.timestamp())), "-CAfile", "root", "-no-CApath"]
    command += ["-untrusted", "above"] if above else []
    command += ["-purpose", "sslserver", "-verify_hostname", str(names[0].value), "leaf"]
    return subprocess.run(command, cwd=directory, capture_output=True, check=False).returncode == 0


OLD_ISSUER = made(["Issuer of tests"], ROOT, kind="issuer:ec", ca=True, until=NOW - DAY)
STRANGER = made(["Root of tests"], kind="stranger:ec", ca=True)
CHAINS: dict[str, tuple[Sequence[Made], bool]] = {
    "the live name": ([GOOD, ISSUER], True),
    "the sandbox's name": ([made([SANDBOX], ISSUER), ISSUER], True),
    "more certificates than are needed": ([GOOD, ISSUER, ROOT, STRANGER], True),
    "straight from the root": ([made([LIVE], ROOT)], True),
    "a key of 4096 bits": ([made([LIVE], ISSUER, kind="rsa4096"), ISSUER], True),
    "no issuer": ([GOOD], False),
    "self-signed": ([made([LIVE])], False),
    "another root of the same name": ([made([LIVE], STRANGER), STRANGER], False),
    "signed by a certificate that may not sign any": ([made([LIVE], GOOD, kind="other:rsa2048"), GOOD, ISSUER], False),
    "no longer valid": ([made([LIVE], ISSUER, until=NOW - DAY), ISSUER], False),
    "not yet valid": ([made([LIVE], ISSUER, since=NOW + DAY), ISSUER], False),
    "an issuer that is no longer valid": ([GOOD, OLD_ISSUER], False),
    "an alternative name that is another": ([made([LIVE], ISSUER, alternative=["www.paypal.com"]), ISSUER], False),
}


@pytest.mark.parametrize(("certificates", "accepted"), CHAINS.values(), ids=CHAINS)
def test_a_chain_is_good_where_openssl_finds_it_good(
    tmp_path: Path, certificates: Sequence[Made], accepted: bool
) -> None:
    assert openssl_accepts(tmp_path, *certificates) is accepted
    assert verdict(*certificates) == (Verified() if accepted else UNTRUSTED)


NOT_FOR_THIS: dict[str, Sequence[Made]] = {
    "another name of PayPal's": [made(["www.paypal.com"], ISSUER), ISSUER],
    "a name that only ends like it": [made([f"evil{LIVE}"], ISSUER), ISSUER],
    "a name that only begins like it": [made([f"{LIVE}.evil.example"], ISSUER), ISSUER],
    "a name that only looks like it": [made(["messageverificationcerts.xpaypal.com"], ISSUER), ISSUER],
    "upper case": [made([LIVE.upper()], ISSUER), ISSUER],
    "two names": [made(["evil.example", LIVE], ISSUER), ISSUER],
    "two names, its own first": [made([LIVE, "evil.example"], ISSUER), ISSUER],
    "no name": [made([], ISSUER, alternative=[LIVE]), ISSUER],
    "no alternative name": [made([LIVE], ISSUER, alternative=[]), ISSUER],
    "an alternative name for all": [made([LIVE], ISSUER, alternative=["*.paypal.com"]), ISSUER],
    "a key of 1024 bits": [made([LIVE], ISSUER, kind="rsa1024"), ISSUER],
    "a key that is not RSA": [made([LIVE], ISSUER, kind="leaf:ec"), ISSUER],
    "an authority's own": [made([LIVE], ROOT, ca=True, alternative=[LIVE], kind="ca:rsa2048")],
    "the issuer first": [ISSUER, GOOD],
}


@pytest.mark.parametrize("certificates", NOT_FOR_THIS.values(), ids=NOT_FOR_THIS)
def test_a_certificate_that_is_not_paypals_for_what_it_signs_is_refused(certificates: Sequence[Made]) -> None:
    assert verdict(*certificates) == UNTRUSTED


def test_any_authority_is_trusted_by_itself() -> None:
    for authorities in (ISSUER.pem, ROOT.pem + ISSUER.pem, ISSUER.pem + STRANGER.pem):
        room = PayPal(Credentials(webhook_id=Secret("WEBHOOK1"), authorities=authorities))
        assert isinstance(verdict(GOOD, room=room), Verified)


def test_without_authorities_only_the_public_roots_are_trusted() -> None:
    assert verdict(GOOD, ISSUER, ROOT, room=PayPal(Credentials(webhook_id=Secret("WEBHOOK1")))) == UNTRUSTED


# --- An issuer that PayPal's answer is without


@pytest.mark.parametrize("at", ["http://cacerts.digicert.com/Issuer.crt", ISSUER_URL])
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_a_missing_issuer_is_fetched_from_a_known_authority_by_https(at: str, encoding: Encoding) -> None:
    leaf = made([LIVE], ISSUER, issuer_url=at)
    needed = verdict(leaf)
    assert isinstance(needed, Needs)
    assert (needed.request.url, needed.request.kept, needed.request.headers) == (ISSUER_URL, "disk", ())
    assert isinstance(verdict(leaf, issuer=ISSUER.certificate.public_bytes(encoding)), Verified)


@pytest.mark.parametrize(
    "at",
    [
        "http://evil.example/Issuer.crt",
        "http://cacerts.digicert.com@evil.example/Issuer.crt",
        "http://cacerts.digicert.com:81/Issuer.crt",
        "http://cacerts.digicert.com/../Issuer.crt?x=.crt",
        "ldap://cacerts.digicert.com/Issuer.crt",
        "http://169.254.169.254/Issuer.crt",
    ],
)
def test_an_issuer_is_fetched_from_nowhere_else(at: str) -> None:
    assert verdict(made([LIVE], ISSUER, issuer_url=at)) == UNTRUSTED


@pytest.mark.parametrize(
    "leaf",
    [
        made(["www.paypal.com"], ISSUER, issuer_url=ISSUER_URL),
        made([LIVE], ISSUER, issuer_url=ISSUER_URL, until=NOW - DAY),
    ],
    ids=["another name", "no longer valid"],
)
def test_no_issuer_is_fetched_for_a_certificate_that_would_not_do_with_it(leaf: Made) -> None:
    assert verdict(leaf) == UNTRUSTED


def test_an_issuer_of_another_does_not_help_and_one_that_cannot_be_read_is_no_forgers() -> None:
    leaf = made([LIVE], ISSUER, issuer_url=ISSUER_URL)
    assert verdict(leaf, issuer=STRANGER.pem) == UNTRUSTED
    assert isinstance(verdict(leaf, issuer=b"<html>Sorry</html>"), Needs)
    assert isinstance(verdict(leaf, issuer=b""), Needs)


def test_issuers_that_send_us_round_in_circles_are_left_soon() -> None:
    circle = made(["Issuer in a circle"], STRANGER, kind="circle:ec", ca=True, issuer_url=ISSUER_URL)
    leaf = made([LIVE], circle, issuer_url=ISSUER_URL)
    assert verdict(leaf, issuer=circle.pem) == UNTRUSTED


# --- What is remembered


def test_a_chain_is_checked_once_as_long_as_it_is_valid() -> None:
    trust = Trust(ROOT.pem)
    answer = GOOD.pem + ISSUER.pem
    chain = read_chain(answer)
    assert chain is not None
    assert trust.known(answer, NOW_S) is None
    assert trust.key(answer, chain, NOW_S) == GOOD.certificate.public_key()
    assert trust.known(answer, NOW_S) == GOOD.certificate.public_key()
    for days, valid in ((29, True), (31, False), (-29, True), (-31, False)):
        at_s = int((NOW + days * DAY).timestamp())
        assert (trust.known(answer, at_s) is not None) is valid
        assert (trust.key(answer, chain, at_s) is not None) is valid


def test_what_was_not_trusted_is_not_remembered() -> None:
    trust = Trust(STRANGER.pem)
    answer = GOOD.pem + ISSUER.pem
    chain = read_chain(answer)
    assert chain is not None
    assert trust.key(answer, chain, NOW_S) is None
    assert trust.known(answer, NOW_S) is None


def test_no_more_is_remembered_than_is_bounded() -> None:
    trust = Trust(ROOT.pem)
    answers = [GOOD.pem + ISSUER.pem + b"\n" * number for number in range(3 * REMEMBERED_MAX)]
    for answer in answers:
        chain = read_chain(answer)
        assert chain is not None
        assert trust.key(answer, chain, NOW_S) is not None
    assert [trust.known(answer, NOW_S) is not None for answer in answers].count(True) == REMEMBERED_MAX
    assert trust.known(answers[-1], NOW_S) is not None


def test_an_answer_with_certificates_beyond_counting_is_not_read() -> None:
    assert read_chain(GOOD.pem * 8) is not None
    assert read_chain(GOOD.pem * 9) is None
