"""Credentials that a merchant says back. What is kept of an answer is shown to whoever asks about an attempt."""

from collections.abc import Iterable, Mapping

from webhookd.core.delivery import RESPONSE_BYTES_MAX
from webhookd.core.endpoint import EndpointSpec

CHARS_MIN = 8
"""Of what is hidden: a shorter text may be in any answer by chance."""
PLAIN_SECRETS = frozenset({"verif-hash"})
"""Headers of a provider's check that are the secret itself, and no signature made with it."""
_STARS = b"*" * CHARS_MIN


def may_echo(spec: EndpointSpec) -> bool:
    """Whether an attempt carries credentials that an answer could hold."""
    return bool(spec.headers) or spec.signature == "provider"


def without_credentials(answer: bytes, spec: EndpointSpec, sent: Mapping[str, str]) -> bytes:
    """The answer, with stars for each credential that was sent, and for the words of one (`Bearer …`). Never longer."""
    texts = [value.reveal() for _, value in spec.headers]
    texts += [value for name, value in sent.items() if name in PLAIN_SECRETS]
    may_be_cut = len(answer) >= RESPONSE_BYTES_MAX
    for form in _forms(texts):
        answer = answer.replace(form, _STARS)
        if may_be_cut:
            answer = _without_start_at_the_end(answer, form)
    return answer


def _forms(texts: Iterable[str]) -> list[bytes]:
    """Longest first, for one may be part of another. Some write JSON with a backslash before each slash."""
    words = {word for text in texts for word in (text, *text.split()) if len(word) >= CHARS_MIN}
    forms = words | {word.replace("/", "\\/") for word in words}
    return sorted((form.encode("utf-8", "surrogateescape") for form in forms), key=len, reverse=True)


def _without_start_at_the_end(answer: bytes, form: bytes) -> bytes:
    """Only the first bytes of an answer are kept, and the last of these may be the first ones of a credential."""
    for length in range(min(len(form) - 1, len(answer)), CHARS_MIN - 1, -1):
        if answer.endswith(form[:length]):
            return answer[:-length] + _STARS
    return answer
