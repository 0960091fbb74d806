"""What came of the attempts to one endpoint in an hour, in half a kilobyte: there may be thousands of them."""

from array import array

ENDPOINT_MINUTES = 60


class Hour:
    """`number` is the first minute that something is put in; they ascend, unless the clock is set."""

    __slots__ = ("_counts", "last")

    def __init__(self, number: int) -> None:
        self.last = number
        """The minute that something was put in last."""
        self._counts = array("I", bytes(8 * ENDPOINT_MINUTES))

    def put(self, number: int, good: int, bad: int) -> None:
        passed = number - self.last
        for between in range(self.last + 1, number) if 0 <= passed < ENDPOINT_MINUTES else range(ENDPOINT_MINUTES):
            self._set(between, 0, 0)  # also where the clock was set back
        self._set(number, good, bad)
        self.last = number

    def until(self, number: int) -> list[tuple[int, int]]:
        """Oldest first; the last is that minute."""
        minutes = range(number - ENDPOINT_MINUTES + 1, number + 1)
        return [self._get(each) if self.last - ENDPOINT_MINUTES < each <= self.last else (0, 0) for each in minutes]

    def _set(self, number: int, good: int, bad: int) -> None:
        place = number % ENDPOINT_MINUTES * 2
        self._counts[place], self._counts[place + 1] = good, bad

    def _get(self, number: int) -> tuple[int, int]:
        place = number % ENDPOINT_MINUTES * 2
        return self._counts[place], self._counts[place + 1]
