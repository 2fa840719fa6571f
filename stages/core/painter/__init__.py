"""A procedural painter of the 47 attributes of the Describable Textures Dataset.

`paint("woven", rng)` gives one random picture that a person would call woven. The attributes and
what they mean follow Cimpoi et al., "Describing Textures in the Wild", CVPR 2014.

A canvas (`canvas`) holds the randomness, a function of `textures` paints on it with `fields`,
`lattices`, `light`, `materials` and `shapes`, and `photograph` takes the picture.
"""

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from stages.core.painter.canvas import COLOURS, Canvas, lab
from stages.core.painter.photograph import photograph
from stages.core.painter.textures import PAINTERS
from stages.core.runtime.errors import StudyError

ATTRIBUTES: tuple[str, ...] = (
    "banded", "blotchy", "braided", "bubbly", "bumpy", "chequered", "cobwebbed", "cracked",
    "crosshatched", "crystalline", "dotted", "fibrous", "flecked", "freckled", "frilly", "gauzy",
    "grid", "grooved", "honeycombed", "interlaced", "knitted", "lacelike", "lined", "marbled",
    "matted", "meshed", "paisley", "perforated", "pitted", "pleated", "polka-dotted", "porous",
    "potholed", "scaly", "smeared", "spiralled", "sprinkled", "stained", "stratified", "striped",
    "studded", "swirly", "veined", "waffled", "woven", "wrinkled", "zigzagged",
)  # fmt: skip


@dataclass(frozen=True)
class Painting:
    """One painted texture and words for it.

    pixels: (size, size, 3) uint8 RGB; colours: names of the main colours, dominant first;
    scale: fine, medium or coarse, for the size of its features; empty where they have no size
    that goes by one of these words, as in cobwebs or stains.
    """

    pixels: np.ndarray
    attribute: str
    colours: tuple[str, ...]
    scale: str


def paint(attribute: str, rng: np.random.Generator, size: int = 192) -> Painting:
    """Paints one random picture of a DTD attribute; the same generator gives the same bytes."""
    if attribute not in PAINTERS:
        near = get_close_matches(attribute, ATTRIBUTES, 1, cutoff=0)[0]
        raise StudyError(f"paint: no painter of {attribute!r}; did you mean {near!r}?")
    if size < 16:
        raise StudyError(f"paint: a size of {size} pixels shows no texture; use 16 or more")
    canvas = Canvas(rng, size)
    image = photograph(canvas, PAINTERS[attribute](canvas))
    pixels = np.rint(image * 255).astype(np.uint8)
    return Painting(pixels, attribute, name_colours(pixels), canvas.scale)


def name_colours(pixels: np.ndarray) -> tuple[str, ...]:
    """Up to three names of `COLOURS` that cover most of the image, dominant first.

    A colour is named if at least 15% of the pixels are nearest to it in L*a*b*.
    """
    step = max(1, len(pixels) // 40)
    seen = lab(pixels[::step, ::step].reshape(-1, 3) / np.float32(255))
    named = lab(np.array(list(COLOURS.values()), np.float32))
    # |seen - named|^2 without |seen|^2, which does not change the order.
    nearest = ((named**2).sum(1) - 2 * seen @ named.T).argmin(1)
    shares = np.bincount(nearest, minlength=len(COLOURS)) / len(nearest)
    order = np.argsort(-shares, kind="stable")[:3]
    names = tuple(COLOURS)
    return tuple(names[i] for i in order if shares[i] >= 0.15 or i == order[0])
