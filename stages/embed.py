"""Encode every image at every noise level, and the class prompts, with an open_clip model."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Literal

import click
import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from pydantic import Field, field_validator
from scipy.spatial.distance import pdist

from stages.command import path_option, stage
from stages.core.dataset import read_image, read_index
from stages.core.embeddings import array_name, level_key, write_manifest
from stages.core.encoder import (
    Encoder,
    choose_device,
    choose_precision,
    encode_classes,
    load_encoder,
    mend_of_precision,
    with_precision,
)
from stages.core.errors import StudyError
from stages.core.figures import COLOURS, new_figure, save_figure
from stages.core.files import rounded, whole_files, whole_folder, write_csv, write_json
from stages.core.noise import level_unit, noise_generator, noisy, require_defined
from stages.core.parallel import available_cores, progress
from stages.core.params import Count, Section, Seed

SAMPLE = 16  # images on which the deviation of the precision is measured
SHOWN = 5  # classes, and levels at the most, in the picture of noisy images
DIGITS = 4  # significant digits that batch size and worker count leave alone


class EmbedParams(Section):
    name = "embed"
    model: str = Field(
        description="an open_clip architecture, 'texture-clip' for the model in data/model, or "
        "a folder that holds an open_clip model",
        min_length=1,
    )
    pretrained: str | None = Field(
        description="a pretrained tag of open_clip or a checkpoint file; null leaves an "
        "architecture untrained"
    )
    templates: list[str] = Field(min_length=1, description="prompts; {} stands for the class name")
    noise_kind: Literal["gaussian", "uniform", "salt-and-pepper", "shot", "blur"] = Field(
        description="what the images suffer"
    )
    noise_space: Literal["normalised", "pixel"] = Field(
        description="unit of the level: CLIP-normalised pixels (gaussian, uniform), or [0, 1] "
        "pixels with clipping"
    )
    noise_levels: list[Annotated[float, Field(strict=False, ge=0, allow_inf_nan=False)]] = Field(
        min_length=1, description="noise levels; 0.0 (clean) must be one of them"
    )
    draws: int = Field(ge=1, le=10, description="independent noise draws at each level")
    seed: Seed
    device: str = Field(description="'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ...", min_length=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        description="number format of the model; auto takes bf16 where the hardware has it"
    )
    batch_size: Count = Field(description="images encoded at once, on a CPU by each core")

    @field_validator("templates")
    @classmethod
    def _one_place_for_the_name(cls, templates: list[str]) -> list[str]:
        for template in templates:
            if template.count("{}") != 1:
                raise ValueError(f"{template!r} must hold {{}} once, where the class name goes")
        return templates

    @field_validator("noise_levels")
    @classmethod
    def _distinct_levels_and_a_clean_one(cls, levels: list[float]) -> list[float]:
        written = [f"{level:.2f}" for level in levels]
        for level, text in zip(levels, written, strict=True):
            if abs(float(text) - level) > 1e-9:
                raise ValueError(f"{level} has more than two decimals; round it")
            if written.count(text) > 1:
                raise ValueError(f"{level} is repeated; give each level once")
        if "0.00" not in written:
            raise ValueError("no level is 0.0; add it, the clean images are the reference")
        if len(levels) < 2:
            raise ValueError("0.0 is the only level; add one above it, to compare with")
        return sorted(levels)


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
    require_defined(params.noise_kind, params.noise_space, params.noise_levels, params.draws)
    table = read_index(index)
    ids, classes = table["id"].tolist(), sorted(table["class"].unique())
    device = choose_device(params.device)
    precision = choose_precision(params.precision, device)
    weights = f" with the weights {params.pretrained}" if params.pretrained else ""
    click.echo(f"loading {params.model}{weights} on {device}")
    encoder = load_encoder(params.model, params.pretrained, model_folder, params.seed, device)
    if not encoder.trained:
        click.echo(f"{params.model} is untrained: its weights are random, of seed {params.seed}")

    sample = noisy_sample(encoder, images, _spaced(ids, SAMPLE), params.noise_levels, params)
    exact = [encoder.encode_images(each) for each in sample]
    encoder = with_precision(encoder, precision)
    deviation = relative_deviation([encoder.encode_images(each) for each in sample], exact)
    text = encode_classes(encoder, classes, params.templates)

    with whole_folder(embeddings, "encoder.json") as folder, whole_files(plots) as pictures:
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
        f"{len(arrays)} arrays of {len(ids)} images x {text.shape[1]} dimensions in {precision}, "
        f"which deviates from fp32 by {deviation:.2%} of the mean distance between images"
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
    worker at a time while the others prepare. The model always sees `batch_size` images, the
    last batch being filled up, so that no embedding depends on what it is encoded with.
    """
    size = min(params.batch_size, len(ids))
    turn = nullcontext() if encoder.device.type == "cpu" else threading.Lock()

    def encode(start: int) -> None:
        names = ids[start : start + size]
        clean = [encoder.prepare(read_image(folder / "images" / name)) for name in names]
        inputs = np.zeros((size, *clean[0].shape), dtype=np.float32)
        for (level, draw), array in arrays.items():
            for i, name in enumerate(names):
                inputs[i] = with_noise(encoder, clean[i], name, level, draw, params)
            with turn:
                rows = encoder.encode_images(inputs)[: len(names)]
            _require_finite(rows, names, level, encoder.precision)
            array[start : start + len(names)] = rows

    workers = workers or available_cores()
    with one_share_each(encoder.device, workers):
        pool = Parallel(n_jobs=workers, backend="threading", return_as="generator_unordered")
        starts = range(0, len(ids), size)
        done = pool(delayed(encode)(start) for start in starts)
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
        axes.set_xlabel(
            f"{params.noise_kind} noise level\n"
            f"({level_unit(params.noise_kind, params.noise_space)})"
        )
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
            axis.set_ylabel(shown[row].split("/")[0])
    unit = level_unit(params.noise_kind, params.noise_space)
    figure.suptitle(
        f"What the encoder sees ({images.shape[4]} x {images.shape[3]} pixels)\n"
        f"by level of {params.noise_kind} noise:\n{unit}",
        fontsize=11,
    )
    return figure


def _of_what(encoder: Encoder, params: EmbedParams, images: int) -> str:
    weights = params.pretrained or ("" if encoder.trained else "untrained")
    return f"{params.model}{f' ({weights})' if weights else ''}, {images} images"


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


@contextmanager
def one_share_each(device: torch.device, workers: int) -> Iterator[None]:
    """Let each worker's encoder use its share of the cores, where it runs on the CPU."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(max(available_cores() // workers, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    embed()
