"""Shards: the embeddings of some images at a time, on disk, from which a killed run goes on.

A shard is a file in safetensors' format, whole or absent: its rows, a hash of them, and one of the
images that they are of. All shards of a run lie in a folder that is named after a hash of whatever
else decides their bytes, so that other settings, weights, code or hardware start anew. What is
damaged, or of images that have changed since, is computed again. At the end they are joined.
"""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stages.core.artifacts.embeddings import array_name
from stages.core.runtime.checksums import digest_of_files
from stages.core.runtime.errors import StudyError, one_line
from stages.core.runtime.progress import progress
from stages.core.vision.encoder import Encoder
from stages.core.vision.hardware import description_of, map_on_cores
from stages.core.vision.inputs import Cell, image_digest
from stages.core.vision.sweep import Sweep, swept

# Of a shard. What is killed loses that much work at the most, for each device: minutes of a large
# model on a CPU, seconds of a GPU, which would wait for the disk else.
IMAGES_ON_CPU = 64
IMAGES_ON_ACCELERATOR = 1024

FOLDER = re.compile(r"embed-[0-9a-f]{16}")
# What computes embeddings: libraries, and files of stages/core.
LIBRARIES = (
    *("torch", "torchvision", "open_clip_torch", "timm"),
    *("numpy", "pillow", "opencv-python-headless"),
)
CORE = Path(__file__).parents[1]
CODE = ("vision/**/*", "dataset/images.py", "runtime/randomness.py")

Arrays = Mapping[Cell, np.ndarray]  # {(level, draw): (images, d)}


class Shard(NamedTuple):
    """Some images in a row: the file of their embeddings, the place of the first, and their ids."""

    file: Path
    start: int
    ids: tuple[str, ...]


# What the bytes depend on


def key_of(
    encoder: Encoder,
    model: Sequence[str | None],
    sample: np.ndarray,
    sweep: Sweep,
    devices: Sequence[torch.device],
) -> str:
    """A hash of what decides the bytes of shards, but for the images themselves.

    encoder: in the number format of the run. model: what is known of it and its files. sample:
    (b, d), the embeddings of a few inputs, which tell of anything that the rest does not see.
    """
    noise = sweep.noise
    decides = {
        "noise": [noise.kind, noise.space, noise.seed, noise.stream],
        "cells": sweep.cells,
        "model": list(model),
        "preprocessing": repr(encoder.preprocessing),
        "precision": encoder.precision,
        "sample": hashlib.blake2b(sample.tobytes()).hexdigest(),
        "devices": sorted({description_of(device) for device in devices}),
        "batch": None if encoder.device.type == "cpu" else sweep.batch_size,
        "images": images_of_shard(sweep, encoder.device),
        "libraries": [version(name) for name in LIBRARIES],
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]


