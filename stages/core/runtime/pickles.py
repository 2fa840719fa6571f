"""Pickles in one file, of which other processes load single ones, large arrays by memory map."""

import io
import mmap
import pickle
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import cloudpickle
import numpy as np

from stages.core.runtime.files import whole_file

# Larger arrays lie in the file once, however many pickles hold them, and are mapped when one is
# loaded. joblib maps from this size on as well: a function is given the same arrays either way.
LEAST_MAPPED_BYTES = 2**20
ALIGNMENT = 64  # bytes, as NumPy allocates
KEPT_FILES = 2  # that a process keeps mapped
# How long a file that another machine has written may take until it is seen on this one.
VISIBLE_S = 30.0


@dataclass(frozen=True)
class Extent:
    """Where in a file something lies, in bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class Address:
    """Where a pickle lies in its file, and the arrays that it holds."""

    pickle: Extent
    arrays: tuple[Extent, ...]


Reducers = Mapping[type, Callable[[Any], tuple]]


def write_pickles(
    file: Path, objects: Iterable[object], reducers: Reducers | None = None
) -> list[Address]:
    """Write each object into `file`; return their addresses, in order.

    Functions that no module has, such as closures, are pickled by what they do. reducers: how
    objects of some types are pickled, as `copyreg` has it.
    """
    with whole_file(file) as unfinished, unfinished.open("wb") as stream:
        return list(_written(stream, objects, reducers or {}))


def _written(stream: BinaryIO, objects: Iterable[object], reducers: Reducers) -> Iterator[Address]:
    class Pickler(cloudpickle.Pickler):
        dispatch_table: ClassVar = ChainMap(dict(reducers), cloudpickle.Pickler.dispatch_table)

    known: dict[tuple[int, int], Extent] = {}
    # An array that is made for the pickle alone is kept, or another might take its place in memory
    # and be thought to be the same.
    kept = []
    for each in objects:
        arrays: list[Extent] = []

        def set_aside(buffer: pickle.PickleBuffer, arrays: list[Extent] = arrays) -> bool:
            raw = buffer.raw()
            if raw.nbytes < LEAST_MAPPED_BYTES:
                return True  # into the pickle
            kept.append(buffer)
            place = (np.frombuffer(raw, np.uint8).ctypes.data, raw.nbytes)
            if place not in known:
                known[place] = _append(stream, raw)
            arrays.append(known[place])
            return False

        content = io.BytesIO()
        Pickler(content, protocol=5, buffer_callback=set_aside).dump(each)
        yield Address(_append(stream, content.getbuffer()), tuple(arrays))


def _append(stream: BinaryIO, content: bytes | memoryview) -> Extent:
    stream.write(bytes(-stream.tell() % ALIGNMENT))
    start = stream.tell()
    stream.write(content)
    return Extent(start, stream.tell() - start)


def load_pickle(file: Path, address: Address) -> Any:
    """The object at an address; large arrays in it are views of the file, and cannot be written.

    Raises OSError where the file is not there, also not after a while.
    """
    mapped = _mapped(file)

    def content(extent: Extent) -> memoryview:
        return mapped[extent.start : extent.start + extent.size]

    return pickle.loads(content(address.pickle), buffers=map(content, address.arrays))


@lru_cache(KEPT_FILES)
def _mapped(file: Path) -> memoryview:
    deadline = time.monotonic() + VISIBLE_S
    while True:
        try:
            with file.open("rb") as stream:
                return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
