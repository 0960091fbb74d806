"""What may be set, where it is read from, and every mistake in it at once."""
