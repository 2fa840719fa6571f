"""Small irregular spots strewn over something: flecked, freckled, sprinkled."""

import math
from math import tau

import cv2
import numpy as np

from stages.core.painter.canvas import BRIGHTS, EARTHS, GREYS, PASTELS, STONES, Canvas
from stages.core.painter.fields import (
    blur,
    grain,
    headings,
    noise,
    sample,
    smoothstep,
    stripes,
    turned,
    unit,
    within,
)
from stages.core.painter.lattices import specks
from stages.core.painter.light import flat, lamp, lookup, mix, ramp, relief, tinted
from stages.core.painter.materials import backdrop, boards, mottled
from stages.core.painter.shapes import (
    SUPERSAMPLING,
    clear_sheet,
    crevices,
    draw_discs,
    fixed_point,
    globe,
    inks,
    lay,
    pick_body,
    pile,
    strew,
)

PETALS = ("white", "pink", "orange", "yellow", "magenta", "lilac", "cream", "red")
SHELLS = ("white", "cream", "beige", "tan", "sky blue", "turquoise")
FRUITS = ("yellow", "gold", "lime", "tan", "orange", "beige", "cream")
ICINGS = ("white", "white", "cream", "pink", "brown", "brown", "tan", "sky blue", "lilac", "yellow")


# --- flecked ----------------------------------------------------------------------------------


def flecked(canvas: Canvas) -> np.ndarray:
    """Small irregular flakes of other colours in yarn, stone, paper, leaves or plumage."""
    return canvas.pick(_tweed, _terrazzo, _granite, _variegated, _plumage, _flaked)(canvas)


def _tweed(canvas: Canvas) -> np.ndarray:
    """Woven or knitted yarn with bright slubs along the threads."""
    ground = canvas.colour(*EARTHS, "navy", "teal", "green", "maroon", "purple", "white", "blue")
    u, v = canvas.coordinates(warp=0.01)
    thread = canvas.uniform(0.015, 0.04)
    u = u + 0.15 * thread * noise(canvas, (0.3, 0.06), 2)
    across, along = u / thread, v / (thread * canvas.uniform(0.8, 1.6))
    if canvas.chance(0.5):
        along = along + 2 * np.abs(across - np.rint(across))
    yarn = np.cos(np.pi * along) ** 2 * (0.3 + np.cos(np.pi * across) ** 2)
    fuzz = grain(canvas, 0.1) + canvas.uniform(0, 0.1) * noise(canvas, 0.05)
    image = tinted(ground, fuzz)
    turn = np.pi / 2 + canvas.uniform(-0.3, 0.3)
    for colour in canvas.colours(canvas.integer(2, 3), *BRIGHTS, "cream", "black", contrast=40):
        image = strew(
            canvas, image, colour, u + v / 9, v, thread * canvas.uniform(2, 4.5), (0.08, 0.24),
            soft=0.12, long=canvas.uniform(1.5, 3), ragged=0.06, share=canvas.uniform(0.3, 0.8),
            angle=(turn - 0.4, turn + 0.4),
        )  # fmt: skip
    return relief(canvas, image, 0.25 * thread * yarn, 0, 0.45)


def _terrazzo(canvas: Canvas) -> np.ndarray:
    """Chips of marble in polished cement."""
    ground = mottled(canvas, *PASTELS, *STONES, "black", spread=0.03)
    names = canvas.pick(STONES, BRIGHTS, (*PASTELS, "black", "maroon"), (*EARTHS, "white"))
    sheet = clear_sheet(canvas)
    reach = 0.25 * canvas.period
    colours = canvas.colours(canvas.integer(2, 5), *names, contrast=40)
    count = min(int(canvas.uniform(0.12, 0.5) / reach**2), 500)
    _chips(canvas, sheet, count, (0.25 * reach, reach), colours)
    return lay(canvas, ground, sheet)


