"""The explorer: what it shows of a study, what it says is missing, and its page in a browser."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from explore import explore
from stages.core.artifacts.diagrams import ALL, DISTANCES, CloudKey, write_diagrams
from stages.core.artifacts.embeddings import Embeddings, read_embeddings
from stages.core.artifacts.samples import read_samples
from stages.core.artifacts.tables import write_parquet
from stages.core.claims.bars import TABLES
from stages.core.evaluation.accuracy import PER_CLASS, PREDICTIONS
from stages.core.explorer import groups, points, thumbnails
from stages.core.explorer.site import about_images, drift_colours, title_of, write_data
from stages.core.figures.style import (
    LEAST_CONTRAST,
    MOST_CLASS_COLOURS,
    class_colours,
    contrast_with_white,
)
from stages.core.geometry.subspaces import ANGLES
from stages.core.runtime.errors import StudyError
from stages.core.runtime.params import read_params
from stages.core.vision.inputs import Noise
from stages.core.vision.loading import load_encoder
from stages.settings.project import ProjectParams
from tests.browser import Tab, tab
from tests.conftest import write_embeddings
from tests.own_encoders import write_encoder
from tests.refusals import refusal
from tests.study import ROOT, run

PARAMS = ROOT / "params.yaml"
COLUMNS = ["noise", "class_a", "class_b", "rank_a", "rank_b", "smallest_deg", "mean_deg"]


@pytest.fixture
def study(planted: Path) -> Embeddings:
    return read_embeddings(planted)


def predictions(study: Embeddings, **taken: str) -> pd.DataFrame:
    """Every test image is taken for its own class at every level, or for that of `taken`."""
    test = study.images[study.images["split"] == "test"]
    table = pd.concat(test.assign(noise=level) for level in study.levels)
    table = table.rename(columns={"class": "actual"})
    table["zero_shot"] = [taken.get(each, each) for each in table["actual"]]
    table["probe"] = table["actual"]
    return table.assign(knn=None, prototype=None, margin=0.25)


def write_tables(study: Embeddings, data: Path) -> None:
    """What later stages find, by hand: banded is taken for dotted, and has one long loop."""
    run = {"run": study.run}
    table = predictions(study, banded="dotted")
    write_parquet(
        data / "classify/predictions.parquet", table, PREDICTIONS, {**run, "detailed": "zero_shot"}
    )
    accuracy = [
        (name, level, "zero_shot", float(name != "banded"), 0.0, 1.0, 4)
        for name in study.classes
        for level in study.levels
    ]
    write_parquet(
        data / "classify/per_class.parquet",
        pd.DataFrame(accuracy, columns=PER_CLASS.names),
        PER_CLASS,
        run,
    )
    bars = [np.array([[0, 0.5], [0, np.inf]]), np.array([[0.25, 0.75]])]
    clouds = {
        CloudKey(group, level): bars for group in (*study.classes, ALL) for level in study.levels
    }
    write_diagrams(data / "diagrams/diagrams.parquet", clouds, study.run)
    angles = [
        (level, a, b, 1, 1, abs(i - j) * 10.0, 45.0, 90.0, 1.0, 1.0, 0, 0)
        for level in study.levels
        for i, a in enumerate(study.classes)
        for j, b in enumerate(study.classes)
        if i < j
    ]
    write_parquet(
        data / "angles/pairs.parquet", pd.DataFrame(angles, columns=ANGLES.names), ANGLES, run
    )
    distances = [
        ("banded", 0.5, 0, "bottleneck", "clean_noisy", 3.0),
        ("banded", 0.5, 0, "bottleneck", "noisy_noisy", 2.0),
        ("banded", 0.5, 0, "bottleneck", "half_clean_noisy", 1.0),
        ("banded", 0.0, 0, "bottleneck", "half_clean_clean", 4.0),
        ("banded", 2.0, 0, "bottleneck", "clean_noisy", 3.0),
        ("banded", 2.0, 0, "bottleneck", "noisy_noisy", 0.0),
    ]
    table = pd.DataFrame(distances, columns=DISTANCES.names)
    write_parquet(data / "distances.parquet", table, DISTANCES, run)
    bars_table = pd.DataFrame(
        [("banded", 0.5, 12, 1, 1, 1, 0, 0, 0.5, 0.3, 1, 1, 1, 1)], columns=TABLES["bars"].names
    )
    write_parquet(data / "claims/bars.parquet", bars_table, TABLES["bars"], run)
    ring = study.images["id"][study.rows("banded")][:4]
    loop = [
        ("banded", 0.5, cloud, 1, 0.25, 0.75, place, 0.2, image)
        for cloud in ("own", "null")
        for place, image in enumerate(ring, start=1)
    ]
    rows = pd.DataFrame(loop, columns=groups.LOOPS.names).sample(frac=1, random_state=0)
    write_parquet(data / "loops.parquet", rows, groups.LOOPS, run)


# Of every image


def layouts(study: Embeddings, spread: float = 0.0) -> pd.DataFrame:
    """A layout by t-SNE at each level: class i in its place (i, 0), twice as far at level 2."""
    generator = np.random.default_rng(0)
    tables = []
    for level in study.levels:
        scale = 2.0 if level == 2.0 else 1.0
        x = scale * study.labels + spread * generator.standard_normal(len(study.labels))
        table = study.images.assign(selection="all", method="tsne", noise=level, x=x, y=0.0)
        tables.append(table[points.LAYOUTS.names])
    return pd.concat(tables)


def test_places_have_one_scale_for_all_levels(study: Embeddings) -> None:
    found = points.places(layouts(study), study.classes)["tsne"]
    assert found["label"] == "t-SNE"
    assert max(found["x"][0]) == 5000
    assert max(found["x"][2]) == 10_000
    assert set(found["y"][0]) == {0}
    for i, row in enumerate(found["midst"][0]):
        assert study.labels[row] == i


def test_a_class_without_a_place_of_its_own_has_no_name(study: Embeddings) -> None:
    found = points.places(layouts(study, spread=100), study.classes)["tsne"]
    assert found["midst"][0] == [points.NONE] * 4


def test_the_midst_of_a_class_that_is_not_there_is_none(study: Embeddings) -> None:
    found = points.places(layouts(study), [*study.classes, "absent"])["tsne"]
    assert found["midst"][0][-1] == points.NONE


def test_drift_is_one_less_the_cosine(tmp_path: Path) -> None:
    clean = np.array([[1.0, 0], [1, 0], [0, 1]])
    noisy = np.array([[1.0, 0], [0.5, np.sqrt(0.75)], [0, -1]])
    folder = write_embeddings(
        tmp_path / "e", {(0.0, 0): clean, (1.0, 0): noisy}, ["a", "a", "b"], np.eye(2)
    )
    assert points.drifts(read_embeddings(folder)) == [[0, 0, 0], [0, 0.5, 2]]


def test_layouts_are_kept_and_made_again_for_other_settings(
    study: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = read_params(ProjectParams, PARAMS)
    kept = tmp_path / "layouts.parquet"
    calls = []

    def lay_out(clouds: dict, methods: dict) -> dict:
        calls.append(list(methods))
        return {("all", method, level): cloud[:, :2] for method in methods for _, level in clouds
                for cloud in [clouds["all", level]]}  # fmt: skip

    monkeypatch.setattr(points, "lay_out", lay_out)
    first, about = points.layouts_of_all(study, params, ["tsne"], kept)
    points.write_layouts(kept, first, about)
    second, _ = points.layouts_of_all(study, params, ["tsne"], kept)
    assert calls == [["tsne"]]
    pd.testing.assert_frame_equal(
        first.reset_index(drop=True), second.reset_index(drop=True), check_dtype=False
    )
    points.layouts_of_all(study, params, ["umap"], kept)
    points.layouts_of_all(study, params.model_copy(update={"perplexity": 7.0}), ["tsne"], kept)
    points.layouts_of_all(replace(study, run="another"), params, ["tsne"], kept)
    kept.write_bytes(b"damaged")
    points.layouts_of_all(study, params, ["tsne"], kept)
    assert calls == [["tsne"], ["umap"], ["tsne"], ["tsne"], ["tsne"]]


def test_answers_are_of_test_images_alone(study: Embeddings, tmp_path: Path) -> None:
    write_tables(study, tmp_path)
    found = points.answers(study, tmp_path / "classify/predictions.parquet")
    assert found is not None
    assert found["labels"] == {"zero_shot": "zero-shot", "probe": "linear probe"}
    assert found["margin_of"] == "zero-shot"
    for level in range(3):
        for image, split in enumerate(study.images["split"]):
            taken = found["taken"]["zero_shot"][level][image]
            own = study.labels[image]
            assert taken == (points.NONE if split != "test" else 1 if own == 0 else own)
            assert found["margin"][level][image] == (0.25 if split == "test" else None)


def test_answers_of_another_run_are_refused(study: Embeddings, tmp_path: Path) -> None:
    write_tables(study, tmp_path)
    with pytest.raises(StudyError, match=r"of another run .*'dvc repro classify'"):
        points.answers(replace(study, run="another"), tmp_path / "classify/predictions.parquet")


def test_no_answers_where_classify_has_not_run(study: Embeddings, tmp_path: Path) -> None:
    assert points.answers(study, tmp_path / "predictions.parquet") is None


# Of every group


def test_a_group_has_what_each_table_says_of_it(study: Embeddings, tmp_path: Path) -> None:
    write_tables(study, tmp_path)
    found, missing = groups.groups_of(study, tmp_path)
    assert not missing
    assert list(found) == [*study.classes, ALL]
    banded = found["banded"]
    assert banded["bars"] == [[[[0, 0.5]], [[0.25, 0.75]]]] * 3  # without the essential bar
    assert banded["nulls"] == [None, 0.3, None]
    assert [row["accuracy"] for row in banded["accuracy"]] == [0, 0, 0]
    assert [row["classifier"] for row in banded["accuracy"]] == ["zero-shot"] * 3
    # grid, the third class, is 10 degrees from dotted and striped, and 20 from banded.
    assert found["grid"]["nearest"][0] == [(1, 10, 45), (3, 10, 45), (0, 20, 45)]
    ring = study.rows("banded")[:4].tolist()
    loops = sorted(banded["loops"], key=lambda loop: loop["cloud"])
    assert [(loop["cloud"], loop["level"], loop["ring"]) for loop in loops] == [
        ("null", 1, ring),
        ("own", 1, ring),
    ]
    assert "loops" not in found["dotted"]
    assert set(found[ALL]) == {"bars"}


def test_distances_are_over_their_own_baselines(study: Embeddings, tmp_path: Path) -> None:
    """Where a baseline is 0, as of noise without chance, there is no ratio."""
    write_tables(study, tmp_path)
    rows = groups.distances(study, tmp_path / "distances.parquet")["banded"]
    assert [(row["noise"], row["ratio"]) for row in rows] == [(0.5, 1.5), (0.5, 0.25)]
    assert [row["baseline"] for row in rows] == [
        "another draw of the same noise",
        "two halves of the clean class",
    ]


def test_what_is_missing_is_said_with_its_stage(study: Embeddings, tmp_path: Path) -> None:
    found, missing = groups.groups_of(study, tmp_path)
    assert not any(found.values())
    assert set(missing) == set(groups.PARTS)
    for part, (_, _, stage) in groups.PARTS.items():
        assert missing[part].endswith(f"is not there; run 'dvc repro {stage}'")


@pytest.mark.parametrize("part", list(groups.PARTS))
def test_a_table_of_another_run_is_refused(part: str, study: Embeddings, tmp_path: Path) -> None:
    write_tables(study, tmp_path)
    read, file, stage = groups.PARTS[part]
    with pytest.raises(StudyError, match=rf"of another run .*'dvc repro {stage}'"):
        read(replace(study, run="another"), tmp_path / file)


# Thumbnails


def squares(tmp_path: Path) -> Any:
    encoder = write_encoder(tmp_path / "encoder")
    return load_encoder(f"{encoder}:load", None, tmp_path, 0, torch.device("cpu"))


def test_a_sheet_holds_each_image_in_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "images" / "a"
    folder.mkdir(parents=True)
    colours = [(i * 18 % 256, 90, 200) for i in range(14)]
    for i, colour in enumerate(colours):
        Image.new("RGB", (30, 30), colour).save(folder / f"{i:02d}.png")
    ids = [f"a/{i:02d}.png" for i in range(14)]
    noise = Noise("gaussian", "normalised", 0)
    clean, noisy = thumbnails.sheets_of(
        squares(tmp_path), tmp_path / "images", ids, [0.0, 1.0], noise
    )
    side = thumbnails.SIDE_PX
    assert clean.size == noisy.size == (12 * side, 2 * side)
    for i, colour in enumerate(colours):
        middle = (i % 12 * side + side // 2, i // 12 * side + side // 2)
        assert clean.getpixel(middle) == colour
    assert np.abs(np.asarray(noisy, float) - np.asarray(clean, float)).mean() > 5


def test_what_is_no_square_is_not_distorted() -> None:
    found = np.asarray(thumbnails.thumbnail(np.zeros((3, 32, 64), np.float32)))
    side = thumbnails.SIDE_PX
    assert found.shape == (side, side, 3)
    assert (found[: side // 4] == 255).all()
    assert (found[side // 4 : -side // 4] == 0).all()


@pytest.mark.parametrize("of", ["features", "no images"])
def test_a_study_without_images_says_why(of: str, study: Embeddings, tmp_path: Path) -> None:
    images = tmp_path / "images"
    if of == "features":
        (images / "features").mkdir(parents=True)
        assert "without their images" in str(thumbnails.why_none(study, images))
    else:
        study = replace(study, encoder=study.encoder | {"preprocessing": {}})
        assert "run 'dvc checkout'" in str(thumbnails.why_none(study, images))


# Colours


def test_class_colours_hold_on_white_and_differ() -> None:
    names = [f"class {i}" for i in range(MOST_CLASS_COLOURS)]
    colours = class_colours(names)
    assert len(set(colours.values())) == len(names)
    values = np.array([[int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in colours.values()])
    assert contrast_with_white(values).min() >= LEAST_CONTRAST
    assert contrast_with_white(np.array([[0, 0, 0], [255, 255, 255]])) == pytest.approx([21, 1])


def test_a_class_has_the_same_colour_however_many_follow_it() -> None:
    names = [f"class {i}" for i in range(MOST_CLASS_COLOURS + 1)]
    colours = class_colours(names)
    few = class_colours(names[:5])
    assert few == {name: colours[name] for name in names[:5]}
    assert colours[names[-1]] == colours[names[0]]  # there are no more


def test_more_drift_is_darker() -> None:
    values = [[int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in drift_colours()]
    contrasts = contrast_with_white(np.array(values))
    assert (np.diff(contrasts) > 0).all()
    assert contrasts[0] >= LEAST_CONTRAST


# The page


def test_data_are_handed_over_as_they_are(tmp_path: Path) -> None:
    content = {"name": "</script> \u2028 'é\"", "numbers": [1, 0.5, None]}
    write_data(tmp_path, "points", content)
    text = (tmp_path / "points.js").read_text()
    (found,) = re.findall(r'^receive\("points", (.*)\);\n$', text, re.DOTALL)
    assert json.loads(found) == content
    with pytest.raises(ValueError, match="JSON"):
        write_data(tmp_path, "points", {"number": np.nan})


def test_a_title_says_model_images_and_noise(study: Embeddings) -> None:
    assert title_of(study) == "planted, untrained: 48 images of 4 classes, no noise"
    noise = {"kind": "blur", "space": "pixel"}
    encoder = study.encoder | {"trained": True, "pretrained": "laion", "noise": noise}
    assert title_of(replace(study, encoder=encoder)) == (
        "planted laion: 48 images of 4 classes, Gaussian blur (sigma, pixels of the model's input)"
    )
    assert len(about_images(study)["class_colours"]) == 4


def written(data: Path, page: Path, *arguments: str) -> str:
    """Run the command; what it prints."""
    options = ["--params", str(PARAMS), "--data", str(data), "--page", str(page)]
    result = CliRunner().invoke(explore, [*options, "--method", "tsne", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def data(planted: Path) -> Path:
    """The folder of a finished study without images."""
    write_tables(read_embeddings(planted), planted.parent)
    return planted.parent


def test_the_command_writes_a_page_and_says_what_it_left_out(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    (data / "loops.parquet").unlink()
    said = written(data, page)
    assert "left out: The study is of features" in said
    assert "run 'dvc repro loops'" in said
    assert {file.name for file in page.iterdir()} >= {
        "index.html", "style.css", "points.js", "groups.js", "vega.js", "regl-scatterplot.js",
        "LICENCES.txt", "layouts.parquet",
    }  # fmt: skip
    assert not re.search(r"https?://", (page / "index.html").read_text())
    first = (page / "points.js").read_bytes()
    written(data, page)  # over its own
    assert (page / "points.js").read_bytes() == first


def test_a_study_that_is_not_there_is_refused(tmp_path: Path) -> None:
    line = refusal(explore, "--params", PARAMS, "--data", tmp_path, "--page", tmp_path / "page")
    assert "images.csv: not found" in line
    assert "dvc repro embed" in line
    assert not (tmp_path / "page").exists()


def test_a_folder_of_others_is_not_replaced(data: Path, tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "mine.txt").write_text("kept")
    line = refusal(explore, "--params", PARAMS, "--data", data, "--page", tmp_path / "page")
    assert "no marker of explore" in line
    assert (tmp_path / "page" / "mine.txt").read_text() == "kept"


# In a browser


@pytest.fixture
def opened(data: Path, tmp_path: Path) -> Iterator[Tab]:
    """The page of the planted study, drawn; whatever is wrong at the end fails the test."""
    written(data, tmp_path / "page")
    with tab() as page:
        page.open(tmp_path / "page" / "index.html")
        drawn(page)
        yield page
        require_clean(page)


def drawn(page: Tab) -> None:
    """Wait until the picture shows the state."""
    page.wait_for("document.body.dataset.ready !== undefined")
    page.wait_for(
        "document.body.dataset.ready === location.hash.slice(1)"
        " || (document.body.dataset.ready === 'first view' && location.hash.length < 2)"
    )
    page.wait_for("!window.page.names.moving")


def require_clean(page: Tab) -> None:
    """No error in the console, and nothing asked for but from the disk and the page itself."""
    assert not page.faults
    assert page.addresses
    assert not [each for each in page.addresses if not each.startswith(("file:", "data:"))]


def place_of(page: Tab, image: int) -> tuple[float, float]:
    """Where the point of an image is on the page."""
    x, y = page.evaluate(
        "(() => { const box = document.getElementById('points').getBoundingClientRect();"
        f" const [x, y] = window.page.scatter.place({image}); return [box.x + x, box.y + y]; }})()"
    )
    return x, y


def text_of(page: Tab, selector: str) -> str:
    return page.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")


def points_image(page: Tab) -> int:
    """The image of which the page shows something beside the pointer."""
    shown = page.wait_for("!document.getElementById('tip').hidden && page.hovered + 1")
    return shown - 1


def test_the_pointer_shows_an_image_and_a_click_keeps_it(opened: Tab) -> None:
    test_image = opened.evaluate("page.study.split.lastIndexOf('test')")
    opened.mouse("mouseMoved", *place_of(opened, test_image))
    found = points_image(opened)
    name = opened.evaluate(f"page.study.ids[{found}]")
    assert name in text_of(opened, "#tip")
    assert "under the pointer" in text_of(opened, "#image")
    opened.click(*place_of(opened, found))
    opened.wait_for(f"page.state.image === {found}")
    assert f"image={name.replace('/', '%2F')}" in opened.evaluate("location.hash")
    assert "0.50" in text_of(opened, "#image table")
    assert name in text_of(opened, "#status")


def test_a_level_moves_every_point(opened: Tab) -> None:
    before = [place_of(opened, image) for image in range(48)]
    opened.click(*opened.middle("#levels input[value='2']"))
    opened.wait_for("page.state.level === 2")
    drawn(opened)
    after = [place_of(opened, image) for image in range(48)]
    assert not set(before) & set(after)
    assert opened.evaluate("location.hash") == "#level=2.00"
    opened.press("ArrowLeft")  # the radio button has the focus
    opened.wait_for("page.state.level === 1")


def test_colours_say_class_answer_or_drift(opened: Tab) -> None:
    def choose(value: str) -> dict:
        opened.evaluate(
            f"(() => {{ const each = document.getElementById('colour'); each.value = '{value}';"
            " each.dispatchEvent(new Event('change')); })()"
        )
        drawn(opened)
        return opened.evaluate("(({colour, colours}) => ({colour, colours}))(page.colouring())")

    assert choose("class")["colour"] == np.repeat(range(4), 12).tolist()
    answers = choose("answer")
    # Every third image is a test image; those of banded, the first class, are wrong.
    expected = ["none", "none", "wrong"] * 4 + ["none", "none", "right"] * 12
    kinds = ["none", "right", "wrong"]
    assert [kinds[each] for each in answers["colour"]] == expected
    assert "wrong" in text_of(opened, "#legend")
    assert set(choose("drift")["colour"]) == {0}  # at the clean level


def test_a_search_finds_classes_and_draws_them_alone(opened: Tab) -> None:
    opened.click(*opened.middle("#search"))
    opened.type("ot")
    assert opened.evaluate(
        "[...document.querySelectorAll('#class-list li:not([hidden])')].map((e) => e.textContent)"
    ) == ["dotted"]
    opened.click(*opened.middle("#only"))
    opened.wait_for("page.state.shown !== null")
    drawn(opened)
    assert opened.evaluate("page.scatter.plot.get('filteredPoints').length") == 12
    assert "shown=dotted" in opened.evaluate("location.hash")
    opened.click(*opened.middle("#search"))
    opened.press("Enter")
    opened.wait_for("document.querySelector('#group h2')?.textContent.includes('dotted')")
    opened.click(*opened.middle("#every"))
    opened.wait_for("page.state.shown === null")


def test_a_search_finds_images_by_name(opened: Tab) -> None:
    opened.click(*opened.middle("#search"))
    opened.type("grid_0030")
    assert text_of(opened, "#found-images") == "grid/grid_0030.jpg"
    opened.press("Enter")
    opened.wait_for("page.state.image === 30")


def test_a_box_lists_its_images_and_their_confusions(opened: Tab) -> None:
    x, y = opened.evaluate(
        "(() => { const b = document.getElementById('points').getBoundingClientRect();"
        " return [b.x, b.y]; })()"
    )
    places = np.array([place_of(opened, image) for image in range(48)])
    own = places[:12]
    low, high = own.min(axis=0) - 12, own.max(axis=0) + 12
    inside = ((places > low) & (places < high)).all(axis=1)
    assert (low > (x, y)).all()
    opened.click(*opened.middle("#box"))
    opened.drag(tuple(low), tuple(high))
    opened.wait_for("page.state.selected.length > 0")
    assert opened.evaluate("page.state.selected.length") == inside.sum() == 12
    assert text_of(opened, "#selection-count") == "12 images of 1 class"
    rows = "[...document.querySelectorAll('#selection table')[0].rows].map((e) => e.innerText)"
    assert opened.evaluate(rows)[1:] == ["banded\tdotted\t4"]
    assert "12 images selected" in text_of(opened, "#status")


def test_a_class_shows_its_diagrams_distances_and_loop(opened: Tab) -> None:
    opened.evaluate("location.hash = 'class=banded&level=0.50&loop=own+1'")
    opened.wait_for("document.querySelectorAll('#group svg.marks').length === 3")
    assert opened.evaluate("document.querySelectorAll('#group .ring').length") == 2
    assert opened.evaluate(
        "[...document.querySelectorAll('#group .ring')[0].querySelectorAll('button')]"
        ".map((each) => Number(each.dataset.image))"
    ) == [0, 1, 2, 3]
    assert "4 images, bar 0.250 to 0.750" in text_of(opened, "#group figcaption")
    assert "dotted" in text_of(opened, "#group table")
    opened.click(*opened.middle("#group .ring button[data-image='2']"))
    opened.wait_for("page.state.image === 2")


def test_an_address_shows_what_it_says_and_passes_over_what_is_not_there(opened: Tab) -> None:
    opened.evaluate(
        "location.hash = 'class=grid&image=grid/grid_0030.jpg&level=2.00&colour=answer&by=probe'"
    )
    opened.wait_for("page.state.level === 2")
    state = opened.evaluate("page.state")
    assert (state["group"], state["image"], state["colour"], state["by"]) == (
        2, 30, "answer", "probe",
    )  # fmt: skip
    opened.evaluate("location.hash = 'class=none&image=none&level=7&layout=pca&loop=x&shown=no'")
    opened.wait_for("page.state.level === 0")
    state = opened.evaluate("page.state")
    assert (state["group"], state["image"], state["method"]) == (None, -1, "tsne")


def test_everything_has_a_name_for_those_who_do_not_see_it(opened: Tab) -> None:
    opened.evaluate("location.hash = 'class=banded&image=banded/banded_0002.jpg'")
    opened.wait_for("document.querySelector('#group h2') !== null")
    unnamed = opened.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas, table')].filter((each) =>"
        " !(each.textContent.trim() || each.getAttribute('aria-label') || each.labels?.length))"
        ".map((each) => each.outerHTML)"
    )
    assert not unnamed
    opened.wait_for("document.querySelectorAll('svg.marks').length === 3")
    charts = "[...document.querySelectorAll('[role=graphics-document]')].map((e) => e.ariaLabel)"
    assert opened.evaluate(charts) == [
        "Accuracy at every noise level, by classifier",
        "Persistence diagrams at every noise level",
        "Distances of diagrams over their baselines at every noise level",
    ]


def test_a_clean_study_without_answers_is_shown(tmp_path: Path) -> None:
    """Of features that were computed elsewhere: no noise, no text, no images, nothing else run."""
    generator = np.random.default_rng(0)
    clouds = {(0.0, 0): generator.standard_normal((20, 4)) + np.repeat(np.eye(4, 4)[:2], 10, 0) * 3}
    write_embeddings(tmp_path / "embeddings", clouds, ["a"] * 10 + ["<b>"] * 10, np.eye(4)[:2])
    written(tmp_path, tmp_path / "page")
    with tab() as page:
        page.open(tmp_path / "page" / "index.html", "#class=%3Cb%3E&image=a/a_0001.jpg")
        drawn(page)
        missing = text_of(page, "#missing")
        assert "no noise level above 0" in missing
        assert "'dvc repro classify'" in missing
        page.wait_for("document.querySelector('#group h2')?.textContent.includes('<b>')")
        assert "'dvc repro persistence'" in text_of(page, "#group")
        assert "a_0001.jpg" in text_of(page, "#image")
        require_clean(page)


def test_a_browser_without_webgl_keeps_the_lists(data: Path, tmp_path: Path) -> None:
    written(data, tmp_path / "page")
    index = tmp_path / "page" / "index.html"
    off = (
        "<script>const all = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...options) {"
        " return kind === 'webgl' ? null : all.call(this, kind, ...options); };</script>"
    )
    index.write_text(index.read_text().replace("<head>", f"<head>{off}"))
    with tab() as page:
        page.open(index, "#class=grid&image=grid/grid_0030.jpg")
        page.wait_for("document.querySelector('#group h2')?.textContent.includes('grid')")
        assert "needs WebGL" in text_of(page, "#picture")
        assert "grid_0030" in text_of(page, "#image")
        page.click(*page.middle("#levels input[value='1']"))
        page.wait_for("page.state.level === 1")
        require_clean(page)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two pictures."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.slow
def test_a_study_is_shown_with_its_images(tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "study")
    done = run(study, sys.executable, "-m", "explore")
    assert done.returncode == 0, done.stderr
    page = study / "explorer"
    artifact = read_embeddings(study / "data/embeddings")

    # The thumbnails are those of which `embed` kept a few, their noise included. JPEG halves the
    # resolution of colours, so that brightness is compared.
    samples = read_samples(study / "data/samples")
    ids = artifact.images["id"].tolist()
    for j, image_id in enumerate(samples.ids):
        row, column = divmod(ids.index(image_id), thumbnails.ROWS)
        x, y = column * thumbnails.SIDE_PX, row * thumbnails.SIDE_PX
        found, wanted = [], []
        for i, level in enumerate(samples.levels):
            sheet = Image.open(page / "sheets" / thumbnails.sheet_name(level, 0))
            own = sheet.crop((x, y, x + thumbnails.SIDE_PX, y + thumbnails.SIDE_PX))
            found.append(np.asarray(own.convert("L"), float))
            pixels = samples.pixels[i, j].transpose(2, 0, 1).astype(np.float32) / 255
            wanted.append(np.asarray(thumbnails.thumbnail(pixels).convert("L"), float))
        assert alike(found[0], wanted[0]) > 0.9
        assert alike(found[1] - found[0], wanted[1] - wanted[0]) > 0.8

    with tab() as shown:
        shown.open(page / "index.html", "#class=dotted&level=1.00&image=dotted/dotted_0001.jpg")
        drawn(shown)
        shown.wait_for("document.querySelectorAll('#group svg.marks').length === 3")
        assert shown.evaluate("document.querySelectorAll('#image .thumb').length") == 2
        thumbs = "document.querySelectorAll('#group .images .thumb').length"
        assert shown.evaluate(thumbs) == 9
        sheet = shown.evaluate(
            "(async () => { const picture = new Image();"
            " const thumb = document.querySelectorAll('#image .thumb')[1];"
            " picture.src = thumb.style.backgroundImage.slice(5, -2); await picture.decode();"
            " return [picture.src, picture.naturalWidth]; })()"
        )
        assert sheet[0].endswith("/sheets/1.00_0.jpg")
        assert sheet[1] == thumbnails.ROWS * thumbnails.SIDE_PX
        require_clean(shown)

    before = {file.name: file.stat().st_mtime_ns for file in (page / "sheets").iterdir()}
    again = run(study, sys.executable, "-m", "explore")  # the sheets and the layouts are kept
    assert again.returncode == 0, again.stderr
    assert {file.name: file.stat().st_mtime_ns for file in (page / "sheets").iterdir()} == before
    assert not run(study, "git", "status", "--porcelain", "explorer").stdout
