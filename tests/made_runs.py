"""Runs of a study that were never made, for tests of what is learned from many."""

from typing import Any

import numpy as np
import pandas as pd

from stages.core.across.runs import Run

CLASSES = [f"class {i:02d}" for i in range(12)]
PARAMS: dict[str, Any] = {
    "embed.model": "texture-clip",
    "embed.pretrained": None,
    "embed.noise_kind": "gaussian",
    "embed.noise_space": "normalised",
    "embed.noise_levels": [0.0, 1.0],
    "embed.seed": 0,
    "fetch.source": "textures",
    "persistence.metric": "euclidean",
    "persistence.max_dim": 1,
}
METRICS: dict[str, Any] = {
    "classify.noise_0.00.zero_shot_top1": 0.9,
    "classify.noise_0.00.zero_shot_top1_low": 0.85,
    "classify.noise_0.00.zero_shot_top1_high": 0.94,
    "classify.noise_0.00.zero_shot_top5": 0.99,
    "classify.noise_0.00.zero_shot_mean_per_class": 0.9,
    "classify.noise_0.00.probe_top1": 0.95,
    "classify.noise_0.00.probe_top1_low": 0.9,
    "classify.noise_0.00.probe_top1_high": 0.97,
    "classify.noise_1.00.zero_shot_top1": 0.5,
    "classify.noise_1.00.zero_shot_top1_low": 0.45,
    "classify.noise_1.00.zero_shot_top1_high": 0.55,
    "classify.noise_1.00.zero_shot_top5": 0.8,
    "classify.noise_1.00.zero_shot_mean_per_class": 0.5,
    "classify.noise_1.00.probe_top1": 0.6,
    "headline.drift@1": 0.31,
    "headline.wasserstein_h1_over_draws@1": 1.44,
    "claims.topology_follows_zero_shot.verdict": "holds",
    "claims.topology_adds_zero_shot.verdict": "undecided",
}
CHECKSUMS = {"data/images": "i.dir", "data/images.csv": "s", "data/model": "m.dir"}


def claims_table(verdict: str = "holds") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": ["7", "8"],
            "claim": ["accuracy_falls_zero_shot", "topology_follows_zero_shot"],
            "statement": ["accuracy falls", "topological change follows the loss of accuracy"],
            "verdict": ["holds", verdict],
        }
    )


def made_run(
    name: str,
    params: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    checksums: dict[str, str] | None = None,
    **others: Any,
) -> Run:
    """A run that differs from the one above in what is given; its tables are noise by its name."""
    generator = np.random.default_rng(sum(map(ord, name)))
    classes, measures = CLASSES, ["displacement", "wasserstein_h1"]
    given: dict[str, Any] = {
        "claims": claims_table(),
        "measures": pd.DataFrame(
            {
                "class": np.repeat(classes, len(measures)),
                "noise": 1.0,
                "measure": measures * len(classes),
                "value": generator.standard_normal(len(classes) * len(measures)),
            }
        ),
        "drops": pd.DataFrame(
            [
                {"class": each, "noise": 1.0, "classifier": key, "drop": generator.uniform(-1, 1)}
                for each in classes
                for key in ("zero_shot", "probe")
            ]
        ),
    }
    return Run(
        name,
        PARAMS | (params or {}),
        METRICS | (metrics or {}),
        CHECKSUMS | {"data/embeddings": f"{name}.dir"} | (checksums or {}),
        **{**given, **others},
    )
