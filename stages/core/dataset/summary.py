"""What a data set holds, in numbers: its sizes, splits, conversions and identical images."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from PIL import Image

from stages.core.dataset.images import CONVERSIONS
from stages.core.dataset.layout import SPLITS, Layout, class_of
from stages.core.dataset.reading import Tally


@dataclass(frozen=True)
class Seen:
    """What was met when images were read or generated: sides in pixels, conversions to RGB.

    The sides are None where there are features and no images. digests: {id: digest of the image's
    size and pixels, or of its features}, the same for identical ones alone.
    """

    smallest_side_px: int | None
    largest_side_px: int | None
    conversions: Counter
    digests: dict[str, str]


def digest_of(image: Image.Image) -> str:
    """A digest of an image's size and pixels, whatever the bytes of its file are."""
    return hashlib.blake2b(image.tobytes(), digest_size=16, key=b"%dx%d" % image.size).hexdigest()


def summary(
    kind: str,
    number: int,
    layout: Layout,
    seen: Seen,
    identical: Mapping[str, int],
    tally: Tally,
) -> dict:
    """The metrics of a data set; kind: of its source, number: of the split in use."""
    per_class = Counter(class_of(name) for name in layout.ids)
    attributes = sum(len(words) for words in layout.attributes.values())
    return {
        "source": kind,
        "classes": len(layout.classes),
        "images": len(layout.ids),
        "images_per_class": {"fewest": min(per_class.values()), "most": max(per_class.values())},
        "split": number,
        **split_counts(layout.index(number)),
        "attributes_per_image": round(attributes / len(layout.ids), 4),
        "smallest_side_px": seen.smallest_side_px,
        "largest_side_px": seen.largest_side_px,
        "converted": {name: seen.conversions[name] for name in CONVERSIONS},
        "identical": dict(identical),
        "disagreements": {part: tally.counts[part] for part in Tally.PARTS},
    }


def split_counts(index: pd.DataFrame) -> dict[str, int]:
    """{split: number of images} of an index."""
    return {split: int((index["split"] == split).sum()) for split in SPLITS}


def identical_images(index: pd.DataFrame, digests: Mapping[str, str]) -> dict[str, int]:
    """How many images show exactly what another does: the same pixels, once upright RGB.

    Their files may differ, as where one is a PNG and the other a BMP; an image that was saved
    anew as JPEG, scaled or cut is another image here. index: `Layout.index` of the split in use.
    """
    table = index.assign(digest=index["id"].map(digests))
    shown_in = {split: set(rows["digest"]) for split, rows in table.groupby("split")}

    def shared(split: str, other: str) -> int:
        return int(table.loc[table["split"] == split, "digest"].isin(shown_in[other]).sum())

    return {
        "of_test_in_train": shared("test", "train"),
        "of_test_in_val": shared("test", "val"),
        "of_val_in_train": shared("val", "train"),
        "repeated_within_a_split": int(table.duplicated(["split", "digest"]).sum()),
        "in_several_classes": int(
            (table.groupby("digest")["class"].transform("nunique") > 1).sum()
        ),
    }
