"""Artifacts that were damaged, edited or put out of step: each is refused in one line.

Every file that a stage reads is damaged in every way that its kind allows, and every stage that
reads it is run. The line names the file, and a command that makes it again.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.angles import angles
from stages.claims import claims
from stages.classify import classify
from stages.core.artifacts.embeddings import write_manifest
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import read_json, write_json
from stages.distances import distances
from stages.embed import embed
from stages.headline import headline
from stages.loops import loops
from stages.persistence import persistence
from stages.project import project
from tests.conftest import write_embeddings
from tests.refusals import refusal
from tests.stages import PARAMS, invoke, paths, run_computing_stages
from tests.study import ROOT, dvc, git

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three classes of 8 images, at two levels, with all that later stages read."""
    folder = tmp_path_factory.mktemp("finished")
    generator = np.random.default_rng(0)
    labels = [name for name in ("banded", "dotted", "grid") for _ in range(8)]
    clean = np.repeat(np.eye(3, 6), 8, axis=0) + 0.1 * generator.standard_normal((24, 6))
    noisy = [clean + 0.1 * generator.standard_normal(clean.shape) for _ in range(2)]
    clouds = {(0.0, 0): clean, (0.5, 0): noisy[0], (0.5, 1): noisy[1]}
    data = folder / "data"
    write_embeddings(data / "embeddings", clouds, labels, np.eye(3, 6))
    shutil.copy(data / "embeddings" / "images.csv", data / "images.csv")
    run_computing_stages(folder)
    write_json(folder / "metrics" / "embed.json", {"noise_0.50": {"cosine_to_clean": 0.9}})
    verdicts = {
        f"topology_{does}_{whose}": {"verdict": "holds"}
        for does in ("follows", "adds")
        for whose in ("zero_shot", "probe")
    }
    counts = {"holds": 4, "fails": 0, "undecided": 0, "not_applicable": 0}
    write_json(folder / "metrics" / "claims.json", counts | verdicts)
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    for part in ("data", "metrics"):
        shutil.copytree(finished / part, tmp_path / part)
    return tmp_path


# Whatever the kind of the file


def as_text(change: Callable[[str], str]) -> Damage:
    return lambda file: file.write_text(change(file.read_text()))


def as_link(target: str) -> Damage:
    return lambda file: (file.unlink(), file.symlink_to(target.format(file.name)))


OF_ANY_FILE: dict[str, Damage] = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "random bytes": lambda file: file.write_bytes(np.random.default_rng(0).bytes(4096)),
    "NUL bytes": lambda file: file.write_bytes(bytes(4096)),
    "other text": lambda file: file.write_text("<html>504 Gateway Time-out</html>\n"),
    "one line of 10 MB": lambda file: file.write_bytes(b"a" * 10_000_000),
    "cut short": lambda file: os.truncate(file, file.stat().st_size // 2),
    "first bytes lost": lambda file: file.write_bytes(file.read_bytes()[5:]),
    "twice in a row": lambda file: file.write_bytes(2 * file.read_bytes()[:-1]),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a FIFO": lambda file: (file.unlink(), os.mkfifo(file)),
    "a link to nothing": as_link("nowhere"),
    "a link to itself": as_link("{}"),
    "a link to zeros": as_link("/dev/zero"),
    "a link to a device": as_link("/dev/null"),
}

# By kind


def utf_16(file: Path) -> None:
    file.write_bytes(file.read_text().encode("utf-16"))


def with_table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    """Read a CSV file, change it, and write it again."""
    return lambda file: change(pd.read_csv(file, dtype=str)).to_csv(file, index=False)


