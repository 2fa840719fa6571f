"""Learn from many runs of the study: one table, one test, one figure, one page.

    python -m across                      the experiments of the last commit
    python -m across --all-commits        those of all commits
    python -m across main gummy-spae      these revisions: commits, branches, tags, experiments

| output | holds |
| --- | --- |
| page.html | all of it in one file, which opens with no network |
| runs.md, runs.tex, runs.csv | a row per run: what differs, accuracy, drift, distances, verdicts |
| clip_benchmark.csv | accuracy with the column names of CLIP_benchmark |
| verdicts.csv, verdicts.png | a cell per claim and run |
| effects.csv, pooled.csv, question.png | each measure's effect across classes, by run and pooled |
| cells.csv, levels.csv | the same across models, at equal noise |
| errors.csv, gains.csv, prediction.png | how well the accuracy lost in an unseen run is predicted |
| answers.csv | the verdict on what all runs say together |

Everything is read from git and from DVC's cache; nothing that a run has stored is computed again.
What a run lacks is named, and the rest goes on.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import click
import pandas as pd
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import RevError, SCMError, resolve_rev
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from stages.core.across.learned import Learned, learn, parts, said
from stages.core.across.page import page
from stages.core.across.runs import Run
from stages.core.across.tables import LEGEND, as_latex, as_markdown, as_text
from stages.core.artifacts.tables import read_parquet
from stages.core.claims.question import TABLES
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import percent
from stages.core.figures import across as figures
from stages.core.figures.style import save_figure
from stages.core.report.sides import claims_of, flat
from stages.core.runtime.command import refusing
from stages.core.runtime.errors import StudyError, one_line
from stages.core.runtime.files import whole_folder, write_csv
from stages.core.runtime.params import read_params
from stages.core.runtime.progress import progress
from stages.core.runtime.wording import count
from stages.settings.claims import ClaimsParams

FOLDER = Path("across")
CLAIMS = "plots/claims/claims.csv"
TABLES_FOLDER = "data/claims"
LOCK, PARAMS = "dvc.lock", "params.yaml"


@click.command()
@click.argument("revisions", nargs=-1)
@click.option("--all-commits", is_flag=True, help="Read the experiments of every commit.")
@click.option(
    "--classifier",
    type=click.Choice(list(CLASSIFIERS)),
    help="Whose loss of accuracy is asked about; by default the first that all runs have.",
)
def across(revisions: tuple[str, ...], all_commits: bool, classifier: str | None) -> None:
    """Compare runs, and ask of all of them together what the study asks of one."""
    with refusing("across"), threadpool_limits(1):
        with Repo(".") as repo:
            names = list(revisions) or experiments(repo, all_commits)
            runs, unread = read_runs(repo, names)
        for line in unread:
            click.echo(f"left out: {line}", err=True)
        if not runs:
            raise StudyError("across: none of these revisions holds a finished run; see above")
        write(runs, unread, classifier)


# --- what git and the cache hold ----------------------------------------------------------------


def experiments(repo: Repo, all_commits: bool) -> list[str]:
    """The names of the experiments of the last commit, or of all; raises StudyError for none."""
    found = repo.experiments.ls(all_commits=all_commits)
    names = sorted(str(name) for of_commit in found.values() for name, *_ in of_commit)
    if not names:
        of = "any commit" if all_commits else "the last commit"
        raise StudyError(
            f"across: {of} has no experiments; make some with 'dvc exp run', or name revisions: "
            "'python -m across main'"
        )
    return names


def read_runs(repo: Repo, names: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs of revisions, and a line for each of which there is none to read."""
    runs, unread = [], []
    for name in progress(list(dict.fromkeys(names)), "runs"):
        try:
            runs.append(read_run(Revision(repo, name)))
        except StudyError as error:
            unread.append(one_line(error))
    return runs, unread


