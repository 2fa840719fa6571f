"""A stand-in for the official release of DTD: its archive, and a web server that breaks off.

The images are generated and tiny; names, label files, annotations and imdb.mat are as DTD's are:
files numbered with gaps, a blank at the end of every line of annotations, some greyscale images, a
hidden file among the images, and one tar with the top folder dtd/.
"""

import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from stages.core.dataset.layout import SPLITS, class_of, stratified_splits
from stages.core.dataset.release import Release

FILE_NAME = "dtd-r1.0.1.tar.gz"
Contents = dict[str, bytes]


def gapped_ids(classes: Sequence[str], per_class: int, seed: int = 0) -> list[str]:
    """Ids as DTD's: <class>/<class>_<number>.jpg, the numbers with gaps."""
    random = np.random.default_rng(seed)
    return [
        f"{name}/{name}_{number:04d}.jpg"
        for name in classes
        for number in np.sort(random.choice(np.arange(1, 2 * per_class), per_class, replace=False))
    ]


def release_files(ids: Sequence[str], seed: int = 0) -> Contents:
    """{path below dtd/: contents} of a release with these images, ten splits of equal thirds."""
    ids = sorted(ids)
    classes = sorted({class_of(name) for name in ids})
    splits = stratified_splits(ids, seed)
    files = {f"images/{name}": _jpeg(i) for i, name in enumerate(ids)}
    files[f"images/{classes[-1]}/.directory"] = b"[Dolphin]\n"
    for number, split_of in splits.items():
        for split in SPLITS:
            names = split_of.index[split_of == split]
            files[f"labels/{split}{number}.txt"] = "".join(f"{name}\n" for name in names).encode()
    second = {name: classes[(i + 1) % len(classes)] for i, name in enumerate(classes)}
    files["labels/labels_joint_anno.txt"] = "".join(
        f"{name} {class_of(name)} {second[class_of(name)]} \n" for name in ids
    ).encode()
    files["imdb/imdb.mat"] = imdb_of(ids, classes, splits[1].to_dict())
    return files


def imdb_of(ids: Sequence[str], classes: Sequence[str], split_of: dict[str, str]) -> bytes:
    """imdb.mat, compressed as MATLAB does; split_of is of split 1."""
    images = {
        "id": np.arange(1.0, len(ids) + 1),
        "name": np.array(ids, dtype=object),
        "set": np.array([SPLITS.index(split_of[name]) + 1.0 for name in ids]),
        "class": np.array([classes.index(class_of(name)) + 1.0 for name in ids]),
    }
    meta = {
        "classes": np.array(classes, dtype=object),
        "sets": np.array(SPLITS, dtype=object),
    }
    content = io.BytesIO()
    scipy.io.savemat(content, {"images": images, "meta": meta}, oned_as="row", do_compression=True)
    return content.getvalue()


def _jpeg(number: int) -> bytes:
    """A tiny JPEG, no two alike; every fiftieth is grey."""
    random = np.random.default_rng(number)
    width, height = random.integers(16, 33, 2)
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    content = io.BytesIO()
    (image.convert("L") if number % 50 == 0 else image).save(content, "JPEG")
    return content.getvalue()


def packed(files: Contents) -> bytes:
    """The archive: every file below dtd/, folders as members of their own."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as tar:
        folders = {f"dtd/{parent}" for name in files for parent in Path(name).parents}
        for folder in sorted(folders):
            member = tarfile.TarInfo(folder.removesuffix("/."))
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(f"dtd/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def release_at(url: str, archive: bytes, classes: int, per_split: int) -> Release:
    """What is known of a published archive."""
    return Release(url, hashlib.md5(archive).hexdigest(), classes, per_split)


class Site:
    """A web server with one file.

    ranges: whether it gives parts of it. breaks: after how many bytes each answer breaks off, in
    turn; the answers after these are whole. asked: the Range header of every request, or None.
    """

    def __init__(
        self, content: bytes, ranges: bool = True, breaks: Sequence[int] = (), name: str = FILE_NAME
    ) -> None:
        self.content, self.ranges, self.breaks = content, ranges, list(breaks)
        self.asked: list[str | None] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.headers.get("Range"))
                if not self.path.endswith(name):
                    self.send_error(404)
                else:
                    site.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{name}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Send the file or the part that is asked for, up to where the answer breaks off."""
        asked = handler.headers.get("Range") if self.ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        size = len(self.content)
        if start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.ranges:
            handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(size - start))
        handler.end_headers()
        end = start + self.breaks.pop(0) if self.breaks else size
        handler.wfile.write(self.content[start:end])

    def close(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def served(content: bytes, **options: object) -> Iterator[Site]:
    """A `Site` for as long as the context lasts."""
    site = Site(content, **options)
    try:
        yield site
    finally:
        site.close()


def official_ids() -> list[str]:
    """All 5,640, from CoOp's split of the data set."""
    root = os.environ.get("DTD_CLIP_ROOT") or (
        Path(os.environ["DTD_ROOT"]).absolute().with_name("dtd_clip")
        if "DTD_ROOT" in os.environ
        else None
    )
    file = Path(root, "coop_split.json") if root else None
    if file is None or not file.is_file():
        pytest.skip("neither DTD_CLIP_ROOT nor DTD_ROOT leads to coop_split.json")
    parts = json.loads(file.read_text())
    return sorted(name for part in parts.values() for name, *_ in part)
