"""The endpoints that the configuration and the API ask for, and how each stands: a dict by name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from webhookd.core.breaker import Health
from webhookd.core.endpoint import EndpointSpec, EndpointState, ManagedBy, Why
from webhookd.core.event import OPERATIONAL, Event


@dataclass
class Standing:
    """An endpoint, also one that was removed."""

    number: int
    name: str
    url: str
    managed_by: ManagedBy
    created_at: int
    spec: EndpointSpec | None
    """What it asks for; None of one that was removed."""
    settings: bytes | None = None
    """As the API gave them."""
    state: EndpointState = "active"
    why: Why | None = None
    health: Health = field(default_factory=Health)

    @property
    def is_in_service(self) -> bool:
        return self.why != "removed"

    def wants(self, event: Event) -> bool:
        """What webhookd itself says is of no source, and is asked for by a pattern of its own."""
        if self.spec is None:
            return False
        is_ours = event.source == OPERATIONAL
        patterns = [each for each in self.spec.events or ("*",) if each.startswith("webhookd.") == is_ours]
        is_its_source = is_ours or not self.spec.sources or event.source in self.spec.sources
        return is_its_source and any(fnmatchcase(event.type, each) for each in patterns)

    def stand(self, state: EndpointState, why: Why | None = None) -> None:
        self.state, self.why = state, why

    def forgive(self) -> None:
        self.health = Health()


class Endpoints:
    def __init__(self) -> None:
        self.by_name: dict[str, Standing] = {}

    def __iter__(self) -> Iterator[Standing]:
        return iter(sorted(self.by_name.values(), key=lambda each: each.number))

    def numbered(self, number: int) -> Standing:
        [found] = [each for each in self.by_name.values() if each.number == number]
        return found

    def of_the_api(self) -> list[Standing]:
        """Those in service."""
        return [each for each in self if each.managed_by == "api" and each.is_in_service]

    def in_service(self, name: str) -> Standing | None:
        found = self.by_name.get(name)
        return found if found is not None and found.is_in_service else None

    def adopt(self, specs: Sequence[EndpointSpec], numbers: dict[str, int], now_ms: int) -> None:
        """The configuration has exactly these; the store gives the new ones their numbers."""
        for spec in specs:
            known = self.by_name.get(spec.name)
            if known is None:
                self._new(spec, numbers[spec.name], "config", now_ms)
                continue
            if not known.is_in_service:
                known.stand("active")
                known.forgive()
            known.url, known.managed_by, known.spec, known.settings = spec.url, "config", spec, None
        configured = {spec.name for spec in specs}
        for each in self.by_name.values():
            if each.managed_by == "config" and each.name not in configured:
                each.stand("disabled", "removed")
                each.spec = None

    def add(self, spec: EndpointSpec, settings: bytes, number: int, now_ms: int) -> None:
        """A new one of the API's, or one that was removed under this name and comes back."""
        known = self.by_name.get(spec.name) or self._new(spec, number, "api", now_ms)
        known.stand("active")
        known.forgive()
        known.url, known.managed_by, known.spec, known.settings = spec.url, "api", spec, settings

    def change(self, spec: EndpointSpec, settings: bytes) -> bool:
        known = self.in_service(spec.name)
        if known is None or known.managed_by != "api":
            return False
        known.url, known.spec, known.settings = spec.url, spec, settings
        return True

    def remove(self, name: str) -> bool:
        known = self.in_service(name)
        if known is None or known.managed_by != "api":
            return False
        known.stand("disabled", "removed")
        known.forgive()
        known.spec = known.settings = None
        return True

    def set_state(self, name: str, state: EndpointState) -> bool:
        """A person pauses or resumes it, and its failures are forgotten."""
        known = self.in_service(name)
        if known is None:
            return False
        known.stand(state, None if state == "active" else "operator")
        known.forgive()
        return True

    def _new(self, spec: EndpointSpec, number: int, managed_by: ManagedBy, now_ms: int) -> Standing:
        assert all(each.number != number for each in self.by_name.values()), "a number is never used again"
        self.by_name[spec.name] = made = Standing(number, spec.name, spec.url, managed_by, now_ms, spec)
        return made
