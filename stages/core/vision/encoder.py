"""open_clip models: loading them, preparing images, encoding images and class prompts."""

import difflib
import hashlib
import importlib.util
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import open_clip
import torch
from joblib import Parallel, delayed
from open_clip.pretrained import download_pretrained, download_pretrained_from_hf
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn
from torchvision.transforms import Compose, Normalize, ToTensor

import stages.core.vision.texture_net  # noqa: F401, makes the architecture known to timm
from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.paths import user_path
from stages.core.vision.checkpoints import fitting_weights, load_weights, read_weights
from stages.core.vision.model_config import (
    ModelConfig,
    ModelSettings,
    as_pair,
    read_model_config,
    require_self_contained,
)
from stages.core.vision.model_files import (
    CHECKPOINT_SUFFIXES,
    CONFIG_FILE,
    SHIPPED_MODEL,
    WEIGHTS_FILES,
    names_a_checkpoint,
)
from stages.core.vision.packing import can_pack, pack

HUB = "hf-hub:"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# On a CPU the model always sees so many images, or prompts, the last of them filled up: with other
# numbers a matrix product takes another order of sums, and the last bits differ. Sixteen images
# fill a core's cache.
IMAGES_AT_ONCE = 16
TEXTS_AT_ONCE = 64

# What of the preparation of images weights do not show.
PREPARATION = ("mean", "std", "interpolation", "resize_mode")

# Settings that change what is trained, or how the model is found, but not what it computes.
NO_PART_OF_THE_MODEL = ("patch_dropout", "timm_model_pretrained", "timm_drop", "hf_", "tokenizer_")

# Buffers of OpenAI's own checkpoints, which were all trained with QuickGELU.
OPENAI_KEYS = {"input_resolution", "context_length", "vocab_size"}


Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Keys:
    """What params.yaml calls the settings of an encoder, for messages."""

    model: str = "embed.model"
    pretrained: str = "embed.pretrained"
    texts: str = "embed.templates"


