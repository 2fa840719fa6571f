"""Settings of embed."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from stages.core.runtime.errors import quoted
from stages.core.runtime.params import Count, Number, OneOf, Section, Seed, Text
from stages.core.vision.noise import KINDS, SPACES, STREAMS, require_defined, require_stream


class EmbedParams(Section):
    name = "embed"
    model: Text = Field(
        description="an open_clip architecture, 'texture-clip' for the model in data/model, a "
        "folder that holds an open_clip model, hf-hub:<organisation>/<name>, timm:<name> for a "
        "model of timm, <file>.py:<function> for an encoder of one's own, or 'precomputed' for "
        "the features in fetch.source",
    )
    pretrained: Text | None = Field(
        description="weights: a pretrained tag of open_clip or a checkpoint file; null leaves an "
        "architecture untrained (a tag of timm is part of the model's name)"
    )
    templates: list[Text] = Field(min_length=1, description="prompts; {} stands for the class name")
    noise_kind: Annotated[str, OneOf(tuple(KINDS))] = Field(
        description="kind of noise; its levels are, "
        + "; ".join(
            f"{name}: {kind.unit.format('in the noise space')}, at most {kind.largest:g}"
            for name, kind in KINDS.items()
        )
    )
    noise_space: Annotated[str, OneOf(tuple(SPACES))] = Field(
        description="; ".join(f"{name}: {space.help}" for name, space in SPACES.items())
        + f" ({', '.join(name for name, kind in KINDS.items() if len(kind.spaces) == 1)} take "
        "pixel alone)"
    )
    noise_levels: list[Annotated[Number, Field(ge=0)]] = Field(
        min_length=1,
        description="noise levels, of at most two decimals; 0.0 (clean) must be one of them; "
        "of precomputed features those are taken that there are",
    )
    draws: int = Field(
        ge=1, le=10, description="independent draws of the noise at each level above 0"
    )
    noise_stream: Annotated[str, OneOf(tuple(STREAMS))] = Field(
        description="generator of the noise, of which each makes other numbers; "
        + "; ".join(f"{name}: {help}" for name, help in STREAMS.items())
    )
    seed: Seed
    device: Text = Field(
        description="device of PyTorch: 'auto', which takes all GPUs of the machine, 'cpu', "
        "'cuda', 'cuda:1', 'mps', ..."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="number format of the model; auto takes bf16 where the hardware has it"
    )
    batch_size: Count = Field(
        description="images that each worker holds at once; an accelerator encodes all of them "
        "together, a CPU always 16"
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
        return sorted(float(text) for text in written)

    @model_validator(mode="after")
    def _noise_that_has_a_meaning(self) -> Self:
        require_defined(self.noise_kind, self.noise_space, self.noise_levels, self.draws)
        require_stream(self.noise_stream, self.noise_kind)
        return self
