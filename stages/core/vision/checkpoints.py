"""Weights of a model from a checkpoint file: read without running code, checked, and loaded.

A file may hold the weights themselves or a training's checkpoint with the weights under a key
(state_dict, model, ...), their names may have the prefixes that training adds (module., model.,
_orig_mod.), and it may be of safetensors or torch.save, whatever its name ends in. The weights
must be what the model has, name by name and shape by shape: nothing is left out, interpolated
or cast from another kind of number without a word.
"""

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from open_clip.convert import convert_state_dict
from open_clip.model import CLIP, CustomTextCLIP, convert_to_custom_text_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from stages.core.runtime.errors import StudyError, one_line, quoted

# Keys under which trainings keep the weights, the likeliest first.
NESTED = ("state_dict", "model_state_dict", "model", "module", "weights")
DEPTH = 4
PREFIXES = ("module.", "model.")
# What torch.compile, FSDP and activation checkpointing put into names, wherever they wrap a module.
WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# Of the factor that multiplies cosines: CLIP's training keeps it below 100, and sigmoid models
# have about 115. Beyond a thousand it is no logarithm that a training came to.
LARGEST_SCALE = 1000


def read_weights(file: Path, where: str) -> dict[str, Tensor]:
    """{name: tensor} of a checkpoint, on the CPU, the names without what training adds.

    where: what messages begin with. Raises StudyError for a file that is not regular, empty, of
    another kind, damaged, or that would have to run code.
    """
    if not file.is_file():
        raise StudyError(f"{where} is not a regular file; give the file of a checkpoint")
    try:
        with file.open("rb") as stream:
            start = stream.read(9)
            stream.seek(0)
            if not start:
                raise StudyError(
                    f"{where} cannot be read as a checkpoint: it is empty; fetch it again"
                )
            if start[8:] == b"{":
                content = load_file(file)
            elif start.startswith((b"PK", b"\x80")):
                with warnings.catch_warnings(action="ignore"):  # what matters is refused below
                    content = torch.load(stream, map_location="cpu", weights_only=True)
            else:
                raise StudyError(
                    f"{where} cannot be read as a checkpoint: it begins with {start!r}, as neither "
                    "safetensors nor torch.save writes; give the weights themselves"
                )
    except (StudyError, MemoryError):
        raise
    except PermissionError:
        raise StudyError(f"{where} may not be read; give yourself the permission") from None
    except Exception as error:  # what the readers raise for a foreign file has no common class
        raise StudyError(f"{where} {_what_is_wrong(error)}") from None
    return _own_names(_unwrapped(content, where), where)


def _what_is_wrong(error: Exception) -> str:
    """What a reader's exception means for the user."""
    text = str(error)
    if "TorchScript" in text:
        return "is a TorchScript archive, which holds code; save its state_dict, or give a tag"
    if "weights_only" in text or "Unsupported" in text:
        return "holds pickled code, which is not loaded; save its state_dict alone"
    reason = one_line(text, 200) or type(error).__name__
    return f"cannot be read as a checkpoint: it is damaged ({reason}); fetch it again"


def _unwrapped(content: object, where: str) -> dict[str, Tensor]:
    """The weights within what a file holds."""
    for _ in range(DEPTH):
        if not isinstance(content, Mapping) or any(
            isinstance(value, Tensor) for value in content.values()
        ):
            break
        nested = [content[key] for key in NESTED if isinstance(content.get(key), Mapping)]
        if not nested:
            break
        content = nested[0]
    if (
        not isinstance(content, Mapping)
        or not any(isinstance(value, Tensor) for value in content.values())
        or not all(isinstance(key, str) for key in content)
    ):
        found = list(content) if isinstance(content, Mapping) else type(content).__name__
        raise StudyError(
            f"{where} holds no weights by name, but {quoted(found)}; save the model's state_dict"
        )
    return dict(content)


