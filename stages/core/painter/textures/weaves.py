"""Strands and yarns laid over and under one another: braided, interlaced, knitted, woven."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, HAIRS, METALS, Canvas, Real
from stages.core.painter.fields import (
    arch,
    blur,
    cosine,
    fibres,
    flow,
    noise,
    positive,
    sample,
    smoothstep,
    split,
    turned,
)
from stages.core.painter.light import flat, lift, mix, relief, vary

STRAWS = ("tan", "beige", "brown", "gold", "cream", "grey", "charcoal", "white")


# --- what several share -----------------------------------------------------------------------


def _plait(
    p: np.ndarray, q: np.ndarray, count: int, thick: float, swing: Real, length: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strands that swing over one another along a figure of eight.

    p across, q along in swings of `length`. Returns the height (-1 beside the strands), the
    position across the uppermost strand in [-1, 1] and its number.
    """
    height = np.full(p.shape, -1, np.float32)
    across, number = np.zeros_like(height), np.zeros(p.shape, np.int32)
    for strand in range(count):
        angle = np.float32(tau) * (q + np.float32(strand / count))
        sin, cos = np.sin(angle), np.cos(angle)
        steep = np.float32(tau * swing / length) * cos
        d = (p - np.float32(swing) * sin) / (np.float32(thick) * np.sqrt(1 + steep * steep))
        rise = np.where(np.abs(d) < 1, arch(d) + np.float32(1.1) * sin * cos, -1)
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
    (i, fs), (j, ft) = split(s), split(t)
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
        heights.append(np.where(np.abs(d) < 1, np.float32(0.45) * arch(d) + rise, -1))
    warp = heights[0] >= heights[1]
    number = np.where(warp, i & 63, 64 + (j & 63))
    across = np.where(warp, 2 * fs / widths[0], 2 * ft / widths[1])
    return np.maximum(*heights), number, across, np.where(warp, t, s)


# --- braided ----------------------------------------------------------------------------------


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
    row, p = split(u / width)
    number, turn = row & 63, canvas.table(-1, 1)
    length = canvas.uniform(1.3, 2.2)
    q = v / np.float32(length * width) + turn[number]
    q = q * np.sign(turn[number + 64]) if canvas.chance(0.4) else q
    if kind == "rope":
        height, across, strand = _rope(canvas, p, q)
    else:
        count = canvas.pick(3, 3, 3, 5) if kind != "dough" else 3
        thick = canvas.uniform(0.2, 0.24) if count == 3 else 0.14
        swing = np.float32(canvas.uniform(0.46, 0.5) - thick)
        height, across, strand = _plait(p, q, count, thick, swing, length)
    spread = np.float32(canvas.pick(0.12, 0.3))
    slant = canvas.uniform(0.3, 0.6) if kind in ("rope", "cord") else canvas.uniform(-0.1, 0.1)
    across_all = spread * across + strand.astype(np.float32) * np.float32(0.37)
    fine = fibres(canvas, 0.02 if kind == "hair" else 0.03, 0.6)
    threads = sample(fine, across_all, q / 2 - np.float32(slant) * across)
    names = {"hair": HAIRS, "dough": ("gold", "tan", "beige", "orange", "cream")}.get(kind, ())
    hues = np.stack([canvas.colour(*names)] * 3)
    if kind != "dough" and canvas.chance(0.35):
        hues = canvas.colours(3, *names, contrast=25)
    base = lift(hues[strand % 3]) + (np.float32(0.08) * turn[number + 128])[..., None]
    if kind == "dough":
        crust = smoothstep(height, 0.5, 1.7) * np.float32(0.6)
        base = mix(base, canvas.colour("brown", "orange", "gold"), crust)
        threads = noise(canvas, 0.02, 2) * np.float32(0.3)
    depth = np.float32(0.35) + np.float32(0.45) * np.clip(height + np.float32(0.3), 0, 1.6)
    strength = np.float32(canvas.uniform(0.1, 0.24)) * threads
    image = relief(canvas, base, width * np.float32(0.13) * height, gloss=canvas.uniform(0, 0.25))
    image = image * (depth * (1 + strength))[..., None]
    behind = canvas.colour() * np.float32(0.5) if canvas.chance(0.4) else hues[0] * np.float32(0.12)
    return np.clip(mix(flat(canvas, behind), image, positive(height + 0.95, 0.05)), 0, 1)


