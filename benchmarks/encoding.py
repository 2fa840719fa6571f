"""Encoding throughput of a noise sweep, against the plain loop and the matrix products alone.

    python -m benchmarks.encoding --images data/images/images

prints a Markdown table, and by how much the embeddings of the clean images differ. The weights are
random, which changes no time. Every row is the best of several short runs that take turns, so that
a busy moment of the machine meets all rows alike. On a GPU give batches that fill it, and images
enough for many of them:

    python -m benchmarks.encoding --device cuda --batch-size 256 --count 4096 --model ViT-L-14

| row | does |
| --- | --- |
| plain loop | decodes, transforms and encodes in float32, for every level anew, on all cores |
| sweep | what `stages.embed` does for the same images and levels, shards included |
| sweep, philox | the same with `embed.noise_stream: philox` |
| encoder alone | normalises and encodes one batch that is there, on every core at once |
| encoder alone, not packed | the same with open_clip's own modules in that number format |
| products alone | the limit: multiplies what the model multiplies, and does no more |

The limit of a vision transformer has one product for every product of the model (patches, queries,
keys and values, the attention's own two, its output, both of the MLP), of the same batch, width and
number format, each with the model's weights, on every core at once with one thread, as the encoder
runs. It is the rate of the faster of two layouts of the weights. It is the limit of the model, not
of the machine: the encoder may gain on it where it multiplies less (the last block of the class
token alone) or lays rows out better (stages.core.vision.packing), and has everything else to do
besides. The limit of a convolutional tower are its convolutions, each with the input that it gets.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn
from torch.nn import functional

from benchmarks.measure import machine
from stages.core.runtime.parallel import available_cores
from stages.core.vision.hardware import (
    DTYPES,
    choose_device,
    choose_precision,
    description_of,
    map_on_cores,
)
from stages.core.vision.inputs import Noise, cells_of
from stages.core.vision.noise import PCG64, PHILOX
from stages.core.vision.open_clip_encoder import OpenClipEncoder
from stages.core.vision.open_clip_loading import load_open_clip
from stages.core.vision.precision import relative_deviation
from stages.core.vision.shards import embed_shards, images_of_shard, read_shard, shards_of
from stages.core.vision.sweep import Sweep

LEVELS = [0.0, 0.5, 1.0, 2.0]
PRODUCTS = "products alone,"


@click.command()
@click.option(
    "--model",
    default="ViT-B-32",
    show_default=True,
    help="A model of open_clip, or 'texture-clip'.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder whose JPEGs to encode, searched to its depths; made at 300 pixels if not given.",
)
@click.option("--count", default=64, show_default=True, help="How many images.")
@click.option("--repeats", default=5, show_default=True, help="Runs of each row.")
@click.option("--batch-size", default=16, show_default=True, help="Images encoded at once.")
@click.option("--device", default="auto", show_default=True, help="One device of PyTorch.")
def main(
    model: str, images: Path | None, count: int, repeats: int, batch_size: int, device: str
) -> None:
    """Measure images encoded in a second, an image at one noise level counting as one."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ids = _link_images(images, folder, count) if images else _make_images(folder, count)
        where = choose_device(device)
        rows, differences = measure(model, folder, ids, repeats, batch_size, where)
    plain = rows["plain loop, float32"]
    limit = {
        precision: max(
            rate for name, rate in rows.items() if name.startswith(f"{PRODUCTS} {precision}")
        )
        for precision in ("fp32", "bf16")
        if any(name.startswith(f"{PRODUCTS} {precision}") for name in rows)
    }
    click.echo(
        f"{model}, {len(ids)} images x {len(LEVELS)} noise levels, batches of {batch_size}, best "
        f"of {repeats} runs, on {description_of(where)}; {machine('torch')}\n"
    )
    click.echo("| | images/s | times the plain loop | share of its products alone |")
    click.echo("| --- | --- | --- | --- |")
    for name, rate in rows.items():
        of = limit["bf16" if "bf16" in name else "fp32"]
        click.echo(f"| {name} | {rate:.1f} | {rate / plain:.2f} | {rate / of:.0%} |")
    click.echo("\nClean embeddings against the plain loop's, mean over the mean distance of two:")
    for name, difference in differences.items():
        click.echo(f"{name}: {difference:.1e}")


