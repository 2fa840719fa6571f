"""The official release: what a server, an archive and its own files can hold."""

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from stages.core.dataset import release as releases
from stages.core.dataset.layout import SPLITS, read_index, read_layout
from stages.core.dataset.release import Release, download, extract, obtain
from stages.core.runtime.errors import StudyError
from stages.fetch import fetch
from tests.refusals import refusal
from tests.release import (
    FILE_NAME,
    Contents,
    gapped_ids,
    imdb_of,
    official_ids,
    packed,
    release_at,
    release_files,
    served,
)
from tests.stages import write_fetch_params

CLASSES = ["banded", "dotted", "polka-dotted"]
PER_SPLIT = 4
PARTIAL = f".{FILE_NAME}.clip-texture-topology.partial"


@pytest.fixture(scope="module")
def files() -> Contents:
    return release_files(gapped_ids(CLASSES, 3 * PER_SPLIT))


@pytest.fixture(scope="module")
def archive(files: Contents) -> bytes:
    return packed(files)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "PAUSE_S", 0.0)


@pytest.fixture
def project(project: Path) -> Path:
    """The empty project, with settings of fetch."""
    write_fetch_params(project, source="dtd")
    return project


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bytes], Release]:
    """Make an archive the official release, without a server."""

    def published(archive: bytes, classes: int = len(CLASSES), each: int = PER_SPLIT) -> Release:
        (tmp_path / FILE_NAME).write_bytes(archive)
        release = release_at((tmp_path / FILE_NAME).as_uri(), archive, classes, each)
        monkeypatch.setattr("stages.core.dataset.sources.official_release", lambda: release)
        return release

    return published


def fetched(*arguments: str) -> tuple[pd.DataFrame, dict, str]:
    """Run fetch, which must succeed; return its index, its metrics and what it printed."""
    result = CliRunner().invoke(fetch, arguments)
    assert result.exit_code == 0, result.output
    metrics = json.loads(Path("metrics/fetch.json").read_text())
    return read_index(Path("data/images.csv")), metrics, result.output


# Downloads


@pytest.mark.parametrize(
    ("breaks", "asked"),
    [
        ([], [None]),
        ([1000], [None, "bytes=1000-"]),
        ([1000, 500, 1], [None, "bytes=1000-", "bytes=1500-", "bytes=1501-"]),
    ],
)
def test_a_broken_download_is_taken_up_where_it_broke(
    breaks: list, asked: list, archive: bytes, tmp_path: Path
) -> None:
    with served(archive, breaks=breaks) as site:
        release = release_at(site.url, archive, len(CLASSES), PER_SPLIT)
        assert obtain(release, tmp_path).read_bytes() == archive
        assert site.asked == asked
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_download_that_brings_nothing_more_ends(archive: bytes, tmp_path: Path) -> None:
    with served(archive, breaks=[1000, 0]) as site:
        release = release_at(site.url, archive, len(CLASSES), PER_SPLIT)
        message = rf"{FILE_NAME}: broken off at 1,000 of {len(archive):,} bytes; check the network"
        with pytest.raises(StudyError, match=message):
            obtain(release, tmp_path)
        # The next run goes on from there.
        assert obtain(release, tmp_path).read_bytes() == archive
        assert site.asked == [None, "bytes=1000-", "bytes=1000-"]


