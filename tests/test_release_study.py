"""The whole study on a stand-in of the official release, from its download to the verdicts."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from stages.angles import angles
from stages.claims import claims
from stages.classify import classify
from stages.distances import distances
from stages.embed import embed
from stages.fetch import fetch
from stages.headline import headline
from stages.loops import loops
from stages.persistence import persistence
from stages.project import project
from tests.release import official_ids, packed, release_at, release_files, served
from tests.stages import invoke
from tests.study import ROOT

QUICK = {
    fetch: ("--source", "dtd"),
    embed: ("--noise-levels", "0", "--noise-levels", "1", "--draws", "1"),
    project: ("--images-per-class", "4", "--sampled-images-per-class", "8"),
    angles: (),
    persistence: ("--points-overall", "94"),
    distances: (),
    loops: (),
    classify: (),
    claims: (
        *("--projection-seeds", "2", "--images-per-class", "4", "--half-samples", "5"),
        *("--bootstrap-replicates", "100", "--divergence-points", "20"),
    ),
    headline: (),
}


@pytest.mark.slow
def test_the_official_names_through_the_whole_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5,640 images of 47 classes, served by a connection that breaks off twice."""
    ids = official_ids()
    archive = packed(release_files(ids))
    shutil.copytree(ROOT / "data" / "model", tmp_path / "data" / "model")
    with served(archive, breaks=[len(archive) // 3, len(archive) // 3]) as site:
        release = release_at(site.url, archive, classes=47, per_split=40)
        monkeypatch.setattr("stages.core.dataset.sources.official_release", lambda: release)
        for command, options in QUICK.items():
            done = invoke(command, tmp_path, *options)
            assert done.exit_code == 0, f"{command.name}: {done.output}"
    assert pd.read_csv(tmp_path / "data" / "embeddings" / "images.csv")["id"].tolist() == ids
    found = {
        file.stem: json.loads(file.read_text()) for file in (tmp_path / "metrics").glob("*.json")
    }
    assert set(found) == {command.name for command in QUICK}
    assert found["classify"]["classes"] == found["persistence"]["classes"] == 47
    # Random pixels: no classifier can tell their classes apart.
    assert found["classify"]["n_test"] == 1880
    assert found["headline"]["accuracy@0"] < 0.1
