"""Encode every image at every noise level, and the class prompts, with an open_clip model."""

import os
import threading
from contextlib import nullcontext
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.spatial.distance import pdist

from stages.core.artifacts.embeddings import array_name, level_key, write_manifest
from stages.core.dataset.images import read_image
from stages.core.dataset.layout import read_index
from stages.core.figures.style import COLOURS, new_figure, save_figure, short_name
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, whole_folder, write_csv, write_json
from stages.core.runtime.parallel import available_cores, progress
from stages.core.vision.encoder import (
    IMAGES_AT_ONCE,
    Encoder,
    choose_device,
    choose_precision,
    encode_classes,
    load_encoder,
    map_on_cores,
    mend_of_precision,
    with_precision,
)
from stages.core.vision.noise import level_label, level_unit, noise_generator, noisy
from stages.settings.embed import EmbedParams

SAMPLE = 16  # images on which the deviation of the precision is measured
SHOWN = 5  # classes, and levels at the most, in the picture of noisy images
DIGITS = 4  # significant digits that an accelerator's batch size leaves alone


@stage(EmbedParams)
@path_option("--images", "data/images", "The images, in DTD's layout.")
@path_option("--index", "data/images.csv", "The table of the images to encode.")
@path_option("--model-folder", "data/model", "The model that 'texture-clip' stands for.")
@path_option("--embeddings", "data/embeddings", "Where the embeddings go.")
@path_option("--metrics", "metrics/embed.json", "Where the metrics go.")
@path_option("--plots", "plots/embed", "Where tables and pictures go.")
def embed(
    params: EmbedParams,
    images: Path,
    index: Path,
    model_folder: Path,
    embeddings: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Encode every image at every noise level, and the class prompts, with an open_clip model."""
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
    sample = noisy_sample(encoder, images, _spaced(ids, SAMPLE), params.noise_levels, params)
    encoder, deviation = in_precision(encoder, precision, sample)
    text = encode_classes(encoder, classes, params.templates)

    with whole_folder(embeddings, "embed") as folder, whole_files(plots) as pictures:
        arrays = allocate(folder, params, len(ids), text.shape[1])
        sweep(encoder, images, ids, params, arrays)
        write_csv(folder / "images.csv", table[["id", "class", "split"]])
        write_csv(folder / "classes.csv", pd.DataFrame({"class": classes}))
        np.save(folder / "text.npy", text)
        write_json(folder / "encoder.json", description(encoder, params, text.shape[1]))
        write_manifest(folder)

        drift = drift_table(arrays, table["class"])
        write_csv(pictures / "drift.csv", drift)
        save_figure(drift_figure(drift, encoder, params), pictures / "drift.png")
        shown = _spaced(table.drop_duplicates("class")["id"].tolist(), SHOWN)
        save_figure(sample_figure(encoder, images, shown, params), pictures / "samples.png")
        results = {
            "images": len(ids),
            "classes": len(classes),
            "dimension": text.shape[1],
            "trained": int(encoder.trained),
            "logit_scale": rounded(encoder.logit_scale, DIGITS),
            "precision_deviation": rounded(deviation, DIGITS),
            "cosine_between_class_prompts": rounded(1 - np.mean(pdist(text, "cosine")), DIGITS)
            if len(classes) > 1
            else 1.0,
            **{
                level_key(level): geometry(arrays, table["class"], level)
                for level in params.noise_levels
            },
        }
    write_json(metrics, results)
    click.echo(
        f"{len(arrays)} arrays of {len(ids)} images x {text.shape[1]} dimensions in {precision}"
        + (
            f", which deviates from fp32 by {deviation:.2%} of the mean distance between images"
            if precision != "fp32"
            else ""
        )
    )


def allocate(
    folder: Path, params: EmbedParams, images: int, dimension: int
) -> dict[tuple[float, int], np.ndarray]:
    """{(level, draw): (images, dimension) float32} on disk, to be filled; draw 0 alone at 0.

    The space is taken at once: a disk that fills up later would kill the process as it writes
    to the memory map, without an error to report.
    """
    arrays = {}
    for level in params.noise_levels:
        for draw in range(params.draws if level > 0 else 1):
            file = folder / array_name(level, draw)
            arrays[level, draw] = np.lib.format.open_memmap(
                file, mode="w+", dtype=np.float32, shape=(images, dimension)
            )
            if hasattr(os, "posix_fallocate"):
                with file.open("r+b") as stream:
                    os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    return arrays


def sweep(
    encoder: Encoder,
    folder: Path,
    ids: list[str],
    params: EmbedParams,
    arrays: dict[tuple[float, int], np.ndarray],
    workers: int | None = None,
) -> None:
    """Fill {(level, draw): (n, d)} with the unit embeddings of the n images of `folder`.

    Each worker, a thread, takes a batch of images through all of it: decodes and prepares every
    image once, then for every level and draw adds its noise and encodes. On a CPU every worker
    encodes on a core of its own, without waiting for the others; an accelerator serves one
    worker at a time while the others prepare.

    On a CPU the model always sees the same number of images, whichever of `batch_size`, the
    number of images and of workers is given, so that the embeddings are the same to the bit. An
    accelerator sees `batch_size` images, the last batch being filled up: other sizes may change
    the last bits of its embeddings.
    """
    on_cpu = encoder.device.type == "cpu"
    size = min(params.batch_size, len(ids))
    if on_cpu:
        size = -(-size // IMAGES_AT_ONCE) * IMAGES_AT_ONCE
    turn = nullcontext() if on_cpu else threading.Lock()

    def encode(start: int) -> None:
        names = ids[start : start + size]
        clean = [encoder.prepare(read_image(folder / "images" / name)) for name in names]
        inputs = np.zeros((len(names) if on_cpu else size, *clean[0].shape), dtype=np.float32)
        for (level, draw), array in arrays.items():
            for i, name in enumerate(names):
                inputs[i] = with_noise(encoder, clean[i], name, level, draw, params)
            with turn:
                rows = encoder.encode_images(inputs)[: len(names)]
            _require_finite(rows, names, level, encoder.precision)
            array[start : start + len(names)] = rows

    starts = range(0, len(ids), size)
    done = map_on_cores(encoder.device, encode, starts, workers or available_cores())
    try:
        for _ in progress(done, "embed", len(starts)):
            pass
    except torch.OutOfMemoryError:
        raise StudyError(
            f"embed.batch_size: {params.batch_size} images do not fit into the memory of "
            f"{encoder.device}; lower it"
        ) from None


def with_noise(
    encoder: Encoder, pixels: np.ndarray, name: str, level: float, draw: int, params: EmbedParams
) -> np.ndarray:
    """(3, H, W) float32: one prepared image with its own noise."""
    generator = noise_generator(params.seed, name, params.noise_kind, level, draw)
    return noisy(pixels, params.noise_kind, level, params.noise_space, encoder.std, generator)


def noisy_sample(
    encoder: Encoder, folder: Path, ids: list[str], levels: list[float], params: EmbedParams
) -> np.ndarray:
    """(levels, images, 3, H, W) float32: some images at some levels, draw 0."""
    clean = [encoder.prepare(read_image(folder / "images" / name)) for name in ids]
    return np.stack(
        [
            [
                with_noise(encoder, pixels, name, level, 0, params)
                for name, pixels in zip(ids, clean, strict=True)
            ]
            for level in levels
        ]
    )


def in_precision(encoder: Encoder, precision: str, sample: np.ndarray) -> tuple[Encoder, float]:
    """(the encoder in a number format, how far it is from fp32 by `relative_deviation`).

    sample: (levels, images, 3, H, W) float32. The given encoder must not be used any more.
    """
    if precision == "fp32":
        return with_precision(encoder, precision), 0.0
    exact = list(map_on_cores(encoder.device, encoder.encode_images, sample))
    encoder = with_precision(encoder, precision)
    found = list(map_on_cores(encoder.device, encoder.encode_images, sample))
    return encoder, relative_deviation(found, exact)


def relative_deviation(approximate: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """Mean distance of rows from the exact ones, over the mean distance of two exact ones."""
    found, right = (np.concatenate(rows).astype(np.float64) for rows in (approximate, exact))
    scale = pdist(right).mean() if len(right) > 1 else 0.0
    return float(np.linalg.norm(found - right, axis=1).mean() / scale) if scale > 0 else 0.0


def geometry(
    arrays: dict[tuple[float, int], np.ndarray], labels: pd.Series, level: float
) -> dict[str, float]:
    """What noise of one level does to the cloud of all images and to those of the classes.

    spread_within_class: root mean square distance from the class mean, averaged over classes.
    distance_between_class_means: averaged over pairs of classes.
    length_of_mean: of the mean unit embedding; 1 where all images are embedded alike.
    cosine_to_clean, displacement: of an image, against its clean embedding, averaged.
    shared_displacement: length of the mean displacement, over the mean length.
    distance_between_draws: of two draws of the noise on the same image.
    All are averaged over the draws.
    """
    clean = np.asarray(arrays[0.0, 0], dtype=np.float64)
    draws = [np.asarray(a, dtype=np.float64) for (at, _), a in arrays.items() if at == level]
    rows = [np.flatnonzero(labels.to_numpy() == name) for name in sorted(labels.unique())]
    means = [np.stack([cloud[own].mean(axis=0) for own in rows]) for cloud in draws]
    found = {
        "spread_within_class": [np.mean([_spread(cloud[own]) for own in rows]) for cloud in draws],
        "length_of_mean": [np.linalg.norm(cloud.mean(axis=0)) for cloud in draws],
    }
    if len(rows) > 1:
        found["distance_between_class_means"] = [pdist(each).mean() for each in means]
    if level > 0:
        moved = [cloud - clean for cloud in draws]
        lengths = [np.linalg.norm(each, axis=1).mean() for each in moved]
        found["cosine_to_clean"] = [(cloud * clean).sum(axis=1).mean() for cloud in draws]
        found["displacement"] = lengths
        found["shared_displacement"] = [
            np.linalg.norm(each.mean(axis=0)) / length if length > 0 else 0.0
            for each, length in zip(moved, lengths, strict=True)
        ]
    if len(draws) > 1:
        found["distance_between_draws"] = [np.linalg.norm(draws[0] - draws[1], axis=1).mean()]
    return {name: rounded(np.mean(values), DIGITS) for name, values in found.items()}


def drift_table(arrays: dict[tuple[float, int], np.ndarray], labels: pd.Series) -> pd.DataFrame:
    """How far noise moves the images of each class, and of all: one row per class and level.

    Columns: class ('all' is first), noise, images, cosine_to_clean (mean over images and draws)
    with its 10% and 90% quantiles, displacement (mean, Euclidean), spread (root mean square
    distance from the class mean).
    """
    clean = np.asarray(arrays[0.0, 0], dtype=np.float64)
    groups = {"all": np.arange(len(labels))} | {
        name: np.flatnonzero(labels.to_numpy() == name) for name in sorted(labels.unique())
    }
    rows = []
    for level in dict.fromkeys(level for level, _ in arrays):
        draws = np.stack([a for (at, _), a in arrays.items() if at == level]).astype(np.float64)
        cosines = np.minimum((draws * clean).sum(axis=2), 1)  # (draws, n)
        moved = np.linalg.norm(draws - clean, axis=2)
        for name, own in groups.items():
            low, high = np.quantile(cosines[:, own], (0.1, 0.9))
            rows.append(
                {
                    "class": name,
                    "noise": level,
                    "images": len(own),
                    "cosine_to_clean": rounded(cosines[:, own].mean(), DIGITS),
                    "cosine_q10": rounded(low, DIGITS),
                    "cosine_q90": rounded(high, DIGITS),
                    "displacement": rounded(moved[:, own].mean(), DIGITS),
                    "spread": rounded(np.mean([_spread(cloud[own]) for cloud in draws]), DIGITS),
                }
            )
    return pd.DataFrame(rows)


def description(encoder: Encoder, params: EmbedParams, dimension: int) -> dict:
    """The contents of encoder.json."""
    return {
        "model": params.model,
        "pretrained": params.pretrained,
        "trained": encoder.trained,
        "quick_gelu": encoder.quick_gelu,
        "dimension": dimension,
        "logit_scale": rounded(encoder.logit_scale),
        "logit_bias": None if encoder.logit_bias is None else rounded(encoder.logit_bias),
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


def drift_figure(drift: pd.DataFrame, encoder: Encoder, params: EmbedParams) -> Figure:
    """Cosine to the clean embedding and spread of the classes, against the noise level."""
    figure, (left, right) = new_figure(11, 4.6, 1, 2)
    for axes, column in ((left, "cosine_to_clean"), (right, "spread")):
        for name, rows in drift.groupby("class", sort=False):
            if name != "all":
                axes.plot(rows["noise"], rows[column], color="#9a9a9a", linewidth=0.7)
        axes.plot([], [], color="#9a9a9a", linewidth=0.7, label="a class")
        axes.set_xticks(_spaced(params.noise_levels, 8))
        axes.set_xlabel(level_label(params.noise_kind, params.noise_space))
    every = drift[drift["class"] == "all"]
    left.fill_between(
        every["noise"],
        every["cosine_q10"],
        every["cosine_q90"],
        color=COLOURS[0],
        alpha=0.15,
        linewidth=0,
        label="10% to 90% of the images",
    )
    left.plot(every["noise"], every["cosine_to_clean"], "o-", color=COLOURS[0], label="all images")
    left.set_ylabel("cosine of noisy and clean embedding")
    left.set_title("Noise moves the embedding of an image")
    left.legend(loc="best")
    classes = drift[drift["class"] != "all"].groupby("noise")["spread"].mean()
    right.plot(classes.index, classes, "o-", color=COLOURS[5], label="mean of the classes")
    right.plot(every["noise"], every["spread"], "s--", color=COLOURS[0], label="all images")
    right.set_ylim(bottom=0)
    right.set_ylabel("root mean square distance from the mean")
    right.set_title("Noise changes how far a class spreads")
    right.legend(loc="best")
    figure.suptitle(_of_what(encoder, params, int(every["images"].iloc[0])))
    return figure


def sample_figure(encoder: Encoder, folder: Path, shown: list[str], params: EmbedParams) -> Figure:
    """Some images at every noise level, as the encoder sees them, in display colours."""
    levels = _spaced(params.noise_levels, SHOWN)
    images = noisy_sample(encoder, folder, shown, levels, params)
    width, height = max(1.7 * len(levels) + 1.2, 5.0), 1.75 * len(shown) + 1.0
    figure, axes = new_figure(width, height, len(shown), len(levels), squeeze=False)
    for (row, column), axis in np.ndenumerate(axes):
        picture = np.clip(images[column, row], 0, 1).transpose(1, 2, 0)
        axis.imshow(picture, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.grid(False)
        if row == 0:
            axis.set_title(f"{levels[column]:.2f}")
        if column == 0:
            axis.set_ylabel(short_name(shown[row].split("/")[0], 20))
    figure.suptitle(
        f"What the encoder sees ({images.shape[4]} x {images.shape[3]} pixels)\n"
        f"by {level_label(params.noise_kind, params.noise_space)}",
        fontsize=11,
    )
    return figure


def _of_what(encoder: Encoder, params: EmbedParams, images: int) -> str:
    weights = params.pretrained or ("" if encoder.trained else "untrained")
    written = f"{short_name(params.model, 48)}{f' ({short_name(weights, 48)})' if weights else ''}"
    return f"{written}, {images} images"


def _spaced(items: list, count: int) -> list:
    """At most `count` of the items, the first and the last among them, evenly spaced."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def _spread(cloud: np.ndarray) -> float:
    """Root mean square distance of (m, d) points from their mean."""
    return float(np.sqrt(((cloud - cloud.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _require_finite(rows: np.ndarray, names: list[str], level: float, precision: str) -> None:
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise StudyError(
            f"{names[bad[0]]}: its embedding at noise {level:.2f} is not finite or zero in "
            f"{precision}; {mend_of_precision(precision)}"
        )


if __name__ == "__main__":
    embed()
