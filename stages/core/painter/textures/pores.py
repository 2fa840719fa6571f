"""What is sunk into a surface or goes through it: perforated, pitted, porous, potholed."""

import numpy as np

from stages.core.painter.canvas import BRIGHTS, GREYS, METALS, STONES, Canvas
from stages.core.painter.fields import grain, noise, sample, smoothstep, turned, within
from stages.core.painter.lattices import Spots, cells, hexagon, lattice, specks, swaying
from stages.core.painter.light import flat, lamp, light_from_above, mix, ramp, relief, tinted
from stages.core.painter.materials import leather, liquid, mottled
from stages.core.painter.shapes import crowd, pick_body

PEELS = ("orange", "orange", "yellow", "lime", "gold", "silver", "grey", "white", "tan", "maroon")
SPONGES = ("yellow", "gold", "orange", "tan", "pink", "sky blue", "lime", "beige")


# --- what pitted and porous share -------------------------------------------------------------


def _pits(
    canvas: Canvas, period: float, scales: tuple, widest: float, share: float | np.ndarray
) -> np.ndarray:
    """How deep a surface is eaten away by holes of several sizes, in fractions of the side."""
    x, y = canvas.grid()
    depth = np.zeros_like(x)
    for scale in scales:
        size = period * scale
        inside, _ = specks(canvas, x, y, size, (0.07, widest), 1.2, 0.13, share)
        depth = np.maximum(depth, size * np.maximum(inside, 0))
    return depth


def _hollow(
    canvas: Canvas, base: np.ndarray, depth: np.ndarray, full: float, floor: float
) -> np.ndarray:
    """A surface eaten away to a depth, darker inside: as dark as `floor` well below `full`."""
    dark = (1 - floor) * (np.exp(-depth / full) - 1)
    height = -depth * canvas.uniform(0.8, 1.4) + 0.0015 * noise(canvas, 0.025, 2)
    return relief(canvas, tinted(base, dark), height, canvas.uniform(0, 0.1), 0.35)


# --- perforated -------------------------------------------------------------------------------


def perforated(canvas: Canvas) -> np.ndarray:
    """A thin sheet of metal, leather, card or plastic with rows of holes right through it."""
    light_from_above(canvas)
    period = canvas.period * canvas.uniform(0.7, 1.1)
    turn = canvas.orientation() + canvas.pick(0, 0, np.pi / 4)
    u, v = canvas.coordinates(turn, skew=0.08, perspective=canvas.pick(0.2, 0.9), warp=0.015)
    shape = canvas.pick("round", "round", "round", "round", "square", "slot", "lozenge", "hexagon")
    long = canvas.uniform(1.8, 3) if shape == "slot" else 1.0
    spots = lattice(canvas, u, v / long, period, 0, canvas.chance(0.6))
    radius: float | np.ndarray = canvas.uniform(0.16, 0.36)
    if canvas.chance(0.12):
        radius = radius * np.clip(0.75 + 0.35 * noise(canvas, 0.5), 0.1, 1.2)
    top = radius - _hole_distance(shape, spots, long)
    x, y = canvas.grid()
    thick, (lean_x, lean_y) = canvas.uniform(0, 0.2), canvas.rng.uniform(-0.5, 0.5, 2).tolist()
    below = Spots(spots.dx + thick * (lean_x + x), spots.dy + thick * (lean_y + y), spots.ids)
    through = within(canvas, radius - _hole_distance(shape, below, long), period, 0.03)
    behind = canvas.colour("black", "black", "black", "charcoal", "navy", jitter=0.03)
    if canvas.chance(0.2):
        behind = np.clip(1.2 * liquid(canvas) + 0.15, 0, 1)
    plate = _plate(canvas)
    inner = mix(plate * canvas.pick(0.3, 0.5, 0.8), behind, through)
    dent = canvas.uniform(0, 0.25) * period * smoothstep(top, 0, -0.12)
    swell = canvas.uniform(0, 0.03) * noise(canvas, 0.7)
    hole = within(canvas, top, period)
    if canvas.chance(0.2):
        hole = hole * ((spots.ids >> 6) % canvas.integer(5, 9) > 1)
    return mix(relief(canvas, plate, dent + swell, canvas.uniform(0, 0.4), 0.45), inner, hole)


