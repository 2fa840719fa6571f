"""Painters of textures made of threads: braids, knits, weaves, lace, fibres, veils and webs."""

import cv2
import numpy as np

from stages.core.painter.canvas import EARTHS, METALS, Canvas
from stages.core.painter.primitives import (
    blur,
    discs,
    flat,
    flow,
    mix,
    noise,
    polygons,
    ramp,
    relief,
    sample,
    smoothstep,
    stripes,
    strokes,
    unit,
    vary,
)

TWO_PI = 2 * np.pi
HAIRS = ("brown", "brown", "tan", "gold", "beige", "charcoal", "black", "maroon", "grey")
STRAWS = ("tan", "beige", "brown", "gold", "cream", "grey", "charcoal", "white")


# --- what several classes share ---------------------------------------------------------------


def _wave(t: np.ndarray) -> np.ndarray:
    """Cosine of period 1 in t, 1 at whole numbers."""
    return np.cos(np.float32(TWO_PI) * t)


def _arch(d: np.ndarray) -> np.ndarray:
    """Height of a half circle over d in [-1, 1], 0 beyond."""
    return np.sqrt(np.maximum(0, 1 - d * d))


def _inside(d: np.ndarray, width: float | np.ndarray, soft: float) -> np.ndarray:
    """Mask of d < width, its edge `soft` wide."""
    return np.clip((np.float32(width) - d) / np.float32(soft) + np.float32(0.5), 0, 1)


