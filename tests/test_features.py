"""Features that were computed elsewhere, from a user's folder to the last stage."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from stages.angles import angles
from stages.claims import claims
from stages.classify import classify
from stages.core.artifacts.embeddings import read_embeddings
from stages.core.dataset.features import keep, read_features
from stages.core.runtime.errors import StudyError
from stages.distances import distances
from stages.draw import BESIDE, SOURCES, draw
from stages.embed import embed
from stages.fetch import fetch
from stages.headline import headline
from stages.loops import loops
from stages.persistence import persistence
from stages.preflight import preflight
from stages.project import project
from tests.conftest import unit_rows
from tests.refusals import refusal
from tests.stages import PARAMS, invoke, paths
from tests.study import ROOT

CLASSES = ["banded", "dotted", "grid"]
OF_CLASS = 24
QUICK = {
    project: ["--images-per-class", "12", "--perplexity", "5", "--umap-neighbours", "5"],
    angles: ["--rank", "3"],
    persistence: ["--points-overall", "20"],
    claims: ["--projection-seeds", "1", "--half-samples", "3", "--bootstrap-replicates", "100"],
}
LATER = (project, angles, persistence, distances, loops, classify, claims, headline)


def table_of(seed: int = 0) -> pd.DataFrame:
    """Images of three classes, in no order."""
    ids = [f"{name}/{name}_{i:02d}.jpg" for name in CLASSES for i in range(OF_CLASS)]
    ids = list(np.random.default_rng(seed).permutation(ids))
    return pd.DataFrame({"id": ids, "class": [name.partition("/")[0] for name in ids]})


def features_of(table: pd.DataFrame, noise: float = 0.0, seed: int = 1) -> np.ndarray:
    """(n, 8) float64 of any length, around an axis for each class, the same for the same seed."""
    generator = np.random.default_rng(seed)
    centres = 3 * np.eye(3, 8)[[CLASSES.index(name) for name in table["class"]]]
    clean = centres + generator.standard_normal((len(table), 8))
    return 7 * (clean + noise * np.random.default_rng(seed + 1).standard_normal(clean.shape))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds no more than it has to."""
    made = tmp_path / "given"
    made.mkdir()
    table_of().to_csv(made / "images.csv", index=False)
    np.save(made / "image_features.npy", features_of(table_of()).astype(np.float16))
    return made


@pytest.fixture
def with_all(folder: Path) -> Path:
    """The same folder with all that it may hold: two levels of two draws, text, a logit scale."""
    for draw_number in (0, 1):
        for level in ("0.5", "1.00"):
            noisy = features_of(table_of(), float(level) + 0.01 * draw_number)
            np.save(folder / f"image_features_rain_{level}_draw_{draw_number}.npy", noisy)
    pd.DataFrame({"class": ["grid", "dotted", "other", "banded"]}).to_csv(
        folder / "classes.csv", index=False
    )
    np.save(folder / "text_features.npy", np.eye(4, 8)[[2, 1, 3, 0]] * 5)
    about = {"model": "ours", "pretrained": "by us", "logit_scale": 100, "note": "passed over"}
    (folder / "encoder.json").write_text(json.dumps(about))
    return folder


def run_fetch(source: Path, target: Path, *options: str) -> None:
    done = invoke(fetch, target, "--source", str(source), *options)
    assert done.exit_code == 0, done.output
    done = invoke(embed, target, "--model", "precomputed")
    assert done.exit_code == 0, done.output


def run_later(target: Path) -> None:
    for command in LATER:
        done = invoke(command, target, *QUICK.get(command, ()))
        assert done.exit_code == 0, f"{command.name}: {done.output}"


def draw_all(target: Path) -> None:
    for name, source in SOURCES.items():
        if name != "pretrain":
            given = ["--data", str(target / source), "--plots", str(target / "drawn")]
            given += ["--embeddings", str(target / "data" / "embeddings")]
            given += ["--beside", str(target / BESIDE[name])] if name in BESIDE else []
            done = CliRunner().invoke(draw, [name, *given])
            assert done.exit_code == 0, f"{name}: {done.output}"


def metrics_of(target: Path, stage: str) -> dict:
    return json.loads((target / "metrics" / f"{stage}.json").read_text())


# What is taken


