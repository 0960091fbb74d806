"""All pages there are, as the router has them: what no list has to be kept of."""

import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import MagicMock

from webhookd.admin.dashboard.frame.visit import Page
from webhookd.admin_door import AdminDoor


class Route(NamedTuple):
    page: Page
    path: str

    def filled(self, text: str) -> str:
        """The path, with this in the place of each name or id."""
        return re.sub(r"\{\w+\}", text, self.path)


def every_page(data_dir: Path, method: str) -> list[Route]:
    """Nothing of the door is opened for it."""
    wanted = inspect.signature(AdminDoor).parameters
    given: dict[str, Any] = {name: MagicMock() for name in wanted} | {"data_dir": data_dir, "hosts": ()}
    store = given.pop("store")
    places = [name for name, each in wanted.items() if each.kind is each.POSITIONAL_OR_KEYWORD and name != "store"]
    door = AdminDoor(store, *(given.pop(name) for name in places), **given)
    found = []
    for route in door.runner.app.router.routes():
        page = getattr(route.handler, "page", None)
        if page is not None and route.method == method and route.resource is not None:
            found.append(Route(page, route.resource.canonical))
    return found