def _hole_distance(shape: str, spots: Spots, long: float) -> np.ndarray:
    """Distance from the middle of a hole, in the metric whose discs have its shape."""
    dx, dy = np.abs(spots.dx), np.abs(spots.dy)
    if shape == "square":
        return np.maximum(dx, dy)
    if shape == "lozenge":
        return (dx + dy) / 1.2
    if shape == "hexagon":
        return 0.5 - hexagon(spots)
    if shape == "slot":
        dy = np.maximum(dy - 0.3, 0) * long
    return np.hypot(dx, dy)


def _plate(canvas: Canvas) -> np.ndarray:
    """Brushed, painted or rusty metal, leather or card, smooth enough to be perforated."""
    kind = canvas.pick("metal", "metal", "paint", "leather", "rust", "card")
    if kind == "metal":
        brushed = noise(canvas, canvas.pick((0.5, 0.006), (0.006, 0.5), (0.3, 0.3)), 2)
        shade = 0.07 * brushed + 0.15 * noise(canvas, 0.7)
        return tinted(canvas.colour(*METALS, "silver", "silver"), shade)
    if kind == "leather":
        return leather(canvas)
    if kind == "rust":
        return mottled(canvas, "brown", "maroon", "tan", "olive", "grey", spread=0.12)
    names = ("white", "cream", "beige", "tan") if kind == "card" else BRIGHTS
    return mottled(canvas, *names, spread=0.02)


# --- pitted -----------------------------------------------------------------------------------


def pitted(canvas: Canvas) -> np.ndarray:
    """A hard surface with small shallow dents of uneven size: stone, rust, peel, craters."""
    light_from_above(canvas)
    return canvas.pick(_pitted_stone, _pitted_stone, _corroded, _peel, _craters, _weathered)(canvas)


def _pitted_stone(canvas: Canvas) -> np.ndarray:
    """Concrete, travertine, limestone or plaster with holes strewn unevenly."""
    share = canvas.uniform(0.3, 0.7) + 0.3 * noise(canvas, 0.4, 2)
    period = canvas.period * canvas.uniform(0.5, 0.9)
    depth = _pits(canvas, period, (1.0, 0.5), 0.32, share)
    base = mottled(canvas, *STONES, spread=0.06)
    return _hollow(canvas, base, depth, canvas.uniform(0.06, 0.3) * period, 0.25)


def _corroded(canvas: Canvas) -> np.ndarray:
    """Metal pitted by rust or acid."""
    period = canvas.period * canvas.uniform(0.5, 0.9)
    depth = _pits(canvas, period, (1.0, 0.5), 0.4, 0.6 + 0.4 * noise(canvas, 0.3, 2))
    rust = canvas.colours(3, "brown", "maroon", "tan", "orange", "charcoal", contrast=20)
    patina = ramp(rust, 0.5 + 0.2 * noise(canvas, 0.06, 3))
    spread = smoothstep(noise(canvas, 0.4, 4), canvas.uniform(-1, 0.5), 1.5)
    stain = 0.8 * np.minimum(depth / (0.15 * period), 1)
    base = mix(flat(canvas, canvas.colour(*METALS)), patina, np.maximum(stain, spread))
    return relief(canvas, base, grain(canvas, 0.001) - depth, canvas.uniform(0, 0.5), 0.3)


def _peel(canvas: Canvas) -> np.ndarray:
    """Orange or lemon peel, hammered metal, a thimble or a golf ball: dense round dimples."""
    canvas.rescale("fine", "medium")
    body = pick_body(canvas, swell=0.3)
    period = canvas.period * canvas.uniform(0.4, 0.9)
    spots = swaying(canvas, body.u, body.v, period, 0.2, canvas.uniform(0, 0.3))
    dimple = np.maximum(1 - (spots.far / canvas.table(0.2, 0.42)[spots.ids]) ** 2, 0)
    base = tinted(canvas.colour(*PEELS), -0.2 * dimple)
    height = body.height - period * canvas.uniform(0.08, 0.2) * dimple
    return body.before(canvas, relief(canvas, base, height, canvas.uniform(0.2, 0.8), 0.35))


