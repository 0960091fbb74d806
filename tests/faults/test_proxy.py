"""The line that the faults of the network are made with: what each kind of weather does to who is on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.proxy import Proxy, Weather
from tests.running import PATIENCE_S


class Line:
    """A peer that answers each line with itself, and a proxy before it."""

    def __init__(self) -> None:
        self.heard = b""
        self.proxy = Proxy()
        self.lost = asyncio.Event()
        """Set when the peer has been left."""
        self._writers: list[asyncio.StreamWriter] = []

    async def peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while data := await reader.read(1000):
                self.heard += data
                writer.write(data)
        except OSError:
            pass
        self.lost.set()
        writer.transport.abort()

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        self._writers.append(writer)
        return reader, writer

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    async with _peer(made) as port, asyncio.timeout(PATIENCE_S):
        made.proxy.upstream = ("127.0.0.1", port)
        await made.proxy.start()
        yield made
        made.hang_up()
        await made.proxy.stop()


@asynccontextmanager
async def _peer(line: Line) -> AsyncIterator[int]:
    async with await asyncio.start_server(line.peer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bool:
    """Whether it came back; not when the line was reset."""
    try:
        writer.write(text)
        return await reader.readexactly(len(text)) == text
    except (OSError, asyncio.IncompleteReadError):
        return False


async def test_in_calm_weather_all_comes_through(line: Line):
    assert await echoed(*await line.dial(), b"hello")


async def test_a_line_that_refuses_resets_what_was_there_and_what_is_dialled_until_it_heals(line: Line):
    there = await line.dial()
    assert await echoed(*there, b"hello")
    line.proxy.strike(Weather(refuses=True))
    assert not await echoed(*there, b"hello")
    assert not await echoed(*await line.dial(), b"hello")
    line.proxy.heal()
    assert await echoed(*await line.dial(), b"hello")


async def test_a_line_is_reset_after_so_many_bytes_and_no_more_of_them_get_through(line: Line):
    line.proxy.strike(Weather(reset_after=3))
    assert not await echoed(*await line.dial(), b"hello")
    await line.lost.wait()
    assert line.heard in (b"", b"hel")  # what was passed on may be lost by the reset


async def test_what_a_line_let_through_before_it_healed_is_not_held_against_it(line: Line):
    there = await line.dial()
    line.proxy.strike(Weather(reset_after=8))
    assert await echoed(*there, b"hello")
    line.proxy.heal()
    assert await echoed(*there, b"hello")


async def test_an_answer_is_lost_after_the_question_was_heard(line: Line):
    line.proxy.strike(Weather(loses_answers=True))
    assert not await echoed(*await line.dial(), b"hello")
    assert line.heard == b"hello"


async def test_on_a_late_line_each_way_takes_so_long(line: Line):
    loop = asyncio.get_running_loop()
    line.proxy.strike(Weather(delay_s=0.05))
    began = loop.time()
    assert await echoed(*await line.dial(), b"hello")
    assert loop.time() - began >= 0.1


async def test_on_a_slow_line_bytes_come_at_its_rate(line: Line):
    loop = asyncio.get_running_loop()
    line.proxy.strike(Weather(bytes_per_s=1_000))
    began = loop.time()
    assert await echoed(*await line.dial(), b"x" * 200)
    assert loop.time() - began >= 0.2


@pytest.mark.parametrize("weather", [Weather(swallows=True), Weather(half_open=True)])
async def test_who_is_swallowed_is_told_nothing_until_it_heals_and_is_then_reset(line: Line, weather: Weather):
    reader, writer = await line.dial()
    assert await echoed(reader, writer, b"hello")
    line.proxy.strike(weather)
    writer.write(b"again")
    reading = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait([reading], timeout=0.1)
    assert not done
    assert line.heard == b"hello"
    line.proxy.heal()
    with pytest.raises(ConnectionResetError):
        await reading


async def test_with_a_half_open_line_the_dialled_side_is_gone(line: Line):
    reader, writer = await line.dial()
    assert await echoed(reader, writer, b"hello")
    line.proxy.strike(Weather(half_open=True))
    await line.lost.wait()


async def test_who_dialled_and_has_gone_is_not_heard_any_more(line: Line):
    line.proxy.strike(Weather(delay_s=0.05))
    _, writer = await line.dial()
    writer.write(b"hello")
    await writer.drain()
    writer.transport.abort()
    await line.lost.wait()
    assert line.heard == b""
