"""The contrastive loss, the schedule, the views and the measures, on answers known by hand."""

import math

import numpy as np
import pytest
import torch

from stages.core.training.captions import Facts, caption
from stages.core.training.comparison import (
    SHOWN,
    Comparison,
    cosine_table,
    pair_cosines,
    recall_at_1,
    similarity_table,
)
from stages.core.training.contrastive import Schedule, batch_rows, contrastive_loss
from stages.core.training.held_out import held_out_loss
from stages.core.training.views import Normalisation, augment

SCHEDULE = Schedule(
    steps=110,
    warmup_steps=10,
    learning_rate=1.0,
    batch_size=4,
    noise=0.0,
    seed=0,
)


def test_loss_of_three_pairs_by_hand() -> None:
    # Unit rows in three dimensions: the images are the axes, so the logits are the captions' own
    # coordinates times the scale.
    texts = np.array([[0.8, 0.6, 0.0], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    logits = 2.0 * texts.T  # image i, caption j
    rows = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    columns = np.log(np.exp(logits).sum(axis=0)) - np.diag(logits)
    by_hand = (rows.mean() + columns.mean()) / 2
    loss = contrastive_loss(torch.eye(3).double(), torch.from_numpy(texts), torch.tensor(2.0))
    assert loss.item() == pytest.approx(by_hand, rel=1e-12)
    comparison = Comparison(texts.T, ["a", "b", "c"], 2.0)
    assert held_out_loss(comparison, 3) == pytest.approx(by_hand, rel=1e-12)


def test_guessing_costs_the_logarithm_of_the_batch() -> None:
    same = torch.ones(8, 1)
    assert contrastive_loss(same, same, torch.tensor(5.0)).item() == pytest.approx(math.log(8))


def test_rate_rises_linearly_and_falls_to_zero_by_a_cosine() -> None:
    assert SCHEDULE.rate(0) == pytest.approx(0.1)
    assert SCHEDULE.rate(9) == pytest.approx(1.0)
    assert SCHEDULE.rate(60) == pytest.approx(0.5)
    assert SCHEDULE.rate(110) == pytest.approx(0.0)


def test_every_pair_is_used_once_an_epoch() -> None:
    rows = np.concatenate([batch_rows(20, step, SCHEDULE) for step in range(5)])
    assert sorted(rows) == list(range(20))
    assert list(batch_rows(20, 7, SCHEDULE)) == list(batch_rows(20, 7, SCHEDULE))
    assert list(batch_rows(20, 0, SCHEDULE)) != list(batch_rows(20, 5, SCHEDULE))


def test_views_have_the_models_size_and_depend_on_the_generator_alone() -> None:
    pixels = torch.randint(0, 256, (3, 20, 20, 3), dtype=torch.uint8)
    normalisation = Normalisation(16, np.zeros(3), np.ones(3))
    first, second = (
        augment(pixels, normalisation, 0.5, np.random.default_rng(1)) for _ in range(2)
    )
    assert first.shape == (3, 3, 16, 16)
    assert torch.equal(first, second)
    other = augment(pixels, normalisation, 0.5, np.random.default_rng(2))
    assert not torch.equal(first, other)


def test_a_view_of_a_plain_image_is_plain_without_noise() -> None:
    pixels = torch.full((4, 20, 20, 3), 128, dtype=torch.uint8)
    normalisation = Normalisation(16, np.zeros(3), np.ones(3))
    views = augment(pixels, normalisation, 0.0, np.random.default_rng(0))
    assert views.amax(dim=(1, 2, 3)) == pytest.approx(views.amin(dim=(1, 2, 3)), abs=1e-5)


def test_recall_counts_equal_captions_as_right() -> None:
    cosines = np.array([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.5, 0.0, 0.2]])
    assert recall_at_1(Comparison(cosines, ["a", "a", "b"], 1.0)) == pytest.approx((2 / 3, 1.0))
    assert recall_at_1(Comparison(cosines, ["a", "c", "b"], 1.0)) == pytest.approx((0.0, 1 / 3))


def test_matching_pairs_lie_on_the_diagonal() -> None:
    cosines = np.array([[1.0, 0.2], [0.3, 0.9]])
    matching, mismatched = pair_cosines(Comparison(cosines, ["a", "b"], 1.0))
    assert list(matching) == [1.0, 0.9]
    assert list(mismatched) == [0.2, 0.3]


def test_histograms_of_cosines_by_hand() -> None:
    before = Comparison(np.array([[0.01, -0.99], [-0.99, 0.01]]), ["a", "b"], 1.0)
    after = Comparison(np.array([[0.99, 0.01], [0.01, 0.99]]), ["a", "b"], 1.0)
    table = cosine_table(before, after)
    filled = table[table["density"] > 0]
    assert filled[["time", "pairs"]].to_numpy().tolist() == [
        ["before", "matching"],
        ["before", "mismatched"],
        ["after", "matching"],
        ["after", "mismatched"],
    ]
    np.testing.assert_allclose(filled["cosine"], [0.0125, -0.9875, 0.9875, 0.0125])
    np.testing.assert_allclose(filled["density"], 1 / 0.025)  # all in one of 80 bins


def test_similarities_of_a_batch_are_in_the_order_of_names() -> None:
    cosines = np.array([[0.11111, 0.2], [0.3, 1.0000001]], dtype=np.float32)
    comparison = Comparison(cosines, ["of b", "of a"], 1.0)
    table = similarity_table(comparison, comparison, ["b", "a"])
    assert table["time"].tolist() == ["before"] * 4 + ["after"] * 4
    before = table[table["time"] == "before"]
    assert before[["image", "caption"]].agg(" ".join, axis=1).tolist() == [
        "a a", "a b", "b a", "b b",
    ]  # fmt: skip
    assert before["cosine"].tolist() == [1.0, 0.3, 0.2, 0.111]
    many = Comparison(np.zeros((60, 60), np.float32), [""] * 60, 1.0)
    assert len(similarity_table(many, many, [f"{i:02d}" for i in range(60)])) == 2 * SHOWN**2


def test_captions_always_name_an_attribute_and_vary() -> None:
    facts = Facts(("striped", "polka-dotted"), ("red", "sky blue"), "fine")
    captions = {caption(facts, np.random.default_rng(seed)) for seed in range(60)}
    assert len(captions) > 20
    assert all("striped" in text or "polka-dotted" in text for text in captions)
    assert any("red and sky blue" in text for text in captions)
    assert any("fine" in text for text in captions)
