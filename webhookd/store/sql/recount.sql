-- say_of_event: keep with an event what it says, read as it is read now
UPDATE event SET occurred_at = ?, payment_id = ?, kind = ?, object_id = ?, status = ?, detail = ?, major = ?, minor = ?,
  counts = ?, amount = ?, currency = ?, exponent = ?, refunded = ?, reference = ?, names = ?
WHERE key = ?;

-- say_of_past: the same of one that retention has taken
UPDATE past SET occurred_at = ?, payment_id = ?, kind = ?, object_id = ?, status = ?, detail = ?, major = ?, minor = ?,
  counts = ?, amount = ?, currency = ?, exponent = ?, refunded = ?, reference = ?, names = ?
WHERE key = ?;
