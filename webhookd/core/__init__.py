"""Nouns. Pure: no await, no I/O, no clock, no dice, and no import from any other room."""
