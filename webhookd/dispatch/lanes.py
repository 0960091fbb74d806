"""The lanes there are, by the endpoint's number and by its name."""

from collections.abc import Iterable, Iterator

from webhookd.clock import Clock
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.dispatch.lane import Lane
from webhookd.dispatch.tenure import Tenure


class Lanes:
    def __init__(self, clock: Clock, tenure: Tenure) -> None:
        self._clock, self._tenure = clock, tenure
        self.by_number: dict[int, Lane] = {}
        self._by_name: dict[str, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._by_name.values())

    def put(self, endpoint: Endpoint) -> Lane:
        """The endpoint's, with these settings from now on."""
        lane = self.by_number.get(endpoint.number)
        if lane is None:
            lane = self.by_number[endpoint.number] = Lane(endpoint, self._clock, self._tenure)
            self._by_name[endpoint.spec.name] = lane
        lane.adapt(endpoint)
        return lane

    def named(self, name: str) -> Lane | None:
        return self._by_name.get(name)

    def of(self, numbers: Iterable[int] | None) -> list[Lane]:
        """Of these endpoints as far as there are any, each once; of None all."""
        chosen = self.by_number if numbers is None else dict.fromkeys(numbers)
        return [lane for lane in map(self.by_number.get, chosen) if lane is not None]

    def forget_if_over(self, lane: Lane) -> None:
        if lane.is_over:
            self.by_number.pop(lane.endpoint.number, None)
            if self._by_name.get(lane.endpoint.spec.name) is lane:
                del self._by_name[lane.endpoint.spec.name]

    @property
    def in_service(self) -> list[EndpointSpec]:
        return [lane.endpoint.spec for lane in self.by_number.values() if lane.endpoint.why != "removed"]
