"""What signatures are checked with, where it is not in the hook: fetched once, and kept."""
