"""The report: what it says of a small pipeline, what it refuses, and its page in a browser."""

import base64
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

from report import FOLDER, LOCAL_VEGA, report
from stages.core.artifacts.tables import write_parquet
from stages.core.evaluation.accuracy import PREDICTIONS
from stages.core.evaluation.statistics import score_intervals
from stages.core.report.comment import MARKER
from stages.core.runtime.files import whole_folder
from tests.browser import drawn_plots, tab
from tests.study import ROOT, commit_all, dvc, git, run

SCRIPT = """
import base64, json, yaml
from pathlib import Path
params = yaml.safe_load(Path("params.yaml").read_text())
Path("classify.json").write_text(json.dumps({"right": params["right"], "of": 9}))
Path("loss.csv").write_text("step,split,loss\\n1,train,2.5\\n2,train,1.5\\n")
Path("picture.png").write_bytes(b"a picture")
"""
DRAW = """
import json
from pathlib import Path
Path("drawn/classify").mkdir(parents=True, exist_ok=True)
right = json.loads(Path("classify.json").read_text())["right"]
Path("drawn/classify/points.csv").write_text(f"step,split,loss\\n1,train,{right}\\n")
Path("drawn/classify/drawn.png").write_bytes(b"a drawing of %d" % right)
"""
PIPELINE = {
    "stages": {
        "classify": {
            "cmd": "python make.py",
            "deps": ["make.py"],
            "params": ["right"],
            "outs": [
                {"classify.json": {"cache": False}},
                {"loss.csv": {"cache": False}},
                "picture.png",
            ],
        },
        "draw_classify": {
            "cmd": "python draw.py",
            "deps": ["draw.py", "classify.json"],
            "outs": ["drawn/classify/points.csv", "drawn/classify/drawn.png"],
        },
    },
    "metrics": ["classify.json"],
    "plots": [
        {"The loss": {"template": "loss", "x": "step", "y": {"loss.csv": "loss"}}},
        {"Points": {"template": "loss", "x": "step", "y": {"drawn/classify/points.csv": "loss"}}},
        "picture.png",
        "drawn/classify/drawn.png",
    ],
}
CACHED = "'Points', 'picture.png', 'drawn/classify/drawn.png'"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of one stage on the branch main, run and committed."""
    folder = tmp_path_factory.mktemp("finished") / "small"
    (folder / ".dvc" / "plots").mkdir(parents=True)
    for name in ("page.html", "config", ".gitignore", "plots/loss.json"):
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    (folder / "make.py").write_text(SCRIPT)
    (folder / "draw.py").write_text(DRAW)
    (folder / "params.yaml").write_text("right: 3\n")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    git(folder, "init", "--quiet", "--initial-branch", "main")
    dvc(folder, "repro")
    commit_all(folder)
    return folder


@pytest.fixture
def small(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working folder."""
    folder = shutil.copytree(finished, tmp_path / "small")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "small.state"))
    return folder


def make(*options: str) -> Result:
    return CliRunner().invoke(report, options)


def refusal() -> str:
    """The one line of a refused report, of which nothing is written."""
    result = make()
    assert result.exit_code == 1
    assert not FOLDER.exists()
    (line,) = result.output.splitlines()
    return line


# What it says


