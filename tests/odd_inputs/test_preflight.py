"""What only a late stage would refuse is refused before the run, by params and file names."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from stages.core.dataset.layout import SPLITS, class_of, stratified_splits
from stages.core.dataset.preview import expected_counts, thirds
from stages.core.runtime.checksums import outside_experiments
from stages.core.runtime.params import read_params
from stages.preflight import preflight
from stages.settings.fetch import FetchParams
from tests.odd_inputs.test_params import PARAMS, changed
from tests.refusals import refusal
from tests.study import ROOT


def data_set(folder: Path, classes: dict[str, int]) -> Path:
    """A folder with so many images of each class."""
    for name, count in classes.items():
        (folder / "images" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / "images" / name / f"{i}.png")
    return folder


def params_file(folder: Path, **values: object) -> Path:
    """The project's params with other values: {section__key: value}."""
    text = PARAMS
    for key, value in values.items():
        section, _, name = key.partition("__")
        start = text.index(f"{section}:\n")
        at = text.index(f"\n  {name}:", start)
        end = text.index("\n", at + 1)
        text = f"{text[:at]}\n  {name}: {value}{text[end:]}"
    file = folder / "params.yaml"
    file.write_text(text)
    return file


def options(file: Path) -> list[str]:
    """The options by which preflight writes beside the params file alone."""
    places = {name: file.parent / name for name in ("sources", "known", "images", "model")}
    chosen = [part for name, place in places.items() for part in (f"--{name}", str(place))]
    return ["--params", str(file), *chosen]


def refused(file: Path) -> str:
    message = refusal(preflight, *options(file))
    assert not (file.parent / "sources").exists()
    return message


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"fetch__classes": "[banded]"}, "fetch.classes: 1 class leaves nothing to tell apart"),
        ({"fetch__classes": "[banded, doted]"}, "fetch.classes: no class 'doted'; did you mean"),
        ({"fetch__source": "dtd", "fetch__classes": "[grids, dotted]"}, "no class 'grids'; did"),
        ({"fetch__classes": "[grid, grid]"}, "fetch.classes: 'grid' is repeated; give each class"),
        ({"fetch__source": "texture"}, "fetch.source: 'texture' is neither"),
        (
            {"fetch__images_per_class": 9},
            "angles.rank: 10 is more than the 9 dimensions that the 9 images of class banded span; "
            "give at most 9",
        ),
        (
            {"fetch__images_per_class": 10, "angles__centre": "true"},
            "angles.rank: 10 is more than the 9 dimensions that the 10 images of class banded span "
            "once centred; give at most 9",
        ),
        ({"fetch__source": "dtd", "angles__rank": 121}, "angles.rank: 121 is more than the 120"),
        (
            {"fetch__classes": "[grid, dotted]", "classify__knn_neighbours": "[81, 99]"},
            "classify.knn_neighbours: 81 is more than the 80 training images; give a smaller count",
        ),
        ({"project__sampled_classes": 4}, "project.sampled_classes: 4, but 5 classes of the data"),
        ({"headline__dim": 2}, "headline.dim: 2, but persistence.max_dim is 1; lower the one or"),
        ({"persistence__max_dim": 0}, "headline.dim: 1, but persistence.max_dim is 0; lower the"),
        ({"persistence__neighbours": 0}, "persistence.neighbours: 0: input should be greater than"),
        ({"persistence__diffusion_steps": 0}, "persistence.diffusion_steps: 0: input should be"),
        ({"persistence__metric": "geodesic"}, "persistence.metric: 'geodesic': input should be"),
        ({"embed__noise_kind": "blur"}, "embed.noise_space: 'normalised' has no meaning for blur"),
        (
            {"embed__noise_kind": "blur", "embed__noise_space": "pixel"},
            "embed.draws: 2 draws of blur would all be the same",
        ),
        (
            {"embed__noise_kind": "salt-and-pepper", "embed__noise_space": "pixel"},
            "embed.noise_levels: 2.0 is more than 1",
        ),
        ({"embed__pretrained": "nowhere.pt"}, "embed.pretrained: 'nowhere.pt': no such file"),
        ({"embed__model": "./nowhere"}, "embed.model: './nowhere': no such file or folder"),
        ({"embed__model": "/nowhere"}, "embed.model: '/nowhere': no such file or folder"),
        ({"embed__model": "no/where.py:load"}, "'no/where.py:load': no such file or folder"),
        ({"embed__model": "where.py:load"}, "'where.py:load': no such file or folder"),
        ({"embed__model": "where.py"}, "name the function that loads the encoder after a colon"),
        ({"embed__model": "timm:local-dir:no"}, "'timm:local-dir:no': no such file or folder"),
        (
            {"embed__model": "timm:resnet18", "embed__pretrained": "no.safetensors"},
            "embed.pretrained: 'no.safetensors': no such file or folder",
        ),
        ({"pretrain__init": "no/where"}, "pretrain.init: 'no/where': no such file or folder"),
    ],
    ids=str,
)
def test_settings_that_a_later_stage_would_refuse(
    values: dict[str, object], line: str, tmp_path: Path
) -> None:
    assert line in refused(params_file(tmp_path, **values))


