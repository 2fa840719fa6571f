"""Principal angles against subspaces planted at known angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from stages.core.geometry.subspaces import (
    ZERO_ANGLE_RAD,
    angle_summary,
    angles_between,
    class_bases,
    pair_table,
    principal_angles,
    sample_space_bases,
)
from stages.core.runtime.errors import StudyError

RIGHT = np.pi / 2


def orthogonal(size: int, seed: int) -> np.ndarray:
    """A random (size, size) orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def planted_pair(angles: list[float], dimension: int, seed: int = 0) -> list[np.ndarray]:
    """Bases of two subspaces that meet at the given angles, in no special position."""
    k = len(angles)
    first = np.eye(dimension, k)
    second = np.cos(angles) * first + np.sin(angles) * np.roll(first, k, axis=0)
    turn = orthogonal(dimension, seed)
    return [turn @ first @ orthogonal(k, seed + 1), turn @ second @ orthogonal(k, seed + 2)]


def random_bases(ranks: list[int], dimension: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [np.linalg.qr(generator.standard_normal((dimension, rank)))[0] for rank in ranks]


@pytest.mark.parametrize(
    "angles",
    [
        [0.0, 0.0, 0.0],
        [0.0, 0.5, RIGHT],
        [RIGHT, RIGHT],
        [1e-10, 1e-9, 1e-3],
        [1e-10, 1.2, 1.5],
        [1e-10, 0.0999, 0.1001, RIGHT - 1e-9],
        [0.7],
    ],
)
def test_planted_angles_are_found_to_rounding_error(angles: list[float]) -> None:
    found = angles_between(*planted_pair(angles, 12))
    np.testing.assert_allclose(found, angles, rtol=0, atol=1e-14)


def test_a_line_and_a_plane_have_one_angle() -> None:
    line = np.array([[np.cos(0.3)], [0.0], [np.sin(0.3)]])
    np.testing.assert_allclose(angles_between(line, np.eye(3, 2)), [0.3], atol=1e-15)
    np.testing.assert_allclose(angles_between(np.eye(3, 2), line), [0.3], atol=1e-15)


def test_ranks_beyond_the_dimension_give_certain_zeros() -> None:
    found = principal_angles(random_bases([4, 5, 2], dimension=6))
    table = pair_table(found, ["a", "b", "c"])
    assert table["zeros_certain"].tolist() == [3, 0, 1]
    assert table["zeros_found"].tolist() == [0, 0, 0]
    assert found.angles[0, 3] > 0.01
    assert found.angles[1, 0] > 0.01


def test_zeros_that_need_not_be_are_found_apart() -> None:
    shared = np.eye(6)[:, [0, 1, 2]], np.eye(6)[:, [0, 3]]
    table = pair_table(principal_angles(shared), ["a", "b"])
    assert table[["zeros_certain", "zeros_found"]].to_numpy().tolist() == [[0, 1]]


def test_subspaces_of_the_whole_space_hold_every_other() -> None:
    found = principal_angles(random_bases([2, 6, 6], dimension=6))
    np.testing.assert_array_equal(found.angles[0, :2], 0)
    np.testing.assert_array_equal(found.angles[2], 0)


def test_every_pair_agrees_with_scipy_at_any_ranks() -> None:
    bases = random_bases([3, 7, 1, 7, 5, 12, 2], dimension=20)
    found = principal_angles(bases)
    assert found.angles.shape == (21, 7)
    for a, b, angles in zip(found.first, found.second, found.angles, strict=True):
        expected = np.sort(subspace_angles(bases[a], bases[b]))
        # SciPy's own error reaches 1e-8 where small and large angles meet.
        np.testing.assert_allclose(angles[: len(expected)], expected, atol=1e-7)
        assert np.isnan(angles[len(expected) :]).all()


def test_close_pairs_among_others_keep_their_digits() -> None:
    close_a, close_b = planted_pair([1e-9, 1e-8], 12)
    wide = random_bases([5], dimension=12)[0]
    found = principal_angles([close_a, wide, close_b])
    assert found.first.tolist() == [0, 0, 1]
    assert found.second.tolist() == [1, 2, 2]
    np.testing.assert_allclose(found.angles[1], [1e-9, 1e-8], rtol=1e-5)
    for pair, close in ((0, close_a), (2, close_b)):
        np.testing.assert_allclose(found.angles[pair], angles_between(close, wide), atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    ranks=st.lists(st.integers(1, 6), min_size=2, max_size=5),
)
def test_angles_survive_rotation_and_change_of_basis(seed: int, ranks: list[int]) -> None:
    bases = random_bases(ranks, dimension=8, seed=seed)
    turn = orthogonal(8, seed)
    turned = [turn @ basis @ orthogonal(basis.shape[1], seed) for basis in bases]
    before, after = principal_angles(bases), principal_angles(turned)
    np.testing.assert_allclose(after.angles, before.angles, atol=1e-13)


def test_summary_by_hand() -> None:
    angles = np.radians([[30.0, 60.0], [90.0, np.nan]])
    summary = angle_summary(angles)
    np.testing.assert_allclose(summary["smallest_deg"], [30, 90])
    np.testing.assert_allclose(summary["mean_deg"], [45, 90])
    np.testing.assert_allclose(summary["largest_deg"], [60, 90])
    np.testing.assert_allclose(summary["grassmann"], [np.pi * np.sqrt(5) / 6, RIGHT])
    np.testing.assert_allclose(summary["chordal"], [1, 1])


def test_an_angle_below_the_tolerance_is_written_as_zero() -> None:
    summary = angle_summary(np.array([[ZERO_ANGLE_RAD / 2, ZERO_ANGLE_RAD * 2]]))
    assert summary["smallest_deg"][0] == 0.0
    assert summary["largest_deg"][0] > 0.0


def test_bases_span_the_leading_directions() -> None:
    # Two directions with singular values 4 and 3: shares of squared norm 0.64 and 0.36.
    points = np.zeros((5, 4))
    points[0, 1], points[1, 3] = 4.0, 3.0
    one, two = (class_bases({"a": points}, k, 0.9, centre=False)[0] for k in (1, 2))
    np.testing.assert_allclose(np.abs(one[:, 0]), [0, 1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(np.abs(two[:, 1]), [0, 0, 0, 1], atol=1e-15)


@pytest.mark.parametrize(("share", "rank"), [(0.5, 1), (0.64, 1), (0.65, 2), (1.0, 2)])
def test_rank_by_explained_variance(share: float, rank: int) -> None:
    points = np.zeros((5, 4))
    points[0, 1], points[1, 3] = 4.0, 3.0
    assert class_bases({"a": points}, None, share, centre=False)[0].shape == (4, rank)


def test_centring_takes_out_the_shared_direction() -> None:
    mean, other = np.eye(4)[0], np.eye(4)[2]
    points = np.stack([5 * mean + other, 5 * mean - other])
    plain = class_bases({"a": points}, 1, 0.9, centre=False)[0]
    centred = class_bases({"a": points}, 1, 0.9, centre=True)[0]
    np.testing.assert_allclose(np.abs(plain[:, 0]), mean, atol=1e-15)
    np.testing.assert_allclose(np.abs(centred[:, 0]), other, atol=1e-15)


def test_rank_is_refused_beyond_what_the_images_span() -> None:
    generator = np.random.default_rng(0)
    clouds = {
        "dotted": generator.standard_normal((9, 16)).astype(np.float32),
        "grid": generator.standard_normal((6, 16)).astype(np.float32),
    }
    assert class_bases(clouds, 6, 0.9, centre=False)[0].shape == (16, 6)
    with pytest.raises(StudyError, match=r"angles\.rank: 7 .* 6 images of class grid .* most 6"):
        class_bases(clouds, 7, 0.9, centre=False)
    with pytest.raises(StudyError, match=r"span once centred; give at most 5"):
        class_bases(clouds, 6, 0.9, centre=True)
    with pytest.raises(StudyError, match=r"angles\.rank: 17 .* 16 dimensions"):
        class_bases({"grid": generator.standard_normal((20, 16))}, 17, 0.9, centre=False)


def test_repeated_images_span_nothing_new() -> None:
    clouds = {"grid": np.repeat(np.eye(3, 8, dtype=np.float32), 4, axis=0)}
    with pytest.raises(StudyError, match="12 images of class grid span; give at most 3"):
        class_bases(clouds, 4, 0.9, centre=False)


def test_a_class_of_one_repeated_image_has_nothing_left_once_centred() -> None:
    clouds = {"grid": np.full((4, 9), 1 / 3, dtype=np.float32)}
    with pytest.raises(StudyError, match=r"angles\.centre: the 4 images of class grid"):
        class_bases(clouds, None, 0.9, centre=True)


def test_the_usual_mistake_finds_zeros_only() -> None:
    generator = np.random.default_rng(0)
    clouds = {
        name: generator.standard_normal((count, 32))
        for name, count in (("dotted", 14), ("grid", 12), ("striped", 12))
    }
    table = pair_table(principal_angles(sample_space_bases(clouds)), list(clouds))
    assert (table["largest_deg"] == 0).all()
    assert (table["zeros_certain"] == 12).all()
    assert (table["zeros_found"] == 0).all()
    by_scipy = subspace_angles(clouds["dotted"][:12], clouds["grid"])
    np.testing.assert_allclose(by_scipy, 0, atol=1e-7)
    # In feature space the same classes do not meet.
    right = pair_table(principal_angles(class_bases(clouds, 5, 0.9, False)), list(clouds))
    assert (right["smallest_deg"] > 10).all()
