"""Hold what was once read off pictures against the numbers: effects, uncertainties, verdicts.

| output | holds |
| --- | --- |
| claims.csv | a row per claim: statement, verdict, the rule it follows from, and its numbers |
| neighbours.csv, closest_pairs.csv, bars.csv, loops.csv, growth.csv, accuracy_steps.csv, | the |
| correlations.csv | numbers behind them |
| neighbours.png, ... | a picture of each of these tables |

The claims, their statistics and the rules of their verdicts are those of stages/core/claims.
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.core.claims import (
    accuracy_steps,
    bars,
    closest_pairs,
    neighbours,
    question,
    trends,
)
from stages.core.claims.finding import NUMBERS, VERDICTS, Finding
from stages.core.claims.sources import Sources, read_sources
from stages.core.figures.claims import draw
from stages.core.figures.style import save_figure
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import whole_files, write_csv, write_json
from stages.core.runtime.randomness import generator_for
from stages.core.topology.summaries import summarise
from stages.settings.claims import ClaimsParams

Tables = dict[str, pd.DataFrame]


@stage(ClaimsParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--diagrams", "data/diagrams", "The folder of the diagrams.")
@path_option("--predictions", "data/predictions.parquet", "Every prediction of classify.")
@path_option("--distances", "data/distances.parquet", "Every distance of distances.")
@path_option("--angles", "data/angles", "The folder of the angles.")
@path_option("--metrics", "metrics/claims.json", "Where the metrics go.")
@path_option("--plots", "plots/claims", "Where tables and pictures go.")
def claims(
    params: ClaimsParams,
    embeddings: Path,
    diagrams: Path,
    predictions: Path,
    distances: Path,
    angles: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Decide every claim about topology and accuracy, with an effect and its uncertainty."""
    sources = read_sources(embeddings, diagrams, distances, predictions, angles)
    tables: Tables = {}
    findings: list[Finding] = []
    with threadpool_limits(1):
        for decide in (_neighbours, _closest_pairs, _bars, _trends, _accuracy_steps, _question):
            of_claim, decided = decide(sources, params)
            tables |= of_claim
            findings += decided

    with whole_files(plots) as folder:
        write_csv(folder / "claims.csv", findings_table(findings))
        for name, table in tables.items():
            write_csv(folder / f"{name}.csv", table)
        for name, figure in draw(tables, params.confidence):
            save_figure(figure, folder / f"{name}.png")
    write_json(metrics, headline(findings))
    for finding in findings:
        click.echo(described(finding))
    counts = {verdict: sum(one.verdict == verdict for one in findings) for verdict in VERDICTS}
    click.echo("; ".join(f"{count} {verdict}" for verdict, count in counts.items()))


def _neighbours(sources: Sources, params: ClaimsParams) -> tuple[Tables, list[Finding]]:
    clean = _clouds(sources)[0.0]
    classes = list(clean)
    ranks = None
    if set(neighbours.PAIR) <= set(classes):
        drawn = neighbours.samples(
            clean, params.images_per_class, params.projection_seeds, params.seed
        )
        ranks = neighbours.ranks_by_space(drawn)
    return (
        {"neighbours": neighbours.ranks_table(ranks, classes)},
        neighbours.findings(ranks, classes, params.confidence),
    )


def _closest_pairs(sources: Sources, params: ClaimsParams) -> tuple[Tables, list[Finding]]:
    if not sources.in_feature_space:
        why_not = "angles.space is 'sample', the usual mistake"
        nothing = pd.DataFrame(columns=closest_pairs.COLUMNS)
        return {"closest_pairs": nothing}, closest_pairs.findings_without_angles(why_not)
    clean, ranks = _clouds(sources)[0.0], sources.ranks()
    halves = closest_pairs.half_sample_angles(
        clean, ranks, sources.centred, params.half_samples, params.seed
    )
    shuffled = {
        pair: closest_pairs.shuffled_angles(
            clean, ranks, sources.centred, pair, params.half_samples, params.seed
        )
        for pair in closest_pairs.PAIRS
        if set(pair) <= set(clean)
    }
    table = closest_pairs.ranks_table(sources.pairs, halves, shuffled, params.confidence)
    by_orientation = closest_pairs.zero_pairs_by_orientation(clean)
    return (
        {"closest_pairs": table},
        [
            *closest_pairs.pair_findings(table),
            closest_pairs.zero_finding(sources.pairs, by_orientation),
        ],
    )


