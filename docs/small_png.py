"""A picture of a page as a PNG of 256 colours: a third of the bytes, and nobody sees which."""

import base64
import struct
import zlib
from collections import Counter

from playwright.async_api import Browser

COLOURS = 256
_SAME = 16
"""As the sum of the squares of what red, green and blue differ by."""
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
    """The same, opaque, in its most frequent colours that differ; each of the others is the nearest of these."""
    page = await opened.new_page()
    try:
        width, height, told = await page.evaluate(_PIXELS, base64.b64encode(png).decode())
    finally:
        await page.close()
    pixels = memoryview(base64.b64decode(told)).cast("I")
    counted = Counter(pixels)
    palette = _palette([_parts(colour) for colour, _ in counted.most_common()])
    places = {colour: _nearest(_parts(colour), palette)[1] for colour in counted}
    lines = bytes(map(places.__getitem__, pixels))
    rows = b"".join(b"\0" + lines[at : at + width] for at in range(0, len(lines), width))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(part for each in palette for part in each)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


_Colour = tuple[int, int, int]


def _parts(colour: int) -> _Colour:
    """Red, green and blue, of four bytes as this machine has them in a number."""
    red, green, blue, _ = struct.pack("=I", colour)
    return red, green, blue


def _palette(colours: list[_Colour]) -> list[_Colour]:
    """The first so many of these that are not as good as the same as one before."""
    palette = colours[:1]
    for colour in colours:
        if len(palette) < COLOURS and _nearest(colour, palette)[0] > _SAME:
            palette.append(colour)
    return palette


def _nearest(colour: _Colour, palette: list[_Colour]) -> tuple[int, int]:
    """How far it is from the nearest, and the place of that one."""
    red, green, blue = colour
    return min(((red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2, place) for place, (r, g, b) in enumerate(palette))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
