"""Encode every image at every noise level, and the class prompts; or take features as they are.

| output | holds |
| --- | --- |
| data/embeddings | the embeddings; see stages/core/artifacts/embeddings.py |
| data/samples | a few noisy images; see stages/core/artifacts/samples.py |
| drift.csv | a row per noise level: how far images move; see stages/core/geometry/drift.py |
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist

from stages.core.artifacts.embeddings import TEXT, array_name, level_key, write_manifest
from stages.core.artifacts.samples import Samples, no_samples, write_samples
from stages.core.dataset.feature_files import FOLDER
from stages.core.dataset.features import read_kept
from stages.core.dataset.layout import read_index
from stages.core.geometry.drift import drift_of_level, drift_table
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, whole_folder, write_csv, write_json
from stages.core.runtime.wording import count
from stages.core.vision.devices import EncoderSource, embed_on
from stages.core.vision.encoder import Encoder, encode_classes
from stages.core.vision.hardware import choose_devices, choose_precision
from stages.core.vision.inputs import Noise, cells_of, noisy_sample
from stages.core.vision.loading import load_encoder
from stages.core.vision.model_files import PRECOMPUTED, own_file
from stages.core.vision.noise import level_label, level_unit
from stages.core.vision.precision import in_precision
from stages.core.vision.shards import (
    Arrays,
    Shard,
    allocate,
    finished_shards,
    images_of_shard,
    join,
    key_of,
    open_folder,
    remove_shards,
    require_room,
    shards_of,
    weights_digest,
)
from stages.core.vision.sweep import Sweep
from stages.settings.embed import EmbedParams

SAMPLE = 16  # images on which the deviation of the precision is measured
SHOWN = 5  # classes, and levels at the most, among the samples


class Embedded(NamedTuple):
    """What lies in the folder of the embeddings, and what goes beside it.

    arrays: {(level, draw): (n, d)}; text: (C, d), or None for a model without text; about: the
    contents of encoder.json; deviation: of the precision from float32; said: of it, for the user.
    """

    arrays: Arrays
    text: np.ndarray | None
    about: dict
    samples: Samples
    deviation: float
    said: str


@stage(EmbedParams)
@path_option("--images", "data/images", "The images, in DTD's layout, or features.")
@path_option("--index", "data/images.csv", "The table of the images to encode.")
@path_option("--model-folder", "data/model", "The model that 'texture-clip' stands for.")
@path_option("--embeddings", "data/embeddings", "Where the embeddings go.")
@path_option("--shards", "data/shards", "Where a broken-off run can be resumed from.")
@path_option("--samples", "data/samples", "Where a few noisy images go.")
@path_option("--metrics", "metrics/embed.json", "Where the metrics go.")
@path_option("--plots", "plots/embed", "Where the table of the drift goes.")
def embed(
    params: EmbedParams,
    images: Path,
    index: Path,
    model_folder: Path,
    embeddings: Path,
    shards: Path,
    samples: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Encode every image at every noise level, and the class prompts, with a model."""
    table = read_index(index)
    classes = sorted(table["class"].unique())
    with whole_folder(embeddings, "embed") as folder:
        if params.model == PRECOMPUTED:
            found = take_features(params, images / FOLDER, len(table), folder)
        else:
            found = encode(params, images, table, classes, model_folder, shards, folder)
        write_csv(folder / "images.csv", table[["id", "class", "split"]])
        write_csv(folder / "classes.csv", pd.DataFrame({"class": classes}))
        if found.text is not None:
            np.save(folder / TEXT, found.text)
        write_json(folder / "encoder.json", found.about)
        write_manifest(folder)
        drift = drift_table(found.arrays, table["class"])
        results = _metrics(found, table["class"])
    write_samples(samples, found.samples)
    with whole_files(plots) as folder:
        write_csv(folder / "drift.csv", drift)
    write_json(metrics, results)
    remove_shards(shards)  # once nothing is left to be written
    shape = f"{count(len(table), 'image')} x {count(found.about['dimension'], 'dimension')}"
    click.echo(f"{count(len(found.arrays), 'array')} of {shape}{found.said}")


