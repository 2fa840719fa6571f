"""Which images there are, their splits and attributes: read, checked, made, chosen, written."""

import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io

from stages.core.errors import StudyError
from stages.core.files import make_again
from stages.core.randomness import generator_for
from stages.core.tables import IMAGES, read_csv

SPLITS = ("train", "val", "test")
NUMBERS = range(1, 11)
SMALLEST_CLASS = 3  # one image for each of train, val and test

ANNOTATIONS = "labels_joint_anno.txt"
MAT_HEADER = b"MATLAB 5.0 MAT-file, a data set in the layout of DTD"

# What file managers leave in folders; names that begin with a dot are passed over as well.
CLUTTER = ("Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Layout:
    """The images of a data set and what its label files say of them.

    splits: DataFrame; its index the ids, sorted; a column for each split number; values train,
        val or test.
    attributes: {id: attributes}, the image's class among them.
    """

    splits: pd.DataFrame
    attributes: dict[str, list[str]]

    @property
    def ids(self) -> list[str]:
        """The ids (`<class>/<file>`) of the images, sorted."""
        return self.splits.index.tolist()

    @property
    def classes(self) -> list[str]:
        """The names of the classes, sorted."""
        return sorted({class_of(name) for name in self.ids})

    def index(self, number: int) -> pd.DataFrame:
        """DataFrame with columns id, class, split (of one split number), sorted by id."""
        classes = [class_of(name) for name in self.ids]
        return pd.DataFrame({"id": self.ids, "class": classes, "split": self.splits[number].array})

    def keep(self, ids: Iterable[str]) -> "Layout":
        """The layout of some of the images; attributes that are no longer classes are dropped."""
        ids = sorted(ids)
        classes = {class_of(name) for name in ids}
        attributes = {
            name: [word for word in self.attributes[name] if word in classes] for name in ids
        }
        return Layout(self.splits.loc[ids], attributes)


def class_of(image_id: str) -> str:
    """The class in an id: 'banded/banded_0002.jpg' -> 'banded'."""
    return image_id.partition("/")[0]


def read_index(file: Path) -> pd.DataFrame:
    """Read the index of images: columns id, class and split, all strings, sorted by id.

    Raises StudyError where it is missing, damaged, empty, or an id is repeated.
    """
    table = read_csv(file, IMAGES, "fetch")
    wrong = table[table["id"].map(class_of) != table["class"]]
    if len(wrong):
        name, of_class, _ = wrong.iloc[0]
        raise StudyError(
            f"{file}: {name} has class {of_class!r}, not the folder in its id; "
            f"{make_again('fetch')}"
        )
    return table.sort_values("id", ignore_index=True)


def list_images(folder: Path) -> dict[str, list[str]]:
    """{class: ids of its images, sorted}, from a folder that holds <class>/<file>.

    Raises StudyError for what would be lost in silence (files outside a class, folders within a
    class) and for names that label files cannot hold.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder; put the images in {folder}/<class>/")
    found = {}
    for entry in _visible(folder):
        if not entry.is_dir():
            raise StudyError(f"{entry}: lies outside a class; move it into {folder}/<class>/")
        if not entry.name.isprintable() or re.search(r"\s", entry.name):
            raise StudyError(
                f"{folder}/{_printable(entry.name)}: a class name holds no blanks, since they "
                "separate names in label files; rename it with hyphens"
            )
        found[entry.name] = [_image_id(file) for file in _visible(entry)]
    if not found:
        raise StudyError(f"{folder}: no classes; put the images in {folder}/<class>/")
    return found


def _visible(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in entries if entry.name not in CLUTTER)


def _image_id(file: Path) -> str:
    if file.is_dir():
        raise StudyError(f"{file}: a folder inside a class; move its images into {file.parent}")
    if not file.name.isprintable() or file.name != file.name.strip():
        raise StudyError(
            f"{file.parent}/{_printable(file.name)}: a file name holds no line breaks or other "
            "unprintable characters and no blank at its end; rename it"
        )
    return f"{file.parent.name}/{file.name}"


def _printable(name: str) -> str:
    return name.encode("unicode_escape", "surrogateescape").decode("ascii", "replace")


def read_layout(folder: Path, seed: int) -> Layout:
    """Read and check a data set: images/, and labels/ and imdb/ where they exist.

    Without split files in labels/, ten stratified splits are made from the seed; without joint
    annotations an image has the attribute of its class alone. Where imdb/imdb.mat exists, it must
    agree with the split files. Raises StudyError that names the file and what is wrong in it.
    """
    by_class = list_images(folder / "images")
    require_enough({name: len(ids) for name, ids in by_class.items()}, folder / "images")
    ids = sorted(name for names in by_class.values() for name in names)

    splits = read_splits(folder / "labels", ids)
    imdb = folder / "imdb" / "imdb.mat"
    if imdb.exists() and splits is None:
        raise StudyError(
            f"{imdb}: states a split, but {folder}/labels holds no split files to check it "
            "against; add them, or remove imdb.mat to have splits made"
        )
    if imdb.exists():
        _require_agreement(imdb, read_imdb(imdb), splits)
    if splits is None:
        splits = stratified_splits(ids, seed)

    annotations = folder / "labels" / ANNOTATIONS
    attributes = read_annotations(annotations, ids) if annotations.exists() else {}
    return Layout(splits, {name: _with_class(name, attributes.get(name, [])) for name in ids})


def _with_class(image_id: str, attributes: list[str]) -> list[str]:
    own = class_of(image_id)
    return attributes if own in attributes else [own, *attributes]


def require_enough(counts: dict[str, int], where: str | Path) -> None:
    """Raise StudyError unless every class has an image for each of train, val and test."""
    small = [f"{name} ({count})" for name, count in counts.items() if count < SMALLEST_CLASS]
    if small:
        raise StudyError(
            f"{where}: fewer than {SMALLEST_CLASS} images in {_some(small)}; "
            "add images, or remove the class"
        )


def require_every_split(index: pd.DataFrame, where: str | Path) -> None:
    """Raise StudyError unless every class has train, val and test images in an index."""
    counts = pd.crosstab(index["class"], index["split"]).reindex(columns=SPLITS, fill_value=0)
    for split in SPLITS:
        without = counts.index[counts[split] == 0].tolist()
        if without:
            raise StudyError(
                f"{where}: no {split} images of {_some(without)}; choose another split, or remove "
                "the split files to have splits made"
            )


def read_splits(folder: Path, ids: Sequence[str]) -> pd.DataFrame | None:
    """Read {train,val,test}{1..10}.txt; None where the folder holds no such files.

    Returns the DataFrame of `Layout.splits`, with the split numbers that exist. Raises StudyError
    where a file of a split is missing, or a split names an image that is not in `ids`, names one
    twice, or leaves one out.
    """
    names = sorted(file.name for file in folder.glob("*.txt") if file.name != ANNOTATIONS)
    if not names:
        return None
    number_of = {
        name: int(match[1])
        for name in names
        if (match := re.fullmatch(r"(?:train|val|test)(\d+)\.txt", name))
    }
    numbers = sorted(set(number_of.values()))
    if not numbers or not set(numbers) <= set(NUMBERS):
        wrong = [name for name, number in number_of.items() if number not in NUMBERS] or names
        raise StudyError(
            f"{folder}: {_some(wrong)}: no split file; their names run from train1.txt, "
            "val1.txt, test1.txt to train10.txt, val10.txt, test10.txt"
        )
    return pd.DataFrame({number: _read_split(folder, number, ids) for number in numbers}, list(ids))


def _read_split(folder: Path, number: int, ids: Sequence[str]) -> pd.Series:
    """Index: the ids; values: train, val or test, in one of the splits."""
    split_of: dict[str, str] = {}
    for split in SPLITS:
        file = folder / f"{split}{number}.txt"
        if not file.exists():
            raise StudyError(f"{file}: not found; a split has a train, a val and a test file")
        named = [line.strip() for line in _lines(file)]
        _refuse(file, set(named) - set(ids), "names images that are missing", "add or unlist them")
        _refuse(file, _repeated(named), "lists images more than once", "list each once")
        both = set(named) & set(split_of)
        others = " and ".join(sorted({f"{split_of[name]}{number}.txt" for name in both}))
        _refuse(file, both, f"shares images with {others}", "list each in one split")
        split_of |= dict.fromkeys(named, split)
    _refuse(
        folder,
        set(ids) - set(split_of),
        f"split {number} leaves images out",
        "list them, or remove the split files to have splits made",
    )
    return pd.Series(split_of)


def read_annotations(file: Path, ids: Collection[str]) -> dict[str, list[str]]:
    """Read the joint annotations: {id: attributes, in the order of the file}.

    ids: the images there are; with them, file names that hold blanks are told from attributes.
    Raises StudyError for images that are not in `ids` or have more than one line.
    """
    known = set(ids)
    attributes: dict[str, list[str]] = {}
    unknown, repeated = set(), set()
    for line in _lines(file):
        words = line.split(" ")
        ends = range(len(words), 0, -1)
        end = next((end for end in ends if " ".join(words[:end]) in known), None)
        if end is None:
            unknown.add(words[0])
            continue
        name = " ".join(words[:end])
        if name in attributes:
            repeated.add(name)
        attributes[name] = [word for word in words[end:] if word]
    _refuse(file, unknown, "names images that are missing", "add or unlist them")
    _refuse(file, repeated, "lists images more than once", "list each once")
    return attributes


def _lines(file: Path) -> list[str]:
    """The lines of a label file, empty ones left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise StudyError(f"{file}: not found; run 'dvc repro fetch'") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{file}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    return [line for line in text.splitlines() if line.strip()]


def read_imdb(file: Path) -> pd.DataFrame:
    """Read imdb.mat (MATLAB 5): index the ids; columns class and split (of split 1).

    Raises StudyError where it is damaged or lacks a field.
    """
    try:
        content = scipy.io.loadmat(file, simplify_cells=True)
        images, meta = content["images"], content["meta"]
        table = pd.DataFrame(
            {
                "class": _pick(meta["classes"], images["class"]),
                "split": _pick(SPLITS, images["set"]),
            },
            index=[str(name) for name in np.atleast_1d(images["name"])],
        )
    except OSError:
        raise
    except Exception as error:  # on damaged data SciPy raises nearly anything
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise StudyError(
            f"{file}: not an imdb.mat of DTD ({reason}); repair it or remove it"
        ) from None
    _refuse(file, _repeated(table.index), "lists images more than once", "repair it or remove it")
    return table


def _pick(names: Sequence[str], positions: np.ndarray) -> list[str]:
    """The names at positions that count from 1, as MATLAB does."""
    names = dict(enumerate(np.atleast_1d(names), start=1))
    return [str(names[int(position)]) for position in np.atleast_1d(positions)]


def _require_agreement(file: Path, imdb: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Raise StudyError unless imdb.mat lists the images, their classes and split 1."""
    mend = "repair it or remove it"
    _refuse(file, set(imdb.index) - set(splits.index), "names images that are missing", mend)
    _refuse(file, set(splits.index) - set(imdb.index), "leaves images out", mend)
    other = imdb.index[imdb["class"] != imdb.index.map(class_of)]
    _refuse(file, set(other), "gives a class that is not the folder to", mend)
    if 1 in splits:
        other = imdb.index[imdb["split"] != splits[1].reindex(imdb.index)]
        _refuse(file, set(other), "contradicts train1.txt, val1.txt, test1.txt on", mend)


def _repeated(names: Iterable[str]) -> set[str]:
    names = pd.Series(list(names), dtype=str)
    return set(names[names.duplicated()])


def _refuse(where: Path, names: Collection[str], fault: str, mend: str) -> None:
    if names:
        raise StudyError(f"{where}: {fault}: {_some(sorted(names))}; {mend}")


def _some(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def stratified_splits(ids: Sequence[str], seed: int) -> pd.DataFrame:
    """Ten random splits in which every class is cut into equal thirds.

    Where a class does not divide by three, train and then val take one image more. The split of a
    class depends on its own images, the seed and the split number alone. Returns the DataFrame of
    `Layout.splits`.
    """
    ids = sorted(ids)
    members = pd.Series(np.arange(len(ids))).groupby([class_of(name) for name in ids]).indices
    table = {}
    for number in NUMBERS:
        split = np.empty(len(ids), dtype=object)
        for name, rows in members.items():
            order = generator_for(seed, "split", name, number).permutation(rows)
            for part, of in zip(np.array_split(order, len(SPLITS)), SPLITS, strict=True):
                split[part] = of
        table[number] = split
    return pd.DataFrame(table, index=ids)


def balanced_choice(split: pd.Series, per_class: int) -> list[str]:
    """At most `per_class` ids of each class, in the proportions that the class has in a split.

    split: index ids, values train, val or test. Each split gives its first images in the order of
    their ids, and at least one; a smaller choice is part of a larger one.
    """
    chosen = []
    for _, group in split.sort_index().groupby(class_of, sort=True):
        rank = group.groupby(group).cumcount()
        size = group.map(group.value_counts()).astype(int)
        # Place of the image in its split, from 0 to 1; the first of each split comes before all.
        place = ((rank + 0.5) / size).where(rank > 0, 0.0)
        order = pd.DataFrame({"place": place, "split": group.map(SPLITS.index)})
        chosen += order.sort_values(["place", "split"]).index[:per_class].tolist()
    return sorted(chosen)


def write_layout(layout: Layout, folder: Path) -> None:
    """Write labels/ and imdb/ of a data set whose images lie, or will lie, in folder/images."""
    labels, imdb = folder / "labels", folder / "imdb"
    labels.mkdir(parents=True)
    imdb.mkdir(parents=True)
    for number, split_of in layout.splits.items():
        for split in SPLITS:
            names = split_of.index[split_of == split]
            _write(labels / f"{split}{number}.txt", (f"{name}\n" for name in names))
    # A blank at the end of a line, as in DTD.
    lines = (f"{name} {' '.join(layout.attributes[name])} \n" for name in layout.ids)
    _write(labels / ANNOTATIONS, lines)
    (imdb / "imdb.mat").write_bytes(imdb_bytes(layout))


def _write(file: Path, lines: Iterable[str]) -> None:
    file.write_text("".join(lines), encoding="utf-8", newline="\n")


def imdb_bytes(layout: Layout) -> bytes:
    """The contents of imdb.mat (MATLAB 5), the same bytes for the same layout.

    `set` is split 1, or the first split there is.
    """
    split = layout.splits.iloc[:, 0]
    number_of = {name: i for i, name in enumerate(layout.classes, start=1)}
    images = {
        "id": np.arange(1.0, len(split) + 1),
        "name": np.array(layout.ids, dtype=object),
        "set": np.array([SPLITS.index(name) + 1.0 for name in split]),
        "class": np.array([float(number_of[class_of(name)]) for name in layout.ids]),
    }
    meta = {
        "classes": np.array(layout.classes, dtype=object),
        "sets": np.array(SPLITS, dtype=object),
    }
    content = io.BytesIO()
    scipy.io.savemat(content, {"images": images, "meta": meta}, oned_as="row")
    # The first 116 bytes are free text, into which SciPy puts the time.
    return MAT_HEADER.ljust(116) + content.getvalue()[116:]
