"""What a store has promised, and whether a directory keeps it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from webhookd.admin.door.token import NAME as TOKEN_FILE
from webhookd.providers import reread
from webhookd.store.protocol.errors import StoreError
from webhookd.store.seal import KEY_FILE
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.connection import open_alone
from webhookd.store.sqlite.driver import driver

WRONG = (StoreError, driver.Error, OSError)
Events = dict[int, tuple[int, str]]
"""Salt and SHA-256 by key."""


class Promises:
    """Made of what lives of `store_work` said, in their order."""

    def __init__(self) -> None:
        self.acked: Events = {}
        self.settled: dict[tuple[int, int], str] = {}
        """The state of a delivery after the attempt that was recorded."""
        self.past: set[int] = set()
        """The events that were taken out of the log, but for their lines in the books."""
        self.endpoints: set[str] = set()
        self.backups: dict[Path, set[int]] = {}
        """The events that each must have."""
        self._sent: Events = {}
        self._going: set[int] = set()
        self._before_copy: dict[str, set[int]] = {}
        self._texts: dict[str, str] = {}

    def hear(self, said: Sequence[Sequence[Any]]) -> None:
        for what, *rest in said:
            match what, rest:
                case "sent", [key, salt, sha256]:
                    self._sent[key] = salt, sha256
                case "appended", [key]:
                    self.acked[key] = self._sent[key]
                case "settled", [event, endpoint, state]:
                    self.settled[event, endpoint] = state
                case "pruning", [keys]:
                    self._going.update(keys)
                case "pruned", [keys]:
                    self.past.update(keys)
                case "endpoint", [name]:
                    self.endpoints.add(name)
                case "copying", [name]:
                    self._before_copy[name] = set(self.acked)
                case "backup", [name, path]:
                    self.backups[Path(path)] = self._before_copy[name]
                case "key", [text]:
                    self._texts.setdefault(KEY_FILE, text.strip())
                case "token", [text]:
                    self._texts.setdefault(TOKEN_FILE, text.strip())

    def broken(self, data_dir: Path) -> list[str]:
        """Every promise that is not kept, as a line. What was not promised may be there or not, but whole."""
        database = data_dir / "webhookd.db"
        wrong = [f"{name} is another or none" for name, text in self._texts.items() if _text(data_dir / name) != text]
        if not database.exists():
            return wrong + ["there is no database"] * bool(self._texts)
        try:
            wrong += [f"verify: {finding}" for finding in audit(database, reread)]
            wrong += self._missing(database)
        except WRONG as error:
            # One that was never ready holds nothing yet.
            wrong += [f"the database: {error}"] * bool(self._texts)
        for path, events in self.backups.items():
            wrong += _wrong_with_copy(path, events)
        return wrong

    def _missing(self, database: Path) -> Iterator[str]:
        events, past = _log(database)
        for key, event in self.acked.items():
            if events.get(key) != event and not (key in self._going and past.get(key) == event):
                yield f"lost: event {key} was acked as {event} and is {events.get(key)}"
        for key, event in (*events.items(), *past.items()):
            if self._sent.get(key) != event:
                yield f"invented: event {key} is {event} and was sent as {self._sent.get(key)}"
        yield from (f"undone: event {key} was taken out and is there" for key in self.past & events.keys())
        with closing(open_alone(database, read_only=True)) as connection:
            settled = "SELECT event, endpoint, delivery.state FROM delivery JOIN attempt USING (event, endpoint)"
            states = {(event, endpoint): state for event, endpoint, state in connection.execute(settled)}
            names = {name for (name,) in connection.execute("SELECT name FROM endpoint")}
        for (key, endpoint), state in self.settled.items():
            if key in events and states.get((key, endpoint)) != state:
                yield f"undone: event {key} was settled as {state} and is {states.get((key, endpoint))}"
        yield from (f"endpoint {name} is gone" for name in self.endpoints - names)


def _log(database: Path) -> tuple[Events, Events]:
    """What is in it, and what is past."""
    with closing(open_alone(database, read_only=True)) as connection:
        events, past = (
            {key: (salt, sha256.hex()) for key, salt, sha256 in connection.execute(query).fetchall()}
            for query in ("SELECT key, salt, sha256 FROM event", "SELECT key, salt, sha256 FROM past")
        )
    return events, past


def _wrong_with_copy(path: Path, events: set[int]) -> Iterator[str]:
    if not path.exists():
        yield f"backup {path.name} is gone"
        return
    try:
        yield from (f"backup {path.name}: {finding}" for finding in audit(path, reread))
        if missing := events.difference(*_log(path)):
            yield f"backup {path.name} is without {len(missing)} events that were there before it was begun"
    except WRONG as error:
        yield f"backup {path.name}: {error}"


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
