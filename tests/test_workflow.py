"""The GitHub workflow: its schema, its rights, and what its scripts do to a comment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from report import FOLDER
from stages.core.report.comment import MARKER
from tests.study import ROOT, git

FILE = ROOT / ".github" / "workflows" / "study.yaml"
WORKFLOW = yaml.safe_load(FILE.read_text())
JOBS = WORKFLOW["jobs"]
SCRIPTS = {
    f"{job}: {step.get('name', step['run'])}": step["run"]
    for job, content in JOBS.items()
    for step in content["steps"]
    if "run" in step
}

# Stands in for GitHub's own command: tells of an earlier comment, and writes down what is asked.
GH = """#!/bin/bash
case "$*" in
    *--paginate*) cat earlier ;;
    *) echo "$*" >> asked ;;
esac
"""


def steps_of(job: str, action: str) -> list[dict]:
    return [step for step in JOBS[job]["steps"] if step.get("uses", "").startswith(f"{action}@")]


def bash(script: str, folder: Path, **environment: str) -> None:
    """Run a step's script as GitHub does, with `gh` as written above."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "gh").write_text(GH)
    (folder / "bin" / "gh").chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    options = ("--noprofile", "--norc", "-e", "-o", "pipefail", "-c")
    done = subprocess.run(
        ["bash", *options, script],
        cwd=folder,
        env=os.environ | environment | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema"]
    schema = ["--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *schema, str(FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_syntax_of_the_scripts(script: str) -> None:
    assert "${{" not in script  # values come by the environment, where nothing can act
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_syntax_of_ci() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def test_every_action_is_pinned_to_a_commit() -> None:
    used = re.findall(r"uses: (.+)", FILE.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_only_the_job_that_runs_nothing_of_the_pull_request_may_write() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [job for job, content in JOBS.items() if "permissions" in content] == ["comment"]
    assert not steps_of("comment", "actions/checkout")
    assert "head.repo.full_name == github.repository" in JOBS["comment"]["if"]
    assert JOBS["comment"]["continue-on-error"]


@pytest.mark.parametrize("job", ["report", "study"])
def test_jobs_see_the_whole_history_and_hold_no_credentials(job: str) -> None:
    (checkout,) = steps_of(job, "actions/checkout")
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
    (python,) = steps_of(job, "actions/setup-python")
    version = "3.11" if job == "report" else "${{ matrix.python }}"
    assert python["with"] == {"python-version": version, "cache": "pip"}


def test_the_study_runs_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    for job in ("Lint", "Study", "Tests"):
        assert set(SCRIPTS[f"study: {job}"].splitlines()) <= set(script)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a report of one plot."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "the-loss.png").write_bytes(b"a picture")
    (tmp_path / FOLDER / "comment.md").write_text(
        f"{MARKER}\n\n| `loss` | `1` |\n\n## Plots\n\n![The loss](the-loss.png)\n"
    )
    return tmp_path


def test_summary_has_the_tables_and_no_picture(made: Path) -> None:
    summary = made / "summary.md"
    bash(
        SCRIPTS["report: Summary"],
        made,
        GITHUB_STEP_SUMMARY=str(summary),
        ARTIFACT="https://localhost/artifact",
    )
    text = summary.read_text()
    assert "| `loss` | `1` |" in text
    assert "the-loss.png" not in text
    assert "(https://localhost/artifact)" in text


def test_pictures_are_one_commit_outside_the_branches(made: Path) -> None:
    hosted = made / "owner" / "project"
    git(made, "init", "--quiet", "--bare", str(hosted))
    settings = {
        "GITHUB_SERVER_URL": str(made),
        "GITHUB_REPOSITORY": "owner/project",
        "GITHUB_OUTPUT": str(made / "output"),
        "NUMBER": "7",
    }
    script = SCRIPTS["comment: Pictures"]
    bash(script, made, **settings)
    (made / FOLDER / "the-loss.png").write_bytes(b"another picture")
    bash(f"rm -rf pictures; {script}", made, **settings)
    commit = git(hosted, "rev-parse", "refs/pictures/7").strip()
    assert git(hosted, "for-each-ref", "--format=%(refname)").split() == ["refs/pictures/7"]
    assert git(hosted, "rev-list", "--count", commit).strip() == "1"
    assert git(hosted, "show", f"{commit}:the-loss.png") == "another picture"
    last = (made / "output").read_text().splitlines()[-1]
    assert last == f"address={made}/owner/project/raw/{commit}"


@pytest.mark.parametrize(
    ("earlier", "asked"),
    [
        ("", "--method POST repos/owner/project/issues/7/comments"),
        ("41\n42\n", "--method PATCH repos/owner/project/issues/comments/41"),
    ],
)
def test_the_comment_is_made_once_and_then_updated(made: Path, earlier: str, asked: str) -> None:
    (made / "earlier").write_text(earlier)
    bash(
        SCRIPTS["comment: Comment"],
        made,
        ADDRESS="https://localhost/raw/0123",
        ARTIFACT="https://localhost/artifact",
        GITHUB_REPOSITORY="owner/project",
        NUMBER="7",
    )
    (line,) = (made / "asked").read_text().splitlines()
    assert asked in line
    assert "body=@report/comment.md" in line
    text = (made / FOLDER / "comment.md").read_text()
    assert "![The loss](https://localhost/raw/0123/the-loss.png)" in text
    assert "[the report](https://localhost/artifact)" in text


def test_the_comment_is_known_by_the_marker_of_the_report() -> None:
    assert f'startswith("{MARKER}")' in SCRIPTS["comment: Comment"]
