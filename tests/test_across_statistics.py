"""Statistics over several runs: answers known by hand, and other implementations."""

import numpy as np
import pandas as pd
import pytest

from stages.core.across import levels, pooled, prediction
from stages.core.across.panel import runs_of
from stages.core.across.resampling import (
    correlations,
    permutations,
    permuted_correlations,
    permuted_partial_correlations,
    rank_products,
    resampled_correlations,
    resampled_counts,
    run_weights,
)
from stages.core.claims.finding import Finding
from stages.core.evaluation.statistics import smooth_residual, spearman
from stages.core.runtime import parallel
from stages.core.runtime.errors import StudyError
from tests.simulated_runs import tables

KINDS = {"moved": "plain", "score": "rival", "shape": "topological", "holes": "topological"}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies as small as these take less time than starting processes does."""
    monkeypatch.setattr(parallel, "available_cores", lambda: 1)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(seed: int, runs: int = 3, steps: int = 2, classes: int = 12) -> np.ndarray:
    return generator(seed).standard_normal((runs, steps, classes))


def some_runs(**given: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of measures that nothing connects, but for those given; and drops."""
    drops = given.pop("drops", noise(99))
    values = {key: given.get(key, noise(i, *drops.shape)) for i, key in enumerate(KINDS)}
    return tables(values, drops)


def pooled_of(
    measures: pd.DataFrame, drops: pd.DataFrame, replicates: int = 199
) -> dict[str, pd.DataFrame]:
    return pooled.pooled_effects(measures, drops, KINDS, replicates, 0.95, 0)


def row(table: pd.DataFrame, **where: object) -> pd.Series:
    """The one row where the columns are as given."""
    rows = table[np.logical_and.reduce([table[key] == value for key, value in where.items()])]
    assert len(rows) == 1
    return rows.iloc[0]


def verdict(found: list[Finding], key: str) -> str:
    return next(one.verdict for one in found if one.key == key)


# Resamples and permutations


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0, -1.0, 0.5], [2.0, 2.0, 0.0, 1.0, 0.0]])
def test_a_resample_s_correlation_is_that_of_its_subjects(values: list[float]) -> None:
    x, y = np.array(values), np.array([1.0, 0.0, 2.0, 2.0, 5.0])
    counts = resampled_counts(5, 50, generator())
    assert (counts.sum(axis=1) == 5).all()
    found = resampled_correlations(x[:, None], y, counts)[:, 0]
    drawn = np.array([np.repeat(np.arange(5), each.astype(int)) for each in counts])
    np.testing.assert_allclose(found, spearman(x[drawn], y[drawn]), atol=1e-9)


def test_partial_correlations_of_resamples_are_those_of_their_subjects() -> None:
    columns = generator(1).standard_normal((20, 5))  # two controls, two measures, the drop
    counts = np.vstack([np.ones(20), resampled_counts(20, 30, generator())])
    found = correlations(rank_products(columns, counts), 2)
    drawn = np.array([np.repeat(np.arange(20), each.astype(int)) for each in counts])
    for place in (2, 3):
        x, y, controls = columns[:, place][drawn], columns[:, 4][drawn], columns[:, :2][drawn]
        np.testing.assert_allclose(found[:, place - 2], spearman(x, y, controls), atol=1e-6)


def test_a_control_given_twice_takes_out_what_it_does_once() -> None:
    a, x, y = generator(2).standard_normal((3, 20))
    once, twice = (np.column_stack([*[a] * k, x, y]) for k in (1, 2))
    ones = np.ones((1, 20))
    found = correlations(rank_products(twice, ones), 2)
    np.testing.assert_allclose(found, correlations(rank_products(once, ones), 1), atol=1e-6)


def test_a_constant_has_no_correlation() -> None:
    x, y, ones = np.ones((9, 1)), np.arange(9.0), np.ones((1, 9))
    assert np.isnan(resampled_correlations(x, y, ones)).all()
    assert np.isnan(permuted_correlations(x, y, np.arange(9)[None])).all()
    own = np.column_stack([y, y, generator().standard_normal(9)])
    assert np.isnan(correlations(rank_products(own, ones), 1)).all()


