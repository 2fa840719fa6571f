import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from stages.core.artifacts.diagrams import CloudKey
from stages.core.artifacts.embeddings import read_embeddings
from stages.core.claims.registry import TABLES
from stages.core.figures import style
from stages.core.figures.angles import angle_distributions, angle_matrix
from stages.core.figures.claims import accuracy_steps, bars, growth, loops, read_verdicts
from stages.core.figures.classify import (
    OTHERS,
    confusion_table,
    per_class_accuracy,
    reliability,
)
from stages.core.figures.heatmaps import by_clustering
from stages.core.figures.persistence import diagrams_figure, latest_death, summaries_figure
from stages.core.figures.project import midst, points_table, set_apart
from stages.core.figures.question import correlations
from stages.core.figures.study import data_set, noise_of, study_of
from stages.core.figures.style import (
    COLOURS,
    LEAST_CONTRAST,
    class_colours,
    contrast_with_white,
    level_colours,
    new_figure,
    save_figure,
)
from stages.core.runtime.errors import StudyError
from stages.core.vision.noise import KINDS, level_unit


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


# What a picture is of


def test_a_picture_says_below_all_else_what_study_it_is_of(tmp_path: Path) -> None:
    sizes, drawn = [], []
    for foot in ("", "Model: ours.", "Model: ours. " * 20):
        figure, axes = new_figure(3, 2)
        axes.plot([0, 1], [0, 1])
        save_figure(figure, tmp_path / "a.png", foot, shaded=True)
        with Image.open(tmp_path / "a.png") as image:
            sizes.append(image.size)
            drawn.append(np.asarray(image.convert("L")))
    assert {width for width, _ in sizes} == {3 * style.DPI}
    assert [height for _, height in sizes] == sorted({height for _, height in sizes})
    plain, one, _ = drawn
    assert (one[: len(plain)] == plain).all()  # the picture itself is as it was
    assert one[len(plain) :].min() < 128  # and something is written below it


def test_shades_keep_their_colours_and_drawings_have_256(tmp_path: Path) -> None:
    colours = []
    for shaded in (False, True):
        figure, axes = new_figure(3, 2)
        axes.imshow(np.random.default_rng(0).random((90, 90, 3)))
        save_figure(figure, tmp_path / "a.png", shaded=shaded)
        with Image.open(tmp_path / "a.png") as image:
            colours.append(len(image.convert("RGB").getcolors(10**6)))
    assert colours[0] <= 256
    assert colours[1] > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_the_foot_names_the_noise_and_the_unit_of_its_level(kind: str) -> None:
    space = KINDS[kind].spaces[0]
    said = noise_of({"noise": {"kind": kind, "space": space, "draws": 1}})
    assert KINDS[kind].label in said
    assert level_unit(kind, space) in said


def test_the_foot_names_model_data_and_noise(planted: Path) -> None:
    study = read_embeddings(planted)
    assert study_of(study, "textures").foot == (
        "Model: planted, untrained.  Data: textures, 48 images of 4 classes.  "
        "Noise: of unknown kind."
    )
    noise = {"noise": {"kind": "rain", "draws": 2}}
    of_features = replace(study, encoder=study.encoder | {"pretrained": "by us"} | noise)
    foot = study_of(of_features, "/a/path/to/photos").foot
    assert foot.startswith("Model: planted, weights by us, untrained.  Data: photos, 48 images")
    assert foot.endswith("Noise: rain, level as in the files of the features.")
    clean = study_of(replace(of_features, levels=[0.0]), "dtd").foot
    assert clean.endswith("Data: dtd, 48 images of 4 classes.  Noise: none.")


@pytest.mark.parametrize(("source", "called"), [("dtd", "dtd"), ("a/b/", "b"), ("/", "/")])
def test_a_data_set_is_called_by_its_name_or_its_folder_s(source: str, called: str) -> None:
    assert data_set(source) == called


# Colours


def rgb(colour: object) -> np.ndarray:
    return 255 * np.array([to_rgb(colour)])


def test_colours_of_lines_hold_on_white_with_any_number_of_levels() -> None:
    colours = [*COLOURS, *level_colours(list(range(10))).values()]
    assert min(contrast_with_white(rgb(colour))[0] for colour in colours) >= LEAST_CONTRAST


# Layouts


