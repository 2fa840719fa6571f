"""Compare the workspace with a base revision, for a reader of a pull request.

| output | holds |
| --- | --- |
| comment.md | the parameters and metrics that changed, and the plots, for a comment |
| <plot>.png | the plots that dvc.yaml draws from tables |
| page.html | all of it and the pictures of the stages in one file, which opens with no network |
| vega.js | with which the pages of 'dvc plots show' and 'dvc plots diff' need no network either |

Everything is read by DVC from what git and the cache hold; nothing is computed. What the cache
lacks, as in a fresh clone, is named and left out. A lock that does not fit the code, the params or
the tables, and a plot of which git should hold the data and does not, are refused.
"""

import base64
import html
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import vl_convert
import yaml
from markdown_it import MarkdownIt

from stages.core.runtime.errors import StudyError, one_line
from stages.core.runtime.files import make_again, read_json, whole_folder

MARKER = "<!-- report of the study -->"  # by which the earlier comment is found
FOLDER = Path("report")
PAGE = Path(".dvc/page.html")
LOCAL_VEGA = f'<script src="../{FOLDER}/vega.js"></script>'  # in PAGE
# What the study is about comes first among the metrics.
HEADLINE = "headline."
FIRST_METRICS = 16
MOST_METRICS = 300  # GitHub takes no comment of more than 65,536 characters
PICTURE_SCALE = 1.5
OF_DVC = {"filename", "field"}  # columns that DVC adds to every row, and no template here reads

Change = tuple[str, Any, Any]  # (name, value in the base, value in the workspace)
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
    with tempfile.TemporaryDirectory() as pictures:
        command = ["diff", base] if known else ["show"]
        found = json.loads(dvc("plots", *command, "--json", "--out", pictures))
        plots = found["data"]
        nothing = require_data(plots, pipeline)
        specs = {name: plot[0]["content"] for name, plot in plots.items() if is_drawn(plot)}
        images = {
            f"{name}, {image['revisions'][0]}": Path(image["url"]).read_bytes()
            for name, plot in plots.items()
            if not is_drawn(plot)
            for image in plot
        }
    tables = describe_changes(base) if known else describe_workspace(base)
    lacking = lacking_plots(found.get("errors", ()))
    remarks = notes(lacking, nothing)
    vega = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    with whole_folder(FOLDER, "report") as folder:
        (folder / "vega.js").write_text(vega)
        (folder / "page.html").write_text(page(tables, specs, images, vega, remarks))
        (folder / "comment.md").write_text(comment(tables, specs, remarks))
        for name, spec in specs.items():
            picture = vl_convert.vegalite_to_png(spec, scale=PICTURE_SCALE)
            (folder / file_name(name)).write_bytes(picture)
    against = f"against {base}" if known else f"alone ({base}: no such revision)"
    click.echo(f"{FOLDER}: the workspace {against}; open {FOLDER}/page.html")
    if lacking:
        click.echo(f"{FOLDER}: plots {missing(lacking, repr)}")


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


# --- what is written ----------------------------------------------------------------------------


def describe_changes(base: str) -> str:
    """Markdown: the params and the metrics in which the workspace differs from the base."""
    params = list(changes(json.loads(dvc("params", "diff", base, "--json"))))
    metrics = list(changes(json.loads(dvc("metrics", "diff", base, "--json"))))
    return "\n\n".join(
        [
            f"## The study: the workspace against {code(base)}",
            f"### Params\n\n{changes_table(params, base)}",
            f"### Metrics\n\n{metrics_part(metrics, base)}",
        ]
    )


def metrics_part(metrics: list[Change], base: str) -> str:
    """Markdown: the changes of most interest, then the others folded, MOST_METRICS in all."""
    metrics = sorted(metrics, key=by_interest)
    parts = [changes_table(metrics[:FIRST_METRICS], base)]
    if more := metrics[FIRST_METRICS:MOST_METRICS]:
        summary = f"{len(more)} more metrics, the largest relative change first"
        parts.append(folded(summary, changes_table(more, base)))
    if left := len(metrics[MOST_METRICS:]):
        parts.append(f"{left} more are told by {code(f'dvc metrics diff {base}')}.")
    return "\n\n".join(parts)


