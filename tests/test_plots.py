"""The plots of dvc.yaml: their templates, their tables, and how revisions are told apart."""

import csv
import io
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import vl_convert
import yaml
from dvc_render.vega_templates import Template

from report import OF_DVC, output_with, outputs, sources
from stages.core.figures.style import COLOURS
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
    # Beside these an edge, cividis at zero, and two greys for what is not decided.
    assert set(coloured) <= {*COLOURS, "#404040", "#00224e", "#e6e6e6", "#ffffff"}


def test_fifty_classes_are_told_apart() -> None:
    encoding = read_template("projection")["spec"]["layer"][0]["encoding"]
    ranges = [encoding[channel]["scale"]["range"] for channel in ("color", "shape")]
    styles = list(zip(*map(itertools.cycle, ranges), range(49), strict=False))
    assert len({(colour, shape) for colour, shape, _ in styles}) == 49


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


def test_a_panel_shows_its_own_level_and_revision() -> None:
    points = {("workspace", "0"): 1, ("workspace", "2"): 2, ("main", "0"): 3, ("main", "0.5"): 4}
    rows = [
        {"rev": rev, "noise": noise, "class": "grid", "x": str(i), "y": "1"}
        | {"name": "" if i else f"{rev} {noise}", "measures": "" if i else f"purity {count}"}
        for (rev, noise), count in points.items()
        for i in range(count)
    ]
    groups = groups_of(filled("projection", rows))
    columns = {group["x"]: header(group) for group in groups["column_header"]}
    lines = {group["y"]: header(group) for group in groups["row_header"]}
    found = {}
    for cell in groups["cell"]:
        marks = list(marks_of(cell))
        symbols = sum(mark["marktype"] == "symbol" for mark in marks)
        texts = {mark["text"] for mark in marks if mark["marktype"] == "text"}
        if marks:
            found[lines[cell["y"]], columns[cell["x"]]] = (symbols, texts)
    assert found == {
        ("workspace", "clean"): (1, {"workspace 0", "purity 1"}),
        ("workspace", "noise 2.00"): (2, {"workspace 2", "purity 2"}),
        ("main", "clean"): (3, {"main 0", "purity 3"}),
        ("main", "noise 0.50"): (4, {"main 0.5", "purity 4"}),
    }


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
    assert {"workspace", "HEAD", spec["title"]["text"]} <= written
    said = capfd.readouterr()
    assert not said.out + said.err


@pytest.mark.slow
def test_pictures_are_drawn_too(drawings: dict[str, list[dict]]) -> None:
    assert drawings.keys() == {*PLOTS, *PICTURES}
    for name in PICTURES:
        assert {image["type"] for image in drawings[name]} == {"image"}


@pytest.mark.parametrize(
    ("levels", "named"),
    [
        ({"main": 0.0, "workspace": 0.0}, {"clean"}),
        ({"main": 2.0, "workspace": 0.5}, {"noise 2.00", "noise 0.50"}),
        ({"workspace": 1.0}, {"noise 1.00"}),
    ],
    ids=["clean", "revisions with other levels", "one revision"],
)
def test_confusions_at_other_levels_are_not_side_by_side(
    levels: dict[str, float], named: set[str]
) -> None:
    rows = [
        {"rev": rev, "noise": str(level), "actual": actual, "predicted": "grid"}
        for rev, level in levels.items()
        for actual in ("dotted", "grid")
    ]
    made = filled("confusion", rows)
    written = set(re.findall(r">([^<>]+)</text>", vl_convert.vegalite_to_svg(made)))
    assert {text for text in written if re.match("clean|noise", text)} == named
    assert set(levels) <= written
    top = vl_convert.vegalite_to_scenegraph(made)["scenegraph"]["items"][0]
    cells = [group for group in top["items"] if group.get("name") == "cell"]
    assert len({cell["y"] for group in cells for cell in group["items"]}) == len(named)


def test_the_distances_are_named_as_in_the_table() -> None:
    row = {"rev": "main", "noise": 1.0, "dim": 0, "comparison": "clean_noisy"}
    row |= {"lower_quartile": 1.0, "median": 2.0, "upper_quartile": 3.0}
    rows = [row | {"metric": metric} for metric in ("bottleneck", "wasserstein", "another")]
    svg = vl_convert.vegalite_to_svg(filled("distances", rows))
    assert {"Bottleneck, H0", "Wasserstein, H0", "Another, H0"} <= set(
        re.findall(r">([^<>]+, H0)<", svg)
    )
