"""Noise levels that no image can have are refused before a model is loaded."""

from pathlib import Path

import pytest

import stages.embed
from stages.embed import embed
from tests.refusals import refusal
from tests.test_embed import options


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which there is nothing to work on."""
    monkeypatch.delattr(stages.embed, "load_encoder")
    return tmp_path


@pytest.mark.parametrize("level", [1e308, 1e39, 1000.01])
@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
@pytest.mark.parametrize("space", ["normalised", "pixel"])
def test_a_standard_deviation_that_drowns_the_image_is_refused(source, kind, space, level):
    said = refusal(
        embed, *options(source, source, noise_kind=kind, noise_space=space, noise_levels=[0, level])
    )
    assert "embed.noise_levels: " in said
    assert len(said) < 300


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("shot", 1e155),
        ("shot", 101.0),
        ("shot", 1e-200),
        ("blur", 1e6),
        ("blur", 1e308),
        ("blur", 501.0),
        ("salt-and-pepper", 1.01),
        ("salt-and-pepper", 1e308),
        ("salt-and-pepper", 1e-9),
        ("impulse", 1.01),
        ("contrast", 1.01),
        ("jpeg", 1.0),
        ("jpeg", 75.0),
        ("fog", 5.01),
    ],
)
def test_a_level_outside_of_its_kind_s_range_is_refused(source, kind, level):
    settings = {"noise_kind": kind, "noise_space": "pixel", "draws": 1}
    said = refusal(embed, *options(source, source, **settings, noise_levels=[0.0, level]))
    assert "embed.noise_levels: " in said
    assert len(said) < 300


@pytest.mark.parametrize("level", [1e-200, 5e-324, 1e-9, 0.005])
def test_a_level_that_would_be_written_as_zero_is_not_taken_for_the_clean_images(source, level):
    said = refusal(embed, *options(source, source, noise_levels=[level, 0.5]))
    assert f"{level} has more than two decimals; round it" in said