def _rope(canvas: Canvas, p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, ...]:
    """Three strands twisted about one another; arguments and results as of `_plait`."""
    strand, across = split(3 * q + np.float32(canvas.uniform(0.6, 1.2)) * np.arcsin(1.98 * p))
    return arch(1.9 * across) + arch(2 * p), 2 * across, strand % 3


def _wicker(canvas: Canvas, sleeve: bool) -> np.ndarray:
    """Thin rods in and out of stakes, or a sleeve of diagonal strips two over two."""
    side = np.float32(canvas.period * canvas.uniform(0.5, 0.9))
    lean = np.pi / 4 if sleeve else canvas.pick(0.0, 0.0, 0.1, np.pi / 2)
    u, v = canvas.coordinates(angle=lean + canvas.uniform(-0.1, 0.1), warp=0.03)
    if not sleeve and canvas.chance(0.2):  # the bottom of a basket
        stakes = np.float32(canvas.pick(24, 32, 40) * side / tau)
        u, v = np.arctan2(v, u) * stakes, np.hypot(u, v)
    stretch = np.float32(1 if sleeve else canvas.uniform(1.4, 3))
    widths = (0.97, 0.97) if sleeve else (canvas.uniform(0.2, 0.5), 0.95)
    repeat, floats = (4, 2) if sleeve else (2, 1)
    height, number, across, along = _weave(u / (side * stretch), v / side, repeat, floats, widths)
    names = (*METALS, "brown", "black") if sleeve else STRAWS
    hues = canvas.colours(canvas.pick(1, 1, 2), *names, contrast=20)
    base = lift(vary(canvas, hues, number, 0.06))
    fine = sample(fibres(canvas, 0.05, 0.5), across * np.float32(0.2), along * 0.1)
    if sleeve:
        fine = cosine(across * canvas.integer(2, 4) / 2)
    depth = np.float32(0.15) + np.float32(0.85) * smoothstep(height, -0.9, 0.7)
    image = relief(canvas, base, side * np.float32(0.4) * height, gloss=canvas.uniform(0, 0.35))
    return np.clip(image * (depth * (1 + np.float32(0.1) * fine))[..., None], 0, 1)


# --- interlaced -------------------------------------------------------------------------------


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
        top, below = _ribbons(canvas, s / np.float32(2.5), t / np.float32(2.5))
        width = 0.75
    else:
        top, below = _trellis(canvas, s, t)
    return _laid_over(canvas, top, below, width, side)


def _laid_over(
    canvas: Canvas, top: np.ndarray, below: np.ndarray, width: float, side: np.float32
) -> np.ndarray:
    """An image of bands over bands, each with an outline, the upper with a shadow.

    top, below: distances to the middle of the upper and the lower band; `width`: half a band's,
    both in sides.
    """
    names = canvas.pick((), (), EARTHS, METALS, ("white", "cream", "gold"))
    ground, band, line = canvas.colours(3, *names, contrast=canvas.uniform(35, 70))
    line = ground * np.float32(0.25) if canvas.chance(0.7) else line
    soft, edge = float(canvas.pixel / side), canvas.uniform(0.04, 0.09) * (1 if width < 0.5 else 3)
    plain, core = canvas.chance(0.3), canvas.chance(0.3)
    shadow = 1 - np.float32(0.6) * blur(positive(width + edge - top, soft), 0.15 * float(side))
    parts = [np.ones_like(top), np.zeros_like(top), np.zeros_like(top)]  # ground, band, line
    for d in (below, top):
        shade = np.float32(0.5) + np.float32(0.55) * arch(d / np.float32(width + 0.02))
        strip, outline = positive(width - d, soft), positive(width + edge - d, soft)
        middle = positive(width * 0.25 - d, soft) * np.float32(core)
        parts = [part * (1 - outline) for part in parts]
        parts[1] += strip * (1 - middle) * (1 if plain else shade)
        parts[2] += outline - strip * (1 - middle)
        if d is below:
            parts = [part * shadow for part in parts]
    image = np.stack(parts, -1) @ np.stack([ground, band, line])
    grit = 1 + np.float32(canvas.uniform(0, 0.08)) * noise(canvas, 0.05, 4)
    return np.clip(image * grit[..., None], 0, 1).astype(np.float32)


