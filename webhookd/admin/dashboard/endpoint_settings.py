"""Endpoints are added, changed, given another secret, taken out. A secret is shown once: in the answer to the form."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from msgspec import UNSET

from webhookd.admin.dashboard.endpoint_form import Form, again, asked_for, blank, change, form_of, overtaken, was_in
from webhookd.admin.dashboard.endpoint_words import address
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.door.reasons import ConflictError, Mistake, MistakesError, NotFoundError
from webhookd.admin.endpoint_views import EndpointView
from webhookd.admin.endpoints import OVERLAP_DEFAULT
from webhookd.core.event import PUBLISHED

API = "/api/v1/endpoints"
_FIELDS = frozenset(
    {
        *("name", "url", "sources", "events", "max_in_flight", "rate_limit", "ordering", "signature", "schedule"),
        *("timeout", "disable_after", "allow_http", "headers", "ca", "client_certificate", "client_key", "secret"),
    }
)


def path_of(name: str) -> str:
    """Its page's; "new" is where another one is added."""
    return f"/endpoints/{name}/" if name == "new" else f"/endpoints/{name}"


def configured(view: EndpointView) -> str | None:
    """Why it cannot be changed here, if so: in the words of the API's 409."""
    if view.managed_by == "api" or view.why == "removed":
        return None
    return f"The configuration manages {view.name}: change it there, and reload."


class SettingsPages:
    def pages(self) -> Sequence[Page]:
        one = "/endpoints/{name}"
        return [
            Page("GET", "/endpoints/new", self.begin, "admin"),
            Page("POST", "/endpoints/new", self.add, "admin"),
            Page("GET", f"{one}/edit", self.edit, "admin"),
            Page("POST", f"{one}/edit", self.change, "admin"),
            Page("GET", f"{one}/rotate", self.offer_rotation, "admin"),
            Page("POST", f"{one}/rotate", self.rotate, "admin"),
            Page("GET", f"{one}/remove", self.offer_removal, "admin"),
            Page("POST", f"{one}/remove", self.remove, "admin"),
        ]

    # --- Settings

    async def begin(self, visit: Visit) -> web.StreamResponse:
        return await self._form(visit, blank())

    async def add(self, visit: Visit) -> web.StreamResponse:
        """To load the answer again is to add it again, which is refused, and shows no secret."""
        try:
            view: EndpointView = await visit.ask(f"POST {API}", body=asked_for(visit.form))
        except MistakesError as error:
            return await self._form(visit, again(visit.form, error.mistakes, {}), status=422)
        except ConflictError as error:
            taken = [Mistake("name", str(error))]
            return await self._form(visit, again(visit.form, taken, {}), status=409)
        held = 0 if view.held is UNSET else view.held
        said = f"{view.name} is added" + (f"; it gets {held} held from before." if held else ".")
        if view.secret is UNSET:
            return visit.see_other(path_of(view.name), said)
        return _secret(visit, view, said, status=201)

    async def edit(self, visit: Visit) -> web.StreamResponse:
        view = await _changeable(visit)
        return await self._form(visit, form_of(view), view)

    async def change(self, visit: Visit) -> web.StreamResponse:
        was = was_in(visit.form)
        patch = change(visit.form, was)
        if not patch:
            return visit.see_other(path_of(visit.path["name"]), "Nothing was changed.")
        anew = overtaken(view := await _changeable(visit), visit.form, was)
        if anew is not None:
            return await self._form(visit, anew, view, status=409)
        try:
            view = await visit.ask(f"PATCH {API}/{{name}}", path=visit.path, body=patch)
        except MistakesError as error:
            view = await _changeable(visit)
            return await self._form(visit, again(visit.form, error.mistakes, was), view, status=422)
        changed = ", ".join(field.replace("_", " ") for field in patch)
        return visit.see_other(path_of(view.name), f"{view.name} is changed: {changed}.")

    async def _form(
        self, visit: Visit, form: Form, view: EndpointView | None = None, *, status: int = 200
    ) -> web.StreamResponse:
        known = [each.name for each in (await visit.ask("GET /api/v1/sources")).data]
        return visit.show(
            "endpoint_form.html",
            status=status,
            form=form,
            each=view,
            is_known=view is None or view.secrets is not UNSET,
            path=None if view is None else path_of(view.name),
            # With one that has left the configuration, so that it can be taken off.
            sources=list(dict.fromkeys([*known, PUBLISHED, *form.sources])),
            elsewhere={field: told for field, told in form.mistakes.items() if field not in _FIELDS},
            has_new=view is None and await _is_there(visit, "new"),
        )

    # --- The secret

    async def offer_rotation(self, visit: Visit) -> web.StreamResponse:
        return self._rotation(visit, await _with_secrets(visit))

    async def rotate(self, visit: Visit) -> web.StreamResponse:
        """A form says which secret it is to replace: sent again, by a reload, it replaces no other."""
        view = await _with_secrets(visit)
        if visit.form.get("since", "") != _since(view):
            done = "Its secret was replaced after this form was shown, so nothing was done now. It is not shown again."
            return visit.see_other(path_of(view.name), done)
        given = {field: visit.form.get(field, "").strip() for field in ("secret_kind", "overlap", "secret")}
        body = {field: value for field, value in given.items() if value}
        try:
            rotated: EndpointView = await visit.ask(f"POST {API}/{{name}}/rotate-secret", path=visit.path, body=body)
        except (MistakesError, ConflictError) as error:
            return self._rotation(visit, view, error)
        said = f"{rotated.name} signs with a new secret."
        if rotated.secret is UNSET:
            return visit.see_other(path_of(rotated.name), said)
        return _secret(visit, rotated, said)

    def _rotation(
        self, visit: Visit, view: EndpointView, wrong: MistakesError | ConflictError | None = None
    ) -> web.StreamResponse:
        given: Mapping[str, Any] = {"overlap": OVERLAP_DEFAULT, **visit.form}
        assert view.secrets is not UNSET
        return visit.show(
            "endpoint_rotate.html",
            status=200 if wrong is None else 422 if isinstance(wrong, MistakesError) else 409,
            each=view,
            path=path_of(view.name),
            since=_since(view),
            kind=given.get("secret_kind", view.secrets[0].kind),
            overlap=given["overlap"],
            mistakes={each.field: [each.reason] for each in wrong.mistakes} if isinstance(wrong, MistakesError) else {},
            conflict=str(wrong) if isinstance(wrong, ConflictError) else None,
        )

    # --- The end

    async def offer_removal(self, visit: Visit) -> web.StreamResponse:
        view = await _changeable(visit)
        return visit.show("endpoint_remove.html", each=view, path=path_of(view.name), address=address(view.url))

    async def remove(self, visit: Visit) -> web.StreamResponse:
        view: EndpointView = await visit.ask(f"DELETE {API}/{{name}}", path=visit.path)
        held = f"; {view.backlog} deliveries are held for it" if view.backlog else ""
        return visit.see_other("/endpoints", f"{view.name} is taken out of service{held}.")


