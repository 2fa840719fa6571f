"""Write the results in README.md and docs/claims.md from what the study found.

    python -m readme                          from the results that git holds
    python -m readme --record clip-features   keeps the results of the workspace, and writes no page
    python -m readme --record family          keeps what `python -m across` wrote

A result stands between two comments, of which the first says what it is and of which studies:

    <!-- verdicts of default, claims 1 to 4 -->
    <!-- end -->

`default` is the study of the workspace; of it --record keeps the picture alone. Any other study is
a folder of docs/results, in which --record keeps the tables, numbers and pictures that a run has
left in the workspace.
"""

import math
import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

import click
import pandas as pd

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.verdicts import VERDICTS
from stages.core.runtime.command import refusing
from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.files import read_json, whole_file

PAGES = README, CLAIMS_PAGE = Path("README.md"), Path("docs/claims.md")
RESULTS = Path("docs/results")
CLAIMS = Path("plots/claims/claims.csv")
ACCURACY = Path("plots/classify/accuracy.csv")
ENCODER = Path("data/embeddings/encoder.json")
ANSWERS = Path("across/answers.csv")
# The pictures that the pages show, by study.
PICTURES = {
    "default": (Path("plots/drawn/claims/correlations.png"),),
    "clip-features": (Path("plots/drawn/claims/closest_pairs.png"),),
    "family": (Path("across/question.png"),),
}
DEFAULT, FAMILY = "default", "family"
# What --record keeps of these; of every other study the claims, accuracy and encoder.
KEPT: dict[str, tuple[Path, ...]] = {DEFAULT: (), FAMILY: (ANSWERS,)}
COMPARED = ("zero_shot", "probe", "prototype")
WIDTH = 118  # of the pages, in columns
SUBJECTS = {
    1: "polka-dotted lies with dotted in t-SNE, UMAP and the space itself",
    2: "named pairs are among the closest by subspace angle; many angles are 0",
    3: "one component persists at every level, at a steady scale",
    4: "no class has a loop that persists",
    5: "under noise loops clump together and die sooner",
    6: "distances of clean and noisy diagrams grow with noise",
    7: "accuracy falls from every noise level to the next",
    8: "topology follows the loss of accuracy, adds to plain measures, beats simpler scores",
}
TITLES = {
    DEFAULT: "generated textures, texture-clip",
    "clip-features": "DTD, CLIP's features, no noise",
    "texture-clip": "photographs, texture-clip",
    "texture-clip-pixel": "photographs, texture-clip",
    "lite0": "photographs, EfficientNet-Lite0",
    "lite0-pixel": "photographs, EfficientNet-Lite0",
}
PLURALS = {"holds": "hold", "fails": "fail"}
FOLLOWS = {
    "holds": "Topological change follows the loss of accuracy across classes",
    "fails": "Topological change does not follow the loss of accuracy across classes",
    "undecided": "Whether topological change follows the loss of accuracy is undecided",
}
ADDS = {
    "holds": "It adds something",
    "fails": "It adds nothing",
    "undecided": "Whether it adds anything is undecided",
}
BEATS = {
    "holds": "It follows more closely than any simpler label-free score",
    "fails": "A simpler label-free score follows more closely than any topological one",
    "undecided": "Whether it follows more closely than every simpler label-free score is undecided",
}
# The answers of many runs that the pages tell.
POOLED = (
    "topology_follows_across_runs",
    "topology_adds_across_runs",
    "rivals_follows_across_runs",
    "topology_predicts_a_new_run",
)
TABLE = re.compile(
    r"^<!-- (?P<table>\w+) of (?P<studies>[\w, -]+?)"
    r"(?:, claims (?P<first>\d) to (?P<last>\d))? -->\n.*?^<!-- end -->\n",
    re.MULTILINE | re.DOTALL,
)


@click.command()
@click.option(
    "--record",
    metavar="NAME",
    help="Keep the workspace's results under this name, and write no page.",
)
def readme(record: str | None) -> None:
    """Write the results in README.md and docs/claims.md."""
    with refusing("readme"):
        if record is not None:
            keep(record)
            return
        written = {page: with_tables(page.read_text(encoding="utf-8")) for page in PAGES}
        for page, text in written.items():
            with whole_file(page) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
            click.echo(f"{page}: {len(TABLE.findall(text))} results")


def keep(name: str) -> None:
    """Copy the results of the workspace into the folder of a study.

    Raises StudyError for a name that no table could give.
    """
    if not re.fullmatch(r"[\w-]+", name):
        raise StudyError(
            f"--record: {quoted(name)} is no name for a study; take letters, digits and hyphens"
        )
    wanted = (*PICTURES.get(name, ()), *KEPT.get(name, (CLAIMS, ACCURACY, ENCODER)))
    lacking = next((file for file in wanted if not file.exists()), None)
    if lacking is not None:
        fix = "'python -m across'" if name == FAMILY else "'dvc repro', or 'dvc checkout' of a run"
        raise StudyError(f"{lacking} not found; run {fix}")
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in wanted:
        shutil.copyfile(file, folder / file.name)
    click.echo(f"{folder}: {', '.join(file.name for file in wanted)}")


