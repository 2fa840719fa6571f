"""Tables by their schemas: what is read as what, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import stages.core.artifacts.tables
from stages.core.artifacts.tables import (
    Schema,
    content_id,
    flag,
    name,
    number,
    read_csv,
    read_parquet,
    require_same,
    whole,
    write_parquet,
)
from stages.core.runtime.errors import StudyError

SCHEMA = Schema(
    (
        name("class"),
        name("split", "train", "test"),
        whole("dim", 0, 2),
        number("share", 0, 1),
        number("death", low=0, infinite=True),
    ),
    key=("class", "dim"),
)
ROWS = pd.DataFrame(
    {
        "class": ["NA", "007"],
        "split": ["train", "test"],
        "dim": [0, 2],
        "share": [0.1 + 0.2, 1.0],
        "death": [5e-324, np.inf],
    }
)


def refused(file: Path, rows: pd.DataFrame) -> str:
    """The message for rows that were written as they are."""
    write_parquet(file, rows, SCHEMA, {})
    with pytest.raises(StudyError) as raised:
        read_parquet(file, SCHEMA, "make")
    return str(raised.value)


def test_a_table_comes_back_to_the_bit_with_what_was_said(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    content = write_parquet(file, ROWS, SCHEMA, {"run": "7", "from": "здесь"})
    rows, about = read_parquet(file, SCHEMA, "make")
    assert about == {"run": "7", "from": "здесь", "content": content}
    assert rows["class"].tolist() == ["NA", "007"]
    for column in ("dim", "share", "death"):
        assert rows[column].to_numpy().tobytes() == ROWS[column].to_numpy().tobytes()


def test_a_number_may_be_missing_where_the_schema_says_so(tmp_path: Path) -> None:
    """Whatever bits the NaN is of: a processor makes 0 / 0 negative, and Python nan positive."""
    rows = pd.DataFrame({"mean": np.array([1.5, np.nan, -np.nan])})
    file = tmp_path / "table.parquet"
    allowing = Schema((number("mean", low=0, missing=True),))
    write_parquet(file, rows, allowing, {})
    np.testing.assert_array_equal(read_parquet(file, allowing, "make").rows["mean"], rows["mean"])
    strict = Schema((number("mean", low=0),))
    with pytest.raises(StudyError, match="row 2: mean is missing, not a finite number from 0"):
        read_parquet(file, strict, "make")
    write_parquet(file, -rows, allowing, {})
    with pytest.raises(StudyError, match=r"row 1: mean is -1.5, not a finite number from 0"):
        read_parquet(file, allowing, "make")


def test_the_same_rows_give_the_same_bytes_without_a_word_of_pandas(tmp_path: Path) -> None:
    for index, file in (([5, 3], "a"), ([0, 1], "b")):
        write_parquet(tmp_path / file, ROWS.set_index(pd.Index(index)), SCHEMA, {"run": "7"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"pandas" not in (tmp_path / "a").read_bytes()


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"share": [0.3, 1.0]}, {}),
        ({"class": ["NA0", "07"]}, {}),
        ({"class": ["N", "A007"]}, {}),
        ({"dim": [2, 0]}, {}),
        ({}, {"run": "8"}),
        ({}, {"run": "7", "more": ""}),
    ],
)
def test_the_id_of_the_content_is_of_all_values_and_all_that_is_said(
    change: dict, about: dict[str, str]
) -> None:
    said = {"run": "7"}
    assert content_id(ROWS, SCHEMA, said) == content_id(ROWS.copy(), SCHEMA, dict(said))
    assert content_id(ROWS.assign(**change), SCHEMA, about or said) != content_id(
        ROWS, SCHEMA, said
    )


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("class", "", "row 2: class is '', not a printable name of 1 to 1,024 characters"),
        ("class", "a\nb", r"row 2: class is 'a\nb', not a printable name"),
        ("split", "Train", "row 2: split is 'Train', not one of train, test"),
        ("dim", 3, "row 2: dim is 3, not a whole number from 0 to 2"),
        ("dim", -1, "row 2: dim is -1, not a whole number from 0 to 2"),
        ("share", 1.5, "row 2: share is 1.5, not a finite number from 0 to 1"),
        ("share", np.inf, "row 2: share is inf, not a finite number from 0 to 1"),
        ("share", np.nan, "row 2: share is missing, not a finite number from 0 to 1"),
        ("death", -np.inf, "row 2: death is -inf, not a number from 0"),
    ],
)
def test_a_value_out_of_its_range_is_named(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    rows = ROWS.assign(**{column: [ROWS[column].iloc[0], value]})
    said = refused(tmp_path / "table.parquet", rows)
    assert f"table.parquet: {message}" in said
    assert said.endswith("; run 'dvc repro --force --single-item make'")


def test_what_a_schema_allows_comes_back(tmp_path: Path) -> None:
    """A number that is missing, whatever the bits of its NaN; flags; and a table without rows."""
    schema = Schema((number("rho", -1, 1, missing=True), flag("topological")), may_be_empty=True)
    rows = pd.DataFrame({"rho": [0.5, -np.float64(np.nan)], "topological": [True, False]})
    file = tmp_path / "table.parquet"
    for written in (rows, rows.iloc[:0], pd.DataFrame(columns=schema.names)):
        content = write_parquet(file, written, schema, {})
        found, about = read_parquet(file, schema, "make")
        assert about == {"content": content}
        assert found.equals(rows.iloc[: len(written)])


def test_a_table_without_rows_is_refused_where_it_may_not_be_empty(tmp_path: Path) -> None:
    assert "table.parquet: holds no rows" in refused(tmp_path / "table.parquet", ROWS.iloc[:0])


def test_a_flag_that_is_missing_is_named(tmp_path: Path) -> None:
    schema = Schema((flag("topological"),))
    table = stages.core.artifacts.tables.pa.table({"topological": [True, None]})
    pq.write_table(table, tmp_path / "table.parquet")
    with pytest.raises(StudyError, match="row 2: topological is missing, not true or false"):
        read_parquet(tmp_path / "table.parquet", schema, "make")


def test_a_row_with_the_key_of_another_is_named(tmp_path: Path) -> None:
    rows = ROWS.assign(**{"class": "NA", "dim": 0})
    assert "table.parquet: class NA, dim 0 is repeated" in refused(tmp_path / "table.parquet", rows)


@pytest.mark.parametrize(
    ("limit", "most", "message"),
    [
        ("MOST_ROWS", 1, "claims 2 rows and [0-9,]+ bytes, of at most 1 and"),
        ("MOST_BYTES", 100, "[0-9,]+ bytes, of at most 100"),
        ("LONGEST_NAME", 2, "a name of 3 characters"),
    ],
)
def test_a_size_beyond_the_limits_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, message: str
) -> None:
    monkeypatch.setattr(stages.core.artifacts.tables, limit, most)
    assert re.search(message, refused(tmp_path / "table.parquet", ROWS))


def test_rows_that_are_claimed_and_not_there_take_no_memory(tmp_path: Path) -> None:
    """30 million equal rows are a few kilobytes of Parquet, and gigabytes once they are read."""
    rows = pd.DataFrame({"dim": np.zeros(30_000_000, dtype=np.int64)})
    schema = Schema((whole("dim", 0, 2),))
    file = tmp_path / "table.parquet"
    pq.write_table(stages.core.artifacts.tables.pa.Table.from_pandas(rows, schema.arrow), file)
    assert file.stat().st_size < 2**20
    with pytest.raises(StudyError, match=r"claims 30,000,000 rows"):
        read_parquet(file, schema, "make")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,dim\na,one\n", r"damaged \(In CSV column #1: Row #2: .* invalid value 'one'\)"),
        ("class,dim\na,1.5\n", r"damaged \(In CSV column #1: Row #2: .* invalid value '1.5'\)"),
        ("class,dim\na,3\n", "row 1: dim is 3, not a whole number from 0 to 2"),
        ("class,dim\na,\n", "row 1: dim is missing, not a whole number from 0 to 2"),
        ("dim,class\n1,a\n", "columns 'dim, class' instead of class, dim"),
        ("class\na\n", "no column dim, but 'class'"),
    ],
)
def test_a_csv_table_is_held_against_its_schema(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    schema = Schema((name("class"), whole("dim", 0, 2)))
    with pytest.raises(StudyError, match=rf"table\.csv: {message}; run 'dvc repro --force"):
        read_csv(tmp_path / "table.csv", schema, "make")


def test_numbers_of_a_csv_table_are_numbers_and_names_are_names(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('class,dim\n1e5,1\n"NA, no",2\n')
    schema = Schema((name("class"), whole("dim", 0, 2)))
    rows = read_csv(tmp_path / "table.csv", schema, "make")
    assert rows.to_dict("list") == {"class": ["1e5", "NA, no"], "dim": [1, 2]}


def test_another_run_is_named(tmp_path: Path) -> None:
    require_same("7", "7", tmp_path, "the embeddings", "make")
    for found in ("8", None):
        with pytest.raises(StudyError, match="of another run than the embeddings; run 'dvc repro"):
            require_same(found, "7", tmp_path, "the embeddings", "make")