def _chips(
    canvas: Canvas, sheet: np.ndarray, count: int, reach: tuple, colours: np.ndarray
) -> None:
    """Draws angular chips at random, each of one of the colours (k, 3), small ones mostly."""
    corners = canvas.integer(5, 7)
    uneven = np.sort(canvas.rng.uniform(0, np.pi, (count, corners)), 1)
    turns = uneven + np.pi * np.arange(corners) / corners
    sizes = reach[0] * (reach[1] / reach[0]) ** (canvas.rng.random((count, 1)) ** 1.5)
    radii = sizes * canvas.rng.uniform(0.6, 1.2, (count, corners))
    x, y = radii * np.cos(turns), 0.75 * radii * np.sin(turns)
    lean = -canvas.rng.uniform(0, tau, (count, 1))
    outlines = np.stack(turned(x, y, lean), 2)
    outlines += canvas.rng.uniform(-0.55, 0.55, (count, 1, 2))
    shades = lookup(colours, np.arange(count)) + canvas.rng.normal(0, 0.05, (count, 1))
    for outline, ink in zip(fixed_point(canvas, outlines), inks(shades), strict=True):
        cv2.fillPoly(sheet, [outline], ink, cv2.LINE_8, 4)


def _granite(canvas: Canvas) -> np.ndarray:
    """Grains of dark, light and coloured mineral side by side."""
    x, y = canvas.grid()
    image = mottled(canvas, *STONES, "pink", "black", spread=0.1, period=0.08)
    names = canvas.pick(GREYS, (*STONES, "black", "maroon", "pink"))
    for colour in canvas.colours(canvas.integer(2, 4), *names, contrast=35):
        image = strew(
            canvas, image, colour, x, y, canvas.period * canvas.uniform(0.3, 0.6), (0.1, 0.45),
            long=canvas.uniform(1, 1.6), ragged=0.18, share=canvas.uniform(0.25, 0.8),
        )  # fmt: skip
    return tinted(image, grain(canvas, 0.03))


def _variegated(canvas: Canvas) -> np.ndarray:
    """A leaf with pale or bright flecks along its veins."""
    u, v = canvas.coordinates(warp=0.03)
    slant = canvas.uniform(0.4, 1.2)
    ribs = stripes((u - slant * np.abs(v)) / canvas.uniform(0.1, 0.25), 0.05, 0.06)
    ribs = np.maximum(0.5 * ribs, 1 - np.minimum(np.abs(v) * 50, 1))
    base = canvas.colour("green", "green", "olive", "lime", "teal", "maroon")
    image = tinted(base, 0.1 * noise(canvas, 0.2, 4) - 0.25 * ribs)
    patch = 0.55 + 0.3 * noise(canvas, 0.35, 2)
    turn = math.atan2(1, slant)
    for colour in canvas.colours(2, "cream", "white", "yellow", "lime", "pink", contrast=15):
        image = strew(
            canvas, image, colour, u, np.abs(v), canvas.period * canvas.uniform(0.4, 0.9),
            (0.05, 0.3), soft=0.1, long=canvas.uniform(1, 2.5), ragged=0.12, share=patch,
            angle=(turn - 0.4, turn + 0.4),
        )  # fmt: skip
    return relief(canvas, image, -0.01 * ribs, canvas.uniform(0, 0.2), 0.5)


def _plumage(canvas: Canvas) -> np.ndarray:
    """Feathers, fur, bark or raw wood with dashes along the grain."""
    u, v = canvas.coordinates(perspective=0.2, warp=0.06)
    ground, *flecks = canvas.colours(canvas.integer(2, 4), *EARTHS, "white", "black", contrast=40)
    hair = 0.12 * sample(noise(canvas, (0.2, 0.008), 3, 0.7), u, v)
    image = flat(canvas, ground)
    turn = canvas.uniform(-0.2, 0.2)
    for colour in flecks:
        image = strew(
            canvas, image, colour, u, v, canvas.period * canvas.uniform(0.5, 1), (0.06, 0.22),
            soft=0.06, long=canvas.uniform(1.5, 5), share=0.85, angle=(turn - 0.25, turn + 0.25),
        )  # fmt: skip
    return tinted(image, hair)


