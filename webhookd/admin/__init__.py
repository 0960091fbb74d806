"""The operator's door: the API behind every command."""
