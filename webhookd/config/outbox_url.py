"""Where an application's outbox is: in a file of SQLite's, or in a database of PostgreSQL's."""

from pathlib import PurePosixPath

import msgspec

from webhookd.config.store_url import StoreUrl
from webhookd.core.secret import MASK, Secret

_EITHER = 'must be "sqlite:///srv/shop/shop.db" or "postgresql://user@host/database"'


class OutboxUrl(msgspec.Struct, frozen=True):
    """What `parse` makes of it."""

    url: Secret
    """Whole: it may hold a password."""
    shown: str
    """What may be printed in its place: where it came from, or itself with stars for a password."""
    file: str | None
    """Of SQLite, the absolute name of the application's file. None: it is PostgreSQL's."""
    may_be_overheard: bool = False

    @classmethod
    def parse(cls, url: Secret) -> "OutboxUrl":
        """Raises ValueError, which quotes nothing of it."""
        text = url.reveal()
        kind, _, rest = text.partition(":")
        if kind in ("postgresql", "postgres"):
            of = StoreUrl.parse(url)
            return cls(url, of.shown, None, of.may_be_overheard)
        if kind != "sqlite":
            raise ValueError(_EITHER)
        file = PurePosixPath("/" + rest.lstrip("/"))
        if not rest.startswith("/") or file.name in ("", "..") or not str(file).isprintable():
            raise ValueError("must name the file with its whole path, like sqlite:///srv/shop/shop.db")
        return cls(url, text if url.shown == MASK else url.shown, str(file))
