"""Settings of persistence."""

from typing import Literal

from pydantic import Field

from stages.core.runtime.params import LARGEST, Number, Section, Seed


class PersistenceParams(Section):
    name = "persistence"
    engine: Literal["gudhi", "ripser"] = Field(description="library that reduces the matrix")
    max_dim: int = Field(ge=0, le=2, description="highest homology dimension")
    points_per_class: int | None = Field(
        ge=4,
        le=LARGEST,
        description="landmarks of a class's cloud, chosen by maxmin; null takes all points",
    )
    points_overall: int = Field(
        ge=4, le=LARGEST, description="sample across all classes, in points"
    )
    seed: Seed
    memory_gib: Number = Field(
        gt=0,
        description="memory for the diagrams computed at once, in GiB; refuse one estimated to "
        "need more",
    )
    minutes: Number = Field(
        gt=0,
        description="refuse diagrams that together are estimated to take longer, in minutes",
    )
