"""Random generators that depend on what they are for, and on nothing else."""

import hashlib

import numpy as np


def generator_for(*key: str | int | float) -> np.random.Generator:
    """The generator of a key: the same on every machine, in any order, for any worker count.

    A key names the purpose and the thing, e.g. (seed, "fetch", class, index). Two keys that
    differ anywhere, by type included (1, 1.0 and "1"), have independent streams: the key is
    hashed to 128 bits (BLAKE2b), which seed a PCG64.

    Raises TypeError for a part of another type, e.g. a tuple or None, and ValueError for an
    empty key.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words_of(*key).tolist())))


def words_of(*key: str | int | float) -> np.ndarray:
    """(4,) uint32: the hash of a key, the seed of `generator_for`, which raises as this does."""
    if not key:
        raise ValueError("a generator needs a key, e.g. generator_for(seed, 'fetch', name)")
    return np.frombuffer(hashlib.blake2b(_bytes(key), digest_size=16).digest(), dtype="<u4")


def stratified_sample(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` positions in `labels` (n,), as many of each label as can be; all where count >= n."""
    order = generator.permutation(len(labels))
    # The rank of an image among those of its label, in random order: taking the lowest ranks
    # first takes one image of every label in turn.
    by_label = np.argsort(labels[order], kind="stable")
    _, starts, counts = np.unique(labels[order][by_label], return_index=True, return_counts=True)
    ranks = np.empty(len(labels), np.int64)
    ranks[by_label] = np.arange(len(labels)) - np.repeat(starts, counts)
    return np.sort(order[np.argsort(ranks, kind="stable")[:count]])


def _bytes(key: tuple[str | int | float, ...]) -> bytes:
    """An encoding that no two keys share: type, length and text of every part."""
    encoded = bytearray()
    for part in key:
        if isinstance(part, str):
            kind, text = b"s", part.encode()
        elif isinstance(part, bool | np.bool_):
            raise TypeError(f"{part!r} in a generator's key; give a str, int or float")
        elif isinstance(part, int | np.integer):
            kind, text = b"i", str(int(part)).encode()
        elif isinstance(part, float | np.floating):
            kind, text = b"f", float(part).hex().encode()
        else:
            raise TypeError(f"{part!r} in a generator's key; give a str, int or float")
        encoded += kind + str(len(text)).encode() + b":" + text
    return bytes(encoded)
