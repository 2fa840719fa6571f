"""Decide each claim that was once read off pictures, by an effect and its uncertainty.

| output | holds |
| --- | --- |
| <table>.parquet | the numbers behind the claims; see TABLES in stages/core/claims/registry.py |
| claims.csv | a row per claim: statement, verdict, the rule it follows from, and its numbers |
| correlations.csv | the table of that name, rounded |
"""

from pathlib import Path

import click
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.core.artifacts.tables import write_parquet
from stages.core.claims.finding import Finding, findings_table
from stages.core.claims.registry import CLAIMS, TABLES
from stages.core.claims.sources import Sources, read_sources
from stages.core.evaluation.verdicts import FAILS, HOLDS, VERDICTS, verdict_key
from stages.core.geometry.layouts import METHODS, seconds_of
from stages.core.geometry.projections import images_within
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import whole_files, write_csv, write_json
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.progress import parts_of_stage
from stages.core.runtime.wording import at_levels, classes_of, count
from stages.settings.claims import ClaimsParams
from stages.settings.project import ProjectParams

# On one core: a pair of points of a null cloud, and three images of a divergence.
SECONDS_A_NULL_PAIR, SECONDS_A_TRIPLE = 2e-6, 2e-7
BYTES_A_PAIR = 2000  # of classes: ranks at every seed in every space, and rows of tables


@stage(ClaimsParams, ProjectParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--diagrams", "data/diagrams", "The folder of the diagrams.")
@path_option("--predictions", "data/classify/predictions.parquet", "Every prediction of classify.")
@path_option("--distances", "data/distances.parquet", "Every distance of distances.")
@path_option("--angles", "data/angles", "The folder of the angles.")
@path_option("--claims", "data/claims", "The folder where the tables behind the claims go.")
@path_option("--metrics", "metrics/claims.json", "Where the metrics go.")
@path_option("--plots", "plots/claims", "Where tables for readers go.")
def claims(
    params: ClaimsParams,
    projection: ProjectParams,
    embeddings: Path,
    diagrams: Path,
    predictions: Path,
    distances: Path,
    angles: Path,
    claims: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Decide every claim about topology and accuracy, with an effect and its uncertainty."""
    sources = read_sources(embeddings, diagrams, distances, predictions, angles, projection)
    _state_cost(sources, params)
    tables: dict[str, pd.DataFrame] = {}
    findings: list[Finding] = []
    with threadpool_limits(1):
        for claim in parts_of_stage(CLAIMS):
            of_claim, decided = claim.decide(sources, params)
            tables |= of_claim
            findings += decided

    about = {"run": sources.run, "confidence": str(params.confidence), **sources.ground.about}
    for name, schema in TABLES.items():
        write_parquet(claims / f"{name}.parquet", tables[name], schema, about)
    with whole_files(plots) as folder:
        write_csv(folder / "claims.csv", findings_table(findings))
        write_csv(folder / "correlations.csv", tables["correlations"])
    write_json(metrics, _metrics(findings))
    for finding in findings:
        click.echo(_described(finding))
    counts = _counts(findings)
    told = ", ".join(f"{verdict} {n}" for verdict, n in counts.items() if n)
    click.echo(f"{count(len(findings), 'statement')}: {told}")


def _state_cost(sources: Sources, params: ClaimsParams) -> None:
    """What the claims take: layouts, null clouds and divergences most of the time, clouds of all
    levels and tables of all pairs most of the memory.
    """
    classes, workers = len(sources.clean), available_cores()
    points = images_within(sources.projection.points, classes, params.images_per_class) * classes
    layouts = [points] * params.projection_seeds if params.neighbours else []
    layouts_s = sum(sum(seconds_of(method, layouts)) for method in METHODS if layouts)
    nulls = params.null_clouds * sum(len(rows) ** 2 for rows in sources.members.values())
    levels = len(next(iter(sources.clouds.values())))
    divergences = sum(
        min(len(cloud), params.divergence_points) ** 3 for cloud in sources.clean.values()
    )
    held = sum(cloud.nbytes for by_level in sources.clouds.values() for cloud in by_level.values())
    state_cost(
        "claims",
        f"{classes_of(classes)} {at_levels(range(levels))}",
        (layouts_s + levels * (SECONDS_A_NULL_PAIR * nulls + SECONDS_A_TRIPLE * divergences))
        / workers,
        2 * held + workers * 5 * 8 * points**2 + BYTES_A_PAIR * len(sources.pairs),
        "lower project.points, or leave classes out in fetch.classes",
        workers,
    )


def _counts(findings: list[Finding]) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: sum(one.verdict == verdict for one in findings) for verdict in VERDICTS}


def _metrics(findings: list[Finding]) -> dict:
    """How many claims have each verdict, and each claim's effect and interval.

    holds: 1 or 0; left out, as the effect is, where nothing is decided, or there is none.
    """
    result: dict = {verdict_key(verdict): n for verdict, n in _counts(findings).items()}
    for one in findings:
        scalars = {
            key: value
            for key in ("effect", "low", "high")
            if (value := getattr(one, key)) is not None
        }
        decided = {HOLDS: 1, FAILS: 0}
        if one.verdict in decided:
            scalars["holds"] = decided[one.verdict]
        result[one.key] = {"verdict": one.verdict, **scalars}
    return result


def _described(finding: Finding) -> str:
    """A finding in one line."""
    effect = "" if finding.effect is None else f"{finding.effect:.3g}"
    # A share that is its own p-value, or decides by itself, is said once.
    shown = [] if effect and finding.decided_by in (effect, f"p {effect}") else [effect]
    if finding.decided_by:
        shown.append(f"{finding.decided_by}, holds if {finding.rule.holds_if}")
    numbers = f": {'; '.join(filter(None, shown))}" if any(shown) else ""
    because = f"; {finding.detail}" if finding.detail else ""
    return f"{finding.number} {finding.verdict}: {finding.statement}{numbers}{because}"


if __name__ == "__main__":
    claims()
