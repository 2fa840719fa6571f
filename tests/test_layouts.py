"""Which images are laid out, how, and what the tables of the layouts hold."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.artifacts.embeddings import Embeddings, read_embeddings
from stages.core.geometry.layouts import (
    Selection,
    kept_table,
    lay_out,
    layouts_table,
    measure_all,
    measures_table,
    methods_of,
    nearest_table,
    select,
)
from stages.core.geometry.projections import tsne_layout, umap_layout
from stages.core.runtime.errors import StudyError
from stages.core.runtime.params import read_params
from stages.settings.project import ProjectParams
from tests.conftest import write_embeddings
from tests.study import ROOT

KEPT = ["dotted", "striped", "grid", "polka-dotted"]


def chosen(
    study: Embeddings, images: int = 5, classes: int = 3, points: int = 100
) -> list[Selection]:
    return select(study, points, images, classes, 12, KEPT, seed=0)


def test_the_selections_hold_rows_of_the_classes_they_name(planted: Path) -> None:
    study = read_embeddings(planted)
    everything, sampled = chosen(study)
    assert everything.classes == study.classes
    assert np.bincount(everything.labels).tolist() == [5, 5, 5, 5]
    assert sampled.classes == ["dotted", "grid", "striped"]
    assert np.bincount(sampled.labels).tolist() == [12, 12, 12]
    for selection in (everything, sampled):
        found = study.images["class"].to_numpy()[selection.rows]
        np.testing.assert_array_equal(found, selection.names)


def test_a_layout_has_no_more_points_than_are_allowed(planted: Path) -> None:
    study = read_embeddings(planted)
    everything, sampled = chosen(study, points=13)
    assert np.bincount(everything.labels).tolist() == [3, 3, 3, 3]
    assert np.bincount(sampled.labels).tolist() == [4, 4, 4]
    # Two of each are the least: then there are fewer classes, the kept ones first.
    everything, _ = chosen(study, points=7)
    assert everything.classes == ["dotted", "grid", "striped"]
    assert np.bincount(everything.labels).tolist() == [2, 2, 2]


def test_points_without_room_for_the_sampled_classes_are_refused() -> None:
    with pytest.raises(StudyError, match=r"project.points: 29 has no room for two images of each"):
        read_params(ProjectParams, ROOT / "params.yaml", {"points": 29})


def test_methods_have_the_settings_of_the_section() -> None:
    given = {"perplexity": 4.0, "umap_neighbours": 6, "umap_min_dist": 0.5}
    methods = methods_of(read_params(ProjectParams, ROOT / "params.yaml", given), seed=7)
    points = np.random.default_rng(0).standard_normal((30, 4))
    assert np.array_equal(methods["tsne"](points), tsne_layout(points, 4.0, 7))
    assert np.array_equal(methods["umap"](points), umap_layout(points, 6, 0.5, 7))


def test_a_class_of_one_image_is_refused(tmp_path: Path) -> None:
    cloud = np.eye(5, 8)
    write_embeddings(tmp_path, {(0.0, 0): cloud}, ["a", "a", "b", "c", "c"], np.eye(3, 8))
    with pytest.raises(StudyError, match="class b has 1 image; give it two or leave it out"):
        chosen(read_embeddings(tmp_path))


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    write_embeddings(tmp_path, {(0.0, 0): np.eye(5, 8)}, ["a"] * 5, np.eye(1, 8))
    with pytest.raises(StudyError, match=r"images.csv: 1 class leaves nothing to tell apart"):
        chosen(read_embeddings(tmp_path))


# Layouts by methods that take the first two coordinates as they are, or exchanged.


def first_two(points: np.ndarray) -> np.ndarray:
    return points[:, :2]


def exchanged(points: np.ndarray) -> np.ndarray:
    return points[:, 1::-1]


SQUARE = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
TURN = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
PAIRS = Selection("all", ["dotted", "grid"], np.arange(4), np.array([0, 0, 1, 1]))


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)


def test_noisy_layouts_are_turned_onto_the_clean_one_of_their_method(one_worker: None) -> None:
    clouds = {("all", 0.0): SQUARE, ("all", 0.5): SQUARE @ TURN}
    found = lay_out(clouds, {"tsne": first_two, "umap": exchanged})
    assert list(found) == [
        ("all", method, level) for method in ("tsne", "umap") for level in (0.0, 0.5)
    ]
    for method, layout in (("tsne", SQUARE[:, :2]), ("umap", SQUARE[:, 1::-1])):
        np.testing.assert_array_equal(found["all", method, 0.0], layout)
        np.testing.assert_allclose(found["all", method, 0.5], layout, atol=1e-12)


def test_the_tables_have_a_row_for_each_image_space_class_and_kept_pair(one_worker: None) -> None:
    clouds = {("all", 0.0): SQUARE}
    layouts = lay_out(clouds, {"tsne": first_two})
    ids = np.array(["dotted/0", "dotted/1", "grid/0", "grid/1"])
    table = layouts_table([PAIRS], layouts, ids)
    assert table["id"].tolist() == ids.tolist()
    assert table["class"].tolist() == ["dotted", "dotted", "grid", "grid"]
    np.testing.assert_array_equal(table[["x", "y"]], SQUARE[:, :2])

    measures = measure_all([PAIRS], clouds, layouts, neighbours=1)
    of_spaces = measures_table([PAIRS], measures)
    assert of_spaces["space"].tolist() == ["embedding", "tsne"]
    assert of_spaces["chance_purity"].tolist() == [pytest.approx(1 / 3)] * 2
    assert of_spaces["trustworthiness"].isna().tolist() == [True, False]

    nearest = nearest_table([PAIRS], measures)
    assert nearest["nearest"].tolist() == ["grid", "dotted"] * 2
    # The means (.5, .5) and (-.5, -.5) are opposite; the sets are sqrt(2) apart at a quarter.
    np.testing.assert_allclose(nearest["distance"], [2, 2, np.sqrt(2), np.sqrt(2)])

    ranks = kept_table([PAIRS], measures, KEPT)
    columns = ["class", "other", "rank", "others"]
    expected = [["dotted", "grid", 1, 1], ["grid", "dotted", 1, 1]] * 2
    assert ranks[columns].to_numpy().tolist() == expected
    assert kept_table([PAIRS], measures, ["striped"]).empty
