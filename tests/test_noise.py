"""Noise: what was asked is what is measured, and it depends on the image alone."""

import io
import tracemalloc
from itertools import product

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from stages.core.runtime.errors import StudyError
from stages.core.runtime.params import read_params
from stages.core.vision.noise import (
    KINDS,
    SPACES,
    level_label,
    level_unit,
    noise_generator,
    noisy,
    plasma,
    require_defined,
    standard_normal,
)
from stages.settings.embed import EmbedParams
from tests.study import ROOT

SCALE = np.array([0.27, 0.26, 0.28], dtype=np.float32)  # as open_clip normalises, about


def grey(value: float, side: int = 200) -> np.ndarray:
    return np.full((3, side, side), value, dtype=np.float32)


def apply(pixels: np.ndarray, kind: str, level: float, space: str = "pixel", draw: int = 0):
    return noisy(
        pixels, kind, level, space, SCALE, noise_generator(0, "a/a.jpg", kind, level, draw)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_level_zero_is_the_image_itself(kind):
    pixels = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
    np.testing.assert_array_equal(apply(pixels, kind, 0.0), pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_the_given_pixels_stay_as_they_are_and_the_type_is_float32(kind):
    pixels = np.random.default_rng(0).random((3, 9, 7), dtype=np.float32)
    before = pixels.copy()
    result = apply(pixels, kind, 0.5)
    np.testing.assert_array_equal(pixels, before)
    assert result.dtype == np.float32
    assert result.shape == pixels.shape
    assert not np.array_equal(result, pixels)
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (90, 3), (13, 29), (64, 64)], ids=str)
def test_every_kind_takes_images_of_any_size_and_shape(kind, shape):
    pixels = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    for level in (0.01, KINDS[kind].largest / 2, KINDS[kind].largest):
        found = apply(pixels, kind, round(level, 2))
        assert (found.shape, found.dtype) == (pixels.shape, np.float32)
        assert found.flags.c_contiguous
        assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_draws_differ_where_there_is_chance_in_a_kind(kind):
    pixels = np.random.default_rng(0).random((3, 20, 30), dtype=np.float32)
    first, again, second = (apply(pixels, kind, 0.5, draw=draw) for draw in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, second) != KINDS[kind].random


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
@pytest.mark.parametrize("level", [0.5, 2.0])
def test_normalised_noise_has_the_level_as_standard_deviation_after_normalising(kind, level):
    normalised = (apply(grey(0.5), kind, level, "normalised") - 0.5) / SCALE[:, None, None]
    # 40,000 deviates a channel: the standard error of a standard deviation is 0.35% of it.
    np.testing.assert_allclose(normalised.std(axis=(1, 2)), level, rtol=0.02)
    np.testing.assert_allclose(normalised.mean(axis=(1, 2)), 0, atol=0.03 * level)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_pixel_noise_has_the_level_as_standard_deviation_where_nothing_is_clipped(kind):
    noise = apply(grey(0.5), kind, 0.1) - 0.5
    np.testing.assert_allclose(noise.std(axis=(1, 2)), 0.1, rtol=0.02)


def test_pixel_noise_is_clipped_and_normalised_noise_is_not():
    clipped = apply(grey(0.5), "gaussian", 1.0)
    assert (clipped.min(), clipped.max()) == (0.0, 1.0)
    # A deviate above 0.5 clips to 1: 30.85% of them.
    assert np.mean(clipped == 1) == pytest.approx(stats.norm.sf(0.5), abs=0.005)
    assert np.mean(clipped == 0) == pytest.approx(stats.norm.sf(0.5), abs=0.005)
    free = apply(grey(0.5), "gaussian", 4.0, "normalised")
    assert free.min() < -1
    assert free.max() > 2


def test_uniform_noise_ends_at_the_square_root_of_three():
    noise = apply(grey(0.5), "uniform", 0.1) - 0.5
    assert np.abs(noise).max() == pytest.approx(0.1 * np.sqrt(3), rel=1e-3)
    assert stats.kurtosis(noise, axis=None) == pytest.approx(-1.2, abs=0.02)


