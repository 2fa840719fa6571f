"""Creases, pleats and ruffles: frilly, pleated, wrinkled."""

from math import tau

import numpy as np

from stages.core.painter.canvas import Canvas
from stages.core.painter.fields import blur, cosine, flow, grain, noise, positive, sample, triangle
from stages.core.painter.lattices import cells
from stages.core.painter.light import flat, lift, mix, relief, tinted
from stages.core.painter.materials import material

# --- frilly -----------------------------------------------------------------------------------


def frilly(canvas: Canvas) -> np.ndarray:
    """Ruffled edges, row upon row, curled and gathered."""
    kind = canvas.pick("tiers", "tiers", "tiers", "rosette", "curly")
    high = canvas.uniform(0.13, 0.3) * (0.65 if kind == "rosette" else 1)
    canvas.scale = "coarse" if high > 0.125 else "medium"
    u, v = canvas.coordinates(angle=canvas.pick(0.0, 0.0, 0.0, None), warp=0.04)
    if kind == "rosette":
        u, v = np.arctan2(v, u) / np.float32(tau), np.hypot(u, v)
        rate = float(canvas.integer(6, 14))
    else:
        rate = 1 / (high * canvas.uniform(0.35, 0.7))
    if kind == "curly":
        v = v + flow(canvas, 0.3, 0.35 * high, 2)[1]
    wobble = noise(canvas, 0.3, 2)
    if kind != "rosette":
        wobble = wobble + noise(canvas, 0.35)
    light, trim = _tiers(canvas, u, v, high, rate, wobble, kind == "rosette")
    tone = np.maximum(lift(canvas.colour()), np.float32(0.24))
    edge = canvas.colour("white", "cream", "black") if canvas.chance(0.3) else tone * 1.2
    weave = 1 + np.float32(0.03) * noise(canvas, 0.012, 2)
    return np.clip(mix(tone, edge, trim) * (light * weave)[..., None], 0, 1).astype(np.float32)