OF_CSV: dict[str, Damage] = {
    "UTF-16": utf_16,
    "ragged": as_text(lambda text: text + "one,too,many,values\n"),
    "a quote that is not closed": as_text(lambda text: text.replace("\n", '\n"', 1)),
    "no header": as_text(lambda text: text.partition("\n")[2]),
    "the header alone": as_text(lambda text: text.partition("\n")[0] + "\n"),
    "semicolons": as_text(lambda text: text.replace(",", ";").replace("class", "class;", 1)),
    "a column missing": with_table(lambda table: table.iloc[:, 1:]),
    "a column more": with_table(lambda table: table.assign(more="1")),
    "a column twice": with_table(lambda table: table.iloc[:, [0, *range(table.shape[1])]]),
    "a row twice": with_table(lambda table: table.iloc[[0, *range(len(table))]]),
    "a value missing": as_text(lambda text: text.replace("banded", "").replace("train", "")),
    "a NUL in a name": as_text(lambda text: text.replace("dotted", "dot\0ted")),
    "a name of 5,000 letters": as_text(lambda text: text.replace("dotted", "d" * 5_000)),
}
# What can be told by the manifest alone.
OUT_OF_STEP: dict[str, Damage] = {
    "the last row lost": with_table(lambda table: table.iloc[:-1]),
    "rows in another order": with_table(lambda table: table.iloc[::-1]),
    "names exchanged": as_text(
        lambda text: text.replace("grid", "?").replace("dotted", "grid").replace("?", "dotted")
    ),
}


def with_array(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    return lambda file: np.save(file, change(np.load(file)))


def with_header(shape: str, dtype: str = "<f4") -> Damage:
    """Write an array file whose header claims a shape and a type."""

    def damage(file: Path) -> None:
        text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
        header = text.ljust(117).encode() + b"\n"
        size = len(header).to_bytes(2, "little")
        file.write_bytes(b"\x93NUMPY\x01\x00" + size + header + bytes(576))

    return damage


def of_objects(file: Path) -> None:
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def as_npz(file: Path) -> None:
    with file.open("wb") as stream:
        np.savez(stream, array=np.eye(3))


def edited(array: np.ndarray) -> np.ndarray:
    array[0] = array[1]  # a unit row still
    return array


OF_NPY: dict[str, Damage] = {
    "shape of 10^20": with_header(f"({10**20}, 6)"),
    "shape of 10^9 by 10^9": with_header(f"({10**9}, {10**9})"),
    "negative shape": with_header("(-24, 6)"),
    "shape that is no tuple": with_header("'many'"),
    "deep brackets": with_header("(" * 500 + ")" * 500),
    "unknown type": with_header("(24, 6)", "<q9"),
    "objects": of_objects,
    "npz": as_npz,
    "float64": with_array(lambda array: array.astype(np.float64)),
    "float16": with_array(lambda array: array.astype(np.float16)),
    "whole numbers": with_array(lambda array: array.astype(np.int32)),
    "other byte order": with_array(lambda array: array.astype(">f4")),
    "Fortran order": with_array(np.asfortranarray),
    "transposed": with_array(np.transpose),
    "one dimension": with_array(np.ravel),
    "a row fewer": with_array(lambda array: array[:-1]),
    "rows in another order": with_array(lambda array: array[::-1].copy()),
    "a row edited": with_array(edited),
    "NaN": with_array(lambda array: np.where(np.arange(len(array))[:, None] == 1, np.nan, array)),
    "zeros": with_array(np.zeros_like),
}


def with_rows(change: Callable[[pa.Table], pa.Table]) -> Damage:
    """Read a Parquet file, change it, and write it again with what was said about it."""

    def damage(file: Path) -> None:
        table = pq.read_table(file)
        pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), file)

    return damage


def without_metadata(file: Path) -> None:
    pq.write_table(pq.read_table(file).replace_schema_metadata(), file)


def of_columns(type_of: Callable[[pa.DataType], pa.DataType]) -> Damage:
    """Cast each column to another type, or leave it where it cannot be."""

    def cast(table: pa.Table) -> pa.Table:
        for i, column in enumerate(table.schema):
            if type_of(column.type) != column.type:
                found = table.column(i)
                if pa.types.is_string(column.type):
                    found = pa.chunked_array([pa.array(range(len(found)))])
                table = table.set_column(i, column.name, found.cast(type_of(column.type)))
        return table

    return with_rows(cast)


