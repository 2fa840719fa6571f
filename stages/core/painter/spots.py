"""Painters of textures made of spots: dots, flecks, bubbles, bumps, cells, holes and studs."""

import math
from typing import NamedTuple

import cv2
import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, METALS, Canvas
from stages.core.painter.primitives import (
    SUPERSAMPLING,
    blur,
    cells,
    flat,
    flow,
    gradient,
    grain,
    lookup,
    mix,
    noise,
    points,
    ramp,
    relief,
    sample,
    smoothstep,
    stripes,
    unit,
    vary,
)

SQRT3 = 3**0.5
BRIGHTS = ("red", "orange", "yellow", "lime", "green", "sky blue", "blue", "magenta", "pink",
           "purple", "white", "turquoise")  # fmt: skip
PASTELS = ("pink", "white", "cream", "sky blue", "lilac", "beige", "turquoise", "yellow")
STONES = ("beige", "cream", "tan", "grey", "silver", "charcoal", "white", "brown", "olive")
WATERS = ("blue", "navy", "teal", "turquoise", "sky blue", "green", "black", "charcoal", "gold",
          "orange", "purple", "magenta", "grey", "maroon")  # fmt: skip
DEEPS = ("red", "maroon", "orange", "green", "teal", "blue", "navy", "purple", "magenta", "brown",
         "charcoal", "black")  # fmt: skip
ICINGS = ("white", "white", "cream", "pink", "brown", "brown", "tan", "sky blue", "lilac", "yellow")
RUBBERS = ("magenta", "red", "green", "sky blue", "blue", "yellow", "orange", "pink", "black")
RINDS = ("green", "olive", "lime", "gold", "brown", "tan", "black", "charcoal", "maroon")
PETALS = ("white", "pink", "orange", "yellow", "magenta", "lilac", "cream", "red")
SHELLS = ("white", "cream", "beige", "tan", "sky blue", "turquoise")
FRUITS = ("yellow", "gold", "lime", "tan", "orange", "beige", "cream")
PEELS = ("orange", "orange", "yellow", "lime", "gold", "silver", "grey", "white", "tan", "maroon")
FLOORS = ("grey", "silver", "charcoal", "white", "blue", "beige", "tan")
SPONGES = ("yellow", "gold", "orange", "tan", "pink", "sky blue", "lime", "beige")
FILMS = ("pink", "turquoise", "gold", "lilac", "sky blue", "lime", "magenta")
GEMS = ("white", "white", "silver", "sky blue", "pink", "red", "green", "purple")
LEATHERS = ("black", "black", "brown", "maroon", "red", "white", "tan", "navy", "charcoal", "beige")


# --- where the spots lie --------------------------------------------------------------------


class Spots(NamedTuple):
    """The spot each pixel belongs to: the way from its middle dx, dy, in periods or in radii,
    and its number ids, int in [0, 4096)."""

    dx: np.ndarray
    dy: np.ndarray
    ids: np.ndarray

    @property
    def far(self) -> np.ndarray:
        return np.sqrt(self.dx * self.dx + self.dy * self.dy)


def _lattice(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    jitter: float = 0.0,
    hexagonal: bool = False,
) -> Spots:
    """Spots on a lattice, far cheaper than `cells`: a moved spot is cut at its lattice cell.

    Each spot is moved by up to `jitter` / 2 periods along either axis. The row is ids >> 6.
    """
    rise = SQRT3 if hexagonal else 1.0
    x, y = u / period, v / (period * rise)
    column, row = np.rint(x), np.rint(y)
    dx, dy = x - column, (y - row) * rise
    if hexagonal:
        column_2, row_2 = np.rint(x - 0.5) + 0.5, np.rint(y - 0.5) + 0.5
        dx_2, dy_2 = x - column_2, (y - row_2) * rise
        nearer = dx_2 * dx_2 + dy_2 * dy_2 < dx * dx + dy * dy
        dx, dy = np.where(nearer, dx_2, dx), np.where(nearer, dy_2, dy)
        column, row = np.where(nearer, column_2, column), 2 * np.where(nearer, row_2, row)
    ids = ((row.astype(np.intp) & 63) << 6) | (np.floor(column).astype(np.intp) & 63)
    if jitter:
        dx = dx - canvas.table(-jitter / 2, jitter / 2)[ids]
        dy = dy - canvas.table(-jitter / 2, jitter / 2)[ids]
    return Spots(dx, dy, ids)


def _swaying(
    canvas: Canvas, x: np.ndarray, y: np.ndarray, period: float, sway: float, jitter: float = 0.0
) -> Spots:
    """Spots on a hexagonal lattice grown a little crooked, by `sway` periods."""
    wobble = sway * noise(canvas, 1.5 * period)
    return _lattice(canvas, x / period + wobble, y / period + wobble.T, 1.0, jitter, True)


def _hexagon(spots: Spots) -> np.ndarray:
    """Distance to the wall of the hexagonal cell around a spot of a hexagonal lattice."""
    dx, dy = np.abs(spots.dx), np.abs(spots.dy)
    return 0.5 - np.maximum(dx, dx / 2 + dy * (SQRT3 / 2))


def _edge(canvas: Canvas, field: np.ndarray, period: float, soft: float = 0.0) -> np.ndarray:
    """Mask of field > 0, its edge a pixel or `soft` wide; the field is a length in periods.

    Unlike `above` it needs no continuous field.
    """
    return np.clip(field / max(soft, canvas.pixel / period) + 0.5, 0, 1)


def _specks(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    radius: tuple[float, float],
    long: float = 1.0,
    ragged: float = 0.1,
    share: float | np.ndarray = 1.0,
    angle: tuple[float, float] = (0.0, np.pi),
) -> tuple[np.ndarray, np.ndarray]:
    """Irregular spots strewn at random: how deep a pixel lies in one, and the spots' numbers.

    Depth in periods, negative outside. `long` is their length over width, `ragged` the wobble of
    the outline in periods, `share` in [0, 1] the share of spots that are there.
    """
    turn = canvas.uniform(0, np.pi)
    cos, sin = math.cos(turn), math.sin(turn)
    wobble = ragged * noise(canvas, 0.7 * period)
    # Turned, and with every row shifted, the lattice does not show. The transposed noise serves
    # the other axis as well as a new one.
    x = (cos * u + sin * v) / period + wobble
    y = (cos * v - sin * u) / period + wobble.T
    x += canvas.table(0, 1, 64)[np.rint(y).astype(np.intp) & 63]
    stretch = math.sqrt(long)
    dx, dy, ids = _lattice(canvas, x, y, 1.0, max(0.2, 1 - 2 * radius[1] * stretch))
    if long != 1:
        turns = canvas.table(*angle) - turn
        cos, sin = (np.cos(turns) / stretch)[ids], (np.sin(turns) / stretch)[ids]
        dx, dy = cos * dx + sin * dy, (cos * dy - sin * dx) * long
    reach = canvas.table(*radius)[ids]
    if np.ndim(share) or share < 1:
        reach *= np.clip((share - canvas.table()[ids]) * 6, 0, 1)
        reach -= 0.05 * (reach == 0)
    return reach - np.sqrt(dx * dx + dy * dy), ids


def _strew(
    canvas: Canvas,
    image: np.ndarray,
    colour: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    radius: tuple[float, float],
    soft: float = 0.0,
    faint: float = 0.6,
    **specks,
) -> np.ndarray:
    """The image with specks in a colour, each at least `faint` opaque; `specks` as in `_specks`."""
    depth, ids = _specks(canvas, u, v, period, radius, **specks)
    return mix(image, colour, _edge(canvas, depth, period, soft) * canvas.table(faint, 1)[ids])


class Globes(NamedTuple):
    """Round things, later ones on top: Spots in radii, height in fractions of the side, mask."""

    spots: Spots
    height: np.ndarray
    mask: np.ndarray


