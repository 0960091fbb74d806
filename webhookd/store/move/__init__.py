"""A log that moves from SQLite to PostgreSQL: the one room in which the two engines know each other."""
