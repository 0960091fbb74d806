"""The event log and its outbox in PostgreSQL: any number of nodes on one database."""
