"""Curls, spirals and stirred bands: marbled, paisley, spiralled, swirly."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, LEAVES, MARBLES, METALS, Canvas
from stages.core.painter.fields import (
    above,
    arch,
    blur,
    contours,
    enlarge,
    flow,
    headings,
    noise,
    polar,
    sample,
    smoothstep,
    stripes,
    triangle,
    unit,
)
from stages.core.painter.lattices import points
from stages.core.painter.light import flat, mix, ramp, relief, tinted
from stages.core.painter.materials import material
from stages.core.painter.shapes import discs, polygons, strokes

# --- what marbled and swirly share ------------------------------------------------------------


def _inked(canvas: Canvas, t: np.ndarray) -> np.ndarray:
    """Bands of ink of period 1 in t: sharp ones over a ground, or colours that run together."""
    if canvas.chance(0.3):
        return ramp(canvas.palette, np.cos(tau * t) / 2 + 0.5)
    image = flat(canvas, canvas.palette[0])
    for k, colour in enumerate(canvas.palette[1:]):
        image = mix(image, colour, stripes(t + 0.3 * k, canvas.uniform(0.15, 0.5)))
    return image


# --- marbled ----------------------------------------------------------------------------------


def marbled(canvas: Canvas) -> np.ndarray:
    """Winding veins of polished stone, or the swirled inks of marbled paper."""
    canvas.rescale("medium", "coarse")
    return canvas.pick(_stone, _stone, _turbulent, _turbulent, _floated, _combed)(canvas)


def _stone(canvas: Canvas) -> np.ndarray:
    """Clouded polished stone crossed by long veins."""
    if canvas.chance(0.8):
        canvas.recolour(*canvas.pick(MARBLES, GREYS, ("black", "white", "green")))
    ground, vein = canvas.palette[:2]
    u, v = canvas.coordinates(warp=0)
    du, dv = flow(canvas, 0.5, 0.09, 4)
    u, v = u + du, v + dv
    clouds = 0.35 * unit(sample(noise(canvas, (0.8, 0.25), 5, 0.6), u, v))
    image = mix(flat(canvas, ground), vein, clouds)
    for period, width in ((0.5, 0.02), (0.3, 0.006), (0.2, 0.003)):
        field = sample(noise(canvas, (period * 2, period), 2), u, v)
        line = contours(canvas, field, width * np.clip(1 + noise(canvas, 0.3, 2), 0, 3))
        line = blur(line, canvas.uniform(0, 0.004)) * canvas.uniform(0.5, 1)
        image = mix(image, vein, line)
    return image


def _turbulent(canvas: Canvas) -> np.ndarray:
    """Marble as in Perlin, SIGGRAPH 1985: the sine of a position plus turbulence."""
    if canvas.chance(0.7):
        canvas.recolour(*MARBLES)
    u, _ = canvas.coordinates(warp=0)
    turbulence = noise(canvas, canvas.uniform(0.3, 0.6), 5, canvas.uniform(0.5, 0.65))
    t = u * canvas.uniform(2, 5) + canvas.uniform(0.3, 0.9) * turbulence
    wave = 1 - np.abs(np.sin(np.pi * t)) ** canvas.uniform(0.3, 1.2)
    return ramp(canvas.palette, wave + 0.08 * noise(canvas, 0.3, 5, 0.6))


def _floated(canvas: Canvas) -> np.ndarray:
    """Inks floated on water and stirred: contours of a strongly folded field."""
    u, v = canvas.coordinates()
    for period in (0.6, 0.3):
        du, dv = flow(canvas, period, canvas.uniform(0.1, 0.25) * period, 2)
        u, v = u + du, v + dv
    field = sample(noise(canvas, 0.35, 2), u, v)
    return _inked(canvas, field * (canvas.uniform(0.06, 0.2) / canvas.period))


def _combed(canvas: Canvas) -> np.ndarray:
    """Marbled paper: rows of ink drawn through by a comb."""
    u, v = canvas.coordinates(skew=0)
    du, dv = flow(canvas, 0.3, 0.015, 2)
    u, v = u + du, v + dv
    tooth = canvas.period * canvas.uniform(1, 2)
    zigzag = (2 * triangle(u / (2 * tooth)) - 1) ** 3
    teeth = np.abs(np.sin(np.pi / tooth * u)) if canvas.chance(0.5) else zigzag
    t = (v + canvas.uniform(0.5, 1.2) * tooth * teeth) / (canvas.period * canvas.uniform(0.6, 1))
    return _inked(canvas, t + 0.3 * noise(canvas, 0.2, 2))


# --- paisley ----------------------------------------------------------------------------------


def paisley(canvas: Canvas) -> np.ndarray:
    """Curved drops with outlines and fillings, as on a bandana or a shawl."""
    canvas.rescale("medium", "coarse")
    if canvas.chance(0.3):
        names = ("red", "navy", "black", "blue", "maroon"), ("white", "cream"), ("black", "white")
        canvas.palette = np.stack([canvas.colour(*options) for options in names])
    ground, line, accent = canvas.palette[0], canvas.palette[1], canvas.palette[-1]
    filling = canvas.palette[len(canvas.palette) // 2] if canvas.chance(0.5) else ground
    spacing, bend = canvas.period * canvas.uniform(1.8, 2.4), canvas.uniform(1.6, 2.6)
    places = points(canvas, spacing, 0.25, hexagonal=canvas.chance(0.6), margin=0.2)[:80]
    count = len(places)
    turns, hands = canvas.rng.uniform(0, tau, count), canvas.rng.choice([-1, 1], count)
    if canvas.chance(0.5):
        turns, hands = turns[0] + canvas.pick(0, np.pi) * (np.arange(count) % 2), np.ones(count)
    sizes = spacing * canvas.rng.uniform(0.24, 0.34, count)

    def everywhere(motif: np.ndarray) -> np.ndarray:
        """A motif (k, 2) turned, mirrored and enlarged at every place -> (n, k, 2)."""
        along = headings(turns)[:, None]
        aside = headings(turns + np.pi / 2)[:, None] * hands[:, None, None]
        moved = (motif[:, :1] - 0.7) * along + (motif[:, 1:] - 0.3) * aside
        return places[:, None] + sizes[:, None, None] * moved

    def drops(inset: float, scallop: float = 0) -> np.ndarray:
        return polygons(canvas, everywhere(_drop(bend, inset, scallop)))

    between = points(canvas, spacing * canvas.pick(0.2, 0.35), 0.5)[:250]
    lines = discs(canvas, between, spacing * canvas.uniform(0.012, 0.03))
    image = material(canvas, ground, "paper", "cloth")
    if canvas.chance(0.7):
        petals = between[::4, None] + 0.05 * spacing * headings(np.arange(5) * tau / 5)
        image = mix(image, accent, discs(canvas, petals.reshape(-1, 2), 0.028 * spacing))
    image = mix(image, line, np.maximum(lines, drops(0, canvas.pick(0, 0.15))))
    image = mix(image, filling, drops(0.1))
    image = mix(image, accent, drops(0.3, canvas.pick(0, 0.1)))
    image = mix(image, ground, drops(0.38))
    flower = 0.2 * headings(np.arange(6) * tau / 6) + np.array([0.1, 0])
    if canvas.chance(0.5):
        return mix(image, line, drops(0.58))
    centres = everywhere(flower).reshape(-1, 2)
    return mix(image, line, discs(canvas, centres, np.repeat(0.11 * sizes, len(flower))))


def _drop(bend: float, inset: float, scallop: float) -> np.ndarray:
    """Outline (k, 2) of a curved drop, its head of radius 1 about the origin.

    Its spine turns by `bend` radians; `inset` moves the outline inwards, `scallop` is the height
    of a frill along it.
    """
    s = np.linspace(0, 1, 40)
    along = headings(bend * s**1.5)
    spine = np.cumsum(along, 0) * 2.6 / len(s)
    radius = (1 - s) ** 1.1 - inset
    kept = radius > 0
    normal = np.stack([-along[:, 1], along[:, 0]], 1) * radius[:, None]
    cap = headings(np.linspace(-np.pi / 2, -3 * np.pi / 2, 16)[1:-1]) * radius[0]
    left, right = (spine + normal)[kept], (spine - normal)[kept][::-1]
    outline = np.concatenate([left, right, spine[0] + cap])
    if scallop:
        forward = np.gradient(outline, axis=0)
        forward /= np.hypot(*forward.T)[:, None] + 1e-6
        frill = scallop * np.abs(np.sin(np.linspace(0, 13 * np.pi, len(outline))))[:, None]
        outline = outline + frill * np.stack([-forward[:, 1], forward[:, 0]], 1)
    return outline


# --- spiralled --------------------------------------------------------------------------------


def spiralled(canvas: Canvas) -> np.ndarray:
    """One spiral or a few: winding lines, shells, stairs, coils, plants."""
    return canvas.pick(_hypnotic, _shell, _stairs, _coil, _rosette, _drawn, _spring)(canvas)


def _winding(canvas: Canvas, arms: int, pitch: float) -> tuple:
    """Radius, angle in turns, and t, which grows by 1 from whorl to whorl, about `pitch` apart."""
    radius, angle = polar(*canvas.coordinates(warp=0.01))
    if canvas.chance(0.5):
        angle = 1 - angle
    if canvas.chance(0.5):  # Archimedes' spiral, else a logarithmic one
        t = radius / pitch
    else:
        t = np.log(radius * 8 + 0.05) * (canvas.uniform(0.07, 0.16) / pitch)
    return radius, angle, t - arms * angle


def _hypnotic(canvas: Canvas) -> np.ndarray:
    """A flat spiral in two colours, as on a lollipop."""
    radius, _, t = _winding(canvas, canvas.pick(1, 1, 2, 3, 5), canvas.uniform(0.06, 0.16))
    soft = canvas.pick(0.0, 0.0, 1.0)
    mask = above(np.cos(tau * t), canvas.uniform(-0.5, 0.5), soft)
    image = mix(flat(canvas, canvas.palette[0]), canvas.palette[1], mask)
    if canvas.chance(0.4):
        edge = above(radius - canvas.uniform(0.36, 0.48))
        image = mix(image, material(canvas, canvas.colour()), edge)
    return image


def _shell(canvas: Canvas) -> np.ndarray:
    """A shell: round ribbed whorls that grow outwards."""
    canvas.recolour(*EARTHS, "white", "pink", "orange")
    radius, angle = polar(*canvas.coordinates(warp=0.01))
    growth = float(np.log(canvas.uniform(1.6, 2.8)))
    t = np.log(radius / canvas.uniform(0.18, 0.3)) / growth - angle
    across = t - np.floor(t)
    ribs = np.cos(tau * (angle * canvas.integer(14, 40) + across * canvas.uniform(0, 2)))
    height = radius * (0.5 * np.sqrt(across * (1 - across)) + canvas.uniform(0, 0.02) * ribs)
    tone = ramp(canvas.palette, across + canvas.uniform(0, 0.3) * ribs)
    image = relief(canvas, tone, height, gloss=canvas.uniform(0, 0.4))
    image = image * smoothstep(np.minimum(across, 1 - across), -0.02, 0.08)[..., None]
    return mix(material(canvas, canvas.colour()), image, (t < 0).astype(np.float32))


def _stairs(canvas: Canvas) -> np.ndarray:
    """A spiral staircase seen along its well: treads, and a rail that winds in."""
    canvas.recolour(*EARTHS, *METALS, "white")
    radius, angle = polar(*canvas.coordinates(warp=0))
    t = np.log(radius / 0.3) / float(np.log(canvas.uniform(2, 3.5))) - angle
    across = t - np.floor(t)
    treads = angle * canvas.integer(16, 30)
    light = (0.35 + 0.65 * (treads - np.floor(treads))) * (0.5 + across / 2)
    image = canvas.palette[0] * light[..., None]
    image = mix(image, canvas.palette[1], smoothstep(across, 0.62, 0.66))
    shadow = 1 - 0.7 * smoothstep(np.abs(across - 0.6), 0.05, 0)
    depth = smoothstep(radius, 0, 0.35) if canvas.chance(0.6) else 1.2 - radius
    return np.clip(image * (1.2 * shadow * depth)[..., None], 0, 1)


def _coil(canvas: Canvas) -> np.ndarray:
    """A rope, wire or roll wound up flat."""
    radius, angle, t = _winding(canvas, 1, canvas.uniform(0.07, 0.16))
    across = 2 * (t - np.rint(t))
    tube = arch(across)
    lay = np.cos(tau * (angle * canvas.integer(16, 30) + across)) * smoothstep(radius, 0.05, 0.3)
    height = tube * (0.03 + canvas.pick(0.0, 0.004) * lay)
    core = smoothstep(across, 0, 1) * canvas.pick(0.0, 0.6)
    colour = mix(flat(canvas, canvas.palette[0]), canvas.palette[-1], core)
    image = relief(canvas, colour, height, gloss=canvas.uniform(0, 0.6))
    return image * (0.25 + 0.75 * smoothstep(tube, 0, 0.5))[..., None]


def _rosette(canvas: Canvas) -> np.ndarray:
    """A succulent or a flower head: leaves along two families of winding rows."""
    canvas.recolour(*LEAVES, "yellow", "brown", "pink")
    radius, angle = polar(*canvas.coordinates(warp=0.01))
    grow = np.log(radius) * (canvas.uniform(0.7, 1) / tau)
    few, many = canvas.pick((2, 7), (3, 8), (3, 13), (5, 13), (5, 8))
    a, b = few * angle + many * grow, many * angle - few * grow
    a, b = a - np.floor(a), b - np.floor(b)
    leaf = np.sqrt(np.maximum(a * (1 - b) * 4 * b, 0))
    height = radius * (leaf + a) * (1.5 / many)
    image = relief(canvas, ramp(canvas.palette[:2], a), height, gloss=canvas.uniform(0, 0.3))
    return image * (0.15 + 0.85 * smoothstep(leaf, 0, 0.5))[..., None]


def _drawn(canvas: Canvas) -> np.ndarray:
    """A few drawn, bent or iced spirals on a plain ground."""
    spacing, turns = canvas.pick(0.3, 0.45, 0.6), canvas.uniform(2.5, 4.5) * canvas.pick(-1, 1)
    places = points(canvas, spacing, jitter=0.2, hexagonal=canvas.chance(0.5), margin=0)
    s = np.linspace(0.02, 1, 90)
    reach = 0.46 * spacing * s[:, None] ** canvas.pick(1.0, 1.6)
    phases = canvas.rng.uniform(0, tau, len(places))[:, None]
    curves = places[:, None] + reach * headings(phases + tau * turns * s)
    line = strokes(canvas, curves, spacing * canvas.uniform(0.03, 0.06))
    image = mix(material(canvas, canvas.palette[0]), canvas.palette[1], line)
    if canvas.chance(0.5):
        image = relief(canvas, image, 0.02 * blur(line, 0.006), gloss=0.4)
    return image


def _spring(canvas: Canvas) -> np.ndarray:
    """Springs, bindings and curly cords: loop after loop along a line."""
    count, pitch = canvas.integer(1, 3), canvas.uniform(0.05, 0.12)
    reach, lean = canvas.uniform(0.12, 0.4) / count, canvas.uniform(0.3, 0.9) * pitch
    phase = np.arange(-50, 50, 0.15)
    loops = np.stack([phase * pitch / tau + lean * np.cos(phase), reach * np.sin(phase)], 1)
    along, aside = headings(canvas.orientation() + np.array([0, np.pi / 2]))
    rows = (np.arange(count) + 0.5) / count - 0.5
    lines = [loops @ np.stack([along, aside]) + row * aside for row in rows]
    width = pitch * canvas.uniform(0.25, 0.5)
    shadow = blur(strokes(canvas, [line + 0.02 for line in lines], width), 0.01)
    image = tinted(material(canvas, canvas.palette[0]), -0.4 * shadow)
    for part in (1.0, 0.65, 0.25):  # the narrower, the lighter: a round wire
        colour = np.clip(canvas.palette[1] * (1.35 - 0.9 * part) + 0.3 * (1 - part), 0, 1)
        image = mix(image, colour, strokes(canvas, lines, width * part))
    return image


# --- swirly -----------------------------------------------------------------------------------


def swirly(canvas: Canvas) -> np.ndarray:
    """Flowing curls, many of them."""
    canvas.rescale("medium", "coarse")
    return canvas.pick(_psychedelic, _psychedelic, _cream, _brushed, _scrolls)(canvas)


def _stirred(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates twisted by many whirls."""
    u, v = canvas.coordinates()
    reach = canvas.period * canvas.uniform(0.8, 1.1)
    du, dv = _whirls(canvas, round(min(1.2 / reach**1.3, 36)), reach, canvas.uniform(2.5, 4.5))
    return u + du, v + dv


