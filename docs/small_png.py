"""A picture of a page as a PNG of 256 colours: a third of the bytes, and nobody sees which."""

import base64
import struct
import zlib
from collections import Counter

from playwright.async_api import Browser

COLOURS = 256
_PIXELS = """
  async (png) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, image.width, image.height).data;
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return [image.width, image.height, btoa(text)];
  }
"""


async def smaller(png: bytes, opened: Browser) -> bytes:
    """The same picture, opaque, in its most frequent colours; each of the others is the nearest of these."""
    page = await opened.new_page()
    try:
        width, height, told = await page.evaluate(_PIXELS, base64.b64encode(png).decode())
    finally:
        await page.close()
    pixels = memoryview(base64.b64decode(told)).cast("I")
    counted = Counter(pixels)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    parts = [_parts(colour) for colour in palette]
    places = {colour: _nearest(_parts(colour), parts) for colour in counted}
    places |= {colour: place for place, colour in enumerate(palette)}
    lines = bytes(map(places.__getitem__, pixels))
    rows = b"".join(b"\0" + lines[at : at + width] for at in range(0, len(lines), width))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(part for each in parts for part in each)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _parts(colour: int) -> tuple[int, int, int]:
    """Red, green and blue, of four bytes as this machine has them in a number."""
    red, green, blue, _ = struct.pack("=I", colour)
    return red, green, blue


def _nearest(colour: tuple[int, int, int], palette: list[tuple[int, int, int]]) -> int:
    def distance(place: int) -> int:
        return sum((one - other) ** 2 for one, other in zip(colour, palette[place], strict=True))

    return min(range(len(palette)), key=distance)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