def test_permuted_correlations_are_those_of_the_permuted_side() -> None:
    x = generator(3).integers(4, size=(15, 2)).astype(float)
    y = generator(4).integers(4, size=15).astype(float)
    orders = permutations(15, 20, generator())
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(15), (20, 1)))
    expected = np.stack([spearman(column, y[orders]) for column in x.T], axis=1)
    np.testing.assert_allclose(permuted_correlations(x, y, orders), expected, atol=1e-12)


def test_permuted_residuals_are_added_to_their_fit_and_ranked_anew() -> None:
    x, controls = generator(5).standard_normal((15, 2)), generator(6).standard_normal((15, 2))
    y = generator(7).standard_normal(15) + controls[:, 0] ** 2
    orders = permutations(15, 20, generator())
    of_y, of_x = permuted_partial_correlations(x, y, controls, orders)
    left = smooth_residual(y, controls)
    for place, column in enumerate(x.T):
        expected = spearman(column, y - left + left[orders], controls)
        np.testing.assert_allclose(of_y[:, place], expected)
        own = smooth_residual(column, controls)
        expected = spearman(column - own + own[orders], y, controls)
        np.testing.assert_allclose(of_x[:, place], expected)


def test_runs_of_a_model_are_resampled_together_and_two_models_say_nothing_of_others() -> None:
    assert run_weights(["a", "a", "b"], 50, 0) is None
    weights = run_weights(["a", "a", "b", "c"], 50, 0)
    assert weights is not None
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    assert len(np.unique(weights.round(9), axis=0)) > 3


# Runs, aligned


def test_of_a_group_the_classes_that_all_its_runs_have_count() -> None:
    measures, drops = some_runs()
    lacks_one = (drops["run"] == "textures 01") & (drops["class"] == "class 03")
    lacks = (measures["run"] == "textures 02") & (measures["class"] == "class 07")
    once = lacks & (measures["noise"] == 1.0) & (measures["measure"] == "shape")
    other, other_drops = tables({key: noise(7) for key in KINDS}, noise(8), "photographs")
    runs = runs_of(
        pd.concat([measures[~once], other]), pd.concat([drops[~lacks_one], other_drops]), [*KINDS]
    )
    assert [run.name for run in runs[:3]] == [f"photographs {i:02d}" for i in range(3)]
    assert [len(run.classes) for run in runs] == [12] * 3 + [10] * 3
    assert not {"class 03", "class 07"} & set(runs[-1].classes)
    kept = drops[(drops["run"] == "textures 01") & drops["class"].isin(runs[4].classes)]
    np.testing.assert_array_equal(runs[4].drops.ravel(), kept["drop"])


def test_a_run_with_few_classes_takes_none_from_the_others_and_is_apart() -> None:
    measures, drops = some_runs()
    drops = drops[(drops["run"] != "textures 00") | (drops["class"] < "class 09")]
    assert [len(run.classes) for run in runs_of(measures, drops, [*KINDS])] == [9, 12, 12]
    found = pooled_of(measures, drops)
    apart = found["effects"][found["effects"]["run"] == "textures 00"]
    assert not apart["pooled"].any()
    assert apart["rho"].notna().all()
    assert (apart["classes"] == 9).all()
    assert (found["pooled"]["runs"] == 2).all()


def test_levels_that_one_table_lacks_do_not_count() -> None:
    measures, drops = some_runs()
    runs = runs_of(measures, drops[drops["noise"] != 0.5], [*KINDS])
    assert [run.levels for run in runs] == [(1.0,)] * 3


