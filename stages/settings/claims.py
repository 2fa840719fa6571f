"""Settings of claims."""

from pydantic import Field

from stages.core.runtime.params import LARGEST, Count, Number, Section, Seed


class ClaimsParams(Section):
    name = "claims"
    seed: Seed
    projection_seeds: Count = Field(
        description="number of layouts by t-SNE and by UMAP, each of other images"
    )
    images_per_class: int = Field(
        ge=2, le=LARGEST, description="images of each class in one layout"
    )
    half_samples: Count = Field(description="number of random halves of the images, for the angles")
    null_clouds: int = Field(
        ge=19,
        le=LARGEST,
        description="clouds without structure for each class; 19 give a test at the 5% level",
    )
    divergence_points: int = Field(
        ge=4, le=LARGEST, description="images of a class at most, for the topology divergence"
    )
    bootstrap_replicates: int = Field(
        ge=100,
        le=LARGEST,
        description="resamples behind each interval, and permutations behind each test",
    )
    confidence: Number = Field(gt=0, lt=1, description="confidence level of the intervals")