def test_a_server_without_ranges_begins_anew(archive: bytes, tmp_path: Path) -> None:
    with served(archive, ranges=False, breaks=[1000]) as site:
        release = release_at(site.url, archive, len(CLASSES), PER_SPLIT)
        with pytest.raises(StudyError, match="broken off at 1,000 of"):
            obtain(release, tmp_path)
        assert (tmp_path / PARTIAL).stat().st_size == 1000
        assert obtain(release, tmp_path).read_bytes() == archive
        assert site.asked == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    "left",
    [
        lambda archive: b"of another file" * 10,
        lambda archive: archive[:50] + b"x" + archive[51:100],
        lambda archive: archive + b"more",
        lambda archive: b"x" * len(archive),
        lambda archive: archive,
        lambda archive: b"",
    ],
    ids=["other", "damaged", "too long", "as long but other", "complete", "empty"],
)
@pytest.mark.parametrize("ranges", [True, False])
def test_whatever_an_earlier_run_left_the_archive_is_right(
    left: Callable[[bytes], bytes], ranges: bool, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / PARTIAL).write_bytes(left(archive))
    with served(archive, ranges=ranges) as site:
        release = release_at(site.url, archive, len(CLASSES), PER_SPLIT)
        assert obtain(release, tmp_path).read_bytes() == archive
        assert len(site.asked) <= 2
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_wrong_checksum_leaves_nothing_to_be_taken_up(archive: bytes, tmp_path: Path) -> None:
    with served(archive + b"changed") as site:
        release = release_at(site.url, archive, len(CLASSES), PER_SPLIT)
        with pytest.raises(StudyError, match=r"MD5 is \w{32}, not \w{32} as published; run"):
            obtain(release, tmp_path)
    assert list(tmp_path.iterdir()) == []


def answering(head: bytes) -> Iterator[str]:
    """The address of a server that gives one answer, whatever is asked, and hangs up."""
    import threading

    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            for _ in range(3):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(head)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/{FILE_NAME}"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0\1\2\3",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 7-9/10\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 206 Partial\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 416 No\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ftp:///\r\n\r\n",
    ],
)
def test_answers_that_are_none(head: bytes, tmp_path: Path) -> None:
    for url in answering(head):
        with pytest.raises(StudyError, match=rf"^http://.*/{FILE_NAME}: .+; check the network"):
            download(url, tmp_path / "file")


@pytest.mark.parametrize("length", [b"Content-Length: abc\r\n", b"Content-Length: -5\r\n", b""])
def test_an_answer_of_unknown_length_is_decided_by_its_checksum(
    length: bytes, tmp_path: Path
) -> None:
    for url in answering(b"HTTP/1.0 200 OK\r\n" + length + b"\r\ncontent"):
        release = Release(url, hashlib.md5(b"content").hexdigest(), 1, 1)
        assert obtain(release, tmp_path).read_bytes() == b"content"


def test_an_answer_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "MOST_BYTES", 1000)
    for url in answering(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 5000):
        with pytest.raises(StudyError, match="more than 1,000 bytes; not the archive"):
            download(url, tmp_path / "file")


@pytest.mark.parametrize("place", [FILE_NAME, PARTIAL])
@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("/no/where"),
        lambda path: path.symlink_to(path.name),
    ],
    ids=["pipe", "folder", "device", "dangling", "looping"],
)
def test_an_archive_that_is_no_regular_file(
    make: Callable, place: str, project: Path, archive: bytes, publish: Callable
) -> None:
    publish(archive)
    Path("data/downloads").mkdir(parents=True)
    make(Path("data/downloads", place))
    line = refusal(fetch)
    assert f"data/downloads/{place}: " in line
    assert "remove it" in line
    assert not Path("data/images").exists()


# Archives


