-- note: what a process has committed last, with this; what others noted long ago nobody asks for any more
WITH forgotten AS (DELETE FROM change WHERE process <> :process AND at < server_ms() - 604800000)
INSERT INTO change (process, number, at) VALUES (:process, :number, server_ms())
ON CONFLICT (process) DO UPDATE SET number = excluded.number, at = excluded.at;

-- noted: what that was
SELECT number FROM change WHERE process = :process;
