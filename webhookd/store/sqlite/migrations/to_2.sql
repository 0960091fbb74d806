-- Schema 2 has the tables of schema 1. What an alias means has changed: it is always some event's.

DELETE FROM alias WHERE NOT EXISTS (SELECT 1 FROM event WHERE key = alias.event);
