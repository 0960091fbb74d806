"""Who keeps sending bad signatures: counted by address, so that guessing is answered 429 and costs next to nothing."""

from collections import OrderedDict

BURST = 30
PER_SECOND = 1.0
ADDRESSES_MAX = 4096
"""Beyond it the address heard of longest ago is forgotten."""


class BadSignatures:
    """A token bucket for each address. Only bad signatures take from it, so a good one is never held up."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def too_many(self, address: str, now_s: float) -> bool:
        """Count one more bad signature from the address; whether there have been too many."""
        tokens, at = self._buckets.pop(address, (float(BURST), now_s))
        tokens = min(BURST, tokens + (now_s - at) * PER_SECOND)
        self._buckets[address] = (max(0.0, tokens - 1), now_s)
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return tokens < 1
