"""The plots of dvc.yaml: their templates, their tables, and how revisions are told apart."""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import vl_convert
import yaml
from dvc_render.vega_templates import Template

from report import output_with, outputs, sources
from stages.core.figures.style import COLOURS
from stages.core.report.page import OF_DVC
from tests.plots import TEMPLATES, filled, read_template
from tests.study import ROOT, commit_all, dvc

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PLOTS = {
    name: definition
    for plot in PIPELINE["plots"]
    if isinstance(plot, dict)
    for name, definition in plot.items()
}
PICTURES = [plot for plot in PIPELINE["plots"] if isinstance(plot, str)]


def walk(node: object) -> Iterator[dict]:
    """Every object within a specification."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from walk(child)


# The definitions


def test_every_plot_is_of_outputs_of_a_stage() -> None:
    shown = list(sources(PIPELINE))
    assert {name for name, _ in shown} == {*PLOTS, *PICTURES}
    assert all(output_with(file, PIPELINE) for _, file in shown)


def test_every_template_is_used_and_every_plot_has_one() -> None:
    assert {definition["template"] for definition in PLOTS.values()} == set(TEMPLATES)


# The look


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_share_one_look(template: str) -> None:
    content = read_template(template)
    assert content["config"] == read_template("accuracy")["config"]
    assert content["title"]["text"] == Template.anchor("title")
    coloured = re.findall(r"#[0-9A-Fa-f]{6}", json.dumps(content | {"config": {}}))
    # Beside these an edge, two greys, cividis at zero, and the cells of verdicts below black text.
    cells = {"#56B4E9", "#E69F00"} if template == "verdicts" else set()
    greys = {"#404040", "#555555", "#e6e6e6", "#ffffff"}
    assert set(coloured) <= {*COLOURS, *greys, *cells, "#00224e"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_says_what_it_is_of_and_nothing_that_a_picture_cannot_do(template: str) -> None:
    subtitle = read_template(template)["title"]["subtitle"]
    assert subtitle[0] == Template.anchor("y_label")
    assert not re.search("click|point at|hover", " ".join(subtitle), re.IGNORECASE)


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_names_model_data_and_noise(name: str) -> None:
    said = PLOTS[name]["y_label"]
    model = "pretrain.architecture" if "pretrain" in next(iter(PLOTS[name]["y"])) else "embed.model"
    assert f"${{{model}}}" in said
    if model == "embed.model":
        for setting in ("fetch.source", "embed.noise_kind", "embed.noise_space"):
            assert f"${{{setting}}}" in said


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_grid_of_panels_is_sorted(template: str) -> None:
    """Vega-Lite then draws panels under the header of another, silently."""
    for node in walk(read_template(template)):
        if {"row", "column"} <= node.keys():
            assert not {"sort"} & (node["row"].keys() | node["column"].keys())


def groups_of(spec: dict) -> dict[str, list[dict]]:
    """The parts of a grid of panels by name: cells, and the headers of columns and rows."""
    top = vl_convert.vegalite_to_scenegraph(spec)["scenegraph"]["items"][0]
    return {group.get("name"): group["items"] for group in top["items"]}


def header(group: dict) -> str:
    titles = [node for node in walk(group) if node.get("role") == "title-text"]
    return titles[0]["items"][0]["text"]


def marks_of(cell: dict) -> Iterator[dict]:
    """The marks of a panel: symbols, rules, texts."""
    for group in cell["items"]:
        if group.get("role") == "mark":
            yield from ({"marktype": group["marktype"], **item} for item in group["items"])


def point(rev: str, noise: str, x: float, role: str = "", name: str = "grid") -> dict:
    row = {"rev": rev, "noise": noise, "class": name, "x": str(x), "y": "1", "role": role}
    return row | {"colour": "" if role in ("corner", "measures") else "#0072B2"}


def test_a_panel_shows_its_own_level_and_revision() -> None:
    points = {("workspace", "0"): 1, ("workspace", "10"): 2, ("main", "0"): 3, ("main", "2.5"): 4}
    rows = []
    for (rev, noise), count in points.items():
        rows += [point(rev, noise, i) for i in range(count)]
        rows += [point(rev, noise, 0, "from", f"{rev} {noise}")]
        rows += [point(rev, noise, 0, "name", f"{rev} {noise}")]
        rows += [point(rev, noise, 0, "measures", f"purity {count}")]
    found = {
        header(cell): (
            sum(mark["marktype"] == "symbol" for mark in marks_of(cell)),
            {mark["text"] for mark in marks_of(cell) if mark["marktype"] == "text"},
        )
        for cell in groups_of(filled("projection", rows))["cell"]
    }
    assert found == {
        "main, clean": (3, {"main 0", "purity 3"}),
        "main, noise 2.50": (4, {"main 2.5", "purity 4"}),
        "workspace, clean": (1, {"workspace 0", "purity 1"}),
        "workspace, noise 10.00": (2, {"workspace 10", "purity 2"}),
    }
    assert list(found) == sorted(found)


def test_names_stand_where_the_table_says_in_the_colour_of_their_class() -> None:
    rows = [point("main", "0", x, role) for x, role in ((1, ""), (1, "from"), (-1, "name"))]
    rows += [point("main", "0", x, "corner") for x in (-3, 3)]
    (cell,) = groups_of(filled("projection", rows))["cell"]
    marks = list(marks_of(cell))
    names = [mark for mark in marks if mark["marktype"] == "text"]
    (image,) = (mark for mark in marks if mark["marktype"] == "symbol" and mark["opacity"])
    assert {(mark["text"], mark["fill"]) for mark in names} == {("grid", "#0072B2")}
    third = cell["width"] / 3
    assert [mark["x"] for mark in names] == pytest.approx([third, third], abs=3)
    assert (image["x"], image["fill"]) == (pytest.approx(2 * third, abs=3), "#0072B2")


def test_points_of_a_revision_without_names_and_measures_are_drawn() -> None:
    rows = [{"rev": "main", "noise": "0", "class": "grid", "x": "1", "y": "1"}]
    (cell,) = groups_of(filled("projection", rows))["cell"]
    assert [mark["marktype"] for mark in marks_of(cell)] == ["symbol"]


def test_classifiers_stand_in_the_order_of_their_table() -> None:
    """Each above its own numbers, though neither the order of names nor of numbers."""
    accuracy = {"zero-shot": 0.5, "linear probe": 0.75, "another": 0.25}
    rows = [
        {"rev": rev, "noise": noise, "classifier": name, "measure": "top-1"}
        | {"accuracy": str(share), "low": "0", "high": "1", "chance": "0"}
        for rev in ("workspace", "main")
        for noise in ("0", "1")
        for name, share in accuracy.items()
    ]
    groups = groups_of(filled("accuracy", rows))
    names = [header(group) for group in sorted(groups["column_header"], key=lambda g: g["x"])]
    assert names == list(accuracy)
    for name, cell in zip(names, sorted(groups["cell"], key=lambda g: g["x"]), strict=True):
        points = [mark for mark in marks_of(cell) if mark["marktype"] == "symbol"]
        shares = {round(1 - point["y"] / cell["height"], 6) for point in points}
        assert shares == {accuracy[name]}


# The tables of a study


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study, committed."""
    copy = shutil.copytree(tiny_study, tmp_path_factory.mktemp("plots") / "study")
    commit_all(copy)
    return copy


