"""Image files of every mode, and the layout of DTD: read, checked, made, chosen, written."""

import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.core.dataset.images import UnreadableImage, decode, read_image
from stages.core.dataset.layout import (
    NUMBERS,
    SPLITS,
    Layout,
    balanced_choice,
    class_of,
    imdb_bytes,
    list_images,
    read_annotations,
    read_imdb,
    read_index,
    read_layout,
    read_splits,
    require_every_split,
    stratified_splits,
    write_layout,
)
from stages.core.runtime.errors import StudyError

WHITE, BLACK, RED, CYAN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def image_of(mode: str, *pixels: object) -> Image.Image:
    """One row of pixels."""
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    return image


def pixels_of(data: bytes) -> list[tuple]:
    image = decode(data).image
    assert image.mode == "RGB"
    return [tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()]


def jpeg(shade: int = 90, size: tuple[int, int] = (64, 48)) -> bytes:
    rng = np.random.default_rng(shade)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return saved(Image.fromarray(pixels), "JPEG")


# Images


def test_rgb_is_left_as_it_is() -> None:
    decoded = decode(saved(image_of("RGB", RED, CYAN)))
    assert decoded.conversions == ()
    assert pixels_of(saved(image_of("RGB", RED, CYAN))) == [RED, CYAN]


@pytest.mark.parametrize(
    ("image", "expected", "conversions"),
    [
        (image_of("L", 0, 77, 255), [BLACK, (77, 77, 77), WHITE], ("greyscale",)),
        (image_of("1", 0, 255), [BLACK, WHITE], ("greyscale",)),
        # Half black on white: 255 * (1 - 128 / 255) = 127.
        (
            image_of("LA", (0, 0), (0, 255), (0, 128)),
            [WHITE, BLACK, (127, 127, 127)],
            ("greyscale", "alpha"),
        ),
        (
            image_of("RGBA", (255, 0, 0, 255), (255, 0, 0, 0), (255, 0, 0, 128)),
            [RED, WHITE, (255, 127, 127)],
            ("alpha",),
        ),
    ],
)
def test_grey_and_alpha(image: Image.Image, expected: list, conversions: tuple) -> None:
    data = saved(image)
    assert pixels_of(data) == expected
    assert decode(data).conversions == conversions


def test_palette() -> None:
    image = image_of("P", 0, 1, 2)
    image.putpalette([*RED, *CYAN, *BLACK])
    assert pixels_of(saved(image)) == [RED, CYAN, BLACK]
    assert decode(saved(image)).conversions == ("palette",)
    see_through = saved(image, transparency=1)
    assert pixels_of(see_through) == [RED, WHITE, BLACK]
    assert decode(see_through).conversions == ("palette", "alpha")


def test_a_transparent_colour_of_an_rgb_image_becomes_white() -> None:
    assert pixels_of(saved(image_of("RGB", RED, CYAN), transparency=RED)) == [WHITE, CYAN]


