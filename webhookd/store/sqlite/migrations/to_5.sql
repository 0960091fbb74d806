-- Schema 5: why deliveries are dead is in the index that counts them. The dashboard's sessions and minutes are new.

DROP INDEX IF EXISTS delivery_dead;