@dataclass(frozen=True)
class Encoder:
    """An open_clip model, ready to encode.

    model: on `device`, in the number format `precision`, in eval mode.
    tokenise: list of n texts -> (n, context length) int64.
    resize: PIL image -> RGB PIL image of the model's input size, as open_clip does it.
    mean, std: (3,) float32, by which [0, 1] pixels are normalised.
    preprocessing: open_clip's settings, for encoder.json.
    source, config: open_clip's name of the model and its settings of the architecture.
    trained: whether the weights come from a training or from the seed.
    remarks: what had to be assumed, a line each, for the user.
    """

    name: str
    pretrained: str | None
    trained: bool
    quick_gelu: bool
    model: nn.Module
    tokenise: Callable[[list[str]], torch.Tensor]
    resize: Callable[[Image.Image], Image.Image]
    mean: np.ndarray
    std: np.ndarray
    preprocessing: dict
    source: str
    config: dict
    remarks: tuple[str, ...]
    device: torch.device
    precision: str = "fp32"

    @property
    def logit_scale(self) -> float:
        """The factor that makes logits of cosines."""
        return float(self.model.logit_scale.detach().float().exp())

    @property
    def logit_bias(self) -> float | None:
        """What is added to the scaled cosines; None for a model that was trained without."""
        bias = getattr(self.model, "logit_bias", None)
        return None if bias is None else float(bias.detach().float())

    @property
    def probabilities(self) -> str:
        """By what the model's logits become probabilities: 'sigmoid' or 'softmax'.

        A bias is what the sigmoid loss has (Zhai et al. 2023, section 3.2) and a softmax, which
        it would not change, does not; open_clip gives one to the models of that loss alone.
        """
        return "softmax" if self.logit_bias is None else "sigmoid"

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(3, H, W) float32 in [0, 1]: the image, resized and cropped for the model."""
        pixels = np.asarray(self.resize(image), dtype=np.float32)  # (H, W, 3)
        return np.divide(pixels.transpose(2, 0, 1), np.float32(255), order="C")

    def normalise(self, pixels: np.ndarray) -> torch.Tensor:
        """(b, 3, H, W) float32, [0, 1] pixels -> the model's input, on its device."""
        mean, std = (
            torch.from_numpy(x).to(self.device)[:, None, None] for x in (self.mean, self.std)
        )
        inputs = torch.empty(pixels.shape, dtype=DTYPES[self.precision], device=self.device)
        # On a CPU image by image, so that what lies in between stays in the cache.
        some = 1 if self.device.type == "cpu" else len(pixels)
        for rows, own in zip(inputs.split(some), torch.from_numpy(pixels).split(some), strict=True):
            rows.copy_((own.to(self.device) - mean).div_(std))
        return inputs

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        """(b, 3, H, W) float32, [0, 1] pixels -> (b, d) float32, unit rows.

        On a CPU no row depends on b; on an accelerator its last bits may. A row without a
        direction (not finite, or zero) comes back as NaN.
        """
        at_once = IMAGES_AT_ONCE if self.device.type == "cpu" else len(pixels)

        def encode(images: torch.Tensor) -> torch.Tensor:
            return self.model.encode_image(self.normalise(images.numpy()))

        with torch.inference_mode():
            batches = torch.from_numpy(pixels).split(at_once)
            features = [_filled_up(encode, batch, at_once) for batch in batches]
        return unit_rows(torch.cat(features).float().cpu().numpy())

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit rows; NaN as in `encode_images`.

        No row depends on n. Raises StudyError for a text that is longer than the model's context.
        """
        tokens = self.tokenise(texts).to(self.device)

        def encode(batch: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():  # which a thread does not take over from another
                return _filled_up(self.model.encode_text, batch, TEXTS_AT_ONCE)

        features = map_on_cores(self.device, encode, tokens.split(TEXTS_AT_ONCE))
        return unit_rows(torch.cat(list(features)).float().cpu().numpy())


def _filled_up(
    encode: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, count: int
) -> torch.Tensor:
    """`encode` of rows, which are repeated to `count` of them for the time of it."""
    repeated = rows[torch.arange(count, device=rows.device) % len(rows)]
    return encode(repeated if len(rows) < count else rows)[: len(rows)]


def map_on_cores(
    device: torch.device,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
) -> Iterator[Result]:
    """function(item) of each item, in order, by threads.

    workers: the number of threads; one for every core by default, one alone on an accelerator.
    On a CPU each thread computes on one core of its own, so that no result depends on the number
    of cores: torch shares out sums over as many threads as it may use.
    """
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
        workers = workers or available_cores()
    pool = Parallel(workers or 1, backend="threading", return_as="generator")
    try:
        yield from pool(delayed(function)(item) for item in items)
    finally:
        torch.set_num_threads(before)


def unit_rows(features: np.ndarray) -> np.ndarray:
    """(n, d) float32 with every row scaled to length one; a row that has no direction is NaN."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    lengths[~(np.isfinite(lengths) & (lengths > 0))] = np.nan
    return (features / lengths).astype(np.float32)


def class_prompts(name: str, templates: list[str]) -> list[str]:
    """The prompts of a class; underscores in its name become spaces."""
    return [template.replace("{}", name.replace("_", " ")) for template in templates]


def encode_classes(encoder: Encoder, classes: list[str], templates: list[str]) -> np.ndarray:
    """(C, d) float32, unit rows: the mean of the prompts' unit embeddings, normalised again.

    This is the prompt ensemble of Radford et al. (2021), section 3.1.4. Raises StudyError for
    a prompt that the model's context cannot hold or that gets no finite embedding.
    """
    prompts = [prompt for name in classes for prompt in class_prompts(name, templates)]
    units = encoder.encode_texts(prompts).reshape(len(classes), len(templates), -1)
    text = unit_rows(units.astype(np.float64).mean(axis=1))
    bad = np.flatnonzero(~np.isfinite(text).all(axis=1))
    if len(bad):
        raise StudyError(
            f"embed.templates: the prompts of {classes[bad[0]]} have no finite embedding in "
            f"{encoder.precision}; {mend_of_precision(encoder.precision)}"
        )
    return text


