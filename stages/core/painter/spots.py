"""Painters of textures made of spots: dots, flecks, bubbles, bumps, cells, holes and studs."""

from typing import NamedTuple

import cv2
import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, METALS, Canvas
from stages.core.painter.primitives import (
    SUPERSAMPLING,
    blob,
    blur,
    cells,
    flat,
    flow,
    gradient,
    grain,
    lighting,
    lookup,
    mix,
    noise,
    points,
    polygons,
    ramp,
    relief,
    sample,
    smoothstep,
    strokes,
    stripes,
    unit,
    vary,
)

SQRT3 = np.float32(np.sqrt(3))
BRIGHTS = ("red", "orange", "yellow", "lime", "green", "sky blue", "blue", "magenta", "pink",
           "purple", "white", "turquoise")  # fmt: skip
PASTELS = ("pink", "white", "cream", "sky blue", "lilac", "beige", "turquoise", "yellow")
STONES = ("beige", "cream", "tan", "grey", "silver", "charcoal", "white", "brown", "olive")
WATERS = ("blue", "navy", "teal", "turquoise", "sky blue", "green", "black", "charcoal", "gold",
          "orange", "purple", "magenta", "grey", "maroon")  # fmt: skip


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
    period: float | tuple[float, float],
    jitter: float = 0.0,
    hexagonal: bool = False,
) -> Spots:
    """Spots on a lattice, far cheaper than `cells`: a moved spot is cut at its lattice cell.

    Each spot is moved by up to `jitter` / 2 periods along either axis.
    """
    period_u, period_v = period if isinstance(period, tuple) else (period, period)
    x, y = u / np.float32(period_u), v / np.float32(period_v)
    rise = SQRT3 if hexagonal else np.float32(1)
    y = y / rise
    column, row = np.rint(x), np.rint(y)
    dx, dy = x - column, (y - row) * rise
    if hexagonal:
        column_2, row_2 = np.rint(x - 0.5) + np.float32(0.5), np.rint(y - 0.5) + np.float32(0.5)
        dx_2, dy_2 = x - column_2, (y - row_2) * rise
        nearer = dx_2 * dx_2 + dy_2 * dy_2 < dx * dx + dy * dy
        dx, dy = np.where(nearer, dx_2, dx), np.where(nearer, dy_2, dy)
        column, row = np.where(nearer, column_2, column), 2 * np.where(nearer, row_2, row)
    number = ((row.astype(np.intp) & 63) << 6) | (np.floor(column).astype(np.intp) & 63)
    if jitter:
        dx = dx - canvas.table(-jitter / 2, jitter / 2)[number]
        dy = dy - canvas.table(-jitter / 2, jitter / 2)[number]
    return Spots(dx, dy, number)


def _hexagon(spots: Spots) -> np.ndarray:
    """Distance to the wall of the hexagonal cell around a spot of a hexagonal lattice."""
    dx, dy = np.abs(spots.dx), np.abs(spots.dy)
    return np.float32(0.5) - np.maximum(dx, dx / 2 + dy * (SQRT3 / 2))


def _edge(canvas: Canvas, field: np.ndarray, period: float, soft: float = 0.0) -> np.ndarray:
    """Mask of field > 0, its edge a pixel or `soft` wide; the field is a length in periods.

    Unlike `above` it needs no continuous field.
    """
    return np.clip(field / np.float32(max(soft, canvas.pixel / period)) + np.float32(0.5), 0, 1)


def _specks(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    radius: tuple[float, float] = (0.1, 0.3),
    long: float = 1.0,
    ragged: float = 0.1,
    share: float | np.ndarray = 1.0,
    angle: tuple[float, float] = (0.0, np.pi),
) -> tuple[np.ndarray, np.ndarray]:
    """Irregular spots strewn at random: how deep a pixel lies in one, and the spots' numbers.

    Depth in periods, negative outside. `long` is their length over width, `ragged` the wobble of
    the outline in periods, `share` in [0, 1] the share of spots that are there.
    """
    stretch = np.sqrt(np.float32(long))
    turn = np.float32(canvas.uniform(0, np.pi))
    cos, sin = np.cos(turn), np.sin(turn)
    wobble = np.float32(ragged) * noise(canvas, 0.7 * period)
    # Turned, and with every row shifted, the lattice does not show. The transposed noise serves
    # the other axis as well as a new one.
    x = (cos * u + sin * v) / np.float32(period) + wobble
    y = (cos * v - sin * u) / np.float32(period) + wobble.T
    x += canvas.table(0, 1, 64)[np.rint(y).astype(np.intp) & 63]
    dx, dy, ids = _lattice(canvas, x, y, 1.0, max(0.2, 1 - 2 * radius[1] * float(stretch)))
    if long != 1:
        turns = canvas.table(*angle) - turn
        cos, sin = (np.cos(turns) / stretch)[ids], (np.sin(turns) / stretch)[ids]
        dx, dy = cos * dx + sin * dy, (cos * dy - sin * dx) * np.float32(long)
    reach = canvas.table(*radius)[ids]
    if np.ndim(share) or share < 1:
        reach *= np.clip((share - canvas.table()[ids]) * 6, 0, 1)
        reach -= np.float32(0.05) * (reach == 0)
    return reach - np.sqrt(dx * dx + dy * dy), ids


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
    nearest: bool = False,
) -> Globes:
    """Spheres, or ellipsoids up to `long` times as long as wide, at centres (n, 2).

    `nearest` lets the one nearest to the eye show instead of the last.
    """
    size = canvas.size
    x = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size) - np.float32(0.5)
    across, down, height, mask = np.zeros((4, size, size), np.float32)
    ids = np.zeros((size, size), np.intp)
    across += 2
    radii = np.broadcast_to(np.asarray(radii, np.float32), len(centres))
    turns = canvas.rng.uniform(0, np.pi, len(centres))
    longs = canvas.rng.uniform(1, long, len(centres)) if long > 1 else np.ones(len(centres))
    for number, ((cx, cy), radius) in enumerate(zip(centres, radii, strict=True)):
        reach = radius * longs[number] + canvas.pixel
        left, right, top, bottom = (
            int(np.clip((c + r + 0.5) * size + e, 0, size))
            for c, r, e in ((cx, -reach, 0), (cx, reach, 1), (cy, -reach, 0), (cy, reach, 1))
        )
        if left >= right or top >= bottom:
            continue
        window = np.s_[top:bottom, left:right]
        dx, dy = (x[None, left:right] - cx) / radius, (x[top:bottom, None] - cy) / radius
        if long > 1:
            cos, sin = np.float32(np.cos(turns[number])), np.float32(np.sin(turns[number]))
            dx, dy = (cos * dx + sin * dy) / np.float32(longs[number]), cos * dy - sin * dx
        square = dx * dx + dy * dy
        inside = square < 1
        tall = radius * np.sqrt(np.maximum(1 - square, 0))
        if nearest:
            inside &= tall > height[window]
        soft = np.clip((1 - square) * (radius * size / 2) + np.float32(0.5), 0, 1)
        np.maximum(mask[window], soft, out=mask[window])
        for target, value in ((across, dx), (down, dy), (height, tall), (ids, number)):
            np.copyto(target[window], value, where=inside)
    return Globes(Spots(across, down, ids & 4095), height, mask)


