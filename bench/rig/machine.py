"""What a figure was measured on."""

import os
import platform
from importlib.metadata import version

from webhookd.store.sqlite.driver import driver


def machine(*packages: str) -> dict[str, str]:
    """Of these packages the versions, too."""
    return {
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "SQLite": driver.sqlite_version,
        **{name: version(name) for name in packages},
    }