def mend_of_precision(precision: str) -> str:
    """What to do about an embedding that is not finite."""
    if precision == "fp32":
        return "the model's weights are damaged, fetch them again"
    return "set embed.precision: " + ("bf16 or fp32" if precision == "fp16" else "fp32")


def choose_device(name: str, key: str = "embed.device") -> torch.device:
    """The device of that name, or for 'auto' the best there is: CUDA, then MPS, then the CPU.

    Raises StudyError, which names the setting `key`, for a device that is not here.
    """
    cuda, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    here = [f"cuda:{i}" for i in range(cuda)] + ["mps"] * mps + ["cpu"]
    if name not in [*here, *(["cuda"] if cuda else [])]:
        raise StudyError(f"{key}: no {name!r} here; set auto or one of {', '.join(here)}")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """`name`, or for 'auto' bf16 where the hardware computes in it and fp32 elsewhere."""
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = bool(torch.cpu.get_capabilities().get("avx512_bf16")) and can_pack()
    else:
        fast = False
    return "bf16" if fast else "fp32"


def with_precision(encoder: Encoder, precision: str) -> Encoder:
    """The encoder in another number format (the whole model, not autocast), laid out for speed.

    The model is converted in place, so that the given encoder must not be used any more.
    Convolutions get their weights channels last; in bfloat16 on a CPU a vision transformer gets
    the modules of stages.core.vision.packing.
    """
    model = encoder.model
    exact = {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters(recurse=False)
        if name in ("logit_scale", "logit_bias")  # of float32 cosines, later on
    }
    model.to(DTYPES[precision])
    for name, value in exact.items():
        getattr(model, name).data = value
    if encoder.device.type != "mps":
        encoder.model.visual.to(memory_format=torch.channels_last)
    if precision == "bf16" and encoder.device.type == "cpu" and can_pack():
        pack(encoder.model.visual)
    return replace(encoder, precision=precision)


def load_encoder(
    model: str,
    pretrained: str | None,
    model_folder: Path,
    seed: int,
    device: torch.device,
    keys: Keys = Keys(),
) -> Encoder:
    """Load a model in fp32.

    model: an architecture of open_clip; 'texture-clip', which is the model in `model_folder`;
    a folder in open_clip's layout (open_clip_config.json and weights beside it); or
    'hf-hub:<organisation>/<name>', such a folder on the Hugging Face hub, downloaded once.
    pretrained: for an architecture, a tag of open_clip, whose weights are downloaded once and
    kept, or a checkpoint file; None draws the weights at random from `seed`.
    keys: the settings that messages name.

    Checkpoints are read without unpickling code, and a folder never leads out of it. Raises
    StudyError for a model, tag or file that does not exist, does not fit, or was trained with the
    other GELU.
    """
    name = model.replace("/", "-")  # OpenAI writes ViT-B/32
    if name not in open_clip.list_models():
        if model == SHIPPED_MODEL:
            return _load_folder(model, pretrained, model_folder, device, keys)
        if model.startswith(HUB):
            return _load_from_hub(model, pretrained, device, keys)
        folder = user_path(model, keys.model)
        if folder.is_dir():
            return _load_folder(model, pretrained, folder, device, keys)
        known = [*open_clip.list_models(), SHIPPED_MODEL]
        raise StudyError(
            f"{keys.model}: {quoted(model)} is no architecture of open_clip and no folder; "
            f"{_nearest(name, known)}"
        )
    config = open_clip.get_model_config(name)
    _require_transformers(name, config, keys)
    found = None if pretrained is None else _find_weights(name, pretrained, config, keys)
    preparation = {**_usual_preparation(name), **found.preparation} if found else {}
    built = _build(name, seed, f"{keys.model}: {name} could not be built", preparation)
    if found:
        where = f"{keys.pretrained}: {found.file}"
        load_weights(built, _read_weights(found.file, where, name, config, keys), where, name)
    encoder = _encoder(name, pretrained, found is not None, built, name, config, device, keys)
    return _with_remark(encoder, str(found.file), found.preparation) if found else encoder