def test_a_table_without_a_column_and_an_unknown_kind_are_refused() -> None:
    measures, drops = some_runs()
    with pytest.raises(StudyError, match="drops: no column data"):
        pooled_of(measures, drops.drop(columns="data"))
    with pytest.raises(StudyError, match="kinds: shape is round"):
        pooled.pooled_effects(measures, drops, KINDS | {"shape": "round"}, 99, 0.95, 0)
    with pytest.raises(StudyError, match="left_out: class"):
        prediction.prediction(measures, drops, KINDS, 99, 0.95, 0, "class")
    with pytest.raises(StudyError, match="drops: no column noise_kind"):
        levels.across_models(measures, drops.drop(columns="noise_kind"), KINDS, 99, 0.95, 0)


# The question, pooled


def test_a_perfect_relation_holds_and_its_opposite_fails() -> None:
    drops = noise(99)
    follows = pooled_of(*some_runs(drops=drops, shape=np.exp(drops), holes=-drops))
    best = row(follows["pooled"], measure="shape", controlled=False)
    assert tuple(best[["rho", "low", "high", "low_runs", "high_runs"]]) == pytest.approx([1.0] * 5)
    assert best["p_value"] == pytest.approx(1 / 200)
    assert best["p_holm"] == pytest.approx(2 / 200)
    assert row(follows["pooled"], measure="holes", controlled=False)["p_value"] == 1.0
    assert verdict(pooled.findings(follows["pooled"]), "topology_follows_across_runs") == "holds"
    assert verdict(pooled.findings(follows["pooled"]), "topology_adds_across_runs") == "holds"
    against = pooled_of(*some_runs(drops=drops, shape=-drops, holes=-drops))
    assert verdict(pooled.findings(against["pooled"]), "topology_follows_across_runs") == "fails"


def test_an_effect_is_the_mean_over_levels_and_the_pooled_one_that_over_runs() -> None:
    measures, drops = some_runs()
    found = pooled_of(measures, drops)
    columns = ["measure", "class"]
    wide = measures.pivot_table(index=["run", "noise"], columns=columns, values="value")
    lost = drops.pivot_table(index=["run", "noise"], columns="class", values="drop")
    rhos = spearman(wide["shape"].to_numpy(), lost.to_numpy()).reshape(3, 2)
    partial = spearman(
        wide["shape"].to_numpy(), lost.to_numpy(), wide["moved"].to_numpy()[..., None]
    ).reshape(3, 2)
    for controlled, expected in ((False, rhos), (True, partial)):
        of = {"measure": "shape", "controlled": controlled}
        for i, of_run in enumerate(expected):
            assert row(found["effects"], run=f"textures {i:02d}", **of)["rho"] == pytest.approx(
                of_run.mean(), abs=1e-6
            )
        assert row(found["pooled"], **of)["rho"] == pytest.approx(expected.mean(), abs=1e-6)


def test_runs_that_are_copies_have_the_p_value_of_one() -> None:
    """Permuted apart, twelve copies would seem twelve times the data."""
    one = {key: noise(i, 1, 1, 12) for i, key in enumerate(KINDS)}
    drops = noise(99, 1, 1, 12) + one["shape"] / 2
    single = pooled_of(*tables(one, drops), replicates=999)["pooled"]
    twelve = {key: np.repeat(value, 12, axis=0) for key, value in one.items()}
    copies = pooled_of(*tables(twelve, np.repeat(drops, 12, axis=0)), replicates=999)["pooled"]
    columns = ["rho", "low", "high", "p_value", "p_holm"]
    pd.testing.assert_frame_equal(copies[columns], single[columns])


def test_groups_are_permuted_apart() -> None:
    """Two groups that agree tell more than one does."""
    drops = noise(99, 3, 1, 12)
    shape = drops + 1.5 * np.repeat(noise(50, 1, 1, 12), 3, axis=0)
    one = some_runs(drops=drops, shape=shape)
    other = tables({key: noise(i, 3, 1, 12) for i, key in enumerate(KINDS)}, drops, "photographs")
    measures = other[0].copy()
    measures.loc[measures["measure"] == "shape", "value"] = shape.ravel()
    both = pooled_of(pd.concat([one[0], measures]), pd.concat([one[1], other[1]]), replicates=1999)
    alone = pooled_of(*one, replicates=1999)
    of = {"measure": "shape", "controlled": False}
    together = row(both["pooled"], **of)
    assert together["classes"] == 24
    assert together["runs"] == 6
    assert together["rho"] == pytest.approx(row(alone["pooled"], **of)["rho"])
    assert together["p_value"] < row(alone["pooled"], **of)["p_value"]