def test_salt_and_pepper_hits_the_fraction_in_all_channels_half_black_half_white():
    hit = apply(grey(0.5), "salt-and-pepper", 0.3)
    assert np.mean(hit == 0) == pytest.approx(0.15, abs=0.01)
    assert np.mean(hit == 1) == pytest.approx(0.15, abs=0.01)
    assert np.mean(hit == 0.5) == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(hit[0], hit[2])
    assert set(np.unique(apply(grey(0.5), "salt-and-pepper", 1.0))) == {0.0, 1.0}


def test_impulse_strikes_each_channel_by_itself():
    hit = apply(grey(0.5), "impulse", 0.3)
    assert np.mean(hit == 0) == pytest.approx(0.15, abs=0.005)
    assert np.mean(hit == 1) == pytest.approx(0.15, abs=0.005)
    struck = hit != 0.5
    # Of two channels of a pixel both are struck as often as chance has it.
    assert np.mean(struck[0] & struck[1]) == pytest.approx(0.3**2, abs=0.01)
    assert set(np.unique(apply(grey(0.5), "impulse", 1.0))) == {0.0, 1.0}


def test_contrast_draws_each_channel_towards_its_mean():
    pixels = np.array([[[0.2, 0.6]], [[0.0, 1.0]], [[0.5, 0.5]]], dtype=np.float32)
    half = [[[0.3, 0.5]], [[0.25, 0.75]], [[0.5, 0.5]]]
    np.testing.assert_allclose(apply(pixels, "contrast", 0.5), half, atol=1e-7)
    none = [[[0.4, 0.4]], [[0.5, 0.5]], [[0.5, 0.5]]]
    np.testing.assert_allclose(apply(pixels, "contrast", 1.0), none, atol=1e-7)


def test_fog_brightens_the_dark_and_exceeds_no_brightest_pixel():
    pixels = np.zeros((3, 60, 60), dtype=np.float32)
    assert apply(pixels, "fog", 5.0).max() == 0
    pixels[:, 20:40, 20:40] = 0.8
    fogged = apply(pixels, "fog", 3.0)
    assert fogged.max() <= np.float32(0.8)
    assert np.median(fogged[0, :20]) > 0.1
    np.testing.assert_array_equal(fogged[0], fogged[2])


def test_fog_grows_from_nothing():
    """Severity 0 is the clean image, and nothing jumps between it and severity 1."""
    pixels = np.random.default_rng(0).random((3, 32, 32), dtype=np.float32)
    assert np.abs(apply(pixels, "fog", 0.01) - pixels).max() < 0.02


def test_a_plasma_fractal_of_a_long_image_takes_little_memory():
    tracemalloc.start()
    try:
        found = plasma(2, 4000, 2.0, np.random.default_rng(0))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.shape == (2, 4000)
    assert most < 2**20  # a square of 4,096 would take 128 MiB


def test_shot_noise_keeps_the_mean_and_its_variance_grows_with_the_light():
    for light in (0.1, 0.4):
        shot = apply(grey(light), "shot", 0.1)
        assert shot.mean() == pytest.approx(light, rel=0.01)
        assert shot.var() == pytest.approx(light * 0.1**2, rel=0.02)
        counts = shot / 0.1**2
        np.testing.assert_allclose(counts, counts.round(), atol=1e-4)
    assert apply(grey(0.0), "shot", 0.5).max() == 0


def test_blur_spreads_a_point_as_a_gaussian_and_keeps_a_constant():
    point = np.zeros((3, 41, 41), dtype=np.float32)
    point[1, 20, 20] = 1
    blurred = apply(point, "blur", 2.0)
    x = np.arange(41) - 20
    kernel = np.exp(-(x**2) / (2 * 2.0**2))
    kernel /= kernel.sum()
    np.testing.assert_allclose(blurred[1], np.outer(kernel, kernel), atol=1e-4)
    assert blurred[[0, 2]].max() == 0
    np.testing.assert_allclose(apply(grey(0.3, 30), "blur", 3.0), 0.3, rtol=1e-5)


