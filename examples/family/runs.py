"""The runs of the family: every encoder, under every kind of noise, on every data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.core.vision.model_files import SHIPPED_MODEL

PHOTOGRAPHS_ENCODER = "efficientnet-lite0", "examples/efficientnet_lite0.py:load"


@dataclass(frozen=True)
class Noise:
    """A kind of noise: the space of its levels, and the three beside that of the clean images."""

    space: str
    levels: tuple[float, float, float]


# The levels take a little, much and most of the accuracy of texture-clip.
NOISES = {
    "gaussian": Noise("normalised", (0.5, 1.0, 2.0)),
    "blur": Noise("pixel", (1.0, 2.0, 4.0)),
    "contrast": Noise("pixel", (0.7, 0.9, 0.95)),
    "jpeg": Noise("pixel", (0.75, 0.9, 0.97)),
}

# The same for all runs, so that they can be compared. Most of these kinds have no chance in them,
# so that each has one draw; the baseline of a distance is then that of two halves of a class.
SHARED = {
    "embed.draws": "1",
    "embed.precision": "fp32",
    "claims.projection_seeds": "4",  # of claim 1, which no comparison of runs reads
}
# Half of the images of the default study: half of the time. The photographs are few enough.
IMAGES_PER_CLASS = {"textures": "60", "photographs": "120"}


@dataclass(frozen=True)
class Run:
    """An experiment: its name, and the params that it sets."""

    name: str
    settings: dict[str, str]


def models(trained: Sequence[str], folder: Path) -> dict[str, str]:
    """{name of an encoder: what `embed.model` is}; those in `trained` lie in `folder`."""
    name, model = PHOTOGRAPHS_ENCODER
    return {
        SHIPPED_MODEL: SHIPPED_MODEL,
        **{each: str(folder / each) for each in trained},
        name: model,
    }


def list_runs(
    encoders: dict[str, str], noises: Sequence[str], photographs: Path | None
) -> list[Run]:
    """Every encoder of {name: model} under every noise, on textures and a folder of photographs.

    The runs on a data set follow one another, so that it is made or copied once.
    """
    sources = {"textures": "textures"}
    if photographs:
        sources["photographs"] = str(photographs.resolve())
    return [
        Run(
            f"{encoder}-{noise}-{data}",
            {
                "fetch.source": source,
                "fetch.images_per_class": IMAGES_PER_CLASS[data],
                "embed.model": model,
                "embed.noise_kind": noise,
                "embed.noise_space": NOISES[noise].space,
                "embed.noise_levels": str([0.0, *NOISES[noise].levels]),
                **SHARED,
            },
        )
        for data, source in sources.items()
        for encoder, model in encoders.items()
        for noise in noises
    ]
