"""A family of runs in miniature: encoders that are kept while they learn, and experiments."""

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from ruamel.yaml import YAML
from safetensors.torch import load_file

from examples.family import encoders
from examples.family.__main__ import TRAINED, family
from examples.family.encoders import Training, train_encoders
from examples.family.runs import NOISES, encoders_of, list_runs
from stages.core.training import loop
from stages.core.vision.loading import load_encoder
from stages.core.vision.noise import require_defined
from tests.study import (
    ROOT,
    commit_all,
    copy_of_the_working_tree,
    dvc,
    git,
    run,
    settings,
    started,
)
from tests.test_pretrain import TINY as TINY_NETWORK

TINY_TRAINING = Training("tiny-textures", "random", 12, 4, {"tiny-4": 4, "tiny": 12})
TINY_SHARED = {
    **{"source": "textures", "seed": 1, "round_pairs": 94, "round_views": 2},
    **{"held_out_pairs": 47, "batch_size": 16, "precision": "fp32", "device": "cpu"},
}


def miniature(steps: int, kept: dict[str, int]) -> str:
    """The command, with a training of seconds in place of those of minutes."""
    return f"""
import runpy
from pathlib import Path
from examples.family import encoders
encoders.OWN_ARCHITECTURES = Path("tiny_architectures").resolve()
encoders.SHARED = {TINY_SHARED!r}
encoders.TRAININGS = (encoders.Training("tiny-textures", "random", {steps}, 4, {kept!r}),)
runpy.run_module("examples.family", run_name="__main__", alter_sys=True)
"""


def write_architecture(folder: Path) -> Path:
    folder.mkdir()
    (folder / "tiny-textures.json").write_text(json.dumps(TINY_NETWORK))
    return folder


# Encoders