def test_noise_does_not_depend_on_order_and_differs_in_everything_it_depends_on():
    keys = [
        (seed, image, kind, level, draw)
        for seed in (0, 1)
        for image in ("a/1.jpg", "a/2.jpg")
        for kind in ("gaussian", "uniform")
        for level in (0.5, 1.0)
        for draw in (0, 1)
    ]
    first = {key: noise_generator(*key).standard_normal(500) for key in keys}
    for key in reversed(keys):
        np.testing.assert_array_equal(noise_generator(*key).standard_normal(500), first[key])
    correlation = np.corrcoef(np.stack(list(first.values()))) - np.eye(len(keys))
    assert np.abs(correlation).max() < 0.2  # 4.5 standard errors


def test_two_draws_of_an_image_differ_and_one_draw_repeats():
    one, again = (apply(grey(0.5), "gaussian", 0.5, draw=0) for _ in range(2))
    other = apply(grey(0.5), "gaussian", 0.5, draw=1)
    np.testing.assert_array_equal(one, again)
    assert np.abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("shape", [(3, 101, 101), (1,), (2, 5)])
def test_standard_normal_has_the_shape(shape):
    deviates = standard_normal(np.random.default_rng(0), shape)
    assert deviates.shape == shape
    assert deviates.dtype == np.float32
    assert np.isfinite(deviates).all()


def test_standard_normal_is_normal_and_its_pairs_are_independent():
    deviates = standard_normal(np.random.default_rng(7), (200_000,))
    assert stats.kstest(deviates, "norm").pvalue > 0.01
    half = len(deviates) // 2
    assert abs(np.corrcoef(deviates[:half], deviates[half:])[0, 1]) < 0.01
    assert abs(np.corrcoef(deviates[:half] ** 2, deviates[half:] ** 2)[0, 1]) < 0.01


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].spaces == ("pixel",)])
def test_kinds_defined_on_pixels_alone_are_refused_in_normalised_space(kind):
    with pytest.raises(StudyError, match=f"no meaning for {kind}.*set noise_space: pixel"):
        require_defined(kind, "normalised", [0.0, 0.5], 1)
    require_defined(kind, "pixel", [0.0, 0.5], 1)


@pytest.mark.parametrize("kind", ["blur", "contrast", "jpeg"])
def test_draws_that_would_be_equal_are_refused(kind):
    with pytest.raises(StudyError, match=f"embed.draws: 2 draws of {kind}.*set draws: 1"):
        require_defined(kind, "pixel", [0.0, 0.5], 2)
    with pytest.raises(StudyError, match="noise_space: pixel and draws: 1"):
        require_defined(kind, "normalised", [0.0, 0.5], 2)


def test_a_fraction_above_one_is_refused():
    with pytest.raises(StudyError, match=r"embed.noise_levels: 2.0 is more than 1"):
        require_defined("salt-and-pepper", "pixel", [0.0, 2.0], 2)


@pytest.mark.parametrize(
    ("kind", "space", "level"),
    [
        ("gaussian", "normalised", 1e308),
        ("gaussian", "pixel", 1000.01),
        ("uniform", "normalised", 1e38),
        ("uniform", "pixel", 5e4),
        ("shot", "pixel", 1e155),
        ("shot", "pixel", 101.0),
        ("blur", "pixel", 1e6),
        ("blur", "pixel", 500.5),
        ("salt-and-pepper", "pixel", 1.01),
        ("impulse", "pixel", 1.01),
        ("contrast", "pixel", 1.01),
        ("jpeg", "pixel", 1.0),
        ("fog", "pixel", 5.01),
    ],
)
def test_a_level_beyond_its_kind_s_largest_is_refused(kind, space, level):
    with pytest.raises(StudyError, match=r"^embed.noise_levels: .* is more than .*; lower it$"):
        require_defined(kind, space, [0.0, level], 1)
    with pytest.raises(StudyError, match=r"^embed.noise_levels: .* is more than"):
        require_defined(kind, space, [level, 0.0], 1)


