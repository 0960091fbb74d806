"""kill -9, again and again: a provider that retries, merchants that remember, and an auditor over what is left."""
