"""open_clip models: loading them, preparing images, encoding images and class prompts."""

import difflib
import hashlib
import importlib.util
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.factory import load_checkpoint
from open_clip.pretrained import download_pretrained
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn
from torchvision.transforms import Compose, Normalize, ToTensor

import stages.core.texture_net  # noqa: F401, makes the architecture known to timm
from stages.core.errors import StudyError
from stages.core.model_files import (
    CHECKPOINT_SUFFIXES,
    CONFIG_FILE,
    SHIPPED_MODEL,
    WEIGHTS_FILES,
    names_a_checkpoint,
)
from stages.core.packing import can_pack, pack
from stages.core.paths import user_path

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Buffers of OpenAI's own checkpoints, which were all trained with QuickGELU.
OPENAI_KEYS = {"input_resolution", "context_length", "vocab_size"}


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
    trained: whether the weights come from a training or from the seed.
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
    device: torch.device
    precision: str = "fp32"

    @property
    def logit_scale(self) -> float:
        """The factor that makes logits of cosines."""
        return float(self.model.logit_scale.detach().float().exp())

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

    @torch.inference_mode()
    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        """(b, 3, H, W) float32, [0, 1] pixels -> (b, d) float32, unit rows.

        A row without a direction (not finite, or zero) comes back as NaN.
        """
        return unit_rows(self.model.encode_image(self.normalise(pixels)).float().cpu().numpy())

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], batch_size: int = 64) -> np.ndarray:
        """n texts -> (n, d) float32, unit rows; NaN as in `encode_images`.

        Raises StudyError for a text that is longer than the model's context.
        """
        tokens = self.tokenise(texts).to(self.device)
        features = [self.model.encode_text(some) for some in tokens.split(batch_size)]
        return unit_rows(torch.cat(features).float().cpu().numpy())


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
    the modules of stages.core.packing.
    """
    scale = encoder.model.logit_scale
    exact = scale.detach().clone()
    encoder.model.to(DTYPES[precision])
    scale.data = exact  # it multiplies float32 cosines later on
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
    or a folder in open_clip's layout (open_clip_config.json and weights beside it).
    pretrained: for an architecture, a tag of open_clip, whose weights are downloaded once and
    kept, or a checkpoint file; None draws the weights at random from `seed`.
    keys: the settings that messages name.

    Checkpoints are read without unpickling code. Raises StudyError for a model, tag or file
    that does not exist, does not fit, or was trained with the other GELU.
    """
    name = model.replace("/", "-")  # OpenAI writes ViT-B/32
    if name not in open_clip.list_models():
        if model == SHIPPED_MODEL:
            return _load_folder(model, pretrained, model_folder, device, keys)
        folder = user_path(model, keys.model)
        if folder.is_dir():
            return _load_folder(model, pretrained, folder, device, keys)
        known = [*open_clip.list_models(), SHIPPED_MODEL]
        raise StudyError(
            f"{keys.model}: {model!r} is no architecture of open_clip and no folder; "
            f"{_nearest(name, known)}"
        )
    config = open_clip.get_model_config(name)
    _require_transformers(name, config, keys)

    quick_gelu = bool(config.get("quick_gelu"))
    settings, weights = {}, None
    if pretrained is not None:
        settings, weights = _find_weights(name, pretrained, quick_gelu, keys)
    with _seeded(seed):
        built = open_clip.create_model(
            name, load_weights=False, pretrained_text=False, force_preprocess_cfg=settings
        )
    if weights:
        _load_weights(built, weights, f"{keys.pretrained}: {weights}", name, quick_gelu, keys)
    return _encoder(name, pretrained, weights is not None, quick_gelu, built, name, device, keys)


