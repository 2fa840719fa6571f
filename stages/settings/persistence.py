"""Settings of persistence."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.runtime.params import LARGEST, Count, Number, OneOf, Section, Seed
from stages.core.topology.metrics import METRICS


class PersistenceParams(Section):
    name = "persistence"
    engine: Literal["gudhi", "ripser"] = Field(
        description="library that computes the persistence diagrams"
    )
    metric: Annotated[str, OneOf(tuple(METRICS))] = Field(
        description="distance between points; "
        + "; ".join(f"{name}: {metric.help}" for name, metric in METRICS.items())
    )
    neighbours: Count = Field(
        description="nearest neighbours of a point in the graph of diffusion and "
        "effective_resistance; more than there are make it complete"
    )
    diffusion_steps: Count = Field(description="steps of the random walks of diffusion")
    max_dim: int = Field(ge=0, le=2, description="highest homology dimension")
    points_per_class: int | None = Field(
        ge=4,
        le=LARGEST,
        description="points of the cloud of a class, chosen by maxmin; null takes all",
    )
    points_overall: int = Field(
        ge=4, le=LARGEST, description="points of the sample across all classes"
    )
    seed: Seed
    memory_gib: Number = Field(
        gt=0,
        description="memory in GiB for the diagrams that are computed at once; one that is "
        "estimated to need more is refused",
    )
    minutes: Number = Field(
        gt=0,
        description="time in minutes; diagrams that together are estimated to take longer are "
        "refused",
    )
