"""open_clip models, loaded from an architecture and weights, a folder, or a hub."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.pretrained import download_pretrained_from_hf
from open_clip.transform import PreprocessCfg, image_transform_v2
from torchvision.transforms import Compose, Normalize, ToTensor

import stages.core.vision.texture_lite0  # makes the architecture known to timm
import stages.core.vision.texture_net  # noqa: F401, likewise
from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.paths import user_path
from stages.core.vision.checkpoints import fitting_weights, load_weights
from stages.core.vision.messages import nearest, quiet, reason
from stages.core.vision.model_config import (
    ModelConfig,
    as_pair,
    read_model_config,
    require_self_contained,
)
from stages.core.vision.model_files import (
    CONFIG_FILE,
    EMBED_KEYS,
    SHIPPED_MODEL,
    WEIGHTS_FILES,
    Keys,
)
from stages.core.vision.open_clip_encoder import OpenClipEncoder
from stages.core.vision.pretrained import (
    PREPARATION,
    find_weights,
    read_own_weights,
    require_whole_download,
    usual_preparation,
)
from stages.core.vision.tokens import load_tokeniser, vocabulary_of, whole_texts

HUB = "hf-hub:"


def load_open_clip(
    model: str,
    pretrained: str | None,
    model_folder: Path,
    seed: int,
    device: torch.device,
    keys: Keys = EMBED_KEYS,
    image_weights: bool = False,
) -> OpenClipEncoder:
    """Load a model in fp32.

    model: an architecture of open_clip; 'texture-clip', which is the model in `model_folder`;
    a folder in open_clip's layout (open_clip_config.json and weights beside it); or
    'hf-hub:<organisation>/<name>', such a folder on the Hugging Face hub, downloaded once.
    pretrained: for an architecture, a tag of open_clip, whose weights are downloaded once and
    kept, or a checkpoint file; None draws the weights at random from `seed`.
    image_weights: whether an architecture's image tower, one of timm, then has the weights that
    timm knows of it.
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
            f"{nearest(name, known)}"
        )
    config = open_clip.get_model_config(name)
    _require_transformers(name, config, keys)
    found = None if pretrained is None else find_weights(name, pretrained, config, keys)
    preparation = {**usual_preparation(name), **found.preparation} if found else {}
    problem = f"{keys.model}: {name} could not be built"
    if image_weights:
        problem = f"{keys.pretrained}: the image tower of {name} could not get its weights"
        if "timm_model_name" not in config["vision_cfg"]:
            raise StudyError(f"{problem}, since it is none of timm; name a tag, a file or null")
    built = _build(name, seed, problem, preparation, image_weights=image_weights)
    if found:
        where = f"{keys.pretrained}: {found.file}"
        load_weights(built, read_own_weights(found.file, where, name, config, keys), where, name)
    encoder = _encoder(name, pretrained, found is not None, built, name, config, device, keys)
    return _with_remark(encoder, str(found.file), found.preparation) if found else encoder


def _load_folder(
    model: str, pretrained: str | None, folder: Path, device: torch.device, keys: Keys
) -> OpenClipEncoder:
    """Load a folder in the layout that open_clip publishes models in."""
    _require_no_other_weights(model, pretrained, keys)
    file = folder / CONFIG_FILE
    if not file.exists():
        fix = "; run 'dvc repro pretrain'" if model == SHIPPED_MODEL else ""
        raise StudyError(f"{keys.model}: {file} not found{fix}")
    weights = next((folder / name for name in WEIGHTS_FILES if (folder / name).exists()), None)
    if weights is None:
        raise StudyError(f"{keys.model}: {folder} holds no {' or '.join(WEIGHTS_FILES)}")
    config = read_model_config(file)
    require_self_contained(config, folder)
    return _load_configured(
        model, f"local-dir:{folder}", config, file, weights, str(weights), device, keys
    )


