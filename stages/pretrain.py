"""Train a CLIP model on (image, caption) pairs: painted textures, or the fetched train split."""

import hashlib
import json
import math
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import open_clip
import pandas as pd
import torch
from safetensors.torch import save_file
from tqdm import tqdm

from stages.core.dataset.images import read_image
from stages.core.dataset.layout import read_annotations, read_index
from stages.core.figures.heatmaps import draw_heatmap, inches_for
from stages.core.figures.style import COLOURS, new_figure, save_figure
from stages.core.painter import ATTRIBUTES, name_colours, paint
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import (
    require_replaceable,
    rounded,
    whole_file,
    whole_files,
    whole_folder,
    write_csv,
    write_json,
)
from stages.core.runtime.parallel import parallel_map, progress
from stages.core.runtime.randomness import generator_for
from stages.core.training.captions import Facts
from stages.core.training.contrastive import (
    Comparison,
    Normalisation,
    Pairs,
    Schedule,
    batch_rows,
    compare,
    held_out_loss,
    pair_cosines,
    recall_at_1,
    training_step,
)
from stages.core.training.optimiser import Optimiser, make_optimiser
from stages.core.vision.encoder import (
    Encoder,
    Keys,
    choose_device,
    choose_precision,
    load_encoder,
)
from stages.core.vision.model_files import CONFIG_FILE, WEIGHTS_FILES
from stages.settings.pretrain import PretrainParams

KEYS = Keys("pretrain.architecture", "pretrain.init", "pretrain.architecture")
ARCHITECTURES = Path(__file__).parent / "core" / "vision" / "architectures"
# Images are held larger than the model's input by this, so that a crop keeps its detail.
ROOM_FOR_CROPS = 1.33