def test_cmyk() -> None:
    image = image_of("CMYK", (0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255))
    data = saved(image, "TIFF")
    assert pixels_of(data) == [WHITE, CYAN, BLACK]
    assert decode(data).conversions == ("cmyk",)
    print_shop = saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(pixels_of(print_shop), [CYAN] * 256, atol=3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_not_clipped(kind: str) -> None:
    deep = np.array([[0, 100 * 257, 65535]], dtype=np.uint16)
    data = saved(Image.fromarray(deep), kind)
    assert pixels_of(data) == [BLACK, (100, 100, 100), WHITE]
    assert decode(data).conversions == ("greyscale", "deep")


# What a viewer does with the stored rows and columns, by the EXIF standard.
VIEWS = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", VIEWS)
def test_exif_orientation(orientation: int, kind: str) -> None:
    stored = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(saved(Image.fromarray(stored), kind, exif=exif))
    np.testing.assert_array_equal(np.asarray(decoded.image), VIEWS[orientation](stored))
    assert decoded.conversions == (() if orientation == 1 else ("rotated",))


def test_the_orientation_of_a_jpeg() -> None:
    stored = np.zeros((8, 16, 3), np.uint8)
    stored[:, :8] = 255  # the left half is white; turned clockwise it is the upper one
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode(saved(Image.fromarray(stored), "JPEG", exif=exif, quality=100)).image
    assert image.size == (8, 16)
    assert np.asarray(image)[:7].min() > 240
    assert np.asarray(image)[9:].max() < 15


def test_exif_data_that_cannot_be_read_turns_nothing() -> None:
    data = saved(image_of("RGB", RED, CYAN), "JPEG", exif=b"Exif\0\0no tags at all")
    assert decode(data).image.size == (2, 1)


def test_of_several_frames_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, CYAN)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert set(pixels_of(data)) == {RED}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"not a picture", "no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a known format"),
        (jpeg()[:-400], "truncated"),
        (saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)))[
            :2000
        ], "truncated|broken"),
        (saved(Image.new("F", (2, 2), 0.5), "TIFF"), "mode 'F' has no agreed white"),
        (saved(Image.new("I", (2, 2), 70_000), "TIFF"), "mode 'I' has no agreed white"),
    ],
    ids=["empty", "text", "eps", "cut jpeg", "cut png", "float", "32 bits"],
)  # fmt: skip
def test_unreadable_images(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(data)
    file = tmp_path / "bad.jpg"
    file.write_bytes(data)
    with pytest.raises(StudyError, match=rf"bad\.jpg: .*({reason}).*; repair or remove it"):
        read_image(file)


@pytest.mark.parametrize("limit", [20, 5])  # Pillow warns of 25 pixels, and refuses them
def test_a_decompression_bomb_is_an_error(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.new("RGB", (5, 5)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableImage, match="million pixels"):
        decode(data)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"gone\.jpg: not found; run 'dvc repro fetch'"):
        read_image(tmp_path / "gone.jpg")


# The images there are


def touch(folder: Path, *ids: str) -> None:
    for name in ids:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_list_images_by_class(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jpg", "b/1 (copy).jpg", "a-c/1.png", "a/1.jpg")
    touch(tmp_path, ".DS_Store", "b/.directory", "b/Thumbs.db")
    assert list_images(tmp_path) == {
        "a": {"a/1.jpg": "a/1.jpg"},
        "a-c": {"a-c/1.png": "a-c/1.png"},
        "b": {name: name for name in ("b/1 (copy).jpg", "b/2.jpg")},
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loose.jpg", r"loose\.jpg: lies outside a class; move it"),
        ("a/b/c.jpg", "a/b: a folder inside a class, .*; move it out of"),
        ("oak bark/1.jpg", "oak bark: a class name holds no blanks.*rename it with hyphens"),
        ("a/b\nc.jpg", r"a/b\\nc\.jpg: a file name holds no line breaks.*; rename it"),
        ("a/b.jpg ", "no blank at its end; rename it"),
        (os.fsdecode(b"a/\xff.jpg"), r"a/\\udcff\.jpg: a file name"),
    ],
)
def test_names_that_would_get_lost_are_refused(name: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", name)
    with pytest.raises(StudyError, match=message):
        list_images(tmp_path)


def test_a_folder_without_classes(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no classes; put the images in"):
        list_images(tmp_path)
    with pytest.raises(StudyError, match="no such folder; put the images in"):
        list_images(tmp_path / "images")


# Splits


def ids_of(**counts: int) -> list[str]:
    return [f"{name}/{i:03d}.jpg" for name, count in counts.items() for i in range(count)]


@given(
    counts=st.dictionaries(st.sampled_from("abcde"), st.integers(3, 20), min_size=1),
    seed=st.integers(0, 2**40),
)
def test_made_splits_are_complete_and_stratified(counts: dict[str, int], seed: int) -> None:
    ids = ids_of(**counts)
    splits = stratified_splits(ids[::-1], seed)
    assert splits.index.tolist() == sorted(ids)
    assert splits.columns.tolist() == list(range(1, 11))
    assert set(splits.to_numpy().ravel()) == set(SPLITS)
    for number in NUMBERS:
        for name, count in counts.items():
            sizes = Counter(splits[number][[class_of(i) == name for i in splits.index]])
            assert sizes["train"] + sizes["val"] + sizes["test"] == count
            assert sizes["train"] >= sizes["val"] >= sizes["test"] >= sizes["train"] - 1


def test_made_splits_of_120_are_40_40_40_and_seeded() -> None:
    ids = ids_of(a=120, b=120)
    splits = stratified_splits(ids, 0)
    assert Counter(splits[7]) == {"train": 80, "val": 80, "test": 80}
    pd.testing.assert_frame_equal(splits, stratified_splits(ids, 0))
    assert (splits != stratified_splits(ids, 1)).to_numpy().any()
    assert all((splits[1] != splits[number]).any() for number in range(2, 11))


def test_a_class_is_split_without_regard_to_the_others() -> None:
    alone = stratified_splits(ids_of(b=12), 5)
    among = stratified_splits(ids_of(a=7, b=12, c=9), 5)
    pd.testing.assert_frame_equal(alone, among.loc[alone.index])


def write_split(folder: Path, number: int, **names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for split in SPLITS:
        lines = "".join(f"{name}\n" for name in names.get(split, []))
        (folder / f"{split}{number}.txt").write_text(lines)


IDS = ["a/1.jpg", "a/2.jpg", "a/3.jpg"]


def test_read_splits(tmp_path: Path) -> None:
    assert read_splits(tmp_path / "none", IDS) is None
    write_split(tmp_path, 1, train=[IDS[2]], val=[IDS[0]], test=[IDS[1]])
    write_split(tmp_path, 10, train=IDS[:1], val=IDS[1:2], test=IDS[2:])
    (tmp_path / "train1.txt").write_bytes(b"\xef\xbb\xbfa/3.jpg \r\n\r\n")  # as Windows saves it
    expected = {1: ["val", "test", "train"], 10: ["train", "val", "test"]}
    pd.testing.assert_frame_equal(read_splits(tmp_path, IDS), pd.DataFrame(expected, IDS))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"train": ["a/1.jpg", "a/9.jpg"], "val": ["a/2.jpg"], "test": ["a/3.jpg"]},
            r"train2\.txt: names images that are missing: a/9\.jpg; add or unlist them",
        ),
        (
            {"train": ["a/1.jpg"], "val": ["a/2.jpg"], "test": ["a/3.jpg", "a/3.jpg"]},
            r"test2\.txt: lists images more than once: a/3\.jpg",
        ),
        (
            {"train": ["a/1.jpg"], "val": ["a/2.jpg", "a/3.jpg"], "test": ["a/1.jpg"]},
            r"test2\.txt: shares images with train2\.txt: a/1\.jpg; list each in one split",
        ),
        (
            {"train": ["a/1.jpg"], "test": ["a/3.jpg"]},
            r"split 2 leaves images out: a/2\.jpg; list them, or remove the split files",
        ),
    ],
)
def test_wrong_splits(names: dict, message: str, tmp_path: Path) -> None:
    write_split(tmp_path, 2, **names)
    with pytest.raises(StudyError, match=message):
        read_splits(tmp_path, IDS)