def first_value(kind: Callable[[pa.DataType], bool], value: object) -> Damage:
    """Set the first value of every column of a kind."""

    def change(table: pa.Table) -> pa.Table:
        for i, column in enumerate(table.schema):
            if kind(column.type):
                values = [value, *table.column(i).to_pylist()[1:]]
                table = table.set_column(i, column.name, pa.array(values, column.type))
        return table

    return with_rows(change)


OF_PARQUET: dict[str, Damage] = {
    "a column missing": with_rows(lambda table: table.remove_column(0)),
    "a column more": with_rows(lambda table: table.append_column("more", table.column(0))),
    "a column twice": with_rows(
        lambda table: table.append_column(table.column_names[0], table.column(0))
    ),
    "columns in another order": with_rows(lambda table: table.select(table.column_names[::-1])),
    "names as numbers": of_columns(lambda kind: pa.int64() if pa.types.is_string(kind) else kind),
    "lists": with_rows(
        lambda table: table.set_column(0, table.column_names[0], pa.array([[1]] * len(table)))
    ),
    "no rows": with_rows(lambda table: table.slice(0, 0)),
    "a row fewer": with_rows(lambda table: table.slice(1)),
    "a row twice": with_rows(lambda table: pa.concat_tables([table.slice(0, 1), table])),
    "rows in another order": with_rows(lambda table: table.take(list(range(len(table)))[::-1])),
    "a name missing": first_value(pa.types.is_string, None),
    "an empty name": first_value(pa.types.is_string, ""),
    "another name": first_value(pa.types.is_string, "woven"),
    "a name of 10^6 letters": first_value(pa.types.is_string, "x" * 10**6),
    "a NUL in a name": first_value(pa.types.is_string, "\0"),
    "nothing said about it": without_metadata,
}
WITH_NUMBERS: dict[str, Damage] = {
    "numbers as text": of_columns(lambda kind: pa.string()),
    "a number missing": first_value(pa.types.is_floating, None),
    "NaN": first_value(pa.types.is_floating, np.nan),
    "infinity": first_value(pa.types.is_floating, np.inf),
    "below every range": first_value(pa.types.is_floating, -1000.0),
    "another number": first_value(pa.types.is_floating, 0.123),
}
WITH_COUNTS: dict[str, Damage] = {
    "10^9": first_value(pa.types.is_integer, 10**9),
    "-1": first_value(pa.types.is_integer, -1),
    "2^63 - 1": first_value(pa.types.is_integer, 2**63 - 1),
}


def with_values(change: Callable[[object], object]) -> Damage:
    """Change every value of a JSON file that is not an object."""

    def changed(content: object) -> object:
        if isinstance(content, dict):
            return {key: changed(value) for key, value in content.items()}
        return change(content)

    return lambda file: file.write_text(json.dumps(changed(json.loads(file.read_text()))))


OF_JSON: dict[str, Damage] = {
    "UTF-16": utf_16,
    "{}": lambda file: file.write_text("{}"),
    "[]": lambda file: file.write_text("[]"),
    "null": lambda file: file.write_text("null"),
    "a number": lambda file: file.write_text("3"),
    "deep lists": lambda file: file.write_text("[" * 100_000 + "]" * 100_000),
    "deep objects": lambda file: file.write_text('{"a":' * 50_000 + "1" + "}" * 50_000),
    "NaN": with_values(lambda value: np.nan),
    "infinity": with_values(lambda value: -np.inf),
    "1e999": lambda file: file.write_text('{"noise_0.50": 1e999}'),
    "5,000 digits": lambda file: file.write_text('{"noise_0.50": ' + "9" * 5_000 + "}"),
    "keys repeated": as_text(lambda text: text.replace("{", '{"a": 1, "a": 2,', 1)),
    "text for values": with_values(str),
    "lists for values": with_values(lambda value: [value]),
    "null for values": with_values(lambda value: None),
    "true for values": with_values(lambda value: True),
    "-7 for values": with_values(lambda value: -7),
    "10^400 for values": with_values(lambda value: 10**400),
    "a value for an object": lambda file: file.write_text(
        json.dumps(dict.fromkeys(json.loads(file.read_text()), 1))
    ),
}

