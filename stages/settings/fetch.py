"""Settings of fetch."""

from pydantic import Field

from stages.core.runtime.params import LARGEST, ClassName, Section, Seed, Text


class FetchParams(Section):
    name = "fetch"
    source: Text = Field(
        description="'textures' (painted), 'dtd' (downloaded), or a folder that holds "
        "images/<class>/*",
    )
    seed: Seed
    image_size: int = Field(ge=32, le=1024, description="side of a painted image, in pixels")
    split: int = Field(ge=1, le=10, description="which of the ten train/val/test splits to use")
    classes: list[ClassName] = Field(description="the classes to keep; empty keeps all")
    images_per_class: int | None = Field(
        ge=3,
        le=LARGEST,
        description="how many images of each class to keep at most (textures: to paint); null "
        "keeps all (textures: paints 120)",
    )
