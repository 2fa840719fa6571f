"""A picture of what training does to the similarities of images and captions."""

import math
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.core.artifacts.tables import read_parquet
from stages.core.figures.heatmaps import draw_heatmap, inches_for
from stages.core.figures.study import Study
from stages.core.figures.style import new_figure, save_figure
from stages.core.training.comparison import SIMILARITIES


def draw(study: Study, folder: Path, similarities: Path) -> None:
    """Draw the cosines of one batch that `pretrain` wrote."""
    table, _ = read_parquet(similarities, SIMILARITIES, "pretrain")
    save_figure(similarity_matrices(table), folder / "similarities.png", study.foot)


def similarity_matrices(table: pd.DataFrame) -> Figure:
    """The cosines of the images and captions of one batch, before and after training.

    table: of SIMILARITIES.
    """
    count = math.isqrt(len(table) // 2)
    side = inches_for(count, margin=1.5)
    figure, panels = new_figure(2 * side, side, 1, 2)
    for axes, (time, rows) in zip(panels, table.groupby("time", sort=False), strict=True):
        cosines = rows["cosine"].to_numpy().reshape(count, count)  # (images, captions)
        names = rows["caption"].tolist()[:count]
        drawn = draw_heatmap(axes, cosines, names, names, -1, 1, colours="RdBu_r")
        axes.set(title=f"{time} training", xlabel="caption", ylabel="image")
    figure.colorbar(drawn, ax=panels, label="cosine", shrink=0.8)
    figure.suptitle("Similarity matrix of one held-out batch: matching pairs lie on the diagonal")
    return figure