@pytest.mark.parametrize(
    ("kind", "space"), [(kind, space) for kind in KINDS for space in KINDS[kind].spaces]
)
def test_the_largest_and_the_smallest_level_of_a_kind_give_finite_pixels(kind, space):
    pixels = np.random.default_rng(0).random((3, 32, 32), dtype=np.float32)
    for level in (0.01, KINDS[kind].largest):
        require_defined(kind, space, [0.0, level], 1)
        found = apply(pixels, kind, level, space)
        assert np.isfinite(found.astype(np.float16)).all()


# ImageNet-C (Hendrycks and Dietterich 2019): the constants in its code, and what it does with them

PUBLISHED = {
    "gaussian": (0.08, 0.12, 0.18, 0.26, 0.38),
    "impulse": (0.03, 0.06, 0.09, 0.17, 0.27),
    "shot": (60, 25, 12, 5, 3),
    "blur": (1, 2, 3, 4, 6),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "jpeg": (25, 18, 15, 10, 7),
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
}


def severities(kind: str) -> list[tuple]:
    """(published constant, level here) of the five severities."""
    return list(zip(PUBLISHED[kind], KINDS[kind].imagenet_c.levels, strict=True))


def eight_bits(height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: an image with structure, as ImageNet-C's are before corruption."""
    rows, columns = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(rows / 5 + k) * np.cos(columns / (3 + k)) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 8, (height, width, 3))
    return np.clip(np.stack(waves, 2) + noise, 0, 255).astype(np.uint8)


def as_pixels(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 255] -> (3, H, W) float32 in [0, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)


def test_the_constants_are_those_of_imagenet_c_and_their_levels_can_be_set():
    followed = {name: kind.imagenet_c for name, kind in KINDS.items() if kind.imagenet_c}
    assert {name: corruption.constants for name, corruption in followed.items()} == PUBLISHED
    for name, corruption in followed.items():
        require_defined(name, "pixel", list(corruption.levels), 1)
        assert list(corruption.levels) == sorted({round(level, 2) for level in corruption.levels})


@pytest.mark.parametrize(("kept", "level"), severities("contrast"))
def test_contrast_is_that_of_imagenet_c(kept, level):
    image = eight_bits(40, 56) / 255
    means = image.mean(axis=(0, 1), keepdims=True)
    theirs = np.clip((image - means) * kept + means, 0, 1)
    ours = apply(as_pixels(eight_bits(40, 56)), "contrast", level)
    np.testing.assert_allclose(ours, theirs.transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("quality", "level"), severities("jpeg"))
@pytest.mark.parametrize("shape", [(224, 224), (1, 1), (7, 300)], ids=str)
def test_jpeg_is_that_of_imagenet_c_to_the_bit(quality, level, shape):
    file = io.BytesIO()
    Image.fromarray(eight_bits(*shape)).save(file, "JPEG", quality=quality)
    theirs = np.asarray(Image.open(file))
    ours = apply(as_pixels(eight_bits(*shape)), "jpeg", level)
    np.testing.assert_array_equal(ours, as_pixels(theirs))


def test_every_level_of_jpeg_is_a_quality_of_its_own():
    pixels = as_pixels(eight_bits(48, 48))
    found = {apply(pixels, "jpeg", step / 100).tobytes() for step in range(1, 100)}
    assert len(found) > 90  # at the lowest qualities tables of quantisation coincide


