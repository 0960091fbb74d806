"""Decides which delivery is attempted next."""