def _craters(canvas: Canvas) -> np.ndarray:
    """Ground pocked by round craters with raised rims, large and small: moon, sand after rain."""
    high = canvas.period * canvas.uniform(0.5, 0.9)
    globes = crowd(canvas, int(min(max(1 / high**2, 40), 170)), 0.15 * high, high)
    far = globes.spots.far
    bowl = np.where(far < 1, np.minimum(far * far - 0.85, 2 - 2 * far), 0)
    radius = globes.height / np.sqrt(np.maximum(1 - far * far, 1e-3))
    height = canvas.uniform(0.5, 0.9) * radius * bowl + 0.003 * noise(canvas, 0.1, 4, 0.6)
    base = mottled(canvas, *STONES, "grey", "silver", spread=0.06)
    return relief(canvas, base, height, 0, 0.2)


def _weathered(canvas: Canvas) -> np.ndarray:
    """Rock eaten by wind and salt: hollows that run into one another."""
    period = canvas.period * canvas.uniform(0.4, 0.8)
    field = noise(canvas, period, 3, 0.45) - canvas.uniform(0.2, 0.8)
    depth = 0.2 * period * np.sqrt(np.maximum(field, 0))
    return _hollow(canvas, mottled(canvas, *STONES, spread=0.08), depth, 0.15 * period, 0.25)


# --- porous -----------------------------------------------------------------------------------


def porous(canvas: Canvas) -> np.ndarray:
    """A body riddled with deep pores of many sizes: sponge, pumice, bread, coral, cheese."""
    light_from_above(canvas)
    names, scales, widest, floor = canvas.pick(
        (SPONGES, (1.0, 0.6, 0.35), 0.42, 0.22),
        (("grey", "charcoal", "brown", "maroon", "tan", "silver"), (1.0, 0.6, 0.35), 0.45, 0.2),
        (("cream", "beige", "white", "tan", "gold", "brown"), (1.0, 0.6, 0.35), 0.4, 0.4),
        (("cream", "white", "beige", "tan", "pink", "grey"), (1.0, 0.5), 0.46, 0.2),
        ((*SPONGES, *GREYS), (), 0.6, 0.25),
    )
    period = canvas.period * canvas.uniform(0.6, 1)
    if scales:
        depth = _pits(canvas, period, scales, widest, canvas.uniform(0.75, 1))
    else:
        c = cells(canvas, *canvas.grid(), 0.7 * period, 0.85)
        depth = 0.7 * period * np.maximum(canvas.table(0.2, widest)[c.ids] - c.near, 0)
    base = mottled(canvas, *names, spread=0.05)
    return _hollow(canvas, base, depth, canvas.uniform(0.06, 0.2) * period, floor)


# --- potholed ---------------------------------------------------------------------------------


