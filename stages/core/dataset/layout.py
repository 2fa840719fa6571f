"""Which images there are, their splits and attributes: read, checked, made, chosen, written.

Names of a user's may come in either of Unicode's two forms, in which an accent is a letter's own
or a character beside it; macOS, archives and label files differ in it. Ids are in the composed
form (NFC) everywhere, and a file is found by the name that it has on disk.
"""

import io
import os
import re
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import scipy  # which loads its io when that is used, a sixth of a second

from stages.core.artifacts.tables import IMAGES, read_csv
from stages.core.dataset.reading import (
    Fault,
    Report,
    UnreadableFile,
    read_bounded,
    refuse,
    require_regular,
    some,
)
from stages.core.runtime.errors import StudyError, can_be_written, one_line, printable
from stages.core.runtime.files import is_clutter, make_again
from stages.core.runtime.randomness import generator_for
from stages.settings.checks import SAMPLE_OF_ALL

SPLITS = ("train", "val", "test")
NUMBERS = range(1, 11)
SMALLEST_CLASS = 3  # one image for each of train, val and test

ANNOTATIONS = "labels_joint_anno.txt"
MAT_HEADER = b"MATLAB 5.0 MAT-file, a data set in the layout of DTD"

MOST_LABEL_BYTES = 1 << 27  # of a label file; a million images take some 40 MB
MOST_IMDB_BYTES = 1 << 28  # of imdb.mat, compressed or not

REPAIR = "repair it or remove it"


@dataclass(frozen=True)
class Layout:
    """The images of a data set and what its label files say of them.

    splits: DataFrame; its index the ids, sorted; a column for each split number; values train,
        val or test.
    attributes: {id: attributes}, the image's class among them.
    files: {id: path within images/}, of the images whose name on disk is not their id.
    """

    splits: pd.DataFrame
    attributes: dict[str, list[str]]
    files: dict[str, str] = field(default_factory=dict)

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
        files = {name: self.files[name] for name in ids if name in self.files}
        return Layout(self.splits.loc[ids], attributes, files)


def class_of(image_id: str) -> str:
    """The class in an id: 'banded/banded_0002.jpg' -> 'banded'."""
    return image_id.partition("/")[0]


def normal_form(name: str) -> str:
    """A name in the composed form of Unicode (NFC), in which ids and classes are compared."""
    return unicodedata.normalize("NFC", name)


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


def list_images(folder: Path, report: Report = refuse) -> dict[str, dict[str, str]]:
    """{class: {id: path within `folder`}}, both sorted, from a folder that holds <class>/<file>.

    What systems leave in folders, and hidden files, are passed over. Reported, and then left out,
    is what would be lost in silence (files outside a class, folders within a class), names that
    label files cannot hold, names that later stages take for something else, and names that are
    one in Unicode's normal form.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder; put the images in {folder}/<class>/")
    found: dict[str, dict[str, str]] = {}
    faults = []
    for entry in _visible(folder):  # entries of scandir, which know their kind without a look
        name = normal_form(entry.name)
        fault = _fault_of_class(entry, name, name in found)
        if fault:
            faults.append(_fault_of(entry, *fault))
            continue
        found[name] = {}
        for file in _visible(Path(entry)):
            image_id = f"{name}/{normal_form(file.name)}"
            fault = _fault_of_file(file, image_id in found[name])
            if fault:
                faults.append(_fault_of(file, *fault))
            else:
                found[name][image_id] = f"{entry.name}/{file.name}"
    report(faults)
    if not found:
        raise StudyError(f"{folder}: no classes; put the images in {folder}/<class>/")
    return {name: dict(sorted(files.items())) for name, files in sorted(found.items())}


def passed_over(folder: Path) -> list[str]:
    """The names, sorted and each once, that `list_images` passes over in a folder."""
    folders = [folder, *(Path(entry) for entry in _visible(folder) if _is_folder(entry))]
    names = (entry.name for each in folders for entry in os.scandir(each))
    return sorted({name for name in names if _is_hidden(name)})


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not _is_hidden(entry.name)]
    return sorted(found, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is, or links to, a folder; of links in a circle scandir itself raises."""
    return Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_clutter(name)


