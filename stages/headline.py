"""The dozen numbers that a comparison of variants begins with, under names that explain themselves.

| metric | is |
| --- | --- |
| accuracy@<level> | top-1 accuracy on the test images |
| drift@<level> | 1 - cosine of an image's noisy and clean embedding, mean |
| distance@<level> | between a class's clean and noisy diagram, median over classes |
| claims_hold, claims_fail, claims_undecided | how many |
| topology_follows, topology_adds | the verdicts on the question: does topological change follow |
| | the loss of accuracy, and does it beyond what plain measures explain? |

Names are short, for a terminal has to hold a dozen of them side by side.
"""

from pathlib import Path
from typing import Literal

import click
from pydantic import Field

from stages.command import path_option, stage
from stages.core.errors import StudyError
from stages.core.files import rounded, write_json
from stages.core.metrics import Metrics, read_metrics
from stages.core.params import Section

CLEAN = "noise_0.00"


class HeadlineParams(Section):
    name = "headline"
    classifier: Literal["zero_shot", "probe", "knn"] = Field(description="whose accuracy is shown")
    distance: Literal["bottleneck", "wasserstein"] = Field(description="which distance is shown")
    dim: int = Field(ge=0, le=2, description="of which homology dimension")


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
    computed. The verdict on the question is that of zero-shot accuracy, or of the probe where the
    headline is about that.
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
    asked = "probe" if params.classifier == "probe" else "zero_shot"
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
            f"distance@{short(level)}": distances.number(
                level, dim, params.distance, "median", low=0
            )
            for level in noisy
        },
        "claims_hold": claims.count("holds"),
        "claims_fail": claims.count("fails"),
        "claims_undecided": claims.count("undecided"),
        "topology_follows": claims.word(f"topology_follows_{asked}", "verdict"),
        "topology_adds": claims.word(f"topology_adds_{asked}", "verdict"),
    }


def short(level: str) -> str:
    """'noise_0.50' -> '0.5'."""
    return f"{float(level.removeprefix('noise_')):g}"


if __name__ == "__main__":
    headline()
