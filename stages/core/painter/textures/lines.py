"""Bands, stripes and lines side by side: banded, grooved, lined, stratified, striped, zigzagged."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, METALS, Canvas
from stages.core.painter.fields import (
    above,
    arch,
    cosine,
    gradient,
    grain,
    noise,
    sample,
    smoothstep,
    stripes,
    triangle,
)
from stages.core.painter.light import flat, lift, mix, ramp, relief, vary
from stages.core.painter.materials import printed

ROCKS = (
    ("brown", "tan", "beige", "cream", "gold"),
    ("orange", "tan", "maroon", "cream", "brown"),
    ("grey", "charcoal", "beige", "tan"),
    GREYS,
)


# --- what banded and zigzagged share ----------------------------------------------------------


def _bands(t: np.ndarray, colours: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """An image of bands of the colours (k, 3) and relative widths (k,), repeating with t + 1."""
    length = 1024
    edges = np.cumsum(widths) / np.sum(widths)
    table = colours[np.searchsorted(edges[:-1], (np.arange(length) + 0.5) / length)]
    pixel = int(np.hypot(*gradient(t)).mean() * length) // 2
    around = np.cumsum(np.concatenate([table[-pixel - 1 :], table, table[:pixel]]), 0)
    box = 2 * pixel + 1
    table = ((around[box:] - around[:-box]) / box).astype(np.float32)
    return table[np.floor(t * length).astype(np.int32) & (length - 1)]


# --- banded -----------------------------------------------------------------------------------


def banded(canvas: Canvas) -> np.ndarray:
    """Bands of several colours and unequal widths, straight across."""
    count = canvas.integer(3, 12)
    u, _ = canvas.coordinates(skew=0, perspective=0.1, warp=0.006)
    if canvas.chance(0.2):  # a two-coloured jersey
        count = 2
    palette = canvas.colours(max(2, min(count, canvas.integer(3, 6))), contrast=25)
    order = np.cumsum(canvas.rng.integers(1, len(palette), count)) % len(palette)
    if count > 2 and canvas.chance(0.5):  # one ground between all the bands
        order[::2] = 0
        order[1::2] = np.maximum(order[1::2], 1)
    widths = np.exp(canvas.rng.normal(0, 0.2 if count == 2 else 0.7, count))
    t = u / np.float32(0.8 * canvas.period * count)
    image = _bands(t, palette[order], widths)
    if canvas.chance(0.15):  # every band shaded as a rod
        image = image * (1 - 0.5 * triangle(t * count))[..., None]
    return printed(canvas, image)


# --- grooved ----------------------------------------------------------------------------------


def grooved(canvas: Canvas) -> np.ndarray:
    """Parallel furrows cut or pressed into a hard surface."""
    kind = canvas.pick("carved", "corrugated", "record", "planks", "flutes")
    u, _ = canvas.coordinates(warp=0.01)
    if kind == "record":
        x, y = canvas.grid()
        u = np.hypot(x - canvas.uniform(-0.6, 0.6), y - canvas.uniform(-0.6, 0.6))
    t = u / np.float32(canvas.period * (0.75 if kind == "record" else 1))
    if kind in ("carved", "planks"):
        t = t + np.float32(0.05) * noise(canvas, (0.2, 0.5), 2)
    depth = np.float32(0.5 * canvas.period)
    if kind == "corrugated":
        profile = np.float32(0.25) + np.float32(0.25) * cosine(t)
    elif kind == "flutes":
        profile = np.float32(0.5) * arch(triangle(t))
    else:  # flat lands between steep furrows
        profile = np.minimum(triangle(t + 0.5) * canvas.uniform(1, 2), np.float32(0.55))
        profile = np.float32(0.6) - profile
    metal = kind in ("corrugated", "record") or canvas.chance(0.2)
    names = (*METALS, "teal", "red", "navy") if metal else (*EARTHS, "white", "black")
    patina = 1 + np.float32(canvas.uniform(0.02, 0.12)) * noise(canvas, 0.2, 4)
    base = lift(canvas.colour(*names)) * patina[..., None]
    rough = grain(canvas, canvas.uniform(0, 0.0012), 0.004)
    image = relief(canvas, base, depth * profile + rough, gloss=0.35 if metal else 0.05)
    return image * (np.float32(0.55) + np.float32(0.9) * np.clip(profile, 0, 0.5))[..., None]


# --- lined ------------------------------------------------------------------------------------


def lined(canvas: Canvas) -> np.ndarray:
    """Thin lines along one direction on a plain ground."""
    kind = canvas.pick(_ruled, _pinstriped, _drawn, _etched, _planked)
    return kind(canvas, np.float32(0.8 * canvas.period))


def _ruled(canvas: Canvas, spacing: np.float32) -> np.ndarray:
    """The ruled sheet of a writing pad, at times with a margin."""
    u, v = canvas.coordinates(angle=np.pi / 2 + canvas.uniform(-0.2, 0.2))
    paper = flat(canvas, canvas.colour("white", "cream", "beige", "yellow", "sky blue"))
    ink = canvas.colour("sky blue", "blue", "grey", "teal", "lilac", jitter=0.08)
    image = mix(paper, ink, stripes(u / spacing, canvas.uniform(0.06, 0.14)))
    if canvas.chance(0.5):
        margin = above(np.float32(0.004) - np.abs(v - np.float32(canvas.uniform(-0.3, 0.3))))
        image = mix(image, canvas.colour("red", "pink"), margin)
    return image + grain(canvas, 0.015, 0.004)[..., None]


def _pinstriped(canvas: Canvas, spacing: np.float32) -> np.ndarray:
    """Even thin lines, printed."""
    u, _ = canvas.coordinates(warp=0.015)
    ground, figure = canvas.palette[:2]
    mask = stripes(u / spacing, canvas.uniform(0.08, 0.2))
    return printed(canvas, mix(flat(canvas, ground), figure, mask))


def _drawn(canvas: Canvas, spacing: np.float32) -> np.ndarray:
    """Lines drawn by hand: every one wavers and swells."""
    u, _ = canvas.coordinates(warp=0.015)
    t = u / spacing + np.float32(0.08) * noise(canvas, (0.08, 0.2), 2)
    thick = np.float32(0.15) + np.float32(0.05) * noise(canvas, 0.1)
    mask = stripes(t + np.float32(canvas.uniform(0, 0.8)) * noise(canvas, 0.5), thick)
    paper = flat(canvas, canvas.colour("white", "cream", "beige", "tan", "silver"))
    return mix(paper, canvas.colour("black", "charcoal", "navy", "brown", "maroon"), mask)


def _etched(canvas: Canvas, spacing: np.float32) -> np.ndarray:
    """Scratches of unequal depth."""
    u, _ = canvas.coordinates(warp=0.015)
    t = u / spacing
    t = t + canvas.table(-0.2, 0.2)[np.rint(t).astype(int) % 4096]
    depth = canvas.table(0.2, 1)[np.rint(t).astype(int) % 4096]
    mask = np.maximum(0, 1 - np.abs(t - np.rint(t)) / np.float32(0.14)) * depth
    base = lift(canvas.colour(*METALS, "brown", "white", "teal", "black"))
    return relief(canvas, flat(canvas, base), np.float32(-0.25) * spacing * mask, gloss=0.2)


def _planked(canvas: Canvas, spacing: np.float32) -> np.ndarray:
    """Painted planks with a dark joint between."""
    u, v = canvas.coordinates(warp=0.015)
    t = u / spacing
    paint = lift(canvas.colour(*EARTHS, "white", "sky blue", "green"))
    shade = vary(canvas, paint[None], np.floor(t).astype(int), 0.03)
    fibre = 1 + np.float32(0.04) * sample(noise(canvas, (0.01, 0.3), 2), u, v)
    joint = stripes(t, canvas.uniform(0.07, 0.14), soft=0.05)
    return mix(shade * fibre[..., None], np.float32(0.3) * shade, joint)


# --- stratified -------------------------------------------------------------------------------


def stratified(canvas: Canvas) -> np.ndarray:
    """Layers of rock or soil, one upon another, wavy and uneven."""
    tilt = canvas.uniform(-0.4, 0.4) if canvas.chance(0.85) else canvas.uniform(0, np.pi)
    _, v = canvas.coordinates(angle=tilt, warp=0.02)
    bend = np.float32(canvas.uniform(0.005, 0.06))
    rough = np.float32(0.003) * noise(canvas, 0.05, 3)
    place = (v + bend * noise(canvas, (0.4, 1.5), 2) + rough) * np.float32(6 / canvas.period) + 256
    layers = np.zeros(512)
    for thickness in (1, 2, 5, 11):  # in sixths of the period
        levels = canvas.rng.standard_normal(512 // thickness + 1)
        layers += np.repeat(levels, thickness)[:512] * thickness**0.3
    layers = (layers / layers.std()).astype(np.float32)
    low = np.floor(place)
    below, over = (layers.take(low.astype(np.int32) + i, mode="clip") for i in (0, 1))
    bed = below + smoothstep(place - low, 0.2, 0.8) * (over - below)
    parting = smoothstep(np.abs(over - below), 1.2, 2.2) * (1 - triangle(place))
    rocks = canvas.colours(4, *canvas.pick(*ROCKS), contrast=15)
    rocks = rocks[np.argsort(rocks.sum(1))]
    tone = np.float32(0.5) + np.float32(0.22) * bed + np.float32(0.06) * noise(canvas, 0.1, 4)
    image = ramp(rocks, tone) * (1 - np.float32(canvas.uniform(0, 0.6)) * parting)[..., None]
    ledges = np.float32(canvas.uniform(0.02, 0.12) * canvas.period) * bed
    rubble = np.float32(canvas.uniform(0.001, 0.004)) * noise(canvas, (0.08, 0.03), 5, 0.7)
    return relief(canvas, image, ledges + rubble, ambient=0.45)


# --- striped ----------------------------------------------------------------------------------


def striped(canvas: Canvas) -> np.ndarray:
    """Two alternating colours: printed stripes, a zebra's or a tiger's."""
    kind = canvas.pick(_straight, _straight, _straight, _zebra, _zebra, _tiger, _curved)
    u, v = canvas.coordinates(warp=0.015)
    return kind(canvas, u, v, canvas.uniform(-0.4, 0.4))


def _straight(canvas: Canvas, u: np.ndarray, _v: np.ndarray, level: float) -> np.ndarray:
    """Printed stripes; the level makes one colour wider than the other."""
    ground, figure = canvas.palette[:2]
    mask = above(cosine(u / np.float32(1.2 * canvas.period)) + level)
    return printed(canvas, mix(flat(canvas, ground), figure, mask))


def _curved(canvas: Canvas, u: np.ndarray, v: np.ndarray, level: float) -> np.ndarray:
    """Printed stripes along wide arcs."""
    u = np.hypot(u, v + np.float32(canvas.uniform(0.6, 1.2)))
    return _straight(canvas, u, v, level)


def _zebra(canvas: Canvas, u: np.ndarray, v: np.ndarray, level: float) -> np.ndarray:
    """A zebra's stripes, in its own colours more often than not."""
    wave = _forked(canvas, u, v) + level
    ground, figure = canvas.palette[:2]
    if canvas.chance(0.6):
        ground, figure = canvas.colour("white", "cream"), canvas.colour("black", "charcoal")
    return _coat(canvas, ground, figure, above(wave))


