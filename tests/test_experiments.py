"""The table of experiments, as the README shows it."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.study import ROOT, dvc, git

WIDEST = 100
README = (ROOT / "README.md").read_text()
# What the README queues: {name: settings}, with names as long as those that DVC draws.
VARIANTS: dict[str, dict[str, object]] = {
    "gummy-spae": {"seed": 1},
    "local-tote": {"seed": 2},
    "rural-jabs": {"noise_levels": [0.0, 0.5]},
    "beefy-gill": {"noise_levels": [0.0, 1.0]},
}


def save(study: Path, name: str, settings: dict[str, object]) -> None:
    """Save an experiment with other settings of embed, and the headline of the default."""
    yaml = YAML()
    params = yaml.load(study / "params.yaml")
    params["embed"].update(settings)
    yaml.dump(params, study / "params.yaml")
    headline = json.loads((study / "metrics" / "headline.json").read_text())
    headline |= {"accuracy@1": 0.5904, "follows": "undecided", "adds": "undecided"}
    (study / "metrics" / "headline.json").write_text(json.dumps(headline))
    dvc(study, "exp", "save", "--force", "--name", name)
    git(study, "checkout", "--", ".")


@pytest.mark.slow
def test_the_table_of_the_readme_fits_a_terminal(tiny_study: Path, tmp_path: Path) -> None:
    """It shows the params that differ and the verdicts, in 100 columns."""
    study = shutil.copytree(tiny_study, tmp_path / "study")
    git(study, "add", "--all")
    git(study, "commit", "--quiet", "-m", "Tiny")
    for name, settings in VARIANTS.items():
        save(study, name, settings)
    (command,) = re.findall(r"^dvc (exp show .+)$", README, re.MULTILINE)
    lines = dvc(study, *shlex.split(command)).splitlines()
    assert max(map(len, lines)) <= WIDEST
    head = next(line.split() for line in lines if "Experiment" in line)
    assert head == [
        "Experiment",
        "accuracy@1",
        "follows",
        "adds",
        "embed.noise_levels",
        "embed.seed",
    ]
    assert [name for name in VARIANTS if any(f"[{name}]" in line for line in lines)] == [*VARIANTS]
