"""The folder of the page: its text, its modules, and what it shows as data.

| file | holds |
| --- | --- |
| index.html | the page, with its modules in it: a browser loads none from a disk |
| style.css | how it looks |
| points.js | what every image is; without it nothing is shown |
| groups.js | what every class is; read when a class is looked at |
| regl-scatterplot.js, vega.js | the libraries that draw the points and the curves |
| sheets/ | the thumbnails |

Nothing is asked of any network. The data are scripts that call `receive`, for a page that was
opened from a disk may read no other files.
"""

import base64
import html
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import vl_convert
from matplotlib.colors import to_hex

from stages.core.artifacts.embeddings import Embeddings
from stages.core.figures.style import class_colours
from stages.core.vision.noise import KINDS, SPACES, level_unit

HERE = Path(__file__).parent
LIBRARY = HERE / "vendor" / "regl-scatterplot.js"
LICENCES = HERE / "vendor" / "LICENCES.txt"
MODULES = '<script type="importmap"></script>'  # in index.html, where the modules go

# Told apart with any colour vision, and dark enough on white; grey is what has no answer.
RIGHT, WRONG, NO_ANSWER = "#0072B2", "#D55E00", "#9A9A9A"
DRIFT_COLOURS = 24


def write_page(folder: Path, title: str) -> None:
    """Write all of the page but what it shows."""
    page = (HERE / "page" / "index.html").read_text()
    page = page.replace("{title}", html.escape(title)).replace(MODULES, import_map())
    (folder / "index.html").write_text(page)
    for file in (HERE / "page" / "style.css", LIBRARY, LICENCES):
        shutil.copyfile(file, folder / file.name)
    vega = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    (folder / "vega.js").write_text(vega)


def import_map() -> str:
    """An element by which the modules of the page import one another by name.

    A module is part of the address that its name stands for, since a page that was opened from a
    disk may load none.
    """
    modules = {
        file.stem: "data:text/javascript;base64," + base64.b64encode(file.read_bytes()).decode()
        for file in sorted((HERE / "page").glob("*.js"))
    }
    return f'<script type="importmap">{json.dumps({"imports": modules})}</script>'


def write_data(folder: Path, name: str, content: Mapping) -> None:
    """Write `name`.js, a script that hands the content over to the page."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    (folder / f"{name}.js").write_text(f"receive({json.dumps(name)}, {text});\n")


def title_of(study: Embeddings) -> str:
    """What a study is of, in a line."""
    about = study.encoder
    weights = f" {about['pretrained']}" if about.get("pretrained") else ""
    untrained = "" if about.get("trained", True) else ", untrained"
    return (
        f"{about['model']}{weights}{untrained}: {len(study.images):,} images of "
        f"{study.images['class'].nunique():,} classes, {noise_of(about)}"
    )


def noise_of(about: Mapping) -> str:
    """The noise of a study; about: the contents of encoder.json."""
    noise = about.get("noise")
    if not noise:
        return "no noise"
    kind, space = noise.get("kind"), noise.get("space")
    if kind in KINDS and space in SPACES:
        return f"{KINDS[kind].label} ({level_unit(kind, space)})"
    return f"noise of kind {kind}"


def about_images(study: Embeddings) -> dict:
    """What the page shows of the images themselves."""
    colours = class_colours(study.classes)
    images = study.images
    return {
        "noise": noise_of(study.encoder),
        "levels": [f"{level:.2f}" for level in study.levels],
        "classes": study.classes,
        "class_colours": [colours[each] for each in study.classes],
        "right": RIGHT,
        "wrong": WRONG,
        "no_answer": NO_ANSWER,
        "drift_colours": drift_colours(),
        "ids": images["id"].tolist(),
        "class_of": study.labels.tolist(),
        "split": images["split"].tolist(),
    }


def drift_colours() -> list[str]:
    """From little drift to much: darker and darker, told apart with any colour vision."""
    ramp = matplotlib.colormaps["plasma"](np.linspace(0.62, 0, DRIFT_COLOURS))
    return [to_hex(each) for each in ramp]
