"""Who keeps sending bad signatures: counted by address, so that guessing is answered 429 and costs next to nothing."""

import msgspec

from webhookd.core.by_address import ByAddress

BURST = 30
PER_SECOND = 1.0


class _Bucket(msgspec.Struct):
    tokens: float = float(BURST)
    at: float = float("-inf")


class BadSignatures:
    """A token bucket for each address. Only bad signatures take from it, so a good one is never held up."""

    def __init__(self) -> None:
        self._buckets = ByAddress(_Bucket)

    def too_many(self, address: str, now_s: float) -> bool:
        """Count one more bad signature from the address; whether there have been too many."""
        bucket = self._buckets.of(address)
        tokens = min(BURST, bucket.tokens + (now_s - bucket.at) * PER_SECOND)
        bucket.tokens, bucket.at = max(0.0, tokens - 1), now_s
        return tokens < 1
