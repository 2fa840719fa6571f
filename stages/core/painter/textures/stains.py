"""Blots, spills and smears: blotchy, smeared, stained."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, LEAVES, Canvas
from stages.core.painter.fields import (
    above,
    blur,
    flow,
    grain,
    noise,
    sample,
    smoothstep,
    turned,
    unit,
)
from stages.core.painter.lattices import cells, points
from stages.core.painter.light import WHITE, flat, mix, ramp, relief, tinted, vary
from stages.core.painter.materials import material
from stages.core.painter.shapes import blob, discs, polygons

RUSTS = ("brown", "brown", "brown", "tan", "maroon", "gold", "charcoal", "olive")


# --- what blotchy and smeared share -----------------------------------------------------------


def _shades(canvas: Canvas, colour: np.ndarray, count: int, spread: float) -> np.ndarray:
    """Colours (count, 3) near to one another: lighter, darker, a little off in hue."""
    shifts = canvas.rng.normal(0, spread, (count, 1)) + canvas.rng.normal(0, spread / 3, (count, 3))
    return np.clip(colour + shifts, 0, 1).astype(np.float32)


# --- blotchy ----------------------------------------------------------------------------------


def blotchy(canvas: Canvas) -> np.ndarray:
    """Irregular patches of other tones all over."""
    often = _clouds, _patched, _worn
    return canvas.pick(*often, *often, _clouds, _clouds, _blemished, _mosaic, _blots)(canvas)


def _clouds(canvas: Canvas) -> np.ndarray:
    """Clouds of near tones: old paper, dyed cloth, sponged paint, tarnish."""
    if canvas.chance(0.7):
        middling = 0.7 * canvas.colour() + 0.2
        canvas.palette = _shades(canvas, middling, 4, canvas.uniform(0.05, 0.15))
        canvas.palette[1:3] *= canvas.uniform(0.5, 0.8)
    period, stretch = canvas.period * canvas.uniform(2, 3), canvas.pick(1.0, 1.0, 1.0, 2.5)
    octaves, gain = canvas.integer(2, 6), canvas.uniform(0.5, 0.8)
    field = noise(canvas, (period * stretch, period), octaves, gain)
    if canvas.chance(0.1):
        field = np.abs(field)
    if stretch > 1:
        field = sample(field, *canvas.coordinates())
    image = ramp(canvas.palette, unit(field, canvas.uniform(0.01, 0.1)))
    return np.clip(image * material(canvas, WHITE, "paper", "cloth", "stone") * 1.1, 0, 1)


def _patched(canvas: Canvas) -> np.ndarray:
    """Hard-edged patches in layers: camouflage, plane bark, a piebald coat."""
    if canvas.chance(0.4):
        canvas.recolour(*canvas.pick(EARTHS, LEAVES, GREYS))
    image = material(canvas, canvas.palette[0], "paper", "stone")
    rough, period = canvas.uniform(0.35, 0.75), canvas.period * canvas.uniform(2, 3)
    rimmed = canvas.chance(0.3)
    for colour in canvas.palette[1:]:
        field = noise(canvas, period, 5, rough) - canvas.uniform(0.2, 1)
        if rimmed:
            image = mix(image, colour * canvas.uniform(0.4, 0.7), above(field + 0.25, soft=0.1))
        patch = tinted(colour, 0.1 * noise(canvas, period / 2, 4, 0.7))
        image = mix(image, patch, above(field, soft=canvas.uniform(0, 0.3)))
    return image


def _worn(canvas: Canvas) -> np.ndarray:
    """A coat of paint or plaster rubbed off in ragged patches; rust, lichen, grunge."""
    if canvas.chance(0.5):
        canvas.recolour(*EARTHS, "teal", "sky blue", "white")
    if canvas.chance(0.4):
        canvas.palette = _shades(canvas, 0.8 * canvas.palette[0] + 0.1, 2, 0.12)
    period, stretch = 3 * canvas.period, canvas.pick(1.0, 1.0, 0.4, 2.5)
    wear = noise(canvas, (period * stretch, period), 6, canvas.uniform(0.6, 0.85))
    wear = wear + canvas.uniform(0, 0.6) * noise(canvas, 0.8)
    bare = above(wear, canvas.uniform(0, 1), soft=canvas.uniform(0, 0.6))
    mottle = canvas.uniform(0.03, 0.1) * noise(canvas, 0.2, 5, 0.7) + grain(canvas, 0.05)
    return tinted(mix(flat(canvas, canvas.palette[0]), canvas.palette[1], bare), mottle)


def _blemished(canvas: Canvas) -> np.ndarray:
    """A fruit or a sick leaf: two colours that run together, and rimmed spots."""
    canvas.recolour(*LEAVES, "yellow", "red", "orange", "tan")
    period = canvas.period
    blush = noise(canvas, 0.6, 2) + 0.4 * noise(canvas, period, 3)
    image = mix(flat(canvas, canvas.palette[0]), canvas.palette[1], smoothstep(blush, -0.6, 0.8))
    spots = noise(canvas, period * 1.5, 4, 0.45) - canvas.uniform(0.8, 1.6)
    core = canvas.colour("brown", "maroon", "charcoal", "tan", "black")
    image = mix(image, core, smoothstep(spots, -0.15, 0) * 0.8)
    image = mix(image, core + 0.2, smoothstep(spots, 0.15, 0.6))
    return tinted(image, grain(canvas, 0.04, 0.003))


def _mosaic(canvas: Canvas) -> np.ndarray:
    """Small flat patches of near shades side by side."""
    u, v = canvas.coordinates()
    du, dv = flow(canvas, canvas.period / 2, canvas.period * canvas.uniform(0, 0.2), 3)
    c = cells(canvas, u + du, v + dv, canvas.period * canvas.uniform(0.4, 0.9), jitter=0.9)
    patches = vary(canvas, canvas.palette[: canvas.pick(1, 1, 2)], c.ids, canvas.uniform(0.08, 0.2))
    return tinted(patches, 0.1 * noise(canvas, 0.3))


def _blots(canvas: Canvas) -> np.ndarray:
    """Blots and splashes of ink or paint, with satellites."""
    canvas.rescale("medium", "coarse")
    image = material(canvas, canvas.palette[0])
    soft = canvas.pick(0.0, 0.0, canvas.uniform(0.003, 0.01))
    for colour in canvas.palette[1:]:
        places = points(canvas, canvas.uniform(0.2, 0.35), jitter=1.0)[: canvas.integer(8, 20)]
        sizes = canvas.period * canvas.rng.gamma(4, 0.12, len(places))
        outlines = [blob(canvas, p, s, 0.3) for p, s in zip(places, sizes, strict=True)]
        throws = canvas.rng.normal(0, 1.3, (len(places), 10, 2)) * sizes[:, None, None]
        drops = (places[:, None] + throws).reshape(-1, 2)
        radii = canvas.period * canvas.rng.gamma(1.5, 0.05, len(drops))
        mask = np.maximum(polygons(canvas, outlines), discs(canvas, drops, radii))
        image = mix(image, colour, blur(mask, soft))
    return image


# --- smeared ----------------------------------------------------------------------------------


def smeared(canvas: Canvas) -> np.ndarray:
    """Paint, make-up or mud dragged along."""
    return canvas.pick(_swatches, _swatches, _dragged, _trails)(canvas)


def _swatches(canvas: Canvas) -> np.ndarray:
    """Strokes of thick paint or lipstick, full at the start and dry at the end; finger marks."""
    colours = canvas.palette[1:]
    if canvas.chance(0.4):
        colours = _shades(canvas, colours[0], 4, 0.12)
    image = material(canvas, canvas.palette[0], "paper", "paper", "stone")
    streaks = noise(canvas, (1.2, canvas.uniform(0.012, 0.03)), 2)
    height = np.zeros_like(streaks)
    heading, cross = canvas.uniform(0, tau), canvas.pick(0.15, 0.15, 1.0)
    fingers, count = canvas.chance(0.25), canvas.integer(2, 6)
    x, y = canvas.grid()
    for k in range(count):
        u, v = turned(x, y, heading + canvas.rng.normal(0, cross))
        aside = 0.9 * ((k + 0.5) / count - 0.5 + canvas.rng.normal(0, 0.08))
        u, v = u - canvas.rng.normal(0, 0.12), v - aside
        v = v + canvas.uniform(-0.5, 0.5) * u * u
        half, length = canvas.uniform(0.4, 0.75) / (count + 1), canvas.uniform(0.5, 1.1)
        streak = sample(streaks, u / 2 + 0.1 * k, v + 0.1 * k)
        if fingers:
            v, half = np.abs(np.abs(v) - half) - half / 2, 0.4 * half
        across = 1 - np.abs(v) / half + 0.12 * streak
        along = u / length + 0.5
        start = along * (length / half) + 1 - (v / half) ** 2
        end = (1 - along) * canvas.uniform(1.5, 4) + 0.9 * streak
        paint = smoothstep(np.minimum(np.minimum(across, start), end), 0, 0.25)
        ridge = np.exp(-5 * np.abs(across)) + np.exp(-2 * np.abs(start - 0.5))
        colour = tinted(colours[k % len(colours)], 0.08 * streak)
        image = mix(image, colour, paint * canvas.uniform(0.8, 1))
        height = height + paint * (0.006 * (1 + 0.4 * streak + 0.8 * ridge) - height)
    return relief(canvas, image, height, gloss=canvas.uniform(0, 0.5), ambient=0.4)


def _dragged(canvas: Canvas) -> np.ndarray:
    """Wet colours pulled across the whole picture in one direction."""
    u, v = canvas.coordinates(warp=0.05)
    streaks = noise(canvas, (1.0, canvas.period * 0.15), 2)
    tongues = noise(canvas, (canvas.period * 4, canvas.period), 2)
    bands = noise(canvas, (1.0, canvas.period * 1.5), 2)
    field = sample(bands + 0.35 * streaks + 0.5 * tongues, u, v)
    thick = 0.0025 * sample(streaks + tongues, u, v)
    image = ramp(canvas.palette, unit(field, 0.03))
    return relief(canvas, image, thick, gloss=canvas.uniform(0, 0.4), ambient=0.5)


def _trails(canvas: Canvas) -> np.ndarray:
    """Wet blots wiped to one side: a full head, a fading tail."""
    places = points(canvas, canvas.uniform(0.2, 0.35), jitter=1.0, margin=0.3)
    sizes = canvas.rng.gamma(3, 0.012, len(places)) + 0.01
    trail = polygons(canvas, [blob(canvas, p, s, 0.3) for p, s in zip(places, sizes, strict=True)])
    x, y = canvas.grid()
    for shift in 2.0 ** np.arange(6):
        tail = sample(trail, x - np.float32(0.006 * shift), y)
        trail = np.maximum(trail, tail * np.float32(0.975**shift))
    streaks = noise(canvas, (1.0, 0.015), 2)
    trail = blur(trail + 0.25 * streaks * trail * (1 - trail), 0.002)
    haze = canvas.uniform(0, 0.15) * np.maximum(streaks, 0)
    wiped = sample(1.1 * trail + haze, *canvas.coordinates(warp=0.06))
    image = material(canvas, canvas.palette[0], "paper", "stone")
    return mix(image, canvas.palette[1], np.clip(wiped, 0, 1))


# --- stained ----------------------------------------------------------------------------------


def stained(canvas: Canvas) -> np.ndarray:
    """A plain ground with a few spills: tide marks, cup rings, splashes, runs of rust."""
    ground = canvas.colour("white", "cream", "beige", "silver", "tan", "grey", "sky blue", "pink")
    if canvas.chance(0.2):
        ground = canvas.colour()
    image = material(canvas, ground)
    for _ in range(canvas.integer(1, 3)):
        tint = canvas.colour(*RUSTS)
        if canvas.chance(0.2):
            tint = canvas.colour("red", "blue", "navy", "green", "purple", "black", "orange")
        kind = canvas.pick(_spill, _spill, _spill, _ring, _runs, _splash)
        times = 1 if kind is _runs else canvas.integer(1, 3)
        depth = np.maximum.reduce([kind(canvas) for _ in range(times)])
        depth = depth * (canvas.uniform(0.7, 1) + 0.12 * noise(canvas, 0.15, 3))
        # Translucent, so darker than the ground; on a dark one only a pale mark shows.
        wet = image * tint if ground.mean() > 0.3 else tint * 0.6 + 0.3
        image = mix(image, wet, np.clip(depth, 0, 1))
    return image


def _offset(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates about a random point, randomly stretched."""
    x, y = canvas.grid()
    stretch = canvas.uniform(0.7, 1.3)
    return (x - canvas.uniform(-0.35, 0.35)) * stretch, y - canvas.uniform(-0.35, 0.35)