def _secret(visit: Visit, view: EndpointView, said: str, status: int = 200) -> web.StreamResponse:
    """The only answer that has it. `no-store` is with every answer here."""
    return visit.show("endpoint_secret.html", status=status, each=view, said=said, path=path_of(view.name))


async def _changeable(visit: Visit) -> EndpointView:
    """Raises NotFoundError, also of one that was removed; ConflictError, as the API would."""
    view: EndpointView = await visit.ask(f"GET {API}/{{name}}", path=visit.path)
    if view.why == "removed":
        raise NotFoundError
    if (why_not := configured(view)) is not None:
        raise ConflictError(why_not)
    return view


async def _with_secrets(visit: Visit) -> EndpointView:
    """Raises NotFoundError, also of one that was removed; ConflictError, where its settings cannot be used."""
    view: EndpointView = await visit.ask(f"GET {API}/{{name}}", path=visit.path)
    if view.why == "removed":
        raise NotFoundError
    if view.secrets is UNSET:
        raise ConflictError(f"The settings of {view.name} and the configuration disagree; change them first.")
    return view


async def _is_there(visit: Visit, name: str) -> bool:
    try:
        await visit.ask(f"GET {API}/{{name}}", path={"name": name})
    except NotFoundError:
        return False
    return True


def _since(view: EndpointView) -> str:
    """Which secret signs now, told by when it began to."""
    return (view.secrets and view.secrets[0].since) or ""
