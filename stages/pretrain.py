"""Train a CLIP model on (image, caption) pairs: generated textures, or the fetched train split.

| output | holds |
| --- | --- |
| data/model | the model, as open_clip publishes one |
| data/model_similarities.parquet | cosines of one held-out batch; see training/comparison.py |
| loss.csv | the loss on training and held-out pairs, a row per split and checkpoint |
| cosines.csv | histograms of the cosines of matching and mismatched pairs |
"""

import math
from pathlib import Path

import click
import open_clip

from stages.core.artifacts.tables import write_parquet
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import (
    require_replaceable,
    rounded,
    whole_files,
    write_csv,
    write_json,
)
from stages.core.runtime.wording import count
from stages.core.training.comparison import (
    SIMILARITIES,
    Comparison,
    cosine_table,
    pair_cosines,
    recall_at_1,
    similarity_table,
)
from stages.core.training.held_out import compare, held_out_loss
from stages.core.training.loop import fingerprint, for_training, train
from stages.core.training.pairs import fetched_pairs, generated_pairs, held_side
from stages.core.training.views import Normalisation
from stages.core.vision.hardware import choose_device, choose_precision
from stages.core.vision.model_files import ARCHITECTURES, Keys
from stages.core.vision.open_clip_encoder import OpenClipEncoder
from stages.core.vision.open_clip_loading import load_open_clip
from stages.core.vision.saving import write_model
from stages.settings.pretrain import IMAGE_TOWER, RANDOM, PretrainParams

TRAINED_ON = {"textures": "generated textures", "data": "fetched train split"}
KEYS = Keys("pretrain.architecture", "pretrain.init", "pretrain.architecture")


@stage(PretrainParams)
@path_option("--images", "data/images", "DTD-layout folder (source: data).")
@path_option("--index", "data/images.csv", "Its images, classes and splits (source: data).")
@path_option("--model", "data/model", "Where the trained model goes, and a table beside it.")
@path_option("--checkpoints", "data/checkpoints", "Where a broken-off run can be resumed from.")
@path_option("--metrics", "metrics/pretrain.json", "Where the metrics go.")
@path_option("--plots", "plots/pretrain", "Where the tables for readers go.")
def pretrain(
    params: PretrainParams,
    images: Path,
    index: Path,
    model: Path,
    checkpoints: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Train CLIP with the symmetric cross-entropy over matching and mismatched pairs."""
    open_clip.add_model_config(ARCHITECTURES)
    require_replaceable(model, "pretrain")  # before the long work, not after it
    similarities = model.with_name(f"{model.name}_similarities.parquet")
    device = choose_device(params.device, "pretrain.device")
    of_tower = params.init == IMAGE_TOWER
    init = None if params.init in (IMAGE_TOWER, RANDOM) else params.init
    loaded = load_open_clip(
        params.architecture, init, model, params.seed, device, KEYS, image_weights=of_tower
    )
    for remark in loaded.remarks:
        click.echo(remark)
    biased = loaded.logit_bias is not None
    encoder = for_training(loaded)
    if biased:
        click.echo(f"{encoder.name}: trained with a softmax from here on, without its logit bias")
    bf16 = params.precision != "fp32" and choose_precision(params.precision, device) == "bf16"
    normalisation = Normalisation.of(encoder)
    asked = params.round_pairs, params.held_out_pairs, params.seed, held_side(normalisation.size)
    pairs_of_round, held_out = (
        generated_pairs(*asked)
        if params.source == "textures"
        else fetched_pairs(*asked, images, index)
    )

    before = compare(encoder.model, encoder.tokenise, held_out, normalisation, params.seed)
    checkpoint = checkpoints / f"pretrain-{fingerprint(params, encoder, held_out)}.pt"
    history = train(params, encoder, normalisation, pairs_of_round, held_out, checkpoint, bf16)
    after = compare(encoder.model, encoder.tokenise, held_out, normalisation, params.seed)

    write_model(model, encoder, "pretrain", _card(params, encoder))
    attributes = [facts.attributes[0] for facts in held_out.facts]
    write_parquet(similarities, similarity_table(before, after, attributes), SIMILARITIES, {})
    write_json(metrics, _metrics(params, after, encoder))
    with whole_files(plots) as folder:
        write_csv(folder / "loss.csv", history)
        write_csv(folder / "cosines.csv", cosine_table(before, after))
    checkpoint.unlink(missing_ok=True)
    to_text, to_image = recall_at_1(after)
    click.echo(
        f"{model}: {sum(p.numel() for p in encoder.model.parameters()):,} weights after "
        f"{count(params.steps, 'step')}; held-out recall@1 {to_text:.1%} image to text, "
        f"{to_image:.1%} back"
    )


def _metrics(params: PretrainParams, after: Comparison, encoder: OpenClipEncoder) -> dict:
    matching, mismatched = pair_cosines(after)
    to_text, to_image = recall_at_1(after)
    batch = min(params.batch_size, len(after.captions))
    return {
        "steps": params.steps,
        "held_out_loss": rounded(held_out_loss(after, params.batch_size)),
        "guessing_loss": rounded(math.log(batch)),
        "image_to_text_recall_at_1": rounded(to_text),
        "text_to_image_recall_at_1": rounded(to_image),
        "mean_cosine_matching_pairs": rounded(matching.mean()),
        "mean_cosine_mismatched_pairs": rounded(mismatched.mean()),
        "logit_scale": rounded(encoder.logit_scale),
        "held_out_pairs": len(after.captions),
        "million_weights": rounded(sum(p.numel() for p in encoder.model.parameters()) / 1e6),
        "started_from": params.init or RANDOM,
        "trained_on": TRAINED_ON[params.source],
    }


def _card(params: PretrainParams, encoder: OpenClipEncoder) -> str:
    """The README of a model's folder: what it was trained on, and what it was made from."""
    started = "random weights" if params.init in (None, RANDOM) else f"the weights {params.init}"
    if params.init == IMAGE_TOWER:
        trunk = encoder.model.visual.trunk
        started = f"an image tower of timm: {getattr(trunk, 'origin', None) or 'its weights there'}"
    return (
        f"# {params.architecture}\n\n"
        f"A CLIP model in open_clip's layout, trained by the stage `pretrain` on {params.steps:,} "
        f"batches of {params.batch_size} images and captions: {TRAINED_ON[params.source]}.\n\n"
        f"Started from {started}.\n"
    )


if __name__ == "__main__":
    pretrain()
