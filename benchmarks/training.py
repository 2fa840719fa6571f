"""Small networks and optimisers for the shipped model, trained for equally many minutes.

    python -m benchmarks.training
    python -m benchmarks.training --network texture_lite0 --network texture_net --minutes 10
    python -m benchmarks.training --network texture_lite0 --network texture_net --optimiser muon

prints a Markdown table, a row for each candidate: an image tower, an optimiser and its peak
learning rate. All have the text tower, the batch, the noise and the training loop of `pretrain`
(with its section of params.yaml) and see the same pairs in the same order, which are generated
before and held in memory; a faster one gets farther. Each runs a whole schedule, a warm-up and
half a cosine down to zero, whose number of steps comes from the pace of a few steps taken by a
throwaway model. They run one after the other on all cores, so that a busy moment of the machine
meets one of them alone: run it on a quiet one.

| column | is |
| --- | --- |
| MB | weights of both towers as float16, as they are shipped; at most 10 |
| steps, s | what the budget came to: the pace is measured before, on a few steps |
| pairs/s | while training, the optimiser's step included |
| images/s | encoded in the precision and batches of `embed`, on every core at once, a thread each |
| held-out loss | nats, over batches of held-out pairs; guessing costs ln(batch) |
| top-1, generated | zero-shot, by the prompts of `embed`, of the held-out images, 47 classes |
| top-1, photographs | the same on the images/<class>/* of the folder that DTD_ROOT names |

`texture_lite0` starts from weights that were trained on photographs; all others start at random.

The optimiser `muon of matrices` leaves the kernels of convolutions to AdamW, as PyTorch's Muon by
itself would have to; `muon` takes them too.
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import open_clip
import timm
import torch
from PIL import Image
from timm.models import register_model
from torch import Tensor, nn

from benchmarks.encoding import so_often
from benchmarks.measure import machine
from stages.core.dataset.images import read_image
from stages.core.evaluation.classification import cosines, rank_of_truth
from stages.core.painter import ATTRIBUTES
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.params import read_params
from stages.core.training.held_out import compare, held_out_loss
from stages.core.training.loop import train
from stages.core.training.optimiser import OPTIMISERS, MuonWithAdamW, is_linear_map
from stages.core.training.pairs import Pairs, generated_pairs, held_side
from stages.core.training.views import Normalisation
from stages.core.vision.encoder import encode_classes
from stages.core.vision.hardware import choose_precision
from stages.core.vision.model_files import ARCHITECTURES
from stages.core.vision.open_clip_encoder import OpenClipEncoder
from stages.core.vision.open_clip_loading import load_open_clip
from stages.settings.embed import EmbedParams
from stages.settings.pretrain import PretrainParams

CPU = torch.device("cpu")
SIDE = 96
PACE_STEPS = 12
RATE_RUNS = 5

# The image towers, as open_clip's vision_cfg.
NETWORKS: dict[str, dict] = {
    "texture_lite0": {"timm_model_name": "texture_lite0", "timm_pool": ""},
    "texture_net": {"timm_model_name": "texture_net", "timm_pool": ""},
    "regnetx_002": {"timm_model_name": "regnetx_002", "timm_pool": "avg"},
    "resnet10t": {"timm_model_name": "resnet10t", "timm_pool": "avg"},
    "convnext_atto": {"timm_model_name": "convnext_atto", "timm_pool": "avg"},
    "mobilenetv3_small_100": {"timm_model_name": "mobilenetv3_small_100_pooled", "timm_pool": ""},
    "vit_tiny": {"layers": 6, "width": 192, "head_width": 64, "patch_size": 12},
}
FROM_PHOTOGRAPHS = ("texture_lite0",)


@dataclass(frozen=True)
class Candidate:
    """What a row of the table is about."""

    network: str
    optimiser: str
    learning_rate: float


MATRICES_ALONE = "muon of matrices"
OPTIMISERS[MATRICES_ALONE] = partial(
    MuonWithAdamW, takes=lambda name, weight: weight.ndim == 2 and is_linear_map(name, weight)
)

# AdamW gets two more rates on our network, so that the choice of rate can be told from that of
# the optimiser.
RATES = {"muon": [0.002], "adamw": [0.001]}
MORE = {"texture_net": {"adamw": [0.0005, 0.002], MATRICES_ALONE: [0.001, 0.002]}}
CANDIDATES = [
    Candidate(network, optimiser, rate)
    for network in NETWORKS
    for rates in (RATES, MORE.get(network, {}))
    for optimiser in rates
    for rate in rates[optimiser]
]


@click.command()
@click.option("--minutes", default=3.0, show_default=True, help="Training time of a candidate.")
@click.option(
    "--network",
    "networks",
    type=click.Choice(list(NETWORKS)),
    multiple=True,
    help="Leave the others out; may be repeated.",
)
@click.option(
    "--optimiser",
    "optimisers",
    type=click.Choice(list(dict.fromkeys(each.optimiser for each in CANDIDATES))),
    multiple=True,
    help="Leave the others out; may be repeated.",
)
@click.option("--pairs", default=9400, show_default=True, help="Generated pairs, in memory.")
def main(
    minutes: float, networks: tuple[str, ...], optimisers: tuple[str, ...], pairs: int
) -> None:
    """Print a Markdown table."""
    training = read_params(PretrainParams, Path("params.yaml"), {"round_pairs": pairs})
    encoding = read_params(EmbedParams, Path("params.yaml"))
    candidates = [
        each
        for each in CANDIDATES
        if each.network in (networks or NETWORKS) and each.optimiser in (optimisers or OPTIMISERS)
    ]
    photographs = find_photographs()
    pairs_of_round, held_out = generated_pairs(
        pairs, training.held_out_pairs, training.seed, held_side(SIDE)
    )
    stream = pairs_of_round(0)

    batch = min(training.batch_size, pairs)
    click.echo(
        f"{minutes:g} minutes each, {pairs:,} pairs of {SIDE} pixels in batches of {batch}; "
        f"held out {len(held_out.facts)} generated images (guessing: {math.log(batch):.2f} nats, "
        f"{1 / len(ATTRIBUTES):.1%}) and {sum(map(len, photographs.values()))} photographs of "
        f"{len(photographs)} classes; {machine('torch', 'timm')}\n"
    )
    click.echo(
        "| network | optimiser | rate | MB | steps | s | pairs/s | images/s | held-out loss "
        "| top-1, generated | top-1, photographs |"
    )
    click.echo("| --- | --- |" + " ---: |" * 9)
    for candidate in candidates:
        with tempfile.TemporaryDirectory() as scratch:
            cells = measure(
                candidate, training, encoding, stream, held_out, photographs, minutes, Path(scratch)
            )
        named = f"{candidate.network} | {candidate.optimiser} | {candidate.learning_rate:g}"
        click.echo(f"| {named} | {' | '.join(cells)} |")


def find_photographs() -> dict[str, list[Path]]:
    """{class: its image files} of the folder that DTD_ROOT names, if it names one."""
    root = os.environ.get("DTD_ROOT")
    if root and not Path(root, "images").is_dir():
        raise click.ClickException(f"DTD_ROOT: {root} holds no folder images; set another, or none")
    folders = sorted(Path(root, "images").iterdir()) if root else []
    return {each.name: sorted(each.iterdir()) for each in folders if each.is_dir()}


def measure(
    candidate: Candidate,
    training: PretrainParams,
    encoding: EmbedParams,
    stream: Pairs,
    held_out: Pairs,
    photographs: dict[str, list[Path]],
    minutes: float,
    scratch: Path,
) -> list[str]:
    """Train a candidate and write the cells of its row, from MB on; `scratch` is its own."""
    # What only the first run of a process or of a network pays for is no part of its pace.
    fit(candidate, training, 1, stream, held_out, scratch / "start")
    _, pace_s = fit(candidate, training, PACE_STEPS, stream, held_out, scratch / "pace")
    steps = max(round(60 * minutes * PACE_STEPS / pace_s), 1)
    encoder, seconds = fit(candidate, training, steps, stream, held_out, scratch / "run")

    megabytes = sum(
        tensor.numel() * (2 if tensor.is_floating_point() else tensor.element_size()) / 1e6
        for tensor in encoder.model.state_dict().values()
    )
    seen = compare(
        encoder.model, encoder.tokenise, held_out, Normalisation.of(encoder), training.seed
    )
    encoder = encoder.with_precision(choose_precision(encoding.precision, CPU))
    generated = (
        (Image.fromarray(pixels), facts.attributes[0])
        for pixels, facts in zip(held_out.images, held_out.facts, strict=True)
    )
    files = ((read_image(file), name) for name, some in photographs.items() for file in some)
    return [
        f"{megabytes:.1f}",
        f"{steps}",
        f"{seconds:.0f}",
        f"{steps * min(training.batch_size, len(stream.facts)) / seconds:.0f}",
        f"{encoding_rate(encoder, encoding.batch_size):.0f}",
        f"{held_out_loss(seen, training.batch_size):.3f}",
        f"{zero_shot(encoder, list(ATTRIBUTES), encoding, generated):.1%}",
        f"{zero_shot(encoder, list(photographs), encoding, files):.1%}" if photographs else "",
    ]


def fit(
    candidate: Candidate,
    training: PretrainParams,
    steps: int,
    stream: Pairs,
    held_out: Pairs,
    folder: Path,
) -> tuple[OpenClipEncoder, float]:
    """(an encoder trained for so many steps, the seconds that took)."""
    text = json.loads((ARCHITECTURES / f"{training.architecture}.json").read_text())
    vision = {"timm_model_pretrained": False, "timm_proj": "linear", "image_size": SIDE}
    folder.mkdir()
    (folder / "candidate.json").write_text(
        json.dumps(text | {"vision_cfg": vision | NETWORKS[candidate.network]})
    )
    open_clip.add_model_config(folder)
    own = candidate.network in FROM_PHOTOGRAPHS
    encoder = load_open_clip("candidate", None, folder, training.seed, CPU, image_weights=own)
    settings = training.model_copy(
        update={
            "optimiser": candidate.optimiser,
            "learning_rate": candidate.learning_rate,
            "steps": steps,
            "warmup_steps": min(training.warmup_steps, steps // 10),
            "checkpoint_steps": steps,
        }
    )
    bf16 = training.precision != "fp32" and choose_precision(training.precision, CPU) == "bf16"
    few = Pairs(held_out.images[:2], held_out.facts[:2])  # what the loop asks of them is not used
    normalisation, checkpoint = Normalisation.of(encoder), folder / "checkpoint.pt"
    start = time.perf_counter()
    train(settings, encoder, normalisation, lambda _: stream, few, checkpoint, bf16)
    return encoder, time.perf_counter() - start


def encoding_rate(encoder: OpenClipEncoder, batch: int) -> float:
    """Images encoded in a second, the best of several runs."""
    pixels = np.random.default_rng(0).random((batch, 3, SIDE, SIDE), dtype=np.float32)
    calls, seconds = 8 * available_cores(), []
    for _ in range(RATE_RUNS):
        start = time.perf_counter()
        so_often(encoder.device, partial(encoder.encode_images, pixels), calls)
        seconds.append(time.perf_counter() - start)
    return calls * batch / min(seconds)


def zero_shot(
    encoder: OpenClipEncoder,
    classes: list[str],
    encoding: EmbedParams,
    images: Iterable[tuple[Image.Image, str]],
) -> float:
    """The share of (image, class) whose class has the nearest prompts."""
    text = encode_classes(encoder, classes, encoding.templates)
    pixels, names = zip(*((encoder.prepare(image), name) for image, name in images), strict=True)
    batches = np.array_split(np.stack(pixels), -(-len(pixels) // encoding.batch_size))
    rows = np.concatenate([encoder.encode_images(batch) for batch in batches])
    labels = np.array([classes.index(name) for name in names])
    return float((rank_of_truth(cosines(rows, text), labels) == 0).mean())


class Pooled(nn.Module):
    """(n, 3, s, s) -> (n, features): the mean of the last map of a network of timm.

    For MobileNetV3, whose head is wider than its last map, which is what open_clip reckons with.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network: Any = timm.create_model(name, num_classes=0)
        self.num_features = self.network.num_features
        self.default_cfg: dict[str, object] = {}

    def reset_classifier(self, num_classes: int, **_: object) -> None:
        """There is no classifier left; open_clip puts its projection after forward()."""

    def forward(self, images: Tensor) -> Tensor:
        return self.network.forward_features(images).mean(dim=(2, 3))


@register_model
def mobilenetv3_small_100_pooled(pretrained: bool = False, **_: object) -> Pooled:
    """What timm calls to build the network."""
    return Pooled("mobilenetv3_small_100")


if __name__ == "__main__":
    main()
