"""Refuse at the start what a later stage would, and note what the paths in params hold.

| output | holds |
| --- | --- |
| fetch.json, pretrain.json, embed.json | for each path that the settings of that stage name: the |
| | number and size of its files, and a checksum of their names and contents |

A stage depends on its own file, so that DVC runs it again where a file that its settings name has
changed, wherever that lies. This stage itself always runs; of what has not changed it looks at
sizes and times alone.
"""

import os
import typing
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from sqlite3 import Connection

import click

from stages.core.dataset.feature_files import holds_features, source_files
from stages.core.dataset.preview import Counts, expected_counts
from stages.core.geometry.spaces import SPACES
from stages.core.runtime.checksums import (
    File,
    checksum,
    file_at,
    files_below,
    known_checksums,
    outside_experiments,
)
from stages.core.runtime.command import params_option, path_option, refusing
from stages.core.runtime.errors import StudyError, printable, quoted
from stages.core.runtime.files import read_json, write_json
from stages.core.runtime.params import read_yaml, validated
from stages.core.runtime.paths import user_path
from stages.core.runtime.remote import storage_address
from stages.core.runtime.wording import classes_of, count
from stages.core.vision.model_files import (
    CONFIG_FILE,
    LOCAL,
    PRECOMPUTED,
    SHIPPED_MODEL,
    TIMM,
    names_a_checkpoint,
    own_file,
    require_in_study,
)
from stages.settings.angles import AnglesParams
from stages.settings.checks import (
    possible_neighbours,
    require_no_class_named_all,
    require_rank_of_images,
    require_room_for_kept,
    require_two_classes,
)
from stages.settings.claims import ClaimsParams
from stages.settings.classify import ClassifyParams
from stages.settings.distances import DistancesParams
from stages.settings.embed import EmbedParams
from stages.settings.fetch import FetchParams
from stages.settings.headline import HeadlineParams
from stages.settings.loops import LoopsParams
from stages.settings.persistence import PersistenceParams
from stages.settings.pretrain import PretrainParams
from stages.settings.project import ProjectParams

READ_BY_FETCH = ("images", "labels", "imdb")


@dataclass(frozen=True)
class Study:
    """The settings of all stages."""

    fetch: FetchParams
    pretrain: PretrainParams
    embed: EmbedParams
    project: ProjectParams
    angles: AnglesParams
    persistence: PersistenceParams
    distances: DistancesParams
    loops: LoopsParams
    classify: ClassifyParams
    claims: ClaimsParams
    headline: HeadlineParams


@dataclass(frozen=True)
class Source:
    """What a setting names: the files of it that a stage may read, by names relative to `top`.

    written: the path as it stands in params.
    """

    key: str
    written: str
    top: Path
    exists: bool
    files: Iterable[File]

    def is_as_noted(self, earlier: dict) -> bool:
        """Whether it is not here, as in a colleague's clone, but was where `earlier` was noted."""
        return not self.exists and earlier.get(self.key, {}).get("path") == self.written


@click.command(context_settings={"show_default": True})
@params_option("File whose sections hold the settings of all stages.")
@path_option("--sources", "data/sources", "Where the checksums of each stage's sources go.")
@path_option("--images", "data/images", "Where fetch will put the data set.")
@path_option("--model", "data/model", "Where pretrain will put its model.")
@path_option("--known", ".dvc/tmp/checksums.db", "Where the checksums of single files are kept.")
def preflight(params_file: Path, sources: Path, images: Path, model: Path, known: Path) -> None:
    """Refuse at the start what a later stage would, and note what the paths in params hold."""
    with refusing("preflight"):
        require_cluster()
        study = read_study(params_file)
        require_possible(study)
        if storage_address():
            require_in_study(study.embed.model, study.embed.pretrained)
        named = {
            "fetch": sources_of_fetch(study.fetch),
            "pretrain": sources_of_pretrain(study.pretrain, model),
            "embed": sources_of_embed(study.embed, model),
        }
        earlier = {stage: read_earlier(sources / f"{stage}.json") for stage in named}
        if not any(source.is_as_noted(earlier["fetch"]) for source in named["fetch"]):
            require_same_source(study)
            counts = expected_counts(study.fetch, images)
            require_fitting(study, counts)
            total = sum(map(sum, counts.values()))
            expected = f"{count(total, 'image')} of {classes_of(len(counts))}"
            click.echo(f"{expected} are to be expected")
            for line in pairs_without_classes(study.claims, counts):
                click.echo(line)
        with known_checksums(outside_experiments(known)) as database:
            found = {
                stage: {source.key: noted(source, earlier[stage], database) for source in of_stage}
                for stage, of_stage in named.items()
            }
        for stage, content in found.items():
            write_json(sources / f"{stage}.json", content)


def require_cluster() -> None:
    """Raise StudyError where STUDY_CLUSTER names a cluster that cannot compute the study."""
    if address := os.environ.get("STUDY_CLUSTER"):
        from stages.core.runtime.cluster import connected  # without one Dask is not needed

        connected(address)


def noted(source: Source, earlier: dict, database: Connection) -> dict:
    """The checksum of a source, as it goes into the file of its stage.

    Raises StudyError where it does not exist, and did not when `earlier` was noted.
    """
    if source.is_as_noted(earlier):
        click.echo(f"{source.key}: {source.written} is not here; taken to be as it was")
        return earlier[source.key]
    if not source.exists:
        raise StudyError(f"{source.key}: {quoted(source.written)}: no such file or folder")
    content = checksum(source.files, source.top, database)
    size = f"{count(content['files'], 'file')}, {count(content['bytes'], 'byte')}"
    click.echo(f"{source.key}: {size}")
    return {"path": source.written, **content}


