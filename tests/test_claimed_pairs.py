"""The pairs of classes that claims 1 and 2 are about: their numbers, keys and pictures."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, permutations
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from stages.core.claims import closest_pairs, neighbours
from stages.core.claims.finding import Finding
from stages.core.claims.pairs import missing, pair_keys
from stages.core.figures import claims as figures
from stages.core.figures.style import short_name
from stages.core.geometry.projections import nearest_ranks
from stages.core.geometry.subspaces import (
    ZERO_ANGLE_RAD,
    class_bases,
    pair_table,
    principal_angles,
    sample_space_bases,
)
from stages.core.runtime.params import read_params
from stages.settings.claims import ClaimsParams, Pair
from stages.settings.project import ProjectParams
from tests.conftest import unit_rows
from tests.study import ROOT

FORMS = ("{}_near_{}_tsne", "{}_{}_closest")
QUICK = {"projection_seeds": 2, "images_per_class": 6, "half_samples": 5}

# Four classes at 0, 1, 3 and 7 on a line: a is nearest to b, then come (b, c), and so on.
LINE = np.array([0.0, 1.0, 3.0, 7.0])
CLASSES = ["a", "b", "c", "d"]
RANKS = {space: nearest_ranks(np.abs(LINE - LINE[:, None]))[None] for space in neighbours.SPACES}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def params(**given: object) -> ClaimsParams:
    return read_params(ClaimsParams, ROOT / "params.yaml", QUICK | given)


# Settings and keys


def test_the_defaults_are_those_of_the_study_of_dtd() -> None:
    default = params()
    assert default.neighbours == [("polka-dotted", "dotted")]
    assert default.pairs == [
        ("crosshatched", "striped"),
        ("dotted", "grid"),
        ("dotted", "polka-dotted"),
    ]
    found = neighbours.findings({}, default.neighbours, CLASSES, 0.95)
    found += closest_pairs.findings_without_angles(default.pairs, "")
    assert [(one.key, one.statement) for one in found] == [
        ("polka_dotted_near_dotted_tsne", "in t-SNE polka-dotted lies with dotted"),
        ("polka_dotted_near_dotted_umap", "in UMAP polka-dotted lies with dotted"),
        (
            "polka_dotted_near_dotted_embedding",
            "in the embedding space polka-dotted lies with dotted",
        ),
        (
            "crosshatched_striped_closest",
            "crosshatched and striped are among the closest pairs by subspace angle",
        ),
        ("dotted_grid_closest", "dotted and grid are among the closest pairs by subspace angle"),
        (
            "dotted_polka_dotted_closest",
            "dotted and polka-dotted are among the closest pairs by subspace angle",
        ),
        ("zero_angles", "many pairs of classes have an angle of 0.0"),
    ]


def test_keys_by_hand() -> None:
    pairs = [("a b", "c.d"), ("Käse", "木纹"), ("100%", "a/b"), ("{0}", "-")]
    assert list(pair_keys(pairs, FORMS[1]).values()) == [
        "a_b_c_d_closest",
        "Käse_木纹_closest",
        "100__a_b_closest",
        "_0____closest",
    ]
    alike = [("a-b", "c"), ("a_b", "c"), ("a", "b.c"), ("c", "a-b")]
    assert pair_keys(alike, FORMS[1]) == {
        ("a-b", "c"): "a_b_c_closest",
        ("a_b", "c"): "a_b_c_closest_2",
        ("a", "b.c"): "a_b_c_closest_3",
        ("c", "a-b"): "c_a_b_closest",
    }


@pytest.mark.parametrize("form", FORMS)
def test_no_two_pairs_have_the_same_key(form: str) -> None:
    """Of names made to be mistaken for one another, and for what forms and numbers add."""
    names = ["a", "b", "a-b", "a_b", "a.b", "2", "a_2", "b-2", "_", "-", "near", "a_near_b"]
    names += ["near_a", "closest", "b_closest", "b_closest_2", "tsne", "b_tsne", "b_tsne_2"]
    pairs = list(permutations(names, 2))
    keys = pair_keys(pairs, form)
    assert list(keys) == pairs
    assert len(set(keys.values())) == len(pairs)
    assert all(re.fullmatch(r"\w+", key) for key in keys.values())


def test_which_of_a_pair_is_missing() -> None:
    classes = ["a", "b", "c"]
    assert missing(("a", "c"), classes) == ""
    assert missing(("a", "d"), classes) == "d is not among the 3 classes"
    assert missing(("d", "a"), classes) == "d is not among the 3 classes"
    assert missing(("d", "e"), classes) == "neither d nor e is among the 3 classes"


# Claim 1


def test_ranks_by_hand() -> None:
    """Means of both ranks: a b 1, a c 2, a d 3, b c 1.5, b d 2.5, c d 2."""
    table = neighbours.ranks_table(RANKS, [("d", "c"), ("b", "x"), ("a", "b"), ("c", "d")], CLASSES)
    expected = [("d", "c", 3, 1, 3, 4 / 6), ("a", "b", 1, 1, 3, 1 / 6), ("c", "d", 1, 3, 3, 4 / 6)]
    found = table.drop(columns=["space", "seed"]).itertuples(index=False, name=None)
    assert list(found) == [row for row in expected for _ in neighbours.SPACES]
    assert table["space"].tolist() == [*neighbours.SPACES] * 3


def test_findings_of_neighbours_by_hand() -> None:
    found = neighbours.findings(RANKS, [("d", "c"), ("d", "x"), ("x", "y")], CLASSES, 0.95)
    assert [one.key for one in found] == [
        f"{stem}_{space}"
        for stem in ("d_near_c", "d_near_x", "x_near_y")
        for space in neighbours.SPACES
    ]
    of_pair, half, none = found[::3]
    assert of_pair.effect == 0.6667
    assert of_pair.detail == "mean rank of d from c 3.0, back 1.0, of 3"
    assert of_pair.verdict == "undecided"  # among four classes nothing can be tested
    assert (half.verdict, half.detail) == ("not applicable", "x is not among the 4 classes")
    assert none.detail == "neither x nor y is among the 4 classes"


def test_among_many_classes_neighbours_are_told_from_others() -> None:
    """Of 41 classes at growing distances only the first two are near each other."""
    places = np.cumsum(np.arange(41.0))
    ranks = {"tsne": np.stack([nearest_ranks(np.abs(places - places[:, None]))] * 3)}
    classes = [f"class {i}" for i in range(41)]
    found = {
        pair: neighbours.finding(ranks["tsne"], "tsne", pair, "", classes, 0.95)
        for pair in (("class 1", "class 0"), ("class 0", "class 1"), ("class 40", "class 3"))
    }
    assert [one.verdict for one in found.values()] == ["holds", "holds", "fails"]
    near, same, _ = found.values()
    assert near.p_value == same.p_value == rounded_share(1, 41 * 40 / 2)


def rounded_share(count: int, of: float) -> float:
    return float(f"{count / of:.4g}")


# Both, decided of planted clouds


@pytest.fixture(scope="module")
def sources() -> SimpleNamespace:
    """Six classes of 12 images, of which f lies by b: what claims 1 and 2 read of a study."""
    generator = np.random.default_rng(0)
    centres = dict(zip("abcdef", generator.standard_normal((6, 8)), strict=True))
    centres["f"] = centres["b"] + 0.1 * centres["f"]
    clean = {
        name: unit_rows(centre + 0.3 * generator.standard_normal((12, 8)))
        for name, centre in centres.items()
    }
    bases = class_bases(clean, 2, 1.0, False)
    projection = read_params(ProjectParams, ROOT / "params.yaml", {"perplexity": 10})
    return SimpleNamespace(
        clean=clean,
        ranks=dict.fromkeys(clean, 2),
        centred=False,
        in_feature_space=True,
        pairs=pair_table(principal_angles(bases), list(clean)),
        projection=projection,
    )


def numbers(findings: list[Finding], pair: str) -> Finding:
    """The finding about a pair, without what depends on the order in which it is named."""
    (found,) = (one for one in findings if pair in one.key)
    return replace(found, key="", statement="", detail="")


def test_the_order_within_a_pair_changes_no_number(sources: SimpleNamespace) -> None:
    one_way = closest_pairs.decide(sources, params(pairs=[["f", "b"], ["a", "c"]]))
    other_way = closest_pairs.decide(sources, params(pairs=[["c", "a"], ["b", "f"]]))
    for there, back in (("f_b", "b_f"), ("a_c", "c_a")):
        assert numbers(one_way[1], there) == numbers(other_way[1], back)
    table, swapped = (found[0]["closest_pairs"] for found in (one_way, other_way))
    assert table["class_a"].tolist() == ["f", "a"]  # as they are named, in their order
    assert swapped["class_a"].tolist() == ["c", "b"]
    pd.testing.assert_frame_equal(
        table.iloc[::-1].drop(columns=["class_a", "class_b"]).reset_index(drop=True),
        swapped.drop(columns=["class_a", "class_b"]),
    )
    assert numbers(one_way[1], "f_b").effect < numbers(one_way[1], "a_c").effect


def test_a_pair_is_not_changed_by_the_others(sources: SimpleNamespace) -> None:
    alone = closest_pairs.decide(sources, params(pairs=[["b", "f"]]))[1]
    beside = closest_pairs.decide(sources, params(pairs=[["a", "c"], ["a", "x"], ["b", "f"]]))[1]
    assert [one.key for one in alone] == ["b_f_closest", "zero_angles"]
    assert [one.key for one in beside] == [
        "a_c_closest",
        "a_x_closest",
        "b_f_closest",
        "zero_angles",
    ]
    assert beside[2:] == alone
    assert (beside[1].verdict, beside[1].detail) == (
        "not applicable",
        "x is not among the 6 classes",
    )


def test_of_many_classes_some_are_compared_in_halves(
    sources: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair has the same rank among fewer pairs: the closest stays the closest."""
    given = params(pairs=[["b", "f"]])
    of_all = closest_pairs.decide(sources, given)[0]["closest_pairs"]
    monkeypatch.setattr(closest_pairs, "MOST_COMPARED", 3)
    compared = closest_pairs.compared_classes(list(sources.clean), given.pairs, given.seed)
    assert 3 <= len(compared) <= 5
    assert {"b", "f"} <= set(compared) < set(sources.clean)
    assert compared == sorted(compared)
    of_some = closest_pairs.decide(sources, given)[0]["closest_pairs"]
    pairs = len(compared) * (len(compared) - 1) / 2
    assert of_some["low"].tolist() == of_some["high"].tolist() == [1 / pairs]
    pd.testing.assert_frame_equal(
        of_some.drop(columns=["low", "high"]), of_all.drop(columns=["low", "high"])
    )