def test_of_many_missing_images_five_are_named(tmp_path: Path) -> None:
    write_split(tmp_path, 1, train=IDS[:1], val=IDS[1:2], test=[f"b/{i}.jpg" for i in range(8)])
    with pytest.raises(StudyError, match=r": b/0\.jpg, .*, b/4\.jpg and 3 more; add"):
        read_splits(tmp_path, IDS)


def test_split_files_that_are_missing_or_misnamed(tmp_path: Path) -> None:
    write_split(tmp_path, 1, train=IDS[:1], val=IDS[1:2], test=IDS[2:])
    (tmp_path / "val1.txt").unlink()
    with pytest.raises(StudyError, match=r"val1\.txt: not found; a split has a train, a val and"):
        read_splits(tmp_path, IDS)
    write_split(tmp_path, 11, train=IDS)
    with pytest.raises(StudyError, match=r": test11\.txt, .*: no split file; their names run"):
        read_splits(tmp_path, IDS)
    for file in tmp_path.glob("*1.txt"):
        file.unlink()
    touch(tmp_path, "train.txt")
    with pytest.raises(StudyError, match=r": train\.txt: no split file; their names run from"):
        read_splits(tmp_path, IDS)


def test_a_label_file_that_is_no_text(tmp_path: Path) -> None:
    write_split(tmp_path, 1, train=IDS)
    (tmp_path / "val1.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match=r"val1\.txt: not UTF-8 text"):
        read_splits(tmp_path, IDS)


def test_every_class_needs_images_in_every_split() -> None:
    layout = layout_of(ids_of(a=3, b=4))
    require_every_split(layout.index(1), "here")
    layout.splits.loc[["b/000.jpg", "b/001.jpg", "b/002.jpg", "b/003.jpg"], 1] = "train"
    with pytest.raises(StudyError, match="here: no val images of b; choose another split"):
        require_every_split(layout.index(1), "here")


# Joint annotations


def test_read_annotations(tmp_path: Path) -> None:
    file = tmp_path / "labels_joint_anno.txt"
    file.write_text("a/1.jpg a polka-dotted \na/1.jpg (2).jpg b \na/3.jpg a")
    expected = {"a/1.jpg": ["a", "polka-dotted"], "a/1.jpg (2).jpg": ["b"], "a/3.jpg": ["a"]}
    assert read_annotations(file, expected) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/1.jpg a \nb/9.jpg b \n", r"anno\.txt: names images that are missing: b/9\.jpg"),
        ("a/1.jpg a \na/1.jpg b \n", r"anno\.txt: lists images more than once: a/1\.jpg"),
    ],
)
def test_wrong_annotations(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "anno.txt").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_annotations(tmp_path / "anno.txt", IDS)


