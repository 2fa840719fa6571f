"""What the images suffer: five kinds of noise, on [0, 1] pixels of the model's input size.

| kind | level | what happens to a pixel |
| --- | --- | --- |
| gaussian | standard deviation | a normal deviate is added |
| uniform | standard deviation | a uniform deviate of that standard deviation is added |
| salt-and-pepper | fraction of the pixels | it turns black or white, evenly, in all channels |
| shot | standard deviation at white | x becomes level^2 times a Poisson count of mean x / level^2 |
| blur | sigma, in pixels | Gaussian blur, the border mirrored; no chance in it |

A standard deviation of gaussian and uniform is in CLIP-normalised pixels (space 'normalised':
nothing is clipped) or in [0, 1] pixels (space 'pixel': clipped to [0, 1]). The other kinds are
defined on [0, 1] pixels alone. At level 0 every kind leaves the image as it is.

Against ImageNet-C (Hendrycks and Dietterich 2019), whose corruptions of 224 x 224 pixels come in
five severities:

| ImageNet-C | severities 1 to 5 | ours, in space 'pixel' |
| --- | --- | --- |
| Gaussian noise, standard deviation | 0.08, 0.12, 0.18, 0.26, 0.38 | gaussian at the same levels |
| shot noise, photons at white | 60, 25, 12, 5, 3 | shot at 0.13, 0.20, 0.29, 0.45, 0.58 |
| impulse noise, fraction | 0.03, 0.06, 0.09, 0.17, 0.27 | none, see below |
| Gaussian blur, sigma | 1, 2, 3, 4, 6 | blur at the same levels, but for the border |

Impulse noise strikes each channel of a pixel by itself, salt-and-pepper whole pixels, so that no
level of the one is one of the other. Beyond the border ImageNet-C repeats the last pixel, while
blur here mirrors the image. A level of shot is 1 / sqrt(photons at white). Levels have two
decimals, so that its 0.13 stands for 59.2 photons, 0.29 for 11.9, 0.45 for 4.94 and 0.58 for 2.97.
ImageNet-C's images went through 8 bits and JPEG after the corruption; ours do not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from stages.core.runtime.errors import StudyError
from stages.core.runtime.randomness import generator_for


@dataclass(frozen=True)
class Kind:
    """A kind of noise.

    unit: what a level measures, for an axis; {} stands for the space.
    most, reason: the largest level, and why it is.
    spaces: those in which a level has a meaning.
    by_chance: whether two draws differ.
    deviate: for noise that is added: (generator, shape) -> deviates of standard deviation 1.
    change: for other noise: (pixels, level, generator) -> [0, 1] pixels.
    """

    unit: str
    most: float
    reason: str
    spaces: tuple[str, ...] = ("pixel",)
    by_chance: bool = True
    deviate: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None
    change: Callable[[np.ndarray, float, np.random.Generator], np.ndarray] | None = None


def require_defined(kind: str, space: str, levels: list[float], draws: int) -> None:
    """Raise StudyError for settings that this kind of noise gives no meaning to."""
    known = KINDS[kind]
    if space not in known.spaces:
        also = "" if known.by_chance or draws == 1 else " and draws: 1 (there is no chance in it)"
        raise StudyError(
            f"embed.noise_space: {space!r} has no meaning for {kind}, which acts on [0, 1] "
            f"pixels; set noise_space: pixel{also}"
        )
    if draws > 1 and not known.by_chance:
        raise StudyError(
            f"embed.draws: {draws} draws of {kind} would all be the same, there is no chance in "
            "it; set draws: 1"
        )
    if max(levels) > known.most:
        raise StudyError(
            f"embed.noise_levels: {max(levels)} is more than {known.most:g}, and "
            f"{known.reason}; lower it"
        )


def level_unit(kind: str, space: str) -> str:
    """What a level of this kind measures, for an axis."""
    return KINDS[kind].unit.format(_SPACES[space])


_SPACES = {"normalised": "CLIP-normalised pixels", "pixel": "[0, 1] pixels"}


def noise_generator(
    seed: int, image: str, kind: str, level: float, draw: int
) -> np.random.Generator:
    """The generator of one image's noise: a function of these alone, not of a batch's order."""
    return generator_for(seed, "noise", image, kind, float(level), draw)


def noisy(
    pixels: np.ndarray,
    kind: str,
    level: float,
    space: str,
    scale: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """One image with noise.

    pixels: (3, H, W) float32 in [0, 1]; left unchanged.
    scale: (3,) the standard deviations by which the model normalises each channel, the size of
    one normalised pixel in [0, 1] pixels.
    Returns (3, H, W) float32; in [0, 1] but for gaussian and uniform in space 'normalised'.
    """
    if level == 0:
        return pixels
    known = KINDS[kind]
    if known.change is not None:
        return known.change(pixels, level, generator)
    noise = known.deviate(generator, pixels.shape)
    if space == "normalised":
        noise *= (level * scale).astype(np.float32)[:, None, None]
        noise += pixels
        return noise
    noise *= np.float32(level)
    noise += pixels
    return np.clip(noise, 0, 1, out=noise)


def standard_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Independent standard normal deviates in float32, by Box and Muller (1958).

    Every step runs on a whole array in SIMD, which takes a third of the time of numpy's own
    standard_normal; the noise would otherwise cost a tenth of a small encoder's time. The
    uniform deviates have 24 bits, so that no deviate lies beyond 5.8.
    """
    size = int(np.prod(shape))
    both = generator.random((2, (size + 1) // 2), dtype=np.float32)
    radius, angle = both
    np.subtract(np.float32(1), radius, out=radius)  # (0, 1]: the logarithm stays finite
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle *= np.float32(2 * np.pi)
    sine = np.sin(angle)
    np.cos(angle, out=angle)
    angle *= radius
    radius *= sine
    return both.reshape(-1)[:size].reshape(shape)


def standard_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Independent uniform deviates in float32, of mean 0 and standard deviation 1."""
    deviates = generator.random(shape, dtype=np.float32)
    deviates -= np.float32(0.5)
    deviates *= np.float32(np.sqrt(12))  # the variance of a unit interval is 1/12
    return deviates


def _salt_and_pepper(
    pixels: np.ndarray, level: float, generator: np.random.Generator
) -> np.ndarray:
    chance = generator.random(pixels.shape[1:], dtype=np.float32)
    hit = pixels.copy()
    hit[:, chance < level / 2] = 0
    hit[:, chance >= 1 - level / 2] = 1
    return hit


def _shot(pixels: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    photons = generator.poisson(pixels / np.float64(level) ** 2)
    return np.clip(photons * level**2, 0, 1).astype(np.float32)


def _blur(pixels: np.ndarray, level: float, _: np.random.Generator) -> np.ndarray:
    blurred = cv2.GaussianBlur(pixels.transpose(1, 2, 0), (0, 0), level)
    return np.ascontiguousarray(blurred.transpose(2, 0, 1))


# A deviate reaches 5.8 standard deviations, so that pixels with noise stay a tenth of half
# precision's largest number (65,504); nothing of an image of [0, 1] pixels is left long before.
_DROWNED = "an image is drowned in noise of a hundredth of that"

KINDS = {
    "gaussian": Kind(
        unit="standard deviation, {}",
        most=1000,
        reason=_DROWNED,
        spaces=("normalised", "pixel"),
        deviate=standard_normal,
    ),
    "uniform": Kind(
        unit="standard deviation, {}",
        most=1000,
        reason=_DROWNED,
        spaces=("normalised", "pixel"),
        deviate=standard_uniform,
    ),
    "salt-and-pepper": Kind(
        unit="fraction of the pixels",
        most=1,
        reason="the level of salt-and-pepper is a fraction of the pixels",
        change=_salt_and_pepper,
    ),
    "shot": Kind(
        unit="standard deviation at white, [0, 1] pixels",
        most=100,
        reason="there white is one photon in 10,000 pixels, an image all but black",
        change=_shot,
    ),
    # The kernel has eight sigmas to a side, and its time grows with it.
    "blur": Kind(
        unit="sigma, pixels of the model's input",
        most=500,
        reason="an image of a model's size has one colour long before",
        by_chance=False,
        change=_blur,
    ),
}