def _ribbons(canvas: Canvas, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the uppermost of plaited ribbons; what lies below it is out of sight."""
    length, count = canvas.uniform(1, 2), canvas.pick(2, 3, 4)
    height, across, _ = _plait(split(s)[1], t / np.float32(length), count, 0.15, 0.33, length)
    return np.where(height > -1, np.abs(across), 2), np.full_like(s, 2)


def _trellis(canvas: Canvas, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the upper and the lower of straight or waving laths, over and under in turn."""
    bend = np.float32(canvas.pick(0.0, canvas.uniform(0.1, 0.25)))
    s, t = s + bend * cosine(t / 2), t + bend * cosine(s / 2)
    (i, fs), (j, ft) = split(s), split(t)
    fs, ft, even = np.abs(fs), np.abs(ft), ((i + j) & 1) == 0
    return np.where(even, fs, ft), np.where(even, ft, fs)


def _knot(canvas: Canvas, s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the upper and the lower band of Celtic knotwork.

    A plain weave in which some crossings are opened into two turns stays alternating.
    """
    (i, fs), (j, ft) = split(s), split(t)
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
    (_, fs), (_, ft) = split(s), split(t)
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
    turns = (0, np.pi / 3, tau / 3)
    d = np.stack([np.abs(split(turned(s, t, a)[0] + np.float32(0.25))[1]) for a in turns])
    reach = d < 0.3
    beaten = reach & np.roll(reach, 1, 0)  # each runs under the one before it
    top, below = (np.where(layer, d, 2).min(0) for layer in (reach & ~beaten, beaten))
    return np.where(top > 1, np.float32(0.3), top), below


# --- knitted ----------------------------------------------------------------------------------


def knitted(canvas: Canvas) -> np.ndarray:
    """Columns of V-shaped stitches of soft yarn, plain, ribbed, patterned or in cables."""
    kind = canvas.pick("plain", "plain", "pattern", "rib", "cable", "cable", "purl")
    side = np.float32(canvas.period * canvas.uniform(0.6, 1))
    u, v = canvas.coordinates(warp=0.03)
    du, dv = flow(canvas, 0.12, 0.1 * side)
    s, t = (u + du) / side, (v + dv) / (side * np.float32(canvas.uniform(0.6, 0.85)))
    colour = np.maximum(lift(canvas.colour()), np.float32(0.22))
    ground: np.ndarray | np.float32 = np.float32(0)
    if kind == "cable":
        canvas.rescale("coarse")
        side = np.float32(canvas.period * canvas.uniform(0.22, 0.3))
        s, ground = _cable(canvas, u, v, side)
        t = v / (side * np.float32(0.8))
    height, column, row = _stitches(s, t)
    if kind == "rib":
        rib = cosine(s / canvas.integer(3, 6))
        ground = np.float32(1.6) * np.sign(rib) * np.sqrt(np.abs(rib))
    if kind in ("purl", "cable"):  # the back of the stitch: rows of little arcs
        arcs = arch(split(t + np.float32(0.3) * cosine(s))[1] * np.float32(2.1))
        height = np.where(ground > 0, height, arcs) if kind == "cable" else arcs
    base = flat(canvas, colour)
    if kind == "pattern":
        base = _motif(canvas, column, row)
    elif canvas.chance(0.25):  # mottled yarn
        base = vary(canvas, canvas.palette[:2], row * 61 + column // 4, 0.05)
    yarn = np.float32(0.07) * noise(canvas, 0.5 * side, 2) + np.float32(0.05) * noise(canvas, 0.012)
    image = relief(canvas, base, side * (np.float32(0.35) * height + np.float32(0.25) * ground))
    dark = canvas.uniform(0.3, 0.6)
    return np.clip(image * (dark + (1 - dark) * height + yarn)[..., None] * np.float32(1.1), 0, 1)


def _cable(
    canvas: Canvas, u: np.ndarray, v: np.ndarray, side: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Plaited columns seven to nine stitches wide: s as for `_stitches`, height in stitches."""
    wide = canvas.integer(7, 9)
    _, p = split(u / (side * wide))
    count, length = canvas.pick((3, 1.6), (2, 1.6), (3, 1.2))
    q = v / (side * np.float32(wide * length))
    rise, across, _ = _plait(p * np.float32(1.3), q, count, 0.19, 0.27, length)
    on = rise > -1
    ground = np.where(on, 2.2 + np.float32(1.4) * rise, np.float32(0))
    return np.where(on, across, u / side), ground


def _motif(canvas: Canvas, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """An image of a mirrored, repeated pattern of single stitches in the palette's colours."""
    hues = lift(canvas.palette)
    repeat = canvas.integer(3, 8)
    table = canvas.rng.integers(0, len(hues), (repeat, 2 * repeat))
    if canvas.chance(0.4):  # every column alike: stripes across
        table[:] = table[:1]
    if canvas.chance(0.4):  # every row alike: stripes along
        table[:] = table[:, :1]
    fold = np.abs(column % (2 * repeat) - repeat) % repeat
    return hues[table[fold, row % (2 * repeat)]]


def _stitches(s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
    """Knit stitches, V after V in columns: height in [0, 1], column and row numbers."""
    column, fs = split(s)
    arm = 2 * np.abs(fs)
    row, ft = split(t + np.float32(0.9) * arm)
    lean = ft * np.float32(1.9)
    reach = (arm - np.float32(0.5)) * np.float32(1.8)
    return np.sqrt(np.maximum(0, 1 - lean * lean - reach * reach)), column, row


# --- woven ------------------------------------------------------------------------------------


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
    hues = lift(canvas.colours(2, *names, contrast=canvas.pick(5, 10, 40)))
    spread = canvas.uniform(0.01, 0.07)
    shades = [vary(canvas, hue[None], np.arange(64), spread) for hue in hues]
    base = np.concatenate(shades)[number]
    across_all = across * np.float32(0.15) + number.astype(np.float32) * np.float32(0.11)
    fine = sample(fibres(canvas, 0.04, 0.4), across_all, along * np.float32(0.1))
    threads = canvas.integer(3, 5) if kind == "bundles" else 0
    if threads:  # every strip a few cords side by side
        cord = arch(2 * split((across + 1) * np.float32(threads / 2))[1])
        height = height + np.float32(0.25) * cord
        fine = fine * np.float32(0.4) + 2 * cord - np.float32(1)
    bulge = side * np.float32(0.35 if canvas.chance(0.6) else 0.18)
    image = relief(canvas, base, bulge * height, gloss=canvas.uniform(0, 0.2))
    depth = np.float32(0.2) + np.float32(0.8) * smoothstep(height, -1, 0.5)
    depth *= 1 + np.float32(canvas.uniform(0.04, 0.14)) * fine
    return np.clip(image * depth[..., None], 0, 1)


PAINTERS = {
    "braided": braided,
    "interlaced": interlaced,
    "knitted": knitted,
    "woven": woven,
}
