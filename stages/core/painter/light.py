"""Colour and light: blending, shades, relief and shadows."""

import math

import numpy as np

from stages.core.painter.canvas import Canvas
from stages.core.painter.fields import blur, gradient, sample

WHITE = np.ones(3, np.float32)


# --- colour -----------------------------------------------------------------------------------


def flat(canvas: Canvas, colour: np.ndarray) -> np.ndarray:
    """An image of one colour (3,)."""
    return np.broadcast_to(np.float32(colour), (canvas.size, canvas.size, 3)).copy()


def mix(below: np.ndarray, over: np.ndarray | float, mask: np.ndarray) -> np.ndarray:
    """`over` laid on `below` where the mask is 1; each an image or a colour (3,)."""
    return below + mask[..., None] * (over - below)


def ramp(palette: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The palette (k, 3) as a continuous scale: t = 0 is its first colour, t = 1 its last."""
    shades = np.linspace(0, 1, 256) * (len(palette) - 1)
    table = np.stack([np.interp(shades, range(len(palette)), c) for c in palette.T], 1)
    return table.astype(np.float32)[np.uint8(np.clip(t, 0, 1) * 255)]


def lookup(palette: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The palette's colours by whole numbers, repeated after its length."""
    return palette[ids % len(palette)]


def vary(canvas: Canvas, palette: np.ndarray, ids: np.ndarray, spread: float) -> np.ndarray:
    """As `lookup`, each number in a shade and a palette entry of its own, drawn at random."""
    number = ids % 4096
    entry = canvas.rng.integers(0, len(palette), 4096)
    shades = palette[entry] + canvas.rng.normal(0, spread, (4096, 1)).astype(np.float32)
    return np.clip(shades, 0, 1)[number]


def tinted(image: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """An image or a colour made lighter and darker by a field about 0."""
    return np.clip(image * (1 + texture)[..., None], 0, 1)


def lift(colour: np.ndarray) -> np.ndarray:
    """The colour a little lighter, so that relief shows on it even if it is black."""
    return np.float32(0.14) + np.float32(0.83) * colour


# --- light ------------------------------------------------------------------------------------


def relief(
    canvas: Canvas,
    base: np.ndarray,
    height: np.ndarray,
    gloss: float = 0.0,
    ambient: float = 0.3,
) -> np.ndarray:
    """An image (or a colour) lit as a surface of the given height, in fractions of the side.

    A slope of about 1 (height / half a period) is strong. `gloss` in [0, 1] is the strength of
    Blinn-Phong highlights, `ambient` the light that reaches every slope.
    """
    gx, gy = gradient(height * np.float32(canvas.size))
    length = np.sqrt(1 + gx * gx + gy * gy)
    x, y, z = canvas.light
    shade = np.float32(ambient) + np.float32((1 - ambient) / z) * np.maximum(
        (z - x * gx - y * gy) / length, 0
    )
    lit = base * np.minimum(shade, np.float32(1.8))[..., None]
    if gloss:
        half = canvas.light + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        shine = np.maximum((half[2] - half[0] * gx - half[1] * gy) / length, 0)
        lit = lit + np.float32(gloss) * (shine**24)[..., None]
    return np.clip(lit, 0, 1)


def light_from_above(canvas: Canvas) -> None:
    """Turns the light to the upper side: lit from below, dents are seen as bumps."""
    canvas.light[1] = -abs(canvas.light[1])


def lamp(canvas: Canvas) -> tuple[float, float]:
    """The direction to the light in the picture's plane, of length 1."""
    x, y, _ = canvas.light.tolist()
    return x / math.hypot(x, y), y / math.hypot(x, y)


def shadowed(canvas: Canvas, image: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """The image with the shadow of what the mask covers, falling away from the light."""
    x, y = canvas.grid()
    lx, ly = lamp(canvas)
    return tinted(image, -0.6 * blur(sample(mask, x + reach * lx, y + reach * ly), reach / 2))
