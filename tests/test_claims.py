"""The claims stage over planted artifacts: what it writes, what it refuses; and its rules."""

import json
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from matplotlib.text import Text

from stages.angles import angles
from stages.claims import claims
from stages.classify import classify
from stages.core.artifacts.tables import read_parquet
from stages.core.claims import question
from stages.core.claims.bars import loop_findings
from stages.core.claims.finding import (
    AMONG_THE_CLOSEST,
    COMPARISONS,
    CORRELATED,
    NUMBERS,
    SIGNIFICANCE,
    Finding,
    Rule,
    above,
    below,
    counted_above,
    percentile_rank,
)
from stages.core.claims.registry import CLAIMS, TABLES
from stages.core.claims.sources import read_sources
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.verdicts import VERDICTS
from stages.core.figures import claims as figures
from stages.core.runtime.params import read_params
from stages.distances import distances
from stages.draw import draw
from stages.persistence import persistence
from stages.settings.claims import ClaimsParams
from stages.settings.project import ProjectParams
from tests.conftest import write_embeddings
from tests.plots import read_template
from tests.stages import invoke
from tests.study import ROOT

QUICK = ["--projection-seeds", "2", "--images-per-class", "12", "--half-samples", "10"]
QUICK += ["--bootstrap-replicates", "200"]
CLASSES = ["crosshatched", "dotted", "grid", "polka-dotted", "striped", "woven", "zigzagged"]
LEVELS = (0.0, 0.5, 1.0)
MADE_BY = {
    "data/embeddings/images.csv": "embed",
    "data/diagrams/diagrams.parquet": "persistence",
    "data/diagrams/clouds.parquet": "persistence",
    "data/diagrams/summaries.parquet": "persistence",
    "data/classify/predictions.parquet": "classify",
    "data/distances.parquet": "distances",
    "data/angles/pairs.parquet": "angles",
}


def run_stages(folder: Path, seed: int, classes: list[str] = CLASSES, max_dim: str = "1") -> Path:
    """Every input of the claims in a folder: 24 images a class, noise that grows with the level."""
    generator = np.random.default_rng(seed)
    labels = [name for name in classes for _ in range(24)]
    centres = generator.standard_normal((len(classes), 16))
    if {"dotted", "polka-dotted"} <= set(classes):
        a, b = classes.index("dotted"), classes.index("polka-dotted")
        centres[b] = centres[a] + 0.2 * centres[b]
    clean = np.repeat(centres, 24, axis=0) + generator.standard_normal((len(labels), 16))
    clouds = {(0.0, 0): clean}
    for level in LEVELS[1:]:
        for number in (0, 1):
            clouds[level, number] = clean + 2 * level * generator.standard_normal(clean.shape)
    write_embeddings(folder / "data" / "embeddings", clouds, labels, centres)
    for command, options in (
        (angles, ["--rank", "3"]),
        (persistence, ["--points-overall", "20", "--max-dim", max_dim]),
        (distances, []),
        (classify, []),
    ):
        done = invoke(command, folder, *options)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_stages(tmp_path_factory.mktemp("inputs"), seed=0)


@pytest.fixture
def study(inputs: Path, tmp_path: Path) -> Path:
    return shutil.copytree(inputs, tmp_path / "study")


