"""Settings of angles."""

from typing import Annotated

from pydantic import Field

from stages.core.geometry.spaces import SPACES
from stages.core.runtime.params import Count, Number, OneOf, Section


class AnglesParams(Section):
    name = "angles"
    rank: Count | None = Field(
        description="dimension of the subspace of each class; null: by explained_variance"
    )
    explained_variance: Number = Field(
        gt=0,
        le=1,
        description="share of the squared norm that a subspace keeps, where rank is null",
    )
    centre: bool = Field(description="subtract the mean of a class first")
    space: Annotated[str, OneOf(tuple(SPACES))] = Field(
        description="what is compared; "
        + "; ".join(f"{name}: {space.help}" for name, space in SPACES.items())
    )
    closest_pairs: Count = Field(description="how many of the closest pairs to list")
