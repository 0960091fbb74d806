"""The form of an endpoint's settings: what stands in it, and what of the API's body it means. Pure.

What was not touched is not sent: a form says what stood in it when it was shown, and only what is different now is a
change. Secrets are only ever read from it, never shown again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from multidict import MultiMapping

from webhookd.admin.door.reasons import Mistake
from webhookd.admin.endpoint_views import MASKED, EndpointView

Settings = Mapping[str, Any]
PEMS = ("ca", "client_certificate", "client_key")
HIDDEN = frozenset({"secret", "client_key"})
"""Never shown again."""
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Form(NamedTuple):
    """What a page shows of it."""

    texts: Mapping[str, str]
    """By field. A box that is ticked has "on"."""
    sources: Sequence[str]
    """Those that are ticked."""
    was: str
    """What stood in it at first."""
    mistakes: Mapping[str, Sequence[str]] = {}
    """By field; of "" those that belong to none."""

    def text(self, field: str) -> str:
        return self.texts.get(field, "")

    def wrong(self, field: str) -> Sequence[str]:
        """What is wrong with it."""
        return self.mistakes.get(field, ())


def blank() -> Form:
    """Of an endpoint that is to be added."""
    return Form({}, [], "{}")


def form_of(view: EndpointView) -> Form:
    """Of one that is there, as it is. Where its settings cannot be used nothing of them is known here but the URL."""
    seen = _seen(view)
    texts = {field: _WRITERS.get(field, str)(value) for field, value in seen.items() if value is not None}
    mistakes = view.mistakes if view.mistakes is not UNSET else ()
    return Form(texts, seen["sources"] or [], _encode(seen).decode(), _by_field(mistakes))


def again(given: MultiMapping[str], mistakes: Sequence[Mistake], was: Settings) -> Form:
    """What was typed, and what is wrong with it. Of secrets nothing, and of headers their names."""
    texts = {field: value for field, value in given.items() if field not in HIDDEN}
    kept = was.get("headers") or {}
    texts["headers"] = _headers_text(
        {name: MASKED if name in kept and value == MASKED else "" for name, value in _headers(texts).items()}
    )
    return Form(texts, given.getall("sources", []), _encode(was).decode(), _by_field(mistakes))


def asked_for(given: MultiMapping[str]) -> dict[str, Any]:
    """The API's body for a new one."""
    asked = {**_given(given), "name": given.get("name", "").strip(), "secret_kind": given.get("secret_kind", "hmac")}
    asked["secret"] = given.get("secret", "").strip() or None
    return {field: value for field, value in asked.items() if value is not None and value is not False}


def was_in(given: MultiMapping[str]) -> Settings:
    """What stood in it at first, as it says itself; nothing, where that cannot be understood."""
    try:
        return _decode(given.get("was", "{}"))
    except (msgspec.MsgspecError, RecursionError):
        return {}


def change(given: MultiMapping[str], was: Settings) -> dict[str, Any]:
    """The API's body for a change: what is not in it stays as it is, and what was emptied goes back to its default."""
    now = _given(given)
    changed = {field: value for field, value in now.items() if field not in PEMS and value != was.get(field)}
    if not was.get("allow_http") and not now["allow_http"]:
        changed.pop("allow_http", None)
    if "headers" in changed:
        before: Mapping[str, str] = was.get("headers") or {}
        changed["headers"] = _headers_patch(before, now["headers"] or {})
    changed |= {field: now[field] for field in PEMS if now[field] is not None}
    if "no_ca" in given:
        changed["ca"] = None
    if "no_client_certificate" in given:
        changed |= {"client_certificate": None, "client_key": None}
    return changed


def overtaken(view: EndpointView, given: MultiMapping[str], was: Settings) -> Form | None:
    """The form anew, where somebody else has changed meanwhile what this one is to change; None where nobody has.

    It has what was typed, beside what that would replace: sent once more, it does so.
    """
    patch, fresh = change(given, was), form_of(view)
    now = _decode(fresh.was)
    lost = [field for field in patch if field in was and now[field] != was[field]]
    if not lost:
        return None
    typed = again(given, (), now)
    texts = {**fresh.texts, **{field: typed.text(field) for field in patch}}
    told = [
        Mistake(field, f"is {fresh.text(field) or 'empty'} by now, changed by somebody else: save yours, or leave it")
        for field in lost
    ]
    return Form(texts, typed.sources if "sources" in patch else fresh.sources, fresh.was, _by_field(told))


# --- What stands in a form, in the API's values: None where it is empty


def _given(given: MultiMapping[str]) -> dict[str, Any]:
    texts = {field: value.strip() for field, value in given.items()}
    return {
        "url": texts.get("url", ""),
        "sources": sorted(set(given.getall("sources", []))) or None,
        "events": texts.get("events", "").split() or None,
        "max_in_flight": _number(texts.get("max_in_flight")),
        **{field: texts.get(field) or None for field in ("rate_limit", "ordering", "signature", "timeout")},
        "disable_after": texts.get("disable_after") or None,
        "schedule": texts.get("schedule", "").replace(",", " ").split() or None,
        "allow_http": "allow_http" in given,
        "headers": _headers(texts) or None,
        **{field: texts.get(field) or None for field in PEMS},
    }


def _seen(view: EndpointView) -> dict[str, Any]:
    """The same of an endpoint."""
    fields = ("sources", "events", "max_in_flight", "rate_limit", "ordering", "signature", "schedule", "timeout")
    found = {field: getattr(view, field) for field in ("url", *fields, "disable_after", "allow_http", "headers")}
    found = {field: None if value is UNSET or value in ((), [], {}) else value for field, value in found.items()}
    return {**found, "sources": sorted(found["sources"]) if found["sources"] else None}


def _number(text: str | None) -> int | str | None:
    """What is no number the API refuses in its own words."""
    if text and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    return text or None


def _headers(texts: Mapping[str, str]) -> dict[str, str]:
    """A line that has no colon is a name without a value, which the API refuses."""
    lines = [line.partition(":") for line in texts.get("headers", "").splitlines() if line.strip()]
    return {name.strip(): value.strip() for name, _, value in lines}


def _headers_patch(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str | None] | None:
    """None: all of them go. One that still has its mask is as it was."""
    if not now:
        return None
    gone = dict.fromkeys(before.keys() - now.keys())
    return {**gone, **{name: value for name, value in now.items() if name not in before or value != MASKED}}


# --- The same as text


def _headers_text(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "events": "\n".join,
    "schedule": ", ".join,
    "sources": ", ".join,
    "allow_http": lambda allowed: "on" if allowed else "",
    "headers": _headers_text,
}


def _by_field(mistakes: Sequence[Mistake]) -> dict[str, list[str]]:
    """Of a header or a place in a list, with its name."""
    found: dict[str, list[str]] = {}
    for each in mistakes:
        field = each.field.partition("[")[0].partition(".")[0]
        part = each.field.removeprefix(field).strip(".")
        found.setdefault(field, []).append(f"{part} {each.reason}".strip())
    return found
