"""Settings of fetch."""

from dataclasses import dataclass

from pydantic import Field

from stages.core.runtime.params import LARGEST, ClassName, Section, Seed, Text


@dataclass(frozen=True)
class NamedSource:
    """A source of images with a name; any other is a folder.

    help: where the images come from.
    images_per_class: how many there are, or are made where params ask for no number.
    at_most: whether there are no more.
    """

    help: str
    images_per_class: int
    at_most: bool


# What is done for each stands in stages/core/dataset/sources.py.
NAMED_SOURCES = {
    "textures": NamedSource("procedurally generated", images_per_class=120, at_most=False),
    "dtd": NamedSource("the official release, downloaded", images_per_class=120, at_most=True),
}


class FetchParams(Section):
    name = "fetch"
    source: Text = Field(
        description="where the images come from: "
        + "".join(f"'{name}' ({source.help}), " for name, source in NAMED_SOURCES.items())
        + "or a folder that holds images/<class>/*, or features (docs/features.md says how)",
    )
    seed: Seed
    image_size: int = Field(ge=32, le=1024, description="side of a generated image, in pixels")
    split: int = Field(ge=1, le=10, description="which of the ten train/val/test splits to use")
    classes: list[ClassName] = Field(description="the classes to keep; empty keeps all")
    images_per_class: int | None = Field(
        ge=3,
        le=LARGEST,
        description="how many images of each class to keep at most, or to generate; null keeps "
        f"all, or generates {NAMED_SOURCES['textures'].images_per_class}",
    )

    @property
    def kind(self) -> str:
        """The kind of the source: its name, or 'folder'."""
        return self.source if self.source in NAMED_SOURCES else "folder"
