"""Pairs of images and what is true of them, to train on: generated, or from a fetched data set."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.core.dataset.images import read_image
from stages.core.dataset.layout import read_annotations, read_index
from stages.core.painter import ATTRIBUTES, name_colours, paint
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.remote import Files
from stages.core.training.captions import Facts

# Images are held larger than the model's input by this, so that a crop keeps its detail.
ROOM_FOR_CROPS = 1.33
CHUNK = 100  # images to a piece of parallel work


@dataclass(frozen=True)
class Pairs:
    """Images with what is true of them; captions are written anew whenever a pair is used.

    images: (n, s, s, 3) uint8 RGB, larger than the model's input to leave room for crops.
    """

    images: np.ndarray
    facts: Sequence[Facts]


def held_side(input_side: int) -> int:
    """The side in pixels of the images that are held, for a model's input of a given side."""
    return math.ceil(input_side * ROOM_FOR_CROPS)


def generated_pairs(
    round_pairs: int, held_out_pairs: int, seed: int, side: int
) -> tuple[Callable[[int], Pairs], Pairs]:
    """(the pairs of round k, the held-out pairs), procedurally generated.

    The generator of an image is keyed by its purpose, which is never that of `fetch`, so that
    no test image of the generated data set is seen here.
    """

    def pairs_of_round(number: int) -> Pairs:
        return _generate("pretrain", number, round_pairs, seed, side)

    return pairs_of_round, _generate("pretrain held-out", 0, held_out_pairs, seed, side)


def _generate(purpose: str, number: int, count: int, seed: int, side: int) -> Pairs:
    """`count` images, the attributes in turn, generated in chunks on every core."""
    chunks = [
        (purpose, number, range(start, min(start + CHUNK, count)), seed, side)
        for start in range(0, count, CHUNK)
    ]
    generated = parallel_map(_generate_chunk, chunks, f"generating round {number}")
    return Pairs(
        np.concatenate([images for images, _ in generated]),
        [facts for _, some in generated for facts in some],
    )


def _generate_chunk(chunk: tuple[str, int, range, int, int]) -> tuple[np.ndarray, list[Facts]]:
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


def fetched_pairs(
    round_pairs: int, held_out_pairs: int, seed: int, side: int, images: Path, index: Path
) -> tuple[Callable[[int], Pairs], Pairs]:
    """(the pairs of round k, the held-out pairs), from the train and the val split.

    Raises StudyError for a split without images.
    """
    table = read_index(index)
    annotations = read_annotations(
        images / "labels" / "labels_joint_anno.txt", table["id"].tolist()
    )

    def load(split: str, count: int, *key: str | int) -> Pairs:
        ids = table.loc[table["split"] == split, "id"].to_numpy()
        if not len(ids):
            raise StudyError(f"{index}: no image in the {split} split; run 'dvc repro fetch'")
        order = generator_for(seed, *key).permutation(len(ids))[:count]
        jobs = [(images / "images" / ids[i], side, annotations[ids[i]]) for i in order]
        loaded = parallel_map(
            _load_image, jobs, f"reading {split} images", files=lambda job: Files([job[0]])
        )
        return Pairs(np.stack([pixels for pixels, _ in loaded]), [facts for _, facts in loaded])

    def pairs_of_round(number: int) -> Pairs:
        return load("train", round_pairs, "pretrain", number)

    return pairs_of_round, load("val", held_out_pairs, "pretrain held-out")


def _load_image(job: tuple[Path, int, list[str]]) -> tuple[np.ndarray, Facts]:
    """The middle square of an image, (side, side, 3) uint8, with what is true of it."""
    path, side, attributes = job
    image = read_image(path)
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    pixels = np.asarray(image.resize((side, side), 3, (left, top, left + short, top + short)))
    return pixels, Facts(tuple(attributes), name_colours(pixels))