def _load_from_hub(
    model: str, pretrained: str | None, device: torch.device, keys: Keys
) -> OpenClipEncoder:
    """Load a model from the Hugging Face hub, or from the cache of what came from there."""
    _require_no_other_weights(model, pretrained, keys)
    repository = model.removeprefix(HUB)
    try:
        with quiet():
            file = Path(download_pretrained_from_hf(repository, CONFIG_FILE))
            weights = Path(download_pretrained_from_hf(repository))
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyError(
            f"{keys.model}: {quoted(model)} could not be downloaded ({reason(error)}); check its "
            "name, connect to the network, or give a folder"
        ) from None
    require_whole_download(weights)
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
) -> OpenClipEncoder:
    """Load the model that a configuration describes, by open_clip's name `source` for it."""
    settings = config.model_cfg.model_dump(exclude_unset=True)
    _require_transformers(model, settings, keys)
    found = read_own_weights(weights, where, model, settings, keys)
    problem = f"{file}: not a model that open_clip can build"
    if config.model_cfg.text_cfg.hf_model_name is None:  # transformers has ways of its own
        # Without memory at first, so that none is taken for sizes that the weights do not have.
        fitting_weights(_build(source, 0, problem, {}, "meta"), found, where, model)
    built = _build(source, 0, problem, {})
    load_weights(built, found, where, model)
    encoder = _encoder(model, None, True, built, source, settings, device, keys)
    _require_embeddings(encoder, problem)
    return _with_remark(encoder, str(file), config.preprocess_cfg.given())


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


def _build(
    source: str,
    seed: int,
    problem: str,
    preparation: dict,
    device: str = "cpu",
    image_weights: bool = False,
) -> CLIP | CustomTextCLIP:
    """A model as open_clip builds it, with weights drawn from the seed; on 'meta' it has none.

    image_weights: its image tower has those that timm knows of it.

    Raises StudyError that begins with `problem`.
    """
    try:
        with seeded(seed), torch.device(device):
            return open_clip.create_model(
                source,
                load_weights=False,
                pretrained_image=image_weights,
                pretrained_text=False,
                force_preprocess_cfg=preparation,
                device=device,
            )
    except MemoryError:
        raise
    except Exception as error:  # what a configuration may break has no common class
        raise StudyError(f"{problem} ({reason(error)})") from None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's global generator as of `seed`, and leave it as it was."""
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _encoder(
    name: str,
    pretrained: str | None,
    trained: bool,
    model: CLIP | CustomTextCLIP,
    source: str,
    config: dict,
    device: torch.device,
    keys: Keys,
) -> OpenClipEncoder:
    """The encoder of a built model; `source` is open_clip's name for where its tokeniser is."""
    settings = PreprocessCfg(**model.visual.preprocess_cfg)
    steps = image_transform_v2(settings, is_train=False).transforms
    normalise = next(step for step in steps if isinstance(step, Normalize))
    tokenise = load_tokeniser(source, name, config, keys)
    return OpenClipEncoder(
        name=name,
        pretrained=pretrained,
        trained=trained,
        quick_gelu=bool(config.get("quick_gelu")),
        model=model.eval().requires_grad_(False).to(device),
        tokenise=whole_texts(tokenise, vocabulary_of(model), keys),
        resize=Compose([step for step in steps if not isinstance(step, ToTensor | Normalize)]),
        mean=np.asarray(normalise.mean, dtype=np.float32),
        std=np.asarray(normalise.std, dtype=np.float32),
        preprocessing=dict(model.visual.preprocess_cfg),
        source=source,
        config=config,
        remarks=(),
        device=device,
    )


def _with_remark(encoder: OpenClipEncoder, where: str, known: dict) -> OpenClipEncoder:
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


def _require_embeddings(encoder: OpenClipEncoder, problem: str) -> None:
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
        raise StudyError(f"{problem} ({reason(error)})") from None
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise StudyError(
            f"{problem}: an image becomes an array of shape {shapes[0]}, a text one of {shapes[1]}"
        )
