-- alias: those that are not bound; how many
SELECT cardinality(add_aliases(:rows::new_alias[]));

-- event: those of a batch whose ids are not known; how many
SELECT cardinality(add_events(:rows::new_event[]));

-- attempt: those that are not on record, of the claims that hold; how many
SELECT add_attempts(:rows::new_attempt[]);

-- rows: a batch of them, in a transaction of its own
SELECT * FROM write_rows(:events::new_event[], :aliases::new_alias[], :attempts::new_attempt[], :owed_max);
