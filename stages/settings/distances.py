"""Settings of distances."""

from typing import Literal

from pydantic import Field

from stages.core.runtime.params import Number, Section


class DistancesParams(Section):
    name = "distances"
    wasserstein_engine: Literal["pot", "hera"] = Field(
        description="library for the Wasserstein distance: pot is exact; hera is slower, but needs "
        "little memory for diagrams of very many bars"
    )
    hera_delta: Number = Field(gt=0, description="largest relative error of hera")
