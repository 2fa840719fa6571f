"""Folders of images as users have them: what fetch takes, and what it refuses in one line."""

import io
import json
import os
import socket
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from click.testing import CliRunner
from PIL import Image, features

from stages.core.dataset import images as image_files
from stages.core.dataset import layout as layouts
from stages.core.dataset.images import UnreadableImage, decode, read_image
from stages.core.dataset.layout import (
    Layout,
    list_images,
    read_annotations,
    read_imdb,
    read_index,
    read_layout,
    write_layout,
)
from stages.core.dataset.summary import digest_of, identical_images
from stages.core.runtime.files import MARKER, is_clutter
from stages.core.runtime.params import Section, read_params
from stages.fetch import fetch
from stages.settings.fetch import FetchParams
from stages.settings.project import ProjectParams
from tests.refusals import refusal
from tests.stages import write_fetch_params
from tests.study import ROOT

NFC = unicodedata.normalize("NFC", "Käse")
NFD = unicodedata.normalize("NFD", "Käse")


def png(*shade: int, size: tuple[int, int] = (4, 3), kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, shade).save(content, kind)
    return content.getvalue()


def classes(folder: Path, *names: str, count: int = 6) -> Path:
    """Images images/<class>/<i>.png, all different; returns `folder`."""
    for i, name in enumerate(names):
        (folder / "images" / name).mkdir(parents=True)
        for k in range(count):
            (folder / "images" / name / f"{k:02d}.png").write_bytes(png(i, k, 99))
    return folder


@pytest.fixture
def project(project: Path) -> Path:
    """The empty project, with settings of fetch."""
    write_fetch_params(project, source="../own")
    return project


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own"


def fetched(*arguments: str) -> tuple[pd.DataFrame, dict, str]:
    """Run fetch, which must succeed; return its index, its metrics and what it printed."""
    result = CliRunner().invoke(fetch, arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    metrics = json.loads(Path("metrics/fetch.json").read_text())
    return read_index(Path("data/images.csv")), metrics, result.output


def refused(*arguments: object) -> str:
    """The one line by which fetch refuses; nothing is left behind."""
    line = refusal(fetch, *arguments)
    assert not Path("data/images").exists()
    assert not Path("data/images.csv").exists()
    assert sorted(path.name for path in Path("data").glob(".*")) == []
    return line


# Class names


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2"],
        ["01", "1", "1.0"],
        ["NA", "None", "nan"],
        ["True", "False", "null"],
        ["1e5", "inf", "-1"],
        ["tile$5_$9", "$$", "_wood"],
        ["木纹", "石头", "خشب"],
        ["🪵", "🧱", "👩‍🎨"],
        ["a,b", 'q"q', "it's"],
        ["wood", "Wood", "WOOD"],
    ],
    ids=" ".join,
)
def test_a_class_name_is_text(names: list[str], project: Path, own: Path) -> None:
    classes(own, *names)
    table, metrics, _ = fetched()
    assert sorted(table["class"].unique()) == sorted(names)
    assert table.groupby(["class", "split"]).size().tolist() == [2] * 9
    assert metrics["classes"] == 3
    folder = Path("data/images")
    read = read_layout(folder, 0)
    assert read.ids == table["id"].tolist()
    assert read_annotations(folder / "labels" / "labels_joint_anno.txt", read.ids) == {
        name: [name.partition("/")[0]] for name in read.ids
    }
    imdb = read_imdb(folder / "imdb" / "imdb.mat")
    assert imdb["class"].tolist() == table["class"].tolist()
    table, _, _ = fetched("--classes", names[2], "--classes", names[0])
    assert sorted(table["class"].unique()) == sorted([names[0], names[2]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("all", "images/all: the name of the sample of all classes; rename the class"),
        ("oak bark", "images/oak bark: a class name holds no blanks"),
        (" oak", "a class name holds no blanks"),
        ("oak\t", r"images/oak\t: a class name holds no blanks"),
        ("oak\nash", r"images/oak\nash: a class name holds no blanks"),
        ("oak\u00a0ash", r"images/oak\xa0ash: a class name holds no blanks"),
        ("oak\u202eash", r"images/oak\u202eash: a class name holds"),
        (os.fsdecode(b"caf\xe9"), r"images/caf\udce9: a class name holds"),
    ],
    ids=ascii,
)
def test_a_class_name_that_cannot_be_used(
    name: str, message: str, project: Path, own: Path
) -> None:
    classes(own, "wood", "stone", name)
    line = refused()
    assert message in line
    assert "rename" in line