@pytest.mark.parametrize(
    ("classes", "values", "line"),
    [
        ({"all": 12, "other": 12}, {}, "all: the name of the sample of all classes; rename the cl"),
        ({"one": 12}, {}, "1 class leaves nothing to tell apart; fetch at least two"),
        ({"a": 12, "b": 9}, {}, "angles.rank: 10 is more than the 9 dimensions that the 9 images"),
        ({"a": 12, "b": 12}, {"classify__knn_neighbours": "[9]"}, "9 is more than the 8 training"),
        ({"a": 12, "b": 12, "c": 12}, {"fetch__classes": "[a]"}, "fetch.classes: 1 class leaves"),
        ({"a": 12, "b": 12}, {"fetch__classes": "[a, d]"}, "fetch.classes: no class 'd'; did you"),
        ({"a": 12, "b": 2}, {}, "fewer than 3 images in b (2); add images, or remove the class"),
        ({"a b": 12, "c": 12}, {}, "a class name holds no blanks"),
        ({}, {}, "no such folder; put the images in"),
    ],
    ids=str,
)
def test_a_folder_that_a_later_stage_would_refuse(
    classes: dict[str, int], values: dict[str, object], line: str, tmp_path: Path
) -> None:
    source = data_set(tmp_path / "own", classes)
    source.mkdir(exist_ok=True)
    file = params_file(tmp_path, fetch__source=source, **values)
    assert line in refused(file)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({}, {"banded": (40, 40, 40), "zigzagged": (40, 40, 40)}),
        ({"fetch__images_per_class": 11, "angles__rank": 3}, {"dotted": (4, 4, 3)}),
        ({"fetch__source": "dtd", "fetch__images_per_class": 500}, {"grid": (40, 40, 40)}),
    ],
    ids=str,
)
def test_what_the_settings_lead_to(
    values: dict[str, object], counts: dict[str, tuple], tmp_path: Path
) -> None:
    file = params_file(tmp_path, **values)
    found = expected_counts(read_params(FetchParams, file), tmp_path / "images")
    assert len(found) == 47
    assert counts.items() <= found.items()
    done = CliRunner().invoke(preflight, options(file))
    assert done.exit_code == 0, done.output
    total = 47 * sum(next(iter(counts.values())))
    assert done.output == f"{total:,} images of 47 classes are to be expected\n"