# {file: (the stages that read it, its damages)}
OF_EMBEDDINGS = (angles, project, persistence, loops, classify, claims)
NUMBERS = OF_PARQUET | WITH_NUMBERS | WITH_COUNTS
ARTIFACTS: dict[str, tuple[tuple[click.Command, ...], dict[str, Damage]]] = {
    "data/images.csv": ((embed,), OF_CSV),
    "data/embeddings/images.csv": (OF_EMBEDDINGS, OF_CSV | OUT_OF_STEP),
    "data/embeddings/classes.csv": (OF_EMBEDDINGS, OF_CSV | OUT_OF_STEP),
    "data/embeddings/manifest.json": (OF_EMBEDDINGS, OF_JSON),
    "data/embeddings/encoder.json": (OF_EMBEDDINGS, OF_JSON),
    "data/embeddings/text.npy": (OF_EMBEDDINGS, OF_NPY),
    "data/embeddings/noise_0.00_draw_0.npy": (OF_EMBEDDINGS, OF_NPY),
    "data/embeddings/noise_0.50_draw_1.npy": ((persistence, classify), OF_NPY),
    "data/diagrams/diagrams.parquet": ((distances, loops, claims), NUMBERS),
    "data/diagrams/clouds.parquet": ((loops, claims), OF_PARQUET),
    "data/diagrams/summaries.parquet": ((claims,), NUMBERS),
    "data/distances.parquet": ((claims,), NUMBERS),
    "data/classify/predictions.parquet": ((claims,), OF_PARQUET | WITH_NUMBERS),
    "data/angles/pairs.parquet": ((claims,), NUMBERS),
    **{
        f"metrics/{stage}.json": ((headline,), OF_JSON)
        for stage in ("embed", "distances", "classify", "claims")
    },
}
# All readers of a file read it by one function: the first of them meets every damage in each run of
# the tests, the others one, and every damage where slow tests run too.
CASES = [
    pytest.param(
        name,
        command,
        damage,
        marks=[pytest.mark.slow] if command != commands[0] and how != "cut short" else [],
        id=f"{name}: {how}: {command.name}",
    )
    for name, (commands, damages) in ARTIFACTS.items()
    for how, damage in (OF_ANY_FILE | damages).items()
    for command in commands
]


@pytest.mark.parametrize(("name", "command", "damage"), CASES)
def test_a_damaged_artifact_is_refused(
    study: Path, name: str, command: click.Command, damage: Damage
) -> None:
    damage(study / name)
    before = sorted(study.rglob("*"))
    line = refusal(command, *PARAMS, *paths(command, study))
    assert name in line
    assert "; run 'dvc repro " in line
    assert len(line) < 600
    assert line.isprintable()
    assert sorted(study.rglob("*")) == before  # nothing was written


# What embed itself would have written: the manifest fits, and the array is wrong all the same.
WRITTEN_WRONGLY = {
    "float64": "float64 of shape (24, 6) instead of 24 rows of float32",
    "float16": "float16 of shape",
    "other byte order": ">f4 of shape",
    "transposed": "shape (6, 24) for 24 images in images.csv",
    "one dimension": "shape (144,) for 24 images in images.csv",
    "a row fewer": "shape (23, 6) for 24 images in images.csv",
    "NaN": "the embedding of banded/banded_0001.jpg has norm nan instead of 1, 1 such in all",
    "zeros": "the embedding of banded/banded_0000.jpg has norm 0 instead of 1, 24 such in all",
}