def test_all_bad_names_are_told_at_once(project: Path, own: Path) -> None:
    classes(own, "wood", "all", "oak bark")
    (own / "images" / "readme.md").touch()
    (own / "images" / "wood" / "small").mkdir()
    line = refused()
    for name in ("images/all", "images/oak bark", "images/readme.md", "wood/small"):
        assert name in line


@pytest.mark.parametrize("arguments", [(), ("--classes", "wood"), ("--source", "textures")])
def test_one_class_alone(arguments: tuple, project: Path, own: Path) -> None:
    classes(own, "wood", *(["stone"] if arguments else []))
    if "textures" in arguments:
        arguments += ("--classes", "woven")
    assert "1 class leaves nothing to tell apart; fetch at least two" in refused(*arguments)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_class_too_small_for_three_splits(count: int, project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    classes(own, "tiny", count=count)
    assert f"fewer than 3 images in tiny ({count}); add images, or remove" in refused()


# Unicode's forms


def splits_of(ids: list[str], folder: Path, number: int = 1) -> None:
    (folder / "labels").mkdir(exist_ok=True)
    for k, split in enumerate(("train", "val", "test")):
        lines = "".join(f"{name}\n" for name in ids[k::3])
        (folder / "labels" / f"{split}{number}.txt").write_text(lines, encoding="utf-8")


def ids_in(*names: str, count: int = 6) -> list[str]:
    return [f"{name}/{k:02d}.png" for name in names for k in range(count)]


@pytest.mark.parametrize("on_disk", [NFC, NFD], ids=["NFC on disk", "NFD on disk"])
@pytest.mark.parametrize("written", [NFC, NFD], ids=["NFC in files", "NFD in files"])
def test_names_are_compared_in_one_unicode_form(
    on_disk: str, written: str, project: Path, own: Path
) -> None:
    classes(own, on_disk, "stone")
    (own / "images" / on_disk / "00.png").rename(own / "images" / on_disk / f"{on_disk}.png")
    ids = [f"{written}/{written}.png", *ids_in(written)[1:], *ids_in("stone")]
    splits_of(ids, own)
    (own / "labels" / "labels_joint_anno.txt").write_text(
        "".join(f"{name} {name.partition('/')[0]} bright \n" for name in ids), encoding="utf-8"
    )
    (own / "imdb").mkdir()
    images = {
        "name": np.array(ids, dtype=object),
        "set": np.array([1.0, 2.0, 3.0] * 4),
        "class": np.repeat([1.0, 2.0], 6),
    }
    meta = {"classes": np.array([written, "stone"], dtype=object)}
    scipy.io.savemat(own / "imdb" / "imdb.mat", {"images": images, "meta": meta})

    table, _, _ = fetched("--classes", written, "--classes", "stone")
    assert sorted(table["class"].unique()) == sorted([NFC, "stone"])
    assert f"{NFC}/{NFC}.png" in table["id"].tolist()
    copied = {str(file.relative_to("data/images/images")) for file in Path("data").rglob("*.png")}
    assert copied == set(table["id"])
    read = read_layout(Path("data/images"), 0)
    assert read.files == {}
    assert read.attributes[f"{NFC}/{NFC}.png"] == [NFC]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([NFC, NFD], "differs from another class in its Unicode form alone (NFC, NFD); rename"),
        (["한글", unicodedata.normalize("NFD", "한글")], "differs from another class"),
        (["\u212b", "\u00c5"], "differs from another class"),  # the Angstrom sign is a letter
    ],
    ids=["accent", "Hangul", "Angstrom"],
)
def test_classes_that_are_one_in_the_normal_form(
    names: list[str], message: str, project: Path, own: Path
) -> None:
    classes(own, *names, "stone")
    assert message in refused()


