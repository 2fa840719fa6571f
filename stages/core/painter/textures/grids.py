"""Lines that cross: chequered, crosshatched, grid, meshed, waffled."""

import numpy as np

from stages.core.painter.canvas import METALS, Canvas
from stages.core.painter.fields import (
    above,
    arch,
    blur,
    cosine,
    flow,
    gradient,
    headings,
    noise,
    smoothstep,
    stripes,
    triangle,
    turned,
    unit,
)
from stages.core.painter.lattices import cells
from stages.core.painter.light import flat, lift, mix, ramp, relief, vary
from stages.core.painter.materials import printed, scene
from stages.core.painter.shapes import strokes

# --- chequered --------------------------------------------------------------------------------


def chequered(canvas: Canvas) -> np.ndarray:
    """Squares in two alternating colours, as on a board, a floor, a flag or gingham."""
    kind = canvas.pick("board", "board", "flag", "floor", "gingham", "patches")
    diamonds = canvas.chance(0.25)
    angle = np.pi / 4 if diamonds else canvas.orientation()
    u, v = canvas.coordinates(angle=angle, perspective=0.8 if kind == "floor" else 0.15)
    side = np.float32(canvas.period)
    ground, figure = canvas.palette[:2]
    if canvas.chance(0.3):
        ground, figure = canvas.colour("white", "cream"), canvas.colour("black", "charcoal")
    if kind == "flag":
        wave = noise(canvas, canvas.uniform(0.25, 0.5), 2)
        u, v = u + np.float32(0.02) * wave, v - np.float32(0.025) * wave
    across, down = (above(cosine(t / (2 * side))) for t in (u, v))
    if kind == "gingham":
        image = mix(flat(canvas, ground), figure, (across + down) / 2)
        return printed(canvas, image)
    mask = across + down - 2 * across * down
    image = mix(flat(canvas, ground), figure, mask)
    if kind == "patches":  # every square in a shade of its own
        column, row = (np.floor(t / side + np.float32(0.5)).astype(np.int32) for t in (u, v))
        numbers = column * 89 + row * 37
        image = vary(canvas, figure[None], numbers, 0.06)
        image = mix(image, vary(canvas, ground[None], numbers, 0.06), mask)
    if kind == "flag":
        return relief(canvas, image, np.float32(0.05) * wave, gloss=canvas.uniform(0, 0.3))
    if kind == "floor" or canvas.chance(0.15):
        joint = np.maximum(stripes(u / side + 0.5, 0.05), stripes(v / side + 0.5, 0.05))
        image = mix(image, canvas.colour("grey", "black", "white", "beige"), joint)
        return image * (1 + np.float32(0.05) * noise(canvas, 0.1, 4))[..., None]
    return printed(canvas, image)


# --- crosshatched -----------------------------------------------------------------------------


def crosshatched(canvas: Canvas) -> np.ndarray:
    """Fine strokes in two or more directions across one another."""
    pens, cloths = (_pen_drawing, _pen_drawing), (_linen, _linen, _linen)
    return canvas.pick(*pens, *cloths, _pressed_hide, _scratched)(canvas)


def _pen_drawing(canvas: Canvas) -> np.ndarray:
    """Shaded bodies drawn in ink, darker where more directions of hatching cross."""
    dark = _shaded_bodies(canvas)
    x, y = canvas.grid()
    gap = np.float32(canvas.uniform(0.016, 0.036))
    lean, crossing = canvas.uniform(0, np.pi), canvas.uniform(0.6, 1.57)
    bend_x, bend_y = flow(canvas, 0.4, gap * canvas.uniform(0.1, 0.8))
    swell = np.float32(0.12) * noise(canvas, 0.03, 2)
    threshold = canvas.uniform(0.1, 0.3)
    bare = np.ones_like(x)
    for layer, angle in enumerate((lean, lean + crossing, lean - 0.5 * crossing)):
        t = turned(x + bend_x, y + bend_y, angle)[0] / gap
        excess = dark + swell - (threshold + 0.28 * layer)
        duty = np.clip(4 * excess, -0.3, 0.22) + np.clip(excess, 0, 0.8) * np.float32(0.3)
        bare = bare * (1 - stripes(t, duty))
    if canvas.chance(0.5):  # outlines
        slope = np.hypot(*gradient(blur(dark, 0.004))) * np.float32(canvas.size)
        bare = bare * (1 - smoothstep(slope, 15, 25))
    paper = flat(canvas, canvas.colour("white", "white", "cream", "beige"))
    ink = canvas.colour("black", "black", "charcoal", "brown", "navy")
    if canvas.chance(0.15):
        paper, ink = flat(canvas, ink), paper[0, 0]
    return mix(paper, ink, (1 - bare) * np.float32(canvas.uniform(0.75, 1)))


