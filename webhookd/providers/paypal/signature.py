"""PayPal's signature: RSA (PKCS #1 v1.5, SHA-256) over `id|time|webhook id|CRC-32 of the body`, with a certificate that
is to be fetched from PayPal.

Sources: developer.paypal.com, "Webhooks: integrate"; PayPal's own SDKs, with whose genuine vectors it is tested.

A source has one of two schemes: `certificate` judges here; `postback` asks PayPal about each hook.

There is no bound on the age of a transmission: whether a retry, up to three days later, is signed anew is not
documented. In its place a transmission's id is bound to the first body that came with it (see `reading.py`).
"""

import base64
import re
import uuid
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.paypal.body import has_trailing_bytes
from webhookd.providers.paypal.certificate import Trust, is_paypals, issuer_url, read_chain, read_issuer
from webhookd.providers.paypal.postback import Postback
from webhookd.providers.paypal.transmission import (
    ALGORITHM,
    CERTIFICATE_PATH,
    HEADERS,
    Transmission,
    claim,
    message,
    transmission,
)
from webhookd.providers.provider import (
    VERIFIED,
    CannotSignError,
    Claim,
    Credentials,
    CredentialsError,
    Evidence,
    Needs,
    Refused,
    Request,
    Verdict,
)

CERTIFICATE, POSTBACK = "certificate", "postback"
HOME_CERT_URL = f"https://api.sandbox.paypal.com{CERTIFICATE_PATH}CERT-webhookd-signs-in-place-of-paypal"
"""Where the certificate of a `signing_key` is said to be. PayPal has none of that name."""
ISSUERS_MAX = 2
"""Certificates of issuers that are fetched for one chain, where PayPal's answer is without them."""
_END = b"-----END CERTIFICATE-----"
_WEBHOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class PayPalSignature:
    kept_headers: tuple[str, ...] = HEADERS
    takes = frozenset({"webhook_id", "scheme", "authorities", "client_id", "client_secret", "signing_key"})

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError."""
        if credentials.scheme not in (None, CERTIFICATE, POSTBACK):
            raise CredentialsError("scheme", f'must be "{CERTIFICATE}" (default) or "{POSTBACK}"')
        if credentials.webhook_id is None:
            raise CredentialsError("webhook_id", "is missing: it is the id of the webhook in PayPal's dashboard")
        self._webhook_id = credentials.webhook_id.reveal()
        if not _WEBHOOK_ID.fullmatch(self._webhook_id):
            raise CredentialsError("webhook_id", 'must be the id alone, like "4JH86294D6297924G"')
        self._postback = _postback(credentials, self._webhook_id)
        try:
            self._trust = Trust(credentials.authorities)
        except ValueError as error:
            raise CredentialsError("authorities", f"cannot be read as certificates (PEM): {error}") from None
        self._signing_key = None if credentials.signing_key is None else _private_key(credentials.signing_key)

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        sent = transmission(hook.headers)
        if isinstance(sent, Refused):
            return sent
        if self._postback is not None:
            return self._postback.verdict(sent, hook.body, evidence)
        key = self._key(sent, now_s, evidence)
        if not isinstance(key, RSAPublicKey):
            return key
        try:
            content = message(sent.id, sent.time, self._webhook_id, hook.body)
            key.verify(sent.signature, content, PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return Refused("wrong_signature")
        return Refused("trailing_bytes") if has_trailing_bytes(hook.body) else VERIFIED

    def claim(self, hook: Hook) -> Claim:
        return claim(hook.headers)

    def _key(self, sent: Transmission, now_s: int, evidence: Evidence) -> RSAPublicKey | Refused | Needs:
        """The key that the certificate holds, once the certificate and its chain are here and found good."""
        request = Request(sent.cert_url, holds=_END, kept="disk")
        if (answer := evidence.get(request)) is None:
            return Needs(request)
        if (known := self._trust.known(answer, now_s)) is not None:
            return known
        if (chain := read_chain(answer)) is None:
            return Needs(request)  # what cannot be read says nothing of who sent the hook
        issuers_fetched = 0
        while (key := self._trust.key(answer, chain, now_s)) is None:
            url = issuer_url(chain[-1])
            if url is None or issuers_fetched == ISSUERS_MAX or not is_paypals(chain[0], now_s):
                return Refused("untrusted_certificate")
            request = Request(url, kept="disk")
            issuer = read_issuer(evidence[request]) if request in evidence else None
            if issuer is None:
                return Needs(request)
            chain.append(issuer)
            issuers_fetched += 1
        return key

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        """Raises CannotSignError when there is no `signing_key`."""
        if self._signing_key is None:
            raise CannotSignError(
                "only PayPal can sign what this source accepts: `webhookd serve --dev` makes a source that takes the "
                "place of PayPal's, and PayPal's sandbox sends real events"
            )
        transmission_id = str(uuid.uuid5(uuid.NAMESPACE_OID, message_id))
        time = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        content = message(transmission_id, time, self._webhook_id, body)
        signature = self._signing_key.sign(content, PKCS1v15(), hashes.SHA256())
        return {
            "Accept": "*/*",
            "User-Agent": "PayPal/AUHD-214.0-58843899",
            "Correlation-Id": transmission_id.replace("-", "")[:13],
            "Paypal-Auth-Algo": ALGORITHM,
            "Paypal-Auth-Version": "v2",
            "Paypal-Cert-Url": HOME_CERT_URL,
            "Paypal-Transmission-Id": transmission_id,
            "Paypal-Transmission-Sig": base64.b64encode(signature).decode("ascii"),
            "Paypal-Transmission-Time": time,
        }

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        """PayPal's own headers as they came: nobody else can sign, and its checks know no age."""
        if not hook.headers.keys() >= set(HEADERS):
            raise CannotSignError("the headers that PayPal signed it with were not kept")
        return {name: hook.headers[name] for name in HEADERS}


def _postback(credentials: Credentials, webhook_id: str) -> Postback | None:
    """None where the scheme is another; what only this one needs may be there all the same."""
    if credentials.scheme != POSTBACK:
        return None
    for name, given in (("client_id", credentials.client_id), ("client_secret", credentials.client_secret)):
        if given is None:
            raise CredentialsError(name, f'is missing: scheme = "{POSTBACK}" needs it')
    assert credentials.client_id is not None
    assert credentials.client_secret is not None
    return Postback(webhook_id, credentials.client_id.reveal(), credentials.client_secret.reveal())


def _private_key(pem: Secret) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.reveal().encode(), None)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        raise CredentialsError("signing_key", "must be an RSA key without a password (PEM)") from None
    if not isinstance(key, RSAPrivateKey):
        raise CredentialsError("signing_key", "must be an RSA key: PayPal has no other")
    return key