def _fault_of(entry: os.DirEntry[str], what: str, fix: str) -> Fault:
    return Fault("images", f"{Path(entry).parent}/{printable(entry.name)}", what, fix)


def _fault_of_class(entry: os.DirEntry[str], name: str, known: bool) -> tuple[str, str] | None:
    """(what is wrong, how to fix it) of an entry where class folders are."""
    if not _is_folder(entry):
        if entry.is_symlink() and not Path(entry).exists():
            return "a link to what is not there", "repair or remove it"
        where = f"{Path(entry).parent}/<class>/"
        return "lies outside a class", f"move it into {where}, or away if it is no image"
    if fault := fault_of_class_name(name):
        return fault
    if known:
        return "differs from another class in its Unicode form alone (NFC, NFD)", "rename one"
    return None


def fault_of_class_name(name: str) -> tuple[str, str] | None:
    """(what is wrong, how to fix it) of the name of a class."""
    if not can_be_written(name) or re.search(r"\s", name):
        return (
            "a class name holds no blanks, since they separate names in label files, and nothing "
            "unprintable",
            "rename it with hyphens",
        )
    if name == SAMPLE_OF_ALL:
        return "the name of the sample of all classes", "rename the class"
    return None


def _fault_of_file(file: os.DirEntry[str], known: bool) -> tuple[str, str] | None:
    """(what is wrong, how to fix it) of an entry where images are."""
    if _is_folder(file):
        folder = Path(file).parents[1]
        return "a folder inside a class, which holds images alone", f"move it out of {folder}"
    if fault := fault_of_file_name(file.name):
        return fault
    if known:
        return "differs from another file in its Unicode form alone (NFC, NFD)", "rename one"
    return None


def fault_of_file_name(name: str) -> tuple[str, str] | None:
    """(what is wrong, how to fix it) of the name of an image's file."""
    if not can_be_written(name) or name != name.strip():
        return (
            "a file name holds no line breaks or other unprintable characters and no blank at its "
            "end",
            "rename it",
        )
    return None


def read_layout(
    folder: Path, seed: int, report: Report = refuse, numbers: Sequence[int] = NUMBERS
) -> Layout:
    """Read and check a data set: images/, and labels/ and imdb/ where they exist.

    Without split files in labels/, ten stratified splits are made from the seed; without joint
    annotations an image has the attribute of its class alone. Where imdb/imdb.mat exists, it must
    agree with the split files. Raises StudyError that names the file and what is wrong in it.

    report: is told of everything that images, label files and imdb.mat disagree in. Where it lets
    that pass, split files decide: images that are not in every split are left out. numbers: which
    splits are made.
    """
    by_class = list_images(folder / "images", report)
    require_enough({name: len(files) for name, files in by_class.items()}, folder / "images")
    files = {name: file for of_class in by_class.values() for name, file in of_class.items()}
    ids = sorted(files)

    labels, imdb = folder / "labels", folder / "imdb" / "imdb.mat"
    for inner in (labels, imdb.parent):
        if os.path.lexists(inner) and not inner.is_dir():
            raise StudyError(f"{inner}: no folder; {REPAIR}")
    texts = sorted(labels.glob("*.txt"))
    _require_regular(dict.fromkeys(texts, MOST_LABEL_BYTES) | {imdb: MOST_IMDB_BYTES})
    splits = read_splits(labels, ids, report)
    if os.path.lexists(imdb):
        if splits is None:
            what = f"states a split, but {labels} holds no split files to check it against"
            fix = "add them, or remove imdb.mat to have splits made"
            report([Fault("imdb", str(imdb), what, fix)])
        else:
            _check_imdb(imdb, splits, report)
    if splits is None:
        splits = stratified_splits(ids, seed, numbers)
    splits = splits.dropna()

    annotations = labels / ANNOTATIONS
    known = os.path.lexists(annotations)
    attributes = read_annotations(annotations, ids, report) if known else {}
    return Layout(
        splits,
        {name: _with_class(name, attributes.get(name, [])) for name in splits.index},
        {name: files[name] for name in splits.index if files[name] != name},
    )