def _load_folder(
    model: str, pretrained: str | None, folder: Path, device: torch.device, keys: Keys
) -> Encoder:
    """Load a folder in the layout that open_clip publishes models in."""
    if pretrained is not None:
        raise StudyError(
            f"{keys.pretrained}: {pretrained!r} does not go with {model}, which has its own "
            "weights; set it to null"
        )
    file = folder / CONFIG_FILE
    if not file.exists():
        mend = "; run 'dvc repro pretrain'" if model == SHIPPED_MODEL else ""
        raise StudyError(f"{keys.model}: {file} not found{mend}")
    weights = next((folder / name for name in WEIGHTS_FILES if (folder / name).exists()), None)
    if weights is None:
        raise StudyError(f"{keys.model}: {folder} holds no {' or '.join(WEIGHTS_FILES)}")
    where = f"local-dir:{folder}"
    try:
        config = json.loads(file.read_text())["model_cfg"]
        with _quiet():
            built = open_clip.create_model(where, load_weights=False, pretrained_text=False)
    except (ValueError, KeyError, TypeError, AssertionError, RuntimeError) as error:
        raise StudyError(f"{file}: not a model that open_clip knows: {_one_line(error)}") from None
    quick_gelu = bool(config.get("quick_gelu"))
    _load_weights(built, weights, str(weights), model, quick_gelu, keys)
    return _encoder(model, None, True, quick_gelu, built, where, device, keys)


def _encoder(
    name: str,
    pretrained: str | None,
    trained: bool,
    quick_gelu: bool,
    model: nn.Module,
    tokeniser: str,
    device: torch.device,
    keys: Keys,
) -> Encoder:
    settings = PreprocessCfg(**model.visual.preprocess_cfg)
    steps = image_transform_v2(settings, is_train=False).transforms
    normalise = next(step for step in steps if isinstance(step, Normalize))
    return Encoder(
        name=name,
        pretrained=pretrained,
        trained=trained,
        quick_gelu=quick_gelu,
        model=model.eval().requires_grad_(False).to(device),
        tokenise=_tokeniser(open_clip.get_tokenizer(tokeniser), keys),
        resize=Compose([step for step in steps if not isinstance(step, ToTensor | Normalize)]),
        mean=np.asarray(normalise.mean, dtype=np.float32),
        std=np.asarray(normalise.std, dtype=np.float32),
        preprocessing=dict(model.visual.preprocess_cfg),
        device=device,
    )


def _tokeniser(tokenise: Callable, keys: Keys) -> Callable[[list[str]], torch.Tensor]:
    """open_clip's tokeniser, which would cut a long text off in silence, with an error instead."""
    length = tokenise.context_length
    # Hugging Face's tokenisers pad with a token of their own, open_clip's with zero.
    padding = getattr(getattr(tokenise, "tokenizer", None), "pad_token_id", None) or 0

    def tokens_of(texts: list[str]) -> torch.Tensor:
        tokens = tokenise(texts, context_length=length + 1)
        too_long = (tokens[:, length] != padding).nonzero().flatten()
        if len(too_long):
            raise StudyError(
                f"{keys.texts}: {texts[too_long[0]]!r} is longer than the {length} tokens that "
                "the model reads; shorten it, or choose a model that reads more"
            )
        return tokenise(texts)

    return tokens_of


