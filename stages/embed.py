"""Encode every image at every noise level, and the class prompts, with an open_clip model.

| output | holds |
| --- | --- |
| data/embeddings | the embeddings; see stages/core/artifacts/embeddings.py |
| data/samples | a few noisy images; see stages/core/artifacts/samples.py |
| drift.csv | a row per noise level: how far images move; see stages/core/geometry/drift.py |
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

from stages.core.artifacts.embeddings import level_key, write_manifest
from stages.core.artifacts.samples import Samples, write_samples
from stages.core.dataset.layout import read_index
from stages.core.geometry.drift import drift_of_level, drift_table
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import rounded, whole_files, whole_folder, write_csv, write_json
from stages.core.vision.encoder import Encoder, encode_classes
from stages.core.vision.hardware import choose_device, choose_precision
from stages.core.vision.loading import load_encoder
from stages.core.vision.noise import level_label, level_unit
from stages.core.vision.precision import in_precision
from stages.core.vision.sweep import Arrays, Noise, allocate, noisy_sample, sweep
from stages.settings.embed import EmbedParams

SAMPLE = 16  # images on which the deviation of the precision is measured
SHOWN = 5  # classes, and levels at the most, among the samples


@stage(EmbedParams)
@path_option("--images", "data/images", "The images, in DTD's layout.")
@path_option("--index", "data/images.csv", "The table of the images to encode.")
@path_option("--model-folder", "data/model", "The model that 'texture-clip' stands for.")
@path_option("--embeddings", "data/embeddings", "Where the embeddings go.")
@path_option("--samples", "data/samples", "Where a few noisy images go.")
@path_option("--metrics", "metrics/embed.json", "Where the metrics go.")
@path_option("--plots", "plots/embed", "Where the table of the drift goes.")
def embed(
    params: EmbedParams,
    images: Path,
    index: Path,
    model_folder: Path,
    embeddings: Path,
    samples: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Encode every image at every noise level, and the class prompts, with an open_clip model."""
    noise = Noise(params.noise_kind, params.noise_space, params.seed)
    table = read_index(index)
    ids, classes = table["id"].tolist(), sorted(table["class"].unique())
    device = choose_device(params.device)
    precision = choose_precision(params.precision, device)
    weights = f" with the weights {params.pretrained}" if params.pretrained else ""
    click.echo(f"loading {params.model}{weights} on {device}")
    encoder = load_encoder(params.model, params.pretrained, model_folder, params.seed, device)
    if not encoder.trained:
        click.echo(f"{params.model} is untrained: its weights are random, of seed {params.seed}")
    for remark in encoder.remarks:
        click.echo(remark)
    sample = noisy_sample(encoder, images, _spaced(ids, SAMPLE), params.noise_levels, noise)
    encoder, deviation = in_precision(encoder, precision, sample)
    text = encode_classes(encoder, classes, params.templates)

    with whole_folder(embeddings, "embed") as folder:
        arrays = allocate(folder, params.noise_levels, params.draws, len(ids), text.shape[1])
        sweep(encoder, images, ids, noise, arrays, params.batch_size)
        write_csv(folder / "images.csv", table[["id", "class", "split"]])
        write_csv(folder / "classes.csv", pd.DataFrame({"class": classes}))
        np.save(folder / "text.npy", text)
        write_json(folder / "encoder.json", description(encoder, params, text.shape[1]))
        write_manifest(folder)
        drift = drift_table(arrays, table["class"])
        results = _metrics(encoder, params, arrays, table["class"], text, deviation)
    shown = _spaced(table.drop_duplicates("class")["id"].tolist(), SHOWN)
    write_samples(samples, take_samples(encoder, images, shown, params))
    with whole_files(plots) as folder:
        write_csv(folder / "drift.csv", drift)
    write_json(metrics, results)
    click.echo(
        f"{len(arrays)} arrays of {len(ids)} images x {text.shape[1]} dimensions in {precision}"
        + (
            f", which deviates from fp32 by {deviation:.2%} of the mean distance between images"
            if precision != "fp32"
            else ""
        )
    )


def take_samples(encoder: Encoder, images: Path, ids: list[str], params: EmbedParams) -> Samples:
    """Some images at some of the noise levels, in display colours."""
    levels = _spaced(params.noise_levels, SHOWN)
    noise = Noise(params.noise_kind, params.noise_space, params.seed)
    pixels = noisy_sample(encoder, images, ids, levels, noise)  # (levels, images, 3, H, W)
    shown = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(0, 1, 3, 4, 2)
    label = level_label(params.noise_kind, params.noise_space)
    return Samples(levels, ids, label, np.ascontiguousarray(shown))


def description(encoder: Encoder, params: EmbedParams, dimension: int) -> dict:
    """The contents of encoder.json."""
    return {
        "model": params.model,
        "pretrained": params.pretrained,
        "trained": encoder.trained,
        "quick_gelu": encoder.quick_gelu,
        "dimension": dimension,
        "logit_scale": encoder.logit_scale,
        "logit_bias": encoder.logit_bias,
        "probabilities": encoder.probabilities,
        "precision": encoder.precision,
        "preprocessing": encoder.preprocessing,
        "noise": {
            "kind": params.noise_kind,
            "space": params.noise_space,
            "level_unit": level_unit(params.noise_kind, params.noise_space),
            "draws": params.draws,
            "seed": params.seed,
        },
    }


def _metrics(
    encoder: Encoder,
    params: EmbedParams,
    arrays: Arrays,
    labels: pd.Series,
    text: np.ndarray,
    deviation: float,
) -> dict:
    cosine = 1 - np.mean(pdist(text, "cosine")) if len(text) > 1 else 1.0
    return {
        "images": len(labels),
        "classes": len(text),
        "dimension": text.shape[1],
        "trained": int(encoder.trained),
        "logit_scale": rounded(encoder.logit_scale),
        "precision_deviation": rounded(deviation),
        "cosine_between_class_prompts": rounded(cosine),
        **{
            level_key(level): {
                name: rounded(value)
                for name, value in drift_of_level(arrays, labels, level).items()
            }
            for level in params.noise_levels
        },
    }


def _spaced(items: list, count: int) -> list:
    """At most `count` of the items, the first and the last among them, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


if __name__ == "__main__":
    embed()
