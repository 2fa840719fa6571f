"""The lock, the metadata and the settings of the tools against one another."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.study import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = sorted(file.parent for file in (ROOT / "stages" / "core").glob("*/__init__.py"))
LOCK = (ROOT / "requirements.txt").read_text()
DIRECT = [
    Requirement(text)
    for text in (
        *PROJECT["project"]["dependencies"],
        *PROJECT["dependency-groups"]["dev"],
        *PROJECT["build-system"]["requires"],  # which tests of the package need
    )
]
PINS = {
    canonicalize_name(pin.name): pin
    for pin in map(Requirement, re.findall(r"^([^#\s].*?)(?:  #.*)?$", LOCK, re.MULTILINE))
}


def version_of(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


@pytest.mark.parametrize("direct", DIRECT, ids=str)
def test_the_lock_has_every_direct_dependency_at_a_version_that_is_allowed(
    direct: Requirement,
) -> None:
    assert version_of(PINS[canonicalize_name(direct.name)]) in direct.specifier


def test_the_lock_pins_each_package_once_and_exactly() -> None:
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    assert len(lines) == len(PINS) > len(DIRECT)
    for pin in PINS.values():
        version_of(pin)


def test_the_lock_names_no_package_of_an_accelerator() -> None:
    """torch requires those that its build needs; a CPU build requires none."""
    left_out = PROJECT["tool"]["uv"]["exclude-dependencies"]
    assert "triton" in left_out
    assert not [name for name in PINS if name in left_out or name.startswith(("nvidia", "cuda"))]


def test_the_lock_says_by_which_command_it_was_made() -> None:
    """As CONTRIBUTING.md gives it; no host of a package index is written down."""
    (command,) = re.findall(r"^#    (uv pip compile .+)$", LOCK, re.MULTILINE)
    assert command in (ROOT / "CONTRIBUTING.md").read_text()
    assert "://" not in LOCK


def test_the_guide_for_contributors_names_what_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    files = set(re.findall(r"`((?:stages|tests|benchmarks)/[\w/]+\.py)`", text))
    assert files
    assert not [file for file in files if not (ROOT / file).is_file()]
    listed = re.findall(r"`([A-Z_]+)` in `([\w/]+\.py)`", text)
    assert listed
    for name, file in listed:
        assert re.search(rf"^{name}\b", (ROOT / file).read_text(), re.MULTILINE), name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not heading or heading in headings_of(target), link


def headings_of(page: Path) -> list[str]:
    """The addresses that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_the_tree_of_contributing_is_the_tree() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (tree,) = re.findall(r"^```\n(dvc\.yaml .*?)^```$", text, re.MULTILINE | re.DOTALL)
    rooms = re.findall(r"^    (\w+)/ ", tree, re.MULTILINE)
    assert sorted(rooms) == sorted(
        folder.name
        for folder in (ROOT / "stages" / "core").iterdir()
        if (folder / "__init__.py").exists()
    )
    first = [line.split()[0].rstrip("/") for line in tree.splitlines() if line[0] != " "]
    assert not [name for name in first if not (ROOT / name).exists()]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_names_its_modules(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    modules = {file.stem for file in room.glob("*.py")} - {"__init__"}
    assert modules <= set(re.findall(r"\w+", text))


def test_the_pythons_are_the_same_everywhere() -> None:
    project = PROJECT["project"]
    named = [c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c]
    assert named == ["3.11", "3.12", "3.13"]
    allowed = Requirement(f"python{project['requires-python']}").specifier
    assert [minor for minor in range(9, 20) if f"3.{minor}.1" in allowed] == [11, 12, 13]
    assert f"--python-version {named[0]} " in LOCK
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + named[0].replace(".", "")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "study.yaml").read_text())
    assert workflow["jobs"]["study"]["strategy"]["matrix"]["python"] == named


def test_the_citation_is_of_this_project() -> None:
    file = ROOT / "CITATION.cff"
    schema = ["--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, str(file)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cited, project = yaml.safe_load(file.read_text()), PROJECT["project"]
    assert cited["title"] == project["name"]
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert cited["authors"] == project["authors"]


def test_the_hooks_are_the_checks_of_ci() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    script = (ROOT / ".ci" / "run").read_text()
    for hook in local["hooks"]:
        assert re.search(rf"^{hook['name']}\b", script, re.MULTILINE)
