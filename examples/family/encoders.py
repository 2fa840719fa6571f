"""Encoders that are trained for the family: short trainings on generated textures.

All see the same pairs, which are generated once; what differs is the image tower and for how many
steps it has learned.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import open_clip
from tqdm import tqdm

from stages.core.runtime.params import read_params
from stages.core.runtime.wording import count
from stages.core.training.loop import fingerprint, for_training, train
from stages.core.training.pairs import Pairs, generated_pairs, held_side
from stages.core.training.views import Normalisation
from stages.core.vision.hardware import choose_device, choose_precision
from stages.core.vision.model_files import ARCHITECTURES, Keys
from stages.core.vision.open_clip_loading import load_open_clip
from stages.core.vision.saving import write_model
from stages.settings.pretrain import IMAGE_TOWER, RANDOM, PretrainParams

OWN_ARCHITECTURES = Path(__file__).with_name("architectures")
STARTS = {IMAGE_TOWER: "the image tower of EfficientNet-Lite0", RANDOM: "random weights"}
KEYS = Keys("architecture", "init", "architecture")


@dataclass(frozen=True)
class Training:
    """A training, and which of its checkpoints become encoders.

    architecture, init, steps, checkpoint_steps: as in the section `pretrain` of params.yaml.
    kept: {name of an encoder: the step whose weights it has}.
    """

    architecture: str
    init: str
    steps: int
    checkpoint_steps: int
    kept: dict[str, int]


TRAININGS = (
    Training(
        "texture-lite0-96",
        IMAGE_TOWER,
        450,
        150,
        {"lite0-150": 150, "lite0-300": 300, "lite0-450": 450},
    ),
    Training("texture-net-96", RANDOM, 900, 150, {"texture-net": 900}),
    Training("resnet10t-96", RANDOM, 600, 150, {"resnet10t": 600}),
)

# What all trainings share beside the section `pretrain`. The seed is another than that of the
# shipped model. One round of pairs lasts for the longest training, and takes half a GiB.
SHARED = {"source": "textures", "seed": 1, "round_pairs": 9400, "round_views": 18}


def train_encoders(out: Path, names: Set[str]) -> None:
    """Train each encoder of these names that is not there, into a folder `out`/encoders/<name>.

    A training makes all of its encoders. One that was broken off goes on from its last checkpoint,
    in `out`/checkpoints. Names that no training knows are of other encoders. Raises StudyError as
    the stage `pretrain` does.
    """
    open_clip.add_model_config(ARCHITECTURES)
    open_clip.add_model_config(OWN_ARCHITECTURES)

    @cache
    def pairs(*asked: int) -> tuple[Callable[[int], Pairs], Pairs]:
        pairs_of_round, held_out = generated_pairs(*asked)
        return cache(pairs_of_round), held_out

    for training in TRAININGS:
        missing = {
            name: step
            for name, step in training.kept.items()
            if not (out / "encoders" / name).exists()
        }
        if missing.keys() & names:
            click.echo(f"{training.architecture}: training {', '.join(missing)}")
            _train(training, missing, out, pairs)


def _train(
    training: Training,
    missing: dict[str, int],
    out: Path,
    pairs: Callable[..., tuple[Callable[[int], Pairs], Pairs]],
) -> None:
    """Run one training and write its encoders when their steps are reached."""
    settings = read_params(
        PretrainParams,
        Path("params.yaml"),
        SHARED
        | {
            "architecture": training.architecture,
            "init": training.init,
            "steps": training.steps,
            "warmup_steps": training.steps // 10,
            "checkpoint_steps": training.checkpoint_steps,
        },
    )
    device = choose_device(settings.device, "pretrain.device")
    from_tower = training.init == IMAGE_TOWER
    encoder = for_training(
        load_open_clip(
            training.architecture,
            None,
            out / "encoders",
            settings.seed,
            device,
            KEYS,
            image_weights=from_tower,
        )
    )
    bf16 = settings.precision != "fp32" and choose_precision(settings.precision, device) == "bf16"
    normalisation = Normalisation.of(encoder)
    pairs_of_round, held_out = pairs(
        settings.round_pairs, settings.held_out_pairs, settings.seed, held_side(normalisation.size)
    )

    def keep(step: int) -> None:
        tqdm.write(f"{training.architecture}: {step:,} of {count(training.steps, 'step')}")
        for name, wanted in missing.items():
            if step == wanted:
                card = _card(name, step, training, settings)
                write_model(out / "encoders" / name, encoder, "family", card)

    checkpoint = out / "checkpoints" / f"family-{fingerprint(settings, encoder, held_out)}.pt"
    train(settings, encoder, normalisation, pairs_of_round, held_out, checkpoint, bf16, keep)
    checkpoint.unlink()


def _card(name: str, step: int, training: Training, settings: PretrainParams) -> str:
    """The README of an encoder's folder."""
    return (
        f"# {name}\n\n"
        f"A CLIP model in open_clip's layout: {training.architecture} after {step:,} of "
        f"{training.steps:,} steps of {settings.batch_size} generated textures and captions, seed "
        f"{settings.seed}, started from {STARTS[training.init]}.\n"
    )