def _shaded_bodies(canvas: Canvas) -> np.ndarray:
    """How dark a scene of slabs and balls before a clouded ground is, about 0 to 1."""
    x, y = canvas.grid()
    dark = np.float32(0.35) + np.float32(0.25) * noise(canvas, canvas.uniform(0.15, 0.6), 3)
    for _ in range(canvas.integer(1, 6)):
        turn, flatten = canvas.uniform(0, np.pi), canvas.uniform(0.5, 1.6)
        radius = canvas.uniform(0.1, 0.4)
        dx, dy = x - canvas.uniform(-0.5, 0.5), y - canvas.uniform(-0.5, 0.5)
        dx, dy = turned(dx, dy, turn)
        dx, dy = dx / radius, dy / (radius * flatten)
        if canvas.chance(0.4):  # a slab, darker towards one end
            inside = np.maximum(np.abs(dx), np.abs(dy))
            body = np.float32(canvas.uniform(0, 1)) + np.float32(0.3) * dx
        else:  # a ball
            inside = dx * dx + dy * dy
            lit = canvas.light[0] * dx + canvas.light[1] * dy
            body = np.float32(1.05) - lit - canvas.light[2] * np.sqrt(np.maximum(0, 1 - inside))
        dark = np.where(inside < 1, body, np.where(inside < 1.12, dark + np.float32(0.4), dark))
    return dark


def _linen(canvas: Canvas) -> np.ndarray:
    """Plain cloth whose uneven threads run across one another."""
    fine, long = canvas.uniform(0.005, 0.010), canvas.uniform(0.05, 0.25)
    threads = noise(canvas, (long, fine), 2) + noise(canvas, (fine, long), 2)
    if canvas.chance(0.5):  # slubs only
        threads = np.maximum(threads - 0.3, 0) * 1.4
    light = lift(canvas.palette[0])
    dark = canvas.palette[1] if canvas.chance(0.4) else np.float32(0.35) * light
    return mix(flat(canvas, light), dark, np.clip(0.3 + canvas.uniform(0.12, 0.32) * threads, 0, 1))


def _pressed_hide(canvas: Canvas) -> np.ndarray:
    """Hide or metal pressed with two fine sets of slanting ridges."""
    u, v = canvas.coordinates(angle=canvas.pick(0.0, np.pi / 4, np.pi / 4), warp=0.01)
    gap = np.float32(canvas.uniform(0.012, 0.024))
    wobble = np.float32(0.1) * noise(canvas, 0.08, 2)
    first, second = cosine(u / gap + wobble), cosine(v / gap - wobble)
    broken = smoothstep(noise(canvas, 0.03), -1.5, 1.5)
    height = np.maximum(first * (1 - broken), second * broken)
    names = ("black", "charcoal", "black", "brown", "maroon", "navy", "red", "silver", "tan")
    base = flat(canvas, lift(canvas.colour(*names)))
    return relief(canvas, base, np.float32(0.25) * gap * height, gloss=canvas.uniform(0.05, 0.35))


