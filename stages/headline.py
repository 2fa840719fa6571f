"""The dozen numbers that a comparison of variants begins with, under names that explain themselves.

| metric | is |
| --- | --- |
| accuracy_of | the classifier whose accuracy follows: that of headline.classifier, if applicable |
| accuracy@<level> | top-1 accuracy on the test images |
| drift@<level> | 1 - cosine of an image's noisy and clean embedding, mean |
| <distance>_h<dim>_over_draws@<level> | distance between a class's clean and noisy diagram, in |
| | units of its baseline, that of two draws of the same noise; median over classes |
| <distance>_h<dim>_over_halves@<level> | the same where there is one draw alone; its baseline is |
| | the distance of two halves of the clean class |
| claims_hold, claims_fail, claims_undecided, claims_not_applicable | how many |
| follows, adds | the verdicts on the question: does topological change follow |
| | the loss of accuracy, and does it beyond what plain measures explain? |

Names are short, for a terminal has to hold a dozen of them side by side.
"""

from pathlib import Path

import click

from stages.core.artifacts.metrics import read_metrics
from stages.core.evaluation.headline import gather
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import write_json
from stages.settings.headline import HeadlineParams


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


if __name__ == "__main__":
    headline()