def height_map(side: int, decay: float, generator: np.random.Generator) -> np.ndarray:
    """The diamond-square algorithm of ImageNet-C point by point: (side, side), not yet scaled."""
    heights = {(0, 0): 0.0}
    step, wibble = side, 100.0

    def set_mean(row: int, column: int, *offsets: tuple[int, int]) -> None:
        around = [heights[(row + y) % side, (column + x) % side] for y, x in offsets]
        heights[row, column] = sum(around) / 4 + wibble * generator.uniform(-wibble, wibble)

    while step >= 2:
        half = step // 2
        known = list(product(range(0, side, step), repeat=2))
        corners = tuple(product((-half, half), repeat=2))
        beside = ((-half, 0), (half, 0), (0, -half), (0, half))
        for row, column in known:
            set_mean(row + half, column + half, *corners)
        for row, column in known:
            set_mean(row, column + half, *beside)
        for row, column in known:
            set_mean(row + half, column, *beside)
        step, wibble = half, wibble / decay
    return np.array([[heights[row, column] for column in range(side)] for row in range(side)])


@pytest.mark.parametrize(("constants", "level"), severities("fog"))
@pytest.mark.parametrize(("shape", "side"), [((32, 32), 32), ((20, 28), 32), ((2, 2), 2)], ids=str)
def test_fog_is_that_of_imagenet_c_from_the_same_deviates(constants, level, shape, side):
    thickness, decay = constants
    heights = height_map(side, decay, noise_generator(0, "a/a.jpg", "fog", level, 0))
    heights -= heights.min()
    heights /= heights.max()
    image = eight_bits(*shape) / 255
    brightest = image.max()
    theirs = image + thickness * heights[: shape[0], : shape[1], None]
    theirs = np.clip(theirs * brightest / (brightest + thickness), 0, 1)
    ours = apply(as_pixels(eight_bits(*shape)), "fog", level)
    np.testing.assert_allclose(ours, theirs.transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("deviation", "level"), severities("gaussian"))
def test_gaussian_noise_has_the_level_of_imagenet_c(deviation, level):
    """Theirs is clip(x + normal(0, c), 0, 1) on [0, 1] pixels."""
    pixels = np.linspace(0, 1, 200, dtype=np.float32)[None, :, None].repeat(200, 2).repeat(3, 0)
    theirs = np.random.default_rng(0).normal(0, deviation, pixels.shape) + pixels
    ours, theirs = apply(pixels, "gaussian", level), np.clip(theirs, 0, 1)
    # 600 deviates a row: the standard error of a row's mean is at most 0.016.
    np.testing.assert_allclose(ours.mean(axis=(0, 2)), theirs.mean(axis=(0, 2)), atol=0.08)
    np.testing.assert_allclose(ours.std(axis=(0, 2)), theirs.std(axis=(0, 2)), atol=0.06)
    assert stats.ks_2samp(ours.ravel(), theirs.ravel()).statistic < 0.01


@pytest.mark.parametrize(("photons", "written"), severities("shot"))
def test_shot_noise_at_one_over_the_root_of_the_photons_is_imagenet_c_s(photons, written):
    """Theirs is clip(poisson(x c) / c, 0, 1); the same draws come out the same."""
    pixels = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    level = 1 / np.sqrt(photons)
    assert round(level, 2) == written
    draws = noise_generator(0, "a/a.jpg", "shot", level, 0).poisson(pixels.astype(float) * photons)
    theirs = np.clip(draws / photons, 0, 1)
    np.testing.assert_allclose(apply(pixels, "shot", level), theirs, atol=1e-6)


@pytest.mark.parametrize(("sigma", "level"), severities("blur"))
def test_blur_is_imagenet_c_s_away_from_the_border_and_mirrors_it(sigma, level):
    """Theirs is scikit-image's gaussian, which is SciPy's filter with mode 'nearest'."""
    pixels = np.random.default_rng(0).random((3, 80, 80), dtype=np.float32)
    ours = apply(pixels, "blur", float(level))
    theirs, mirrored = (
        ndimage.gaussian_filter(pixels, (0, sigma, sigma), mode=mode, truncate=4)
        for mode in ("nearest", "mirror")
    )
    inner = np.s_[:, 4 * sigma : 80 - 4 * sigma, 4 * sigma : 80 - 4 * sigma]
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1e-4)
    np.testing.assert_allclose(ours, mirrored, atol=1e-4)
    assert np.abs(ours - theirs).max() > 0.01


