"""A daemon under load, a nemesis that does it everything at once, and an auditor who believes nobody.

`python -m tests.faults.jepsen` runs it: `provider.py` and `merchants.py` keep what they saw in `history.py`,
`nemesis.py` draws from one seed what is done and when, `world.py` is what it is done to, and `rules.py` what must hold.
"""