@pytest.fixture(scope="module")
def drawings(study: Path) -> dict[str, list[dict]]:
    """{plot: its drawings} of HEAD and the workspace, as DVC makes them."""
    out = str(study.parent / "pictures")
    return json.loads(dvc(study, "plots", "diff", "HEAD", "--json", "--out", out))["data"]


@pytest.mark.slow
def test_all_that_is_drawn_is_an_output(study: Path) -> None:
    drawn = {file for file in (study / "plots" / "drawn").rglob("*") if file.is_file()}
    made = {out.path for out in outputs(PIPELINE)}
    assert {str(file.relative_to(study)) for file in drawn} <= made


@pytest.mark.slow
@pytest.mark.parametrize("name", PLOTS)
def test_a_template_reads_columns_that_its_table_has(study: Path, name: str) -> None:
    template = read_template(PLOTS[name]["template"])
    (table,) = PLOTS[name]["y"]
    columns = set(next(csv.reader(io.StringIO((study / table).read_text()))))
    columns |= {"rev"}
    assert {PLOTS[name]["x"], *PLOTS[name]["y"].values()} <= columns
    assert template["data"].get("format", {}).get("parse", {}).keys() <= columns
    made = {node["as"] for node in walk(template) if isinstance(node.get("as"), str)}
    read = {node["field"] for node in walk(template) if isinstance(node.get("field"), str)}
    read |= set(re.findall(r"datum\.(\w+)", json.dumps(template))) - {"value"}
    made |= {name for node in walk(template) for name in node.get("flatten", [])}
    assert read <= columns | made
    assert not read & OF_DVC