def test_losses_that_tie_everywhere_decide_nothing_and_some_ties_do_no_harm() -> None:
    found = pooled_of(*some_runs(drops=np.zeros((3, 2, 12))))
    assert found["pooled"]["rho"].isna().all()
    assert (found["pooled"]["p_value"] == 1).all()
    assert {one.verdict for one in pooled.findings(found["pooled"])} == {"undecided"}
    drops = np.round(noise(99))
    tied = pooled_of(*some_runs(drops=drops, shape=drops))["pooled"]
    assert row(tied, measure="shape", controlled=False)["rho"] == pytest.approx(1.0)


def test_a_level_at_which_nothing_varies_is_left_out_of_its_run_s_effect() -> None:
    drops = noise(99)
    drops[:, 0] = 0.25
    found = pooled_of(*some_runs(drops=drops, shape=drops))["pooled"]
    assert row(found, measure="shape", controlled=False)["rho"] == pytest.approx(1.0)


def test_a_measure_that_a_run_lacks_is_of_the_other_runs() -> None:
    measures, drops = some_runs()
    of_run = measures["run"] == "textures 01"
    without = pooled_of(measures[~(of_run & (measures["measure"] == "shape"))], drops)["pooled"]
    assert set(without.loc[without["measure"] == "shape", "runs"]) == {2}
    assert set(without.loc[without["measure"] == "holes", "runs"]) == {3}
    # What is not controlled for as elsewhere is not pooled with it.
    without = pooled_of(measures[~(of_run & (measures["measure"] == "moved"))], drops)["pooled"]
    assert set(without.loc[without["controlled"], "runs"]) == {2}
    assert row(without, measure="holes", controlled=False)["runs"] == 3


@pytest.mark.parametrize(("runs", "classes"), [(1, 12), (2, 12), (3, 9)])
def test_few_runs_or_classes_decide_nothing(runs: int, classes: int) -> None:
    drops = noise(99, runs, 1, classes)
    found = pooled_of(*some_runs(drops=drops, shape=drops, holes=drops))
    assert {one.verdict for one in pooled.findings(found["pooled"])} == {"undecided"}
    assert len(found["effects"]) == 7 * runs


def test_no_runs_make_empty_tables() -> None:
    measures, drops = some_runs()
    found = pooled_of(measures[:0], drops[:0])
    assert found["effects"].empty
    assert (found["pooled"]["runs"] == 0).all()
    assert {one.verdict for one in pooled.findings(found["pooled"])} == {"undecided"}


def test_the_tables_are_those_of_the_schemas() -> None:
    measures, drops = some_runs(drops=noise(99, 5))
    found = pooled_of(measures, drops)
    found |= levels.across_models(measures, drops, KINDS, 99, 0.95, 0)
    found |= prediction.prediction(measures, drops, KINDS, 99, 0.95, 0)
    for key, schema in (pooled.TABLES | levels.TABLES | prediction.TABLES).items():
        assert list(found[key].columns) == schema.names
        assert not found[key][list(schema.key)].duplicated().any()
        missing = found[key].isna().any()
        assert not missing[[c.name for c in schema.columns if not c.missing]].any()


# Models at equal levels