def describe_workspace(base: str) -> str:
    """Markdown: the metrics of the workspace, where there is no base."""
    files = json.loads(dvc("metrics", "show", "--json"))[""]["data"]
    metrics = [
        (f"{Path(file).stem}.{key}", value)
        for file, content in files.items()
        for key, value in scalars(content["data"])
    ]
    return "\n\n".join(
        [
            "## The study: the workspace alone",
            f"There is no revision {code(base)} to compare with.",
            folded(
                f"{len(metrics)} metrics",
                table(("metric", "workspace"), [(code(key), shown(v)) for key, v in metrics]),
            ),
        ]
    )


def changes(diff: dict) -> Iterator[Change]:
    """The changes of 'dvc params diff --json' or 'dvc metrics diff --json'.

    A metric is named after its stage, which is the name of its file, as a param is already.
    """
    for file, values in diff.items():
        prefix = f"{Path(file).stem}." if file.endswith(".json") else ""
        for key, value in values.items():
            yield prefix + key, value["old"], value["new"]


def by_interest(change: Change) -> tuple:
    """The sorting key of a metric: the headline first, then by relative change."""
    name = change[0]
    if name.startswith(HEADLINE):
        return 0, 0, name
    return 1, -relative_change(change), name


def relative_change(change: Change) -> float:
    """By which share of the larger value a number changed, 0 to 2; 0 for what is no number."""
    _, old, new = change
    if not (isinstance(old, int | float) and isinstance(new, int | float)):
        return 0.0
    return abs(new - old) / (max(abs(old), abs(new)) or 1)


def changes_table(found: list[Change], base: str) -> str:
    """A Markdown table of changes, or a word where there are none."""
    rows = []
    for name, old, new in found:
        percent = ""
        if relative_change((name, old, new)) and old:
            percent = f"{100 * (new - old) / abs(old):+.3g}%"
        rows.append((code(name), shown(old), shown(new), percent))
    return table(("name", code(base), "workspace", "change"), rows) if rows else "None changed."


def scalars(content: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of nested metrics."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from scalars(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def comment(tables: str, specs: dict[str, dict], remarks: list[str]) -> str:
    """Markdown: a hidden marker, the tables, which plots are missing, then the pictures.

    All pictures but the first are folded.
    """
    pictures = [f"![{name}]({file_name(name)})" for name in specs]
    if others := pictures[1:]:
        pictures[1:] = [folded(f"{len(others)} more plots", "\n\n".join(others))]
    return "\n\n".join([MARKER, tables, "## Plots", *remarks, *pictures]) + "\n"


def page(
    tables: str,
    specs: dict[str, dict],
    images: dict[str, bytes],
    vega: str,
    remarks: list[str],
) -> str:
    """The page as one file: the tables, the plots drawn by the script `vega`, the images."""
    written = "\n\n".join([tables, *remarks])
    sections = [MarkdownIt("commonmark").enable("table").render(written)]
    for i, spec in enumerate(specs.values()):
        rows = [
            {key: value for key, value in row.items() if key not in OF_DVC}
            for row in spec["data"]["values"]
        ]
        content = json.dumps(spec | {"data": spec["data"] | {"values": rows}})
        content = content.replace("</", "<\\/")  # it would end the script
        sections.append(
            f'<div id="plot-{i}" class="plot"></div>\n'
            f"<script>vegaEmbed('#plot-{i}', {content});</script>"
        )
    for title, data in images.items():
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        sections.append(
            f'<figure><figcaption>{html.escape(title)}</figcaption><img src="{source}"></figure>'
        )
    return (
        PAGE.read_text()
        .replace(LOCAL_VEGA, f"<script>{vega}</script>")
        .replace("{scripts}", "")
        .replace("{refresh_tag}", "")
        .replace("{plot_divs}", "\n".join(sections))
    )


# --- Markdown -----------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head), *(tuple(row) for row in rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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


def folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def shown(value: object) -> str:
    if value is None:
        return ""
    return code(f"{value:.4g}" if isinstance(value, float) else json.dumps(value))


def code(text: str) -> str:
    """A code span, in which nothing acts: no markup, no mention of a user, no end of a table."""
    return f"`{text.replace('`', '').replace('|', '')}`"


def is_drawn(plot: list[dict]) -> bool:
    """Whether a plot is drawn from a table, and not a picture that a stage made."""
    return bool(plot) and plot[0]["type"] == "vega"


def file_name(name: str) -> str:
    """Of a plot's picture: 'Confusion, clean' -> 'confusion-clean.png'."""
    words = "".join(c if c.isalnum() or c == "-" else " " for c in name.lower()).split()
    return f"{'-'.join(words)}.png"


if __name__ == "__main__":
    report()
