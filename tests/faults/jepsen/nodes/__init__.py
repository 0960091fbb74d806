"""Several daemons on one PostgreSQL, each in a network of its own, under everything at once: `--nodes 3`."""