def _scratched(canvas: Canvas) -> np.ndarray:
    """Loose straight strokes, or small patches of parallel ones."""
    ground, figure = canvas.palette[:2]
    image = flat(canvas, ground)
    lean, open_angle = canvas.uniform(0, np.pi), canvas.uniform(0.9, 1.6)
    bundle = canvas.pick(1, 1, 8)  # strokes in a patch
    for angle in (lean, lean + open_angle, lean, lean + open_angle):
        count = canvas.integer(120, 260) // min(bundle, 3)
        angles = angle + canvas.rng.normal(0, 0.08 if bundle == 1 else 0.25, (count, 1))
        along = headings(angles)  # (count, 1, 2)
        across = np.stack([-along[..., 1], along[..., 0]], -1)
        shift = 0.02 * (np.arange(bundle) - bundle / 2)[:, None] * across
        middles = canvas.rng.uniform(-0.55, 0.55, (count, 1, 2)) + shift  # (count, bundle, 2)
        reach = canvas.rng.uniform(0.04, 0.2, (count, 1, 1)) / np.sqrt(bundle) * along
        lines = np.stack([middles - reach, middles + reach], 2).reshape(-1, 2, 2)
        mask = strokes(canvas, lines, canvas.uniform(0.002, 0.006)) * canvas.uniform(0.5, 1)
        image = mix(image, figure, mask)
    return printed(canvas, image)


# --- grid -------------------------------------------------------------------------------------


def grid(canvas: Canvas) -> np.ndarray:
    """Straight thin lines that cross at right angles."""
    kind = canvas.pick(_ruled, _ruled, _tiled, _barred, _facade)
    u, v = canvas.coordinates(perspective=0.35, warp=0, skew=0)
    side = np.float32(1.2 * canvas.period)
    aspect = np.float32(1 if canvas.chance(0.6) else canvas.uniform(0.5, 1))
    return kind(canvas, u / side, v / (side * aspect), side)


def _ruled(canvas: Canvas, s: np.ndarray, t: np.ndarray, _side: np.float32) -> np.ndarray:
    """Printed or drawn lines, as on squared paper."""
    ground, figure = canvas.palette[:2]
    thick = canvas.uniform(0.06, 0.16)
    mask = np.maximum(stripes(s, thick), stripes(t, thick))
    if canvas.chance(0.4):  # finer lines between
        fine = np.maximum(stripes(3 * s, thick), stripes(3 * t, thick))
        mask = np.maximum(mask, np.float32(0.4) * fine)
    return printed(canvas, mix(flat(canvas, ground), figure, mask))


def _tiled(canvas: Canvas, s: np.ndarray, t: np.ndarray, side: np.float32) -> np.ndarray:
    """Tiles of one colour with joints between."""
    number, inside = _panes(s, t)
    image = vary(canvas, canvas.palette[:1], number, canvas.uniform(0.01, 0.06))
    width = canvas.uniform(0.03, 0.07)
    height = side * np.float32(0.4) * np.minimum(inside, np.float32(2 * width))
    image = relief(canvas, image, height, gloss=canvas.uniform(0, 0.3))
    joint = canvas.colour("white", "grey", "charcoal", "beige", "silver")
    return mix(image, joint, above(width - inside))


def _facade(canvas: Canvas, s: np.ndarray, t: np.ndarray, _side: np.float32) -> np.ndarray:
    """The windows of an office building."""
    number, inside = _panes(s, t)
    glass = vary(canvas, canvas.colours(2, "navy", "teal", "sky blue", "black"), number, 0.08)
    frame = above(np.float32(canvas.uniform(0.06, 0.14)) - inside)
    return mix(glass, canvas.colour("white", "silver", "grey", "beige", "brown"), frame)


def _barred(canvas: Canvas, s: np.ndarray, t: np.ndarray, side: np.float32) -> np.ndarray:
    """Round bars before an out-of-focus scene."""
    _, inside = _panes(s, t)
    width = canvas.uniform(0.07, 0.14)
    height = side * arch(inside, width)
    bars = relief(canvas, flat(canvas, canvas.colour(*METALS, "black", "white")), height, gloss=0.3)
    return mix(scene(canvas), bars, above(width - inside))


