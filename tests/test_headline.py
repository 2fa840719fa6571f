"""The headline is what the stages said, by name."""

from pathlib import Path

import pytest

from stages.core.artifacts.diagrams import MOST_DIM
from stages.core.artifacts.metrics import Metrics
from stages.core.evaluation.headline import gather
from stages.core.runtime.errors import StudyError
from stages.core.runtime.params import read_params
from stages.core.topology.distances import DIAGRAM_DISTANCES
from stages.settings.headline import HeadlineParams
from tests.study import ROOT

EMBED = {"noise_0.00": {}, "noise_0.50": {"cosine_to_clean": 0.9}}
DISTANCES = {
    "classes": 4,
    "noise_0.50": {
        "h0": {
            "bottleneck": {"median": 0.1, "ratio_to_halves": 1.5},
            "wasserstein": {"median": 2.0, "ratio_to_draws": 1.2},
        },
        "h1": {
            "bottleneck": {"median": 0.3},
            "wasserstein": {"median": 4.0, "ratio_to_draws": 1.1, "ratio_to_halves": 1.05},
        },
    },
}
CLASSIFY = {
    "chance": 0.25,
    "noise_0.00": {"zero_shot_top1": 0.8, "probe_top1": 0.9},
    "noise_0.50": {"zero_shot_top1": 0.6, "probe_top1": 0.7},
}
CLAIMS = {
    "holds": 5,
    "fails": 2,
    "undecided": 1,
    "not_applicable": 3,
    "topology_follows_zero_shot": {"verdict": "holds"},
    "topology_adds_zero_shot": {"verdict": "undecided"},
    "topology_follows_probe": {"verdict": "fails"},
    "topology_adds_probe": {"verdict": "fails"},
}


def headline(**settings: object) -> dict:
    params = read_params(HeadlineParams, ROOT / "params.yaml", settings)
    metrics = {"embed": EMBED, "distances": DISTANCES, "classify": CLASSIFY, "claims": CLAIMS}
    return gather(
        params,
        *(Metrics(Path(f"metrics/{stage}.json"), stage, of) for stage, of in metrics.items()),
    )


def test_the_choices_are_those_of_the_distances_and_dimensions() -> None:
    """Named again in the settings, which would wait seconds for the libraries of the distances."""
    fields = HeadlineParams.model_json_schema()["properties"]
    assert fields["distance"]["enum"] == list(DIAGRAM_DISTANCES)
    assert fields["dim"]["maximum"] == MOST_DIM


def test_the_headline_of_the_default() -> None:
    assert headline() == {
        "accuracy_of": "zero_shot",
        "accuracy@0": 0.8,
        "accuracy@0.5": 0.6,
        "drift@0.5": 0.1,
        "wasserstein_h1_over_draws@0.5": 1.1,
        "claims_hold": 5,
        "claims_fail": 2,
        "claims_undecided": 1,
        "claims_not_applicable": 3,
        "follows": "holds",
        "adds": "undecided",
    }


def test_the_headline_of_another_classifier_and_distance() -> None:
    found = headline(classifier="probe", distance="bottleneck", dim=0)
    assert found["accuracy@0.5"] == 0.7
    assert found["bottleneck_h0_over_halves@0.5"] == 1.5
    assert found["follows"] == "fails"


def test_a_distance_without_a_baseline_is_left_out() -> None:
    assert not [name for name in headline(distance="bottleneck") if name.startswith("bottleneck")]


def test_a_level_that_only_one_stage_has_is_named() -> None:
    metrics = [
        Metrics(Path(f"metrics/{stage}.json"), stage, content)
        for stage, content in (
            ("embed", EMBED),
            ("distances", DISTANCES),
            ("classify", CLASSIFY | {"noise_2.00": CLASSIFY["noise_0.50"]}),
            ("claims", CLAIMS),
        )
    ]
    params = read_params(HeadlineParams, ROOT / "params.yaml")
    with pytest.raises(StudyError, match=r"embed\.json: no noise_2\.00; run 'dvc repro --force"):
        gather(params, *metrics)


def test_a_dimension_without_diagrams_is_named() -> None:
    with pytest.raises(StudyError, match=r"headline\.dim: 2, but .* persistence\.max_dim is lower"):
        headline(dim=2)
