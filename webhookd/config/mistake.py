"""What a configuration that cannot be used is answered with."""

import difflib
from collections.abc import Iterable, Sequence

import msgspec

Mistake = tuple[str, str]
"""A setting's name within its table ("" for the table itself), and the reason."""


class Found(msgspec.Struct, frozen=True):
    """Something that is wrong with the configuration, or that may be, and where."""

    file: str
    """Or the variable of the environment, or the option, that it comes from; "" where it is none of these."""
    line: int | None
    key: str
    reason: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.key, self.reason) if part)


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes` holds one line for each reason, `found` the same in its parts."""

    def __init__(self, found: Sequence[Found | str]) -> None:
        self.found = [each if isinstance(each, Found) else Found("", None, "", each) for each in found]
        self.mistakes = [str(each) for each in self.found]
        super().__init__("\n".join(self.mistakes))


class SettingsError(ConfigError):
    """The settings of one endpoint cannot be used. `settings` holds each by its name."""

    def __init__(self, settings: Sequence[Mistake]) -> None:
        super().__init__([Found("", None, *mistake) for mistake in settings])
        self.settings = settings


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a reason; nothing when nothing is near."""
    near = difflib.get_close_matches(name[:64], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