def _flaked(canvas: Canvas) -> np.ndarray:
    """Lino, paper, glaze or paint strewn with little flakes, or snow before a dark ground."""
    names = canvas.pick(BRIGHTS, EARTHS, PASTELS, GREYS, (*BRIGHTS, *GREYS))
    ground, *flakes = canvas.colours(canvas.integer(2, 5), *names, contrast=40)
    image = tinted(ground, 0.05 * noise(canvas, 0.3, 4, 0.6) + grain(canvas, 0.02))
    x, y = canvas.grid()
    turn, spread = canvas.uniform(0, np.pi), canvas.pick(0.2, 1.6)
    for colour in flakes:
        image = strew(
            canvas, image, colour, x, y, canvas.period * canvas.uniform(0.4, 0.9), (0.06, 0.28),
            long=canvas.uniform(1, 3.5), ragged=canvas.uniform(0.05, 0.15),
            share=canvas.uniform(0.4, 0.9), angle=(turn - spread, turn + spread),
        )  # fmt: skip
    return image


# --- freckled ---------------------------------------------------------------------------------


def freckled(canvas: Canvas) -> np.ndarray:
    """Small soft spots, brown or deeper than their ground: skin, eggs, petals, fruit."""
    return canvas.pick(_freckled_skin, _freckled_skin, _eggs, _lily, _ripe)(canvas)


def _freckles(
    canvas: Canvas,
    image: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    colour: np.ndarray,
    soft: float,
    share: float | np.ndarray,
    long: float = 1.3,
) -> np.ndarray:
    """The image under spots of two sizes, each of a strength of its own."""
    clear = np.ones((canvas.size, canvas.size), np.float32)
    for scale in (0.8, 0.4):
        period = canvas.period * scale
        depth, ids = specks(canvas, u, v, period, (0.04, 0.28), long, 0.09, share, (-0.5, 0.5))
        clear = clear * (1 - within(canvas, depth, period, soft) * canvas.table(0.2, 0.9)[ids])
    return mix(image, colour, 1 - clear)


def _freckled_skin(canvas: Canvas) -> np.ndarray:
    """Cheeks, arms and shoulders, now and then a face."""
    canvas.rescale("fine", "medium")
    x, y = canvas.grid()
    fair = np.array([0.93, 0.76, 0.66], np.float32)
    tanned = np.array([0.72, 0.48, 0.35], np.float32)
    skin = fair + canvas.uniform(0, 1) * (tanned - fair)
    skin = skin + canvas.rng.normal(0, 0.025, 3).astype(np.float32)
    rosy = smoothstep(noise(canvas, canvas.uniform(0.3, 0.6)), -0.3, 1.5)
    image = mix(flat(canvas, skin), skin * np.array([1.02, 0.78, 0.76], np.float32), 0.5 * rosy)
    share = canvas.uniform(0.55, 0.9) + 0.25 * noise(canvas, 0.4)
    dark = skin * np.array([0.7, 0.52, 0.4], np.float32) * canvas.uniform(0.75, 1.1)
    image = _freckles(canvas, image, x, y, dark, canvas.uniform(0.08, 0.25), share)
    height = canvas.uniform(0.01, 0.06) * noise(canvas, canvas.uniform(0.5, 1))
    image = relief(canvas, image, height + grain(canvas, 0.0006), canvas.uniform(0, 0.25), 0.5)
    return _face(canvas, image) if canvas.chance(0.4) else image


