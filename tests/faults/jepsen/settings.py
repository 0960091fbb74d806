"""The daemon's configuration during a run: what a reload changes, and every secret that was ever in it."""

import base64
import random
from collections.abc import Mapping
from types import MappingProxyType

from tests.faults.proxy import Proxy
from tests.running import ENDPOINT_SECRET, configuration, endpoint

NAMES = ("checkout", "inventory", "fulfillment")
LATECOMER = "latecomer"
"""An endpoint that comes with the first reload: it is owed what is received from then on."""
IN_FLIGHT_MAX = 8
IN_FLIGHT_MAX_OF_ALL = 20
WAITS_S = (0.0, 0.05, 0.1, 0.2, 0.4, *([0.8] * 95))
"""Before attempt 1, 2, …: long enough that nothing is given up in an outage."""
TIMEOUT_S = 2
JITTER = 0.2


class Settings:
    """`more` is what stands in the table of each endpoint beside; `host` is where the lines to them begin."""

    def __init__(
        self,
        dice: random.Random,
        lines: Mapping[str, Proxy],
        retention: str,
        more: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
        host: str = "127.0.0.1",
    ) -> None:
        self.names = [*NAMES]
        self.of_provider = [_text(dice), _text(dice)]
        """The first is what the provider signs with."""
        self.of_endpoints = [_text(dice)]
        """The first is what attempts are signed with."""
        self.ever = {*self.of_provider, *self.of_endpoints}
        self._limit = IN_FLIGHT_MAX
        self._dice = dice
        self._lines = lines
        self._retention = retention
        self._more, self._host = more, host

    def change(self) -> None:
        """Rotate all secrets, let endpoints take more or less at once, and have the latecomer come."""
        self.of_provider = [_text(self._dice), self.of_provider[0]]
        self.of_endpoints = [_text(self._dice), self.of_endpoints[0]]
        self.ever.update(self.of_provider, self.of_endpoints)
        self._limit = self._dice.choice([IN_FLIGHT_MAX // 2, IN_FLIGHT_MAX])
        if LATECOMER not in self.names:
            self.names.append(LATECOMER)

    def text(self, **where: str) -> str:
        """`where` it listens, and may deliver to, if that is not loopback."""
        secrets = ", ".join(f'"{each}"' for each in self.of_provider)
        endpoints = "".join(
            endpoint(
                name,
                self._lines[name].port,
                self._host,
                max_in_flight=self._limit,
                old_secrets=self.of_endpoints[1:],
                **self._more.get(name, {}),
            )
            for name in self.names
        )
        schedule = [f"{round(1000 * wait_s)}ms" for wait_s in WAITS_S]
        return configuration(
            sources=f'[sources.stripe]\nprovider = "stripe"\nsecrets = [{secrets}]\n',
            endpoints=endpoints.replace(ENDPOINT_SECRET, self.of_endpoints[0]) + f"[retention]\n{self._retention}\n",
            delivery=f'schedule = {schedule}\njitter = {JITTER}\ntimeout = "{TIMEOUT_S}s"\n'
            f"max_in_flight = {IN_FLIGHT_MAX_OF_ALL}",
            **where,
        )


def _text(dice: random.Random) -> str:
    return "whsec_" + base64.b64encode(dice.randbytes(24)).decode()
