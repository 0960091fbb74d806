"""Whose turn it is: endpoints with something due, each once, the urgent first."""

from collections import deque

from webhookd.core.delivery import PRIORITIES, Priority
from webhookd.dispatch.lane import Lane


class Turns:
    def __init__(self) -> None:
        self._waiting: dict[Priority, deque[Lane]] = {priority: deque() for priority in PRIORITIES}

    def queue(self, lane: Lane, priority: Priority) -> None:
        """Give the lane its place, or a better one: then the old one lapses."""
        if lane.turn is None or priority < lane.turn:
            lane.turn = priority
            self._waiting[priority].append(lane)

    def next(self) -> Lane | None:
        for priority, waiting in self._waiting.items():
            while waiting:
                lane = waiting.popleft()
                if lane.turn == priority:
                    lane.turn = None
                    return lane
        return None
