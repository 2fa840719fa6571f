"""Building blocks of the painters: noise, cells, points, strokes, relief and blending.

A field is a (size, size) float32 array, an image (size, size, 3) float32 in [0, 1], a mask a field
in [0, 1]. Lengths are fractions of the image's side unless said otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stages.core.painter.canvas import Canvas

SUPERSAMPLING = 3  # strokes are drawn this many times larger, then averaged down


# --- fields ---------------------------------------------------------------------------------


def enlarge(grid: np.ndarray, size: int) -> np.ndarray:
    """A coarse grid (rows, columns[, channels]) as a smooth field over the whole image."""
    rows, columns = grid.shape[:2]
    if max(rows, columns) > size:  # cubic interpolation would skip cells along that side
        fitting = (min(columns, size), min(rows, size))
        grid = cv2.resize(grid, fitting, interpolation=cv2.INTER_AREA)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def noise(
    canvas: Canvas, period: float | tuple[float, float], octaves: int = 1, gain: float = 0.5
) -> np.ndarray:
    """Fractal value noise of zero mean and unit deviation; (period_x, period_y) stretches it.

    Each octave halves the period and multiplies the amplitude by `gain`.
    """
    period_x, period_y = period if isinstance(period, tuple) else (period, period)
    total = np.zeros((canvas.size, canvas.size), np.float32)
    for octave in range(octaves):
        columns = min(int(np.ceil(2**octave / period_x)) + 1, 256)
        rows = min(int(np.ceil(2**octave / period_y)) + 1, 256)
        grid = canvas.rng.standard_normal((rows, columns), dtype=np.float32)
        total += np.float32(gain**octave) * enlarge(grid, canvas.size)
    return (total - total.mean()) / (total.std() + np.float32(1e-6))


def grain(canvas: Canvas, strength: float = 0.05, softness: float = 0.0) -> np.ndarray:
    """Fine random grain of zero mean and deviation `strength`, to add to an image or height.

    `softness` is the deviation of a Gaussian blur, as a fraction of the side.
    """
    field = enlarge(canvas.rng.standard_normal((192, 192), dtype=np.float32), canvas.size)
    if softness:
        field = blur(field, softness)
    return field * np.float32(strength / (field.std() + 1e-6))


def blur(field: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian blur of a field or image by a deviation in fractions of the side."""
    sigma = deviation * field.shape[0]
    return cv2.GaussianBlur(field, (0, 0), sigma) if sigma > 0.2 else field


def unit(field: np.ndarray, tail: float = 0.01) -> np.ndarray:
    """The field stretched to [0, 1], with a share `tail` clipped at either end."""
    low, high = np.quantile(field[::2, ::2], (tail, 1 - tail))
    return np.clip((field - np.float32(low)) / np.float32(high - low + 1e-6), 0, 1)


