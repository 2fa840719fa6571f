"""Images and captions compared by a model: recall, and the cosines of pairs, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number

BINS = np.linspace(-1, 1, 81)  # of cosines
SHOWN = 47  # pairs in a similarity matrix: of generated images one of each attribute
SHOWN_DECIMALS = 3  # of its cosines: git holds the table, and the colour map has steps of 0.008

# The cosines of every image with every caption of one batch, before and after training: image by
# image, both in the order of their attributes.
SIMILARITIES = Schema(
    (name("time", "before", "after"), name("image"), name("caption"), number("cosine", -1, 1))
)


@dataclass(frozen=True)
class Comparison:
    """Held-out pairs as the model sees them.

    cosines: (n, n) float32 between images (rows) and captions (columns); captions: (n,) texts.
    """

    cosines: np.ndarray
    captions: list[str]
    logit_scale: float


def recall_at_1(comparison: Comparison) -> tuple[float, float]:
    """(image to text, text to image): how often the nearest has the same caption.

    Equal captions count as right, since nothing tells them apart.
    """
    captions = np.array(comparison.captions)
    to_text = captions[comparison.cosines.argmax(axis=1)] == captions
    to_image = captions[comparison.cosines.argmax(axis=0)] == captions
    return float(to_text.mean()), float(to_image.mean())


def pair_cosines(comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of the matching pairs (n,), and of the mismatched pairs (n (n - 1),)."""
    matching = np.eye(len(comparison.cosines), dtype=bool)
    return comparison.cosines[matching], comparison.cosines[~matching]


def cosine_table(before: Comparison, after: Comparison) -> pd.DataFrame:
    """Histograms of cosine similarity: time, pairs, cosine (middle of the bin), density."""
    tables = [
        pd.DataFrame(
            {
                "time": time,
                "pairs": pairs,
                "cosine": (BINS[1:] + BINS[:-1]) / 2,
                "density": np.histogram(cosines, BINS, density=True)[0],
            }
        )
        for time, comparison in (("before", before), ("after", after))
        for pairs, cosines in zip(("matching", "mismatched"), pair_cosines(comparison), strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def similarity_table(
    before: Comparison, after: Comparison, attributes: Sequence[str]
) -> pd.DataFrame:
    """The table of SIMILARITIES, of the first pairs.

    attributes: by which a pair is named, one of each image.
    """
    names = np.array(attributes[:SHOWN], dtype=object)
    order = np.argsort(names, kind="stable")
    named = names[order]
    tables = [
        pd.DataFrame(
            {
                "time": time,
                "image": np.repeat(named, len(named)),
                "caption": np.tile(named, len(named)),
                "cosine": comparison.cosines[np.ix_(order, order)]
                .astype(np.float64)
                .round(SHOWN_DECIMALS)
                .ravel(),
            }
        )
        for time, comparison in (("before", before), ("after", after))
    ]
    return pd.concat(tables, ignore_index=True)