def test_angles_in_sample_space_that_must_be_0_are_counted_as_they_would_be_found() -> None:
    generator = np.random.default_rng(0)
    for images, expected in ((9, 6), (12, 0)):  # 5 columns of each class: 10 directions
        clouds = {name: generator.standard_normal((images, 5)) for name in "abcd"}
        found = principal_angles(sample_space_bases(clouds)).angles[:, 0] < ZERO_ANGLE_RAD
        assert found.sum() == closest_pairs.zero_pairs_by_orientation(clouds) == expected


def test_without_pairs_zero_angles_alone_are_counted(sources: SimpleNamespace) -> None:
    tables, found = closest_pairs.decide(sources, params(pairs=[]))
    assert tables["closest_pairs"].empty
    assert [one.key for one in found] == ["zero_angles"]
    assert found[0].verdict == "fails"


@pytest.mark.parametrize(
    ("pairs", "times"),
    [([], 0), ([["a", "x"]], 0), ([["a", "x"], ["a", "b"], ["f", "b"], ["c", "d"]], 1)],
)
def test_layouts_are_made_once_for_all_pairs_and_for_none_not_at_all(
    pairs: list[Pair], times: int, sources: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def ranks_by_space(drawn: list, projection: ProjectParams) -> dict[str, np.ndarray]:
        made.append(len(drawn))
        ranks = nearest_ranks(np.random.default_rng(0).random((6, 6)))
        return dict.fromkeys(neighbours.SPACES, np.stack([ranks] * len(drawn)))

    monkeypatch.setattr(neighbours, "ranks_by_space", ranks_by_space)
    tables, found = neighbours.decide(sources, params(neighbours=pairs))
    assert made == [2] * times
    assert len(found) == 3 * len(pairs)
    there = [pair for pair in pairs if "x" not in pair]
    assert len(tables["neighbours"]) == 2 * 3 * len(there)


# Pictures


def neighbours_picture(pairs: list[Pair], others: int = 46) -> Figure:
    generator = np.random.default_rng(0)
    rows = [
        (*pair, space, seed, *generator.integers(1, others + 1, 2), others, generator.random())
        for pair in pairs
        for space in neighbours.SPACES
        for seed in range(3)
    ]
    names = neighbours.TABLES["neighbours"].names
    return figures.neighbours(pd.DataFrame(rows, columns=names), "95%", {})


def closest_picture(pairs: list[Pair], others: int = 46) -> Figure:
    rows = [(*pair, 20.0, 0.3, 0.0, 1.0, 2.0, others) for pair in pairs]
    names = closest_pairs.TABLES["closest_pairs"].names
    return figures.closest_pairs(pd.DataFrame(rows, columns=names), "95%", {})


NAMES = ["interlaced-and-overlapping-" * 3, "a", "$x_1$", "_hidden", "木纹", "polka-dotted", "dots"]


@pytest.mark.parametrize("draw", [neighbours_picture, closest_picture])
@pytest.mark.parametrize(("count", "others"), [(1, 1), (2, 6), (6, 46), (21, 46)])
def test_pairs_of_any_number_and_names_are_drawn_legibly(
    draw: type, count: int, others: int
) -> None:
    pairs = list(combinations(NAMES, 2))[:count]
    figure = draw(pairs, others)
    figure.canvas.draw()
    drawn = " ".join(text.get_text() for text in figure.findobj(Text))
    assert all(short_name(name) in drawn for pair in pairs[:20] for name in pair)
    assert ("the first 20 of 21 pairs" in " ".join(drawn.split())) == (count > 20)
    labels = [text.get_window_extent() for text in figure.axes[0].get_yticklabels()]
    assert len(labels) == min(count, 20)
    assert not any(a.overlaps(b) for a, b in combinations(labels, 2))
    width, height = figure.canvas.get_width_height()
    for box in (*labels, figure._suptitle.get_window_extent()):
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    panels = [axes.get_window_extent() for axes in figure.axes]
    assert all(panel.width > 200 for panel in panels)


def test_a_pair_s_percentile_rank_stands_in_the_line_of_its_space_beside_the_threshold() -> None:
    ranks = dict(zip(neighbours.SPACES, (0.01, 0.02, 0.6), strict=True))
    rows = [("near", "far", space, 0, 1, 5, 46, rank) for space, rank in ranks.items()]
    table = pd.DataFrame(rows, columns=neighbours.TABLES["neighbours"].names)
    (axes,) = figures.neighbours(table, "95%", {"near_near_far_umap": "holds"}).axes
    drawn = [line.get_xydata()[0] for line in axes.lines if line.get_linestyle() == "None"]
    assert [round(x, 6) for x, _ in drawn] == [1, 2, 60]
    lines = {text.get_text(): text.get_position()[1] for text in axes.texts}
    said = ["t-SNE", "UMAP: holds", "embedding space"]
    assert [lines[text] for text in said] == pytest.approx([-0.27, 0, 0.27])
    assert [y for _, y in drawn] == pytest.approx([lines[text] for text in said], abs=0.08)
    assert [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"] == [5]


def test_a_verdict_of_two_pairs_with_one_name_is_not_told() -> None:
    verdicts = {"a_b_c_closest": "holds", "x_y_closest": "fails", "x_y_closest_2": "holds"}
    assert figures.verdict_of_pair(verdicts, "{}_{}_closest", ("a", "b c")) == "holds"
    assert figures.verdict_of_pair(verdicts, "{}_{}_closest", ("x", "y")) == ""
    assert figures.verdict_of_pair(verdicts, "{}_{}_closest", ("x", "z")) == ""