def _require_regular(limits: dict[Path, int]) -> None:
    """Raise StudyError that lists the files, of those there are, that cannot be read safely."""
    faults = []
    for file, most_bytes in limits.items():
        try:
            if os.path.lexists(file):
                require_regular(file, most_bytes)
        except UnreadableFile as error:
            faults.append(Fault("splits", str(file), str(error), REPAIR))
    refuse(faults)


def _with_class(image_id: str, attributes: list[str]) -> list[str]:
    own = class_of(image_id)
    return attributes if own in attributes else [own, *attributes]


def require_enough(counts: dict[str, int], where: str | Path) -> None:
    """Raise StudyError unless every class has an image for each of train, val and test."""
    small = [f"{name} ({count})" for name, count in counts.items() if count < SMALLEST_CLASS]
    if small:
        raise StudyError(
            f"{where}: fewer than {SMALLEST_CLASS} images in {some(small)}; "
            "add images, or remove the class"
        )


def require_every_split(index: pd.DataFrame, where: str | Path) -> None:
    """Raise StudyError unless every class has train, val and test images in an index."""
    counts = pd.crosstab(index["class"], index["split"]).reindex(columns=SPLITS, fill_value=0)
    for split in SPLITS:
        without = counts.index[counts[split] == 0].tolist()
        if without:
            raise StudyError(
                f"{where}: no {split} images of {some(without)}; choose another split, or remove "
                "the split files to have splits made"
            )


def read_splits(folder: Path, ids: Sequence[str], report: Report = refuse) -> pd.DataFrame | None:
    """Read {train,val,test}{1..10}.txt; None where the folder holds no such files.

    Returns the DataFrame of `Layout.splits`, with the split numbers that exist. Reported is where
    a file of a split is missing or misnamed, or a split names an image that is not in `ids`, names
    one twice, or leaves one out, whose value is then missing.
    """
    names = sorted(file.name for file in folder.glob("*.txt") if file.name != ANNOTATIONS)
    if not names:
        return None
    number_of = {
        name: int(match[1])
        for name in names
        if (match := re.fullmatch(r"(?:train|val|test)([1-9][0-9]?)\.txt", name))
    }
    numbers = sorted(set(number_of.values()) & set(NUMBERS))
    # Names that are nearly right, as train01.txt, would be passed over in silence.
    wrong = [
        name
        for name in names
        if number_of.get(name) not in NUMBERS and re.match(r"(?i)train|val|test", name)
    ]
    if wrong or not numbers:
        _check(
            report,
            "splits",
            folder,
            wrong or names,
            "no split file",
            "their names run from train1.txt, val1.txt, test1.txt to train10.txt, val10.txt, "
            "test10.txt",
            names_first=True,
        )
    columns = {}
    for number in numbers:
        files = [folder / f"{split}{number}.txt" for split in SPLITS]
        missing = [file for file in files if not os.path.lexists(file)]
        fix = "a split has a train, a val and a test file"
        report([Fault("splits", str(file), "not found", fix) for file in missing])
        if not missing:
            columns[number] = _read_split(folder, number, ids, report)
    return pd.DataFrame(columns, list(ids)) if columns else None


