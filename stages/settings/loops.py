"""Settings of loops."""

from pydantic import Field

from stages.core.runtime.params import Count, Section, Seed


class LoopsParams(Section):
    name = "loops"
    seed: Seed
    per_class: Count = Field(description="loops of a class, those of its longest bars of H1")
    overall: Count = Field(description="loops of the sample across all classes")
