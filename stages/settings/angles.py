"""Settings of angles."""

from typing import Annotated

from pydantic import Field

from stages.core.geometry.spaces import SPACES
from stages.core.runtime.params import Count, Number, OneOf, Section


class AnglesParams(Section):
    name = "angles"
    rank: Count | None = Field(
        description="dimension of every class subspace; null goes by explained_variance"
    )
    explained_variance: Number = Field(
        gt=0, le=1, description="share of squared norm a subspace keeps (rank: null)"
    )
    centre: bool = Field(description="subtract the class mean first")
    space: Annotated[str, OneOf(tuple(SPACES))] = Field(
        description="what is compared; "
        + "; ".join(f"{name}: {space.help}" for name, space in SPACES.items())
    )
    closest_pairs: Count = Field(description="how many closest pairs to list and draw")
