"""The same work done by what else one would pick for it: `python -m bench.peers`. The command is in `__main__.py`."""
