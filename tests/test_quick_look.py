"""quick_look: a small study of its own, with its page, that leaves the study alone."""

import sys

import pytest

from tests.study import commit_all, copy_of_the_working_tree, git, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return copy_of_the_working_tree(tmp_path_factory.mktemp("quick") / "clone")


@pytest.fixture(scope="module")
def looked(clone):
    commit_all(clone)
    return run(clone, sys.executable, "-m", "quick_look")


def test_it_ends_with_the_page_to_open(clone, looked):
    assert looked.returncode == 0, looked.stderr
    assert looked.stdout.splitlines()[-1] == "open quick_look/explorer/index.html"
    assert (clone / "quick_look/explorer/index.html").exists()


def test_it_says_what_noise_does_to_accuracy(looked):
    assert "84 test images of 7 classes; guessing is right in 14.3%" in looked.stdout
    assert "noise 1.00: zero-shot " in looked.stdout


def test_the_study_is_left_alone(clone, looked):
    assert git(clone, "status", "--short") == ""


def test_a_second_look_takes_the_place_of_the_first(clone, looked):
    again = run(clone, sys.executable, "-m", "quick_look")
    assert again.returncode == 0, again.stderr
    assert git(clone, "status", "--short") == ""


def test_settings_that_would_make_it_long_are_not_those_of_the_study(clone, looked):
    text = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(text.replace("source: textures   ", "source: dtd   ", 1))
    try:
        done = run(clone, sys.executable, "-m", "quick_look")
    finally:
        (clone / "params.yaml").write_text(text)
    assert done.returncode == 0, done.stderr
    assert "252 images of 7 classes (textures)" in done.stdout


def test_elsewhere_than_in_a_clone_it_is_refused(clone, tmp_path):
    done = run(tmp_path, sys.executable, str(clone / "quick_look.py"))
    assert done.returncode == 1
    assert done.stderr.endswith("params.yaml not found; run this in a clone of the project\n")