def encode(
    params: EmbedParams,
    images: Path,
    table: pd.DataFrame,
    classes: Sequence[str],
    model_folder: Path,
    shards: Path,
    folder: Path,
) -> Embedded:
    """Encode the images of an index with a model, into arrays in `folder`, by way of `shards`."""
    ids = table["id"].tolist()
    devices = choose_devices(params.device)
    precision = choose_precision(params.precision, devices[0])
    weights = f" with the weights {params.pretrained}" if params.pretrained else ""
    click.echo(f"loading {params.model}{weights} on {', '.join(map(str, devices))}")
    given = params.model, params.pretrained, model_folder, params.seed
    encoder = load_encoder(*given, devices[0])
    if not encoder.trained:
        click.echo(f"{params.model} is untrained: its weights are random")
    for remark in encoder.remarks:
        click.echo(remark)
    source = EncoderSource(*given, precision, weights_digest(encoder))
    noise = noise_of(params)
    sample = noisy_sample(encoder, images, _spaced(ids, SAMPLE), params.noise_levels, noise)
    encoder, deviation = in_precision(encoder, precision, sample)
    text = None
    if encoder.reads_text:
        text = encode_classes(encoder, list(classes), params.templates)
    first = encoder.encode_images(np.ascontiguousarray(sample[:, 0]))  # (levels, d)
    cells = cells_of(params.noise_levels, params.draws)
    work = Sweep(images, noise, cells, min(params.batch_size, len(ids)))
    own = own_file(params.model, "embed.model")
    model = params.model, params.pretrained, source.weights, own and own.file.read_text("latin-1")
    key = key_of(encoder, model, first, work, devices)
    parts = shards_of(open_folder(shards, key), ids, images_of_shard(work, encoder.device))
    arrays = allocate(folder, cells, len(ids), first.shape[1])
    fill(arrays, parts, encoder, source, work, devices)
    shown = _spaced(table.drop_duplicates("class")["id"].tolist(), SHOWN)
    of_precision = (
        ""
        if precision == "fp32"
        else f", which deviates from fp32 by {deviation:.2%} of the mean distance between images"
    )
    return Embedded(
        arrays,
        text,
        description(encoder, params, first.shape[1]),
        take_samples(encoder, images, shown, params),
        deviation,
        f" in {precision}{of_precision}{'' if encoder.reads_text else '; it reads no text'}",
    )


def fill(
    arrays: Arrays,
    shards: Sequence[Shard],
    encoder: Encoder,
    source: EncoderSource,
    work: Sweep,
    devices: Sequence[torch.device],
) -> None:
    """Fill the arrays from shards, those of an earlier run and those that are still to compute."""
    images, dimension = next(iter(arrays.values())).shape
    finished = finished_shards(shards, work, dimension)
    done = sum(len(shard.ids) for shard in finished)
    if done:
        where = shards[0].file.parent
        click.echo(f"{where}: resuming after {done:,} of {count(images, 'image')}")
    require_room(shards[0].file.parent, (images - done) * dimension * 4 * len(arrays))
    missing = [shard for shard in shards if shard not in finished]
    embed_on(devices, encoder, source, work, missing, done)
    damaged = join(shards, arrays)
    if damaged:
        embed_on(devices[:1], encoder, source, work, damaged, images)
        if join(damaged, arrays):
            raise StudyError(
                f"{shards[0].file.parent}: what is written there is damaged at once; give --shards "
                "a folder on another disk"
            )


def noise_of(params: EmbedParams) -> Noise:
    """The noise of the settings."""
    return Noise(params.noise_kind, params.noise_space, params.seed, params.noise_stream)


def take_features(params: EmbedParams, features: Path, count: int, folder: Path) -> Embedded:
    """Take over the features of `count` images that `fetch` kept, as arrays in `folder`."""
    kept = read_kept(features, count, params.noise_kind)
    arrays = {}
    for (level, draw), file in sorted(kept.files.items()):
        name = shutil.copyfile(file, folder / array_name(level, draw))
        arrays[level, draw] = np.load(name, mmap_mode="r")
    about = kept.about
    kinds = "softmax" if about.logit_bias is None else "sigmoid"
    noise = {"kind": kept.kind, "draws": kept.draws} if kept.kind else None
    described = {
        "model": about.model,
        "pretrained": about.pretrained,
        "trained": True,
        "dimension": arrays[0.0, 0].shape[1],
        "logit_scale": about.logit_scale,
        "logit_bias": about.logit_bias,
        "probabilities": kinds if about.logit_scale else None,
        "noise": noise,
    }
    levels = ", ".join(f"{level:.2f}" for level in kept.levels)
    said = f", computed elsewhere; noise levels {levels} ({kept.kind})"
    if len(kept.levels) == 1:
        said = ", computed elsewhere; without noise"
    said += "" if kept.text is not None else "; no text features"
    return Embedded(arrays, kept.text, described, no_samples(), 0.0, said)


def take_samples(encoder: Encoder, images: Path, ids: list[str], params: EmbedParams) -> Samples:
    """Some images at some of the noise levels, in display colours."""
    levels = _spaced(params.noise_levels, SHOWN)
    noise = noise_of(params)
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
        **encoder.architecture,
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
            "stream": params.noise_stream,
            "seed": params.seed,
        },
    }


def _metrics(found: Embedded, labels: pd.Series) -> dict:
    about, text = found.about, found.text
    levels = dict.fromkeys(level for level, _ in found.arrays)
    metrics = {
        "images": len(labels),
        "classes": labels.nunique(),
        "dimension": about["dimension"],
        "trained": int(about["trained"]),
    }
    if about["logit_scale"] is not None:
        metrics["logit_scale"] = rounded(about["logit_scale"])
    metrics["precision_deviation"] = rounded(found.deviation)
    if text is not None:
        cosine = 1 - np.mean(pdist(text, "cosine")) if len(text) > 1 else 1.0
        metrics["cosine_between_class_prompts"] = rounded(cosine)
    for level in levels:
        of_level = drift_of_level(found.arrays, labels, level)
        metrics[level_key(level)] = {name: rounded(value) for name, value in of_level.items()}
    return metrics


def _spaced(items: list, count: int) -> list:
    """At most `count` of the items, the first and the last among them, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


if __name__ == "__main__":
    embed()
