"""The table of runs in its forms, and which runs are pooled."""

import io
import re

import pandas as pd
import pytest

from stages.core.across.comparable import pool, pooled_drops, pooled_measures
from stages.core.across.runs import Run, common_classifier, differing
from stages.core.across.tables import (
    WIDTH,
    as_latex,
    as_markdown,
    as_text,
    benchmark_table,
    runs_table,
)
from tests.made_runs import CLASSES, METRICS, made_run

NO_TEXT = {key: None for key in METRICS if "zero_shot" in key}


def with_levels(count: int) -> dict[str, float]:
    """Metrics of so many noise levels above 0."""
    found = {}
    for k in range(1, count + 1):
        for measured in ("zero_shot_top1", "zero_shot_top1_low", "zero_shot_top1_high"):
            found[f"classify.noise_{k:.2f}.{measured}"] = 0.5
        found[f"headline.drift@{k}"] = 0.25
    return found


def test_what_differs_comes_first() -> None:
    runs = [
        made_run("a"),
        made_run("b", {"embed.noise_kind": "blur", "embed.seed": 3}),
        made_run("c", {"embed.model": "family/encoders/small", "embed.noise_levels": [0.0, 2.0]}),
    ]
    assert differing(runs) == {
        "model": ["texture-clip", "texture-clip", "small"],
        "noise": ["gaussian", "blur", "gaussian"],
        "embed.seed": ["0", "3", "0"],
    }
    assert differing(runs[:1]) == {"model": ["texture-clip"], "noise": ["gaussian"]}


def test_the_numbers_of_a_run() -> None:
    (row,) = runs_table([made_run("a")], None).to_dict("records")
    assert row == {
        "run": "a",
        "model": "texture-clip",
        "noise": "gaussian",
        "classifier": "zero-shot",
        "level_0": 0.0,
        "accuracy_0": 0.9,
        "low_0": 0.85,
        "high_0": 0.94,
        "level_1": 1.0,
        "accuracy_1": 0.5,
        "low_1": 0.45,
        "high_1": 0.55,
        "drift_1": 0.31,
        "distance_1": 1.44,
        "distance": "wasserstein H1 over draws",
        "follows": "holds",
        "adds": "undecided",
    }


def test_the_table_for_a_terminal() -> None:
    found = runs_table([made_run("a"), made_run("b", {"embed.noise_kind": "blur"})], None)
    assert as_text(found).splitlines() == [
        "run noise        clean   level 1 drift dist. follows adds",
        "a   gaussian      90.0      50.0  0.31  1.44       +    ?",
        "             85.0-94.0 45.0-55.0",
        "b   blur          90.0      50.0  0.31  1.44       +    ?",
        "             85.0-94.0 45.0-55.0",
    ]