def points_of(name: str, *places: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(places, columns=["x", "y"]).assign(noise=0.0, **{"class": name})


SCATTERED = ((1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0))
ISLAND = ((0.9, 0.0), (1.0, 0.0), (1.1, 0.0), (-5.0, 0.0))


def measures_of(*levels: float) -> pd.DataFrame:
    found = pd.DataFrame({"noise": levels, "chance_purity": 0.25, "purity": 1, "silhouette": -0.5})
    return found.assign(trustworthiness=0.987)


def test_the_midst_of_a_class_is_within_half_of_it_and_a_scattered_one_has_none() -> None:
    points = pd.concat(
        [points_of("scattered", *SCATTERED), points_of("island", *ISLAND)], ignore_index=True
    )
    assert midst(points, "island") == 5
    assert midst(points, "scattered") is None
    assert midst(points, "elsewhere") is None


def test_every_class_is_named_at_every_level_above_its_densest_part() -> None:
    """Also one that is scattered, and one of which the smaller part lies apart."""
    clean = pd.concat([points_of("scattered", *SCATTERED), points_of("island", *ISLAND)])
    points = pd.concat([clean, clean.assign(noise=2.0)])
    colours = class_colours(["another", "island", "scattered"])
    table = points_table(points, measures_of(0.0, 2.0), colours)
    images = table[table["role"] == ""]
    assert images["class"].tolist() == points["class"].tolist()
    assert (images["colour"] == images["class"].map(colours)).all()
    for _, level in table.groupby("noise"):
        roles = dict(list(level.groupby("role")))
        for role in ("from", "name"):
            assert sorted(roles[role]["class"]) == ["island", "scattered"]
        there, name = (roles[role].set_index("class") for role in ("from", "name"))
        assert 0.9 <= there.loc["island", "x"] <= 1.1
        assert name.loc["island", "x"] == pytest.approx(there.loc["island", "x"], abs=0.3)
        assert 0 < name.loc["island", "y"] < 0.3
        assert (name["colour"] == pd.Series(colours)[name.index]).all()
        assert roles["measures"]["class"].tolist() == [
            "purity 1.00 (chance 0.25), silhouette -0.50, trustworthiness 0.99"
        ]
        # From -5 to 1.1 along x, and as far along y.
        assert roles["corner"]["x"].tolist() == [-5.0, 1.1]
        assert roles["corner"]["y"].tolist() == [-3.05, 3.05]


def test_of_many_classes_the_densest_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.core.figures.project.MOST_NAMES", 1)
    points = pd.concat([points_of("scattered", *SCATTERED), points_of("island", *ISLAND)])
    table = points_table(points, measures_of(0.0), class_colours(["island", "scattered"]))
    assert table.loc[table["role"] == "name", "class"].tolist() == ["island"]


def test_names_at_one_place_are_set_apart_and_others_left_where_they_are() -> None:
    anchors = np.array([[0.0, 0.0]] * 6 + [[0.9, 0.9]])
    sizes = np.full((7, 2), (0.5, 0.1))
    places = set_apart(anchors, sizes, 2.0)
    for i, j in combinations(range(7), 2):
        assert (np.abs(places[i] - places[j]) >= 0.999 * sizes[0]).any()
    np.testing.assert_allclose(places[6], anchors[6])
    assert np.abs(places[:6]).max() < 0.6  # no farther than it takes


def test_names_stay_within_the_picture() -> None:
    places = set_apart(np.full((4, 2), 0.99), np.full((4, 2), (0.4, 0.1)), 1.0)
    assert (np.abs(places) <= 1 - np.array([0.2, 0.05]) + 1e-9).all()


def test_points_are_rounded_and_zero_has_no_sign() -> None:
    table = points_table(points_of("a", (-0.0001, 0.12349)), measures_of(0.0), {"a": "#000000"})
    assert table[["x", "y"]].head(1).to_csv(index=False) == "x,y\n0.0,0.123\n"


# Heat maps


def test_near_classes_stand_side_by_side() -> None:
    """Two groups whose members alternate, in the order that the alphabet would give."""
    group = np.array([0, 1, 0, 1, 0, 1])
    distances = np.where(group[:, None] == group, 1.0, 5.0)
    np.fill_diagonal(distances, 0)
    order = by_clustering(distances)
    assert sorted(order) == list(range(6))
    assert (np.diff(group[order]) != 0).sum() == 1


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_classes_have_no_order(count: int) -> None:
    assert by_clustering(np.zeros((count, count))).tolist() == list(range(count))


def test_of_many_classes_the_medoid_of_each_cluster_is_drawn() -> None:
    places = np.array([0.0, 0.1, 0.25, 5.0, 5.1, 5.25, 9.0])
    order = by_clustering(np.abs(places[:, None] - places), most=3)
    assert sorted(order) == [1, 4, 6]


def pairs_table(count: int) -> pd.DataFrame:
    names = [f"class {i:03d}" for i in range(count)]
    table = pd.DataFrame(list(combinations(names, 2)), columns=["class_a", "class_b"])
    smallest = np.random.default_rng(0).uniform(5, 30, len(table))
    return table.assign(smallest_deg=smallest, mean_deg=smallest + 30, noise=0.0)


def test_one_triangle_holds_the_smallest_angle_and_the_other_the_mean() -> None:
    table = pairs_table(5)
    figure = angle_matrix(table, "feature space")
    axes = figure.axes[0]
    mean, smallest = (np.asarray(image.get_array().filled(np.nan)) for image in axes.images)
    names = [label.get_text() for label in axes.get_yticklabels()]
    first = table.set_index(["class_a", "class_b"])
    for i, j in combinations(range(5), 2):
        found = first.loc[tuple(sorted((names[i], names[j])))]
        assert smallest[j, i] == found["smallest_deg"]
        assert mean[i, j] == found["mean_deg"]
    assert np.isnan(smallest[np.triu_indices(5)]).all()
    assert np.isnan(mean[np.tril_indices(5)]).all()


def test_a_heat_map_of_many_classes_is_bounded_and_says_so() -> None:
    figure = angle_matrix(pairs_table(120), "feature space")
    assert len(figure.axes[0].get_yticklabels()) == 100
    assert "100 of 120 classes, one of each cluster" in figure._suptitle.get_text()


def test_the_most_accurate_class_comes_first_and_many_are_bounded() -> None:
    shares = {f"class {i:03d}": i / 200 for i in range(120)}
    table = pd.DataFrame({"class": shares.keys(), "noise": 0.0, "accuracy": shares.values()})
    figure = per_class_accuracy(table.assign(classifier="probe"))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == sorted(names, reverse=True)
    assert (len(names), names[0], names[-1]) == (100, "class 119", "class 000")
    assert "100 of 120 classes" in " ".join(figure._suptitle.get_text().split())


def predictions_of(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["actual", "zero_shot"]).assign(noise=2.0)


def test_confusions_are_counted_and_confused_classes_stand_side_by_side() -> None:
    said = [("a", "c")] * 3 + [("a", "a")] + [("c", "a")] * 2 + [("b", "b")] * 4 + [("d", "d")]
    table = confusion_table(predictions_of(said), "zero_shot")
    assert list(table.columns[:4]) == ["noise", "actual", "predicted", "images"]
    counts = table.set_index(["actual", "predicted"])["images"].to_dict()
    taken = {("a", "c"): 3, ("a", "a"): 1, ("c", "a"): 2, ("b", "b"): 4, ("d", "d"): 1}
    assert counts == taken | {("c", "c"): 0}
    places = dict(zip(table["actual"], table["actual_place"], strict=True))
    assert sorted(places.values()) == [0, 1, 2, 3]
    assert abs(places["a"] - places["c"]) == 1
    predicted = dict(zip(table["predicted"], table["predicted_place"], strict=True))
    assert predicted == places


def test_of_many_classes_the_confusions_of_the_worst_are_named() -> None:
    names = [f"class {i:03d}" for i in range(102)]
    said = [(name, name) for name in names] + [(names[5], names[7])] + [(names[0], names[1])]
    said += [(names[-1], names[-2])]  # the last but one is never wrong and not named
    table = confusion_table(predictions_of(said), "zero_shot")
    assert table["actual"].nunique() == 100
    row = table[(table["actual"] == names[-1]) & (table["predicted"] == OTHERS)]
    assert row["images"].tolist() == [1]
    assert row["predicted_place"].tolist() == [100]
    assert table["images"].sum() == 100 + 3


# Diagrams, summaries, calibration


LOOP = np.array([[0.5, 0.9], [0.4, 0.45]])
COMPONENTS = np.array([[0.0, 0.2], [0.0, 0.7], [0.0, np.inf]])


def test_diagrams_of_all_classes_have_equal_axes_and_the_longest_bar_of_null_clouds() -> None:
    names = [f"class {i}" for i in range(9)]
    found = {name: [COMPONENTS, LOOP] for name in names}
    images = dict.fromkeys(names, 12)
    figure = diagrams_figure(found, 0.5, {names[0]: 0.3}, images, 1.2)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == names
    for axes in panels:
        assert axes.get_xlim() == axes.get_ylim() == (0, 1.2)
        assert axes.get_aspect() == 1
        drawn = np.concatenate([np.asarray(each.get_offsets()) for each in axes.collections])
        assert sorted(map(tuple, drawn)) == sorted(
            [(0.0, 0.2), (0.0, 0.7), (0.5, 0.9), (0.4, 0.45)]
        )
    dashed = [[line for line in axes.lines if line.get_linestyle() == "--"] for axes in panels]
    assert [len(lines) for lines in dashed] == [1] + [0] * 8
    x, y = dashed[0][0].get_data()
    np.testing.assert_allclose(np.subtract(y, x), 0.3)
    assert "9 classes, 12 images each, noise 0.50" in " ".join(figure._suptitle.get_text().split())


def test_the_axes_hold_the_latest_death_of_every_level_drawn() -> None:
    keys = {("a", 0.0): 0.5, ("a", 1.0): 0.8, ("b", 0.0): 2.0}
    found = {
        CloudKey(group, level): [np.array([[0, death], [0, np.inf]])]
        for (group, level), death in keys.items()
    }
    assert latest_death(found, ["a"], [0.0, 1.0]) == pytest.approx(1.05 * 0.8)
    assert latest_death({CloudKey("a", 0.0): [np.empty((0, 2))]}, ["a"], [0.0]) == 1.0


def test_summaries_draw_no_quantity_twice_and_share_an_axis() -> None:
    rows = [(group, level, dim) for group in ("a", "all") for level in (0, 1) for dim in (0, 1)]
    table = pd.DataFrame(rows, columns=["group", "noise", "dim"])
    table = table.assign(total_persistence=9.0, max_persistence=table["dim"] + 1, mean_death=0.5)
    figure = summaries_figure(table, "all")
    titles = [axes.get_title() for axes in figure.axes if axes.axison]
    assert "H₀: total persistence" not in titles
    assert "H₁: total persistence" in titles
    longest = [axes for axes in figure.axes if axes.get_title().endswith("longest bar")]
    assert len({axes.get_ylim() for axes in longest}) == 1
    assert longest[0].get_ylim()[0] == 0
    assert longest[0].get_ylim()[1] >= 2


def test_calibration_counts_the_images_of_each_bin() -> None:
    table = pd.DataFrame({"noise": 0.0, "from": [0.2, 0.8], "to": [0.4, 1.0], "n": [3, 40]}).assign(
        confidence=[0.3, 0.9], accuracy=[0.5, 0.8]
    )
    _, counts = reliability(table, "softmax").axes
    (steps,) = counts.patches
    values, edges, _ = steps.get_data()
    assert dict(zip(edges.round(6), values, strict=False)) == {0: 0, 20: 3, 40: 0, 80: 40}


def test_angles_of_all_panels_are_drawn_on_one_axis() -> None:
    table = pairs_table(4)
    noisy = pd.concat([table, table.assign(noise=1.0)])
    figure = angle_distributions(noisy, noisy, "feature space")
    assert {axes.get_xlim() for axes in figure.axes} == {(-1, 91)}


# Claims


def bars_of(band: float) -> pd.DataFrame:
    rows = [(name, level) for name in ("a", "b") for level in (0.0, 1.0)]
    table = pd.DataFrame(rows, columns=["class", "noise"])
    return table.assign(gap=0.1, gap_null=0.2, longest_bar=0.2, longest_null=0.1, band=band)


@pytest.mark.parametrize(("band", "drawn"), [(0.15, True), (0.5, False), (9.0, False)])
def test_a_band_far_above_the_bars_does_not_flatten_them(band: float, drawn: bool) -> None:
    axes = bars(bars_of(band), "95%", {}).axes[1]
    assert axes.get_ylim() == (0, pytest.approx(0.22))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert ("95% band: median" in labels) == drawn
    assert (f"95% band: above the axis, {band:g} or more" in labels) == (not drawn)


def test_titles_of_claims_hold_their_verdicts() -> None:
    verdicts = {"one_component": "holds", "no_loop_beyond_null": "fails", "loops_clump": "holds"}
    verdicts |= {"loops_die_sooner": "undecided", "bottleneck_h1_grows": "fails"}
    left, right = (axes.get_title() for axes in bars(bars_of(9), "95%", verdicts).axes)
    assert "one component: holds" in left
    assert "none beyond null clouds: fails" in right
    table = bars_of(9).assign(spread=0.1, mean_death=0.8)
    panels = loops(table, "95%", verdicts).axes
    assert [axes.get_title() for axes in panels] == [
        "they clump together: holds",
        "they die sooner: undecided",
    ]
    assert len({axes.get_ylim() for axes in panels}) == 1  # both in one unit
    grown = pd.DataFrame({"metric": ["bottleneck"], "dim": 1, "noise": 1.0, "classes": 9})
    figure = growth(grown.assign(above_draws=0.5, above_halves=0.5), "95%", verdicts)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Bottleneck, H₁\ngrows with noise: fails" in said


def test_verdicts_are_read_from_the_metrics(tmp_path: Path) -> None:
    content = {"holds": 1, "fails": 0, "undecided": 0, "not_applicable": 0}
    file = tmp_path / "claims.json"
    file.write_text(json.dumps(content | {"loops_clump": {"verdict": "holds", "effect": 1.0}}))
    assert read_verdicts(file) == {"loops_clump": "holds"}
    file.write_text(json.dumps(content | {"loops_clump": {"effect": 1.0}}))
    with pytest.raises(StudyError, match=r"no loops_clump\.verdict; .*run 'dvc repro"):
        read_verdicts(file)


def test_the_steps_of_accuracy_name_the_classifiers_that_there_are_and_keep_their_colours():
    steps = {"from_noise": 0.0, "to_noise": 1.0, "drop": 0.2, "low": 0.1, "high": 0.3, "images": 9}
    table = pd.DataFrame([steps | {"classifier": key} for key in ("zero_shot", "probe", "knn")])

    def colours(rows: pd.DataFrame) -> dict[str, tuple]:
        (legend,) = accuracy_steps(rows, "95%", {}).legends
        named = zip(legend.get_texts(), legend.legend_handles, strict=True)
        return {text.get_text(): tuple(bar.get_color()[0]) for text, bar in named}

    everything = colours(table)
    assert list(everything) == ["zero-shot", "linear probe", "nearest neighbours"]
    del everything["zero-shot"]
    assert colours(table[1:]) == everything


def question_table(classifiers: tuple[str, ...]) -> pd.DataFrame:
    """As `claims` writes it: a topological measure that follows, another that does not, a rival."""
    rows = []
    for classifier in classifiers:
        for level in (0.5, 1.0):
            for measure, kind, rho in (
                ("wasserstein_h1", "topological", 0.6),
                ("divergence", "topological", 0.1),
                ("doubt", "rival", 0.9),
            ):
                for controlled in (False, True):
                    found = rho / 2 if controlled else rho
                    tested = {"p_value": 0.01, "p_holm": 0.02 if found > 0.5 else 1.0}
                    about = (classifier, level, measure, kind, controlled, 47)
                    rows.append((*about, found, found - 0.2, found + 0.2, *tested.values()))
            plain = (classifier, level, "displacement", "plain", False, 47, 0.7, 0.5, 0.9)
            rows.append((*plain, 0.001, np.nan))
    return pd.DataFrame(rows, columns=TABLES["correlations"].names)


def test_the_question_is_drawn_with_its_verdicts_and_without_plain_measures():
    verdicts = {"topology_follows_zero_shot": "holds", "topology_adds_zero_shot": "undecided"}
    verdicts["topology_beats_rivals_zero_shot"] = "fails"
    figure = correlations(question_table(("zero_shot", "probe")), "95%", verdicts)
    alone, controlled = figure.axes
    assert alone.get_title() == "alone: holds"
    assert controlled.get_title() == "with the plain measures controlled for: undecided"
    names = [label.get_text() for label in alone.get_yticklabels()]
    assert names == [
        "representation topology divergence",
        "1-Wasserstein distance, H₁",
        "1 - average confidence",
    ]
    assert "topology ahead of all: fails" in {text.get_text() for text in alone.texts}
    filled = [line for line in alone.lines if line.get_markerfacecolor() != "white"]
    drawn = [x for line in filled if line.get_marker() != "None" for x in line.get_xdata()]
    assert sorted(drawn) == [0.6, 0.6, 0.9, 0.9]
    heading = next(text for text in alone.texts if text.get_text() == "simpler label-free scores:")
    assert alone.get_yticks().tolist() == [0, 1, 3]
    assert heading.get_position()[1] == 2


def test_without_rivals_the_question_is_drawn_of_topology_alone():
    table = question_table(("probe",))
    figure = correlations(table[table["kind"] != "rival"], "95%", {})
    assert figure.axes[0].get_yticks().tolist() == [0, 1]
    assert not figure.axes[0].texts


def test_the_title_of_the_question_names_the_classifier():
    figure = correlations(question_table(("zero_shot", "probe")), "95%", {})
    assert "zero-shot accuracy" in " ".join(figure.get_suptitle().split())


def test_without_text_the_question_is_drawn_of_the_probe():
    figure = correlations(question_table(("probe", "knn")), "95%", {})
    assert "linear probe accuracy" in " ".join(figure.get_suptitle().split())
    assert figure.axes[0].get_title() == "alone"