@pytest.fixture(scope="module")
def decided(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs with what `claims` writes of them, to be read."""
    folder = shutil.copytree(inputs, tmp_path_factory.mktemp("decided") / "study")
    done = invoke(claims, folder, *QUICK)
    assert done.exit_code == 0, done.output
    return folder


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics" / "claims.json").read_text())


def table_of(folder: Path, name: str) -> pd.DataFrame:
    return read_parquet(folder / "data" / "claims" / f"{name}.parquet", TABLES[name], "claims").rows


def pictures_of(folder: Path) -> set[str]:
    """The names of the pictures that are drawn from the tables in a folder."""
    given = ["--data", str(folder / "data/claims"), "--beside", str(folder / "metrics/claims.json")]
    given += ["--embeddings", str(folder / "data/embeddings"), "--plots", str(folder / "drawn")]
    done = CliRunner().invoke(draw, ["claims", *given])
    assert done.exit_code == 0, done.output
    return {path.stem for path in (folder / "drawn" / "claims").glob("*.png")}


PICTURES = {
    "neighbours",
    "closest_pairs",
    "bars",
    "loops",
    "growth",
    "accuracy_steps",
    "correlations",
}


def test_what_is_planted_is_found(decided: Path) -> None:
    found = metrics_of(decided)
    table = pd.read_csv(decided / "plots" / "claims" / "claims.csv").set_index("claim")
    assert (table.index == list(found)[4:]).all()
    assert found["holds"] == (table["verdict"] == "holds").sum()
    ranks = table_of(decided, "neighbours")
    assert set(ranks["space"]) == {"tsne", "umap", "embedding"}
    assert set(zip(ranks["class_a"], ranks["class_b"], strict=True)) == {("polka-dotted", "dotted")}
    assert (ranks[["rank_of_a", "rank_of_b"]] == 1).all(axis=None)
    assert table.loc["dotted_polka_dotted_closest", "verdict"] == "holds"
    assert found["dotted_polka_dotted_closest"]["holds"] == 1
    assert table.loc["accuracy_falls_zero_shot", "effect"] > 0
    assert table.loc["zero_angles", "verdict"] == "fails"
    # Ten classes are the least that decide the question; these are seven.
    assert set(table.loc[table["number"] == 8, "verdict"]) == {"undecided"}
    assert "holds" not in found["topology_follows_zero_shot"]
    assert pictures_of(decided) == PICTURES


def test_a_claim_makes_the_tables_that_it_lists_and_no_others(study: Path) -> None:
    values = {"projection_seeds": 1, "images_per_class": 4, "half_samples": 1}
    values |= {"bootstrap_replicates": 100, "divergence_points": 8}
    params = read_params(ClaimsParams, ROOT / "params.yaml", values)
    data = study / "data"
    sources = read_sources(
        data / "embeddings",
        data / "diagrams",
        data / "distances.parquet",
        data / "classify" / "predictions.parquet",
        data / "angles",
        read_params(ProjectParams, ROOT / "params.yaml"),
    )
    numbers = []
    for claim in CLAIMS:
        tables, findings = claim.decide(sources, params)
        assert set(tables) == set(claim.TABLES)
        numbers += [finding.number for finding in findings]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 9))


def test_the_picture_of_the_verdicts_knows_every_word() -> None:
    colours = read_template("verdicts")["layer"][0]["encoding"]["color"]["scale"]
    assert tuple(colours["domain"]) == VERDICTS
    assert len(colours["range"]) == len(VERDICTS)


def test_settings_of_project_are_read_from_params(study: Path) -> None:
    lines = (ROOT / "params.yaml").read_text().splitlines()
    file = study / "params.yaml"
    file.write_text("\n".join(line for line in lines if not line.startswith("  perplexity:")))
    done = invoke(claims, study, "--params", str(file), *QUICK)
    assert done.exit_code == 1
    assert "project.perplexity: missing; add it" in done.output


def test_the_same_seed_gives_the_same_bytes(study: Path, tmp_path: Path) -> None:
    other = shutil.copytree(study, tmp_path / "other")
    for folder in (study, other):
        assert invoke(claims, folder, *QUICK).exit_code == 0
    folders = [study / "data" / "claims", study / "plots" / "claims"]
    names = sorted(path.relative_to(study) for folder in folders for path in folder.iterdir())
    assert {name.stem for name in names} == {*TABLES, "claims"}
    for name in [*names, Path("metrics/claims.json")]:
        assert (study / name).read_bytes() == (other / name).read_bytes(), name


def test_without_the_classes_a_claim_is_not_applicable_and_all_is_written(tmp_path: Path) -> None:
    folder = run_stages(tmp_path, 1, ["banded", "bumpy", "cracked", "woven"], max_dim="0")
    done = invoke(claims, folder, *QUICK)
    assert done.exit_code == 0, done.output
    verdicts = {
        key: value["verdict"]
        for key, value in metrics_of(folder).items()
        if isinstance(value, dict)
    }
    for key in (
        "polka_dotted_near_dotted_umap",
        "dotted_grid_closest",
        "no_loop_beyond_band",
        "no_loop_beyond_null",
        "loops_clump",
        "loops_die_sooner",
    ):
        assert verdicts[key] == "not applicable", key
    assert "bottleneck_h0_grows" in verdicts
    assert "bottleneck_h1_grows" not in verdicts
    detail = pd.read_csv(folder / "plots" / "claims" / "claims.csv").set_index("claim")["detail"]
    neither = "neither polka-dotted nor dotted is among the 4 classes"
    assert detail["polka_dotted_near_dotted_umap"] == neither
    empty = {name for name in TABLES if table_of(folder, name).empty}
    assert empty == {"neighbours", "closest_pairs", "loops"}
    assert table_of(folder, "bars")["longest_bar"].isna().all()
    assert pictures_of(folder) == PICTURES


def test_pairs_of_ones_own_are_decided(study: Path) -> None:
    chosen = ["--neighbours", "dotted", "polka-dotted", "--neighbours", "woven", "wooven"]
    chosen += ["--pairs", "zigzagged", "woven", "--pairs", "polka-dotted", "dotted"]
    done = invoke(claims, study, *QUICK, *chosen)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(study / "plots" / "claims" / "claims.csv").set_index("claim")
    assert list(table.index[table["number"] <= 2]) == [
        "dotted_near_polka_dotted_tsne",
        "dotted_near_polka_dotted_umap",
        "dotted_near_polka_dotted_embedding",
        "woven_near_wooven_tsne",
        "woven_near_wooven_umap",
        "woven_near_wooven_embedding",
        "zigzagged_woven_closest",
        "polka_dotted_dotted_closest",
        "zero_angles",
    ]
    # Planted: no two classes are nearer. Of seven, one pair in 21 is tested, neighbours are not.
    assert table.loc["polka_dotted_dotted_closest", "verdict"] == "holds"
    assert table.loc["polka_dotted_dotted_closest", "effect"] == 0.04762
    assert table.loc["zigzagged_woven_closest", "effect"] > 0.05
    missing = table.loc["woven_near_wooven_tsne"]
    assert missing["verdict"] == "not applicable"
    assert missing["detail"] == "wooven is not among the 7 classes"
    ranks = table_of(study, "neighbours")
    assert set(zip(ranks["class_a"], ranks["class_b"], strict=True)) == {("dotted", "polka-dotted")}
    assert pictures_of(study) == PICTURES


def test_without_pairs_there_is_nothing_to_decide_of_them(study: Path) -> None:
    file = study / "params.yaml"
    lines = [
        f"{line.partition(':')[0]}: []" if line.startswith(("  neighbours:", "  pairs:")) else line
        for line in (ROOT / "params.yaml").read_text().splitlines()
    ]
    file.write_text("\n".join(lines))
    done = invoke(claims, study, "--params", str(file), *QUICK)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(study / "plots" / "claims" / "claims.csv")
    assert table.loc[table["number"] <= 2, "claim"].tolist() == ["zero_angles"]
    assert table_of(study, "neighbours").empty
    assert table_of(study, "closest_pairs").empty
    assert pictures_of(study) == PICTURES


def test_the_usual_mistake_leaves_no_angle_to_judge(study: Path) -> None:
    assert invoke(angles, study, "--space", "sample").exit_code == 0
    assert invoke(claims, study, *QUICK).exit_code == 0
    found = metrics_of(study)
    assert found["dotted_grid_closest"]["verdict"] == "not applicable"
    assert found["zero_angles"]["verdict"] == "not applicable"


@pytest.mark.parametrize(("path", "stage"), MADE_BY.items())
def test_a_missing_input_names_the_stage_to_run(study: Path, path: str, stage: str) -> None:
    (study / path).unlink()
    done = invoke(claims, study, *QUICK)
    assert done.exit_code == 1
    assert path in done.output
    assert f"'dvc repro {stage}'" in done.output
    assert not (study / "metrics" / "claims.json").exists()


@pytest.fixture(scope="module")
def other_noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the same images and levels, with other embeddings."""
    return run_stages(tmp_path_factory.mktemp("other"), seed=1)


@pytest.mark.parametrize(
    ("path", "stage"),
    # The images are the same in both runs, and are what the others are compared with.
    [(path, stage) for path, stage in MADE_BY.items() if stage != "embed"],
)
def test_an_input_of_another_run_is_refused_by_name(
    study: Path, other_noise: Path, path: str, stage: str
) -> None:
    shutil.copy(other_noise / path, study / path)
    done = invoke(claims, study, *QUICK)
    assert done.exit_code == 1
    assert path in done.output
    assert "of another run" in done.output
    assert f"'dvc repro {stage}'" in done.output


def test_distances_of_other_diagrams_are_refused_by_name(study: Path) -> None:
    """Of the same embeddings, but of fewer images: all names and levels are the same."""
    done = invoke(persistence, study, "--points-overall", "20", "--points-per-class", "12")
    assert done.exit_code == 0, done.output
    done = invoke(claims, study, *QUICK)
    assert done.exit_code == 1
    assert "distances.parquet: of another run than the diagrams; run 'dvc repro dist" in done.output


def test_other_levels_are_refused_by_name(study: Path) -> None:
    file = study / "data" / "distances.parquet"
    table = pq.read_table(file)
    pq.write_table(table.filter(pc.field("noise") != 1.0), file)
    done = invoke(claims, study, *QUICK)
    assert done.exit_code == 1
    assert "distances.parquet: not as 'distances' wrote it; run 'dvc repro --force" in done.output


def test_other_images_are_refused_by_name(study: Path) -> None:
    file = study / "data" / "classify" / "predictions.parquet"
    table = pq.read_table(file)
    ids = pc.replace_substring(table["id"], "woven_0122", "woven_9999")
    pq.write_table(table.set_column(0, "id", ids), file)
    done = invoke(claims, study, *QUICK)
    assert done.exit_code == 1
    assert "predictions.parquet: not as 'classify' wrote it; run 'dvc repro --force" in done.output


# The rules


def verdict(rule: Rule, **numbers: float) -> str:
    return Finding(0, "", "", "", rule, **numbers).verdict


@pytest.mark.parametrize(
    ("rule", "numbers", "expected"),
    [
        (above(0.5), {"effect": 0.7, "low": 0.6, "high": 0.8}, "holds"),
        (above(0.5), {"effect": 0.3, "low": 0.2, "high": 0.4}, "fails"),
        (above(0.5), {"effect": 0.6, "low": 0.4, "high": 0.8}, "undecided"),
        (above(0.0), {"effect": 0.0, "low": 0.0, "high": 0.0}, "undecided"),
        (below(0.5), {"effect": 0.3, "low": 0.2, "high": 0.4}, "holds"),
        (below(0.5), {"effect": 0.7, "low": 0.6, "high": 0.8}, "fails"),
        (below(0.5), {"effect": 0.7}, "undecided"),
        (counted_above(0.05), {"effect": 0.06}, "holds"),
        (counted_above(0.05), {"effect": 0.05}, "fails"),
        (AMONG_THE_CLOSEST, {"effect": 0.04, "low": 0.01, "p_value": 0.04}, "holds"),
        (AMONG_THE_CLOSEST, {"effect": 0.20, "low": 0.03, "p_value": 0.20}, "undecided"),
        (AMONG_THE_CLOSEST, {"effect": 0.20, "low": 0.06, "p_value": 0.20}, "fails"),
        (AMONG_THE_CLOSEST, {"effect": 0.01}, "undecided"),  # too few pairs: nothing was tested
        (CORRELATED, {"effect": 0.6, "p_value": 0.05, "largest_high": 0.8}, "holds"),
        (CORRELATED, {"effect": 0.6, "p_value": 0.051, "largest_high": 0.8}, "undecided"),
        (CORRELATED, {"effect": 0.1, "p_value": 0.4, "largest_high": 0.29}, "fails"),
    ],
)
def test_a_verdict_follows_from_the_numbers(
    rule: Rule, numbers: dict[str, float], expected: str
) -> None:
    assert verdict(rule, **numbers) == expected


def test_the_verdict_is_about_the_numbers_as_they_are_shown() -> None:
    assert verdict(above(0.5), effect=0.6, low=0.5000001, high=0.7) == "undecided"


def verdict_of_the_columns(row: pd.Series) -> str:
    """What a reader makes of a row of claims.csv."""
    if row["verdict"] == "not applicable":
        assert row[list(NUMBERS)].isna().all()
        return "not applicable"
    for said, rule in (("holds", row["holds_if"]), ("fails", row["fails_if"])):
        number, comparison, threshold = rule.split()
        # A number that is not there meets no condition, as NaN does.
        if COMPARISONS[comparison](row[number], float(threshold)):
            return said
    return "undecided"


def test_every_verdict_follows_from_the_columns_beside_it(decided: Path) -> None:
    table = pd.read_csv(decided / "plots" / "claims" / "claims.csv")
    assert [verdict_of_the_columns(row) for _, row in table.iterrows()] == table["verdict"].tolist()
    assert len(set(table["verdict"])) > 1
    decided = table[table["verdict"].isin(["holds", "fails"])]
    assert decided["decided_by"].notna().all()


def test_the_shipped_verdicts_follow_from_the_columns_beside_them() -> None:
    table = pd.read_csv(ROOT / "plots" / "claims" / "claims.csv")
    assert [verdict_of_the_columns(row) for _, row in table.iterrows()] == table["verdict"].tolist()


@pytest.mark.parametrize(("confidence", "said"), [(0.9, "90%"), (0.95, "95%"), (0.999, "99.9%")])
def test_pictures_and_statements_name_the_confidence_that_is_set(
    decided: Path, confidence: float, said: str
) -> None:
    named = {}
    for name, picture in figures.PICTURES.items():
        figure = picture.figure_of(table_of(decided, name), said, {})
        texts = " ".join(text.get_text() for text in figure.findobj(Text))
        named[name] = set(re.findall(r"\b9\d(?:\.\d)?%", texts))
        plt.close(figure)
    with_intervals = {"closest_pairs", "bars", "accuracy_steps", "correlations"}
    assert named == {name: {said} if name in with_intervals else set() for name in named}
    band, _ = loop_findings(table_of(decided, "bars"), confidence)
    assert f"its cloud's {said} confidence band" in band.statement


def test_a_percentile_rank_by_hand() -> None:
    values = np.array([3.0, 1.0, 2.0, 2.0])
    assert [percentile_rank(values, which) for which in range(4)] == [1.0, 0.25, 0.75, 0.75]


def test_classes_that_lose_as_many_images_tie() -> None:
    """Shares of right answers differ by .05 or by .0499...93, as their last bits fall."""
    rows = []
    for name, right in (("a", 38), ("b", 35), ("c", 31), ("d", 27)):
        for level, count in ((0.0, right), (0.5, right - 2)):
            said = [name] * count + ["wrong"] * (40 - count)
            rows += [
                {"id": f"{name}/{i}", "noise": level, "actual": name}
                | dict.fromkeys(CLASSIFIERS, s)
                for i, s in enumerate(said)
            ]
    drops = question.accuracy_drops(pd.DataFrame(rows))
    assert set(drops["drop"]) == {2 / 40}


def test_many_tests_get_the_permutations_that_a_significant_one_needs() -> None:
    """Five permutations could give no p-value below 1/6, before Holm multiplies it."""
    generator = np.random.default_rng(0)
    names = [*question.CONTROLS, "bottleneck_h0", "bottleneck_h1", "wasserstein_h0"]
    values = dict(zip(names, generator.standard_normal((len(names), 20)), strict=True))
    measures = pd.DataFrame(
        {"class": f"class {i}", "noise": level, "measure": name, "value": value}
        for level in (0.5, 1.0, 2.0)
        for name, row in values.items()
        for i, value in enumerate(row)
    )
    of_truth = measures[measures["measure"] == "bottleneck_h0"].rename(columns={"value": "drop"})
    drops = pd.concat(of_truth.assign(classifier=name) for name in question.CLASSIFIERS)
    found = question.correlations_table(measures, drops, 5, 0.95, 0)
    significant = found["p_holm"] <= SIGNIFICANCE
    assert significant[found["measure"] == "bottleneck_h0"].all()
    assert not significant[found["measure"] == "bottleneck_h1"].any()
