"""A model's open_clip_config.json, checked before anything is built or loaded from it.

The keys and types are those of open_clip's own dataclasses, so that a new release of open_clip
brings its new settings along; the ranges are ours. A configuration is data: what it says may
shape a model, but never reaches the network, another folder, or code.
"""

import math
import typing
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import timm
from open_clip.coca_model import MultimodalCfg
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, create_model
from pydantic_core import ErrorDetails

from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.vision.model_files import CONFIG_FILE

MOST_BYTES = 2**20

# What transformers reads a tokeniser from.
TOKENISER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)

# Far beyond every model, and small enough to be refused before the memory is asked for.
Size = Annotated[int, Field(ge=1, le=2**20)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Token = Annotated[int, Field(ge=0, le=2**20)]
Ratio = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# Names of the two forms in a fault's location, which are no keys.
TAGS = ("number", "list")
# Pixels lie in [0, 1] when the mean is subtracted.
Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


def _number_or_list(one: Any, many: Any) -> Any:
    """Either of the two, so that a fault is told of the one that was meant."""
    return Annotated[
        Annotated[one, Tag("number")] | Annotated[many, Tag("list")],
        Discriminator(lambda value: "list" if isinstance(value, list | tuple) else "number"),
    ]


class TokeniserSettings(_Section):
    """What open_clip's tokenisers take, but for what names files, other repositories or code."""

    clean: Literal["whitespace", "lower", "canonicalize"] = "lower"
    strip_sep_token: bool = False
    language: str | None = None
    additional_special_tokens: list[str] = []
    reduction_mask: Literal["", "simple", "random", "shuffle"] = ""


RANGES = {
    "layers": Layers,
    "image_size": _number_or_list(Size, tuple[Size, Size]),
    "pad_id": Token,
    "eos_id": Token,
    "mlp_ratio": Ratio,
    "patch_dropout": Share,
    "timm_drop": Share,
    "timm_drop_path": Share,
    "tokenizer_kwargs": TokeniserSettings,
    "tokenizer_mode": Literal["", "clips"],
}
RANGES_OF_VISION = {"layers": _number_or_list(Layers, tuple[Layers, Layers, Layers, Layers])}
RANGES_BY_TYPE = {int: Size, float: Finite}
NULLS = {"patch_size", "timm_pool", "timm_proj"}  # where open_clip's own configurations have null


def _section_of(settings: type, ranges: dict[str, Any]) -> type[_Section]:
    """The schema of one of open_clip's dataclasses."""
    fields: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(settings).items():
        default = getattr(settings, name)
        kinds = {annotation}
        if typing.get_origin(annotation) in (typing.Union, UnionType):
            kinds = set(typing.get_args(annotation))
        (kind, *_) = kinds - {type(None)}
        kind = ranges.get(name, RANGES_BY_TYPE.get(kind, kind))
        nullable = default is None or type(None) in kinds or name in NULLS
        fields[name] = (kind | None if nullable else kind, default)
    return create_model(settings.__name__, __base__=_Section, **fields)


if TYPE_CHECKING:  # what is made at run time is no type to a type checker
    VisionSettings = Any
    TextSettings = Any
    MultimodalSettings = Any
    SizeOrPair = int | tuple[int, int]
else:
    VisionSettings = _section_of(CLIPVisionCfg, RANGES | RANGES_OF_VISION)
    TextSettings = _section_of(CLIPTextCfg, RANGES)
    MultimodalSettings = _section_of(MultimodalCfg, RANGES)
    SizeOrPair = _number_or_list(Size, tuple[Size, Size])


class ModelSettings(_Section):
    """The arguments of open_clip's model classes."""

    embed_dim: Size
    vision_cfg: VisionSettings
    text_cfg: TextSettings
    multimodal_cfg: MultimodalSettings | None = None
    quick_gelu: bool = False
    custom_text: bool = False
    init_logit_scale: Finite = math.log(1 / 0.07)
    init_logit_bias: Finite | None = None
    nonscalar_logit_scale: bool = False
    pad_id: Token = 0


class PreprocessSettings(_Section):
    """How images are prepared: open_clip's PreprocessCfg."""

    size: SizeOrPair | None = None
    mode: Literal["RGB"] = "RGB"
    mean: tuple[Mean, Mean, Mean] | None = None
    std: tuple[Deviation, Deviation, Deviation] | None = None
    interpolation: Literal["bicubic", "bilinear", "random"] | None = None
    resize_mode: Literal["shortest", "longest", "squash"] | None = None
    fill_color: Annotated[int, Field(ge=0, le=255)] = 0

    def given(self) -> dict[str, Any]:
        """The settings that the file states."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class ModelConfig(_Section):
    """The contents of open_clip_config.json; open_clip does not read other keys."""

    model_config = ConfigDict(extra="ignore")

    model_cfg: ModelSettings
    preprocess_cfg: PreprocessSettings = PreprocessSettings()


def read_model_config(file: Path) -> ModelConfig:
    """Read and check a model's configuration.

    Raises StudyError that names the file, the key, the value and what would be right.
    """
    if not file.is_file():
        raise StudyError(f"{file}: not a regular file; give open_clip's configuration of the model")
    if file.stat().st_size > MOST_BYTES:
        raise StudyError(f"{file}: more than {MOST_BYTES:,} bytes, which no configuration has")
    try:
        config = ModelConfig.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise StudyError(f"{file}: {_sentence(error.errors()[0])}") from None
    _require_size(config, file)
    _require_architecture(config, file)
    return config


def require_self_contained(config: ModelConfig, folder: Path) -> None:
    """Raise StudyError where the configuration in a folder names what lies outside of it."""
    file = folder / CONFIG_FILE
    for key in ("text_cfg", "multimodal_cfg"):
        section = getattr(config.model_cfg, key)
        if section is not None and section.hf_model_name is not None:
            raise StudyError(
                f"{file}: model_cfg.{key}.hf_model_name: {quoted(section.hf_model_name)} lies on a "
                "hub, which a folder's configuration must not reach; name the model itself, as "
                "hf-hub:<organisation>/<name>"
            )
    tokeniser = config.model_cfg.text_cfg.hf_tokenizer_name
    if tokeniser and not any((folder / name).is_file() for name in TOKENISER_FILES):
        raise StudyError(
            f"{file}: model_cfg.text_cfg.hf_tokenizer_name: {quoted(tokeniser)} is not in the "
            f"folder, and is not fetched from a hub; put its {TOKENISER_FILES[0]} there"
        )


def _require_architecture(config: ModelConfig, file: Path) -> None:
    """An image tower of timm must be one that timm builds, without weights of its own."""
    vision = config.model_cfg.vision_cfg
    name = vision.timm_model_name
    if name is not None and (":" in name or not timm.is_model(name)):
        raise StudyError(
            f"{file}: model_cfg.vision_cfg.timm_model_name: {quoted(name)} is no architecture that "
            "timm has; name one of timm.list_models()"
        )
    if vision.timm_model_pretrained:
        raise StudyError(
            f"{file}: model_cfg.vision_cfg.timm_model_pretrained: true asks for weights of a hub, "
            "while the model has its own; set it to false"
        )


def _require_size(config: ModelConfig, file: Path) -> None:
    size, model_size = config.preprocess_cfg.size, config.model_cfg.vision_cfg.image_size
    if size is not None and as_pair(size) != as_pair(model_size):
        raise StudyError(
            f"{file}: preprocess_cfg.size: {size} is not model_cfg.vision_cfg.image_size, "
            f"{model_size}; make them the same"
        )


def as_pair(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """(height, width) of an image size, which open_clip writes as one number where it is square."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _sentence(fault: ErrorDetails) -> str:
    """A fault of a validation in one line."""
    if fault["type"] == "json_invalid":
        return f"not JSON: {one_line(fault['msg'], 200)}"
    key = ".".join(one_line(part, 80) for part in fault["loc"] if part not in TAGS)
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key, which open_clip would not read; remove it"
    if fault["type"] == "missing":
        return f"{key}: missing; add it"
    message = one_line(fault["msg"], 200)
    where = f"{key}: " if key else ""
    return f"{where}{quoted(fault['input'])}: {message[0].lower()}{message[1:]}"