def _nearest(name: str, known: list[str]) -> str:
    """The mend for an unknown name: the known ones most like it."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0)
    return f"the nearest are {', '.join(lower[each] for each in near)}"


def _require_transformers(name: str, config: dict, keys: Keys) -> None:
    text = config["text_cfg"]
    wanted = "hf_model_name" in text or "hf_tokenizer_name" in text
    if wanted and importlib.util.find_spec("transformers") is None:
        raise StudyError(
            f"{keys.model}: {name} reads text with the package transformers, which is not "
            "installed; pip install transformers, or choose another model"
        )


def _find_weights(name: str, pretrained: str, quick_gelu: bool, keys: Keys) -> tuple[dict, Path]:
    """(preprocessing settings, weights file) of a tag, which may mean a download, or of a file."""
    settings = open_clip.get_pretrained_cfg(name, pretrained)
    if settings:
        _require_gelu(
            bool(settings.get("quick_gelu")), quick_gelu, name, f"tag {pretrained!r}", keys
        )
        return settings, _download(name, pretrained, settings, keys)
    file = user_path(pretrained, keys.pretrained)
    if file.is_file():
        if file.suffix not in CHECKPOINT_SUFFIXES:
            raise StudyError(
                f"{keys.pretrained}: {file} is not a checkpoint; give a file that ends in "
                f"{', '.join(CHECKPOINT_SUFFIXES)}"
            )
        known = _quick_gelu_by_name(file)
        if known is not None:
            _require_gelu(known, quick_gelu, name, str(file), keys)
        return {}, file
    plain = name.removesuffix("-quickgelu")
    if plain != name and open_clip.get_pretrained_cfg(plain, pretrained):
        _require_gelu(False, quick_gelu, name, f"tag {pretrained!r}", keys)
    if names_a_checkpoint(pretrained):
        raise StudyError(f"{keys.pretrained}: {pretrained}: no such file")
    tags = open_clip.list_pretrained_tags_by_model(name)
    mend = _nearest(pretrained, tags) if tags else "open_clip has no tags for it, give a file"
    raise StudyError(f"{keys.pretrained}: {pretrained!r} is no tag of {name}; {mend}")


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


def _quick_gelu_by_name(file: Path) -> bool | None:
    """Whether a checkpoint was trained with QuickGELU, where its name or neighbours tell.

    Weights alone do not. What tells: open_clip's configuration beside the file, the name of a
    file or of a hub's cache folder that open_clip lists, or the words in the file's name.
    """
    config = file.parent / CONFIG_FILE
    if config.is_file():
        try:
            return bool(json.loads(config.read_text())["model_cfg"].get("quick_gelu"))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
    for name, tag in open_clip.list_pretrained():
        settings = open_clip.get_pretrained_cfg(name, tag)
        repository = settings.get("hf_hub", "").strip("/").split("/")
        cached = "models--" + "--".join(repository[:2])
        if cached in file.parts or Path(settings.get("url", "")).name == file.name:
            return bool(settings.get("quick_gelu"))
    return True if re.search("openai|quick-?_?gelu", file.name.lower()) else None


def _download(name: str, tag: str, settings: dict, keys: Keys) -> Path:
    """The weights file of a tag, from open_clip's cache or the network, checked by its SHA-256."""
    try:
        with _quiet():
            file = Path(download_pretrained(settings))
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyError(
            f"{keys.pretrained}: the weights {tag!r} of {name} could not be downloaded "
            f"({_one_line(error)}); connect to the network, or give a checkpoint file"
        ) from None
    # huggingface_hub checks the size alone, but names a large file by its SHA-256.
    expected = file.readlink().name if file.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", expected):
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            raise StudyError(
                f"{file}: its SHA-256 is {found} instead of {expected}; remove "
                f"{file.parents[2]} and run the stage again"
            )
    return file


def _load_weights(
    model: nn.Module, file: Path, where: str, name: str, quick_gelu: bool, keys: Keys
) -> None:
    """Load a checkpoint into a model; raises StudyError that begins with `where`."""
    try:
        with _quiet():
            loaded = load_checkpoint(model, str(file), strict=False, weights_only=True)
    except Exception as error:  # what the readers raise for a foreign file has no common class
        raise StudyError(f"{where} {_what_is_wrong(error, name)}") from None
    unexpected = list(loaded.unexpected_keys)
    if OPENAI_KEYS.issuperset(unexpected) and unexpected:
        _require_gelu(True, quick_gelu, name, str(file), keys)
        unexpected = []
    misfits = [
        f"{len(some)} {what} such as {some[0]}"
        for what, some in (
            ("weights are missing", loaded.missing_keys),
            ("are unknown", unexpected),
        )
        if some
    ]
    if misfits:
        raise StudyError(f"{where} does not fit {name}: {', '.join(misfits)}")


def _what_is_wrong(error: Exception, name: str) -> str:
    """What a reader's exception means for the user."""
    text = str(error)
    misfit = re.search(r"size mismatch for (\S+):", text)
    if misfit:
        found, wanted = re.findall(r"torch\.Size\((\[.*?\])\)", text[misfit.end() :])[:2]
        return f"does not fit {name}: {misfit[1]} has shape {found} instead of {wanted}"
    if "TorchScript" in text:
        return "is a TorchScript archive, which holds code; save its state_dict, or give a tag"
    if "weights_only" in text or "Unsupported" in text:
        return "holds pickled code, which is not loaded; save its state_dict alone"
    return f"cannot be read as a checkpoint of {name} ({type(error).__name__}: {_one_line(error)})"


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


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
