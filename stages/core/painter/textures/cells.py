"""Rounded or many-sided cells side by side: bubbly, honeycombed, scaly."""

from math import tau

import cv2
import numpy as np

from stages.core.painter.canvas import BRIGHTS, EARTHS, GREYS, METALS, WATERS, Canvas
from stages.core.painter.fields import flow, grain, headings, noise, smoothstep, within
from stages.core.painter.lattices import Spots, cells, hexagon, swaying
from stages.core.painter.light import flat, lamp, mix, ramp, relief, tinted, vary
from stages.core.painter.materials import liquid
from stages.core.painter.shapes import (
    SUPERSAMPLING,
    Globes,
    clear_sheet,
    crowd,
    fixed_point,
    inks,
    lay,
)

FILMS = ("pink", "turquoise", "gold", "lilac", "sky blue", "lime", "magenta")


# --- what bubbly and honeycombed share --------------------------------------------------------


def _gleam(canvas: Canvas, spots: Spots, offset: float, radius: float) -> np.ndarray:
    """A round highlight on every spot, `offset` from its middle towards the light."""
    lx, ly = lamp(canvas)
    apart = np.hypot(spots.dx - offset * lx, spots.dy - offset * ly)
    return smoothstep(apart, 1.4 * radius, 0.6 * radius)


