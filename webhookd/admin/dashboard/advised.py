"""What a story advises, with the place of the dashboard where that can be done without typing the command. Pure."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from webhookd.core.story import Advice, Story


class Advised(NamedTuple):
    text: str
    command: str | None
    place: str | None
    """A path, or a part of the event's own page."""
    name: str
    """What to call it."""


def advised(story: Story) -> Sequence[Advised]:
    return [_advised(each) for each in story.advice]


def _advised(advice: Advice) -> Advised:
    place, name = None, ""
    match shlex.split(advice.command or ""):
        case ["webhookd", "endpoints", "list"]:
            place, name = "/endpoints", "All endpoints"
        case ["webhookd", "endpoints", "resume" | "show", endpoint]:
            place, name = f"/endpoints/{quote(endpoint, safe='')}", f"To {endpoint}"
        case ["webhookd", "why", event]:
            place, name = f"/events/{event}", "To the earlier one"
        case ["webhookd", "replay", named]:
            place, name = "#deliveries" if named.startswith("evt_") else f"#{named}", "To the button"
        case ["webhookd", "replay", *_]:
            place, name = "#deliveries", "To the button"
        case ["webhookd", "events", "show", *_]:
            place, name = "#body", "To its bytes"
    return Advised(advice.text, advice.command, place, name)
