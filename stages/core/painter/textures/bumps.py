"""What stands out of a surface: bumpy, studded."""

from math import tau

import numpy as np

from stages.core.painter.canvas import BRIGHTS, EARTHS, GREYS, METALS, Canvas
from stages.core.painter.fields import (
    arch,
    flow,
    gradient,
    grain,
    noise,
    smoothstep,
    stripes,
    within,
)
from stages.core.painter.lattices import Spots, cells, hexagon, lattice, specks, swaying
from stages.core.painter.light import (
    flat,
    lamp,
    light_from_above,
    mix,
    ramp,
    relief,
    shadowed,
    tinted,
    vary,
)
from stages.core.painter.materials import backdrop, boards, leather, mottled, on_cloth
from stages.core.painter.shapes import crevices, globe, pick_body, pile

RUBBERS = ("magenta", "red", "green", "sky blue", "blue", "yellow", "orange", "pink", "black")
RINDS = ("green", "olive", "lime", "gold", "brown", "tan", "black", "charcoal", "maroon")
FLOORS = ("grey", "silver", "charcoal", "white", "blue", "beige", "tan")
JEWELS = ("white", "white", "silver", "sky blue", "pink", "red", "green", "purple")


# --- what both share --------------------------------------------------------------------------


def _knobs(canvas: Canvas, far: np.ndarray, size: float) -> np.ndarray:
    """Heights in [0, 1] of domes, flat buttons, cones or hills of radius `size`."""
    kind = canvas.pick("dome", "button", "cone", "hill")
    t = np.clip(1 - far / size, 0, 1)
    if kind == "dome":
        return np.sqrt(t * (2 - t))
    if kind == "button":
        return np.minimum(t * 4, 1)
    return t if kind == "cone" else smoothstep(t, 0, 1)


