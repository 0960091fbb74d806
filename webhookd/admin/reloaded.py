"""What a reload of the configuration changed."""

from collections.abc import Sequence

import msgspec


class Changed(msgspec.Struct):
    """What a reload made of the sources, or of the endpoints, that the configuration names."""

    total: int
    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]


class Reloaded(msgspec.Struct):
    sources: Changed
    endpoints: Changed
    restart_needed: Sequence[str]
    """Settings that are otherwise in the file than in force: they are only read at start."""
