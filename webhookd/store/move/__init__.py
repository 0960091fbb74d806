"""A log that moves from SQLite to PostgreSQL: the one room in which the two engines know each other."""

LOG_FILE = "move.id"
"""In the data directory: names the log, and its file, from the beginning of a move to the first start after it."""
