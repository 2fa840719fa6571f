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
from examples.family.runs import NOISES, list_runs, models
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
    stages_run,
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of encoders whose training was not broken off; a project that trains the like."""
    folder = tmp_path_factory.mktemp("family")
    shutil.copy(ROOT / "params.yaml", folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)
        patched.setattr(encoders, "OWN_ARCHITECTURES", write_architecture(folder / "own"))
        patched.setattr(encoders, "SHARED", TINY_SHARED)
        patched.setattr(encoders, "TRAININGS", (TINY_TRAINING,))
        train_encoders(Path("whole"), {"tiny"})
        yield folder / "whole"


def weights(out: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(out / "encoders" / name / "open_clip_model.safetensors")


def assert_alike(found: Path, expected: Path) -> None:
    for name in TINY_TRAINING.kept:
        for key, tensor in weights(expected, name).items():
            torch.testing.assert_close(weights(found, name)[key], tensor, rtol=0, atol=0)


def test_one_training_makes_encoders_that_differ(whole: Path) -> None:
    early, late = weights(whole, "tiny-4"), weights(whole, "tiny")
    assert early.keys() == late.keys()
    assert not early["text_projection"].equal(late["text_projection"])
    folder = whole / "encoders" / "tiny-4"
    assert "after 4 of 12 steps" in (folder / "README.md").read_text()
    assert load_encoder(str(folder), None, Path(), 0, torch.device("cpu")).trained
    assert not list((whole / "checkpoints").iterdir())


def test_what_is_there_is_not_trained_again(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(encoders, "train")
    train_encoders(whole, {"tiny", "tiny-4", "texture-clip"})
    (whole / "encoders" / "tiny-4").rename(whole / "elsewhere")
    train_encoders(whole, {"tiny"})  # nobody asks for the other
    (whole / "elsewhere").rename(whole / "encoders" / "tiny-4")


def test_a_training_that_was_broken_off_ends_with_the_encoders_of_an_unbroken_one(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop.training_step

    def break_off(*arguments: object) -> float:
        if arguments[5] == 9:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "training_step", break_off)
        with pytest.raises(KeyboardInterrupt):
            train_encoders(tmp_path, {"tiny"})
    assert [folder.name for folder in (tmp_path / "encoders").iterdir()] == ["tiny-4"]
    train_encoders(tmp_path, {"tiny"})
    assert_alike(tmp_path, whole)


def test_a_kill_between_a_checkpoint_and_its_encoder_loses_neither(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(encoders, "write_model", stop)
        with pytest.raises(KeyboardInterrupt):
            train_encoders(tmp_path, {"tiny"})
    train_encoders(tmp_path, {"tiny"})
    assert_alike(tmp_path, whole)


# Runs


def test_every_encoder_meets_every_noise_on_every_data_set(tmp_path: Path) -> None:
    encoders = models(TRAINED, Path("family/encoders"))
    assert len(encoders) >= 6
    assert len(NOISES) >= 4
    runs = list_runs(encoders, list(NOISES), tmp_path)
    assert len({each.name for each in runs}) == len(runs) == len(encoders) * len(NOISES) * 2
    sources = [each.settings["fetch.source"] for each in runs]
    assert sources == ["textures"] * (len(runs) // 2) + [str(tmp_path)] * (len(runs) // 2)
    assert {each.settings["embed.model"] for each in runs} == set(encoders.values())
    assert len(list_runs(encoders, ["blur"], None)) == len(encoders)


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
    smaller = ["-S", "embed.noise_levels=[0.0,1.0]", "-S", "fetch.images_per_class=8"]
    command = [sys.executable, "-c", miniature(12, {"tiny": 12}), *arguments, *smaller]
    names = ["tiny-gaussian-textures", "tiny-blur-textures"]

    done = run(study, *command, "-S", "embed.noise_space=normalised")  # no meaning for blur
    assert done.returncode == 1
    assert f"1 of 2 runs failed: {names[1]}" in done.stderr
    assert (study / "family/encoders/tiny/open_clip_config.json").exists()
    logs = [study / f"family/logs/{name}.log" for name in names]
    assert {"fetch", "headline"} <= {*stages_run(logs[0].read_text())}
    assert "'normalised' has no meaning for blur" in logs[1].read_text()
    assert set(dvc(study, "exp", "list", "--name-only").split()) == {names[0]}

    again = run(study, *command)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 runs, 1 there already" in again.stdout
    assert "training" not in again.stdout
    assert set(dvc(study, "exp", "list", "--name-only").split()) == set(names)
    # The data set is the same; and no picture is drawn, which no comparison of runs reads.
    measured = "preflight embed angles persistence distances classify claims headline"
    assert stages_run(logs[1].read_text()) == measured.split()

    for name, kind in zip(names, ("gaussian", "blur"), strict=True):
        embed = params_of(study, name)["embed"]
        assert (embed["model"], embed["noise_kind"]) == ("family/encoders/tiny", kind)
        assert (embed["noise_levels"], embed["draws"]) == ([0.0, 1.0], 1)
        assert params_of(study, name)["fetch"]["images_per_class"] == 8
        shown = git(study, "show", f"{experiment(study, name)}:metrics/headline.json")
        assert {"accuracy@0", "accuracy@1", "follows"} <= json.loads(shown).keys()
    accuracies = [
        git(study, "show", f"{experiment(study, name)}:metrics/classify.json") for name in names
    ]
    assert accuracies[0] != accuracies[1]
    assert git(study, "status", "--short") == ""

    nothing = run(study, *command)
    assert nothing.returncode == 0
    assert "2 runs, 2 there already" in nothing.stdout
    assert "done; now: python -m across" in nothing.stdout

    # What the runs have stored is in the cache of this project, where `across` asks for it.
    told = run(study, sys.executable, "-m", "across")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "not pooled" not in told.stderr
    assert "across: 2 runs" in told.stdout


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