def potholed(canvas: Canvas) -> np.ndarray:
    """A road with a few large broken holes, dry or full of water."""
    light_from_above(canvas)
    canvas.rescale("coarse")
    x, y = canvas.grid()
    dirt = canvas.chance(0.3)
    names = ("tan", "brown", "beige", "grey") if dirt else ("grey", "grey", "charcoal", "silver")
    stone = canvas.colour(*names, jitter=0.03)
    earth = 0.5 * stone + 0.5 * canvas.colour("brown", "tan", "grey", "charcoal", jitter=0.03)
    hole = _holes(canvas)
    inside = smoothstep(hole, 0, 0.012)
    image = flat(canvas, stone) if dirt else _road_line(canvas, flat(canvas, stone))
    image = mix(image, earth * canvas.uniform(0.5, 0.95), inside)
    gravel = grain(canvas, 1.0) + noise(canvas, canvas.uniform(0.01, 0.03))
    shade = 0.1 * noise(canvas, 0.5, 3, 0.6) + 0.06 * gravel
    if not dirt:
        shade = shade - 0.6 * _road_cracks(canvas, hole)
    rubble = noise(canvas, canvas.uniform(0.03, 0.06), 2, 0.7)
    depth, (lx, ly) = canvas.uniform(0.012, 0.03), lamp(canvas)
    lit = 0.4 + 0.6 * sample(inside, x + 2 * depth * lx, y + 2 * depth * ly)
    shade = shade + inside * (lit * (0.9 + 0.16 * rubble) - 1 - shade)
    near = np.exp(-np.abs(hole) * 10)
    chip, ids = specks(canvas, x, y, canvas.uniform(0.02, 0.045), (0.1, 0.4), 1.3, 0.1, near)
    shade = shade + canvas.table(-0.2, 0.35)[ids] * (chip > 0)
    height = 0.005 * rubble * inside - depth * smoothstep(hole, 0, canvas.uniform(0.015, 0.05))
    height = height + 0.0012 * gravel + 0.01 * np.maximum(chip, 0)
    image = relief(canvas, tinted(image, shade), height, 0, 0.35)
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
        reach *= 0.6 if number > 1 else 1
        cx, cy = (canvas.rng.uniform(-0.35, 0.35, 2) * (0.4 if count == 1 else 1)).tolist()
        turn, long = canvas.uniform(0, np.pi), canvas.uniform(1, 1.7)
        dx, dy = turned(x - cx, y - cy, turn)
        field = np.maximum(field, reach - np.hypot(dx / long, dy))
    return field + 0.03 * noise(canvas, 0.25, 2) + 0.012 * noise(canvas, 0.08, 3, 0.6)


def _road_cracks(canvas: Canvas, hole: np.ndarray) -> np.ndarray:
    """Cracks in the asphalt, closest around the holes."""
    ridge = np.abs(noise(canvas, canvas.uniform(0.12, 0.3), 3, 0.55))
    near = np.exp(np.minimum(hole, 0) / 0.12) + canvas.uniform(0, 0.4)
    return np.clip(1 - 18 * ridge, 0, 1) * np.minimum(near, 1) * (hole < 0)


def _road_line(canvas: Canvas, road: np.ndarray) -> np.ndarray:
    """The road, at times with a worn white or yellow line along it."""
    if canvas.chance(0.7):
        return road
    x, _ = canvas.grid()
    aside = np.abs(x - canvas.uniform(-0.4, 0.4))
    line = np.clip((canvas.uniform(0.02, 0.05) - aside) * 100, 0, 1)
    worn = smoothstep(noise(canvas, 0.04, 3), -1.2, 0.3)
    return mix(road, canvas.colour("white", "white", "yellow"), 0.85 * line * worn)


def _puddle(canvas: Canvas, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Still water in the holes: muddy, or a mirror of sky and trees."""
    _, y = canvas.grid()
    level = canvas.uniform(0.005, 0.04)
    mud = canvas.colour("tan", "brown", "beige", "grey", "silver", "charcoal", jitter=0.03)
    sky = canvas.colour("white", "sky blue", "silver", "grey")
    mirror = 0.45 + canvas.uniform(-1, 1) * y + 0.2 * noise(canvas, (0.15, 0.4), 2)
    image = tinted(image, -0.3 * smoothstep(hole, level - 0.05, level))
    water = ramp(np.stack([0.6 * mud, mud, sky]), mirror)
    return mix(image, water, smoothstep(hole, level, level + 0.01))


def _along_road(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The flat image as a road that runs away from the eye, now and then up to its verge."""
    x, y = canvas.grid()
    horizon = canvas.uniform(0.75, 1.3)
    depth = (horizon + 0.5) / (y + horizon)
    zoom, length = canvas.uniform(0.5, 0.75), canvas.uniform(0.8, 1.2)
    seen = sample(image, zoom * x * depth, 0.5 - zoom * length * (depth - 1))
    if canvas.chance(0.6):
        return seen
    verge = canvas.colour("green", "olive", "tan", "grey", "sky blue", "white")
    verge = tinted(verge, 0.25 * noise(canvas, 0.05, 3))
    top = y + canvas.uniform(0.25, 0.42) + 0.01 * noise(canvas, 0.1, 2)
    return mix(verge, seen, smoothstep(top, 0, 0.015))


PAINTERS = {
    "perforated": perforated,
    "pitted": pitted,
    "porous": porous,
    "potholed": potholed,
}
