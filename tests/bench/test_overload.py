"""How overload is made and counted: who is refused comes again, what was cut is not forgotten, and what is judged."""

import asyncio
import json
from typing import cast

import msgspec
import pytest

from bench import overload
from bench.overload import Figures, Under, promises, together
from bench.rig import hooks
from bench.rig.flood import Flood, Flooded, flood
from bench.rig.hooks import Press, number_of
from bench.rig.overloaded_shop import Shop
from bench.rig.slow import Slow, Slowed, slow

NOW_S = 1_700_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Busy\r\nRetry-After: 0.01\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Grudging(asyncio.Protocol):
    """A server that gives the answers it was told to, in turn, and then 200 for ever."""

    def __init__(self, answers: list[bytes], came: list[int]) -> None:
        self._answers, self._came = answers, came
        self._transport: asyncio.Transport
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(b"}"):
            return
        self._came.append(number_of(self._buffer.partition(b"\r\n\r\n")[2]))
        self._buffer = b""
        answer = self._answers.pop(0) if self._answers else OK
        if answer:
            self._transport.write(answer)
        if answer in (b"", LAST):
            self._transport.close()


async def flooded(answers: list[bytes], **how: object) -> tuple[Flooded, list[int]]:
    came: list[int] = []
    server = await asyncio.get_running_loop().create_server(lambda: Grudging(answers, came), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        return await flood(msgspec.convert({"port": port, "run": "x", "first": 100, **how}, Flood)), came
    finally:
        server.close()


def test_what_is_pressed_is_what_is_made_one_by_one() -> None:
    press = Press("run", NOW_S, 50)
    for number in (1, 50, 12_345_678):
        make = hooks.dispute_body if press.is_dispute(number) else hooks.body
        assert press.request(number) == hooks.request(make(number, "run", NOW_S), NOW_S)
        json.loads(make(number, "run", NOW_S))


async def test_who_is_refused_or_cut_comes_again_when_he_was_told_to_until_all_are_taken() -> None:
    found, came = await flooded([REFUSED] * 10 + [b"", LAST], per_s=400, seconds=0.1, again="when told")
    assert sorted({number for number, _, _ in found.taken}) == [*range(100, 140)] == sorted(set(came))
    assert (found.hooks, found.no_connection, found.cut, found.unanswered) == (40, 0, 1, 0)
    assert (len(found.refused_at), found.told, found.requests) == (11, 10, 52)
    assert found.began < found.ended < found.over


async def test_who_does_not_come_again_is_counted_once() -> None:
    found, came = await flooded([REFUSED] * 10, per_s=400, seconds=0.1)
    assert (len(found.taken), len(found.refused_at), found.requests, len(came)) == (30, 10, 40, 40)


async def test_impatient_clients_send_the_same_hook_until_it_is_taken() -> None:
    found, came = await flooded([REFUSED] * 5, clients=1, seconds=0.1, again="at once")
    assert came[:7] == [100] * 6 + [101]
    assert len(found.refused_at) == 5
    assert [number for number, _, _ in found.taken[:2]] == [100, 101]


async def test_slow_connections_are_there_and_those_that_are_cut_come_again() -> None:
    cut = 0

    class Cutting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal cut
            if cut < 3:
                cut += 1
                transport.close()

    server = await asyncio.get_running_loop().create_server(Cutting, "127.0.0.1", 0)
    try:
        found = await slow(Slow(server.sockets[0].getsockname()[1], connections=12, seconds=0.3))
    finally:
        server.close()
    assert isinstance(found, Slowed)
    assert (found.dialled, found.cut) == (15, 3)
    assert found.held >= 9


async def test_what_was_acknowledged_and_never_came_is_missed() -> None:
    shop = Shop()
    shop.arrived_at |= {1: 0.5, 2: 1.5}
    assert await shop.missing([1, 2], 0) == 0
    assert await shop.missing([1, 2, 3], 0) == 1
    assert shop.between(1, 2) == 1


def under(load: str, **found: float) -> Under:
    """All is well, unless told otherwise."""
    well: dict[str, float] = {field: 0 for field in Under.__struct_fields__ if field != "load"}
    well |= {"asked_per_s": 10_000, "goodput": 10_000, "of_most": 1, "told": 1}
    return msgspec.convert({"load": load, **well, **found}, Under, strict=False)


def figures(*loads: Under, **found: object) -> Figures:
    all_loads = [*loads, under(overload.ALONE), under(overload.BESIDE)]
    well = {"most_per_s": 1_000, "refusal_us": 20, "rss_at_rest_mb": 90, "rss_max_mb": 100, "files_before": 30}
    rest = {"files_after": 31, "taken": 1, "slow": Slowed()}
    return msgspec.convert({**well, **rest, **found, "loads": all_loads}, Figures, strict=False, from_attributes=True)


def test_of_the_rounds_the_median_counts_and_nothing_that_must_not_happen_is_lost() -> None:
    one, other = (
        under("10×", of_most=0.9, lost_answers=1, told=1),
        under("10×", of_most=0.8, dispute_p99_ms=9, told=0.5),
    )
    both = together([one, other, under("10×", of_most=0.95, lost_answers=2)])
    assert (both.load, both.of_most, both.lost_answers, both.dispute_p99_ms, both.told) == ("10×", 0.9, 3, 9, 0.5)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (figures(under("10×", of_most=0.9)), True),
        (figures(under("10×", of_most=0.89)), False),
        (figures(under("1×", of_most=0.5, asked_per_s=1_000)), True),
        (figures(under("storm", of_most=0.5, asked_per_s=0)), False),
        (figures(under("10×", told=0.99)), False),
        (figures(under("10×", lost_answers=1)), False),
        (figures(under("10×", dispute_p99_ms=1_001)), False),
        (figures(under("10×"), refusal_us=101), False),
        (figures(under("10×"), rss_max_mb=251), False),
        (figures(under("10×"), files_after=47), False),
    ],
)
def test_what_is_promised_is_judged(found: Figures, kept: bool) -> None:
    assert all(promise.kept for promise in promises(found)) is kept
