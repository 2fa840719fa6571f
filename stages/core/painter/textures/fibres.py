"""Hair and fibres: fibrous, matted."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, HAIRS, Canvas
from stages.core.painter.fields import blur, fibres, flow, noise, sample, turned
from stages.core.painter.light import lift, ramp, relief
from stages.core.painter.shapes import curls, strokes

# --- what both share --------------------------------------------------------------------------


def _tones(colour: np.ndarray, dark: float) -> np.ndarray:
    """The colour (3, 3) in shadow, in half light and in full light."""
    tones = lift(colour) * np.array([[dark], [0.8], [1.25]], np.float32)
    tones[2] += np.float32(0.3) * (1 - tones[2])
    return np.clip(tones, 0, 1)


def _hair(
    canvas: Canvas, lines: np.ndarray, width: float | np.ndarray, hues: np.ndarray, deep: np.ndarray
) -> np.ndarray:
    """An image of hairs over one another, in shades from the first hue to the last.

    `deep` is the field of shades in [0, 1] that shows between them.
    """
    levels = canvas.rng.beta(2, 2, len(lines)) * np.linspace(0.7, 1.1, len(lines))
    mask = strokes(canvas, lines, width, np.clip(levels, 0.05, 1))
    return ramp(hues, np.maximum(mask, deep))


# --- fibrous ----------------------------------------------------------------------------------


def fibrous(canvas: Canvas) -> np.ndarray:
    """Long thin fibres side by side: husk, wood, hair, muscle, stems, wool."""
    kind = canvas.pick("grain", "husk", "husk", "hair", "hair", "fan")
    names = (*EARTHS, "white", "green", "red", "orange", "silver", "black", "olive", "lime")
    hues = _tones(canvas.colour(*names), canvas.uniform(0.15, 0.45))
    if canvas.chance(0.2):
        hues[1:] = canvas.colours(2, *names, contrast=20)
    u, v = canvas.coordinates(perspective=0.4, warp=0.05)
    u = u + flow(canvas, 0.35, canvas.uniform(0, 0.02))[0]
    if kind == "fan":
        far = np.float32(canvas.uniform(0.6, 1.2))
        u, v = np.arctan2(u, v + far) * far, np.hypot(u, v + far) - far
    fine = canvas.uniform(0.006, 0.012)
    field = fibres(canvas, fine, canvas.uniform(0.3, 1.2))
    field += np.float32(canvas.uniform(0.3, 0.9)) * fibres(canvas, 5 * fine, 1.0)
    field = sample(field, u * np.float32(0.55), v * np.float32(0.55))
    if kind in ("grain", "fan"):
        image = ramp(hues, np.float32(0.45) + np.float32(0.2) * field)
        return relief(canvas, image, np.float32(0.4 * fine) * field, gloss=canvas.uniform(0, 0.2))
    count = canvas.integer(400, 600)
    heading = np.full((count, 1), canvas.orientation())
    spread, curl = (canvas.uniform(0.1, 0.4), 0.6) if kind == "husk" else (0.08, 0.3)
    lines = curls(canvas, count, canvas.uniform(0.4, 0.9), heading, spread, curl)
    widths = canvas.rng.uniform(0.002, canvas.uniform(0.006, 0.011), count)
    return _hair(canvas, lines, widths, hues, np.float32(0.22) + np.float32(0.12) * field)


# --- matted -----------------------------------------------------------------------------------


def matted(canvas: Canvas) -> np.ndarray:
    """Hair, wool or grass tangled into a thick mass."""
    kind = canvas.pick("fur", "fur", "felt", "locks", "locks", "tangle")
    names = (*HAIRS, "white", "cream", "olive") if canvas.chance(0.8) else ()
    hues = _tones(canvas.colour(*names), canvas.uniform(0.15, 0.4))
    count, length, spread, curl = {
        "fur": (700, 0.14, 0.35, 0.8),
        "felt": (700, 0.12, 3.0, 2.5),
        "locks": (90, 0.6, 0.3, 1.0),
        "tangle": (330, 0.4, 3.0, 3.5),
    }[kind]
    lie = np.full((count, 1), canvas.uniform(0, tau))
    lines = curls(canvas, count, length * canvas.uniform(0.7, 1.5), lie, spread, curl)
    if kind in ("fur", "locks"):  # clumps that lie each its own way
        lines = _clumped(canvas, lines)
    fuzz = noise(canvas, 0.025, 3)
    clumps = noise(canvas, canvas.uniform(0.08, 0.25), 3)
    deep = np.clip(np.float32(0.25) + np.float32(0.12) * fuzz, 0, 1)
    if kind == "locks":
        lines, ropes = _locks(canvas, lines)
        deep = ropes * (1 + np.float32(0.3) * fuzz)
    widths = canvas.rng.uniform(0.002, canvas.uniform(0.005, 0.008), len(lines))
    image = _hair(canvas, lines, widths, hues, deep)
    return relief(canvas, image, np.float32(0.012) * clumps)


def _clumped(canvas: Canvas, lines: np.ndarray) -> np.ndarray:
    """The hairs turned about their middles, neighbours alike: clumps that lie each its own way."""
    waves, phases = canvas.rng.normal(0, 7, (2, 3)), canvas.rng.uniform(0, 6, 3)
    middle = lines[:, 4:5]
    turn = np.sin(middle @ waves + phases).sum(-1, keepdims=True) * canvas.uniform(0.3, 0.8)
    x, y = np.split(lines - middle, 2, -1)
    return middle + np.concatenate(turned(x, y, -turn), -1)


def _locks(canvas: Canvas, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two stray hairs beside each line, and the field of thick rounded ropes along the lines."""
    count, thick = len(lines), canvas.uniform(0.04, 0.1)
    lines = lines + np.cumsum(canvas.rng.normal(0, 0.1 * thick, lines.shape), 1)
    stack = np.repeat(lines, 4, 0)
    widths = np.tile(thick * np.array([1.1, 0.9, 0.6, 0.3]), count)
    ropes = strokes(canvas, stack, widths, np.tile([0.08, 0.4, 0.58, 0.72], count))
    strays = canvas.rng.normal(0, 0.35 * thick, (count, 2, 1, 2))
    hairs = (lines[:, None] + strays).reshape(-1, 9, 2)
    hairs = hairs + canvas.rng.normal(0, 0.004, hairs.shape)
    return hairs, blur(ropes, 0.08 * thick)


PAINTERS = {
    "fibrous": fibrous,
    "matted": matted,
}
