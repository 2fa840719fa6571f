"""Compare the workspace with a base revision, for a reader of a pull request.

| output | holds |
| --- | --- |
| comment.md | what changed, the news first, and the plots, for a comment |
| <plot>.png | the plots that dvc.yaml draws from tables |
| page.html | all of it and the pictures of the stages in one file, which opens with no network |
| vega.js | with which the pages of 'dvc plots show' and 'dvc plots diff' need no network either |

Everything is read by DVC from what git and the cache hold; nothing is computed but differences and
their intervals. What the cache lacks, as in a fresh clone, is named and left out. A lock that does
not fit the code, the params or the tables, and a plot of which git should hold the data and does
not, are refused.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pandas as pd
import vl_convert
import yaml
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc_data.index import DataIndexDirError

from stages.core.artifacts.tables import read_parquet
from stages.core.evaluation.accuracy import PREDICTIONS
from stages.core.report.comment import alone_text, changes_text, comment
from stages.core.report.comparison import Comparison, compare, news
from stages.core.report.markdown import code
from stages.core.report.page import Picture, Plot, page, same_rows, slug
from stages.core.report.sides import HERE, Side, claims_of, flat
from stages.core.runtime.errors import StudyError, one_line
from stages.core.runtime.files import make_again, read_json, whole_folder

FOLDER = Path("report")
PAGE = Path(".dvc/page.html")
LOCAL_VEGA = f'<script src="../{FOLDER}/vega.js"></script>'  # in PAGE
PICTURE_SCALE = 1.5

CLAIMS = Path("plots/claims/claims.csv")
PREDICTIONS_FILE = Path("data/classify/predictions.parquet")
ENCODER = Path("data/embeddings/encoder.json")

Lacking = dict[tuple[str, ...], list[str]]  # {revisions: the plots without data in these}


class Output(NamedTuple):
    """What a stage of dvc.yaml makes; cached: in DVC's cache, and not in git."""

    path: str
    stage: str
    cached: bool


@click.command()
@click.option(
    "--base",
    default="main",
    show_default=True,
    help="Branch, tag, commit or experiment that the workspace is compared with.",
)
def report(base: str) -> None:
    """Compare the workspace with a base revision; write comment.md and page.html to report/."""
    try:
        write_report(base)
    except (StudyError, OSError) as error:
        raise click.ClickException(str(error)) from None


def write_report(base: str) -> None:
    """Write the report to FOLDER; raises StudyError, with nothing written, where it would lie."""
    pipeline = read_pipeline(Path("dvc.yaml"))
    require_up_to_date(json.loads(dvc("status", "--json")), pipeline)
    for file in map(Path, pipeline.get("metrics", ())):
        if file.exists():
            read_json(file)  # DVC passes over metrics that it cannot read, without a word
    known = is_known(base)
    found = compare(*read_sides(base)) if known else None
    drawn, errors = read_plots("diff", base) if known else read_plots("show")
    nothing = require_data(drawn, pipeline)
    text = changes_text(found) if found else alone_text(read_workspace(), base)
    plots, pictures = list(plots_of(drawn, found)), list(pictures_of(drawn))
    lacking = lacking_plots(errors)
    remarks = notes(lacking, nothing)
    vega = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    with whole_folder(FOLDER, "report") as folder:
        (folder / "vega.js").write_text(vega)
        (folder / "page.html").write_text(filled(page(text, remarks, plots, pictures), vega))
        files = {plot.name: f"{slug(plot.name)}.png" for plot in plots}
        identical = [plot.name for plot in plots if plot.identical]
        (folder / "comment.md").write_text(comment(text, files, identical, remarks))
        for plot in plots:
            picture = vl_convert.vegalite_to_png(plot.spec, scale=PICTURE_SCALE)
            (folder / files[plot.name]).write_bytes(picture)
    against = f"against {base}" if known else f"alone ({base}: no such revision)"
    click.echo(f"{FOLDER}: the workspace {against}; open {FOLDER}/page.html")
    if found:
        click.echo(news(found).replace("`", ""))
    if lacking:
        click.echo(f"{FOLDER}: plots {missing(lacking, repr)}")


def filled(body: str, vega: str) -> str:
    """The page with its script, which DVC's own pages have beside them, and its body."""
    return (
        PAGE.read_text()
        .replace(LOCAL_VEGA, f"<script>{vega}</script>")
        .replace("{scripts}", "")
        .replace("{refresh_tag}", "")
        .replace("{plot_divs}", body)
    )


def read_pipeline(file: Path) -> dict:
    """The contents of dvc.yaml, whose details DVC checks; raises StudyError where it is damaged."""
    try:
        pipeline = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StudyError(f"{file}: not found; run from the project's top folder") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(
            f"{file}: not YAML ({one_line(error, 160)}); run 'git checkout {file}'"
        ) from None
    if not isinstance(pipeline, dict) or not (pipeline.get("stages") and pipeline.get("plots")):
        raise StudyError(f"{file}: has no stages or no plots; run 'git checkout {file}'")
    return pipeline