@pytest.mark.parametrize(("how", "message"), WRITTEN_WRONGLY.items(), ids=WRITTEN_WRONGLY)
def test_an_array_that_fits_the_manifest_alone_is_refused(
    study: Path, how: str, message: str
) -> None:
    embeddings = study / "data" / "embeddings"
    OF_NPY[how](embeddings / "noise_0.00_draw_0.npy")
    write_manifest(embeddings)
    line = refusal(angles, *PARAMS, *paths(angles, study))
    assert f"noise_0.00_draw_0.npy: {message}" in line


LISTED_WRONGLY = {
    "a draw of level 0.5 lost": ({"noise_0.50_draw_0.npy": None}, "noise_0.50_draw_0.npy: not"),
    "the clean array lost": ({"noise_0.00_draw_0.npy": None}, "noise_0.00_draw_0.npy: not found"),
    "10^8 draws": (
        {f"noise_0.50_draw_{10**8}.npy": "text.npy"},
        "noise_0.50_draw_2.npy: not found; run 'dvc repro embed'",
    ),
    "a file elsewhere": ({"../../etc/hosts": "text.npy"}, "unknown file '../../etc/hosts'"),
    "no text": ({"text.npy": None}, "no 'text.npy'"),
    "size of text": ({"text.npy": {"size_bytes": "1", "blake2b": ""}}, "a valid integer"),
}


@pytest.mark.parametrize(("changes", "message"), LISTED_WRONGLY.values(), ids=LISTED_WRONGLY)
def test_a_manifest_of_other_files_is_refused(
    study: Path, changes: dict[str, object], message: str
) -> None:
    file = study / "data" / "embeddings" / "manifest.json"
    manifest = json.loads(file.read_text())
    files = manifest["files"]
    for name, entry in changes.items():
        if entry is None:
            del files[name]
        else:
            files[name] = files[entry] if isinstance(entry, str) else entry
    write_json(file, manifest)
    assert message in refusal(angles, *PARAMS, *paths(angles, study))


def test_a_file_without_permission_is_refused(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = study / "data" / "embeddings" / "classes.csv"
    opened = Path.open

    def refuse(path: Path, *how: object, **more: object) -> object:
        """As the system does for anyone but root, as whom tests may run."""
        if path == file:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", refuse)
    line = refusal(angles, *PARAMS, *paths(angles, study))
    assert f"classes.csv: no permission to read it; run 'chmod u+r {file}'" in line


STANDARD = ("missing", "cut short", "a folder", "a FIFO", "a link to nothing", "a link to zeros")


@pytest.mark.slow
@pytest.mark.parametrize("how", STANDARD)
@pytest.mark.parametrize("name", ["cached/file.bin", "file.bin", "metrics.json"])
def test_the_command_that_a_refusal_names_makes_the_file_again(
    tmp_path: Path, name: str, how: str
) -> None:
    folder = tmp_path / "small"
    (folder / ".dvc").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    (folder / "make.py").write_text(
        "from pathlib import Path\n"
        "Path('cached').mkdir()\n"
        "for name in ('cached/file.bin', 'file.bin', 'metrics.json'):\n"
        "    Path(name).write_text('contents')\n"
    )
    outs = ["cached", "file.bin", {"metrics.json": {"cache": False}}]
    stage = {"cmd": "python make.py", "deps": ["make.py"], "outs": outs}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"make": stage}}))
    git(folder, "init", "--quiet")
    dvc(folder, "repro")
    OF_ANY_FILE[how](folder / name)
    with pytest.raises(StudyError) as refused:
        read_json(folder / name, "make")
    (command,) = re.findall("run '(.+?)'", str(refused.value))
    dvc(folder, *command.split()[1:])
    assert (folder / name).is_file()
    assert not (folder / name).is_symlink()
    assert (folder / name).read_text() == "contents"


def test_the_undamaged_study_is_read(study: Path) -> None:
    """Else a refusal of what is damaged says nothing."""
    done = invoke(headline, study)
    assert done.exit_code == 0, done.output
