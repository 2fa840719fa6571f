"""What is learned from many runs, those of a small pipeline that does as its settings say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from dvc.repo import Repo
from PIL import Image

from across import FOLDER, Revision, across
from tests.browser import drawn_plots
from tests.study import ROOT, commit_all, dvc, git, settings

pytestmark = pytest.mark.slow

# Writes what `across` reads of a run: classes whose loss of accuracy is `strength` times a change
# of their diagrams, which is that of all runs in part.
SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import json
from pathlib import Path
import numpy as np
import pandas as pd
import yaml
from stages.core.artifacts.tables import write_parquet
from stages.core.claims.question import CONTROLS, TABLES

params = yaml.safe_load(Path("params.yaml").read_text())
embed = params["embed"]
if embed["crash"]:
    sys.exit("crashed")
generator = np.random.default_rng(embed["seed"])
shared = np.random.default_rng(7).standard_normal(16)
rows, drops, metrics = [], [], {{"noise_0.00": {{"probe_top1": 0.9}}}}
if embed["text"]:
    metrics["noise_0.00"]["zero_shot_top1"] = 0.8
for level in embed["noise_levels"][1:]:
    change = shared + generator.standard_normal(16)
    lost = embed["strength"] * change + generator.standard_normal(16)
    for i in range(16):
        of = {{"class": f"class {{i:02d}}", "noise": level}}
        rows += [of | {{"measure": key, "value": generator.standard_normal()}} for key in CONTROLS]
        rows.append(of | {{"measure": "wasserstein_h1", "value": change[i]}})
        for key in ("zero_shot", "probe") if embed["text"] else ("probe",):
            drops.append(of | {{"classifier": key, "drop": np.tanh(lost[i])}})
    metrics[f"noise_{{level:.2f}}"] = {{"probe_top1": 0.5, "probe_top1_low": 0.45}}
claims = Path("data/claims")
about = {{"run": "x", "confidence": "0.95"}}
write_parquet(claims / "measures.parquet", pd.DataFrame(rows), TABLES["measures"], about)
write_parquet(claims / "drops.parquet", pd.DataFrame(drops), TABLES["drops"], about)
Path("data/embeddings").mkdir(exist_ok=True)
Path("data/embeddings/seed").write_text(json.dumps(embed))
Path("data/images.csv").write_text("the same images")
Path("metrics").mkdir(exist_ok=True)
verdict = {{"topology_follows_probe": {{"verdict": "holds"}}}}
for stage, content in {{
    "embed": {{}},
    "distances": {{}},
    "classify": metrics,
    "claims": verdict,
    "headline": {{"drift@1": 0.25}},
}}.items():
    Path(f"metrics/{{stage}}.json").write_text(json.dumps(content))
Path("plots/claims").mkdir(parents=True, exist_ok=True)
Path("plots/claims/claims.csv").write_text(
    "number,claim,statement,verdict,decided_by\\n"
    "8,topology_follows_probe,topology follows,holds,p 0.01\\n"
)
"""
STAGES = ("embed", "distances", "classify", "claims", "headline")
IN_GIT = [*(f"metrics/{stage}.json" for stage in STAGES), "plots/claims/claims.csv"]
PIPELINE = f"""
stages:
  claims:
    cmd: {sys.executable} make.py
    deps: [make.py]
    params: [embed]
    outs:
      - data/claims
      - data/embeddings
      - data/images.csv
{"".join(f"      - {path}: {{cache: false}}{chr(10)}" for path in IN_GIT)}
"""
PARAMS = """
embed:
  model: texture-clip
  pretrained: null
  noise_kind: gaussian
  noise_space: pixel
  noise_levels: [0.0, 1.0, 2.0]
  seed: 0
  strength: 1.0
  text: true
  crash: false
fetch:
  source: textures
persistence:
  metric: euclidean
"""
# {experiment: its settings}
RUNS = {
    "gaussian": {},
    "blurred": {"embed.noise_kind": "blur", "embed.seed": "1"},
    "other-model": {"embed.model": "small", "embed.seed": "2"},
    "no-text": {"embed.model": "lite0", "embed.seed": "3", "embed.text": "false"},
    "other-metric": {"persistence.metric": "diffusion", "embed.seed": "4"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the experiments RUNS of its last commit."""
    folder = tmp_path_factory.mktemp("across") / "study"
    folder.mkdir()
    (folder / "make.py").write_text(SCRIPT)
    (folder / "dvc.yaml").write_text(PIPELINE)
    given = (ROOT / "params.yaml").read_text()
    claims = given[given.index("\nclaims:") : given.index("\nheadline:")]
    (folder / "params.yaml").write_text(f"{PARAMS}{claims}")
    git(folder, "init", "--quiet")
    dvc(folder, "init", "--quiet")
    dvc(folder, "config", "core.analytics", "false")
    commit_all(folder)
    for name, values in RUNS.items():
        dvc(folder, "exp", "run", "--name", name, *settings(values))
    git(folder, "checkout", "--quiet", "--", ".")
    return folder


@pytest.fixture
def here(study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository as the working directory; what is written in it is removed."""
    monkeypatch.chdir(study)
    monkeypatch.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)
    shutil.rmtree(study / FOLDER, ignore_errors=True)
    return study


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(across, arguments)


def test_all_experiments_of_the_last_commit(here: Path) -> None:
    result = ask()
    assert result.exit_code == 0, result.output
    runs = pd.read_csv(here / FOLDER / "runs.csv")
    assert sorted(runs["run"]) == sorted(RUNS)
    assert list(runs.columns[:3]) == ["run", "model", "noise"]  # what differs first
    pooled = pd.read_csv(here / FOLDER / "pooled.csv").query("measure == 'wasserstein_h1'")
    assert set(pooled["runs"]) == {4}  # the one with another metric is not mixed with them
    assert "other-metric: other measures than most runs have" in result.output
    assert pooled.query("not controlled")["rho"].item() > 0.3
    effects = pd.read_csv(here / FOLDER / "effects.csv")
    assert "other-metric" not in set(effects["run"])
    answers = pd.read_csv(here / FOLDER / "answers.csv")
    # One of the runs has no text, so that the question is that of the classifier all of them have.
    assert answers["statement"].str.contains("linear probe accuracy").all()
    verdicts = pd.read_csv(here / FOLDER / "verdicts.csv")
    assert sorted(verdicts["run"]) == sorted(RUNS)


def test_the_page_and_its_pictures(here: Path) -> None:
    """One file, whose console says nothing, with all pictures in it."""
    assert ask().exit_code == 0
    page = (here / FOLDER / "page.html").read_text()
    for title in ("Runs", "Claims and runs", "The question, pooled", "At equal noise", "Left out"):
        assert f">{title}</h2>" in page
    pictures = sorted((here / FOLDER).glob("*.png"))
    assert [file.stem for file in pictures] == ["prediction", "question", "verdicts"]
    for file in pictures:
        with Image.open(file) as picture:
            assert picture.width > 400
    assert page.count("src=") == page.count('src="data:image/') == len(pictures)
    assert drawn_plots(here / FOLDER / "page.html") == 0


def test_one_run_decides_nothing(here: Path) -> None:
    result = ask("gaussian")
    assert result.exit_code == 0, result.output
    answers = pd.read_csv(here / FOLDER / "answers.csv")
    assert len(answers) > 0
    assert set(answers["verdict"]) == {"undecided"}


def test_a_classifier_that_a_run_lacks(here: Path) -> None:
    result = ask("--classifier", "zero_shot")
    assert result.exit_code == 0
    assert "not pooled: no-text: no zero_shot accuracy" in result.output


def test_an_unknown_revision_is_named_and_the_rest_goes_on(here: Path) -> None:
    result = ask("gaussian", "nowhere", "blurred")
    assert result.exit_code == 0
    (line,) = [line for line in result.output.splitlines() if "nowhere" in line]
    assert line.startswith("left out: nowhere: no such revision")
    assert len(pd.read_csv(here / FOLDER / "runs.csv")) == 2


def test_nothing_but_unknown_revisions(here: Path) -> None:
    result = ask("nowhere")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: across: none of these revisions")
    assert not (here / FOLDER).exists()


def test_a_commit_without_a_run(here: Path) -> None:
    """The commit before any run: its lock is missing."""
    result = ask("HEAD")
    assert result.exit_code == 1
    assert "left out: HEAD: no dvc.lock; it holds no run of the study" in result.output


def test_no_experiments(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = tmp_path / "clone"
    git(here, "clone", "--quiet", str(here), str(clone))
    monkeypatch.chdir(clone)
    result = ask()
    assert result.exit_code == 1
    assert result.output.startswith("Error: across: the last commit has no experiments")


def test_a_run_whose_cache_is_missing_keeps_its_row(here: Path, tmp_path: Path) -> None:
    away = tmp_path / "cache"
    shutil.move(here / ".dvc" / "cache", away)
    try:
        result = ask("gaussian", "blurred")
    finally:
        shutil.move(away, here / ".dvc" / "cache")
    assert result.exit_code == 0, result.output
    assert "'dvc exp apply gaussian; dvc pull data/claims'" in result.output
    assert len(pd.read_csv(here / FOLDER / "runs.csv")) == 2
    assert not (here / FOLDER / "pooled.csv").exists()


def test_what_is_said_of_a_missing_cache_brings_it(here: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(here, tmp_path / "study", symlinks=True)
    shutil.move(copy / ".dvc" / "cache", tmp_path / "remote")  # the same layout
    dvc(copy, "remote", "add", "--local", "--default", "there", str(tmp_path / "remote"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        (said,) = re.findall(r"not pooled: gaussian: .*run '(.*)'", ask("gaussian").output)
        done = subprocess.run(said, shell=True, cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "not in the cache" not in ask("gaussian").output


def test_a_damaged_cache_is_named(here: Path, tmp_path: Path) -> None:
    """The list of the files of data/claims is cut off."""
    copy = shutil.copytree(here, tmp_path / "study", symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        with Repo(".") as repo:
            checksum = Revision(repo, "gaussian").checksums["data/claims"]
            listed = Path(repo.cache.local.oid_to_path(checksum))
        whole = listed.read_bytes()
        listed.chmod(0o600)
        listed.write_bytes(whole[: len(whole) // 2])
        result = ask("gaussian", "blurred")
    assert result.exit_code == 0, result.output
    (line,) = [
        line for line in result.output.splitlines() if line.startswith("not pooled: gaussian")
    ]
    assert f"data/claims is damaged in the cache ({listed}: not a list of files; delete" in line


def test_a_run_of_an_older_study(here: Path, tmp_path: Path) -> None:
    """Its table of measures lacks a column."""
    copy = shutil.copytree(here, tmp_path / "study", symlinks=True)
    script = (copy / "make.py").read_text()
    older = script.replace(
        'write_parquet(claims / "drops.parquet"',
        'pd.DataFrame({"class": ["a"]}).to_parquet(claims / "measures.parquet")\n'
        'write_parquet(claims / "drops.parquet"',
    )
    assert older != script
    (copy / "make.py").write_text(older)
    commit_all(copy)
    dvc(copy, "exp", "run", "--name", "older")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        result = ask("older", "blurred", "gaussian")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("not pooled: older")]
    assert "of another version of the study (no column noise" in line


def test_a_run_that_crashed_halfway(here: Path, tmp_path: Path) -> None:
    """Its metrics end before the claims."""
    copy = shutil.copytree(here, tmp_path / "study", symlinks=True)
    references = git(copy, "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (run,) = [each for each in references if each.endswith("/gaussian")]
    git(copy, "checkout", "--quiet", "--force", run)
    git(copy, "rm", "--quiet", "metrics/claims.json", "metrics/headline.json")
    commit_all(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        result = ask("HEAD", "gaussian")
    assert result.exit_code == 0, result.output
    assert "left out: HEAD: no metrics of claims: the run did not finish" in result.output


def test_all_commits(here: Path, tmp_path: Path) -> None:
    """Experiments of an earlier commit are seen with --all-commits alone."""
    copy = shutil.copytree(here, tmp_path / "study", symlinks=True)
    (copy / "note").write_text("of another commit")
    commit_all(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        assert ask().exit_code == 1
        result = ask("--all-commits")
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(copy / FOLDER / "runs.csv")) == len(RUNS)


def test_the_same_again(here: Path) -> None:
    """The same runs give the same bytes."""
    written = []
    for _ in range(2):
        assert ask("gaussian", "blurred", "other-model").exit_code == 0
        written.append({file.name: file.read_bytes() for file in (here / FOLDER).glob("*.*")})
    assert written[0] == written[1]
