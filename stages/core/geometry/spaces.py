"""The spaces in which the subspaces of classes are compared, an entry of SPACES for each.

The choices and the help of `angles`, what it says and the titles of its pictures follow from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Clouds = Mapping[str, np.ndarray]
Bases = list[np.ndarray]


@dataclass(frozen=True)
class Space:
    """A space.

    label: its name in titles.
    help: what is compared in it.
    bases: ({class: (n, d) embeddings}, rank, explained variance, whether to centre) -> a basis for
        each class, as in stages/core/geometry/subspaces.py.
    takes_rank: whether rank and centre of the settings count.
    remark: what a user is to be told, {} standing for the dimension; may be empty.
    """

    label: str
    help: str
    bases: Callable[[Clouds, int | None, float, bool], Bases]
    takes_rank: bool = True
    remark: str = ""


def _of_features(
    clouds: Clouds, rank: int | None, explained_variance: float, centre: bool
) -> Bases:
    from stages.core.geometry.subspaces import class_bases  # here, for settings load no pandas

    return class_bases(clouds, rank, explained_variance, centre)


def _of_samples(clouds: Clouds, rank: int | None, explained_variance: float, centre: bool) -> Bases:
    from stages.core.geometry.subspaces import sample_space_bases

    return sample_space_bases(clouds)


SPACES = {
    "feature": Space(
        label="feature space",
        help="spans of images in feature space",
        bases=_of_features,
    ),
    "sample": Space(
        label="sample space (the usual mistake)",
        help="the usual mistake, whole spans of the columns of samples x features, whatever the "
        "rank and centre",
        bases=_of_samples,
        takes_rank=False,
        remark="angles.space is 'sample', the usual mistake: columns of samples x features are "
        "compared in a space of {} samples, each class cut to as many images as the smallest has",
    ),
}
