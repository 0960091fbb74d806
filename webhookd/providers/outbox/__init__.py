"""An application's outbox: nobody signs, for whoever may write into the table has written the row.

A row is read as a hook: its body is the hook's, and its other columns are the hook's headers. So it can be read again
from what the log keeps.
"""

from collections.abc import Mapping

from webhookd.core.event import OUTBOX, Hook, Reading
from webhookd.providers.outbox.reading import COLUMNS, header, read
from webhookd.providers.provider import CannotSignError, Claim, Credentials, Evidence, Refused, Verdict


class Outbox:
    name = OUTBOX
    kept_headers = tuple(map(header, COLUMNS))
    takes: frozenset[str] = frozenset()
    event_types: frozenset[str] = frozenset()

    def __init__(self, _credentials: Credentials) -> None:
        """There are none."""

    def verify(self, _hook: Hook, _now_s: int, _evidence: Evidence) -> Verdict:
        return Refused("no_signature")

    def claim(self, _hook: Hook) -> Claim:
        return Claim(())

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)

    def sign(self, _body: bytes, _now_s: int, _message_id: str) -> dict[str, str]:
        raise CannotSignError("it is an outbox, whose events no provider signs")

    def sign_again(self, _hook: Hook, _now_s: int) -> dict[str, str]:
        raise CannotSignError("it is an outbox, whose events no provider signs")


def hook_of(columns: Mapping[str, str], body: bytes, received_at: int) -> Hook:
    """The hook that a row is read as. `columns` are those of COLUMNS that have a value, as text."""
    headers = {header(name): value for name, value in columns.items()}
    return Hook({"content-type": "application/json", **headers}, body, received_at)
