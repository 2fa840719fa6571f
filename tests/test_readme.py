"""The tables of results in the README, which are written from results."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import readme
from readme import CLAIMS, README, RESULTS, with_tables
from tests.study import ROOT

WHICH = "<!-- {} -->\nstale\n<!-- end -->\n"


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_readme_holds_the_results() -> None:
    text = README.read_text()
    assert with_tables(text) == text
    assert len(readme.TABLE.findall(text)) == text.count("<!-- end -->") > 3


def test_each_claim_has_a_row_of_its_own_numbers() -> None:
    written = with_tables(WHICH.format("verdicts of default, claims 7 to 7"))
    rows = [line.split(" | ") for line in written.splitlines() if line.startswith("| 7")]
    claims = readme.pd.read_csv(CLAIMS).query("number == 7")
    assert [row[1] for row in rows] == claims["statement"].tolist()
    assert [row[2] for row in rows] == claims["verdict"].tolist()
    assert [float(row[3]) for row in rows] == pytest.approx(claims["effect"].tolist(), rel=5e-3)
    assert "stale" not in written


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("verdict of default", "<!-- verdict of default --> is no table; there are verdicts, "),
        ("verdicts of nothing", "docs/results/nothing/claims.csv not found; run that study, then"),
    ],
)
def test_a_table_of_nothing_is_refused_and_the_readme_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    README.write_text(WHICH.format(comment))
    done = CliRunner().invoke(readme.readme)
    assert done.exit_code == 1
    assert said in done.output
    assert README.read_text() == WHICH.format(comment)


@pytest.mark.parametrize("name", ["default", "../elsewhere", ""])
def test_a_name_that_no_table_could_give_is_refused(name: str) -> None:
    done = CliRunner().invoke(readme.readme, ["--record", name])
    assert done.exit_code == 1
    assert f"--record: {name!r} is no name for a study" in done.output


def test_results_that_are_kept_are_those_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (CLAIMS, readme.ACCURACY):
        file.parent.mkdir(parents=True)
        file.write_bytes((ROOT / file).read_bytes())
    readme.ENCODER.parent.mkdir(parents=True)
    readme.ENCODER.write_text('{"model": "some model", "noise": {"space": "pixel"}}')
    README.write_text(WHICH.format("verdicts of kept") + WHICH.format("models of kept"))
    done = CliRunner().invoke(readme.readme, ["--record", "kept"])
    assert done.exit_code == 0, done.output
    assert (RESULTS / "kept" / "claims.csv").read_bytes() == CLAIMS.read_bytes()
    assert "| some model | 0, 0.5, 1, 2 of [0, 1] pixels | " in README.read_text()
