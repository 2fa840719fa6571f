from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from stages.core.figures.project import label_places, layout_figure, separated
from stages.core.figures.style import (
    class_legend,
    class_styles,
    level_colours,
    new_figure,
    panel_grid,
    save_figure,
)

NAMES = [f"class-{i:02d}" for i in range(47)]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def luminance(colour: object) -> float:
    """Relative luminance of a colour (ITU-R BT.709, gamma left aside)."""
    return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))


def test_47_classes_have_47_styles():
    styles = class_styles(NAMES)
    assert list(styles) == NAMES
    assert len(set(styles.values())) == 47


def test_neighbours_in_the_list_of_classes_differ_in_colour():
    colours = [colour for colour, _ in class_styles(NAMES).values()]
    assert all(a != b for a, b in pairwise(colours))


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


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 3)])
def test_panels_are_as_many_as_asked_for_in_a_near_square(count, rows, columns):
    figure, panels = panel_grid(count, 2.0)
    assert len(panels) == len(figure.axes) == count
    assert panels[0].get_gridspec().get_geometry() == (rows, columns)


def test_the_legend_of_47_classes_names_each_in_two_columns_within_the_figure():
    figure, _ = panel_grid(4, 4.6)
    legend = class_legend(figure, class_styles(NAMES))
    figure.canvas.draw()
    assert [text.get_text() for text in legend.get_texts()] == NAMES
    lefts = {round(text.get_window_extent().x0) for text in legend.get_texts()}
    assert len(lefts) == 2
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0
    assert box.y1 <= figure.bbox.y1


def test_a_layout_figure_draws_every_point_in_every_panel_on_one_scale():
    generator = np.random.default_rng(0)
    names = np.repeat(["a", "b", "c"], [10, 1, 20])
    layouts = {title: generator.standard_normal((31, 2)) for title in ("clean", "noisy")}
    styles = class_styles(["a", "b", "c"])
    figure = layout_figure("title", "t-SNE", layouts, names, styles, ["a"])
    for axes, (title, layout) in zip(figure.axes, layouts.items(), strict=True):
        drawn = np.concatenate([part.get_offsets() for part in axes.collections])
        assert axes.get_title() == title
        np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(layout, axis=0))
        assert axes.get_xlim() == figure.axes[0].get_xlim()
        assert axes.get_xlim()[1] > np.abs(layout).max()


def test_a_class_is_named_where_half_of_it_lies_and_a_scattered_one_nowhere():
    island = np.array([[1.0, 0.0], [1.1, 0.0], [0.9, 0.0], [-5.0, 0.0]])
    scattered = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    names = np.repeat(["island", "scattered"], 4)
    places = label_places(np.concatenate([island, scattered]), names, ["island", "scattered"])
    assert places == {"island": pytest.approx((1.0, 0.0, 0.1))}


def test_overlapping_texts_move_up_and_others_stay():
    heights = np.array([0.0, 0.1, 0.05, 0.0])
    lefts = np.array([0.0, 0.0, 0.5, 9.0])
    rights = lefts + 1.0
    moved = separated(heights, lefts, rights, gap=1.0)
    np.testing.assert_allclose(moved, [0.0, 2.0, 1.0, 0.0])
