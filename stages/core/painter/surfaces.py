"""Painters of textures of matter: blots, smears, marble, whirls, veins, cracks, crystals, folds."""

import cv2
import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, METALS, Canvas
from stages.core.painter.primitives import (
    Cells,
    above,
    blob,
    blur,
    cells,
    discs,
    enlarge,
    flat,
    flow,
    gradient,
    grain,
    mix,
    noise,
    points,
    polygons,
    ramp,
    relief,
    sample,
    smoothstep,
    stripes,
    strokes,
    triangle,
    unit,
    vary,
)

LEAVES = ("green", "green", "green", "lime", "olive", "maroon", "gold", "teal", "purple")
STONES = ("white", "cream", "beige", "silver", "grey", "charcoal", "black", "tan", "maroon")
GEMS = ("purple", "lilac", "sky blue", "turquoise", "white", "pink", "green", "silver", "blue")
RUSTS = ("brown", "brown", "brown", "tan", "maroon", "gold", "charcoal", "olive")
SKINS = ("pink", "beige", "tan", "red", "maroon", "lilac")
WHITE = np.ones(3, np.float32)
TWO_PI = 2 * np.pi


# --- what several classes share ---------------------------------------------------------------


def _tinted(base: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """An image or a colour made lighter and darker by a field about 0."""
    return np.clip(base * (1 + texture)[..., None], 0, 1)


def _shades(canvas: Canvas, colour: np.ndarray, count: int, spread: float) -> np.ndarray:
    """Colours (count, 3) near to one another: lighter, darker, a little off in hue."""
    shifts = canvas.rng.normal(0, spread, (count, 1)) + canvas.rng.normal(0, spread / 3, (count, 3))
    return np.clip(colour + shifts, 0, 1).astype(np.float32)


def _ground(canvas: Canvas, colour: np.ndarray, *kinds: str) -> np.ndarray:
    """A plain piece of one of the materials (any if none is given) in one colour."""
    kind = canvas.pick(*(kinds or ("paper", "cloth", "stone", "wood")))
    texture = grain(canvas, canvas.uniform(0.01, 0.03))
    if kind == "wood":
        u, v = canvas.coordinates(skew=0, warp=0.03)
        texture = texture + 0.07 * sample(noise(canvas, (0.7, 0.02), 3), u, v)
        texture = texture - 0.3 * stripes(v / 0.3, 0.02)
    elif kind == "cloth":
        u, v = canvas.coordinates()
        thread = TWO_PI / canvas.uniform(0.012, 0.03)
        texture = texture + 0.025 * (np.sin(u * thread) + np.sin(v * thread))
    elif kind == "stone":
        texture = texture + canvas.uniform(0.03, 0.08) * noise(canvas, 0.3, 6, 0.75)
    else:
        texture = texture + canvas.uniform(0, 0.05) * noise(canvas, 0.4, 3)
    return _tinted(colour, texture)


def _ink(canvas: Canvas, field: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Mask of lines along field = 0, `width` of the side wide, fainter where below a pixel."""
    distance = np.abs(field) / (np.hypot(*gradient(field)) + 1e-6)
    pixels = np.float32(width * canvas.size)
    return np.clip(np.maximum(pixels, 1) / 2 - distance + 0.5, 0, 1) * np.minimum(pixels, 1)


def _polar(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance from 0, and the angle in turns, [0, 1]."""
    radius, angle = cv2.cartToPolar(u, v)
    return radius + 1e-4, angle / TWO_PI


def _headings(angles: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 2) of angles (...) in radians."""
    return np.stack([np.cos(angles), np.sin(angles)], -1)


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


def _tree(
    canvas: Canvas,
    starts: np.ndarray,
    angles: np.ndarray,
    length: float,
    width: float,
    generations: int = 4,
    children: int = 4,
    spread: float = 0.8,
    wiggle: float = 0.15,
) -> np.ndarray:
    """Mask of branching paths from `starts` (n, 2) along `angles` (n,), in radians."""
    lines, widths = [], []
    for _ in range(generations):
        count = len(angles)
        bent = angles[:, None] + np.cumsum(canvas.rng.normal(0, wiggle, (count, 16)), 1)
        steps = length / 16 * canvas.rng.uniform(0.5, 1.2, (count, 1, 1)) * _headings(bent)
        paths = np.cumsum(np.concatenate([starts[:, None], steps], 1), 1)
        lines += list(paths)
        widths += [width] * count
        twigs = np.arange(count)[:, None], canvas.rng.integers(2, 15, (count, children))
        turns = spread * canvas.rng.choice([-1, 1], (count, children))
        turns = turns * canvas.rng.uniform(0.7, 1.3, (count, children))
        starts, angles = paths[twigs].reshape(-1, 2), (bent[twigs] + turns).ravel()
        length, width = length * 0.5, width * 0.55
    return strokes(canvas, lines, widths)


# --- blotchy ----------------------------------------------------------------------------------


def blotchy(canvas: Canvas) -> np.ndarray:
    """Irregular patches of other tones all over."""
    often = _mottled, _patched, _worn
    return canvas.pick(*often, *often, _mottled, _mottled, _ripe, _mosaic, _blots)(canvas)


def _mottled(canvas: Canvas) -> np.ndarray:
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
    return np.clip(image * _ground(canvas, WHITE, "paper", "cloth", "stone") * 1.1, 0, 1)


def _patched(canvas: Canvas) -> np.ndarray:
    """Hard-edged patches in layers: camouflage, plane bark, a piebald coat."""
    if canvas.chance(0.4):
        canvas.recolour(*canvas.pick(EARTHS, LEAVES, GREYS))
    image = _ground(canvas, canvas.palette[0], "paper", "stone")
    rough, period = canvas.uniform(0.35, 0.75), canvas.period * canvas.uniform(2, 3)
    rimmed = canvas.chance(0.3)
    for colour in canvas.palette[1:]:
        field = noise(canvas, period, 5, rough) - canvas.uniform(0.2, 1)
        if rimmed:
            image = mix(image, colour * canvas.uniform(0.4, 0.7), above(field + 0.25, soft=0.1))
        patch = _tinted(colour, 0.1 * noise(canvas, period / 2, 4, 0.7))
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
    return _tinted(mix(flat(canvas, canvas.palette[0]), canvas.palette[1], bare), mottle)


def _ripe(canvas: Canvas) -> np.ndarray:
    """A fruit or a sick leaf: two colours that run together, and rimmed spots."""
    canvas.recolour(*LEAVES, "yellow", "red", "orange", "tan")
    period = canvas.period
    blush = noise(canvas, 0.6, 2) + 0.4 * noise(canvas, period, 3)
    image = mix(flat(canvas, canvas.palette[0]), canvas.palette[1], smoothstep(blush, -0.6, 0.8))
    spots = noise(canvas, period * 1.5, 4, 0.45) - canvas.uniform(0.8, 1.6)
    core = canvas.colour("brown", "maroon", "charcoal", "tan", "black")
    image = mix(image, core, smoothstep(spots, -0.15, 0) * 0.8)
    image = mix(image, core + 0.2, smoothstep(spots, 0.15, 0.6))
    return _tinted(image, grain(canvas, 0.04, 0.003))


def _mosaic(canvas: Canvas) -> np.ndarray:
    """Small flat patches of near shades side by side."""
    u, v = canvas.coordinates()
    du, dv = flow(canvas, canvas.period / 2, canvas.period * canvas.uniform(0, 0.2), 3)
    c = cells(canvas, u + du, v + dv, canvas.period * canvas.uniform(0.4, 0.9), jitter=0.9)
    patches = vary(canvas, canvas.palette[: canvas.pick(1, 1, 2)], c.ids, canvas.uniform(0.08, 0.2))
    return _tinted(patches, 0.1 * noise(canvas, 0.3))


def _blots(canvas: Canvas) -> np.ndarray:
    """Blots and splashes of ink or paint, with satellites."""
    canvas.rescale("medium", "coarse")
    image = _ground(canvas, canvas.palette[0])
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


# --- stained ----------------------------------------------------------------------------------


def stained(canvas: Canvas) -> np.ndarray:
    """A plain ground with a few spills: tide marks, cup rings, splashes, runs of rust."""
    ground = canvas.colour("white", "cream", "beige", "silver", "tan", "grey", "sky blue", "pink")
    if canvas.chance(0.2):
        ground = canvas.colour()
    image = _ground(canvas, ground)
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


# --- smeared ----------------------------------------------------------------------------------


def smeared(canvas: Canvas) -> np.ndarray:
    """Paint, make-up or mud dragged along."""
    return canvas.pick(_swatches, _swatches, _dragged, _trails)(canvas)


def _swatches(canvas: Canvas) -> np.ndarray:
    """Strokes of thick paint or lipstick, full at the start and dry at the end; finger marks."""
    colours = canvas.palette[1:]
    if canvas.chance(0.4):
        colours = _shades(canvas, colours[0], 4, 0.12)
    image = _ground(canvas, canvas.palette[0], "paper", "paper", "stone")
    streaks = noise(canvas, (1.2, canvas.uniform(0.012, 0.03)), 2)
    height = np.zeros_like(streaks)
    heading, cross = canvas.uniform(0, TWO_PI), canvas.pick(0.15, 0.15, 1.0)
    fingers, count = canvas.chance(0.25), canvas.integer(2, 6)
    x, y = canvas.grid()
    for k in range(count):
        cos, sin = _headings(heading + canvas.rng.normal(0, cross)).astype(np.float32)
        aside = 0.9 * ((k + 0.5) / count - 0.5 + canvas.rng.normal(0, 0.08))
        u, v = cos * x + sin * y - canvas.rng.normal(0, 0.12), cos * y - sin * x - aside
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
        colour = _tinted(colours[k % len(colours)], 0.08 * streak)
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
    image = _ground(canvas, canvas.palette[0], "paper", "stone")
    return mix(image, canvas.palette[1], np.clip(wiped, 0, 1))


# --- marbled ----------------------------------------------------------------------------------


def marbled(canvas: Canvas) -> np.ndarray:
    """Winding veins of polished stone, or the swirled inks of marbled paper."""
    canvas.rescale("medium", "coarse")
    return canvas.pick(_stone, _stone, _turbulent, _turbulent, _inks, _combed)(canvas)


def _stone(canvas: Canvas) -> np.ndarray:
    """Clouded polished stone crossed by long veins."""
    if canvas.chance(0.8):
        canvas.recolour(*canvas.pick(STONES, GREYS, ("black", "white", "green")))
    ground, vein = canvas.palette[:2]
    u, v = canvas.coordinates(warp=0)
    du, dv = flow(canvas, 0.5, 0.09, 4)
    u, v = u + du, v + dv
    clouds = 0.35 * unit(sample(noise(canvas, (0.8, 0.25), 5, 0.6), u, v))
    image = mix(flat(canvas, ground), vein, clouds)
    for period, width in ((0.5, 0.02), (0.3, 0.006), (0.2, 0.003)):
        field = sample(noise(canvas, (period * 2, period), 2), u, v)
        line = _ink(canvas, field, width * np.clip(1 + noise(canvas, 0.3, 2), 0, 3))
        line = blur(line, canvas.uniform(0, 0.004)) * canvas.uniform(0.5, 1)
        image = mix(image, vein, line)
    return image


def _turbulent(canvas: Canvas) -> np.ndarray:
    """Marble as in Perlin, SIGGRAPH 1985: the sine of a position plus turbulence."""
    if canvas.chance(0.7):
        canvas.recolour(*STONES)
    u, _ = canvas.coordinates(warp=0)
    turbulence = noise(canvas, canvas.uniform(0.3, 0.6), 5, canvas.uniform(0.5, 0.65))
    t = u * canvas.uniform(2, 5) + canvas.uniform(0.3, 0.9) * turbulence
    wave = 1 - np.abs(np.sin(np.pi * t)) ** canvas.uniform(0.3, 1.2)
    return ramp(canvas.palette, wave + 0.08 * noise(canvas, 0.3, 5, 0.6))


def _inks(canvas: Canvas) -> np.ndarray:
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


def _inked(canvas: Canvas, t: np.ndarray) -> np.ndarray:
    """Bands of ink of period 1 in t: sharp ones over a ground, or colours that run together."""
    if canvas.chance(0.3):
        return ramp(canvas.palette, np.cos(TWO_PI * t) / 2 + 0.5)
    image = flat(canvas, canvas.palette[0])
    for k, colour in enumerate(canvas.palette[1:]):
        image = mix(image, colour, stripes(t + 0.3 * k, canvas.uniform(0.15, 0.5)))
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
        heading = canvas.uniform(0, TWO_PI) + canvas.pick(-1, 1) * tightness * winding
        curve = np.cumsum(0.07 * canvas.period * _headings(heading), 0)
        curves.append(place + curve - curve.mean(0))
    image = _ground(canvas, canvas.palette[0])
    width = canvas.period * canvas.uniform(0.08, 0.2)
    for k, colour in enumerate(canvas.palette[1:3]):
        image = mix(image, colour, strokes(canvas, curves[k::2], width))
    return image


# --- spiralled --------------------------------------------------------------------------------


def spiralled(canvas: Canvas) -> np.ndarray:
    """One spiral or a few: winding lines, shells, stairs, coils, plants."""
    return canvas.pick(_hypnotic, _shell, _stairs, _coil, _rosette, _drawn, _spring)(canvas)


def _winding(canvas: Canvas, arms: int, pitch: float) -> tuple:
    """Radius, angle in turns, and t, which grows by 1 from whorl to whorl, about `pitch` apart."""
    radius, angle = _polar(*canvas.coordinates(warp=0.01))
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
    mask = above(np.cos(TWO_PI * t), canvas.uniform(-0.5, 0.5), soft)
    image = mix(flat(canvas, canvas.palette[0]), canvas.palette[1], mask)
    if canvas.chance(0.4):
        edge = above(radius - canvas.uniform(0.36, 0.48))
        image = mix(image, _ground(canvas, canvas.colour()), edge)
    return image


def _shell(canvas: Canvas) -> np.ndarray:
    """A shell: round ribbed whorls that grow outwards."""
    canvas.recolour(*EARTHS, "white", "pink", "orange")
    radius, angle = _polar(*canvas.coordinates(warp=0.01))
    growth = float(np.log(canvas.uniform(1.6, 2.8)))
    t = np.log(radius / canvas.uniform(0.18, 0.3)) / growth - angle
    across = t - np.floor(t)
    ribs = np.cos(TWO_PI * (angle * canvas.integer(14, 40) + across * canvas.uniform(0, 2)))
    height = radius * (0.5 * np.sqrt(across * (1 - across)) + canvas.uniform(0, 0.02) * ribs)
    tone = ramp(canvas.palette, across + canvas.uniform(0, 0.3) * ribs)
    image = relief(canvas, tone, height, gloss=canvas.uniform(0, 0.4))
    image = image * smoothstep(np.minimum(across, 1 - across), -0.02, 0.08)[..., None]
    return mix(_ground(canvas, canvas.colour()), image, np.float32(t < 0))


def _stairs(canvas: Canvas) -> np.ndarray:
    """A spiral staircase seen along its well: treads, and a rail that winds in."""
    canvas.recolour(*EARTHS, *METALS, "white")
    radius, angle = _polar(*canvas.coordinates(warp=0))
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
    tube = np.sqrt(np.maximum(1 - across * across, 0))
    lay = np.cos(TWO_PI * (angle * canvas.integer(16, 30) + across)) * smoothstep(radius, 0.05, 0.3)
    height = tube * (0.03 + canvas.pick(0.0, 0.004) * lay)
    core = smoothstep(across, 0, 1) * canvas.pick(0.0, 0.6)
    colour = mix(flat(canvas, canvas.palette[0]), canvas.palette[-1], core)
    image = relief(canvas, colour, height, gloss=canvas.uniform(0, 0.6))
    return image * (0.25 + 0.75 * smoothstep(tube, 0, 0.5))[..., None]


def _rosette(canvas: Canvas) -> np.ndarray:
    """A succulent or a flower head: leaves along two families of winding rows."""
    canvas.recolour(*LEAVES, "yellow", "brown", "pink")
    radius, angle = _polar(*canvas.coordinates(warp=0.01))
    grow = np.log(radius) * (canvas.uniform(0.7, 1) / TWO_PI)
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
    phases = canvas.rng.uniform(0, TWO_PI, len(places))[:, None]
    curves = places[:, None] + reach * _headings(phases + TWO_PI * turns * s)
    line = strokes(canvas, curves, spacing * canvas.uniform(0.03, 0.06))
    image = mix(_ground(canvas, canvas.palette[0]), canvas.palette[1], line)
    if canvas.chance(0.5):
        image = relief(canvas, image, 0.02 * blur(line, 0.006), gloss=0.4)
    return image


def _spring(canvas: Canvas) -> np.ndarray:
    """Springs, bindings and curly cords: loop after loop along a line."""
    count, pitch = canvas.integer(1, 3), canvas.uniform(0.05, 0.12)
    reach, lean = canvas.uniform(0.12, 0.4) / count, canvas.uniform(0.3, 0.9) * pitch
    phase = np.arange(-50, 50, 0.15)
    loops = np.stack([phase * pitch / TWO_PI + lean * np.cos(phase), reach * np.sin(phase)], 1)
    along, aside = _headings(canvas.orientation() + np.array([0, np.pi / 2]))
    rows = (np.arange(count) + 0.5) / count - 0.5
    lines = [loops @ np.stack([along, aside]) + row * aside for row in rows]
    width = pitch * canvas.uniform(0.25, 0.5)
    shadow = blur(strokes(canvas, [line + 0.02 for line in lines], width), 0.01)
    image = _tinted(_ground(canvas, canvas.palette[0]), -0.4 * shadow)
    for part in (1.0, 0.65, 0.25):  # the narrower, the lighter: a round wire
        colour = np.clip(canvas.palette[1] * (1.35 - 0.9 * part) + 0.3 * (1 - part), 0, 1)
        image = mix(image, colour, strokes(canvas, lines, width * part))
    return image


# --- veined -----------------------------------------------------------------------------------


def veined(canvas: Canvas) -> np.ndarray:
    """Branching veins: leaves, wings, petals, skin, cheese."""
    often = _leaf, _wing
    return canvas.pick(*often, *often, _leaf, _vessels, _petal, _cheese)(canvas)


def _leaf(canvas: Canvas) -> np.ndarray:
    """A leaf close by: midrib, side veins on either hand, a fine mesh between."""
    if canvas.chance(0.85):
        canvas.recolour(*LEAVES)
    canvas.rescale("medium", "medium", "coarse")
    blade = canvas.palette[0]
    u, v = canvas.coordinates(perspective=0.5)
    period, away = canvas.period * canvas.uniform(0.9, 1.5), np.abs(v)
    slanted = u - away * canvas.uniform(0.4, 1.3) - canvas.uniform(0, 1) * away * away
    t = slanted / period + 0.25 * np.sign(v) + 0.05 * noise(canvas, 0.2)
    gap = np.abs(t - np.rint(t))
    ribs = stripes(t, canvas.uniform(0.08, 0.14) / (1 + 2 * away), 0.04)
    ribs = np.maximum(ribs, smoothstep(away, 0.12 * period, 0.05 * period))
    mesh, other = noise(canvas, period * 0.35), noise(canvas, period * 0.35)
    fine = np.maximum(_ink(canvas, mesh, 0.004), _ink(canvas, other, 0.004))
    puff = period * canvas.uniform(0.05, 0.25) * np.minimum(gap * 2, 0.7) + 0.0015 * mesh
    image = _tinted(blade, 0.08 * noise(canvas, 0.3, 3))
    image = relief(canvas, image, puff, gloss=canvas.uniform(0, 0.25), ambient=0.5)
    pale = blade + canvas.uniform(0.35, 0.8) * (np.float32([0.95, 0.95, 0.75]) - blade)
    vein = pale if canvas.chance(0.75) else canvas.palette[1] * 0.6
    veins = np.maximum(ribs, canvas.uniform(0.15, 0.5) * fine)
    return np.clip(mix(image, vein, veins), 0, 1)


def _wing(canvas: Canvas) -> np.ndarray:
    """A leaf against the light or an insect's wing: ribs, and a mesh of small cells between."""
    leaf = canvas.chance(0.6)
    if leaf:
        canvas.recolour(*LEAVES)
    u, v = canvas.coordinates(warp=0.04)
    period = canvas.period * canvas.uniform(0.6, 1)
    du, dv = flow(canvas, period, period * 0.08)
    across = v / (1 + canvas.uniform(-0.8, 0.8) * u)
    c = cells(canvas, u + du, across + dv, (period * canvas.uniform(0.8, 2), period))
    row = np.abs(v) * canvas.uniform(0.3, 0.9) - u if leaf else across
    ribs = np.sin(row * (np.pi / (period * canvas.uniform(3, 5))))
    ribs = _ink(canvas, ribs, canvas.uniform(0.008, 0.016))
    mesh = canvas.uniform(0.4, 1) * above(canvas.uniform(0.015, 0.05) - c.border)
    veins = np.maximum(mesh, ribs)
    if leaf:
        blade = canvas.palette[0]
        vein = (blade / 2 + np.float32([0.5, 0.5, 0.35])) * canvas.pick(1.0, 1.0, 0.25)
        film = _tinted(blade, 0.1 * canvas.table(-1, 1)[c.ids])
        return np.clip(mix(film, vein, np.maximum(veins, _ink(canvas, v, 0.03))), 0, 1)
    film = ramp(canvas.palette[:2], unit(noise(canvas, 0.5, 3)))
    film = film + (1 - film) * canvas.uniform(0.1, 0.6)
    return mix(film, canvas.colour("black", "brown", "charcoal", "maroon"), veins)


def _vessels(canvas: Canvas) -> np.ndarray:
    """Vessels under skin or roots on stone: crooked branches from the border inwards."""
    canvas.recolour(*canvas.pick((), SKINS, STONES))
    count = canvas.integer(2, 5)
    angles = canvas.uniform(0, TWO_PI) + canvas.rng.uniform(-1.2, 1.2, count)
    width = canvas.uniform(0.008, 0.02)
    mask = _tree(canvas, -0.75 * _headings(angles), angles, 1.5, width, spread=0.6, wiggle=0.25)
    mask = blur(mask, canvas.pick(0.001, 0.004))
    image = _ground(canvas, canvas.palette[0], "paper", "stone")
    image = mix(image, canvas.palette[1], mask * canvas.uniform(0.4, 1))
    if canvas.chance(0.6):
        image = relief(canvas, image, 0.02 * blur(mask, 0.01), gloss=0.1)
    return image


def _petal(canvas: Canvas) -> np.ndarray:
    """A petal or a cabbage leaf: veins fan out from one point and fork."""
    heading, count = canvas.uniform(0, TWO_PI), canvas.integer(7, 14)
    base = -0.6 * _headings(heading).astype(np.float32)
    fan = heading + np.linspace(-0.8, 0.8, count) + canvas.rng.normal(0, 0.04, count)
    starts, width = np.repeat(base[None], count, 0), canvas.uniform(0.006, 0.012)
    mask = _tree(canvas, starts, fan, 1.6, width, generations=3, spread=0.3, wiggle=0.04)
    x, y = canvas.grid()
    heart = smoothstep(np.hypot(x - base[0], y - base[1]), 0.6, 0.1) * canvas.uniform(0, 0.8)
    image = mix(_ground(canvas, canvas.palette[0], "paper"), canvas.palette[-1], heart)
    image = mix(image, canvas.palette[1], mask * canvas.uniform(0.5, 1))
    return relief(canvas, image, 0.02 * blur(mask, 0.008), ambient=0.5)


def _cheese(canvas: Canvas) -> np.ndarray:
    """Blue cheese, fat meat or stone: ragged veins that join and part in a pale mass."""
    dairy, meat = ("cream", "beige", "white", "teal", "navy"), ("maroon", "cream", "red")
    canvas.recolour(*canvas.pick(dairy, meat, STONES))
    period = canvas.period * 1.5
    x, y = canvas.grid()
    du, dv = flow(canvas, period, period * 0.2, 4)
    veins = np.zeros_like(x)
    for size, width in ((2.5, 0.022), (1.3, 0.008), (0.8, 0.003)):
        field = sample(noise(canvas, period * size, 2), x + du, y + dv)
        swell = np.clip(1 + noise(canvas, period, 3) / 2, 0, 3)
        veins = np.maximum(veins, _ink(canvas, field, width * swell))
    image = _ground(canvas, canvas.palette[0], "paper", "stone")
    return mix(image, canvas.palette[1], blur(veins, canvas.uniform(0, 0.004)))


# --- cracked ----------------------------------------------------------------------------------


def cracked(canvas: Canvas) -> np.ndarray:
    """A surface broken by a network of cracks."""
    often = _mud, _craquelure, _glass
    return canvas.pick(*often, *often, _flakes, _rifts, _timber)(canvas)


def _plates(canvas: Canvas) -> tuple[Cells, float]:
    """Cells with crooked borders, sometimes in steep perspective, and their period."""
    u, v = canvas.coordinates(perspective=canvas.pick(0.2, 0.2, 0.8))
    period = canvas.period * canvas.uniform(0.8, 1.4)
    du, dv = flow(canvas, period * 0.7, period * canvas.uniform(0.04, 0.12), 3)
    stretch = canvas.pick(1.0, 1.0, canvas.uniform(1.3, 2.2))
    return cells(canvas, u + du, v + dv, (period * stretch, period), jitter=0.9), period


def _hairlines(canvas: Canvas, period: float) -> np.ndarray:
    """Mask of short fine cracks here and there."""
    here = above(noise(canvas, period * 1.5), 0.35, 0.5)
    return 0.6 * _ink(canvas, noise(canvas, period * 0.7, 3), 0.0035) * here


def _mud(canvas: Canvas) -> np.ndarray:
    """Dry mud: thick plates between wide dark gaps."""
    if canvas.chance(0.85):
        canvas.recolour(*EARTHS, "orange", "silver")
    c, period = _plates(canvas)
    swell = np.clip(1 + 0.5 * noise(canvas, 0.3, 3), 0.1, 3)
    rise = c.border - canvas.uniform(0.015, 0.08) * swell
    rough = canvas.uniform(0.5, 2) * noise(canvas, 0.1, 5, 0.8)
    edge = smoothstep(rise, -0.02, canvas.pick(0.05, 0.08, 0.25))
    plates = canvas.uniform(0.02, 0.08) * canvas.table(-1, 1)[c.ids]
    image = _tinted(canvas.palette[0], plates + 0.06 * rough)
    image = relief(canvas, image, period * (0.2 * edge + 0.015 * rough), ambient=0.4)
    cracks = np.maximum(above(-rise, soft=0.03), _hairlines(canvas, period))
    return mix(image, canvas.palette[0] * canvas.uniform(0.1, 0.5), cracks)


def _craquelure(canvas: Canvas) -> np.ndarray:
    """Thin lines in old varnish, glaze or plaster."""
    if canvas.chance(0.7):
        canvas.recolour(*GREYS, "beige", "cream", "tan", "olive", "sky blue")
    c, period = _plates(canvas)
    plates = canvas.uniform(0, 0.05) * canvas.table(-1, 1)[c.ids]
    image = _tinted(_ground(canvas, canvas.palette[0], "paper", "stone"), plates)
    width = canvas.uniform(0.004, 0.012) * np.clip(1 + 0.6 * noise(canvas, 0.25, 3), 0.2, 3)
    line = np.clip((width - c.border * period) * (canvas.size / 2) + 0.5, 0, 1)
    line = np.maximum(line, _hairlines(canvas, period))
    image = relief(canvas, image, -0.006 * blur(line, 0.004), ambient=0.5)
    dark = canvas.palette[0] * canvas.uniform(0.1, 0.5)
    return mix(image, dark if canvas.chance(0.85) else canvas.colour("white"), line)


def _flakes(canvas: Canvas) -> np.ndarray:
    """Peeling paint: curled flakes, some fallen off, another layer below."""
    c, period = _plates(canvas)
    lost = noise(canvas, 0.4, 3) + canvas.table(-1, 1)[c.ids] > canvas.uniform(0.3, 1.2)
    here = above(c.border, canvas.uniform(0.03, 0.1), 0.03) * ~lost
    under = _ground(canvas, canvas.palette[1], "wood", "stone")
    under = _tinted(under, -0.5 * blur(here, 0.01))
    curl = period * canvas.uniform(0, 0.12) * smoothstep(c.border, 0.3, 0.05)
    coat = _tinted(canvas.palette[0], 0.04 * noise(canvas, 0.2, 5, 0.7))
    return mix(under, relief(canvas, coat, curl, ambient=0.4), here)


def _glass(canvas: Canvas) -> np.ndarray:
    """Shattered glass: rays from a blow, broken rings, bright shards between them."""
    canvas.recolour("black", "navy", "blue", "teal", "charcoal", "grey", "sky blue", "green")
    count, rings = canvas.integer(20, 40), 16
    angles = np.linspace(0, TWO_PI, count) + canvas.rng.normal(0, 1.5 / count, count)
    angles = angles[:, None] + np.cumsum(canvas.rng.normal(0, 0.02, (count, rings)), 1)
    radii = 1.1 * np.linspace(0.04, 1, rings) ** 1.8 * canvas.rng.uniform(0.85, 1.15, angles.shape)
    knots = canvas.rng.uniform(-0.3, 0.3, 2) + radii[..., None] * _headings(angles)
    after = np.roll(knots, -1, 0)
    reach = canvas.rng.uniform(0.15, 1.3, count)
    rays = [knots[k, radii[k] < reach[k]] for k in range(count)]
    chosen = canvas.rng.random(radii.shape) < canvas.uniform(0.3, 1) * np.exp(-2.5 * radii)
    chords = list(np.stack([knots[chosen], after[chosen]], 1))
    shards = np.stack([knots[:, :-1], knots[:, 1:], after[:, 1:], after[:, :-1]], 2)[chosen[:, 1:]]
    sheen = polygons(canvas, shards, 0.5 * canvas.rng.random(len(shards)))
    widths = 0.0015 + canvas.rng.gamma(1.5, 0.0018, len(rays) + len(chords))
    line = strokes(canvas, rays + chords, widths)
    line = np.clip(line + canvas.uniform(0.2, 1) * sheen + blur(line, 0.012) / 2, 0, 1)
    image = ramp(canvas.palette[:2], unit(noise(canvas, 0.6, 2)))
    return mix(image, canvas.colour("white", "white", "silver", "sky blue", "black"), line)


def _rifts(canvas: Canvas) -> np.ndarray:
    """A few long cracks across asphalt, plaster or rock."""
    canvas.recolour(*EARTHS, *GREYS)
    ground = canvas.palette[0] * 0.9 + 0.08
    angles, width = canvas.rng.uniform(0, TWO_PI, canvas.integer(2, 4)), canvas.uniform(0.01, 0.025)
    starts = -0.7 * _headings(angles)
    line = _tree(canvas, starts, angles, 2.0, width, children=3, spread=0.9, wiggle=0.3)
    x, y = canvas.grid()
    du, dv = flow(canvas, 0.06, 0.008, 3)
    line = sample(line, x + du, y + dv)
    height = grain(canvas, 0.001) - 0.02 * blur(line, 0.006)
    image = relief(canvas, _ground(canvas, ground, "stone"), height, ambient=0.4)
    return mix(image, ground * 0.15, line)


def _timber(canvas: Canvas) -> np.ndarray:
    """Weathered wood, split along the grain or across its rings."""
    canvas.recolour(*EARTHS, "orange")
    u, v = canvas.coordinates(warp=0.04)
    period = canvas.period
    if canvas.chance(0.4):
        radius, turn = _polar(u, v)
        year = radius + 0.02 * noise(canvas, 0.3)
        rings = sample(noise(canvas, (0.015, 1.5), 2), year, radius)
        rays = canvas.integer(4, 16)
        t = turn * rays + 0.15 * noise(canvas, 0.2, 3)
        gap = np.abs(t - np.rint(t)) * radius * (TWO_PI / rays)
        deep = canvas.uniform(0.004, 0.02) * canvas.table()[np.rint(t).astype(int)]
        split = above(deep * smoothstep(radius, canvas.uniform(0.3, 0.9), 0.1) - gap)
    else:
        rings = sample(noise(canvas, (0.8, 0.02), 3), u, v)
        field = sample(noise(canvas, (6 * period, period), 4, 0.4), u, v)
        wide = sample(noise(canvas, (2.5 * period, period), 2), u, v)
        split = _ink(canvas, field, canvas.uniform(0.008, 0.025) * np.clip(wide, 0, 2))
    image = _tinted(canvas.palette[0], 0.13 * rings)
    image = relief(canvas, image, 0.002 * rings - 0.02 * blur(split, 0.004), ambient=0.4)
    return mix(image, canvas.palette[0] * 0.12, split)


# --- crystalline ------------------------------------------------------------------------------


def crystalline(canvas: Canvas) -> np.ndarray:
    """Faceted shards: quartz, ice, salt, frost."""
    if canvas.chance(0.75):
        canvas.recolour(*GEMS)
    often = _facets, _shards
    return canvas.pick(*often, *often, _facets, _frost)(canvas)


def _gleam(canvas: Canvas) -> np.ndarray:
    """A palette from the shadows of the ground colour through itself to white."""
    colour = canvas.palette[0]
    return np.stack([colour * canvas.uniform(0.1, 0.5), colour, colour / 2 + 0.5, WHITE])


def _facets(canvas: Canvas) -> np.ndarray:
    """Pyramids of crystal seen from above, each face in a shade of its own."""
    u, v = canvas.coordinates(perspective=0.5)
    period = canvas.period * canvas.uniform(0.8, 1.6)
    c = cells(canvas, u, v, (period * canvas.uniform(1, 1.8), period), 0.9)
    _, angle = _polar(c.dx, c.dy)
    side = np.floor(angle * canvas.integer(4, 6) + canvas.table()[c.ids]).astype(np.int32)
    face = (c.ids * 7 + side) % 4096
    tone = 0.75 * canvas.table()[face] ** 1.5 + 0.15 * noise(canvas, 0.3, 2) + 0.25 * c.near
    edges = canvas.uniform(0, 0.6) * above(0.03 - c.border)
    glint = 0.85 * np.float32(canvas.table()[face] > 0.93)
    return mix(ramp(_gleam(canvas), tone), WHITE, np.maximum(edges, glint))


def _shards(canvas: Canvas) -> np.ndarray:
    """A thicket of long pointed prisms, strewn or grown out from a point."""
    places = points(canvas, canvas.period * 0.7, jitter=1.0)[:180]
    count, out = len(places), places - canvas.rng.uniform(-0.3, 0.3, 2)
    grown = np.arctan2(out[:, 1], out[:, 0]) + canvas.rng.normal(0, 0.4, count)
    angles = grown if canvas.chance(0.5) else canvas.rng.uniform(0, TWO_PI, count)
    along = _headings(angles) * canvas.period * canvas.rng.uniform(0.7, 2, (count, 1))
    half = (
        _headings(angles + np.pi / 2) * canvas.period * canvas.rng.uniform(0.15, 0.35, (count, 1))
    )
    ridge = half * canvas.rng.uniform(-0.3, 0.5, (count, 1))
    foot, head, tip = places - along, places + along, places + 1.25 * along + 0.2 * half
    outlines = [
        np.stack([foot + side, head + side, tip, head + ridge, foot + ridge], 1)
        for side in (-half, half)
    ]
    dim = canvas.rng.uniform(0.15, 0.75, count)
    levels = np.stack([dim, np.minimum(dim + canvas.rng.uniform(0.1, 0.35, count), 1)], 1)
    field = polygons(canvas, np.stack(outlines, 1).reshape(-1, 5, 2), levels.ravel())
    return ramp(_gleam(canvas), field + 0.06 * noise(canvas, 0.15, 3))


def _frost(canvas: Canvas) -> np.ndarray:
    """Ice flowers: feathers of frost on a cold pane."""
    pane = ramp(canvas.palette, unit(noise(canvas, 0.5, 2))) * canvas.uniform(0.3, 0.9)
    places, arms = points(canvas, canvas.uniform(0.2, 0.4), jitter=0.7)[:16], canvas.integer(4, 6)
    turns = np.arange(arms) * TWO_PI / arms + canvas.rng.uniform(0, TWO_PI, (len(places), 1))
    starts = np.repeat(places, arms, 0)
    mask = _tree(canvas, starts, turns.ravel(), 0.3, 0.008, 2, children=16, spread=1, wiggle=0.02)
    image = mix(pane, WHITE, np.clip(mask + blur(mask, 0.015) / 2, 0, 1))
    return relief(canvas, image, 0.008 * mask, ambient=0.6)


# --- scaly ------------------------------------------------------------------------------------


def scaly(canvas: Canvas) -> np.ndarray:
    """Overlapping rows of scales: fish, snake, dragon, cone, roof."""
    names, tall, overlap, blunt, gloss = canvas.pick(
        (METALS, 0.55, 0.9, 2.0, 0.5),  # fish
        ((*EARTHS, "green", "lime", "black"), 0.75, 0.9, canvas.uniform(1.2, 2), 0.4),  # snake
        (("green", "teal", "red", "maroon", "black", "gold"), 0.7, 0.9, 1.3, 0.5),  # dragon
        (("maroon", "orange", "brown", "grey", "charcoal", "tan"), 0.9, 0.35, 3.0, 0.05),  # roof
        (("brown", "tan", "charcoal"), 0.6, 0.9, 1.1, 0.05),  # cone
        ((), canvas.uniform(0.5, 0.9), canvas.uniform(0.6, 1), canvas.uniform(1.2, 2.5), 0.3),
    )
    canvas.recolour(*names)
    period = canvas.period
    u, v = canvas.coordinates(warp=0.06)
    u, v = u / period, v / (period * tall)
    row = np.floor(v)
    fall = v - row

    def scales(row: np.ndarray) -> tuple:
        """Of the scales that hang from a row: place across, number, how far their rims hang."""
        x = u + (row % 2) / 2
        column = np.floor(x)
        across = x - column - 0.5
        rim = overlap * (1 - np.abs(2 * across) ** blunt)
        return across, (row * 71 + column).astype(np.int32) % 4096, rim

    upper, lower = scales(row - 1), scales(row)
    edge = canvas.pixel / period
    covered = smoothstep(upper[2] - fall, -edge, edge)
    across, number, rim = (np.where(covered > 0.5, a, b) for a, b in zip(upper, lower, strict=True))
    down = fall + (covered > 0.5)
    shadow = canvas.uniform(0.4, 0.8) * smoothstep(fall - upper[2], 0.3, 0) * (1 - covered)

    image = flat(canvas, canvas.palette[0])
    if canvas.chance(0.2):  # a marked hide
        marks = smoothstep(noise(canvas, period * 5, 2), -0.2, 0.2)
        image = mix(image, canvas.palette[1], marks)
    image = _tinted(image, 0.06 * canvas.table(-1, 1)[number] - 0.25 * (1 - down / 2))
    height = 0.12 * down - 0.2 * across * across + 0.2 * np.minimum(1 + rim - down, 0.25)
    if canvas.chance(0.4):  # a keel
        height = height + 0.12 * np.maximum(1 - 6 * np.abs(across), 0)
    gloss = gloss * canvas.uniform(0.4, 1.4)
    image = _tinted(relief(canvas, image, period * height, gloss=gloss, ambient=0.4), -shadow)
    pale = canvas.uniform(0, 0.4) * smoothstep(1 + rim - down, 0.2, 0.05)
    return mix(image, canvas.palette[-1], pale)


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
    image = _ground(canvas, colour, "paper", "paper", "cloth")
    return relief(canvas, image, height, gloss=canvas.pick(0.0, 0.0, 0.6), ambient=0.4)


def _draped(canvas: Canvas) -> np.ndarray:
    """Folds of cloth that run together."""
    u, v = canvas.coordinates(warp=0.15)
    period = canvas.period * 2
    folds = sample(noise(canvas, (period * 3, period), 2), u, v)
    creases = np.abs(sample(noise(canvas, (period * 2, period * 0.6), 2), u, v))
    image = _ground(canvas, canvas.palette[0], "paper", "cloth")
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
    image = _tinted(canvas.palette[0], texture)
    return relief(canvas, image, -0.5 * canvas.period * depth, ambient=0.4)


def _furrowed(canvas: Canvas) -> np.ndarray:
    """Deep lines side by side, as on a forehead, a pug or a dried fruit."""
    _, v = canvas.coordinates(warp=0.12)
    period = canvas.period * 1.2
    t = v / period + 0.5 * noise(canvas, 0.3, 2) + 0.2 * noise(canvas, period)
    fold = np.sqrt(np.abs(np.sin(np.pi * t)) + 0.01)
    height = 0.35 * period * fold * (1 + 0.3 * noise(canvas, 0.4))
    height = height + 0.003 * noise(canvas, (0.1, 0.04), 3)
    image = _tinted(_ground(canvas, canvas.palette[0], "paper"), (fold - 1) / 2)
    return relief(canvas, image, height, gloss=canvas.uniform(0, 0.3), ambient=0.35)


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
    turns, hands = canvas.rng.uniform(0, TWO_PI, count), canvas.rng.choice([-1, 1], count)
    if canvas.chance(0.5):
        turns, hands = turns[0] + canvas.pick(0, np.pi) * (np.arange(count) % 2), np.ones(count)
    sizes = spacing * canvas.rng.uniform(0.24, 0.34, count)

    def everywhere(motif: np.ndarray) -> np.ndarray:
        """A motif (k, 2) turned, mirrored and enlarged at every place -> (n, k, 2)."""
        along = _headings(turns)[:, None]
        aside = _headings(turns + np.pi / 2)[:, None] * hands[:, None, None]
        moved = (motif[:, :1] - 0.7) * along + (motif[:, 1:] - 0.3) * aside
        return places[:, None] + sizes[:, None, None] * moved

    def drops(inset: float, scallop: float = 0) -> np.ndarray:
        return polygons(canvas, everywhere(_drop(bend, inset, scallop)))

    between = points(canvas, spacing * canvas.pick(0.2, 0.35), 0.5)[:250]
    lines = discs(canvas, between, spacing * canvas.uniform(0.012, 0.03))
    image = _ground(canvas, ground, "paper", "cloth")
    if canvas.chance(0.7):
        petals = between[::4, None] + 0.05 * spacing * _headings(np.arange(5) * TWO_PI / 5)
        image = mix(image, accent, discs(canvas, petals.reshape(-1, 2), 0.028 * spacing))
    image = mix(image, line, np.maximum(lines, drops(0, canvas.pick(0, 0.15))))
    image = mix(image, filling, drops(0.1))
    image = mix(image, accent, drops(0.3, canvas.pick(0, 0.1)))
    image = mix(image, ground, drops(0.38))
    flower = 0.2 * _headings(np.arange(6) * TWO_PI / 6) + np.array([0.1, 0])
    if canvas.chance(0.5):
        return mix(image, line, drops(0.58))
    centres = everywhere(flower).reshape(-1, 2)
    return mix(image, line, discs(canvas, centres, np.repeat(0.11 * sizes, len(flower))))


def _drop(bend: float, inset: float, scallop: float = 0) -> np.ndarray:
    """Outline (k, 2) of a curved drop, its head of radius 1 about the origin.

    Its spine turns by `bend` radians; `inset` moves the outline inwards, `scallop` is the height
    of a frill along it.
    """
    s = np.linspace(0, 1, 40)
    along = _headings(bend * s**1.5)
    spine = np.cumsum(along, 0) * 2.6 / len(s)
    radius = (1 - s) ** 1.1 - inset
    kept = radius > 0
    normal = np.stack([-along[:, 1], along[:, 0]], 1) * radius[:, None]
    cap = _headings(np.linspace(-np.pi / 2, -3 * np.pi / 2, 16)[1:-1]) * radius[0]
    left, right = (spine + normal)[kept], (spine - normal)[kept][::-1]
    outline = np.concatenate([left, right, spine[0] + cap])
    if scallop:
        forward = np.gradient(outline, axis=0)
        forward /= np.hypot(*forward.T)[:, None] + 1e-6
        frill = scallop * np.abs(np.sin(np.linspace(0, 13 * np.pi, len(outline))))[:, None]
        outline = outline + frill * np.stack([-forward[:, 1], forward[:, 0]], 1)
    return outline


PAINTERS = {
    "blotchy": blotchy,
    "stained": stained,
    "smeared": smeared,
    "marbled": marbled,
    "swirly": swirly,
    "spiralled": spiralled,
    "veined": veined,
    "cracked": cracked,
    "crystalline": crystalline,
    "scaly": scaly,
    "wrinkled": wrinkled,
    "paisley": paisley,
}