def _pile(canvas: Canvas, spacing: float, long: float = 1.0, fill: float = 0.6) -> Globes:
    """Spheres or ellipsoids heaped close together, `spacing` apart."""
    centres = points(canvas, spacing, jitter=0.5, hexagonal=True, margin=spacing)
    radii = spacing * canvas.rng.uniform(0.85 * fill, 1.1 * fill, len(centres))
    return _globes(canvas, centres, radii, long, nearest=True)


# --- what they are drawn on and with --------------------------------------------------------


def _sheet(canvas: Canvas) -> np.ndarray:
    """A clear sheet (3 size, 3 size, 4) uint8 to draw on with OpenCV in RGBA, then to `_lay`."""
    return np.zeros((canvas.size * SUPERSAMPLING, canvas.size * SUPERSAMPLING, 4), np.uint8)


def _place(canvas: Canvas, positions: np.ndarray) -> np.ndarray:
    """Positions in [-1/2, 1/2] in sixteenths of a sheet's pixel, OpenCV's shift=4."""
    pixels = (np.asarray(positions, np.float64) + 0.5) * canvas.size * SUPERSAMPLING - 0.5
    return np.rint(pixels * 16).astype(np.int32)


def _paint_of(colour: np.ndarray) -> tuple[float, ...]:
    return (*(255 * np.clip(colour, 0, 1)).tolist(), 255.0)


def _lay(canvas: Canvas, below: np.ndarray, sheet: np.ndarray, shadow: float = 0.0) -> np.ndarray:
    """The sheet laid on an image; `shadow` is how far the shadow falls, fraction of the side."""
    small = cv2.resize(sheet, (canvas.size,) * 2, interpolation=cv2.INTER_AREA)
    small = small * np.float32(1 / 255)
    alpha = small[..., 3:]
    if shadow:
        x, y = canvas.grid()
        reach = -canvas.light[:2] * np.float32(shadow)
        dark = blur(sample(small[..., 3], x - reach[0], y - reach[1]), shadow / 2)
        below = below * (1 - np.float32(0.55) * dark)[..., None]
    return below * (1 - alpha) + small[..., :3]


def _dots(
    canvas: Canvas, sheet: np.ndarray, centres: np.ndarray, radii: np.ndarray, colours: np.ndarray
) -> None:
    """Draws discs at centres (n, 2), each in its own colour (n, 3), on a sheet."""
    middles = _place(canvas, centres).tolist()
    widths = np.maximum(1, np.rint(np.asarray(radii) * canvas.size * SUPERSAMPLING * 16))
    for middle, width, colour in zip(middles, widths.astype(int).tolist(), colours, strict=True):
        cv2.circle(sheet, middle, width, _paint_of(colour), -1, cv2.LINE_8, 4)


def _mottled(canvas: Canvas, *names: str, spread: float = 0.12, period: float = 0.3) -> np.ndarray:
    """A plain ground of one of the colours, uneven in shade and hue as natural things are."""
    base = canvas.colour(*names)
    dark = base * np.float32(canvas.uniform(0.6, 0.85)) + canvas.rng.normal(0, 0.03, 3)
    shade = 0.5 + np.float32(spread * 2) * noise(canvas, period, 5, 0.6)
    return ramp(np.stack([dark, base, np.clip(base * 1.15, 0, 1)]), shade)