def with_tables(text: str) -> str:
    """The text with every table of results as the results are.

    Raises StudyError for a table or a study that there is not.
    """

    def written(found: re.Match) -> str:
        first_line = found[0].partition("\n")[0]
        if found["table"] not in TABLES:
            raise StudyError(f"{first_line} is no result; there are {', '.join(TABLES)}")
        studies = [Study(name) for name in found["studies"].split(", ")]
        lines = TABLES[found["table"]](studies, int(found["first"] or 1), int(found["last"] or 99))
        return "\n".join([first_line, *lines, "<!-- end -->\n"])

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

    def answers(self) -> pd.DataFrame:
        """The answers of many runs together, by the claim's key."""
        return pd.read_csv(self._file(ANSWERS)).set_index("claim")

    def encoder(self) -> dict:
        """The contents of encoder.json."""
        return read_json(self._file(ENCODER), "embed")

    def about(self) -> str:
        """What encoded what, for the head of a column."""
        return TITLES.get(self.name, self.name)

    def _file(self, file: Path) -> Path:
        file = file if self.name == DEFAULT else RESULTS / self.name / file.name
        if not file.exists():
            raise StudyError(
                f"{file} not found; run that study, then 'python -m readme --record {self.name}'"
            )
        return file


# The results: of some studies, and of the claims from a first one to a last one


def answer(studies: list[Study], first: int, last: int) -> list[str]:
    """The verdicts on the study's question for the first classifier, a sentence each."""
    (study,) = studies
    claims = study.claims().query("number == 8 and verdict != 'not applicable'")
    if claims.empty:
        raise StudyError(f"{study.name}: its question was not asked, since it has no noise")
    follows, adds, beats = (
        claims[claims["claim"].str.startswith(f"topology_{what}_")].iloc[0]
        for what in ("follows", "adds", "beats_rivals")
    )
    interval = "{0.effect:.2f} ({0.low:.2f} to {0.high:.2f})"
    measured = f"Spearman's rho {interval}, p {{0.p_value:.2g}}"
    against = beats["detail"].partition("against ")[2].partition(";")[0]
    said = (
        f"**{FOLLOWS[follows['verdict']]}** ({measured.format(follows)} after correction for all "
        f"tests, {follows['units']}). **{ADDS[adds['verdict']]}** to what plain measures of the "
        "same embeddings say, which are mean displacement, spread, margin and CKA "
        f"({measured.format(adds)}). **{BEATS[beats['verdict']]}** (lead of rho at its best "
        f"{interval.format(beats)}, against {against})."
    )
    return textwrap.wrap(said, WIDTH)


def pooled(studies: list[Study], first: int, last: int) -> list[str]:
    """What many runs say together: the question, rivals and prediction, a sentence each."""
    (study,) = studies
    answers = study.answers()
    told = [f"Of {answers.loc[POOLED[0], 'units']}:"]
    for key in POOLED:
        row = answers.loc[key]
        statement = row["statement"].removeprefix("in all runs together, ")
        what, _, about = row["detail"].partition(";")
        numbers = f"{row['effect']:.2g} ({row['low']:.2g} to {row['high']:.2g})"
        told.append(
            f"**{statement[0].upper()}{statement[1:]}: {row['verdict']}** (mean rho {numbers}, p "
            f"{row['p_value']:.2g}, {what})."
            if about
            else f"**{statement[0].upper()}{statement[1:]}: {row['verdict']}** ({what}: "
            f"{numbers} less)."
        )
    return textwrap.wrap(" ".join(told), WIDTH)


def overview(studies: list[Study], first: int, last: int) -> list[str]:
    """A row for each numbered claim, a column for each study: how many statements end how."""
    rows = []
    for number, subject in SUBJECTS.items():
        cells = []
        for study in studies:
            of_number = study.claims().query("number == @number")["verdict"]
            counts = {verdict: int((of_number == verdict).sum()) for verdict in VERDICTS}
            cells.append(
                ", ".join(
                    f"{n} {PLURALS.get(verdict, verdict)}" for verdict, n in counts.items() if n
                )
            )
        rows.append([str(number), subject, *cells])
    return table(["", "are these so?", *(study.about() for study in studies)], rows)


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
        cells = [", ".join(f"{share:.1f}" for share in of_one) or "no text" for of_one in shares]
        rows.append([study.about(), f"{levels}{space}", *cells])
    return table(["", "noise levels", *(f"{label} (%)" for label in labels)], rows)


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


TABLES = {
    "answer": answer,
    "pooled": pooled,
    "overview": overview,
    "verdicts": verdicts,
    "accuracy": accuracy,
    "models": models,
}


if __name__ == "__main__":
    readme()
