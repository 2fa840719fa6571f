"""Settings of classify."""

from typing import Annotated

from pydantic import Field

from stages.core.params import Count, Section, Seed


class ClassifyParams(Section):
    name = "classify"
    seed: Seed
    bootstrap_replicates: int = Field(ge=100, description="resamples behind every interval")
    confidence: float = Field(strict=False, gt=0, lt=1, description="level of the intervals")
    calibration_bins: Count = Field(description="bins of the expected calibration error")
    probe_strengths: list[Annotated[float, Field(strict=False, gt=0)]] = Field(
        min_length=1, description="inverse regularisation strengths C tried on val (linear probe)"
    )
    knn_neighbours: list[Count] = Field(
        min_length=1,
        description="neighbour counts tried on val; those above the number of training images "
        "are passed over",
    )