def _face(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Eyes, brows, nostrils, lips and hair laid on skin, near or cut by the frame."""
    x, y = canvas.grid()
    zoom = canvas.uniform(0.6, 1.4)
    x, y = x / zoom + canvas.uniform(-0.3, 0.3), y / zoom + canvas.uniform(-0.2, 0.2)
    hair = canvas.colour("orange", "brown", "gold", "black", "maroon")
    across, down = np.abs(x) - 0.2, y + 0.1
    lid = 0.05 * (1 - (across / 0.12) ** 2)
    iris = np.hypot(across, down)
    white, blue = (
        np.array([0.93, 0.91, 0.89], np.float32),
        canvas.colour("sky blue", "green", "brown", "teal"),
    )
    eye = mix(flat(canvas, white), blue, smoothstep(0.045 - iris, 0, 0.008))
    eye = tinted(eye, -smoothstep(0.02 - iris, 0, 0.006))
    image = mix(image, eye, smoothstep(lid - np.abs(down), 0, 0.01))
    lash = np.exp(-(((lid - np.abs(down)) / 0.01) ** 2))
    brow = smoothstep(0.015 - np.abs(down + 0.1 - 2 * across * across), 0, 0.015)
    lines = np.maximum(0.8 * lash, 0.7 * brow) * (np.abs(across) < 0.12)
    image = mix(image, hair * 0.5, lines)
    image = tinted(image, -0.6 * np.exp(-((np.abs(x) - 0.045) ** 2 + (y - 0.14) ** 2) / 0.0004))
    apart = np.abs(y - 0.3)
    lips = smoothstep(0.045 - 2 * x * x - apart, 0, 0.012) * (1 + smoothstep(apart, 0, 0.012))
    image = mix(image, canvas.colour("pink", "red") * 0.85, 0.35 * lips)
    edge = np.hypot(x / 0.42, y / 0.56) + 0.03 * noise(canvas, 0.3)
    locks = tinted(hair, 0.3 * noise(canvas, (0.01, 0.4), 2))
    return mix(image, locks, smoothstep(edge, 0.98, 1.06))


def _eggs(canvas: Canvas) -> np.ndarray:
    """Speckled eggs, one or a nestful."""
    if canvas.chance(0.4):
        globes = globe(canvas, 0.08, (0.34, 0.6), 1.4)
    else:
        globes = pile(canvas, canvas.uniform(0.3, 0.5), 1.35, 0.55)
    x, y = canvas.grid()
    ids = globes.spots.ids
    shells = canvas.colours(2, *SHELLS, contrast=10)
    image = tinted(lookup(shells, canvas.rng.integers(0, 2, 4096)[ids]), crevices(globes) - 1)
    dark = canvas.colour("brown", "brown", "maroon", "charcoal", "black", "olive", jitter=0.03)
    soft, share = canvas.uniform(0.03, 0.12), canvas.uniform(0.4, 0.9)
    image = _freckles(canvas, image, x + canvas.table(-9, 9)[ids], y, dark, soft, share)
    image = relief(canvas, image, globes.height, canvas.uniform(0, 0.3), 0.35)
    return mix(canvas.pick(backdrop, boards)(canvas), image, globes.mask)


def _lily(canvas: Canvas) -> np.ndarray:
    """Petals of a lily or orchid, spotted towards their throat."""
    x, y = canvas.grid()
    cx, cy = canvas.rng.uniform(-0.5, 0.5, 2).tolist()
    radius, angle = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    petals = canvas.pick(1, 3, 5, 6, 6)
    turns = (angle + canvas.uniform(0, 6)) * (petals / tau)
    number = np.rint(turns)
    swing = (turns - number) * (tau / petals)
    rim, inner = canvas.colours(2, *PETALS, contrast=25)
    tint = smoothstep(radius + 0.1 * noise(canvas, 0.3), 0.05, canvas.uniform(0.35, 0.9))
    shade = 0.05 * noise(canvas, 0.2, 3) + 0.05 * np.cos(25 * swing)
    image = tinted(mix(flat(canvas, inner), rim, tint), shade)
    dark = 0.8 * canvas.colour("maroon", "maroon", "brown", "magenta", "purple", jitter=0.02)
    share = canvas.uniform(0.8, 1.2) - radius * canvas.uniform(0.6, 1.6)
    across = number + 1.2 * swing * (0.2 + radius)
    image = _freckles(canvas, image, radius, across, dark, 0.06, share, 1.6)
    width = np.pi / petals * (1.1 - canvas.uniform(0.3, 1) * radius * radius)
    height = 0.25 * (width**2 - swing**2) * radius - 0.01 * np.exp(-((30 * swing) ** 2))
    if petals == 1:
        return relief(canvas, image, 0.02 * noise(canvas, 0.4, 2), 0.1, 0.55)
    inside = np.clip((width - np.abs(swing)) * radius * 60 + 0.5, 0, 1)
    return mix(backdrop(canvas), relief(canvas, image, height, 0.1, 0.5), inside)


def _ripe(canvas: Canvas) -> np.ndarray:
    """Pears, bananas, apples and autumn leaves with spots."""
    canvas.rescale("fine", "medium")
    body = pick_body(canvas, 1.3)
    image = ramp(canvas.colours(2, *FRUITS, contrast=12), unit(noise(canvas, 0.6, 2)))
    dark = canvas.colour("brown", "brown", "maroon", "black", "olive", jitter=0.03)
    share = canvas.uniform(0.5, 0.9) + 0.2 * noise(canvas, 0.5)
    image = _freckles(canvas, image, body.u, body.v, dark, canvas.uniform(0.03, 0.12), share)
    return body.before(canvas, relief(canvas, image, body.height, canvas.uniform(0, 0.4), 0.4))


# --- sprinkled --------------------------------------------------------------------------------


def sprinkled(canvas: Canvas) -> np.ndarray:
    """Coloured sugar strands, pearls, powder or seeds strewn over icing, dough or chocolate."""
    colour = canvas.colour(*ICINGS, jitter=0.04)
    strewn = canvas.pick(_strands, _strands, _pearls, _powder, _seeds)
    return strewn(canvas, _baked(canvas, colour), bool(colour.mean() > 0.6))


def _baked(canvas: Canvas, colour: np.ndarray) -> np.ndarray:
    """Icing, chocolate, cream or dough, smooth, swirled, in cakes or as a ring."""
    x, y = canvas.grid()
    form = canvas.pick("flat", "flat", "flat", "ring", "ring", "swirl", "cakes")
    if form == "flat":
        soft = 0.02 * noise(canvas, canvas.uniform(0.3, 0.7), 2)
        return relief(canvas, colour, soft, canvas.uniform(0, 0.4), 0.45)
    if form == "cakes":
        globes = pile(canvas, canvas.uniform(0.4, 0.6), 1.0, 0.48)
        cakes = tinted(colour, crevices(globes) - 1)
        cakes = relief(canvas, cakes, 0.5 * globes.height, canvas.uniform(0, 0.4), 0.45)
        return mix(backdrop(canvas), cakes, globes.mask)
    cx, cy = canvas.rng.uniform(-0.2, 0.2, 2).tolist()
    radius = np.hypot(x - cx, y - cy)
    if form == "swirl":
        turns = radius / canvas.uniform(0.2, 0.35) + np.arctan2(y - cy, x - cx) / tau
        height = 0.05 * np.abs(np.sin(np.pi * turns)) - 0.15 * radius
        return relief(canvas, colour, height, canvas.uniform(0, 0.3), 0.45)
    middle, half = canvas.uniform(0.26, 0.36), canvas.uniform(0.16, 0.24)
    tube = np.maximum(1 - ((radius - middle) / half) ** 2, 0)
    edge = np.abs(radius + 0.015 * noise(canvas, 0.15) - middle)
    icing = smoothstep(0.85 * half - edge, 0, 0.015)
    dough = canvas.colour("tan", "gold", "brown", jitter=0.03)
    image = mix(flat(canvas, dough), colour, icing)
    height = 0.8 * half * np.sqrt(tube) + 0.01 * icing
    image = relief(canvas, image, height, canvas.uniform(0.1, 0.4), 0.45)
    return mix(backdrop(canvas), image, np.minimum(tube * 40, 1))


def _sugars(canvas: Canvas, count: int) -> np.ndarray:
    """Colours (count, 3) of sugar: gay, or one or two only."""
    if canvas.chance(0.2):
        palette = canvas.colours(2, "white", "brown", "pink", "red", contrast=50)
    else:
        palette = canvas.colours(6, *BRIGHTS, contrast=40)
    colours = lookup(palette, canvas.rng.integers(0, 60, count))
    return colours + canvas.rng.normal(0, 0.04, (count, 1))


def _strands(canvas: Canvas, image: np.ndarray, _light: bool) -> np.ndarray:
    """Short sugar rods lying every way, each with a lit side and a shadow."""
    canvas.rescale("fine", "medium", "medium", "coarse")
    length = 0.45 * canvas.period
    width = length * canvas.uniform(0.22, 0.36)
    count = min(max(int(canvas.uniform(0.08, 0.4) / (length * width)), 30), 420)
    colours = _sugars(canvas, count)
    middles = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    turns = canvas.rng.uniform(0, np.pi, count)
    half = headings(turns) * length / 2
    ends = np.stack([middles - half, middles + half], 1)
    lit_ends = ends + 0.2 * width * np.array(lamp(canvas))
    sheet = clear_sheet(canvas)
    thick = max(1, round(width * canvas.size * SUPERSAMPLING))
    rods = zip(fixed_point(canvas, ends).tolist(), inks(0.75 * colours), strict=True)
    lights = zip(fixed_point(canvas, lit_ends).tolist(), inks(1.1 * colours + 0.06), strict=True)
    for (rod, dark), (light, bright) in zip(rods, lights, strict=True):
        cv2.line(sheet, rod[0], rod[1], dark, thick, cv2.LINE_8, 4)
        cv2.line(sheet, light[0], light[1], bright, max(1, thick // 2), cv2.LINE_8, 4)
    return lay(canvas, image, sheet, width / 2)


def _pearls(canvas: Canvas, image: np.ndarray, _light: bool) -> np.ndarray:
    """Hundreds and thousands: tiny sugar balls."""
    radius = max(0.13 * canvas.period, 0.009)
    count = int(min(canvas.uniform(0.03, 0.1) / radius**2, 450))
    centres = canvas.rng.uniform(-0.52, 0.52, (count, 2))
    colours = _sugars(canvas, count)
    radii = radius * canvas.rng.uniform(0.8, 1.2, count)
    sheet = clear_sheet(canvas)
    for part, shade, lift in ((1, 0.7, 0), (0.7, 1, 0), (0.25, 1.1, 0.3)):
        shift = 0.5 * radius * (1 - part) * np.array(lamp(canvas))
        draw_discs(canvas, sheet, centres + shift, radii * part, colours * shade + lift)
    return lay(canvas, image, sheet, radius)


def _powder(canvas: Canvas, image: np.ndarray, light: bool) -> np.ndarray:
    """Icing sugar, cocoa, salt or flour dusted thickly here and thinly there."""
    colour = canvas.colour(*(("brown", "maroon", "orange", "green") if light else ("white",)))
    x, y = canvas.grid()
    dense = canvas.uniform(0.35, 0.65) + 0.25 * noise(canvas, canvas.uniform(0.2, 0.5), 2)
    image = mix(image, colour, 0.45 * np.minimum(dense * dense, 1))
    height = 0.006 * noise(canvas, 0.06, 3)
    for scale in (0.5, 0.25):
        period = max(canvas.period * scale, 0.012)
        depth, _ = specks(canvas, x, y, period, (0.08, 0.4), 1.2, 0.15, dense)
        mask = within(canvas, depth, period, 0.05)
        image = mix(image, colour, mask)
        height = height + 0.3 * period * mask
    return relief(canvas, image, height, 0, 0.5)


def _seeds(canvas: Canvas, image: np.ndarray, light: bool) -> np.ndarray:
    """Sesame, poppy seeds, nuts or chocolate shavings."""
    names = ("black", "brown", "maroon", "red") if light else ("cream", "beige", "white", "gold")
    colour = canvas.colour(*names, jitter=0.03)
    x, y = canvas.grid()
    long = canvas.uniform(1.2, 2.8)
    period = 0.6 * canvas.period
    height = 0.003 * noise(canvas, 0.05, 3)
    for _ in range(2):
        depth, ids = specks(canvas, x, y, period, (0.16, 0.24), long, 0.03, 0.8)
        mask = within(canvas, depth, period)
        image = tinted(image, -0.3 * blur(mask, 0.006))
        image = mix(image, tinted(colour, canvas.table(-0.1, 0.1)[ids]), mask)
        height = np.maximum(height, 0.3 * period * np.sqrt(np.maximum(depth, 0)))
    return relief(canvas, image, height, 0.15, 0.5)


PAINTERS = {
    "flecked": flecked,
    "freckled": freckled,
    "sprinkled": sprinkled,
}
