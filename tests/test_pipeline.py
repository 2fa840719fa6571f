"""dvc.yaml against the code, and the whole pipeline on a tiny data set."""

import ast
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.core.runtime.params import Section, read_params
from stages.draw import SOURCES
from tests.study import (
    ROOT,
    copy_of_the_working_tree,
    dvc,
    metrics,
    stages_run,
    stale_stages,
)

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])
FIRST = "preflight"  # which has no section of its own, always runs, and prints no metrics
DRAWING = {f"draw_{name}": name for name in SOURCES}  # which have none either
WITH_SECTION = [stage for stage in STAGES if stage not in (FIRST, *DRAWING)]


def local_imports(file: Path) -> set[Path]:
    """Every file of the project that a file imports, directly or through others."""
    found: set[Path] = set()
    pending = [file]
    while pending:
        for node in ast.walk(ast.parse(pending.pop().read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            elif isinstance(node, ast.Import):
                modules = [name.name for name in node.names]
            else:
                continue
            for module in modules:
                path = ROOT.joinpath(*module.split("."))
                packages = [folder for folder in (path, *path.parents) if ROOT in folder.parents]
                for source in (path.with_suffix(".py"), *(p / "__init__.py" for p in packages)):
                    if source.exists() and source not in found:
                        found.add(source)
                        pending.append(source)
    return {path for path in found if computes(path)}


def computes(file: Path) -> bool:
    """Whether a file holds more than a docstring."""
    body = ast.parse(file.read_text()).body
    return any(not isinstance(node, ast.Expr) for node in body)


def scripts_of(stage: str) -> set[Path]:
    """The stage's own file; to draw one, also that which is imported by its name."""
    folder = ROOT / "stages"
    if stage not in DRAWING:
        return {folder / f"{stage}.py"}
    return {folder / "draw.py", folder / "core" / "figures" / f"{DRAWING[stage]}.py"}


def dependencies_of(stage: str) -> list[Path]:
    return [ROOT / dep for dep in PIPELINE["stages"][stage]["deps"]]


@pytest.mark.parametrize("stage", STAGES)
def test_every_local_import_of_a_stage_is_a_dependency(stage: str) -> None:
    scripts = scripts_of(stage)
    declared = dependencies_of(stage)
    for path in scripts.union(*map(local_imports, scripts)):
        assert any(path == dep or dep in path.parents for dep in declared), path


@pytest.mark.parametrize("stage", STAGES)
def test_a_dependency_on_code_is_imported(stage: str) -> None:
    scripts = scripts_of(stage)
    needed = scripts.union(*map(local_imports, scripts))
    for path in dependencies_of(stage):
        if path.suffix == ".py":
            assert path in needed, path


@pytest.mark.parametrize("stage", WITH_SECTION)
def test_a_stage_that_computes_draws_nothing(stage: str) -> None:
    """A change of a colour would make it run again."""
    needed = local_imports(ROOT / "stages" / f"{stage}.py")
    assert not [path for path in needed if "figures" in path.parts]


@pytest.mark.parametrize("stage", DRAWING)
def test_a_stage_is_drawn_from_what_it_wrote(stage: str) -> None:
    """Each picture is an output of its own: in a clone without cache DVC draws no plot at all
    where it does not know what a folder holds.
    """
    name, entry = DRAWING[stage], PIPELINE["stages"][stage]
    assert entry["cmd"] == f"python -m stages.draw {name}"
    assert SOURCES[name] in entry["deps"]
    assert {str(Path(out).parent) for out in entry["outs"]} == {f"plots/drawn/{name}"}
    assert all(Path(out).suffix in (".png", ".csv") for out in entry["outs"])


def section_of(stage: str) -> type[Section]:
    return getattr(
        importlib.import_module(f"stages.settings.{stage}"), f"{stage.capitalize()}Params"
    )


def test_params_hold_one_section_for_every_stage_and_nothing_else() -> None:
    sections = {stage: section_of(stage) for stage in WITH_SECTION}
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(content) == {section.name for section in sections.values()} == set(WITH_SECTION)
    for section in sections.values():
        read_params(section, ROOT / "params.yaml")


@pytest.mark.parametrize("stage", WITH_SECTION)
def test_every_stage_documents_itself(stage: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for key in section_of(stage).model_fields:
        assert "--" + key.replace("_", "-") in shown


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("pretrain", "embed")])
def test_a_stage_without_a_model_does_not_import_torch(stage: str) -> None:
    """It would take seconds and hundreds of megabytes for nothing."""
    modules = [str(file.relative_to(ROOT).with_suffix("")) for file in scripts_of(stage)]
    imported = ", ".join(module.replace("/", ".") for module in modules)
    code = f"import sys, {imported}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_shipped_model_is_that_of_the_code_and_the_settings(tmp_path: Path) -> None:
    """A clone would train else, which takes long; 'dvc repro pretrain' fixes it.

    After a change that makes no other model, 'dvc commit -f pretrain' does so at once.
    """
    clone = copy_of_the_working_tree(tmp_path / "study")
    assert json.loads(dvc(clone, "status", "--json", "pretrain")) == {}

    # Python leaves its bytecode in folders that are dependencies as a whole.
    for folder in [*(clone / "stages").rglob("*/")]:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "any.pyc").write_bytes(b"bytecode")
    assert json.loads(dvc(clone, "status", "--json", "pretrain")) == {}


def test_the_pipeline_end_to_end(tiny_study: Path) -> None:
    first = metrics(tiny_study)
    assert set(first) == {f"{stage}.json" for stage in WITH_SECTION}
    for content in first.values():
        json.loads(content)
    assert not stale_stages(tiny_study)


@pytest.mark.slow
def test_another_seed_changes_what_is_noisy_and_the_same_one_nothing(
    tiny_study: Path, tmp_path: Path
) -> None:
    clone = shutil.copytree(tiny_study, tmp_path / "study")
    first = metrics(clone)

    # Nothing has changed: nothing runs but the look at what has.
    assert stages_run(dvc(clone, "repro")) == [FIRST]
    assert not stale_stages(clone)

    # Another seed of the noise changes the noisy levels and nothing clean.
    dvc(clone, "exp", "run", "--name", "other-noise", "-S", "embed.seed=1")
    shown = json.loads(dvc(clone, "exp", "show", "--json"))
    runs = {
        experiment["revs"][0]["name"]: experiment["revs"][0]["data"]
        for commit in shown
        for experiment in commit["experiments"] or []
    }
    assert set(runs) == {"tiny", "other-noise"}
    tiny_run, other = (
        runs[name]["metrics"]["metrics/classify.json"]["data"] for name in ("tiny", "other-noise")
    )
    assert tiny_run["noise_0.00"] == other["noise_0.00"]
    embedded = [
        runs[name]["metrics"]["metrics/embed.json"]["data"]["noise_1.00"]
        for name in ("tiny", "other-noise")
    ]
    assert embedded[0] != embedded[1]

    # The same seed gives the same bytes of metrics again.
    dvc(clone, "exp", "apply", "tiny")
    assert metrics(clone) == first
    dvc(clone, "repro", "--force", "--single-item", *[s for s in STAGES if s != "pretrain"])
    assert metrics(clone) == first
