"""Settings of claims."""

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from stages.core.runtime.params import LARGEST, ClassName, Count, Number, Section, Seed


def _of_two(pair: object) -> tuple:
    """A list of params.yaml, or what the command line gives, as the tuple that a pair is."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError("a pair is a list of two classes; write [[dotted, grid]] for one pair")
    return tuple(pair)


def _of_two_classes(pair: tuple[str, str]) -> tuple[str, str]:
    if pair[0] == pair[1]:
        raise ValueError("a class and itself; name two classes")
    return pair


def _each_once(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Refuse a pair that is named twice, in whichever order, as it would be decided twice."""
    for pair, count in Counter((min(pair), max(pair)) for pair in pairs).items():
        if count > 1:
            raise ValueError(f"{pair[0]} and {pair[1]} are named twice; name each pair once")
    return pairs


Pair = Annotated[
    tuple[ClassName, ClassName], BeforeValidator(_of_two), AfterValidator(_of_two_classes)
]
Pairs = Annotated[list[Pair], AfterValidator(_each_once)]


class ClaimsParams(Section):
    name = "claims"
    seed: Seed
    neighbours: Pairs = Field(
        description="pairs of classes of claim 1: the first is said to lie with the second in "
        "t-SNE and UMAP"
    )
    pairs: Pairs = Field(
        description="pairs of classes of claim 2: they are said to be among the closest by "
        "subspace angle"
    )
    projection_seeds: Count = Field(
        description="number of layouts by t-SNE and by UMAP, each of other images"
    )
    images_per_class: int = Field(
        ge=2,
        le=LARGEST,
        description="images of each class in one layout; fewer, but two at the least, where "
        "these are more than project.points",
    )
    half_samples: Count = Field(description="number of random halves of the images, for the angles")
    null_clouds: int = Field(
        ge=19,
        le=LARGEST,
        description="clouds without structure for each class; 19 give a test at the 5% level",
    )
    divergence_points: int = Field(
        ge=4, le=LARGEST, description="images of a class at most, for the topology divergence"
    )
    bootstrap_replicates: int = Field(
        ge=100,
        le=LARGEST,
        description="resamples behind each interval, and permutations behind each test",
    )
    confidence: Number = Field(gt=0, lt=1, description="confidence level of the intervals")
