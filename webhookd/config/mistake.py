"""What a configuration that cannot be used is answered with."""

from collections.abc import Sequence

Mistake = tuple[str, str]
"""A setting's name within its table ("" for the table itself), and the reason."""


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes` holds one line for each reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class SettingsError(ConfigError):
    """The settings of one endpoint cannot be used."""

    def __init__(self, found: Sequence[Mistake]) -> None:
        super().__init__([line("", *mistake) for mistake in found])
        self.found = found


def line(where: str, name: str, reason: str) -> str:
    return ": ".join(part for part in (where, name, reason) if part)
