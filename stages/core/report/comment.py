"""The comment for a pull request, in Markdown as GitHub renders it."""

from collections.abc import Iterable, Mapping

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.verdicts import VERDICTS
from stages.core.report.changes import AccuracyChange, Flip, RatioChange, verdict_counts
from stages.core.report.comparison import (
    Change,
    Comparison,
    is_certain,
    news,
    points,
)
from stages.core.report.markdown import (
    code,
    folded,
    html_code,
    plain,
    shown,
    table,
    warning,
)
from stages.core.report.sides import HERE, Side
from stages.core.runtime.wording import count
from stages.core.topology.distances import DIAGRAM_DISTANCES

MARKER = "<!-- report of the study -->"  # by which the earlier comment is found
PLOTS = "## Plots"  # what a summary without pictures ends before
MOST_METRICS = 200  # GitHub takes no comment of more than 65,536 characters
MOST_FLIPS = 60
NAMED_PARAMS = 4
ACCURACIES = ("_top", "accuracy@", "mean_per_class")  # in names of metrics that are accuracies

BASELINES = {
    "draws": "of two draws of the same noise",
    "halves": "of two halves of the clean class",
}
ARROW = " → "


def comment(
    text: str, pictures: Mapping[str, str], same: Iterable[str], remarks: Iterable[str]
) -> str:
    """A hidden marker, what changed, which plots are missing, then the pictures.

    text: of `changes_text` or `alone_text`. pictures: {plot: file}; same: the plots that are
    identical on both sides, which are folded, as all others but the first.
    """
    same = set(same)
    differ = [name for name in pictures if name not in same]
    shown_first = [f"![{name}]({pictures[name]})" for name in differ[:1]]
    groups = (
        (f"{count(len(differ) - 1, 'more plot')}", differ[1:]),
        (f"{count(len(same), 'plot')}, identical in both", [n for n in pictures if n in same]),
    )
    parts = [
        folded(summary, "\n\n".join(f"![{name}]({pictures[name]})" for name in names))
        for summary, names in groups
        if names
    ]
    return "\n\n".join([MARKER, text, PLOTS, *remarks, *shown_first, *parts]) + "\n"


def changes_text(found: Comparison) -> str:
    """What changed: the news, why the sides are not comparable, verdicts, accuracy, distances."""
    base = found.base.name
    parts = [
        f"## The study: the workspace against {code(base)}",
        f"**{news(found)}**",
        test_part(found),
    ]
    if not found.identical:
        parts += [
            verdicts_part(found),
            accuracy_part(found),
            ratios_part(found),
            params_part(found),
            metrics_part(found),
        ]
    return "\n\n".join(filter(None, parts))


def test_part(found: Comparison) -> str:
    """A warning of what makes two tests of it, and what follows for the numbers below."""
    same = found.same
    reasons = [*same.data, *same.noise, *same.levels]
    lines = []
    if reasons:
        what = (
            "Numbers of both stand side by side, without differences."
            if same.data
            else "Differences are given on clean images alone."
            if same.noise
            else "Differences are given at the levels that both have."
        )
        lines = [f"**Not the same test.** {what}", "", *(f"- {reason}" for reason in reasons)]
    for remark in same.remarks:
        lines += [*([""] if lines else []), f"Mind: {remark}."]
    return warning(lines) if lines else ""


# --- verdicts -----------------------------------------------------------------------------------


def verdicts_part(found: Comparison) -> str:
    """The claims whose verdict is another."""
    flips, of, alone = found.verdicts
    if not of:
        return ""
    lines = ["### Verdicts that changed" if flips else "### Verdicts"]
    if flips:
        head = ("claim", "statement", code(found.base.name), HERE)
        lines.append(table(head, map(flip_row, flips[:MOST_FLIPS])))
    lines.append(f"{totals(found)}.")
    if alone:
        of_each = ", ".join(f"{n} in {code(side)}" for side, n in alone.items())
        lines.append(f"Asked on one side alone: {of_each}.")
    return "\n\n".join(lines)


