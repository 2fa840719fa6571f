"""Settings of project."""

from typing import Self

from pydantic import Field, model_validator

from stages.core.runtime.errors import StudyError
from stages.core.runtime.params import LARGEST, ClassName, Count, Number, Section, Seed


class ProjectParams(Section):
    name = "project"
    seed: Seed
    points: int = Field(
        ge=4,
        le=LARGEST,
        description="images in a layout at most; where the classes have more, fewer of each are "
        "taken, two at the least, and then fewer classes",
    )
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

    @model_validator(mode="after")
    def _room_for_the_sampled_classes(self) -> Self:
        if self.points < 2 * self.sampled_classes:
            raise StudyError(
                f"project.points: {self.points} has no room for two images of each of "
                f"project.sampled_classes ({self.sampled_classes}); raise the one or lower the "
                "other"
            )
        return self
