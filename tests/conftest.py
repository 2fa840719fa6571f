"""What the tests share: a small embeddings artifact with known contents, and a small study."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.core.artifacts.embeddings import array_name, write_manifest
from stages.core.runtime.files import DIGITS, write_csv, write_json
from tests.study import TINY, commit_all, copy_of_the_working_tree, dvc, settings

# How far, in relation to itself, a number lies at most from what is written of it in git.
ROUNDING = 0.5 * 10.0 ** (1 - DIGITS)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """As in a terminal: pytest-xdist's workers ignore it, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def unit_rows(array: np.ndarray) -> np.ndarray:
    """(n, d) float32 with every row scaled to length one."""
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def write_embeddings(
    folder: Path,
    clouds: dict[tuple[float, int], np.ndarray],
    labels: list[str],
    text: np.ndarray,
    splits: list[str] | None = None,
) -> Path:
    """Write an embeddings artifact from arrays of any row length; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = splits or [("train", "val", "test")[i % 3] for i in range(len(labels))]
    ids = [f"{name}/{name}_{i:04d}.jpg" for i, name in enumerate(labels)]
    write_csv(folder / "images.csv", pd.DataFrame({"id": ids, "class": labels, "split": splits}))
    write_csv(folder / "classes.csv", pd.DataFrame({"class": sorted(set(labels))}))
    np.save(folder / "text.npy", unit_rows(text))
    for (level, draw), cloud in clouds.items():
        np.save(folder / array_name(level, draw), unit_rows(cloud))
    write_json(
        folder / "encoder.json",
        {
            "model": "planted",
            "pretrained": None,
            "trained": False,
            "dimension": int(text.shape[1]),
            "logit_scale": 100.0,
            "logit_bias": None,
            "probabilities": "softmax",
            "precision": "fp32",
        },
    )
    write_manifest(folder)
    return folder


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Four well-separated classes of 12 images in 8 dimensions, at levels 0.0, 0.5 and 2.0.

    Class i lies around the i-th coordinate axis, which is also its text embedding; noise of
    the level's size is added before the rows are normalised.
    """
    generator = np.random.default_rng(0)
    names = ["banded", "dotted", "grid", "striped"]
    labels = [name for name in names for _ in range(12)]
    centres = np.repeat(np.eye(4, 8), 12, axis=0)
    clean = centres + 0.05 * generator.standard_normal(centres.shape)
    clouds = {(0.0, 0): clean}
    for level in (0.5, 2.0):
        for draw in (0, 1):
            noise = generator.standard_normal(clean.shape)
            clouds[level, draw] = clean + 0.3 * level * noise
    return write_embeddings(tmp_path / "embeddings", clouds, labels, np.eye(4, 8))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the working directory; one worker, so that patches reach the work."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)
    return folder


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree with a finished run on a tiny data set; to be copied.

    The model is taken as it is shipped, whether or not it is that of the code and the settings,
    which is asked elsewhere: nothing is trained within a test for as long as that takes.
    """
    clone = copy_of_the_working_tree(tmp_path_factory.mktemp("tiny") / "study")
    dvc(clone, "commit", "--force", "pretrain")
    commit_all(clone)
    printed = dvc(clone, "exp", "run", "--name", "tiny", *settings(TINY))
    assert "Stage 'pretrain' didn't change, skipping" in printed
    return clone