def _glint(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The image with white light added."""
    return np.clip(image + light[..., None], 0, 1)


# --- bubbly -----------------------------------------------------------------------------------


def bubbly(canvas: Canvas) -> np.ndarray:
    """Round translucent films of gas: fizz, foam, soap bubbles, drops of oil in water."""
    return canvas.pick(_fizz, _fizz, _foam, _foam, _suds, _suds, _oil, _soap_bubbles)(canvas)


def _fizz(canvas: Canvas) -> np.ndarray:
    """Bubbles of all sizes rising in water, soda or beer."""
    image = liquid(canvas)
    high = canvas.period * canvas.uniform(0.4, 0.8)
    low = max(canvas.uniform(0.1, 0.35) * high, 0.008)
    count = int(min(max(canvas.uniform(0.4, 1.2) / high**2, 20), 160))
    return _film(canvas, image, crowd(canvas, count, low, high), canvas.uniform(0.6, 1))


def _foam(canvas: Canvas) -> np.ndarray:
    """Dry foam: thin bright or dark walls around many-sided cells."""
    x, y = canvas.grid()
    du, dv = flow(canvas, 0.5, 0.05)
    period = canvas.period * canvas.uniform(0.6, 1)
    c = cells(canvas, x + du, y + dv, period, 0.85, hexagonal=True)
    spots = Spots(c.dx, c.dy, c.ids)
    filling = liquid(canvas)
    lx, ly = lamp(canvas)
    facing = c.dx * lx + c.dy * ly
    ring = np.exp(-(((c.border - 0.13) / 0.05) ** 2)) * (0.3 - facing)
    image = tinted(filling, ring + 0.25 * facing + canvas.table(-0.35, 0)[c.ids])
    rim = canvas.colour("white", "white", "cream", "silver", "black", "charcoal")
    walls = np.exp(-c.border * canvas.uniform(12, 25))
    image = mix(image, rim, canvas.uniform(0.6, 1) * walls)
    return _glint(image, canvas.uniform(0.3, 0.9) * _gleam(canvas, spots, 0.2, 0.1))


def _suds(canvas: Canvas) -> np.ndarray:
    """White froth of tiny bubbles with larger ones among them: soap, milk, beer, coffee."""
    canvas.rescale("fine", "medium")
    period = 0.6 * canvas.period
    spots = swaying(canvas, *canvas.grid(), period, 0.15, 0.35)
    height = period * np.sqrt(np.maximum(0.34 - spots.far**2, 0))
    globes = crowd(canvas, canvas.integer(70, 140), 0.45 * period, 1.8 * period)
    height = np.where(globes.height > 0, 0.8 * globes.height, height)
    froth = canvas.colour("white", "white", "cream", "beige", "tan", jitter=0.03)
    if canvas.chance(0.3):
        froth = liquid(canvas)
    image = 0.9 * relief(canvas, froth, 0.7 * height, canvas.uniform(0.2, 0.6), 0.65)
    image = _glint(image, canvas.uniform(0.1, 0.6) * _gleam(canvas, spots, 0.2, 0.1))
    return _film(canvas, image, globes, canvas.uniform(0.4, 0.8))


def _oil(canvas: Canvas) -> np.ndarray:
    """Large smooth discs in gay colours: oil on water, close up."""
    canvas.rescale("coarse")
    x, y = canvas.grid()
    palette = canvas.colours(canvas.integer(2, 4), *WATERS, "yellow", "red", "pink", contrast=35)
    high = canvas.period * canvas.uniform(0.5, 0.9)
    globes = crowd(canvas, canvas.integer(25, 90), 0.15 * high, high)
    dx, dy, ids = globes.spots
    far = np.minimum(globes.spots.far, 1)
    sx, sy = canvas.rng.normal(0, 0.7, 2).tolist()
    back = 0.5 + sx * x + sy * y + 0.06 * noise(canvas, 0.5)
    lens = canvas.table(0.1, 0.9)[ids] - 0.35 * (sx * dx + sy * dy)
    image = mix(ramp(palette, back), ramp(palette, lens), globes.mask)
    rim = np.exp(-(((far - 0.93) / 0.07) ** 2))
    image = tinted(image, -canvas.uniform(0.5, 0.9) * rim * globes.mask)
    lx, ly = lamp(canvas)
    crescent = np.exp(-(((far - 0.8) / 0.08) ** 2)) * np.maximum(-dx * lx - dy * ly, 0)
    light = np.maximum(crescent, _gleam(canvas, globes.spots, 0.5, 0.15))
    return _glint(image, 0.6 * light * globes.mask)


def _soap_bubbles(canvas: Canvas) -> np.ndarray:
    """Big iridescent bubbles floating before a sky, a garden or the dark."""
    canvas.rescale("coarse")
    below = liquid(canvas)
    high = canvas.period * canvas.uniform(0.6, 1.2)
    globes = crowd(canvas, canvas.integer(10, 40), 0.3 * high, high)
    film = canvas.colours(8, *FILMS, contrast=30)
    far = np.minimum(globes.spots.far, 1)
    sheen = ramp(film, 0.75 * far + 0.12 * noise(canvas, 0.2, 2))
    strength = 0.12 + canvas.uniform(0.4, 0.8) * far**4
    image = mix(below, sheen, strength * globes.mask)
    return _film(canvas, image, globes, canvas.uniform(0.4, 0.8))


def _film(canvas: Canvas, image: np.ndarray, globes: Globes, strength: float) -> np.ndarray:
    """Bubbles as glassy spheres on an image: dark rim, glowing inner crescent, highlights."""
    dx, dy, _ = globes.spots
    far = np.minimum(globes.spots.far, 1)
    lx, ly = lamp(canvas)
    facing, rim = dx * lx + dy * ly, far**4
    dark = 0.75 * strength * rim * rim * (0.65 + 0.35 * facing)
    glow = 2.5 * strength * rim * (1 - rim) * np.maximum(0.3 - facing, 0)
    edge = 0.5 * strength * smoothstep(far, 0.86, 0.93) * smoothstep(far, 1, 0.94)
    light = np.maximum(np.maximum(glow, edge), _gleam(canvas, globes.spots, 0.5, 0.16))
    clear = canvas.uniform(-0.1, 0.25) * (1 - far * far)
    image = image * (1 + (clear - dark) * globes.mask)[..., None]
    return _glint(image, light * globes.mask)


# --- honeycombed ------------------------------------------------------------------------------


def honeycombed(canvas: Canvas) -> np.ndarray:
    """Hexagonal cells with thin walls: wax, paper, metal, or drawn."""
    canvas.rescale("fine", "medium", "medium", "coarse")
    turn = canvas.pick(0, np.pi / 6, canvas.uniform(0, np.pi))
    u, v = canvas.coordinates(turn, perspective=0.5)
    period = canvas.period * canvas.uniform(0.8, 1.3)
    spots = swaying(canvas, u, v, period, canvas.uniform(0, 0.08))
    return canvas.pick(_waxen, _waxen, _tubes, _tubes, _hexagons)(canvas, spots, period)


def _waxen(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """Honeycomb of wax: empty, filled with honey or capped, at times with bees."""
    wax = canvas.colour("gold", "gold", "yellow", "orange", "tan", "cream", "brown", "beige")
    deep = 0.8 * canvas.colour("brown", "maroon", "gold", "orange", "black", jitter=0.04)
    wall = hexagon(spots) + 0.02 * noise(canvas, 0.5 * period)
    thick = canvas.uniform(0.05, 0.12)
    inside = smoothstep(wall, thick, thick + 0.1)
    filled = canvas.table()[spots.ids] + 0.3 * noise(canvas, 0.4)
    honey = ramp(np.stack([0.5 * deep, deep, np.clip(1.8 * deep + 0.1, 0, 1)]), filled)
    lx, ly = lamp(canvas)
    honey = tinted(honey, -canvas.uniform(0.3, 1.1) * (spots.dx * lx + spots.dy * ly))
    shine = canvas.uniform(0, 0.7) * _gleam(canvas, spots, -0.15, 0.07) * (filled > 0.4)
    image = mix(flat(canvas, wax), _glint(honey, shine), inside)
    lid = np.clip(8 * (noise(canvas, 0.5) - canvas.uniform(0.2, 2)), 0, 1)
    image = mix(image, tinted(wax, -0.4 * smoothstep(wall, 0.1, 0)), 0.9 * lid)
    height = 0.2 * period * inside * (2 * lid - 1) + grain(canvas, 0.001)
    image = relief(canvas, image, height, canvas.uniform(0, 0.5), 0.5)
    return _bees(canvas, image, period) if canvas.chance(0.3) else image


def _tubes(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """A comb of paper, card or metal seen slightly from the side: the walls' insides show."""
    names = canvas.pick(
        METALS, GREYS, ("white", "cream", "tan", "beige"), ("gold", "orange", "yellow"), BRIGHTS
    )
    sheet = canvas.colour(*names)
    x, y = canvas.grid()
    depth, (lean_x, lean_y) = canvas.uniform(0.2, 1.2), canvas.rng.uniform(-0.25, 0.25, 2).tolist()
    below = Spots(spots.dx + lean_x + depth * x, spots.dy + lean_y + depth * y, spots.ids)
    floor = within(canvas, hexagon(below) - 0.05, period, 0.05)
    side = np.rint(np.arctan2(below.dy, below.dx) * (3 / np.pi)) * (np.pi / 3)
    lx, ly = lamp(canvas)
    lit = 0.55 - 0.25 * (np.cos(side) * lx + np.sin(side) * ly)
    lit = lit * np.clip(1.25 - 2 * np.maximum(-hexagon(below), 0), 0.3, 1.3)
    hollow = canvas.colour("black", "charcoal", "brown", "white", "gold", "sky blue")
    image = mix(tinted(sheet, lit - 1), hollow, canvas.uniform(0.5, 1) * floor)
    rim = within(canvas, canvas.uniform(0.03, 0.09) - hexagon(spots), period)
    return mix(image, np.minimum(1.25 * sheet + 0.05, 1), rim)


def _hexagons(canvas: Canvas, spots: Spots, period: float) -> np.ndarray:
    """Hexagons printed, tiled or pressed into something."""
    names = canvas.pick((), (), ("gold", "yellow", "orange", "black", "brown", "white"))
    ground, line = canvas.colours(2, *names, contrast=45)
    wall = canvas.uniform(0.03, 0.12) - hexagon(spots)
    fill = vary(canvas, ground[None], spots.ids, canvas.pick(0.01, 0.1))
    image = mix(fill, line, within(canvas, wall, period))
    height = canvas.pick(0, -0.15, 0.15) * period * smoothstep(wall, -0.12, 0.02)
    return relief(canvas, image, height, canvas.uniform(0, 0.6), 0.4)


def _bees(canvas: Canvas, image: np.ndarray, period: float) -> np.ndarray:
    """A few bees on the comb, each a little longer than a cell is wide."""
    dark = canvas.colour("brown", "black", jitter=0.03)
    amber = canvas.colour("gold", "orange", jitter=0.04)
    wing = np.array([0.8, 0.78, 0.7], np.float32)
    # Along the body, to its side, half length, half width, turned by, colour; lengths in cells.
    parts = (
        (-0.2, 0, 0.55, 0.28, 0, dark),
        (-0.1, 0, 0.1, 0.27, 0, amber),
        (-0.4, 0, 0.09, 0.22, 0, amber),
        (0.4, 0, 0.28, 0.27, 0, amber),
        (0.7, 0, 0.15, 0.2, 0, dark),
        (-0.15, 0.22, 0.5, 0.13, -0.35, wing),
        (-0.15, -0.22, 0.5, 0.13, 0.35, wing),
    )
    sheet = clear_sheet(canvas)
    for _ in range(canvas.integer(2, 9)):
        middle, turn = canvas.rng.uniform(-0.5, 0.5, 2), canvas.uniform(0, tau)
        axis = period * headings(turn)
        for along, aside, long, wide, bend, colour in parts:
            spot = middle + along * axis + aside * np.array([-axis[1], axis[0]])
            centre = tuple((fixed_point(canvas, spot) / 16).tolist())
            axes = tuple(2 * period * canvas.size * SUPERSAMPLING * r for r in (long, wide))
            tilt = float(np.degrees(turn + bend))
            cv2.ellipse(sheet, (centre, axes, tilt), inks(colour[None])[0], -1)
    return lay(canvas, image, sheet, 0.15 * period)


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
    image = tinted(image, 0.06 * canvas.table(-1, 1)[number] - 0.25 * (1 - down / 2))
    height = 0.12 * down - 0.2 * across * across + 0.2 * np.minimum(1 + rim - down, 0.25)
    if canvas.chance(0.4):  # a keel
        height = height + 0.12 * np.maximum(1 - 6 * np.abs(across), 0)
    gloss = gloss * canvas.uniform(0.4, 1.4)
    image = tinted(relief(canvas, image, period * height, gloss=gloss, ambient=0.4), -shadow)
    pale = canvas.uniform(0, 0.4) * smoothstep(1 + rim - down, 0.2, 0.05)
    return mix(image, canvas.palette[-1], pale)


PAINTERS = {
    "bubbly": bubbly,
    "honeycombed": honeycombed,
    "scaly": scaly,
}