def _tiger(canvas: Canvas, u: np.ndarray, v: np.ndarray, level: float) -> np.ndarray:
    """A tiger's stripes, broken off here and there."""
    wave = _forked(canvas, u, v) + level
    wave = wave - np.float32(0.7) * smoothstep(noise(canvas, 0.3), -0.5, 1.5)
    ground = canvas.colour("orange", "gold", "tan", "white")
    figure = canvas.colour("black", "brown", "charcoal")
    return _coat(canvas, ground, figure, above(wave))


def _forked(canvas: Canvas, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A wave of wavering stripes, some of which divide."""
    t = u / np.float32(1.3 * canvas.period)
    for _ in range(canvas.integer(2, 7)):  # a whole turn about a point adds a stripe on one side
        x, y = canvas.rng.uniform(-0.6, 0.6, 2).astype(np.float32)
        turns = np.arctan2(v - y, u - x) / np.float32(tau)
        t = t + turns if canvas.chance(0.5) else t - turns
    return cosine(t + np.float32(0.22) * noise(canvas, (0.3, 0.2), 2))


def _coat(canvas: Canvas, ground: np.ndarray, figure: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Two colours of fur."""
    fur = 1 + np.float32(canvas.uniform(0, 0.1)) * noise(canvas, (0.02, 0.006))
    return mix(flat(canvas, ground), figure, mask) * fur[..., None]


# --- zigzagged --------------------------------------------------------------------------------


def zigzagged(canvas: Canvas) -> np.ndarray:
    """Bands or lines that turn sharply to and fro."""
    kind = canvas.pick("chevrons", "chevrons", "missoni", "lines", "parquet", "knit")
    u, v = canvas.coordinates(perspective=0.2, warp=0.012)
    length = np.float32(canvas.uniform(1.6, 3.2) * canvas.period)
    height = np.float32(canvas.uniform(0.35, 0.9)) * length
    corner = triangle(u / length)
    band = np.float32(canvas.uniform(0.6, 1.1) * canvas.period)
    t = (v + height * corner) / (2 * band)
    ground, figure = canvas.palette[:2]
    if kind == "chevrons":
        mask = above(cosine(t) + canvas.uniform(-0.4, 0.4))
        return printed(canvas, mix(flat(canvas, ground), figure, mask))
    if kind == "missoni":
        count = canvas.integer(3, 7)
        colours = canvas.colours(count, contrast=20)
        return printed(canvas, _bands(t * 2 / count, colours, np.ones(count)))
    if kind == "lines":
        mask = stripes(t * canvas.uniform(1, 2), canvas.uniform(0.12, 0.35))
        return printed(canvas, mix(flat(canvas, ground), figure, mask))
    if kind == "parquet":
        side = np.rint(2 * u / length - np.float32(0.5)).astype(int)
        plank = np.rint(2 * t).astype(int)
        woods = canvas.colours(3, "brown", "tan", "beige", "grey", "gold", contrast=12)
        image = vary(canvas, woods, plank * 61 + side * 7, 0.05)
        joint = np.maximum(stripes(2 * t + 0.5, 0.1), stripes(2 * u / length, 0.06))
        return mix(image, np.float32(0.35) * image, joint)
    stitches = np.float32(0.25 * band) * np.abs(cosine(t * 3))
    image = mix(flat(canvas, ground), figure, above(cosine(t)))
    return relief(canvas, image, stitches + grain(canvas, 0.0015, 0.004))


PAINTERS = {
    "banded": banded,
    "grooved": grooved,
    "lined": lined,
    "stratified": stratified,
    "striped": striped,
    "zigzagged": zigzagged,
}
