"""The training loop, and the checkpoints from which a run that was broken off goes on."""

import hashlib
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_file
from stages.core.runtime.progress import progress
from stages.core.training.contrastive import Schedule, batch_rows, training_step
from stages.core.training.held_out import compare, held_out_loss
from stages.core.training.optimiser import OPTIMISERS, Optimiser
from stages.core.training.pairs import Pairs
from stages.core.training.views import Normalisation
from stages.core.vision.open_clip_encoder import OpenClipEncoder
from stages.settings.pretrain import PretrainParams


def for_training(encoder: OpenClipEncoder) -> OpenClipEncoder:
    """The encoder of a model that can be trained here and kept in a folder.

    A softmax over pairs leaves a logit bias as it is, and makes the model one of softmax: the
    bias is dropped. Raises StudyError for a text tower that is not open_clip's own.
    """
    if encoder.config["text_cfg"].get("hf_model_name"):
        raise StudyError(
            f"pretrain.architecture: {encoder.name} has a text tower of transformers, which a "
            "folder of open_clip cannot hold; choose an architecture without"
        )
    if encoder.logit_bias is None:
        return encoder
    encoder.model.logit_bias = None
    config = {key: value for key, value in encoder.config.items() if key != "init_logit_bias"}
    return replace(encoder, config=config)


def train(
    params: PretrainParams,
    encoder: OpenClipEncoder,
    normalisation: Normalisation,
    pairs_of_round: Callable[[int], Pairs],
    held_out: Pairs,
    checkpoint: Path,
    bf16: bool,
    at_checkpoint: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Train the encoder's model in place; returns the loss by step (step, split, loss).

    at_checkpoint: called with the number of steps done after each checkpoint was saved, the model
    in evaluation mode; it may read the model, and changes nothing of the training.

    Goes on from the file `checkpoint` where there is one, and leaves it there at the end; the
    first call is then about that one again, since a kill may have come before it.
    """
    model = encoder.model.requires_grad_(True).train()
    model.to(memory_format=torch.channels_last)
    schedule = Schedule(
        steps=params.steps,
        warmup_steps=params.warmup_steps,
        learning_rate=params.learning_rate,
        batch_size=params.batch_size,
        noise=params.noise,
        seed=params.seed,
    )
    optimiser = OPTIMISERS[params.optimiser](model, params.weight_decay)
    autocast = torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16)
    first, history = _resume(checkpoint, model, optimiser)
    if first and at_checkpoint:
        _show(model, at_checkpoint, first)
    batch = min(params.batch_size, params.round_pairs)
    steps_of_round = max(params.round_pairs // batch, 1) * params.round_views

    bar: tqdm = progress(range(first, params.steps), "training", params.steps)
    bar.update(first)
    pairs, recent = None, []
    for step in range(first, params.steps):
        number, place = divmod(step, steps_of_round)
        if pairs is None or place == 0:
            pairs = None  # the old round goes before the new one comes
            pairs = pairs_of_round(number)
        rows = batch_rows(len(pairs.facts), step, schedule)
        loss = training_step(
            model,
            optimiser,
            encoder.tokenise,
            pairs,
            rows,
            step,
            schedule,
            normalisation,
            autocast,
        )
        recent.append(loss)
        bar.update()
        bar.set_postfix(
            loss=f"{loss:.3f}", pairs_per_s=f"{(bar.format_dict['rate'] or 0) * batch:.0f}"
        )
        if (step + 1) % params.checkpoint_steps == 0 or step + 1 == params.steps:
            seen = compare(model, encoder.tokenise, held_out, normalisation, params.seed)
            history += [
                {"step": step + 1, "split": "train", "loss": rounded(np.mean(recent))},
                {
                    "step": step + 1,
                    "split": "held-out",
                    "loss": rounded(held_out_loss(seen, params.batch_size)),
                },
            ]
            recent = []
            _save_checkpoint(checkpoint, model, optimiser, step + 1, history)
            if at_checkpoint:
                _show(model, at_checkpoint, step + 1)
    bar.close()
    model.eval().requires_grad_(False)
    return pd.DataFrame(history)


def fingerprint(params: PretrainParams, encoder: OpenClipEncoder, held_out: Pairs) -> str:
    """What a checkpoint belongs to: the settings, the first weights, and the held-out pairs.

    The pairs stand for the generator or the data set: one that changed holds out others.
    """
    settings = params.model_dump(exclude={"checkpoint_steps"})  # which changes no result
    found = hashlib.sha256(json.dumps([settings, held_out.facts], default=asdict).encode())
    found.update(held_out.images.tobytes())
    for tensor in encoder.model.state_dict().values():
        found.update(tensor.float().cpu().numpy().tobytes())
    return found.hexdigest()[:12]


def _show(model: torch.nn.Module, at_checkpoint: Callable[[int], None], step: int) -> None:
    model.eval()
    at_checkpoint(step)
    model.train()


def _save_checkpoint(
    file: Path,
    model: torch.nn.Module,
    optimiser: Optimiser,
    step: int,
    history: list[dict],
) -> None:
    with whole_file(file) as unfinished:
        torch.save(
            {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "history": history,
            },
            unfinished,
        )


def _resume(file: Path, model: torch.nn.Module, optimiser: Optimiser) -> tuple[int, list[dict]]:
    """(the step to go on with, the history so far) from a checkpoint, where there is one."""
    if not file.exists():
        return 0, []
    try:
        saved = torch.load(file, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        step, history = int(saved["step"]), list(saved["history"])
    except (RuntimeError, ValueError, KeyError, EOFError, TypeError, OSError) as error:
        raise _damaged(file, error) from None
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise _damaged(file, error) from None
    click.echo(f"{file}: resuming after step {step}")
    return step, history


def _damaged(file: Path, error: Exception) -> StudyError:
    reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    return StudyError(f"{file}: damaged checkpoint ({reason}); remove it to start anew")
