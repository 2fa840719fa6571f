"""Settings of fetch."""

from pydantic import Field

from stages.core.runtime.params import LARGEST, ClassName, Section, Seed, Text

# The sources that have a name; any other is a folder.
NAMED_SOURCES = ("textures", "dtd")


class FetchParams(Section):
    name = "fetch"
    source: Text = Field(
        description="'textures' (procedurally generated), 'dtd' (downloaded), or a folder that "
        "holds images/<class>/*",
    )
    seed: Seed
    image_size: int = Field(ge=32, le=1024, description="side of a generated image, in pixels")
    split: int = Field(ge=1, le=10, description="which of the ten train/val/test splits to use")
    classes: list[ClassName] = Field(description="the classes to keep; empty keeps all")
    images_per_class: int | None = Field(
        ge=3,
        le=LARGEST,
        description="how many images of each class to keep at most (textures: to generate); null "
        "keeps all (textures: generates 120)",
    )

    @property
    def kind(self) -> str:
        """The kind of the source: its name, or 'folder'."""
        return self.source if self.source in NAMED_SOURCES else "folder"
