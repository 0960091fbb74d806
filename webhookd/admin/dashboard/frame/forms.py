"""What a browser sends when a form is filled in."""

from urllib.parse import parse_qsl

from aiohttp import web
from multidict import MultiDict

from webhookd.admin.door.answers import BODY_S
from webhookd.admin.door.body import whole
from webhookd.admin.door.reasons import Mistake, MistakesError

FORM_BYTES_MAX = 256 * 1024
FIELDS_MAX = 2_000
_MEDIA = "application/x-www-form-urlencoded"


async def form_of(request: web.Request) -> MultiDict[str]:
    """Its fields, those left empty too. Raises MistakesError, and what `whole` raises."""
    raw = await whole(request, FORM_BYTES_MAX, BODY_S)
    if raw and request.content_type != _MEDIA:
        raise web.HTTPUnsupportedMediaType(reason=f"Send it as Content-Type: {_MEDIA}.")
    try:
        fields = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise MistakesError([Mistake("form", "is not what a browser sends")]) from None
    return MultiDict(fields)
