"""A hook comes in, is verified, committed, and only then answered."""
