"""What the pictures of a study are of: the line at the foot of each, and all classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stages.core.artifacts.embeddings import Embeddings
from stages.core.figures.style import short_name
from stages.core.vision.noise import KINDS, SPACES, level_unit
from stages.settings.fetch import NAMED_SOURCES


@dataclass(frozen=True)
class Study:
    """What pictures are of.

    foot: model, data set, kind of noise and unit of its level, in a line.
    classes: all of them in their order, which gives each its colour; empty where there are none
    yet.
    """

    foot: str
    classes: tuple[str, ...] = ()


def study_of(embeddings: Embeddings, source: str) -> Study:
    """The study of an embeddings artifact; source: the setting of `fetch`."""
    about = embeddings.encoder
    weights = f", weights {about['pretrained']}" if about.get("pretrained") else ""
    untrained = "" if about.get("trained", True) else ", untrained"
    count = embeddings.images["class"].nunique()
    noise = noise_of(about) if len(embeddings.levels) > 1 else "none"
    return Study(
        f"Model: {short_name(str(about['model']), 60)}{weights}{untrained}.  "
        f"Data: {data_set(source)}, {len(embeddings.images):,} images of {count:,} "
        f"class{'es' if count > 1 else ''}.  Noise: {noise}.",
        tuple(embeddings.classes),
    )


def data_set(source: str) -> str:
    """What a data set is called: the name of a source, or of the folder it came from."""
    return source if source in NAMED_SOURCES else short_name(Path(source).name or source, 40)


def noise_of(about: Mapping) -> str:
    """The noise of a study; about: the contents of encoder.json."""
    noise = about.get("noise")
    if not noise:
        return "of unknown kind"
    kind, space = noise.get("kind"), noise.get("space")
    if kind in KINDS and space in SPACES:
        return f"{KINDS[kind].label}, level: {level_unit(kind, space)}"
    if kind in KINDS:
        return f"{KINDS[kind].label}, level as in the files of the features"
    return f"{short_name(str(kind), 40)}, level as in the files of the features"
