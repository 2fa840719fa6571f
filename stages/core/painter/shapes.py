"""Shapes drawn into the picture: masks, drawings in colour, round bodies."""

from collections.abc import Iterable, Sequence
from math import tau
from typing import Any, NamedTuple

import cv2
import numpy as np

from stages.core.painter.canvas import Canvas, Real
from stages.core.painter.fields import headings, noise, turned, within
from stages.core.painter.lattices import Spots, points, specks
from stages.core.painter.light import mix, shadowed
from stages.core.painter.materials import backdrop

SUPERSAMPLING = 3  # shapes are drawn this many times larger, then averaged down


# --- masks ------------------------------------------------------------------------------------


def fixed_point(canvas: Canvas, positions: np.ndarray) -> np.ndarray:
    """Positions in [-1/2, 1/2] in sixteenths of a supersampled pixel, as OpenCV's shift=4."""
    pixels = (np.asarray(positions, np.float64) + 0.5) * canvas.size * SUPERSAMPLING - 0.5
    return np.rint(pixels * 16).astype(np.int32)


def _radii(canvas: Canvas, radii: np.ndarray) -> list[int]:
    """Radii in the same unit, at least 1."""
    fine = np.rint(radii * (canvas.size * SUPERSAMPLING * 16))
    return np.maximum(1, fine).astype(int).tolist()


def _large(canvas: Canvas, *channels: int) -> np.ndarray:
    return np.zeros((canvas.size * SUPERSAMPLING, canvas.size * SUPERSAMPLING, *channels), np.uint8)


def _average(canvas: Canvas, large: np.ndarray) -> np.ndarray:
    return cv2.resize(large, (canvas.size,) * 2, interpolation=cv2.INTER_AREA) / np.float32(255)


