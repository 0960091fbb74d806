"""What may be set, where it is read from, and every mistake in it at once."""

from webhookd.config.model import Config
from webhookd.config.reader import ConfigError, load

__all__ = ["Config", "ConfigError", "load"]
