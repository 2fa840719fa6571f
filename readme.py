"""Write the tables of results in README.md from what the study found.

    python -m readme                        the tables, from the results that git holds
    python -m readme --record clip-features   keeps the results of the workspace first

A table stands between two comments, of which the first says what it holds and of which studies:

    <!-- verdicts of default, claims 1 to 4 -->
    <!-- end -->

`default` is the study of the workspace; any other study is a folder of docs/results, in which
--record keeps the tables and numbers that a run has left in the workspace.
"""

import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.verdicts import VERDICTS
from stages.core.runtime.command import refusing
from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.files import read_json, whole_file

README = Path("README.md")
RESULTS = Path("docs/results")
CLAIMS = Path("plots/claims/claims.csv")
ACCURACY = Path("plots/classify/accuracy.csv")
ENCODER = Path("data/embeddings/encoder.json")
DEFAULT = "default"
COMPARED = ("probe", "prototype")  # classifiers that need no text
TABLE = re.compile(
    r"^<!-- (?P<table>\w+) of (?P<studies>[\w, -]+?)"
    r"(?:, claims (?P<first>\d) to (?P<last>\d))? -->\n.*?^<!-- end -->\n",
    re.MULTILINE | re.DOTALL,
)


@click.command()
@click.option("--record", metavar="NAME", help="Keep the workspace's results under this name.")
def readme(record: str | None) -> None:
    """Write the tables of results in README.md."""
    with refusing("readme"):
        if record is not None:
            keep(record)
        text = README.read_text(encoding="utf-8")
        written = with_tables(text)
        with whole_file(README) as unfinished:
            unfinished.write_text(written, encoding="utf-8")
        click.echo(f"{README}: {len(TABLE.findall(text))} tables of results")


def keep(name: str) -> None:
    """Copy the results of the workspace into the folder of a study.

    Raises StudyError for a name that no table could give.
    """
    if name == DEFAULT or not re.fullmatch(r"[\w-]+", name):
        raise StudyError(
            f"--record: {quoted(name)} is no name for a study; take letters, digits and hyphens, "
            f"and not {DEFAULT!r}, which is the workspace itself"
        )
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in (CLAIMS, ACCURACY, ENCODER):
        shutil.copyfile(file, folder / file.name)


def with_tables(text: str) -> str:
    """The text with every table of results as the results are.

    Raises StudyError for a table or a study that there is not.
    """

    def written(found: re.Match) -> str:
        first_line = found[0].partition("\n")[0]
        if found["table"] not in TABLES:
            raise StudyError(f"{README}: {first_line} is no table; there are {', '.join(TABLES)}")
        studies = [Study(name) for name in found["studies"].split(", ")]
        lines = TABLES[found["table"]](studies, int(found["first"] or 1), int(found["last"] or 99))
        return "\n".join([first_line, "", *lines, "", "<!-- end -->\n"])

    return TABLE.sub(written, text)


@dataclass(frozen=True)
class Study:
    """What a study found, rounded as git holds it: that of the workspace, or one kept by name."""

    name: str

    def claims(self) -> pd.DataFrame:
        """The table of plots/claims."""
        return pd.read_csv(self._file(CLAIMS))

    def top_1(self) -> pd.DataFrame:
        """The rows of the table of plots/classify that are about top-1 accuracy."""
        found = pd.read_csv(self._file(ACCURACY))
        return found[found["measure"] == "top-1"]

    def encoder(self) -> dict:
        """The contents of encoder.json."""
        return read_json(self._file(ENCODER), "embed")

    def _file(self, file: Path) -> Path:
        file = file if self.name == DEFAULT else RESULTS / self.name / file.name
        if not file.exists():
            raise StudyError(
                f"{file} not found; run that study, then 'python -m readme --record {self.name}'"
            )
        return file


# The tables: of some studies, and of the claims from a first one to a last one


def verdicts(studies: list[Study], first: int, last: int) -> list[str]:
    """A row for each claim of a study."""
    (study,) = studies
    rows = []
    for claim in study.claims().to_dict("records"):
        if first <= claim["number"] <= last:
            effect = "" if math.isnan(claim["effect"]) else f"{claim['effect']:.3g}"
            decided_by = claim["decided_by"] if isinstance(claim["decided_by"], str) else ""
            holds_if = claim["holds_if"].replace("p_value", "p")
            about = (claim["number"], claim["statement"], claim["verdict"])
            rows.append([*map(str, about), effect, decided_by, holds_if])
    return table(["", "claim", "verdict", "effect", "decided by", "holds if"], rows)


def accuracy(studies: list[Study], first: int, last: int) -> list[str]:
    """A row for each noise level of a study: top-1 accuracy with its interval."""
    (study,) = studies
    top_1 = study.top_1()
    rows = []
    for level, of_level in top_1.groupby("noise"):
        cells = [
            f"{row.accuracy:.1%} ({100 * row.low:.1f} to {100 * row.high:.1f})"
            for row in of_level.itertuples()
        ]
        rows.append([f"{level:.2f}", *cells])
    return table(["noise level", *dict.fromkeys(top_1["classifier"])], rows)


def models(studies: list[Study], first: int, last: int) -> list[str]:
    """A row for each study: top-1 accuracy from level to level, and how its claims end."""
    labels = [CLASSIFIERS[key].label for key in COMPARED]
    rows = []
    for study in studies:
        about, top_1 = study.encoder(), study.top_1()
        levels = ", ".join(f"{level:g}" for level in top_1["noise"].unique())
        space = {"pixel": " of [0, 1] pixels"}.get(about["noise"]["space"], ", normalised")
        shares = [100 * top_1.loc[top_1["classifier"] == label, "accuracy"] for label in labels]
        cells = [", ".join(f"{share:.1f}" for share in of_one) + "%" for of_one in shares]
        verdicts_of = study.claims()["verdict"]
        counts = ", ".join(str((verdicts_of == verdict).sum()) for verdict in VERDICTS)
        rows.append([about["model"], f"{levels}{space}", *cells, counts])
    return table(["model", "noise levels", *labels, f"claims: {', '.join(VERDICTS)}"], rows)


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


TABLES = {"verdicts": verdicts, "accuracy": accuracy, "models": models}


if __name__ == "__main__":
    readme()