def _cloth(canvas: Canvas, image: np.ndarray, folds: float = 0.5) -> np.ndarray:
    """The image printed on cloth: a faint weave, and now and then soft folds."""
    x, y = canvas.grid()
    if canvas.chance(folds):
        long, short = canvas.uniform(0.5, 1.2), canvas.uniform(0.15, 0.4)
        fold = noise(canvas, canvas.pick((long, short), (short, long), (0.4, 0.4)), 2)
        height = np.float32(canvas.uniform(0.01, 0.035)) * fold
        gx, gy = gradient(height)
        bend = np.float32(canvas.uniform(0, 1.5))
        image = relief(canvas, sample(image, x + bend * gx, y + bend * gy), height, 0.1, 0.35)
    threads = canvas.uniform(60, 110)
    weave = np.cos(np.float32(2 * np.pi * threads) * x) * np.cos(np.float32(2 * np.pi * threads) * y)
    weave = weave + grain(canvas, 0.6)
    return image * (1 + np.float32(canvas.uniform(0, 0.06)) * weave)[..., None]


def _metal(canvas: Canvas, colour: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Polished metal of a height field: slopes mirror a dark floor, a bright sky, a lamp."""
    gx, gy = gradient(height * np.float32(canvas.size))
    x, y, _ = canvas.light
    norm = np.float32(np.hypot(x, y)) * np.sqrt(1 + gx * gx + gy * gy)
    lean = (-x * gx - y * gy) / norm
    scale = np.array([0.12, 0.3, 0.25, 0.75, 0.9, 1.1, 1.9, 1.0, 0.5])[:, None]
    return ramp(np.clip(scale * colour, 0, 1).astype(np.float32), (lean + 1) / 2)


def _leather(canvas: Canvas, colour: np.ndarray) -> np.ndarray:
    """Grained leather, or suede."""
    pebbles = np.abs(noise(canvas, canvas.uniform(0.015, 0.04), 2))
    height = np.float32(canvas.uniform(0, 0.004)) * np.minimum(pebbles, 1)
    shade = 1 + np.float32(0.06) * noise(canvas, 0.3, 3) + grain(canvas, 0.02)
    return relief(canvas, np.float32(colour) * shade[..., None], height, canvas.uniform(0, 0.15))


def _backdrop(canvas: Canvas) -> np.ndarray:
    """Whatever lies out of focus behind an object."""
    names = canvas.pick(("white",), ("white", "silver", "black"), EARTHS, ("green", "olive"))
    base = canvas.colour(*names)
    return np.clip(base + np.float32(0.08) * noise(canvas, 0.4, 2)[..., None], 0, 1)


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
    middle = np.float32(canvas.uniform(-0.4, 0.4))
    patches = noise(canvas, canvas.uniform(0.3, 0.7))
    tone = unit(canvas.pick(patches, u, np.hypot(x - middle, y), flat(canvas, palette[0])[..., 0]))
    period = 0.7 * canvas.period
    spots = _lattice(canvas, u, v, period, hexagonal=canvas.chance(0.4))
    least, range_ = canvas.uniform(0.08, 0.2), canvas.uniform(0.1, 0.4)
    dots = _edge(canvas, np.float32(least) + np.float32(range_) * tone - spots.far, period)
    figure = ramp(palette[1:], unit(patches)) if canvas.chance(0.3) else palette[1]
    image = mix(flat(canvas, palette[0]), figure, dots)
    if canvas.chance(0.25):
        other = _lattice(canvas, 0.87 * u - 0.5 * v, 0.5 * u + 0.87 * v, period)
        white = np.ones(3, np.float32)
        image *= mix(white, canvas.colour(*BRIGHTS), _edge(canvas, 0.3 - other.far, period))
    return image


def _stippled(canvas: Canvas) -> np.ndarray:
    canvas.rescale("fine", "medium")
    names = canvas.pick(GREYS, EARTHS, BRIGHTS)
    palette = canvas.colours(canvas.integer(2, 3), *names, contrast=50)
    x, y = canvas.grid()
    tone = canvas.uniform(0.2, 0.5) + np.float32(canvas.uniform(0, 0.35)) * noise(canvas, 0.4, 2)
    image = flat(canvas, palette[0]) * (1 + grain(canvas, 0.03))[..., None]
    for colour in (palette[1], palette[-1], palette[1])[: canvas.integer(2, 3)]:
        period = canvas.period * canvas.uniform(0.35, 0.7)
        angle = np.float32(canvas.uniform(0, np.pi))
        u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        depth, _ = _specks(canvas, u, v, period, (0.12, 0.3), ragged=0.03, share=tone)
        image = mix(image, colour, _edge(canvas, depth, period))
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
    _dots(canvas, sheet, centres, radii, lookup(palette, rings[dot] // canvas.integer(1, 2) + focus))
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
        wave = np.sin(centres @ canvas.rng.normal(0, 6, 2)) + canvas.rng.normal(0, 0.7, len(centres))
        shade = canvas.rng.normal(0, 0.06, (len(centres), 1))
        _dots(canvas, sheet, centres, radii, lookup(palette, np.rint(wave * 2).astype(int)) + shade)
    return _lay(canvas, flat(canvas, ground), sheet, canvas.pick(0, 0, 0.004))


def _lamps(canvas: Canvas) -> np.ndarray:
    """Rows of small round lamps, pegs, beads or stitches."""
    canvas.rescale("fine", "medium")
    period = 0.8 * canvas.period
    u, v = canvas.coordinates(perspective=0.6)
    spots = _lattice(canvas, u, v, period, canvas.uniform(0, 0.1), canvas.chance(0.5))
    radius = np.float32(canvas.uniform(0.18, 0.36))
    there = canvas.table()[spots.ids] < canvas.pick(1, 1, 0.85)
    dot = _edge(canvas, radius - spots.far, period) * there
    names = canvas.pick(("white", "yellow", "orange"), BRIGHTS, PASTELS)
    colour = vary(canvas, canvas.colours(canvas.integer(1, 4), *names), spots.ids, 0.08)
    if canvas.chance(0.5):
        ground = canvas.colour("black", "charcoal", "navy", "maroon")
        glow = np.exp(-((spots.far / np.float32(0.35)) ** 2)) * there
        image = ground + colour * (np.float32(canvas.uniform(0.2, 0.7)) * glow)[..., None]
        return mix(image, np.clip(colour * 1.3 + 0.2, 0, 1), dot)
    height = np.float32(0.5 * period) * np.sqrt(np.maximum(radius**2 - spots.far**2, 0)) * there
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
        band = stripes(v / np.float32(rows) + np.float32(0.25))
        ground, figure = mix(ground, figure, band), mix(figure, ground, band)
    image = mix(ground, figure, _edge(canvas, radius - spots.far, period))
    if not hexagonal and canvas.chance(0.25):
        half = np.float32(period / 2)
        small = _lattice(canvas, u + half, v + half, period)
        radius *= canvas.uniform(0.3, 0.6)
        image = mix(image, figure, _edge(canvas, radius - small.far, period))
    return _cloth(canvas, image, folds=0.55)


def _print_colours(canvas: Canvas) -> np.ndarray:
    """Two contrasting colours of a printed cloth (2, 3), one of them white more often than not."""
    deep = canvas.colour("red", "maroon", "orange", "green", "teal", "blue", "navy", "purple",
                         "magenta", "pink", "brown", "charcoal", "black", "turquoise")  # fmt: skip
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
    bent = u + np.float32(0.15 * thread) * noise(canvas, (0.3, 0.06), 2)
    across = bent / np.float32(thread)
    slant = v / np.float32(thread * canvas.uniform(0.8, 1.6))
    knit = canvas.chance(0.5)
    zigzag = 2 * np.abs(across - np.rint(across)) if knit else np.float32(0)
    yarn = np.cos(np.float32(np.pi) * (slant + zigzag)) ** 2 * (0.3 + np.cos(np.pi * across) ** 2)
    fuzz = noise(canvas, (0.01, 0.01), 2)
    shade = 1 + np.float32(0.1) * fuzz + np.float32(canvas.uniform(0, 0.1)) * noise(canvas, 0.05)
    image = ground * shade[..., None]
    turn = np.pi / 2 + canvas.uniform(-0.3, 0.3)
    for colour in canvas.colours(canvas.integer(2, 4), *BRIGHTS, "cream", "black", contrast=40):
        period = thread * canvas.uniform(2, 4.5)
        depth, _ = _specks(canvas, bent + v / 9, v, period, (0.08, 0.24), canvas.uniform(1.5, 3),
                           0.06, canvas.uniform(0.3, 0.8), (turn - 0.4, turn + 0.4))  # fmt: skip
        image = mix(image, colour, _edge(canvas, depth, period, 0.12))
    return relief(canvas, image, np.float32(0.25 * thread) * yarn, 0, 0.45)


def _chips(canvas: Canvas, sheet: np.ndarray, count: int, reach: tuple, colours: np.ndarray) -> None:
    """Draws angular chips at random, each of one of the colours (k, 3), small ones mostly."""
    corners = canvas.integer(5, 7)
    turns = np.sort(canvas.rng.uniform(0, 2 * np.pi, (count, corners)), 1)
    turns = 0.5 * turns + np.pi * np.arange(corners) / corners + canvas.rng.uniform(0, 7, (count, 1))
    size = reach[0] * (reach[1] / reach[0]) ** (canvas.rng.random((count, 1)) ** 1.5)
    radius = size * canvas.rng.uniform(0.6, 1.2, (count, corners))
    shape = np.stack([radius * np.cos(turns), radius * np.sin(turns) * 0.75], 2)
    lean = canvas.rng.uniform(0, np.pi, count)
    cos, sin = np.cos(lean)[:, None], np.sin(lean)[:, None]
    x, y = shape[..., 0], shape[..., 1]
    shape = np.stack([cos * x - sin * y, sin * x + cos * y], 2)
    shape += canvas.rng.uniform(-0.55, 0.55, (count, 1, 2))
    shades = lookup(colours, np.arange(count)) + canvas.rng.normal(0, 0.05, (count, 1))
    for outline, colour in zip(_place(canvas, shape), shades, strict=True):
        cv2.fillPoly(sheet, [outline], _paint_of(colour), cv2.LINE_8, 4)


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
    u, v = canvas.grid()
    image = _mottled(canvas, *STONES, "pink", "black", spread=0.1, period=0.08)
    period = 0.45 * canvas.period
    names = canvas.pick(GREYS, (*STONES, "black", "maroon", "pink"))
    for colour in canvas.colours(canvas.integer(2, 4), *names, contrast=35):
        size = period * canvas.uniform(0.6, 1.3)
        depth, ids = _specks(canvas, u, v, size, (0.1, 0.45), canvas.uniform(1, 1.6), 0.18,
                             canvas.uniform(0.25, 0.8))  # fmt: skip
        image = mix(image, colour + canvas.table(-0.1, 0.1)[ids][..., None], _edge(canvas, depth, size))
    return image * (1 + grain(canvas, 0.03))[..., None]


def _variegated(canvas: Canvas) -> np.ndarray:
    """A leaf with pale or bright flecks along its veins."""
    u, v = canvas.coordinates(warp=0.03)
    base = canvas.colour("green", "green", "olive", "lime", "teal", "maroon")
    slant = np.float32(canvas.uniform(0.4, 1.2))
    run = u - slant * np.abs(v)
    ribs = stripes(run / np.float32(canvas.uniform(0.1, 0.25)), 0.05, 0.06)
    ribs = np.maximum(ribs * 0.5, np.clip(1 - np.abs(v) * 50, 0, 1))
    image = base * (1 + np.float32(0.1) * noise(canvas, 0.2, 4) - np.float32(0.25) * ribs)[..., None]
    patch = np.float32(0.55) + np.float32(0.3) * noise(canvas, 0.35, 2)
    for colour in canvas.colours(2, "cream", "white", "yellow", "lime", "pink", contrast=15):
        period = canvas.period * canvas.uniform(0.4, 0.9)
        turn = float(np.arctan2(1, slant))
        depth, _ = _specks(canvas, u, np.abs(v), period, (0.05, 0.3), canvas.uniform(1, 2.5), 0.12,
                           patch, (turn - 0.4, turn + 0.4))  # fmt: skip
        image = mix(image, colour, 0.9 * _edge(canvas, depth, period, 0.1))
    return relief(canvas, image, np.float32(-0.01) * ribs, canvas.uniform(0, 0.2), 0.5)


def _plumage(canvas: Canvas) -> np.ndarray:
    """Feathers, fur, bark or raw wood with dashes along the grain."""
    u, v = canvas.coordinates(perspective=0.2, warp=0.06)
    ground, *flecks = canvas.colours(canvas.integer(2, 4), *EARTHS, "white", "black", contrast=40)
    hair = noise(canvas, (0.2, 0.008), 3, 0.7)
    hair = sample(hair, u, v)
    image = ground * (1 + np.float32(0.12) * hair)[..., None]
    turn = canvas.uniform(-0.2, 0.2)
    for colour in flecks:
        period = canvas.period * canvas.uniform(0.5, 1)
        depth, ids = _specks(canvas, u, v, period, (0.06, 0.22), canvas.uniform(1.5, 5),
                             0.08, 0.85, (turn - 0.25, turn + 0.25))  # fmt: skip
        mask = _edge(canvas, depth, period, 0.06) * canvas.table(0.5, 1)[ids]
        image = mix(image, colour * (1 + np.float32(0.1) * hair)[..., None], mask)
    return np.clip(image, 0, 1)


def _flaked(canvas: Canvas) -> np.ndarray:
    """Lino, paper, glaze or paint strewn with little flakes, or snow before a dark ground."""
    ground = _mottled(canvas, spread=0.03)
    light = ground.mean() > 0.5
    names = canvas.pick(BRIGHTS, EARTHS) if light else canvas.pick(BRIGHTS, PASTELS, ("white",))
    x, y = canvas.grid()
    turn = canvas.uniform(0, np.pi)
    spread = canvas.pick(0.2, 1.6)
    image = ground
    for colour in canvas.colours(canvas.integer(1, 4), *names, contrast=30):
        period = canvas.period * canvas.uniform(0.4, 0.9)
        depth, ids = _specks(canvas, x, y, period, (0.06, 0.28), canvas.uniform(1, 3.5),
                             canvas.uniform(0.05, 0.15), canvas.uniform(0.4, 0.9),
                             (turn - spread, turn + spread))  # fmt: skip
        image = mix(image, colour, _edge(canvas, depth, period) * canvas.table(0.6, 1)[ids])
    return image * (1 + grain(canvas, 0.02))[..., None]


def freckled(canvas: Canvas) -> np.ndarray:
    """Small soft spots, brown or deeper than their ground: skin, eggs, petals, fruit."""
    return canvas.pick(_freckled_skin, _freckled_skin, _eggs, _lily, _ripe)(canvas)


def _freckles(canvas: Canvas, image: np.ndarray, u: np.ndarray, v: np.ndarray, colour: np.ndarray,
              soft: float, share: float | np.ndarray, long: float = 1.3) -> np.ndarray:  # fmt: skip
    """The image under three layers of spots, each spot of a strength of its own."""
    clear = np.float32(1)
    for scale in (0.9, 0.6, 0.35):
        period = canvas.period * scale
        depth, ids = _specks(canvas, u, v, period, (0.04, 0.28), long, 0.09, share, (-0.5, 0.5))
        clear = clear * (1 - _edge(canvas, depth, period, soft) * canvas.table(0.25, 0.95)[ids])
    return mix(image, colour, 1 - clear)


def _freckled_skin(canvas: Canvas) -> np.ndarray:
    """Cheeks, arms and shoulders."""
    canvas.rescale("fine", "medium")
    tone = canvas.uniform(0, 1)
    skin = np.float32([0.93, 0.76, 0.66]) * (1 - tone) + np.float32([0.72, 0.48, 0.35]) * tone
    skin = skin + canvas.rng.normal(0, 0.025, 3).astype(np.float32)
    rosy = np.float32(0.5) * smoothstep(noise(canvas, canvas.uniform(0.3, 0.6)), -0.3, 1.5)
    image = mix(flat(canvas, skin), skin * np.float32([1.02, 0.78, 0.76]), rosy)
    x, y = canvas.grid()
    share = np.float32(canvas.uniform(0.4, 0.8)) + np.float32(0.25) * noise(canvas, 0.4)
    dark = skin * np.float32([0.68, 0.52, 0.42]) * np.float32(canvas.uniform(0.75, 1.05))
    image = _freckles(canvas, image, x, y, dark, canvas.uniform(0.08, 0.25), share)
    height = np.float32(canvas.uniform(0.02, 0.12)) * noise(canvas, canvas.uniform(0.5, 1))
    height += np.float32(0.0005) * noise(canvas, 0.012, 2)
    image = relief(canvas, image, height, canvas.uniform(0, 0.25), 0.5)
    return _features(canvas, image) if canvas.chance(0.35) else image


def _features(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Lips, an eye and a brow, or hair at the edge of the picture."""
    x, y = canvas.grid()
    side = np.float32(canvas.pick(-1, 1))
    part = canvas.pick("lips", "eye", "hair")
    if part == "hair":
        edge = side * x + np.float32(0.4 * canvas.uniform(-1, 1)) * y + np.float32(0.06) * noise(canvas, 0.5)
        strands = 1 + np.float32(0.3) * noise(canvas, (0.01, 0.4), 2)
        hair = canvas.colour("orange", "brown", "gold", "black", "maroon") * strands[..., None]
        return mix(image, np.clip(hair, 0, 1), smoothstep(edge, 0.3, 0.36))
    across, down = x - side * np.float32(canvas.uniform(0, 0.2)), y - np.float32(canvas.uniform(0.25, 0.4))
    if part == "lips":
        half = np.float32(0.09) * np.maximum(1 - (across / np.float32(0.28)) ** 2, 0)
        lips = smoothstep(half - np.abs(down), 0, 0.02) * (1 - 0.5 * smoothstep(0.008 - np.abs(down), 0, 0.008))
        return mix(image, canvas.colour("pink", "red", "maroon") * np.float32(0.85), 0.8 * lips)
    down = y + np.float32(canvas.uniform(0.15, 0.35))
    half = np.float32(0.07) * np.maximum(1 - (across / np.float32(0.17)) ** 2, 0)
    open_ = smoothstep(half - np.abs(down), 0, 0.01)
    iris = smoothstep(0.062 - np.hypot(across, down), 0, 0.008)
    pupil = smoothstep(0.028 - np.hypot(across, down), 0, 0.006)
    eye = mix(flat(canvas, np.float32([0.93, 0.91, 0.89])), canvas.colour("sky blue", "green", "brown", "teal"), iris)
    eye = mix(eye, np.zeros(3, np.float32), pupil)
    lid = np.exp(-(((half - np.abs(down)) / np.float32(0.012)) ** 2)) * (np.abs(across) < 0.17)
    brow = smoothstep(0.018 - np.abs(down + 0.13 - 0.6 * across * across), 0, 0.018) * (np.abs(across) < 0.2)
    image = mix(image, eye, open_)
    hair = canvas.colour("brown", "black", "maroon", jitter=0.02)
    return mix(image, hair, np.maximum(0.8 * lid, 0.6 * brow))


def _eggs(canvas: Canvas) -> np.ndarray:
    """Speckled eggs, one or a nestful."""
    if canvas.chance(0.4):
        globes = _globes(canvas, canvas.rng.uniform(-0.08, 0.08, (1, 2)), canvas.uniform(0.34, 0.6), 1.4)
    else:
        globes = _pile(canvas, canvas.uniform(0.3, 0.5), 1.35, 0.55)
    shell = canvas.colours(canvas.integer(1, 2), "white", "cream", "beige", "tan", "sky blue", "turquoise",
                           contrast=10)  # fmt: skip
    image = vary(canvas, shell, globes.spots.ids, 0.03)
    x, y = canvas.grid()
    offset = canvas.table(-9, 9)[globes.spots.ids]
    dark = canvas.colour("brown", "brown", "maroon", "charcoal", "black", "olive", jitter=0.03)
    image = _freckles(canvas, image, x + offset, y, dark, canvas.uniform(0.03, 0.12), canvas.uniform(0.4, 0.9))
    image = relief(canvas, image, globes.height, canvas.uniform(0, 0.3), 0.35)
    below = _backdrop(canvas)
    if canvas.chance(0.5):
        straw = noise(canvas, canvas.pick((0.3, 0.01), (0.01, 0.3)), 2)
        below = canvas.colour("tan", "brown", "beige") * (0.6 + np.float32(0.25) * straw)[..., None]
    return mix(np.clip(below, 0, 1), image, globes.mask)


def _lily(canvas: Canvas) -> np.ndarray:
    """Petals of a lily or orchid, spotted towards their throat."""
    x, y = canvas.grid()
    cx, cy = canvas.rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    x, y = x - cx, y - cy
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    petals = canvas.pick(0, 5, 6, 6, 3)
    turn = canvas.uniform(0, 6)
    if petals:
        turns = (angle + np.float32(turn)) * np.float32(petals / (2 * np.pi))
        number = np.rint(turns)
        swing = (turns - number) * np.float32(2 * np.pi / petals)
    else:
        number, swing = np.zeros_like(radius), angle * np.float32(0.3)
    rim, inner = canvas.colours(2, "white", "pink", "orange", "yellow", "magenta", "lilac", "cream", "red",
                                contrast=25)  # fmt: skip
    shade = np.float32(0.04) * noise(canvas, 0.2, 3) + np.float32(0.04) * np.cos(swing * 25)
    tint = smoothstep(radius + np.float32(0.1) * noise(canvas, 0.3), 0.05, canvas.uniform(0.35, 0.9))
    image = np.clip(mix(flat(canvas, inner), rim, tint) + shade[..., None], 0, 1)
    dark = np.clip(canvas.colour("maroon", "maroon", "brown", "magenta", "purple", jitter=0.03) * 0.8, 0, 1)
    share = np.float32(canvas.uniform(0.8, 1.2)) - radius * np.float32(canvas.uniform(0.6, 1.6))
    across = swing * (0.2 + radius) * np.float32(1.2)
    image = _freckles(canvas, image, radius, across + number, dark, 0.06, share, 1.6)
    if not petals:
        return relief(canvas, image, np.float32(0.02) * noise(canvas, 0.4, 2), 0.1, 0.55)
    width = np.float32(np.pi / petals) * np.sin(np.clip(radius * 1.6 + 0.25, 0, np.pi)) * np.float32(1.05)
    height = np.float32(0.25) * (width**2 - swing**2) * radius - np.float32(0.01) * np.exp(-((swing * 30) ** 2))
    image = relief(canvas, image, height, 0.1, 0.5)
    back = canvas.colour("green", "olive", "black", "charcoal") * (1 + np.float32(0.2) * noise(canvas, 0.2))[..., None]
    inside = np.clip((width - np.abs(swing)) * radius * 60 + 0.5, 0, 1)
    return mix(np.clip(back, 0, 1), image, inside)


def _ripe(canvas: Canvas) -> np.ndarray:
    """Pears, bananas and apples with lenticels, fur and autumn leaves with spots."""
    canvas.rescale("fine", "medium")
    base = canvas.colours(2, "yellow", "gold", "lime", "tan", "orange", "beige", "cream", contrast=12)
    image = ramp(base, unit(noise(canvas, 0.6, 2)))
    x, y = canvas.grid()
    dark = canvas.colour("brown", "brown", "maroon", "black", "olive", jitter=0.03)
    share = np.float32(canvas.uniform(0.5, 0.9)) + np.float32(0.2) * noise(canvas, 0.5)
    globes = None
    if canvas.chance(0.6):
        centre = canvas.rng.uniform(-0.15, 0.15, (1, 2))
        globes = _globes(canvas, centre, canvas.uniform(0.4, 0.8), 1.3)
    image = _freckles(canvas, image, x, y, dark, canvas.uniform(0.03, 0.12), share)
    if globes is None:
        return relief(canvas, image, np.float32(0.02) * noise(canvas, 0.5, 2), 0.1, 0.5)
    image = relief(canvas, image, globes.height, canvas.uniform(0, 0.4), 0.4)
    return mix(_backdrop(canvas), image, globes.mask)


def sprinkled(canvas: Canvas) -> np.ndarray:
    """Coloured sugar strands, pearls, powder or seeds strewn over icing, dough or chocolate."""
    strewn = canvas.pick(_strands, _strands, _pearls, _powder, _seeds)
    return strewn(canvas, _baked(canvas))


def _baked(canvas: Canvas) -> np.ndarray:
    """Icing, chocolate, cream or dough, smooth, swirled or as a ring, to be sprinkled."""
    colour = canvas.colour("white", "white", "cream", "pink", "brown", "brown", "tan", "beige", "sky blue", "lilac",
                           "turquoise", "yellow", jitter=0.04)  # fmt: skip
    x, y = canvas.grid()
    soft = np.float32(0.02) * noise(canvas, canvas.uniform(0.3, 0.7), 2)
    form = canvas.pick("flat", "flat", "ring", "swirl", "cakes")
    if form == "flat":
        return relief(canvas, colour, soft, canvas.uniform(0, 0.4), 0.45)
    cx, cy = canvas.rng.uniform(-0.2, 0.2, 2).astype(np.float32)
    radius, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    if form == "swirl":
        turns = radius / np.float32(canvas.uniform(0.1, 0.2)) + angle / np.float32(2 * np.pi)
        height = np.float32(0.05) * np.abs(np.sin(np.float32(np.pi) * turns)) - radius * np.float32(0.15)
        return relief(canvas, colour, height, canvas.uniform(0, 0.3), 0.45)
    if form == "cakes":
        globes = _pile(canvas, canvas.uniform(0.4, 0.6), 1.0, 0.48)
        lit = relief(canvas, colour, 0.5 * globes.height + 0.3 * soft, canvas.uniform(0, 0.4), 0.45)
        return mix(_backdrop(canvas), lit, globes.mask)
    middle, half = canvas.uniform(0.26, 0.36), canvas.uniform(0.16, 0.24)
    wobble = radius + np.float32(0.015) * noise(canvas, 0.15)
    tube = np.maximum(1 - ((radius - middle) / np.float32(half)) ** 2, 0)
    icing = smoothstep(np.float32(0.85 * half) - np.abs(wobble - middle), 0, 0.015)
    dough = canvas.colour("tan", "gold", "brown", jitter=0.03)
    image = mix(flat(canvas, dough), colour, icing)
    height = np.float32(0.8 * half) * np.sqrt(tube) + np.float32(0.01) * icing
    image = relief(canvas, image, height, canvas.uniform(0.1, 0.4), 0.45)
    return mix(_backdrop(canvas), image, np.clip(tube * 40, 0, 1))


def _sugar_colours(canvas: Canvas) -> np.ndarray:
    if canvas.chance(0.2):
        return canvas.colours(canvas.integer(1, 2), "white", "brown", "pink", "red", contrast=50)
    return canvas.colours(6, *BRIGHTS[:-2], "white", "yellow", "pink", jitter=0.02) if False else (
        canvas.colours(6, *BRIGHTS, contrast=40))


def _strands(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Short sugar rods lying every way, each with a lit side and a shadow."""
    length = 0.45 * canvas.period
    width = length * canvas.uniform(0.22, 0.36)
    count = int(canvas.uniform(0.12, 0.4) / (length * width) ** 0.9 / 2)
    count = min(max(count, 25), 420)
    middles = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    turns = canvas.rng.uniform(0, np.pi, count)
    half = np.stack([np.cos(turns), np.sin(turns)], 1) * length / 2
    colours = _sugar_colours(canvas)
    colours = lookup(colours, canvas.rng.integers(0, 6, count)) + canvas.rng.normal(0, 0.04, (count, 1))
    sheet = _sheet(canvas)
    ends = _place(canvas, np.stack([middles - half, middles + half], 1)).tolist()
    side = canvas.light[:2] * (0.22 * width * canvas.size * SUPERSAMPLING * 16)
    shift = np.rint(side).astype(int).tolist()
    thick = max(1, round(width * canvas.size * SUPERSAMPLING))
    for (start, end), colour in zip(ends, colours, strict=True):
        cv2.line(sheet, start, end, _paint_of(colour * 0.75), thick, cv2.LINE_8, 4)
        start, end = ((p + d for p, d in zip(point, shift, strict=True)) for point in (start, end))
        light = _paint_of(colour * 1.1 + 0.06)
        cv2.line(sheet, tuple(start), tuple(end), light, max(1, thick // 2), cv2.LINE_8, 4)
    return _lay(canvas, image, sheet, width / 2)


def _pearls(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Hundreds and thousands: tiny sugar balls, or flat confetti."""
    radius = max(0.13 * canvas.period, 0.009)
    count = int(min(canvas.uniform(0.08, 0.3) / radius**2 / 3.1, 450))
    centres = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    colours = lookup(_sugar_colours(canvas), canvas.rng.integers(0, 6, count))
    colours = colours + canvas.rng.normal(0, 0.05, (count, 1))
    sheet = _sheet(canvas)
    radii = radius * canvas.rng.uniform(0.8, 1.2, count)
    for part, shade, lift in ((1, 0.7, 0), (0.7, 1, 0), (0.25, 1.1, 0.3)):
        shift = canvas.light[:2] * radius * (1 - part) * 0.6
        _dots(canvas, sheet, centres + shift, radii * part, colours * shade + lift)
    return _lay(canvas, image, sheet, radius)


def _powder(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Icing sugar, cocoa, salt or flour dusted thickly here and thinly there."""
    light = image.mean() < 0.6
    colour = canvas.colour("white") if light else canvas.colour("brown", "maroon", "orange", "green", jitter=0.03)
    dense = np.float32(canvas.uniform(0.35, 0.65)) + np.float32(0.25) * noise(canvas, canvas.uniform(0.2, 0.5), 2)
    x, y = canvas.grid()
    image = relief(canvas, image, np.float32(0.006) * noise(canvas, 0.06, 3), 0, 0.4)
    image = mix(image, colour, np.float32(0.45) * np.clip(dense * dense, 0, 1))
    height = np.zeros_like(x)
    for scale in (0.55, 0.35, 0.2):
        period = max(canvas.period * scale, 0.012)
        depth, _ = _specks(canvas, x, y, period, (0.08, 0.36), 1.2, 0.12, dense)
        mask = _edge(canvas, depth, period, 0.05)
        image = mix(image, colour, mask)
        height = np.maximum(height, np.float32(0.3 * period) * mask)
    return relief(canvas, image, height, 0, 0.55)


def _seeds(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Sesame, poppy seeds, nuts or chocolate shavings."""
    colour = canvas.colour("cream", "beige", "black", "brown", "white", "red", jitter=0.03)
    if abs(float(image.mean()) - float(colour.mean())) < 0.25:
        image = image * np.float32(0.45) if image.mean() > 0.45 else image * np.float32(0.4) + np.float32(0.55)
    x, y = canvas.grid()
    height = np.zeros_like(x)
    long = canvas.uniform(1.2, 2.8)
    image = relief(canvas, image, np.float32(0.003) * noise(canvas, 0.05, 3), 0.1, 0.4)
    for _ in range(2):
        period = 0.6 * canvas.period
        turn = np.float32(canvas.uniform(0, np.pi))
        u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        depth, ids = _specks(canvas, u, v, period, (0.16, 0.24), long, 0.03, 0.8)
        mask = _edge(canvas, depth, period)
        shadow = blur(mask, 0.006)
        image = image * (1 - np.float32(0.3) * shadow)[..., None]
        image = mix(image, np.clip(colour + canvas.table(-0.08, 0.08)[ids][..., None], 0, 1), mask)
        height = np.maximum(height, period * np.sqrt(np.maximum(depth, 0)) * np.float32(0.3))
    return relief(canvas, image, height, 0.15, 0.5)


PAINTERS = {
    "dotted": dotted,
    "polka-dotted": polka_dotted,
    "flecked": flecked,
    "freckled": freckled,
    "sprinkled": sprinkled,
}