def _load_folder(
    model: str, pretrained: str | None, folder: Path, device: torch.device, keys: Keys
) -> Encoder:
    """Load a folder in the layout that open_clip publishes models in."""
    _require_no_other_weights(model, pretrained, keys)
    file = folder / CONFIG_FILE
    if not file.exists():
        mend = "; run 'dvc repro pretrain'" if model == SHIPPED_MODEL else ""
        raise StudyError(f"{keys.model}: {file} not found{mend}")
    weights = next((folder / name for name in WEIGHTS_FILES if (folder / name).exists()), None)
    if weights is None:
        raise StudyError(f"{keys.model}: {folder} holds no {' or '.join(WEIGHTS_FILES)}")
    config = read_model_config(file)
    require_self_contained(config, folder)
    return _load_configured(
        model, f"local-dir:{folder}", config, file, weights, str(weights), device, keys
    )


def _load_from_hub(model: str, pretrained: str | None, device: torch.device, keys: Keys) -> Encoder:
    """Load a model from the Hugging Face hub, or from the cache of what came from there."""
    _require_no_other_weights(model, pretrained, keys)
    repository = model.removeprefix(HUB)
    try:
        with _quiet():
            file = Path(download_pretrained_from_hf(repository, CONFIG_FILE))
            weights = Path(download_pretrained_from_hf(repository))
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyError(
            f"{keys.model}: {quoted(model)} could not be downloaded ({_reason(error)}); check its "
            "name, connect to the network, or give a folder"
        ) from None
    _require_whole_download(weights)
    where = f"{keys.model}: {model}: {weights.name}"
    return _load_configured(
        model, model, read_model_config(file), file, weights, where, device, keys
    )


def _load_configured(
    model: str,
    source: str,
    config: ModelConfig,
    file: Path,
    weights: Path,
    where: str,
    device: torch.device,
    keys: Keys,
) -> Encoder:
    """Load the model that a configuration describes, by open_clip's name `source` for it."""
    settings = config.model_cfg.model_dump(exclude_unset=True)
    _require_transformers(model, settings, keys)
    found = _read_weights(weights, where, model, settings, keys)
    problem = f"{file}: not a model that open_clip can build"
    if config.model_cfg.text_cfg.hf_model_name is None:  # transformers has ways of its own
        # Without memory at first, so that none is taken for sizes that the weights do not have.
        fitting_weights(_build(source, 0, problem, {}, "meta"), found, where, model)
    built = _build(source, 0, problem, {})
    load_weights(built, found, where, model)
    encoder = _encoder(model, None, True, built, source, settings, device, keys)
    _require_embeddings(encoder, problem)
    return _with_remark(encoder, str(file), config.preprocess_cfg.given())


def _build(
    source: str, seed: int, problem: str, preparation: dict, device: str = "cpu"
) -> nn.Module:
    """A model as open_clip builds it, with weights drawn from the seed; on 'meta' it has none.

    Raises StudyError that begins with `problem`.
    """
    try:
        with _seeded(seed), torch.device(device):
            return open_clip.create_model(
                source,
                load_weights=False,
                pretrained_text=False,
                force_preprocess_cfg=preparation,
                device=device,
            )
    except MemoryError:
        raise
    except Exception as error:  # what a configuration may break has no common class
        raise StudyError(f"{problem} ({_reason(error)})") from None


def _encoder(
    name: str,
    pretrained: str | None,
    trained: bool,
    model: nn.Module,
    source: str,
    config: dict,
    device: torch.device,
    keys: Keys,
) -> Encoder:
    """The encoder of a built model; `source` is open_clip's name for where its tokeniser is."""
    settings = PreprocessCfg(**model.visual.preprocess_cfg)
    steps = image_transform_v2(settings, is_train=False).transforms
    normalise = next(step for step in steps if isinstance(step, Normalize))
    tokenise = _load_tokeniser(source, name, config, keys)
    return Encoder(
        name=name,
        pretrained=pretrained,
        trained=trained,
        quick_gelu=bool(config.get("quick_gelu")),
        model=model.eval().requires_grad_(False).to(device),
        tokenise=whole_texts(tokenise, _vocabulary(model), keys),
        resize=Compose([step for step in steps if not isinstance(step, ToTensor | Normalize)]),
        mean=np.asarray(normalise.mean, dtype=np.float32),
        std=np.asarray(normalise.std, dtype=np.float32),
        preprocessing=dict(model.visual.preprocess_cfg),
        source=source,
        config=config,
        remarks=(),
        device=device,
    )


