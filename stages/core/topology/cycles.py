"""Loops of a cloud: a representative cycle for each of its longest bars of H1.

Let e be the edge that a bar is born with. A cycle is born with the bar if e is its longest edge,
that is, if it goes through e and all its other edges come before e in the filtration. Of these
the ring of a bar is the shortest: e, and the shortest path between its ends over earlier edges.

What is known of it (Edelsbrunner, Letscher and Zomorodian, Discrete Comput. Geom. 28, 2002; Dey,
Hou and Mandal, "Persistent 1-cycles", CTIC 2019):

- It is not filled before the bar dies. The bar ends with the first triangle by which some cycle
  born with it becomes a boundary; until then none is one, the ring included.
- When the bar dies, the ring is filled, or it can be moved into a cycle of earlier edges, which is
  older and may live on, as about one ring in a hundred of generated classes and their null clouds
  does. So a component merges with an older one when its bar of H0 dies. The shortest cycle that is
  sure to be filled is NP-hard to find (Dey, Hou and Mandal), and need not be a single ring.
- No other cycle that tells of this bar has shorter steps, nor has any with as short steps a smaller
  total length. Ripser's cocycle of the bar (Bauer, J. Appl. Comput. Topol. 5, 2021) is zero on all
  edges before e, so that a cycle on which it is not zero has a step as long as e, or a longer one.
- It is simple and has at least four points. No two points that are not neighbours in it are
  joined by an edge before e, but where the way over that edge is exactly as long.

At later scales there are shorter cycles of fewer and longer steps: just before it is filled, a
circle is a square. At birth the steps are as short as they can be, so that neighbours in a ring of
images look as alike as they can.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import squareform

from stages.core.topology.rips import persistence_diagrams, require_distances

LEAST_POINTS = 4  # of a loop: three points make a triangle, which is filled at once


@dataclass(frozen=True)
class Loop:
    """A bar of H1 and its ring.

    birth, death: of the bar, in units of the distance.
    ring: (k,) int64, the points in their order around, each once, k >= 4. The last step, from the
    last point back to the first, is the edge that the loop is born with.
    steps: (k,) float64, how far each point is from the next; the longest is the birth.
    """

    birth: float
    death: float
    ring: np.ndarray
    steps: np.ndarray


def longest_loops(distances: np.ndarray, count: int) -> list[Loop]:
    """The `count` longest bars of H1 of a Rips filtration and their rings, the longest first.

    distances: (n, n) float64, as by `distance_matrix`. There are fewer loops where there are fewer
    bars, and none among fewer than four points. Bars are those of `persistence_diagrams`, over Z/2.

    Edges of one length come one after the other, by the places of their ends, as if there were no
    ties: then each bar is born with one edge, and the same distances give the same rings. Of
    points in one place the first alone can be in a ring.

    Raises StudyError for a matrix that is not one of distances.
    """
    require_distances(distances)
    first = np.flatnonzero((distances == 0).argmax(axis=1) == np.arange(len(distances)))
    if len(first) < LEAST_POINTS:
        return []
    between = distances[np.ix_(first, first)]
    lengths = squareform(between, checks=False)  # (edges,)
    order = np.argsort(lengths, kind="stable")

    # The filtration by the place of an edge in this order, from 1 on, has the same bars: the place
    # of the edge that each is born with, and of the longest edge of the triangle that it ends with.
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    places = squareform(ranks)  # (points, points)
    bars = persistence_diagrams(places, max_dim=1)[1].astype(int)  # (m, 2)
    births, deaths = lengths[order[bars - 1]].T
    longest = np.lexsort((bars[:, 0], births - deaths))[:count]
    loops = []
    for bar in longest[births[longest] < deaths[longest]]:
        ring = first[_shortest_ring(between, places, bars[bar, 0])]
        steps = distances[ring, np.roll(ring, -1)]
        loops.append(Loop(float(births[bar]), float(deaths[bar]), ring, steps))
    return loops


def _shortest_ring(between: np.ndarray, places: np.ndarray, last: int) -> np.ndarray:
    """(k,) the points of the shortest cycle of the edge in place `last` and edges before it.

    between, places: (points, points) the length of each edge, and its place in the filtration.
    """
    start, end = np.argwhere(places == last)[0]
    earlier = csr_array(np.where(places < last, between, 0.0))  # where 0 is no edge
    before = dijkstra(earlier, indices=start, return_predecessors=True)[1]
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return np.array(path[::-1], dtype=np.int64)