def _whirls(canvas: Canvas, count: int, reach: float, turn: float) -> tuple:
    """A displacement du, dv that turns `count` discs by about `turn` radians at their middles."""
    axis = (np.arange(96, dtype=np.float32) + 0.5) / 96 - 0.5  # smooth enough to be enlarged
    x, y = u, v = np.meshgrid(axis, axis)
    for _ in range(count):
        centre_x, centre_y = canvas.uniform(-0.55, 0.55), canvas.uniform(-0.55, 0.55)
        du, dv = u - centre_x, v - centre_y
        radius = reach * canvas.uniform(0.6, 1.4)
        strength = turn * canvas.uniform(0.6, 1.2) * canvas.pick(-1, 1)
        angle = strength * np.exp(-(du * du + dv * dv) / radius**2)
        cos, sin = np.cos(angle), np.sin(angle)
        u, v = centre_x + cos * du - sin * dv, centre_y + sin * du + cos * dv
    return enlarge(u - x, canvas.size), enlarge(v - y, canvas.size)


def _psychedelic(canvas: Canvas) -> np.ndarray:
    """Bands of colour wound up by whirls."""
    u, v = _stirred(canvas)
    bends = sample(noise(canvas, canvas.period * 3), u, v)
    return _inked(canvas, u / (canvas.period * canvas.uniform(1, 2)) + 0.5 * bends)


