"""What may be set, where it is read from, and every mistake in it at once."""

from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config
from webhookd.config.reader import load

__all__ = ["Config", "ConfigError", "load"]