def _bars(sources: Sources, params: ClaimsParams) -> tuple[Tables, list[Finding]]:
    clouds, levels = _clouds(sources), sources.embeddings.levels
    classes = [
        bars.ClassClouds(
            name,
            levels,
            [clouds[level][name] for level in levels],
            np.searchsorted(sources.embeddings.rows(name), sources.members[name]),
            [by_level[level] for level in levels],
        )
        for name, by_level in sources.diagrams.items()
    ]
    replicates, confidence = params.bootstrap_replicates, params.confidence
    table = bars.bars_table(classes, params.null_clouds, replicates, confidence, params.seed)
    generator = generator_for(params.seed, "claims", "components")
    return (
        {"bars": table},
        [
            *bars.component_findings(table, replicates, confidence, generator),
            *bars.loop_findings(table, confidence),
        ],
    )


def _trends(sources: Sources, params: ClaimsParams) -> tuple[Tables, list[Finding]]:
    has_loops = len(sources.diagrams[min(sources.diagrams)][0.0]) > 1
    loops = trends.loops_table(
        {
            name: {level: by_dim[1] for level, by_dim in by_level.items()}
            for name, by_level in sources.diagrams.items()
            if has_loops
        }
    )
    growth = trends.growth_table(sources.distances)
    return (
        {"loops": loops, "growth": growth},
        [
            *trends.loop_findings(loops, has_loops, params.confidence),
            *trends.growth_findings(sources.distances, growth, params.confidence),
        ],
    )


def _accuracy_steps(sources: Sources, params: ClaimsParams) -> tuple[Tables, list[Finding]]:
    steps = accuracy_steps.steps_table(sources.predictions, params.confidence)
    return {"accuracy_steps": steps}, accuracy_steps.findings(steps)


def _question(sources: Sources, params: ClaimsParams) -> tuple[Tables, list[Finding]]:
    clouds = {
        name: {level: by_class[name] for level, by_class in _clouds(sources).items()}
        for name in sources.diagrams
    }
    entropies = pd.DataFrame(
        {"class": name, "noise": level, "dim": dim, "entropy": summarise(diagram).entropy}
        for name, by_level in sources.diagrams.items()
        for level, by_dim in by_level.items()
        for dim, diagram in enumerate(by_dim)
    )
    measures = pd.concat(
        [
            question.cloud_measures(clouds, params.divergence_points, params.seed),
            question.diagram_measures(sources.distances, entropies),
            question.margin_measures(sources.predictions),
        ],
        ignore_index=True,
    )
    drops = question.accuracy_drops(sources.predictions)
    correlations = question.correlations_table(
        measures, drops, params.bootstrap_replicates, params.confidence, params.seed
    )
    tables = {"measures": measures, "drops": drops, "correlations": correlations}
    return tables, question.findings(correlations)


def _clouds(sources: Sources) -> dict[float, dict[str, np.ndarray]]:
    """{level: {class: (n, d)}}, draw 0, the classes in their order."""
    study = sources.embeddings
    arrays = {level: study.array(level) for level in study.levels}
    classes = [name for name in study.classes if len(study.rows(name))]
    return {
        level: {name: array[study.rows(name)] for name in classes}
        for level, array in arrays.items()
    }


def findings_table(findings: list[Finding]) -> pd.DataFrame:
    """One row per finding; the verdict follows from `holds_if` and `fails_if` and the numbers."""
    return pd.DataFrame(
        {
            "number": one.number,
            "claim": one.key,
            "statement": one.statement,
            "verdict": one.verdict,
            "holds_if": str(one.rule.holds_if),
            "fails_if": str(one.rule.fails_if),
            "decided_by": one.decided_by,
            **{name: getattr(one, name) for name in NUMBERS},
            "effect_is": one.effect_is,
            "units": one.units,
            "detail": one.detail,
        }
        for one in findings
    )


def headline(findings: list[Finding]) -> dict:
    """The metrics: how many claims have each verdict, and each claim's effect and interval.

    holds: 1 or 0; left out, as the effect is, where nothing is decided, or there is none.
    """
    result: dict = {
        verdict.replace(" ", "_"): sum(one.verdict == verdict for one in findings)
        for verdict in VERDICTS
    }
    for one in findings:
        scalars = {
            key: value
            for key in ("effect", "low", "high")
            if (value := getattr(one, key)) is not None
        }
        decided = {"holds": 1, "fails": 0}
        if one.verdict in decided:
            scalars["holds"] = decided[one.verdict]
        result[one.key] = {"verdict": one.verdict, **scalars}
    return result


def described(finding: Finding) -> str:
    """A finding in one line."""
    numbers = ""
    if finding.effect is not None:
        numbers = f": {finding.effect:.3g}"
    if finding.decided_by:
        numbers += f"; {finding.decided_by}, holds if {finding.rule.holds_if}"
    because = f"; {finding.detail}" if finding.detail else ""
    return f"{finding.number} {finding.verdict}: {finding.statement}{numbers}{because}"


if __name__ == "__main__":
    claims()
