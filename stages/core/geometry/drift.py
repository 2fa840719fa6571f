"""What noise does to clouds of embeddings: how far images move, how far classes spread."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

Arrays = Mapping[tuple[float, int], np.ndarray]  # {(level, draw): (n, d)}, rows paired


def drift_of_level(arrays: Arrays, labels: pd.Series, level: float) -> dict[str, float]:
    """What noise of one level does to the cloud of all images and to those of the classes.

    spread_within_class: root mean square distance from the class mean, averaged over classes.
    distance_between_class_means: averaged over pairs of classes.
    length_of_mean: of the mean unit embedding; 1 where all images are embedded alike.
    cosine_to_clean, displacement: of an image, against its clean embedding, averaged.
    shared_displacement: length of the mean displacement, over the mean length.
    distance_between_draws: of two draws of the noise on the same image.
    All are averaged over the draws.
    """
    clean = np.asarray(arrays[0.0, 0], dtype=np.float64)
    draws = [np.asarray(a, dtype=np.float64) for (at, _), a in arrays.items() if at == level]
    rows = list(_rows_by_class(labels).values())
    means = [np.stack([cloud[own].mean(axis=0) for own in rows]) for cloud in draws]
    found: dict[str, list[Any]] = {
        "spread_within_class": [np.mean([spread(cloud[own]) for own in rows]) for cloud in draws],
        "length_of_mean": [np.linalg.norm(cloud.mean(axis=0)) for cloud in draws],
    }
    if len(rows) > 1:
        found["distance_between_class_means"] = [pdist(each).mean() for each in means]
    if level > 0:
        moved = [cloud - clean for cloud in draws]
        lengths = [displacements(clean, cloud).mean() for cloud in draws]
        found["cosine_to_clean"] = [(cloud * clean).sum(axis=1).mean() for cloud in draws]
        found["displacement"] = lengths
        found["shared_displacement"] = [
            np.linalg.norm(each.mean(axis=0)) / length if length > 0 else 0.0
            for each, length in zip(moved, lengths, strict=True)
        ]
    if len(draws) > 1:
        found["distance_between_draws"] = [np.linalg.norm(draws[0] - draws[1], axis=1).mean()]
    return {name: float(np.mean(values)) for name, values in found.items()}


def drift_table(arrays: Arrays, labels: pd.Series) -> pd.DataFrame:
    """How far noise moves all images, and the range of the classes: one row per noise level.

    | column | is |
    | --- | --- |
    | noise, images | the level; how many images there are |
    | cosine_to_clean | of an image, against its clean embedding, mean over images and draws |
    | cosine_q10, cosine_q90 | quantiles of it, over images and draws |
    | cosine_class_min, cosine_class_max | means of the classes that move most and least ... |
    | most_moved, least_moved | ... and their names; empty where nothing has moved |
    | displacement | Euclidean distance from the clean embedding, mean over images and draws |
    | spread | root mean square distance of the images from their mean, mean over draws |
    | spread_class_min, _mean, _max | the same of the images of a class, over the classes |
    """
    clean = np.asarray(arrays[0.0, 0], dtype=np.float64)
    classes = _rows_by_class(labels)
    rows = []
    for level in dict.fromkeys(level for level, _ in arrays):
        draws = np.stack([a for (at, _), a in arrays.items() if at == level]).astype(np.float64)
        cosines = np.minimum((draws * clean).sum(axis=2), 1)  # (draws, n)
        of_classes = {name: cosines[:, own].mean() for name, own in classes.items()}
        spreads = [np.mean([spread(cloud[own]) for cloud in draws]) for own in classes.values()]
        low, high = np.quantile(cosines, (0.1, 0.9))
        rows.append(
            {
                "noise": level,
                "images": len(labels),
                "cosine_to_clean": cosines.mean(),
                "cosine_q10": low,
                "cosine_q90": high,
                "cosine_class_min": min(of_classes.values()),
                "cosine_class_max": max(of_classes.values()),
                "most_moved": min(of_classes, key=of_classes.__getitem__) if level > 0 else "",
                "least_moved": max(of_classes, key=of_classes.__getitem__) if level > 0 else "",
                "displacement": displacements(clean, draws).mean(),
                "spread": np.mean([spread(cloud) for cloud in draws]),
                "spread_class_min": min(spreads),
                "spread_class_mean": np.mean(spreads),
                "spread_class_max": max(spreads),
            }
        )
    return pd.DataFrame(rows)


def spread(cloud: np.ndarray) -> float:
    """Root mean square distance of (m, d) points from their mean."""
    return float(np.sqrt(((cloud - cloud.mean(axis=0)) ** 2).sum(axis=1).mean()))


def displacements(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """(..., n) Euclidean distances of points from their clean ones: (n, d), (..., n, d)."""
    return np.linalg.norm(noisy - clean, axis=-1)


def _rows_by_class(labels: pd.Series) -> dict[str, np.ndarray]:
    """{class: the rows of its images}, by name."""
    positions = pd.Series(np.arange(len(labels))).groupby(labels.to_numpy()).indices
    return {name: positions[name] for name in sorted(positions)}
