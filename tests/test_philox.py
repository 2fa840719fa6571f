"""Noise by Philox: its bits against published ones and numpy's, and its deviates."""

import numpy as np
import pytest
import torch
from scipy import stats

from stages.core.runtime.randomness import words_of
from stages.core.vision.noise import KINDS, noise_key
from stages.core.vision.philox import (
    DEVIATES,
    philox,
    standard_normal,
    standard_uniform,
    uniform_numbers,
    with_noise,
)

SCALE = np.array([0.2, 0.25, 0.3], np.float32)
# (multipliers, steps of the key) of Salmon et al. (2011), by the bits of a word.
CONSTANTS = {
    32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
    64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
}


def words_by_hand(counter: list[int], key: list[int], bits: int) -> list[int]:
    """Philox4xW-10 in Python's integers, of words of so many bits."""
    (m0, m1), steps = CONSTANTS[bits]
    low = 2**bits - 1
    for _ in range(10):
        one, two = counter[0] * m0, counter[2] * m1
        counter = [
            (two >> bits) ^ counter[1] ^ key[0],
            two & low,
            (one >> bits) ^ counter[3] ^ key[1],
            one & low,
        ]
        key = [(word + step) & low for word, step in zip(key, steps, strict=True)]
    return counter


def found(counter: list[int], key: list[int]) -> list[int]:
    given = [torch.tensor([word]) for word in (*counter, *key)]
    return [int(word) for word in philox(tuple(given[:4]), tuple(given[4:]))]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_words_are_the_published_ones(counter: list[int], key: list[int], words: str) -> None:
    """Those of Random123, the authors' library (kat_vectors)."""
    assert " ".join(f"{word:08x}" for word in found(counter, key)) == words


def test_words_are_those_of_an_implementation_that_agrees_with_numpy() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        key, counter = (generator.integers(2**64, size=n, dtype=np.uint64) for n in (2, 4))
        numpys = np.random.Philox(key=key, counter=counter).random_raw(4)
        after = [int(word) for word in counter]
        after[0] += 1  # numpy counts first
        assert words_by_hand(after, [int(word) for word in key], 64) == numpys.tolist()
        small = generator.integers(2**32, size=6).tolist()
        assert found(small[:4], small[4:]) == words_by_hand(small[:4], small[4:], 32)


def test_uniform_numbers_are_the_upper_bits_of_the_words_of_an_image() -> None:
    words = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    numbers = uniform_numbers(words, 9)  # of three blocks
    assert numbers.shape == (4, 2, 3)
    for image in range(2):
        first, second, third, fourth = words[image].tolist()
        for block in range(3):
            wanted = words_by_hand([block, 0, third, fourth], [first, second], 32)
            np.testing.assert_array_equal(
                numbers[:, image, block], np.array([word >> 8 for word in wanted]) / 2**24
            )


def test_normal_deviates_are_those_of_box_and_muller_in_the_order_of_the_array() -> None:
    words = torch.tensor([[9, 8, 7, 6]])
    first = uniform_numbers(words, 8)[:, 0, 1].double().numpy()  # the second block
    radii = np.sqrt(-2 * np.log(1 - first[[0, 2]]))
    angles = 2 * np.pi * first[[1, 3]]
    wanted = np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1).ravel()
    np.testing.assert_allclose(standard_normal(words, 8)[0, 4:], wanted, atol=1e-5)
    np.testing.assert_array_equal(standard_normal(words, 7), standard_normal(words, 8)[:, :7])


@pytest.mark.parametrize(
    ("deviates", "distribution"),
    [
        (standard_normal, stats.norm()),
        (standard_uniform, stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))),
    ],
)
def test_deviates_have_their_distribution(deviates, distribution) -> None:
    keys = np.stack([words_of(0, image) for image in range(40)]).astype(np.int64)
    drawn = deviates(torch.from_numpy(keys), 5000).numpy()
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn.ravel(), distribution.cdf).pvalue > 0.01
    pairs = np.corrcoef(drawn)[np.triu_indices(40, 1)]  # of images, 780 of them
    assert np.abs(pairs).max() < 5 / np.sqrt(5000)


def test_every_kind_that_is_added_can_be_made_so() -> None:
    assert set(DEVIATES) == {name for name, kind in KINDS.items() if kind.deviates}


@pytest.mark.parametrize("space", ["normalised", "pixel"])
def test_noise_is_of_the_image_and_not_of_its_batch(space: str) -> None:
    pixels = torch.rand(5, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    before = pixels.clone()
    ids = [f"a/{i}.png" for i in range(4)]  # the batch is not full

    def made(names: list[str], given: torch.Tensor, level: float, draw: int = 0) -> np.ndarray:
        return with_noise(given, names, level, draw, "gaussian", space, 3, SCALE).numpy()

    together = made(ids, pixels, 0.5)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(made(ids, pixels, 0.0), before)
    np.testing.assert_array_equal(together[4], before[4])
    for i, name in enumerate(ids):
        np.testing.assert_array_equal(made([name], pixels[i : i + 1], 0.5)[0], together[i])
        words = torch.from_numpy(words_of(*noise_key(3, name, "gaussian", 0.5, 0)).astype(np.int64))
        deviates = standard_normal(words[None], 105)[0].numpy().reshape(3, 7, 5)
        wanted = before[i].numpy() + deviates * (0.5 * SCALE[:, None, None])
        if space == "pixel":
            wanted = np.clip(before[i].numpy() + 0.5 * deviates, 0, 1)
        np.testing.assert_allclose(together[i], wanted, atol=1e-6)
    assert np.abs(made(ids, pixels, 0.5, 1)[:4] - together[:4]).max() > 0.1
