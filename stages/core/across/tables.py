"""The table of runs: for a terminal, in Markdown, LaTeX and CSV, and by CLIP_benchmark's names."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import pandas as pd

from stages.core.across.runs import Run, common_classifier, differing
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.verdicts import FAILS, HOLDS, NOT_APPLICABLE, UNDECIDED
from stages.core.report.markdown import plain, table

WIDTH = 100  # of a terminal, in columns
GAP = " "
LEAST_COLUMN = 8  # of words, which are wrapped
SIGNS = {HOLDS: "+", FAILS: "-", UNDECIDED: "?", NOT_APPLICABLE: ""}
LEGEND = "follows, adds: + holds, - fails, ? undecided"
QUESTION = ("follows", "adds")
# Of CLIP_benchmark ('clip_benchmark build'): the columns of its tables that a run can fill.
BENCHMARK_COLUMNS = (
    "dataset",
    "model",
    "pretrained",
    "model_fullname",
    "task",
    "language",
    "acc1",
    "acc5",
    "mean_per_class_recall",
    "lp_acc1",
)
# What LaTeX would take for a command.
TEX = str.maketrans(
    {char: f"\\{char}" for char in "#$%&_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)


def runs_table(runs: Sequence[Run], classifier: str | None) -> pd.DataFrame:
    """A row per run: what differs first, then accuracy, drift, distances and verdicts.

    Columns: run; those of `differing`; classifier; for the k-th noise level (0 is clean) level_k,
    accuracy_k with its ends low_k and high_k, and of noisy ones drift_k, 1 - cosine of noisy and
    clean embeddings, and distance_k, that of clean and noisy diagrams over its baseline;
    distance, which one that is, and over which baseline; follows and adds. classifier: None for the
    first that all runs have.
    """
    shared = classifier or common_classifier(runs)
    said = differing(runs)
    rows = []
    for i, run in enumerate(runs):
        key = shared if shared in run.classifiers else next(iter(run.classifiers), None)
        row: dict[str, object] = {"run": run.name, **{name: said[name][i] for name in said}}
        row["classifier"] = CLASSIFIERS[key].label if key else ""
        distance, distances = distances_of(run)
        for k, level in enumerate(run.levels):
            row |= {f"level_{k}": level, f"accuracy_{k}": run.at(level, f"{key}_top1")}
            row |= {f"{end}_{k}": run.at(level, f"{key}_top1_{end}") for end in ("low", "high")}
            if level > 0:
                row[f"drift_{k}"] = run.headline(f"drift@{level:g}")
                row[f"distance_{k}"] = distances.get(level)
        row["distance"] = distance
        row |= {
            does: run.metrics.get(f"claims.topology_{does}_{key}.verdict", "") for does in QUESTION
        }
        rows.append(row)
    found = pd.DataFrame(rows)
    fixed = ["run", *said, "classifier"]
    numbered = [name for name in found if re.fullmatch(r"\w+_\d+", str(name))]
    by_number = sorted(numbered, key=lambda name: int(name.rpartition("_")[2]))
    return found[[*fixed, *by_number, "distance", *QUESTION]]


def distances_of(run: Run) -> tuple[str, dict[float, float]]:
    """Which distance of diagrams the headline of a run tells, and {level: distance}."""
    found, what = {}, ""
    for key, value in run.metrics.items():
        match = re.fullmatch(r"headline\.(\w+)_h(\d)_over_(\w+)@([\d.]+)", key)
        if match:
            what = f"{match[1]} H{match[2]} over {match[3]}"
            found[float(match[4])] = value
    return what, found


# --- for readers --------------------------------------------------------------------------------


def accuracy_columns(found: pd.DataFrame) -> list[int]:
    """The numbers of the noise levels that runs have, 0 being the clean one."""
    return sorted(int(str(name)[9:]) for name in found if str(name).startswith("accuracy_"))


def as_text(found: pd.DataFrame) -> str:
    """The table for a terminal, at most WIDTH wide; the second line of a run is for intervals.

    Accuracy in percent, clean and at the first, a middle and the last noise level; drift and
    distance at the last one. What differs is wrapped where names are long, and its
    last columns go where that is not enough.
    """
    ks = accuracy_columns(found)
    shown = ks if len(ks) <= 4 else [ks[0], ks[1], ks[len(ks) // 2], ks[-1]]
    said = described(found)
    head = ["run", *said]
    cells = [[[str(row[name])] for name in head] for row in records(found)]
    # What differs gets what the numbers leave.
    numbers = [*("clean" if k == 0 else f"level {k}" for k in shown), "drift", "dist.", *QUESTION]
    for line, row in zip(cells, records(found), strict=True):
        for k in shown:
            line.append([percent(row[f"accuracy_{k}"]), ends(row, k)])
        last = max((k for k in ks if present(row[f"accuracy_{k}"])), default=0)
        line += [[decimals(row.get(f"{name}_{last}"))] for name in ("drift", "distance")]
        line += [[SIGNS.get(str(row[does]), "")] for does in QUESTION]
    return fitted([*head, *numbers], cells, len(head))


def fitted(head: list[str], cells: list[list[list[str]]], texts: int) -> str:
    """Lines at most WIDTH wide; the first `texts` columns are words, wrapped where they must be."""
    widths = [
        max(len(part) for part in [name, *(part for line in cells for part in line[i])])
        for i, name in enumerate(head)
    ]
    while sum(widths) + len(GAP) * (len(widths) - 1) > WIDTH:
        longest = max(range(texts), key=lambda i: widths[i])
        if widths[longest] <= LEAST_COLUMN:
            # Nothing is left to wrap: the least of what differs goes.
            if texts <= 1:
                break
            head, widths = drop(head, texts - 1), drop(widths, texts - 1)
            cells = [drop(line, texts - 1) for line in cells]
            texts -= 1
            continue
        widths[longest] -= 1
    lines = []
    for line in [[[name] for name in head], *cells]:
        parts = [
            [piece for text in cell for piece in pieces(text, width)] if i < texts else cell
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for row in zip_longest(*parts, fillvalue=""):
            padded = (
                part.ljust(width) if i < texts else part.rjust(width)
                for i, (part, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines)


def pieces(text: str, width: int) -> list[str]:
    """A text in lines of a width, broken at blanks and hyphens where it can be."""
    return textwrap.wrap(text, width) or [""]


def drop(values: list, place: int) -> list:
    return values[:place] + values[place + 1 :]


def as_markdown(found: pd.DataFrame) -> str:
    """The whole table in Markdown."""
    head, rows = full(found)
    words = len(described(found)) + 2
    align = "l" * words + "r" * (len(head) - words - len(QUESTION)) + "l" * len(QUESTION)
    return table(map(plain, head), ([plain(cell) for cell in row] for row in rows), align)


def as_latex(found: pd.DataFrame) -> str:
    """The whole table as a tabular of LaTeX, with the rules of booktabs."""
    head, rows = full(found)
    lines = [f"{' & '.join(cell.translate(TEX) for cell in row)} \\\\" for row in (head, *rows)]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{'l' * len(head)}}}",
            "\\toprule",
            lines[0],
            "\\midrule",
            *lines[1:],
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def full(found: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Names and cells of the whole table for readers: accuracy in percent with its interval."""
    ks, said = accuracy_columns(found), described(found)
    head = ["run", *said, "accuracy of"]
    for k in ks:
        head += ["clean (%)"] if k == 0 else [f"level {k}", f"at level {k} (%)"]
    noisy = ks[1:]
    head += [f"{what} at {k}" for k in noisy for what in ("drift", "distance")] + [*QUESTION]
    rows = []
    for row in records(found):
        cells = [row["run"], *(row[name] for name in said), row["classifier"]]
        for k in ks:
            cells += [] if k == 0 else [decimals(row[f"level_{k}"])]
            interval = ends(row, k)
            accuracy = percent(row[f"accuracy_{k}"])
            cells.append(f"{accuracy} ({interval})" if interval else accuracy)
        for k in noisy:
            cells += [decimals(row.get(f"{what}_{k}")) for what in ("drift", "distance")]
        rows.append([*map(str, cells), *(str(row[does]) for does in QUESTION)])
    return head, rows


