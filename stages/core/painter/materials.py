"""What textures are made of, printed on or seen before."""

from math import tau

import numpy as np

from stages.core.painter.canvas import EARTHS, WATERS, Canvas
from stages.core.painter.fields import gradient, grain, noise, sample, smoothstep, stripes, unit
from stages.core.painter.light import mix, ramp, relief, tinted

LEATHERS = ("black", "black", "brown", "maroon", "red", "white", "tan", "navy", "charcoal", "beige")


def material(canvas: Canvas, colour: np.ndarray, *kinds: str) -> np.ndarray:
    """A plain piece of one of the materials (any if none is given) in one colour."""
    kind = canvas.pick(*(kinds or ("paper", "cloth", "stone", "wood")))
    texture = grain(canvas, canvas.uniform(0.01, 0.03))
    if kind == "wood":
        u, v = canvas.coordinates(skew=0, warp=0.03)
        texture = texture + 0.07 * sample(noise(canvas, (0.7, 0.02), 3), u, v)
        texture = texture - 0.3 * stripes(v / 0.3, 0.02)
    elif kind == "cloth":
        u, v = canvas.coordinates()
        thread = tau / canvas.uniform(0.012, 0.03)
        texture = texture + 0.025 * (np.sin(u * thread) + np.sin(v * thread))
    elif kind == "stone":
        texture = texture + canvas.uniform(0.03, 0.08) * noise(canvas, 0.3, 6, 0.75)
    else:
        texture = texture + canvas.uniform(0, 0.05) * noise(canvas, 0.4, 3)
    return tinted(colour, texture)


def mottled(canvas: Canvas, *names: str, spread: float = 0.12, period: float = 0.3) -> np.ndarray:
    """A plain ground of one of the colours, uneven in shade and hue as natural things are."""
    base = canvas.colour(*names)
    dark = base * canvas.uniform(0.6, 0.85) + canvas.rng.normal(0, 0.03, 3)
    shade = 0.5 + 2 * spread * noise(canvas, period, 4, 0.6)
    return ramp(np.stack([dark, base, np.minimum(base * 1.15, 1)]), shade)


def leather(canvas: Canvas) -> np.ndarray:
    """Grained leather, or suede."""
    pebbles = np.abs(noise(canvas, canvas.uniform(0.015, 0.04), 2))
    hide = tinted(canvas.colour(*LEATHERS), 0.06 * noise(canvas, 0.3, 3) + grain(canvas, 0.02))
    height = canvas.uniform(0, 0.004) * np.minimum(pebbles, 1)
    return relief(canvas, hide, height, canvas.uniform(0, 0.15))


def boards(canvas: Canvas) -> np.ndarray:
    """Boards with the grain along one side of the picture."""
    veins = noise(canvas, canvas.pick((0.5, 0.01), (0.01, 0.5)), 3, 0.6)
    return tinted(canvas.colour("brown", "tan", "maroon"), 0.13 * veins)


def liquid(canvas: Canvas) -> np.ndarray:
    """A liquid with light falling into it from one side."""
    x, y = canvas.grid()
    first = canvas.colour(*WATERS)
    palette = np.stack([0.45 * first, first, np.minimum(first + 0.35, 1)])
    if canvas.chance(0.2):
        palette = canvas.colours(2, *WATERS, contrast=20)
    sx, sy = canvas.rng.normal(0, 1, 2).tolist()
    return ramp(palette, 0.5 + sx * x + sy * y + 0.08 * noise(canvas, 0.5, 2))


def on_cloth(canvas: Canvas, image: np.ndarray, folds: float) -> np.ndarray:
    """The image printed on cloth: a faint weave, and with the chance `folds` soft folds."""
    x, y = canvas.grid()
    if canvas.chance(folds):
        long, short = canvas.uniform(0.5, 1.2), canvas.uniform(0.15, 0.4)
        fold = noise(canvas, canvas.pick((long, short), (short, long), (0.4, 0.4)), 2)
        height = canvas.uniform(0.01, 0.035) * fold
        gx, gy = gradient(canvas.uniform(0, 1.5) * height)
        image = relief(canvas, sample(image, x + gx, y + gy), height, 0.1, 0.35)
    threads = tau * canvas.uniform(60, 110)
    weave = np.cos(threads * x) * np.cos(threads * y) + grain(canvas, 0.6)
    return tinted(image, canvas.uniform(0, 0.06) * weave)


def printed(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The image printed on paper, cloth or draped cloth, or painted on a worn wall."""
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


def backdrop(canvas: Canvas) -> np.ndarray:
    """Whatever lies out of focus behind an object."""
    names = canvas.pick(("white",), ("white", "silver", "black"), EARTHS, ("green", "olive"))
    return tinted(canvas.colour(*names), 0.1 * noise(canvas, 0.4, 2))


def scene(canvas: Canvas, *names: str) -> np.ndarray:
    """An out-of-focus scene, to be seen through openings."""
    hues = canvas.colours(canvas.integer(1, 3), *names, contrast=15)
    return ramp(np.vstack([hues, hues[:1]]), unit(noise(canvas, canvas.uniform(0.25, 0.6), 2)))
