"""Settings of headline."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.runtime.params import OneOf, Section


class HeadlineParams(Section):
    name = "headline"
    classifier: Annotated[str, OneOf(tuple(CLASSIFIERS))] = Field(
        description="the classifier whose accuracy is shown"
    )
    distance: Literal["bottleneck", "wasserstein"] = Field(
        description="the distance between diagrams that is shown"
    )
    dim: int = Field(ge=0, le=2, description="the homology dimension of those diagrams")