def _cream(canvas: Canvas) -> np.ndarray:
    """Stirred cream, ice or smoke: soft shaded folds."""
    u, v = _stirred(canvas)
    field = sample(noise(canvas, (0.25, 0.1), 2), u / 2, v / 2)
    image = ramp(canvas.palette[:2], unit(field))
    return relief(canvas, image, 0.008 * field, gloss=canvas.uniform(0, 0.5), ambient=0.4)


def _brushed(canvas: Canvas) -> np.ndarray:
    """Short brush strokes along whirling streams, as in a night by van Gogh."""
    potential = enlarge(canvas.rng.standard_normal((7, 7), dtype=np.float32), 96)
    along_y, along_x = np.gradient(potential)
    stream = np.stack([along_y, -along_x], 2) / (np.hypot(along_x, along_y) + 1e-3)[..., None]

    def at(field: np.ndarray, places: np.ndarray) -> np.ndarray:
        column, row = np.clip((places + 0.5) * 96, 0, 95).astype(int).T
        return field[row, column]

    path = [points(canvas, 0.035, jitter=1.0)]
    for _ in range(8):
        path.append(path[-1] + 0.012 * at(stream, path[-1]))
    tone = 0.5 + 0.35 * np.sin(4 * at(potential, path[4]))
    tone = np.clip(tone + canvas.rng.normal(0, 0.12, len(tone)), 0, 1)
    field = strokes(canvas, np.stack(path, 1), canvas.uniform(0.01, 0.018), tone)
    return relief(canvas, ramp(canvas.palette, field), 0.006 * field, ambient=0.5)


def _scrolls(canvas: Canvas) -> np.ndarray:
    """Scrollwork: curves that wind up at their ends, on a plain ground."""
    s = np.linspace(-1, 1, 60)
    curves = []
    for place in points(canvas, canvas.period * 1.3, jitter=0.7)[:140]:
        winding = s * np.abs(s) if canvas.chance(0.5) else s * s
        tightness = np.where(s < 0, canvas.uniform(0.2, 1), 1) * canvas.uniform(5, 9)
        heading = canvas.uniform(0, tau) + canvas.pick(-1, 1) * tightness * winding
        curve = np.cumsum(0.07 * canvas.period * headings(heading), 0)
        curves.append(place + curve - curve.mean(0))
    image = material(canvas, canvas.palette[0])
    width = canvas.period * canvas.uniform(0.08, 0.2)
    for k, colour in enumerate(canvas.palette[1:3]):
        image = mix(image, colour, strokes(canvas, curves[k::2], width))
    return image


PAINTERS = {
    "marbled": marbled,
    "paisley": paisley,
    "spiralled": spiralled,
    "swirly": swirly,
}