def test_rows_go_with_their_images_at_unit_length(folder: Path, tmp_path: Path) -> None:
    run_fetch(folder, tmp_path)
    found = read_embeddings(tmp_path / "data" / "embeddings")
    given = features_of(table_of()).astype(np.float16).astype(np.float64)
    order = np.argsort(table_of()["id"])
    assert found.images["id"].tolist() == sorted(table_of()["id"])
    np.testing.assert_allclose(found.array(0.0), unit_rows(given)[order], atol=1e-6)
    assert found.levels == [0.0]
    assert found.text is None
    assert found.images["split"].value_counts().to_dict() == {"train": 24, "val": 24, "test": 24}


def test_noise_text_and_the_logit_scale_are_taken(with_all: Path, tmp_path: Path) -> None:
    run_fetch(with_all, tmp_path)
    found = read_embeddings(tmp_path / "data" / "embeddings")
    assert (found.levels, found.draws) == ([0.0, 0.5, 1.0], 2)
    order = np.argsort(table_of()["id"])
    noisy = unit_rows(features_of(table_of(), 1.01))[order]
    np.testing.assert_allclose(found.array(1.0, 1), noisy, atol=1e-6)
    assert found.classes == CLASSES
    np.testing.assert_array_equal(found.text, np.eye(3, 8, dtype=np.float32))
    assert found.encoder["model"] == "ours"
    assert found.encoder["logit_scale"] == 100
    assert found.encoder["probabilities"] == "softmax"
    assert found.encoder["noise"] == {"kind": "rain", "draws": 2}


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 8)])
def test_one_parquet_file_says_the_same(folder: Path, tmp_path: Path, kind: pa.DataType) -> None:
    run_fetch(folder, tmp_path / "npy")
    table, rows = table_of(), np.load(folder / "image_features.npy").astype(np.float64)
    ids, classes = pa.array(table["id"]), pa.array(table["class"]).dictionary_encode()
    columns = {"id": ids, "class": classes, "rows": pa.array(rows.tolist(), kind)}
    for file in folder.iterdir():
        file.unlink()
    pq.write_table(pa.table(columns), folder / "images.parquet")
    run_fetch(folder, tmp_path / "parquet")
    one, other = (
        read_embeddings(tmp_path / name / "data/embeddings") for name in ("npy", "parquet")
    )
    np.testing.assert_allclose(one.array(0.0), other.array(0.0), atol=1e-6)
    assert one.images.equals(other.images)


def test_splits_of_ones_own_are_kept_and_classes_chosen(folder: Path, tmp_path: Path) -> None:
    table = table_of()
    table["split"] = [("test", "train", "val")[i % 3] for i in range(len(table))]
    table.to_csv(folder / "images.csv", index=False)
    given = ("--classes", "banded", "--classes", "grid", "--images-per-class", "9")
    run_fetch(folder, tmp_path, *given)
    found = read_embeddings(tmp_path / "data" / "embeddings")
    assert found.images["class"].value_counts().to_dict() == {"banded": 9, "grid": 9}
    own = table.set_index("id")["split"]
    assert (found.images.set_index("id")["split"] == own[found.images["id"]]).all()


def test_rows_of_any_float_type_and_length_are_the_same(folder: Path, tmp_path: Path) -> None:
    ids = sorted(table_of()["id"])
    rows = features_of(table_of())
    kept = []
    for i, given in enumerate((rows, 1e-20 * rows, rows.astype(np.float32), 1e25 * rows)):
        np.save(folder / "image_features.npy", given)
        keep(read_features(folder), ids, tmp_path / str(i))
        kept.append(np.load(tmp_path / str(i) / "image_features.npy"))
    for other in kept[1:]:
        np.testing.assert_allclose(kept[0], other, atol=1e-7)


def test_what_the_docs_write_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "docs" / "features.md").read_text()
    code = section.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(code, {"features": features_of(table_of()), "names": list(table_of()["id"])})
    run_fetch(tmp_path / "features", tmp_path / "study")
    found = read_embeddings(tmp_path / "study" / "data" / "embeddings")
    assert found.images["id"].tolist() == sorted(table_of()["id"])


# The whole study


def test_a_clean_study_without_text_runs_and_says_what_is_not_applicable(
    folder: Path, tmp_path: Path
) -> None:
    run_fetch(folder, tmp_path)
    run_later(tmp_path)
    draw_all(tmp_path)
    table = pd.read_csv(tmp_path / "plots" / "claims" / "claims.csv").set_index("claim")
    not_applicable = table["verdict"] == "not applicable"
    assert not_applicable[table["number"] > 4].all()
    assert not not_applicable[table["number"] == 4].any()
    assert not not_applicable["one_component"]
    assert table.loc["accuracy_falls_zero_shot", "detail"] == "there are no text features"
    no_noise = "there is no noise level above 0"
    for claim in ("accuracy_falls_probe", "topology_adds_prototype", "component_scale_steady"):
        assert table.loc[claim, "detail"] == no_noise
    found = metrics_of(tmp_path, "classify")
    assert set(found["not_applicable"]) == {"zero_shot", "calibration"}
    assert found["noise_0.00"]["prototype_top1"] > 0.9
    assert metrics_of(tmp_path, "headline")["accuracy_of"] == "probe"


