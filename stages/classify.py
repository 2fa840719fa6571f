"""Accuracy under noise: zero-shot, linear probe and k nearest neighbours, from embeddings."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click
import numpy as np
import pandas as pd
from pydantic import Field
from threadpoolctl import threadpool_limits

from stages.command import path_option, stage
from stages.core.classification import (
    CLASSIFIERS,
    PREDICTIONS,
    Neighbours,
    Probe,
    calibration_table,
    cosines,
    expected_calibration_error,
    fit_neighbours,
    fit_probe,
    margins,
    rank_of_truth,
)
from stages.core.classification_figures import (
    accuracy_curves,
    confusion_pair,
    per_class_accuracy,
    reliability,
)
from stages.core.embeddings import Embeddings, level_key, read_embeddings
from stages.core.errors import StudyError
from stages.core.figures import save_figure
from stages.core.files import rounded, whole_files, write_csv, write_json
from stages.core.params import Count, Section, Seed
from stages.core.randomness import generator_for
from stages.core.statistics import accuracy_intervals
from stages.core.tables import write_parquet

# Right answers are counted among so many best-scored classes, or all where there are fewer.
TOP = 5


@dataclass(frozen=True)
class Level:
    """What the classifiers say of the test images at one noise level.

    predicted: {classifier: (n,) labels}; in_top: (n,) bool, zero-shot within the best TOP.
    margin: (n,) cosine with the true class's prompts less the best other.
    calibration: `calibration_table` of the zero-shot classifier.
    draw_accuracies: zero-shot top-1 accuracy at each noise draw.
    """

    predicted: dict[str, np.ndarray]
    in_top: np.ndarray
    margin: np.ndarray
    calibration: pd.DataFrame
    draw_accuracies: list[float]


class ClassifyParams(Section):
    name = "classify"
    seed: Seed
    bootstrap_replicates: int = Field(ge=100, description="resamples behind every interval")
    confidence: float = Field(strict=False, gt=0, lt=1, description="level of the intervals")
    calibration_bins: Count = Field(description="bins of the expected calibration error")
    probe_strengths: list[Annotated[float, Field(strict=False, gt=0)]] = Field(
        min_length=1, description="inverse regularisation strengths C tried on val (linear probe)"
    )
    knn_neighbours: list[Count] = Field(
        min_length=1,
        description="neighbour counts tried on val; those above the number of training images "
        "are passed over",
    )


@stage(ClassifyParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--predictions", "data/predictions.parquet", "Where every prediction goes.")
@path_option("--metrics", "metrics/classify.json", "Where the metrics go.")
@path_option("--plots", "plots/classify", "Where tables and pictures go.")
def classify(
    params: ClassifyParams, embeddings: Path, predictions: Path, metrics: Path, plots: Path
) -> None:
    """Measure on the test split how well images are classified at each noise level (draw 0).

    Zero-shot: the class whose prompts have the largest cosine. Linear probe and nearest
    neighbours: fitted on clean training images, their hyper-parameters chosen on clean
    validation images, so that what the features lose is told from what the alignment with
    text loses. Intervals come from a bootstrap of the test images, stratified by class.
    """
    study = read_embeddings(embeddings)
    _require_classifiable(study)
    # A sum depends in its last bits on the number of threads, and a near tie on those.
    with threadpool_limits(1):
        probe, neighbours = _fit(study, params)
        levels = {
            level: _measure(study, level, probe, neighbours, params.calibration_bins)
            for level in study.levels
        }
    test = study.split_rows("test")
    actual = study.labels[test]
    accuracy, per_class = _accuracies(levels, actual, study.classes, params)
    calibration = pd.concat(
        measured.calibration.assign(noise=level) for level, measured in levels.items()
    )
    errors = {
        level: expected_calibration_error(measured.calibration)
        for level, measured in levels.items()
    }
    ends = {"clean": 0.0, "noisiest": study.levels[-1]}
    confusions = {
        level: _confusion(actual, levels[level].predicted["zero_shot"], len(study.classes))
        for level in ends.values()
    }
    chance = 1 / len(study.classes)

    with whole_files(plots) as folder:
        write_csv(folder / "accuracy.csv", accuracy)
        write_csv(folder / "per_class.csv", per_class)
        write_csv(
            folder / "calibration.csv",
            calibration[["noise", "from", "to", "n", "confidence", "accuracy"]],
        )
        for name, level in ends.items():
            table = _named(study, test, level, levels[level])
            table = table.rename(columns={"zero_shot": "predicted"})[["actual", "predicted"]]
            write_csv(folder / f"confusion_{name}.csv", table)
        figure = accuracy_curves(accuracy, chance, params.confidence)
        save_figure(figure, folder / "accuracy.png")
        save_figure(confusion_pair(confusions, study.classes), folder / "confusion.png")
        figure = per_class_accuracy(per_class, study.classes, list(CLASSIFIERS.values()))
        save_figure(figure, folder / "per_class.png")
        save_figure(reliability(calibration, errors), folder / "calibration.png")
    tables = [_named(study, test, level, found) for level, found in levels.items()]
    write_parquet(predictions, pd.concat(tables), PREDICTIONS, {"run": study.run})
    write_json(
        metrics,
        {
            "encoder_trained": bool(study.encoder["trained"]),
            "classes": len(study.classes),
            "n_test": len(test),
            "chance": rounded(chance),
            "probe_strength": probe.strength,
            "probe_val_top1": rounded(probe.val_accuracy),
            "probe_converged": not probe.unconverged,
            "knn_neighbours": neighbours.count,
            "knn_val_top1": rounded(neighbours.val_accuracy),
            **_level_metrics(levels, accuracy, errors),
        },
    )
    _report(study, len(test), chance, accuracy, probe)


def _require_classifiable(study: Embeddings) -> None:
    """Check what this stage needs beyond a sound artifact."""
    images = f"{study.folder}/images.csv"
    if len(study.classes) < 2:
        raise StudyError(f"{images}: 1 class leaves nothing to tell apart; fetch at least two")
    for split in ("train", "val", "test"):
        present = set(study.images["class"].iloc[study.split_rows(split)])
        if not present:
            raise StudyError(f"{images}: no image is in split {split}; run 'dvc repro fetch'")
        missing = [name for name in study.classes if name not in present]
        if missing and split != "val":
            raise StudyError(
                f"{images}: class {missing[0]} has no image in split {split}, {len(missing)} "
                "such in all; add images or leave the class out in fetch.classes"
            )
    dimension = study.array(0.0).shape[1]
    if study.text.shape[1] != dimension:
        raise StudyError(
            f"{study.folder}/text.npy: {study.text.shape[1]} dimensions for images of "
            f"{dimension}; run 'dvc repro --force embed'"
        )
    for key in ("logit_scale", "trained"):
        if key not in study.encoder:
            raise StudyError(
                f"{study.folder}/encoder.json: no {key}; run 'dvc repro --force embed'"
            )
    scale = study.encoder["logit_scale"]
    if not isinstance(scale, int | float) or not math.isfinite(scale) or scale <= 0:
        raise StudyError(
            f"{study.folder}/encoder.json: logit_scale {scale!r} is not a positive number; "
            "run 'dvc repro --force embed'"
        )


def _fit(study: Embeddings, params: ClassifyParams) -> tuple[Probe, Neighbours]:
    """The two classifiers fitted on clean images."""
    array = study.array(0.0)
    train, val = (study.split_rows(split) for split in ("train", "val"))
    known = (array[train], study.labels[train], array[val], study.labels[val])
    counts = [count for count in params.knn_neighbours if count <= len(train)]
    if not counts:
        raise StudyError(
            f"classify.knn_neighbours: {min(params.knn_neighbours)} is more than the "
            f"{len(train)} training images; give a smaller count"
        )
    return fit_probe(*known, params.probe_strengths), fit_neighbours(*known, counts)


def _measure(
    study: Embeddings, level: float, probe: Probe, neighbours: Neighbours, bins: int
) -> Level:
    """Classify the test images at one noise level."""
    test = study.split_rows("test")
    actual = study.labels[test]
    images = study.array(level)[test]
    scores = cosines(images, study.text)
    rank = rank_of_truth(scores, actual)
    further = [
        cosines(study.array(level, draw)[test], study.text)
        for draw in range(1, study.draws if level else 1)
    ]
    return Level(
        predicted={
            "zero_shot": scores.argmax(axis=1),
            "probe": probe.predict(images),
            "knn": neighbours.predict(images),
        },
        in_top=rank < TOP,
        margin=margins(scores, actual),
        calibration=calibration_table(scores, actual, study.encoder["logit_scale"], bins),
        draw_accuracies=[
            float((each.argmax(axis=1) == actual).mean()) for each in (scores, *further)
        ],
    )


def _accuracies(
    levels: dict[float, Level], actual: np.ndarray, classes: list[str], params: ClassifyParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracies with intervals: over all test images, and class by class."""
    columns, correct = [], []
    for level, found in levels.items():
        for key, name in CLASSIFIERS.items():
            columns.append((level, name, "top-1"))
            correct.append(found.predicted[key] == actual)
        columns.append((level, CLASSIFIERS["zero_shot"], f"top-{TOP}"))
        correct.append(found.in_top)
    right = np.stack(correct, axis=1)  # (n, levels x 4)

    def intervals(of: np.ndarray, rows: np.ndarray, per_stratum: bool = False) -> list:
        # The same key for all: the measures share their resamples.
        generator = generator_for(params.seed, "classify", "bootstrap")
        resampling = (params.bootstrap_replicates, params.confidence, generator)
        return accuracy_intervals(of[rows], actual[rows], *resampling, per_stratum)

    everyone = np.arange(len(actual))
    top1 = [i for i, (_, _, measure) in enumerate(columns) if measure == "top-1"]
    overall = intervals(right, everyone)
    by_class = intervals(right[:, top1], everyone, per_stratum=True)
    columns += [(*columns[i][:2], "mean per class") for i in top1]
    rows = [(*column, *found) for column, found in zip(columns, overall + by_class, strict=True)]
    names = ["noise", "classifier", "measure", "accuracy", "low", "high"]
    accuracy = pd.DataFrame(rows, columns=names).sort_values("noise", kind="stable")
    guesses = accuracy["measure"].map({f"top-{TOP}": TOP}).fillna(1)
    accuracy["chance"] = (guesses / len(classes)).clip(upper=1)

    rows = []
    for label, class_name in enumerate(classes):
        members = np.flatnonzero(actual == label)
        for i, found in zip(top1, intervals(right[:, top1], members), strict=True):
            rows.append((class_name, *columns[i][:2], *found, len(members)))
    names = ["class", "noise", "classifier", "accuracy", "low", "high", "n"]
    return accuracy, pd.DataFrame(rows, columns=names)


