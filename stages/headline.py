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

from stages.command import path_option, stage
from stages.core.errors import StudyError
from stages.core.files import read_json, rounded, write_json
from stages.settings.headline import HeadlineParams

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
        params, read_json(embed), read_json(distances), read_json(classify), read_json(claims)
    )
    write_json(metrics, found)
    for name, value in found.items():
        click.echo(f"{name}: {value}")


def gather(
    params: HeadlineParams, embed: dict, distances: dict, classify: dict, claims: dict
) -> dict:
    """The headline, from the metrics of four stages.

    Raises StudyError for a dimension of which there are no diagrams. The verdict on the question
    is that of zero-shot accuracy, or of the probe where the headline is about that.
    """
    levels = [key for key in classify if key.startswith("noise_")]
    noisy = [level for level in levels if level in distances]
    dim = f"h{params.dim}"
    if any(dim not in distances[level] for level in noisy):
        raise StudyError(
            f"headline.dim: {params.dim}, but persistence.max_dim is lower; lower the one or "
            "raise the other"
        )
    asked = "probe" if params.classifier == "probe" else "zero_shot"
    return {
        **{
            f"accuracy@{short(level)}": classify[level][f"{params.classifier}_top1"]
            for level in levels
        },
        **{
            f"drift@{short(level)}": rounded(1 - embed[level]["cosine_to_clean"], 4)
            for level in noisy
        },
        **{
            f"{params.distance}_{dim}_over_{baseline}@{short(level)}": ratio
            for level in noisy
            for baseline, ratio in over_baseline(distances[level][dim][params.distance])
        },
        "claims_hold": claims["holds"],
        "claims_fail": claims["fails"],
        "claims_undecided": claims["undecided"],
        "claims_not_applicable": claims["not_applicable"],
        "topology_follows": claims[f"topology_follows_{asked}"]["verdict"],
        "topology_adds": claims[f"topology_adds_{asked}"]["verdict"],
    }


def over_baseline(distance: dict[str, float]) -> list[tuple[str, float]]:
    """[(baseline, distance in its units)] by the first of BASELINES that there is, or []."""
    known = [
        (name, distance[f"ratio_to_{name}"]) for name in BASELINES if f"ratio_to_{name}" in distance
    ]
    return known[:1]


def short(level: str) -> str:
    """'noise_0.50' -> '0.5'."""
    return f"{float(level.removeprefix('noise_')):g}"


if __name__ == "__main__":
    headline()
