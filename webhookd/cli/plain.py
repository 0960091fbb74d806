"""A daemon as its unit starts it: that command line is read without the library that reads every other one.

That one is for people: it takes 0.2 s of a start and 13 MB, which a daemon would carry for weeks.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

OPTIONS = {
    "-c": "config_file",
    "--config": "config_file",
    "--data-dir": "data_dir",
    "--listen": "listen",
    "--admin-listen": "admin_listen",
    "--role": "role",
}
"""Those of `serve` that have a value, and the parameter that each is for."""


def read(arguments: Sequence[str]) -> Mapping[str, str] | None:
    """What `serve` is given, by its parameters. None when there is more to it than that: `webhookd.cli.app` knows."""
    if arguments[:1] != ["serve"]:
        return None
    given: dict[str, str] = {}
    words = iter(arguments[1:])
    for word in words:
        name, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not joined:
            value = next(words, "")
        if name not in OPTIONS or not value or value.startswith("-"):
            return None
        given[OPTIONS[name]] = value
    return given


def serve(given: Mapping[str, str]) -> None:
    """Raises SystemExit as `webhookd.cli.start` does."""
    load_what_delivers()
    from webhookd.cli.start import start  # noqa: PLC0415 - the command line is read before anything is loaded for it
    from webhookd.config import load  # noqa: PLC0415

    server = {name: given.get(name) for name in dict.fromkeys(OPTIONS.values()) if name != "config_file"}
    config_file = Path(given["config_file"]) if "config_file" in given else None
    try:
        start(lambda: load(config_file, server))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def load_what_delivers() -> None:
    """All that is loaded before the first delivery; what listens is loaded after it has begun."""
    with _as_if_missing("rich"):
        import structlog  # noqa: F401, PLC0415 - it would load rich for tracebacks in a terminal, which we never print
    import webhookd.cli.start  # noqa: F401, PLC0415


@contextmanager
def _as_if_missing(library: str) -> Iterator[None]:
    """Who imports it meanwhile, and can do without it, does."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # as the import system has it
    try:
        yield
    finally:
        del sys.modules[library]
