"""The claims in the order of their numbers, each a module of this folder."""

from typing import Protocol

from stages.core.artifacts.tables import Schema
from stages.core.claims import (
    accuracy_steps,
    bars,
    closest_pairs,
    growth,
    loops,
    neighbours,
    question,
)
from stages.core.claims.finding import Decision
from stages.core.claims.sources import Sources
from stages.settings.claims import ClaimsParams


class Claim(Protocol):
    """What a module that decides a claim holds.

    TABLES: {name: schema} of the tables behind its verdict.
    """

    TABLES: dict[str, Schema]

    def decide(self, sources: Sources, params: ClaimsParams) -> Decision:
        """The tables of TABLES, and the findings that follow from them."""
        ...


CLAIMS: tuple[Claim, ...] = (
    neighbours,  # 1: which classes lie with which in t-SNE and UMAP
    closest_pairs,  # 2: which pairs of classes are closest by angle, and how many angles are 0
    bars,  # 3: H0 has one persistent component; 4: H1 has no highly persistent loop
    loops,  # 5: loops clump together and die sooner
    growth,  # 6: distances of diagrams grow with noise
    accuracy_steps,  # 7: accuracy falls with noise
    question,  # 8: does topological change follow the loss of accuracy?
)
TABLES = {name: schema for claim in CLAIMS for name, schema in claim.TABLES.items()}
