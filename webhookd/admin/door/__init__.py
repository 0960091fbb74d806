"""The door of the API: what may be asked, by whom, how it is answered, and that it is on record."""