@pytest.mark.parametrize("levels", [1, 3, 9])
@pytest.mark.parametrize("letters", [4, 60, 400])
def test_no_line_is_wider_than_a_terminal(levels: int, letters: int) -> None:
    """Whatever the names of the runs, how many things differ, and however many levels."""
    runs = [
        made_run(
            f"{'name-' * (letters // 5)}{i}",
            {
                "embed.model": "m" * letters + str(i),
                "embed.noise_kind": f"blur {i}",
                **{f"project.setting_{k}": i for k in range(letters // 20)},
            },
            with_levels(levels),
        )
        for i in range(3)
    ]
    lines = as_text(runs_table(runs, None)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum("90.0" in line for line in lines) == len(runs)


def test_a_run_with_fewer_levels_leaves_cells_empty() -> None:
    found = runs_table([made_run("a"), made_run("b", metrics=with_levels(3))], None)
    assert found.loc[0, ["accuracy_2", "drift_3"]].isna().all()
    rows = [line for line in as_markdown(found).splitlines() if line.startswith("| a ")]
    assert rows[0].count("|") == as_markdown(found).splitlines()[0].count("|")


def test_markup_of_a_name_does_nothing() -> None:
    found = runs_table([made_run("50%_of|a&b <i>"), made_run("b")], None)
    markdown = as_markdown(found)
    assert len({line.replace("\\|", "").count("|") for line in markdown.splitlines()}) == 1
    assert "<i>" not in markdown
    assert r"50\%\_of|a\&b \textless{}i\textgreater{} &" in as_latex(found)


def test_latex_has_as_many_cells_in_every_row() -> None:
    found = runs_table([made_run("a"), made_run("b", {"embed.model": "x"})], None)
    rows = [line for line in as_latex(found).splitlines() if line.endswith("\\\\")]
    assert len(rows) == 3
    assert len({row.count(" & ") for row in rows}) == 1
    (columns,) = re.findall(r"begin\{tabular\}\{(l+)\}", as_latex(found))
    assert len(columns) == rows[0].count(" & ") + 1


def test_clip_benchmark_s_columns() -> None:
    """Read as that project's notebooks do, from a CSV with these names."""
    runs = [made_run("a", {"embed.pretrained": "laion2b"}), made_run("b", metrics=NO_TEXT)]
    found = pd.read_csv(io.StringIO(benchmark_table(runs).to_csv(index=False)))
    zero_shot = found[found["task"] == "zeroshot_classification"]
    assert zero_shot[["dataset", "acc1", "acc5", "mean_per_class_recall"]].to_numpy().tolist() == [
        ["textures", 0.9, 0.99, 0.9],
        ["textures-gaussian-1.00", 0.5, 0.8, 0.5],
    ]
    assert set(zero_shot["model_fullname"]) == {"texture-clip laion2b"}
    probe = found[found["task"] == "linear_probe"]
    assert probe["lp_acc1"].tolist() == [0.95, 0.6, 0.95, 0.6]
    assert probe["acc1"].isna().all()


def test_the_classifier_that_all_runs_have() -> None:
    assert common_classifier([made_run("a"), made_run("b")]) == "zero_shot"
    assert common_classifier([made_run("a"), made_run("b", metrics=NO_TEXT)]) == "probe"


def test_runs_with_other_measures_are_left_out() -> None:
    """Those that most runs have are pooled; settings of a graph say nothing where there is none."""
    runs = [
        made_run("a"),
        made_run("b", {"persistence.neighbours": 15}),
        made_run("c", {"persistence.metric": "diffusion", "persistence.neighbours": 15}),
    ]
    found = pool(runs)
    assert [run.name for run in found.runs] == ["a", "b"]
    (line,) = found.left_out
    assert line.startswith("c: other measures than most runs have: persistence.metric diffusion")


def test_a_run_of_before_a_setting_has_its_default() -> None:
    old = made_run("old")
    older = Run(**{**vars(old), "name": "older", "params": dict(old.params)})
    older.params.pop("persistence.metric")  # type: ignore[attr-defined]
    assert older.definitions == old.definitions


def test_the_same_embeddings_count_once() -> None:
    runs = [made_run("a"), made_run("b", checksums={"data/embeddings": "a.dir"})]
    found = pool(runs)
    assert [run.name for run in found.runs] == ["a"]
    assert found.left_out == ["b: same embeddings as a"]


def test_a_run_without_tables_is_named() -> None:
    runs = [made_run("a"), made_run("b", measures=None, why="data/claims is not in the cache")]
    assert pool(runs).left_out == ["b: data/claims is not in the cache"]


def test_a_run_without_the_classifier_asked_for_is_left_out() -> None:
    runs = [made_run("a"), made_run("b", metrics=NO_TEXT)]
    assert pool(runs, "zero_shot").left_out == ["b: no zero_shot accuracy"]
    assert pool(runs).classifier == "probe"


def test_other_images_are_another_data_set() -> None:
    runs = [
        made_run("a"),
        made_run("b", {"fetch.seed": 1}, checksums={"data/images": "other.dir"}),
        made_run("c", {"fetch.source": "/photographs/dtd"}, checksums={"data/images.csv": "t"}),
    ]
    found = pooled_measures(pool(runs))
    assert found.groupby("run")["data"].unique().map(list).to_dict() == {
        "a": ["textures"],
        "b": ["textures (2)"],
        "c": ["dtd"],
    }
    drops = pooled_drops(pool(runs))
    assert len(drops) == len(runs) * len(CLASSES)
    assert set(drops.columns) >= {"run", "model", "data", "class", "noise", "drop"}