@pytest.mark.slow
@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_draws_two_revisions(
    drawings: dict[str, list[dict]], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (drawing,) = drawings[name]
    assert set(drawing["revisions"]) == {"workspace", "HEAD"}
    spec = drawing["content"]
    assert "DVC_METRIC" not in json.dumps(spec)
    assert "${" not in json.dumps(spec["title"])
    picture = vl_convert.vegalite_to_svg(spec, show_warnings=True)
    written = set(re.findall(r">([^<>]+)</text>", picture))
    named = {text.partition(", ")[0] for text in written}  # alone, or with the level of a panel
    assert {"workspace", "HEAD"} <= named
    assert spec["title"]["text"] in written
    said = capfd.readouterr()
    assert not said.out + said.err


@pytest.mark.slow
def test_pictures_are_drawn_too(drawings: dict[str, list[dict]]) -> None:
    assert drawings.keys() == {*PLOTS, *PICTURES}
    for name in PICTURES:
        assert {image["type"] for image in drawings[name]} == {"image"}


def confusion_rows(levels: dict[str, float], places: dict[str, int] | None = None) -> list[dict]:
    """Three of four dotted images taken for grid, and one grid image, a row per two classes."""
    taken = {("dotted", "dotted"): "1", ("dotted", "grid"): "3", ("grid", "grid"): "1"}
    return [
        {"rev": rev, "noise": str(level), "actual": actual, "predicted": predicted, "images": count}
        | ({"actual_place": places[actual], "predicted_place": places[predicted]} if places else {})
        for rev, level in levels.items()
        for (actual, predicted), count in taken.items()
    ]


def test_confusions_are_shares_of_the_actual_class_in_the_order_of_their_places() -> None:
    rows = confusion_rows({"main": 0.0}, {"grid": 0, "dotted": 1})
    spec = filled("confusion", rows)
    (cell,) = groups_of(spec)["cell"]
    cells = {
        (mark["x"] < 15, mark["y"] < 15): (mark["fill"], mark.get("stroke"))
        for mark in marks_of(cell)
    }
    # The first row and column are of grid: all of it is right, which is the end of the scale.
    assert len(cells) == 3
    all_of_it, a_quarter, most = cells[True, True], cells[False, False], cells[True, False]
    assert len({fill for fill, _ in cells.values()}) == 3
    assert all_of_it[1] == a_quarter[1] == "#ffffff"  # framed: right answers
    assert most[1] is None
    picture = vl_convert.vegalite_to_svg(spec)
    assert "square-root scale" in picture
    assert {"grid", "dotted", "100", "0"} <= set(re.findall(r">([^<>]+)</text>", picture))


def test_a_revision_whose_confusions_hold_a_row_per_image_is_drawn() -> None:
    rows = [
        {"rev": "main", "noise": "0", "actual": actual, "predicted": "grid"}
        for actual in ("dotted", "dotted", "grid")
    ]
    (cell,) = groups_of(filled("confusion", rows))["cell"]
    assert len(list(marks_of(cell))) == 2


@pytest.mark.parametrize(
    "levels",
    [{"main": 0.0, "workspace": 0.0}, {"main": 2.0, "workspace": 0.5}, {"workspace": 1.0}],
    ids=["clean", "revisions with other levels", "one revision"],
)
def test_confusions_stand_below_each_other_each_with_its_revision_and_level(
    levels: dict[str, float],
) -> None:
    cells = groups_of(filled("confusion", confusion_rows(levels)))["cell"]
    named = {rev: "clean" if level == 0 else f"noise {level:.2f}" for rev, level in levels.items()}
    assert {header(cell) for cell in cells} == {f"{rev}, {level}" for rev, level in named.items()}
    assert len({cell["y"] for cell in cells}) == len(levels)


def test_both_columns_of_a_distance_have_one_axis() -> None:
    row = {"rev": "main", "noise": 1.0, "dim": 0, "metric": "bottleneck"}
    row |= {"lower_quartile": 1.0, "median": 2.0}
    tops = {"clean_noisy": 3.0, "half_clean_noisy": 30.0}
    rows = [row | {"comparison": key, "upper_quartile": top} for key, top in tops.items()]
    cells = groups_of(filled("distances", rows))["cell"]
    assert len(cells) == 2
    heights = [
        {round(mark["y"], 3) for mark in marks_of(cell) if mark.get("opacity") == 1}
        for cell in cells
    ]
    assert heights[0] == heights[1]
    assert len(heights[0]) == 1


def test_the_distances_are_named_as_in_the_table() -> None:
    row = {"rev": "main", "noise": 1.0, "dim": 0, "comparison": "clean_noisy"}
    row |= {"lower_quartile": 1.0, "median": 2.0, "upper_quartile": 3.0}
    rows = [row | {"metric": metric} for metric in ("bottleneck", "wasserstein", "another")]
    svg = vl_convert.vegalite_to_svg(filled("distances", rows))
    assert {"Bottleneck, H0", "Wasserstein, H0", "Another, H0"} <= set(
        re.findall(r">([^<>]+, H0)<", svg)
    )
