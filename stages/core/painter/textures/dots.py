"""Dots, strewn, in rows or printed on cloth: dotted, polka-dotted."""

from math import tau

import numpy as np

from stages.core.painter.canvas import BRIGHTS, EARTHS, GREYS, PASTELS, Canvas
from stages.core.painter.fields import arch, grain, headings, noise, stripes, unit, within
from stages.core.painter.lattices import SQRT3, lattice, points
from stages.core.painter.light import flat, lookup, mix, ramp, relief, tinted, vary
from stages.core.painter.materials import on_cloth
from stages.core.painter.shapes import clear_sheet, draw_discs, lay, strew

DEEPS = ("red", "maroon", "orange", "green", "teal", "blue", "navy", "purple", "magenta", "brown",
         "charcoal", "black")  # fmt: skip


# --- dotted -----------------------------------------------------------------------------------


def dotted(canvas: Canvas) -> np.ndarray:
    """Many points: halftone, stippling, dot painting, strewn dots or rows of lamps."""
    return canvas.pick(_halftone, _stippled, _dot_painting, _strewn_dots, _lamps)(canvas)


def _halftone(canvas: Canvas) -> np.ndarray:
    """Small dots in rows, all alike or growing from light to dark."""
    canvas.rescale("fine", "fine", "medium")
    palette = canvas.colours(3, *canvas.pick(GREYS, BRIGHTS, BRIGHTS, EARTHS), contrast=50)
    x, y = canvas.grid()
    u, v = canvas.coordinates(canvas.pick(0, np.pi / 4, canvas.uniform(0, np.pi)))
    middle = canvas.uniform(-0.4, 0.4)
    patches = noise(canvas, canvas.uniform(0.3, 0.7))
    tone = unit(canvas.pick(patches, u, np.hypot(x - middle, y), flat(canvas, palette[0])[..., 0]))
    period = 0.7 * canvas.period
    spots = lattice(canvas, u, v, period, hexagonal=canvas.chance(0.4))
    least, growth = canvas.uniform(0.12, 0.22), canvas.uniform(0.1, 0.36)
    dots = within(canvas, least + growth * tone - spots.far, period)
    figure = ramp(palette[1:], unit(patches)) if canvas.chance(0.3) else palette[1]
    image = mix(flat(canvas, palette[0]), figure, dots)
    if canvas.chance(0.25):
        other = lattice(canvas, 0.87 * u - 0.5 * v, 0.5 * u + 0.87 * v, period)
        white = np.ones(3, np.float32)
        image *= mix(white, canvas.colour(*BRIGHTS), within(canvas, 0.3 - other.far, period))
    return image


def _stippled(canvas: Canvas) -> np.ndarray:
    """Tiny dots, crowded here and sparse there, as in a drawing in ink."""
    canvas.rescale("fine", "medium")
    names = canvas.pick(GREYS, EARTHS, BRIGHTS)
    palette = canvas.colours(canvas.integer(2, 3), *names, contrast=50)
    tone = canvas.uniform(0.2, 0.5) + canvas.uniform(0, 0.35) * noise(canvas, 0.4, 2)
    image = tinted(palette[0], grain(canvas, 0.03))
    for colour in (palette[1], palette[-1], palette[1])[: canvas.integer(2, 3)]:
        period = canvas.period * canvas.uniform(0.35, 0.7)
        x, y = canvas.grid()
        image = strew(
            canvas, image, colour, x, y, period, (0.12, 0.3), faint=0.9, ragged=0.02, share=tone
        )
    return image


def _dot_painting(canvas: Canvas) -> np.ndarray:
    """Rows of equal dots around centres, as in the dot paintings of Australia."""
    canvas.rescale("fine", "medium")
    ground = canvas.colour("black", "maroon", "brown", "navy", "charcoal", "white", "orange")
    names = canvas.pick((*EARTHS, "white", "orange", "yellow"), BRIGHTS)
    palette = canvas.colours(canvas.integer(3, 5), *names, contrast=40)
    period = max(0.6 * canvas.period, 0.04)
    foci = canvas.rng.uniform(-0.6, 0.6, (canvas.integer(1, 4), 2))
    counts = np.rint(tau * np.arange(1, int(1.2 / period))).astype(int)
    rings = np.repeat(np.arange(len(counts)), counts)
    turns = tau * (np.arange(len(rings)) / counts[rings] + 0.1 * rings)
    spiral = headings(turns) * (period * (rings[:, None] + 1))
    centres = foci[:, None] + spiral
    apart = np.linalg.norm(centres[:, :, None] - foci, axis=3)
    kept = (apart.argmin(2) == np.arange(len(foci))[:, None]) & (abs(centres) < 0.55).all(2)
    focus, dot = np.nonzero(kept)
    centres = centres[kept] + canvas.rng.normal(0, 0.05 * period, (len(dot), 2))
    radii = period * canvas.rng.uniform(0.32, 0.44, len(dot))
    sheet = clear_sheet(canvas)
    bands = rings[dot] // canvas.integer(1, 2) + focus
    draw_discs(canvas, sheet, centres, radii, lookup(palette, bands))
    return lay(canvas, flat(canvas, ground), sheet, canvas.pick(0, 0.003))