def _globes(
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
            cos, sin = math.cos(turns[number]), math.sin(turns[number])
            dx, dy = (cos * dx + sin * dy) / float(longs[number]), cos * dy - sin * dx
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


def _pile(canvas: Canvas, spacing: float, long: float = 1.0, fill: float = 0.6) -> Globes:
    """Spheres or ellipsoids heaped close together, `spacing` apart."""
    centres = points(canvas, spacing, jitter=0.5, hexagonal=True, margin=spacing)
    radii = spacing * canvas.rng.uniform(0.85 * fill, 1.1 * fill, len(centres))
    lifts = canvas.rng.uniform(0, 0.6 * spacing, len(centres)).astype(np.float32)
    return _globes(canvas, centres, radii, long, lifts)


def _crevices(globes: Globes) -> np.ndarray:
    """How much light reaches heaped globes: less towards their edges, hardly any between."""
    far = np.minimum(globes.spots.far, 1)
    return (1 - 0.8 * far**8) * globes.mask


class Body(NamedTuple):
    """What carries a texture: coordinates on it, its own height, its mask (None: it fills all)."""

    u: np.ndarray
    v: np.ndarray
    height: np.ndarray
    mask: np.ndarray | None

    def before(self, canvas: Canvas, image: np.ndarray) -> np.ndarray:
        """The image of the body before a background."""
        return image if self.mask is None else mix(_backdrop(canvas), image, self.mask)


def _body(canvas: Canvas, long: float = 1.0, swell: float = 0.4) -> Body:
    """A ball, fruit or egg that nearly fills the picture, or a gently rolling surface."""
    x, y = canvas.grid()
    if canvas.chance(0.45):
        return Body(x, y, canvas.uniform(0.01, 0.06) * noise(canvas, 0.7), None)
    centre = canvas.rng.uniform(-0.15, 0.15, (1, 2))
    globes = _globes(canvas, centre, canvas.uniform(0.42, 0.85), long)
    swollen = 1 + swell * np.minimum(globes.spots.far, 1) ** 2
    return Body(x * swollen, y * swollen, 0.85 * globes.height, globes.mask)


def _lit_from_above(canvas: Canvas) -> None:
    """Turns the light to the upper side: lit from below, dents are seen as bumps."""
    canvas.light[1] = -abs(canvas.light[1])


def _lamp(canvas: Canvas) -> tuple[float, float]:
    """The direction to the light in the picture's plane, of length 1."""
    x, y, _ = canvas.light.tolist()
    return x / math.hypot(x, y), y / math.hypot(x, y)


def _tinted(image: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """An image or a colour made lighter and darker by a field about 0."""
    return np.clip(image * (1 + texture)[..., None], 0, 1)


# --- what they are drawn on and with --------------------------------------------------------


def _sheet(canvas: Canvas) -> np.ndarray:
    """A clear sheet (3 size, 3 size, 4) uint8 to draw on with OpenCV in RGBA, then to `_lay`."""
    return np.zeros((canvas.size * SUPERSAMPLING, canvas.size * SUPERSAMPLING, 4), np.uint8)


def _place(canvas: Canvas, positions: np.ndarray) -> np.ndarray:
    """Positions in [-1/2, 1/2] in sixteenths of a sheet's pixel, OpenCV's shift=4."""
    pixels = (np.asarray(positions, np.float64) + 0.5) * canvas.size * SUPERSAMPLING - 0.5
    return np.rint(pixels * 16).astype(np.int32)


def _inks(colours: np.ndarray) -> list[list[float]]:
    """Colours (n, 3) as OpenCV takes them, opaque."""
    opaque = np.pad(np.clip(colours, 0, 1), ((0, 0), (0, 1)), constant_values=1)
    return (255 * opaque).tolist()


def _lay(canvas: Canvas, below: np.ndarray, sheet: np.ndarray, shadow: float = 0.0) -> np.ndarray:
    """The sheet laid on an image; `shadow` is how far the shadow falls, fraction of the side."""
    small = cv2.resize(sheet, (canvas.size,) * 2, interpolation=cv2.INTER_AREA) / np.float32(255)
    alpha = small[..., 3]
    if shadow:
        below = _shadowed(canvas, below, alpha, shadow)
    return below * (1 - alpha)[..., None] + small[..., :3]


def _shadowed(canvas: Canvas, image: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """The image with the shadow of what the mask covers, falling away from the light."""
    x, y = canvas.grid()
    lx, ly = _lamp(canvas)
    return _tinted(image, -0.6 * blur(sample(mask, x + reach * lx, y + reach * ly), reach / 2))


def _dots(
    canvas: Canvas, sheet: np.ndarray, centres: np.ndarray, radii: np.ndarray, colours: np.ndarray
) -> None:
    """Draws discs at centres (n, 2), each in its own colour (n, 3), on a sheet."""
    middles = _place(canvas, centres).tolist()
    reach = np.maximum(1, np.rint(radii * (canvas.size * SUPERSAMPLING * 16))).astype(int).tolist()
    for middle, radius, ink in zip(middles, reach, _inks(colours), strict=True):
        cv2.circle(sheet, middle, radius, ink, -1, cv2.LINE_8, 4)


def _mottled(canvas: Canvas, *names: str, spread: float = 0.12, period: float = 0.3) -> np.ndarray:
    """A plain ground of one of the colours, uneven in shade and hue as natural things are."""
    base = canvas.colour(*names)
    dark = base * canvas.uniform(0.6, 0.85) + canvas.rng.normal(0, 0.03, 3)
    shade = 0.5 + 2 * spread * noise(canvas, period, 4, 0.6)
    return ramp(np.stack([dark, base, np.minimum(base * 1.15, 1)]), shade)


def _cloth(canvas: Canvas, image: np.ndarray, folds: float = 0.5) -> np.ndarray:
    """The image printed on cloth: a faint weave, and with the chance `folds` soft folds."""
    x, y = canvas.grid()
    if canvas.chance(folds):
        long, short = canvas.uniform(0.5, 1.2), canvas.uniform(0.15, 0.4)
        fold = noise(canvas, canvas.pick((long, short), (short, long), (0.4, 0.4)), 2)
        height = canvas.uniform(0.01, 0.035) * fold
        gx, gy = gradient(canvas.uniform(0, 1.5) * height)
        image = relief(canvas, sample(image, x + gx, y + gy), height, 0.1, 0.35)
    threads = 2 * np.pi * canvas.uniform(60, 110)
    weave = np.cos(threads * x) * np.cos(threads * y) + grain(canvas, 0.6)
    return _tinted(image, canvas.uniform(0, 0.06) * weave)


def _metal(canvas: Canvas, colour: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Polished metal of a height field: slopes mirror a dark floor, a bright sky, a lamp."""
    gx, gy = gradient(height * canvas.size)
    lx, ly = _lamp(canvas)
    lean = -(lx * gx + ly * gy) / np.sqrt(1 + gx * gx + gy * gy)
    scale = np.float32([0.12, 0.3, 0.25, 0.75, 0.9, 1.1, 1.9, 1.0, 0.5])[:, None]
    return ramp(np.clip(scale * colour, 0, 1), (lean + 1) / 2)


def _leather(canvas: Canvas) -> np.ndarray:
    """Grained leather, or suede."""
    pebbles = np.abs(noise(canvas, canvas.uniform(0.015, 0.04), 2))
    hide = _tinted(canvas.colour(*LEATHERS), 0.06 * noise(canvas, 0.3, 3) + grain(canvas, 0.02))
    height = canvas.uniform(0, 0.004) * np.minimum(pebbles, 1)
    return relief(canvas, hide, height, canvas.uniform(0, 0.15))


def _wood(canvas: Canvas) -> np.ndarray:
    """Boards with the grain along one side of the picture."""
    veins = noise(canvas, canvas.pick((0.5, 0.01), (0.01, 0.5)), 3, 0.6)
    return _tinted(canvas.colour("brown", "tan", "maroon"), 0.13 * veins)


def _backdrop(canvas: Canvas) -> np.ndarray:
    """Whatever lies out of focus behind an object."""
    names = canvas.pick(("white",), ("white", "silver", "black"), EARTHS, ("green", "olive"))
    return _tinted(canvas.colour(*names), 0.1 * noise(canvas, 0.4, 2))


# --- dotted and polka-dotted ----------------------------------------------------------------


def dotted(canvas: Canvas) -> np.ndarray:
    """Many points: halftone, stippling, dot painting, strewn dots or rows of lamps."""
    return canvas.pick(_halftone, _stippled, _dot_painting, _strewn_dots, _lamps)(canvas)


def _halftone(canvas: Canvas) -> np.ndarray:
    """Small dots in rows, all alike or growing from light to dark."""
    canvas.rescale("fine", "fine", "medium")
    palette = canvas.colours(3, *canvas.pick(GREYS, BRIGHTS, BRIGHTS, EARTHS), contrast=50)
    x, y = canvas.grid()
    u, v = canvas.coordinates(canvas.pick(0, np.pi / 4, canvas.uniform(0, np.pi)))
    middle = canvas.uniform(-0.4, 0.4)
    patches = noise(canvas, canvas.uniform(0.3, 0.7))
    tone = unit(canvas.pick(patches, u, np.hypot(x - middle, y), flat(canvas, palette[0])[..., 0]))
    period = 0.7 * canvas.period
    spots = _lattice(canvas, u, v, period, hexagonal=canvas.chance(0.4))
    least, growth = canvas.uniform(0.12, 0.22), canvas.uniform(0.1, 0.36)
    dots = _edge(canvas, least + growth * tone - spots.far, period)
    figure = ramp(palette[1:], unit(patches)) if canvas.chance(0.3) else palette[1]
    image = mix(flat(canvas, palette[0]), figure, dots)
    if canvas.chance(0.25):
        other = _lattice(canvas, 0.87 * u - 0.5 * v, 0.5 * u + 0.87 * v, period)
        white = np.ones(3, np.float32)
        image *= mix(white, canvas.colour(*BRIGHTS), _edge(canvas, 0.3 - other.far, period))
    return image


def _stippled(canvas: Canvas) -> np.ndarray:
    """Tiny dots, crowded here and sparse there, as in a drawing in ink."""
    canvas.rescale("fine", "medium")
    names = canvas.pick(GREYS, EARTHS, BRIGHTS)
    palette = canvas.colours(canvas.integer(2, 3), *names, contrast=50)
    tone = canvas.uniform(0.2, 0.5) + canvas.uniform(0, 0.35) * noise(canvas, 0.4, 2)
    image = _tinted(palette[0], grain(canvas, 0.03))
    for colour in (palette[1], palette[-1], palette[1])[: canvas.integer(2, 3)]:
        period = canvas.period * canvas.uniform(0.35, 0.7)
        x, y = canvas.grid()
        image = _strew(
            canvas, image, colour, x, y, period, (0.12, 0.3), faint=0.9, ragged=0.02, share=tone
        )
    return image


def _dot_painting(canvas: Canvas) -> np.ndarray:
    """Rows of equal dots around centres, as in the dot paintings of Australia."""
    canvas.rescale("fine", "medium")
    ground = canvas.colour("black", "maroon", "brown", "navy", "charcoal", "white", "orange")
    names = canvas.pick((*EARTHS, "white", "orange", "yellow"), BRIGHTS)
    palette = canvas.colours(canvas.integer(3, 5), *names, contrast=40)
    period = max(0.6 * canvas.period, 0.04)
    foci = canvas.rng.uniform(-0.6, 0.6, (canvas.integer(1, 4), 2))
    counts = np.rint(2 * np.pi * np.arange(1, int(1.2 / period))).astype(int)
    rings = np.repeat(np.arange(len(counts)), counts)
    turns = 2 * np.pi * (np.arange(len(rings)) / counts[rings] + 0.1 * rings)
    spiral = np.stack([np.cos(turns), np.sin(turns)], 1) * (period * (rings[:, None] + 1))
    centres = foci[:, None] + spiral
    apart = np.linalg.norm(centres[:, :, None] - foci, axis=3)
    kept = (apart.argmin(2) == np.arange(len(foci))[:, None]) & (abs(centres) < 0.55).all(2)
    focus, dot = np.nonzero(kept)
    centres = centres[kept] + canvas.rng.normal(0, 0.05 * period, (len(dot), 2))
    radii = period * canvas.rng.uniform(0.32, 0.44, len(dot))
    sheet = _sheet(canvas)
    bands = rings[dot] // canvas.integer(1, 2) + focus
    _dots(canvas, sheet, centres, radii, lookup(palette, bands))
    return _lay(canvas, flat(canvas, ground), sheet, canvas.pick(0, 0.003))


def _strewn_dots(canvas: Canvas) -> np.ndarray:
    """Dots of many sizes, far apart or packed as in a test of colour vision."""
    canvas.rescale("fine", "medium")
    period = max(0.9 * canvas.period, 0.05)
    names = canvas.pick(BRIGHTS, GREYS, BRIGHTS, EARTHS)
    ground, *palette = canvas.colours(canvas.integer(2, 6), *names, contrast=50)
    palette = np.stack(palette)
    packed = canvas.chance(0.4)
    sheet = _sheet(canvas)
    for share in (0.5, 1.0) if packed else (1.0,):
        centres = points(canvas, period * share, 0.5 if packed else 0.9)
        radii = period * share * canvas.rng.uniform(0.12, 0.45, len(centres))
        wave = np.sin(centres @ canvas.rng.normal(0, 6, 2))
        wave = np.rint(2 * wave + canvas.rng.normal(0, 1.4, len(centres))).astype(int)
        shade = canvas.rng.normal(0, 0.06, (len(centres), 1))
        _dots(canvas, sheet, centres, radii, lookup(palette, wave) + shade)
    return _lay(canvas, flat(canvas, ground), sheet, canvas.pick(0, 0, 0.004))


def _lamps(canvas: Canvas) -> np.ndarray:
    """Rows of small round lamps, pegs, beads or stitches."""
    canvas.rescale("fine", "medium")
    period = 0.8 * canvas.period
    u, v = canvas.coordinates(perspective=0.6)
    spots = _lattice(canvas, u, v, period, canvas.uniform(0, 0.1), canvas.chance(0.5))
    radius = canvas.uniform(0.18, 0.36)
    there = canvas.table()[spots.ids] < canvas.pick(1, 1, 0.85)
    dot = _edge(canvas, radius - spots.far, period) * there
    names = canvas.pick(("white", "yellow", "orange"), BRIGHTS, PASTELS)
    colour = vary(canvas, canvas.colours(canvas.integer(1, 4), *names), spots.ids, 0.08)
    if canvas.chance(0.5):
        ground = canvas.colour("black", "charcoal", "navy", "maroon")
        glow = np.exp(-((spots.far / 0.35) ** 2)) * there
        image = ground + colour * (canvas.uniform(0.2, 0.7) * glow)[..., None]
        return mix(image, np.clip(colour * 1.3 + 0.2, 0, 1), dot)
    height = (0.5 * period) * np.sqrt(np.maximum(radius**2 - spots.far**2, 0)) * there
    image = mix(flat(canvas, canvas.colour()), colour, dot)
    return relief(canvas, image, height, canvas.uniform(0.1, 0.6), 0.5)


def polka_dotted(canvas: Canvas) -> np.ndarray:
    """Equal, well-spaced discs in regular rows on plain cloth or paper."""
    canvas.rescale("medium", "medium", "coarse")
    period = 1.1 * canvas.period
    angle = canvas.orientation() + canvas.pick(0, np.pi / 4)
    u, v = canvas.coordinates(angle, skew=0.08, warp=0.03)
    hexagonal = canvas.chance(0.5)
    radius = canvas.uniform(0.18, 0.36)
    spots = _lattice(canvas, u, v, period, canvas.pick(0, 0, 0.15), hexagonal)
    ground, figure = (flat(canvas, c) for c in _print_colours(canvas))
    if canvas.chance(0.2):
        names = canvas.pick(BRIGHTS, PASTELS)
        palette = canvas.colours(canvas.integer(3, 6), *names, contrast=45)
        figure = lookup(palette, canvas.rng.integers(0, 60, 4096)[spots.ids])
    elif canvas.chance(0.15):
        rows = period * canvas.integer(2, 4) * (float(SQRT3) if hexagonal else 2.0)
        band = stripes(v / rows + 0.25)
        ground, figure = mix(ground, figure, band), mix(figure, ground, band)
    image = mix(ground, figure, _edge(canvas, radius - spots.far, period))
    if not hexagonal and canvas.chance(0.25):
        half = period / 2
        small = _lattice(canvas, u + half, v + half, period)
        radius *= canvas.uniform(0.3, 0.6)
        image = mix(image, figure, _edge(canvas, radius - small.far, period))
    return _cloth(canvas, image, folds=0.55)


def _print_colours(canvas: Canvas) -> np.ndarray:
    """Two contrasting colours of a printed cloth (2, 3), one of them white more often than not."""
    deep = canvas.colour(*DEEPS)
    white = canvas.colour("white", "white", "cream")
    if canvas.chance(0.3):
        return canvas.colours(2, contrast=50)
    return np.stack([deep, white] if canvas.chance(0.6) else [white, deep])


# --- flecked, freckled and sprinkled --------------------------------------------------------


def flecked(canvas: Canvas) -> np.ndarray:
    """Small irregular flakes of other colours in yarn, stone, paper, leaves or plumage."""
    return canvas.pick(_tweed, _terrazzo, _granite, _variegated, _plumage, _flaked)(canvas)


def _tweed(canvas: Canvas) -> np.ndarray:
    """Woven or knitted yarn with bright slubs along the threads."""
    ground = canvas.colour(*EARTHS, "navy", "teal", "green", "maroon", "purple", "white", "blue")
    u, v = canvas.coordinates(warp=0.01)
    thread = canvas.uniform(0.015, 0.04)
    u = u + 0.15 * thread * noise(canvas, (0.3, 0.06), 2)
    across, along = u / thread, v / (thread * canvas.uniform(0.8, 1.6))
    if canvas.chance(0.5):
        along = along + 2 * np.abs(across - np.rint(across))
    yarn = np.cos(np.pi * along) ** 2 * (0.3 + np.cos(np.pi * across) ** 2)
    fuzz = grain(canvas, 0.1) + canvas.uniform(0, 0.1) * noise(canvas, 0.05)
    image = _tinted(ground, fuzz)
    turn = np.pi / 2 + canvas.uniform(-0.3, 0.3)
    for colour in canvas.colours(canvas.integer(2, 3), *BRIGHTS, "cream", "black", contrast=40):
        image = _strew(
            canvas, image, colour, u + v / 9, v, thread * canvas.uniform(2, 4.5), (0.08, 0.24),
            soft=0.12, long=canvas.uniform(1.5, 3), ragged=0.06, share=canvas.uniform(0.3, 0.8),
            angle=(turn - 0.4, turn + 0.4),
        )  # fmt: skip
    return relief(canvas, image, 0.25 * thread * yarn, 0, 0.45)


def _chips(
    canvas: Canvas, sheet: np.ndarray, count: int, reach: tuple, colours: np.ndarray
) -> None:
    """Draws angular chips at random, each of one of the colours (k, 3), small ones mostly."""
    corners = canvas.integer(5, 7)
    uneven = np.sort(canvas.rng.uniform(0, np.pi, (count, corners)), 1)
    turns = uneven + np.pi * np.arange(corners) / corners
    sizes = reach[0] * (reach[1] / reach[0]) ** (canvas.rng.random((count, 1)) ** 1.5)
    radii = sizes * canvas.rng.uniform(0.6, 1.2, (count, corners))
    x, y = radii * np.cos(turns), 0.75 * radii * np.sin(turns)
    lean = canvas.rng.uniform(0, 2 * np.pi, (count, 1))
    cos, sin = np.cos(lean), np.sin(lean)
    outlines = np.stack([cos * x - sin * y, sin * x + cos * y], 2)
    outlines += canvas.rng.uniform(-0.55, 0.55, (count, 1, 2))
    shades = lookup(colours, np.arange(count)) + canvas.rng.normal(0, 0.05, (count, 1))
    for outline, ink in zip(_place(canvas, outlines), _inks(shades), strict=True):
        cv2.fillPoly(sheet, [outline], ink, cv2.LINE_8, 4)


def _terrazzo(canvas: Canvas) -> np.ndarray:
    """Chips of marble in polished cement."""
    ground = _mottled(canvas, *PASTELS, *STONES, "black", spread=0.03)
    names = canvas.pick(STONES, BRIGHTS, (*PASTELS, "black", "maroon"), (*EARTHS, "white"))
    sheet = _sheet(canvas)
    reach = 0.25 * canvas.period
    colours = canvas.colours(canvas.integer(2, 5), *names, contrast=40)
    count = min(int(canvas.uniform(0.12, 0.5) / reach**2), 500)
    _chips(canvas, sheet, count, (0.25 * reach, reach), colours)
    return _lay(canvas, ground, sheet)


def _granite(canvas: Canvas) -> np.ndarray:
    """Grains of dark, light and coloured mineral side by side."""
    x, y = canvas.grid()
    image = _mottled(canvas, *STONES, "pink", "black", spread=0.1, period=0.08)
    names = canvas.pick(GREYS, (*STONES, "black", "maroon", "pink"))
    for colour in canvas.colours(canvas.integer(2, 4), *names, contrast=35):
        image = _strew(
            canvas, image, colour, x, y, canvas.period * canvas.uniform(0.3, 0.6), (0.1, 0.45),
            long=canvas.uniform(1, 1.6), ragged=0.18, share=canvas.uniform(0.25, 0.8),
        )  # fmt: skip
    return _tinted(image, grain(canvas, 0.03))


def _variegated(canvas: Canvas) -> np.ndarray:
    """A leaf with pale or bright flecks along its veins."""
    u, v = canvas.coordinates(warp=0.03)
    slant = canvas.uniform(0.4, 1.2)
    ribs = stripes((u - slant * np.abs(v)) / canvas.uniform(0.1, 0.25), 0.05, 0.06)
    ribs = np.maximum(0.5 * ribs, 1 - np.minimum(np.abs(v) * 50, 1))
    base = canvas.colour("green", "green", "olive", "lime", "teal", "maroon")
    image = _tinted(base, 0.1 * noise(canvas, 0.2, 4) - 0.25 * ribs)
    patch = 0.55 + 0.3 * noise(canvas, 0.35, 2)
    turn = math.atan2(1, slant)
    for colour in canvas.colours(2, "cream", "white", "yellow", "lime", "pink", contrast=15):
        image = _strew(
            canvas, image, colour, u, np.abs(v), canvas.period * canvas.uniform(0.4, 0.9),
            (0.05, 0.3), soft=0.1, long=canvas.uniform(1, 2.5), ragged=0.12, share=patch,
            angle=(turn - 0.4, turn + 0.4),
        )  # fmt: skip
    return relief(canvas, image, -0.01 * ribs, canvas.uniform(0, 0.2), 0.5)


def _plumage(canvas: Canvas) -> np.ndarray:
    """Feathers, fur, bark or raw wood with dashes along the grain."""
    u, v = canvas.coordinates(perspective=0.2, warp=0.06)
    ground, *flecks = canvas.colours(canvas.integer(2, 4), *EARTHS, "white", "black", contrast=40)
    hair = 0.12 * sample(noise(canvas, (0.2, 0.008), 3, 0.7), u, v)
    image = flat(canvas, ground)
    turn = canvas.uniform(-0.2, 0.2)
    for colour in flecks:
        image = _strew(
            canvas, image, colour, u, v, canvas.period * canvas.uniform(0.5, 1), (0.06, 0.22),
            soft=0.06, long=canvas.uniform(1.5, 5), share=0.85, angle=(turn - 0.25, turn + 0.25),
        )  # fmt: skip
    return _tinted(image, hair)


def _flaked(canvas: Canvas) -> np.ndarray:
    """Lino, paper, glaze or paint strewn with little flakes, or snow before a dark ground."""
    names = canvas.pick(BRIGHTS, EARTHS, PASTELS, GREYS, (*BRIGHTS, *GREYS))
    ground, *flakes = canvas.colours(canvas.integer(2, 5), *names, contrast=40)
    image = _tinted(ground, 0.05 * noise(canvas, 0.3, 4, 0.6) + grain(canvas, 0.02))
    x, y = canvas.grid()
    turn, spread = canvas.uniform(0, np.pi), canvas.pick(0.2, 1.6)
    for colour in flakes:
        image = _strew(
            canvas, image, colour, x, y, canvas.period * canvas.uniform(0.4, 0.9), (0.06, 0.28),
            long=canvas.uniform(1, 3.5), ragged=canvas.uniform(0.05, 0.15),
            share=canvas.uniform(0.4, 0.9), angle=(turn - spread, turn + spread),
        )  # fmt: skip
    return image


def freckled(canvas: Canvas) -> np.ndarray:
    """Small soft spots, brown or deeper than their ground: skin, eggs, petals, fruit."""
    return canvas.pick(_freckled_skin, _freckled_skin, _eggs, _lily, _ripe)(canvas)


def _freckles(
    canvas: Canvas,
    image: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    colour: np.ndarray,
    soft: float,
    share: float | np.ndarray,
    long: float = 1.3,
) -> np.ndarray:
    """The image under spots of two sizes, each of a strength of its own."""
    clear = 1
    for scale in (0.8, 0.4):
        period = canvas.period * scale
        depth, ids = _specks(canvas, u, v, period, (0.04, 0.28), long, 0.09, share, (-0.5, 0.5))
        clear = clear * (1 - _edge(canvas, depth, period, soft) * canvas.table(0.2, 0.9)[ids])
    return mix(image, colour, 1 - clear)


def _freckled_skin(canvas: Canvas) -> np.ndarray:
    """Cheeks, arms and shoulders, now and then a face."""
    canvas.rescale("fine", "medium")
    x, y = canvas.grid()
    fair, tanned = np.float32([0.93, 0.76, 0.66]), np.float32([0.72, 0.48, 0.35])
    skin = fair + canvas.uniform(0, 1) * (tanned - fair)
    skin = skin + canvas.rng.normal(0, 0.025, 3).astype(np.float32)
    rosy = smoothstep(noise(canvas, canvas.uniform(0.3, 0.6)), -0.3, 1.5)
    image = mix(flat(canvas, skin), skin * np.float32([1.02, 0.78, 0.76]), 0.5 * rosy)
    share = canvas.uniform(0.55, 0.9) + 0.25 * noise(canvas, 0.4)
    dark = skin * np.float32([0.7, 0.52, 0.4]) * canvas.uniform(0.75, 1.1)
    image = _freckles(canvas, image, x, y, dark, canvas.uniform(0.08, 0.25), share)
    height = canvas.uniform(0.01, 0.06) * noise(canvas, canvas.uniform(0.5, 1))
    image = relief(canvas, image, height + grain(canvas, 0.0006), canvas.uniform(0, 0.25), 0.5)
    return _face(canvas, image) if canvas.chance(0.4) else image


def _face(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Eyes, brows, nostrils, lips and hair laid on skin, near or cut by the frame."""
    x, y = canvas.grid()
    zoom = canvas.uniform(0.6, 1.4)
    x, y = x / zoom + canvas.uniform(-0.3, 0.3), y / zoom + canvas.uniform(-0.2, 0.2)
    hair = canvas.colour("orange", "brown", "gold", "black", "maroon")
    across, down = np.abs(x) - 0.2, y + 0.1
    lid = 0.05 * (1 - (across / 0.12) ** 2)
    iris = np.hypot(across, down)
    white, blue = (
        np.float32([0.93, 0.91, 0.89]),
        canvas.colour("sky blue", "green", "brown", "teal"),
    )
    eye = mix(flat(canvas, white), blue, smoothstep(0.045 - iris, 0, 0.008))
    eye = _tinted(eye, -smoothstep(0.02 - iris, 0, 0.006))
    image = mix(image, eye, smoothstep(lid - np.abs(down), 0, 0.01))
    lash = np.exp(-(((lid - np.abs(down)) / 0.01) ** 2))
    brow = smoothstep(0.015 - np.abs(down + 0.1 - 2 * across * across), 0, 0.015)
    lines = np.maximum(0.8 * lash, 0.7 * brow) * (np.abs(across) < 0.12)
    image = mix(image, hair * 0.5, lines)
    image = _tinted(image, -0.6 * np.exp(-((np.abs(x) - 0.045) ** 2 + (y - 0.14) ** 2) / 0.0004))
    apart = np.abs(y - 0.3)
    lips = smoothstep(0.045 - 2 * x * x - apart, 0, 0.012) * (1 + smoothstep(apart, 0, 0.012))
    image = mix(image, canvas.colour("pink", "red") * 0.85, 0.35 * lips)
    edge = np.hypot(x / 0.42, y / 0.56) + 0.03 * noise(canvas, 0.3)
    locks = _tinted(hair, 0.3 * noise(canvas, (0.01, 0.4), 2))
    return mix(image, locks, smoothstep(edge, 0.98, 1.06))


def _eggs(canvas: Canvas) -> np.ndarray:
    """Speckled eggs, one or a nestful."""
    if canvas.chance(0.4):
        centre = canvas.rng.uniform(-0.08, 0.08, (1, 2))
        globes = _globes(canvas, centre, canvas.uniform(0.34, 0.6), 1.4)
    else:
        globes = _pile(canvas, canvas.uniform(0.3, 0.5), 1.35, 0.55)
    x, y = canvas.grid()
    ids = globes.spots.ids
    shells = canvas.colours(2, *SHELLS, contrast=10)
    image = _tinted(lookup(shells, canvas.rng.integers(0, 2, 4096)[ids]), _crevices(globes) - 1)
    dark = canvas.colour("brown", "brown", "maroon", "charcoal", "black", "olive", jitter=0.03)
    soft, share = canvas.uniform(0.03, 0.12), canvas.uniform(0.4, 0.9)
    image = _freckles(canvas, image, x + canvas.table(-9, 9)[ids], y, dark, soft, share)
    image = relief(canvas, image, globes.height, canvas.uniform(0, 0.3), 0.35)
    return mix(canvas.pick(_backdrop, _wood)(canvas), image, globes.mask)


def _lily(canvas: Canvas) -> np.ndarray:
    """Petals of a lily or orchid, spotted towards their throat."""
    x, y = canvas.grid()
    cx, cy = canvas.rng.uniform(-0.5, 0.5, 2).tolist()
    radius, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    petals = canvas.pick(1, 3, 5, 6, 6)
    turns = (angle + canvas.uniform(0, 6)) * (petals / (2 * np.pi))
    number = np.rint(turns)
    swing = (turns - number) * (2 * np.pi / petals)
    rim, inner = canvas.colours(2, *PETALS, contrast=25)
    tint = smoothstep(radius + 0.1 * noise(canvas, 0.3), 0.05, canvas.uniform(0.35, 0.9))
    shade = 0.05 * noise(canvas, 0.2, 3) + 0.05 * np.cos(25 * swing)
    image = _tinted(mix(flat(canvas, inner), rim, tint), shade)
    dark = 0.8 * canvas.colour("maroon", "maroon", "brown", "magenta", "purple", jitter=0.02)
    share = canvas.uniform(0.8, 1.2) - radius * canvas.uniform(0.6, 1.6)
    across = number + 1.2 * swing * (0.2 + radius)
    image = _freckles(canvas, image, radius, across, dark, 0.06, share, 1.6)
    width = np.pi / petals * (1.1 - canvas.uniform(0.3, 1) * radius * radius)
    height = 0.25 * (width**2 - swing**2) * radius - 0.01 * np.exp(-((30 * swing) ** 2))
    if petals == 1:
        return relief(canvas, image, 0.02 * noise(canvas, 0.4, 2), 0.1, 0.55)
    inside = np.clip((width - np.abs(swing)) * radius * 60 + 0.5, 0, 1)
    return mix(_backdrop(canvas), relief(canvas, image, height, 0.1, 0.5), inside)


def _ripe(canvas: Canvas) -> np.ndarray:
    """Pears, bananas, apples and autumn leaves with spots."""
    canvas.rescale("fine", "medium")
    body = _body(canvas, 1.3)
    image = ramp(canvas.colours(2, *FRUITS, contrast=12), unit(noise(canvas, 0.6, 2)))
    dark = canvas.colour("brown", "brown", "maroon", "black", "olive", jitter=0.03)
    share = canvas.uniform(0.5, 0.9) + 0.2 * noise(canvas, 0.5)
    image = _freckles(canvas, image, body.u, body.v, dark, canvas.uniform(0.03, 0.12), share)
    return body.before(canvas, relief(canvas, image, body.height, canvas.uniform(0, 0.4), 0.4))


def sprinkled(canvas: Canvas) -> np.ndarray:
    """Coloured sugar strands, pearls, powder or seeds strewn over icing, dough or chocolate."""
    colour = canvas.colour(*ICINGS, jitter=0.04)
    strewn = canvas.pick(_strands, _strands, _pearls, _powder, _seeds)
    return strewn(canvas, _baked(canvas, colour), bool(colour.mean() > 0.6))


def _baked(canvas: Canvas, colour: np.ndarray) -> np.ndarray:
    """Icing, chocolate, cream or dough, smooth, swirled, in cakes or as a ring."""
    x, y = canvas.grid()
    form = canvas.pick("flat", "flat", "flat", "ring", "ring", "swirl", "cakes")
    if form == "flat":
        soft = 0.02 * noise(canvas, canvas.uniform(0.3, 0.7), 2)
        return relief(canvas, colour, soft, canvas.uniform(0, 0.4), 0.45)
    if form == "cakes":
        globes = _pile(canvas, canvas.uniform(0.4, 0.6), 1.0, 0.48)
        cakes = _tinted(colour, _crevices(globes) - 1)
        cakes = relief(canvas, cakes, 0.5 * globes.height, canvas.uniform(0, 0.4), 0.45)
        return mix(_backdrop(canvas), cakes, globes.mask)
    cx, cy = canvas.rng.uniform(-0.2, 0.2, 2).tolist()
    radius = np.hypot(x - cx, y - cy)
    if form == "swirl":
        turns = radius / canvas.uniform(0.2, 0.35) + np.arctan2(y - cy, x - cx) / (2 * np.pi)
        height = 0.05 * np.abs(np.sin(np.pi * turns)) - 0.15 * radius
        return relief(canvas, colour, height, canvas.uniform(0, 0.3), 0.45)
    middle, half = canvas.uniform(0.26, 0.36), canvas.uniform(0.16, 0.24)
    tube = np.maximum(1 - ((radius - middle) / half) ** 2, 0)
    edge = np.abs(radius + 0.015 * noise(canvas, 0.15) - middle)
    icing = smoothstep(0.85 * half - edge, 0, 0.015)
    dough = canvas.colour("tan", "gold", "brown", jitter=0.03)
    image = mix(flat(canvas, dough), colour, icing)
    height = 0.8 * half * np.sqrt(tube) + 0.01 * icing
    image = relief(canvas, image, height, canvas.uniform(0.1, 0.4), 0.45)
    return mix(_backdrop(canvas), image, np.minimum(tube * 40, 1))


def _sugars(canvas: Canvas, count: int) -> np.ndarray:
    """Colours (count, 3) of sugar: gay, or one or two only."""
    if canvas.chance(0.2):
        palette = canvas.colours(2, "white", "brown", "pink", "red", contrast=50)
    else:
        palette = canvas.colours(6, *BRIGHTS, contrast=40)
    colours = lookup(palette, canvas.rng.integers(0, 60, count))
    return colours + canvas.rng.normal(0, 0.04, (count, 1))


def _strands(canvas: Canvas, image: np.ndarray, _light: bool) -> np.ndarray:
    """Short sugar rods lying every way, each with a lit side and a shadow."""
    canvas.rescale("fine", "medium", "medium", "coarse")
    length = 0.45 * canvas.period
    width = length * canvas.uniform(0.22, 0.36)
    count = min(max(int(canvas.uniform(0.08, 0.4) / (length * width)), 30), 420)
    colours = _sugars(canvas, count)
    middles = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    turns = canvas.rng.uniform(0, np.pi, count)
    half = np.stack([np.cos(turns), np.sin(turns)], 1) * length / 2
    ends = np.stack([middles - half, middles + half], 1)
    lit_ends = ends + 0.2 * width * np.array(_lamp(canvas))
    sheet = _sheet(canvas)
    thick = max(1, round(width * canvas.size * SUPERSAMPLING))
    rods = zip(_place(canvas, ends).tolist(), _inks(0.75 * colours), strict=True)
    lights = zip(_place(canvas, lit_ends).tolist(), _inks(1.1 * colours + 0.06), strict=True)
    for (rod, dark), (light, bright) in zip(rods, lights, strict=True):
        cv2.line(sheet, *rod, dark, thick, cv2.LINE_8, 4)
        cv2.line(sheet, *light, bright, max(1, thick // 2), cv2.LINE_8, 4)
    return _lay(canvas, image, sheet, width / 2)


def _pearls(canvas: Canvas, image: np.ndarray, _light: bool) -> np.ndarray:
    """Hundreds and thousands: tiny sugar balls."""
    radius = max(0.13 * canvas.period, 0.009)
    count = int(min(canvas.uniform(0.03, 0.1) / radius**2, 450))
    centres = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    colours = _sugars(canvas, count)
    radii = radius * canvas.rng.uniform(0.8, 1.2, count)
    sheet = _sheet(canvas)
    for part, shade, lift in ((1, 0.7, 0), (0.7, 1, 0), (0.25, 1.1, 0.3)):
        shift = 0.5 * radius * (1 - part) * np.array(_lamp(canvas))
        _dots(canvas, sheet, centres + shift, radii * part, colours * shade + lift)
    return _lay(canvas, image, sheet, radius)


def _powder(canvas: Canvas, image: np.ndarray, light: bool) -> np.ndarray:
    """Icing sugar, cocoa, salt or flour dusted thickly here and thinly there."""
    colour = canvas.colour(*(("brown", "maroon", "orange", "green") if light else ("white",)))
    x, y = canvas.grid()
    dense = canvas.uniform(0.35, 0.65) + 0.25 * noise(canvas, canvas.uniform(0.2, 0.5), 2)
    image = mix(image, colour, 0.45 * np.minimum(dense * dense, 1))
    height = 0.006 * noise(canvas, 0.06, 3)
    for scale in (0.5, 0.25):
        period = max(canvas.period * scale, 0.012)
        depth, _ = _specks(canvas, x, y, period, (0.08, 0.4), 1.2, 0.15, dense)
        mask = _edge(canvas, depth, period, 0.05)
        image = mix(image, colour, mask)
        height = height + 0.3 * period * mask
    return relief(canvas, image, height, 0, 0.5)


def _seeds(canvas: Canvas, image: np.ndarray, light: bool) -> np.ndarray:
    """Sesame, poppy seeds, nuts or chocolate shavings."""
    names = ("black", "brown", "maroon", "red") if light else ("cream", "beige", "white", "gold")
    colour = canvas.colour(*names, jitter=0.03)
    x, y = canvas.grid()
    long = canvas.uniform(1.2, 2.8)
    period = 0.6 * canvas.period
    height = 0.003 * noise(canvas, 0.05, 3)
    for _ in range(2):
        depth, ids = _specks(canvas, x, y, period, (0.16, 0.24), long, 0.03, 0.8)
        mask = _edge(canvas, depth, period)
        image = _tinted(image, -0.3 * blur(mask, 0.006))
        image = mix(image, _tinted(colour, canvas.table(-0.1, 0.1)[ids]), mask)
        height = np.maximum(height, 0.3 * period * np.sqrt(np.maximum(depth, 0)))
    return relief(canvas, image, height, 0.15, 0.5)


# --- bubbly and bumpy -----------------------------------------------------------------------


def bubbly(canvas: Canvas) -> np.ndarray:
    """Round translucent films of gas: fizz, foam, soap bubbles, drops of oil in water."""
    return canvas.pick(_fizz, _fizz, _foam, _foam, _suds, _suds, _oil, _soap_bubbles)(canvas)


def _crowd(canvas: Canvas, count: int, low: float, high: float) -> Globes:
    """Spheres of radii from low to high, most of them small, over the whole picture."""
    radii = low * (high / low) ** (canvas.rng.random(count) ** 2)
    centres = canvas.rng.uniform(-0.55, 0.55, (count, 2))
    order = np.argsort(radii) if canvas.chance(0.5) else np.arange(count)
    return _globes(canvas, centres[order], radii[order])


def _water(canvas: Canvas) -> np.ndarray:
    """A liquid with light falling into it from one side."""
    x, y = canvas.grid()
    first = canvas.colour(*WATERS)
    palette = np.stack([0.45 * first, first, np.minimum(first + 0.35, 1)])
    if canvas.chance(0.2):
        palette = canvas.colours(2, *WATERS, contrast=20)
    sx, sy = canvas.rng.normal(0, 1, 2).tolist()
    return ramp(palette, 0.5 + sx * x + sy * y + 0.08 * noise(canvas, 0.5, 2))


def _film(canvas: Canvas, image: np.ndarray, globes: Globes, strength: float) -> np.ndarray:
    """Bubbles as glassy spheres on an image: dark rim, glowing inner crescent, highlights."""
    dx, dy, _ = globes.spots
    far = np.minimum(globes.spots.far, 1)
    lx, ly = _lamp(canvas)
    facing, rim = dx * lx + dy * ly, far**4
    dark = 0.75 * strength * rim * rim * (0.65 + 0.35 * facing)
    glow = 2.5 * strength * rim * (1 - rim) * np.maximum(0.3 - facing, 0)
    edge = 0.5 * strength * smoothstep(far, 0.86, 0.93) * smoothstep(far, 1, 0.94)
    light = np.maximum(np.maximum(glow, edge), _gleam(canvas, globes.spots, 0.5, 0.16))
    clear = canvas.uniform(-0.1, 0.25) * (1 - far * far)
    image = image * (1 + (clear - dark) * globes.mask)[..., None]
    return np.clip(image + (light * globes.mask)[..., None], 0, 1)


def _gleam(canvas: Canvas, spots: Spots, offset: float, radius: float) -> np.ndarray:
    """A round highlight on every spot, `offset` from its middle towards the light."""
    lx, ly = _lamp(canvas)
    apart = np.hypot(spots.dx - offset * lx, spots.dy - offset * ly)
    return smoothstep(apart, 1.4 * radius, 0.6 * radius)


def _glint(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The image with white light added."""
    return np.clip(image + light[..., None], 0, 1)


def _fizz(canvas: Canvas) -> np.ndarray:
    """Bubbles of all sizes rising in water, soda or beer."""
    image = _water(canvas)
    high = canvas.period * canvas.uniform(0.4, 0.8)
    low = max(canvas.uniform(0.1, 0.35) * high, 0.008)
    count = int(min(max(canvas.uniform(0.4, 1.2) / high**2, 20), 160))
    return _film(canvas, image, _crowd(canvas, count, low, high), canvas.uniform(0.6, 1))


def _foam(canvas: Canvas) -> np.ndarray:
    """Dry foam: thin bright or dark walls around many-sided cells."""
    x, y = canvas.grid()
    du, dv = flow(canvas, 0.5, 0.05)
    period = canvas.period * canvas.uniform(0.6, 1)
    c = cells(canvas, x + du, y + dv, period, 0.85, hexagonal=True)
    spots = Spots(c.dx, c.dy, c.ids)
    water = _water(canvas)
    lx, ly = _lamp(canvas)
    facing = c.dx * lx + c.dy * ly
    ring = np.exp(-(((c.border - 0.13) / 0.05) ** 2)) * (0.3 - facing)
    image = _tinted(water, ring + 0.25 * facing + canvas.table(-0.35, 0)[c.ids])
    rim = canvas.colour("white", "white", "cream", "silver", "black", "charcoal")
    walls = np.exp(-c.border * canvas.uniform(12, 25))
    image = mix(image, rim, canvas.uniform(0.6, 1) * walls)
    return _glint(image, canvas.uniform(0.3, 0.9) * _gleam(canvas, spots, 0.2, 0.1))


def _suds(canvas: Canvas) -> np.ndarray:
    """White froth of tiny bubbles with larger ones among them: soap, milk, beer, coffee."""
    canvas.rescale("fine", "medium")
    period = 0.6 * canvas.period
    spots = _swaying(canvas, *canvas.grid(), period, 0.15, 0.35)
    height = period * np.sqrt(np.maximum(0.34 - spots.far**2, 0))
    globes = _crowd(canvas, canvas.integer(70, 140), 0.45 * period, 1.8 * period)
    height = np.where(globes.height > 0, 0.8 * globes.height, height)
    froth = canvas.colour("white", "white", "cream", "beige", "tan", jitter=0.03)
    if canvas.chance(0.3):
        froth = _water(canvas)
    image = 0.9 * relief(canvas, froth, 0.7 * height, canvas.uniform(0.2, 0.6), 0.65)
    image = _glint(image, canvas.uniform(0.1, 0.6) * _gleam(canvas, spots, 0.2, 0.1))
    return _film(canvas, image, globes, canvas.uniform(0.4, 0.8))


def _oil(canvas: Canvas) -> np.ndarray:
    """Large smooth discs in gay colours: oil on water, close up."""
    canvas.rescale("coarse")
    x, y = canvas.grid()
    palette = canvas.colours(canvas.integer(2, 4), *WATERS, "yellow", "red", "pink", contrast=35)
    high = canvas.period * canvas.uniform(0.5, 0.9)
    globes = _crowd(canvas, canvas.integer(25, 90), 0.15 * high, high)
    dx, dy, ids = globes.spots
    far = np.minimum(globes.spots.far, 1)
    sx, sy = canvas.rng.normal(0, 0.7, 2).tolist()
    back = 0.5 + sx * x + sy * y + 0.06 * noise(canvas, 0.5)
    lens = canvas.table(0.1, 0.9)[ids] - 0.35 * (sx * dx + sy * dy)
    image = mix(ramp(palette, back), ramp(palette, lens), globes.mask)
    rim = np.exp(-(((far - 0.93) / 0.07) ** 2))
    image = _tinted(image, -canvas.uniform(0.5, 0.9) * rim * globes.mask)
    lx, ly = _lamp(canvas)
    crescent = np.exp(-(((far - 0.8) / 0.08) ** 2)) * np.maximum(-dx * lx - dy * ly, 0)
    light = np.maximum(crescent, _gleam(canvas, globes.spots, 0.5, 0.15))
    return _glint(image, 0.6 * light * globes.mask)


def _soap_bubbles(canvas: Canvas) -> np.ndarray:
    """Big iridescent bubbles floating before a sky, a garden or the dark."""
    canvas.rescale("coarse")
    below = _water(canvas)
    high = canvas.period * canvas.uniform(0.6, 1.2)
    globes = _crowd(canvas, canvas.integer(10, 40), 0.3 * high, high)
    film = canvas.colours(8, *FILMS, contrast=30)
    far = np.minimum(globes.spots.far, 1)
    sheen = ramp(film, 0.75 * far + 0.12 * noise(canvas, 0.2, 2))
    strength = 0.12 + canvas.uniform(0.4, 0.8) * far**4
    image = mix(below, sheen, strength * globes.mask)
    return _film(canvas, image, globes, canvas.uniform(0.4, 0.8))


def bumpy(canvas: Canvas) -> np.ndarray:
    """Rounded or pointed bumps that stand out of a surface and catch the light."""
    _lit_from_above(canvas)
    canvas.rescale("fine", "medium", "medium", "coarse", "coarse")
    return canvas.pick(
        _gourds, _gourds, _rubber, _rind, _rind, _paving, _tread, _egg_box, _lumps, _rough, _heap,
        _rollers, _blocks,
    )(canvas)  # fmt: skip


def _warts(canvas: Canvas, u: np.ndarray, v: np.ndarray, period: float, share: float) -> np.ndarray:
    """Smooth random bumps of two sizes, heights in fractions of the side."""
    height = np.zeros_like(u)
    for scale in (1.0, 0.6):
        size = period * scale
        depth, _ = _specks(canvas, u, v, size, (0.15, 0.42), 1.3, 0.1, share)
        height = np.maximum(height, (0.45 * size) * smoothstep(depth, -0.1, 0.3))
    return height


def _gourds(canvas: Canvas) -> np.ndarray:
    """Warty pumpkins, squashes, avocados and oranges, one or a heap of them."""
    if canvas.chance(0.45):
        centre = canvas.rng.uniform(-0.15, 0.15, (1, 2))
        globes = _globes(canvas, centre, canvas.uniform(0.45, 0.9), 1.3)
    else:
        globes = _pile(canvas, canvas.uniform(0.3, 0.65), 1.3, 0.6)
    names = canvas.pick(
        ("orange", "orange", "gold", "red"), ("green", "olive", "lime", "gold"), RINDS,
        ("orange", "green", "yellow", "cream", "olive", "maroon"), ("beige", "tan", "brown"),
    )  # fmt: skip
    dx, dy, ids = globes.spots
    x, y = canvas.grid()
    swell = 1 + 0.3 * np.minimum(dx * dx + dy * dy, 1)
    period = canvas.period * canvas.uniform(0.4, 0.9)
    share, apart = canvas.uniform(0.5, 1), canvas.table(-8, 8)[ids]
    bumps = _warts(canvas, x * swell + apart, y * swell, period, share) * globes.mask
    ribs = canvas.pick(0, 0.02) * np.abs(np.sin(canvas.uniform(3, 6) * dx))
    shade = _crevices(globes) * (0.85 + 0.1 * noise(canvas, 0.1, 3))
    base = _tinted(canvas.colours(3, *names, contrast=15)[ids % 3], shade - 1)
    tint = np.float32(canvas.pick((0.3, 0.3, 0.1), (0.3, 0.1, 0), (0.2, 0.2, 0.2), (0, 0, 0)))
    base = base + (bumps / (0.45 * period))[..., None] * tint
    image = relief(canvas, base, 0.8 * globes.height + bumps + ribs, canvas.uniform(0, 0.5), 0.3)
    return mix(_backdrop(canvas) * canvas.pick(0.2, 1), image, globes.mask)


def _rubber(canvas: Canvas) -> np.ndarray:
    """A glossy rubber ball or mat with rows of soft knobs."""
    body = _body(canvas, swell=0.45)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    spots = _lattice(canvas, body.u, body.v, period, 0.2, hexagonal=True)
    size = canvas.uniform(0.18, 0.4)
    knobs = np.maximum(1 - (spots.far / size) ** 2, 0) ** canvas.pick(0.5, 1, 1.5)
    height = body.height + size * period * canvas.uniform(0.6, 1.2) * knobs
    colour = canvas.colour(*RUBBERS)
    return body.before(canvas, relief(canvas, colour, height, canvas.uniform(0.3, 0.9), 0.45))


def _rind(canvas: Canvas) -> np.ndarray:
    """Spikes, scales and swollen plates of durian, pineapple, custard apple, horned skin."""
    body = _body(canvas, 1.3)
    period = canvas.period * canvas.uniform(0.7, 1.2)
    spots = _swaying(canvas, body.u, body.v, period, 0.12, 0.3)
    rise = np.maximum(1 - spots.far / 0.58, 0)
    kind = canvas.pick("spike", "thorn", "plate", "pyramid")
    if kind == "thorn":
        rise = rise**1.5
    elif kind == "plate":
        rise = np.minimum(np.sqrt(rise), canvas.uniform(0.6, 1))
    elif kind == "pyramid":
        rise = np.clip(2 * _hexagon(spots), 0, 1)
    low, high = canvas.colours(2, *RINDS, contrast=25)
    shade = rise + canvas.table(-0.15, 0.15)[spots.ids] + 0.1 * noise(canvas, 0.05, 2)
    base = ramp(np.stack([low, high, np.minimum(high * 1.2, 1)]), shade)
    height = body.height + period * canvas.uniform(0.4, 1) * rise
    return body.before(canvas, relief(canvas, base, height, canvas.uniform(0, 0.4), 0.25))


def _knobs(canvas: Canvas, far: np.ndarray, size: float) -> np.ndarray:
    """Heights in [0, 1] of domes, flat buttons, cones or hills of radius `size`."""
    kind = canvas.pick("dome", "button", "cone", "hill")
    t = np.clip(1 - far / size, 0, 1)
    if kind == "dome":
        return np.sqrt(t * (2 - t))
    if kind == "button":
        return np.minimum(t * 4, 1)
    return t if kind == "cone" else smoothstep(t, 0, 1)


def _paving(canvas: Canvas) -> np.ndarray:
    """Tactile paving, rubber floors, building bricks: rows of knobs on slabs."""
    u, v = canvas.coordinates(skew=0.1, perspective=0.8)
    period = canvas.period * canvas.uniform(0.8, 1.2)
    spots = _lattice(canvas, u, v, period, 0, canvas.chance(0.3))
    size = canvas.uniform(0.2, 0.42)
    knobs = _knobs(canvas, spots.far, size)
    names = canvas.pick(EARTHS, FLOORS, ("yellow", "gold", "tan"), ("maroon", "brown"), BRIGHTS)
    base = _mottled(canvas, *names, spread=0.05)
    height = size * period * canvas.uniform(0.5, 1) * knobs
    if canvas.chance(0.6):
        slab = canvas.integer(4, 9)
        shift = 0.5 / slab
        joints = (stripes(t / (period * slab) + shift, 0.02, 0.01) for t in (u, v))
        joint = np.maximum(*joints)
        base, height = _tinted(base, -0.5 * joint), height - 0.01 * joint
    if canvas.chance(0.25):
        worn = _edge(canvas, 0.8 * size - spots.far, period)
        base = mix(base, canvas.colour("silver", "white", "grey"), worn)
    height = height + grain(canvas, canvas.uniform(0, 0.0015))
    return relief(canvas, base, height, canvas.uniform(0, 0.5), 0.3)


def _tread(canvas: Canvas) -> np.ndarray:
    """Steel tread plate: raised lozenges, every other one turned."""
    u, v = canvas.coordinates(skew=0.05, perspective=0.7)
    x, y = u / canvas.period, v / canvas.period
    column, row = np.rint(x), np.rint(y)
    dx, dy = x - column, (y - row) * (1 - 2 * np.mod(column + row, 2))
    lozenge = 1 - ((dx + dy) / 0.6) ** 2 - np.abs(dx - dy) / 0.18
    lozenge = smoothstep(lozenge, 0, canvas.uniform(0.2, 0.6))
    base = _mottled(canvas, *METALS, "charcoal", "blue", "silver", spread=0.05)
    base = _tinted(base, canvas.uniform(0, 0.6) * lozenge)
    height = 0.09 * canvas.period * lozenge + grain(canvas, 0.0005)
    return relief(canvas, base, height, canvas.uniform(0.1, 0.6), 0.35)


def _egg_box(canvas: Canvas) -> np.ndarray:
    """Acoustic foam, egg boxes, quilted or embossed waves."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.6)
    t = 2 * np.pi / canvas.period
    if canvas.chance(0.6):
        wave = np.cos(t * u) * np.cos(t * v)
    else:
        wave = np.cos(t * u) + 0.5 * np.cos(t * (0.5 * u + 0.87 * v))
    base = _mottled(canvas, *FLOORS, "pink", spread=0.04)
    base = _tinted(base, np.clip(0.35 * wave - 0.25, -0.8, 0.1))
    height = canvas.period * canvas.uniform(0.12, 0.3) * wave + grain(canvas, 0.0015)
    return relief(canvas, base, height, canvas.uniform(0, 0.5), 0.3)


def _lumps(canvas: Canvas) -> np.ndarray:
    """Packed rounded lumps of many sizes: cobbles, berries, caviar, cauliflower, tortoise shell."""
    x, y = canvas.grid()
    du, dv = flow(canvas, 0.5, 0.02)
    jitter = canvas.uniform(0.3, 0.8)
    c = cells(canvas, x + du, y + dv, canvas.period, jitter, hexagonal=True)
    dome = np.minimum(np.sqrt(np.maximum(c.border, 0)), canvas.uniform(0.4, 0.8))
    names = canvas.pick(EARTHS, GREYS, BRIGHTS, EARTHS)
    palette = canvas.colours(canvas.integer(1, 3), *names, contrast=10)
    base = _tinted(vary(canvas, palette, c.ids, 0.05), smoothstep(c.border, -0.15, 0.15) - 1)
    height = canvas.uniform(0.4, 0.8) * canvas.period * dome
    height = height + canvas.uniform(0, 0.003) * noise(canvas, 0.03, 2)
    return relief(canvas, base, height, canvas.uniform(0, 0.7), 0.3)


def _rough(canvas: Canvas) -> np.ndarray:
    """Rough skin, bark, plaster, lava, leather: bumps without order."""
    period = canvas.period * canvas.uniform(0.3, 0.8)
    field = noise(canvas, period, canvas.integer(1, 3), 0.45)
    form = canvas.pick("swell", "billow", "pebble")
    if form == "billow":
        field = np.abs(field)
    elif form == "pebble":
        field = np.clip(field, -0.3, 0.9)
    names = canvas.pick(EARTHS, GREYS, ("navy", "charcoal"), ("green", "olive", "lime"), BRIGHTS)
    base = _tinted(_mottled(canvas, *names, spread=0.08), 0.12 * field)
    height = period * canvas.uniform(0.1, 0.22) * field
    height = height + canvas.uniform(0, 0.08) * noise(canvas, 0.6)
    return relief(canvas, base, height, canvas.uniform(0, 0.8), 0.25)


def _heap(canvas: Canvas) -> np.ndarray:
    """Balls, beads, peas or eggs heaped together, matt, glossy or of steel."""
    canvas.rescale("medium", "coarse")
    spacing, long = max(canvas.period, 0.09), canvas.pick(1.0, 1.0, 1.3)
    globes = _pile(canvas, spacing, long, canvas.uniform(0.5, 0.62))
    dark = _crevices(globes) - 1
    if canvas.chance(0.3):
        steel = _metal(canvas, canvas.colour("silver", "gold", "grey"), 0.8 * globes.height)
        return _tinted(steel, dark)
    palette = canvas.colours(canvas.integer(1, 5), *canvas.pick(BRIGHTS, EARTHS, GREYS))
    base = _tinted(vary(canvas, palette, globes.spots.ids, 0.04), dark)
    height = globes.height + canvas.uniform(0, 0.004) * noise(canvas, 0.03, 2)
    return relief(canvas, base, height, canvas.uniform(0, 0.9), 0.3)


def _rollers(canvas: Canvas) -> np.ndarray:
    """Rows of swollen segments: massage rollers, corn on the cob, ropes of beads."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(warp=0.01)
    width = canvas.period * canvas.uniform(1, 1.8)
    across, along = u / width, v / (width * canvas.uniform(0.25, 0.6))
    row = np.rint(across)
    number = row.astype(np.intp) & 63
    along = along + canvas.pick(0, 1) * canvas.table()[number]
    number = number << 6 | (np.rint(along).astype(np.intp) & 63)
    dx, dy = 2 * (across - row), 2 * np.abs(along - np.rint(along))
    barrel = np.sqrt(np.maximum(1 - dx * dx / 0.9, 0))
    bead = np.minimum(1 - dy, 0.5) if canvas.chance(0.5) else np.sqrt(np.maximum(1 - dy * dy, 0))
    if canvas.chance(0.4):
        bead = np.minimum(bead, 1 - 2 * np.abs(1.5 * dx - np.rint(1.5 * dx)))
    wood = canvas.colour("brown", "tan", "gold", "yellow", "beige", "orange", "maroon", "silver")
    shade = (0.5 + np.minimum(bead, 0.5)) * smoothstep(barrel, -0.1, 0.5)
    shade = shade * (1 + canvas.table(-0.12, 0.12)[number] + grain(canvas, 0.03))
    height = (0.3 + 0.2 * bead) * width * barrel
    return relief(canvas, _tinted(wood, shade - 1), height, canvas.uniform(0, 0.5), 0.3)


def _blocks(canvas: Canvas) -> np.ndarray:
    """Pyramids or square blocks of uneven height, smooth and shaded."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.6)
    period = canvas.period * canvas.uniform(0.9, 1.4)
    spots = _lattice(canvas, u, v, period)
    top = 1 - 2 * np.maximum(np.abs(spots.dx), np.abs(spots.dy))
    rise = np.clip(top * canvas.pick(1, 1, 4), 0, 1)
    rise = rise * canvas.table(canvas.pick(0.3, 1), 1)[spots.ids]
    names = canvas.pick(GREYS, EARTHS, ("blue", "sky blue", "red", "navy"), METALS)
    base = _tinted(canvas.colour(*names), 0.06 * noise(canvas, 0.2, 4))
    base = _tinted(base, 0.5 * smoothstep(top, 0, 0.2) - 0.5)
    height = period * canvas.uniform(0.25, 0.5) * rise
    return relief(canvas, base, height, canvas.uniform(0, 0.4), 0.3)


# --- cells, holes and studs -----------------------------------------------------------------


def honeycombed(canvas: Canvas) -> np.ndarray:
    """Hexagonal cells with thin walls: wax, paper, metal, or drawn."""
    canvas.rescale("fine", "medium", "medium", "coarse")
    turn = canvas.pick(0, np.pi / 6, canvas.uniform(0, np.pi))
    u, v = canvas.coordinates(turn, perspective=0.5)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    spots = _swaying(canvas, u, v, period, canvas.uniform(0, 0.08))
    return canvas.pick(_waxen, _waxen, _tubes, _tubes, _hexagons)(canvas, spots, period)


def _waxen(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """Honeycomb of wax: empty, filled with honey or capped, at times with bees."""
    wax = canvas.colour("gold", "gold", "yellow", "orange", "tan", "cream", "brown", "beige")
    deep = 0.8 * canvas.colour("brown", "maroon", "gold", "orange", "black", jitter=0.04)
    wall = _hexagon(spots) + 0.02 * noise(canvas, 0.5 * period)
    thick = canvas.uniform(0.05, 0.12)
    inside = smoothstep(wall, thick, thick + 0.1)
    filled = canvas.table()[spots.ids] + 0.3 * noise(canvas, 0.4)
    honey = ramp(np.stack([0.5 * deep, deep, np.clip(1.8 * deep + 0.1, 0, 1)]), filled)
    lx, ly = _lamp(canvas)
    honey = _tinted(honey, -canvas.uniform(0.3, 1.1) * (spots.dx * lx + spots.dy * ly))
    shine = canvas.uniform(0, 0.7) * _gleam(canvas, spots, -0.15, 0.07) * (filled > 0.4)
    image = mix(flat(canvas, wax), _glint(honey, shine), inside)
    lid = np.clip(8 * (noise(canvas, 0.5) - canvas.uniform(0.2, 2)), 0, 1)
    image = mix(image, _tinted(wax, -0.4 * smoothstep(wall, 0.1, 0)), 0.9 * lid)
    height = 0.2 * period * inside * (2 * lid - 1) + grain(canvas, 0.001)
    image = relief(canvas, image, height, canvas.uniform(0, 0.5), 0.5)
    return _bees(canvas, image, period) if canvas.chance(0.3) else image


def _tubes(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """A comb of paper, card or metal seen slightly from the side: the walls' insides show."""
    names = canvas.pick(
        METALS, GREYS, ("white", "cream", "tan", "beige"), ("gold", "orange", "yellow"), BRIGHTS
    )
    sheet = canvas.colour(*names)
    x, y = canvas.grid()
    depth, (lean_x, lean_y) = canvas.uniform(0.2, 1.2), canvas.rng.uniform(-0.25, 0.25, 2).tolist()
    below = Spots(spots.dx + lean_x + depth * x, spots.dy + lean_y + depth * y, spots.ids)
    floor = _edge(canvas, _hexagon(below) - 0.05, period, 0.05)
    side = np.rint(np.arctan2(below.dy, below.dx) * (3 / np.pi)) * (np.pi / 3)
    lx, ly = _lamp(canvas)
    lit = 0.55 - 0.25 * (np.cos(side) * lx + np.sin(side) * ly)
    lit = lit * np.clip(1.25 - 2 * np.maximum(-_hexagon(below), 0), 0.3, 1.3)
    hollow = canvas.colour("black", "charcoal", "brown", "white", "gold", "sky blue")
    image = mix(_tinted(sheet, lit - 1), hollow, canvas.uniform(0.5, 1) * floor)
    rim = _edge(canvas, canvas.uniform(0.03, 0.09) - _hexagon(spots), period)
    return mix(image, np.minimum(1.25 * sheet + 0.05, 1), rim)


def _hexagons(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """Hexagons printed, tiled or pressed into something."""
    names = canvas.pick((), (), ("gold", "yellow", "orange", "black", "brown", "white"))
    ground, line = canvas.colours(2, *names, contrast=45)
    wall = canvas.uniform(0.03, 0.12) - _hexagon(spots)
    fill = vary(canvas, ground[None], spots.ids, canvas.pick(0.01, 0.1))
    image = mix(fill, line, _edge(canvas, wall, period))
    height = canvas.pick(0, -0.15, 0.15) * period * smoothstep(wall, -0.12, 0.02)
    return relief(canvas, image, height, canvas.uniform(0, 0.6), 0.4)


def _bees(canvas: Canvas, image: np.ndarray, period: float) -> np.ndarray:
    """A few bees on the comb, each a little longer than a cell is wide."""
    dark = canvas.colour("brown", "black", jitter=0.03)
    amber = canvas.colour("gold", "orange", jitter=0.04)
    wing = np.float32([0.8, 0.78, 0.7])
    # Along the body, to its side, half length, half width, turned by, colour; lengths in cells.
    parts = (
        (-0.2, 0, 0.55, 0.28, 0, dark),
        (-0.1, 0, 0.1, 0.27, 0, amber),
        (-0.4, 0, 0.09, 0.22, 0, amber),
        (0.4, 0, 0.28, 0.27, 0, amber),
        (0.7, 0, 0.15, 0.2, 0, dark),
        (-0.15, 0.22, 0.5, 0.13, -0.35, wing),
        (-0.15, -0.22, 0.5, 0.13, 0.35, wing),
    )
    sheet = _sheet(canvas)
    for _ in range(canvas.integer(2, 9)):
        middle, turn = canvas.rng.uniform(-0.5, 0.5, 2), canvas.uniform(0, 2 * np.pi)
        axis = period * np.array([np.cos(turn), np.sin(turn)])
        for along, aside, long, wide, bend, colour in parts:
            spot = middle + along * axis + aside * np.array([-axis[1], axis[0]])
            centre = tuple((_place(canvas, spot) / 16).tolist())
            axes = tuple(2 * period * canvas.size * SUPERSAMPLING * r for r in (long, wide))
            tilt = float(np.degrees(turn + bend))
            cv2.ellipse(sheet, (centre, axes, tilt), _inks(colour[None])[0], -1)
    return _lay(canvas, image, sheet, 0.15 * period)


def perforated(canvas: Canvas) -> np.ndarray:
    """A thin sheet of metal, leather, card or plastic with rows of holes right through it."""
    _lit_from_above(canvas)
    period = canvas.period * canvas.uniform(0.7, 1.1)
    turn = canvas.orientation() + canvas.pick(0, 0, np.pi / 4)
    u, v = canvas.coordinates(turn, skew=0.08, perspective=canvas.pick(0.2, 0.9), warp=0.015)
    shape = canvas.pick("round", "round", "round", "round", "square", "slot", "lozenge", "hexagon")
    long = canvas.uniform(1.8, 3) if shape == "slot" else 1.0
    spots = _lattice(canvas, u, v / long, period, 0, canvas.chance(0.6))
    radius = canvas.uniform(0.16, 0.36)
    if canvas.chance(0.12):
        radius = radius * np.clip(0.75 + 0.35 * noise(canvas, 0.5), 0.1, 1.2)
    top = radius - _hole_distance(shape, spots, long)
    x, y = canvas.grid()
    thick, (lean_x, lean_y) = canvas.uniform(0, 0.2), canvas.rng.uniform(-0.5, 0.5, 2).tolist()
    below = Spots(spots.dx + thick * (lean_x + x), spots.dy + thick * (lean_y + y), spots.ids)
    through = _edge(canvas, radius - _hole_distance(shape, below, long), period, 0.03)
    behind = canvas.colour("black", "black", "black", "charcoal", "navy", jitter=0.03)
    if canvas.chance(0.2):
        behind = np.clip(1.2 * _water(canvas) + 0.15, 0, 1)
    plate = _plate(canvas)
    inner = mix(plate * canvas.pick(0.3, 0.5, 0.8), behind, through)
    dent = canvas.uniform(0, 0.25) * period * smoothstep(top, 0, -0.12)
    swell = canvas.uniform(0, 0.03) * noise(canvas, 0.7)
    hole = _edge(canvas, top, period)
    if canvas.chance(0.2):
        hole = hole * ((spots.ids >> 6) % canvas.integer(5, 9) > 1)
    return mix(relief(canvas, plate, dent + swell, canvas.uniform(0, 0.4), 0.45), inner, hole)


def _hole_distance(shape: str, spots: Spots, long: float) -> np.ndarray:
    """Distance from the middle of a hole, in the metric whose discs have its shape."""
    dx, dy = np.abs(spots.dx), np.abs(spots.dy)
    if shape == "square":
        return np.maximum(dx, dy)
    if shape == "lozenge":
        return (dx + dy) / 1.2
    if shape == "hexagon":
        return 0.5 - _hexagon(spots)
    if shape == "slot":
        dy = np.maximum(dy - 0.3, 0) * long
    return np.hypot(dx, dy)


def _plate(canvas: Canvas) -> np.ndarray:
    """Brushed, painted or rusty metal, leather or card, smooth enough to be perforated."""
    kind = canvas.pick("metal", "metal", "paint", "leather", "rust", "card")
    if kind == "metal":
        brushed = noise(canvas, canvas.pick((0.5, 0.006), (0.006, 0.5), (0.3, 0.3)), 2)
        shade = 0.07 * brushed + 0.15 * noise(canvas, 0.7)
        return _tinted(canvas.colour(*METALS, "silver", "silver"), shade)
    if kind == "leather":
        return _leather(canvas)
    if kind == "rust":
        return _mottled(canvas, "brown", "maroon", "tan", "olive", "grey", spread=0.12)
    names = ("white", "cream", "beige", "tan") if kind == "card" else BRIGHTS
    return _mottled(canvas, *names, spread=0.02)


def _pits(
    canvas: Canvas, period: float, scales: tuple, widest: float, share: float | np.ndarray
) -> np.ndarray:
    """How deep a surface is eaten away by holes of several sizes, in fractions of the side."""
    x, y = canvas.grid()
    depth = np.zeros_like(x)
    for scale in scales:
        size = period * scale
        inside, _ = _specks(canvas, x, y, size, (0.07, widest), 1.2, 0.13, share)
        depth = np.maximum(depth, size * np.maximum(inside, 0))
    return depth


def _hollow(canvas: Canvas, base: np.ndarray, depth: np.ndarray, full: float, floor: float):
    """A surface eaten away to a depth, darker inside: as dark as `floor` well below `full`."""
    dark = (1 - floor) * (np.exp(-depth / full) - 1)
    height = -depth * canvas.uniform(0.8, 1.4) + 0.0015 * noise(canvas, 0.025, 2)
    return relief(canvas, _tinted(base, dark), height, canvas.uniform(0, 0.1), 0.35)


def pitted(canvas: Canvas) -> np.ndarray:
    """A hard surface with small shallow dents of uneven size: stone, rust, peel, craters."""
    _lit_from_above(canvas)
    return canvas.pick(_pitted_stone, _pitted_stone, _corroded, _peel, _craters, _weathered)(canvas)


def _pitted_stone(canvas: Canvas) -> np.ndarray:
    """Concrete, travertine, limestone or plaster with holes strewn unevenly."""
    share = canvas.uniform(0.3, 0.7) + 0.3 * noise(canvas, 0.4, 2)
    period = canvas.period * canvas.uniform(0.5, 0.9)
    depth = _pits(canvas, period, (1.0, 0.5), 0.32, share)
    base = _mottled(canvas, *STONES, spread=0.06)
    return _hollow(canvas, base, depth, canvas.uniform(0.06, 0.3) * period, 0.25)


def _corroded(canvas: Canvas) -> np.ndarray:
    """Metal pitted by rust or acid."""
    period = canvas.period * canvas.uniform(0.5, 0.9)
    depth = _pits(canvas, period, (1.0, 0.5), 0.4, 0.6 + 0.4 * noise(canvas, 0.3, 2))
    rust = canvas.colours(3, "brown", "maroon", "tan", "orange", "charcoal", contrast=20)
    patina = ramp(rust, 0.5 + 0.2 * noise(canvas, 0.06, 3))
    spread = smoothstep(noise(canvas, 0.4, 4), canvas.uniform(-1, 0.5), 1.5)
    stain = 0.8 * np.minimum(depth / (0.15 * period), 1)
    base = mix(flat(canvas, canvas.colour(*METALS)), patina, np.maximum(stain, spread))
    return relief(canvas, base, grain(canvas, 0.001) - depth, canvas.uniform(0, 0.5), 0.3)


def _peel(canvas: Canvas) -> np.ndarray:
    """Orange or lemon peel, hammered metal, a thimble or a golf ball: dense round dimples."""
    canvas.rescale("fine", "medium")
    body = _body(canvas, swell=0.3)
    period = canvas.period * canvas.uniform(0.4, 0.9)
    spots = _swaying(canvas, body.u, body.v, period, 0.2, canvas.uniform(0, 0.3))
    dimple = np.maximum(1 - (spots.far / canvas.table(0.2, 0.42)[spots.ids]) ** 2, 0)
    base = _tinted(canvas.colour(*PEELS), -0.2 * dimple)
    height = body.height - period * canvas.uniform(0.08, 0.2) * dimple
    return body.before(canvas, relief(canvas, base, height, canvas.uniform(0.2, 0.8), 0.35))


def _craters(canvas: Canvas) -> np.ndarray:
    """Ground pocked by round craters with raised rims, large and small: moon, sand after rain."""
    high = canvas.period * canvas.uniform(0.5, 0.9)
    globes = _crowd(canvas, int(min(max(1 / high**2, 40), 170)), 0.15 * high, high)
    far = globes.spots.far
    bowl = np.where(far < 1, np.minimum(far * far - 0.85, 2 - 2 * far), 0)
    radius = globes.height / np.sqrt(np.maximum(1 - far * far, 1e-3))
    height = canvas.uniform(0.5, 0.9) * radius * bowl + 0.003 * noise(canvas, 0.1, 4, 0.6)
    base = _mottled(canvas, *STONES, "grey", "silver", spread=0.06)
    return relief(canvas, base, height, 0, 0.2)


def _weathered(canvas: Canvas) -> np.ndarray:
    """Rock eaten by wind and salt: hollows that run into one another."""
    period = canvas.period * canvas.uniform(0.4, 0.8)
    field = noise(canvas, period, 3, 0.45) - canvas.uniform(0.2, 0.8)
    depth = 0.2 * period * np.sqrt(np.maximum(field, 0))
    return _hollow(canvas, _mottled(canvas, *STONES, spread=0.08), depth, 0.15 * period, 0.25)


def porous(canvas: Canvas) -> np.ndarray:
    """A body riddled with deep pores of many sizes: sponge, pumice, bread, coral, cheese."""
    _lit_from_above(canvas)
    names, scales, widest, floor = canvas.pick(
        (SPONGES, (1.0, 0.6, 0.35), 0.42, 0.22),
        (("grey", "charcoal", "brown", "maroon", "tan", "silver"), (1.0, 0.6, 0.35), 0.45, 0.2),
        (("cream", "beige", "white", "tan", "gold", "brown"), (1.0, 0.6, 0.35), 0.4, 0.4),
        (("cream", "white", "beige", "tan", "pink", "grey"), (1.0, 0.5), 0.46, 0.2),
        ((*SPONGES, *GREYS), (), 0.6, 0.25),
    )
    period = canvas.period * canvas.uniform(0.6, 1)
    if scales:
        depth = _pits(canvas, period, scales, widest, canvas.uniform(0.75, 1))
    else:
        c = cells(canvas, *canvas.grid(), 0.7 * period, 0.85)
        depth = 0.7 * period * np.maximum(canvas.table(0.2, widest)[c.ids] - c.near, 0)
    base = _mottled(canvas, *names, spread=0.05)
    return _hollow(canvas, base, depth, canvas.uniform(0.06, 0.2) * period, floor)


def potholed(canvas: Canvas) -> np.ndarray:
    """A road with a few large broken holes, dry or full of water."""
    _lit_from_above(canvas)
    canvas.rescale("coarse")
    x, y = canvas.grid()
    dirt = canvas.chance(0.3)
    names = ("tan", "brown", "beige", "grey") if dirt else ("grey", "grey", "charcoal", "silver")
    stone = canvas.colour(*names, jitter=0.03)
    earth = 0.5 * stone + 0.5 * canvas.colour("brown", "tan", "grey", "charcoal", jitter=0.03)
    hole = _holes(canvas)
    inside = smoothstep(hole, 0, 0.012)
    image = flat(canvas, stone) if dirt else _road_line(canvas, flat(canvas, stone))
    image = mix(image, earth * canvas.uniform(0.5, 0.95), inside)
    gravel = grain(canvas, 1.0) + noise(canvas, canvas.uniform(0.01, 0.03))
    shade = 0.1 * noise(canvas, 0.5, 3, 0.6) + 0.06 * gravel
    if not dirt:
        shade = shade - 0.6 * _road_cracks(canvas, hole)
    rubble = noise(canvas, canvas.uniform(0.03, 0.06), 2, 0.7)
    depth, (lx, ly) = canvas.uniform(0.012, 0.03), _lamp(canvas)
    lit = 0.4 + 0.6 * sample(inside, x + 2 * depth * lx, y + 2 * depth * ly)
    shade = shade + inside * (lit * (0.9 + 0.16 * rubble) - 1 - shade)
    near = np.exp(-np.abs(hole) * 10)
    chip, ids = _specks(canvas, x, y, canvas.uniform(0.02, 0.045), (0.1, 0.4), 1.3, 0.1, near)
    shade = shade + canvas.table(-0.2, 0.35)[ids] * (chip > 0)
    height = 0.005 * rubble * inside - depth * smoothstep(hole, 0, canvas.uniform(0.015, 0.05))
    height = height + 0.0012 * gravel + 0.01 * np.maximum(chip, 0)
    image = relief(canvas, _tinted(image, shade), height, 0, 0.35)
    if canvas.chance(0.5):
        image = _puddle(canvas, image, hole)
    return _along_road(canvas, image) if canvas.chance(0.5) else image


def _holes(canvas: Canvas) -> np.ndarray:
    """How far a pixel lies inside the nearest of a few ragged holes, fractions of the side."""
    x, y = canvas.grid()
    field = np.full_like(x, -1)
    count = canvas.pick(1, 1, 2, 2, 3, 4, 6)
    for number in range(count):
        reach = canvas.uniform(0.16, 0.34) if count < 3 else canvas.uniform(0.07, 0.2)
        reach *= 0.6 if number > 1 else 1
        cx, cy = (canvas.rng.uniform(-0.35, 0.35, 2) * (0.4 if count == 1 else 1)).tolist()
        turn, long = canvas.uniform(0, np.pi), canvas.uniform(1, 1.7)
        cos, sin = math.cos(turn), math.sin(turn)
        dx, dy = (cos * (x - cx) + sin * (y - cy)) / long, cos * (y - cy) - sin * (x - cx)
        field = np.maximum(field, reach - np.hypot(dx, dy))
    return field + 0.03 * noise(canvas, 0.25, 2) + 0.012 * noise(canvas, 0.08, 3, 0.6)


def _road_cracks(canvas: Canvas, hole: np.ndarray) -> np.ndarray:
    """Cracks in the asphalt, closest around the holes."""
    ridge = np.abs(noise(canvas, canvas.uniform(0.12, 0.3), 3, 0.55))
    near = np.exp(np.minimum(hole, 0) / 0.12) + canvas.uniform(0, 0.4)
    return np.clip(1 - 18 * ridge, 0, 1) * np.minimum(near, 1) * (hole < 0)


def _road_line(canvas: Canvas, road: np.ndarray) -> np.ndarray:
    """The road, at times with a worn white or yellow line along it."""
    if canvas.chance(0.7):
        return road
    x, _ = canvas.grid()
    aside = np.abs(x - canvas.uniform(-0.4, 0.4))
    line = np.clip((canvas.uniform(0.02, 0.05) - aside) * 100, 0, 1)
    worn = smoothstep(noise(canvas, 0.04, 3), -1.2, 0.3)
    return mix(road, canvas.colour("white", "white", "yellow"), 0.85 * line * worn)


def _puddle(canvas: Canvas, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Still water in the holes: muddy, or a mirror of sky and trees."""
    _, y = canvas.grid()
    level = canvas.uniform(0.005, 0.04)
    mud = canvas.colour("tan", "brown", "beige", "grey", "silver", "charcoal", jitter=0.03)
    sky = canvas.colour("white", "sky blue", "silver", "grey")
    mirror = 0.45 + canvas.uniform(-1, 1) * y + 0.2 * noise(canvas, (0.15, 0.4), 2)
    image = _tinted(image, -0.3 * smoothstep(hole, level - 0.05, level))
    water = ramp(np.stack([0.6 * mud, mud, sky]), mirror)
    return mix(image, water, smoothstep(hole, level, level + 0.01))


def _along_road(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The flat image as a road that runs away from the eye, now and then up to its verge."""
    x, y = canvas.grid()
    horizon = canvas.uniform(0.75, 1.3)
    depth = (horizon + 0.5) / (y + horizon)
    zoom, length = canvas.uniform(0.5, 0.75), canvas.uniform(0.8, 1.2)
    seen = sample(image, zoom * x * depth, 0.5 - zoom * length * (depth - 1))
    if canvas.chance(0.6):
        return seen
    verge = canvas.colour("green", "olive", "tan", "grey", "sky blue", "white")
    verge = _tinted(verge, 0.25 * noise(canvas, 0.05, 3))
    top = y + canvas.uniform(0.25, 0.42) + 0.01 * noise(canvas, 0.1, 2)
    return mix(verge, seen, smoothstep(top, 0, 0.015))


def studded(canvas: Canvas) -> np.ndarray:
    """Metal studs, spikes, rivets or glittering stones set in rows on leather, cloth or iron."""
    _lit_from_above(canvas)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    turn = canvas.orientation() + canvas.pick(0, 0, np.pi / 4)
    u, v = canvas.coordinates(turn, perspective=0.5)
    ground, spots, there = _rows(canvas, u, v, period)
    size = canvas.uniform(0.25, 0.46)
    kind = canvas.pick("stud", "stud", "stud", "pyramid", "gem", "star")
    far = spots.far
    if kind == "pyramid":
        far = np.maximum(np.abs(spots.dx), np.abs(spots.dy))
    elif kind == "star":
        far = far * (1 + 0.35 * np.cos(5 * np.arctan2(spots.dy, spots.dx)))
    mask = _edge(canvas, size - far, period) * there
    if kind == "gem":
        studs = _gems(canvas, spots, size)
    else:
        colour = canvas.colour("silver", "silver", "white", "gold", "gold", "grey", "charcoal")
        rise = _knobs(canvas, far, size) if kind == "stud" else np.maximum(1 - far / size, 0)
        studs = _metal(canvas, colour, size * period * canvas.uniform(0.5, 1.1) * rise)
    return mix(_shadowed(canvas, ground, mask, 0.15 * period), studs, mask)


def _rows(canvas: Canvas, u: np.ndarray, v: np.ndarray, period: float) -> tuple:
    """A ground, the spots of studs on it and where there are any: all over, in lines, on a belt."""
    ground = _backing(canvas)
    kind = canvas.pick("all", "all", "lines", "seams", "belt")
    if kind == "seams":
        step = canvas.uniform(0.35, 0.6)
        away = v + canvas.uniform(0.02, 0.08) * noise(canvas, (0.7, 2.0))
        away = away - step * np.rint(away / step)
        return ground, _lattice(canvas, u, away, period), np.abs(away) < period / 2
    if kind == "belt":
        inside = period * canvas.integer(1, 3) - np.abs(v)
        ground = mix(_backing(canvas), ground, np.clip(inside * canvas.size, 0, 1))
        ground = _tinted(ground, -0.5 * np.exp(-((inside / 0.01) ** 2)))
        return ground, _lattice(canvas, u, v + period / 2, period), inside > 0
    spots = _lattice(canvas, u, v, period, canvas.uniform(0, 0.06), canvas.chance(0.35))
    if kind == "lines":
        return ground, spots, (spots.ids >> 6) % canvas.pick(4, 6, 8) < 2
    return ground, spots, 1


def _gems(canvas: Canvas, spots: Spots, size: float) -> np.ndarray:
    """Cut stones: facets round a flat table, each of a brightness of its own."""
    palette = canvas.colours(canvas.integer(1, 2), *GEMS)
    turn = np.rint(np.arctan2(spots.dy, spots.dx) * (4 / np.pi)).astype(np.intp) & 7
    facet = np.where(spots.far < 0.5 * size, 8, turn) + 9 * (spots.ids & 255)
    shine = canvas.table(0.25, 1.5)[facet] + 0.5 * smoothstep(spots.far, 0.15 * size, 0)
    return _tinted(vary(canvas, palette, spots.ids, 0.03), shine - 1)


def _backing(canvas: Canvas) -> np.ndarray:
    """What studs are set in: leather, denim, velvet, wood or iron."""
    kind = canvas.pick("leather", "leather", "cloth", "wood", "iron")
    if kind == "leather":
        return _leather(canvas)
    if kind == "cloth":
        return _cloth(canvas, flat(canvas, canvas.colour()), 0.4)
    if kind == "wood":
        return _wood(canvas)
    return _mottled(canvas, *METALS, "brown", "teal", "charcoal", spread=0.1)


PAINTERS = {
    "dotted": dotted,
    "polka-dotted": polka_dotted,
    "flecked": flecked,
    "freckled": freckled,
    "sprinkled": sprinkled,
    "bubbly": bubbly,
    "bumpy": bumpy,
    "honeycombed": honeycombed,
    "perforated": perforated,
    "pitted": pitted,
    "porous": porous,
    "potholed": potholed,
    "studded": studded,
}