def strokes(
    canvas: Canvas,
    lines: Iterable[np.ndarray],
    width: Real | Sequence[float] | np.ndarray,
    levels: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Antialiased mask of polylines, each (k, 2) x, y; one width for all or one each.

    `levels` in [0, 1], one a line, are the mask's values along it; later lines lie on top.
    """
    lines = list(lines)
    thickness = np.rint(np.asarray(width) * canvas.size * SUPERSAMPLING).astype(int).clip(1)
    shades = np.rint(255 * np.asarray(1.0 if levels is None else levels)).astype(int)
    large = _large(canvas)
    if not lines:
        return _average(canvas, large)
    ends = np.cumsum([len(line) for line in lines])[:-1]
    paths = np.split(fixed_point(canvas, np.concatenate(lines)), ends)
    if thickness.ndim == shades.ndim == 0:
        groups = [(paths, int(thickness), int(shades))]
    else:
        each = (np.broadcast_to(a, len(lines)).tolist() for a in (thickness, shades))
        groups = list(zip(([path] for path in paths), *each, strict=True))
    for group, thick, shade in groups:
        cv2.polylines(large, group, False, shade, thick, cv2.LINE_8, 4)
    return _average(canvas, large)


def polygons(
    canvas: Canvas,
    outlines: Iterable[np.ndarray],
    levels: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Antialiased mask of filled polygons, each (k, 2) x, y; `levels` as in `strokes`."""
    large = _large(canvas)
    for index, outline in enumerate(outlines):
        level = 255 if levels is None else round(255 * float(levels[index]))
        cv2.fillPoly(large, [fixed_point(canvas, outline)], level, cv2.LINE_8, 4)
    return _average(canvas, large)


def discs(canvas: Canvas, centres: np.ndarray, radii: float | np.ndarray) -> np.ndarray:
    """Antialiased mask of discs at centres (n, 2); one radius for all or one each."""
    large = _large(canvas)
    middles = fixed_point(canvas, centres).tolist()
    reach = _radii(canvas, np.broadcast_to(radii, len(centres)))
    for middle, radius in zip(middles, reach, strict=True):
        cv2.circle(large, middle, radius, 255, -1, cv2.LINE_8, 4)
    return _average(canvas, large)


def blob(canvas: Canvas, centre: Sequence[float], radius: float, rough: float) -> np.ndarray:
    """A closed wobbly outline (48, 2) about a centre; `rough` is the relative wobble."""
    angles = np.linspace(0, tau, 48, endpoint=False)
    waves = np.arange(2, 7)[:, None]
    phases = canvas.rng.uniform(0, tau, (5, 1))
    wobble = (np.cos(waves * angles + phases) * canvas.rng.normal(0, 1, (5, 1)) / waves).sum(0)
    reach = radius * np.clip(1 + rough * wobble, 0.2, 3)
    return reach[:, None] * headings(angles) + np.asarray(centre)


def curls(
    canvas: Canvas, count: int, length: float, heading: np.ndarray, spread: float, curl: float
) -> np.ndarray:
    """Curved hairs (count, 9, 2) from random starts; angles in radians, heading (count, 1)."""
    draw = canvas.rng.normal
    t = np.linspace(0, 1, 9)
    bend = draw(0, curl, (count, 1)) * (t - 0.5)
    swing = draw(0, curl / 2, (count, 1)) * np.sin(tau * t + draw(0, 3, (count, 1)))
    angles = heading + draw(0, spread, (count, 1)) + bend + swing
    lengths = length * canvas.rng.uniform(0.5, 1.5, (count, 1)) / 8
    steps = lengths[..., None] * headings(angles)
    lines = np.cumsum(steps, 1)
    return canvas.rng.uniform(-0.55, 0.55, (count, 1, 2)) + lines - lines[:, 4:5]


# --- drawings in colour -----------------------------------------------------------------------


def clear_sheet(canvas: Canvas) -> np.ndarray:
    """A clear sheet (3 size, 3 size, 4) uint8 to draw on with OpenCV in RGBA, then to `lay`."""
    return _large(canvas, 4)


def inks(colours: np.ndarray) -> list[list[float]]:
    """Colours (n, 3) as OpenCV takes them, opaque."""
    opaque = np.pad(np.clip(colours, 0, 1), ((0, 0), (0, 1)), constant_values=1)
    return (255 * opaque).tolist()


def draw_discs(
    canvas: Canvas, sheet: np.ndarray, centres: np.ndarray, radii: np.ndarray, colours: np.ndarray
) -> None:
    """Draws discs at centres (n, 2), each in its own colour (n, 3), on a sheet."""
    middles = fixed_point(canvas, centres).tolist()
    for middle, radius, ink in zip(middles, _radii(canvas, radii), inks(colours), strict=True):
        cv2.circle(sheet, middle, radius, ink, -1, cv2.LINE_8, 4)


def lay(canvas: Canvas, below: np.ndarray, sheet: np.ndarray, shadow: float = 0.0) -> np.ndarray:
    """The sheet laid on an image; `shadow` is how far the shadow falls, fraction of the side."""
    small = _average(canvas, sheet)
    alpha = small[..., 3]
    if shadow:
        below = shadowed(canvas, below, alpha, shadow)
    return below * (1 - alpha)[..., None] + small[..., :3]


def strew(
    canvas: Canvas,
    image: np.ndarray,
    colour: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    radius: tuple[float, float],
    soft: float = 0.0,
    faint: float = 0.6,
    **shape: Any,
) -> np.ndarray:
    """The image with specks in a colour, each at least `faint` opaque; `shape` as in `specks`."""
    depth, ids = specks(canvas, u, v, period, radius, **shape)
    return mix(image, colour, within(canvas, depth, period, soft) * canvas.table(faint, 1)[ids])


# --- round bodies -----------------------------------------------------------------------------


class Globes(NamedTuple):
    """Round things, later ones on top: Spots in radii, height in fractions of the side, mask."""

    spots: Spots
    height: np.ndarray
    mask: np.ndarray


def _spheres(
    canvas: Canvas,
    centres: np.ndarray,
    radii: np.ndarray | float,
    long: float = 1.0,
    lifts: np.ndarray | None = None,
) -> Globes:
    """Spheres, or ellipsoids up to `long` times as long as wide, at centres (n, 2).

    With `lifts` (n,), heights of the centres, the one nearest to the eye shows, not the last.
    """
    size = canvas.size
    x = canvas.grid()[0][0]
    across, down, height, mask, front = np.zeros((5, size, size), np.float32)
    ids = np.zeros((size, size), np.intp)
    across += 2
    radii = np.broadcast_to(np.asarray(radii, np.float32), len(centres))
    turns = canvas.rng.uniform(0, np.pi, len(centres))
    longs = canvas.rng.uniform(1, long, len(centres)) if long > 1 else np.ones(len(centres))
    reach = (radii * longs + canvas.pixel)[:, None]
    starts = np.clip((centres - reach + 0.5) * size, 0, size).astype(int).tolist()
    stops = np.clip((centres + reach + 0.5) * size + 1, 0, size).astype(int).tolist()
    for number, ((cx, cy), radius) in enumerate(zip(centres.tolist(), radii.tolist(), strict=True)):
        (left, top), (right, bottom) = starts[number], stops[number]
        if left >= right or top >= bottom:
            continue
        window = np.s_[top:bottom, left:right]
        dx, dy = (x[None, left:right] - cx) / radius, (x[top:bottom, None] - cy) / radius
        if long > 1:
            dx, dy = turned(dx, dy, turns[number])
            dx = dx / float(longs[number])
        square = dx * dx + dy * dy
        inside = square < 1
        tall = radius * np.sqrt(np.maximum(1 - square, 0))
        if lifts is not None:
            inside &= tall + lifts[number] > front[window]
            np.copyto(front[window], tall + lifts[number], where=inside)
        soft = np.clip((1 - square) * (radius * size / 2) + 0.5, 0, 1)
        np.maximum(mask[window], soft, out=mask[window])
        for target, value in ((across, dx), (down, dy), (height, tall), (ids, number)):
            np.copyto(target[window], value, where=inside)
    return Globes(Spots(across, down, ids & 4095), height, mask)


def pile(canvas: Canvas, spacing: float, long: float, fill: float) -> Globes:
    """Spheres or ellipsoids heaped close together, `spacing` apart."""
    centres = points(canvas, spacing, jitter=0.5, hexagonal=True, margin=spacing)
    radii = spacing * canvas.rng.uniform(0.85 * fill, 1.1 * fill, len(centres))
    lifts = canvas.rng.uniform(0, 0.6 * spacing, len(centres)).astype(np.float32)
    return _spheres(canvas, centres, radii, long, lifts)


def crowd(canvas: Canvas, count: int, low: float, high: float) -> Globes:
    """Spheres of radii from low to high, most of them small, over the whole picture."""
    radii = low * (high / low) ** (canvas.rng.random(count) ** 2)
    centres = canvas.rng.uniform(-0.55, 0.55, (count, 2))
    order = np.argsort(radii) if canvas.chance(0.5) else np.arange(count)
    return _spheres(canvas, centres[order], radii[order])


def crevices(globes: Globes) -> np.ndarray:
    """How much light reaches heaped globes: less towards their edges, hardly any between."""
    far = np.minimum(globes.spots.far, 1)
    return (1 - 0.8 * far**8) * globes.mask


def globe(canvas: Canvas, aside: float, radius: tuple[float, float], long: float) -> Globes:
    """One sphere or ellipsoid, its centre at most `aside` from the middle along either axis."""
    centre = canvas.rng.uniform(-aside, aside, (1, 2))
    return _spheres(canvas, centre, canvas.uniform(*radius), long)


class Body(NamedTuple):
    """What carries a texture: coordinates on it, its own height, its mask (None: it fills all)."""

    u: np.ndarray
    v: np.ndarray
    height: np.ndarray
    mask: np.ndarray | None

    def before(self, canvas: Canvas, image: np.ndarray) -> np.ndarray:
        """The image of the body before a background."""
        return image if self.mask is None else mix(backdrop(canvas), image, self.mask)


def pick_body(canvas: Canvas, long: float = 1.0, swell: float = 0.4) -> Body:
    """A ball, fruit or egg that nearly fills the picture, or a gently rolling surface."""
    x, y = canvas.grid()
    if canvas.chance(0.45):
        return Body(x, y, canvas.uniform(0.01, 0.06) * noise(canvas, 0.7), None)
    globes = globe(canvas, 0.15, (0.42, 0.85), long)
    swollen = 1 + swell * np.minimum(globes.spots.far, 1) ** 2
    return Body(x * swollen, y * swollen, 0.85 * globes.height, globes.mask)
