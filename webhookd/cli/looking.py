"""Lists of the log and of the ledger, whose pages are what one look has found: asked for until there are enough rows."""

from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from webhookd.cli.client import Client
from webhookd.cli.options import messages


def look(client: Client, path: str, page: dict[str, Any], **narrowed: Any) -> dict[str, Any]:
    """Like one page of the API: as many as its limit says unless the list ends before, and the cursor to go on with."""
    rows: list[Any] = []
    asked = dict(page)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as progress:
        looking = progress.add_task("looking", visible=False)
        while True:
            found = client.get(path, **narrowed, **asked)
            rows += found["data"]
            asked |= {"limit": page["limit"] - len(rows), "cursor": found["next_cursor"]}
            if not asked["limit"] or asked["cursor"] is None:
                return {"data": rows, "next_cursor": asked["cursor"]}
            said = f"{len(rows) or 'none'} found so far, looked back to {found['looked_to']}"
            progress.update(looking, description=said, visible=True)