def _read_split(folder: Path, number: int, ids: Sequence[str], report: Report) -> pd.Series:
    """Index: the ids; values: train, val or test, in one of the splits."""
    split_of: dict[str, str] = {}
    known = set(ids)
    for split in SPLITS:
        file = folder / f"{split}{number}.txt"
        named = [normal_form(line.strip()) for line in _lines(file)]

        def check(names: Collection[str], fault: str, fix: str, file: Path = file) -> None:
            _check(report, "splits", file, names, fault, fix)

        check(set(named) - known, "names images that are missing", "add or unlist them")
        check(_repeated(named), "lists images more than once", "list each once")
        both = set(named) & set(split_of)
        others = " and ".join(sorted({f"{split_of[name]}{number}.txt" for name in both}))
        check(both, f"shares images with {others}", "list each in one split")
        split_of |= {name: split for name in named if name in known and name not in split_of}
    _check(
        report,
        "splits",
        folder,
        known - set(split_of),
        f"split {number} leaves images out",
        "list them, or remove the split files to have splits made",
    )
    return pd.Series(split_of, dtype=str)


def read_annotations(
    file: Path, ids: Collection[str], report: Report = refuse
) -> dict[str, list[str]]:
    """Read the joint annotations: {id: attributes, in the order of the file}.

    ids: the images there are; with them, file names that hold blanks are told from attributes.
    Reported are images that are not in `ids` or have more than one line.
    """
    known = set(ids)
    attributes: dict[str, list[str]] = {}
    unknown, repeated = set(), set()
    for line in _lines(file):
        words = normal_form(line).split(" ")
        ends = range(len(words), 0, -1)
        end = next((end for end in ends if " ".join(words[:end]) in known), None)
        if end is None:
            unknown.add(words[0])
            continue
        name = " ".join(words[:end])
        if name in attributes:
            repeated.add(name)
        attributes[name] = [word for word in words[end:] if word]
    for names, fault, fix in (
        (unknown, "names images that are missing", "add or unlist them"),
        (repeated, "lists images more than once", "list each once"),
    ):
        _check(report, "annotations", file, names, fault, fix)
    return attributes


def _lines(file: Path) -> list[str]:
    """The lines of a label file, empty ones left out."""
    if not os.path.lexists(file):
        raise StudyError(f"{file}: not found; run 'dvc repro fetch'")
    try:
        text = read_bounded(file, MOST_LABEL_BYTES).decode("utf-8-sig")
    except UnreadableFile as error:
        raise StudyError(f"{file}: {error}; {REPAIR}") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{file}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    return [line for line in text.splitlines() if line.strip()]


def read_imdb(file: Path, report: Report = refuse) -> pd.DataFrame | None:
    """Read imdb.mat (MATLAB 5): index the ids; columns class and split (of split 1).

    Reported is where it is no regular file, damaged, too large or lacks a field, and None is then
    returned; and an image that is listed twice, of which the first entry then counts.
    """
    try:
        table = _imdb_table(read_bounded(file, MOST_IMDB_BYTES))
    except UnreadableFile as error:
        report([Fault("imdb", str(file), str(error), REPAIR)])
        return None
    _check(report, "imdb", file, _repeated(table.index), "lists images more than once", REPAIR)
    return table[~table.index.duplicated()]


def _imdb_table(data: bytes) -> pd.DataFrame:
    _require_small(data)
    try:
        content = scipy.io.loadmat(
            io.BytesIO(data), simplify_cells=True, variable_names=["images", "meta"]
        )
        images, meta = content["images"], content["meta"]
        return pd.DataFrame(
            {
                "class": _pick(meta["classes"], images["class"]),
                "split": _pick(SPLITS, images["set"]),
            },
            index=[normal_form(str(name)).strip() for name in np.atleast_1d(images["name"])],
        )
    except Exception as error:  # on damaged data SciPy raises nearly anything
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        reason = one_line(reason, 160) or type(error).__name__
        raise UnreadableFile(f"not an imdb.mat of DTD ({reason})") from None