def _metal(canvas: Canvas, colour: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Polished metal of a height field: slopes mirror a dark floor, a bright sky, a lamp."""
    gx, gy = gradient(height * canvas.size)
    lx, ly = lamp(canvas)
    lean = -(lx * gx + ly * gy) / np.sqrt(1 + gx * gx + gy * gy)
    scale = np.array([0.12, 0.3, 0.25, 0.75, 0.9, 1.1, 1.9, 1.0, 0.5], np.float32)[:, None]
    return ramp(np.clip(scale * colour, 0, 1), (lean + 1) / 2)


# --- bumpy ------------------------------------------------------------------------------------


def bumpy(canvas: Canvas) -> np.ndarray:
    """Rounded or pointed bumps that stand out of a surface and catch the light."""
    light_from_above(canvas)
    canvas.rescale("fine", "medium", "medium", "coarse", "coarse")
    return canvas.pick(
        _gourds, _gourds, _rubber, _rind, _rind, _paving, _tread, _egg_box, _lumps, _rough, _heap,
        _rollers, _blocks,
    )(canvas)  # fmt: skip


def _gourds(canvas: Canvas) -> np.ndarray:
    """Warty pumpkins, squashes, avocados and oranges, one or a heap of them."""
    if canvas.chance(0.45):
        globes = globe(canvas, 0.15, (0.45, 0.9), 1.3)
    else:
        globes = pile(canvas, canvas.uniform(0.3, 0.65), 1.3, 0.6)
    names = canvas.pick(
        ("orange", "orange", "gold", "red"), ("green", "olive", "lime", "gold"), RINDS,
        ("orange", "green", "yellow", "cream", "olive", "maroon"), ("beige", "tan", "brown"),
    )  # fmt: skip
    dx, dy, ids = globes.spots
    x, y = canvas.grid()
    swell = 1 + 0.3 * np.minimum(dx * dx + dy * dy, 1)
    period = canvas.period * canvas.uniform(0.4, 0.9)
    share, apart = canvas.uniform(0.5, 1), canvas.table(-8, 8)[ids]
    bumps = _warts(canvas, x * swell + apart, y * swell, period, share) * globes.mask
    ribs = canvas.pick(0, 0.02) * np.abs(np.sin(canvas.uniform(3, 6) * dx))
    shade = crevices(globes) * (0.85 + 0.1 * noise(canvas, 0.1, 3))
    base = tinted(canvas.colours(3, *names, contrast=15)[ids % 3], shade - 1)
    tint = np.float32(canvas.pick((0.3, 0.3, 0.1), (0.3, 0.1, 0), (0.2, 0.2, 0.2), (0, 0, 0)))
    base = base + (bumps / (0.45 * period))[..., None] * tint
    image = relief(canvas, base, 0.8 * globes.height + bumps + ribs, canvas.uniform(0, 0.5), 0.3)
    return mix(backdrop(canvas) * canvas.pick(0.2, 1), image, globes.mask)


def _warts(canvas: Canvas, u: np.ndarray, v: np.ndarray, period: float, share: float) -> np.ndarray:
    """Smooth random bumps of two sizes, heights in fractions of the side."""
    height = np.zeros_like(u)
    for scale in (1.0, 0.6):
        size = period * scale
        depth, _ = specks(canvas, u, v, size, (0.15, 0.42), 1.3, 0.1, share)
        height = np.maximum(height, (0.45 * size) * smoothstep(depth, -0.1, 0.3))
    return height


def _rubber(canvas: Canvas) -> np.ndarray:
    """A glossy rubber ball or mat with rows of soft knobs."""
    body = pick_body(canvas, swell=0.45)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    spots = lattice(canvas, body.u, body.v, period, 0.2, hexagonal=True)
    size = canvas.uniform(0.18, 0.4)
    knobs = np.maximum(1 - (spots.far / size) ** 2, 0) ** canvas.pick(0.5, 1, 1.5)
    height = body.height + size * period * canvas.uniform(0.6, 1.2) * knobs
    colour = canvas.colour(*RUBBERS)
    return body.before(canvas, relief(canvas, colour, height, canvas.uniform(0.3, 0.9), 0.45))


def _rind(canvas: Canvas) -> np.ndarray:
    """Spikes, scales and swollen plates of durian, pineapple, custard apple, horned skin."""
    body = pick_body(canvas, 1.3)
    period = canvas.period * canvas.uniform(0.7, 1.2)
    spots = swaying(canvas, body.u, body.v, period, 0.12, 0.3)
    rise = np.maximum(1 - spots.far / 0.58, 0)
    kind = canvas.pick("spike", "thorn", "plate", "pyramid")
    if kind == "thorn":
        rise = rise**1.5
    elif kind == "plate":
        rise = np.minimum(np.sqrt(rise), canvas.uniform(0.6, 1))
    elif kind == "pyramid":
        rise = np.clip(2 * hexagon(spots), 0, 1)
    low, high = canvas.colours(2, *RINDS, contrast=25)
    shade = rise + canvas.table(-0.15, 0.15)[spots.ids] + 0.1 * noise(canvas, 0.05, 2)
    base = ramp(np.stack([low, high, np.minimum(high * 1.2, 1)]), shade)
    height = body.height + period * canvas.uniform(0.4, 1) * rise
    return body.before(canvas, relief(canvas, base, height, canvas.uniform(0, 0.4), 0.25))


def _paving(canvas: Canvas) -> np.ndarray:
    """Tactile paving, rubber floors, building bricks: rows of knobs on slabs."""
    u, v = canvas.coordinates(skew=0.1, perspective=0.8)
    period = canvas.period * canvas.uniform(0.8, 1.2)
    spots = lattice(canvas, u, v, period, 0, canvas.chance(0.3))
    size = canvas.uniform(0.2, 0.42)
    knobs = _knobs(canvas, spots.far, size)
    names = canvas.pick(EARTHS, FLOORS, ("yellow", "gold", "tan"), ("maroon", "brown"), BRIGHTS)
    base = mottled(canvas, *names, spread=0.05)
    height = size * period * canvas.uniform(0.5, 1) * knobs
    if canvas.chance(0.6):
        slab = canvas.integer(4, 9)
        shift = 0.5 / slab
        joints = (stripes(t / (period * slab) + shift, 0.02, 0.01) for t in (u, v))
        joint = np.maximum(*joints)
        base, height = tinted(base, -0.5 * joint), height - 0.01 * joint
    if canvas.chance(0.25):
        worn = within(canvas, 0.8 * size - spots.far, period)
        base = mix(base, canvas.colour("silver", "white", "grey"), worn)
    height = height + grain(canvas, canvas.uniform(0, 0.0015))
    return relief(canvas, base, height, canvas.uniform(0, 0.5), 0.3)


def _tread(canvas: Canvas) -> np.ndarray:
    """Steel tread plate: raised lozenges, every other one turned."""
    u, v = canvas.coordinates(skew=0.05, perspective=0.7)
    x, y = u / canvas.period, v / canvas.period
    column, row = np.rint(x), np.rint(y)
    dx, dy = x - column, (y - row) * (1 - 2 * np.mod(column + row, 2))
    lozenge = 1 - ((dx + dy) / 0.6) ** 2 - np.abs(dx - dy) / 0.18
    lozenge = smoothstep(lozenge, 0, canvas.uniform(0.2, 0.6))
    base = mottled(canvas, *METALS, "charcoal", "blue", "silver", spread=0.05)
    base = tinted(base, canvas.uniform(0, 0.6) * lozenge)
    height = 0.09 * canvas.period * lozenge + grain(canvas, 0.0005)
    return relief(canvas, base, height, canvas.uniform(0.1, 0.6), 0.35)


def _egg_box(canvas: Canvas) -> np.ndarray:
    """Acoustic foam, egg boxes, quilted or embossed waves."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.6)
    t = tau / canvas.period
    if canvas.chance(0.6):
        wave = np.cos(t * u) * np.cos(t * v)
    else:
        wave = np.cos(t * u) + 0.5 * np.cos(t * (0.5 * u + 0.87 * v))
    base = mottled(canvas, *FLOORS, "pink", spread=0.04)
    base = tinted(base, np.clip(0.35 * wave - 0.25, -0.8, 0.1))
    height = canvas.period * canvas.uniform(0.12, 0.3) * wave + grain(canvas, 0.0015)
    return relief(canvas, base, height, canvas.uniform(0, 0.5), 0.3)


def _lumps(canvas: Canvas) -> np.ndarray:
    """Packed rounded lumps of many sizes: cobbles, berries, caviar, cauliflower, tortoise shell."""
    x, y = canvas.grid()
    du, dv = flow(canvas, 0.5, 0.02)
    jitter = canvas.uniform(0.3, 0.8)
    c = cells(canvas, x + du, y + dv, canvas.period, jitter, hexagonal=True)
    dome = np.minimum(np.sqrt(np.maximum(c.border, 0)), canvas.uniform(0.4, 0.8))
    names = canvas.pick(EARTHS, GREYS, BRIGHTS, EARTHS)
    palette = canvas.colours(canvas.integer(1, 3), *names, contrast=10)
    base = tinted(vary(canvas, palette, c.ids, 0.05), smoothstep(c.border, -0.15, 0.15) - 1)
    height = canvas.uniform(0.4, 0.8) * canvas.period * dome
    height = height + canvas.uniform(0, 0.003) * noise(canvas, 0.03, 2)
    return relief(canvas, base, height, canvas.uniform(0, 0.7), 0.3)


def _rough(canvas: Canvas) -> np.ndarray:
    """Rough skin, bark, plaster, lava, leather: bumps without order."""
    period = canvas.period * canvas.uniform(0.3, 0.8)
    field = noise(canvas, period, canvas.integer(1, 3), 0.45)
    form = canvas.pick("swell", "billow", "pebble")
    if form == "billow":
        field = np.abs(field)
    elif form == "pebble":
        field = np.clip(field, -0.3, 0.9)
    names = canvas.pick(EARTHS, GREYS, ("navy", "charcoal"), ("green", "olive", "lime"), BRIGHTS)
    base = tinted(mottled(canvas, *names, spread=0.08), 0.12 * field)
    height = period * canvas.uniform(0.1, 0.22) * field
    height = height + canvas.uniform(0, 0.08) * noise(canvas, 0.6)
    return relief(canvas, base, height, canvas.uniform(0, 0.8), 0.25)


def _heap(canvas: Canvas) -> np.ndarray:
    """Balls, beads, peas or eggs heaped together, matt, glossy or of steel."""
    canvas.rescale("medium", "coarse")
    spacing, long = max(canvas.period, 0.09), canvas.pick(1.0, 1.0, 1.3)
    globes = pile(canvas, spacing, long, canvas.uniform(0.5, 0.62))
    dark = crevices(globes) - 1
    if canvas.chance(0.3):
        steel = _metal(canvas, canvas.colour("silver", "gold", "grey"), 0.8 * globes.height)
        return tinted(steel, dark)
    palette = canvas.colours(canvas.integer(1, 5), *canvas.pick(BRIGHTS, EARTHS, GREYS))
    base = tinted(vary(canvas, palette, globes.spots.ids, 0.04), dark)
    height = globes.height + canvas.uniform(0, 0.004) * noise(canvas, 0.03, 2)
    return relief(canvas, base, height, canvas.uniform(0, 0.9), 0.3)


def _rollers(canvas: Canvas) -> np.ndarray:
    """Rows of swollen segments: massage rollers, corn on the cob, ropes of beads."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(warp=0.01)
    width = canvas.period * canvas.uniform(1, 1.8)
    across, along = u / width, v / (width * canvas.uniform(0.25, 0.6))
    row = np.rint(across)
    number = row.astype(np.intp) & 63
    along = along + canvas.pick(0, 1) * canvas.table()[number]
    number = number << 6 | (np.rint(along).astype(np.intp) & 63)
    dx, dy = 2 * (across - row), 2 * np.abs(along - np.rint(along))
    barrel = np.sqrt(np.maximum(1 - dx * dx / 0.9, 0))
    bead = np.minimum(1 - dy, 0.5) if canvas.chance(0.5) else arch(dy)
    if canvas.chance(0.4):
        bead = np.minimum(bead, 1 - 2 * np.abs(1.5 * dx - np.rint(1.5 * dx)))
    wood = canvas.colour("brown", "tan", "gold", "yellow", "beige", "orange", "maroon", "silver")
    shade = (0.5 + np.minimum(bead, 0.5)) * smoothstep(barrel, -0.1, 0.5)
    shade = shade * (1 + canvas.table(-0.12, 0.12)[number] + grain(canvas, 0.03))
    height = (0.3 + 0.2 * bead) * width * barrel
    return relief(canvas, tinted(wood, shade - 1), height, canvas.uniform(0, 0.5), 0.3)


def _blocks(canvas: Canvas) -> np.ndarray:
    """Pyramids or square blocks of uneven height, smooth and shaded."""
    canvas.rescale("medium", "coarse")
    u, v = canvas.coordinates(perspective=0.6)
    period = canvas.period * canvas.uniform(0.9, 1.4)
    spots = lattice(canvas, u, v, period)
    top = 1 - 2 * np.maximum(np.abs(spots.dx), np.abs(spots.dy))
    rise = np.clip(top * canvas.pick(1, 1, 4), 0, 1)
    rise = rise * canvas.table(canvas.pick(0.3, 1), 1)[spots.ids]
    names = canvas.pick(GREYS, EARTHS, ("blue", "sky blue", "red", "navy"), METALS)
    base = tinted(canvas.colour(*names), 0.06 * noise(canvas, 0.2, 4))
    base = tinted(base, 0.5 * smoothstep(top, 0, 0.2) - 0.5)
    height = period * canvas.uniform(0.25, 0.5) * rise
    return relief(canvas, base, height, canvas.uniform(0, 0.4), 0.3)


# --- studded ----------------------------------------------------------------------------------


def studded(canvas: Canvas) -> np.ndarray:
    """Metal studs, spikes, rivets or glittering stones set in rows on leather, cloth or iron."""
    light_from_above(canvas)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    turn = canvas.orientation() + canvas.pick(0, 0, np.pi / 4)
    u, v = canvas.coordinates(turn, perspective=0.5)
    ground, spots, there = _rows(canvas, u, v, period)
    size = canvas.uniform(0.25, 0.46)
    kind = canvas.pick("stud", "stud", "stud", "pyramid", "gem", "star")
    far = spots.far
    if kind == "pyramid":
        far = np.maximum(np.abs(spots.dx), np.abs(spots.dy))
    elif kind == "star":
        far = far * (1 + 0.35 * np.cos(5 * np.arctan2(spots.dy, spots.dx)))
    mask = within(canvas, size - far, period) * there
    if kind == "gem":
        studs = _gems(canvas, spots, size)
    else:
        colour = canvas.colour("silver", "silver", "white", "gold", "gold", "grey", "charcoal")
        rise = _knobs(canvas, far, size) if kind == "stud" else np.maximum(1 - far / size, 0)
        studs = _metal(canvas, colour, size * period * canvas.uniform(0.5, 1.1) * rise)
    return mix(shadowed(canvas, ground, mask, 0.15 * period), studs, mask)


def _rows(canvas: Canvas, u: np.ndarray, v: np.ndarray, period: float) -> tuple:
    """A ground, the spots of studs on it and where there are any: all over, in lines, on a belt."""
    ground = _backing(canvas)
    kind = canvas.pick("all", "all", "lines", "seams", "belt")
    if kind == "seams":
        step = canvas.uniform(0.35, 0.6)
        away = v + canvas.uniform(0.02, 0.08) * noise(canvas, (0.7, 2.0))
        away = away - step * np.rint(away / step)
        return ground, lattice(canvas, u, away, period), np.abs(away) < period / 2
    if kind == "belt":
        inside = period * canvas.integer(1, 3) - np.abs(v)
        ground = mix(_backing(canvas), ground, np.clip(inside * canvas.size, 0, 1))
        ground = tinted(ground, -0.5 * np.exp(-((inside / 0.01) ** 2)))
        return ground, lattice(canvas, u, v + period / 2, period), inside > 0
    spots = lattice(canvas, u, v, period, canvas.uniform(0, 0.06), canvas.chance(0.35))
    if kind == "lines":
        return ground, spots, (spots.ids >> 6) % canvas.pick(4, 6, 8) < 2
    return ground, spots, 1


def _gems(canvas: Canvas, spots: Spots, size: float) -> np.ndarray:
    """Cut stones: facets round a flat table, each of a brightness of its own."""
    palette = canvas.colours(canvas.integer(1, 2), *JEWELS)
    turn = np.rint(np.arctan2(spots.dy, spots.dx) * (4 / np.pi)).astype(np.intp) & 7
    facet = np.where(spots.far < 0.5 * size, 8, turn) + 9 * (spots.ids & 255)
    shine = canvas.table(0.25, 1.5)[facet] + 0.5 * smoothstep(spots.far, 0.15 * size, 0)
    return tinted(vary(canvas, palette, spots.ids, 0.03), shine - 1)


def _backing(canvas: Canvas) -> np.ndarray:
    """What studs are set in: leather, denim, velvet, wood or iron."""
    kind = canvas.pick("leather", "leather", "cloth", "wood", "iron")
    if kind == "leather":
        return leather(canvas)
    if kind == "cloth":
        return on_cloth(canvas, flat(canvas, canvas.colour()), 0.4)
    if kind == "wood":
        return boards(canvas)
    return mottled(canvas, *METALS, "brown", "teal", "charcoal", spread=0.1)


PAINTERS = {
    "bumpy": bumpy,
    "studded": studded,
}