def _turned(u: np.ndarray, v: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates turned by an angle in radians."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return cos * u + sin * v, cos * v - sin * u


def _lift(colour: np.ndarray) -> np.ndarray:
    """The colour a little lighter, so that relief shows on it even if it is black."""
    return np.float32(0.14) + np.float32(0.83) * colour


def _backdrop(canvas: Canvas, *names: str) -> np.ndarray:
    """An out-of-focus scene, to be seen through openings."""
    hues = canvas.colours(canvas.integer(1, 3), *names, contrast=15)
    return ramp(np.vstack([hues, hues[:1]]), unit(noise(canvas, canvas.uniform(0.25, 0.6), 2)))


def _split(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the unit interval t lies in, int32, and the position from its middle."""
    number = np.floor(t)
    return number.astype(np.int32), t - number - np.float32(0.5)


def _fibres(canvas: Canvas, fine: float, long: float) -> np.ndarray:
    """Fibres along y, `fine` apart and `long` before they change: zero mean, unit deviation."""
    columns, rows = min(int(1 / fine) + 2, 256), int(1 / long) + 2
    field = np.zeros((canvas.size, canvas.size), np.float32)
    for octave in (1, 2):
        threads = canvas.rng.standard_normal((octave * rows, columns), dtype=np.float32)
        # Rows first: no single resize can both lengthen smoothly and average columns.
        threads = cv2.resize(threads, (columns, canvas.size), interpolation=cv2.INTER_CUBIC)
        shrink = cv2.INTER_AREA if columns > canvas.size else cv2.INTER_CUBIC
        field += cv2.resize(threads, (canvas.size,) * 2, interpolation=shrink)
        columns = min(2 * columns, 256)
    return (field - field.mean()) / (field.std() + np.float32(1e-6))


def _curls(
    canvas: Canvas, count: int, length: float, heading: np.ndarray, spread: float, curl: float
) -> np.ndarray:
    """Curved hairs (count, 9, 2) from random starts; angles in radians, heading (count, 1)."""
    draw = canvas.rng.normal
    t = np.linspace(0, 1, 9)
    bend = draw(0, curl, (count, 1)) * (t - 0.5)
    swing = draw(0, curl / 2, (count, 1)) * np.sin(TWO_PI * t + draw(0, 3, (count, 1)))
    angles = heading + draw(0, spread, (count, 1)) + bend + swing
    lengths = length * canvas.rng.uniform(0.5, 1.5, (count, 1)) / 8
    steps = lengths[..., None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    lines = np.cumsum(steps, 1)
    return canvas.rng.uniform(-0.55, 0.55, (count, 1, 2)) + lines - lines[:, 4:5]


def _hair(
    canvas: Canvas, lines: np.ndarray, width: float | np.ndarray, hues: np.ndarray, deep: np.ndarray
) -> np.ndarray:
    """An image of hairs over one another, in shades from the first hue to the last.

    `deep` is the field of shades in [0, 1] that shows between them.
    """
    levels = canvas.rng.beta(2, 2, len(lines)) * np.linspace(0.7, 1.1, len(lines))
    mask = strokes(canvas, lines, width, np.clip(levels, 0.05, 1))
    return ramp(hues, np.maximum(mask, deep))


def _tones(colour: np.ndarray, dark: float) -> np.ndarray:
    """The colour (3, 3) in shadow, in half light and in full light."""
    tones = _lift(colour) * np.float32([[dark], [0.8], [1.25]])
    tones[2] += np.float32(0.3) * (1 - tones[2])
    return np.clip(tones, 0, 1)


def _plait(
    p: np.ndarray, q: np.ndarray, count: int, thick: float, swing: float, length: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strands that swing over one another along a figure of eight.

    p across, q along in swings of `length`. Returns the height (-1 beside the strands), the
    position across the uppermost strand in [-1, 1] and its number.
    """
    height = np.full(p.shape, -1, np.float32)
    across, number = np.zeros_like(height), np.zeros(p.shape, np.int32)
    for strand in range(count):
        angle = np.float32(TWO_PI) * (q + np.float32(strand / count))
        sin, cos = np.sin(angle), np.cos(angle)
        steep = np.float32(TWO_PI * swing / length) * cos
        d = (p - np.float32(swing) * sin) / (np.float32(thick) * np.sqrt(1 + steep * steep))
        rise = np.where(np.abs(d) < 1, _arch(d) + np.float32(1.1) * sin * cos, -1)
        top = rise > height
        height, across = np.where(top, rise, height), np.where(top, d, across)
        number = np.where(top, strand, number)
    return height, across, number


def _weave(
    s: np.ndarray, t: np.ndarray, repeat: int, floats: int, widths: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Strips across s (warp) over `floats` of every `repeat` strips across t (weft).

    Returns the height in [-1, 1] (-1 in gaps), the number of the uppermost strip, the position
    across it in [-1, 1] and along it. Warp strips count from 0, weft strips from 64.
    """
    (i, fs), (j, ft) = _split(s), _split(t)
    place = ((j - i) % repeat).astype(np.float32)
    over = place < floats
    along_warp = (place + ft + np.float32(0.5)) / floats
    along_weft = (repeat - 1 - place + fs + np.float32(0.5)) / (repeat - floats)
    heights = []
    for d, run, up in (
        (2 * fs / widths[0], along_warp, over),
        (2 * ft / widths[1], along_weft, ~over),
    ):
        rise = np.where(up, 0.55 * np.sin(np.float32(np.pi) * np.clip(run, 0, 1)), np.float32(-0.6))
        heights.append(np.where(np.abs(d) < 1, np.float32(0.45) * _arch(d) + rise, -1))
    warp = heights[0] >= heights[1]
    number = np.where(warp, i & 63, 64 + (j & 63))
    across = np.where(warp, 2 * fs / widths[0], 2 * ft / widths[1])
    return np.maximum(*heights), number, across, np.where(warp, t, s)


def _stitches(s: np.ndarray, t: np.ndarray, slant: float = 0.9) -> tuple[np.ndarray, ...]:
    """Knit stitches, V after V in columns: height in [0, 1], column and row numbers."""
    column, fs = _split(s)
    arm = 2 * np.abs(fs)
    row, ft = _split(t + np.float32(slant) * arm)
    lean = ft * np.float32(1.9)
    reach = (arm - np.float32(0.5)) * np.float32(1.8)
    return np.sqrt(np.maximum(0, 1 - lean * lean - reach * reach)), column, row


# --- plaits, knits and weaves -----------------------------------------------------------------


def braided(canvas: Canvas) -> np.ndarray:
    """Strands laid over one another in plaits: hair, rope, bread, wicker."""
    plaits = ("hair", "hair", "cord", "cord", "dough", "rope")
    kind = canvas.pick(*plaits, "wicker", "wicker", "sleeve")
    if kind in ("wicker", "sleeve"):
        return _wicker(canvas, kind == "sleeve")
    canvas.rescale("medium", "coarse", "coarse")
    width = np.float32(canvas.period * (2.6 if kind == "dough" else 1.7))
    u, v = canvas.coordinates(warp=0.03)
    if kind == "cord" and canvas.chance(0.3):  # sewn round and round to a mat
        u, v = np.hypot(u, v), np.arctan2(v, u) * np.float32(4 * width * canvas.integer(1, 2))
        u = u + v * np.float32(canvas.pick(0, 1) / (8 * np.pi))
    row, p = _split(u / width)
    number, turn = row & 63, canvas.table(-1, 1)
    length = canvas.uniform(1.3, 2.2)
    q = v / np.float32(length * width) + turn[number]
    q = q * np.sign(turn[number + 64]) if canvas.chance(0.4) else q
    if kind == "rope":
        strand, across = _split(3 * q + np.float32(canvas.uniform(0.6, 1.2)) * np.arcsin(1.98 * p))
        height, across = _arch(1.9 * across) + _arch(2 * p), 2 * across
        strand = strand % 3
    else:
        count = canvas.pick(3, 3, 3, 5) if kind != "dough" else 3
        thick = canvas.uniform(0.2, 0.24) if count == 3 else 0.14
        swing = np.float32(canvas.uniform(0.46, 0.5) - thick)
        height, across, strand = _plait(p, q, count, thick, swing, length)
    spread = np.float32(canvas.pick(0.12, 0.3))
    slant = canvas.uniform(0.3, 0.6) if kind in ("rope", "cord") else canvas.uniform(-0.1, 0.1)
    across_all = spread * across + strand.astype(np.float32) * np.float32(0.37)
    fine = _fibres(canvas, 0.02 if kind == "hair" else 0.03, 0.6)
    threads = sample(fine, across_all, q / 2 - np.float32(slant) * across)
    names = {"hair": HAIRS, "dough": ("gold", "tan", "beige", "orange", "cream")}.get(kind, ())
    hues = np.stack([canvas.colour(*names)] * 3)
    if kind != "dough" and canvas.chance(0.35):
        hues = canvas.colours(3, *names, contrast=25)
    base = _lift(hues[strand % 3]) + (np.float32(0.08) * turn[number + 128])[..., None]
    if kind == "dough":
        crust = smoothstep(height, 0.5, 1.7) * np.float32(0.6)
        base = mix(base, canvas.colour("brown", "orange", "gold"), crust)
        threads = noise(canvas, 0.02, 2) * np.float32(0.3)
    depth = np.float32(0.35) + np.float32(0.45) * np.clip(height + np.float32(0.3), 0, 1.6)
    strength = np.float32(canvas.uniform(0.1, 0.24)) * threads
    image = relief(canvas, base, width * np.float32(0.13) * height, gloss=canvas.uniform(0, 0.25))
    image = image * (depth * (1 + strength))[..., None]
    behind = canvas.colour() * np.float32(0.5) if canvas.chance(0.4) else hues[0] * np.float32(0.12)
    return np.clip(mix(flat(canvas, behind), image, _inside(-height, 0.95, 0.05)), 0, 1)


def _wicker(canvas: Canvas, sleeve: bool) -> np.ndarray:
    """Thin rods in and out of stakes, or a sleeve of diagonal strips two over two."""
    side = np.float32(canvas.period * canvas.uniform(0.5, 0.9))
    lean = np.pi / 4 if sleeve else canvas.pick(0.0, 0.0, 0.1, np.pi / 2)
    u, v = canvas.coordinates(angle=lean + canvas.uniform(-0.1, 0.1), warp=0.03)
    if not sleeve and canvas.chance(0.2):  # the bottom of a basket
        stakes = np.float32(canvas.pick(24, 32, 40) * side / TWO_PI)
        u, v = np.arctan2(v, u) * stakes, np.hypot(u, v)
    stretch = np.float32(1 if sleeve else canvas.uniform(1.4, 3))
    widths = (0.97, 0.97) if sleeve else (canvas.uniform(0.2, 0.5), 0.95)
    repeat, floats = (4, 2) if sleeve else (2, 1)
    height, number, across, along = _weave(u / (side * stretch), v / side, repeat, floats, widths)
    names = (*METALS, "brown", "black") if sleeve else STRAWS
    hues = canvas.colours(canvas.pick(1, 1, 2), *names, contrast=20)
    base = _lift(vary(canvas, hues, number, 0.06))
    fine = sample(_fibres(canvas, 0.05, 0.5), across * np.float32(0.2), along * 0.1)
    if sleeve:
        fine = _wave(across * canvas.integer(2, 4) / 2)
    depth = np.float32(0.15) + np.float32(0.85) * smoothstep(height, -0.9, 0.7)
    image = relief(canvas, base, side * np.float32(0.4) * height, gloss=canvas.uniform(0, 0.35))
    return np.clip(image * (depth * (1 + np.float32(0.1) * fine))[..., None], 0, 1)


def knitted(canvas: Canvas) -> np.ndarray:
    """Columns of V-shaped stitches of soft yarn, plain, ribbed, patterned or in cables."""
    kind = canvas.pick("plain", "plain", "pattern", "rib", "cable", "cable", "purl")
    side = np.float32(canvas.period * canvas.uniform(0.6, 1))
    u, v = canvas.coordinates(warp=0.03)
    du, dv = flow(canvas, 0.12, 0.1 * side)
    s, t = (u + du) / side, (v + dv) / (side * np.float32(canvas.uniform(0.6, 0.85)))
    colour = np.maximum(_lift(canvas.colour()), np.float32(0.22))
    ground = np.float32(0)
    if kind == "cable":
        canvas.rescale("coarse")
        side = np.float32(canvas.period * canvas.uniform(0.22, 0.3))
        wide = canvas.integer(7, 9)
        _, p = _split(u / (side * wide))
        count, length = canvas.pick((3, 1.6), (2, 1.6), (3, 1.2))
        q = v / (side * np.float32(wide * length))
        rise, across, _ = _plait(p * np.float32(1.3), q, count, 0.19, 0.27, length)
        on = rise > -1
        s = np.where(on, across, u / side)
        t = v / (side * np.float32(0.8))
        ground = np.where(on, 2.2 + np.float32(1.4) * rise, np.float32(0))
    height, column, row = _stitches(s, t)
    if kind == "rib":
        rib = _wave(s / canvas.integer(3, 6))
        ground = np.float32(1.6) * np.sign(rib) * np.sqrt(np.abs(rib))
    if kind in ("purl", "cable"):  # the back of the stitch: rows of little arcs
        arcs = _arch(_split(t + np.float32(0.3) * _wave(s))[1] * np.float32(2.1))
        height = np.where(ground > 0, height, arcs) if kind == "cable" else arcs
    base = flat(canvas, colour)
    if kind == "pattern":
        hues = _lift(canvas.palette)
        repeat = canvas.integer(3, 8)
        table = canvas.rng.integers(0, len(hues), (repeat, 2 * repeat))
        if canvas.chance(0.4):
            table[:] = table[:1]  # stripes along
        if canvas.chance(0.4):
            table[:] = table[:, :1]
        fold = np.abs(column % (2 * repeat) - repeat) % repeat
        base = hues[table[fold, row % (2 * repeat)]]
    elif canvas.chance(0.25):  # mottled yarn
        base = vary(canvas, canvas.palette[:2], row * 61 + column // 4, 0.05)
    yarn = np.float32(0.07) * noise(canvas, 0.5 * side, 2) + np.float32(0.05) * noise(canvas, 0.012)
    image = relief(canvas, base, side * (np.float32(0.35) * height + np.float32(0.25) * ground))
    dark = canvas.uniform(0.3, 0.6)
    return np.clip(image * (dark + (1 - dark) * height + yarn)[..., None] * np.float32(1.1), 0, 1)


def woven(canvas: Canvas) -> np.ndarray:
    """Two sets of strips or threads at right angles, over and under in turn."""
    kind = canvas.pick("strips", "strips", "basket", "cloth", "cloth", "twill", "bundles")
    fineness = canvas.uniform(0.35, 0.6) if kind in ("cloth", "twill") else 1
    side = np.float32(canvas.period * fineness)
    lean = canvas.pick(None, None, np.pi / 4)
    u, v = canvas.coordinates(angle=lean, warp=0.015)
    du, dv = flow(canvas, 0.2, 0.1 * side)
    s, t = (u + du) / side, (v + dv) / side
    repeat, floats = canvas.pick((2, 1), (2, 1), (4, 2), (3, 2)) if kind == "strips" else (2, 1)
    if kind == "twill":
        repeat, floats = canvas.pick((3, 1), (4, 2), (4, 1))
    wide = canvas.uniform(0.8, 1.0)
    widths = (wide, wide if canvas.chance(0.6) else canvas.uniform(0.75, 1))
    if kind == "basket":
        t = t * np.float32(canvas.uniform(1.3, 2))
    height, number, across, along = _weave(s, t, repeat, floats, widths)
    names = () if kind in ("cloth", "twill") or canvas.chance(0.35) else STRAWS
    hues = _lift(canvas.colours(2, *names, contrast=canvas.pick(5, 10, 40)))
    spread = canvas.uniform(0.01, 0.07)
    shades = [vary(canvas, hue[None], np.arange(64), spread) for hue in hues]
    base = np.concatenate(shades)[number]
    across_all = across * np.float32(0.15) + number.astype(np.float32) * np.float32(0.11)
    fine = sample(_fibres(canvas, 0.04, 0.4), across_all, along * np.float32(0.1))
    threads = canvas.integer(3, 5) if kind == "bundles" else 0
    if threads:  # every strip a few cords side by side
        cord = _arch(2 * _split((across + 1) * np.float32(threads / 2))[1])
        height = height + np.float32(0.25) * cord
        fine = fine * np.float32(0.4) + 2 * cord - np.float32(1)
    bulge = side * np.float32(0.35 if canvas.chance(0.6) else 0.18)
    image = relief(canvas, base, bulge * height, gloss=canvas.uniform(0, 0.2))
    depth = np.float32(0.2) + np.float32(0.8) * smoothstep(height, -1, 0.5)
    depth *= 1 + np.float32(canvas.uniform(0.04, 0.14)) * fine
    return np.clip(image * depth[..., None], 0, 1)


def interlaced(canvas: Canvas) -> np.ndarray:
    """Bands that cross over and under one another with gaps between: knotwork, lattices, rings."""
    canvas.rescale("medium", "coarse", "coarse")
    kind = canvas.pick("knot", "knot", "knot", "rings", "lattice", "three ways", "ribbons")
    side = np.float32(canvas.period)
    lean = canvas.pick(np.pi / 4, np.pi / 4, canvas.uniform(0, np.pi))
    u, v = canvas.coordinates(angle=lean, warp=0.012)
    s, t = u / side, v / side
    width = canvas.uniform(0.13, 0.3)
    if kind == "knot":
        top, below = _knot(canvas, s, t)
    elif kind == "rings":
        top, below = _rings(s, t, canvas.uniform(0.6, 0.72))
        width *= 0.6
    elif kind == "three ways":
        top, below = _three_ways(s, t)
        width *= 0.8
    elif kind == "ribbons":
        s, t = s / np.float32(2.5), t / np.float32(2.5)
        length, count = canvas.uniform(1, 2), canvas.pick(2, 3, 4)
        height, across, _ = _plait(_split(s)[1], t / np.float32(length), count, 0.15, 0.33, length)
        top, below, width = np.where(height > -1, np.abs(across), 2), np.full_like(s, 2), 0.75
    else:
        bend = np.float32(canvas.pick(0.0, canvas.uniform(0.1, 0.25)))
        s, t = s + bend * _wave(t / 2), t + bend * _wave(s / 2)
        (i, fs), (j, ft) = _split(s), _split(t)
        fs, ft, even = np.abs(fs), np.abs(ft), ((i + j) & 1) == 0
        top, below = np.where(even, fs, ft), np.where(even, ft, fs)
    names = canvas.pick((), (), EARTHS, METALS, ("white", "cream", "gold"))
    ground, band, line = canvas.colours(3, *names, contrast=canvas.uniform(35, 70))
    line = ground * np.float32(0.25) if canvas.chance(0.7) else line
    soft, edge = float(canvas.pixel / side), canvas.uniform(0.04, 0.09) * (1 if width < 0.5 else 3)
    plain, core = canvas.chance(0.3), canvas.chance(0.3)
    shadow = 1 - np.float32(0.6) * blur(_inside(top, width + edge, soft), 0.15 * float(side))
    parts = [np.ones_like(top), np.zeros_like(top), np.zeros_like(top)]  # ground, band, line
    for d in (below, top):
        shade = np.float32(0.5) + np.float32(0.55) * _arch(d / np.float32(width + 0.02))
        strip, outline = _inside(d, width, soft), _inside(d, width + edge, soft)
        middle = _inside(d, width * 0.25, soft) * np.float32(core)
        parts = [part * (1 - outline) for part in parts]
        parts[1] += strip * (1 - middle) * (1 if plain else shade)
        parts[2] += outline - strip * (1 - middle)
        if d is below:
            parts = [part * shadow for part in parts]
    image = np.stack(parts, -1) @ np.stack([ground, band, line])
    grit = 1 + np.float32(canvas.uniform(0, 0.08)) * noise(canvas, 0.05, 4)
    return np.clip(image * grit[..., None], 0, 1).astype(np.float32)


def _knot(canvas: Canvas, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the upper and the lower band of Celtic knotwork.

    A plain weave in which some crossings are opened into two turns stays alternating.
    """
    (i, fs), (j, ft) = _split(s), _split(t)
    repeat = canvas.pick(2, 3, 4, 6, 32)
    states = canvas.rng.choice(3, (repeat, repeat), p=(0.6, 0.2, 0.2))
    states[canvas.integer(0, repeat - 1), canvas.integer(0, repeat - 1)] = canvas.pick(1, 2)
    state, even = states[i % repeat, j % repeat], ((i + j) & 1) == 0
    flipped = np.where(state == 2, -ft, ft)
    half = np.float32(0.5)
    turns = (np.abs(np.hypot(fs + sign * half, flipped + sign * half) - half) for sign in (1, -1))
    fs, ft = np.abs(fs), np.abs(ft)
    top = np.where(state > 0, np.minimum(*turns), np.where(even, fs, ft))
    return top, np.where(state > 0, 2, np.where(even, ft, fs))


def _rings(s: np.ndarray, t: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the upper and the lower of linked rings on a square lattice."""
    (_, fs), (_, ft) = _split(s), _split(t)
    rank = np.full(s.shape, -9, np.float32)
    top, below = np.full_like(rank, 2), np.full_like(rank, 2)
    for x in (-0.5, 0.5):
        for y in (-0.5, 0.5):
            dx, dy = fs - np.float32(x), ft - np.float32(y)
            d = np.abs(np.hypot(dx, dy) - np.float32(radius))
            height = np.where(d < 0.25, dx * dy, -8)
            above_all = height > rank
            below = np.where(above_all, top, np.minimum(below, d))
            top, rank = np.where(above_all, d, top), np.maximum(rank, height)
    return top, below


def _three_ways(s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the upper and the lower band of a hexagonal (kagome) weave."""
    turns = (0, np.pi / 3, 2 * np.pi / 3)
    d = np.stack([np.abs(_split(_turned(s, t, a)[0] + np.float32(0.25))[1]) for a in turns])
    reach = d < 0.3
    beaten = reach & np.roll(reach, 1, 0)  # each runs under the one before it
    top, below = (np.where(layer, d, 2).min(0) for layer in (reach & ~beaten, beaten))
    return np.where(top > 1, np.float32(0.3), top), below


# --- lace, fibres, felt -------------------------------------------------------------------------


def lacelike(canvas: Canvas) -> np.ndarray:
    """Fine thread worked into an openwork of net, flowers, eyelets and scallops."""
    kind = canvas.pick("doily", "trims", "flowers", "flowers", "sprays", "sprays")
    u, v = canvas.coordinates(warp=0.02)
    if kind == "doily":
        mask = _openwork(canvas, np.arctan2(v, u) / np.float32(TWO_PI), np.hypot(u, v), 40)
    elif kind == "trims":
        mask = _openwork(canvas, u, v + np.float32(2), canvas.integer(10, 18))
    else:
        gap = np.float32(canvas.uniform(0.018, 0.03))
        net = np.maximum(stripes((u + v) / gap, 0.3), stripes((u - v) / gap, 0.3))
        net = net * np.float32(canvas.uniform(0.35, 0.8))
        motif = _flowers(canvas, u, v) if kind == "flowers" else _sprays(canvas)
        mask = np.maximum(net, motif)
    dark = (
        "black",
        "black",
        "charcoal",
        "navy",
        "maroon",
        "brown",
        "grey",
        "teal",
        "purple",
        "red",
    )
    thread, ground = canvas.colour("white", "white", "cream", "beige"), canvas.colour(*dark)
    if canvas.chance(0.2):
        thread, ground = ground, canvas.colour("white", "beige", "pink", "tan", "cream", "silver")
    cloth = flat(canvas, thread) * (1 + np.float32(0.06) * noise(canvas, 0.012, 2))[..., None]
    shadow = 1 - np.float32(0.4) * blur(mask, 0.008)
    return np.clip(mix(flat(canvas, ground) * shadow[..., None], cloth, mask), 0, 1)


def _openwork(canvas: Canvas, along: np.ndarray, across: np.ndarray, repeats: int) -> np.ndarray:
    """Mask of rows of lace, each of one kind; `repeats` motifs over a unit of `along`."""
    high = np.float32(canvas.uniform(0.05, 0.1))
    row, y = _split(across / high)
    kinds = canvas.rng.integers(0, 6, 64)[row & 63]
    finer = canvas.pick(1, 2)
    x = _split(along * np.where(kinds > 3, repeats * finer, repeats).astype(np.float32))[1]
    soft = float(canvas.pixel / high)
    bar = np.float32(0.13)
    arch = np.hypot(2 * x, y + np.float32(0.5))
    petals = np.hypot(x, y) - np.float32(0.33) - np.float32(0.1) * np.cos(5 * np.arctan2(y, x))
    fields = (
        np.maximum(np.float32(0.3) - np.hypot(x, y), -np.float32(0.45) + np.abs(y)),  # eyelets
        np.abs(arch - np.float32(0.72)) - bar,  # scallops
        np.minimum(np.abs(np.abs(x) - np.abs(y)) - bar, 2.5 * np.abs(x) - bar),  # crosses
        petals,
        np.abs(x) - bar,  # bars
        np.minimum(np.abs(x + y), np.abs(x - y)) - bar / 2,  # net
    )
    field = np.choose(kinds, fields)
    border = np.float32(0.44) - np.abs(y)
    return _inside(np.minimum(field, border), 0, 1.5 * soft)


def _flowers(canvas: Canvas, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mask of a lattice of flowers with leaves between."""
    canvas.rescale("coarse")
    side = np.float32(canvas.period * 1.5)
    row, y = _split(v / side)
    _, x = _split(u / side + (row & 1).astype(np.float32) / 2)
    soft = float(canvas.pixel / side)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    lobes = canvas.pick(5, 6, 8)
    rim = np.float32(0.26) + np.float32(0.1) * np.abs(np.cos(lobes / 2 * angle))
    solid = _inside(radius, rim, soft)
    holes = _wave(radius * canvas.integer(8, 14)) * np.cos(lobes * canvas.pick(1, 2, 3) * angle)
    solid = solid * (1 - np.float32(0.9) * _inside(-holes, -0.55, 0.2))
    outline = _inside(np.abs(radius - rim), 0.03, soft)
    far = np.hypot(np.abs(x) - np.float32(0.5), np.abs(y) - np.float32(0.5))
    small = _inside(far, np.float32(0.1) + np.float32(0.04) * np.cos(8 * angle), soft)
    stem = np.abs(y) - np.float32(0.42) - np.float32(0.06) * _wave(2 * x)
    vine = _inside(np.abs(stem), 0.025, soft)
    return np.maximum.reduce([solid, outline, small, vine])


def _sprays(canvas: Canvas) -> np.ndarray:
    """Mask of curling stems with leaves and blossoms, scattered."""
    count = canvas.integer(14, 26)
    heading = canvas.rng.uniform(0, TWO_PI, (count, 1))
    stems = _curls(canvas, count, canvas.uniform(0.35, 0.6), heading, 0, 3)
    t = np.linspace(0, TWO_PI, 12)
    leaf = np.stack([np.cos(t), 0.45 * np.sin(t)], 1) * canvas.uniform(0.02, 0.035)
    leaves, centres = [], []
    for stem in stems:
        for k in range(1, 8):
            lean = np.arctan2(*(stem[k + 1] - stem[k - 1])[::-1]) + (1 if k % 2 else -1)
            turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
            leaves.append(stem[k] + (leaf + leaf[0]) @ turn)
        centres.append(stem[-1])
    size = canvas.uniform(0.03, 0.06)
    petals = np.arange(6) * TWO_PI / 6
    ring = size * np.stack([np.cos(petals), np.sin(petals)], 1)
    blossoms = (np.stack(centres)[:, None] + ring).reshape(-1, 2)
    eyes = discs(canvas, np.concatenate([blossoms, np.stack(centres)]), 0.25 * size)
    flowers = discs(canvas, blossoms, 0.55 * size) * (1 - eyes * np.float32(0.85))
    return np.maximum.reduce([strokes(canvas, stems, 0.008), polygons(canvas, leaves), flowers])


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
    field = _fibres(canvas, fine, canvas.uniform(0.3, 1.2))
    field += np.float32(canvas.uniform(0.3, 0.9)) * _fibres(canvas, 5 * fine, 1.0)
    field = sample(field, u * np.float32(0.55), v * np.float32(0.55))
    if kind in ("grain", "fan"):
        image = ramp(hues, np.float32(0.45) + np.float32(0.2) * field)
        return relief(canvas, image, np.float32(0.4 * fine) * field, gloss=canvas.uniform(0, 0.2))
    count = canvas.integer(400, 600)
    heading = np.full((count, 1), canvas.orientation())
    spread, curl = (canvas.uniform(0.1, 0.4), 0.6) if kind == "husk" else (0.08, 0.3)
    lines = _curls(canvas, count, canvas.uniform(0.4, 0.9), heading, spread, curl)
    widths = canvas.rng.uniform(0.002, canvas.uniform(0.006, 0.011), count)
    return _hair(canvas, lines, widths, hues, np.float32(0.22) + np.float32(0.12) * field)


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
    lie = np.full((count, 1), canvas.uniform(0, TWO_PI))
    lines = _curls(canvas, count, length * canvas.uniform(0.7, 1.5), lie, spread, curl)
    if kind in ("fur", "locks"):  # clumps that lie each its own way
        waves, phases = canvas.rng.normal(0, 7, (2, 3)), canvas.rng.uniform(0, 6, 3)
        middle = lines[:, 4:5]
        turn = np.sin(middle @ waves + phases).sum(-1, keepdims=True) * canvas.uniform(0.3, 0.8)
        x, y = np.split(lines - middle, 2, -1)
        cos, sin = np.cos(turn), np.sin(turn)
        lines = middle + np.concatenate([cos * x - sin * y, sin * x + cos * y], -1)
    fuzz = noise(canvas, 0.025, 3)
    clumps = noise(canvas, canvas.uniform(0.08, 0.25), 3)
    deep = np.clip(np.float32(0.25) + np.float32(0.12) * fuzz, 0, 1)
    if kind == "locks":  # each a thick rope under stray hairs
        thick = canvas.uniform(0.04, 0.1)
        lines = lines + np.cumsum(canvas.rng.normal(0, 0.1 * thick, lines.shape), 1)
        stack = np.repeat(lines, 4, 0)
        widths = np.tile(thick * np.array([1.1, 0.9, 0.6, 0.3]), count)
        ropes = strokes(canvas, stack, widths, np.tile([0.08, 0.4, 0.58, 0.72], count))
        deep = blur(ropes, 0.08 * thick) * (1 + np.float32(0.3) * fuzz)
        strays = canvas.rng.normal(0, 0.35 * thick, (count, 2, 1, 2))
        lines = (lines[:, None] + strays).reshape(-1, 9, 2)
        lines = lines + canvas.rng.normal(0, 0.004, lines.shape)
    widths = canvas.rng.uniform(0.002, canvas.uniform(0.005, 0.008), len(lines))
    image = _hair(canvas, lines, widths, hues, deep)
    return relief(canvas, image, np.float32(0.012) * clumps)


# --- veils, frills, webs ------------------------------------------------------------------------


def gauzy(canvas: Canvas) -> np.ndarray:
    """Sheer, thin cloth that lets what is behind it shine through its soft folds."""
    kind = canvas.pick("curtain", "curtain", "veil", "veil", "veil", "bandage")
    pale = ("white", "white", "cream", "pink", "lilac", "sky blue", "beige", "silver", "turquoise")
    tint = canvas.colour(*pale) if canvas.chance(0.75) else np.maximum(canvas.colour(), 0.35)
    behind = canvas.pick("dark", "dark", "same", "scene")
    image = flat(canvas, tint * np.float32(canvas.uniform(0.3, 0.65)))
    if behind == "dark":
        image = flat(canvas, canvas.colour("black", "charcoal", "brown", "navy", "grey", "maroon"))
    elif behind == "scene":
        image = mix(_backdrop(canvas), tint, np.full_like(image[..., 0], 0.3))
    u, v = canvas.coordinates(angle=canvas.pick(0.0, 0.0, None), warp=0.03)
    if kind == "bandage":
        return _bandage(canvas, u, v, image, tint)
    light, clear = np.zeros_like(u), np.ones_like(u)
    for _ in range(canvas.integer(2, 3)):
        lean = canvas.uniform(0, np.pi) if kind == "veil" else 0
        bend_x, bend_y = flow(canvas, 0.5, 0.1 if kind == "veil" else 0.02)
        x, y = _turned(u + bend_x, v + bend_y, lean)
        fold = _fibres(canvas, canvas.uniform(0.08, 0.2), canvas.uniform(0.5, 1.5))
        fold = sample(fold, x, y * np.float32(0.5))
        ridge = np.exp(np.float32(-2.5) * np.abs(fold))  # where the cloth is seen edge on
        cover = np.clip(np.float32(canvas.uniform(0.15, 0.45)) + np.float32(0.45) * ridge, 0, 1)
        if kind == "veil":
            cover = cover * _inside(-x, canvas.uniform(0, 0.6), 2 * canvas.pixel)
        shade = np.clip(np.float32(0.82) + np.float32(0.22) * fold, 0.3, 1.15)
        light, clear = light + cover * (shade - light), clear * (1 - cover)
    gap = np.float32(canvas.uniform(0.011, 0.018))
    threads = np.float32(canvas.uniform(0.01, 0.05)) * (_wave(u / gap) + _wave(v / gap))
    return np.clip(image * clear[..., None] + tint * (light + threads)[..., None], 0, 1)


def _bandage(
    canvas: Canvas, u: np.ndarray, v: np.ndarray, image: np.ndarray, tint: np.ndarray
) -> np.ndarray:
    """Loosely woven gauze in one or two layers."""
    for _ in range(canvas.integer(1, 2)):
        gap = np.float32(canvas.uniform(0.015, 0.035))
        du, dv = flow(canvas, 0.15, 0.25 * gap, 2)
        x, y = _turned(u + du, v + dv, canvas.uniform(-0.3, 0.3))
        duty = np.float32(0.32) + np.float32(0.07) * noise(canvas, 0.05, 2)
        cover = np.maximum(stripes(x / gap, duty, 0.15), stripes(y / gap, duty, 0.15))
        cover = cover * np.float32(canvas.uniform(0.5, 0.9))
        image = mix(image, tint, np.float32(0.15) + np.float32(0.85) * cover)
    return relief(canvas, image, np.float32(0.012) * noise(canvas, 0.4, 2))


def frilly(canvas: Canvas) -> np.ndarray:
    """Ruffled edges, row upon row, curled and gathered."""
    kind = canvas.pick("tiers", "tiers", "tiers", "rosette", "curly")
    high = canvas.uniform(0.13, 0.3) * (0.65 if kind == "rosette" else 1)
    canvas.scale = "coarse" if high > 0.125 else "medium"
    u, v = canvas.coordinates(angle=canvas.pick(0.0, 0.0, 0.0, None), warp=0.04)
    if kind == "rosette":
        u, v = np.arctan2(v, u) / np.float32(TWO_PI), np.hypot(u, v)
        rate = float(canvas.integer(6, 14))
    else:
        rate = 1 / (high * canvas.uniform(0.35, 0.7))
    if kind == "curly":
        v = v + flow(canvas, 0.3, 0.35 * high, 2)[1]
    wobble = noise(canvas, 0.3, 2)
    if kind != "rosette":
        wobble = wobble + noise(canvas, 0.35)
    curl = np.float32(canvas.uniform(0.06, 0.2) * high)
    scallops, lined = canvas.chance(0.4), canvas.uniform(0.03, 0.12) * high
    depth = canvas.uniform(0.15, 0.38)
    light, trim = np.full_like(u, 0.4), np.zeros_like(u)
    turns = [u * np.float32(rate) + np.float32(0.35) * wobble, u * np.float32(0.93 * rate) + 0.4]
    if kind == "rosette":
        turns[1] = turns[0] + np.float32(0.37)
    folds = [_wave(turn) for turn in turns]
    rims = [np.sqrt(np.abs(_wave(turn / 2))) if scallops else _wave(turn - 0.2) for turn in turns]
    ripples = [np.float32(0.4) * _wave(2 * turn + 0.2) for turn in turns]
    for index, tier in enumerate(np.arange(0.8, 0.0 if kind == "rosette" else -0.8, -high)):
        fold, rim, ripple = folds[index % 2], rims[index % 2], ripples[index % 2]
        drop = np.float32(tier) + curl * (rim + np.float32(0.3) * wobble) - v  # from the hem up
        near = np.exp(-np.maximum(drop, 0) / np.float32(0.55 * high))
        creases = fold * (near + np.float32(0.3)) + ripple * (1 - near)
        shade = np.float32(0.5) + np.float32(0.5) * near + np.float32(depth) * creases
        cast = np.clip(1 + drop / np.float32(0.3 * high), 0, 1)  # shadow below the hem
        cover = _inside(-drop, 0, canvas.pixel)
        light = light * (1 - np.float32(0.6) * cast)
        light = light + cover * (shade - light)
        trim = trim + cover * (_inside(drop, lined, 0.006) - trim)
    tone = np.maximum(_lift(canvas.colour()), np.float32(0.24))
    edge = canvas.colour("white", "cream", "black") if canvas.chance(0.3) else tone * 1.2
    weave = 1 + np.float32(0.03) * noise(canvas, 0.012, 2)
    return np.clip(mix(tone, edge, trim) * (light * weave)[..., None], 0, 1).astype(np.float32)


def cobwebbed(canvas: Canvas) -> np.ndarray:
    """A spider's web of spokes and sagging spiral, or dusty threads hung across the dark."""
    kind = canvas.pick("orb", "orb", "orb", "drape", "sheet")
    dark = ("black", "charcoal", "black", "brown", "olive", "navy", "green", "grey", "maroon")
    image = _backdrop(canvas, *dark) * np.float32(canvas.uniform(0.25, 0.9))
    silk = canvas.colour("white", "white", "silver", "cream")
    if kind == "orb":
        for _ in range(canvas.pick(1, 1, 2)):
            spokes, spiral = _web(canvas)
            width = canvas.uniform(0.0035, 0.006)
            mask = np.maximum(
                strokes(canvas, spokes, width),
                strokes(canvas, spiral, 0.8 * width) * np.float32(canvas.uniform(0.6, 0.95)),
            )
            if canvas.chance(0.3):  # dew
                drops = spiral.reshape(-1, 2)[:: canvas.integer(1, 2)]
                mask = np.maximum(mask, discs(canvas, drops[:600], canvas.uniform(0.003, 0.006)))
            image = mix(image, silk, mask)
        return np.clip(image, 0, 1)
    count = canvas.integer(50, 110)
    ends = canvas.rng.uniform(-0.7, 0.7, (count, 2, 2))
    if kind == "sheet":  # from a few knots
        knots = canvas.rng.uniform(-0.5, 0.5, (canvas.integer(2, 5), 2))
        ends[:, 0] = knots[canvas.rng.integers(0, len(knots), count)]
    t = np.linspace(0, 1, 12)[:, None]
    threads = ends[:, :1] * (1 - t) + ends[:, 1:] * t
    threads[..., 1:] += canvas.rng.uniform(0, 0.25, (count, 1, 1)) * 4 * t * (1 - t)
    threads += np.cumsum(canvas.rng.normal(0, 0.004, threads.shape), 1)
    levels = canvas.rng.uniform(0.25, 0.9, count)
    mask = strokes(canvas, threads, canvas.rng.uniform(0.002, 0.007, count), levels)
    haze = blur(mask, 0.02) * np.clip(1 + noise(canvas, 0.15, 4), 0, 2) * np.float32(0.7)
    return np.clip(mix(image, silk, np.clip(np.maximum(mask, haze) + haze * 0.4, 0, 1)), 0, 1)


def _web(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Spokes (n, 2, 2) and turns of the spiral (m, k, 2) of an orb web about a random hub."""
    count, turns = canvas.integer(14, 30), canvas.integer(10, 24)
    angles = np.arange(count) * TWO_PI / count + canvas.rng.normal(0, 1.2 / count, count)
    hub = canvas.rng.uniform(-0.35, 0.35, 2)
    squash = np.array([1, canvas.uniform(0.6, 1)])
    spread = canvas.uniform(0.5, 0.95) / turns
    reach = np.convolve(np.tile(canvas.rng.normal(1, 0.35, count), 3), np.ones(3) / 3, "same")
    reach = np.clip(reach[count : 2 * count], 0.6, 1.5)
    rings = (np.arange(turns)[:, None] + 1 + canvas.rng.normal(0, 0.12, (turns, count))) * spread
    rings = np.concatenate([rings, rings[:, :1]], 1) * np.append(reach, reach[0])
    knots = np.append(angles, angles[0] + TWO_PI)
    corners = rings[..., None] * np.stack([np.cos(knots), np.sin(knots)], -1)
    middles = (corners[:, 1:] + corners[:, :-1]) / 2 * canvas.uniform(0.88, 0.97)
    spiral = np.concatenate(
        [np.stack([corners[:, :-1], middles], 2).reshape(turns, -1, 2), corners[:, -1:]], 1
    )
    tips = 1.3 * np.stack([np.cos(angles), np.sin(angles)], -1)
    spokes = np.stack([0 * tips, tips], 1)
    return hub + spokes * squash, hub + spiral * squash


PAINTERS = {
    "braided": braided,
    "cobwebbed": cobwebbed,
    "fibrous": fibrous,
    "frilly": frilly,
    "gauzy": gauzy,
    "interlaced": interlaced,
    "knitted": knitted,
    "lacelike": lacelike,
    "matted": matted,
    "woven": woven,
}
