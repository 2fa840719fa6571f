"""Shards on several devices, each with a process of its own, or as tasks of a cluster."""

import fcntl
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch

from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import available_cores, parallel_map
from stages.core.runtime.progress import progress, report
from stages.core.runtime.remote import Files, cluster_address, storage_address
from stages.core.vision.encoder import Encoder
from stages.core.vision.inputs import image_file
from stages.core.vision.loading import load_encoder
from stages.core.vision.model_files import files_of_model, require_in_study
from stages.core.vision.shards import Shard, embed_shards, weights_digest
from stages.core.vision.sweep import Sweep


@dataclass(frozen=True)
class EncoderSource:
    """By what another process loads an encoder: as `load_encoder` takes it, and its precision.

    weights: what they have to be, by `weights_digest`, wherever they are loaded.
    """

    model: str
    pretrained: str | None
    model_folder: Path
    seed: int
    precision: str
    weights: str

    def files(self) -> list[Path]:
        """What it is loaded from; raises StudyError where workers in storage would not find it."""
        if storage_address():
            require_in_study(self.model, self.pretrained)
        return files_of_model(self.model, self.pretrained, self.model_folder)


@dataclass(frozen=True)
class ShardTask:
    """A shard, with all that it takes to compute it.

    device: PyTorch's name of it. workers: threads; one for every core by default.
    """

    encoder: EncoderSource
    device: str
    sweep: Sweep
    shard: Shard
    workers: int | None = None


def embed_shard(task: ShardTask) -> int:
    """Compute and write one shard; returns its number of images.

    A process keeps the encoder that it has loaded for its next tasks.
    """
    encoder = _loaded(task.encoder, task.device)
    return sum(embed_shards(encoder, task.sweep, [task.shard], task.workers))


def _files(model: Sequence[Path], task: ShardTask) -> Files:
    """What a task reads and writes; model: what its encoder is loaded from."""
    images = [image_file(task.sweep.folder, name) for name in task.shard.ids]
    return Files([*model, *images], [task.shard.file])


def embed_on(
    devices: Sequence[torch.device],
    encoder: Encoder,
    source: EncoderSource,
    sweep: Sweep,
    shards: Sequence[Shard],
    done: int = 0,
) -> None:
    """Compute and write shards on all of the devices at once.

    encoder: on the first of them, and used where there is no other. done: images of other shards,
    which count as done. On a cluster (docs/cluster.md) a shard is a task, on a device of that name
    of the worker's.
    """
    if cluster_address() and shards:
        threads = 1 if devices[0].type == "cpu" else None  # a worker for each core
        tasks = [ShardTask(source, str(devices[0]), sweep, shard, threads) for shard in shards]
        parallel_map(embed_shard, tasks, "embed", files=partial(_files, source.files()))
        return
    if len(devices) > 1 and len(shards) > 1:
        _embed_in_processes(devices, source, sweep, shards)
        return
    total = done + sum(len(shard.ids) for shard in shards)
    with progress(None, "embed", total, done) as bar:
        for images in embed_shards(encoder, sweep, shards):
            bar.update(images)


@dataclass(frozen=True)
class _Share:
    """What the process of one device takes part in. taken: see `_next_of`."""

    encoder: EncoderSource
    device: str
    sweep: Sweep
    shards: tuple[Shard, ...]
    taken: Path
    workers: int


def _embed_in_processes(
    devices: Sequence[torch.device],
    source: EncoderSource,
    sweep: Sweep,
    shards: Sequence[Shard],
) -> None:
    workers = max(1, available_cores() // len(devices))
    with tempfile.TemporaryDirectory(prefix="shards-") as scratch:
        taken = Path(scratch) / "taken"
        taken.write_bytes(struct.pack("q", 0))
        shares = [
            _Share(source, str(device), sweep, tuple(shards), taken, workers) for device in devices
        ]
        parallel_map(_take_part, shares, "embed", workers=len(devices))


def _take_part(share: _Share) -> None:
    encoder = _loaded(share.encoder, share.device)
    own = (share.shards[place] for place in _next_of(share.taken, len(share.shards)))
    for _ in embed_shards(encoder, share.sweep, own, share.workers):
        pass


def _next_of(taken: Path, count: int) -> Iterator[int]:
    """The numbers below `count`, of which each process gets those that no other has taken.

    taken: a file with the next number, which a lock guards; it is free again where a process dies.
    """
    while True:
        with taken.open("r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (place,) = struct.unpack("q", file.read(8))
            file.seek(0)
            file.write(struct.pack("q", place + 1))
        if place >= count:
            return
        report(place / count)
        yield place


@lru_cache(maxsize=1)
def _loaded(source: EncoderSource, device: str) -> Encoder:
    encoder = load_encoder(
        source.model, source.pretrained, source.model_folder, source.seed, torch.device(device)
    )
    if weights_digest(encoder) != source.weights:
        raise StudyError(
            f"embed.model: {source.model} has other weights for the process of {device} than where "
            "the run began; give both the same files"
        )
    return encoder.with_precision(source.precision)
