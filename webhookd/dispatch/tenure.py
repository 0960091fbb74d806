"""Which endpoints this process delivers to, and how long it may: all and for ever, where nobody shares the outbox."""

from collections.abc import Callable, Collection, Iterable

from webhookd.clock import Clock
from webhookd.store.protocol.claims import Renewed

FIRST_FENCE = 0
"""Of an endpoint that nobody has ever claimed."""


class Tenure:
    """`elsewhere` is told of endpoints for which something is due that another may hold; of None when that is any."""

    def __init__(self, clock: Clock, elsewhere: Callable[[Collection[int] | None], None] | None = None) -> None:
        self._clock = clock
        self._elsewhere = elsewhere
        self._fences: dict[int, int] = {}
        self._ending: set[int] = set()
        self._until = 0.0

    @property
    def is_shared(self) -> bool:
        return self._elsewhere is not None

    @property
    def has_lapsed(self) -> bool:
        return self.is_shared and self._clock.monotonic() >= self._until

    def fence(self, endpoint: int) -> int | None:
        """Under which an attempt may begin now; None when it may not."""
        if self._elsewhere is None:
            return FIRST_FENCE
        if endpoint in self._ending or self.has_lapsed:
            return None
        return self._fences.get(endpoint)

    def extend(self, renewed: Renewed, until: float) -> None:
        """`until`, in seconds of the clock that never steps back, nobody else is given what is held."""
        for endpoint in renewed.lost:
            self.drop(endpoint)
        self._fences.update((claim.endpoint, claim.fence) for claim in renewed.gained)
        self._until = until

    def drop(self, endpoint: int, fence: int | None = None) -> None:
        """It is another's; or the claim with this fence is, and one that was made since is not."""
        if fence is None or self._fences.get(endpoint) == fence:
            self._fences.pop(endpoint, None)
            self._ending.discard(endpoint)

    def end(self, count: int) -> list[int]:
        """Let so many more go: no attempt of theirs begins any more."""
        chosen = [endpoint for endpoint in self._fences if endpoint not in self._ending][: count - len(self._ending)]
        self._ending.update(chosen)
        return chosen

    @property
    def held(self) -> Collection[int]:
        return self._fences.keys()

    @property
    def ending(self) -> Collection[int]:
        return self._ending

    def tell(self, endpoints: Iterable[int] | None) -> None:
        """Something of these has become due: who holds one looks."""
        if self._elsewhere is None:
            return
        away = None if endpoints is None else {each for each in endpoints if each not in self._fences}
        if away is None or away:
            self._elsewhere(away)
