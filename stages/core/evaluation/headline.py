"""The headline of a study, from the metrics of its stages."""

from stages.core.artifacts.metrics import Metrics
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.verdicts import FAILS, HOLDS, NOT_APPLICABLE, UNDECIDED, verdict_key
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded
from stages.settings.headline import HeadlineParams

RATIO = "ratio_to_"  # begins the name of a distance in units of a baseline

# {metric: the verdict that it counts}
COUNTS = {
    "claims_hold": HOLDS,
    "claims_fail": FAILS,
    "claims_undecided": UNDECIDED,
    "claims_not_applicable": NOT_APPLICABLE,
}


def gather(
    params: HeadlineParams, embed: Metrics, distances: Metrics, classify: Metrics, claims: Metrics
) -> dict[str, float | int | str]:
    """{name: value} of the headline, from the metrics of four stages.

    Raises StudyError for a value that is missing, and for a dimension of which no diagrams were
    computed. Where the classifier that params name is not applicable, the first that is stands in.
    """
    levels = classify.levels()
    noisy = {key: level for key, level in levels.items() if level > 0}
    dim = f"h{params.dim}"
    for key in distances.levels() if noisy else ():
        if dim not in distances.names(key):
            raise StudyError(
                f"headline.dim: {params.dim}, but {distances.file} has no {dim}: "
                "persistence.max_dim is lower; lower the one or raise the other"
            )
    measured = classify.names(next(iter(levels)))
    there = [key for key in CLASSIFIERS if f"{key}_top1" in measured]
    classifier = params.classifier if params.classifier in there or not there else there[0]
    return {
        "accuracy_of": classifier,
        **{
            f"accuracy@{level:g}": classify.share(key, f"{classifier}_top1")
            for key, level in levels.items()
        },
        **{
            f"drift@{level:g}": rounded(1 - embed.number(key, "cosine_to_clean", low=-1, high=1), 4)
            for key, level in noisy.items()
        },
        **{
            f"{params.distance}_{dim}_over_{baseline}@{level:g}": ratio
            for key, level in noisy.items()
            for baseline, ratio in over_baseline(distances, key, dim, params.distance)
        },
        **{name: claims.count(verdict_key(verdict)) for name, verdict in COUNTS.items()},
        **{
            does: claims.word(f"topology_{does}_{classifier}", "verdict")
            for does in ("follows", "adds")
        },
    }


def over_baseline(distances: Metrics, *keys: str) -> list[tuple[str, float]]:
    """[(baseline, distance in its units)] by the first that the file has, or [] for none."""
    ratios = [name for name in distances.names(*keys) if name.startswith(RATIO)]
    return [(name.removeprefix(RATIO), distances.number(*keys, name, low=0)) for name in ratios[:1]]
