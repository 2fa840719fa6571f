"""Thin threads and sheer cloth that one sees through: cobwebbed, gauzy, lacelike."""

from math import tau

import numpy as np

from stages.core.painter.canvas import Canvas
from stages.core.painter.fields import (
    blur,
    cosine,
    fibres,
    flow,
    headings,
    noise,
    positive,
    sample,
    split,
    stripes,
    turned,
)
from stages.core.painter.light import flat, mix, relief
from stages.core.painter.materials import scene
from stages.core.painter.shapes import curls, discs, polygons, strokes

DARKS = ("black", "black", "charcoal", "navy", "maroon", "brown", "grey", "teal", "purple", "red")


# --- cobwebbed --------------------------------------------------------------------------------


def cobwebbed(canvas: Canvas) -> np.ndarray:
    """A spider's web of spokes and sagging spiral, or dusty threads hung across the dark."""
    kind = canvas.pick(_orbs, _orbs, _orbs, _drape, _from_knots)
    dark = ("black", "charcoal", "black", "brown", "olive", "navy", "green", "grey", "maroon")
    image = scene(canvas, *dark) * np.float32(canvas.uniform(0.25, 0.9))
    return kind(canvas, image, canvas.colour("white", "white", "silver", "cream"))


def _orbs(canvas: Canvas, image: np.ndarray, silk: np.ndarray) -> np.ndarray:
    """One orb web or two, at times with dew on it."""
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


def _drape(canvas: Canvas, image: np.ndarray, silk: np.ndarray) -> np.ndarray:
    """Dusty threads hung anyhow."""
    count = canvas.integer(50, 110)
    return _hung(canvas, image, silk, canvas.rng.uniform(-0.7, 0.7, (count, 2, 2)))


def _from_knots(canvas: Canvas, image: np.ndarray, silk: np.ndarray) -> np.ndarray:
    """Dusty threads that start from a few knots."""
    count = canvas.integer(50, 110)
    ends = canvas.rng.uniform(-0.7, 0.7, (count, 2, 2))
    knots = canvas.rng.uniform(-0.5, 0.5, (canvas.integer(2, 5), 2))
    ends[:, 0] = knots[canvas.rng.integers(0, len(knots), count)]
    return _hung(canvas, image, silk, ends)


