"""How a verb talks to a running daemon."""

import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    TokenFile,
    Url,
    fail,
    messages,
    parse_duration,
    read_config,
)
from webhookd.observe.whereabouts import running_at

TIMEOUT_S = 30
Called = Callable[[str], str]
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Client:
    """Finds the daemon by --url, else by what it noted in the data directory, else by the configuration."""

    def __init__(
        self, config_file: Path | None, data_dir: str | None, url: str | None, token_file: Path | None
    ) -> None:
        # Only where the daemon is: its secrets may not be for us to read.
        config = read_config(config_file, {"data_dir": data_dir}, ("server",))
        self._data_dir, self._configured, self._given = config.data_dir, str(config.server.admin_listen), url
        self.find()
        self._is_own_token = token_file is None
        self._token_file = token_file or config.data_dir / "admin.token"
        self._token: str | None = None

    def find(self) -> None:
        """Where the daemon is now: it may have been started again, on another port."""
        running = running_at(self._data_dir)
        noted = running.admin if running is not None else f"http://{self._configured}"
        self.url = (self._given or noted).rstrip("/")

    def get(self, path: str, **query: Any) -> Any:
        """The decoded answer. Ends the command when the daemon cannot be reached or says no."""
        return self._decoded(self.get_raw(path, **query))

    def get_raw(self, path: str, **query: Any) -> bytes:
        return self._send("GET", path, query, called=_option) or b""

    def get_if_there(self, path: str) -> bytes | None:
        """The answer; None when there is nothing of that name."""
        return self._send("GET", path, {}, missing_ok=True)

    def wait_for(self, path: str, wait_ms: int) -> bytes | None:
        """What the daemon answers after at most so long; None when there is nothing of that name until then."""
        wait = {"wait": f"{wait_ms}ms"}
        return self._send("GET", path, wait, patience_s=TIMEOUT_S + wait_ms / 1_000, missing_ok=True)

    def listen(self, path: str, patience_s: float, last: str | None, **query: Any) -> http.client.HTTPResponse:
        """A stream of server-sent events, from behind the last one on; no line of it takes longer than the patience.

        Raises OSError when nobody answers, or not now. Ends the command when the daemon says no.
        """
        headers = {"Last-Event-ID": last} if last is not None else {}
        try:
            return _open(self._request("GET", path, query, None, headers), patience_s)
        except urllib.error.HTTPError as error:
            if error.code == 503:
                raise OSError(*_reasons(error.read(), str)) from None
            self._refused(error, str, Exit.USAGE)

    def post(self, path: str, body: Any = None, called: Called = str, **how: Any) -> Any:
        """`called` says what the user calls a field that is refused; `how` is for `_send`."""
        return self._decoded(self._send("POST", path, {}, body=body, called=called, **how) or b"")

    def change(self, method: str, path: str, body: Any = None, called: Called = str) -> Any:
        return self._decoded(self._send(method, path, {}, body=body, called=called) or b"")

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, Any],
        patience_s: float = TIMEOUT_S,
        *,
        missing_ok: bool = False,
        body: Any = None,
        called: Called = str,
        headers: Mapping[str, str] | None = None,
        refused: Exit = Exit.USAGE,
    ) -> bytes | None:
        """`body` is sent as JSON, bytes as they are. `refused` is the exit code of a 422."""
        request = self._request(method, path, query, body, headers or {})
        try:
            with _open(request, patience_s) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            if error.code == 404 and missing_ok:
                return None
            self._refused(error, called, refused)
        except (OSError, ValueError, http.client.HTTPException):
            self.nobody()

    def _request(
        self, method: str, path: str, query: dict[str, Any], body: Any, headers: Mapping[str, str]
    ) -> urllib.request.Request:
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(given)}" if given else "")
        if not url.startswith(("http://", "https://")):
            fail(Exit.USAGE, "--url must begin with http:// or https://")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        known = {"Authorization": f"Bearer {self._read_token()}", "Content-Type": "application/json"}
        return urllib.request.Request(url, data, {**known, **headers}, method=method)  # noqa: S310

    def _refused(self, error: urllib.error.HTTPError, called: Called, refused: Exit) -> NoReturn:
        reasons = _reasons(error.read(), called)
        self._not_let_in(error, reasons)
        code = {422: refused, 503: Exit.UNREACHABLE}.get(error.code, Exit.FOUND_WRONG)
        fail(code, *(reasons or [f"the daemon answered {error.code}"]))

    def _not_let_in(self, error: urllib.error.HTTPError, reasons: list[str]) -> None:
        """Ends the command if it is the daemon's door that is shut."""
        unknown = f"the daemon at {self.url} does not know the token in {self._token_file}: it is wrong or has expired"
        match error.code:
            case 401:
                fail(Exit.UNREACHABLE, unknown)
            case 429:
                fail(Exit.UNREACHABLE, unknown, "too many wrong ones came from here; a right one is let in at any time")
            case 403:
                fail(Exit.USAGE, *reasons, f"it is the one in {self._token_file} (see --token-file, `webhookd tokens`)")
            case 421:
                fail(Exit.UNREACHABLE, f"the daemon does not answer to the name in {self.url}", *reasons)

    def _decoded(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            self.nobody()

    def nobody(self) -> NoReturn:
        fail(
            Exit.UNREACHABLE,
            f"no daemon answers at {self.url}: is `webhookd serve` running? (see --url, --data-dir)",
        )

    def _read_token(self) -> str:
        if self._token is None:
            try:
                self._token = self._token_file.read_text(encoding="ascii").strip()
            except UnicodeDecodeError:
                fail(Exit.UNREACHABLE, f"{self._token_file} holds no token (see --token-file)")
            except OSError as error:
                self._no_token(error)
        return self._token

    def _no_token(self, error: OSError) -> NoReturn:
        """Most often nothing is wrong with the file, and it was looked for in the wrong place, or by the wrong user."""
        what = f"{self._token_file.absolute()} cannot be read: {error.strerror}"
        match error:
            case PermissionError():
                hint = "it is its owner's alone; have a token of your own made (`webhookd tokens add`) and name its file: --token-file"
            case _ if self._is_own_token:
                hint = "the daemon writes it at its first start; is this its data directory? (see -c, --data-dir, --token-file)"
            case _:
                fail(Exit.UNREACHABLE, f"{what} (see --token-file)")
        fail(Exit.UNREACHABLE, what, hint)


class _StaysThere(urllib.request.HTTPRedirectHandler):
    """The token is for whoever was named, and not for whom that one names."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _open(request: urllib.request.Request, patience_s: float) -> http.client.HTTPResponse:
    # A proxy of the environment has no business between a command and its daemon.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _StaysThere)
    response: http.client.HTTPResponse = opener.open(request, timeout=patience_s)
    return response


def find_daemon(
    config_file: ConfigFile = None, data_dir: DataDirOption = None, url: Url = None, token_file: TokenFile = None
) -> Client:
    """What every verb that talks to a daemon is given."""
    return Client(config_file, data_dir, url, token_file)


def narrowing(
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider.")] = None,
    type_glob: Annotated[
        str | None, typer.Option("--type", help='Only event types that match, like "payment_intent.*".')
    ] = None,
) -> dict[str, str | None]:
    """What every verb that lists something is given."""
    return {"source": source, "provider": provider, "type": type_glob}


def page(
    since: Annotated[
        str | None,
        typer.Option("--since", help='A day like 2026-01-31, a time like 2026-01-31T12:00:00Z, or an age like "2h".'),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="The same; up to here.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Go on after the page that gave this, with the same filters.")
    ] = None,
) -> dict[str, str | int | None]:
    """How far back a list goes, how long it is, and after what it goes on."""
    return {"since": moment(since, "--since"), "until": moment(until, "--until"), "limit": limit, "cursor": cursor}


def tell_of_more(found: dict[str, Any], page: dict[str, Any]) -> None:
    """How to see the next page, on standard error. An age is told as the time that it meant."""
    if found["next_cursor"] is not None:
        times = "".join(f"--{name} {page[name]} " for name in ("since", "until") if page[name] is not None)
        messages.print(f"there is more: the same with {times}--cursor {found['next_cursor']}", soft_wrap=True)


def segment(text: str) -> str:
    """An id or a name as one segment of a path, whatever it holds."""
    return urllib.parse.quote(text, safe="", errors="replace")


def moment(text: str | None, option: str) -> str | None:
    """A day, an RFC 3339 time, or an age like "2h" counted back from now."""
    if text is None or "T" in text:
        return text
    if _DAY.fullmatch(text) and _is_day(text):
        return f"{text}T00:00:00Z"
    if not text[:1].isdigit() or "." in text or "-" in text:
        raise typer.BadParameter(
            'must be a day like 2026-01-31, a time like 2026-01-31T12:00:00Z, or an age like "2h"', param_hint=option
        )
    at_s = time.time() - parse_duration(text, option) / 1_000
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def _is_day(text: str) -> bool:
    """Whether the calendar has it."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _option(field: str) -> str:
    """A parameter as its option is called."""
    return f"--{field.replace('_', '-')}"


def _reasons(body: bytes, called: Called) -> list[str]:
    """Why the daemon refuses: a line for each field that is wrong, or one for all."""
    try:
        problem = json.loads(body)
        if mistakes := problem.get("errors"):
            return [f"{called(each['field'])}: {each['reason']}" for each in mistakes]
        return [str(problem["detail"])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
