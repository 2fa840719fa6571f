"""The points of layouts, as DVC draws them by the template `projection`."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from stages.core.artifacts.tables import read_parquet
from stages.core.geometry.layouts import LAYOUT_MEASURES, LAYOUTS
from stages.core.runtime.files import write_csv

# A class of which half the images do not fit into a disc of this radius has no place of its own,
# and a name would claim one. In units of the layout's root-mean-square radius.
WIDEST = 0.4


def draw(data: Path, folder: Path) -> None:
    """Write the points of every layout, from the folder that `project` wrote."""
    layouts, about = read_parquet(data / "layouts.parquet", LAYOUTS, "project")
    measures, _ = read_parquet(data / "layout_measures.parquet", LAYOUT_MEASURES, "project")
    named = json.loads(about["kept"])
    for (selection, method), points in layouts.groupby(["selection", "method"], sort=False):
        of_layouts = measures[(measures["selection"] == selection) & (measures["space"] == method)]
        write_csv(
            folder / f"points_{method}_{selection}.csv", points_table(points, of_layouts, named)
        )


def points_table(
    points: pd.DataFrame, measures: pd.DataFrame, named: Collection[str]
) -> pd.DataFrame:
    """One row per noise level and image: noise, class, x, y, name, measures.

    points: rows of `layouts_table`, measures: rows of `measures_table`, both of one selection and
    method. x and y to a thousandth of the root-mean-square radius. name: that of a class of
    `named`, at the image in its midst, if the class has a place of its own. measures: in words,
    at the first image of each level. Both are empty elsewhere.
    """
    tables = []
    for found in measures.itertuples():
        table = points.loc[points["noise"] == found.noise, ["noise", "class", "x", "y"]]
        table = table.reset_index(drop=True)
        table["name"] = table["measures"] = ""
        for class_name in named:
            row = midst(table, class_name)
            if row is not None:
                table.loc[row, "name"] = class_name
        table.loc[0, "measures"] = (
            f"purity {found.purity:.2f} (chance {found.chance_purity:.2f}), "
            f"silhouette {found.silhouette:.2f}, trustworthiness {found.trustworthiness:.2f}"
        )
        table[["x", "y"]] = table[["x", "y"]].round(3) + 0.0  # -0.0 becomes 0.0
        tables.append(table)
    return pd.concat(tables)


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