ABSENT = "are not both among the 3 classes; claim {} will be not applicable to them"


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {},
            [
                "claims.neighbours: polka-dotted and dotted " + ABSENT.format(1),
                "claims.pairs: crosshatched and striped, dotted and grid, dotted and polka-dotted "
                + ABSENT.format(2),
            ],
        ),
        ({"claims__neighbours": "[]", "claims__pairs": "[[c, a], [b, c]]"}, []),
        (
            {"claims__neighbours": "[[b, a], [a, d]]", "claims__pairs": "[]"},
            ["claims.neighbours: a and d " + ABSENT.format(1)],
        ),
    ],
    ids=str,
)
def test_pairs_that_are_not_among_the_classes_are_named(
    values: dict[str, object], lines: list[str], tmp_path: Path
) -> None:
    source = data_set(tmp_path / "own", {"a": 12, "b": 12, "c": 12})
    file = params_file(tmp_path, fetch__source=source, classify__knn_neighbours="[1]", **values)
    done = CliRunner().invoke(preflight, options(file))
    assert done.exit_code == 0, done.output
    said = [line for line in done.output.splitlines() if line.startswith("claims.")]
    assert said == lines


def test_a_line_about_many_pairs_is_short(tmp_path: Path) -> None:
    source = data_set(tmp_path / "own", {"a": 12, "b": 12, "c": 12})
    many = ", ".join(f"[a, {'x' * 60}{i}]" for i in range(200))
    file = params_file(tmp_path, fetch__source=source, claims__pairs=f"[{many}]")
    done = CliRunner().invoke(preflight, options(file))
    assert done.exit_code == 0, done.output
    (line,) = (line for line in done.output.splitlines() if line.startswith("claims.pairs: "))
    assert len(line) < 400
    assert line.endswith(ABSENT.format(2))


def test_a_folder_is_counted_as_fetch_counts_it(tmp_path: Path) -> None:
    source = data_set(tmp_path / "own", {"a": 4, "b": 11, "c": 5})
    file = params_file(tmp_path, fetch__source=source, fetch__images_per_class=6)
    found = expected_counts(read_params(FetchParams, file), tmp_path / "images")
    assert found == {"a": (2, 1, 1), "b": (2, 2, 2), "c": (2, 2, 1)}


@pytest.mark.parametrize("count", range(3, 12))
def test_thirds_are_those_of_the_splits(count: int) -> None:
    ids = [f"a/{i}.jpg" for i in range(count)]
    assert class_of(ids[0]) == "a"
    sizes = stratified_splits(ids, 0)[1].value_counts()
    assert thirds(count) == tuple(sizes[split] for split in SPLITS)


def test_preflight_loads_no_large_library() -> None:
    code = "import sys, stages.preflight; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert "numpy" in loaded
    assert not {"torch", "pandas", "scipy", "matplotlib"} & set(loaded)


def test_an_experiment_in_a_copy_shares_the_checksums_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "abc"
    copy.mkdir(parents=True)
    file = Path(".dvc/tmp/checksums.db")
    monkeypatch.chdir(copy)
    assert outside_experiments(file) == tmp_path / file
    monkeypatch.chdir(tmp_path)
    assert outside_experiments(file) == file


def test_weights_within_the_model_that_is_about_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "open_clip_model.safetensors"
    weights.write_bytes(b"weights")
    message = refused(params_file(tmp_path, pretrain__init=weights))
    assert message.startswith("pretrain.init: ")
    assert message.endswith("which is about to be replaced; copy it elsewhere")


def test_a_model_that_workers_of_a_storage_would_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.preflight.require_cluster", lambda: None)
    monkeypatch.setenv("STUDY_CLUSTER", "tcp://127.0.0.1:1")
    monkeypatch.setenv("STUDY_SHARED", "memory://study")
    message = refused(params_file(tmp_path, embed__model="/models/own"))
    assert message.startswith("embed.model: '/models/own' may lie outside of the study's folder")
    assert message.endswith("copy it into the folder, and name it relative to that")


def test_a_source_that_overlaps_the_images(tmp_path: Path) -> None:
    data_set(tmp_path / "images", {"a": 12, "b": 12})
    message = refused(params_file(tmp_path, fetch__source=tmp_path / "images"))
    assert "overlaps" in message


def test_a_long_name_is_cut_in_a_message(tmp_path: Path) -> None:
    file = params_file(tmp_path)
    file.write_text(changed("fetch.source", "x/" * 400))
    assert len(refused(file)) < 400
    assert list(tmp_path.iterdir()) == [file]
