"""The results in the README and in docs/claims.md, which are written from results."""

import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import readme
from readme import CLAIMS, PAGES, README, RESULTS, with_tables
from tests.study import ROOT

WHICH = "<!-- {} -->\nstale\n<!-- end -->\n"


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_holds_the_results(page: Path) -> None:
    text = page.read_text()
    assert with_tables(text) == text
    assert len(readme.TABLE.findall(text)) == text.count("<!-- end -->") > 1


def test_the_answer_is_the_verdict_on_the_question() -> None:
    written = with_tables(WHICH.format("answer of default")).replace("\n", " ")
    claims = pd.read_csv(CLAIMS).set_index("claim")
    follows, adds = (claims.loc[f"topology_{what}_zero_shot"] for what in ("follows", "adds"))
    assert (
        f"**{readme.FOLLOWS[follows['verdict']]}** (Spearman's rho {follows['effect']:.2f} ("
        in written
    )
    assert f"**{readme.ADDS[adds['verdict']]}** to what plain measures" in written
    assert f"p {adds['p_value']:.2g})." in written


def test_the_overview_counts_every_statement_once() -> None:
    written = with_tables(WHICH.format("overview of default"))
    counted = re.findall(r"\b(\d+) (hold|fail|undecided|not applicable)\b", written)
    verdicts = pd.read_csv(CLAIMS)["verdict"]
    for verdict in verdicts.unique():
        found = sum(int(count) for count, name in counted if verdict.startswith(name))
        assert found == (verdicts == verdict).sum(), verdict


def test_each_claim_has_a_row_of_its_own_numbers() -> None:
    written = with_tables(WHICH.format("verdicts of default, claims 7 to 7"))
    rows = [line.split(" | ") for line in written.splitlines() if line.startswith("| 7")]
    claims = pd.read_csv(CLAIMS).query("number == 7")
    assert [row[1] for row in rows] == claims["statement"].tolist()
    assert [row[2] for row in rows] == claims["verdict"].tolist()
    assert [float(row[3]) for row in rows] == pytest.approx(claims["effect"].tolist(), rel=5e-3)
    assert "stale" not in written


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("verdict of default", "<!-- verdict of default --> is no result; there are answer, "),
        ("verdicts of nothing", "docs/results/nothing/claims.csv not found; run that study, then"),
    ],
)
def test_a_table_of_nothing_is_refused_and_the_readme_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: str, said: str
) -> None:
    in_an_empty_project(tmp_path, monkeypatch)
    README.write_text(WHICH.format(comment))
    done = CliRunner().invoke(readme.readme)
    assert done.exit_code == 1
    assert said in done.output
    assert README.read_text() == WHICH.format(comment)


@pytest.mark.parametrize("name", ["../elsewhere", ""])
def test_a_name_that_no_table_could_give_is_refused(name: str) -> None:
    done = CliRunner().invoke(readme.readme, ["--record", name])
    assert done.exit_code == 1
    assert f"--record: {name!r} is no name for a study" in done.output


def test_results_that_are_kept_are_those_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_an_empty_project(tmp_path, monkeypatch)
    for file in (CLAIMS, readme.ACCURACY):
        file.parent.mkdir(parents=True)
        file.write_bytes((ROOT / file).read_bytes())
    readme.ENCODER.parent.mkdir(parents=True)
    readme.ENCODER.write_text('{"model": "some model", "noise": {"space": "pixel"}}')
    monkeypatch.setitem(readme.TITLES, "kept", "some images, some model")
    README.write_text(WHICH.format("verdicts of kept") + WHICH.format("models of kept"))
    done = CliRunner().invoke(readme.readme, ["--record", "kept"])
    assert done.output == "docs/results/kept: claims.csv, accuracy.csv, encoder.json\n"
    assert "stale" in README.read_text()  # the workspace need not be the default's
    done = CliRunner().invoke(readme.readme)
    assert done.exit_code == 0, done.output
    assert (RESULTS / "kept" / "claims.csv").read_bytes() == CLAIMS.read_bytes()
    assert "| some images, some model | 0, 0.5, 1, 2 of [0, 1] pixels | " in README.read_text()


@pytest.mark.parametrize("name", readme.PICTURES)
def test_a_picture_that_the_pages_show_is_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = readme.PICTURES[name]
    shown = RESULTS / name / picture.name
    assert str(shown) in README.read_text()
    in_an_empty_project(tmp_path, monkeypatch)
    of_a_run = (CLAIMS, readme.ACCURACY, readme.ENCODER)
    for file in (picture, *of_a_run, readme.ANSWERS):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"found")
    done = CliRunner().invoke(readme.readme, ["--record", name])
    assert done.exit_code == 0, done.output
    assert shown.read_bytes() == b"found"
    kept = [file.name for file in readme.KEPT.get(name, of_a_run)]
    assert sorted(file.name for file in shown.parent.iterdir()) == sorted([picture.name, *kept])


def test_what_many_runs_say_is_told_with_its_uncertainty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_an_empty_project(tmp_path, monkeypatch)
    row = "8,{},in all runs together, {},holds,0.5,0.4,0.6,{},9 runs,{}\n".replace(", {}", " {}")
    rows = [
        row.format(key, key, "" if "predicts" in key else "0.01", detail)
        for key, detail in zip(
            readme.POOLED,
            ("one; 2 of 3", "two; 0 of 3", "three; 1 of 3", "error 2 with"),
            strict=True,
        )
    ]
    head = "number,claim,statement,verdict,effect,low,high,p_value,units,detail\n"
    (RESULTS / "family").mkdir(parents=True)
    (RESULTS / "family" / "answers.csv").write_text(head + "".join(rows))
    README.write_text(WHICH.format("pooled of family"))
    done = CliRunner().invoke(readme.readme)
    assert done.exit_code == 0, done.output
    told = " ".join(README.read_text().split())
    assert (
        "Of 9 runs: **In all runs together topology_follows_across_runs: holds** (mean rho 0.5 "
        in told
    )
    assert "(mean rho 0.5 (0.4 to 0.6), p 0.01, one)." in told
    assert "(error 2 with: 0.5 (0.4 to 0.6) less)." in told


def test_what_is_not_there_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_an_empty_project(tmp_path, monkeypatch)
    done = CliRunner().invoke(readme.readme, ["--record", "kept"])
    assert done.exit_code == 1
    assert "plots/claims/claims.csv not found; run 'dvc repro'" in done.output
    assert not RESULTS.exists()


def in_an_empty_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that has the pages alone, without a word in them."""
    monkeypatch.chdir(folder)
    for page in PAGES:
        page.parent.mkdir(exist_ok=True)
        page.write_text("")