def measure(
    model: str,
    folder: Path,
    ids: list[str],
    repeats: int,
    batch_size: int,
    device: torch.device,
) -> tuple[dict[str, float], dict[str, float]]:
    """({what: images encoded in a second}, {sweep: its difference from the plain loop}).

    The best of `repeats` runs, of the short ones of four times as many; all take turns.
    """
    fast = choose_precision("auto", device)
    weights = Path("data/model")  # of texture-clip
    exact = load_open_clip(model, None, weights, 0, device)
    encoders = {
        precision: load_open_clip(model, None, weights, 0, device).with_precision(precision)
        for precision in dict.fromkeys(("fp32", fast))
    }
    plain = np.empty((len(LEVELS), len(ids), _dimension(exact)), "float32")
    height, width = exact.preprocessing["size"]
    pixels = np.random.default_rng(0).random((batch_size, 3, height, width), dtype=np.float32)
    on_cpu = device.type == "cpu"

    work: dict[str, tuple[int, Callable[[], object]]] = {}  # images, and what encodes them
    images, calls = len(ids) * len(LEVELS), 3 * available_cores() if on_cpu else 20
    work["plain loop, float32"] = images, partial(plain_loop, exact, folder, ids, plain)
    sweeps = {}
    for name, encoder in encoders.items():
        for stream, called in ((PCG64, f"sweep, {name}"), (PHILOX, f"sweep, {name}, {PHILOX}")):
            noise = Noise("gaussian", "normalised", 0, stream)
            task = Sweep(folder, noise, cells_of(LEVELS, 1), batch_size)
            shards = folder / called
            shards.mkdir()
            parts = shards_of(shards, ids, images_of_shard(task, device))
            sweeps[called] = parts
            work[called] = images, partial(sum_of, embed_shards, encoder, task, parts)
    given = torch.from_numpy(pixels).to(device)
    short: dict[str, Callable[[], object]] = {}
    for precision, encoder in encoders.items():
        short[f"encoder alone, {precision}"] = partial(encode, encoder, given)
        name = f"{PRODUCTS} {precision}"
        if not hasattr(exact.model.visual, "transformer"):
            short[name] = convolutions(encoder, given)
            continue
        short[name] = matrix_products(exact, batch_size, precision, packed=False)
        if on_cpu:
            other = not_packed(load_open_clip(model, None, weights, 0, device), precision)
            short[f"encoder alone, {precision}, not packed"] = partial(encode, other, given)
            short[f"{name}, weights laid out before"] = matrix_products(
                exact, batch_size, precision, packed=True
            )
    for name, function in short.items():
        work[name] = calls * batch_size, partial(so_often, device, function, calls)

    best = dict.fromkeys(work, 0.0)
    for turn in range(4 * repeats):
        for name in short if turn % 4 else work:
            count, function = work[name]
            start = time.perf_counter()
            function()
            best[name] = max(best[name], count / (time.perf_counter() - start))
    found = {
        name: [read_shard(shard, len(LEVELS), plain.shape[2])[0][0] for shard in parts]
        for name, parts in sweeps.items()
    }
    return best, {name: relative_deviation(rows, [plain[0]]) for name, rows in found.items()}


def sum_of(function: Callable[..., Iterator[int]], *given: Any) -> int:
    """The sum of what a function yields."""
    return sum(function(*given))


def encode(encoder: OpenClipEncoder, pixels: torch.Tensor) -> torch.Tensor:
    """The features of images that lie on the device."""
    with torch.inference_mode():
        return encoder.image_features(encoder.normalise(pixels))


def not_packed(encoder: OpenClipEncoder, precision: str) -> OpenClipEncoder:
    """The encoder in another number format with open_clip's own modules; changes the given one."""
    encoder.model.to(DTYPES[precision]).to(memory_format=torch.channels_last)
    return replace(encoder, precision=precision)


