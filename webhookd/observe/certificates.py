"""When certificates end. Each is read once, for as long as somebody has it."""

from collections.abc import Iterable

from cryptography import x509

from webhookd.core.certificate import UNREADABLE


class Expiries:
    def __init__(self) -> None:
        self._known: dict[bytes, float | None] = {}

    def of(self, found: Iterable[tuple[str, str, bytes]]) -> list[tuple[str, str, float]]:
        """Of these kinds, names and texts (PEM, or one certificate as DER): when the first of each text's ends.

        What cannot be read has no end. Texts that are no longer among them are forgotten.
        """
        known, self._known, ends = self._known, {}, []
        for kind, name, text in found:
            end = self._known[text] = known[text] if text in known else _first_end(text)
            if end is not None:
                ends.append((kind, name, end))
        return ends


def _first_end(text: bytes) -> float | None:
    try:
        if b"-----BEGIN" in text:
            certificates = x509.load_pem_x509_certificates(text)
        else:
            certificates = [x509.load_der_x509_certificate(text)]
        return min(each.not_valid_after_utc.timestamp() for each in certificates)
    except UNREADABLE:
        return None