def _require_small(content: bytes) -> None:
    """Raise UnreadableFile where the compressed variables of a MATLAB 5 file are too large.

    Such a file is a header of 128 bytes and then elements, each a type, a length and contents; of
    zeros zlib makes a thousandth.
    """
    data = memoryview(content)
    start, room = 128, MOST_IMDB_BYTES  # bytes
    order: Literal["big", "little"] = "big" if data[126:128] == b"MI" else "little"
    while start + 8 <= len(data):
        kind, size = (int.from_bytes(data[i : i + 4], order) for i in (start, start + 4))
        if kind == 15:  # miCOMPRESSED
            try:
                contents = zlib.decompressobj().decompress(data[start + 8 :], room + 1)
            except zlib.error as error:
                raise UnreadableFile(f"not an imdb.mat of DTD ({error})") from None
            room -= len(contents)
            if room < 0:
                raise UnreadableFile(f"larger than {MOST_IMDB_BYTES >> 20} MiB once decompressed")
        start += 8 + size


def _pick(names: Sequence[str], positions: np.ndarray) -> list[str]:
    """The names at positions that count from 1, as MATLAB does."""
    numbered = {i: normal_form(str(name)) for i, name in enumerate(np.atleast_1d(names), start=1)}
    return [numbered[int(position)].strip() for position in np.atleast_1d(positions)]


def _check_imdb(file: Path, splits: pd.DataFrame, report: Report) -> None:
    """Report whatever else imdb.mat says of the images, their classes and split 1."""
    imdb = read_imdb(file, report)
    if imdb is None:
        return

    def check(names: Iterable[str], fault: str) -> None:
        _check(report, "imdb", file, set(names), fault, REPAIR)

    check(set(imdb.index) - set(splits.index), "names images that are missing")
    check(set(splits.index) - set(imdb.index), "leaves images out")
    other = imdb.index[imdb["class"] != imdb.index.map(class_of)]
    check(other, "gives a class that is not the folder to")
    if 1 in splits:
        known = imdb[imdb.index.isin(splits.index)]
        other = known.index[known["split"] != splits[1].reindex(known.index)]
        check(other, "contradicts train1.txt, val1.txt, test1.txt on")


def _repeated(names: Iterable[str]) -> set[str]:
    listed = pd.Series(list(names), dtype=str)
    return set(listed[listed.duplicated()])


def _check(
    report: Report,
    part: str,
    where: Path,
    names: Collection[str],
    what: str,
    fix: str,
    names_first: bool = False,
) -> None:
    """Report a fault of the images (or files) `names`, if there are any."""
    if names:
        listed = some(sorted(names))
        what = f"{listed}: {what}" if names_first else f"{what}: {listed}"
        report([Fault(part, str(where), what, fix, len(names))])


def stratified_splits(
    ids: Sequence[str], seed: int, numbers: Sequence[int] = NUMBERS
) -> pd.DataFrame:
    """Random splits, by default ten, in which every class is cut into equal thirds.

    Where a class does not divide by three, train and then val take one image more. The split of a
    class depends on its own images, the seed and the split number alone. Returns the DataFrame of
    `Layout.splits`.
    """
    ids = sorted(ids)
    members = pd.Series(np.arange(len(ids))).groupby([class_of(name) for name in ids]).indices
    table = {}
    for number in numbers:
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
    split = split.sort_index()
    classes = split.index.map(class_of)
    if classes.value_counts().max() <= per_class:
        return split.index.tolist()
    order = pd.DataFrame({"class": classes, "split": split.map(SPLITS.index)})
    of_split = order.groupby(["class", "split"])["split"]
    rank, size = of_split.cumcount(), of_split.transform("size")
    # Place of the image in its split, from 0 to 1; the first of each split comes before all.
    order["place"] = ((rank + 0.5) / size).where(rank > 0, 0.0)
    first = order.sort_values(["class", "place", "split"], kind="stable")
    return sorted(first.groupby("class").head(per_class).index)


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
