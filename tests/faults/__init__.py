"""What a payment log must survive: each fault of `matrix.py`, done to the real thing.

`make test` does all of it in a small way, `make torture` in earnest: hundreds of seeds, kills and inputs, and a report.
"""
