"""The event log and its outbox: the protocol of a store, what all stores in SQL share, and each engine's own."""
