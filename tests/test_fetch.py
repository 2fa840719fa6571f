"""The fetch stage: generated, downloaded and own data sets, and every refusal."""

import errno
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from stages.core.dataset.images import read_image
from stages.core.dataset.layout import (
    SPLITS,
    Layout,
    class_of,
    read_annotations,
    read_imdb,
    read_index,
    read_layout,
    stratified_splits,
    write_layout,
)
from stages.core.dataset.release import (
    Release,
    download,
    extract,
    missing_of,
    obtain,
    official_release,
)
from stages.core.dataset.selection import choose, source_folder
from stages.core.dataset.sources import SOURCES, generate_textures
from stages.core.painter import Painting
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import MARKER
from stages.draw import draw
from stages.fetch import fetch
from stages.settings.fetch import NAMED_SOURCES, FetchParams
from tests.release import Site, served
from tests.stages import FETCH


def settings(**given: object) -> FetchParams:
    return FetchParams(**{**FETCH, **given})


def run(**given: object) -> Result:
    """Run the stage in the working directory."""
    Path("params.yaml").write_text(json.dumps({"fetch": {**FETCH, **given}}))
    return CliRunner().invoke(fetch, [])


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    """{relative path: contents} of all files in a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files)}


def own_images(folder: Path, **counts: int) -> Path:
    """A folder of images <class>/<i>.png, all different."""
    for name, count in counts.items():
        (folder / "images" / name).mkdir(parents=True)
        for i in range(count):
            shade = Image.new("RGB", (4, 3), (i, len(name), ord(name[0])))
            shade.save(folder / "images" / name / f"{i:03d}.png")
    return folder


# A folder of one's own


def test_a_folder_of_images(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=6, ash=4)
    Image.new("L", (9, 2)).save(source / "images" / "oak" / "grey.png")
    result = run(source=str(source), split=3)
    assert result.exit_code == 0, result.output
    assert "11 images of 2 classes (folder), split 3: 5 train, 3 val, 3 test" in result.output

    images = project / "data" / "images"
    assert files_of(images / "images") == files_of(source / "images")
    layout = read_layout(images, 0)
    pd.testing.assert_frame_equal(layout.splits, stratified_splits(layout.ids, 0))
    table = read_index(project / "data" / "images.csv")
    pd.testing.assert_frame_equal(table, layout.index(3), check_dtype=False)
    assert json.loads((project / "metrics" / "fetch.json").read_text()) == {
        "source": "folder",
        "classes": 2,
        "images": 11,
        "images_per_class": {"fewest": 4, "most": 7},
        "split": 3,
        "train": 5,
        "val": 3,
        "test": 3,
        "attributes_per_image": 1.0,
        "smallest_side_px": 2,
        "largest_side_px": 9,
        "converted": {
            "greyscale": 1,
            "palette": 0,
            "cmyk": 0,
            "alpha": 0,
            "deep": 0,
            "rotated": 0,
        },
        "identical": {
            "of_test_in_train": 0,
            "of_test_in_val": 0,
            "of_val_in_train": 0,
            "repeated_within_a_split": 0,
            "in_several_classes": 0,
        },
        "disagreements": {"images": 0, "splits": 0, "annotations": 0, "imdb": 0},
    }
    assert [file.name for file in project.rglob(".*")] == [MARKER]

    drawn = CliRunner().invoke(draw, ["fetch"])
    assert drawn.exit_code == 0, drawn.output
    with Image.open(project / "plots" / "drawn" / "fetch" / "contact_sheet.png") as sheet:
        assert min(sheet.size) > 100


def test_every_source_has_a_way_to_it() -> None:
    assert set(SOURCES) == {*NAMED_SOURCES, "folder"}
    kinds = [settings(source=name).kind for name in (*NAMED_SOURCES, "my/own", "folder")]
    assert kinds == [*NAMED_SOURCES, "folder", "folder"]


def test_characters_that_no_font_has_are_said_when_they_are_drawn(
    project: Path, tmp_path: Path
) -> None:
    source = own_images(tmp_path / "own", **{"oak": 3, "a\U00012000": 3})  # cuneiform
    assert run(source=str(source)).exit_code == 0
    drawn = CliRunner().invoke(draw, ["fetch"])
    assert drawn.exit_code == 0, drawn.output
    assert drawn.output == "boxes in pictures: no font has \U00012000; install Noto Sans or such\n"


def test_the_output_is_a_source_that_gives_the_same_output(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=5, ash=4)
    assert run(source=str(source)).exit_code == 0
    first = files_of(project / "data" / "images")
    (project / "data" / "images").rename(tmp_path / "again")
    assert run(source=str(tmp_path / "again"), seed=99).exit_code == 0
    assert files_of(project / "data" / "images") == first


def test_two_runs_write_the_same_bytes(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=5, ash=4)
    assert run(source=str(source)).exit_code == 0
    first = files_of(project)
    assert run(source=str(source)).exit_code == 0
    assert files_of(project) == first
    assert run(source=str(source), seed=1).exit_code == 0
    assert files_of(project / "data") != {
        name.removeprefix("data/"): data for name, data in first.items() if name.startswith("data/")
    }


def test_a_subset_is_consistent(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", ash=9, elm=9, oak=9)
    whole = read_layout(source, 0)
    whole.attributes["oak/004.png"] = ["oak", "elm", "ash"]
    write_layout(whole, source)
    assert run(source=str(source), classes=["oak", "ash"], images_per_class=6).exit_code == 0

    folder = project / "data" / "images"
    table = read_index(project / "data" / "images.csv")
    counts = table.groupby(["class", "split"]).size()
    assert counts.to_dict() == {(name, of): 2 for name in ("ash", "oak") for of in SPLITS}
    assert sorted(files_of(folder / "images")) == table["id"].tolist()
    layout = read_layout(folder, 0)
    pd.testing.assert_frame_equal(layout.splits, whole.splits.loc[layout.ids])
    imdb = read_imdb(folder / "imdb" / "imdb.mat")
    assert imdb.index.tolist() == layout.ids
    assert imdb["split"].tolist() == table["split"].tolist()
    annotations = read_annotations(folder / "labels" / "labels_joint_anno.txt", table["id"])
    assert list(annotations) == layout.ids
    assert {word for words in annotations.values() for word in words} == {"ash", "oak"}


def test_more_images_per_class_than_there_are_keep_all() -> None:
    ids = [f"{name}/{i}.png" for name, count in (("a", 3), ("b", 8)) for i in range(count)]
    layout = Layout(stratified_splits(ids, 0), {name: [class_of(name)] for name in ids})
    kept = choose(layout, settings(images_per_class=5), Path("own"))
    assert pd.Series(map(class_of, kept.ids)).value_counts().to_dict() == {"a": 3, "b": 5}


def test_all_unreadable_images_are_listed_at_once(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=30, ash=30)
    (source / "images" / "ash" / "000.png").write_bytes(b"")
    (source / "images" / "oak" / "007.png").write_text("not an image")
    whole = (source / "images" / "oak" / "009.png").read_bytes()
    (source / "images" / "oak" / "009.png").write_bytes(whole[:-5])
    message = refused(run(source=str(source)))
    assert f"{source}/images: 3 images cannot be read: ash/000.png (empty file); " in message
    assert "oak/007.png (no image of a known format" in message
    assert "oak/009.png (truncated" in message
    assert message.endswith("; repair or remove them\n")


def test_of_many_unreadable_images_twenty_are_listed(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=25, ash=3)
    for file in (source / "images" / "oak").iterdir():
        file.write_bytes(b"")
    message = refused(run(source=str(source)))
    assert message.count("(empty file)") == 20
    assert "; and 5 more; repair" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "texture"}, "fetch.source: 'texture' is neither 'textures', nor 'dtd', nor a"),
        ({"source": "no/where"}, "nor a folder; give one of these"),
        ({"source": "../own/images"}, "own/images/images: no such folder; put the images in"),
        ({"classes": ["Oak"]}, "fetch.classes: no class 'Oak'; did you mean 'oak'?"),
        ({"classes": ["oak", "oak"]}, "fetch.classes: 'oak' is repeated; give each class once"),
        ({"images_per_class": 2}, "fetch.images_per_class: 2: "),
        ({"split": 11}, "fetch.split: 11: "),
        ({"source": "textures", "classes": ["strippy"]}, "did you mean 'striped'?"),
    ],
)
def test_a_refusal_leaves_earlier_outputs(
    given: dict, message: str, project: Path, tmp_path: Path
) -> None:
    own_images(tmp_path / "own", oak=3, ash=3)
    assert run(source="../own").exit_code == 0
    before = files_of(project)
    assert message in refused(run(**{"source": "../own", **given}))
    before["params.yaml"] = Path("params.yaml").read_bytes()
    assert files_of(project) == before


def test_a_split_that_the_label_files_lack(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=3, ash=3)
    layout = read_layout(source, 0)
    write_layout(Layout(layout.splits[[1, 4]], layout.attributes), source)
    assert "own/labels; it has 1, 4" in refused(run(source=str(source), split=2))
    assert run(source=str(source), split=4).exit_code == 0
    assert len(list((project / "data" / "images" / "labels").iterdir())) == 7


def test_a_split_that_gives_a_class_no_test_images(project: Path, tmp_path: Path) -> None:
    source = own_images(tmp_path / "own", oak=3, ash=3)
    layout = read_layout(source, 0)
    layout.splits.loc[["oak/000.png", "oak/001.png", "oak/002.png"], 2] = "train"
    write_layout(layout, source)
    assert "split 2: no val images of oak; choose another" in refused(
        run(source=str(source), split=2)
    )


@pytest.mark.parametrize("source", ["data/images", "data/images/images/oak", "data"])
def test_a_source_that_overlaps_the_output(source: str, project: Path, tmp_path: Path) -> None:
    assert run(source=str(own_images(tmp_path / "own", oak=3, ash=3))).exit_code == 0
    before = files_of(project / "data")
    assert f"{source!r} overlaps data/images" in refused(run(source=source))
    assert files_of(project / "data") == before


def test_a_source_beside_the_output_is_fine(project: Path) -> None:
    own_images(project / "data" / "images_of_wood", oak=3, ash=3)
    assert source_folder("data/images_of_wood", Path("data/images")).name == "images_of_wood"


def test_a_full_disk(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = own_images(tmp_path / "own", oak=3, ash=3)
    assert run(source=str(source)).exit_code == 0
    before = files_of(project)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "the disk is full; free some space" in refused(run(source=str(source)))
    copies = "data/.images.clip-texture-topology.copies/"  # with which the next run goes on
    after = {name: data for name, data in files_of(project).items() if copies not in name}
    assert after == before
    monkeypatch.undo()
    monkeypatch.chdir(project)
    assert run(source=str(source)).exit_code == 0
    assert files_of(project) == before


# Generated textures


def stripes(attribute: str, rng: np.random.Generator, size: int) -> Painting:
    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Painting(pixels, attribute, ("grey",), "fine")


def test_generated_textures(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.core.dataset.sources.paint", stripes)
    result = run(classes=["woven", "banded"], images_per_class=6)
    assert result.exit_code == 0, result.output
    table = read_index(project / "data" / "images.csv")
    assert table["id"].tolist() == [
        f"{name}/{name}_{i:04d}.jpg" for name in ("banded", "woven") for i in range(1, 7)
    ]
    assert table["split"].value_counts().to_dict() == {"train": 4, "val": 4, "test": 4}
    assert read_layout(project / "data" / "images", 0).attributes["woven/woven_0006.jpg"] == [
        "woven"
    ]
    metrics = json.loads((project / "metrics" / "fetch.json").read_text())
    assert metrics["smallest_side_px"] == metrics["largest_side_px"] == 32


def test_all_attributes_are_generated_120_times(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = []
    monkeypatch.setattr(
        "stages.core.dataset.sources._generate_some",
        lambda *given: generated.extend(given[-1]) or {},
    )
    layout, _ = generate_textures(settings(), project / "images")
    assert generated == layout.ids
    assert len(layout.ids) == 47 * 120
    for number in range(1, 11):
        assert set(layout.index(number).groupby(["class", "split"]).size()) == {40}


def test_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    params = settings(classes=["striped", "woven"], images_per_class=12)
    for workers in (1, 2):
        generate_textures(params, tmp_path / str(workers), workers)
    one = files_of(tmp_path / "1")
    assert len(set(one.values())) == len(one) == 24
    assert files_of(tmp_path / "2") == one

    # Neither more images nor other classes change an image; another seed does.
    fewer = {"images_per_class": 3, "classes": ["woven", "dotted"]}
    generate_textures(settings(**fewer), tmp_path / "few", 1)
    few = {name: data for name, data in files_of(tmp_path / "few").items() if name in one}
    assert few == {f"woven/woven_{i:04d}.jpg": one[f"woven/woven_{i:04d}.jpg"] for i in (1, 2, 3)}
    generate_textures(settings(**fewer, seed=1), tmp_path / "other", 1)
    assert not set(files_of(tmp_path / "other").values()) & set(one.values())


# The official release


def official(folder: Path, classes: tuple[str, ...] = ("banded", "dotted")) -> Path:
    """A small data set in the official layout, packed as the official one is: dtd/..."""
    source = own_images(folder / "dtd", **dict.fromkeys(classes, 6))
    (source / "images" / "dotted" / ".directory").write_text("[Dolphin]")
    write_layout(read_layout(source, 11), source)
    archive = folder / "dtd-r1.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "dtd")
    return archive


def release_of(archive: Path, url: str | None = None) -> Release:
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    return Release(url or archive.as_uri(), md5, classes=2, per_split=2)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with served(official(tmp_path / "site").read_bytes(), ranges=False) as site:
        yield site


def test_torchvision_names_the_official_release() -> None:
    release = official_release()
    assert release.url.startswith("https://")
    assert release.file_name == "dtd-r1.0.1.tar.gz"
    assert len(release.md5) == 32
    assert release.classes * release.per_split * 3 == 5640


def test_the_release_is_downloaded_once(
    project: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = release_of(tmp_path / "site" / "dtd-r1.0.1.tar.gz", site.url)
    monkeypatch.setattr("stages.core.dataset.sources.official_release", lambda: release)
    result = run(source="dtd", split=10)
    assert result.exit_code == 0, result.output
    assert files_of(project / "data" / "downloads") == {"dtd-r1.0.1.tar.gz": site.content}
    published = files_of(tmp_path / "site" / "dtd")
    published.pop("images/dotted/.directory")
    fetched = files_of(project / "data" / "images")
    assert json.loads(fetched.pop(MARKER))["files"] == sorted(fetched)
    assert fetched == published
    assert json.loads((project / "metrics" / "fetch.json").read_text())["source"] == "dtd"

    first = files_of(project)
    assert run(source="dtd", split=10).exit_code == 0
    assert files_of(project) == first
    assert site.asked == [None]


def test_a_broken_download_starts_anew(
    project: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = release_of(tmp_path / "site" / "dtd-r1.0.1.tar.gz", site.url)
    monkeypatch.setattr("stages.core.dataset.sources.official_release", lambda: release)
    site.breaks = [500]
    message = refused(run(source="dtd"))
    assert f"{site.url}: broken off at 500 of {len(site.content):,} bytes; check the" in message
    assert not (project / "data" / "images").exists()
    partial = ".dtd-r1.0.1.tar.gz.clip-texture-topology.partial"
    assert files_of(project / "data" / "downloads") == {partial: site.content[:500]}

    # Nor is it taken for the archive; this server gives no parts.
    assert run(source="dtd").exit_code == 0
    assert list(files_of(project / "data" / "downloads")) == ["dtd-r1.0.1.tar.gz"]


def test_what_was_downloaded_must_have_the_checksum(tmp_path: Path) -> None:
    archive = official(tmp_path / "site")
    release = release_of(archive)
    archive.write_bytes(b"something else")
    with pytest.raises(StudyError, match=r"tar\.gz: MD5 is \w{32}, not \w{32} as published; run"):
        obtain(release, tmp_path / "downloads")
    assert files_of(tmp_path / "downloads") == {}


def test_a_wrong_archive_in_the_download_folder_is_not_used(tmp_path: Path) -> None:
    release = release_of(official(tmp_path / "site"))
    (tmp_path / release.file_name).write_bytes(b"half of it")
    with pytest.raises(StudyError, match="as published; remove it and run"):
        obtain(release, tmp_path)


def test_an_address_that_does_not_answer(site: Site, tmp_path: Path) -> None:
    gone = site.url.replace("r1.0.1", "r9")
    with pytest.raises(StudyError, match=r"dtd-r9\.tar\.gz: Not Found; check the network"):
        download(gone, tmp_path / "file")
    site.close()
    with pytest.raises(StudyError, match=r"dtd-r1\.0\.1\.tar\.gz: .*refused.*; check the network"):
        download(site.url, tmp_path / "file")


def test_a_full_disk_is_no_failure_of_the_network(tmp_path: Path) -> None:
    archive = official(tmp_path / "site")
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left on device") as raised:
        download(archive.as_uri(), Path("/dev/full"))
    assert raised.value.errno == errno.ENOSPC


def packed(archive: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return archive


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (member("../escaped"), "'../escaped' would lie outside the folder"),
        (member("dtd/../../escaped"), "'dtd/../../escaped' would lie outside the folder"),
        (member("/tmp/escaped"), "'/tmp/escaped' would lie outside the folder"),
        (member("dtd/link", tarfile.SYMTYPE, "/etc"), "'dtd/link' is neither a file nor a folder"),
        (member("dtd/link", tarfile.LNKTYPE, "../x"), "'dtd/link' is neither a file nor a folder"),
        (member("dtd/pipe", tarfile.FIFOTYPE), "'dtd/pipe' is neither a file nor a folder"),
    ],
)
def test_an_archive_that_leaves_its_folder(
    bad: tarfile.TarInfo, message: str, tmp_path: Path
) -> None:
    archive = packed(tmp_path / "evil.tar.gz", member("dtd/images/a/1.png"), bad)
    with pytest.raises(StudyError, match=rf"evil\.tar\.gz: {message}; do not use this archive"):
        extract(archive, tmp_path / "in")
    assert list(files_of(tmp_path)) == ["evil.tar.gz", "in/dtd/images/a/1.png"]


def test_archives_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.tar.gz").write_bytes(b"no archive")
    with pytest.raises(StudyError, match=r"text\.tar\.gz: damaged .*; remove it"):
        extract(tmp_path / "text.tar.gz", tmp_path / "in")
    cut = official(tmp_path / "site")
    cut.write_bytes(cut.read_bytes()[:-300])
    with pytest.raises(StudyError, match=r"dtd-r1\.0\.1\.tar\.gz: damaged .*; remove it"):
        extract(cut, tmp_path / "in")
    other = packed(tmp_path / "other.tar.gz", member("readme"))
    with pytest.raises(StudyError, match=r"other\.tar\.gz: holds no folder with images/"):
        extract(other, tmp_path / "other")


def test_what_a_release_lacks_is_counted(tmp_path: Path) -> None:
    layout = read_layout(own_images(tmp_path, banded=6, dotted=6), 0)
    release = Release("file:///dtd", "", classes=2, per_split=2)

    def missing(layout: Layout) -> list[str]:
        return [fault.what for fault in missing_of(layout, release, Path("dtd"))]

    assert missing(layout) == []
    fewer = missing(layout.keep(layout.ids[1:]))
    assert fewer[0] == "11 images of 2 classes instead of 12 of 2"
    assert len(fewer) == 11  # and no split is complete
    assert missing(Layout(layout.splits[[1, 2]], layout.attributes)) == [
        "not all of the ten splits: 3, 4, 5, 6, 7 and 3 more missing"
    ]
    layout.splits.loc[["banded/000.png", "banded/001.png", "banded/002.png"], 1] = "train"
    assert missing(layout) == ["split 1 does not hold 2 train, val and test images of every class"]


# Real images


@pytest.mark.skipif("DTD_ROOT" not in os.environ, reason="DTD_ROOT names no folder of real images")
def test_840_real_images(project: Path) -> None:
    assert run(source=os.environ["DTD_ROOT"]).exit_code == 0
    table = read_index(project / "data" / "images.csv")
    assert table["class"].unique().tolist() == [
        "banded", "blotchy", "braided", "bumpy", "chequered", "cracked", "crosshatched",
    ]  # fmt: skip
    assert set(table.groupby(["class", "split"]).size()) == {40}
    assert len(table) == 840
    metrics = json.loads((project / "metrics" / "fetch.json").read_text())
    assert (metrics["smallest_side_px"], metrics["largest_side_px"]) == (271, 900)
    assert metrics["converted"]["greyscale"] == 14
    assert read_image(project / "data" / "images" / "images" / table["id"][0]).mode == "RGB"
