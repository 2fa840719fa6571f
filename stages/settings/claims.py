"""Settings of claims."""

from pydantic import Field

from stages.core.runtime.params import LARGEST, Count, Number, Section, Seed


class ClaimsParams(Section):
    name = "claims"
    seed: Seed
    projection_seeds: Count = Field(description="t-SNE and UMAP layouts, each of other images")
    images_per_class: int = Field(
        ge=2, le=LARGEST, description="images of each class in one of them"
    )
    half_samples: Count = Field(description="random halves of the images, for angles")
    null_clouds: int = Field(
        ge=19,
        le=LARGEST,
        description="clouds without structure for each class; 19 make a test of level 1/20",
    )
    divergence_points: int = Field(
        ge=4, le=LARGEST, description="images of a class at most, for the topology divergence"
    )
    bootstrap_replicates: int = Field(
        ge=100, le=LARGEST, description="resamples behind every interval, and permutations"
    )
    confidence: Number = Field(gt=0, lt=1, description="level of the intervals")