@stage(PretrainParams)
@path_option("--images", "data/images", "DTD-layout folder (source: data).")
@path_option("--index", "data/images.csv", "Its images, classes and splits (source: data).")
@path_option("--model", "data/model", "Where the trained model goes.")
@path_option("--checkpoints", "data/checkpoints", "Where a broken-off run can be resumed from.")
@path_option("--metrics", "metrics/pretrain.json", "Where the metrics go.")
@path_option("--plots", "plots/pretrain", "Where tables and pictures go.")
def pretrain(
    params: PretrainParams,
    images: Path,
    index: Path,
    model: Path,
    checkpoints: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Train CLIP with the symmetric cross-entropy over real and fake pairs."""
    open_clip.add_model_config(ARCHITECTURES)
    require_replaceable(model, "pretrain")  # before the long work, not after it
    device = choose_device(params.device, "pretrain.device")
    encoder = load_encoder(params.architecture, params.init, model, params.seed, device, KEYS)
    for remark in encoder.remarks:
        click.echo(remark)
    encoder = for_training(encoder)
    bf16 = params.precision != "fp32" and choose_precision(params.precision, device) == "bf16"
    normalisation = Normalisation(_side(encoder), encoder.mean, encoder.std)
    side = math.ceil(normalisation.size * ROOM_FOR_CROPS)
    if params.source == "textures":
        pairs_of_round, held_out = painted(params, side)
    else:
        pairs_of_round, held_out = _fetched(params, side, images, index)

    before = compare(encoder.model, encoder.tokenise, held_out, normalisation, params.seed)
    checkpoint = checkpoints / f"pretrain-{_fingerprint(params, encoder, held_out)}.pt"
    history = train(params, encoder, normalisation, pairs_of_round, held_out, checkpoint, bf16)
    after = compare(encoder.model, encoder.tokenise, held_out, normalisation, params.seed)

    write_model(model, encoder)
    write_json(metrics, _metrics(params, after, encoder))
    with whole_files(plots) as folder:
        write_csv(folder / "loss.csv", history)
        cosines = _cosine_table(before, after)
        write_csv(folder / "cosines.csv", cosines)
        _draw_loss(history, min(params.batch_size, len(held_out.facts)), folder / "loss.png")
        _draw_cosines(cosines, folder / "cosines.png")
        _draw_similarities(before, after, held_out, folder / "similarities.png")
    checkpoint.unlink(missing_ok=True)
    to_text, to_image = recall_at_1(after)
    click.echo(
        f"{model}: {sum(p.numel() for p in encoder.model.parameters()):,} weights after "
        f"{params.steps} steps; held-out recall@1 {to_text:.1%} image to text, {to_image:.1%} back"
    )


def for_training(encoder: Encoder) -> Encoder:
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
    click.echo(f"{encoder.name}: trained with a softmax from here on, without its logit bias")
    encoder.model.logit_bias = None
    config = {key: value for key, value in encoder.config.items() if key != "init_logit_bias"}
    return replace(encoder, config=config)


def _side(encoder: Encoder) -> int:
    size = encoder.preprocessing["size"]
    return size if isinstance(size, int) else size[0]


# --- where pairs come from -----------------------------------------------------------------------


def painted(params: PretrainParams, side: int) -> tuple[Callable[[int], Pairs], Pairs]:
    """(the pairs of round k, the held-out pairs), painted.

    The generator of a painting is keyed by its purpose, which is never that of `fetch`, so that
    no test image of the painted data set is seen here.
    """

    def pairs_of_round(number: int) -> Pairs:
        return _paint("pretrain", number, params.round_pairs, params.seed, side)

    return pairs_of_round, _paint("pretrain held-out", 0, params.held_out_pairs, params.seed, side)


def _paint(purpose: str, number: int, count: int, seed: int, side: int) -> Pairs:
    """`count` paintings, the attributes in turn, painted in chunks on every core."""
    chunks = [
        (purpose, number, range(start, min(start + 100, count)), seed, side)
        for start in range(0, count, 100)
    ]
    painted = parallel_map(_paint_chunk, chunks, f"painting round {number}")
    return Pairs(
        np.concatenate([images for images, _ in painted]),
        [facts for _, some in painted for facts in some],
    )


def _paint_chunk(chunk: tuple[str, int, range, int, int]) -> tuple[np.ndarray, list[Facts]]:
    purpose, number, places, seed, side = chunk
    images = np.empty((len(places), side, side, 3), dtype=np.uint8)
    facts = []
    for row, place in enumerate(places):
        attribute = ATTRIBUTES[place % len(ATTRIBUTES)]
        generator = generator_for(seed, purpose, number, place)
        painting = paint(attribute, generator, side)
        images[row] = painting.pixels
        facts.append(Facts((attribute,), painting.colours, painting.scale))
    return images, facts


def _fetched(
    params: PretrainParams, side: int, images: Path, index: Path
) -> tuple[Callable[[int], Pairs], Pairs]:
    """(the pairs of round k, the held-out pairs), from the train and the val split."""
    table = read_index(index)
    ids_of_all = table["id"].tolist()
    annotations = read_annotations(images / "labels" / "labels_joint_anno.txt", ids_of_all)

    def load(split: str, count: int, *key: str | int) -> Pairs:
        ids = table.loc[table["split"] == split, "id"].to_numpy()
        if not len(ids):
            raise StudyError(f"{index}: no image in the {split} split; run 'dvc repro fetch'")
        order = generator_for(params.seed, *key).permutation(len(ids))[:count]
        jobs = [(images / "images" / ids[i], side, annotations[ids[i]]) for i in order]
        loaded = parallel_map(_load_image, jobs, f"reading {split} images")
        return Pairs(np.stack([pixels for pixels, _ in loaded]), [facts for _, facts in loaded])

    def pairs_of_round(number: int) -> Pairs:
        return load("train", params.round_pairs, "pretrain", number)

    return pairs_of_round, load("val", params.held_out_pairs, "pretrain held-out")


def _load_image(job: tuple[Path, int, list[str]]) -> tuple[np.ndarray, Facts]:
    """The middle square of an image, (side, side, 3) uint8, with what is true of it."""
    path, side, attributes = job
    image = read_image(path)
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    pixels = np.asarray(image.resize((side, side), 3, (left, top, left + short, top + short)))
    return pixels, Facts(tuple(attributes), name_colours(pixels))


# --- training ------------------------------------------------------------------------------------


def train(
    params: PretrainParams,
    encoder: Encoder,
    normalisation: Normalisation,
    pairs_of_round: Callable[[int], Pairs],
    held_out: Pairs,
    checkpoint: Path,
    bf16: bool,
) -> pd.DataFrame:
    """Train the encoder's model in place; returns the loss by step (step, split, loss).

    Goes on from the file `checkpoint` where there is one, and leaves it there at the end.
    """
    model = encoder.model.requires_grad_(True).train()
    model.to(memory_format=torch.channels_last)
    schedule = Schedule(
        steps=params.steps,
        warmup_steps=params.warmup_steps,
        learning_rate=params.learning_rate,
        batch_size=params.batch_size,
        weight_decay=params.weight_decay,
        noise=params.noise,
        seed=params.seed,
    )
    optimiser = make_optimiser(params.optimiser, model, params.weight_decay)
    autocast = torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16)
    first, history = _resume(checkpoint, model, optimiser)
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
    bar.close()
    model.eval().requires_grad_(False)
    return pd.DataFrame(history)


def _fingerprint(params: PretrainParams, encoder: Encoder, held_out: Pairs) -> str:
    """What a checkpoint belongs to: the settings, the first weights, and the held-out pairs.

    The pairs stand for the painter or the data set: one that changed holds out others.
    """
    settings = params.model_dump(exclude={"checkpoint_steps"})  # which changes no result
    found = hashlib.sha256(json.dumps([settings, held_out.facts], default=asdict).encode())
    found.update(held_out.images.tobytes())
    for tensor in encoder.model.state_dict().values():
        found.update(tensor.float().cpu().numpy().tobytes())
    return found.hexdigest()[:12]


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


# --- what is written -----------------------------------------------------------------------------


def write_model(folder: Path, encoder: Encoder) -> None:
    """Write the model as open_clip publishes one; float16 halves what git has to hold."""
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in encoder.model.state_dict().items()
    }
    with whole_folder(folder, "pretrain") as unfinished:
        write_json(
            unfinished / CONFIG_FILE,
            {"model_cfg": encoder.config, "preprocess_cfg": encoder.preprocessing},
        )
        if encoder.config["text_cfg"].get("hf_tokenizer_name"):
            open_clip.get_tokenizer(encoder.source).save_pretrained(unfinished)
        save_file(weights, unfinished / WEIGHTS_FILES[0])


def _metrics(params: PretrainParams, after: Comparison, encoder: Encoder) -> dict:
    real, fake = pair_cosines(after)
    to_text, to_image = recall_at_1(after)
    batch = min(params.batch_size, len(after.captions))
    return {
        "steps": params.steps,
        "held_out_loss": rounded(held_out_loss(after, params.batch_size)),
        "guessing_loss": rounded(math.log(batch)),
        "image_to_text_recall_at_1": rounded(to_text),
        "text_to_image_recall_at_1": rounded(to_image),
        "mean_cosine_real_pairs": rounded(real.mean()),
        "mean_cosine_fake_pairs": rounded(fake.mean()),
        "logit_scale": rounded(encoder.logit_scale),
        "held_out_pairs": len(after.captions),
        "million_weights": rounded(sum(p.numel() for p in encoder.model.parameters()) / 1e6),
        "trained_on": "painted textures" if params.source == "textures" else "fetched train split",
    }


BINS = np.linspace(-1, 1, 81)


def _cosine_table(before: Comparison, after: Comparison) -> pd.DataFrame:
    """Histograms of cosine similarity: time, pairs, cosine (middle of the bin), density."""
    tables = [
        pd.DataFrame(
            {
                "time": time,
                "pairs": pairs,
                "cosine": (BINS[1:] + BINS[:-1]) / 2,
                "density": np.histogram(cosines, BINS, density=True)[0],
            }
        )
        for time, comparison in (("before", before), ("after", after))
        for pairs, cosines in zip(("real", "fake"), pair_cosines(comparison), strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _draw_loss(history: pd.DataFrame, batch: int, path: Path) -> None:
    figure, axes = new_figure(7, 4)
    for split, style in (("train", "-"), ("held-out", "--")):
        rows = history[history["split"] == split]
        axes.plot(rows["step"], rows["loss"], style, label=split)
    axes.axhline(math.log(batch), color="black", linestyle=":", label=f"guessing, ln {batch}")
    axes.set(
        title="Contrastive loss while training",
        xlabel="step",
        ylabel="symmetric cross-entropy (nats)",
        ylim=(0, None),
    )
    axes.legend()
    save_figure(figure, path)


def _draw_cosines(table: pd.DataFrame, path: Path) -> None:
    figure, panels = new_figure(9, 3.6, 1, 2, sharex=True)
    for axes, time in zip(panels, ("before", "after"), strict=True):
        for colour, pairs in zip(COLOURS[1::-1], ("fake", "real"), strict=True):
            rows = table[(table["time"] == time) & (table["pairs"] == pairs)]
            axes.stairs(
                rows["density"], BINS, fill=True, color=colour, alpha=0.7, label=f"{pairs} pairs"
            )
        axes.set_xticks(np.linspace(-1, 1, 5))
        axes.set(title=f"{time} training", xlabel="cosine of image and caption", ylabel="density")
        axes.legend(loc="upper left")
    figure.suptitle("Held-out pairs: training draws real pairs together, fake pairs apart")
    save_figure(figure, path)


def _draw_similarities(before: Comparison, after: Comparison, held_out: Pairs, path: Path) -> None:
    """The cosines of one batch of 47 pairs, by the first attribute of each in alphabetical order.

    Painted pairs show each attribute once.
    """
    count = min(47, len(held_out.facts))
    names = [facts.attributes[0] for facts in held_out.facts[:count]]
    order = np.argsort(names, kind="stable")
    named = [names[i] for i in order]
    side = inches_for(count, margin=1.5)
    figure, panels = new_figure(2 * side, side, 1, 2)
    for axes, comparison, time in zip(panels, (before, after), ("before", "after"), strict=True):
        block = comparison.cosines[np.ix_(order, order)]
        drawn = draw_heatmap(axes, block, named, named, -1, 1, colours="RdBu_r")
        axes.set(title=f"{time} training", xlabel="caption", ylabel="image")
    figure.colorbar(drawn, ax=panels, label="cosine", shrink=0.8)
    figure.suptitle("Similarity matrix of one held-out batch: real pairs lie on the diagonal")
    save_figure(figure, path)


if __name__ == "__main__":
    pretrain()