def test_missing_annotations(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"anno\.txt: not found; run 'dvc repro fetch'"):
        read_annotations(tmp_path / "anno.txt", IDS)


# imdb.mat


def layout_of(ids: list[str], seed: int = 0) -> Layout:
    return Layout(stratified_splits(ids, seed), {name: [class_of(name)] for name in sorted(ids)})


def test_imdb_as_matlab_sees_it(tmp_path: Path) -> None:
    splits = pd.DataFrame({1: ["test", "train", "val"]}, ["ab/1.jpg", "ab/22.jpg", "c/1.jpg"])
    layout = Layout(splits, {name: [class_of(name)] for name in splits.index})
    data = imdb_bytes(layout)
    assert data[:19] == b"MATLAB 5.0 MAT-file"
    images = scipy.io.loadmat(io.BytesIO(data))["images"][0, 0]
    np.testing.assert_array_equal(images["id"], [[1, 2, 3]])
    np.testing.assert_array_equal(images["set"], [[3, 1, 2]])
    np.testing.assert_array_equal(images["class"], [[1, 1, 2]])
    assert images["name"].shape == (1, 3)
    assert [cell.item() for cell in images["name"][0]] == splits.index.tolist()
    meta = scipy.io.loadmat(io.BytesIO(data))["meta"][0, 0]
    assert [cell.item() for cell in meta["classes"][0]] == ["ab", "c"]
    assert [cell.item() for cell in meta["sets"][0]] == ["train", "val", "test"]

    (tmp_path / "imdb.mat").write_bytes(data)
    expected = pd.DataFrame(
        {"class": ["ab", "ab", "c"], "split": ["test", "train", "val"]}, splits.index
    )
    pd.testing.assert_frame_equal(read_imdb(tmp_path / "imdb.mat"), expected)


