"""The names of the files of features that were computed elsewhere; loads no library."""

from pathlib import Path

FOLDER = "features"  # within the data set that fetch writes
TABLE, PARQUET, CLEAN = "images.csv", "images.parquet", "image_features.npy"
CLASSES, TEXT, ENCODER = "classes.csv", "text_features.npy", "encoder.json"
NOISY = "image_features_*"


def holds_features(folder: Path) -> bool:
    """Whether a folder is one of features, complete or not, and none of images."""
    if any((folder / name).exists() for name in (CLEAN, PARQUET)):
        return True
    return (folder / TABLE).exists() and not (folder / "images").exists()


def source_files(folder: Path) -> list[Path]:
    """The paths in a folder of features that may be read, there or not."""
    names = (TABLE, PARQUET, CLEAN, CLASSES, TEXT, ENCODER)
    return [*(folder / name for name in names), *sorted(folder.glob(NOISY))]
