"""params.yaml as typed, validated models: one section per stage, named after it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stages.core.errors import StudyError

Seed = Annotated[int, Field(ge=0, description="seed of every random choice of this stage")]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A section of params.yaml; `name` is its key there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: ClassVar[str]


class FetchParams(Section):
    name = "fetch"
    source: str = Field(
        description="'textures' (painted), 'dtd' (downloaded), or a folder that holds "
        "images/<class>/*",
        min_length=1,
    )
    seed: Seed
    image_size: int = Field(ge=32, le=1024, description="side of a painted image, in pixels")
    split: int = Field(ge=1, le=10, description="which of the ten train/val/test splits to use")
    classes: list[str] = Field(description="the classes to keep; empty keeps all")
    images_per_class: int | None = Field(
        ge=3,
        description="how many images of each class to keep at most (textures: to paint); null "
        "keeps all (textures: paints 120)",
    )


class PretrainParams(Section):
    name = "pretrain"
    architecture: str = Field(
        description="an architecture of open_clip, or 'texture-regnet-96', the small one made "
        "for painted textures",
        min_length=1,
    )
    init: str | None = Field(
        description="weights to start from: a pretrained tag of open_clip or a checkpoint file; "
        "null starts at random"
    )
    source: Literal["textures", "data"] = Field(
        description="'textures' paints pairs, 'data' takes the fetched train split"
    )
    steps: Count = Field(description="optimisation steps")
    warmup_steps: int = Field(ge=0, description="steps in which the learning rate rises")
    batch_size: int = Field(ge=2, description="pairs in a step")
    learning_rate: float = Field(strict=False, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(strict=False, ge=0, description="decay of matrices and kernels")
    noise: float = Field(
        strict=False,
        ge=0,
        description="largest standard deviation of the noise on training images, in "
        "CLIP-normalised pixels",
    )
    round_pairs: int = Field(ge=2, description="images held at once, then replaced by new ones")
    round_views: Count = Field(description="how often each of them is used, in another view")
    held_out_pairs: int = Field(ge=2, description="pairs never trained on, for the metrics")
    checkpoint_steps: Count = Field(description="steps between checkpoints")
    seed: Seed
    device: str = Field(description="'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ...", min_length=1)
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="autocast to bf16 or not; auto does where the hardware has it"
    )


class EmbedParams(Section):
    name = "embed"
    model: str = Field(
        description="an open_clip architecture, 'texture-clip' for the model in data/model, or "
        "a folder that holds an open_clip model",
        min_length=1,
    )
    pretrained: str | None = Field(
        description="a pretrained tag of open_clip or a checkpoint file; null leaves an "
        "architecture untrained"
    )
    templates: list[str] = Field(min_length=1, description="prompts; {} stands for the class name")
    noise_kind: Literal["gaussian", "uniform", "salt-and-pepper", "shot", "blur"] = Field(
        description="what the images suffer"
    )
    noise_space: Literal["normalised", "pixel"] = Field(
        description="unit of the level: CLIP-normalised pixels (gaussian, uniform), or [0, 1] "
        "pixels with clipping"
    )
    noise_levels: list[Annotated[float, Field(strict=False, ge=0, allow_inf_nan=False)]] = Field(
        min_length=1, description="noise levels; 0.0 (clean) must be one of them"
    )
    draws: int = Field(ge=1, le=10, description="independent noise draws at each level")
    seed: Seed
    device: str = Field(description="'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ...", min_length=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="number format of the model; auto takes bf16 where the hardware has it"
    )
    batch_size: Count = Field(description="images encoded at once, on a CPU by each core")

    @field_validator("templates")
    @classmethod
    def _one_place_for_the_name(cls, templates: list[str]) -> list[str]:
        for template in templates:
            if template.count("{}") != 1:
                raise ValueError(f"{template!r} must hold {{}} once, where the class name goes")
        return templates

    @field_validator("noise_levels")
    @classmethod
    def _distinct_levels_and_a_clean_one(cls, levels: list[float]) -> list[float]:
        written = [f"{level:.2f}" for level in levels]
        for level, text in zip(levels, written, strict=True):
            if abs(float(text) - level) > 1e-9:
                raise ValueError(f"{level} has more than two decimals; round it")
            if written.count(text) > 1:
                raise ValueError(f"{level} is repeated; give each level once")
        if "0.00" not in written:
            raise ValueError("no level is 0.0; add it, the clean images are the reference")
        if len(levels) < 2:
            raise ValueError("0.0 is the only level; add one above it, to compare with")
        return sorted(levels)


class ProjectParams(Section):
    name = "project"
    seed: Seed
    images_per_class: int = Field(
        ge=2,
        description="images of each class in the pictures of all classes (a seeded sample where "
        "there are more)",
    )
    sampled_classes: int = Field(ge=2, description="classes in the pictures of a class sample")
    sampled_images_per_class: int = Field(
        ge=2, description="images of each class in the pictures of a class sample"
    )
    kept_classes: list[str] = Field(description="classes that the sample keeps where they exist")
    perplexity: float = Field(
        strict=False, gt=1, description="perplexity of t-SNE, at most a third of the points"
    )
    umap_neighbours: int = Field(ge=2, description="neighbours of a point in UMAP")
    umap_min_dist: float = Field(strict=False, ge=0, le=1, description="min_dist of UMAP")
    purity_neighbours: Count = Field(description="neighbours counted for purity, trustworthiness")


class AnglesParams(Section):
    name = "angles"
    rank: Count | None = Field(
        description="dimension of every class subspace; null goes by explained_variance"
    )
    explained_variance: float = Field(
        strict=False, gt=0, le=1, description="share of squared norm a subspace keeps (rank: null)"
    )
    centre: bool = Field(description="subtract the class mean first")
    space: Literal["feature", "sample"] = Field(
        description="'feature' compares spans of images in feature space; 'sample' makes the "
        "usual mistake of comparing whole spans of columns of samples x features, whatever the "
        "rank and centre"
    )
    closest_pairs: Count = Field(description="how many closest pairs to list and draw")


class PersistenceParams(Section):
    name = "persistence"
    engine: Literal["gudhi", "ripser"] = Field(description="library that reduces the matrix")
    max_dim: int = Field(ge=0, le=2, description="highest homology dimension")
    points_per_class: int | None = Field(
        ge=4, description="landmarks of a class's cloud, chosen by maxmin; null takes all points"
    )
    points_overall: int = Field(ge=4, description="sample across all classes, in points")
    seed: Seed
    memory_gib: float = Field(
        strict=False,
        gt=0,
        allow_inf_nan=False,
        description="memory for the diagrams computed at once, in GiB; refuse one estimated to "
        "need more",
    )
    minutes: float = Field(
        strict=False,
        gt=0,
        allow_inf_nan=False,
        description="refuse diagrams that together are estimated to take longer, in minutes",
    )


class DistancesParams(Section):
    name = "distances"
    wasserstein_engine: Literal["pot", "hera"] = Field(
        description="pot is exact; hera is slower, but needs little memory for very many bars"
    )
    hera_delta: float = Field(
        strict=False, gt=0, allow_inf_nan=False, description="relative error allowed to Hera"
    )


class ClassifyParams(Section):
    name = "classify"
    seed: Seed
    bootstrap_replicates: int = Field(ge=100, description="resamples behind every interval")
    confidence: float = Field(strict=False, gt=0, lt=1, description="level of the intervals")
    calibration_bins: Count = Field(description="bins of the expected calibration error")
    probe_strengths: list[Annotated[float, Field(strict=False, gt=0)]] = Field(
        min_length=1, description="inverse regularisation strengths C tried on val (linear probe)"
    )
    knn_neighbours: list[Count] = Field(
        min_length=1,
        description="neighbour counts tried on val; those above the number of training images "
        "are passed over",
    )


SectionT = TypeVar("SectionT", bound=Section)


def read_params(
    section: type[SectionT], file: Path, overrides: Mapping[str, Any] | None = None
) -> SectionT:
    """Read the section `section.name` of a params file, with `overrides` in place of its values.

    Raises StudyError that names the file, the key, the value and what would be right.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StudyError(f"{file}: not found; run from the project's top folder") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(content.get(section.name), dict):
        raise StudyError(f"{file}: no section '{section.name}'; add one")
    try:
        return section(**{**content[section.name], **(overrides or {})})
    except ValidationError as error:
        raise StudyError(f"{file}: {_sentence(section, error)}") from None


def _sentence(section: type[Section], error: ValidationError) -> str:
    """The first fault of a validation in one line."""
    fault = error.errors()[0]
    key = ".".join([section.name, *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; known are {', '.join(section.model_fields)}"
    if fault["type"] == "missing":
        return f"{key}: missing; add it"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{key}: {fault['input']!r}: {message[0].lower()}{message[1:]}"
