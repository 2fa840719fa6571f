"""The runs of the family: every encoder, under every kind of noise, on every data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.core.vision.model_files import SHIPPED_MODEL

PHOTOGRAPHS_MODEL = "examples/efficientnet_lite0.py:load"


@dataclass(frozen=True)
class Noise:
    """A kind of noise: where it acts, and its levels beside the clean images."""

    space: str
    levels: tuple[float, ...]


# The levels above 0 take a little, much and most of the accuracy of texture-clip.
NOISES = {
    "gaussian": Noise("normalised", (0.5, 1.0, 2.0)),
    "blur": Noise("pixel", (1.0, 2.0, 4.0)),
    "contrast": Noise("pixel", (0.7, 0.9, 0.95)),
    "jpeg": Noise("pixel", (0.75, 0.9, 0.97)),
}

# What all runs share, so that they can be compared. One draw, since most of these kinds have no
# chance in them; then the baseline of a distance is that of two halves of a class. Half as many
# textures as the default has, in a sixth of its layouts: claims 1 to 6 are less certain, and so is
# the accuracy of a class; the question is asked of all runs together.
SHARED = {
    "embed.draws": "1",
    "embed.precision": "fp32",
    "claims.projection_seeds": "4",
}
IMAGES_PER_CLASS = {"textures": "60", "photographs": "120"}


@dataclass(frozen=True)
class Encoder:
    """An encoder of the family; model: what `embed.model` is."""

    name: str
    model: str


@dataclass(frozen=True)
class Run:
    """An experiment: its name, and the params that it sets."""

    name: str
    settings: dict[str, str]


def encoders_of(trained: Sequence[str], folder: Path) -> list[Encoder]:
    """The encoders of the family, of which `trained` lie in `folder`."""
    return [
        Encoder(SHIPPED_MODEL, SHIPPED_MODEL),
        *(Encoder(name, str(folder / name)) for name in trained),
        Encoder("efficientnet-lite0", PHOTOGRAPHS_MODEL),
    ]


def list_runs(
    encoders: Sequence[Encoder], noises: Sequence[str], photographs: Path | None
) -> list[Run]:
    """Every encoder under every noise, on generated textures and on a folder of photographs.

    All runs of a data set follow each other, so that it is made or copied once.
    """
    sources = {"textures": "textures"}
    if photographs:
        sources["photographs"] = str(photographs.resolve())
    return [
        Run(
            f"{encoder.name}-{noise}-{data}",
            {
                "fetch.source": source,
                "embed.model": encoder.model,
                "embed.noise_kind": noise,
                "embed.noise_space": NOISES[noise].space,
                "embed.noise_levels": str([0.0, *NOISES[noise].levels]),
                "fetch.images_per_class": IMAGES_PER_CLASS[data],
                **SHARED,
            },
        )
        for data, source in sources.items()
        for encoder in encoders
        for noise in noises
    ]