def _with_remark(encoder: Encoder, where: str, known: dict) -> Encoder:
    """The encoder with a remark on what of the preparation of images had to be assumed."""
    assumed = []
    for key in PREPARATION:
        value = encoder.preprocessing[key]
        if key not in known:
            shown = " ".join(f"{x:g}" for x in value) if key in ("mean", "std") else value
            assumed.append(f"{key.replace('_', ' ')} {shown}")
    if not assumed:
        return encoder
    remark = (
        f"{where} does not say all of how images were prepared for the training; assumed: "
        f"{', '.join(assumed)}; preprocess_cfg of {CONFIG_FILE} beside the weights would say it"
    )
    return replace(encoder, remarks=(remark,))


def _require_embeddings(encoder: Encoder, problem: str) -> None:
    """Raise StudyError unless images and texts get embeddings of one dimension."""
    height, width = as_pair(encoder.preprocessing["size"])
    try:
        with torch.inference_mode():
            image = encoder.normalise(np.zeros((1, 3, height, width), dtype=np.float32))
            tokens = encoder.tokenise(["a texture"]).to(encoder.device)
            found = [encoder.model.encode_image(image), encoder.model.encode_text(tokens)]
            shapes = [list(each.shape) for each in found]
    except (StudyError, MemoryError):
        raise
    except Exception as error:  # what a configuration may break has no common class
        raise StudyError(f"{problem} ({_reason(error)})") from None
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise StudyError(
            f"{problem}: an image becomes an array of shape {shapes[0]}, a text one of {shapes[1]}"
        )


def _load_tokeniser(source: str, name: str, config: dict, keys: Keys) -> Callable:
    """open_clip's tokeniser of a model; one of transformers never brings code of its own."""
    hub = config["text_cfg"].get("hf_tokenizer_name")
    try:
        with _quiet():
            return open_clip.get_tokenizer(source, **({"trust_remote_code": False} if hub else {}))
    except Exception as error:  # transformers raises nearly anything for what is not there
        what = f"tokeniser {hub}" if hub else "tokeniser"
        raise StudyError(
            f"{keys.model}: the {what} of {name} could not be loaded ({_reason(error)}); connect "
            "to the network if it is on a hub, or choose another model"
        ) from None


def _vocabulary(model: nn.Module) -> int:
    """The number of tokens that the model's text tower knows."""
    return getattr(model, "vocab_size", None) or model.text.vocab_size


def whole_texts(
    tokenise: Callable, vocabulary: int, keys: Keys
) -> Callable[[list[str]], torch.Tensor]:
    """open_clip's tokeniser, which would cut a long text off in silence, with an error instead.

    A text fits where a context of twice the length adds padding alone. What a tokeniser pads with,
    and on which side, differs, and some pad with the token that also ends a text, so that it is
    read off the empty text. vocabulary: the number of tokens that the model knows.
    """
    length = tokenise.context_length
    empty, padded = (Counter(tokenise([""], n)[0].tolist()) for n in (length, 2 * length))
    padding = list((padded - empty).elements())
    if len(padding) != length or len(set(padding)) != 1:
        raise StudyError(f"{keys.model}: a context of {length} tokens has no room for a text")

    def tokens_of(texts: list[str]) -> torch.Tensor:
        tokens, longer = tokenise(texts, length), tokenise(texts, 2 * length)
        for text, short, long in zip(texts, tokens.tolist(), longer.tolist(), strict=True):
            if not _is_padded(short, long, padding):
                raise StudyError(
                    f"{keys.texts}: {quoted(text)} is longer than the {length} tokens that the "
                    "model reads; shorten it, or choose a model that reads more"
                )
        if tokens.max() >= vocabulary:
            raise StudyError(
                f"{keys.model}: its tokeniser has token {tokens.max()}, while its text tower knows "
                f"{vocabulary}; they belong to different models"
            )
        return tokens

    return tokens_of