def test_a_noisy_study_with_text_asks_every_classifier(with_all: Path, tmp_path: Path) -> None:
    run_fetch(with_all, tmp_path)
    run_later(tmp_path)
    draw_all(tmp_path)
    found = metrics_of(tmp_path, "classify")
    assert found["noise_0.00"]["zero_shot_top1"] > 0.9
    assert "zero_shot_ece" in found["noise_1.00"]
    assert "not_applicable" not in found
    correlations = pd.read_csv(tmp_path / "plots" / "claims" / "correlations.csv")
    assert set(correlations["classifier"]) == {"zero_shot", "probe", "knn", "prototype"}


def test_text_without_a_logit_scale_gives_accuracies_and_no_calibration(
    with_all: Path, tmp_path: Path
) -> None:
    (with_all / "encoder.json").unlink()
    run_fetch(with_all, tmp_path)
    done = invoke(classify, tmp_path)
    assert done.exit_code == 0, done.output
    found = metrics_of(tmp_path, "classify")
    assert found["not_applicable"] == {"calibration": "the logit scale is not known"}
    assert found["noise_0.00"]["zero_shot_top1"] > 0.9


# What is refused


def rows_with(value: float, row: int = 5) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = np.load(folder / "image_features.npy")
        rows[row] = value
        np.save(folder / "image_features.npy", rows)

    return change


def saved(name: str, array: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, array)


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def table_with(**cells: object) -> Callable[[Path], None]:
    """images.csv with other values in its second row; None takes the column away."""

    def change(folder: Path) -> None:
        table = table_of()
        for column, value in cells.items():
            if value is None:
                table = table.drop(columns=column)
            else:
                table[column] = table.get(column, "train")
                table.loc[1, column] = value
        table.to_csv(folder / "images.csv", index=False)

    return change


