"""Small pictures of numbers for the HTML view of a result, without a drawing library: curves as SVG, maps as
PNG (ISO/IEC 15948)."""
from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

WIDTH, HEIGHT, PAD = 260, 130, 6             # of a picture of curves, in pixels
MAP_PIXELS = 200                             # the longer side of a map
MOST_POINTS = 400                            # of a curve
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D00", "#222222")
# nine stops of the map "cividis", monotone in lightness
STOPS = np.array([(0, 34, 78), (25, 55, 111), (64, 77, 108), (94, 97, 110), (123, 120, 119), (155, 145, 118),
                  (189, 172, 107), (224, 201, 84), (254, 232, 56)], float)
MASKED = (225, 225, 225)


def curves(lines: Sequence[tuple[ArrayLike, ArrayLike]]) -> str:
    """SVG of curves (x, y) in one frame; numbers that are not finite interrupt a curve. Empty where there is
    nothing to draw.

    Examples
    --------
    >>> from fpkit.core.views.pictures import curves
    >>> curves([([0, 1, 2], [0, 1, 4])]).count("<polyline")
    1
    >>> curves([([0, 1], [np.nan, np.nan])])
    ''
    """
    pairs = [(np.asarray(x, float), np.asarray(y, float)) for x, y in lines]
    points = [np.stack([x, y], 1)[np.isfinite(x) & np.isfinite(y)] for x, y in pairs]
    if not any(len(p) > 1 for p in points):
        return ""
    every = np.concatenate(points)
    low, span = every.min(0), np.ptp(every, 0)
    span[span == 0] = 1.0
    drawn = []
    for k, (x, y) in enumerate(pairs):
        for piece in _pieces(x, y):
            at = (piece[:: max(1, len(piece) // MOST_POINTS)] - low) / span
            px = PAD + at[:, 0] * (WIDTH - 2 * PAD)
            py = HEIGHT - PAD - at[:, 1] * (HEIGHT - 2 * PAD)
            drawn.append(f'<polyline fill="none" stroke="{COLOURS[k % len(COLOURS)]}" stroke-width="1.6" '
                         'points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py)) + '"/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fafafa" stroke="#dddddd"/>'
            + "".join(drawn) + "</svg>")


def _pieces(x, y):
    """Parts of a curve without a gap, at least two points each."""
    good = np.isfinite(x) & np.isfinite(y)
    cuts = np.flatnonzero(np.diff(good.astype(int))) + 1
    parts = zip(np.split(np.stack([x, y], 1), cuts), np.split(good, cuts))
    return [piece for piece, ok in parts if ok.any() and len(piece) > 1]


def colour_map(values: ArrayLike) -> str:
    """HTML image of values (nx, ny), x to the right and y upwards; grey where they are not finite. Empty
    where nothing is.

    Examples
    --------
    >>> from fpkit.core.views.pictures import colour_map
    >>> colour_map(np.eye(3))[:32]
    '<img src="data:image/png;base64,'
    """
    values = np.asarray(values, float)
    steps = [max(1, n // MAP_PIXELS) for n in values.shape]
    values = values[:: steps[0], :: steps[1]]
    known = np.isfinite(values)
    if not known.any():
        return ""
    low, high = values[known].min(), values[known].max()
    at = np.zeros(values.shape)
    at[known] = (values[known] - low) / ((high - low) or 1.0) * (len(STOPS) - 1)
    k = np.minimum(at.astype(int), len(STOPS) - 2)
    colours = STOPS[k] + (at - k)[..., None] * (STOPS[k + 1] - STOPS[k])
    colours[~known] = MASKED
    pixels = np.ascontiguousarray(colours.round().astype(np.uint8).transpose(1, 0, 2)[::-1])
    scale = MAP_PIXELS / max(pixels.shape[:2])
    high, wide = (max(1, round(n * scale)) for n in pixels.shape[:2])
    return (f'<img src="data:image/png;base64,{base64.b64encode(_png(pixels)).decode()}" width="{wide}" '
            f'height="{high}" style="image-rendering:pixelated" alt="map of the values"/>')


def _png(pixels):
    """A PNG file of pixels (rows, columns, 3), uint8."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows, columns = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 6))
            + chunk(b"IEND", b""))
