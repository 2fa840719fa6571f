"""docs/python.md and examples/tour.ipynb print what they show; the package holds what it should."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from pandas.testing import assert_frame_equal

from stages.core.claims.question import correlations_table, leads_table, name_of
from stages.core.geometry.subspaces import class_bases
from stages.core.runtime.errors import StudyError
from stages.core.topology.distances import diagram_distance, wasserstein
from tests.study import ROOT, copy_of_the_working_tree

PAGE = (ROOT / "docs" / "python.md").read_text()
EXAMPLES = re.findall(
    r"^## ([^\n]+)\n[^#]*?^```python\n(.*?)^```\n\n```text\n(.*?)^```",
    PAGE,
    re.MULTILINE | re.DOTALL,
)
TOUR = ROOT / "examples" / "tour.ipynb"
NUMBER = r"-?\d+\.\d+"


def assert_same(printed: str, shown: str) -> None:
    """Word for word, and numbers to about two digits: processors differ in the last bits."""
    one, other = (" ".join(text.split()) for text in (printed, shown))
    assert re.split(NUMBER, one) == re.split(NUMBER, other)
    numbers = [list(map(float, re.findall(NUMBER, text))) for text in (one, other)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01, abs=0.02)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [("rho 0.50", "rho 0.60"), ("holds: 0.5", "fails: 0.5"), ("0.5\n0.5", "0.5"), ("", "0.5")],
)
def test_another_number_or_word_is_noticed(printed: str, shown: str) -> None:
    assert_same("rho  0.501\n", "rho 0.50")
    with pytest.raises(AssertionError):
        assert_same(printed, shown)


def test_every_example_of_the_page_is_found_and_shows_what_it_prints() -> None:
    assert len(EXAMPLES) == PAGE.count("```python") == 6
    assert all(shown.strip() for _, _, shown in EXAMPLES)


@pytest.mark.parametrize(("title", "code", "shown"), EXAMPLES, ids=[each[0] for each in EXAMPLES])
def test_an_example_prints_what_the_page_shows(
    title: str, code: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(code, title, "exec"), {"__name__": "__main__"})
    assert_same(capsys.readouterr().out, shown)


def test_the_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#]+)\)", PAGE)
    assert len(links) > 10
    assert not [link for link in links if not (ROOT / "docs" / link).is_file()]


@pytest.mark.slow
def test_the_notebook_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    shown = nbformat.read(TOUR, nbformat.NO_CONVERT)
    again = nbformat.read(TOUR, nbformat.NO_CONVERT)
    NotebookClient(again, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell, committed in zip(again.cells, shown.cells, strict=True):
        if cell.cell_type == "code":
            assert _kinds(cell) == _kinds(committed)
            assert_same(_text(cell), _text(committed))


def test_the_notebook_was_run_from_top_to_bottom_and_is_small() -> None:
    cells = [each for each in nbformat.read(TOUR, nbformat.NO_CONVERT).cells if each.source]
    code = [each for each in cells if each.cell_type == "code"]
    assert [each.execution_count for each in code] == list(range(1, len(code) + 1))
    kinds = [output.output_type for each in code for output in each.outputs]
    assert kinds.count("display_data") == sum("plt.show()" in each.source for each in code) > 2
    assert set(kinds) == {"stream", "display_data"}  # no error, no warning
    names = [output.get("name") for each in code for output in each.outputs]
    assert "stderr" not in names
    assert TOUR.stat().st_size < 300_000


def _kinds(cell: nbformat.NotebookNode) -> list[str]:
    """The kinds of a cell's outputs, in their order.

    What libraries say on stderr depends on how busy the machine is: it does not count, nor that it
    has parted what is printed.
    """
    kinds: list[str] = []
    for output in cell.outputs:
        parted = output.output_type == "stream" and kinds[-1:] == ["stream"]
        if output.get("name") != "stderr" and not parted:
            kinds.append(output.output_type)
    return kinds


def _text(cell: nbformat.NotebookNode) -> str:
    return "".join(
        output.get("text", "") for output in cell.outputs if output.get("name") != "stderr"
    )


def build(kind: str, tree: Path, into: Path) -> Path:
    """The wheel that pip makes of a tree for `pip install .` or, editable, `pip install -e .`."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(into)!r})"
    into.mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = into.glob("*.whl")
    return wheel


