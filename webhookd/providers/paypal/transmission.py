"""What PayPal says of a transmission in its headers, and what of it may be believed before anything is fetched.

Source: developer.paypal.com, "Webhooks: integrate", for the headers and the message that is signed; the patterns are
those of the API's verify-webhook-signature, and narrower where two fields could flow into each other.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping

import msgspec

from webhookd.providers.provider import Claim, Refused
from webhookd.providers.shape import shape
from webhookd.providers.tree import moment

ID, TIME, SIG = "paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig"
CERT_URL, AUTH_ALGO = "paypal-cert-url", "paypal-auth-algo"
HEADERS = (ID, TIME, SIG, CERT_URL, AUTH_ALGO)
ALGORITHM = "SHA256withRSA"
"""The only one. SHA1withRSA, which the old SDKs know too, is refused."""
CERTIFICATE_PATH = "/v1/notifications/certs/"

# Neither may hold a |, which is what the fields of the message are joined with.
_ID = re.compile(r"[0-9A-Za-z_.:-]{1,100}", re.ASCII)
_TIME = re.compile(r"[0-9A-Za-z:.+-]{1,64}", re.ASCII)
_SIG_CHARS_MAX = 1024
# One pattern instead of a parser of URLs: nothing is left over that two programs could read in two ways.
_CERT_URL = re.compile(
    rf"https://(api(?:-m)?(?:\.sandbox)?\.paypal\.com)(?::443)?({CERTIFICATE_PATH}CERT-[A-Za-z0-9-]{{1,64}})", re.ASCII
)


class Transmission(msgspec.Struct, frozen=True):
    id: str
    time: str
    """As it was written; it is part of what is signed."""
    signature: bytes
    host: str
    """The one of PayPal's four hosts that has the certificate."""
    cert_path: str
    headers: Mapping[str, str]

    @property
    def cert_url(self) -> str:
        return f"https://{self.host}{self.cert_path}"


def transmission(headers: Mapping[str, str]) -> Transmission | Refused:
    given = {name: value for name in HEADERS if (value := headers.get(name)) is not None}
    if len(given) < len(HEADERS):
        return Refused("no_signature")
    if given[AUTH_ALGO] != ALGORITHM:
        return Refused("wrong_algorithm")
    url = _CERT_URL.fullmatch(given[CERT_URL])
    if url is None:
        return Refused("wrong_cert_url")
    signature = _signature(given[SIG])
    if not _ID.fullmatch(given[ID]) or not _TIME.fullmatch(given[TIME]) or signature is None:
        return Refused("malformed_signature")
    return Transmission(given[ID], given[TIME], signature, url[1], url[2], given)


def claim(headers: Mapping[str, str]) -> Claim:
    given = {name: value for name in HEADERS if (value := headers.get(name)) is not None}
    return Claim([(name, _shape(name, value)) for name, value in given.items()], moment(given.get(TIME)))


def _shape(name: str, value: str) -> str:
    """What it is for all, in full; of what is this hook's alone, what it looks like."""
    plain = (name == AUTH_ALGO and value == ALGORITHM) or (name == TIME and moment(value) is not None)
    if name == CERT_URL and (url := _CERT_URL.fullmatch(value)) is not None:
        return f"at {url[1]}"
    return value if plain and value.isprintable() else shape(value)


def transmission_id(headers: Mapping[str, str]) -> str | None:
    """The id alone, if it is one."""
    found = headers.get(ID)
    return found if found is not None and _ID.fullmatch(found) else None


def message(transmission_id: str, time: str, webhook_id: str, body: bytes) -> bytes:
    """What is signed. Of the body it is no more than the CRC-32, which anybody can make a body for."""
    return f"{transmission_id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()


def _signature(text: str) -> bytes | None:
    if not 0 < len(text) <= _SIG_CHARS_MAX:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