def test_imdb_bytes_do_not_hold_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layout_of(ids_of(a=3))
    before = imdb_bytes(layout)
    monkeypatch.setattr("time.asctime", lambda *_: "another day")
    assert imdb_bytes(layout) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no MATLAB file", r"imdb\.mat: not an imdb\.mat of DTD"),
        ({"images": {"id": [1.0]}}, r"not an imdb\.mat of DTD \(no 'meta'\)"),
        ({"set": [1.0, 2.0, 4.0]}, r"not an imdb\.mat of DTD \(no 4\)"),
        ({"set": [0.0, 2.0, 3.0]}, r"not an imdb\.mat of DTD \(no 0\)"),
        ({"class": [1.0, 1.0, 2.0]}, r"not an imdb\.mat of DTD \(no 2\)"),
        ({"set": [2.0, 1.0, 3.0]}, r"contradicts train1\.txt.* on: a/1\.jpg, a/2\.jpg; repair"),
        ({"name": ["a/1.jpg", "a/2.jpg", "a/9.jpg"]}, r"that are missing: a/9\.jpg; repair"),
        ({"name": ["a/1.jpg", "a/2.jpg", "a/2.jpg"]}, r"more than once: a/2\.jpg; repair"),
        (
            {"name": IDS[:2], "set": [1.0, 2.0], "class": [1.0, 1.0]},
            r"leaves images out: a/3\.jpg; repair",
        ),
        ({"classes": ["b"]}, r"gives a class that is not the folder to: a/1\.jpg, .*; repair"),
    ],
)
def test_wrong_imdb(content: bytes | dict, message: str, tmp_path: Path) -> None:
    touch(tmp_path / "images", *IDS)
    write_split(tmp_path / "labels", 1, train=IDS[:1], val=IDS[1:2], test=IDS[2:])
    (tmp_path / "imdb").mkdir()
    file = tmp_path / "imdb" / "imdb.mat"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif "images" in content:
        scipy.io.savemat(file, content)
    else:
        right = {"name": IDS, "set": [1.0, 2.0, 3.0], "class": [1.0, 1.0, 1.0]}
        images = {**right, **content}
        classes = images.pop("classes", ["a"])
        images["name"] = np.array(images["name"], dtype=object)
        meta = {"classes": np.array(classes, dtype=object)}
        scipy.io.savemat(file, {"images": images, "meta": meta})
    with pytest.raises(StudyError, match=message):
        read_layout(tmp_path, 0)


def test_an_imdb_without_split_files_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "images", *IDS)
    touch(tmp_path, "imdb/imdb.mat")
    with pytest.raises(StudyError, match=r"imdb\.mat: states a split, but .* no split files"):
        read_layout(tmp_path, 0)


# The whole layout


def test_a_folder_of_images_alone(tmp_path: Path) -> None:
    ids = ids_of(a=4, b=3)
    touch(tmp_path / "images", *ids)
    layout = read_layout(tmp_path, 3)
    assert layout.classes == ["a", "b"]
    assert layout.attributes == {name: [name[0]] for name in ids}
    pd.testing.assert_frame_equal(layout.splits, stratified_splits(ids, 3))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    ids = ids_of(a=4, b=6)
    touch(tmp_path / "images", *ids)
    attributes = {name: [class_of(name)] for name in ids} | {"a/001.jpg": ["a", "b"]}
    written = Layout(stratified_splits(ids, 3), attributes)
    write_layout(written, tmp_path)
    assert len(list((tmp_path / "labels").iterdir())) == 31
    text = (tmp_path / "labels" / "labels_joint_anno.txt").read_text()
    assert text.startswith("a/000.jpg a \na/001.jpg a b \n")
    read = read_layout(tmp_path, 99)
    pd.testing.assert_frame_equal(read.splits, written.splits)
    assert read.attributes == attributes