class Revision:
    """The files of a revision: in git, and in DVC's cache by the checksums of its dvc.lock.

    DVC's own file system of a revision reads all that dvc.yaml names before it opens a file, a
    second each; the cache is asked here for the few files that matter.
    """

    def __init__(self, repo: Repo, name: str) -> None:
        """Raises StudyError for a revision that there is not, or that holds no run."""
        self.name, self._cache = name, repo.cache.local
        try:
            self._files = repo.scm.get_fs(resolve_rev(repo.scm, name))
        except (RevError, SCMError, DvcException) as error:
            raise StudyError(
                f"{name}: no such revision ({one_line(error, 80)}); 'dvc exp list' and 'git log' "
                "tell those that there are"
            ) from None
        inside = Path(repo.root_dir).resolve().relative_to(Path(repo.scm.root_dir).resolve())
        self._top = PurePosixPath("/") / PurePosixPath(inside)
        lock = self.yaml(LOCK)
        stages = (lock or {}).get("stages", {}).values()
        self.checksums: dict[str, str] = {
            entry["path"]: entry["md5"]
            for kind in ("deps", "outs")  # an output's own checksum last
            for stage in stages
            for entry in stage.get(kind, ())
            if "md5" in entry
        }

    def text(self, file: str) -> str | None:
        """A file in git; None where there is none."""
        path = str(self._top / file)
        if not self._files.exists(path):
            return None
        with self._files.open(path, "rb") as stream:
            return stream.read().decode(errors="replace")

    def yaml(self, file: str) -> dict | None:
        """A YAML file in git; raises StudyError where it is missing or damaged."""
        text = self.text(file)
        try:
            content = yaml.load(text or "", yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise StudyError(f"{self.name}: {file} is not YAML ({one_line(error, 80)})") from None
        if not isinstance(content, dict):
            raise StudyError(f"{self.name}: no {file}; it holds no run of the study")
        return content

    def json(self, file: str) -> dict[str, Any] | None:
        """A JSON file in git; None where it is missing or damaged."""
        try:
            content = json.loads(self.text(file) or "")
        except ValueError:
            return None
        return content if isinstance(content, dict) else None

    def cached(self, folder: str, name: str) -> Path | None:
        """Where the cache holds a file of a folder that a stage wrote; None where it does not.

        Raises StudyError where the cache's list of the folder's files is damaged.
        """
        checksum = self.checksums.get(folder)
        listed = Path(self._cache.oid_to_path(checksum)) if checksum else None
        if listed is None or not listed.exists():
            return None
        try:
            entries = {entry["relpath"]: entry["md5"] for entry in json.loads(listed.read_bytes())}
        except (ValueError, TypeError, KeyError):
            raise StudyError(f"{listed}: not a list of files; delete it") from None
        file = Path(self._cache.oid_to_path(entries[name])) if name in entries else None
        return file if file and file.exists() else None


def read_run(revision: Revision) -> Run:
    """The run of a revision; raises StudyError where it did not get as far as its metrics."""
    metrics: dict[str, Any] = {}
    for stage in ("embed", "distances", "classify", "claims", "headline"):
        found = revision.json(f"metrics/{stage}.json")
        if found is None:
            raise StudyError(
                f"{revision.name}: no metrics of {stage}: the run did not finish; "
                "run it again with 'dvc exp run'"
            )
        metrics |= flat(found, f"{stage}.")
    run = Run(
        revision.name,
        flat(revision.yaml(PARAMS) or {}),
        metrics,
        revision.checksums,
        claims_of(revision.text(CLAIMS)),
    )
    if not run.classifiers:
        raise StudyError(
            f"{revision.name}: metrics/classify.json holds no accuracy on clean images"
        )
    if run.levels == [0.0]:
        return replace(run, why="no noise level above 0")
    tables = {}
    for name in ("measures", "drops"):
        found_or_why = read_table(revision, name)
        if isinstance(found_or_why, str):
            return replace(run, why=found_or_why)
        tables[name] = found_or_why
    return replace(run, **tables)


def read_table(revision: Revision, name: str) -> pd.DataFrame | str:
    """A table of `claims` at full precision, or why there is none."""
    # Applying says that files are missing, and fails, but has set the dvc.lock that pull reads.
    restore = f"run 'dvc exp apply {revision.name}; dvc pull {TABLES_FOLDER}'"
    try:
        file = revision.cached(TABLES_FOLDER, f"{name}.parquet")
    except StudyError as error:
        return f"{TABLES_FOLDER} is damaged in the cache ({one_line(error)}), and {restore}"
    if file is None:
        return f"{TABLES_FOLDER} is not in the cache; {restore}"
    try:
        return read_parquet(file, TABLES[name], "claims").rows
    except StudyError as error:
        # The file is one of the cache, whose name says nothing to a reader.
        said = one_line(error).removeprefix(f"{file}: ").partition(";")[0]
        return f"{TABLES_FOLDER}/{name}.parquet is of another version of the study ({said})"


# --- what is written ----------------------------------------------------------------------------


def write(runs: list[Run], unread: list[str], classifier: str | None) -> None:
    """Write all of across/, and print the table of runs and what they say together."""
    params = read_params(ClaimsParams, Path(PARAMS))
    found = learn(runs, classifier, params)
    for line in found.pool.left_out:
        click.echo(f"not pooled: {line}", err=True)
    with whole_folder(FOLDER, "across") as folder:
        for name, table in found.tables.items():
            write_csv(folder / f"{name}.csv", table)
        (folder / "runs.md").write_text(as_markdown(found.tables["runs"]), encoding="utf-8")
        (folder / "runs.tex").write_text(as_latex(found.tables["runs"]), encoding="utf-8")
        pictures = draw(found, params.confidence, folder)
        title = f"{count(len(runs), 'run')} of the study"
        told = parts(found, [*unread, *found.pool.left_out], pictures)
        text = page(title, [said(finding) for finding in found.findings], told)
        (folder / "page.html").write_text(text, encoding="utf-8")
    click.echo(as_text(found.tables["runs"]))
    click.echo(LEGEND)
    for finding in found.findings:
        click.echo(said(finding).replace("**", ""))
    click.echo(f"{FOLDER}: {count(len(runs), 'run')}; open {FOLDER}/page.html")


def draw(found: Learned, confidence: float, folder: Path) -> dict[str, bytes]:
    """Draw what there is to draw into the folder; {name: PNG}."""
    level = percent(confidence)
    drawn: dict[str, Figure] = {}
    verdicts = found.tables["verdicts"]
    if len(verdicts):
        drawn["verdicts"] = figures.verdicts(verdicts, [run.name for run in found.runs])
    if "pooled" in found.tables:
        effects, pooled = found.tables["effects"], found.tables["pooled"]
        if pooled["rho"].notna().any():
            drawn["question"] = figures.question(effects, pooled, level)
        if len(found.tables["gains"]):
            errors, gains = found.tables["errors"], found.tables["gains"]
            drawn["prediction"] = figures.prediction(errors, gains, level)
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    return {name: (folder / f"{name}.png").read_bytes() for name in drawn}


if __name__ == "__main__":
    across()
