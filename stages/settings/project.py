"""Settings of project."""

from pydantic import Field

from stages.core.runtime.params import LARGEST, ClassName, Count, Number, Section, Seed


class ProjectParams(Section):
    name = "project"
    seed: Seed
    images_per_class: int = Field(
        ge=2,
        le=LARGEST,
        description="images of each class in the layouts of all classes, a seeded sample where "
        "there are more",
    )
    sampled_classes: int = Field(
        ge=2, le=LARGEST, description="number of classes in the layouts of some classes"
    )
    sampled_images_per_class: int = Field(
        ge=2, le=LARGEST, description="images of each class in the layouts of some classes"
    )
    kept_classes: list[ClassName] = Field(
        description="classes that are among these where they exist"
    )
    perplexity: Number = Field(
        gt=1, description="perplexity of t-SNE, at most a third of the points"
    )
    umap_neighbours: int = Field(ge=2, le=LARGEST, description="neighbours of a point in UMAP")
    umap_min_dist: Number = Field(ge=0, le=1, description="min_dist of UMAP")
    purity_neighbours: Count = Field(
        description="neighbours of a point for purity and trustworthiness"
    )
