"""The painter: what holds for every attribute, and what is known of single ones."""

import cv2
import numpy as np
import pytest

from stages.core.errors import StudyError
from stages.core.painter import ATTRIBUTES, PAINTERS, name_colours, paint
from stages.core.painter.canvas import COLOURS, PERIODS, Canvas, lab
from stages.core.painter.fields import noise, stripes
from stages.core.painter.lattices import cells
from stages.core.painter.light import relief
from stages.core.painter.shapes import discs, strokes


def canvas(seed: int = 0, size: int = 96) -> Canvas:
    return Canvas(np.random.default_rng(seed), size)


def pixels(attribute: str, seed: int = 0, size: int = 64) -> np.ndarray:
    return paint(attribute, np.random.default_rng(seed), size).pixels


def coherence(image: np.ndarray) -> float:
    """How far one direction of edges outweighs the one across it: 0 not at all, 1 entirely."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gx, gy = cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)
    xx, yy, xy = (gx * gx).mean(), (gy * gy).mean(), (gx * gy).mean()
    return float(np.hypot(xx - yy, 2 * xy) / (xx + yy))


def test_every_attribute_has_a_painter():
    assert len(ATTRIBUTES) == 47
    assert list(ATTRIBUTES) == sorted(ATTRIBUTES)
    assert set(PAINTERS) == set(ATTRIBUTES)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_painting(attribute):
    painting = paint(attribute, np.random.default_rng(7), 64)
    assert painting.attribute == attribute
    assert painting.pixels.shape == (64, 64, 3)
    assert painting.pixels.dtype == np.uint8
    assert painting.scale in PERIODS
    assert 1 <= len(painting.colours) <= 3
    assert set(painting.colours) <= set(COLOURS)
    assert np.array_equal(painting.pixels, pixels(attribute, seed=7))
    assert not np.array_equal(painting.pixels, pixels(attribute, seed=8))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_texture_is_visible(attribute):
    deviations = [pixels(attribute, seed).std((0, 1)).mean() for seed in range(8)]
    assert np.mean(deviations) > 15
    assert min(deviations) > 2


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_one_seed_is_one_picture_at_every_size(attribute):
    large = cv2.resize(pixels(attribute, 3, 192), (64, 64), interpolation=cv2.INTER_AREA)
    pair = [
        cv2.GaussianBlur(p.astype(np.float32), (0, 0), 0.7) for p in (large, pixels(attribute, 3))
    ]
    assert np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1] > 0.8


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_painters_return_float32_images(attribute):
    for seed in range(4):
        image = PAINTERS[attribute](canvas(seed, 48))
        assert image.shape == (48, 48, 3)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()


def test_unknown_attribute_names_the_nearest():
    with pytest.raises(StudyError, match="'polka dotted'; did you mean 'polka-dotted'"):
        paint("polka dotted", np.random.default_rng(0))


def test_size_too_small():
    with pytest.raises(StudyError, match="size of 8 pixels"):
        paint("banded", np.random.default_rng(0), 8)


@pytest.mark.parametrize("attribute", ["striped", "banded", "lined", "grooved", "stratified"])
def test_one_direction(attribute):
    assert np.mean([coherence(pixels(attribute, seed, 128)) for seed in range(12)]) > 0.55


@pytest.mark.parametrize("attribute", ["chequered", "grid", "meshed", "waffled"])
def test_two_equal_directions(attribute):
    assert np.mean([coherence(pixels(attribute, seed, 128)) for seed in range(12)]) < 0.35


def test_chequered_board_has_no_power_along_its_sides():
    board = canvas(size=128)
    u, v = board.grid()
    across, down = (stripes(t / np.float32(0.25)) for t in (u, v))
    power = np.abs(np.fft.fft2(across + down - 2 * across * down)) ** 2
    assert power[4, 4] == pytest.approx(power[4, -4], rel=1e-3)
    assert power[0, 4] < 1e-3 * power[4, 4]


# --- canvas -------------------------------------------------------------------------------------


def test_palette_contrasts():
    apart = [np.linalg.norm(np.diff(lab(canvas(seed).palette[:2]), axis=0)) for seed in range(50)]
    assert min(apart) > 15


def test_black_and_white_lie_100_apart():
    assert np.linalg.norm(np.diff(lab(np.float32([[0, 0, 0], [1, 1, 1]])), axis=0)) == (
        pytest.approx(100, abs=0.1)
    )


@pytest.mark.parametrize("scale", PERIODS)
def test_rescale(scale):
    sheet = canvas()
    sheet.rescale(scale)
    low, high = PERIODS[scale]
    assert sheet.scale == scale
    assert low <= sheet.period <= high


def test_coordinates_without_distortion_are_rotated_and_shifted():
    u, v = canvas(size=50).coordinates(angle=np.pi / 2, skew=0, perspective=0, warp=0)
    np.testing.assert_allclose(np.diff(u, axis=0), 0.02, atol=1e-6)
    np.testing.assert_allclose(np.diff(v, axis=1), -0.02, atol=1e-6)
    np.testing.assert_allclose(np.diff(u, axis=1), 0, atol=1e-6)


def test_colours_are_named_by_area():
    image = np.empty((96, 96, 3), np.uint8)
    image[:] = np.uint8(np.array(COLOURS["teal"]) * 255)
    assert name_colours(image) == ("teal",)
    image[:, :30] = np.uint8(np.array(COLOURS["red"]) * 255)
    assert name_colours(image) == ("teal", "red")
    image[:4, :4] = 255
    assert name_colours(image) == ("teal", "red")


# --- primitives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [0.5, 0.05, (0.3, 0.02)])
def test_noise_has_zero_mean_and_unit_deviation(period):
    field = noise(canvas(), period, 3)
    assert field.dtype == np.float32
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_stretched_noise_changes_slowly_along_its_long_period():
    field = noise(canvas(), (0.3, 0.02))
    assert np.abs(np.diff(field, axis=1)).mean() < 0.3 * np.abs(np.diff(field, axis=0)).mean()


@pytest.mark.parametrize("duty", [0.1, 0.5, 0.8])
def test_stripes_cover_their_duty(duty):
    u, _ = canvas().grid()
    assert stripes(u / np.float32(0.125), duty).mean() == pytest.approx(duty, abs=0.01)


def test_cells_of_a_square_lattice():
    sheet = canvas(size=100)
    u, v = sheet.grid()
    lattice = cells(sheet, u, v, 0.1, jitter=0)
    assert lattice.near.max() == pytest.approx(np.hypot(0.45, 0.45), abs=1e-3)
    assert lattice.border.max() == pytest.approx(0.45, abs=1e-3)
    assert len(np.unique(lattice.ids)) == 100
    np.testing.assert_allclose(np.hypot(lattice.dx, lattice.dy), lattice.near, atol=1e-6)


def test_cells_of_a_hexagonal_lattice_have_neighbours_one_period_apart():
    sheet = canvas(size=200)
    u, v = sheet.grid()
    lattice = cells(sheet, u, v, 0.1, jitter=0, hexagonal=True)
    assert lattice.border.max() == pytest.approx(0.5, abs=0.03)
    assert lattice.near.max() == pytest.approx(1 / np.sqrt(3), abs=0.03)


def test_jittered_cells_agree_with_all_pairs():
    sheet = canvas(size=80)
    u, v = sheet.grid()
    scattered = cells(sheet, u, v, 0.2, jitter=0.5)
    seeds = np.stack([u - 0.2 * scattered.dx, v - 0.2 * scattered.dy], -1).reshape(-1, 2)
    seeds = np.unique(seeds.round(4), axis=0)
    places = np.stack([u, v], -1).reshape(-1, 1, 2)
    distances = np.sort(np.linalg.norm(places - seeds, axis=2), axis=1)
    np.testing.assert_allclose(0.2 * scattered.near.ravel(), distances[:, 0], atol=2e-4)


def test_disc_and_stroke_areas():
    sheet = canvas(size=200)
    assert discs(sheet, np.zeros((1, 2)), 0.2).mean() == pytest.approx(np.pi * 0.04, rel=0.02)
    line = np.array([[-0.6, 0.0], [0.6, 0.0]])
    assert strokes(sheet, [line], 0.1).mean() == pytest.approx(0.1, abs=0.005)
    assert strokes(sheet, [], 0.1).max() == 0


def test_level_surface_keeps_its_colour():
    base = np.full((64, 64, 3), 0.4, np.float32)
    lit = relief(canvas(size=64), base, np.zeros((64, 64), np.float32))
    np.testing.assert_allclose(lit, base, atol=1e-5)


def test_slope_towards_the_light_is_brighter():
    sheet = canvas(size=64)
    x, y = sheet.grid()
    rise = -(sheet.light[0] * x + sheet.light[1] * y)
    base = np.full((64, 64, 3), 0.4, np.float32)
    facing, away = (relief(sheet, base, sign * rise)[32, 32, 0] for sign in (1, -1))
    assert facing > 0.4 > away
