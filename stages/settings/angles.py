"""Settings of angles."""

from typing import Literal

from pydantic import Field

from stages.core.runtime.params import Count, Number, Section


class AnglesParams(Section):
    name = "angles"
    rank: Count | None = Field(
        description="dimension of every class subspace; null goes by explained_variance"
    )
    explained_variance: Number = Field(
        gt=0, le=1, description="share of squared norm a subspace keeps (rank: null)"
    )
    centre: bool = Field(description="subtract the class mean first")
    space: Literal["feature", "sample"] = Field(
        description="'feature' compares spans of images in feature space; 'sample' makes the "
        "usual mistake of comparing whole spans of columns of samples x features, whatever the "
        "rank and centre"
    )
    closest_pairs: Count = Field(description="how many closest pairs to list and draw")