def described(found: pd.DataFrame) -> list[str]:
    """The columns of what differs between runs."""
    names = [str(name) for name in found]
    return names[1 : names.index("classifier")]


def records(found: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


def present(value: object) -> bool:
    return isinstance(value, float | int) and not pd.isna(value)


def percent(share: object) -> str:
    return f"{100 * share:.1f}" if isinstance(share, float | int) and present(share) else ""


def ends(row: dict[str, object], k: int) -> str:
    """The interval of an accuracy: '89.9-92.5'."""
    low, high = percent(row[f"low_{k}"]), percent(row[f"high_{k}"])
    return f"{low}-{high}" if low and high else ""


def decimals(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float | int) and present(value) else ""


# --- CLIP_benchmark -----------------------------------------------------------------------------


def benchmark_table(runs: Iterable[Run]) -> pd.DataFrame:
    """Accuracy with CLIP_benchmark's column names, a row per run, noise level and task.

    As 'clip_benchmark build' writes them: zeroshot_classification with acc1, acc5 and
    mean_per_class_recall, linear_probe with lp_acc1; what a task does not measure is empty. Images
    with noise are a data set of their own, named after kind and level: 'dtd-gaussian-0.50'.
    """
    rows: list[dict[str, object]] = []
    for run in runs:
        model, weights = (run.about[name] for name in ("model", "weights"))
        for level in run.levels:
            source = run.about["data set"]
            name = f"{source}-{run.noise[0]}-{level:.2f}" if level > 0 else source
            about: dict[str, object] = {
                "dataset": name,
                "model": model,
                "pretrained": weights,
                "model_fullname": f"{model} {weights}".strip(),
                "language": "en",
            }
            if (acc1 := run.at(level, "zero_shot_top1")) is not None:
                rows.append(
                    about
                    | {
                        "task": "zeroshot_classification",
                        "acc1": acc1,
                        "acc5": run.at(level, "zero_shot_top5"),
                        "mean_per_class_recall": run.at(level, "zero_shot_mean_per_class"),
                    }
                )
            if (probe := run.at(level, "probe_top1")) is not None:
                rows.append(about | {"task": "linear_probe", "lp_acc1": probe})
    return pd.DataFrame(rows, columns=list(BENCHMARK_COLUMNS))
