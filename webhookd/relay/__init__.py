"""From an application's outbox into the log: events that were born in the transaction of what they tell of."""
