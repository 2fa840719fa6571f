from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from stages.core.figures.claims import accuracy_steps
from stages.core.figures.project import midst, points_table
from stages.core.figures.style import (
    level_colours,
    new_figure,
    save_figure,
)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def luminance(colour: object) -> float:
    """Relative luminance of a colour (ITU-R BT.709, gamma left aside)."""
    return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("levels", [[0.0], [0.0, 0.5], [0.0, 0.5, 1.0, 2.0], list(range(10))])
def test_noise_levels_go_from_dark_to_light(levels):
    brightness = [luminance(colour) for colour in level_colours(levels).values()]
    assert len(brightness) == len(levels)
    assert brightness == sorted(set(brightness))


def test_the_same_picture_has_the_same_bytes(tmp_path: Path):
    written = []
    for name in ("a.png", "b.png"):
        figure, axes = new_figure(3, 2)
        axes.plot([0, 1], [0, 1], label="a line")
        axes.legend()
        save_figure(figure, tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def points_of(name: str, *places: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(places, columns=["x", "y"]).assign(noise=0.0, **{"class": name})


def test_a_class_is_named_in_the_midst_of_half_of_it_and_a_scattered_one_nowhere():
    points = pd.concat(
        [
            points_of("scattered", (1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)),
            points_of("island", (0.9, 0.0), (1.0, 0.0), (1.1, 0.0), (-5.0, 0.0)),
        ],
        ignore_index=True,
    )
    assert midst(points, "island") == 5
    assert midst(points, "scattered") is None
    assert midst(points, "elsewhere") is None

    measures = pd.DataFrame(
        {"noise": [0.0], "chance_purity": 0.25, "purity": 1, "silhouette": -0.5}
    ).assign(trustworthiness=0.987)
    table = points_table(points, measures, ["island", "scattered"])
    assert table["name"].tolist() == [""] * 5 + ["island"] + [""] * 2
    assert table["measures"].tolist() == [
        "purity 1.00 (chance 0.25), silhouette -0.50, trustworthiness 0.99",
        *[""] * 7,
    ]


def test_points_are_rounded_and_zero_has_no_sign():
    measures = pd.DataFrame({"noise": [0.0], "chance_purity": 0.5, "purity": 1, "silhouette": 1})
    measures = measures.assign(trustworthiness=1)
    table = points_table(points_of("a", (-0.0001, 0.12349)), measures, [])
    assert table[["x", "y"]].to_csv(index=False) == "x,y\n0.0,0.123\n"


def test_the_steps_of_accuracy_name_the_classifiers_that_there_are_and_keep_their_colours():
    steps = {"from_noise": 0.0, "to_noise": 1.0, "drop": 0.2, "low": 0.1, "high": 0.3, "images": 9}
    table = pd.DataFrame([steps | {"classifier": key} for key in ("zero_shot", "probe", "knn")])

    def colours(rows: pd.DataFrame) -> dict[str, tuple]:
        (legend,) = accuracy_steps(rows, "95%").legends
        named = zip(legend.get_texts(), legend.legend_handles, strict=True)
        return {text.get_text(): tuple(bar.get_color()[0]) for text, bar in named}

    everything = colours(table)
    assert list(everything) == ["zero-shot", "linear probe", "nearest neighbours"]
    del everything["zero-shot"]
    assert colours(table[1:]) == everything