def _panes(s: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the unit square a pixel lies in, and the distance to its border."""
    number = 71 * np.floor(s).astype(np.int32) + np.floor(t).astype(np.int32)
    return number, np.minimum(np.abs(s - np.rint(s)), np.abs(t - np.rint(t)))


# --- meshed -----------------------------------------------------------------------------------


def meshed(canvas: Canvas) -> np.ndarray:
    """A net or wire mesh with the background in its openings."""
    kind = canvas.pick("chain link", "woven wire", "net", "net", "hexagons")
    lean = np.pi / 4 + canvas.uniform(-0.1, 0.1)
    u, v = canvas.coordinates(angle=lean if kind == "chain link" else None, warp=0.02)
    side = np.float32(canvas.period * canvas.uniform(0.7, 1.1))
    thick = np.float32(canvas.uniform(0.09, 0.18))
    if kind == "net":  # it sags
        du, dv = flow(canvas, 0.35, 0.25 * canvas.period)
        u, v = u + du, v + dv
    s, t = u / side, v / (side * np.float32(canvas.uniform(0.8, 1.25)))
    if kind == "hexagons":
        border = cells(canvas, u, v, 1.4 * side, jitter=0.1, hexagonal=True).border * 1.4
        height = arch(border, thick)
    else:
        near_s, near_t = np.abs(s - np.rint(s)), np.abs(t - np.rint(t))
        over = np.float32(0.7) * thick * cosine(s / 2) * cosine(t / 2)
        if kind == "net":
            over = over * 0
            knot = np.hypot(near_s, near_t) < 2.2 * thick
            near_s, near_t = (np.where(knot, n * 0.8, n) for n in (near_s, near_t))
        warp = arch(near_s, thick) * (1 + over / thick)
        weft = arch(near_t, thick) * (1 - over / thick)
        height = np.maximum(warp, weft)
    mask = above(height - thick * np.float32(0.35))
    names = (*METALS, "black", "white") if kind != "net" else ()
    wire = relief(canvas, flat(canvas, canvas.colour(*names)), side * height, gloss=0.3)
    behind = scene(canvas)
    shadow = blur(mask, 0.012) * np.float32(canvas.uniform(0, 0.5))
    return mix(behind * (1 - shadow)[..., None], wire, mask)


# --- waffled ----------------------------------------------------------------------------------


def waffled(canvas: Canvas) -> np.ndarray:
    """A raised square grid with a pit in every square, as of a waffle."""
    canvas.rescale("medium", "coarse")
    kind = canvas.pick("waffle", "waffle", "waffle", "cone", "cloth")
    angle = canvas.pick(0.0, np.pi / 4, canvas.uniform(0, np.pi))
    u, v = canvas.coordinates(angle=angle, perspective=0.4, skew=0.25)
    side = np.float32(1.1 * canvas.period)
    s, t = u / side, v / side
    edge = np.minimum(triangle(s), triangle(t))  # 0 on the ridges, 1 amid a pit
    ridge = {"waffle": canvas.uniform(0.25, 0.5), "cone": 0.2, "cloth": 0.15}[kind]
    wall = 1 - smoothstep(edge, 0.5 * ridge, ridge + 0.3)
    if kind == "cloth":
        wall = 1 - np.sqrt(triangle(s) * triangle(t))
    height = side * np.float32(0.28) * wall
    if kind == "cloth":
        base = flat(canvas, lift(canvas.palette[0]))
    else:
        dark, golden, light = (
            canvas.colour(*n, jitter=0.04)
            for n in (("brown",), ("gold", "tan", "orange"), ("beige", "tan", "gold"))
        )
        crust = unit(np.float32(0.9) * wall + np.float32(0.25) * noise(canvas, 0.12, 4))
        order = [dark, golden, light] if canvas.chance(0.4) else [light, golden, dark]
        base = ramp(np.stack(order), crust)
    crumbs = np.float32(canvas.uniform(0.0005, 0.002)) * noise(canvas, 0.03, 3)
    image = relief(canvas, base, height + crumbs, gloss=canvas.uniform(0, 0.2))
    return image * (np.float32(0.6) + np.float32(0.4) * wall)[..., None]


PAINTERS = {
    "chequered": chequered,
    "crosshatched": crosshatched,
    "grid": grid,
    "meshed": meshed,
    "waffled": waffled,
}
