"""Simulated measures and losses of accuracy of several runs, of which the truth is known."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

# How controls act on both sides of a correlation, all at once: (..., k) -> (...).
ACTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda c: c.sum(axis=-1),
    "exponential of the sum": lambda c: np.exp(c.sum(axis=-1)),
    "square of the sum": lambda c: c.sum(axis=-1) ** 2,
    "saturating": lambda c: np.tanh(2 * c.sum(axis=-1)),
}


def alike(
    draw: np.random.Generator, share: float, runs: int, levels: int, classes: int, *more: int
) -> np.ndarray:
    """(runs, levels, classes, ...) standard normal; a share of the variance is all runs' own."""
    common = draw.standard_normal((classes, *more))
    own = draw.standard_normal((runs, levels, classes, *more))
    return np.sqrt(share) * common + np.sqrt(1 - share) * own


def tables(
    values: Mapping[str, np.ndarray],
    drops: np.ndarray,
    data: str = "textures",
    models: list[str] | None = None,
    noise_kinds: list[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of measures and of drops, of arrays (runs, levels, classes).

    A run has a model of its own, unless models are given.
    """
    runs, levels, classes = drops.shape
    names = [f"{data} {i:02d}" for i in range(runs)]
    index = pd.MultiIndex.from_product(
        [names, [0.5 * (i + 1) for i in range(levels)], [f"class {i:02d}" for i in range(classes)]],
        names=["run", "noise", "class"],
    )
    base = index.to_frame(index=False)
    base["data"] = data
    base["model"] = np.repeat(models or [f"model {i:02d}" for i in range(runs)], levels * classes)
    base["noise_kind"] = np.repeat(noise_kinds or ["gaussian"] * runs, levels * classes)
    base["noise_space"] = "normalised"
    long = [base.assign(measure=key, value=value.ravel()) for key, value in values.items()]
    return pd.concat(long, ignore_index=True), base.assign(drop=drops.ravel())


def latent(rho: float) -> float:
    """Pearson's correlation of two normal variables whose Spearman's is rho."""
    return 2 * np.sin(np.pi * rho / 6)
