"""Names that mean something to Matplotlib or to a font: pictures hold them as literal text."""

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from stages.core.figures import claims as claim_figures
from stages.core.figures.angles import angle_matrix
from stages.core.figures.classify import per_class_accuracy
from stages.core.figures.fetch import contact_sheet
from stages.core.figures.persistence import diagrams_figure
from stages.core.figures.style import (
    characters_without_font,
    homology_group,
    short_name,
    text_width,
)
from tests.study import ROOT

KINDS = {
    "one dollar": ["tile$5", "wood"],
    "mathematics": ["tile$5_$9", "wood"],
    "broken mathematics": [r"$\frac{$", "$$"],
    "backslash": [r"a\$b", r"\alpha"],
    "hidden by Matplotlib": ["_wood", "_nolegend_", "__"],
    "Chinese": ["木纹", "石头", "布"],
    "Arabic": ["خشب", "حجر"],
    "emoji": ["🪵", "🧱🙂"],
    "no script at all": ["\U000e0fff\u0378", "\U0010fffd"],
    "numbers": ["0", "1", "2"],
    "numbers with zeros": ["01", "1", "1.0", "1e0"],
    "nothing": ["NA", "None", "nan"],
    "line break": ["one\ntwo", "tab\there"],
    "long": ["a" * 255, "a" * 254 + "b", "木" * 80],
    "percent and brackets": ["100%", "{0}", "<b>", '"q"'],
}


ALL = sorted({name for kind in KINDS.values() for name in kind})


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def pairs_of(names: list[str]) -> pd.DataFrame:
    first, second = np.triu_indices(len(names), 1)
    named = np.array(names, dtype=object)
    table = pd.DataFrame({"class_a": named[first], "class_b": named[second]})
    angles = {"smallest_deg": 30.0, "mean_deg": 50.0, "shuffled_deg": 40.0}
    return table.assign(**angles, percentile_rank=0.2, low=0.1, high=0.3, pairs=9)


def matrix(names: list[str]) -> Figure:
    return angle_matrix(pairs_of(names), "feature space")


def accuracy(names: list[str]) -> Figure:
    table = pd.DataFrame({"class": names, "noise": 0.0, "classifier": "probe", "accuracy": 0.5})
    return per_class_accuracy(table)


def claimed_pairs(names: list[str]) -> Figure:
    return claim_figures.closest_pairs(pairs_of(names), "95%", {})


def diagrams(names: list[str]) -> Figure:
    bars = [np.array([[0.0, 0.5], [0.0, 0.7]]), np.array([[0.4, 0.6]])]
    return diagrams_figure(dict.fromkeys(names, bars), 0.0, {}, dict.fromkeys(names, 9), 1.0)


def texts(figure: Figure) -> list[str]:
    """Every text of a figure, none of which Matplotlib reads as mathematics."""
    found = figure.findobj(Text)
    assert not any(text.get_parse_math() for text in found)
    return [text.get_text() for text in found]


@pytest.mark.parametrize(
    ("draw", "width"),
    [
        (matrix, 24),
        (accuracy, 24),
        (claimed_pairs, 24),
        (diagrams, 15),
    ],
)
def test_every_picture_draws_every_name_literally(
    draw: Callable[[list[str]], Figure], width: int
) -> None:
    figure = draw(ALL[:12] if draw in (claimed_pairs, diagrams) else ALL)
    figure.canvas.draw()
    drawn = " | ".join(texts(figure))
    for name in ALL[:12]:
        assert short_name(name, width) in drawn


@pytest.mark.parametrize("names", KINDS.values(), ids=KINDS.keys())
def test_a_contact_sheet_of_any_names(names: list[str], tmp_path: Path) -> None:
    ids = [f"{name}/{i}.png" for name in names for i in range(3)]
    for name in ids:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    figure = contact_sheet({name: [f"{name}/0.png"] * 3 for name in names}, tmp_path)
    figure.canvas.draw()  # pytest turns a warning into an error
    assert {short_name(name, 16) for name in names} <= set(texts(figure))
    title = f"One image of each class:\n{len(names)} classes, {len(ids)} images"
    assert title in texts(figure)


def confusion_rows(names: list[str]) -> list[dict]:
    return [{"rev": "a", "actual": name, "predicted": name} for name in names]


def projection_rows(names: list[str]) -> list[dict]:
    return [
        {"rev": "a", "noise": "0.0", "class": name, "role": "name", "x": str(i), "y": str(-i)}
        for i, name in enumerate(names)
    ]


def pair_rows(names: list[str]) -> list[dict]:
    return [
        {"rev": "a", "noise": "0.0", "class_a": name, "class_b": "z", "smallest_deg": str(i)}
        for i, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("template", "rows_of"),
    [
        ("confusion", confusion_rows),
        ("projection", projection_rows),
        ("closest_pairs", pair_rows),
    ],
)
def test_dvcs_plots_take_every_name_as_text(
    template: str, rows_of: Callable[[list[str]], list[dict]]
) -> None:
    names = sorted(
        {"0", "1", "10", "01", "1e5", "NA", "None", "null", "true", "NaN", "2020-01-01"}
        | {"tile$5", "a.b", "a[0]", 'q"q', "it's", "<b>", r"back\slash", "_x", "木纹", "a,b"}
    )
    spec = (ROOT / ".dvc" / "plots" / f"{template}.json").read_text()
    spec = spec.replace('"<DVC_METRIC_DATA>"', json.dumps(rows_of(names)))  # strings, as of a CSV
    svg = vl_convert.vegalite_to_svg(spec)
    written = {html.unescape(text) for text in re.findall(r">([^<>]+)</text>", svg)}
    assert set(names) <= {text.removesuffix(" and z") for text in written}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("polka-dotted", "polka-dotted"),
        ("a" * 24, "a" * 24),
        ("a" * 25 + "z", "a" * 12 + "…" + "a" * 10 + "z"),
        ("木" * 12, "木" * 12),
        ("木" * 13, "木" * 6 + "…" + "木" * 5),
        ("one\ntwo", "one\ufffdtwo"),
        ("caf\udce9", "caf\ufffd"),
        ("木\u200c木", "木\u200c木"),
    ],
)
def test_short_names_by_hand(name: str, shown: str) -> None:
    assert short_name(name) == shown
    assert text_width(shown) <= 24


def test_the_middle_of_a_name_is_left_out_for_any_width() -> None:
    for width in range(3, 30):
        assert text_width(short_name("0123456789木木木木木木abcdefghij", width)) <= width


def test_characters_that_no_font_has_are_known() -> None:
    assert characters_without_font(["wood", "Käse", "H₁", "a\nb"]) == []
    assert characters_without_font(["b\u0e3b", "a\u0e3b"]) == []  # unassigned: not printable
    assert characters_without_font(["a\U00012000b"]) == ["\U00012000"]  # cuneiform


@pytest.mark.parametrize(("dim", "written"), [(0, "H₀"), (1, "H₁"), (12, "H₁₂")])
def test_our_own_mathematics_is_plain_text(dim: int, written: str) -> None:
    assert homology_group(dim) == written
    assert characters_without_font([written]) == []