def images_of_shard(sweep: Sweep, device: torch.device) -> int:
    """How many images a shard has: whole batches."""
    batch = sweep.images_at_once(device)
    least = IMAGES_ON_CPU if device.type == "cpu" else IMAGES_ON_ACCELERATOR
    return -(-least // batch) * batch


def weights_digest(encoder: Encoder) -> str:
    """A hash of the weights of the encoder's networks, by name."""
    found = hashlib.blake2b()
    for network in encoder.networks:
        for name, tensor in network.state_dict().items():
            if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
                values = tensor.detach().cpu().contiguous().reshape(-1)
                found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
                found.update(values.view(torch.uint8).numpy().data)
    return found.hexdigest()


def code_digest() -> str:
    """A hash of the code that computes embeddings, and of the architectures beside it."""
    files = (file for pattern in CODE for file in CORE.glob(pattern))
    return digest_of_files((file for file in files if file.suffix in (".py", ".json")), CORE)


# Files


def open_folder(shards: Path, key: str) -> Path:
    """The folder of a key's shards; those of other keys, and what is unfinished, are removed.

    The first shard that is written makes it.
    """
    folder = shards / f"embed-{key}"
    remove_shards(shards, keep=folder)
    for unfinished in folder.glob(".*.unfinished"):
        unfinished.unlink(missing_ok=True)
    return folder


def remove_shards(shards: Path, keep: Path | None = None) -> None:
    """Remove the folders of all keys' shards, and nothing else that lies beside them."""
    for folder in shards.iterdir() if shards.is_dir() else ():
        if FOLDER.fullmatch(folder.name) and folder != keep:
            shutil.rmtree(folder)


def shards_of(folder: Path, ids: Sequence[str], images: int) -> list[Shard]:
    """The images `ids` in shards of so many."""
    return [
        Shard(
            folder / f"shard-{start // images:06d}.safetensors",
            start,
            tuple(ids[start : start + images]),
        )
        for start in range(0, len(ids), images)
    ]


def write_shard(shard: Shard, rows: np.ndarray, digests: Iterable[bytes]) -> None:
    """Write the embeddings of a shard, (cells, n, d) float32; the file is whole or absent.

    digests: of its images, by `image_digest`.
    """
    about = {"images": _joined(digests), "rows": hashlib.blake2b(rows.tobytes()).hexdigest()}
    # A name of its own: on another machine a worker that is thought dead may write it too.
    unfinished = shard.file.with_name(f".{shard.file.name}.{uuid.uuid4().hex}.unfinished")
    try:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("xb") as file:
            file.write(save({"rows": rows}, about))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(shard.file)
    except OSError as error:
        error.filename = str(shard.file)
        raise
    finally:
        unfinished.unlink(missing_ok=True)


class DamagedShard(Exception):
    """A shard is not as it was written; the message says how."""


def read_shard(shard: Shard, cells: int, dimension: int) -> tuple[np.ndarray, str]:
    """(rows (cells, n, d) float32, the joint hash of the images they are of) of a shard's file.

    Raises DamagedShard.
    """
    try:
        with safe_open(shard.file, "numpy") as file:
            about, rows = file.metadata() or {}, file.get_tensor("rows")
    except (SafetensorError, OSError, ValueError) as error:
        raise DamagedShard(one_line(error, 160)) from None
    shape = cells, len(shard.ids), dimension
    if rows.shape != shape or rows.dtype != np.float32:
        raise DamagedShard(f"{rows.dtype} of shape {rows.shape} instead of float32 of {shape}")
    if hashlib.blake2b(rows.tobytes()).hexdigest() != about.get("rows"):
        raise DamagedShard("other numbers than were written")
    return rows, about.get("images", "")


def finished_shards(
    shards: Sequence[Shard], sweep: Sweep, dimension: int, workers: int | None = None
) -> set[Shard]:
    """Those that an earlier run has written, of the images as they are now; says what is not so."""
    there = [shard for shard in shards if shard.file.is_file()]

    def state(shard: Shard) -> str:
        try:
            _, images = read_shard(shard, len(sweep.cells), dimension)
        except DamagedShard as error:
            return f"damaged ({error})"
        found = _joined(image_digest(sweep.folder, name) for name in shard.ids)
        return "" if found == images else "of images that have changed"

    checked = map_on_cores(torch.device("cpu"), state, there, workers)
    states = list(progress(checked, "shards of an earlier run", len(there)))
    for what in ("damaged", "of images"):
        faulty = [each for each in zip(there, states, strict=True) if each[1].startswith(what)]
        if faulty:
            (first, why), more = faulty[0], len(faulty) - 1
            others = f", and {more:,} more" if more else ""
            click.echo(f"{first.file}: {why}{others}; computed again")
    return {shard for shard, why in zip(there, states, strict=True) if not why}


def _joined(digests: Iterable[bytes]) -> str:
    return hashlib.blake2b(b"".join(digests)).hexdigest()


def require_room(folder: Path, size_bytes: int) -> None:
    """Raise StudyError unless a folder's disk has so much space."""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if free < size_bytes:
        raise StudyError(
            f"{folder}: the embeddings take {size_bytes / 1e9:,.1f} GB more, and the disk has "
            f"{free / 1e9:,.1f}; free some space and run the stage again"
        )


# From images to shards to arrays


def embed_shards(
    encoder: Encoder, sweep: Sweep, shards: Iterable[Shard], workers: int | None = None
) -> Iterator[int]:
    """Compute and write shards, in order; yield the number of images of each batch that is done.

    Shards are taken from the iterable as they are needed, and one is begun before the one before
    is written, so that no core and no device waits. workers: threads, as `swept` takes them.
    """
    size = sweep.images_at_once(encoder.device)
    begun: deque[Shard] = deque()

    def batches() -> Iterator[Sequence[str]]:
        for shard in shards:
            begun.append(shard)
            for start in range(0, len(shard.ids), size):
                yield shard.ids[start : start + size]

    done = []
    with closing(swept(encoder, sweep, batches(), workers)) as encoded:
        for batch in encoded:
            done.append(batch)
            if sum(len(each.ids) for each in done) == len(begun[0].ids):
                rows = np.concatenate([each.rows for each in done], axis=1)
                digests = [digest for each in done for digest in each.digests]
                write_shard(begun.popleft(), rows, digests)
                done = []
            yield len(batch.ids)


def allocate(
    folder: Path, cells: Sequence[Cell], images: int, dimension: int
) -> dict[Cell, np.ndarray]:
    """{cell: (images, dimension) float32} on disk, to be filled.

    The space is taken at once: a disk that fills up later would kill the process as it writes
    to the memory map, without an error to report.
    """
    arrays: dict[Cell, np.ndarray] = {}
    for cell in cells:
        file = folder / array_name(*cell)
        arrays[cell] = np.lib.format.open_memmap(
            file, mode="w+", dtype=np.float32, shape=(images, dimension)
        )
        if hasattr(os, "posix_fallocate"):
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    return arrays


def join(shards: Sequence[Shard], arrays: Arrays) -> list[Shard]:
    """Copy the shards into the arrays, one at a time; return those that are damaged by now."""
    (_, dimension), damaged = next(iter(arrays.values())).shape, []
    for shard in shards:
        try:
            rows, _ = read_shard(shard, len(arrays), dimension)
        except DamagedShard as error:
            click.echo(f"{shard.file}: damaged ({error}); computed again")
            damaged.append(shard)
            continue
        for array, own in zip(arrays.values(), rows, strict=True):
            array[shard.start : shard.start + len(own)] = own
    return damaged