def gradient(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives along x and y per pixel."""
    return cv2.Sobel(field, -1, 1, 0, ksize=1, scale=0.5), cv2.Sobel(
        field, -1, 0, 1, ksize=1, scale=0.5
    )


def smoothstep(field: np.ndarray, low: float, high: float) -> np.ndarray:
    """A mask rising smoothly from 0 at `low` to 1 at `high`; falling if low > high."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def above(field: np.ndarray, level: float | np.ndarray = 0.0, soft: float = 0.0) -> np.ndarray:
    """Mask of field > level, its edge one pixel wide, or `soft` field units where that is more.

    The field must be continuous: antialiasing reads its slope.
    """
    offset = field - level
    gx, gy = gradient(offset)
    width = np.maximum(np.hypot(gx, gy), np.float32(max(soft, 1e-6)))
    return np.clip(offset / width + np.float32(0.5), 0, 1)


def stripes(t: np.ndarray, duty: float | np.ndarray = 0.5, soft: float = 0.0) -> np.ndarray:
    """Mask of stripes of period 1 in t, centred on whole numbers, `duty` of a period wide.

    Antialiased by the slope of t, which must be continuous; `soft` (periods) blurs them more.
    """
    gx, gy = gradient(t)
    width = np.maximum(np.hypot(gx, gy), np.float32(max(soft, 1e-6)))
    distance = np.abs(t - np.rint(t))
    return np.clip((np.float32(0.5) * duty - distance) / width + np.float32(0.5), 0, 1)


def triangle(t: np.ndarray) -> np.ndarray:
    """Triangle wave of period 1 in t: 0 at whole numbers, 1 half way between."""
    return 2 * np.abs(t - np.rint(t))


def flow(canvas: Canvas, period: float, amount: float, octaves: int = 1) -> tuple:
    """A random displacement field du, dv of deviation `amount`, to add to coordinates."""
    return (
        np.float32(amount) * noise(canvas, period, octaves),
        np.float32(amount) * noise(canvas, period, octaves),
    )


def sample(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The field or image read at coordinates u, v in [-1/2, 1/2], mirrored beyond its borders."""
    size = image.shape[0]
    columns = (u + np.float32(0.5)) * np.float32(size) - np.float32(0.5)
    rows = (v + np.float32(0.5)) * np.float32(size) - np.float32(0.5)
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def displace(canvas: Canvas, image: np.ndarray, du: np.ndarray, dv: np.ndarray) -> np.ndarray:
    """The field or image moved by a displacement field such as `flow` gives."""
    x, y = canvas.grid()
    return sample(image, x + du, y + dv)


# --- cells and points -----------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """Cellular noise at every pixel; lengths in units of the period.

    near, second: distance to the nearest and second nearest seed; border: distance to the edge
    between their cells; dx, dy: from the nearest seed to the pixel; ids: number of the nearest
    seed's cell, int, in [0, 4096).
    """

    near: np.ndarray
    second: np.ndarray
    border: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    ids: np.ndarray


def cells(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: float | tuple[float, float],
    jitter: float = 0.8,
    hexagonal: bool = False,
) -> Cells:
    """Cellular (Worley, SIGGRAPH 1996) noise over one seed a lattice cell.

    A seed lies within `jitter` / 2 of the middle of its cell: 0 gives the plain square or
    hexagonal lattice, 0.9 looks like random points. The lattice repeats after 64 cells.
    """
    period_u, period_v = period if isinstance(period, tuple) else (period, period)
    row_step = np.float32(np.sqrt(3) / 2 if hexagonal else 1.0)
    x, y = u / np.float32(period_u), v / (np.float32(period_v) * row_step)
    shifts = np.float32(jitter) * (canvas.rng.random((2, 4096), dtype=np.float32) - 0.5) + 0.5
    floor_y = np.floor(y)
    row, fraction_y = floor_y.astype(np.int32), y - floor_y
    # A neighbour's index hides in the four lowest bits of its squared distance, whose bit
    # patterns sort as the numbers do: two minima then carry their neighbours along.
    first = np.full(x.shape, np.float32(np.inf)).view(np.int32)
    other = first.copy()
    offsets_x, offsets_y = np.empty((2, 9, *x.shape), np.float32)
    numbers = np.empty((9, *x.shape), np.int32)
    for step_y in (-1, 0, 1):
        odd = ((row + step_y) & 1).astype(np.float32)
        shifted = x - odd / 2 if hexagonal else x
        floor_x = np.floor(shifted)
        column, fraction_x = floor_x.astype(np.int32), shifted - floor_x
        row_number = ((row + step_y) & 63) << 6
        for step_x in (-1, 0, 1):
            index = 3 * step_y + step_x + 4
            number = row_number | ((column + step_x) & 63)
            dx = fraction_x - (shifts[0].take(number) + np.float32(step_x))
            dy = (fraction_y - (shifts[1].take(number) + np.float32(step_y))) * row_step
            key = ((dx * dx + dy * dy).view(np.int32) & ~15) | index
            other = np.minimum(other, np.maximum(first, key))
            first = np.minimum(first, key)
            offsets_x[index], offsets_y[index], numbers[index] = dx, dy, number
    here = np.arange(x.size).reshape(x.shape)
    place, place_other = ((key & 15) * x.size + here for key in (first, other))
    dx, dy, ids = (table.take(place) for table in (offsets_x, offsets_y, numbers))
    dx_other, dy_other = (table.take(place_other) for table in (offsets_x, offsets_y))
    near, second = dx * dx + dy * dy, dx_other * dx_other + dy_other * dy_other
    apart = np.hypot(dx - dx_other, dy - dy_other) + np.float32(1e-6)
    return Cells(np.sqrt(near), np.sqrt(second), (second - near) / (2 * apart), dx, dy, ids)


def points(
    canvas: Canvas, period: float, jitter: float = 0.8, hexagonal: bool = False, margin: float = 0.1
) -> np.ndarray:
    """Lattice points (n, 2) float32, x and y over [-1/2 - margin, 1/2 + margin], in random order.

    Each is moved by up to `jitter` / 2 periods along either axis.
    """
    step_y = period * (np.sqrt(3) / 2 if hexagonal else 1.0)
    reach = 0.5 + margin
    rows = np.arange(-reach, reach + step_y, step_y)
    columns = np.arange(-reach, reach + period, period)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    if hexagonal:
        x = x + period / 2 * (np.arange(len(rows)) % 2)[:, None]
    lattice = np.stack([x.ravel(), y.ravel()], 1)
    lattice += period * canvas.rng.uniform(-jitter / 2, jitter / 2, lattice.shape)
    return canvas.rng.permutation(lattice).astype(np.float32)


def dab(
    canvas: Canvas,
    image: np.ndarray,
    centre: Sequence[float],
    stamp: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Lays a small mask (h, w), centred at x, y, over the image in place, clipped at borders."""
    height, width = stamp.shape
    left = round((centre[0] + 0.5) * canvas.size - width / 2)
    top = round((centre[1] + 0.5) * canvas.size - height / 2)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, canvas.size), min(top + height, canvas.size)
    if x0 < x1 and y0 < y1:
        mask = stamp[y0 - top : y1 - top, x0 - left : x1 - left, None]
        image[y0:y1, x0:x1] += mask * (colour - image[y0:y1, x0:x1])


# --- masks drawn by geometry ----------------------------------------------------------------


def _fixed_point(canvas: Canvas, positions: np.ndarray) -> np.ndarray:
    """Positions in [-1/2, 1/2] as OpenCV's fixed-point (4 bits) supersampled pixels."""
    pixels = (np.asarray(positions, np.float64) + 0.5) * canvas.size * SUPERSAMPLING - 0.5
    return np.rint(pixels * 16).astype(np.int32)


def _average(canvas: Canvas, large: np.ndarray) -> np.ndarray:
    return cv2.resize(large, (canvas.size,) * 2, interpolation=cv2.INTER_AREA) / np.float32(255)


def _large(canvas: Canvas) -> np.ndarray:
    return np.zeros((canvas.size * SUPERSAMPLING,) * 2, np.uint8)


def strokes(
    canvas: Canvas,
    lines: Iterable[np.ndarray],
    width: float | Sequence[float],
    levels: Sequence[float] | None = None,
    closed: bool = False,
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
    paths = np.split(_fixed_point(canvas, np.concatenate(lines)), ends)
    if thickness.ndim == shades.ndim == 0:
        groups = [(paths, int(thickness), int(shades))]
    else:
        thickness, shades = (np.broadcast_to(a, len(lines)).tolist() for a in (thickness, shades))
        groups = zip(([path] for path in paths), thickness, shades, strict=True)
    for group, thick, shade in groups:
        cv2.polylines(large, group, closed, shade, thick, cv2.LINE_8, 4)
    return _average(canvas, large)


def polygons(
    canvas: Canvas, outlines: Iterable[np.ndarray], levels: Sequence[float] | None = None
) -> np.ndarray:
    """Antialiased mask of filled polygons, each (k, 2) x, y; `levels` as in `strokes`."""
    large = _large(canvas)
    for index, outline in enumerate(outlines):
        level = 255 if levels is None else round(255 * float(levels[index]))
        cv2.fillPoly(large, [_fixed_point(canvas, outline)], level, cv2.LINE_8, 4)
    return _average(canvas, large)


def discs(
    canvas: Canvas,
    centres: np.ndarray,
    radii: float | Sequence[float],
    levels: Sequence[float] | None = None,
) -> np.ndarray:
    """Antialiased mask of discs at centres (n, 2); `levels` as in `strokes`."""
    radii = np.broadcast_to(np.asarray(radii, float), len(centres))
    large = _large(canvas)
    middles = _fixed_point(canvas, centres)
    for index, middle in enumerate(middles):
        level = 255 if levels is None else round(255 * float(levels[index]))
        radius = max(1, round(radii[index] * canvas.size * SUPERSAMPLING * 16))
        cv2.circle(large, middle.tolist(), radius, level, -1, cv2.LINE_8, 4)
    return _average(canvas, large)


def blob(canvas: Canvas, centre: Sequence[float], radius: float, rough: float = 0.2) -> np.ndarray:
    """A closed wobbly outline (48, 2) about a centre; `rough` is the relative wobble."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = np.arange(2, 7)[:, None]
    phases = canvas.rng.uniform(0, 2 * np.pi, (5, 1))
    wobble = (np.cos(waves * angles + phases) * canvas.rng.normal(0, 1, (5, 1)) / waves).sum(0)
    reach = radius * np.clip(1 + rough * wobble, 0.2, 3)
    outline = np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1)
    return outline + np.asarray(centre)


# --- colour and light -----------------------------------------------------------------------


def flat(canvas: Canvas, colour: np.ndarray) -> np.ndarray:
    """An image of one colour (3,)."""
    return np.broadcast_to(np.float32(colour), (canvas.size, canvas.size, 3)).copy()


def mix(below: np.ndarray, over: np.ndarray, mask: np.ndarray) -> np.ndarray:
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


def vary(canvas: Canvas, palette: np.ndarray, ids: np.ndarray, spread: float = 0.08) -> np.ndarray:
    """As `lookup`, each number in a shade and a palette entry of its own, drawn at random."""
    number = ids % 4096
    entry = canvas.rng.integers(0, len(palette), 4096)
    shades = palette[entry] + canvas.rng.normal(0, spread, (4096, 1)).astype(np.float32)
    return np.clip(shades, 0, 1)[number]


def lighting(canvas: Canvas, height: np.ndarray) -> np.ndarray:
    """Lambert shading of a height field by the canvas's light, 1 where it is level."""
    gx, gy = gradient(height * np.float32(canvas.size))
    x, y, z = canvas.light
    facing = (z - x * gx - y * gy) / np.sqrt(1 + gx * gx + gy * gy)
    return np.maximum(facing, 0) / z


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
        half = canvas.light + np.float32([0, 0, 1])
        half /= np.linalg.norm(half)
        shine = np.maximum((half[2] - half[0] * gx - half[1] * gy) / length, 0)
        lit = lit + np.float32(gloss) * (shine**24)[..., None]
    return np.clip(lit, 0, 1)