def two_noises(means: np.ndarray, losses: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(2, models) means of `shape` and losses, under two kinds of noise; 10 classes, 1 level."""
    models = means.shape[1]
    spread = np.tile(np.linspace(-0.1, 0.1, 10), (2 * models, 1, 1))
    values = {key: noise(i, 2 * models, 1, 10) for i, key in enumerate(KINDS)}
    values["shape"] = means.reshape(-1, 1, 1) + spread
    names = [f"model {i}" for i in range(models)] * 2
    kinds = ["gaussian"] * models + ["uniform"] * models
    return tables(values, losses.reshape(-1, 1, 1) + spread, models=names, noise_kinds=kinds)


def test_models_are_compared_within_a_kind_of_noise() -> None:
    """One kind of noise costs everyone more: across kinds the relation would be reversed."""
    order = np.arange(7.0)
    tables_of = two_noises(np.array([order, order - 100]), np.array([order, order + 100]))
    found = levels.across_models(*tables_of, KINDS, 999, 0.95, 0)
    shape = row(found["levels"], measure="shape")
    assert (shape["rho"], shape["cells"], shape["models"]) == (pytest.approx(1.0), 2, 7)
    assert shape["p_value"] < 0.005
    assert (found["cells"].loc[found["cells"]["measure"] == "shape", "models"] == 7).all()
    assert verdict(levels.findings(found["levels"]), "topology_follows_across_models") == "holds"


def test_a_cell_s_correlation_is_that_of_the_means_of_runs() -> None:
    means, losses = generator(1).standard_normal((2, 2, 6))
    found = levels.across_models(*two_noises(means, losses), KINDS, 99, 0.95, 0)
    cells = found["cells"][found["cells"]["measure"] == "shape"]
    expected = spearman(means, losses)
    np.testing.assert_allclose(cells["rho"], expected)
    assert row(found["levels"], measure="shape")["rho"] == pytest.approx(expected.mean())


def test_few_models_decide_nothing() -> None:
    order = np.arange(4.0)
    tables_of = two_noises(np.array([order, order]), np.array([order, order]))
    found = levels.across_models(*tables_of, KINDS, 99, 0.95, 0)
    assert found["cells"].empty
    assert {one.verdict for one in levels.findings(found["levels"])} == {"undecided"}


def test_models_change_places_only_with_those_of_the_same_cells() -> None:
    there = np.array([[1, 1], [1, 1], [1, 0], [1, 0], [0, 1]], dtype=bool)
    orders = levels._within_blocks(there, 200, generator())
    assert {frozenset(row) for row in orders[:, :2].tolist()} == {frozenset({0, 1})}
    assert {tuple(row) for row in orders[:, 2:4].tolist()} == {(2, 3), (3, 2)}
    assert (orders[:, 4] == 4).all()


# Prediction


def predicted(
    measures: pd.DataFrame, drops: pd.DataFrame, left_out: str = "run"
) -> dict[str, pd.DataFrame]:
    return prediction.prediction(measures, drops, KINDS, 199, 0.95, 0, left_out)


def test_what_topology_alone_knows_it_predicts() -> None:
    shape = noise(50, 6, 2, 24)
    measures, drops = tables(
        {key: noise(i, 6, 2, 24) for i, key in enumerate(KINDS)} | {"shape": shape}, 0.1 * shape
    )
    found = predicted(measures, drops)
    errors = found["errors"].groupby("features")["mae"].mean()
    assert set(errors.index) == set(prediction.FEATURES)
    assert errors["plain + topology"] < 0.5 * errors["plain"]
    gain = row(found["gains"], without="plain")
    assert gain["gain"] == pytest.approx(errors["plain"] - errors["plain + topology"])
    assert gain["mae_with"] == pytest.approx(errors["plain + topology"])
    verdicts = {one.key: one.verdict for one in prediction.findings(found["gains"])}
    expected = ["topology_predicts_a_new_run", "topology_predicts_a_new_run_beyond_rivals"]
    assert verdicts == dict.fromkeys(expected, "holds")


def test_the_mean_loss_is_that_of_other_runs_and_classes() -> None:
    """A run's own losses, 1 in the first and 0 elsewhere, are not in its prediction."""
    drops = np.zeros((3, 1, 12))
    drops[0] = 1.0
    measures, drops = some_runs(drops=drops)
    errors = predicted(measures, drops)["errors"]
    mean = errors[errors["features"] == "mean loss"].set_index("run")["mae"]
    assert mean.tolist() == pytest.approx([1.0, 0.5, 0.5])


def test_what_tells_classes_apart_predicts_nothing_of_a_class_that_was_not_seen() -> None:
    """Runs whose classes have each a loss and a shape of its own, without any connection."""
    shape, loss = (np.repeat(noise(i, 1, 1, 40), 8, axis=0) for i in (50, 51))
    measures, drops = tables(
        {key: noise(i, 8, 1, 40) for i, key in enumerate(KINDS)} | {"shape": shape}, 0.1 * loss
    )
    gains = predicted(measures, drops)["gains"]
    assert row(gains, without="plain")["gain"] < 0.1 * loss.std() / 10


def test_loss_of_margin_needs_labels_and_predicts_nothing() -> None:
    shape = noise(50, 6, 1, 12)
    kinds = KINDS | {"margin_loss": "plain"}
    values = {key: noise(i, 6, 1, 12) for i, key in enumerate(kinds)}
    measures, drops = tables(values | {"margin_loss": shape}, shape)
    with_margin = prediction.prediction(measures, drops, kinds, 99, 0.95, 0)
    without = prediction.prediction(measures, drops, KINDS, 99, 0.95, 0)
    pd.testing.assert_frame_equal(with_margin["errors"], without["errors"])


def test_all_runs_of_the_same_images_are_left_out_at_once() -> None:
    models = ["a", "a", "a", "b", "b", "c"]
    kinds = ["gaussian", "gaussian", "uniform", "gaussian", "uniform", "gaussian"]
    measures, drops = tables(
        {key: noise(i, 6, 1, 12) for i, key in enumerate(KINDS)},
        noise(9, 6, 1, 12),
        models=models,
        noise_kinds=kinds,
    )
    runs = runs_of(measures, drops, [*KINDS])
    assert prediction.units_of(drops, runs, "run") == [0, 0, 1, 2, 3, 4]
    assert prediction.units_of(drops, runs, "model") == [0, 0, 0, 1, 1, 2]
    lean = drops.drop(columns="noise_kind")
    assert prediction.units_of(lean, runs, "run") == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("runs", "classes"), [(1, 12), (5, 12), (6, 9)])