def member(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None
) -> bytes:
    """A member as it lies in a tar, its contents zeros; `pax`: headers before it."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.pax_headers = kind, size, pax or {}
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) + bytes(-size % 512 + size)


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A header block with any bytes as its size, and the checksum right."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124 : 124 + len(size)], block[136:148] = size, b"00000000000\0"
    block[148:156], block[156:157], block[257:265] = b" " * 8, kind, b"ustar  \0"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*records: bytes) -> bytes:
    """A pax header of any records, then nothing."""
    body = b"".join(records)
    return header(b"pax", b"%011o\0" % len(body), b"x") + body + bytes(-len(body) % 512)


FIRST = member("dtd/images/a/1.jpg", 3)
HUGE = b"\x80\0\0\0\x0f" + b"\xff" * 7  # base 256, 2^60 bytes
NEGATIVE = b"\xff" * 11 + b"\x00"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(b"dtd/x", HUGE), "claims 1,152,921,504,606,846,975 bytes"),
        (header(b"dtd/x", NEGATIVE), "claims -256 bytes"),
        (header(b"pax", HUGE, b"x"), "damaged (a header claims 1,"),
        (header(b"pax", NEGATIVE, b"x"), "damaged"),
        (header(b"long", HUGE, b"L"), "damaged (a header claims 1,"),
        (header(b"long", b"%011o\0" % (1 << 25), b"L"), "damaged (a header claims 33,554,432"),
        (member("dtd/x", 3, pax={"size": "-1024"}), "claims -1,024 bytes"),
        (member("dtd/x", 3, pax={"path": "a\0b"}), "a name that no file can have"),
        (member("dtd/x", 3, pax={"path": "../../x"}), "would lie outside the folder"),
        (
            member("dtd/x", 3, pax={"GNU.sparse.size": "9", "GNU.sparse.map": "0,1"}),
            "neither a file",
        ),
        (member("dtd/x", 3, pax={"GNU.sparse.map": "a,b"}), "damaged"),
        (
            member("dtd/x", 3, pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
            "damaged",
        ),
        (pax(b"5 a=\n", b"0 b=c\n"), "damaged (a header that cannot be read)"),
        (b"no header" * 64, "damaged (a header that cannot be read)"),
        (pax(b"99999999999999999999 a=b\n"), "damaged"),
        (pax(b"20 comment=\xff\xfe\xfd\xfc\n"), "damaged"),
        (b"".join(pax(b"6 a=b\n") for _ in range(3000)) + FIRST, "damaged"),
        (member("dtd/sparse", 0, tarfile.GNUTYPE_SPARSE), "neither a file nor a folder"),
        (member("dtd/null", 0, tarfile.CHRTYPE), "neither a file nor a folder"),
        (member("dtd/disk", 0, tarfile.BLKTYPE), "neither a file nor a folder"),
        (member("dtd/pipe", 0, tarfile.FIFOTYPE), "neither a file nor a folder"),
        (member("dtd/many", 0, tarfile.CONTTYPE), None),
        (member("dtd/images/a/1.jpg", 5), "is there twice, or as a file and as a folder"),
        (member("dtd/images/a/1.jpg/2.jpg", 5), "is there twice, or as a file and as a folder"),
        (member("dtd/images/a", 5), "is there twice, or as a file and as a folder"),
        (member("dtd/images/a/1.jpg", 0, tarfile.DIRTYPE), "is there twice, or as a file"),
        (member("dtd/images/a", 0, tarfile.DIRTYPE), None),
        (member("x" * 300, 5), "File name too long"),
        (member("dtd/x", 2000)[:900], "damaged (unexpected end of data)"),
        (member("dtd/x", 3, pax={"mtime": "nan"}), None),
        (member("dtd/x", 3, pax={"mtime": "inf", "uid": "-1"}), None),
        (header(b"dtd/caf\xe9.txt", b"00000000000\0"), None),
        (member(".", 0, tarfile.DIRTYPE), None),
    ],
)
def test_members_with_hostile_headers(content: bytes, message: str | None, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar.gz"
    archive.write_bytes(gzip.compress(FIRST + content + bytes(1024)))
    if message is None:
        assert extract(archive, tmp_path / "in") == tmp_path / "in" / "dtd"
    else:
        with pytest.raises((StudyError, OSError)) as raised:
            extract(archive, tmp_path / "in")
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)
    made = {path.relative_to(tmp_path / "in").parts[0] for path in (tmp_path / "in").rglob("*")}
    assert made <= {"dtd"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.gz", "in"]


def test_an_archive_that_unpacks_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "MOST_BYTES", 1 << 20)
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(b"".join(member(f"dtd/{i}", 1 << 19) for i in range(8))))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(StudyError, match="unpacks to more than"):
        extract(bomb, tmp_path / "in")
    assert sum(file.stat().st_size for file in (tmp_path / "in").rglob("*")) < 3 << 20


def test_an_archive_with_members_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "MOST_MEMBERS", 10)
    many = tmp_path / "many.tar.gz"
    many.write_bytes(gzip.compress(b"".join(member(f"dtd/{i}") for i in range(20))))
    with pytest.raises(StudyError, match=r"damaged \(more than 10 members\); remove it"):
        extract(many, tmp_path / "in")


@pytest.mark.parametrize("place", range(0, 20))
def test_an_archive_damaged_anywhere(place: int, archive: bytes, tmp_path: Path) -> None:
    at = len(archive) * place // 20
    file = tmp_path / "cut.tar.gz"
    file.write_bytes(archive[:at])
    with pytest.raises(StudyError, match=r"cut\.tar\.gz: (damaged|holds no folder)"):
        extract(file, tmp_path / "in")


# What the release's own files disagree in


def test_the_release_as_it_is(project: Path, archive: bytes, publish: Callable) -> None:
    publish(archive)
    table, metrics, printed = fetched()
    assert set(table.groupby(["class", "split"]).size()) == {PER_SPLIT}
    assert metrics["disagreements"] == {"images": 0, "splits": 0, "annotations": 0, "imdb": 0}
    assert metrics["converted"]["greyscale"] == 1
    assert len(printed.splitlines()) == 1
    layout = read_layout(Path("data/images"), 0)
    assert layout.splits.columns.tolist() == list(range(1, 11))
    assert layout.attributes[table["id"][0]] == ["banded", "dotted"]


def with_imdb(change: Callable[[list, list, dict], None]) -> Callable[[Contents], None]:
    """A release whose imdb.mat is made from other ids, classes or splits."""

    def apply(files: Contents) -> None:
        ids = sorted(name.removeprefix("images/") for name in files if name.endswith(".jpg"))
        split_of = {}
        for split in SPLITS:
            names = files[f"labels/{split}1.txt"].decode().split()
            split_of |= dict.fromkeys(names, split)
        classes = list(CLASSES)
        change(ids, classes, split_of)
        files["imdb/imdb.mat"] = imdb_of(ids, classes, split_of)

    return apply


def leave_two_out(ids: list, classes: list, split_of: dict) -> None:
    del ids[:2]


def name_another(ids: list, classes: list, split_of: dict) -> None:
    ids.append("banded/banded_9999.jpg")
    split_of["banded/banded_9999.jpg"] = "test"


def move_three(ids: list, classes: list, split_of: dict) -> None:
    for name in [name for name in ids if split_of[name] == "train"][:3]:
        split_of[name] = "test"


def cut_imdb(files: Contents) -> None:
    files["imdb/imdb.mat"] = files["imdb/imdb.mat"][:200]


def no_splits(files: Contents) -> None:
    for name in [name for name in files if name.startswith("labels/t")]:
        del files[name]
    for name in [name for name in files if name.startswith("labels/val")]:
        del files[name]


def edited(name: str, edit: Callable[[list[str]], list[str]]) -> Callable[[Contents], None]:
    """A release with one label file's lines edited."""

    def apply(files: Contents) -> None:
        lines = files[name].decode().splitlines(keepends=True)
        files[name] = "".join(edit(lines)).encode()

    return apply


