"""Noise that is made where images are encoded: Philox4x32-10 in the integers of PyTorch.

The generator is that of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011). It
turns a counter of four words of 32 bits, and a key of two, into four random words; all of them are
independent, so that a GPU makes the noise of a whole batch at once.

The stream of an image at a level and a draw: the hash of (seed, id, kind, level, draw), the same as
seeds numpy's generator (stages.core.vision.noise), gives four words. Two are the key, two the upper
half of the counter, whose lower half counts blocks. Block k makes the deviates 4k to 4k + 3 of the
image, in the order of its array (3, H, W); a uniform number is the upper 24 bits of a word. The
words are the same on every device; the deviates are to the rounding of its logarithm and sine.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from stages.core.runtime.randomness import words_of
from stages.core.vision.noise import noise_key

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
STEPS = 0x9E3779B9, 0xBB67AE85  # that the key takes from round to round
ROUNDS = 10
LOW = 0xFFFFFFFF

Words = tuple[Tensor, Tensor, Tensor, Tensor]  # int64, each in [0, 2^32)


def philox(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """The random words of counters; all tensors are int64, of shapes that broadcast."""
    a, b, c, d = counter
    first, second = key
    for _ in range(ROUNDS):
        # All 64 bits of the products; the mask drops the copies of the highest, a sign to int64.
        one, two = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (
            ((two >> 32) & LOW) ^ b ^ first,
            two & LOW,
            ((one >> 32) & LOW) ^ d ^ second,
            one & LOW,
        )
        first, second = (first + STEPS[0]) & LOW, (second + STEPS[1]) & LOW
    return a, b, c, d


def with_noise(
    pixels: Tensor,
    ids: Sequence[str],
    level: float,
    draw: int,
    kind: str,
    space: str,
    seed: int,
    scale: np.ndarray,
) -> Tensor:
    """Images with noise of a kind of DEVIATES, on their device.

    pixels: (b, 3, H, W) float32 in [0, 1], of which the first are the images `ids`; the others, of
    a batch that is not full, get no noise. Left unchanged.
    scale: (3,) float32, as for stages.core.vision.noise.noisy, of which this does the same.
    """
    if level == 0:
        return pixels
    words = np.stack([words_of(*noise_key(seed, name, kind, level, draw)) for name in ids])
    keys = sent(words.astype(np.int64), pixels.device)
    noise = torch.zeros_like(pixels)
    noise[: len(ids)] = DEVIATES[kind](keys, pixels[0].numel()).view(-1, *pixels.shape[1:])
    if space == "normalised":
        factors = sent((level * scale).astype(np.float32), pixels.device)
        return noise.mul_(factors[:, None, None]).add_(pixels)
    return noise.mul_(level).add_(pixels).clip_(0, 1)


def sent(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on a device; a GPU goes on with what it does meanwhile."""
    tensor = torch.from_numpy(array)
    return (
        tensor.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else tensor.to(device)
    )


def uniform_numbers(words: Tensor, count: int) -> Tensor:
    """(b, 4) int64, words of images -> (4, b, blocks) float32 in [0, 1), for `count` deviates."""
    blocks = torch.arange(-(-count // 4), device=words.device)[None]  # (1, blocks)
    first, second, third, fourth = words[:, :, None].unbind(1)  # each (b, 1)
    found = philox((blocks, torch.zeros_like(blocks), third, fourth), (first, second))
    return torch.stack([(word >> 8).float() for word in found]).mul_(2.0**-24)


def standard_normal(words: Tensor, count: int) -> Tensor:
    """(b, count) float32: normal deviates, by Box and Muller (1958), two of two numbers."""
    uniform = uniform_numbers(words, count)
    radius = (1 - uniform[::2]).log_().mul_(-2).sqrt_()  # (2, b, blocks); of (0, 1], so finite
    angle = uniform[1::2].mul_(2 * np.pi)
    deviates = torch.stack([radius * angle.cos(), radius * angle.sin()], 1).flatten(0, 1)
    return _in_order(deviates, count)


def standard_uniform(words: Tensor, count: int) -> Tensor:
    """(b, count) float32: uniform deviates of mean 0 and standard deviation 1."""
    return _in_order(uniform_numbers(words, count).sub_(0.5).mul_(float(np.sqrt(12))), count)


def _in_order(deviates: Tensor, count: int) -> Tensor:
    """(4, b, blocks) -> (b, count), block after block."""
    return deviates.permute(1, 2, 0).flatten(1)[:, :count]


DEVIATES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "gaussian": standard_normal,
    "uniform": standard_uniform,
}