# --- what DVC says ------------------------------------------------------------------------------


def dvc(*arguments: str) -> str:
    """Run DVC and return what it prints; raises StudyError with its first error where it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["failed"]
        said = next((line for line in lines if line.startswith("ERROR")), lines[0])
        raise StudyError(f"dvc {arguments[0]}: {said}")
    return done.stdout


def is_known(base: str) -> bool:
    """Whether there is a revision of this name."""
    try:
        dvc("params", "diff", base)
    except StudyError as error:
        if "unknown Git revision" in str(error):
            return False
        raise
    return True


def require_up_to_date(status: dict, pipeline: dict) -> None:
    """Raise StudyError where dvc.lock does not fit code, params, commands or tables.

    status: of 'dvc status --json'. What a stage makes may be missing: no fault of a clone that
    has no cache.
    """
    for stage, entries in status.items():
        if found := list(_faults(entries, pipeline)):
            raise StudyError(
                f"dvc.lock: stage {stage} is not up to date: {', '.join(found)}; run 'dvc repro' "
                "and commit what it changes"
            )


def _faults(entries: list, pipeline: dict) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            if entry != "always changed":  # which is how a stage is declared, and no change
                yield entry  # 'changed command'
            continue
        for path, state in (item for paths in entry.values() for item in paths.items()):
            if isinstance(state, dict):  # a params file
                yield from (f"{key} in {path} {how}" for key, how in state.items())
            elif not (state in ("deleted", "not in cache") and output_with(path, pipeline)):
                yield f"{path} {state}"


def outputs(pipeline: dict) -> Iterator[Output]:
    """Every output of every stage of a dvc.yaml."""
    for stage, content in pipeline["stages"].items():
        for out in content["outs"]:
            for path, options in ({out: {}} if isinstance(out, str) else out).items():
                yield Output(path, stage, options.get("cache", True))


def output_with(file: str, pipeline: dict) -> Output | None:
    """The output that a file is, or lies in."""
    parents = {file, *map(str, Path(file).parents)}
    return next((out for out in outputs(pipeline) if out.path in parents), None)


def sources(pipeline: dict) -> Iterator[tuple[str, str]]:
    """The name of every plot of a dvc.yaml, and the table or picture that it shows."""
    for plot in pipeline["plots"]:
        if isinstance(plot, str):
            yield plot, plot
            continue
        for name, definition in plot.items():
            yield from ((name, table) for table in definition["y"])


def read_plots(*command: str) -> tuple[dict, list[dict]]:
    """{plot: drawings} and what is lacking of them, of a subcommand of 'dvc plots'.

    A picture's drawing holds its bytes under 'png'.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = json.loads(dvc("plots", *command, "--json", "--out", folder))
        for drawings in found["data"].values():
            for drawing in drawings:
                if not is_drawn(drawing):
                    drawing["png"] = Path(drawing["url"]).read_bytes()
    return found["data"], found.get("errors", [])


def is_drawn(drawing: dict) -> bool:
    """Whether a plot is drawn from a table, and not a picture that a stage made."""
    return drawing["type"] == "vega"


def plots_of(drawn: dict, found: Comparison | None) -> Iterator[Plot]:
    """The plots that are drawn from tables; those of the same rows on both sides of one side."""
    specs = {name: of[0]["content"] for name, of in drawn.items() if of and is_drawn(of[0])}
    same = {name for name, spec in specs.items() if same_rows(spec)}
    of_one_side = read_plots("show")[0] if same else {}
    for name, spec in specs.items():
        identical = name in same or bool(found and found.identical)
        yield Plot(name, of_one_side[name][0]["content"] if name in same else spec, identical)


def pictures_of(drawn: dict) -> Iterator[Picture]:
    """The pictures that stages made."""
    for name, drawings in drawn.items():
        files = {each["revisions"][0]: each["png"] for each in drawings if not is_drawn(each)}
        if files:
            yield Picture(name, files)


def require_data(plots: dict, pipeline: dict) -> list[str]:
    """The plots with nothing to show in the workspace: their table holds its header alone.

    Raises StudyError for a plot without data, unless the cache may lack it. plots: {name: drawings}
    of 'dvc plots show --json', which succeeds with no drawings then.
    """
    nothing = []
    for name, file in sources(pipeline):
        if any("workspace" in drawing["revisions"] for drawing in plots.get(name, ())):
            continue
        if Path(file).suffix == ".csv" and Path(file).exists() and holds_header(Path(file)):
            nothing.append(name)
            continue
        out = output_with(file, pipeline)
        if not (out and out.cached) or Path(file).exists():
            fix = make_again(out.stage) if out else "run 'dvc repro'"
            raise StudyError(f"plot '{name}': no data in {file}; {fix}")
    return nothing