def _is_padded(short: list[int], long: list[int], padding: list[int]) -> bool:
    """Whether `long` is `short` with the padding, in one piece, put in somewhere."""
    pairs = enumerate(zip(short, long[: len(short)], strict=True))
    place = next((i for i, (one, other) in pairs if one != other), len(short))
    return long == short[:place] + padding + short[place:]


def _nearest(name: str, known: list[str]) -> str:
    """The mend for an unknown name: the known ones most like it."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0)
    return f"the nearest are {', '.join(lower[each] for each in near)}"


def _require_no_other_weights(model: str, pretrained: str | None, keys: Keys) -> None:
    if pretrained is not None:
        raise StudyError(
            f"{keys.pretrained}: {quoted(pretrained)} does not go with {model}, which has its own "
            "weights; set it to null"
        )


def _require_transformers(name: str, config: dict, keys: Keys) -> None:
    text = config["text_cfg"]
    wanted = text.get("hf_model_name") or text.get("hf_tokenizer_name")
    if wanted and importlib.util.find_spec("transformers") is None:
        raise StudyError(
            f"{keys.model}: {name} reads text with the package transformers, which is not "
            "installed; pip install transformers, or choose another model"
        )


class _Found(NamedTuple):
    """Weights that the user named, and what is known of how their images were prepared."""

    file: Path
    preparation: dict


def _find_weights(name: str, pretrained: str, config: dict, keys: Keys) -> _Found:
    """The weights of a tag, which may mean a download, or of a file, for an architecture."""
    quick_gelu = bool(config.get("quick_gelu"))
    settings = open_clip.get_pretrained_cfg(name, pretrained)
    if settings:
        _require_gelu(
            bool(settings.get("quick_gelu")), quick_gelu, name, f"tag {pretrained!r}", keys
        )
        return _Found(_download(name, pretrained, settings, keys), _preparation(settings))
    file = user_path(pretrained, keys.pretrained)
    if file.exists():
        if not file.is_file() or file.suffix not in CHECKPOINT_SUFFIXES:
            raise StudyError(
                f"{keys.pretrained}: {file} is not a checkpoint; give a file that ends in "
                f"{', '.join(CHECKPOINT_SUFFIXES)}"
            )
        return _Found(file, _known_preparation(file, name, config, keys))
    plain = name.removesuffix("-quickgelu")
    if plain != name and open_clip.get_pretrained_cfg(plain, pretrained):
        _require_gelu(False, quick_gelu, name, f"tag {pretrained!r}", keys)
    if names_a_checkpoint(pretrained):
        raise StudyError(f"{keys.pretrained}: {pretrained}: no such file")
    tags = open_clip.list_pretrained_tags_by_model(name)
    mend = _nearest(pretrained, tags) if tags else "open_clip has no tags for it, give a file"
    raise StudyError(f"{keys.pretrained}: {quoted(pretrained)} is no tag of {name}; {mend}")


def _preparation(settings: dict) -> dict:
    return {key: settings[key] for key in PREPARATION if key in settings}


def _usual_preparation(name: str) -> dict:
    """How images are prepared for all of open_clip's weights of an architecture, where they agree.

    What a user trained from such weights is the likeliest to come without a word on it.
    """
    tags = open_clip.list_pretrained_tags_by_model(name)
    found = [_preparation(open_clip.get_pretrained_cfg(name, tag)) for tag in tags]
    return found[0] if found and all(each == found[0] for each in found) else {}


def _known_preparation(file: Path, name: str, config: dict, keys: Keys) -> dict:
    """How images are prepared for a checkpoint, where open_clip's configuration beside it or
    open_clip's own list tells; {} where nothing does.

    Raises StudyError where that tells of another architecture, in what the shapes of weights do
    not show.
    """
    notes, quick_gelu = file.parent / CONFIG_FILE, bool(config.get("quick_gelu"))
    if notes.exists():
        beside = read_model_config(notes)
        _require_gelu(beside.model_cfg.quick_gelu, quick_gelu, name, str(file), keys)
        _require_same_architecture(beside.model_cfg, notes, name, config, keys)
        return _preparation(beside.preprocess_cfg.given())
    listed = _listed(file)
    known = bool(listed.get("quick_gelu")) if listed else None
    if known is None and re.search("openai|quick-?_?gelu", file.name.lower()):
        known = True
    if known is not None:
        _require_gelu(known, quick_gelu, name, str(file), keys)
    return _preparation(listed)


def _require_same_architecture(
    beside: ModelSettings, notes: Path, name: str, config: dict, keys: Keys
) -> None:
    """Raise StudyError where a configuration computes something else than the architecture."""
    ours = ModelSettings.model_validate_json(json.dumps(config))
    for section in ("vision_cfg", "text_cfg"):
        one, other = (getattr(each, section).model_dump() for each in (ours, beside))
        for key in one:
            if key == "image_size":
                one[key], other[key] = as_pair(one[key]), as_pair(other[key])
            if one[key] != other[key] and not key.startswith(NO_PART_OF_THE_MODEL):
                raise StudyError(
                    f"{keys.pretrained}: {notes} says {section}.{key}: {other[key]}, while {name} "
                    f"has {one[key]}; set {keys.model} to the architecture of these weights, or to "
                    "their folder"
                )


def _listed(file: Path) -> dict:
    """What open_clip lists for a file, by its name or that of its hub's folder in a cache."""
    for name, tag in open_clip.list_pretrained():
        settings = open_clip.get_pretrained_cfg(name, tag)
        repository = settings.get("hf_hub", "").strip("/").split("/")
        cached = "models--" + "--".join(repository[:2])
        if cached in file.parts or Path(settings.get("url", "")).name == file.name:
            return settings
    return {}


