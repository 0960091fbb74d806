"""The commands. One verb, one file."""
