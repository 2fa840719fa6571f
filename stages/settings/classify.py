"""Settings of classify."""

from typing import Annotated

from pydantic import Field

from stages.core.params import LARGEST, Count, Number, Section, Seed


class ClassifyParams(Section):
    name = "classify"
    seed: Seed
    bootstrap_replicates: int = Field(
        ge=100, le=LARGEST, description="resamples behind every interval"
    )
    confidence: Number = Field(gt=0, lt=1, description="level of the intervals")
    calibration_bins: int = Field(
        ge=1, le=1000, description="bins of the expected calibration error"
    )
    probe_strengths: list[Annotated[Number, Field(gt=0)]] = Field(
        min_length=1, description="inverse regularisation strengths C tried on val (linear probe)"
    )
    knn_neighbours: list[Count] = Field(
        min_length=1,
        description="neighbour counts tried on val; those above the number of training images "
        "are passed over",
    )
