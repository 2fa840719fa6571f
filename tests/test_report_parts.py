"""What a report says of two sides, known by hand."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from stages.core.evaluation.statistics import score_intervals
from stages.core.report.changes import accuracy_changes, verdict_changes
from stages.core.report.comment import MARKER, MOST_METRICS, changes_text, comment
from stages.core.report.comparison import compare, news, points
from stages.core.report.markdown import code, folded, plain, shown, table
from stages.core.report.page import Picture, Plot, packed, page, same_rows, slug
from stages.core.report.sides import Side, same_test
from stages.core.runtime.wording import at_levels, count, from_to

PARAMS = {
    "fetch.source": "textures",
    "fetch.split": 1,
    "embed.model": "a",
    "embed.noise_kind": "gaussian",
    "embed.noise_space": "normalised",
}
IDS = [f"{'ab'[i % 2]}/{i}" for i in range(40)]


def predictions(wrong: Mapping[float, int], ids: list[str] = IDS) -> pd.DataFrame:
    """Predictions of the probe, which errs on the first so many images of each level."""
    return pd.DataFrame(
        {
            "id": name,
            "noise": level,
            "actual": name[0],
            "zero_shot": None,
            "probe": "c" if i < errors else name[0],
            "knn": None,
            "prototype": None,
            "margin": 0.0,
        }
        for level, errors in wrong.items()
        for i, name in enumerate(ids)
    )


def claims(**verdicts: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": str(i),
            "claim": claim,
            "statement": f"it is said of {claim}",
            "verdict": verdict,
            "decided_by": "",
        }
        for i, (claim, verdict) in enumerate(verdicts.items(), start=1)
    )


def side(name: str, wrong: Mapping[float, int], **given: Any) -> Side:
    """A side whose probe errs on so many of 40 images at each level."""
    metrics = {
        f"classify.noise_{level:.2f}.probe_top1": 1 - errors / 40 for level, errors in wrong.items()
    }
    params = PARAMS | given.pop("params", {})
    metrics |= given.pop("metrics", {})
    return Side(name, params, metrics, **{"predictions": predictions(wrong), **given})


# The same test


def test_the_same_test() -> None:
    same = same_test(side("main", {0.0: 1}), side("workspace", {0.0: 3}))
    assert same.everywhere
    assert same.at(0.0)
    assert same.remarks == []


@pytest.mark.parametrize(
    ("params", "told", "at_clean", "at_noise"),
    [
        ({"fetch.split": 2}, "split (`fetch.split`): `1` in `main`, `2` here", False, False),
        ({"fetch.source": "dtd"}, "data set (`fetch.source`): `textures` in", False, False),
        ({"embed.noise_kind": "blur"}, "kind of noise (`embed.noise_kind`): `gau", True, False),
        ({"embed.noise_space": "pixel"}, "space of the noise (`embed.noise_spac", True, False),
    ],
)
def test_another_test(params: dict, told: str, at_clean: bool, at_noise: bool) -> None:
    base, here = side("main", {0.0: 1, 1.0: 2}), side("workspace", {0.0: 3, 1.0: 9}, params=params)
    found = compare(base, here)
    assert found.same.at(0.0) == at_clean
    assert found.same.at(1.0) == at_noise
    differences = {each.level: each.difference for each in found.accuracy}
    assert (differences[0.0] is not None) == at_clean
    assert differences[1.0] is None
    said = changes_text(found)
    assert "> **Not the same test.** " in said
    assert told in said
    assert news(found).startswith("Not the same test as in `main` (other ")


def test_the_same_bytes_are_the_same_images_whatever_params_say() -> None:
    sums = {"data/images": "1.dir", "data/images.csv": "2"}
    base = side("main", {0.0: 1}, checksums=sums)
    here = side("workspace", {0.0: 1}, checksums=sums, params={"fetch.split": 2})
    assert same_test(base, here).data == []
    other = side("workspace", {0.0: 1}, checksums=sums | {"data/images": "3.dir"})
    assert same_test(base, other).data == ["other images or labels (`data/images`)"]


def test_levels_of_one_side_alone() -> None:
    found = compare(side("main", {0.0: 1, 0.5: 4}), side("workspace", {0.0: 1, 1.0: 4}))
    assert found.same.levels == [
        "noise levels in `main` alone: 0.5",
        "noise levels here alone: 1",
    ]
    assert [each.difference for each in found.accuracy] == [0, None, None]
    assert "| 0.5 | 90.0 |  |  |  |" in changes_text(found)


def test_normalised_pixels_of_another_model_are_another_unit() -> None:
    def of(model: str, std: list[float] | None) -> Side:
        encoder = {"preprocessing": {"std": std}} if std else {}
        return side(model, {0.0: 1}, params={"embed.model": model}, encoder=encoder)

    assert same_test(of("a", [0.26]), of("b", [0.26])).everywhere
    (told,) = same_test(of("a", [0.26]), of("b", [0.5])).noise
    assert "0.26 in `a`, 0.5 here" in told
    unknown = same_test(of("a", [0.26]), of("b", None))
    assert not unknown.noise
    assert "the same level may be another noise" in unknown.remarks[0]


# Accuracy


def test_accuracy_falls_by_points_and_its_interval_is_of_pairs() -> None:
    """88.5% to 54.5% is -34.0 points, and not -38.4%."""
    base, here = side("main", {0.0: 4}), side("workspace", {0.0: 14})
    (change,) = accuracy_changes(base, here, same_test(base, here))
    lost = -np.isin(np.arange(40), range(4, 14)).astype(np.int64)
    strata = np.array([name[0] for name in sorted(IDS)])
    lost = lost[np.argsort(IDS)]
    (interval,) = score_intervals(lost[:, None], (-1, 0, 1), strata, 0.95)
    assert change.interval == interval
    assert change.difference == -0.25
    assert points(0.545 - 0.885) == "-34.0"
    said = changes_text(compare(base, here))
    ends = f"{points(interval.low)} to {points(interval.high)}"
    assert f"| 0 | 90.0 | 65.0 | **-25.0** | {ends} |" in said
    assert f"changes by -25.0 points on clean images (95% interval {ends})" in said


def test_what_chance_may_do_is_no_news() -> None:
    found = compare(side("main", {0.0: 4}), side("workspace", {0.0: 5}))
    assert news(found).startswith(
        "Linear probe accuracy changes no more than by chance, at most by -2.5 points on clean "
    )
    assert "**-2.5**" not in changes_text(found)


def test_rises_and_falls_are_both_told() -> None:
    found = compare(side("main", {0.0: 20, 1.0: 0}), side("workspace", {0.0: 0, 1.0: 30}))
    assert "-75.0 points at noise level 1" in news(found)
    assert "the most of 2 noise levels, and by +50.0 points on clean images" in news(found)


def test_other_test_images_have_no_pairs() -> None:
    others = [f"{name}x" for name in IDS]
    base = side("main", {0.0: 4})
    here = side("workspace", {0.0: 14}, predictions=predictions({0.0: 14}, others))
    (change,) = accuracy_changes(base, here, same_test(base, here))
    assert (change.difference, change.interval) == (-0.25, None)
    assert "were not asked about the same test images" in changes_text(compare(base, here))


def test_accuracies_of_two_classifiers_have_no_difference() -> None:
    def of(name: str, classifier: str, share: float) -> Side:
        told = {"headline.accuracy_of": classifier, "headline.accuracy@0": share}
        return side(name, {0.0: 4}, metrics=told)

    said = changes_text(compare(of("main", "zero_shot", 0.9), of("workspace", "probe", 0.6)))
    assert "| `headline.accuracy@0` | `0.9` | `0.6` |  |" in said
    said = changes_text(compare(of("main", "probe", 0.9), of("workspace", "probe", 0.6)))
    assert "| `headline.accuracy@0` | `0.9` | `0.6` | -30.0 points |" in said


# Verdicts and the rest


def test_verdicts_that_flipped_the_question_first() -> None:
    base = side("main", {0.0: 1}, claims=claims(a="holds", b="fails", gone="holds"))
    here = side("workspace", {0.0: 1}, claims=claims(a="holds", b="undecided", new="fails"))
    found = verdict_changes(base, here)
    assert [(flip.claim, flip.base, flip.here) for flip in found.flips] == [
        ("b", "fails", "undecided")
    ]
    assert (found.of, found.alone) == (2, {"main": 1, "workspace": 1})
    key = "topology_follows_probe"
    base = side("main", {0.0: 1}, claims=claims(a="holds", **{key: "holds"}))
    here = side("workspace", {0.0: 1}, claims=claims(a="fails", **{key: "undecided"}))
    assert [flip.claim for flip in verdict_changes(base, here).flips] == [key, "a"]


def test_the_verdict_on_the_question_is_news() -> None:
    key = "topology_follows_probe"
    base = side("main", {0.0: 1}, claims=claims(a="holds", **{key: "holds"}))
    here = side("workspace", {0.0: 2}, claims=claims(a="holds", **{key: "undecided"}))
    said = news(compare(base, here))
    assert "; 1 of 2 verdicts changes: that it is said of topology\\_follows" in said
    assert said.endswith("holds → undecided.")


def test_distances_over_their_baseline_stand_side_by_side() -> None:
    key = "distances.noise_1.00.h1.wasserstein.ratio_to_draws"
    base = side("main", {1.0: 1}, metrics={key: 1.1111})
    here = side("workspace", {1.0: 1}, metrics={key: 1.3777})
    assert "| 1 | 1.11 → 1.38 |" in changes_text(compare(base, here))
    here = side("workspace", {1.0: 1}, metrics={key: 1.3777}, params={"embed.noise_kind": "blur"})
    assert "| 1 | 1.11 / 1.38 |" in changes_text(compare(base, here))


def test_identical_sides() -> None:
    sums = {"metrics/classify.json": "1"}
    base = side("main", {0.0: 1}, checksums=sums)
    said = changes_text(compare(base, side("workspace", {0.0: 1}, checksums=sums)))
    assert said.endswith("**Identical: every result of the workspace is that of `main`.**")
    other = side("workspace", {0.0: 1}, checksums=sums, params={"pretrain.steps": 3})
    assert news(compare(base, other)).endswith("1 param differs, and no result does.")
    drawn = side("workspace", {0.0: 1}, checksums={"metrics/classify.json": "2"})
    assert "tables at full precision or pictures do" in news(compare(base, drawn))


def test_the_rest_is_folded_and_a_comment_below_the_limit_of_github() -> None:
    names = [f"distances.noise_0.50.h1.wasserstein.share_above_{i:04d}" for i in range(1000)]
    base = side("main", {0.0: 1}, metrics=dict.fromkeys(names, 0.123456))
    here = side("workspace", {0.0: 1}, metrics=dict.fromkeys(names, 0.654321))
    text = changes_text(compare(base, here))
    assert text.count("share_above") == MOST_METRICS
    assert f"{1000 - MOST_METRICS} more: see `dvc metrics diff main`." in text
    pictures = {f"A plot of a rather long name, number {i}": f"{i}.png" for i in range(30)}
    written = comment(text, pictures, [], ["A remark."])
    assert len(written) < 60_000
    assert written.startswith(MARKER)
    assert written.count("<details>") == written.count("</details>") == 2  # metrics, 29 plots


# Markdown


def test_what_others_wrote_cannot_act() -> None:
    text = plain("a|b <img> `x` @someone #12 *no* [x](y)")
    html = MarkdownIt("commonmark").enable("table").render(table(("head",), [(text,)]))
    assert "<td>a|b &lt;img&gt; `x` @\u2060someone #\u206012 *no* [x](y)</td>" in html
    assert code("`@someone <img>` | x") == "`@someone <img>  x`"
    assert shown("a `b`") == '`"a b"`'
    assert (shown(None), shown(0.123456), shown(3)) == ("", "`0.1235`", "`3`")
    assert "<details><summary>more</summary>\n\ntext\n\n</details>" in folded("more", "text")


def test_numbers_in_sentences() -> None:
    assert count(1, "class", "classes") == "1 class"
    assert count(1200, "image") == "1,200 images"
    assert (at_levels([0.0]), at_levels([0.0, 1.0])) == (
        "on clean images alone",
        "at 2 noise levels",
    )
    assert (from_to(4, 4), from_to(4, 6)) == ("4", "4 to 6")


# The page


def png(colour: int, width: int = 8) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((6, width, 3), colour, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_identical_picture_is_shown_once() -> None:
    one = Picture("plots/drawn/angles/mean_angle.png", {"workspace": png(1), "main": png(1)})
    two = Picture("plots/drawn/angles/other.png", {"workspace": png(1), "main": png(9)})
    shown_page = page("", [], [], [one, two])
    assert shown_page.count("<img ") == 3
    assert shown_page.count("<figcaption>identical in both</figcaption>") == 1
    assert '<a href="#picture-angles-mean-angle">angles: mean angle</a>' in shown_page
    assert '<section id="picture-angles-mean-angle">' in shown_page


def test_data_cannot_end_the_script_of_the_page() -> None:
    rows = [{"class": "</script>", "filename": "a.csv", "field": "y"}]
    shown_page = page(
        "", [], [Plot("A <plot>", {"data": {"values": rows}})], [Picture("<b>.png", {"x": b""})]
    )
    assert '{"class":["<\\/script>"]}' in shown_page
    assert "a.csv" not in shown_page
    assert "<b>" not in shown_page
    assert "A &lt;plot&gt;" in shown_page


def test_rows_that_are_the_same_in_both_revisions() -> None:
    def spec(**values: list[int]) -> dict:
        return {
            "data": {
                "values": [
                    {"rev": rev, "x": x, "filename": rev} for rev, xs in values.items() for x in xs
                ]
            }
        }

    assert same_rows(spec(main=[1, 2], workspace=[1, 2]))
    assert not same_rows(spec(main=[1, 2], workspace=[1, 3]))
    assert not same_rows(spec(main=[1, 2], workspace=[1, 2, 2]))
    assert not same_rows(spec(workspace=[1]))  # nothing to compare with
    assert not same_rows(spec())


def test_columns_of_few_values_hold_their_places() -> None:
    assert packed(["a"] * 6 + ["b"] * 4) == {"of": ["a", "b"], "at": [0] * 6 + [1] * 4}
    assert packed(["a", "b", None]) == ["a", "b", None]


def test_names_of_pictures() -> None:
    assert slug("Confusion, clean") == "confusion-clean"