def _hung(canvas: Canvas, image: np.ndarray, silk: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sagging threads between ends (n, 2, 2), with a haze of dust about them."""
    count = len(ends)
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
    angles = np.arange(count) * tau / count + canvas.rng.normal(0, 1.2 / count, count)
    hub = canvas.rng.uniform(-0.35, 0.35, 2)
    squash = np.array([1, canvas.uniform(0.6, 1)])
    spread = canvas.uniform(0.5, 0.95) / turns
    reach = np.convolve(np.tile(canvas.rng.normal(1, 0.35, count), 3), np.ones(3) / 3, "same")
    reach = np.clip(reach[count : 2 * count], 0.6, 1.5)
    rings = (np.arange(turns)[:, None] + 1 + canvas.rng.normal(0, 0.12, (turns, count))) * spread
    rings = np.concatenate([rings, rings[:, :1]], 1) * np.append(reach, reach[0])
    knots = np.append(angles, angles[0] + tau)
    corners = rings[..., None] * headings(knots)
    middles = (corners[:, 1:] + corners[:, :-1]) / 2 * canvas.uniform(0.88, 0.97)
    spiral = np.concatenate(
        [np.stack([corners[:, :-1], middles], 2).reshape(turns, -1, 2), corners[:, -1:]], 1
    )
    tips = 1.3 * headings(angles)
    spokes = np.stack([0 * tips, tips], 1)
    return hub + spokes * squash, hub + spiral * squash


# --- gauzy ------------------------------------------------------------------------------------


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
        image = mix(scene(canvas), tint, np.full_like(image[..., 0], 0.3))
    u, v = canvas.coordinates(angle=canvas.pick(0.0, 0.0, None), warp=0.03)
    if kind == "bandage":
        return _bandage(canvas, u, v, image, tint)
    return _sheer(canvas, u, v, image, tint, kind == "veil")


def _sheer(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    image: np.ndarray,
    tint: np.ndarray,
    veil: bool,
) -> np.ndarray:
    """Two or three layers of a curtain that hangs straight, or of a veil that lies anyhow."""
    light, clear = np.zeros_like(u), np.ones_like(u)
    for _ in range(canvas.integer(2, 3)):
        lean = canvas.uniform(0, np.pi) if veil else 0
        bend_x, bend_y = flow(canvas, 0.5, 0.1 if veil else 0.02)
        x, y = turned(u + bend_x, v + bend_y, lean)
        fold = fibres(canvas, canvas.uniform(0.08, 0.2), canvas.uniform(0.5, 1.5))
        fold = sample(fold, x, y * np.float32(0.5))
        ridge = np.exp(np.float32(-2.5) * np.abs(fold))  # where the cloth is seen edge on
        cover = np.clip(np.float32(canvas.uniform(0.15, 0.45)) + np.float32(0.45) * ridge, 0, 1)
        if veil:  # its own edge shows
            cover = cover * positive(x + canvas.uniform(0, 0.6), 2 * canvas.pixel)
        shade = np.clip(np.float32(0.82) + np.float32(0.22) * fold, 0.3, 1.15)
        light, clear = light + cover * (shade - light), clear * (1 - cover)
    gap = np.float32(canvas.uniform(0.011, 0.018))
    threads = np.float32(canvas.uniform(0.01, 0.05)) * (cosine(u / gap) + cosine(v / gap))
    return np.clip(image * clear[..., None] + tint * (light + threads)[..., None], 0, 1)


def _bandage(
    canvas: Canvas, u: np.ndarray, v: np.ndarray, image: np.ndarray, tint: np.ndarray
) -> np.ndarray:
    """Loosely woven gauze in one or two layers."""
    for _ in range(canvas.integer(1, 2)):
        gap = np.float32(canvas.uniform(0.015, 0.035))
        du, dv = flow(canvas, 0.15, 0.25 * gap, 2)
        x, y = turned(u + du, v + dv, canvas.uniform(-0.3, 0.3))
        duty = np.float32(0.32) + np.float32(0.07) * noise(canvas, 0.05, 2)
        cover = np.maximum(stripes(x / gap, duty, 0.15), stripes(y / gap, duty, 0.15))
        cover = cover * np.float32(canvas.uniform(0.5, 0.9))
        image = mix(image, tint, np.float32(0.15) + np.float32(0.85) * cover)
    return relief(canvas, image, np.float32(0.012) * noise(canvas, 0.4, 2))


# --- lacelike ---------------------------------------------------------------------------------


def lacelike(canvas: Canvas) -> np.ndarray:
    """Fine thread worked into an openwork of net, flowers, eyelets and scallops."""
    kind = canvas.pick("doily", "trims", "flowers", "flowers", "sprays", "sprays")
    u, v = canvas.coordinates(warp=0.02)
    if kind == "doily":
        mask = _openwork(canvas, np.arctan2(v, u) / np.float32(tau), np.hypot(u, v), 40)
    elif kind == "trims":
        mask = _openwork(canvas, u, v + np.float32(2), canvas.integer(10, 18))
    else:
        gap = np.float32(canvas.uniform(0.018, 0.03))
        net = np.maximum(stripes((u + v) / gap, 0.3), stripes((u - v) / gap, 0.3))
        net = net * np.float32(canvas.uniform(0.35, 0.8))
        motif = _flowers(canvas, u, v) if kind == "flowers" else _sprays(canvas)
        mask = np.maximum(net, motif)
    thread, ground = canvas.colour("white", "white", "cream", "beige"), canvas.colour(*DARKS)
    if canvas.chance(0.2):
        thread, ground = ground, canvas.colour("white", "beige", "pink", "tan", "cream", "silver")
    cloth = flat(canvas, thread) * (1 + np.float32(0.06) * noise(canvas, 0.012, 2))[..., None]
    shadow = 1 - np.float32(0.4) * blur(mask, 0.008)
    return np.clip(mix(flat(canvas, ground) * shadow[..., None], cloth, mask), 0, 1)


def _openwork(canvas: Canvas, along: np.ndarray, across: np.ndarray, repeats: int) -> np.ndarray:
    """Mask of rows of lace, each of one kind; `repeats` motifs over a unit of `along`."""
    high = np.float32(canvas.uniform(0.05, 0.1))
    row, y = split(across / high)
    kinds = canvas.rng.integers(0, 6, 64)[row & 63]
    finer = canvas.pick(1, 2)
    x = split(along * np.where(kinds > 3, repeats * finer, repeats).astype(np.float32))[1]
    soft = float(canvas.pixel / high)
    bar = np.float32(0.13)
    bow = np.hypot(2 * x, y + np.float32(0.5))
    petals = np.hypot(x, y) - np.float32(0.33) - np.float32(0.1) * np.cos(5 * np.arctan2(y, x))
    fields = (
        np.maximum(np.float32(0.3) - np.hypot(x, y), -np.float32(0.45) + np.abs(y)),  # eyelets
        np.abs(bow - np.float32(0.72)) - bar,  # scallops
        np.minimum(np.abs(np.abs(x) - np.abs(y)) - bar, 2.5 * np.abs(x) - bar),  # crosses
        petals,
        np.abs(x) - bar,  # bars
        np.minimum(np.abs(x + y), np.abs(x - y)) - bar / 2,  # net
    )
    field = np.choose(kinds, fields)
    border = np.float32(0.44) - np.abs(y)
    return positive(-np.minimum(field, border), 1.5 * soft)


def _flowers(canvas: Canvas, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mask of a lattice of flowers with leaves between."""
    canvas.rescale("coarse")
    side = np.float32(canvas.period * 1.5)
    row, y = split(v / side)
    _, x = split(u / side + (row & 1).astype(np.float32) / 2)
    soft = float(canvas.pixel / side)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    lobes = canvas.pick(5, 6, 8)
    rim = np.float32(0.26) + np.float32(0.1) * np.abs(np.cos(lobes / 2 * angle))
    solid = positive(rim - radius, soft)
    holes = cosine(radius * canvas.integer(8, 14)) * np.cos(lobes * canvas.pick(1, 2, 3) * angle)
    solid = solid * (1 - np.float32(0.9) * positive(holes - 0.55, 0.2))
    outline = positive(0.03 - np.abs(radius - rim), soft)
    far = np.hypot(np.abs(x) - np.float32(0.5), np.abs(y) - np.float32(0.5))
    small = positive(np.float32(0.1) + np.float32(0.04) * np.cos(8 * angle) - far, soft)
    stem = np.abs(y) - np.float32(0.42) - np.float32(0.06) * cosine(2 * x)
    vine = positive(0.025 - np.abs(stem), soft)
    return np.maximum.reduce([solid, outline, small, vine])


def _sprays(canvas: Canvas) -> np.ndarray:
    """Mask of curling stems with leaves and blossoms, scattered."""
    count = canvas.integer(14, 26)
    heading = canvas.rng.uniform(0, tau, (count, 1))
    stems = curls(canvas, count, canvas.uniform(0.35, 0.6), heading, 0, 3)
    t = np.linspace(0, tau, 12)
    leaf = np.stack([np.cos(t), 0.45 * np.sin(t)], 1) * canvas.uniform(0.02, 0.035)
    leaves, centres = [], []
    for stem in stems:
        for k in range(1, 8):
            lean = np.arctan2(*(stem[k + 1] - stem[k - 1])[::-1]) + (1 if k % 2 else -1)
            turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
            leaves.append(stem[k] + (leaf + leaf[0]) @ turn)
        centres.append(stem[-1])
    size = canvas.uniform(0.03, 0.06)
    ring = size * headings(np.arange(6) * tau / 6)
    blossoms = (np.stack(centres)[:, None] + ring).reshape(-1, 2)
    eyes = discs(canvas, np.concatenate([blossoms, np.stack(centres)]), 0.25 * size)
    flowers = discs(canvas, blossoms, 0.55 * size) * (1 - eyes * np.float32(0.85))
    return np.maximum.reduce([strokes(canvas, stems, 0.008), polygons(canvas, leaves), flowers])


PAINTERS = {
    "cobwebbed": cobwebbed,
    "gauzy": gauzy,
    "lacelike": lacelike,
}
