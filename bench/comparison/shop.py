"""An application that makes payments itself, and tells of each by an outbox: the third way that is compared.

    python bench/comparison/shop.py --port 8080 --database /path/shop.db

Whoever pays is answered 200 once payment and event are committed: one transaction, one sync. It has no queue, no
workers, and nothing to drain: SIGTERM ends it, and SIGKILL does it no harm. Its outbox is the one that webhookd prints.
"""

import argparse
import sqlite3
import sys
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from webhookd.relay.shipped import sql

PAYMENT = "CREATE TABLE payment (event TEXT PRIMARY KEY, type TEXT NOT NULL)"


class Paid(msgspec.Struct):
    id: str
    type: str


class Shop:
    def __init__(self, database: Path) -> None:
        self._database = sqlite3.connect(database, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA busy_timeout = 5000")
        if not self._database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._database.executescript(f"BEGIN; {PAYMENT}; {sql('sqlite')} COMMIT;")

    async def pay(self, request: web.Request) -> web.Response:
        """One that comes again, because it was not answered, is known."""
        body = await request.text()
        paid = msgspec.json.decode(body, type=Paid)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            is_new = self._database.execute(
                "INSERT OR IGNORE INTO payment VALUES (?, ?)", (paid.id, paid.type)
            ).rowcount
            if is_new:
                self._database.execute(
                    "INSERT INTO webhookd_outbox (id, type, body) VALUES (?, ?, ?)", (paid.id, paid.type, body)
                )
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        return web.json_response({"status": "paid"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080, help="of loopback: POST /payments")
    parser.add_argument("--database", type=Path, required=True, help="SQLite's file; it is made if it is not there")
    arguments = parser.parse_args()
    app = web.Application()
    app.router.add_post("/payments", Shop(arguments.database).pay)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
