"""Settings of distances."""

from typing import Literal

from pydantic import Field

from stages.core.params import Section


class DistancesParams(Section):
    name = "distances"
    wasserstein_engine: Literal["pot", "hera"] = Field(
        description="pot is exact; hera is slower, but needs little memory for very many bars"
    )
    hera_delta: float = Field(
        strict=False, gt=0, allow_inf_nan=False, description="relative error allowed to Hera"
    )