def test_an_image_has_the_attribute_of_its_class(tmp_path: Path) -> None:
    touch(tmp_path / "images", *IDS)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels_joint_anno.txt").write_text("a/1.jpg woven \n")
    expected = {"a/1.jpg": ["a", "woven"], "a/2.jpg": ["a"], "a/3.jpg": ["a"]}
    assert read_layout(tmp_path, 0).attributes == expected


def test_a_class_with_fewer_than_three_images(tmp_path: Path) -> None:
    touch(tmp_path / "images", *ids_of(a=3, b=2))
    (tmp_path / "images" / "c").mkdir()
    with pytest.raises(StudyError, match=r"images: fewer than 3 images in b \(2\), c \(0\); add"):
        read_layout(tmp_path, 0)


def test_a_part_of_a_layout_is_consistent() -> None:
    layout = layout_of(ids_of(a=3, b=3, c=3))
    layout.attributes["a/000.jpg"] = ["b", "a", "c"]
    part = layout.keep(["c/001.jpg", "a/000.jpg"])
    assert part.ids == ["a/000.jpg", "c/001.jpg"]
    assert part.attributes == {"a/000.jpg": ["a", "c"], "c/001.jpg": ["c"]}
    assert part.index(4)["split"].tolist() == layout.splits.loc[part.ids, 4].tolist()


def test_balanced_choice_by_hand() -> None:
    split = pd.Series(
        ["train"] * 6 + ["val"] * 3 + ["test"] * 3, [f"a/{i:02d}.jpg" for i in range(12)]
    )

    def chosen(count: int) -> list[int]:
        return [int(name[2:4]) for name in balanced_choice(split, count)]

    assert chosen(3) == [0, 6, 9]
    assert chosen(4) == [0, 1, 6, 9]
    assert chosen(6) == [0, 1, 2, 6, 7, 9]
    assert chosen(8) == [0, 1, 2, 3, 6, 7, 9, 10]
    assert chosen(12) == chosen(99) == list(range(12))


@given(
    counts=st.dictionaries(st.sampled_from("abc"), st.integers(3, 30), min_size=1),
    per_class=st.integers(3, 30),
    seed=st.integers(0, 100),
)
def test_balanced_choices_keep_proportions(
    counts: dict[str, int], per_class: int, seed: int
) -> None:
    split = stratified_splits(ids_of(**counts), seed)[1]
    chosen = balanced_choice(split, per_class)
    assert set(balanced_choice(split, per_class - 1)) <= set(chosen)
    for name, count in counts.items():
        sizes = Counter(split[i] for i in chosen if class_of(i) == name)
        assert sum(sizes.values()) == min(count, per_class)
        assert max(sizes.values()) - min(sizes[of] for of in SPLITS) <= 1


# The index


def test_read_index_sorts(tmp_path: Path) -> None:
    file = tmp_path / "images.csv"
    file.write_text('id,class,split\nb/1.jpg,b,val\n"a/1, copy.jpg",a,train\n')
    assert read_index(file).to_numpy().tolist() == [
        ["a/1, copy.jpg", "a", "train"],
        ["b/1.jpg", "b", "val"],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("id,class,split\n", "holds no rows"),
        ("id,split\na/1.jpg,train\n", "no column class, but 'id, split'"),
        ("id,class,split\na/1.jpg,a,train\na/1.jpg,a,val\n", r"id a/1\.jpg is repeated"),
        ("id,class,split\na/1.jpg,b,train\n", r"a/1\.jpg has class 'b'"),
        (
            "id,class,split\na/1.jpg,a,trian\n",
            "row 1: split is 'trian', not one of train, val, test",
        ),
    ],
)
def test_wrong_index(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text(text)
    with pytest.raises(
        StudyError,
        match=rf"images\.csv: .*{message}.*; run 'dvc repro --force --single-item fetch'",
    ):
        read_index(tmp_path / "images.csv")


def test_missing_index(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"images\.csv: not found; run 'dvc repro fetch'"):
        read_index(tmp_path / "images.csv")
