"""Networks that break or branch: cracked, crystalline, veined."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, LEAVES, MARBLES, Canvas
from stages.core.painter.fields import (
    above,
    blur,
    contours,
    flow,
    grain,
    headings,
    noise,
    polar,
    sample,
    smoothstep,
    stripes,
    unit,
)
from stages.core.painter.lattices import Cells, cells, points
from stages.core.painter.light import WHITE, mix, ramp, relief, tinted
from stages.core.painter.materials import material
from stages.core.painter.shapes import polygons, strokes

CRYSTALS = ("purple", "lilac", "sky blue", "turquoise", "white", "pink", "green", "silver", "blue")
SKINS = ("pink", "beige", "tan", "red", "maroon", "lilac")


# --- what several share -----------------------------------------------------------------------


def _tree(
    canvas: Canvas,
    starts: np.ndarray,
    angles: np.ndarray,
    length: float,
    width: float,
    generations: int = 4,
    children: int = 4,
    *,
    spread: float,
    wiggle: float,
) -> np.ndarray:
    """Mask of branching paths from `starts` (n, 2) along `angles` (n,), in radians."""
    lines, widths = [], []
    for _ in range(generations):
        count = len(angles)
        bent = angles[:, None] + np.cumsum(canvas.rng.normal(0, wiggle, (count, 16)), 1)
        steps = length / 16 * canvas.rng.uniform(0.5, 1.2, (count, 1, 1)) * headings(bent)
        paths = np.cumsum(np.concatenate([starts[:, None], steps], 1), 1)
        lines += list(paths)
        widths += [width] * count
        twigs = np.arange(count)[:, None], canvas.rng.integers(2, 15, (count, children))
        turns = spread * canvas.rng.choice([-1, 1], (count, children))
        turns = turns * canvas.rng.uniform(0.7, 1.3, (count, children))
        starts, angles = paths[twigs].reshape(-1, 2), (bent[twigs] + turns).ravel()
        length, width = length * 0.5, width * 0.55
    return strokes(canvas, lines, widths)


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
    return 0.6 * contours(canvas, noise(canvas, period * 0.7, 3), 0.0035) * here


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
    image = tinted(canvas.palette[0], plates + 0.06 * rough)
    image = relief(canvas, image, period * (0.2 * edge + 0.015 * rough), ambient=0.4)
    cracks = np.maximum(above(-rise, soft=0.03), _hairlines(canvas, period))
    return mix(image, canvas.palette[0] * canvas.uniform(0.1, 0.5), cracks)


def _craquelure(canvas: Canvas) -> np.ndarray:
    """Thin lines in old varnish, glaze or plaster."""
    if canvas.chance(0.7):
        canvas.recolour(*GREYS, "beige", "cream", "tan", "olive", "sky blue")
    c, period = _plates(canvas)
    plates = canvas.uniform(0, 0.05) * canvas.table(-1, 1)[c.ids]
    image = tinted(material(canvas, canvas.palette[0], "paper", "stone"), plates)
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
    under = material(canvas, canvas.palette[1], "wood", "stone")
    under = tinted(under, -0.5 * blur(here, 0.01))
    curl = period * canvas.uniform(0, 0.12) * smoothstep(c.border, 0.3, 0.05)
    coat = tinted(canvas.palette[0], 0.04 * noise(canvas, 0.2, 5, 0.7))
    return mix(under, relief(canvas, coat, curl, ambient=0.4), here)


def _glass(canvas: Canvas) -> np.ndarray:
    """Shattered glass: rays from a blow, broken rings, bright shards between them."""
    canvas.recolour("black", "navy", "blue", "teal", "charcoal", "grey", "sky blue", "green")
    count, rings = canvas.integer(20, 40), 16
    angles = np.linspace(0, tau, count) + canvas.rng.normal(0, 1.5 / count, count)
    angles = angles[:, None] + np.cumsum(canvas.rng.normal(0, 0.02, (count, rings)), 1)
    radii = 1.1 * np.linspace(0.04, 1, rings) ** 1.8 * canvas.rng.uniform(0.85, 1.15, angles.shape)
    knots = canvas.rng.uniform(-0.3, 0.3, 2) + radii[..., None] * headings(angles)
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
    angles, width = canvas.rng.uniform(0, tau, canvas.integer(2, 4)), canvas.uniform(0.01, 0.025)
    starts = -0.7 * headings(angles)
    line = _tree(canvas, starts, angles, 2.0, width, children=3, spread=0.9, wiggle=0.3)
    x, y = canvas.grid()
    du, dv = flow(canvas, 0.06, 0.008, 3)
    line = sample(line, x + du, y + dv)
    height = grain(canvas, 0.001) - 0.02 * blur(line, 0.006)
    image = relief(canvas, material(canvas, ground, "stone"), height, ambient=0.4)
    return mix(image, ground * 0.15, line)


def _timber(canvas: Canvas) -> np.ndarray:
    """Weathered wood, split along the grain or across its rings."""
    canvas.recolour(*EARTHS, "orange")
    u, v = canvas.coordinates(warp=0.04)
    period = canvas.period
    if canvas.chance(0.4):
        radius, turn = polar(u, v)
        year = radius + 0.02 * noise(canvas, 0.3)
        rings = sample(noise(canvas, (0.015, 1.5), 2), year, radius)
        rays = canvas.integer(4, 16)
        t = turn * rays + 0.15 * noise(canvas, 0.2, 3)
        gap = np.abs(t - np.rint(t)) * radius * (tau / rays)
        deep = canvas.uniform(0.004, 0.02) * canvas.table()[np.rint(t).astype(int)]
        split = above(deep * smoothstep(radius, canvas.uniform(0.3, 0.9), 0.1) - gap)
    else:
        rings = sample(noise(canvas, (0.8, 0.02), 3), u, v)
        field = sample(noise(canvas, (6 * period, period), 4, 0.4), u, v)
        wide = sample(noise(canvas, (2.5 * period, period), 2), u, v)
        split = contours(canvas, field, canvas.uniform(0.008, 0.025) * np.clip(wide, 0, 2))
    image = tinted(canvas.palette[0], 0.13 * rings)
    image = relief(canvas, image, 0.002 * rings - 0.02 * blur(split, 0.004), ambient=0.4)
    return mix(image, canvas.palette[0] * 0.12, split)


# --- crystalline ------------------------------------------------------------------------------


def crystalline(canvas: Canvas) -> np.ndarray:
    """Faceted shards: quartz, ice, salt, frost."""
    if canvas.chance(0.75):
        canvas.recolour(*CRYSTALS)
    often = _facets, _shards
    return canvas.pick(*often, *often, _facets, _frost)(canvas)


def _glow(canvas: Canvas) -> np.ndarray:
    """A palette from the shadows of the ground colour through itself to white."""
    colour = canvas.palette[0]
    return np.stack([colour * canvas.uniform(0.1, 0.5), colour, colour / 2 + 0.5, WHITE])


def _facets(canvas: Canvas) -> np.ndarray:
    """Pyramids of crystal seen from above, each face in a shade of its own."""
    u, v = canvas.coordinates(perspective=0.5)
    period = canvas.period * canvas.uniform(0.8, 1.6)
    c = cells(canvas, u, v, (period * canvas.uniform(1, 1.8), period), 0.9)
    _, angle = polar(c.dx, c.dy)
    side = np.floor(angle * canvas.integer(4, 6) + canvas.table()[c.ids]).astype(np.int32)
    face = (c.ids * 7 + side) % 4096
    tone = 0.75 * canvas.table()[face] ** 1.5 + 0.15 * noise(canvas, 0.3, 2) + 0.25 * c.near
    edges = canvas.uniform(0, 0.6) * above(0.03 - c.border)
    glint = 0.85 * np.float32(canvas.table()[face] > 0.93)
    return mix(ramp(_glow(canvas), tone), WHITE, np.maximum(edges, glint))


def _shards(canvas: Canvas) -> np.ndarray:
    """A thicket of long pointed prisms, strewn or grown out from a point."""
    places = points(canvas, canvas.period * 0.7, jitter=1.0)[:180]
    count, out = len(places), places - canvas.rng.uniform(-0.3, 0.3, 2)
    grown = np.arctan2(out[:, 1], out[:, 0]) + canvas.rng.normal(0, 0.4, count)
    angles = grown if canvas.chance(0.5) else canvas.rng.uniform(0, tau, count)
    along = headings(angles) * canvas.period * canvas.rng.uniform(0.7, 2, (count, 1))
    half = headings(angles + np.pi / 2) * canvas.period * canvas.rng.uniform(0.15, 0.35, (count, 1))
    ridge = half * canvas.rng.uniform(-0.3, 0.5, (count, 1))
    foot, head, tip = places - along, places + along, places + 1.25 * along + 0.2 * half
    outlines = [
        np.stack([foot + side, head + side, tip, head + ridge, foot + ridge], 1)
        for side in (-half, half)
    ]
    dim = canvas.rng.uniform(0.15, 0.75, count)
    levels = np.stack([dim, np.minimum(dim + canvas.rng.uniform(0.1, 0.35, count), 1)], 1)
    field = polygons(canvas, np.stack(outlines, 1).reshape(-1, 5, 2), levels.ravel())
    return ramp(_glow(canvas), field + 0.06 * noise(canvas, 0.15, 3))


def _frost(canvas: Canvas) -> np.ndarray:
    """Ice flowers: feathers of frost on a cold pane."""
    pane = ramp(canvas.palette, unit(noise(canvas, 0.5, 2))) * canvas.uniform(0.3, 0.9)
    places, arms = points(canvas, canvas.uniform(0.2, 0.4), jitter=0.7)[:16], canvas.integer(4, 6)
    turns = np.arange(arms) * tau / arms + canvas.rng.uniform(0, tau, (len(places), 1))
    starts = np.repeat(places, arms, 0)
    mask = _tree(canvas, starts, turns.ravel(), 0.3, 0.008, 2, children=16, spread=1, wiggle=0.02)
    image = mix(pane, WHITE, np.clip(mask + blur(mask, 0.015) / 2, 0, 1))
    return relief(canvas, image, 0.008 * mask, ambient=0.6)


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
    fine = np.maximum(contours(canvas, mesh, 0.004), contours(canvas, other, 0.004))
    puff = period * canvas.uniform(0.05, 0.25) * np.minimum(gap * 2, 0.7) + 0.0015 * mesh
    image = tinted(blade, 0.08 * noise(canvas, 0.3, 3))
    image = relief(canvas, image, puff, gloss=canvas.uniform(0, 0.25), ambient=0.5)
    pale = blade + canvas.uniform(0.35, 0.8) * (np.array([0.95, 0.95, 0.75], np.float32) - blade)
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
    ribs = contours(canvas, ribs, canvas.uniform(0.008, 0.016))
    mesh = canvas.uniform(0.4, 1) * above(canvas.uniform(0.015, 0.05) - c.border)
    veins = np.maximum(mesh, ribs)
    if leaf:
        blade = canvas.palette[0]
        vein = (blade / 2 + np.array([0.5, 0.5, 0.35], np.float32)) * canvas.pick(1.0, 1.0, 0.25)
        film = tinted(blade, 0.1 * canvas.table(-1, 1)[c.ids])
        return np.clip(mix(film, vein, np.maximum(veins, contours(canvas, v, 0.03))), 0, 1)
    film = ramp(canvas.palette[:2], unit(noise(canvas, 0.5, 3)))
    film = film + (1 - film) * canvas.uniform(0.1, 0.6)
    return mix(film, canvas.colour("black", "brown", "charcoal", "maroon"), veins)


def _vessels(canvas: Canvas) -> np.ndarray:
    """Vessels under skin or roots on stone: crooked branches from the border inwards."""
    canvas.recolour(*canvas.pick((), SKINS, MARBLES))
    count = canvas.integer(2, 5)
    angles = canvas.uniform(0, tau) + canvas.rng.uniform(-1.2, 1.2, count)
    width = canvas.uniform(0.008, 0.02)
    mask = _tree(canvas, -0.75 * headings(angles), angles, 1.5, width, spread=0.6, wiggle=0.25)
    mask = blur(mask, canvas.pick(0.001, 0.004))
    image = material(canvas, canvas.palette[0], "paper", "stone")
    image = mix(image, canvas.palette[1], mask * canvas.uniform(0.4, 1))
    if canvas.chance(0.6):
        image = relief(canvas, image, 0.02 * blur(mask, 0.01), gloss=0.1)
    return image


def _petal(canvas: Canvas) -> np.ndarray:
    """A petal or a cabbage leaf: veins fan out from one point and fork."""
    heading, count = canvas.uniform(0, tau), canvas.integer(7, 14)
    base = -0.6 * headings(heading).astype(np.float32)
    fan = heading + np.linspace(-0.8, 0.8, count) + canvas.rng.normal(0, 0.04, count)
    starts, width = np.repeat(base[None], count, 0), canvas.uniform(0.006, 0.012)
    mask = _tree(canvas, starts, fan, 1.6, width, generations=3, spread=0.3, wiggle=0.04)
    x, y = canvas.grid()
    heart = smoothstep(np.hypot(x - base[0], y - base[1]), 0.6, 0.1) * canvas.uniform(0, 0.8)
    image = mix(material(canvas, canvas.palette[0], "paper"), canvas.palette[-1], heart)
    image = mix(image, canvas.palette[1], mask * canvas.uniform(0.5, 1))
    return relief(canvas, image, 0.02 * blur(mask, 0.008), ambient=0.5)


def _cheese(canvas: Canvas) -> np.ndarray:
    """Blue cheese, fat meat or stone: ragged veins that join and part in a pale mass."""
    dairy, meat = ("cream", "beige", "white", "teal", "navy"), ("maroon", "cream", "red")
    canvas.recolour(*canvas.pick(dairy, meat, MARBLES))
    period = canvas.period * 1.5
    x, y = canvas.grid()
    du, dv = flow(canvas, period, period * 0.2, 4)
    veins = np.zeros_like(x)
    for size, width in ((2.5, 0.022), (1.3, 0.008), (0.8, 0.003)):
        field = sample(noise(canvas, period * size, 2), x + du, y + dv)
        swell = np.clip(1 + noise(canvas, period, 3) / 2, 0, 3)
        veins = np.maximum(veins, contours(canvas, field, width * swell))
    image = material(canvas, canvas.palette[0], "paper", "stone")
    return mix(image, canvas.palette[1], blur(veins, canvas.uniform(0, 0.004)))


PAINTERS = {
    "cracked": cracked,
    "crystalline": crystalline,
    "veined": veined,
}