def test_the_package_is_stages_and_nothing_else(tmp_path: Path) -> None:
    tree = copy_of_the_working_tree(tmp_path / "tree")
    wanted = {
        str(file.relative_to(tree))
        for file in (tree / "stages").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    assert any(name.endswith(".json") for name in wanted)
    with zipfile.ZipFile(build("wheel", tree, tmp_path / "wheel")) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_an_installed_clone_is_imported_from_where_it_lies(tmp_path: Path) -> None:
    """As by `pip install -e .`: changes of the clone count, and its other modules stay its own."""
    tree = copy_of_the_working_tree(tmp_path / "tree")
    site = tmp_path / "site"
    with zipfile.ZipFile(build("editable", tree, tmp_path / "wheel")) as wheel:
        wheel.extractall(site)
    (tree / "stages" / "core" / "topology" / "rips.py").write_text("CHANGED = True")
    code = (
        f"import site; site.addsitedir({str(site)!r})\n"
        "from importlib.util import find_spec\n"
        "from stages.core.topology.rips import CHANGED\n"
        "print(CHANGED, [find_spec(name) for name in ('tests', 'benchmarks', 'report')])"
    )
    # Without the environment's packages, among which the project itself may be.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "True [None, None, None]\n", done.stderr


def _tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of 20 classes: measures of which `loops` is the truth and `size` noise, and the drops."""
    generator = np.random.default_rng(0)
    classes = [f"class {i}" for i in range(20)]
    values = {name: generator.uniform(size=20) for name in ("loops", "moved", "size")}
    measures = pd.DataFrame(
        {"class": of, "noise": 1.0, "measure": measure, "value": value}
        for measure, row in values.items()
        for of, value in zip(classes, row, strict=True)
    )
    drops = pd.DataFrame(
        {"class": classes, "noise": 1.0, "classifier": "probe", "drop": values["loops"]}
    )
    return measures, drops


def _asked(
    measures: pd.DataFrame, drops: pd.DataFrame, controls: tuple[str, ...] = ("moved", "size")
) -> pd.DataFrame:
    return correlations_table(measures, drops, 100, 0.95, 0, controls)


def test_the_question_takes_controls_of_one_s_own() -> None:
    found = _asked(*_tables()).set_index(["measure", "controlled"])
    assert sorted(found.index) == [
        ("loops", False),
        ("loops", True),
        ("moved", False),
        ("size", False),
    ]
    kinds = {"loops": "topological", "moved": "plain", "size": "plain"}
    assert found["kind"].to_dict() == {key: kinds[key[0]] for key in found.index}
    assert found["rho"]["loops"].to_list() == pytest.approx([1, 1])
    without = _asked(*_tables(), controls=())
    assert not without["controlled"].any()
    assert without["p_holm"].notna().all()
    assert name_of("loops") == "loops"


def test_rivals_of_one_s_own_change_nothing_of_the_topological_tests() -> None:
    """Not even one that lacks classes: it counts where it is known, and the others everywhere."""
    measures, drops = _tables()
    size = measures["measure"] == "size"
    lacking = size & measures["class"].isin([f"class {i}" for i in range(5)])
    measures = measures.assign(value=measures["value"].mask(lacking))
    found = correlations_table(measures, drops, 100, 0.95, 0, ["moved"], ["size"])
    without = correlations_table(measures[~size], drops, 100, 0.95, 0, ["moved"])
    is_rival = found["kind"] == "rival"
    assert_frame_equal(found[~is_rival].reset_index(drop=True), without)
    assert found.loc[is_rival, "controlled"].to_list() == [False, True]
    assert found.loc[is_rival, "classes"].eq(15).all()
    assert found.loc[is_rival, "p_holm"].to_list() == found.loc[is_rival, "p_value"].to_list()


def test_the_lead_of_a_measure_over_its_rivals() -> None:
    """`loops` is the truth: it leads both others, by 1 less the rho of the better one."""
    measures, drops = _tables()
    found = leads_table(measures, drops, 500, 0.95, 0, ["moved", "size"], [])
    (row,) = found.to_dict("records")
    alone = _asked(measures, drops).set_index(["measure", "controlled"])["rho"]
    best = max(("moved", "size"), key=lambda name: alone[name, False])
    assert (row["measure"], row["best_rival"], row["classes"]) == ("loops", best, 20)
    assert row["lead"] == pytest.approx(1 - alone[best, False])
    assert 0 < row["low"] < row["lead"] < row["high"]
    assert row["p_value"] == row["p_holm"] == 1 / 501
    (behind,) = leads_table(measures, drops, 500, 0.95, 0, ["loops"], ["size"]).to_dict("records")
    assert behind["measure"] == "moved"
    assert behind["high"] < 0
    assert behind["p_holm"] == 1


def test_a_rival_that_no_class_has_is_none() -> None:
    measures, drops = _tables()
    measures["value"] = measures["value"].mask(measures["measure"] == "size")
    (row,) = leads_table(measures, drops, 100, 0.95, 0, ["moved", "size"], []).to_dict("records")
    assert (row["best_rival"], row["classes"]) == ("moved", 20)
    (row,) = leads_table(measures, drops, 100, 0.95, 0, ["size"], ["moved"]).to_dict("records")
    assert row["best_rival"] is None
    assert (np.isnan(row["lead"]), row["p_holm"]) == (True, 1)


def test_nothing_is_controlled_for_by_a_measure_without_values() -> None:
    """As linear CKA is in a study of three images a class: no class counts."""
    measures, drops = _tables()
    found = _asked(
        measures.assign(value=measures["value"].mask(measures["measure"] == "moved")), drops
    )
    assert found["classes"].eq(0).all()
    assert found["rho"].isna().all()
    assert found["p_value"].eq(1).all()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda measures, drops: _asked(measures.drop(columns="value"), drops),
            "measures: no column value; give the columns class, noise, measure, value",
        ),
        (
            lambda measures, drops: _asked(measures, drops.rename(columns={"drop": "loss"})),
            "drops: no column drop; give the columns class, noise, classifier, drop",
        ),
        (
            lambda measures, drops: _asked(measures, drops, ("spread",)),
            "controls: spread is no measure; give some of loops, moved, size",
        ),
        (
            lambda measures, drops: leads_table(measures, drops, 9, 0.95, 0, ["lops"], ["size"]),
            "rivals: lops is no measure; give some of loops, moved, size",
        ),
        (
            lambda measures, drops: leads_table(measures, drops, 9, 0.95, 0, ["size"], ["size"]),
            "rivals: size is among the controls; name it in one of them",
        ),
        (
            lambda measures, drops: _asked(measures, drops.assign(**{"class": "other"})),
            "drops: no class of measures is in it; use the same names in both",
        ),
    ],
)
def test_tables_that_the_question_cannot_be_asked_of_are_refused(
    ask: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame], message: str
) -> None:
    with pytest.raises(StudyError) as raised:
        ask(*_tables())
    assert str(raised.value) == message


def test_settings_that_are_left_out_are_those_of_the_function() -> None:
    a, b = np.array([[0.0, 1.0]]), np.array([[0.0, 3.0], [1.0, 2.0]])
    assert diagram_distance("wasserstein", a, b) == wasserstein(a, b)
    points = np.diag([3.0, 2.0, 1.0])  # squares 9, 4, 1: two hold 13 / 14
    assert class_bases({"a": points})[0].shape == (3, 2)
