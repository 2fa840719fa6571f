"""What a persistence diagram is, and the checks that it has to pass.

A diagram is an (m, 2) float64 array of births and deaths, in units of the distance, sorted by
birth and then by death. An essential bar has death = inf. Bars of length zero are left out.
"""

import numpy as np

from stages.core.runtime.errors import StudyError

NO_BARS = np.empty((0, 2))

UNIT = "chordal distance"  # of births, deaths and bars


def in_order(bars: np.ndarray) -> np.ndarray:
    """A diagram of bars in any order: (m, 2) -> (k, 2) float64, without those of length zero."""
    bars = np.asarray(bars, dtype=np.float64).reshape(-1, 2)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def finite_bars(diagram: np.ndarray) -> np.ndarray:
    """The bars of a diagram that die: (m, 2) -> (k, 2)."""
    return diagram[np.isfinite(diagram[:, 1])]


def checked(diagram: np.ndarray, finite: bool = False) -> np.ndarray:
    """The diagram in order and without bars of length zero: (m, 2) -> (k, 2) float64.

    Raises StudyError where it is none, and with `finite` for an essential bar.
    """
    diagram = np.asarray(diagram, dtype=np.float64)
    if diagram.size == 0:
        return NO_BARS
    if diagram.ndim != 2 or diagram.shape[1] != 2:
        raise StudyError(f"diagram: shape {diagram.shape}; give (bars, 2): birth and death")
    if np.isnan(diagram).any() or np.isinf(diagram[:, 0]).any():
        raise StudyError("diagram: a birth or death is NaN, or a birth infinite; compute it again")
    if (diagram[:, 1] < diagram[:, 0]).any():
        raise StudyError("diagram: a death before its birth; give birth and death in that order")
    if finite and np.isinf(diagram).any():
        raise StudyError("diagram: an essential bar; set it aside with finite_bars(diagram)")
    return in_order(diagram)
