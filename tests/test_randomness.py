"""Generators that depend on their key alone."""

import hashlib

import numpy as np
import pytest

from stages.core.runtime.randomness import generator_for


def test_a_key_is_hashed_with_type_and_length() -> None:
    text = b"i1:7s5:noises3:a/bf20:0x1.0000000000000p-1"
    words = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), "<u4").tolist()
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
    found = generator_for(7, "noise", "a/b", 0.5)
    np.testing.assert_array_equal(found.random(5), expected.random(5))


def test_numpy_scalars_are_the_numbers_they_hold() -> None:
    found = generator_for(np.int64(3), np.float32(0.5)).random()
    assert found == generator_for(3, 0.5).random()


@pytest.mark.parametrize(
    ("one", "other"),
    [((1,), (1.0,)), ((1,), ("1",)), (("ab", "c"), ("a", "bc")), ((1, 2), (2, 1)), ((0,), (0, 0))],
)
def test_keys_that_differ_have_other_streams(one: tuple, other: tuple) -> None:
    assert generator_for(*one).random() != generator_for(*other).random()


@pytest.mark.parametrize("part", [None, True, np.True_, (1, 2), b"a"])
def test_other_types_are_refused(part: object) -> None:
    with pytest.raises(TypeError, match="give a str, int or float"):
        generator_for("noise", part)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        generator_for()