def test_few_runs_or_classes_predict_nothing(runs: int, classes: int) -> None:
    drops = noise(99, runs, 1, classes)
    found = predicted(*some_runs(drops=drops, shape=drops))
    assert {one.verdict for one in prediction.findings(found["gains"])} <= {"undecided"}


def test_a_penalty_is_chosen_on_runs_and_classes_held_out() -> None:
    """As scikit-learn's search by the same pairs does."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    draw = generator(3)
    z = draw.standard_normal((60, 8))
    y = z[:, 0] + draw.standard_normal(60)
    known = np.arange(60) < 45
    inner = [(np.arange(60) < 30, (np.arange(60) >= 30) & known)]
    found = prediction._ridge(z, y, known, ~known, inner)
    search = GridSearchCV(
        Ridge(),
        {"alpha": prediction.PENALTIES},
        scoring="neg_mean_absolute_error",
        cv=[tuple(map(np.flatnonzero, pair)) for pair in inner],
    ).fit(z[known], y[known])
    np.testing.assert_allclose(found, search.predict(z[~known]))


def test_interval_of_spearman_is_not_biased_by_ties_of_resamples() -> None:
    """In many runs together: the middle of the resamples is below rho, the interval about it."""
    draw = generator(8)
    y = draw.standard_normal((30, 1, 30))
    shape = 0.8 * y + 0.6 * draw.standard_normal((30, 1, 30))
    found = pooled.pooled_effects(
        *tables({"shape": shape}, y), {"shape": "topological"}, 499, 0.95, 0
    )
    found = found["pooled"]
    best = row(found, measure="shape", controlled=False)
    assert (best["high"] - best["rho"]) > 0.4 * (best["rho"] - best["low"])
