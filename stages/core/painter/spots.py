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
    lifts: np.ndarray | None = None,
) -> Globes:
    """Spheres, or ellipsoids up to `long` times as long as wide, at centres (n, 2).

    With `lifts` (n,), heights of the centres, the one nearest to the eye shows, not the last.
    """
    size = canvas.size
    x = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size) - np.float32(0.5)
    across, down, height, mask, front = np.zeros((5, size, size), np.float32)
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
        if lifts is not None:
            inside &= tall + lifts[number] > front[window]
            np.copyto(front[window], tall + lifts[number], where=inside)
        soft = np.clip((1 - square) * (radius * size / 2) + np.float32(0.5), 0, 1)
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
    return (1 - np.float32(0.6) * far**6) * globes.mask


def _lit_from_above(canvas: Canvas) -> None:
    """Turns the light to the upper side: lit from below, dents are seen as bumps."""
    canvas.light[1] = -abs(canvas.light[1])


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
        clear = clear * (1 - _edge(canvas, depth, period, soft) * canvas.table(0.2, 0.9)[ids])
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
    dark = skin * np.float32([0.7, 0.52, 0.4]) * np.float32(canvas.uniform(0.75, 1.1))
    image = _freckles(canvas, image, x, y, dark, canvas.uniform(0.08, 0.25), share)
    height = np.float32(canvas.uniform(0.01, 0.06)) * noise(canvas, canvas.uniform(0.5, 1))
    height += np.float32(0.0005) * noise(canvas, 0.012, 2)
    image = relief(canvas, image, height, canvas.uniform(0, 0.25), 0.5)
    return _face(canvas, image) if canvas.chance(0.4) else image


