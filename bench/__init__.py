"""Measurements: each script prints its figures from one run on one machine."""