def one_broken_image(files: Contents) -> None:
    name = next(name for name in files if name.endswith(".jpg"))
    files[name] = files[name][:100]


def more_in_folders(files: Contents) -> None:
    files["images/README.txt"] = b"textures"
    files["images/banded/small/banded_0001.jpg"] = b""


ANNOTATIONS = "labels/labels_joint_anno.txt"


@pytest.mark.parametrize(
    ("change", "counts", "images"),
    [
        (with_imdb(leave_two_out), {"imdb": 2}, 36),
        (with_imdb(name_another), {"imdb": 1}, 36),
        (with_imdb(move_three), {"imdb": 3}, 36),
        (cut_imdb, {"imdb": 1}, 36),
        (edited(ANNOTATIONS, lambda lines: lines[5:]), {}, 36),
        (edited(ANNOTATIONS, lambda lines: [*lines, "gone/1.jpg gone \n"]), {"annotations": 1}, 36),
        (edited(ANNOTATIONS, lambda lines: lines + lines[:2]), {"annotations": 2}, 36),
        (edited("labels/train3.txt", lambda lines: [*lines, "gone/1.jpg\n"]), {"splits": 1}, 36),
        (edited("labels/train3.txt", lambda lines: lines + lines[:1]), {"splits": 1}, 36),
        # Left out of one split, and then of the data set: nine splits are then short as well.
        (edited("labels/test3.txt", lambda lines: lines[1:]), {"splits": 11, "images": 1}, 35),
        (one_broken_image, {"images": 1}, 35),
        (more_in_folders, {"images": 2}, 36),
    ],
    ids=[
        "imdb leaves out", "imdb names another", "imdb contradicts", "imdb is cut",
        "annotations leave out", "annotations name another", "annotations repeat",
        "a split names another", "a split repeats", "a split leaves out", "an image is broken",
        "more in the folders",
    ],
)  # fmt: skip
def test_what_the_release_disagrees_in_is_counted_and_said(
    change: Callable[[Contents], None],
    counts: dict,
    images: int,
    project: Path,
    files: Contents,
    publish: Callable,
) -> None:
    changed = dict(files)
    change(changed)
    publish(packed(changed))
    table, metrics, printed = fetched()
    assert len(table) == images
    none = {"images": 0, "splits": 0, "annotations": 0, "imdb": 0}
    assert metrics["disagreements"] == none | counts
    total = sum(counts.values())
    said = [line for line in printed.splitlines() if "disagrees with itself" in line]
    assert len(said) == bool(total)
    assert not total or f" {total:,} case{'s' * (total > 1)}: " in said[0]