def flip_row(flip: Flip) -> tuple[str, ...]:
    return (
        flip.number,
        plain(flip.statement),
        with_numbers(flip.base, flip.base_decided_by),
        f"**{flip.here}**{numbers(flip.here_decided_by)}",
    )


def with_numbers(verdict: str, decided_by: str) -> str:
    return f"{verdict}{numbers(decided_by)}"


def numbers(decided_by: str) -> str:
    return f" ({plain(decided_by)})" if decided_by else ""


def totals(found: Comparison) -> str:
    """How many claims have each verdict on each side."""
    sides = [(code(found.base.name), found.base), ("here", found.here)]
    texts = [
        f"{name} {', '.join(f'{n} {verdict}' for verdict, n in counts.items() if n)}"
        for name, side in sides
        if (counts := verdict_counts(side))
    ]
    return f"In all: {'; '.join(texts)}"


# --- accuracy -----------------------------------------------------------------------------------


def accuracy_part(found: Comparison) -> str:
    """Accuracy of the leading classifier, and folded that of the others."""
    if not found.accuracy:
        return ""
    others: dict[str, list[AccuracyChange]] = {}
    for each in found.accuracy:
        if each.classifier != found.leading:
            others.setdefault(each.classifier, []).append(each)
    parts = ["### Accuracy"]
    if found.leading:
        parts += [f"Top-1 of {CLASSIFIERS[found.leading].label}, in %, differences in points."]
        parts += [accuracy_table(found.of_leading, found)]
    parts.append(remark_on_intervals(found))
    if others:
        labels = ", ".join(CLASSIFIERS[name].label for name in others)
        tables = (
            f"Top-1 of {CLASSIFIERS[name].label}\n\n{accuracy_table(changes, found)}"
            for name, changes in others.items()
        )
        parts.append(folded(f"Accuracy of {labels}", "\n\n".join(tables)))
    return "\n\n".join(filter(None, parts))


def accuracy_table(changes: list[AccuracyChange], found: Comparison) -> str:
    """A row per noise level; the difference is in bold where its interval leaves 0 out."""
    paired = any(each.interval for each in changes)
    head = ["noise", code(found.base.name), HERE, "difference"]
    head += [f"{found.confidence} interval"] if paired else []
    rows = []
    for each in changes:
        row = [f"{each.level:g}", in_percent(each.base), in_percent(each.here)]
        difference = "" if each.difference is None else points(each.difference)
        row.append(
            f"**{difference}**" if difference and each.interval and is_certain(each) else difference
        )
        if paired:
            row.append(
                f"{points(each.interval.low)} to {points(each.interval.high)}"
                if each.interval
                else ""
            )
        rows.append(row)
    return table(head, rows, "r" * len(head))


def in_percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def remark_on_intervals(found: Comparison) -> str:
    """How the intervals of differences were found, or why there are none."""
    if any(each.interval for each in found.accuracy):
        return (
            "Each interval is paired: of the answers of both sides to the same "
            f"{count(tested(found.here), 'test image')}."
        )
    if not any(each.difference is not None for each in found.accuracy):
        return ""
    lacking = [side.name for side in (found.base, found.here) if side.predictions is None]
    if not lacking:
        return "No intervals: the two sides were not asked about the same test images."
    names = " and ".join(map(code, lacking))
    return (
        f"No intervals: they need the predictions of both sides, and those of {names} are not in "
        "DVC's cache; `dvc pull` brings them, where they were pushed."
    )


def tested(side: Side) -> int:
    return side.predictions["id"].nunique() if side.predictions is not None else 0


# --- distances ----------------------------------------------------------------------------------


