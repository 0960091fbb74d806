"""The event log and its outbox."""
