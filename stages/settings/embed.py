"""Settings of embed."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.core.runtime.errors import quoted
from stages.core.runtime.params import Count, Number, Section, Seed, Text


class EmbedParams(Section):
    name = "embed"
    model: Text = Field(
        description="an open_clip architecture, 'texture-clip' for the model in data/model, a "
        "folder that holds an open_clip model, or hf-hub:<organisation>/<name>",
    )
    pretrained: Text | None = Field(
        description="a pretrained tag of open_clip or a checkpoint file; null leaves an "
        "architecture untrained"
    )
    templates: list[Text] = Field(min_length=1, description="prompts; {} stands for the class name")
    noise_kind: Literal["gaussian", "uniform", "salt-and-pepper", "shot", "blur"] = Field(
        description="what the images suffer"
    )
    noise_space: Literal["normalised", "pixel"] = Field(
        description="unit of the level: CLIP-normalised pixels (gaussian, uniform), or [0, 1] "
        "pixels with clipping"
    )
    noise_levels: list[Annotated[Number, Field(ge=0)]] = Field(
        min_length=1, description="noise levels; 0.0 (clean) must be one of them"
    )
    draws: int = Field(ge=1, le=10, description="independent noise draws at each level")
    seed: Seed
    device: Text = Field(description="'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ...")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="number format of the model; auto takes bf16 where the hardware has it"
    )
    batch_size: Count = Field(
        description="images that each worker holds at once; an accelerator encodes them at once, a "
        "CPU 16 at a time whatever it is"
    )

    @field_validator("templates")
    @classmethod
    def _one_place_for_the_name(cls, templates: list[str]) -> list[str]:
        for template in templates:
            if template.count("{}") != 1:
                raise ValueError(
                    f"{quoted(template)} must hold {{}} once, where the class name goes"
                )
        return templates

    @field_validator("noise_levels")
    @classmethod
    def _distinct_levels_and_a_clean_one(cls, levels: list[float]) -> list[float]:
        written = [f"{level + 0.0:.2f}" for level in levels]  # -0.0 is 0.0
        for level, text in zip(levels, written, strict=True):
            if abs(float(text) - level) > 1e-9 * level:
                raise ValueError(f"{level} has more than two decimals; round it")
            if written.count(text) > 1:
                raise ValueError(f"{level} is repeated; give each level once")
        if "0.00" not in written:
            raise ValueError("no level is 0.0; add it, the clean images are the reference")
        if len(levels) < 2:
            raise ValueError("0.0 is the only level; add one above it, to compare with")
        return sorted(float(text) for text in written)
