"""Settings of headline."""

from typing import Literal

from pydantic import Field

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.runtime.params import Section


class HeadlineParams(Section):
    name = "headline"
    classifier: Literal[tuple(CLASSIFIERS)] = Field(description="whose accuracy is shown")
    distance: Literal["bottleneck", "wasserstein"] = Field(description="which distance is shown")
    dim: int = Field(ge=0, le=2, description="of which homology dimension")