def holds_header(table: Path) -> bool:
    """Whether a CSV file is a single line of column names: what it is about is not applicable."""
    with table.open("rb") as file:
        header, rest = file.readline(), file.read(1)
    return not rest and b"," in header and header.decode(errors="replace").strip().isprintable()


def lacking_plots(errors: Iterable[dict]) -> Lacking:
    """The plots whose data the cache lacks, those of the same revisions together.

    errors: of 'dvc plots diff --json', one or more for each plot and revision without data.
    """
    revisions: dict[str, dict[str, bool]] = defaultdict(dict)
    for error in errors:
        revisions[error["name"]][error["rev"]] = True
    lacking: Lacking = defaultdict(list)
    for name, of_plot in revisions.items():
        lacking[tuple(of_plot)].append(name)
    return lacking


def notes(lacking: Lacking, nothing: list[str]) -> list[str]:
    """A paragraph each that says which plots are missing, and which have nothing to show."""
    remarks = [f"Plots {missing(lacking, code)}."] if lacking else []
    if nothing:
        names = ", ".join(map(code, nothing))
        remarks.append(f"Plots with nothing to show, for it is not applicable: {names}.")
    return remarks


def missing(lacking: Lacking, quote: Callable[[str], str]) -> str:
    """Which plots are missing, and how to get them; quote: how the name of one is written."""
    groups = [
        f"missing from the cache ({', '.join(revisions)}): {', '.join(map(quote, names))}"
        for revisions, names in lacking.items()
    ]
    return f"{'; '.join(groups)}; run 'dvc pull' or 'dvc repro'"


# --- the two sides ------------------------------------------------------------------------------


def read_sides(base: str) -> tuple[Side, Side]:
    """What the base and the workspace hold, as DVC says; raises StudyError where it cannot."""
    params = json.loads(dvc("params", "diff", base, "--all", "--json"))
    metrics = json.loads(dvc("metrics", "diff", base, "--all", "--json"))
    sides = []
    for name, revision, column in ((base, base, "old"), (HERE, None, "new")):
        files = DVCFileSystem(".", rev=revision)
        sides.append(
            Side(
                name,
                side_of(params, column),
                side_of(metrics, column),
                checksums(yaml.safe_load(read_text(files, "dvc.lock") or "")),
                claims_of(read_text(files, CLAIMS)),
                read_predictions(files),
                read_encoder(files),
            )
        )
    base_side, here = sides
    return base_side, here


def read_workspace() -> Side:
    """What the workspace holds, where there is nothing to compare it with."""
    content = json.loads(dvc("metrics", "show", "--json"))[""]["data"]
    metrics = {
        f"{Path(file).stem}.{key}": value
        for file, of_file in content.items()
        for key, value in flat(of_file["data"]).items()
    }
    return Side(HERE, metrics=metrics, claims=claims_of(read_text(DVCFileSystem("."), CLAIMS)))


def side_of(diff: dict, column: str) -> dict[str, Any]:
    """{name: value} of one side of 'dvc params diff --json' or 'dvc metrics diff --json'.

    A metric is named after its stage, which is the name of its file, as a param is already.
    """
    return {
        (f"{Path(file).stem}." if file.endswith(".json") else "") + key: value[column]
        for file, values in diff.items()
        for key, value in values.items()
        if value[column] is not None
    }


def checksums(lock: dict | None) -> dict[str, str]:
    """{output: its checksum} of a dvc.lock."""
    stages = (lock or {}).get("stages", {}).values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}


def read_bytes(files: DVCFileSystem, file: Path | str) -> bytes | None:
    """A file of a revision, from git, the cache or a remote; None where none of these has it."""
    try:
        return files.read_bytes(str(file))
    except (OSError, KeyError, DvcException, DataIndexDirError):  # the last: of a folder's list
        return None


def read_text(files: DVCFileSystem, file: Path | str) -> str | None:
    content = read_bytes(files, file)
    return None if content is None else content.decode(errors="replace")


def read_predictions(files: DVCFileSystem) -> pd.DataFrame | None:
    """The predictions of a revision; None where they are missing, or of another format."""
    content = read_bytes(files, PREDICTIONS_FILE)
    if content is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PREDICTIONS_FILE.name
        file.write_bytes(content)
        try:
            return read_parquet(file, PREDICTIONS, "classify").rows
        except StudyError:
            return None


def read_encoder(files: DVCFileSystem) -> dict:
    """The contents of encoder.json of a revision; empty where they are missing."""
    try:
        content = json.loads(read_text(files, ENCODER) or "")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


if __name__ == "__main__":
    report()
