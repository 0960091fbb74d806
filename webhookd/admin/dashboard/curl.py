"""The command that posts an event's bytes anywhere, as the provider posted them. Pure.

It is made to be pasted into a shell, so that it may hold nothing that steers a terminal, and nothing that a page may
not show: such a body, or one that is large, is downloaded first.
"""

import shlex
from collections.abc import Mapping
from typing import NamedTuple

INLINE_BYTES_MAX = 4 * 1024
URL_CHARS_MAX = 2_000
SIGNED_FOR_MS = 300_000
"""How long a signature that says its time is taken, by us and by the providers' own libraries."""
_SAYS_ITS_TIME = {"stripe", "standard"}
_NOT_SENT = {"user-agent", "content-type", "webhookd-imported"}


class Curl(NamedTuple):
    text: str
    downloads: bool
    """It asks the API for the bytes first, with the token that is in WEBHOOKD_TOKEN."""


def url_mistake(url: str) -> str | None:
    """What is wrong with where it is to go."""
    if not url.startswith(("http://", "https://")) or not url.isprintable() or " " in url:
        return "must be a URL that begins with http:// or https://"
    return None if len(url) <= URL_CHARS_MAX else f"must have at most {URL_CHARS_MAX} characters"


def curl(event_id: str, headers: Mapping[str, str], body: bytes, url: str, api: str, *, may_be_shown: bool) -> Curl:
    """`api` is where the admin listener is asked; `may_be_shown` is whether the body has nothing that is masked."""
    sent = [f"Content-Type: {headers.get('content-type', 'application/json')}"]
    sent += [f"{name}: {value}" for name, value in headers.items() if name not in _NOT_SENT]
    # -g: brackets in a URL mean themselves. --data-raw: nor does a body that begins with @ name a file.
    post = "curl -sS -g " + " ".join(f"-H {shlex.quote(each)}" for each in sent)
    text = _pasted(body) if may_be_shown else None
    if text is not None:
        return Curl(f"{post} --data-raw {shlex.quote(text)} {shlex.quote(url)}", downloads=False)
    file = f"{event_id}.json"
    get = f'curl -fsS -H "Authorization: Bearer $WEBHOOKD_TOKEN" -o {file} {shlex.quote(_body_url(api, event_id))}'
    return Curl(f"{get} &&\n{post} --data-binary @{file} {shlex.quote(url)}", downloads=True)


def signed_until_ms(provider: str, received_at_ms: int) -> int | None:
    """Until when a receiver that checks the signature takes it; None where the signature says no time."""
    return received_at_ms + SIGNED_FOR_MS if provider in _SAYS_ITS_TIME else None


def _body_url(api: str, event_id: str) -> str:
    return f"{api}/api/v1/events/{event_id}/body"


def _pasted(body: bytes) -> str | None:
    """The body as a text that a terminal takes as it is."""
    if len(body) > INLINE_BYTES_MAX:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if text.replace("\n", "").isprintable() else None