def _own_names(weights: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """The weights by the names that the bare model gives them."""
    named = {WRAPPERS.sub("", name): tensor for name, tensor in weights.items()}
    if len(named) < len(weights):
        raise StudyError(f"{where} holds weights twice, compiled and not; save one of them")
    while True:
        shared = [each for each in PREFIXES if all(name.startswith(each) for name in named)]
        if not shared:
            return named
        named = {name.removeprefix(shared[0]): tensor for name, tensor in named.items()}


def load_weights(
    model: CLIP | CustomTextCLIP, weights: dict[str, Tensor], where: str, name: str
) -> None:
    """Load weights into the model `name`; raises StudyError as `fitting_weights` does."""
    model.load_state_dict(fitting_weights(model, weights, where, name))


def fitting_weights(
    model: CLIP | CustomTextCLIP, weights: dict[str, Tensor], where: str, name: str
) -> dict[str, Tensor]:
    """The weights by the names, in the shapes and number formats of the model `name`.

    A logit_bias that the model was not built with is added to it: a model has one where it was
    trained with sigmoids. Raises StudyError, which begins with `where`, for weights that the
    model does not have or lacks, of another shape or kind of number, not finite, or with a
    logit_scale that is no logarithm.
    """
    try:
        weights = convert_state_dict(model, weights)  # Apple's own files of MobileCLIP
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise StudyError(f"{where} does not fit {name}: {one_line(error, 200)}") from None
    if "positional_embedding" in weights and not hasattr(model, "positional_embedding"):
        weights = convert_to_custom_text_state_dict(weights)
    if "logit_bias" in weights and getattr(model, "logit_bias", None) is None:
        model.logit_bias = nn.Parameter(torch.zeros_like(model.logit_scale))
    # transformers kept these among the weights once.
    positions = "text.transformer.embeddings.position_ids"
    if positions not in model.state_dict():
        weights.pop(positions, None)
    fitting = weights_by_name(model, weights, where, name)
    _require_logarithm(fitting, where)
    return fitting


def weights_by_name(
    model: nn.Module, weights: dict[str, Tensor], where: str, name: str
) -> dict[str, Tensor]:
    """The weights in the shapes and number formats of any model `name`; raises as above."""
    wanted = model.state_dict()
    misfits = [
        f"{len(some)} {what} such as {one_line(some[0], 80)}"
        for what, some in (
            ("weights are missing", [key for key in wanted if key not in weights]),
            ("are unknown", [key for key in weights if key not in wanted]),
        )
        if some
    ]
    if misfits:
        raise StudyError(f"{where} does not fit {name}: {', '.join(misfits)}")
    return {key: _fitting(key, weights[key], wanted[key], where, name) for key in wanted}


def _fitting(key: str, found: object, wanted: Tensor, where: str, name: str) -> Tensor:
    """One of the weights, in the number format of the model's."""
    if not isinstance(found, Tensor) or type(found) not in (Tensor, nn.Parameter):
        raise StudyError(f"{where} holds no plain tensor as {key}; save the model's state_dict")
    if found.layout is not torch.strided or found.is_quantized or found.is_meta:
        raise StudyError(
            f"{where} holds {key} sparse, quantised or without numbers; save it as a dense tensor"
        )
    if key in ("logit_scale", "logit_bias") and found.numel() == 1:
        found = found.reshape(wanted.shape)  # a number, or a list of one
    if found.shape != wanted.shape:
        longer = " (it was trained with another length)" if "positional" in key else ""
        raise StudyError(
            f"{where} does not fit {name}: {key} has shape {list(found.shape)} instead of "
            f"{list(wanted.shape)}{longer}; name the architecture that the weights belong to"
        )
    if wanted.is_floating_point() and found.dtype not in FLOATS:
        raise StudyError(
            f"{where} holds {key} as {_kind(found)}, where weights are float16, bfloat16, float32 "
            "or float64; save the model in one of these"
        )
    if not wanted.is_floating_point() and (found.is_floating_point() or found.is_complex()):
        raise StudyError(f"{where} holds {key} as {_kind(found)}, where {_kind(wanted)} belongs")
    found = found.to(wanted.dtype)
    if not torch.isfinite(found).all():
        raise StudyError(
            f"{where} holds numbers in {key} that are not finite: the training diverged or the "
            "file is damaged; take other weights"
        )
    return found


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _require_logarithm(weights: dict[str, Tensor], where: str) -> None:
    """Raise StudyError for a logit_scale whose exponential is no factor that a model has."""
    largest = math.log(LARGEST_SCALE)
    for value in weights["logit_scale"].flatten().tolist():
        if not abs(value) <= largest:
            raise StudyError(
                f"{where} holds {value:g} as logit_scale, whose exponential multiplies the "
                f"cosines, where {largest:.1f} is more than any training comes to; if it is the "
                "factor itself, save its logarithm"
            )