@pytest.mark.parametrize(("fraction", "level"), severities("impulse"))
def test_impulse_noise_is_that_of_imagenet_c(fraction, level):
    """Theirs is scikit-image's random_noise, mode 's&p': each entry by itself, half of them white.

    It is known by how often the channels of a pixel show each pattern of black, white and as was.
    """
    hit = apply(grey(0.5), "impulse", level)
    chances = {0.0: fraction / 2, 1.0: fraction / 2, 0.5: 1 - fraction}
    for pattern in product(chances, repeat=3):
        found = np.mean(np.all(hit == np.float32(pattern)[:, None, None], axis=0))
        expected = np.prod([chances[value] for value in pattern])
        error = np.sqrt(expected * (1 - expected) / hit[0].size)
        assert abs(found - expected) < 5 * error + 2 / hit[0].size


# What follows from the registry


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_set(kind):
    levels = [0.0, 0.01, float(KINDS[kind].largest)]
    chosen = {"noise_kind": kind, "noise_space": "pixel", "noise_levels": levels, "draws": 1}
    found = read_params(EmbedParams, ROOT / "params.yaml", chosen)
    assert (found.noise_kind, found.noise_levels) == (kind, levels)
    beyond = chosen | {"noise_levels": [0.0, round(levels[-1] + 0.01, 2)]}
    with pytest.raises(StudyError, match=r"^embed\.noise_levels: .*; lower it$"):
        read_params(EmbedParams, ROOT / "params.yaml", beyond)


def test_an_unknown_kind_is_refused_with_the_names_of_all():
    with pytest.raises(StudyError, match=r"embed\.noise_kind: 'snow': input should be ") as refusal:
        read_params(EmbedParams, ROOT / "params.yaml", {"noise_kind": "snow"})
    for kind in KINDS:
        assert repr(kind) in str(refusal.value)


def test_a_level_is_named_with_its_unit():
    assert level_unit("gaussian", "normalised") == "standard deviation, normalised pixels"
    assert level_unit("uniform", "pixel") == "standard deviation, [0, 1] pixels"
    assert level_unit("salt-and-pepper", "pixel") == "fraction of the pixels"
    assert level_label("jpeg", "pixel") == "level of JPEG compression\n(1 - JPEG quality / 100)"


def numbers(values: tuple) -> str:
    return ", ".join(str(value) if isinstance(value, tuple) else f"{value:g}" for value in values)


def test_the_docs_list_the_kinds_of_noise():
    rows = [
        "| noise_kind | what it does | a level is | at most | noise_space | draws differ |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, kind in KINDS.items():
        unit = kind.unit.format("in pixels of the space")
        spaces = "either" if kind.spaces == tuple(SPACES) else ", ".join(kind.spaces)
        chance = "yes" if kind.random else "no"
        rows.append(f"| {name} | {kind.effect} | {unit} | {kind.largest:g} | {spaces} | {chance} |")
    assert "\n".join(rows) + "\n\n" in (ROOT / "docs" / "noise.md").read_text()


def test_the_docs_list_what_follows_imagenet_c():
    rows = ["| ImageNet-C, severities 1 to 5 | here | difference |", "| --- | --- | --- |"]
    for name, kind in KINDS.items():
        if found := kind.imagenet_c:
            rows.append(
                f"| {found.name}: {found.meaning} {numbers(found.constants)} "
                f"| {name} at {numbers(found.levels)} | {found.difference or 'none'} |"
            )
    assert "\n".join(rows) + "\n\n" in (ROOT / "docs" / "noise.md").read_text()