def test_a_release_without_split_files_is_split_by_the_seed(
    project: Path, files: Contents, publish: Callable
) -> None:
    changed = dict(files)
    no_splits(changed)
    publish(packed(changed))
    table, metrics, _ = fetched()
    assert set(table.groupby(["class", "split"]).size()) == {PER_SPLIT}
    assert metrics["disagreements"]["imdb"] == 1


def test_the_same_disagreement_in_a_users_folder_is_refused(
    project: Path, files: Contents, tmp_path: Path
) -> None:
    changed = dict(files)
    with_imdb(move_three)(changed)
    for name, data in changed.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_bytes(data)
    line = refusal(fetch, "--source", tmp_path / "own")
    assert "imdb.mat: contradicts train1.txt, val1.txt, test1.txt on: " in line


# The official file names


def test_all_official_names_through_a_breaking_connection(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = official_ids()
    assert len(ids) == len(set(ids)) == 5640
    files = release_files(ids)
    archive = packed(files)
    with served(archive, breaks=[len(archive) // 3, len(archive) // 3]) as site:
        release = release_at(site.url, archive, classes=47, per_split=40)
        monkeypatch.setattr("stages.core.dataset.sources.official_release", lambda: release)
        table, metrics, printed = fetched()
        assert len(site.asked) == 3
    assert table["id"].tolist() == ids
    assert set(table.groupby(["class", "split"]).size()) == {40}
    assert metrics["images"] == 5640
    assert metrics["converted"]["greyscale"] == len(ids) // 50 + 1
    assert sum(metrics["disagreements"].values()) == sum(metrics["identical"].values()) == 0
    assert len(printed.splitlines()) == 1
    for name in ("train1.txt", "val10.txt"):
        assert Path("data/images/labels", name).read_bytes() == files[f"labels/{name}"]
    layout = read_layout(Path("data/images"), 0)
    assert layout.ids == ids
    assert set(map(len, layout.attributes.values())) == {2}


def test_the_archive_is_as_the_official_one(archive: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
    assert {name.partition("/")[0] for name in names} == {"dtd"}
    assert "dtd/imdb/imdb.mat" in names
    assert sum(name.startswith("dtd/labels/") and name.endswith(".txt") for name in names) == 31