def _strewn_dots(canvas: Canvas) -> np.ndarray:
    """Dots of many sizes, far apart or packed as in a test of colour vision."""
    canvas.rescale("fine", "medium")
    period = max(0.9 * canvas.period, 0.05)
    names = canvas.pick(BRIGHTS, GREYS, BRIGHTS, EARTHS)
    colours = canvas.colours(canvas.integer(2, 6), *names, contrast=50)
    ground, palette = colours[0], colours[1:]
    packed = canvas.chance(0.4)
    sheet = clear_sheet(canvas)
    for share in (0.5, 1.0) if packed else (1.0,):
        centres = points(canvas, period * share, 0.5 if packed else 0.9)
        radii = period * share * canvas.rng.uniform(0.12, 0.45, len(centres))
        wave = np.sin(centres @ canvas.rng.normal(0, 6, 2))
        wave = np.rint(2 * wave + canvas.rng.normal(0, 1.4, len(centres))).astype(int)
        shade = canvas.rng.normal(0, 0.06, (len(centres), 1))
        draw_discs(canvas, sheet, centres, radii, lookup(palette, wave) + shade)
    return lay(canvas, flat(canvas, ground), sheet, canvas.pick(0, 0, 0.004))


def _lamps(canvas: Canvas) -> np.ndarray:
    """Rows of small round lamps, pegs, beads or stitches."""
    canvas.rescale("fine", "medium")
    period = 0.8 * canvas.period
    u, v = canvas.coordinates(perspective=0.6)
    spots = lattice(canvas, u, v, period, canvas.uniform(0, 0.1), canvas.chance(0.5))
    radius = canvas.uniform(0.18, 0.36)
    there = canvas.table()[spots.ids] < canvas.pick(1, 1, 0.85)
    dot = within(canvas, radius - spots.far, period) * there
    names = canvas.pick(("white", "yellow", "orange"), BRIGHTS, PASTELS)
    colour = vary(canvas, canvas.colours(canvas.integer(1, 4), *names), spots.ids, 0.08)
    if canvas.chance(0.5):
        ground = canvas.colour("black", "charcoal", "navy", "maroon")
        glow = np.exp(-((spots.far / 0.35) ** 2)) * there
        image = ground + colour * (canvas.uniform(0.2, 0.7) * glow)[..., None]
        return mix(image, np.clip(colour * 1.3 + 0.2, 0, 1), dot)
    height = (0.5 * period) * arch(spots.far, radius) * there
    image = mix(flat(canvas, canvas.colour()), colour, dot)
    return relief(canvas, image, height, canvas.uniform(0.1, 0.6), 0.5)


# --- polka-dotted -----------------------------------------------------------------------------


def polka_dotted(canvas: Canvas) -> np.ndarray:
    """Equal, well-spaced discs in regular rows on plain cloth or paper."""
    canvas.rescale("medium", "medium", "coarse")
    period = 1.1 * canvas.period
    angle = canvas.orientation() + canvas.pick(0, np.pi / 4)
    u, v = canvas.coordinates(angle, skew=0.08, warp=0.03)
    hexagonal = canvas.chance(0.5)
    radius = canvas.uniform(0.18, 0.36)
    spots = lattice(canvas, u, v, period, canvas.pick(0, 0, 0.15), hexagonal)
    ground, figure = (flat(canvas, c) for c in _print_colours(canvas))
    if canvas.chance(0.2):
        names = canvas.pick(BRIGHTS, PASTELS)
        palette = canvas.colours(canvas.integer(3, 6), *names, contrast=45)
        figure = lookup(palette, canvas.rng.integers(0, 60, 4096)[spots.ids])
    elif canvas.chance(0.15):
        rows = period * canvas.integer(2, 4) * (SQRT3 if hexagonal else 2.0)
        band = stripes(v / rows + 0.25)
        ground, figure = mix(ground, figure, band), mix(figure, ground, band)
    image = mix(ground, figure, within(canvas, radius - spots.far, period))
    if not hexagonal and canvas.chance(0.25):
        half = period / 2
        small = lattice(canvas, u + half, v + half, period)
        radius *= canvas.uniform(0.3, 0.6)
        image = mix(image, figure, within(canvas, radius - small.far, period))
    return on_cloth(canvas, image, folds=0.55)


def _print_colours(canvas: Canvas) -> np.ndarray:
    """Two contrasting colours of a printed cloth (2, 3), one of them white more often than not."""
    deep = canvas.colour(*DEEPS)
    white = canvas.colour("white", "white", "cream")
    if canvas.chance(0.3):
        return canvas.colours(2, contrast=50)
    return np.stack([deep, white] if canvas.chance(0.6) else [white, deep])


PAINTERS = {
    "dotted": dotted,
    "polka-dotted": polka_dotted,
}
