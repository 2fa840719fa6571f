"""What many runs say together: the tables, the findings, and the parts of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from stages.core.across import levels, pooled, prediction
from stages.core.across.comparable import Pool, kinds_of, pool, pooled_drops, pooled_measures
from stages.core.across.levels import LEAST_MODELS
from stages.core.across.page import Part
from stages.core.across.runs import Run
from stages.core.across.tables import as_markdown, benchmark_table, runs_table
from stages.core.claims.finding import Finding, findings_table
from stages.core.claims.question import name_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.report.markdown import plain, table
from stages.core.runtime.wording import count
from stages.settings.claims import ClaimsParams


@dataclass(frozen=True)
class Learned:
    """What is known of several runs.

    pool: the runs that are pooled. tables: {name: what across/ keeps as CSV}. findings: the answers
    of all runs together, each with its verdict.
    """

    runs: list[Run]
    pool: Pool
    tables: Mapping[str, pd.DataFrame]
    findings: list[Finding]


def learn(runs: Sequence[Run], classifier: str | None, params: ClaimsParams) -> Learned:
    """All tables and findings of several runs, those on one data set side by side.

    classifier: whose loss of accuracy is asked about; None for the first that all runs have.
    params: the resamples, the confidence and the seed of the statistics.
    """
    runs = sorted(runs, key=lambda run: run.about["data set"])  # and in the order given
    found = pool(runs, classifier)
    tables = {
        "runs": runs_table(runs, found.classifier),
        "clip_benchmark": benchmark_table(runs),
        "verdicts": verdicts_table(runs),
    }
    findings: list[Finding] = []
    if found.runs:
        measures, drops = pooled_measures(found), pooled_drops(found)
        kinds = kinds_of(measures["measure"].unique())
        settings = (params.bootstrap_replicates, params.confidence, params.seed)
        tables |= pooled.pooled_effects(measures, drops, kinds, *settings)
        findings += pooled.findings(tables["pooled"])
        tables |= levels.across_models(measures, drops, kinds, *settings)
        findings += levels.findings(tables["levels"])
        for left_out in prediction.LEFT_OUT:
            found_of = prediction.prediction(measures, drops, kinds, *settings, left_out)
            for name, rows in found_of.items():
                tables[name] = pd.concat([tables[name], rows]) if name in tables else rows
        findings += prediction.findings(tables["gains"])
    if found.classifier:
        findings = [of_classifier(each, found.classifier) for each in findings]
    tables["answers"] = findings_table(findings)
    return Learned(runs, found, tables, findings)


def of_classifier(finding: Finding, classifier: str) -> Finding:
    """A finding whose statement says whose accuracy it is about, as those of claim 8 do."""
    whose = f"{CLASSIFIERS[classifier].label} accuracy"
    return replace(finding, statement=finding.statement.replace("accuracy", whose))


def verdicts_table(runs: Sequence[Run]) -> pd.DataFrame:
    """The verdict on every claim in every run: run, number, claim, statement, verdict."""
    columns = ["run", "number", "claim", "statement", "verdict"]
    tables = [run.claims.assign(run=run.name) for run in runs if run.claims is not None]
    if not tables:
        return pd.DataFrame(columns=columns)
    found = pd.concat(tables, ignore_index=True)[columns]
    return found.assign(
        number=pd.to_numeric(found["number"], errors="coerce").fillna(0).astype(int)
    )


def said(finding: Finding) -> str:
    """A finding in a sentence or two of Markdown."""
    told = f"**{finding.statement[0].upper()}{finding.statement[1:]}: {finding.verdict}.**"
    if finding.effect is not None:
        told += f" {finding.effect_is[0].upper()}{finding.effect_is[1:]}: {finding.effect:.2g}"
        if finding.low is not None and finding.high is not None:
            told += f" ({finding.low:.2g} to {finding.high:.2g})"
        if finding.p_value is not None:
            told += f", p {finding.p_value:.2g} after correction"
        told += f"; {finding.units}."
    return f"{told} {finding.detail[:1].upper()}{finding.detail[1:]}." if finding.detail else told


def parts(found: Learned, remarks: Sequence[str], pictures: Mapping[str, bytes]) -> list[Part]:
    """The parts of the page.

    remarks: a line for each run that is left out; pictures: {name: PNG}.
    """
    about = f"{count(len(found.runs), 'run')}; accuracy is that of the classifier named."
    given = [
        Part("Runs", f"{about}\n\n{as_markdown(found.tables['runs'])}"),
        Part("Claims and runs", "", shown(pictures, "verdicts", "Verdicts on claims in all runs")),
    ]
    if "pooled" in found.tables:
        given += [
            Part(
                "The question, pooled",
                "Each measure of change against the loss of accuracy, classes being the subjects: "
                "in every run, and the mean over runs. Classes are permuted and resampled in all "
                "runs together, since runs on the same classes are not independent.",
                shown(pictures, "question", "Effects of every measure in every run and pooled"),
                rounded_table(found.tables["pooled"]),
            ),
            Part(
                "At equal noise",
                "Models as subjects: at the same kind, space and level of noise, does a model "
                "whose diagrams change more lose more accuracy? Models are permuted in all kinds "
                "of noise together.",
                after=levels_told(found.tables["levels"]),
            ),
            Part(
                "Prediction",
                "The loss of accuracy of each class and level in a run that was left out, "
                "predicted by what was learned from other runs and other classes, with no label "
                "of the run.",
                shown(pictures, "prediction", "Errors of prediction by what it was made from"),
                rounded_table(found.tables["gains"]),
            ),
        ]
    if remarks:
        given.append(Part("Left out", "\n".join(f"- {plain(line)}" for line in remarks)))
    return given


def levels_told(rows: pd.DataFrame) -> str:
    """The table of models at equal noise; a line where there are too few of them."""
    rows = rows[rows["cells"] > 0]
    return rounded_table(rows) if len(rows) else f"At no level are there {LEAST_MODELS} models."


def shown(pictures: Mapping[str, bytes], name: str, what: str) -> list[tuple[str, bytes]]:
    return [(what, pictures[name])] if name in pictures else []


def rounded_table(rows: pd.DataFrame) -> str:
    """A table in Markdown, numbers to three digits and measures by their names."""

    def cell(column: str, value: object) -> str:
        if column == "measure":
            return plain(name_of(str(value)))
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value:.3g}"
        return plain(str(value))

    lines = (
        [cell(str(column), value) for column, value in row.items()]
        for row in rows.to_dict("records")
    )
    return table([str(name).replace("_", " ") for name in rows], lines)