def read_earlier(file: Path) -> dict:
    """What the last run noted; empty where nothing, or where it cannot be read."""
    try:
        content = read_json(file)
    except StudyError:
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {key: entry for key, entry in entries if isinstance(entry, dict)}


# Settings


def read_study(file: Path) -> Study:
    """All sections of a params file; raises StudyError for the first that is wrong."""
    content = read_yaml(file)
    sections = typing.get_type_hints(Study)
    for name in content:
        if name not in sections:
            raise StudyError(
                f"{file}: unknown section {quoted(name)}; known are {', '.join(sections)}"
            )
    return Study(**{name: validated(of, content, file) for name, of in sections.items()})


def require_possible(study: Study) -> None:
    """Raise StudyError for settings that do not go together, whatever the images are."""
    dim, largest = study.headline.dim, study.persistence.max_dim
    if dim > largest:
        raise StudyError(
            f"headline.dim: {dim}, but persistence.max_dim is {largest}; lower the one or raise "
            "the other"
        )


def require_same_source(study: Study) -> None:
    """Raise StudyError unless features are taken from features, and images are encoded."""
    source, model = study.fetch.source, study.embed.model
    of_features = study.fetch.kind == "folder" and holds_features(user_path(source, "fetch.source"))
    if of_features and model != PRECOMPUTED:
        raise StudyError(
            f"embed.model: {quoted(model)} encodes images, but fetch.source: {quoted(source)} "
            f"holds features; set embed.model: {PRECOMPUTED}"
        )
    if model == PRECOMPUTED and not of_features:
        raise StudyError(
            f"embed.model: {PRECOMPUTED}, but fetch.source: {quoted(source)} gives images; set "
            "fetch.source to a folder of features, or embed.model to a model"
        )


def require_fitting(study: Study, counts: Counts) -> None:
    """Raise StudyError for settings that ask more of the images than there will be."""
    where = "fetch.classes" if study.fetch.classes else f"fetch.source: {study.fetch.source}"
    require_two_classes(counts, where)
    require_no_class_named_all(counts, where)
    if SPACES[study.angles.space].takes_rank:
        images = {name: sum(parts) for name, parts in counts.items()}
        require_rank_of_images(study.angles.rank, images, study.angles.centre)
    project = study.project
    require_room_for_kept(list(counts), project.kept_classes, project.sampled_classes)
    train = sum(train for train, _, _ in counts.values())
    possible_neighbours(study.classify.knn_neighbours, train)


def pairs_without_classes(claims: ClaimsParams, classes: Collection[str]) -> list[str]:
    """A line for each setting that names pairs which are not both among the classes."""
    lines = []
    for key, number, pairs in (
        ("claims.neighbours", 1, claims.neighbours),
        ("claims.pairs", 2, claims.pairs),
    ):
        absent = [" and ".join(pair) for pair in pairs if not set(pair) <= set(classes)]
        if absent:
            lines.append(
                f"{key}: {printable(', '.join(absent))} are not both among the "
                f"{classes_of(len(classes))}; claim {number} will be not applicable to them"
            )
    return lines


# Sources


def sources_of_fetch(params: FetchParams) -> list[Source]:
    """The folder of images or features, of which fetch reads a data set's own files alone."""
    if params.kind != "folder":
        return []
    folder = user_path(params.source, "fetch.source").absolute()
    if holds_features(folder):
        files: Iterable[File] = chain.from_iterable(map(file_at, source_files(folder)))
    else:
        files = chain.from_iterable(files_below(folder / name) for name in READ_BY_FETCH)
    return [Source("fetch.source", params.source, folder, folder.is_dir(), files)]


def sources_of_pretrain(params: PretrainParams, model: Path) -> list[Source]:
    """The weights to start from, which must not be those that are about to be replaced."""
    found = weights_file("pretrain.init", params.init)
    for source in found:
        file = user_path(source.written, source.key)
        if file.resolve().is_relative_to(model.resolve()):
            raise StudyError(
                f"{source.key}: {quoted(str(file))} lies in {model}, which is about to be "
                "replaced; copy it elsewhere"
            )
    return found


def sources_of_embed(params: EmbedParams, model: Path) -> list[Source]:
    """A model's folder, a file of weights or code; what pretrain makes is known to DVC anyway."""
    found = weights_file("embed.pretrained", params.pretrained)
    own = own_file(params.model, "embed.model")
    written = params.model.removeprefix(f"{TIMM}{LOCAL}")
    folder = user_path(written, "embed.model").absolute()
    a_name = params.model in (SHIPPED_MODEL, PRECOMPUTED)
    a_folder = folder.is_dir() or written[:1] in ("/", "~", ".") or written != params.model
    if own is not None:
        top = own.file.absolute().parent
        modules = chain.from_iterable(map(file_at, sorted(top.glob("[!.]*.py"))))  # it may import
        found.append(Source("embed.model", params.model, top, own.file.is_file(), modules))
    elif a_folder and not a_name:
        source = Source("embed.model", params.model, folder, folder.is_dir(), files_below(folder))
        found.append(source)
    return [each for each in found if not each.top.resolve().is_relative_to(model.resolve())]


def weights_file(key: str, written: str | None) -> list[Source]:
    """A file of weights, with the configuration beside it; nothing for a tag of open_clip."""
    if written is None:
        return []
    file = user_path(written, key).absolute()
    if not (file.is_file() or names_a_checkpoint(written)):
        return []
    files = chain(file_at(file), file_at(file.parent / CONFIG_FILE))
    return [Source(key, written, file.parent, file.is_file(), files)]


if __name__ == "__main__":
    preflight()