def test_what_changed_shows_and_nothing_else(small: Path) -> None:
    (small / "params.yaml").write_text("right: 6\n")
    dvc(small, "repro")
    result = make()
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "report: the workspace against main; open report/page.html",
        "1 param and 1 metric differ from main.",
    ]
    lines = (FOLDER / "comment.md").read_text().splitlines()
    assert lines[0] == MARKER
    assert lines[4] == "**1 param and 1 metric differ from `main`.**"
    assert "| `right` | `3` | `6` |" in lines
    assert "| `classify.right` | `3` | `6` | +3 |" in lines
    assert not any("classify.of" in line for line in lines)
    assert "![Points](points.png)" in lines  # the loss, which is the same, comes after it
    assert lines.index("![The loss](the-loss.png)") > lines.index("![Points](points.png)")
    assert "<details><summary>1 plot, identical in both</summary>" in lines
    for name in ("the-loss", "points"):
        assert (FOLDER / f"{name}.png").read_bytes().startswith(b"\x89PNG")

    shown = (FOLDER / "page.html").read_text()
    assert "<td><code>classify.right</code></td>" in shown
    assert {"workspace", "main"} == set(re.findall(r'"(workspace|main)"', shown))
    assert shown.count("YSBwaWN0dXJl") == 1  # 'a picture' in base64, the same in both revisions
    for right in (3, 6):
        assert base64.b64encode(b"a drawing of %d" % right).decode() in shown
    assert LOCAL_VEGA not in shown


def test_nothing_changed(small: Path) -> None:
    assert make("--base", "HEAD").exit_code == 0
    said = (FOLDER / "comment.md").read_text()
    assert "**Identical: every result of the workspace is that of `HEAD`.**" in said
    assert "differ" not in said
    assert "<summary>2 plots, identical in both</summary>" in said
    assert (FOLDER / "page.html").read_text().count("<p>identical in both</p>") == 2
    assert not git(small, "status", "--porcelain", "--", *PIPELINE["metrics"])


def test_a_result_that_no_metric_shows(small: Path) -> None:
    (small / "make.py").write_text(SCRIPT.replace("train,1.5", "train,1.25"))
    dvc(small, "repro")
    assert "no metric differs from main" in make().output.lower()


def test_a_code_change_without_effect_is_identical(small: Path) -> None:
    (small / "make.py").write_text(f"{SCRIPT}# why\n")
    dvc(small, "repro")
    assert "Identical: every result of the workspace is that of main." in make().output


def test_without_a_base_the_workspace_is_reported_alone(small: Path) -> None:
    result = make("--base", "nowhere")
    assert result.exit_code == 0, result.output
    assert "alone (nowhere: no such revision)" in result.output
    said = (FOLDER / "comment.md").read_text()
    assert said.startswith(MARKER)
    assert "no revision `nowhere` to compare with" in said
    assert "| `classify.right` | `3` |" in said
    assert (FOLDER / "the-loss.png").exists()


def test_an_earlier_report_is_replaced(small: Path) -> None:
    with whole_folder(FOLDER, "report") as folder:
        (folder / "comment.md").write_text("earlier")
        (folder / "gone.png").touch()
    assert make().exit_code == 0
    assert not (FOLDER / "gone.png").exists()


# What it refuses


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("make.py", SCRIPT + "\n", "make.py modified"),
        ("params.yaml", "right: 4\n", "right in params.yaml modified"),
        ("loss.csv", "step,split,loss\n1,train,0.5\n", "loss.csv modified"),
        ("dvc.yaml", yaml.safe_dump(PIPELINE).replace("make.py\n", "make.py -v\n"), "command"),
    ],
)
def test_a_stale_lock_is_refused(small: Path, file: str, content: str, named: str) -> None:
    (small / file).write_text(content)
    line = refusal()
    assert line.startswith("Error: dvc.lock: stage classify is not up to date: ")
    assert named in line
    assert "run 'dvc repro'" in line


def test_a_stage_that_always_runs_is_not_stale_for_that(small: Path) -> None:
    changed = yaml.safe_load(yaml.safe_dump(PIPELINE))
    changed["stages"]["classify"]["always_changed"] = True
    (small / "dvc.yaml").write_text(yaml.safe_dump(changed))
    assert "always changed" in dvc(small, "status")
    assert make("--base", "HEAD").exit_code == 0

    (small / "params.yaml").write_text("right: 4\n")
    shutil.rmtree(FOLDER)
    assert "stage classify is not up to date: right in params.yaml modified; run" in refusal()


