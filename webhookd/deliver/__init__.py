"""One attempt to one endpoint."""
