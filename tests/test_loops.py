"""The loops stage: rings of images that are those of the diagrams, and null clouds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

import stages.core.runtime.parallel
from stages.core.artifacts.diagrams import ALL, CloudKey, read_diagrams
from stages.core.artifacts.embeddings import read_embeddings
from stages.core.artifacts.tables import read_parquet
from stages.core.claims.bars import longest_bar
from stages.core.runtime.randomness import generator_for
from stages.core.topology.cycles import longest_loops
from stages.core.topology.loops import LOOPS, NULL, OWN
from stages.core.topology.null_models import rotated_clouds
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from stages.loops import loops
from stages.persistence import persistence
from tests.conftest import write_embeddings
from tests.refusals import refusal
from tests.stages import PARAMS, invoke, paths

ON_CIRCLE = 24
LOOP = ["group", "noise", "cloud", "rank"]


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker processes, which takes most of the time."""
    monkeypatch.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A class on a circle, in the order around it, and one without structure; at two levels."""
    draw = np.random.default_rng(0)
    turns = 2 * np.pi * np.arange(ON_CIRCLE) / ON_CIRCLE
    around = np.column_stack([np.cos(turns), np.sin(turns), np.full(ON_CIRCLE, 2.0)])
    clean = np.zeros((2 * ON_CIRCLE, 6))
    clean[:ON_CIRCLE, :3] = around
    clean[ON_CIRCLE:] = 0.3 * draw.standard_normal((ON_CIRCLE, 6)) + np.eye(6)[3]
    noisy = [clean + 0.02 * draw.standard_normal(clean.shape) for _ in range(2)]
    labels = ["round"] * ON_CIRCLE + ["shapeless"] * ON_CIRCLE
    clouds = {(0.0, 0): clean, (0.5, 0): noisy[0], (0.5, 1): noisy[1]}
    write_embeddings(tmp_path / "data" / "embeddings", clouds, labels, np.eye(2, 6))
    return tmp_path


def computed(study: Path, *of_loops: str, diagrams: tuple[str, ...] = ()) -> Result:
    done = invoke(persistence, study, *diagrams)
    assert done.exit_code == 0, done.output
    done = invoke(loops, study, *of_loops)
    assert done.exit_code == 0, done.output
    return done


def table_of(study: Path) -> pd.DataFrame:
    return read_parquet(study / "data" / "loops.parquet", LOOPS, "loops").rows


def test_the_ring_of_a_class_on_a_circle_is_its_images_in_order(study: Path) -> None:
    computed(study)
    table = table_of(study)
    ring = table.query("group == 'round' and noise == 0 and cloud == 'own'")
    assert list(ring["rank"].unique()) == [1]
    assert list(ring["place"]) == list(range(1, ON_CIRCLE + 1))
    numbers = ring["id"].str.extract(r"round/round_(\d+)\.jpg")[0].astype(int)
    assert sorted(numbers) == list(range(ON_CIRCLE))
    steps = np.diff(numbers, append=numbers.iloc[0]) % ON_CIRCLE
    assert set(steps) in ({1}, {ON_CIRCLE - 1})


def test_loops_are_the_longest_bars_of_the_diagrams_of_the_study(study: Path) -> None:
    computed(study, "--per-class", "2", "--overall", "4")
    diagrams = read_diagrams(study / "data" / "diagrams" / "diagrams.parquet")
    artifact = read_embeddings(study / "data" / "embeddings")
    table, about = read_parquet(study / "data" / "loops.parquet", LOOPS, "loops")
    assert about["run"] == artifact.run
    assert about["diagrams"] == diagrams.content
    own = table[table["cloud"] == OWN]
    bars = own.groupby(LOOP)[["birth", "death"]].first()
    at = {image: row for row, image in enumerate(artifact.images["id"])}
    for group in ("round", "shapeless", ALL):
        for level in (0.0, 0.5):
            expected = diagrams.bars[CloudKey(group, level)][1]
            lengths = np.sort(expected[:, 1] - expected[:, 0])[::-1]
            found = bars.loc[group, level, OWN].to_numpy()
            assert len(found) == min(len(expected), 4 if group == ALL else 2)
            assert (found[:, 1] - found[:, 0]).tolist() == lengths[: len(found)].tolist()
            assert set(map(tuple, found)) <= set(map(tuple, expected))
    for (_, level, _, _), ring in own.groupby(LOOP):
        points = artifact.array(level)[[at[image] for image in ring["id"]]].astype(np.float64)
        steps = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1)
        np.testing.assert_allclose(ring["step"], steps, rtol=1e-12)
        np.testing.assert_allclose(ring["step"].max(), ring["birth"])


def test_the_null_cloud_is_the_first_of_claim_4_shown_by_the_nearest_images(study: Path) -> None:
    computed(study)
    table = table_of(study)
    artifact = read_embeddings(study / "data" / "embeddings")
    null = table[table["cloud"] == NULL]
    assert set(null["rank"]) == {1}
    assert set(null["group"]) >= {"shapeless", ALL}
    rows = artifact.rows("shapeless")
    points = artifact.array(0.5)[rows]
    (cloud,) = rotated_clouds(points, 1, generator_for(0, "null", "shapeless", 0.5))
    (loop,) = longest_loops(distance_matrix(cloud), 1)
    nearest = np.linalg.norm(cloud[:, None] - points[None], axis=2).argmin(axis=1)
    ring = null.query("group == 'shapeless' and noise == 0.5")
    assert ring["id"].tolist() == artifact.images["id"].iloc[rows[nearest[loop.ring]]].tolist()
    assert ring["step"].tolist() == loop.steps.tolist()
    longest = longest_bar(persistence_diagrams(distance_matrix(cloud), 1)[1])
    assert set(ring["death"] - ring["birth"]) == {longest}


def test_another_seed_changes_the_null_clouds_alone(study: Path) -> None:
    computed(study)
    before = table_of(study)
    assert invoke(loops, study, "--seed", "1").exit_code == 0
    after = table_of(study)
    own, same = (table[table["cloud"] == OWN] for table in (before, after))
    pd.testing.assert_frame_equal(own.reset_index(drop=True), same.reset_index(drop=True))
    births = [table.loc[table["cloud"] == NULL, "birth"].tolist() for table in (before, after)]
    assert births[0] != births[1]


def test_metrics_are_those_of_the_longest_loops(study: Path) -> None:
    printed = computed(study).output
    table = table_of(study)
    metrics = json.loads((study / "metrics" / "loops.json").read_text())
    own = table[table["cloud"] == OWN].drop_duplicates(LOOP)
    assert metrics["loops"] == len(own)
    assert f"{len(own)} loops of 3 groups at 2 noise levels, of" in printed
    clean = metrics["noise_0.00"]
    longest = table.query("noise == 0 and rank == 1 and cloud == 'own'")
    sizes = longest.groupby("group")["id"].size()
    assert clean[ALL][OWN]["points"] == sizes[ALL]
    assert clean["class_median"][OWN]["points"] == (sizes["round"] + sizes["shapeless"]) / 2
    lengths = (longest["death"] - longest["birth"]).groupby(longest["group"]).first()
    middle = (lengths["round"] + lengths["shapeless"]) / 2
    assert clean["class_median"][OWN]["persistence"] == pytest.approx(middle, rel=1e-3)
    assert clean["class_median"][OWN]["persistence"] > clean["class_median"][NULL]["persistence"]


def test_rings_of_a_chosen_few_are_of_these(study: Path) -> None:
    computed(study, diagrams=("--points-per-class", "10", "--points-overall", "16"))
    members = pd.read_parquet(study / "data" / "diagrams" / "clouds.parquet")
    whole = members[members["part"] == "whole"].groupby("group")["id"].agg(set)
    for group, rings in table_of(study).groupby("group"):
        assert set(rings["id"]) <= whole[group]
        assert len(whole[group]) == (16 if group == ALL else 10)


def test_the_number_of_processes_changes_nothing(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed(study)
    before = (study / "data" / "loops.parquet").read_bytes()
    monkeypatch.setattr(stages.core.runtime.parallel, "available_cores", lambda: 2)
    assert invoke(loops, study).exit_code == 0
    assert (study / "data" / "loops.parquet").read_bytes() == before


# Without loops


def test_diagrams_of_components_alone(study: Path) -> None:
    printed = computed(study, diagrams=("--max-dim", "0")).output
    assert printed == "loops: not applicable, persistence.max_dim is 0\n"
    assert table_of(study).empty
    assert json.loads((study / "metrics" / "loops.json").read_text()) == {"loops": 0}


def test_an_arc_has_no_loop_and_three_images_make_none(tmp_path: Path) -> None:
    arc = np.linspace(0, 1, 9)
    points = np.column_stack([np.cos(arc), np.sin(arc)])
    labels = ["few"] * 3 + ["more"] * 6
    write_embeddings(tmp_path / "data" / "embeddings", {(0.0, 0): points}, labels, np.eye(2))
    printed = computed(tmp_path).output
    assert printed == "no group has a loop at any level\n"
    assert table_of(tmp_path).query("cloud == 'own'").empty


def test_images_that_are_all_one(tmp_path: Path) -> None:
    labels = ["a"] * 6 + ["b"] * 6
    points = np.repeat(np.eye(2), 6, axis=0)
    write_embeddings(tmp_path / "data" / "embeddings", {(0.0, 0): points}, labels, np.eye(2))
    assert computed(tmp_path).output == "no group has a loop at any level\n"


# Refusals


def test_diagrams_of_another_run_are_refused(study: Path, tmp_path: Path) -> None:
    computed(study)
    before = (study / "data" / "loops.parquet").read_bytes()
    points = np.random.default_rng(1).standard_normal((2 * ON_CIRCLE, 6))
    labels = ["round"] * ON_CIRCLE + ["shapeless"] * ON_CIRCLE
    other = write_embeddings(tmp_path / "other", {(0.0, 0): points}, labels, np.eye(2, 6))
    line = refusal(loops, *PARAMS, *paths(loops, study), "--embeddings", other)
    assert "diagrams.parquet: of another run than the embeddings; run 'dvc repro pers" in line
    assert (study / "data" / "loops.parquet").read_bytes() == before


@pytest.mark.parametrize("option", ["--per-class", "--overall"])
def test_no_loop_at_all_cannot_be_asked_for(study: Path, option: str) -> None:
    line = refusal(loops, *PARAMS, *paths(loops, study), option, "0")
    setting = option.strip("-").replace("-", "_")
    assert f"loops.{setting}: 0: input should be greater than or equal to 1" in line