def _tiers(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    high: float,
    rate: float,
    wobble: np.ndarray,
    closed: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Light on ruffles that hang over one another, and the mask of their hems.

    Each tier is `high`, with `rate` folds over a unit of u; in a closed one u = 0 meets u = 1.
    """
    curl = np.float32(canvas.uniform(0.06, 0.2) * high)
    scallops, lined = canvas.chance(0.4), canvas.uniform(0.03, 0.12) * high
    depth = canvas.uniform(0.15, 0.38)
    light, trim = np.full_like(u, 0.4), np.zeros_like(u)
    turns = [u * np.float32(rate) + np.float32(0.35) * wobble, u * np.float32(0.93 * rate) + 0.4]
    if closed:
        turns[1] = turns[0] + np.float32(0.37)
    folds = [cosine(turn) for turn in turns]
    rims = [np.sqrt(np.abs(cosine(turn / 2))) if scallops else cosine(turn - 0.2) for turn in turns]
    ripples = [np.float32(0.4) * cosine(2 * turn + 0.2) for turn in turns]
    for index, tier in enumerate(np.arange(0.8, 0.0 if closed else -0.8, -high)):
        fold, rim, ripple = folds[index % 2], rims[index % 2], ripples[index % 2]
        drop = np.float32(tier) + curl * (rim + np.float32(0.3) * wobble) - v  # from the hem up
        near = np.exp(-np.maximum(drop, 0) / np.float32(0.55 * high))
        creases = fold * (near + np.float32(0.3)) + ripple * (1 - near)
        shade = np.float32(0.5) + np.float32(0.5) * near + np.float32(depth) * creases
        cast = np.clip(1 + drop / np.float32(0.3 * high), 0, 1)  # shadow below the hem
        cover = positive(drop, canvas.pixel)
        light = light * (1 - np.float32(0.6) * cast)
        light = light + cover * (shade - light)
        trim = trim + cover * (positive(lined - drop, 0.006) - trim)
    return light, trim


# --- pleated ----------------------------------------------------------------------------------


def pleated(canvas: Canvas) -> np.ndarray:
    """Cloth or paper laid in parallel folds."""
    kind = canvas.pick("knife", "knife", "accordion", "curtain", "curtain", "fan")
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.35)
    width = np.float32(canvas.period)
    t = u / width
    if kind == "fan":
        apex = np.float32(canvas.uniform(0.7, 1.2))
        t = np.arctan2(u, v + apex) * (apex / width)
    t = t + np.float32(canvas.uniform(0, 0.15)) * noise(canvas, (0.4, 0.6))
    fraction = t - np.floor(t)
    if kind == "accordion" or (kind == "fan" and canvas.chance(0.5)):
        profile = triangle(t)
        tone = np.float32(0.8) + np.float32(0.4) * profile
        tone = tone * np.where((t - np.rint(t)) > 0, np.float32(0.7), np.float32(1.1))
    elif kind == "curtain":
        wave = cosine(t + np.float32(0.3) * cosine(t / 2.7) + np.float32(0.3) * noise(canvas, 0.5))
        profile = (np.float32(0.5) + np.float32(0.5) * wave) * (1 + noise(canvas, (0.2, 1)) / 4)
        tone = np.float32(0.45) + np.float32(0.65) * profile
    else:  # knife pleats: a long slope, then a sharp overhang and its shadow
        profile = np.minimum(fraction * np.float32(1.1), (1 - fraction) * 10)
        tone = np.float32(0.6) + np.float32(0.55) * profile - np.exp(-9 * fraction) * 0.4
    cloth = flat(canvas, lift(canvas.palette[0]))
    deep = np.float32(canvas.uniform(0.08, 0.25)) * width
    height = blur(deep * profile, 0.003) + np.float32(0.0003) * noise(canvas, 0.008)
    cloth = cloth * blur(tone, 0.003)[..., None]
    return relief(canvas, cloth, height, gloss=canvas.uniform(0, 0.2))


# --- wrinkled ---------------------------------------------------------------------------------


def wrinkled(canvas: Canvas) -> np.ndarray:
    """Creases and folds: crumpled paper, cloth, old skin, hide."""
    return canvas.pick(_crumpled, _crumpled, _draped, _hide, _furrowed)(canvas)


def _crumpled(canvas: Canvas) -> np.ndarray:
    """Paper, foil or linen crushed and laid out again: facets between sharp creases."""
    colour = canvas.palette[0]
    if canvas.chance(0.6):
        colour = canvas.colour("white", "white", "cream", "beige", "silver", "tan", "grey")
    u, v = canvas.coordinates(warp=0.03)
    period = canvas.period * 1.5
    du, dv = flow(canvas, period, period * 0.12, 2)
    c = cells(canvas, u + du, v + dv, (period * canvas.uniform(1, 1.6), period), 0.9)
    # Every cell is a pyramid or a pit; they all meet at the height of their borders.
    folds = period * canvas.table(-1, 1)[c.ids] * c.border
    x, y = canvas.grid()
    height = folds + 2 * sample(folds, 0.4 * x + 0.2 * y, 0.4 * y - 0.2 * x)
    height = height + sample(folds, 2 * y - x, 2 * x + y) / 3
    height = canvas.uniform(0.6, 1.6) * (height + 0.05 * period * noise(canvas, period, 3))
    image = material(canvas, colour, "paper", "paper", "cloth")
    return relief(canvas, image, height, gloss=canvas.pick(0.0, 0.0, 0.6), ambient=0.4)


def _draped(canvas: Canvas) -> np.ndarray:
    """Folds of cloth that run together."""
    u, v = canvas.coordinates(warp=0.15)
    period = canvas.period * 2
    folds = sample(noise(canvas, (period * 3, period), 2), u, v)
    creases = np.abs(sample(noise(canvas, (period * 2, period * 0.6), 2), u, v))
    image = material(canvas, canvas.palette[0], "paper", "cloth")
    height = period * (0.12 * folds - 0.07 * creases)
    return relief(canvas, image, height, gloss=canvas.uniform(0, 0.4), ambient=0.25)


def _hide(canvas: Canvas) -> np.ndarray:
    """Elephant's hide, an old hand: fine furrows that cross, over deep ones."""
    canvas.recolour("grey", "charcoal", "brown", "tan", "beige", "pink")
    u, v = canvas.coordinates(warp=0.08)
    depth = np.zeros_like(u)
    for size, amount in ((1.6, 0.3), (0.8, 0.12), (0.4, 0.05)):
        for along, across in ((3.5, 0.8), (0.8, 2.5)):
            periods = canvas.period * size * along, canvas.period * size * across
            depth = depth + amount * np.exp(-5 * np.abs(sample(noise(canvas, periods), u, v)))
    texture = np.maximum(-1.2 * depth, -0.7) + grain(canvas, 0.03)
    image = tinted(canvas.palette[0], texture)
    return relief(canvas, image, -0.5 * canvas.period * depth, ambient=0.4)


def _furrowed(canvas: Canvas) -> np.ndarray:
    """Deep lines side by side, as on a forehead, a pug or a dried fruit."""
    _, v = canvas.coordinates(warp=0.12)
    period = canvas.period * 1.2
    t = v / period + 0.5 * noise(canvas, 0.3, 2) + 0.2 * noise(canvas, period)
    fold = np.sqrt(np.abs(np.sin(np.pi * t)) + 0.01)
    height = 0.35 * period * fold * (1 + 0.3 * noise(canvas, 0.4))
    height = height + 0.003 * noise(canvas, (0.1, 0.04), 3)
    image = tinted(material(canvas, canvas.palette[0], "paper"), (fold - 1) / 2)
    return relief(canvas, image, height, gloss=canvas.uniform(0, 0.3), ambient=0.35)


PAINTERS = {
    "frilly": frilly,
    "pleated": pleated,
    "wrinkled": wrinkled,
}
