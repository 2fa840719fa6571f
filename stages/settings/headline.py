"""Settings of headline."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.runtime.params import OneOf, Section


class HeadlineParams(Section):
    name = "headline"
    classifier: Annotated[str, OneOf(tuple(CLASSIFIERS))] = Field(
        description="whose accuracy is shown"
    )
    distance: Literal["bottleneck", "wasserstein"] = Field(description="which distance is shown")
    dim: int = Field(ge=0, le=2, description="of which homology dimension")
