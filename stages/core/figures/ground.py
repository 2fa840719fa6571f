"""What pictures of diagrams say of the distance between points that these are in."""

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.figures.study import Study
from stages.core.topology.metrics import described


def foot_of(study: Study, ground: Ground) -> str:
    """The line at the foot of a picture, with the distance where it is not the Euclidean one."""
    return study.foot if ground == EUCLIDEAN else f"{study.foot}  Diagrams: by {described(ground)}."