def ratios_part(found: Comparison) -> str:
    """Distances of clean and noisy diagrams in units of their baseline: a row per level."""
    if not found.ratios:
        return ""
    columns = list(dict.fromkeys((each.dim, each.metric) for each in found.ratios))
    head = ["noise", *(f"{distance_label(metric)}, H{dim}" for dim, metric in columns)]
    levels = list(dict.fromkeys(each.level for each in found.ratios))
    # An arrow says that one became the other, which numbers of two tests did not.
    between = ARROW if all(map(found.same.at, levels)) else " / "
    cells = {(each.level, each.dim, each.metric): each for each in found.ratios}
    rows = [
        [f"{level:g}", *(ratio_cell(cells.get((level, *column)), between) for column in columns)]
        for level in levels
    ]
    baseline = found.ratios[0].baseline
    of = BASELINES.get(baseline, f"of {baseline}")
    told = (
        f"Between a class's clean and noisy diagram, in units of the distance {of}, median over "
        f"classes: {code(found.base.name)}{between}{HERE}."
    )
    return "\n\n".join(
        ["### Distances over their baseline", told, table(head, rows, "r" * len(head))]
    )


def distance_label(metric: str) -> str:
    known = DIAGRAM_DISTANCES.get(metric)
    return known.label if known else metric


def ratio_cell(ratio: RatioChange | None, between: str) -> str:
    """'1.11 → 1.38', or one number where both sides show it, 'none' where a side lacks it."""
    if ratio is None:
        return ""
    a, b = ("none" if value is None else f"{value:.3g}" for value in (ratio.base, ratio.here))
    return a if a == b else f"{a}{between}{b}"


# --- the rest, folded ---------------------------------------------------------------------------


def params_part(found: Comparison) -> str:
    """The params that differ; their names are to be seen without a click."""
    if not found.params:
        return "No param differs."
    rows = [(code(each.name), shown(each.base), shown(each.here)) for each in found.params]
    names = ", ".join(html_code(each.name) for each in found.params[:NAMED_PARAMS])
    more = ", ..." if len(found.params) > NAMED_PARAMS else ""
    verb = "differs" if len(rows) == 1 else "differ"
    return folded(
        f"{count(len(rows), 'param')} {verb}: {names}{more}",
        table(("param", code(found.base.name), HERE), rows),
    )


def metrics_part(found: Comparison) -> str:
    """The metrics that differ, the largest relative change first, MOST_METRICS in all."""
    if not found.metrics:
        return "No metric differs."
    ordered = sorted(found.metrics, key=lambda each: (-each.relative, each.name))
    parts = [
        table(
            ("metric", code(found.base.name), HERE, "difference"),
            map(metric_row, ordered[:MOST_METRICS]),
        )
    ]
    if left := len(ordered[MOST_METRICS:]):
        rest = code(f"dvc metrics diff {found.base.name}")
        parts.append(f"{left:,} more: see {rest}.")
    if not all(each.comparable for each in ordered):
        parts.append("No difference is given of numbers that are not of the same test.")
    verb = "differs" if len(ordered) == 1 else "differ"
    return folded(
        f"{count(len(ordered), 'metric')} {verb}, the largest relative change first",
        "\n\n".join(parts),
    )


def metric_row(change: Change) -> tuple[str, ...]:
    difference = ""
    if change.difference is not None:
        difference = f"{change.difference:+.4g}"
        if any(part in change.name for part in ACCURACIES):
            difference = f"{points(change.difference)} points"
    return code(change.name), shown(change.base), shown(change.here), difference


def alone_text(here: Side, base: str) -> str:
    """The workspace, where there is nothing to compare it with."""
    parts = [
        "## The study: the workspace alone",
        f"**There is no revision {code(base)} to compare with.**",
    ]
    if counts := verdict_counts(here):
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        parts.append(f"Verdicts: {told}.")
    rows = [(code(key), shown(value)) for key, value in here.metrics.items()]
    parts.append(folded(count(len(rows), "metric"), table(("metric", HERE), rows)))
    return "\n\n".join(parts)
