"""The textures: a module for every family of attributes, in it a function for every attribute.

An attribute's function is followed by those of its variants and of what they share.
"""

from collections.abc import Callable

import numpy as np

from stages.core.painter.canvas import Canvas
from stages.core.painter.textures import (
    bumps,
    cells,
    cracks,
    dots,
    fibres,
    flecks,
    folds,
    grids,
    lines,
    pores,
    stains,
    swirls,
    veils,
    weaves,
)

FAMILIES = (
    bumps, cells, cracks, dots, fibres, flecks, folds, grids, lines, pores, stains, swirls, veils,
    weaves,
)  # fmt: skip
Painter = Callable[[Canvas], np.ndarray]
PAINTERS: dict[str, Painter] = {
    attribute: painter for family in FAMILIES for attribute, painter in family.PAINTERS.items()
}
