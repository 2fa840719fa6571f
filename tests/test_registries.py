"""One entry in a registry is all that an addition needs: its choice and its results follow.

So it is for kinds of noise and classifiers in test_noise and test_classification, and for distances
of diagrams in test_distances.
"""

import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest

from stages.angles import angles
from stages.claims import claims
from stages.fetch import fetch
from tests.conftest import write_embeddings
from tests.stages import PARAMS, paths, run_computing_stages
from tests.study import ROOT

# Each adds an entry before the command is imported, as an edit of the registry would.
SPACE = """
import numpy as np
from stages.core.geometry.spaces import SPACES, Space

SPACES["axes"] = Space(
    label="the first axes",
    help="the same plane for every class",
    bases=lambda clouds, *settings: [np.eye(len(next(iter(clouds.values()))[0]), 2)] * len(clouds),
)
from stages.angles import angles as command
"""
SOURCE = """
from stages.core.dataset import sources
from stages.settings import fetch

def from_two_attributes(params, places):
    chosen = params.model_copy(update={"classes": ["dotted", "grid"]})
    return sources.Fetched(*sources.generate_textures(chosen, places.new / "images"))

fetch.NAMED_SOURCES["two"] = fetch.NamedSource("dots and grids", 6, at_most=False)
sources.SOURCES["two"] = from_two_attributes
from stages.fetch import fetch as command
"""
CLAIM = """
from types import SimpleNamespace
import pandas as pd
from stages.core.artifacts.tables import Schema, name
from stages.core.claims import registry
from stages.core.claims.finding import Finding, counted_above

def decide(sources, params):
    table = pd.DataFrame({"class": list(sources.clouds)})
    return {"classes": table}, [
        Finding(
            9, "many_classes", "there are many classes", "number of classes", counted_above(2),
            effect=len(table),
        )
    ]

tables = {"classes": Schema((name("class"),), key=("class",))}
question = registry.CLAIMS[-1]  # without the others, which take long
registry.CLAIMS = (question, SimpleNamespace(TABLES=tables, decide=decide))
registry.TABLES = question.TABLES | tables
from stages.claims import claims as command
"""


def run_with(entry: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command that `entry` imports, in a process of its own."""
    script = f"{entry}\ncommand()"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True
    )


def run_on(folder: Path, entry: str, command: click.Command, *options: str) -> None:
    done = run_with(entry, *PARAMS, *paths(command, folder), *options)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with embeddings of 12 images of each of three classes."""
    generator = np.random.default_rng(0)
    clouds = {
        (level, 0): generator.standard_normal((36, 4)) + np.eye(3, 4).repeat(12, axis=0)
        for level in (0.0, 0.5)
    }
    labels = [name for name in ("banded", "dotted", "grid") for _ in range(12)]
    write_embeddings(tmp_path / "data" / "embeddings", clouds, labels, np.eye(3, 4))
    return tmp_path


def test_a_space_of_angles(study: Path) -> None:
    run_on(study, SPACE, angles, "--space", "axes", "--rank", "2")
    table = pd.read_parquet(study / "data" / "angles" / "pairs.parquet")
    assert table["largest_deg"].tolist() == pytest.approx([0.0] * len(table), abs=1e-5)
    assert "axes: the same plane for every class" in " ".join(
        run_with(SPACE, "--help").stdout.split()
    )


def test_a_data_source(tmp_path: Path) -> None:
    run_on(tmp_path, SOURCE, fetch, "--source", "two", "--images-per-class", "6")
    index = pd.read_csv(tmp_path / "data" / "images.csv")
    assert index["class"].value_counts().to_dict() == {"dotted": 6, "grid": 6}


def test_a_claim(study: Path) -> None:
    run_computing_stages(study)
    run_on(study, CLAIM, claims)
    assert json.loads((study / "metrics" / "claims.json").read_text())["many_classes"] == {
        "verdict": "holds",
        "effect": 3,
        "holds": 1,
    }
    table = pd.read_csv(study / "plots" / "claims" / "claims.csv").set_index("claim")
    assert table.loc["many_classes", "statement"] == "there are many classes"
    assert len(pd.read_parquet(study / "data" / "claims" / "classes.parquet")) == 3
