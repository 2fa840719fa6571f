"""The points of layouts, as DVC draws them by the template `projection`."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from stages.core.artifacts.tables import read_parquet
from stages.core.figures.study import Study
from stages.core.figures.style import class_colours, short_name, text_width
from stages.core.geometry.layouts import LAYOUT_MEASURES, LAYOUTS
from stages.core.runtime.files import write_csv

# A class of which half the images do not fit into a disc of this radius has no place of its own,
# and a name would claim one. In units of the layout's root-mean-square radius.
WIDEST = 0.4

# Of the template: the side of a panel, and of names the width of a letter and the height of a line,
# in pixels.
PANEL_PX = 520
LETTER_PX, LINE_PX = 6.4, 12
MOST_NAMES = 60  # more would cover the points
STEPS = 600  # in which names are set apart
PULL = 0.1  # the part of the way to its place by which a name is drawn back in each


def draw(study: Study, folder: Path, data: Path) -> None:
    """Write the points of every layout, from the folder that `project` wrote."""
    layouts, _ = read_parquet(data / "layouts.parquet", LAYOUTS, "project")
    measures, _ = read_parquet(data / "layout_measures.parquet", LAYOUT_MEASURES, "project")
    colours = class_colours(study.classes)
    for (selection, method), points in layouts.groupby(["selection", "method"], sort=False):
        of_layouts = measures[(measures["selection"] == selection) & (measures["space"] == method)]
        table = points_table(points, of_layouts, colours)
        write_csv(folder / f"points_{method}_{selection}.csv", table)


def points_table(
    points: pd.DataFrame, measures: pd.DataFrame, colours: dict[str, str]
) -> pd.DataFrame:
    """What is drawn of the layouts at all levels: noise, class, x, y, colour, role.

    points: rows of `layouts_table`, measures: rows of `measures_table`, both of one selection and
    method; colours: {class: its colour}. x and y to a thousandth of the root-mean-square radius.
    A row per image, of no role, and for each level further rows, by their role:

    from      the image where a class is densest; of more than MOST_NAMES the densest classes
    name      where the name of that class is written, above the image, so that no two overlap
    corner    the ends of the square that holds all levels
    measures  what the layout shows, in words, in place of a class
    """
    low, high = (points[["x", "y"]].agg(end).to_numpy() for end in ("min", "max"))
    middle, reach = (low + high) / 2, (high - low).max() / 2
    unit = 2 * reach / PANEL_PX  # of a pixel
    tables = []
    for found in measures.itertuples():
        table = points.loc[points["noise"] == found.noise, ["noise", "class", "x", "y"]]
        table = table.reset_index(drop=True)
        named = dense_rows(table).head(MOST_NAMES)
        anchors = table.loc[named["row"], ["class", "x", "y"]]
        names = named["class"].map(short_name)
        sizes = unit * np.array([(LETTER_PX * text_width(each) + 4, LINE_PX) for each in names])
        above = anchors[["x", "y"]].to_numpy() + np.array([0, LINE_PX * unit])
        places = middle + set_apart(above - middle, sizes, reach)
        said = (
            f"purity {found.purity:.2f} (chance {found.chance_purity:.2f}), "
            f"silhouette {found.silhouette:.2f}, trustworthiness {found.trustworthiness:.2f}"
        )
        corners = {"x": middle[0] + [-reach, reach], "y": middle[1] + [-reach, reach]}
        further = {
            "": table,
            "from": anchors,
            "name": anchors.assign(x=places[:, 0], y=places[:, 1]),
            "corner": pd.DataFrame(corners),
            "measures": pd.DataFrame({"class": [said], "x": middle[0], "y": middle[1]}),
        }
        tables.append(
            pd.concat([rows.assign(role=role) for role, rows in further.items()]).assign(
                noise=found.noise
            )
        )
    drawn = pd.concat(tables)
    drawn["colour"] = drawn["class"].map(colours)
    drawn[["x", "y"]] = drawn[["x", "y"]].round(3) + 0.0  # -0.0 becomes 0.0
    return drawn[["noise", "class", "x", "y", "colour", "role"]]


def dense_rows(points: pd.DataFrame) -> pd.DataFrame:
    """Where each class is densest: class, row, radius; the densest class first.

    points: class, x, y, rows numbered from 0. row: the image at the centre of the smallest disc
    that holds a quarter of the class, two images at the least.
    """
    found = []
    for name, rows in points.groupby("class", sort=False).groups.items():
        places = points.loc[rows, ["x", "y"]].to_numpy()
        near = min(max(len(rows) // 4, 2), len(rows)) - 1  # the image itself is the nearest
        radii = np.partition(cdist(places, places), near, axis=1)[:, near]
        found.append((name, rows[radii.argmin()], radii.min()))
    table = pd.DataFrame(found, columns=["class", "row", "radius"])
    return table.sort_values("radius", kind="stable", ignore_index=True)


def set_apart(anchors: np.ndarray, sizes: np.ndarray, reach: float) -> np.ndarray:
    """Centres of boxes (n, 2) near their anchors (n, 2), moved until none overlap.

    sizes: (n, 2) width and height. Two boxes that overlap give way in the direction in which it
    takes least, each by half; all stay within -reach to reach, where they fit. Before each of the
    first half of STEPS rounds every box is drawn back towards its anchor, so that none stays away
    for one that has gone. After the last they stand where they are: there may be no room for all.
    """
    centres, room = anchors.astype(np.float64), np.maximum(reach - sizes / 2, 0)
    first, second = np.triu_indices(len(anchors), 1)
    wanted = (sizes[first] + sizes[second]) / 2  # (pairs, 2)
    for step in range(STEPS):
        if step < STEPS // 2:
            centres += PULL * (anchors - centres)
        gaps = centres[second] - centres[first]
        overlaps = wanted - np.abs(gaps)
        hit = (overlaps > 1e-9).all(axis=1)
        if step >= STEPS // 2 and not hit.any():
            break
        axis = overlaps[hit].argmin(axis=1)
        rows = np.arange(len(axis))
        push = np.zeros((len(axis), 2))
        side = np.where(gaps[hit][rows, axis] < 0, -1.0, 1.0)
        push[rows, axis] = side * overlaps[hit][rows, axis] / 2
        np.add.at(centres, second[hit], push)
        np.add.at(centres, first[hit], -push)
        centres = centres.clip(-room, room)
    return centres


def midst(points: pd.DataFrame, class_name: str) -> int | None:
    """The row at the centre of the smallest disc that holds half of the images of a class.

    points: class, x, y, rows numbered from 0. None where the class is not there, or the disc is
    wider than WIDEST.
    """
    rows = np.flatnonzero(points["class"] == class_name)
    if not len(rows):
        return None
    places = points.loc[rows, ["x", "y"]].to_numpy()
    radii = np.median(cdist(places, places), axis=1)
    return int(rows[radii.argmin()]) if radii.min() <= WIDEST else None