def _face(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Eyes, brows, nostrils, lips and hair laid on skin, near or cut by the frame."""
    x, y = canvas.grid()
    zoom = np.float32(canvas.uniform(0.6, 1.4))
    x, y = x / zoom + canvas.uniform(-0.3, 0.3), y / zoom + canvas.uniform(-0.2, 0.2)
    white = np.float32([0.93, 0.91, 0.89])
    hair, lip = canvas.colour("orange", "brown", "gold", "black", "maroon"), canvas.colour("pink", "red")
    across, down = np.abs(x) - np.float32(0.2), y + np.float32(0.1)
    lid = np.float32(0.05) * (1 - (across / np.float32(0.12)) ** 2)
    iris = np.sqrt(across * across + down * down)
    eye = mix(flat(canvas, white), canvas.colour("sky blue", "green", "brown", "teal"),
              smoothstep(0.045 - iris, 0, 0.008))  # fmt: skip
    eye *= (1 - smoothstep(0.02 - iris, 0, 0.006))[..., None]
    image = mix(image, eye, smoothstep(lid - np.abs(down), 0, 0.01))
    lash = np.exp(-(((lid - np.abs(down)) / np.float32(0.01)) ** 2)) * (np.abs(across) < 0.12)
    arch = smoothstep(0.015 - np.abs(down + 0.1 - 2 * across * across), 0, 0.015)
    image = mix(image, hair * np.float32(0.5), np.maximum(0.8 * lash, 0.7 * arch * (np.abs(across) < 0.13)))
    nostril = (np.abs(x) - np.float32(0.045)) ** 2 + (y - np.float32(0.14)) ** 2
    image = image * (1 - np.float32(0.6) * np.exp(-nostril / np.float32(0.0004)))[..., None]
    from_lips = np.abs(y - np.float32(0.3))
    lips = smoothstep(0.045 - 2 * x * x - from_lips, 0, 0.012) * (0.5 + smoothstep(from_lips, 0, 0.012) / 2)
    image = mix(image, lip * np.float32(0.85), 0.7 * lips)
    strands = 1 + np.float32(0.3) * noise(canvas, (0.01, 0.4), 2)
    edge = np.hypot(x / 0.42, y / 0.56) + np.float32(0.03) * noise(canvas, 0.3)
    return mix(image, np.clip(hair * strands[..., None], 0, 1), smoothstep(edge, 0.98, 1.06))


def _eggs(canvas: Canvas) -> np.ndarray:
    """Speckled eggs, one or a nestful."""
    if canvas.chance(0.4):
        globes = _globes(canvas, canvas.rng.uniform(-0.08, 0.08, (1, 2)), canvas.uniform(0.34, 0.6), 1.4)
    else:
        globes = _pile(canvas, canvas.uniform(0.3, 0.5), 1.35, 0.55)
    shell = canvas.colours(canvas.integer(1, 2), "white", "cream", "beige", "tan", "sky blue", "turquoise",
                           contrast=10)  # fmt: skip
    image = vary(canvas, shell, globes.spots.ids, 0.03) * _crevices(globes)[..., None]
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
    width = np.float32(np.pi / petals) * (1.1 - canvas.uniform(0.3, 1) * radius * radius)
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
    form = canvas.pick("flat", "flat", "flat", "ring", "ring", "swirl", "cakes")
    if form == "flat":
        return relief(canvas, colour, soft, canvas.uniform(0, 0.4), 0.45)
    cx, cy = canvas.rng.uniform(-0.2, 0.2, 2).astype(np.float32)
    radius, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    if form == "swirl":
        turns = radius / np.float32(canvas.uniform(0.2, 0.35)) + angle / np.float32(2 * np.pi)
        height = np.float32(0.05) * np.abs(np.sin(np.float32(np.pi) * turns)) - radius * np.float32(0.15)
        return relief(canvas, colour, height, canvas.uniform(0, 0.3), 0.45)
    if form == "cakes":
        globes = _pile(canvas, canvas.uniform(0.4, 0.6), 1.0, 0.48)
        lit = relief(canvas, colour * _crevices(globes)[..., None], 0.5 * globes.height + 0.3 * soft, canvas.uniform(0, 0.4), 0.45)
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
        return canvas.colours(2, "white", "brown", "pink", "red", contrast=50)
    return canvas.colours(6, *BRIGHTS, contrast=40)


def _strands(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Short sugar rods lying every way, each with a lit side and a shadow."""
    canvas.rescale("fine", "medium", "medium", "coarse")
    length = 0.45 * canvas.period
    width = length * canvas.uniform(0.22, 0.36)
    count = min(max(int(canvas.uniform(0.08, 0.4) / (length * width)), 30), 420)
    middles = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    turns = canvas.rng.uniform(0, np.pi, count)
    half = np.stack([np.cos(turns), np.sin(turns)], 1) * length / 2
    colours = _sugar_colours(canvas)
    colours = lookup(colours, canvas.rng.integers(0, 60, count)) + canvas.rng.normal(0, 0.04, (count, 1))
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
    colours = lookup(_sugar_colours(canvas), canvas.rng.integers(0, 60, count))
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
    palette = np.stack([first * 0.45, first, np.clip(first + 0.35, 0, 1)])
    if canvas.chance(0.2):
        palette = canvas.colours(2, *WATERS, contrast=20)
    slope = canvas.rng.normal(0, 1, 2).astype(np.float32)
    t = slope[0] * x + slope[1] * y + np.float32(0.5) + np.float32(0.08) * noise(canvas, 0.5, 2)
    return ramp(palette.astype(np.float32), t)


def _film(canvas: Canvas, image: np.ndarray, globes: Globes, strength: float) -> np.ndarray:
    """Bubbles as glassy spheres on an image: dark rim, glowing inner crescent, highlights."""
    (dx, dy, ids), _, mask = globes
    far = np.minimum(globes.spots.far, 1)
    lx, ly, _ = canvas.light
    facing = (dx * lx + dy * ly) / np.float32(np.hypot(lx, ly))
    square = far * far
    rim = square * square
    dark = np.float32(0.75 * strength) * rim * rim * (np.float32(0.65) + facing * np.float32(0.35))
    glow = np.float32(strength) * rim * (1 - rim) * np.maximum(0.3 - facing, 0) * np.float32(2.5)
    spot = np.hypot(dx - np.float32(0.5) * lx / np.hypot(lx, ly), dy - np.float32(0.5) * ly / np.hypot(lx, ly))
    shine = smoothstep(spot, 0.22, 0.1)
    edge = np.float32(0.5 * strength) * smoothstep(far, 0.86, 0.93) * smoothstep(far, 1, 0.94)
    light = np.maximum(np.maximum(glow, edge), shine) * mask
    body = 1 + (np.float32(canvas.uniform(-0.1, 0.25)) * (1 - square) - dark) * mask
    return np.clip(image * body[..., None] + light[..., None], 0, 1)


def _fizz(canvas: Canvas) -> np.ndarray:
    """Bubbles of all sizes rising in water, soda or beer."""
    image = _water(canvas)
    high = canvas.period * canvas.uniform(0.4, 0.8)
    low = max(canvas.uniform(0.1, 0.35) * high, 0.008)
    count = int(min(max(canvas.uniform(0.4, 1.2) / high**2, 20), 160))
    return _film(canvas, image, _crowd(canvas, count, low, high), canvas.uniform(0.6, 1))


def _foam(canvas: Canvas) -> np.ndarray:
    """Dry foam: thin bright walls around many-sided cells, or dark ones."""
    canvas.rescale("fine", "medium", "coarse")
    u, v = canvas.grid()
    du, dv = flow(canvas, 0.5, 0.05)
    c = cells(canvas, u + du, v + dv, canvas.period * canvas.uniform(0.6, 1), 0.85, hexagonal=True)
    water = _water(canvas)
    wall = np.exp(-c.border * np.float32(canvas.uniform(12, 25)))
    lx, ly, _ = canvas.light
    dx, dy = c.dx / np.float32(np.hypot(lx, ly)), c.dy / np.float32(np.hypot(lx, ly))
    facing = dx * lx + dy * ly
    ring = np.exp(-(((c.border - np.float32(0.13)) / np.float32(0.05)) ** 2)) * (np.float32(0.3) - facing)
    lens = 0.8 + ring + np.float32(0.25) * facing + canvas.table(-0.15, 0.15)[c.ids]
    shine = smoothstep(np.hypot(dx - np.float32(0.2) * lx, dy - np.float32(0.2) * ly), 0.12, 0.07)
    rim = canvas.colour("white", "white", "cream", "silver") if canvas.chance(0.75) else water[0, 0] * 0.3
    image = mix(np.clip(water * lens[..., None], 0, 1), rim, np.float32(canvas.uniform(0.6, 1)) * wall)
    return np.clip(image + (np.float32(canvas.uniform(0.3, 0.9)) * shine)[..., None], 0, 1)


def _suds(canvas: Canvas) -> np.ndarray:
    """White froth of tiny bubbles with larger ones among them: soap, milk, beer, coffee."""
    canvas.rescale("fine", "medium")
    u, v = canvas.grid()
    period = 0.6 * canvas.period
    c = cells(canvas, u, v, period, 0.8)
    height = np.float32(period) * np.sqrt(np.maximum(0.4 - c.near * c.near, 0))
    globes = _crowd(canvas, int(canvas.uniform(40, 110)), 0.25 * canvas.period, 1.1 * canvas.period)
    height = np.where(globes.height > 0, 0.8 * globes.height, height)
    froth = canvas.colour("white", "white", "cream", "beige", "tan", jitter=0.03)
    if canvas.chance(0.3):
        froth = _water(canvas)
    lx, ly, _ = canvas.light
    shine = smoothstep(np.hypot(c.dx - np.float32(0.2) * lx, c.dy - np.float32(0.2) * ly), 0.14, 0.05)
    image = relief(canvas, froth, 0.7 * height, canvas.uniform(0.2, 0.6), 0.65)
    image = image * np.float32(0.9) + (np.float32(canvas.uniform(0.1, 0.6)) * shine)[..., None]
    return _film(canvas, image, globes, canvas.uniform(0.4, 0.8))


def _oil(canvas: Canvas) -> np.ndarray:
    """Large smooth discs in gay colours: oil on water, close up."""
    canvas.rescale("coarse")
    x, y = canvas.grid()
    palette = canvas.colours(canvas.integer(2, 4), *WATERS, "yellow", "red", "pink", contrast=35)
    count = int(canvas.uniform(25, 90))
    globes = _crowd(canvas, count, 0.08 * canvas.period + 0.006, canvas.uniform(0.5, 0.9) * canvas.period)
    slope = canvas.rng.normal(0, 0.7, 2).astype(np.float32)
    back = np.float32(0.5) + slope[0] * x + slope[1] * y + np.float32(0.06) * noise(canvas, 0.5)
    dx, dy, ids = globes.spots
    lens = canvas.table(0.1, 0.9)[ids] - np.float32(0.35) * (slope[0] * dx + slope[1] * dy)
    far = np.minimum(globes.spots.far, 1)
    image = mix(ramp(palette, back), ramp(palette, lens), globes.mask)
    rim = np.exp(-(((far - np.float32(0.93)) / np.float32(0.07)) ** 2)) * globes.mask
    lx, ly, _ = canvas.light
    image = image * (1 - np.float32(canvas.uniform(0.5, 0.9)) * rim)[..., None]
    shine = smoothstep(np.hypot(dx - 0.55 * lx, dy - 0.55 * ly), 0.25, 0.05) * globes.mask
    bright = np.exp(-(((far - np.float32(0.8)) / np.float32(0.08)) ** 2)) * np.maximum(-dx * lx - dy * ly, 0)
    return np.clip(image + (np.float32(0.6) * np.maximum(shine, bright * globes.mask))[..., None], 0, 1)


def _soap_bubbles(canvas: Canvas) -> np.ndarray:
    """A few big iridescent bubbles floating before a sky, a garden or the dark."""
    canvas.rescale("coarse")
    below = blur(_water(canvas), 0.02)
    high = canvas.period * canvas.uniform(0.6, 1.2)
    globes = _crowd(canvas, int(canvas.uniform(10, 40)), 0.3 * high, high)
    film = canvas.colours(4, "pink", "turquoise", "gold", "lilac", "sky blue", "lime", "magenta", contrast=30)
    far = np.minimum(globes.spots.far, 1)
    swirl = far * np.float32(1.5) + np.float32(0.25) * noise(canvas, 0.2, 2)
    sheen = ramp(np.concatenate([film, film]), np.clip(swirl / 2, 0, 1))
    strength = np.float32(0.12) + np.float32(canvas.uniform(0.4, 0.8)) * far**4
    image = mix(below, sheen, strength * globes.mask)
    return _film(canvas, image, globes, canvas.uniform(0.4, 0.8))


def bumpy(canvas: Canvas) -> np.ndarray:
    """Rounded or pointed bumps that stand out of a surface and catch the light."""
    _lit_from_above(canvas)
    canvas.rescale("fine", "medium", "medium", "coarse", "coarse")
    return canvas.pick(_gourds, _gourds, _spiked_ball, _rind, _rind, _paving, _tread, _egg_box,
                       _lumps, _rough, _heap, _rollers, _blocks)(canvas)  # fmt: skip


def _warts(canvas: Canvas, u: np.ndarray, v: np.ndarray, period: float, share: float) -> np.ndarray:
    """Smooth random bumps of two sizes, heights in fractions of the side."""
    height = np.zeros_like(u)
    for scale in (1.0, 0.6):
        size = period * scale
        depth, _ = _specks(canvas, u, v, size, (0.15, 0.42), 1.3, 0.1, share)
        height = np.maximum(height, np.float32(0.45 * size) * smoothstep(depth, -0.1, 0.3))
    return height


def _gourds(canvas: Canvas) -> np.ndarray:
    """Warty pumpkins, squashes, avocados and oranges, one or a heap of them."""
    if canvas.chance(0.45):
        centre = canvas.rng.uniform(-0.15, 0.15, (1, 2))
        globes = _globes(canvas, centre, canvas.uniform(0.45, 0.9), 1.3)
    else:
        globes = _pile(canvas, canvas.uniform(0.3, 0.65), 1.3, 0.6)
    names = canvas.pick(("orange", "orange", "gold", "red"), ("green", "olive", "lime", "gold"),
                        ("orange", "green", "yellow", "cream", "olive", "maroon"),
                        ("charcoal", "black", "navy", "brown"), ("beige", "tan", "brown"))  # fmt: skip
    dx, dy, ids = globes.spots
    x, y = canvas.grid()
    swell = 1 + np.float32(0.3) * np.minimum(dx * dx + dy * dy, 1)
    shift = canvas.table(-8, 8)[ids]
    period = canvas.period * canvas.uniform(0.4, 0.9)
    bumps = _warts(canvas, x * swell + shift, y * swell, period, canvas.uniform(0.5, 1))
    ribs = np.float32(0.02) * np.abs(np.sin(dx * np.float32(canvas.uniform(3, 6)))) * canvas.pick(0, 1)
    tint = np.float32(canvas.pick((0.3, 0.3, 0.1), (0.3, 0.1, 0.0), (0.25, 0.25, 0.25), (0, 0, 0)))
    shade = (0.85 + np.float32(0.1) * noise(canvas, 0.1, 3)) * _crevices(globes)
    base = canvas.colours(3, *names, contrast=15)[ids % 3] * shade[..., None]
    base = base + (bumps * globes.mask / np.float32(0.45 * period))[..., None] * tint
    image = relief(canvas, base, 0.8 * globes.height + bumps + ribs, canvas.uniform(0, 0.5), 0.3)
    return mix(_backdrop(canvas) * np.float32(canvas.pick(0.2, 1)), image, globes.mask)


def _spiked_ball(canvas: Canvas) -> np.ndarray:
    """A glossy rubber ball or mat with rows of soft knobs."""
    x, y = canvas.grid()
    colour = canvas.colour("magenta", "red", "green", "sky blue", "blue", "yellow", "orange", "pink", "purple",
                           "turquoise", "black")  # fmt: skip
    if canvas.chance(0.6):
        globes = _globes(canvas, canvas.rng.uniform(-0.1, 0.1, (1, 2)), canvas.uniform(0.42, 0.8))
        swell = 1 + np.float32(0.45) * np.minimum(globes.spots.far, 1) ** 2
        u, v, height, mask = x * swell, y * swell, 0.9 * globes.height, globes.mask
    else:
        (u, v), height, mask = canvas.coordinates(), np.float32(0.03) * noise(canvas, 0.6), None
    period = canvas.period * canvas.uniform(0.8, 1.3)
    spots = _lattice(canvas, u, v, period, 0.2, hexagonal=True)
    size = canvas.uniform(0.18, 0.4)
    round_ = np.maximum(1 - (spots.far / np.float32(size)) ** 2, 0)
    knob = round_ ** canvas.pick(0.5, 1, 1.5) * np.float32(size * period * canvas.uniform(0.6, 1.2))
    image = relief(canvas, colour, height + knob, canvas.uniform(0.3, 0.9), 0.45)
    return image if mask is None else mix(_backdrop(canvas), image, mask)


def _rind(canvas: Canvas) -> np.ndarray:
    """Spikes, scales and swollen plates of durian, pineapple, custard apple, horned skin."""
    x, y = canvas.grid()
    height = np.float32(0.08) * noise(canvas, 0.8)
    mask = None
    if canvas.chance(0.5):
        globes = _globes(canvas, canvas.rng.uniform(-0.15, 0.15, (1, 2)), canvas.uniform(0.45, 0.8), 1.3)
        swell = 1 + np.float32(0.4) * np.minimum(globes.spots.far, 1) ** 2
        x, y, height, mask = x * swell, y * swell, 0.8 * globes.height, globes.mask
    period = canvas.period * canvas.uniform(0.7, 1.2)
    wobble = np.float32(0.12) * noise(canvas, 1.5 * period)
    spots = _lattice(canvas, x / np.float32(period) + wobble, y / np.float32(period) + wobble.T, 1.0, 0.3, True)
    rise = np.maximum(1 - spots.far / np.float32(0.58), 0)
    kind = canvas.pick("spike", "spike", "plate", "pyramid")
    if kind == "plate":
        rise = np.minimum(np.sqrt(rise), canvas.uniform(0.6, 1))
    elif kind == "pyramid":
        rise = np.clip(_hexagon(spots) * 2, 0, 1)
    elif canvas.chance(0.5):
        rise = rise ** np.float32(1.5)
    low, high = canvas.colours(2, "green", "olive", "lime", "gold", "brown", "tan", "black", "charcoal", "maroon",
                               contrast=25)  # fmt: skip
    shade = rise + canvas.table(-0.15, 0.15)[spots.ids] + np.float32(0.1) * noise(canvas, 0.05, 2)
    base = ramp(np.stack([low, high, np.clip(high * 1.2, 0, 1)]), shade)
    tall = np.float32(period * canvas.uniform(0.4, 1)) * rise
    image = relief(canvas, base, height + tall, canvas.uniform(0, 0.4), 0.25)
    return image if mask is None else mix(_backdrop(canvas), image, mask)


def _knobs(canvas: Canvas, spots: Spots, size: float) -> np.ndarray:
    """Heights in [0, 1] of domes, flat buttons or cones of radius `size` on a lattice."""
    kind = canvas.pick("dome", "button", "cone", "hill")
    t = np.clip(1 - spots.far / np.float32(size), 0, 1)
    if kind == "dome":
        return np.sqrt(t * (2 - t))
    if kind == "button":
        return np.clip(t * 4, 0, 1)
    return t if kind == "cone" else t * t * (3 - 2 * t)


def _paving(canvas: Canvas) -> np.ndarray:
    """Tactile paving, rubber floors, building bricks: rows of knobs on slabs."""
    u, v = canvas.coordinates(skew=0.1, perspective=0.8)
    period = canvas.period * canvas.uniform(0.8, 1.2)
    spots = _lattice(canvas, u, v, period, 0, canvas.chance(0.3))
    size = canvas.uniform(0.2, 0.42)
    bumps = np.float32(size * period * canvas.uniform(0.5, 1)) * _knobs(canvas, spots, size)
    names = canvas.pick(EARTHS, GREYS, ("yellow", "gold", "tan"), ("maroon", "brown", "red"), BRIGHTS)
    base = _mottled(canvas, *names, spread=0.05)
    side = period * canvas.integer(4, 9)
    joint = np.zeros_like(u)
    if canvas.chance(0.6):
        half = np.float32(0.5)
        joint = np.maximum(stripes(u / np.float32(side) + half / np.float32(side / period), 0.02, 0.01),
                           stripes(v / np.float32(side) + half / np.float32(side / period), 0.02, 0.01))  # fmt: skip
        base = base * (1 - np.float32(0.5) * joint)[..., None]
    if canvas.chance(0.25):
        base = mix(base, canvas.colour("silver", "white", "grey"), _edge(canvas, size * 0.8 - spots.far, period))
    height = bumps - np.float32(0.01) * joint + grain(canvas, canvas.uniform(0, 0.0015))
    return relief(canvas, base, height, canvas.uniform(0, 0.5), 0.3)


def _tread(canvas: Canvas) -> np.ndarray:
    """Steel tread plate: raised lozenges, every other one turned."""
    u, v = canvas.coordinates(skew=0.05, perspective=0.7)
    period = canvas.period
    x, y = u / np.float32(period), v / np.float32(period)
    column, row = np.rint(x), np.rint(y)
    sign = 1 - 2 * np.mod(column + row, 2)
    dx, dy = x - column, (y - row) * sign
    along, across = (dx + dy) * np.float32(0.707), (dx - dy) * np.float32(0.707)
    lozenge = 1 - (along / np.float32(0.42)) ** 2 - np.abs(across) / np.float32(0.13)
    lozenge = smoothstep(lozenge, 0, canvas.uniform(0.2, 0.6))
    base = _mottled(canvas, *METALS, "charcoal", "blue", "silver", spread=0.05)
    base = np.clip(base * (1 + np.float32(canvas.uniform(0, 0.6)) * lozenge)[..., None], 0, 1)
    height = np.float32(0.09 * period) * lozenge + grain(canvas, 0.0005)
    return relief(canvas, base, height, canvas.uniform(0.1, 0.6), 0.35)


def _egg_box(canvas: Canvas) -> np.ndarray:
    """Acoustic foam, egg boxes, quilted or embossed waves."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.6)
    t = 2 * np.pi / canvas.period
    wave = np.cos(np.float32(t) * u) * np.cos(np.float32(t) * v)
    if canvas.chance(0.4):
        wave = np.cos(np.float32(t) * u) + np.cos(np.float32(t) * (0.5 * u + 0.87 * v)) / 2
    base = _mottled(canvas, "grey", "silver", "charcoal", "white", "blue", "beige", "pink", spread=0.04)
    height = np.float32(canvas.period * canvas.uniform(0.12, 0.3)) * wave
    crevice = np.clip(0.75 + np.float32(0.35) * wave, 0.2, 1.1)
    return relief(canvas, base * crevice[..., None], height + grain(canvas, 0.0015), canvas.uniform(0, 0.5), 0.3)


def _lumps(canvas: Canvas) -> np.ndarray:
    """Packed rounded lumps of many sizes: cobbles, berries, caviar, cauliflower, tortoise shell."""
    u, v = canvas.grid()
    du, dv = flow(canvas, 0.5, 0.02)
    c = cells(canvas, u + du, v + dv, canvas.period, canvas.uniform(0.3, 0.8), hexagonal=True)
    dome = np.float32(canvas.period) * np.minimum(np.sqrt(np.maximum(c.border, 0)), canvas.uniform(0.4, 0.8))
    palette = canvas.colours(canvas.integer(1, 3), *canvas.pick(EARTHS, GREYS, BRIGHTS, EARTHS), contrast=10)
    base = vary(canvas, palette, c.ids, 0.05) * smoothstep(c.border, -0.15, 0.15)[..., None]
    height = canvas.uniform(0.4, 0.8) * dome + np.float32(canvas.uniform(0, 0.003)) * noise(canvas, 0.03, 2)
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
    names = canvas.pick(EARTHS, GREYS, ("navy", "charcoal", "black"), ("green", "olive", "lime"), BRIGHTS)
    base = _mottled(canvas, *names, spread=0.08) * (1 + np.float32(0.12) * field)[..., None]
    swell = np.float32(canvas.uniform(0, 0.08)) * noise(canvas, 0.6)
    height = np.float32(period * canvas.uniform(0.1, 0.22)) * field + swell
    return relief(canvas, np.clip(base, 0, 1), height, canvas.uniform(0, 0.8), 0.25)


def _heap(canvas: Canvas) -> np.ndarray:
    """Balls, beads, peas or eggs heaped together, matt, glossy or of steel."""
    canvas.rescale("medium", "coarse")
    globes = _pile(canvas, max(canvas.period, 0.09), canvas.pick(1.0, 1.0, 1.3), canvas.uniform(0.5, 0.62))
    shade = _crevices(globes)[..., None]
    if canvas.chance(0.3):
        return _metal(canvas, canvas.colour("silver", "gold", "grey"), 0.8 * globes.height) * shade
    names = canvas.pick(BRIGHTS, EARTHS, GREYS)
    palette = canvas.colours(canvas.integer(1, 5), *names)
    base = vary(canvas, palette, globes.spots.ids, 0.04) * shade
    height = globes.height + np.float32(canvas.uniform(0, 0.004)) * noise(canvas, 0.03, 2)
    return relief(canvas, base, height, canvas.uniform(0, 0.9), 0.3)


def _rollers(canvas: Canvas) -> np.ndarray:
    """Rows of swollen segments: massage rollers, corn on the cob, ropes of beads."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(warp=0.01)
    width = canvas.period * canvas.uniform(1, 1.8)
    across, along = u / np.float32(width), v / np.float32(width * canvas.uniform(0.25, 0.6))
    row = np.rint(across)
    dx = 2 * (across - row)
    shift = along + canvas.table()[row.astype(np.intp) & 63] * canvas.pick(0, 1)
    dy = 2 * np.abs(shift - np.rint(shift))
    barrel = np.sqrt(np.maximum(1 - dx * dx / np.float32(0.9), 0))
    seam = np.minimum(1 - dy, 0.5) if canvas.chance(0.5) else np.sqrt(np.maximum(1 - dy * dy, 0))
    if canvas.chance(0.4):
        facet = np.minimum(seam, 1 - np.abs(2 * (dx * 1.5 - np.rint(dx * 1.5))))
        seam = np.maximum(facet, 0)
    height = np.float32(0.3 * width) * barrel + np.float32(0.2 * width) * seam * barrel
    wood = canvas.colour("brown", "tan", "gold", "yellow", "beige", "orange", "maroon", "silver")
    number = ((row.astype(np.intp) & 63) << 6) | (np.rint(shift).astype(np.intp) & 63)
    base = wood * ((1 + canvas.table(-0.12, 0.12)[number]) * (0.5 + np.minimum(seam, 0.5)))[..., None]
    base = base * smoothstep(barrel, -0.1, 0.5)[..., None] * (1 + grain(canvas, 0.03))[..., None]
    return relief(canvas, np.clip(base, 0, 1), height, canvas.uniform(0, 0.5), 0.3)


def _blocks(canvas: Canvas) -> np.ndarray:
    """Pyramids or square blocks of uneven height, smooth and shaded."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.6)
    period = canvas.period * canvas.uniform(0.9, 1.4)
    spots = _lattice(canvas, u, v, period)
    top = 1 - 2 * np.maximum(np.abs(spots.dx), np.abs(spots.dy))
    rise = np.clip(top * canvas.pick(1, 1, 4), 0, 1) * canvas.table(canvas.pick(0.3, 1), 1)[spots.ids]
    names = canvas.pick(GREYS, EARTHS, ("blue", "sky blue", "red", "navy"), METALS)
    base = canvas.colour(*names) * (1 + np.float32(0.06) * noise(canvas, 0.2, 4))[..., None]
    base = np.clip(base, 0, 1) * (0.5 + np.float32(0.5) * smoothstep(top, 0, 0.2))[..., None]
    height = np.float32(period * canvas.uniform(0.25, 0.5)) * rise
    return relief(canvas, base, height, canvas.uniform(0, 0.4), 0.3)


# --- cells, holes and studs -----------------------------------------------------------------


def honeycombed(canvas: Canvas) -> np.ndarray:
    """Hexagonal cells with thin walls: wax, paper, metal, or drawn."""
    canvas.rescale("fine", "medium", "medium", "coarse")
    u, v = canvas.coordinates(canvas.pick(0, np.pi / 6, canvas.uniform(0, np.pi)), perspective=0.5)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    x, y = u / np.float32(period), v / np.float32(period)
    sway = np.float32(canvas.uniform(0, 0.12)) * noise(canvas, 2.5 * period)
    spots = _lattice(canvas, x + sway, y + sway.T, 1.0, hexagonal=True)
    style = canvas.pick(_waxen, _waxen, _tubes, _tubes, _hexagons)
    image = style(canvas, spots, period)
    return _bees(canvas, image, period) if style is _waxen and canvas.chance(0.3) else image


def _waxen(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """Honeycomb of wax: empty, filled with honey or capped."""
    wax = canvas.colour("gold", "yellow", "orange", "tan", "cream", "brown", "gold", "beige")
    wall = _hexagon(spots) + np.float32(0.02) * noise(canvas, 0.5 * period)
    thick = canvas.uniform(0.05, 0.12)
    inside = smoothstep(wall, thick, thick + 0.1)
    deep = canvas.colour("brown", "maroon", "gold", "orange", "black", jitter=0.04) * np.float32(0.8)
    filled = canvas.table()[spots.ids] + np.float32(0.3) * noise(canvas, 0.4)
    bottom = ramp(np.stack([deep * 0.5, deep, np.clip(deep * 1.8 + 0.1, 0, 1)]), filled)
    lx, ly, _ = canvas.light
    facing = (spots.dx * lx + spots.dy * ly) / np.float32(np.hypot(lx, ly))
    bottom = bottom * (1 - np.float32(canvas.uniform(0.3, 1.1)) * facing)[..., None]
    gleam = smoothstep(np.hypot(spots.dx + 0.15 * lx, spots.dy + 0.15 * ly), 0.12, 0.03)
    bottom = bottom + (np.float32(canvas.uniform(0, 0.7)) * gleam * (filled > 0.4))[..., None]
    image = mix(flat(canvas, wax), np.clip(bottom, 0, 1), inside)
    lid = np.clip((noise(canvas, 0.5) - np.float32(canvas.uniform(0.2, 2))) * 8, 0, 1)
    image = mix(image, np.clip(wax * (1 - 0.4 * smoothstep(wall, 0.1, 0))[..., None], 0, 1), 0.9 * lid)
    height = np.float32(0.2 * period) * (inside * (2 * lid - 1))
    return relief(canvas, image, height + grain(canvas, 0.001), canvas.uniform(0, 0.5), 0.5)


def _tubes(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """A comb of paper, card or metal seen slightly from the side: the walls' insides show."""
    names = canvas.pick(METALS, GREYS, ("white", "cream", "tan", "beige"), ("gold", "orange", "yellow"),
                        ("blue", "red", "green", "black", "white"))  # fmt: skip
    sheet = canvas.colour(*names)
    x, y = canvas.grid()
    depth, lean = canvas.uniform(0.2, 1.2), canvas.rng.uniform(-0.25, 0.25, 2).astype(np.float32)
    shift_x, shift_y = lean[0] + np.float32(depth) * x, lean[1] + np.float32(depth) * y
    rim = _edge(canvas, np.float32(canvas.uniform(0.03, 0.09)) - _hexagon(spots), period)
    below = Spots(spots.dx + shift_x, spots.dy + shift_y, spots.ids)
    floor = _edge(canvas, _hexagon(below) - 0.05, period, 0.05)
    angle = np.rint(np.arctan2(below.dy, below.dx) * np.float32(3 / np.pi)) * np.float32(np.pi / 3)
    lx, ly, _ = canvas.light
    lit = np.float32(0.55) - np.float32(0.35) * (np.cos(angle) * lx + np.sin(angle) * ly)
    lit = lit * np.clip(1.25 - 2 * np.maximum(-_hexagon(below), 0), 0.3, 1.3)
    hollow = canvas.colour("black", "charcoal", "brown", "white", "gold", "sky blue")
    image = mix(np.clip(sheet * lit[..., None], 0, 1), hollow, np.float32(canvas.uniform(0.5, 1)) * floor)
    return mix(image, np.clip(sheet * 1.25 + 0.05, 0, 1), rim)


def _hexagons(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """Hexagons printed, tiled or pressed into something."""
    wall = np.float32(canvas.uniform(0.03, 0.12)) - _hexagon(spots)
    ground, line = canvas.colours(2, contrast=45)
    if canvas.chance(0.3):
        ground, line = canvas.colours(2, "gold", "yellow", "orange", "black", "brown", "white", contrast=40)
    fill = vary(canvas, ground[None], spots.ids, canvas.pick(0.01, 0.1))
    image = mix(fill, line, _edge(canvas, wall, period))
    if canvas.chance(0.4):
        return np.clip(image, 0, 1)
    height = np.float32(0.15 * period * canvas.pick(-1, 1)) * smoothstep(wall, -0.12, 0.02)
    return relief(canvas, image, height, canvas.uniform(0, 0.6), 0.4)


def _bees(canvas: Canvas, image: np.ndarray, period: float) -> np.ndarray:
    """A few bees on the comb, each a little longer than a cell is wide."""
    dark = canvas.colour("brown", "black", jitter=0.03)
    amber = canvas.colour("gold", "orange", jitter=0.04)
    wing = np.float32([0.8, 0.78, 0.7])
    # Along the body, to its side, half length, half width, turned by, colour; lengths in cells.
    parts = ((-0.2, 0, 0.55, 0.28, 0, dark), (-0.1, 0, 0.1, 0.27, 0, amber),
             (-0.4, 0, 0.09, 0.22, 0, amber), (0.4, 0, 0.28, 0.27, 0, amber),
             (0.7, 0, 0.15, 0.2, 0, dark), (-0.15, 0.22, 0.5, 0.13, -0.35, wing),
             (-0.15, -0.22, 0.5, 0.13, 0.35, wing))  # fmt: skip
    sheet = _sheet(canvas)
    for _ in range(canvas.integer(2, 9)):
        middle, turn = canvas.rng.uniform(-0.5, 0.5, 2), canvas.uniform(0, 2 * np.pi)
        axis = period * np.array([np.cos(turn), np.sin(turn)])
        for along, aside, long, wide, bend, colour in parts:
            spot = middle + along * axis + aside * np.array([-axis[1], axis[0]])
            centre = tuple((_place(canvas, spot) / 16).tolist())
            axes = tuple(2 * period * canvas.size * SUPERSAMPLING * r for r in (long, wide))
            tilt = float(np.degrees(turn + bend))
            cv2.ellipse(sheet, (centre, axes, tilt), _paint_of(colour), -1)
    return _lay(canvas, image, sheet, 0.15 * period)


def perforated(canvas: Canvas) -> np.ndarray:
    """A thin sheet of metal, leather, card or plastic with rows of holes right through it."""
    _lit_from_above(canvas)
    period = canvas.period * canvas.uniform(0.7, 1.1)
    u, v = canvas.coordinates(skew=0.08, perspective=canvas.pick(0.2, 0.9), warp=0.015)
    turn = canvas.pick(0, 0, np.pi / 4)
    u, v = np.float32(np.cos(turn)) * u + np.float32(np.sin(turn)) * v, np.float32(
        np.cos(turn)) * v - np.float32(np.sin(turn)) * u  # fmt: skip
    shape = canvas.pick("round", "round", "round", "round", "square", "slot", "lozenge", "hexagon")
    tall = canvas.uniform(1.8, 3) if shape == "slot" else 1.0
    spots = _lattice(canvas, u, v / np.float32(tall), period, 0, canvas.chance(0.6))
    radius = np.float32(canvas.uniform(0.16, 0.36))
    if shape in ("round", "slot") and canvas.chance(0.15):
        radius = radius * np.clip(0.75 + np.float32(0.35) * noise(canvas, 0.5), 0.1, 1.2)

    def hole(shift_x: np.ndarray | float, shift_y: np.ndarray | float) -> np.ndarray:
        dx, dy = np.abs(spots.dx + shift_x), np.abs(spots.dy + shift_y)
        if shape == "square":
            return radius - np.maximum(dx, dy)
        if shape == "lozenge":
            return np.float32(1.2) * radius - dx - dy
        if shape == "hexagon":
            return radius - np.maximum(dx, dx / 2 + dy * (SQRT3 / 2))
        if shape == "slot":
            dy = np.maximum(dy - (np.float32(0.45) - radius / 2), 0) * np.float32(tall)
        return radius - np.sqrt(dx * dx + dy * dy)

    there = np.float32(1)
    if canvas.chance(0.2):
        there = np.float32((spots.ids >> 6) % canvas.integer(5, 9) > 1)
    sheet = _plate(canvas)
    x, y = canvas.grid()
    lean = canvas.rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    thick = np.float32(canvas.uniform(0, 0.2))
    top = _edge(canvas, hole(0.0, 0.0), period) * there
    through = _edge(canvas, hole(thick * (lean[0] + x), thick * (lean[1] + y)), period, 0.03)
    behind = canvas.colour("black", "black", "black", "charcoal", "navy", jitter=0.03)
    if canvas.chance(0.2):
        behind = np.clip(_water(canvas) * 1.2 + 0.15, 0, 1)
    inner = mix(sheet * np.float32(canvas.pick(0.3, 0.5, 0.8)), behind, through)
    dent = np.float32(canvas.uniform(0, 0.25) * period) * smoothstep(hole(0.0, 0.0), 0, -0.12)
    swell = np.float32(canvas.uniform(0, 0.03)) * noise(canvas, 0.7)
    return mix(relief(canvas, sheet, dent + swell, canvas.uniform(0, 0.4), 0.45), np.clip(inner, 0, 1), top)


def _plate(canvas: Canvas) -> np.ndarray:
    """Brushed, painted or rusty metal, leather, card or board, smooth enough to be perforated."""
    kind = canvas.pick("metal", "metal", "paint", "leather", "rust", "card")
    if kind == "metal":
        brushed = noise(canvas, canvas.pick((0.5, 0.006), (0.006, 0.5), (0.3, 0.3)), 2)
        shade = 1 + np.float32(0.07) * brushed + np.float32(0.15) * noise(canvas, 0.7)
        return np.clip(canvas.colour(*METALS, "silver", "silver") * shade[..., None], 0, 1)
    if kind == "leather":
        return _leather(canvas, canvas.colour("black", "brown", "tan", "white", "red", "beige", "grey", "navy"))
    if kind == "rust":
        return _mottled(canvas, "brown", "maroon", "tan", "olive", "grey", spread=0.12)
    return _mottled(canvas, *(("white", "cream", "beige", "tan") if kind == "card" else BRIGHTS), spread=0.02)


def _pits(canvas: Canvas, x: np.ndarray, y: np.ndarray, period: float, scales: tuple, radius: tuple,
          ragged: float, share: float | np.ndarray) -> np.ndarray:  # fmt: skip
    """How deep a surface is eaten away by holes of several sizes, in fractions of the side."""
    depth = np.zeros_like(x)
    for scale in scales:
        inside, _ = _specks(canvas, x, y, period * scale, radius, 1.2, ragged, share)
        depth = np.maximum(depth, np.float32(period * scale) * np.maximum(inside, 0))
    return depth


def pitted(canvas: Canvas) -> np.ndarray:
    """A hard surface with small shallow dents of uneven size: stone, rust, peel, craters."""
    _lit_from_above(canvas)
    return canvas.pick(_pitted_stone, _pitted_stone, _corroded, _peel, _craters, _weathered)(canvas)


def _pitted_stone(canvas: Canvas) -> np.ndarray:
    """Concrete, travertine, limestone or plaster with holes strewn unevenly."""
    x, y = canvas.grid()
    share = np.float32(canvas.uniform(0.3, 0.7)) + np.float32(0.3) * noise(canvas, 0.4, 2)
    period = canvas.period * canvas.uniform(0.5, 0.9)
    if canvas.chance(0.3):
        y = y * np.float32(canvas.uniform(1.5, 2.5))
    depth = _pits(canvas, x, y, period, (1.0, 0.6, 0.35), (0.06, 0.32), 0.14, share)
    base = _mottled(canvas, *STONES, spread=0.06)
    dark = np.exp(-depth / np.float32(canvas.uniform(0.06, 0.3) * period))
    height = -depth * np.float32(canvas.uniform(0.8, 1.5)) + np.float32(0.0012) * noise(canvas, 0.02, 3)
    image = relief(canvas, base * (0.25 + np.float32(0.75) * dark)[..., None], height, 0, 0.35)
    return np.clip(image, 0, 1)


def _corroded(canvas: Canvas) -> np.ndarray:
    """Metal pitted by rust or acid."""
    x, y = canvas.grid()
    share = np.float32(0.6) + np.float32(0.4) * noise(canvas, 0.3, 2)
    period = canvas.period * canvas.uniform(0.5, 0.9)
    depth = _pits(canvas, x, y, period, (1.0, 0.5), (0.08, 0.4), 0.15, share)
    metal = canvas.colour(*METALS)
    rust = canvas.colours(3, "brown", "maroon", "tan", "orange", "charcoal", contrast=20)
    stain = np.clip(depth / np.float32(0.15 * period), 0, 1) * np.float32(0.8)
    spread_ = smoothstep(noise(canvas, 0.4, 4), canvas.uniform(-1, 0.5), 1.5)
    patina = ramp(rust, np.float32(0.5) + np.float32(0.2) * noise(canvas, 0.06, 3))
    base = mix(flat(canvas, metal), patina, np.maximum(stain, spread_))
    height = -depth + np.float32(0.001) * noise(canvas, 0.02, 2)
    return relief(canvas, base, height, canvas.uniform(0, 0.5), 0.3)


def _peel(canvas: Canvas) -> np.ndarray:
    """Orange or lemon peel, hammered metal, a thimble or a golf ball: dense round dimples."""
    canvas.rescale("fine", "medium")
    x, y = canvas.grid()
    height, mask = np.float32(0.03) * noise(canvas, 0.7), None
    if canvas.chance(0.5):
        globes = _globes(canvas, canvas.rng.uniform(-0.2, 0.2, (1, 2)), canvas.uniform(0.45, 0.9))
        swell = 1 + np.float32(0.3) * np.minimum(globes.spots.far, 1) ** 2
        x, y, height, mask = x * swell, y * swell, 0.7 * globes.height, globes.mask
    period = canvas.period * canvas.uniform(0.4, 0.9)
    wobble = np.float32(0.2) * noise(canvas, 1.5 * period)
    spots = _lattice(canvas, x / np.float32(period) + wobble, y / np.float32(period) + wobble.T, 1.0,
                     canvas.uniform(0, 0.3), True)  # fmt: skip
    size = canvas.table(0.2, 0.42)[spots.ids]
    dimple = np.maximum(1 - (spots.far / size) ** 2, 0)
    base = canvas.colour("orange", "orange", "yellow", "lime", "gold", "silver", "grey", "white", "tan", "maroon")
    base = base * (1 - np.float32(0.2) * dimple)[..., None]
    height = height - np.float32(period * canvas.uniform(0.08, 0.2)) * dimple
    image = relief(canvas, base, height, canvas.uniform(0.2, 0.8), 0.35)
    return image if mask is None else mix(_backdrop(canvas), image, mask)


def _craters(canvas: Canvas) -> np.ndarray:
    """Ground pocked by round craters with raised rims, large and small: moon, sand after rain."""
    high = canvas.period * canvas.uniform(0.5, 0.9)
    globes = _crowd(canvas, int(min(max(1 / high**2, 40), 170)), 0.15 * high, high)
    far = globes.spots.far
    bowl = np.where(far < 1, np.minimum(far**2 - np.float32(0.85), (1 - far) * 2), 0)
    radius = np.divide(globes.height, np.sqrt(np.maximum(1 - far * far, 1e-3)))
    height = radius * bowl * np.float32(canvas.uniform(0.5, 0.9)) + np.float32(0.003) * noise(canvas, 0.1, 4, 0.6)
    base = _mottled(canvas, *STONES, "grey", "silver", spread=0.06)
    return relief(canvas, base, height, 0, 0.2)


def _weathered(canvas: Canvas) -> np.ndarray:
    """Rock eaten by wind and salt: hollows that run into one another."""
    period = canvas.period * canvas.uniform(0.4, 0.8)
    field = noise(canvas, period, 3, 0.45) - np.float32(canvas.uniform(0.2, 0.8))
    depth = np.sqrt(np.maximum(field, 0))
    base = _mottled(canvas, *STONES, spread=0.08)
    base = base * (1 - np.float32(0.55) * np.minimum(depth, 1))[..., None]
    height = -np.float32(0.22 * period) * depth + np.float32(0.0015) * noise(canvas, 0.03, 3)
    return relief(canvas, np.clip(base, 0, 1), height, 0, 0.3)


def porous(canvas: Canvas) -> np.ndarray:
    """A body riddled with deep pores of many sizes: sponge, pumice, bread, coral, cheese."""
    _lit_from_above(canvas)
    x, y = canvas.grid()
    kind = canvas.pick("sponge", "pumice", "crumb", "coral", "foam")
    canvas.rescale("fine", "medium", "coarse")
    period = canvas.period * canvas.uniform(0.6, 1)
    if kind in ("sponge", "coral"):
        wobble = np.float32(0.1 * period) * noise(canvas, 0.6 * period)
        x, y = x + wobble, y + wobble.T
    if kind == "foam":
        c = cells(canvas, x, y, 0.7 * period, 0.85)
        depth = np.float32(0.7 * period) * np.maximum(canvas.table(0.2, 0.6)[c.ids] - c.near, 0)
    else:
        wide = {"sponge": 0.42, "pumice": 0.45, "crumb": 0.4, "coral": 0.46}[kind]
        scales = (1.0, 0.6, 0.35) if kind != "coral" else (1.0, 0.5)
        depth = _pits(canvas, x, y, period, scales, (0.08, wide), 0.12, canvas.uniform(0.7, 1))
    names = {"sponge": ("yellow", "gold", "orange", "tan", "pink", "sky blue", "lime", "beige"),
             "pumice": ("grey", "charcoal", "brown", "maroon", "tan", "silver", "black"),
             "crumb": ("cream", "beige", "white", "tan", "gold", "brown"),
             "coral": ("cream", "white", "beige", "tan", "pink", "grey"),
             "foam": ("grey", "white", "yellow", "silver", "cream", "charcoal")}[kind]  # fmt: skip
    base = _mottled(canvas, *names, spread=0.05)
    dark = np.exp(-depth / np.float32(canvas.uniform(0.06, 0.2) * period))
    warm = np.float32([0.5, 0.38, 0.28]) if kind == "crumb" else np.float32([0.22, 0.2, 0.2])
    base = base * (warm + (1 - warm) * dark[..., None])
    height = -depth * np.float32(canvas.uniform(0.8, 1.3)) + np.float32(0.002) * noise(canvas, 0.03, 3, 0.7)
    return relief(canvas, base, height, canvas.uniform(0, 0.15), 0.4)


def potholed(canvas: Canvas) -> np.ndarray:
    """A road with a few large broken holes, dry or full of water."""
    _lit_from_above(canvas)
    canvas.rescale("coarse")
    x, y = canvas.grid()
    dirt = canvas.chance(0.3)
    stone = canvas.colour("tan", "brown", "beige", "grey") if dirt else canvas.colour("grey", "charcoal", "silver",
                                                                                      "grey", jitter=0.03)  # fmt: skip
    gravel = noise(canvas, canvas.uniform(0.008, 0.02), 2, 0.7)
    patchy = noise(canvas, 0.5, 4, 0.6)
    road = stone * (1 + np.float32(0.1) * patchy + np.float32(0.09) * gravel)[..., None]
    if not dirt and canvas.chance(0.3):
        road = _road_line(canvas, road)
    hole = _holes(canvas) + np.float32(0.012) * noise(canvas, 0.08, 3, 0.6)
    if not dirt:
        road = road * (1 - np.float32(0.6) * _road_cracks(canvas, hole))[..., None]
    inside = smoothstep(hole, 0, 0.012)
    rubble = noise(canvas, canvas.uniform(0.03, 0.06), 3, 0.7)
    earth = 0.5 * stone + 0.5 * canvas.colour("brown", "tan", "grey", "charcoal", jitter=0.03)
    earth = earth * np.float32(canvas.uniform(0.5, 0.95))
    floor = earth * (0.9 + np.float32(0.16) * rubble)[..., None]
    depth = canvas.uniform(0.012, 0.03)
    lx, ly, _ = canvas.light
    lit = sample(inside, x + np.float32(2 * depth) * lx, y + np.float32(2 * depth) * ly)
    floor = floor * (0.4 + np.float32(0.6) * lit)[..., None]
    loose, ids = _specks(canvas, x, y, canvas.uniform(0.02, 0.045), (0.1, 0.4), 1.3, 0.1,
                         np.exp(-np.abs(hole) / np.float32(0.1)))  # fmt: skip
    step = smoothstep(hole, 0, canvas.pick(0.015, 0.03, 0.06))
    height = np.float32(-depth) * step + np.float32(0.0012) * gravel + np.float32(0.005) * rubble * inside
    ground = mix(np.clip(road, 0, 1), np.clip(floor, 0, 1), inside)
    ground = ground * (1 + canvas.table(-0.2, 0.35)[ids] * (loose > 0))[..., None]
    image = relief(canvas, ground, height + np.float32(0.01) * np.maximum(loose, 0), 0, 0.35)
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
        if number > 1:
            reach *= 0.6
        cx, cy = canvas.rng.uniform(-0.35, 0.35, 2) * (0.4 if count == 1 else 1)
        turn, long = canvas.uniform(0, np.pi), canvas.uniform(1, 1.7)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        dx, dy = x - np.float32(cx), y - np.float32(cy)
        dx, dy = (cos * dx + sin * dy) / np.float32(long), cos * dy - sin * dx
        field = np.maximum(field, np.float32(reach) - np.sqrt(dx * dx + dy * dy))
    return field + np.float32(0.03) * noise(canvas, 0.25, 2)


def _road_cracks(canvas: Canvas, hole: np.ndarray) -> np.ndarray:
    """Cracks in the asphalt, closest around the holes."""
    ridge = np.abs(noise(canvas, canvas.uniform(0.12, 0.3), 3, 0.55))
    near = np.exp(-np.maximum(-hole, 0) / np.float32(0.12)) + np.float32(canvas.uniform(0, 0.4))
    return np.clip(1 - ridge * 18, 0, 1) * np.minimum(near, 1) * (hole < 0)


def _road_line(canvas: Canvas, road: np.ndarray) -> np.ndarray:
    """A worn white or yellow line along the road."""
    x, _ = canvas.grid()
    offset = np.float32(canvas.uniform(-0.4, 0.4)) - x
    line = np.clip((np.float32(canvas.uniform(0.02, 0.05)) - np.abs(offset)) * 100, 0, 1)
    worn = smoothstep(noise(canvas, 0.04, 3), -1.2, 0.3)
    return mix(road, canvas.colour("white", "white", "yellow"), np.float32(0.85) * line * worn)


def _puddle(canvas: Canvas, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Still water in the holes: muddy, or a mirror of sky and trees."""
    x, y = canvas.grid()
    level = canvas.uniform(0.005, 0.04)
    wet = smoothstep(hole, level, level + 0.01)
    mud = canvas.colour("tan", "brown", "beige", "grey", "silver", "charcoal", jitter=0.03)
    sky = np.clip(canvas.colour("white", "sky blue", "silver", "grey"), 0, 1)
    mirror = np.float32(0.45) + y * np.float32(canvas.uniform(-1, 1)) + np.float32(0.2) * noise(canvas, (0.15, 0.4), 2)
    water = ramp(np.stack([mud * 0.6, mud, sky]), mirror)
    image = image * (1 - np.float32(0.3) * smoothstep(hole, level - 0.05, level))[..., None]
    return mix(image, water, wet)


def _along_road(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The flat image as a road that runs away from the eye, now and then up to its verge."""
    x, y = canvas.grid()
    horizon = canvas.uniform(0.75, 1.3)
    depth = np.float32(horizon + 0.5) / (y + np.float32(horizon))
    zoom, length = canvas.uniform(0.5, 0.75), canvas.uniform(0.8, 1.2)
    seen = sample(image, np.float32(zoom) * x * depth, 0.5 - np.float32(zoom * length) * (depth - 1))
    if canvas.chance(0.4):
        verge = canvas.colour("green", "olive", "tan", "grey", "sky blue", "white")
        verge = verge * (1 + np.float32(0.25) * noise(canvas, 0.05, 3))[..., None]
        top = y + np.float32(canvas.uniform(0.25, 0.42)) + np.float32(0.01) * noise(canvas, 0.1, 2)
        seen = mix(np.clip(verge, 0, 1), seen, smoothstep(top, 0, 0.015))
    return seen


def studded(canvas: Canvas) -> np.ndarray:
    """Metal studs, spikes, rivets or glittering stones set in rows on leather, cloth or iron."""
    _lit_from_above(canvas)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    u, v = canvas.coordinates(canvas.orientation() + canvas.pick(0, 0, np.pi / 4), perspective=0.5)
    hexagonal = canvas.chance(0.35)
    spots = _lattice(canvas, u, v, period, canvas.uniform(0, 0.06), hexagonal)
    there = np.float32(1)
    ground = _backing(canvas)
    rows = canvas.pick("all", "all", "lines", "seams", "belt")
    if rows == "lines":
        there = np.float32((spots.ids >> 6) % canvas.pick(4, 6, 8) < 2)
    elif rows == "seams":
        step = np.float32(canvas.uniform(0.35, 0.6))
        away = v + np.float32(canvas.uniform(0.02, 0.08)) * noise(canvas, (0.7, 2.0))
        away = away - step * np.rint(away / step)
        spots = _lattice(canvas, u, away, period)
        there = np.float32(np.abs(away) < period / 2)
    elif rows == "belt":
        half = np.float32(period * canvas.integer(1, 3))
        hem = np.exp(-(((np.abs(v) - half) / np.float32(0.01)) ** 2))
        inside = np.clip((half - np.abs(v)) * canvas.size, 0, 1)
        ground = mix(_backing(canvas), ground, inside) * (1 - np.float32(0.5) * hem)[..., None]
        spots = _lattice(canvas, u, v + np.float32(period / 2), period)
        there = np.float32(np.abs(v) < half)
    size = canvas.uniform(0.25, 0.46)
    kind = canvas.pick("dome", "dome", "pyramid", "cone", "gem", "rivet", "star")
    lean = np.abs(spots.dx), np.abs(spots.dy)
    far = spots.far
    if kind == "pyramid":
        far = np.maximum(*lean) if canvas.chance(0.7) else sum(lean) * np.float32(0.75)
    elif kind == "star":
        far = far * (1 + np.float32(0.35) * np.cos(5 * np.arctan2(spots.dy, spots.dx)))
    t = np.clip(1 - far / np.float32(size), 0, 1)
    if kind in ("dome", "gem"):
        t = np.sqrt(t * (2 - t))
    elif kind == "rivet":
        t = np.clip(t * 3, 0, 1)
    mask = _edge(canvas, np.float32(size) - far, period) * there
    x, y = canvas.grid()
    lx, ly, _ = canvas.light
    dark = blur(sample(mask, x + 0.15 * period * lx, y + 0.15 * period * ly), 0.08 * period)
    ground = ground * (1 - np.float32(0.65) * dark)[..., None]
    height = np.float32(size * period * canvas.uniform(0.5, 1.1)) * t
    colour = canvas.colour("silver", "silver", "white", "gold", "gold", "tan", "grey", "charcoal")
    if kind == "gem":
        metal = _gems(canvas, spots, size)
    else:
        metal = _metal(canvas, colour, height)
    return mix(np.clip(ground, 0, 1), metal, mask)


def _gems(canvas: Canvas, spots: Spots, size: float) -> np.ndarray:
    """Cut stones: facets round a flat table, each of a brightness of its own."""
    palette = canvas.colours(canvas.integer(1, 2), "white", "silver", "sky blue", "pink", "red", "green", "purple",
                             "white")  # fmt: skip
    turn = np.arctan2(spots.dy, spots.dx) * np.float32(4 / np.pi)
    table = spots.far < 0.5 * size
    facet = np.where(table, 8, np.rint(turn).astype(np.intp) & 7) + 9 * (spots.ids & 255)
    shine = canvas.table(0.25, 1.5)[facet] + np.float32(0.5) * smoothstep(spots.far, 0.15 * size, 0)
    return np.clip(vary(canvas, palette, spots.ids, 0.03) * shine[..., None], 0, 1)


def _backing(canvas: Canvas) -> np.ndarray:
    """What studs are set in: leather, denim, velvet, wood or iron."""
    kind = canvas.pick("leather", "leather", "cloth", "wood", "iron")
    if kind == "leather":
        names = ("black", "black", "brown", "maroon", "red", "white", "tan", "navy", "charcoal", "pink")
        return _leather(canvas, canvas.colour(*names))
    if kind == "cloth":
        return _cloth(canvas, flat(canvas, canvas.colour()), 0.4)
    if kind == "wood":
        grain_ = noise(canvas, canvas.pick((0.5, 0.01), (0.01, 0.5)), 3, 0.6)
        return np.clip(canvas.colour("brown", "tan", "maroon") * (1 + np.float32(0.13) * grain_)[..., None], 0, 1)
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
