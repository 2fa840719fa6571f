"""The painter: what holds for every attribute, and what is known of single ones."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.core.painter import ATTRIBUTES, PAINTERS, name_colours, paint
from stages.core.painter.canvas import COLOURS, PERIODS, Canvas, lab
from stages.core.painter.fields import arch, noise, positive, stripes, turned
from stages.core.painter.lattices import cells, hexagon, lattice
from stages.core.painter.light import relief
from stages.core.painter.shapes import clear_sheet, discs, draw_discs, lay, strokes
from stages.core.painter.textures import FAMILIES
from stages.core.runtime.errors import StudyError

ROOT = Path(__file__).parents[1]


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
    assert len(set(PAINTERS.values())) == 47


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__.split(".")[-1])
def test_a_family_names_its_members(family):
    members = family.__doc__.split(": ")[-1].strip(".\n").split(", ")
    assert members == sorted(family.PAINTERS)


def test_no_attribute_belongs_to_two_families():
    assert sum(len(family.PAINTERS) for family in FAMILIES) == 47


def digests() -> list[str]:
    return [hashlib.sha256(pixels(attribute, seed=1)).hexdigest() for attribute in ATTRIBUTES]


def test_a_seed_gives_the_same_bytes_in_another_process():
    code = "import cv2; cv2.setNumThreads(1); from tests.test_painter import *; print(*digests())"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.stdout.split() == digests(), run.stderr


def test_all_attributes_differ():
    assert len(set(digests())) == 47


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_painting(attribute):
    painting = paint(attribute, np.random.default_rng(7), 64)
    assert painting.attribute == attribute
    assert painting.pixels.shape == (64, 64, 3)
    assert painting.pixels.dtype == np.uint8
    assert painting.scale in (*PERIODS, "")
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
def test_no_draw_depends_on_the_size(attribute):
    for seed in range(6):
        small, large = np.random.default_rng(seed), np.random.default_rng(seed)
        scales = [paint(attribute, small, 32).scale, paint(attribute, large, 80).scale]
        assert small.bit_generator.state == large.bit_generator.state
        assert scales[0] == scales[1]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_named_colours_cover_the_picture(attribute):
    names, palette = list(COLOURS), lab(np.float32(list(COLOURS.values())))
    for seed in range(4):
        painting = paint(attribute, np.random.default_rng(seed), 40)
        seen = lab(painting.pixels.reshape(-1, 1, 3) / np.float32(255))
        nearest = np.linalg.norm(seen - palette, axis=2).argmin(1)
        shares = np.bincount(nearest, minlength=len(names)) / len(nearest)
        colours = [names.index(colour) for colour in painting.colours]
        assert shares[colours[0]] == shares.max()
        assert (shares[colours[1:]] >= 0.15).all()
        assert set(np.flatnonzero(shares >= 0.15)) <= set(colours) or len(colours) == 3


@pytest.mark.parametrize(
    "attribute",
    ["banded", "chequered", "crystalline", "grooved", "honeycombed", "porous", "striped", "woven"],
)
def test_coarse_pictures_have_fewer_edges_than_fine_ones(attribute):
    density = {}
    for seed in range(30):
        painting = paint(attribute, np.random.default_rng(seed), 96)
        grey = cv2.cvtColor(painting.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        grey = cv2.GaussianBlur(grey, (0, 0), 1)  # against the grain of the photograph
        slope = np.hypot(*np.gradient(grey)).mean() / grey.std()
        density.setdefault(painting.scale, []).append(slope)
    fine, medium, coarse = (np.median(density[scale]) for scale in ("fine", "medium", "coarse"))
    assert fine > medium > coarse


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
    assert sheet.scale == ""
    assert low <= sheet.period <= high
    assert sheet.scale == scale


def test_features_of_a_size_of_their_own_have_no_scale():
    def scales(attribute):
        return {paint(attribute, np.random.default_rng(seed), 32).scale for seed in range(12)}

    assert scales("stained") == scales("cobwebbed") == {""}
    assert scales("woven") == set(PERIODS)
    assert scales("frilly") <= {"medium", "coarse"}


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


# --- fields and shapes --------------------------------------------------------------------------


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


def test_positive_has_an_edge_as_wide_as_asked():
    field = np.float32([-1, -0.5, 0, 0.25, 0.5, 1])
    np.testing.assert_allclose(positive(field, 1), [0, 0, 0.5, 0.75, 1, 1])


def test_arch_is_a_half_circle():
    np.testing.assert_allclose(arch(np.float32([0, 0.6, 1, 2])), [1, 0.8, 0, 0], atol=1e-6)
    assert arch(np.float32(3), 5) == 4


def test_turned_by_a_right_angle():
    u, v = np.float32([1, 0]), np.float32([0, 1])
    along, across = turned(u, v, np.pi / 2)
    assert along.dtype == np.float32
    np.testing.assert_allclose(along, v, atol=1e-6)
    np.testing.assert_allclose(across, -u, atol=1e-6)


def test_a_hexagonal_lattice_has_its_walls_half_a_period_away():
    sheet = canvas(size=200)
    spots = lattice(sheet, *sheet.grid(), 0.1, hexagonal=True)
    walls = hexagon(spots)
    assert walls.max() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(walls[spots.far > 0.55], 0, atol=0.05)  # the corners
    assert spots.far.max() == pytest.approx(1 / np.sqrt(3), abs=0.03)


def test_a_drawn_disc_has_its_colour_and_its_shadow_on_the_far_side():
    canvas_, red = canvas(size=100), np.float32([1, 0, 0])
    sheet = clear_sheet(canvas_)
    draw_discs(canvas_, sheet, np.zeros((1, 2)), np.array([0.2]), red[None])
    image = lay(canvas_, np.ones((100, 100, 3), np.float32), sheet, shadow=0.1)
    away = -canvas_.light[:2] / np.linalg.norm(canvas_.light[:2])
    column, row = np.rint(50 + 25 * away).astype(int)
    np.testing.assert_allclose(image[50, 50], red, atol=1e-3)
    assert image[row, column].max() < 0.8
    assert image[100 - row, 100 - column].min() > 0.99