def _confusion(actual: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) counts, row the actual and column the predicted class."""
    return np.bincount(actual * classes + predicted, minlength=classes**2).reshape(classes, -1)


def _named(study: Embeddings, test: np.ndarray, level: float, found: Level) -> pd.DataFrame:
    """One row per test image at one noise level, with the names of its classes."""
    names = np.asarray(study.classes, dtype=object)
    return pd.DataFrame(
        {
            "id": study.images["id"].to_numpy()[test],
            "noise": level,
            "actual": names[study.labels[test]],
            **{key: names[labels] for key, labels in found.predicted.items()},
            "margin": found.margin.round(6),
        }
    )


def _level_metrics(
    levels: dict[float, Level], accuracy: pd.DataFrame, errors: dict[float, float]
) -> dict:
    table = accuracy.set_index(["noise", "classifier", "measure"]).sort_index()
    metrics = {}
    for level, found in levels.items():
        entry = {}
        for key, name in CLASSIFIERS.items():
            top1 = table.loc[(level, name, "top-1")]
            entry[f"{key}_top1"] = rounded(top1["accuracy"])
            entry[f"{key}_top1_low"] = rounded(top1["low"])
            entry[f"{key}_top1_high"] = rounded(top1["high"])
        zero_shot = table.loc[(level, CLASSIFIERS["zero_shot"]), "accuracy"]
        entry[f"zero_shot_top{TOP}"] = rounded(zero_shot[f"top-{TOP}"])
        entry["zero_shot_mean_per_class"] = rounded(zero_shot["mean per class"])
        entry["zero_shot_ece"] = rounded(errors[level])
        if len(found.draw_accuracies) > 1:
            spread = max(found.draw_accuracies) - min(found.draw_accuracies)
            entry["zero_shot_top1_spread_of_draws"] = rounded(spread)
        metrics[level_key(level)] = entry
    return metrics


def _report(
    study: Embeddings, n_test: int, chance: float, accuracy: pd.DataFrame, probe: Probe
) -> None:
    click.echo(
        f"{n_test:,} test images of {len(study.classes)} classes; "
        f"guessing is right in {100 * chance:.1f}%"
    )
    top1 = accuracy[accuracy["measure"] == "top-1"]
    for level, rows in top1.groupby("noise"):
        shares = ", ".join(
            f"{row.classifier} {100 * row.accuracy:.1f}% "
            f"({100 * row.low:.1f} to {100 * row.high:.1f})"
            for row in rows.itertuples()
        )
        click.echo(f"noise {level:.2f}: {shares}")
    if probe.unconverged:
        strengths = ", ".join(f"{strength:g}" for strength in probe.unconverged)
        click.echo(f"The linear probe did not converge at strength {strengths}", err=True)
    if not study.encoder["trained"]:
        click.echo("The encoder is untrained: these accuracies say nothing about CLIP")


if __name__ == "__main__":
    classify()
