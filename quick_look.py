"""See the study at work in half a minute: a small one of its own, and the page to look at it.

Seven classes of generated textures, with few images and one noise level, go through most stages in
one process, in the folder quick_look/. The study itself is left as it is. What takes minutes is
left out: claims, angles, UMAP and pictures.
"""

from contextlib import chdir
from pathlib import Path

import click
from ruamel.yaml import YAML

from explore import explore
from stages.classify import classify
from stages.core.runtime.command import refusing
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import whole_folder
from stages.distances import distances
from stages.embed import embed
from stages.fetch import fetch
from stages.loops import loops
from stages.persistence import persistence

NAME = "quick_look"
STEPS: tuple[tuple[click.Command, list[str]], ...] = (
    (fetch, []),
    (embed, []),
    (persistence, []),
    (distances, []),
    (classify, []),
    (loops, []),
    (explore, ["--method", "tsne"]),
)
CLASSES = ["banded", "chequered", "dotted", "grid", "marbled", "polka-dotted", "zigzagged"]
PER_CLASS = 36
# What differs from params.yaml, so that other changes in there do not make the look a long one.
SETTINGS: dict[str, dict[str, object]] = {
    "fetch": {
        "source": "textures",
        "classes": CLASSES,
        "images_per_class": PER_CLASS,
        "image_size": 96,
    },
    "embed": {
        "model": "texture-clip",
        "pretrained": None,
        "noise_kind": "gaussian",
        "noise_space": "normalised",
        "noise_levels": [0.0, 1.0],
        "draws": 2,
        "noise_stream": "pcg64",
        "precision": "fp32",
    },
    "persistence": {"points_per_class": None, "points_overall": PER_CLASS * len(CLASSES)},
    "project": {"perplexity": 20},
}


@click.command(name=NAME)
def quick_look() -> None:
    """Run a small study in the folder quick_look/ and write its page."""
    with refusing(NAME):
        settings, model = Path("params.yaml"), Path("data/model").resolve()
        for needed in (settings, model):
            if not needed.exists():
                raise StudyError(f"{needed} not found; run this in a clone of the project")
        yaml = YAML()
        params = yaml.load(settings)
        for section, values in SETTINGS.items():
            params[section].update(values)
        with whole_folder(Path(NAME), NAME) as folder, chdir(folder):
            yaml.dump(params, Path("params.yaml"))
            Path("data").mkdir()
            Path("data/model").symlink_to(model, target_is_directory=True)
            for step, arguments in STEPS:
                # The exit code of a step that was interrupted; what goes wrong is raised.
                if code := step.main(arguments, prog_name=step.name, standalone_mode=False):
                    raise click.exceptions.Exit(code)
    click.echo(f"open {NAME}/explorer/index.html")


if __name__ == "__main__":
    quick_look()
