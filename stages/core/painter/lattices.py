"""Things strewn over the picture: points, cells, and spots on a lattice or at random."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stages.core.painter.canvas import Canvas, Real
from stages.core.painter.fields import noise, turned

# --- points and cells -------------------------------------------------------------------------


def points(
    canvas: Canvas, period: float, jitter: float = 0.8, hexagonal: bool = False, margin: float = 0.1
) -> np.ndarray:
    """Lattice points (n, 2) float32, x and y over [-1/2 - margin, 1/2 + margin], in random order.

    Each is moved by up to `jitter` / 2 periods along either axis.
    """
    step_y = period * (np.sqrt(3) / 2 if hexagonal else 1.0)
    reach = 0.5 + margin
    rows = np.arange(-reach, reach + step_y, step_y)
    columns = np.arange(-reach, reach + period, period)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    if hexagonal:
        x = x + period / 2 * (np.arange(len(rows)) % 2)[:, None]
    places = np.stack([x.ravel(), y.ravel()], 1)
    places += period * canvas.rng.uniform(-jitter / 2, jitter / 2, places.shape)
    return canvas.rng.permutation(places).astype(np.float32)


@dataclass(frozen=True)
class Cells:
    """Cellular noise at every pixel; lengths in units of the period.

    near, second: distance to the nearest and second nearest seed; border: distance to the edge
    between their cells; dx, dy: from the nearest seed to the pixel; ids: number of the nearest
    seed's cell, int, in [0, 4096).
    """

    near: np.ndarray
    second: np.ndarray
    border: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    ids: np.ndarray


def cells(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: Real | tuple[Real, Real],
    jitter: float = 0.8,
    hexagonal: bool = False,
) -> Cells:
    """Cellular (Worley, SIGGRAPH 1996) noise over one seed a lattice cell.

    A seed lies within `jitter` / 2 of the middle of its cell: 0 gives the plain square or
    hexagonal lattice, 0.9 looks like random points. The lattice repeats after 64 cells.
    """
    period_u, period_v = period if isinstance(period, tuple) else (period, period)
    row_step = np.float32(np.sqrt(3) / 2 if hexagonal else 1.0)
    x, y = u / np.float32(period_u), v / (np.float32(period_v) * row_step)
    shifts = np.float32(jitter) * (canvas.rng.random((2, 4096), dtype=np.float32) - 0.5) + 0.5
    floor_y = np.floor(y)
    row, fraction_y = floor_y.astype(np.int32), y - floor_y
    # A neighbour's index hides in the four lowest bits of its squared distance, whose bit
    # patterns sort as the numbers do: two minima then carry their neighbours along.
    first = np.full(x.shape, np.float32(np.inf)).view(np.int32)
    other = first.copy()
    offsets_x, offsets_y = np.empty((2, 9, *x.shape), np.float32)
    numbers = np.empty((9, *x.shape), np.int32)
    for step_y in (-1, 0, 1):
        odd = ((row + step_y) & 1).astype(np.float32)
        shifted = x - odd / 2 if hexagonal else x
        floor_x = np.floor(shifted)
        column, fraction_x = floor_x.astype(np.int32), shifted - floor_x
        row_number = ((row + step_y) & 63) << 6
        for step_x in (-1, 0, 1):
            index = 3 * step_y + step_x + 4
            number = row_number | ((column + step_x) & 63)
            dx = fraction_x - (shifts[0].take(number) + np.float32(step_x))
            dy = (fraction_y - (shifts[1].take(number) + np.float32(step_y))) * row_step
            key = ((dx * dx + dy * dy).view(np.int32) & ~15) | index
            other = np.minimum(other, np.maximum(first, key))
            first = np.minimum(first, key)
            offsets_x[index], offsets_y[index], numbers[index] = dx, dy, number
    here = np.arange(x.size).reshape(x.shape)
    place, place_other = ((key & 15) * x.size + here for key in (first, other))
    dx, dy, ids = (table.take(place) for table in (offsets_x, offsets_y, numbers))
    dx_other, dy_other = (table.take(place_other) for table in (offsets_x, offsets_y))
    near, second = dx * dx + dy * dy, dx_other * dx_other + dy_other * dy_other
    apart = np.hypot(dx - dx_other, dy - dy_other) + np.float32(1e-6)
    return Cells(np.sqrt(near), np.sqrt(second), (second - near) / (2 * apart), dx, dy, ids)


# --- spots ------------------------------------------------------------------------------------


SQRT3 = 3**0.5


class Spots(NamedTuple):
    """The spot each pixel belongs to: the way from its middle dx, dy, in periods or in radii,
    and its number ids, int in [0, 4096)."""

    dx: np.ndarray
    dy: np.ndarray
    ids: np.ndarray

    @property
    def far(self) -> np.ndarray:
        return np.sqrt(self.dx * self.dx + self.dy * self.dy)


def lattice(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    jitter: float = 0.0,
    hexagonal: bool = False,
) -> Spots:
    """Spots on a lattice, far cheaper than `cells`: a moved spot is cut at its lattice cell.

    Each spot is moved by up to `jitter` / 2 periods along either axis. The row is ids >> 6.
    """
    rise = SQRT3 if hexagonal else 1.0
    x, y = u / period, v / (period * rise)
    column, row = np.rint(x), np.rint(y)
    dx, dy = x - column, (y - row) * rise
    if hexagonal:
        column_2, row_2 = np.rint(x - 0.5) + 0.5, np.rint(y - 0.5) + 0.5
        dx_2, dy_2 = x - column_2, (y - row_2) * rise
        nearer = dx_2 * dx_2 + dy_2 * dy_2 < dx * dx + dy * dy
        dx, dy = np.where(nearer, dx_2, dx), np.where(nearer, dy_2, dy)
        column, row = np.where(nearer, column_2, column), 2 * np.where(nearer, row_2, row)
    ids = ((row.astype(np.intp) & 63) << 6) | (np.floor(column).astype(np.intp) & 63)
    if jitter:
        dx = dx - canvas.table(-jitter / 2, jitter / 2)[ids]
        dy = dy - canvas.table(-jitter / 2, jitter / 2)[ids]
    return Spots(dx, dy, ids)


def swaying(
    canvas: Canvas, x: np.ndarray, y: np.ndarray, period: float, sway: float, jitter: float = 0.0
) -> Spots:
    """Spots on a hexagonal lattice grown a little crooked, by `sway` periods."""
    wobble = sway * noise(canvas, 1.5 * period)
    return lattice(canvas, x / period + wobble, y / period + wobble.T, 1.0, jitter, True)


def hexagon(spots: Spots) -> np.ndarray:
    """Distance to the wall of the hexagonal cell around a spot of a hexagonal lattice."""
    dx, dy = np.abs(spots.dx), np.abs(spots.dy)
    return 0.5 - np.maximum(dx, dx / 2 + dy * (SQRT3 / 2))


def specks(
    canvas: Canvas,
    u: np.ndarray,
    v: np.ndarray,
    period: float,
    radius: tuple[float, float],
    long: float = 1.0,
    ragged: float = 0.1,
    share: float | np.ndarray = 1.0,
    angle: tuple[float, float] = (0.0, np.pi),
) -> tuple[np.ndarray, np.ndarray]:
    """Irregular spots strewn at random: how deep a pixel lies in one, and the spots' numbers.

    Depth in periods, negative outside. `long` is their length over width, `ragged` the wobble of
    the outline in periods, `share` in [0, 1] the share of spots that are there.
    """
    turn = canvas.uniform(0, np.pi)
    wobble = ragged * noise(canvas, 0.7 * period)
    # Turned, and with every row shifted, the lattice does not show. The transposed noise serves
    # the other axis as well as a new one.
    along, aside = turned(u, v, turn)
    x, y = along / period + wobble, aside / period + wobble.T
    x += canvas.table(0, 1, 64)[np.rint(y).astype(np.intp) & 63]
    stretch = math.sqrt(long)
    dx, dy, ids = lattice(canvas, x, y, 1.0, max(0.2, 1 - 2 * radius[1] * stretch))
    if long != 1:
        turns = canvas.table(*angle) - turn
        cos, sin = (np.cos(turns) / stretch)[ids], (np.sin(turns) / stretch)[ids]
        dx, dy = cos * dx + sin * dy, (cos * dy - sin * dx) * long
    reach = canvas.table(*radius)[ids]
    if np.ndim(share) or share < 1:
        reach *= np.clip((share - canvas.table()[ids]) * 6, 0, 1)
        reach -= 0.05 * (reach == 0)
    return reach - np.sqrt(dx * dx + dy * dy), ids