def test_a_missing_script_is_refused(small: Path) -> None:
    (small / "make.py").unlink()
    assert "stage classify is not up to date: make.py deleted" in refusal()


def test_a_missing_cache_is_no_fault_and_what_it_lacks_is_named(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = small.with_name("clone")
    git(small.parent, "clone", "--quiet", str(small), str(clone))
    assert "picture.png" in dvc(clone, "status")
    dvc(clone, "plots", "diff", "HEAD")
    monkeypatch.chdir(clone)
    result = make("--base", "HEAD")
    assert result.exit_code == 0, result.output
    said, news, lacking = result.output.splitlines()
    assert said == "report: the workspace against HEAD; open report/page.html"
    assert news == "Identical: every result of the workspace is that of HEAD."
    told = f"lots missing from the cache (workspace, HEAD): {CACHED}; run 'dvc pull' or 'dvc repro'"
    assert lacking == f"report: p{told}"
    assert f"P{told}.".replace(CACHED, CACHED.replace("'", "`")) in (
        (FOLDER / "comment.md").read_text().splitlines()
    )
    assert "<code>drawn/classify/drawn.png</code>" in (FOLDER / "page.html").read_text()
    assert (FOLDER / "the-loss.png").exists()
    assert not (FOLDER / "points.png").exists()


def test_data_that_the_cache_lacks_of_the_base_alone(small: Path) -> None:
    shutil.rmtree(small / ".dvc" / "cache")
    result = make()
    assert result.exit_code == 0, result.output
    assert f"plots missing from the cache (main): {CACHED}; run 'dvc pull'" in result.output
    assert (FOLDER / "points.png").exists()


def test_a_table_of_a_header_alone_is_not_applicable(small: Path) -> None:
    header = (small / "loss.csv").read_text().partition("\n")[0]
    (small / "loss.csv").unlink()
    (small / "loss.csv").write_text(f"{header},rate\n")
    dvc(small, "commit", "--force")
    result = make()
    assert result.exit_code == 0, result.output
    said = "Plots with nothing to show, for it is not applicable: `The loss`."
    assert said in (FOLDER / "comment.md").read_text().splitlines()
    assert "nothing to show" in (FOLDER / "page.html").read_text()


def test_a_table_that_git_should_hold_is_refused_where_it_is_missing(small: Path) -> None:
    (small / "loss.csv").unlink()
    fix = "run 'dvc repro --force --single-item classify'"
    assert refusal() == f"Error: plot 'The loss': no data in loss.csv; {fix}"


def test_a_plot_without_data_is_refused(small: Path) -> None:
    ghost = {"Ghost": {"template": "loss", "x": "step", "y": {"ghost.csv": "loss"}}}
    changed = PIPELINE | {"plots": [*PIPELINE["plots"], ghost]}
    (small / "dvc.yaml").write_text(yaml.safe_dump(changed))
    assert refusal() == "Error: plot 'Ghost': no data in ghost.csv; run 'dvc repro'"


def test_another_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal() == "Error: dvc.yaml: not found; run from the project's top folder"


def test_a_folder_that_is_not_a_report_is_kept(small: Path) -> None:
    FOLDER.mkdir()
    (FOLDER / "thesis.txt").touch()
    result = make()
    assert result.exit_code == 1
    assert "holds files but no marker of report" in result.output
    assert (FOLDER / "thesis.txt").exists()


# A study with predictions

TAKE = """
import pathlib, shutil
for folder, name in (
    ("data/classify", "predictions.parquet"),
    ("plots/claims", "claims.csv"),
    ("metrics", "classify.json"),
):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(f"given/{name}", folder)
"""
STUDY = {
    "stages": {
        "classify": {
            "cmd": "python take.py",
            "deps": ["given", "take.py"],
            "params": ["embed"],
            "outs": [
                "data/classify",
                {"plots/claims/claims.csv": {"cache": False}},
                {"metrics/classify.json": {"cache": False}},
            ],
        }
    },
    "metrics": ["metrics/classify.json"],
    "plots": [{"The loss": {"template": "loss", "x": "step", "y": {"loss.csv": "loss"}}}],
}
CLAIM = "number,claim,statement,verdict,decided_by\n7,accuracy_falls_probe,it falls,{},p {}\n"
LEVELS = (0.0, 1.0)


def give(folder: Path, wrong: int, verdict: str, noise_kind: str = "gaussian") -> None:
    """What a study of 20 images comes to: the probe errs on so many of them, noisy ones alone."""
    given = folder / "given"
    given.mkdir(exist_ok=True)
    names = [("banded", "dotted")[i % 2] for i in range(20)]
    rows = [
        {"id": f"{name}/{i}", "noise": level, "actual": name, "margin": 0.0}
        | dict.fromkeys(("zero_shot", "knn", "prototype"), None)
        | {"probe": "striped" if level and i < wrong else name}
        for level in LEVELS
        for i, name in enumerate(names)
    ]
    write_parquet(given / "predictions.parquet", pd.DataFrame(rows), PREDICTIONS, {})
    (given / "claims.csv").write_text(CLAIM.format(verdict, 0.01 * wrong))
    shares = {f"noise_{level:.2f}": {"probe_top1": 1 - wrong / 20 * level} for level in LEVELS}
    (given / "classify.json").write_text(json.dumps(shares))
    (folder / "params.yaml").write_text(f"embed: {{noise_kind: {noise_kind}}}\n")
    (folder / "loss.csv").write_text("step,split,loss\n1,train,2.5\n")


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 20 test images with two errors, on the branch main."""
    folder = tmp_path_factory.mktemp("classified") / "study"
    (folder / ".dvc" / "plots").mkdir(parents=True)
    for name in ("page.html", "config", ".gitignore", "plots/loss.json"):
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    (folder / "take.py").write_text(TAKE)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(STUDY))
    give(folder, 2, "holds")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    dvc(folder, "repro")
    commit_all(folder)
    return folder


@pytest.fixture
def study(classified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(classified, tmp_path / "study")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "study.state"))
    return folder


def test_accuracy_is_compared_image_by_image(study: Path) -> None:
    give(study, 12, "fails")
    dvc(study, "repro")
    result = make()
    assert result.exit_code == 0, result.output
    strata = np.array(["banded", "dotted"] * 10)
    more_errors = -np.isin(np.arange(20), range(2, 12)).astype(int)
    (interval,) = score_intervals(more_errors[:, None], (-1, 0, 1), strata, 0.95)
    ends = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    said = (FOLDER / "comment.md").read_text()
    assert (
        f"**Linear probe accuracy changes by -50.0 points at noise level 1 (95% interval {ends}), "
        "the most of 2 noise levels; 1 of 1 verdict changes.**"
    ) in said
    assert f"| 1 | 90.0 | 40.0 | **-50.0** | {ends} |" in said
    assert "| 0 | 100.0 | 100.0 | 0.0 |" in said
    assert "| 7 | it falls | holds (p 0.02) | **fails** (p 0.12) |" in said
    assert "the same 20 test images" in said
    assert "| `classify.noise_1.00.probe_top1` | `0.9` | `0.4` | -50.0 points |" in said
    assert "%|" not in said.replace(" ", "")  # no relative change, of which -55.6% would be one


def test_another_kind_of_noise_is_another_test(study: Path) -> None:
    give(study, 12, "fails", "blur")
    dvc(study, "repro")
    assert make().exit_code == 0
    said = (FOLDER / "comment.md").read_text()
    assert "**Not the same test as in `main` (other noise); " in said
    assert "> - kind of noise (`embed.noise_kind`): `gaussian` in `main`, `blur` here" in said
    assert "| 1 | 90.0 | 40.0 |  |  |" in said
    assert "-50" not in said
    assert "No difference is given of numbers that are not of the same test." in said
    assert (
        '<blockquote class="warning"><p><strong>Not the same test.</strong>'
        in (FOLDER / "page.html").read_text()
    )


def test_without_the_predictions_of_the_base_there_is_no_interval(study: Path) -> None:
    give(study, 12, "holds")
    dvc(study, "repro")
    shutil.rmtree(study / ".dvc" / "cache")
    result = make()
    assert result.exit_code == 0, result.output
    said = (FOLDER / "comment.md").read_text()
    assert "| 1 | 90.0 | 40.0 | -50.0 |" in said
    assert "those of `main` are not in DVC's cache; `dvc pull` brings them" in said
    assert "none of 1 verdict changes" in said


# In a browser


@pytest.mark.slow
def test_pages_draw_every_plot_with_no_network(tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "study")
    done = run(study, sys.executable, "-m", "report", "--base", "HEAD")
    assert done.returncode == 0, done.stderr
    plots = yaml.safe_load((study / "dvc.yaml").read_text())["plots"]
    count = sum(isinstance(plot, dict) for plot in plots)
    assert len(list((study / FOLDER).glob("*.png"))) == count
    assert drawn_plots(study / FOLDER / "page.html") == count

    assert (study / FOLDER / "page.html").stat().st_size < 5_000_000
    with tab() as page:
        page.resize(1280, 900)
        page.open(study / FOLDER / "page.html")
        page.wait_for(f"document.querySelectorAll('svg.marks').length === {count}")
        wide = "[...document.querySelectorAll('section, .plot, figure')]"
        wide += ".filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.id)"
        assert page.evaluate(wide) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        lost = "[...document.querySelectorAll('nav a')]"
        lost += ".filter((a) => !document.querySelector(a.hash)).map((a) => a.hash)"
        assert page.evaluate(lost) == []
        assert page.evaluate("document.querySelectorAll('nav a').length") > count
        assert page.faults == []

    # Once a report has been made, DVC's own page needs no network either.
    dvc(study, "plots", "diff", "HEAD")
    assert drawn_plots(study / "dvc_plots" / "index.html") == count
    assert not git(study, "status", "--porcelain", str(FOLDER), "dvc_plots")


# What is damaged


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\n",
        b"\xff\xfe",
        b"stages: [",
        b"- a list",
        b"stages: {}",
        b"[" * 100_000,
        b"a" * 10_000_000,
    ],
    ids=["empty", "NUL", "UTF-16", "cut short", "list", "no stages", "deep", "long"],
)
def test_a_damaged_pipeline_is_refused(small: Path, content: bytes) -> None:
    (small / "dvc.yaml").write_bytes(content)
    line = refusal()
    assert "dvc.yaml: " in line
    assert line.endswith("; run 'git checkout dvc.yaml'")
    assert len(line) < 300


@pytest.mark.parametrize("content", ["", "[]", '{"right": NaN}'])
def test_metrics_that_dvc_passes_over_are_refused(small: Path, content: str) -> None:
    (small / "classify.json").write_text(content)
    dvc(small, "commit", "--force")
    line = refusal()
    assert line.startswith("Error: classify.json: ")
    assert line.endswith("; run 'dvc repro --force --single-item classify'")


@pytest.mark.parametrize("content", ["", "loss\n", "\0\0\0"])
@pytest.mark.parametrize(
    ("plot", "table", "stage"),
    [
        ("The loss", "loss.csv", "classify"),
        ("Points", "drawn/classify/points.csv", "draw_classify"),
    ],
)
def test_a_table_without_data_is_refused(
    small: Path, plot: str, table: str, stage: str, content: str
) -> None:
    (small / table).unlink()
    (small / table).write_text(content)
    dvc(small, "commit", "--force")
    fix = f"run 'dvc repro --force --single-item {stage}'"
    assert f"plot '{plot}': no data in {table}; {fix}" in refusal()
