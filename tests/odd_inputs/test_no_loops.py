"""Clouds without a single loop: nothing is blamed on a setting that is as it should be."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.distances import distances
from stages.headline import headline
from stages.persistence import persistence
from tests.conftest import write_embeddings
from tests.refusals import refusal
from tests.stages import PARAMS, invoke, paths


def points_of(max_dim: int, folder: Path) -> Path:
    """Diagrams up to a dimension of classes of points on an arc, which has no loop."""
    arc = np.linspace(0, 1, 12)
    clean = np.stack([np.cos(arc), np.sin(arc)], axis=1)
    noisy = np.stack([np.cos(2 * arc), np.sin(2 * arc)], axis=1)
    labels = [name for name in ("banded", "dotted", "grid") for _ in range(4)]
    clouds = {(0.0, 0): clean, (0.5, 0): noisy}
    write_embeddings(folder / "data" / "embeddings", clouds, labels, np.eye(3, 2) + 0.1)
    done = invoke(persistence, folder, "--points-overall", "12", "--max-dim", str(max_dim))
    assert done.exit_code == 0, done.output
    done = invoke(distances, folder)
    assert done.exit_code == 0, done.output
    metrics = folder / "metrics"
    of_level = {"zero_shot_top1": 0.5}
    verdict = {"verdict": "undecided"}
    for stage, content in (
        ("embed", {"noise_0.50": {"cosine_to_clean": 0.9}}),
        ("classify", {"noise_0.00": of_level, "noise_0.50": of_level}),
        (
            "claims",
            {"holds": 0, "fails": 0, "undecided": 2, "not_applicable": 0}
            | {f"topology_{does}_zero_shot": verdict for does in ("follows", "adds")},
        ),
    ):
        (metrics / f"{stage}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("max_dim", [1, 2])
def test_without_loops_there_is_no_baseline_to_measure_their_distance_by(
    tmp_path: Path, max_dim: int
) -> None:
    folder = points_of(max_dim, tmp_path)
    done = invoke(headline, folder, "--dim", str(max_dim))
    assert done.exit_code == 0, done.output
    found = json.loads((folder / "metrics" / "headline.json").read_text())
    assert "accuracy@0.5" in found
    assert not [name for name in found if f"_h{max_dim}_" in name]


def test_a_dimension_that_was_not_computed_is_said_to_be_so(tmp_path: Path) -> None:
    folder = points_of(0, tmp_path)
    line = refusal(headline, *PARAMS, *paths(headline, folder), "--dim", "1")
    assert "headline.dim: 1, but" in line
    assert "persistence.max_dim is lower; lower the one or raise the other" in line