def _require_gelu(
    trained_with: bool, built_with: bool, name: str, weights: str, keys: Keys
) -> None:
    """Raise StudyError where weights and architecture differ in QuickGELU."""
    if trained_with == built_with:
        return
    other = f"{name}-quickgelu" if trained_with else name.removesuffix("-quickgelu")
    mend = (
        f"set {keys.model}: {other}" if other in open_clip.list_models() else "take another model"
    )
    gelus = {True: "QuickGELU", False: "GELU"}
    raise StudyError(
        f"{keys.pretrained}: {weights} was trained with {gelus[trained_with]}, while {name} has "
        f"{gelus[built_with]}; {mend}"
    )


def _download(name: str, tag: str, settings: dict, keys: Keys) -> Path:
    """The weights file of a tag, from open_clip's cache or the network, checked by its SHA-256."""
    try:
        with _quiet():
            file = Path(download_pretrained(settings))
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyError(
            f"{keys.pretrained}: the weights {tag!r} of {name} could not be downloaded "
            f"({_reason(error)}); connect to the network, or give a checkpoint file"
        ) from None
    _require_whole_download(file)
    return file


def _require_whole_download(file: Path) -> None:
    """Raise StudyError unless a file of a hub's cache has the SHA-256 that it is named by.

    huggingface_hub checks the size alone, but names a large file by its SHA-256.
    """
    expected = file.readlink().name if file.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", expected):
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            raise StudyError(
                f"{file}: its SHA-256 is {found} instead of {expected}; remove "
                f"{file.parents[2]} and run the stage again"
            )


def _read_weights(
    file: Path, where: str, name: str, config: dict, keys: Keys
) -> dict[str, torch.Tensor]:
    """The weights in a file, without the buffers by which OpenAI's own are known."""
    weights = read_weights(file, where)
    if OPENAI_KEYS & weights.keys():
        _require_gelu(True, bool(config.get("quick_gelu")), name, str(file), keys)
    return {key: tensor for key, tensor in weights.items() if key not in OPENAI_KEYS}


def _reason(error: Exception) -> str:
    """The first line of an exception's message."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return one_line(lines[0], 200) if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what open_clip and huggingface_hub log to themselves: the stage says it, or raises."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from torch's global generator as of `seed`, and leave it as it was."""
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
