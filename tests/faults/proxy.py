"""A line between two peers that can be bad: refused, cut, slow, late, half open, or silent. TCP over asyncio.

    line = Proxy(upstream=("127.0.0.1", 8080))
    await line.start()            # dial line.port instead
    line.strike(Weather(delay_s=0.2))
    line.heal()

When the dialling side has gone, what is still on its way is dropped: nobody gets a request of a sender who is no more.
"""

import asyncio
import socket
import struct
from collections import deque
from typing import NamedTuple

SLICE_S = 0.05
"""A slow line passes something on so often."""
_RESET = struct.pack("ii", 1, 0)


class Weather(NamedTuple):
    """How the line is; the connections that are there suffer what those do that are made now."""

    refuses: bool = False
    """Connections are reset, those that are dialled and those that were there."""
    reset_after: int | None = None
    """A connection is reset when so many bytes more have come from the dialling side; the rest does not get through."""
    loses_answers: bool = False
    """A connection is reset when the dialled side answers, and the answer is lost."""
    delay_s: float = 0.0
    """Each way."""
    bytes_per_s: float | None = None
    """Each way, of each connection."""
    half_open: bool = False
    """The dialled side is gone, and the dialling side is not told."""
    swallows: bool = False
    """Nothing comes through, and nobody is told."""


CALM = Weather()


class Proxy:
    def __init__(self, upstream: tuple[str, int] | None = None, host: str = "127.0.0.1") -> None:
        self._host = host
        self.upstream = upstream
        """Where it leads; None: to nobody. May change; connections that are there stay."""
        self.weather = CALM
        self.port = 0
        self.bytes = 0
        """Passed on, both ways."""
        self.hit = 0
        """Connections that suffered."""
        self._lines: set[_Line] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self).near, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for line in tuple(self._lines):
            line.cut()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports that were aborted are closed by the loop's next turn

    def strike(self, weather: Weather) -> None:
        self.weather = weather
        for line in tuple(self._lines):
            line.suffer()

    def heal(self) -> None:
        """What was broken is not mended: a connection that has lost something is reset."""
        self.weather = CALM
        for line in tuple(self._lines):
            if line.is_broken:
                line.cut()
            else:
                line.suffer()

    def opened(self, line: "_Line") -> None:
        self._lines.add(line)
        task = asyncio.get_running_loop().create_task(line.dial(self.leads_to(line.dialler)))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def closed(self, line: "_Line") -> None:
        self._lines.discard(line)

    def leads_to(self, _dialler: str) -> tuple[str, int] | None:
        """Where a connection from that address goes."""
        return self.upstream

    def lets_pass(self, *, is_asking: bool) -> bool:
        """Asked of each piece that comes from the dialling side, or from the dialled one."""
        return True

    def cut(self, dialler: str) -> None:
        """The connections from that address; what is still on its way in them is dropped."""
        for line in tuple(self._lines):
            if line.dialler == dialler:
                line.cut()


class _Line:
    """One connection: the side that dialled us, the side that we dialled, and what is on its way between them."""

    def __init__(self, proxy: Proxy) -> None:
        self.near, self.far = _Side(self), _Side(self)
        self.is_broken = False
        self.dialler = ""
        """The address of the dialling side."""
        self._proxy = proxy
        self._budget: int | None = None
        """Bytes from the near side that still get through."""
        self._is_over = False

    def opened(self, dialler: str) -> None:
        self.dialler = dialler
        self._proxy.opened(self)
        self.suffer()

    async def dial(self, upstream: tuple[str, int] | None) -> None:
        try:
            if upstream is None:
                raise ConnectionRefusedError
            await asyncio.get_running_loop().create_connection(lambda: self.far, *upstream)
        except OSError:
            self.cut()
            return
        if self._is_over or self._proxy.weather.half_open:
            self.far.abort()

    def suffer(self) -> None:
        """Of what the weather is now."""
        weather = self._proxy.weather
        self._budget = weather.reset_after
        if weather.refuses:
            self._hit()
            self.cut()
        elif weather.half_open and not self.is_broken:
            self._hit()
            self.far.abort()

    def carry(self, sender: "_Side", data: bytes) -> None:
        weather, is_asking = self._proxy.weather, sender is self.near
        if self.is_broken or not self._proxy.lets_pass(is_asking=is_asking):
            return
        if weather.swallows:
            self._hit()
            return
        if weather.loses_answers and not is_asking:
            self._hit()
            self.cut()
            return
        if self._budget is not None and is_asking:
            data, self._budget = data[: self._budget], self._budget - len(data)
        self._proxy.bytes += len(data)
        receiver = self.far if is_asking else self.near
        receiver.pass_on(data, weather)
        if self._budget is not None and self._budget <= 0:
            self._hit()
            self.cut()

    def ended(self, side: "_Side") -> None:
        if side is self.near:
            self.cut()
        elif not self.is_broken:  # otherwise the near side is not told
            self.near.finish()

    def cut(self) -> None:
        self._is_over = True
        self.near.abort()
        self.far.abort()
        self._proxy.closed(self)

    def _hit(self) -> None:
        self._proxy.hit += not self.is_broken
        self.is_broken = True


class _Side(asyncio.Protocol):
    """One end of a line. What comes before it is connected, or is late, waits here."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None
        self._late: deque[tuple[float, bytes]] = deque()
        """When each may be passed on, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._gone = self._finishing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] - uvloop's is one without saying so
        if self._gone:
            transport.abort()  # type: ignore[attr-defined]
        elif self is self._line.near:
            self._line.opened((transport.get_extra_info("peername") or ("",))[0])
        else:
            self._flush()

    def data_received(self, data: bytes) -> None:
        self._line.carry(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._line.ended(self)

    def pass_on(self, data: bytes, weather: Weather) -> None:
        """Send it to this side, as fast as the weather lets it."""
        now = asyncio.get_running_loop().time()
        at = max(now + weather.delay_s, self._late[-1][0] if self._late else 0)
        if weather.bytes_per_s is None:
            slices = [data]
        else:
            size = max(1, int(weather.bytes_per_s * SLICE_S))
            slices = [data[start : start + size] for start in range(0, len(data), size)]
        for each in slices:
            at += SLICE_S if weather.bytes_per_s is not None else 0
            self._late.append((at, each))
        self._flush()

    def finish(self) -> None:
        """Close it once all has been sent."""
        self._finishing = True
        self._flush()

    def abort(self) -> None:
        """Reset it; what is late is dropped."""
        self._gone = True
        self._late.clear()
        self._stop_timer()
        if self._transport is not None and not self._transport.is_closing():
            if (connected := self._transport.get_extra_info("socket")) is not None:
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop_timer()
        if self._transport is None or self._gone:
            return
        while self._late and self._late[0][0] <= loop.time():
            self._transport.write(self._late.popleft()[1])
        if self._late:
            self._timer = loop.call_at(self._late[0][0], self._flush)
        elif self._finishing:
            self._transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
