"""How many attempts may be under way at one endpoint: slow start, and half of it when the endpoint asks for less.

The rule is that of TCP (RFC 5681): after a start or an outage one, and one more for each success, which doubles it
every round trip (1, 2, 4, …); from the threshold on one more for each round. 429, 502, 503 and 504 halve it.
"""


class Pace:
    def __init__(self, most: int) -> None:
        """`most` is the endpoint's `max_in_flight`, which is never exceeded."""
        self.most = most
        self._limit = 1.0
        self._threshold = float(most)

    @property
    def limit(self) -> int:
        """How many may be under way now; at least one."""
        return min(int(self._limit), self.most)

    def succeeded(self) -> None:
        if self._limit < self.most:
            self._limit += 1 if self._limit < self._threshold else 1 / self._limit

    def slow_down(self) -> None:
        self._threshold = self._limit = max(min(self._limit, self.most) / 2, 1.0)

    def start_over(self) -> None:
        """After an outage: carefully, but back to what it was."""
        self._limit, self._threshold = 1.0, float(self.most)