@pytest.fixture
def tiny_training(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that trains two small encoders in one training."""
    shutil.copy(ROOT / "params.yaml", project)
    monkeypatch.setattr(encoders, "OWN_ARCHITECTURES", write_architecture(project / "own"))
    monkeypatch.setattr(encoders, "SHARED", TINY_SHARED)
    monkeypatch.setattr(encoders, "TRAININGS", (TINY_TRAINING,))
    return project


def weights(name: str, out: str) -> dict[str, torch.Tensor]:
    return load_file(Path(out, "encoders", name, "open_clip_model.safetensors"))


def assert_alike(name: str, out: str, other: str) -> None:
    found, expected = weights(name, out), weights(name, other)
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=0)


def test_one_training_makes_encoders_that_differ(tiny_training: Path) -> None:
    train_encoders(Path("family"), {"tiny"})
    early, late = (weights(name, "family") for name in ("tiny-4", "tiny"))
    assert early.keys() == late.keys()
    assert not early["text_projection"].equal(late["text_projection"])
    assert "after 4 of 12 steps" in Path("family/encoders/tiny-4/README.md").read_text()
    read = load_encoder("family/encoders/tiny-4", None, Path(), 0, torch.device("cpu"))
    assert read.trained
    assert not list(Path("family/checkpoints").iterdir())


def test_what_is_there_is_not_trained_again(
    tiny_training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_encoders(Path("family"), {"tiny"})
    monkeypatch.delattr(encoders, "train")
    train_encoders(Path("family"), {"tiny", "tiny-4"})
    shutil.rmtree("family/encoders/tiny-4")
    train_encoders(Path("family"), {"tiny", "texture-clip"})  # nobody asks for the other


def test_a_training_that_was_broken_off_ends_with_the_encoders_of_an_unbroken_one(
    tiny_training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_encoders(Path("whole"), {"tiny"})
    step = loop.training_step

    def break_off(*arguments: object) -> float:
        if arguments[5] == 9:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "training_step", break_off)
        with pytest.raises(KeyboardInterrupt):
            train_encoders(Path("broken"), {"tiny"})
    assert [folder.name for folder in Path("broken/encoders").iterdir()] == ["tiny-4"]
    train_encoders(Path("broken"), {"tiny"})
    for name in TINY_TRAINING.kept:
        assert_alike(name, "broken", "whole")


def test_a_kill_between_a_checkpoint_and_its_encoder_loses_neither(
    tiny_training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    train_encoders(Path("whole"), {"tiny"})
    with monkeypatch.context() as patched:
        patched.setattr(encoders, "write_model", stop)
        with pytest.raises(KeyboardInterrupt):
            train_encoders(Path("broken"), {"tiny"})
    train_encoders(Path("broken"), {"tiny"})
    for name in TINY_TRAINING.kept:
        assert_alike(name, "broken", "whole")


# Runs


def test_every_encoder_meets_every_noise_on_every_data_set(tmp_path: Path) -> None:
    family = encoders_of(TRAINED, Path("family/encoders"))
    assert len(family) >= 6
    assert len(NOISES) >= 4
    runs = list_runs(family, list(NOISES), tmp_path)
    assert len({each.name for each in runs}) == len(runs) == len(family) * len(NOISES) * 2
    sources = [each.settings["fetch.source"] for each in runs]
    assert sources == ["textures"] * (len(runs) // 2) + [str(tmp_path)] * (len(runs) // 2)
    assert {each.settings["embed.model"] for each in runs} == {each.model for each in family}
    assert len(list_runs(family, ["blur"], None)) == len(family)


@pytest.mark.parametrize("kind", NOISES)
def test_its_kinds_of_noise_have_a_meaning_in_one_draw(kind: str) -> None:
    noise = NOISES[kind]
    require_defined(kind, noise.space, [0.0, *noise.levels], 1)
    assert len(noise.levels) == 3
    assert 0 < noise.levels[0] < noise.levels[1] < noise.levels[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "dvc.yaml not found; run this in a clone"),
        (["--out", "/family"], "--out: /family lies outside of the project"),
        (["--out", "../family"], "--out: ../family lies outside of the project"),
        (["--photographs", "none"], "--photographs: none has no folder images"),
    ],
)
def test_what_cannot_be_found_is_refused_before_the_trainings(
    arguments: list[str], message: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("examples.family.__main__.train_encoders")
    if arguments:
        (project / "dvc.yaml").touch()
    done = CliRunner().invoke(family, arguments)
    assert done.exit_code == 1
    assert message in done.output


# In a clone


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the tiny study, committed, that knows a small architecture."""
    clone = shutil.copytree(tiny_study, tmp_path / "study")
    write_architecture(clone / "tiny_architectures")
    commit_all(clone)
    return clone


def params_of(study: Path, name: str) -> dict:
    return YAML(typ="safe").load(git(study, "show", f"{experiment(study, name)}:params.yaml"))


def experiment(study: Path, name: str) -> str:
    (commit,) = [
        line.split()[0]
        for line in git(study, "show-ref").splitlines()
        if line.endswith(f"/{name}") and " refs/exps/" in line
    ]
    return commit


@pytest.mark.slow
def test_the_family_is_made_but_for_what_fails_and_then_completed(study: Path) -> None:
    """One encoder under two kinds of noise; one kind fails at first."""
    arguments = ["--encoder", "tiny", "--noise", "gaussian", "--noise", "blur"]
    smaller = {
        "fetch.images_per_class": "9",
        "embed.noise_levels": "[0.0,1.0]",
        "claims.projection_seeds": "2",
    }
    command = [sys.executable, "-c", miniature(12, {"tiny": 12}), *arguments, *settings(smaller)]
    names = ["tiny-gaussian-textures", "tiny-blur-textures"]

    done = run(study, *command, "-S", "embed.noise_space=normalised")  # no meaning for blur
    assert done.returncode == 1
    assert f"1 of 2 runs failed: {names[1]}" in done.stderr
    assert (study / "family/encoders/tiny/open_clip_config.json").exists()
    log = (study / f"family/logs/{names[1]}.log").read_text()
    assert "'normalised' has no meaning for blur" in log
    assert set(dvc(study, "exp", "list", "--name-only").split()) == {names[0]}

    again = run(study, *command)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 runs, 1 there already" in again.stdout
    assert "training" not in again.stdout
    assert set(dvc(study, "exp", "list", "--name-only").split()) == set(names)
    log = (study / f"family/logs/{names[1]}.log").read_text()
    assert "Stage 'fetch' didn't change, skipping" in log
    assert "Running stage 'headline'" in log
    assert "project" not in log  # nor pictures, which no comparison of runs reads
    assert "draw" not in log

    for name, kind in zip(names, ("gaussian", "blur"), strict=True):
        embed = params_of(study, name)["embed"]
        assert (embed["model"], embed["noise_kind"]) == ("family/encoders/tiny", kind)
        assert (embed["noise_levels"], embed["draws"]) == ([0.0, 1.0], 1)
        shown = git(study, "show", f"{experiment(study, name)}:metrics/headline.json")
        assert {"accuracy@0", "accuracy@1", "follows"} <= json.loads(shown).keys()
    accuracies = [
        git(study, "show", f"{experiment(study, name)}:metrics/classify.json") for name in names
    ]
    assert accuracies[0] != accuracies[1]
    assert git(study, "status", "--short") == ""

    params = (study / "params.yaml").read_text()
    (study / "params.yaml").write_text(params.replace("seed: 0", "seed: 5", 1))
    refused = run(study, *command)
    assert refused.returncode == 1
    assert "params.yaml is changed, and runs would overwrite it" in refused.stderr
    (study / "family/running").touch()  # as if a queue that was killed had changed it

    nothing = run(study, *command)
    assert (study / "params.yaml").read_text() == params
    assert nothing.returncode == 0
    assert "2 runs, 2 there already" in nothing.stdout
    assert "done; now: python -m across" in nothing.stdout


@pytest.mark.slow
def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    clone = copy_of_the_working_tree(tmp_path / "study")
    write_architecture(clone / "tiny_architectures")
    only = [
        sys.executable,
        "-c",
        miniature(40, {"tiny-4": 4, "tiny": 40}),
        "--encoder",
        "tiny",
        "--noise",
        "blur",
    ]
    with started(clone, *only) as (process, _):
        while process.poll() is None and not list(clone.glob("family/encoders/tiny-4/*.json")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert list(clone.glob("family/checkpoints/*.pt"))
    with started(clone, *only) as (process, printed):
        while process.poll() is None and not (clone / "family/encoders/tiny").exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert "resuming after step" in printed.read_text()
    assert (clone / "family/encoders/tiny/open_clip_config.json").exists()
