"""Accuracy under noise: zero-shot, linear probe and k nearest neighbours, from embeddings."""

import math
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.core.artifacts.embeddings import Embeddings, level_key, read_embeddings
from stages.core.artifacts.tables import write_parquet
from stages.core.evaluation.classification import (
    CLASSIFIERS,
    PREDICTIONS,
    PROBABILITIES,
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
from stages.core.evaluation.statistics import accuracy_intervals, share_interval
from stages.core.figures.classify import (
    accuracy_curves,
    confusion_pair,
    per_class_accuracy,
    reliability,
)
from stages.core.figures.style import save_figure
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.settings.checks import possible_neighbours, require_two_classes
from stages.settings.classify import ClassifyParams

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
    validation images, which then join the training images, as in CLIP_benchmark. Fitted on
    clean images alone, they tell what the features lose from what the alignment with text
    loses. Intervals are score intervals: of Wilson for one class, and over all classes their
    form for strata, since the number of test images of each class is fixed.
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
            table = table.rename(columns={"zero_shot": "predicted"})
            # The level goes with its rows: the noisiest one of another run may be another.
            write_csv(folder / f"confusion_{name}.csv", table[["noise", "actual", "predicted"]])
        figure = accuracy_curves(accuracy, chance, params.confidence)
        save_figure(figure, folder / "accuracy.png")
        save_figure(confusion_pair(confusions, study.classes), folder / "confusion.png")
        figure = per_class_accuracy(per_class, study.classes, list(CLASSIFIERS.values()))
        save_figure(figure, folder / "per_class.png")
        probabilities = PROBABILITIES[study.encoder["probabilities"]]
        figure = reliability(calibration, errors, probabilities.label)
        save_figure(figure, folder / "calibration.png")
    tables = [_named(study, test, level, found) for level, found in levels.items()]
    write_parquet(predictions, pd.concat(tables), PREDICTIONS, {"run": study.run})
    write_json(
        metrics,
        {
            "encoder_trained": bool(study.encoder["trained"]),
            "classes": len(study.classes),
            "n_test": len(test),
            "chance": rounded(chance),
            "zero_shot_probabilities": study.encoder["probabilities"],
            "probe_strength": rounded(probe.strength),
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
    require_two_classes(study.classes, study.folder / "classes.csv")
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
    _require_known_probabilities(study)


def _require_known_probabilities(study: Embeddings) -> None:
    """Check what encoder.json says of the model's own probabilities."""

    def wrong(key: str, why: str) -> StudyError:
        return StudyError(
            f"{study.folder}/encoder.json: {key} {why}; run 'dvc repro --force embed'"
        )

    def is_number(value: object) -> bool:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )

    encoder = study.encoder
    for key in ("logit_scale", "logit_bias", "probabilities", "trained"):
        if key not in encoder:
            raise wrong(key, "is missing")
    scale, bias, name = (encoder[key] for key in ("logit_scale", "logit_bias", "probabilities"))
    if not is_number(scale) or scale <= 0:
        raise wrong("logit_scale", f"{scale!r} is not a positive number")
    if bias is not None and not is_number(bias):
        raise wrong("logit_bias", f"{bias!r} is not a number or null")
    if not isinstance(name, str) or name not in PROBABILITIES:
        raise wrong("probabilities", f"{name!r} is not one of {', '.join(PROBABILITIES)}")


def _fit(study: Embeddings, params: ClassifyParams) -> tuple[Probe, Neighbours]:
    """The two classifiers fitted on clean images."""
    array = study.array(0.0)
    train, val = (study.split_rows(split) for split in ("train", "val"))
    known = (array[train], study.labels[train], array[val], study.labels[val])
    counts = possible_neighbours(params.knn_neighbours, len(train))
    return (
        fit_probe(*known, params.probe_strengths, params.refit),
        fit_neighbours(*known, counts, params.refit),
    )


def _measure(
    study: Embeddings, level: float, probe: Probe, neighbours: Neighbours, bins: int
) -> Level:
    """Classify the test images at one noise level."""
    test = study.split_rows("test")
    actual = study.labels[test]
    images = study.array(level)[test]
    scores = cosines(images, study.text)
    rank = rank_of_truth(scores, actual)
    encoder = study.encoder
    confidence = PROBABILITIES[encoder["probabilities"]].confidence(
        scores, encoder["logit_scale"], encoder["logit_bias"] or 0.0
    )
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
        calibration=calibration_table(confidence, rank == 0, bins),
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

    top1 = [i for i, (_, _, measure) in enumerate(columns) if measure == "top-1"]
    overall = accuracy_intervals(right, actual, params.confidence)
    by_class = accuracy_intervals(right[:, top1], actual, params.confidence, per_stratum=True)
    columns += [(*columns[i][:2], "mean per class") for i in top1]
    rows = [(*column, *found) for column, found in zip(columns, overall + by_class, strict=True)]
    names = ["noise", "classifier", "measure", "accuracy", "low", "high"]
    accuracy = pd.DataFrame(rows, columns=names).sort_values("noise", kind="stable")
    guesses = accuracy["measure"].map({f"top-{TOP}": TOP}).fillna(1)
    accuracy["chance"] = (guesses / len(classes)).clip(upper=1)

    rows = []
    for label, class_name in enumerate(classes):
        members = np.flatnonzero(actual == label)
        for i in top1:
            count = int(right[members, i].sum())
            found = share_interval(count, len(members), params.confidence)
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
            "margin": found.margin,
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