def test_files_that_are_one_in_the_normal_form(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    for name in (NFC, NFD):
        (own / "images" / "wood" / f"{name}.png").write_bytes(png(1, 2, 3))
    assert "differs from another file in its Unicode form alone" in refused()


@pytest.mark.parametrize(
    ("section", "key"), [(FetchParams, "classes"), (ProjectParams, "kept_classes")]
)
@pytest.mark.parametrize("written", [NFC, NFD], ids=["NFC", "NFD"])
def test_settings_name_classes_in_the_form_of_the_data(
    section: type[Section], key: str, written: str
) -> None:
    params = read_params(section, ROOT / "params.yaml", {key: [written, "stone"]})
    assert getattr(params, key) == [NFC, "stone"]


def test_a_class_asked_for_twice_in_two_forms(project: Path, own: Path) -> None:
    classes(own, NFD, "stone")
    assert "is repeated; give each class once" in refused("--classes", NFC, "--classes", NFD)


# What systems leave


CLUTTER = [
    "@eaDir/", "__MACOSX/", "ehthumbs.db", "Desktop.ini", "DESKTOP.INI", "Thumbs.db", "thumbs.DB",
    ".DS_Store", "._00.png", "$RECYCLE.BIN/", "$Recycle.Bin/", "lost+found/", "#recycle/",
    "System Volume Information/", ".directory", "Icon\r", ".Trash-1000/", "@Recycle/",
]  # fmt: skip


@pytest.mark.parametrize("name", CLUTTER, ids=ascii)
@pytest.mark.parametrize("where", ["images", "images/wood"])
def test_clutter_is_passed_over_and_said_once(
    name: str, where: str, project: Path, own: Path
) -> None:
    classes(own, "wood", "stone")
    clutter = own / where / name
    if name.endswith("/"):
        (clutter / "wood").mkdir(parents=True)
        (clutter / "00.png").write_bytes(png(7, 7, 7))
    else:
        clutter.write_bytes(b"clutter")
    assert is_clutter(clutter.name)
    table, _, printed = fetched()
    assert table["id"].tolist() == sorted(ids_in("wood", "stone"))
    line = printed.splitlines()[1]
    assert line.startswith("passed over, as hidden or left by systems: ")
    assert len(printed.splitlines()) == 2


def test_a_folder_of_thumbnails_is_never_to_be_mixed_in(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    (own / "images" / "wood" / "thumbnails").mkdir()
    line = refused()
    assert "a folder inside a class, which holds images alone; move it out of ../own/images" in line


# Files that are none, or too large


def dangling(path: Path) -> None:
    path.symlink_to("/no/where")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has little room
    server = socket.socket(socket.AF_UNIX)
    server.bind(path.name)
    server.close()
    os.chdir(here)


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "more").touch()


IRREGULAR = {
    "a pipe instead of a regular file": os.mkfifo,
    "a socket instead of a regular file": bound_socket,
    "a device instead of a regular file": endless,
    "a link to what is not there": dangling,
    "too many levels of symbolic links": looping,
}


def test_images_that_are_no_regular_files_are_listed_at_once(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    for i, make in enumerate(IRREGULAR.values()):
        make(own / "images" / "wood" / f"odd{i}.png")
    line = refused()
    assert "images: 5 images cannot be read: " in line
    for i, reason in enumerate(IRREGULAR):
        assert f"wood/odd{i}.png ({reason})" in line


@pytest.mark.parametrize(
    "file", ["labels/train1.txt", "labels/labels_joint_anno.txt", "imdb/imdb.mat"]
)
@pytest.mark.parametrize(
    ("reason", "make"),
    [*IRREGULAR.items(), ("a folder instead of a regular file", a_folder)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_label_files_that_are_no_regular_files(
    reason: str, make: Callable, file: str, project: Path, own: Path
) -> None:
    classes(own, "wood", "stone")
    write_layout(read_layout(own, 0), own)
    (own / file).unlink()
    make(own / file)
    assert f"{Path(file).name}: {reason}; repair it or remove it" in refused()


def test_all_label_files_that_cannot_be_read_are_told_at_once(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    write_layout(read_layout(own, 0), own)
    files = ["labels/train2.txt", "labels/labels_joint_anno.txt", "imdb/imdb.mat"]
    for name, make in zip(files, (os.mkfifo, endless, dangling), strict=True):
        (own / name).unlink()
        make(own / name)
    line = refused()
    for name in files:
        assert f"own/{name}: a " in line


@pytest.mark.parametrize("name", ["labels", "imdb"])
@pytest.mark.parametrize("make", [dangling, looping, os.mkfifo, Path.touch])
def test_a_folder_of_labels_that_is_none(
    make: Callable, name: str, project: Path, own: Path
) -> None:
    classes(own, "wood", "stone")
    make(own / name)
    assert f"own/{name}: no folder; repair it or remove it" in refused()


def test_a_link_to_a_regular_image_is_followed(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    (own / "elsewhere.png").write_bytes(png(5, 6, 7))
    (own / "images" / "wood" / "link.png").symlink_to(own / "elsewhere.png")
    table, _, _ = fetched()
    assert "wood/link.png" in table["id"].tolist()
    assert not Path("data/images/images/wood/link.png").is_symlink()


def test_an_image_file_beyond_the_limit(
    project: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(own, "wood", "stone")
    with (own / "images" / "wood" / "large.png").open("wb") as file:
        file.truncate(image_files.MOST_BYTES + 1)  # takes no room on the disk
    assert "wood/large.png (larger than 256 MiB)" in refused()


@pytest.mark.parametrize(
    ("file", "limit"),
    [
        ("labels/val3.txt", "MOST_LABEL_BYTES"),
        ("labels/labels_joint_anno.txt", "MOST_LABEL_BYTES"),
        ("imdb/imdb.mat", "MOST_IMDB_BYTES"),
    ],
)
def test_a_label_file_beyond_the_limit(file: str, limit: str, project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    write_layout(read_layout(own, 0), own)
    with (own / file).open("r+b") as opened:
        opened.truncate(getattr(layouts, limit) + 1)
    assert f"{Path(file).name}: larger than" in refused()


def test_an_imdb_that_is_small_until_it_is_decompressed(
    project: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(own, "wood", "stone")
    write_layout(read_layout(own, 0), own)
    scipy.io.savemat(own / "imdb/imdb.mat", {"x": np.zeros(10**6)}, do_compression=True)
    assert (own / "imdb/imdb.mat").stat().st_size < 20_000
    assert "not an imdb.mat of DTD (no 'images')" in refused()
    monkeypatch.setattr(layouts, "MOST_IMDB_BYTES", 1 << 20)
    assert "imdb.mat: larger than 1 MiB once decompressed; repair it or remove it" in refused()


@pytest.mark.parametrize("kept", [0, 1, 100, 128, 140, 500, 0.5, 0.9])
def test_an_imdb_that_is_cut_short(kept: float, project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    write_layout(read_layout(own, 0), own)
    file = own / "imdb" / "imdb.mat"
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    line = refused()
    assert line.startswith("../own/imdb/imdb.mat: not an imdb.mat of DTD (")
    assert line.endswith("); repair it or remove it")


# Sides


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((2_000_000, 1), "2,000,000 x 1 pixels, beyond 20,000 a side"),
        ((1, 20_001), "1 x 20,001 pixels, beyond 20,000 a side"),
        ((10, 201), "10 x 201 pixels, one side more than 20 times the other"),
        ((9000, 300), "9,000 x 300 pixels, one side more than 20 times the other"),
    ],
)
def test_sides_that_an_encoder_cannot_use(
    size: tuple, reason: str, project: Path, own: Path
) -> None:
    classes(own, "wood", "stone")
    (own / "images" / "wood" / "strip.png").write_bytes(png(1, 1, 1, size=size))
    assert f"wood/strip.png ({reason})" in refused()


@pytest.mark.parametrize("size", [(10, 200), (200, 10), (1, 1), (20_000, 1_000)])
def test_sides_that_are_fine(size: tuple) -> None:
    assert decode(png(1, 2, 3, size=size)).image.size == size


# Formats


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    image = Image.new("RGB", (64, 48), (200, 40, 40))
    image.save(own / "images" / "wood" / "photo.avif", quality=90)
    table, _, _ = fetched()
    assert "wood/photo.avif" in table["id"].tolist()
    read = read_image(Path("data/images/images/wood/photo.avif"))
    assert read.size == (64, 48)
    np.testing.assert_allclose(np.asarray(read).mean((0, 1)), (200, 40, 40), atol=4)
    whole = (own / "images" / "wood" / "photo.avif").read_bytes()
    with pytest.raises(UnreadableImage):
        decode(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P3 2 1 255 255 0 0  0 255 255\n", [[255, 0, 0], [0, 255, 255]]),
        (b"P6 2 1 255 \xff\x00\x00\x00\xff\xff", [[255, 0, 0], [0, 255, 255]]),
        (b"P5 2 1 255 \x00\x80", [[0, 0, 0], [128, 128, 128]]),
    ],
    ids=["plain", "binary", "grey"],
)
def test_portable_pixmaps(data: bytes, expected: list) -> None:
    assert np.asarray(decode(data).image)[0].tolist() == expected
    with pytest.raises(UnreadableImage):
        decode(data[:-5])


# Identical images


def test_identical_images_are_counted_and_said(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    images = own / "images"
    splits_of(ids_in("wood", "stone"), own)  # 00 and 03 train, 01 and 04 val, 02 and 05 test
    (images / "wood/02.png").write_bytes((images / "wood/00.png").read_bytes())
    # Other bytes, the same pixels; and another class.
    Image.open(images / "wood/00.png").save(images / "stone/05.png", "BMP")
    (images / "stone/03.png").write_bytes((images / "stone/00.png").read_bytes())
    (images / "stone/01.png").write_bytes((images / "stone/00.png").read_bytes())
    (images / "stone/02.png").write_bytes((images / "stone/01.png").read_bytes())
    _, metrics, printed = fetched()
    assert metrics["identical"] == {
        "of_test_in_train": 3,
        "of_test_in_val": 1,
        "of_val_in_train": 1,
        "repeated_within_a_split": 2,
        "in_several_classes": 3,
    }
    assert printed.splitlines()[1] == (
        "identical images: 3 of test in train, 1 of test in val, 1 of val in train, "
        "2 repeated within a split, 3 in several classes; accuracy may owe to them"
    )


def test_the_same_pixels_in_another_shape_are_another_image() -> None:
    table = pd.DataFrame(
        {"id": ["a/1", "a/2", "b/1"], "class": ["a", "a", "b"], "split": ["train", "val", "test"]}
    )
    digests = {
        "a/1": digest_of(Image.new("RGB", (4, 3))),
        "a/2": digest_of(Image.new("RGB", (3, 4))),
        "b/1": digest_of(Image.new("RGB", (2, 6))),
    }
    assert not any(identical_images(table, digests).values())


# Names of label files


@pytest.mark.parametrize(
    "name",
    [
        "train01.txt",
        "train001.txt",
        "Train1.txt",
        "val1 (copy).txt",
        "test0.txt",
        "train\uff11.txt",
    ],
)
def test_a_split_file_with_nearly_the_right_name(name: str, project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    splits_of(ids_in("wood", "stone"), own)
    (own / "labels" / name).write_text("wood/00.png\n")
    line = refused()
    assert f"own/labels: {name}: no split file; their names run from train1.txt" in line


def test_other_texts_beside_split_files_are_passed_over(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    splits_of(ids_in("wood", "stone"), own)
    (own / "labels" / "README.txt").write_text("how these were made")
    assert len(fetched()[0]) == 12


def test_names_in_a_message_stay_on_one_short_line(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    splits_of([*ids_in("wood", "stone"), "wood/\x1b[31m\x00.png", "wood/" + "x" * 10**6], own)
    line = refused()
    assert "\x1b" not in line
    assert "\0" not in line
    assert len(line) < 1000


# Outputs


@pytest.mark.parametrize(
    ("option", "place", "message"),
    [
        ("--index", "data/images/index.csv", "lies in data/images, which is replaced as a whole"),
        ("--metrics", "data/images/metrics.json", "lies in data/images"),
        ("--downloads", "data/images", "lies in data/images"),
        ("--index", "taken", "taken: a file has to go here, and this is none"),
        ("--metrics", "taken", "taken: a file has to go here, and this is none"),
    ],
)
def test_outputs_that_would_be_lost_or_cannot_be_written(
    option: str, place: str, message: str, project: Path, own: Path
) -> None:
    classes(own, "wood", "stone")
    Path("taken").mkdir()
    assert message in refused(option, place)


def test_a_users_folder_like_ours_is_refused_as_output(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    mine = classes(own.parent / "mine", "silk", "wool")
    write_layout(read_layout(mine, 0), mine)
    (mine / "thesis.tex").write_text("years of work")
    before = sorted(mine.rglob("*"))
    line = refused("--images", mine)
    assert "holds files but no marker of fetch" in line
    assert "remove it and run again" in line
    assert sorted(mine.rglob("*")) == before


def test_our_own_folder_with_a_users_file_is_refused_as_output(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    fetched()
    assert Path("data/images", MARKER).is_file()
    Path("data/images/thesis.tex").write_text("years of work")
    line = refusal(fetch)
    assert "data/images: " in line
    assert "files that fetch did not write: thesis.tex; move them away" in line
    assert Path("data/images/thesis.tex").read_text() == "years of work"


@pytest.mark.skipif(sys.platform != "linux", reason="links as Linux makes them")
def test_an_output_that_is_a_link_to_a_folder(project: Path, own: Path) -> None:
    classes(own, "wood", "stone")
    Path("disk").mkdir()
    Path("data").mkdir()
    Path("data/images").symlink_to("../disk")
    for _ in range(2):
        fetched()
        assert Path("data/images").is_symlink()
        assert sorted(path.name for path in Path("disk").iterdir()) == [
            MARKER, "images", "imdb", "labels",
        ]  # fmt: skip


def test_list_images_gives_the_names_on_disk(own: Path) -> None:
    classes(own, NFD, "stone", count=1)
    assert list_images(own / "images") == {
        NFC: {f"{NFC}/00.png": f"{NFD}/00.png"},
        "stone": {"stone/00.png": "stone/00.png"},
    }
    layout = Layout(pd.DataFrame({1: ["train"]}, ["a/1"]), {"a/1": ["a"]}, {"a/1": "x/1"})
    assert layout.keep(["a/1"]).files == {"a/1": "x/1"}