def so_often(device: torch.device, function: Callable[[], object], calls: int) -> None:
    """Call a function so often: on all cores at once with one thread each, or on an accelerator."""
    for _ in map_on_cores(device, lambda _: function(), range(calls)):
        pass
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def plain_loop(encoder: OpenClipEncoder, folder: Path, ids: list[str], rows: np.ndarray) -> None:
    """What is usually written: decode, transform and encode in float32, for every level anew."""
    transform = image_transform_v2(PreprocessCfg(**encoder.preprocessing), is_train=False)
    with torch.inference_mode():
        for level, array in zip(LEVELS, rows, strict=True):
            for start in range(0, len(ids), 64):
                names = ids[start : start + 64]
                batch = torch.stack(
                    [transform(Image.open(folder / "images" / name)) for name in names]
                ).to(encoder.device)
                batch += level * torch.randn_like(batch)
                features = encoder.model.encode_image(batch)
                array[start : start + 64] = functional.normalize(features, dim=-1).cpu().numpy()


def matrix_products(
    encoder: OpenClipEncoder, batch: int, precision: str, packed: bool
) -> Callable[[], None]:
    """A function that multiplies what the image tower of a ViT multiplies, and does no more.

    The weights are the model's, a new one for every product as in the model; the attention is
    two batched products a block. `packed` lays the weights out beforehand.
    """
    dtype, device = DTYPES[precision], encoder.device
    tower = encoder.model.visual
    width = tower.conv1.out_channels
    patches = tower.grid_size[0] * tower.grid_size[1]
    tokens, heads = patches + 1, tower.transformer.resblocks[0].attn.num_heads

    def rows(count: int, dim: int) -> torch.Tensor:
        return torch.randn(batch * count, dim).to(device, dtype)

    pairs = [(rows(patches, tower.conv1.weight[0].numel()), tower.conv1.weight.flatten(1))]
    inputs, hidden = rows(tokens, width), None
    for block in tower.transformer.resblocks:
        if hidden is None:
            hidden = rows(tokens, block.mlp.c_fc.out_features)
        pairs += [
            (inputs, block.attn.in_proj_weight),
            (inputs, block.attn.out_proj.weight),
            (inputs, block.mlp.c_fc.weight),
            (hidden, block.mlp.c_proj.weight),
        ]
    layout = torch.ops.mkldnn._reorder_linear_weight if packed else torch.clone
    pairs = [(x, layout(weight.detach().to(dtype))) for x, weight in pairs]
    query = torch.randn(batch * heads, tokens, width // heads).to(device, dtype)
    blocks = len(tower.transformer.resblocks)

    def multiply() -> None:
        with torch.inference_mode():
            for x, weight in pairs:
                if packed:
                    torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
                else:
                    functional.linear(x, weight)
            for _ in range(blocks):
                torch.bmm(torch.bmm(query, query.transpose(1, 2)), query)

    return multiply


def convolutions(encoder: OpenClipEncoder, pixels: torch.Tensor) -> Callable[[], None]:
    """A function that runs the convolutions of a prepared image tower, each alone."""
    inputs: list[tuple[nn.Module, torch.Tensor]] = []
    hooks = [
        module.register_forward_pre_hook(
            lambda module, given: inputs.append((module, given[0].clone()))
        )
        for module in encoder.model.visual.modules()
        if isinstance(module, nn.Conv2d)
    ]
    encode(encoder, pixels)
    for hook in hooks:
        hook.remove()

    def convolve() -> None:
        with torch.inference_mode():
            for module, maps in inputs:
                module(maps)

    return convolve


def _dimension(encoder: OpenClipEncoder) -> int:
    return encoder.encode_texts(["a texture"]).shape[1]


def _link_images(source: Path, folder: Path, count: int) -> list[str]:
    """Link evenly spaced JPEGs of a folder into folder/images; their names."""
    files = sorted(file for file in source.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        raise click.ClickException(f"{source}: no JPEG files in it")
    chosen = files[:: max(len(files) // count, 1)][:count]
    (folder / "images").mkdir()
    for i, file in enumerate(chosen):
        (folder / "images" / f"{i}.jpg").symlink_to(file.resolve())
    return [f"{i}.jpg" for i in range(len(chosen))]


def _make_images(folder: Path, count: int) -> list[str]:
    """Write JPEGs of 300 pixels with structure at all scales; their names."""
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    for i in range(count):
        layers = [
            np.asarray(
                Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(
                    (300, 300)
                ),
                dtype=np.float32,
            )
            for side in (4, 16, 64)
        ]
        pixels = np.mean(layers, axis=0).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.jpg")
    return [f"{i}.jpg" for i in range(count)]


if __name__ == "__main__":
    main()
