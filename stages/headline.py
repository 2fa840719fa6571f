"""The dozen numbers that a comparison of variants begins with, under names that explain themselves.

| metric | is |
| --- | --- |
| accuracy@<level> | top-1 accuracy on the test images |
| drift@<level> | 1 - cosine of an image's noisy and clean embedding, mean |
| <distance>_h<dim>_over_draws@<level> | distance between a class's clean and noisy diagram, in |
| | units of its baseline, that of two draws of the same noise; median over classes |
| <distance>_h<dim>_over_halves@<level> | the same where there is one draw alone; its baseline is |
| | the distance of two halves of the clean class |
| claims_hold, claims_fail, claims_undecided, claims_not_applicable | how many |
| topology_follows, topology_adds | the verdicts on the question: does topological change follow |
| | the loss of accuracy, and does it beyond what plain measures explain? |

Names are short, for a terminal has to hold a dozen of them side by side.
"""

from pathlib import Path

import click

from stages.core.artifacts.metrics import Metrics, read_metrics
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, write_json
from stages.settings.headline import HeadlineParams

CLEAN = "noise_0.00"
BASELINES = ("draws", "halves")  # in order of preference


@stage(HeadlineParams)
@path_option("--embed", "metrics/embed.json", "The metrics of embed.")
@path_option("--distances", "metrics/distances.json", "The metrics of distances.")
@path_option("--classify", "metrics/classify.json", "The metrics of classify.")
@path_option("--claims", "metrics/claims.json", "The metrics of claims.")
@path_option("--metrics", "metrics/headline.json", "Where the metrics go.")
def headline(
    params: HeadlineParams,
    embed: Path,
    distances: Path,
    classify: Path,
    claims: Path,
    metrics: Path,
) -> None:
    """Gather the numbers that a comparison of variants begins with."""
    found = gather(
        params,
        read_metrics(embed, "embed"),
        read_metrics(distances, "distances"),
        read_metrics(classify, "classify"),
        read_metrics(claims, "claims"),
    )
    write_json(metrics, found)
    for name, value in found.items():
        click.echo(f"{name}: {value}")


def gather(
    params: HeadlineParams, embed: Metrics, distances: Metrics, classify: Metrics, claims: Metrics
) -> dict:
    """The headline, from the metrics of four stages.

    Raises StudyError for a value that is missing, and for a dimension of which no diagrams were
    computed. The verdict on the question is that of the classifier that the headline is about,
    or of zero-shot where the question is not asked of that one.
    """
    levels = classify.levels()
    noisy = [level for level in levels if level != CLEAN]
    dim = f"h{params.dim}"
    for level in distances.levels():
        if dim not in distances.names(level):
            raise StudyError(
                f"headline.dim: {params.dim}, but {distances.file} has no {dim}: "
                "persistence.max_dim is lower; lower the one or raise the other"
            )
    questioned = [key for key, classifier in CLASSIFIERS.items() if classifier.questioned]
    asked = params.classifier if params.classifier in questioned else questioned[0]
    return {
        **{
            f"accuracy@{short(level)}": classify.share(level, f"{params.classifier}_top1")
            for level in levels
        },
        **{
            f"drift@{short(level)}": rounded(
                1 - embed.number(level, "cosine_to_clean", low=-1, high=1), 4
            )
            for level in noisy
        },
        **{
            f"{params.distance}_{dim}_over_{baseline}@{short(level)}": ratio
            for level in noisy
            for baseline, ratio in over_baseline(distances, level, dim, params.distance)
        },
        "claims_hold": claims.count("holds"),
        "claims_fail": claims.count("fails"),
        "claims_undecided": claims.count("undecided"),
        "claims_not_applicable": claims.count("not_applicable"),
        "topology_follows": claims.word(f"topology_follows_{asked}", "verdict"),
        "topology_adds": claims.word(f"topology_adds_{asked}", "verdict"),
    }


def over_baseline(distances: Metrics, *keys: str) -> list[tuple[str, float]]:
    """[(baseline, distance in its units)] by the first of BASELINES that there is, or []."""
    known = [name for name in BASELINES if f"ratio_to_{name}" in distances.names(*keys)]
    return [(name, distances.number(*keys, f"ratio_to_{name}", low=0)) for name in known[:1]]


def short(level: str) -> str:
    """'noise_0.50' -> '0.5'."""
    return f"{float(level.removeprefix('noise_')):g}"


if __name__ == "__main__":
    headline()
