"""A picture of what training does to the similarities of images and captions."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.core.artifacts.tables import read_parquet
from stages.core.figures.heatmaps import by_clustering, draw_heatmap, inches_for
from stages.core.figures.study import Study
from stages.core.figures.style import new_figure, save_figure, wrapped
from stages.core.training.comparison import SIMILARITIES


def draw(study: Study, folder: Path, similarities: Path) -> None:
    """Draw the cosines of one batch that `pretrain` wrote."""
    table, _ = read_parquet(similarities, SIMILARITIES, "pretrain")
    figure = similarity_matrices(table)
    save_figure(figure, folder / "similarities.png", study.foot, shaded=True)


def similarity_matrices(table: pd.DataFrame) -> Figure:
    """The cosines of the images and captions of one batch, before and after training.

    table: of SIMILARITIES. Captions that are alike after training stand side by side; of more than
    MOST_NAMES some stand for the others.
    """
    count = math.isqrt(len(table) // 2)
    times = {
        time: rows["cosine"].to_numpy().reshape(count, count)  # (images, captions)
        for time, rows in table.groupby("time", sort=False)
    }
    names = table["caption"].tolist()[:count]
    apart = 1 - (times["after"] + times["after"].T) / 2
    np.fill_diagonal(apart, 0)
    order = by_clustering(apart)
    side = inches_for(len(order), margin=1.5)
    figure, panels = new_figure(side + 1.2, 2 * side, 2, 1)
    for axes, (time, cosines) in zip(panels, times.items(), strict=True):
        shown = [names[i] for i in order]
        values = cosines[np.ix_(order, order)]
        drawn = draw_heatmap(axes, values, shown, shown, -1, 1, colours="RdBu_r")
        axes.set(title=f"{time} training", xlabel="caption", ylabel="image")
    figure.colorbar(drawn, ax=panels, label="cosine", shrink=0.4)
    of = f", {len(order)} of {count} pairs" if len(order) < count else ""
    title = f"Similarity matrix of one held-out batch{of}: matching pairs lie on the diagonal"
    figure.suptitle(wrapped(title, side))
    return figure
