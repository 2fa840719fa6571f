"""Settings of classify."""

from typing import Annotated

from pydantic import Field

from stages.core.runtime.params import Count, Number, Section


class ClassifyParams(Section):
    name = "classify"
    confidence: Number = Field(gt=0, lt=1, description="confidence level of the intervals")
    calibration_bins: int = Field(
        ge=1, le=1000, description="number of bins of the expected calibration error"
    )
    refit: bool = Field(
        description="fit what learns from images on train and val together, "
        "once their settings have been chosen on val; false: on train alone"
    )
    probe_strengths: list[Annotated[Number, Field(gt=0)]] = Field(
        description="inverse strengths C of the linear probe's L2 penalty to try on val; none: "
        "the sweep of CLIP_benchmark"
    )
    probe_images: Count | None = Field(
        description="images of which the linear probe learns, at most, as many of each class as "
        "can be; null: all"
    )
    knn_images: Count | None = Field(
        description="images among which neighbours are sought, at most, chosen likewise; null: all"
    )
    knn_neighbours: list[Count] = Field(
        min_length=1,
        description="numbers of neighbours to try on val; those above the number of training "
        "images are left out",
    )
