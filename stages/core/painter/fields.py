"""Fields: noise, masks, profiles and coordinates.

A field is a (size, size) float32 array, an image (size, size, 3) float32 in [0, 1], a mask a field
in [0, 1]. Lengths are fractions of the image's side unless said otherwise.
"""

from math import tau

import cv2
import numpy as np

from stages.core.painter.canvas import Canvas, Real

# --- random fields ----------------------------------------------------------------------------


def enlarge(grid: np.ndarray, size: int) -> np.ndarray:
    """A coarse grid (rows, columns[, channels]) as a smooth field over the whole image."""
    rows, columns = grid.shape[:2]
    if max(rows, columns) > size:  # cubic interpolation would skip cells along that side
        fitting = (min(columns, size), min(rows, size))
        grid = cv2.resize(grid, fitting, interpolation=cv2.INTER_AREA)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def noise(
    canvas: Canvas, period: Real | tuple[Real, Real], octaves: int = 1, gain: float = 0.5
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


def grain(canvas: Canvas, strength: float, softness: float = 0.0) -> np.ndarray:
    """Fine random grain of zero mean and deviation `strength`, to add to an image or height.

    `softness` is the deviation of a Gaussian blur, as a fraction of the side.
    """
    field = enlarge(canvas.rng.standard_normal((192, 192), dtype=np.float32), canvas.size)
    if softness:
        field = blur(field, softness)
    return field * np.float32(strength / (field.std() + 1e-6))


def fibres(canvas: Canvas, fine: float, long: float) -> np.ndarray:
    """Fibres along y, `fine` apart and `long` before they change: zero mean, unit deviation."""
    columns, rows = min(int(1 / fine) + 2, 256), int(1 / long) + 2
    field = np.zeros((canvas.size, canvas.size), np.float32)
    for octave in (1, 2):
        drawn = canvas.rng.standard_normal((octave * rows, columns), dtype=np.float32)
        # Rows first: no single resize can both lengthen smoothly and average columns.
        threads = cv2.resize(drawn, (columns, canvas.size), interpolation=cv2.INTER_CUBIC)
        shrink = cv2.INTER_AREA if columns > canvas.size else cv2.INTER_CUBIC
        field += cv2.resize(threads, (canvas.size,) * 2, interpolation=shrink)
        columns = min(2 * columns, 256)
    return (field - field.mean()) / (field.std() + np.float32(1e-6))


# --- arithmetic -------------------------------------------------------------------------------


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


# --- masks and profiles -----------------------------------------------------------------------


def positive(field: np.ndarray, edge: float | np.ndarray) -> np.ndarray:
    """Mask of field > 0, its edge `edge` field units wide; the field may have jumps."""
    return np.clip(field / edge + np.float32(0.5), 0, 1)


def within(canvas: Canvas, depth: np.ndarray, period: float, soft: float = 0.0) -> np.ndarray:
    """Mask of depth > 0, a length in periods, its edge a pixel or `soft` periods wide."""
    return positive(depth, max(soft, canvas.pixel / period))


def _slope(field: np.ndarray, least: float) -> np.ndarray:
    """How much a field changes from pixel to pixel, no less than `least` and never 0."""
    gx, gy = gradient(field)
    return np.maximum(np.hypot(gx, gy), np.float32(max(least, 1e-6)))


def above(field: np.ndarray, level: float | np.ndarray = 0.0, soft: float = 0.0) -> np.ndarray:
    """Mask of field > level, its edge one pixel wide, or `soft` field units where that is more.

    The field must be continuous: antialiasing reads its slope.
    """
    offset = field - level
    return positive(offset, _slope(offset, soft))


def stripes(t: np.ndarray, duty: float | np.ndarray = 0.5, soft: float = 0.0) -> np.ndarray:
    """Mask of stripes of period 1 in t, centred on whole numbers, `duty` of a period wide.

    Antialiased by the slope of t, which must be continuous; `soft` (periods) blurs them more.
    """
    distance = np.abs(t - np.rint(t))
    return positive(np.float32(0.5) * duty - distance, _slope(t, soft))


def contours(canvas: Canvas, field: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Mask of lines along field = 0, `width` of the side wide, fainter where below a pixel."""
    distance = np.abs(field) / (np.hypot(*gradient(field)) + 1e-6)
    pixels = np.float32(width * canvas.size)
    return np.clip(np.maximum(pixels, 1) / 2 - distance + 0.5, 0, 1) * np.minimum(pixels, 1)


def triangle(t: np.ndarray) -> np.ndarray:
    """Triangle wave of period 1 in t: 0 at whole numbers, 1 half way between."""
    return 2 * np.abs(t - np.rint(t))


def cosine(t: np.ndarray) -> np.ndarray:
    """Cosine of period 1 in t, 1 at whole numbers."""
    return np.cos(np.float32(tau) * t)


def arch(d: np.ndarray, radius: Real = 1) -> np.ndarray:
    """Height of a half circle over d in [-radius, radius], 0 beyond."""
    return np.sqrt(np.maximum(0, radius * radius - d * d))


def split(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the unit interval t lies in, int32, and the position from its middle."""
    number = np.floor(t)
    return number.astype(np.int32), t - number - np.float32(0.5)


# --- coordinates ------------------------------------------------------------------------------


def turned(
    u: np.ndarray, v: np.ndarray, angle: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction, an angle in radians, one for all or one each."""
    cos, sin = np.cos(angle).astype(u.dtype), np.sin(angle).astype(u.dtype)
    return cos * u + sin * v, cos * v - sin * u


def polar(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance from 0, and the angle in turns, [0, 1]."""
    radius, angle = cv2.cartToPolar(u, v)
    return radius + 1e-4, angle / tau


def headings(angles: np.ndarray | Real) -> np.ndarray:
    """Unit vectors (..., 2) of angles (...) in radians."""
    return np.stack([np.cos(angles), np.sin(angles)], -1)


def flow(canvas: Canvas, period: float, amount: Real, octaves: int = 1) -> tuple:
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
