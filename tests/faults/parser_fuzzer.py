"""The providers' rooms under a fuzzer that is led by which lines an input reaches. It takes over its process:

python -m tests.faults.parser_fuzzer [libFuzzer's own options] CORPUS …

The first byte of an input says whose body the rest is. Half of the mutations are libFuzzer's, the others are of JSON.
"""

import sys
from random import Random

import atheris

from tests.faults.spoilt_json import spoilt

with atheris.instrument_imports(include=["webhookd.core", "webhookd.providers"]):
    from tests.providers.readings import assert_amount_is_said, assert_sound
    from webhookd.core.event import Hook
    from webhookd.providers import PROVIDERS, reread

    ROOMS = [PROVIDERS[provider] for provider in PROVIDERS]

HEADERS = {"webhook-id": "msg_1", "x-razorpay-event-id": "EvtId000000001", "paypal-transmission-id": "69cd13f0-1"}


def one_input(data: bytes) -> None:
    """Raises AssertionError, or whatever a room raises that it should not."""
    if not data:
        return
    provider = ROOMS[data[0] % len(ROOMS)].name
    hook = Hook(HEADERS, data[1:], 0)
    reading = reread(provider, hook)
    assert reading == reread(provider, hook)
    if reading is not None:
        assert_sound(reading)
        assert_amount_is_said(provider, hook.body, reading)


def mutated(data: bytes, bytes_max: int, seed: int) -> bytes:
    dice = Random(seed)
    if dice.random() < 0.5:
        try:
            return (data[:1] + spoilt(data[1:], dice))[:bytes_max]
        except (ValueError, RecursionError):
            pass  # no JSON any more
    return bytes(atheris.Mutate(data, bytes_max))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input, custom_mutator=mutated)
    atheris.Fuzz()
