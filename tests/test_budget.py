"""What is said of a stage's cost before it starts, and what is refused."""

from pathlib import Path

import pytest

from stages.core.runtime import budget
from stages.core.runtime.budget import GIB, free_bytes, state_cost
from stages.core.runtime.errors import StudyError

SAID = ("angles", "99 pairs of classes")
FIX = "lower angles.rank"


@pytest.fixture(autouse=True)
def eight_gib_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "free_bytes", lambda: 8 * GIB)


def test_a_small_cost_is_not_worth_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    state_cost(*SAID, 59, GIB / 2, FIX)
    assert capsys.readouterr() == ("", "")


def test_a_large_cost_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    state_cost(*SAID, 150, GIB / 2, FIX)
    state_cost(*SAID, 5, 3 * GIB, FIX, workers=3)
    assert capsys.readouterr().err.splitlines() == [
        "angles: 99 pairs of classes: about 2.5 min and 0.75 GiB",
        "angles: 99 pairs of classes: less than a minute and 4 GiB",
    ]


def test_more_memory_than_is_free_is_refused_with_the_fix() -> None:
    message = (
        r"angles: 99 pairs of classes would need about 9.2 GiB of memory, 8 are free; "
        r"lower angles.rank"
    )
    with pytest.raises(StudyError, match=message):
        state_cost(*SAID, 5, 9 * GIB, FIX)


def test_the_smaller_of_machine_and_container_is_free(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    3000 kB\n")
    assert free_bytes(tmp_path, tmp_path) == 3000 * 1024
    (tmp_path / "memory.current").write_text("500\n")
    (tmp_path / "memory.max").write_text("2500\n")
    assert free_bytes(tmp_path, tmp_path) == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(tmp_path, tmp_path) == 3000 * 1024


def test_nothing_is_refused_where_no_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_bytes(tmp_path, tmp_path) is None
    monkeypatch.setattr(budget, "free_bytes", lambda: None)
    state_cost(*SAID, 5, 1e15, FIX)
