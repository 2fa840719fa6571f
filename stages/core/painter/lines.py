"""Painters of textures made of lines: bands, stripes, grids, hatching, folds and layers."""

import numpy as np

from stages.core.painter.canvas import EARTHS, GREYS, METALS, Canvas
from stages.core.painter.primitives import (
    above,
    blur,
    cells,
    flat,
    flow,
    gradient,
    grain,
    mix,
    noise,
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

TWO_PI = 2 * np.pi
ROCKS = (
    ("brown", "tan", "beige", "cream", "gold"),
    ("orange", "tan", "maroon", "cream", "brown"),
    ("grey", "charcoal", "beige", "tan"),
    GREYS,
)


# --- what several classes share ---------------------------------------------------------------


def _wave(t: np.ndarray) -> np.ndarray:
    """Cosine of period 1 in t, 1 at whole numbers."""
    return np.cos(np.float32(TWO_PI) * t)


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


def _polar(canvas: Canvas, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance and angle (radians) about a random point at most `reach` from the middle."""
    x, y = canvas.grid()
    centre_x, centre_y = canvas.uniform(-reach, reach), canvas.uniform(-reach, reach)
    return np.hypot(x - centre_x, y - centre_y), np.arctan2(y - centre_y, x - centre_x)


def _lift(colour: np.ndarray) -> np.ndarray:
    """The colour a little lighter, so that relief shows on it even if it is black."""
    return np.float32(0.14) + np.float32(0.83) * colour


def _finish(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """What the pattern is printed on: paper, cloth, draped cloth or a worn wall."""
    kind = canvas.pick("paper", "paper", "cloth", "drape", "worn")
    if kind in ("cloth", "drape"):
        threads = noise(canvas, (0.007, 0.05)) + noise(canvas, (0.05, 0.007))
        image = image * (1 + np.float32(canvas.uniform(0.015, 0.06)) * threads)[..., None]
    if kind == "drape":
        folds = noise(canvas, canvas.uniform(0.2, 0.5), 2)
        image = relief(canvas, image, np.float32(canvas.uniform(0.008, 0.025)) * folds)
    if kind == "worn":
        patches = smoothstep(noise(canvas, 0.2, 5, 0.8), 0, 2.5) * canvas.uniform(0.2, 0.6)
        image = mix(image, canvas.colour("white", "beige", "grey", "brown"), patches)
    return image


def _backdrop(canvas: Canvas, *names: str) -> np.ndarray:
    """An out-of-focus scene, to be seen through openings."""
    hues = canvas.colours(canvas.integer(1, 3), *names, contrast=15)
    return ramp(np.vstack([hues, hues[:1]]), unit(noise(canvas, canvas.uniform(0.25, 0.6), 2)))


# --- bands and stripes ------------------------------------------------------------------------


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
    return _finish(canvas, image)


def striped(canvas: Canvas) -> np.ndarray:
    """Two alternating colours: printed stripes, a zebra's or a tiger's."""
    kind = canvas.pick("printed", "printed", "printed", "zebra", "zebra", "tiger", "curved")
    u, v = canvas.coordinates(warp=0.015)
    ground, figure = canvas.palette[:2]
    level = canvas.uniform(-0.4, 0.4)
    if kind in ("zebra", "tiger"):
        t = u / np.float32(1.3 * canvas.period)
        for _ in range(canvas.integer(2, 7)):  # a fork where a stripe divides
            x, y = canvas.rng.uniform(-0.6, 0.6, 2).astype(np.float32)
            turns = np.arctan2(v - y, u - x) / np.float32(TWO_PI)
            t = t + turns if canvas.chance(0.5) else t - turns
        wave = _wave(t + np.float32(0.22) * noise(canvas, (0.3, 0.2), 2)) + level
        if kind == "tiger":
            wave = wave - np.float32(0.7) * smoothstep(noise(canvas, 0.3), -0.5, 1.5)
            ground = canvas.colour("orange", "gold", "tan", "white")
            figure = canvas.colour("black", "brown", "charcoal")
        elif canvas.chance(0.6):
            ground, figure = canvas.colour("white", "cream"), canvas.colour("black", "charcoal")
        mask = above(wave)
        fur = 1 + np.float32(canvas.uniform(0, 0.1)) * noise(canvas, (0.02, 0.006))
        return mix(flat(canvas, ground), figure, mask) * fur[..., None]
    if kind == "curved":
        u = np.hypot(u, v + np.float32(canvas.uniform(0.6, 1.2)))
    mask = above(_wave(u / np.float32(1.2 * canvas.period)) + level)
    return _finish(canvas, mix(flat(canvas, ground), figure, mask))


def lined(canvas: Canvas) -> np.ndarray:
    """Thin lines along one direction on a plain ground."""
    kind = canvas.pick("ruled", "pinstripe", "drawn", "etched", "boards")
    spacing = np.float32(0.8 * canvas.period)
    if kind == "ruled":  # a writing pad
        u, v = canvas.coordinates(angle=np.pi / 2 + canvas.uniform(-0.2, 0.2))
        paper = flat(canvas, canvas.colour("white", "cream", "beige", "yellow", "sky blue"))
        ink = canvas.colour("sky blue", "blue", "grey", "teal", "lilac", jitter=0.08)
        image = mix(paper, ink, stripes(u / spacing, canvas.uniform(0.06, 0.14)))
        if canvas.chance(0.5):
            margin = above(np.float32(0.004) - np.abs(v - np.float32(canvas.uniform(-0.3, 0.3))))
            image = mix(image, canvas.colour("red", "pink"), margin)
        return image + grain(canvas, 0.015, 0.004)[..., None]
    u, v = canvas.coordinates(warp=0.015)
    ground, figure = canvas.palette[:2]
    if kind == "pinstripe":
        mask = stripes(u / spacing, canvas.uniform(0.08, 0.2))
        return _finish(canvas, mix(flat(canvas, ground), figure, mask))
    if kind == "drawn":  # by hand: every line wavers and swells
        t = u / spacing + np.float32(0.08) * noise(canvas, (0.08, 0.2), 2)
        thick = np.float32(0.15) + np.float32(0.05) * noise(canvas, 0.1)
        mask = stripes(t + np.float32(canvas.uniform(0, 0.8)) * noise(canvas, 0.5), thick)
        paper = flat(canvas, canvas.colour("white", "cream", "beige", "tan", "silver"))
        return mix(paper, canvas.colour("black", "charcoal", "navy", "brown", "maroon"), mask)
    t = u / spacing
    if kind == "etched":  # scratches of unequal depth
        t = t + canvas.table(-0.2, 0.2)[np.rint(t).astype(int) % 4096]
        depth = canvas.table(0.2, 1)[np.rint(t).astype(int) % 4096]
        mask = np.maximum(0, 1 - np.abs(t - np.rint(t)) / np.float32(0.14)) * depth
        base = _lift(canvas.colour(*METALS, "brown", "white", "teal", "black"))
        return relief(canvas, flat(canvas, base), np.float32(-0.25) * spacing * mask, gloss=0.2)
    board = np.floor(t).astype(int)  # planks with a dark joint
    paint = _lift(canvas.colour(*EARTHS, "white", "sky blue", "green"))
    shade = vary(canvas, paint[None], board, 0.03)
    fibre = 1 + np.float32(0.04) * sample(noise(canvas, (0.01, 0.3), 2), u, v)
    joint = stripes(t, canvas.uniform(0.07, 0.14), soft=0.05)
    return mix(shade * fibre[..., None], np.float32(0.3) * shade, joint)


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
        mask = above(_wave(t) + canvas.uniform(-0.4, 0.4))
        return _finish(canvas, mix(flat(canvas, ground), figure, mask))
    if kind == "missoni":
        count = canvas.integer(3, 7)
        colours = canvas.colours(count, contrast=20)
        return _finish(canvas, _bands(t * 2 / count, colours, np.ones(count)))
    if kind == "lines":
        mask = stripes(t * canvas.uniform(1, 2), canvas.uniform(0.12, 0.35))
        return _finish(canvas, mix(flat(canvas, ground), figure, mask))
    if kind == "parquet":
        side = np.rint(2 * u / length - np.float32(0.5)).astype(int)
        plank = np.rint(2 * t).astype(int)
        woods = canvas.colours(3, "brown", "tan", "beige", "grey", "gold", contrast=12)
        image = vary(canvas, woods, plank * 61 + side * 7, 0.05)
        joint = np.maximum(stripes(2 * t + 0.5, 0.1), stripes(2 * u / length, 0.06))
        return mix(image, np.float32(0.35) * image, joint)
    stitches = np.float32(0.25 * band) * np.abs(_wave(t * 3))
    image = mix(flat(canvas, ground), figure, above(_wave(t)))
    return relief(canvas, image, stitches + grain(canvas, 0.0015, 0.004))


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
        wave = _wave(t + np.float32(0.3) * _wave(t / 2.7) + np.float32(0.3) * noise(canvas, 0.5))
        profile = (np.float32(0.5) + np.float32(0.5) * wave) * (1 + noise(canvas, (0.2, 1)) / 4)
        tone = np.float32(0.45) + np.float32(0.65) * profile
    else:  # knife pleats: a long slope, then a sharp overhang and its shadow
        profile = np.minimum(fraction * np.float32(1.1), (1 - fraction) * 10)
        tone = np.float32(0.6) + np.float32(0.55) * profile - np.exp(-9 * fraction) * 0.4
    cloth = flat(canvas, _lift(canvas.palette[0]))
    deep = np.float32(canvas.uniform(0.08, 0.25)) * width
    height = blur(deep * profile, 0.003) + np.float32(0.0003) * noise(canvas, 0.008)
    return relief(
        canvas, cloth * blur(tone, 0.003)[..., None], height, gloss=canvas.uniform(0, 0.2)
    )


def grooved(canvas: Canvas) -> np.ndarray:
    """Parallel furrows cut or pressed into a hard surface."""
    kind = canvas.pick("carved", "corrugated", "record", "planks", "flutes")
    u, _ = canvas.coordinates(warp=0.01)
    if kind == "record":
        u = _polar(canvas, 0.6)[0]
    t = u / np.float32(canvas.period * (0.75 if kind == "record" else 1))
    if kind in ("carved", "planks"):
        t = t + np.float32(0.05) * noise(canvas, (0.2, 0.5), 2)
    depth = np.float32(0.5 * canvas.period)
    if kind == "corrugated":
        profile = np.float32(0.25) + np.float32(0.25) * _wave(t)
    elif kind == "flutes":
        profile = np.float32(0.5) * np.sqrt(np.maximum(0, 1 - (2 * (t - np.rint(t))) ** 2))
    else:  # flat lands between steep furrows
        profile = np.minimum(triangle(t + 0.5) * canvas.uniform(1, 2), np.float32(0.55))
        profile = np.float32(0.6) - profile
    metal = kind in ("corrugated", "record") or canvas.chance(0.2)
    names = (*METALS, "teal", "red", "navy") if metal else (*EARTHS, "white", "black")
    patina = 1 + np.float32(canvas.uniform(0.02, 0.12)) * noise(canvas, 0.2, 4)
    base = _lift(canvas.colour(*names)) * patina[..., None]
    rough = grain(canvas, canvas.uniform(0, 0.0012), 0.004)
    image = relief(canvas, base, depth * profile + rough, gloss=0.35 if metal else 0.05)
    return image * (np.float32(0.55) + np.float32(0.9) * np.clip(profile, 0, 0.5))[..., None]


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


# --- lines that cross -------------------------------------------------------------------------


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
    across, down = (above(_wave(t / (2 * side))) for t in (u, v))
    if kind == "gingham":
        image = mix(flat(canvas, ground), figure, (across + down) / 2)
        return _finish(canvas, image)
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
    return _finish(canvas, image)


def crosshatched(canvas: Canvas) -> np.ndarray:
    """Fine strokes in two or more directions across one another."""
    kind = canvas.pick("pen", "pen", "linen", "linen", "linen", "leather", "scratches")
    if kind == "pen":
        return _pen_drawing(canvas)
    if kind == "linen":
        return _linen(canvas)
    if kind == "leather":
        return _leather(canvas)
    ground, figure = canvas.palette[:2]
    image = flat(canvas, ground)
    lean, open_angle = canvas.uniform(0, np.pi), canvas.uniform(0.9, 1.6)
    bundle = canvas.pick(1, 1, 8)  # loose strokes, or small patches of parallel ones
    for angle in (lean, lean + open_angle, lean, lean + open_angle):
        count = canvas.integer(120, 260) // min(bundle, 3)
        angles = angle + canvas.rng.normal(0, 0.08 if bundle == 1 else 0.25, (count, 1))
        along = np.stack([np.cos(angles), np.sin(angles)], -1)  # (count, 1, 2)
        across = np.stack([-np.sin(angles), np.cos(angles)], -1)
        shift = 0.02 * (np.arange(bundle) - bundle / 2)[:, None] * across
        middles = canvas.rng.uniform(-0.55, 0.55, (count, 1, 2)) + shift  # (count, bundle, 2)
        reach = canvas.rng.uniform(0.04, 0.2, (count, 1, 1)) / np.sqrt(bundle) * along
        lines = np.stack([middles - reach, middles + reach], 2).reshape(-1, 2, 2)
        mask = strokes(canvas, lines, canvas.uniform(0.002, 0.006)) * canvas.uniform(0.5, 1)
        image = mix(image, figure, mask)
    return _finish(canvas, image)


def _pen_drawing(canvas: Canvas) -> np.ndarray:
    """Shaded bodies drawn in ink, darker where more directions of hatching cross."""
    x, y = canvas.grid()
    dark = np.float32(0.35) + np.float32(0.25) * noise(canvas, canvas.uniform(0.15, 0.6), 3)
    for _ in range(canvas.integer(1, 6)):
        turn, flatten = canvas.uniform(0, np.pi), canvas.uniform(0.5, 1.6)
        radius = canvas.uniform(0.1, 0.4)
        dx, dy = x - canvas.uniform(-0.5, 0.5), y - canvas.uniform(-0.5, 0.5)
        cos, sin = float(np.cos(turn)), float(np.sin(turn))
        dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
        dx, dy = dx / radius, dy / (radius * flatten)
        if canvas.chance(0.4):  # a slab, darker towards one end
            inside = np.maximum(np.abs(dx), np.abs(dy))
            body = np.float32(canvas.uniform(0, 1)) + np.float32(0.3) * dx
        else:  # a ball
            inside = dx * dx + dy * dy
            lit = canvas.light[0] * dx + canvas.light[1] * dy
            body = np.float32(1.05) - lit - canvas.light[2] * np.sqrt(np.maximum(0, 1 - inside))
        dark = np.where(inside < 1, body, np.where(inside < 1.12, dark + np.float32(0.4), dark))
    gap = np.float32(canvas.uniform(0.016, 0.036))
    lean, crossing = canvas.uniform(0, np.pi), canvas.uniform(0.6, 1.57)
    bend_x, bend_y = flow(canvas, 0.4, gap * canvas.uniform(0.1, 0.8))
    swell = np.float32(0.12) * noise(canvas, 0.03, 2)
    threshold = canvas.uniform(0.1, 0.3)
    bare = np.ones_like(x)
    for layer, angle in enumerate((lean, lean + crossing, lean - 0.5 * crossing)):
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        t = ((x + bend_x) * cos + (y + bend_y) * sin) / gap
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


def _linen(canvas: Canvas) -> np.ndarray:
    """Plain cloth whose uneven threads run across one another."""
    fine, long = canvas.uniform(0.005, 0.010), canvas.uniform(0.05, 0.25)
    threads = noise(canvas, (long, fine), 2) + noise(canvas, (fine, long), 2)
    if canvas.chance(0.5):  # slubs only
        threads = np.maximum(threads - 0.3, 0) * 1.4
    light = _lift(canvas.palette[0])
    dark = canvas.palette[1] if canvas.chance(0.4) else np.float32(0.35) * light
    return mix(flat(canvas, light), dark, np.clip(0.3 + canvas.uniform(0.12, 0.32) * threads, 0, 1))


def _leather(canvas: Canvas) -> np.ndarray:
    """Hide or metal pressed with two fine sets of slanting ridges."""
    u, v = canvas.coordinates(angle=canvas.pick(0.0, np.pi / 4, np.pi / 4), warp=0.01)
    gap = np.float32(canvas.uniform(0.012, 0.024))
    wobble = np.float32(0.1) * noise(canvas, 0.08, 2)
    first, second = _wave(u / gap + wobble), _wave(v / gap - wobble)
    broken = smoothstep(noise(canvas, 0.03), -1.5, 1.5)
    height = np.maximum(first * (1 - broken), second * broken)
    names = ("black", "charcoal", "black", "brown", "maroon", "navy", "red", "silver", "tan")
    base = flat(canvas, _lift(canvas.colour(*names)))
    return relief(canvas, base, np.float32(0.25) * gap * height, gloss=canvas.uniform(0.05, 0.35))


def grid(canvas: Canvas) -> np.ndarray:
    """Straight thin lines that cross at right angles."""
    kind = canvas.pick("ruled", "ruled", "tiles", "bars", "facade")
    u, v = canvas.coordinates(perspective=0.35, warp=0, skew=0)
    side = np.float32(1.2 * canvas.period)
    aspect = np.float32(1 if canvas.chance(0.6) else canvas.uniform(0.5, 1))
    s, t = u / side, v / (side * aspect)
    ground, figure = canvas.palette[:2]
    if kind == "ruled":
        thick = canvas.uniform(0.06, 0.16)
        mask = np.maximum(stripes(s, thick), stripes(t, thick))
        if canvas.chance(0.4):  # squared paper: finer lines between
            fine = np.maximum(stripes(3 * s, thick), stripes(3 * t, thick))
            mask = np.maximum(mask, np.float32(0.4) * fine)
        return _finish(canvas, mix(flat(canvas, ground), figure, mask))
    numbers = 71 * np.floor(s).astype(np.int32) + np.floor(t).astype(np.int32)
    inside = np.minimum(np.abs(s - np.rint(s)), np.abs(t - np.rint(t)))
    if kind == "tiles":
        image = vary(canvas, ground[None], numbers, canvas.uniform(0.01, 0.06))
        width = canvas.uniform(0.03, 0.07)
        height = side * np.float32(0.4) * np.minimum(inside, np.float32(2 * width))
        joint = above(width - inside)
        image = relief(canvas, image, height, gloss=canvas.uniform(0, 0.3))
        return mix(image, canvas.colour("white", "grey", "charcoal", "beige", "silver"), joint)
    if kind == "facade":
        glass = vary(canvas, canvas.colours(2, "navy", "teal", "sky blue", "black"), numbers, 0.08)
        frame = above(np.float32(canvas.uniform(0.06, 0.14)) - inside)
        return mix(glass, canvas.colour("white", "silver", "grey", "beige", "brown"), frame)
    width = canvas.uniform(0.07, 0.14)
    mask = above(width - inside)
    height = side * np.sqrt(np.maximum(0, width * width - inside * inside))
    bars = relief(canvas, flat(canvas, canvas.colour(*METALS, "black", "white")), height, gloss=0.3)
    return mix(_backdrop(canvas), bars, mask)


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
        height = np.sqrt(np.maximum(0, thick * thick - border * border))
    else:
        near_s, near_t = np.abs(s - np.rint(s)), np.abs(t - np.rint(t))
        over = np.float32(0.7) * thick * _wave(s / 2) * _wave(t / 2)
        if kind == "net":
            over = over * 0
            knot = np.hypot(near_s, near_t) < 2.2 * thick
            near_s, near_t = (np.where(knot, n * 0.8, n) for n in (near_s, near_t))
        warp = np.sqrt(np.maximum(0, thick * thick - near_s * near_s)) * (1 + over / thick)
        weft = np.sqrt(np.maximum(0, thick * thick - near_t * near_t)) * (1 - over / thick)
        height = np.maximum(warp, weft)
    mask = above(height - thick * np.float32(0.35))
    names = (*METALS, "black", "white") if kind != "net" else ()
    wire = relief(canvas, flat(canvas, canvas.colour(*names)), side * height, gloss=0.3)
    behind = _backdrop(canvas)
    shadow = blur(mask, 0.012) * np.float32(canvas.uniform(0, 0.5))
    return mix(behind * (1 - shadow)[..., None], wire, mask)


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
        base = flat(canvas, _lift(canvas.palette[0]))
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
    "banded": banded,
    "chequered": chequered,
    "crosshatched": crosshatched,
    "grid": grid,
    "grooved": grooved,
    "lined": lined,
    "meshed": meshed,
    "pleated": pleated,
    "stratified": stratified,
    "striped": striped,
    "waffled": waffled,
    "zigzagged": zigzagged,
}
