"""SQL by name: what every engine understands is beside this file, what only one does beside the engine."""

from collections.abc import Mapping
from importlib import resources


def statements(engine: str) -> Mapping[str, str]:
    """All that the engine of this package is asked: `lookup.bearing` is `bearing` of a `lookup.sql`."""
    found: dict[str, str] = {}
    for package in (__package__, engine):
        for file in sorted(resources.files(package).iterdir(), key=lambda each: each.name):
            if file.name.endswith(".sql") and file.name != "schema.sql":
                for name, statement in named(file.read_text(encoding="utf-8")).items():
                    found[f"{file.name.removesuffix('.sql')}.{name}"] = statement
    return found


def named(text: str) -> Mapping[str, str]:
    """The statements of a file, each headed by `-- its_name: what it is for`."""
    found = {}
    for block in text.strip().split("\n\n"):
        head, _, body = block.partition("\n")
        name = head.removeprefix("-- ").split(":", 1)[0]
        found[name] = body.strip().rstrip(";")
    return found
