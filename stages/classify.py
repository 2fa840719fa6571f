"""Accuracy under noise of zero-shot and of classifiers that learn from clean images.

| output | holds |
| --- | --- |
| predictions.parquet | a row per test image and level: the classes it is taken for, its margin |
| per_class.parquet | a row per class, level and classifier: accuracy, with its interval |
| calibration.parquet | a row per level and bin of zero-shot confidence |
| accuracy.csv | a row per level, classifier and measure: accuracy, with its interval, rounded |
| calibration.csv | calibration.parquet, rounded |

Their columns are described in stages/core/evaluation, and the classifiers are listed there.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.core.artifacts.embeddings import Embeddings, level_key, read_embeddings
from stages.core.artifacts.tables import write_parquet
from stages.core.evaluation.accuracy import (
    PER_CLASS,
    PREDICTIONS,
    TOP,
    Level,
    accuracies,
    class_accuracies,
    in_detail,
    measure,
    predictions_table,
)
from stages.core.evaluation.calibration import (
    CALIBRATION,
    PROBABILITIES,
    expected_calibration_error,
)
from stages.core.evaluation.classification import (
    CLASSIFIERS,
    SCORES_AT_ONCE,
    Fitted,
    Known,
)
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.wording import classes_of, count
from stages.settings.checks import require_two_classes
from stages.settings.classify import ClassifyParams

# On one core: the probe for each value of images x classes x dimensions, all strengths together;
# a similarity of an image to another, and each product in it.
PROBE_SECONDS, SECONDS_A_SIMILARITY, SECONDS_A_PRODUCT = 1.2e-7, 4e-8, 8e-11


@stage(ClassifyParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option(
    "--predictions", "data/classify", "The folder where predictions and what they sum to go."
)
@path_option("--metrics", "metrics/classify.json", "Where the metrics go.")
@path_option("--plots", "plots/classify", "Where tables for readers go.")
def classify(
    params: ClassifyParams, embeddings: Path, predictions: Path, metrics: Path, plots: Path
) -> None:
    """Measure on the test split how well images are classified at each noise level (draw 0).

    Zero-shot: the class whose prompts have the largest cosine. Linear probe, nearest neighbours
    and nearest class mean: fitted on clean training images, their hyper-parameters chosen on
    clean validation images, which then join the training images, as in CLIP_benchmark. Fitted
    on clean images alone, they tell what the features lose from what the alignment with text
    loses. Intervals are score intervals: of Wilson for one class, and over all classes their
    form for strata, since the number of test images of each class is fixed.
    """
    study = read_embeddings(embeddings)
    _require_classifiable(study)
    confidence = _confidence(study)
    _state_cost(study, params)
    test = study.split_rows("test")
    actual = study.labels[test]
    # A sum depends in its last bits on the number of threads, and a near tie on those.
    with threadpool_limits(1):
        fitted = _fit(study, params)
        levels = {
            level: measure(
                [study.array(level, draw)[test] for draw in range(study.draws if level else 1)],
                actual,
                fitted,
                confidence,
                params.calibration_bins,
            )
            for level in study.levels
        }
    accuracy = accuracies(levels, actual, len(study.classes), params.confidence)
    per_class = class_accuracies(levels, actual, study.classes, params.confidence)
    calibration = pd.concat(
        found.calibration.assign(noise=level) for level, found in levels.items()
    )[CALIBRATION.names]
    predicted = predictions_table(
        levels, study.images["id"].to_numpy()[test], actual, study.classes
    )

    probabilities = study.encoder["probabilities"]
    about = {"run": study.run}
    detailed = in_detail(fitted)
    write_parquet(
        predictions / "predictions.parquet", predicted, PREDICTIONS, about | {"detailed": detailed}
    )
    write_parquet(predictions / "per_class.parquet", per_class, PER_CLASS, about)
    write_parquet(
        predictions / "calibration.parquet",
        calibration,
        CALIBRATION,
        about | {"probabilities": probabilities or ""},
    )
    labels = {key: classifier.label for key, classifier in CLASSIFIERS.items()}
    with whole_files(plots) as folder:
        named = accuracy.assign(classifier=accuracy["classifier"].map(labels))
        write_csv(folder / "accuracy.csv", named)
        write_csv(folder / "calibration.csv", calibration)
    chance = 1 / len(study.classes)
    not_applicable = _not_applicable(study, fitted, confidence is not None)
    write_json(
        metrics,
        {
            "encoder_trained": bool(study.encoder["trained"]),
            "classes": len(study.classes),
            "n_test": len(test),
            "chance": rounded(chance),
            **({"zero_shot_probabilities": probabilities} if confidence else {}),
            **_fit_metrics(fitted),
            **({"not_applicable": not_applicable} if not_applicable else {}),
            **_level_metrics(levels, accuracy),
        },
    )
    for line in _report(len(test), len(study.classes), accuracy):
        click.echo(line)
    for what, why in not_applicable.items():
        click.echo(f"{labels.get(what, what)}: not applicable, {why}")
    for warning in filter(None, (each.warning() for each in fitted.values())):
        click.echo(warning, err=True)
    if not study.encoder["trained"]:
        click.echo("The encoder is untrained: these accuracies say nothing about CLIP")


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
    if study.text is not None and study.text.shape[1] != dimension:
        raise StudyError(
            f"{study.folder}/text.npy: {study.text.shape[1]} dimensions for images of "
            f"{dimension}; run 'dvc repro --force embed'"
        )


def _state_cost(study: Embeddings, params: ClassifyParams) -> None:
    """What the classifiers take, on the one core that they use."""
    train, val, test = (len(study.split_rows(split)) for split in ("train", "val", "test"))
    classes, dimension = len(study.classes), study.array(0.0).shape[1]
    learnt, known = (
        min(train + val, most or train + val) for most in (params.probe_images, params.knn_images)
    )
    queries = val + len(study.levels) * test
    neighbours_s = queries * known * (SECONDS_A_SIMILARITY + SECONDS_A_PRODUCT * dimension)
    # The images of train, val and both, and of the draws of a level; those of the probe in float64,
    # with its scores and their gradients; and blocks of scores.
    held = 4 * dimension * (2 * (train + val) + study.draws * test)
    held += 8 * learnt * (3 * dimension + 4 * classes) + 4 * 8 * SCORES_AT_ONCE
    state_cost(
        "classify",
        f"{count(train + val, 'image')} of {classes_of(classes)} to learn from, "
        f"{learnt:,} for the linear probe, and {test:,} to test on",
        PROBE_SECONDS * learnt * classes * dimension + neighbours_s,
        held,
        "lower classify.probe_images and fetch.images_per_class",
    )


def _confidence(study: Embeddings) -> Callable[[np.ndarray], np.ndarray] | None:
    """Cosines with the prompts (n, C) -> (n,) the model's own probability of the best class.

    None where there are no prompts, or no logit scale that makes probabilities of cosines. Raises
    StudyError for what encoder.json should not say of that.
    """

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
    if study.text is None or scale is None:
        return None
    if not is_number(scale) or scale <= 0:
        raise wrong("logit_scale", f"{scale!r} is not a positive number")
    if bias is not None and not is_number(bias):
        raise wrong("logit_bias", f"{bias!r} is not a number or null")
    if not isinstance(name, str) or name not in PROBABILITIES:
        raise wrong("probabilities", f"{name!r} is not one of {', '.join(PROBABILITIES)}")
    return partial(PROBABILITIES[name].confidence, logit_scale=scale, logit_bias=bias or 0.0)


def _fit(study: Embeddings, params: ClassifyParams) -> dict[str, Fitted]:
    """{classifier: it, fitted on clean images}."""
    array = study.array(0.0)
    train, val = (study.split_rows(split) for split in ("train", "val"))
    known = Known(array[train], study.labels[train], array[val], study.labels[val], study.text)
    return {
        key: classifier.fit(known, **{name: getattr(params, name) for name in classifier.settings})
        for key, classifier in CLASSIFIERS.items()
        if study.text is not None or not classifier.reads_text
    }


def _not_applicable(
    study: Embeddings, fitted: Mapping[str, Fitted], calibrated: bool
) -> dict[str, str]:
    """{what was not measured: why}."""
    no_text = "there are no text features"
    found = {key: no_text for key in CLASSIFIERS if key not in fitted}
    if not calibrated:
        found["calibration"] = no_text if study.text is None else "the logit scale is not known"
    return found


def _fit_metrics(fitted: Mapping[str, Fitted]) -> dict:
    return {
        f"{key}_{name}": rounded(value) if isinstance(value, float) else value
        for key, each in fitted.items()
        for name, value in each.metrics().items()
    }


def _level_metrics(levels: Mapping[float, Level], accuracy: pd.DataFrame) -> dict:
    table = accuracy.set_index(["noise", "classifier", "measure"]).sort_index()
    metrics = {}
    for level, found in levels.items():
        entry = {}
        for key in found.predicted:
            top1 = table.loc[(level, key, "top-1")]
            entry[f"{key}_top1"] = rounded(top1["accuracy"])
            entry[f"{key}_top1_low"] = rounded(top1["low"])
            entry[f"{key}_top1_high"] = rounded(top1["high"])
        key, detailed = found.detailed, table.loc[(level, found.detailed), "accuracy"]
        entry[f"{key}_top{TOP}"] = rounded(detailed[f"top-{TOP}"])
        entry[f"{key}_mean_per_class"] = rounded(detailed["mean per class"])
        if len(found.calibration):
            entry[f"{key}_ece"] = rounded(expected_calibration_error(found.calibration))
        if len(found.draw_accuracies) > 1:
            spread = max(found.draw_accuracies) - min(found.draw_accuracies)
            entry[f"{key}_top1_spread_of_draws"] = rounded(spread)
        metrics[level_key(level)] = entry
    return metrics


def _report(n_test: int, class_count: int, accuracy: pd.DataFrame) -> list[str]:
    """What the stage says: sizes, and the accuracy of each classifier at each level."""
    lines = [
        f"{count(n_test, 'test image')} of {classes_of(class_count)}; "
        f"guessing is right in {100 / class_count:.1f}%"
    ]
    top1 = accuracy[accuracy["measure"] == "top-1"]
    for level, rows in top1.groupby("noise"):
        shares = ", ".join(
            f"{CLASSIFIERS[row.classifier].label} {100 * row.accuracy:.1f}% "
            f"({100 * row.low:.1f} to {100 * row.high:.1f})"
            for row in rows.itertuples()
        )
        lines.append(f"noise {level:.2f}: {shares}")
    return lines


if __name__ == "__main__":
    classify()
