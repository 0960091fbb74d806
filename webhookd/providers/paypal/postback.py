"""To ask PayPal itself whether it sent a hook: first for a token, then about the hook.

Source: PayPal's API specification, notifications_webhooks_v1, verify-webhook-signature. The answer has status 200 for
a genuine hook and for a forged one. Events of PayPal's simulator are always a FAILURE there.
"""

import base64

import msgspec

from webhookd.providers.paypal.body import has_trailing_bytes, is_json
from webhookd.providers.paypal.transmission import AUTH_ALGO, ID, SIG, TIME, Transmission
from webhookd.providers.provider import JSON_ERRORS, VERIFIED, Evidence, Needs, Refused, Request, Verdict

_ANSWER_BYTES_MAX = 16 * 2**10


class Postback:
    def __init__(self, webhook_id: str, client_id: str, client_secret: str) -> None:
        self._webhook_id = webhook_id
        self._basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode("ascii")

    def verdict(self, sent: Transmission, body: bytes, evidence: Evidence) -> Verdict:
        if not is_json(body):
            return Refused("no_json")  # there is no way to ask about it
        if has_trailing_bytes(body):
            return Refused("trailing_bytes")
        api = "https://api-m.sandbox.paypal.com" if ".sandbox." in sent.host else "https://api-m.paypal.com"
        for_token = self._for_token(api)
        token = _field(evidence.get(for_token), "access_token")
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            return Needs(for_token)
        question = self._about(api, token, sent, body)
        match _field(evidence.get(question), "verification_status"):
            case "SUCCESS":
                return VERIFIED
            case "FAILURE":
                return Refused("wrong_signature")
            case _:
                return Needs(question)

    def _for_token(self, api: str) -> Request:
        return Request(
            f"{api}/v1/oauth2/token",
            (("Authorization", f"Basic {self._basic}"), ("Content-Type", "application/x-www-form-urlencoded")),
            b"grant_type=client_credentials",
            _ANSWER_BYTES_MAX,
            b'"access_token"',
            "memory",
        )

    def _about(self, api: str, token: str, sent: Transmission, body: bytes) -> Request:
        fields = {
            "auth_algo": sent.headers[AUTH_ALGO],
            "cert_url": sent.cert_url,
            "transmission_id": sent.headers[ID],
            "transmission_sig": sent.headers[SIG],
            "transmission_time": sent.headers[TIME],
            "webhook_id": self._webhook_id,
        }
        # The body goes in as it came: written anew, 1.0 may become 1, and the answer is FAILURE.
        question = b'%b,"webhook_event":%b}' % (msgspec.json.encode(fields)[:-1], body)
        return Request(
            f"{api}/v1/notifications/verify-webhook-signature",
            (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json")),
            question,
            _ANSWER_BYTES_MAX,
            b'"verification_status"',
        )


def _field(answer: bytes | None, name: str) -> object:
    """A member of the answer, or None where there is no answer that can be read."""
    try:
        found = None if answer is None else msgspec.json.decode(answer)
    except JSON_ERRORS:
        return None
    return found.get(name) if isinstance(found, dict) else None