SECOND = table_of()["id"][1]
SIXTH = table_of()["id"][5]
N = len(table_of())
WRONG = {
    "too few rows": (
        saved("image_features.npy", np.ones((N - 1, 8))),
        f"image_features.npy: {N - 1} rows for {N} images",
    ),
    "one axis": (saved("image_features.npy", np.ones(N)), f"float64 of shape ({N},); store (n, d)"),
    "integers": (saved("image_features.npy", np.ones((N, 8), int)), "int64 of shape"),
    "objects": (saved("image_features.npy", np.array([{}] * N)), "damaged"),
    "no features": (saved("image_features.npy", np.ones((N, 0))), "0 dimensions"),
    "not an array": (written("image_features.npy", "rows"), "image_features.npy: damaged"),
    "a NaN": (rows_with(np.nan), f"the features of {SIXTH} are not finite; compute them anew"),
    "infinite": (rows_with(np.inf), f"the features of {SIXTH} are not finite"),
    "a row of zeros": (rows_with(0.0), f"the features of {SIXTH} are 0, which has no direction"),
    "no table": (lambda folder: (folder / "images.csv").unlink(), "images.csv: not found"),
    "no id": (table_with(id=None), "images.csv: no column id, but 'class'; add it"),
    "no class": (table_with(**{"class": None}), "images.csv: no column class"),
    "an empty table": (written("images.csv", "id,class\n"), "holds no images"),
    "a repeated id": (table_with(id=SIXTH, **{"class": SIXTH.partition("/")[0]}), "is repeated"),
    "no folder in an id": (table_with(id="dot.jpg"), "row 2: 'dot.jpg': an id is <class>/<name>"),
    "two folders in an id": (table_with(id="grid/a/b"), "an id is <class>/<name>"),
    "another class": (table_with(**{"class": "wavy"}), f"row 2: '{SECOND}': its class is 'wavy'"),
    "a blank": (table_with(id="a b/c", **{"class": "a b"}), "a class name holds no blanks"),
    "the name of all": (
        table_with(id="all/c", **{"class": "all"}),
        "the name of the sample of all",
    ),
    "another split": (
        table_with(split="dev"),
        "row 2: split is 'dev', not one of train, val, test",
    ),
    "a ragged table": (written("images.csv", "id,class\na/b\n"), "images.csv: damaged"),
    "a name of noise": (saved("image_features_rain.npy", np.ones((N, 8))), "are named image_feat"),
    "noise of level 0": (
        saved("image_features_rain_0.00_draw_0.npy", np.ones((N, 8))),
        "level 0 is image_features.npy",
    ),
    "three decimals": (
        saved("image_features_rain_0.125_draw_0.npy", np.ones((N, 8))),
        "more than two decimals; round it",
    ),
    "draws from 1": (
        saved("image_features_rain_0.5_draw_1.npy", np.ones((N, 8))),
        "image_features_rain_0.50_draw_0.npy: not found",
    ),
    "a level twice": (
        lambda folder: [
            np.save(folder / f"image_features_rain_{level}_draw_0.npy", np.ones((N, 8)))
            for level in ("0.5", "0.50")
        ],
        "a second file of this level and draw",
    ),
    "noise of other dimensions": (
        saved("image_features_rain_0.5_draw_0.npy", np.ones((N, 7))),
        "7 dimensions, while image_features.npy has 8",
    ),
    "text without names": (saved("text_features.npy", np.ones((3, 8))), "classes.csv: not found"),
    "a class without text": (
        lambda folder: (
            saved("text_features.npy", np.ones((2, 8)))(folder),
            written("classes.csv", "class\ndotted\ngrid\n")(folder),
        ),
        "classes.csv: lacks the classes banded",
    ),
    "a scale of words": (written("encoder.json", '{"logit_scale": "high"}'), "'logit_scale': "),
    "a negative scale": (written("encoder.json", '{"logit_scale": -1}'), "'logit_scale': "),
    "no JSON": (written("encoder.json", "{"), "encoder.json: invalid JSON"),
    "both forms": (
        lambda folder: pq.write_table(
            pa.table({**table_of(), "rows": [[1.0]] * N}), folder / "images.parquet"
        ),
        "holds both images.parquet and images.csv",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    change(folder)
    line = refusal(fetch, *PARAMS, *paths(fetch, tmp_path), "--source", str(folder))
    assert message in line
    assert not (tmp_path / "data" / "images").exists()


PARQUETS = {
    "rows of two lengths": ({"rows": [[1.0, 2.0]] * (N - 1) + [[1.0]]}, f"row {N} of rows has"),
    "no list": ({}, "one column of lists holds the features, not none"),
    "two lists": ({"a": [[1.0]] * N, "b": [[1.0]] * N}, "not a, b; name one"),
    "whole numbers": ({"rows": [[1]] * N}, "rows holds int64; store numbers"),
}


@pytest.mark.parametrize(("columns", "message"), PARQUETS.values(), ids=PARQUETS)
def test_a_parquet_file_that_does_not_fit_is_refused(
    folder: Path, columns: dict[str, list], message: str
) -> None:
    for file in folder.iterdir():
        file.unlink()
    pq.write_table(pa.table({**table_of(), **columns}), folder / "images.parquet")
    with pytest.raises(StudyError) as refused:
        read_features(folder)
    assert message in str(refused.value)


def test_a_kind_of_noise_is_chosen_among_several(with_all: Path, tmp_path: Path) -> None:
    np.save(with_all / "image_features_snow_0.5_draw_0.npy", features_of(table_of(), 0.5))
    assert invoke(fetch, tmp_path, "--source", str(with_all)).exit_code == 0
    given = (*PARAMS, *paths(embed, tmp_path), "--model", "precomputed")
    line = refusal(embed, *given)
    assert "embed.noise_kind: gaussian, but there are features of rain, snow; set one" in line


def test_features_and_models_that_do_not_go_together_are_refused_at_once(
    folder: Path, tmp_path: Path
) -> None:
    lines = (ROOT / "params.yaml").read_text()
    params = tmp_path / "params.yaml"
    given = [*paths(preflight, tmp_path), "--params", str(params)]
    params.write_text(lines.replace("source: textures  ", f"source: {folder}  ", 1))
    assert "holds features; set embed.model: precomputed" in refusal(preflight, *given)
    params.write_text(lines.replace("model: texture-clip  ", "model: precomputed  ", 1))
    assert "embed.model: precomputed, but fetch.source: 'textures'" in refusal(preflight, *given)
    assert invoke(fetch, tmp_path / "b", "--images-per-class", "3").exit_code == 0
    line = refusal(embed, *PARAMS, *paths(embed, tmp_path / "b"), "--model", "precomputed")
    assert "image_features.npy: not found, which embed.model: precomputed takes" in line