def _spill(canvas: Canvas) -> np.ndarray:
    """A dried puddle: pale within, a dark tide mark along its edge."""
    radius = canvas.uniform(0.08, 0.32)
    inside = 1 - np.hypot(*_offset(canvas)) / radius
    inside = inside + canvas.uniform(0.1, 0.3) * noise(canvas, radius, 3, 0.55)
    tide = canvas.uniform(0.2, 0.9) * np.exp(-np.abs(inside) / 0.06)
    within = smoothstep(inside, 0, canvas.pick(0.02, 0.05, 0.4))
    return within * (canvas.uniform(0.45, 0.9) + tide)


def _ring(canvas: Canvas) -> np.ndarray:
    """The ring a wet cup leaves: thin, broken, doubled."""
    radius, width = canvas.uniform(0.12, 0.28), canvas.uniform(0.006, 0.018)
    away = np.hypot(*_offset(canvas)) - radius + 0.003 * noise(canvas, 0.15)
    line = np.exp(-((away / width) ** 2)) + 0.5 * np.exp(-((away / width + 2) ** 2))
    return smoothstep(noise(canvas, 0.4, 2), -1.2, 0.5) * line + 0.12 * smoothstep(away, 0, -0.02)


def _runs(canvas: Canvas) -> np.ndarray:
    """Streaks that ran down from an edge, as under rusting iron."""
    _, y = canvas.grid()
    row = noise(canvas, (canvas.uniform(0.04, 0.15), 4.0), 4, 0.7)[:1]
    reach = canvas.uniform(0.15, 0.4) * (row + canvas.uniform(0, 1))
    down = y - canvas.pick(-0.6, canvas.uniform(-0.5, 0)) + 0.03 * noise(canvas, 0.15, 3)
    body = smoothstep(down, 0, 0.05) * smoothstep(reach - down, 0, canvas.uniform(0.1, 0.4))
    return body * (0.8 + 0.2 * noise(canvas, (0.02, 0.6), 2))


def _splash(canvas: Canvas) -> np.ndarray:
    """Drops of all sizes scattered about a point."""
    count = canvas.integer(15, 50)
    throws = canvas.rng.normal(0, canvas.uniform(0.08, 0.25), (count, 2))
    radii = np.minimum(0.004 + 0.012 * canvas.rng.gamma(0.8, 1, count), 0.06)
    mask = discs(canvas, canvas.rng.uniform(-0.35, 0.35, 2) + throws, radii)
    return 0.8 * mask


PAINTERS = {
    "blotchy": blotchy,
    "smeared": smeared,
    "stained": stained,
}
