"""What `bench/compare.py` is made of: trouble, a provider, merchants who count, two ways, and what came of it."""
