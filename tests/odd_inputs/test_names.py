"""Names of classes that look like numbers, or like nothing: each keeps its name in every table."""

import html
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vl_convert

from stages.claims import claims
from stages.core.artifacts.tables import IMAGES, read_csv
from stages.core.claims.sources import read_sources
from stages.core.runtime.files import write_csv
from stages.core.runtime.params import read_params
from stages.settings.project import ProjectParams
from tests.conftest import write_embeddings
from tests.plots import filled
from tests.stages import invoke, run_computing_stages
from tests.study import ROOT

NAMES = {
    "numbers": ["0", "1", "2", "10"],
    "numbers with zeros before them": ["007", "01", "02", "1"],
    "nothing": ["None", "NA", "null", "-"],
    "no numbers": ["-inf", "NaN", "inf", "nan"],
    "truth values": ["False", "True", "false", "true"],
    "other numbers": ["0x1f", "1.0", "1_000", "1e5"],
    "dates": ["1999", "2020-01-01", "12:30", "Jan"],
    "marks": ["a.b", "b[0]", "c'd", 'e"f'],
    "other scripts": ["дерево", "木", "ψηφιδωτό", "ünï"],
}
QUICK = ["--projection-seeds", "2", "--images-per-class", "8", "--half-samples", "4"]
QUICK += ["--bootstrap-replicates", "100"]


def study_of(folder: Path, names: Sequence[str]) -> Path:
    """The inputs of the claims, of classes with these names, 12 images each."""
    names = sorted(names)
    labels = [name for name in names for _ in range(12)]
    generator = np.random.default_rng(0)
    clean = np.repeat(np.eye(len(names), 6), 12, axis=0)
    clean = clean + 0.3 * generator.standard_normal(clean.shape)
    clouds = {(0.0, 0): clean, (0.5, 0): clean + 0.3 * generator.standard_normal(clean.shape)}
    write_embeddings(folder / "data" / "embeddings", clouds, labels, np.eye(len(names), 6))
    run_computing_stages(folder)
    return folder


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_a_class_has_its_name_in_every_table(tmp_path: Path, names: list[str]) -> None:
    data = study_of(tmp_path, names) / "data"
    found = read_sources(
        data / "embeddings",
        data / "diagrams",
        data / "distances.parquet",
        data / "classify" / "predictions.parquet",
        data / "angles",
        read_params(ProjectParams, ROOT / "params.yaml"),
    )
    assert list(found.clouds) == list(found.clean) == sorted(names)
    assert set(found.diagrams) == set(found.members) == set(names)
    assert set(found.summaries["group"]) == set(found.distances["group"]) == set(names)
    assert set(found.predictions["actual"]) == set(names)
    assert set(found.pairs["class_a"]) | set(found.pairs["class_b"]) == set(names)
    assert set(found.ranks) == set(names)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numbers", "nothing", "truth values"])
def test_claims_are_decided_of_classes_of_any_name(tmp_path: Path, kind: str) -> None:
    done = invoke(claims, study_of(tmp_path, NAMES[kind]), *QUICK)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_names_survive_a_table_that_people_read(tmp_path: Path, names: list[str]) -> None:
    ids = [f"{name}/1, {name}.jpg" for name in names]
    table = pd.DataFrame({"id": ids, "class": names, "split": "test"})
    write_csv(tmp_path / "images.csv", table)
    again = read_csv(tmp_path / "images.csv", IMAGES, "fetch")
    assert again.to_numpy().tolist() == table.to_numpy().tolist()


def text_in(template: str, rows: list[dict[str, str]]) -> list[str]:
    """Every text in the picture of a template that DVC has filled with the rows of a CSV file."""
    picture = vl_convert.vegalite_to_svg(filled(template, rows), show_warnings=True)
    return [html.unescape(text) for text in re.findall(r">([^<>]+)</text>", picture)]


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_a_plot_shows_a_name_as_it_is(names: list[str]) -> None:
    of_rows = {"rev": "workspace", "noise": "0"}
    placed = {"y": "1", "colour": "#0072B2", "role": "name"}
    points = [of_rows | placed | {"class": name, "x": str(i)} for i, name in enumerate(names)]
    assert set(names) <= set(text_in("projection", points))

    pairs = list(pairwise(names))
    closest = [
        of_rows | {"class_a": a, "class_b": b, "smallest_deg": str(i)}
        for i, (a, b) in enumerate(pairs)
    ]
    assert {f"{a} and {b}" for a, b in pairs} <= set(text_in("closest_pairs", closest))

    ring = [*pairs, (names[-1], names[0])]
    confused = [{"rev": "workspace", "actual": a, "predicted": b} for a, b in ring]
    shown = text_in("confusion", confused)
    assert all(shown.count(name) >= 2 for name in names)  # on both axes


@pytest.mark.parametrize("revisions", [("1", "2"), ("True", "null"), ("1e5", "a.b[0]")])
def test_a_plot_shows_a_revision_as_it_is(revisions: tuple[str, str]) -> None:
    rows = [{"rev": rev, "step": "1", "split": "train", "loss": "2"} for rev in revisions]
    assert set(revisions) <= set(text_in("loss", rows))
