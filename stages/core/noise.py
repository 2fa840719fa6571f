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
"""

import cv2
import numpy as np

from stages.core.errors import StudyError
from stages.core.randomness import generator_for


def require_defined(kind: str, space: str, levels: list[float], draws: int) -> None:
    """Raise StudyError for settings that this kind of noise gives no meaning to."""
    if kind not in ("gaussian", "uniform") and space != "pixel":
        also = " and draws: 1 (there is no chance in it)" if kind == "blur" and draws > 1 else ""
        raise StudyError(
            f"embed.noise_space: {space!r} has no meaning for {kind}, which acts on [0, 1] "
            f"pixels; set noise_space: pixel{also}"
        )
    if kind == "blur" and draws > 1:
        raise StudyError(
            f"embed.draws: {draws} draws of blur would all be the same, there is no chance in it; "
            "set draws: 1"
        )
    if kind == "salt-and-pepper" and max(levels) > 1:
        raise StudyError(
            f"embed.noise_levels: {max(levels)} is more than 1, and the level of salt-and-pepper "
            "is a fraction of the pixels; lower it"
        )


def level_unit(kind: str, space: str) -> str:
    """What a level of this kind measures, for an axis."""
    return {
        "gaussian": f"standard deviation, {_UNITS[space]}",
        "uniform": f"standard deviation, {_UNITS[space]}",
        "salt-and-pepper": "fraction of the pixels",
        "shot": "standard deviation at white, [0, 1] pixels",
        "blur": "sigma, pixels of the model's input",
    }[kind]


_UNITS = {"normalised": "CLIP-normalised pixels", "pixel": "[0, 1] pixels"}


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
    if kind == "salt-and-pepper":
        return _salt_and_pepper(pixels, level, generator)
    if kind == "shot":
        return _shot(pixels, level, generator)
    if kind == "blur":
        blurred = cv2.GaussianBlur(pixels.transpose(1, 2, 0), (0, 0), level)
        return np.ascontiguousarray(blurred.transpose(2, 0, 1))

    if kind == "gaussian":
        noise = standard_normal(generator, pixels.shape)
    else:
        noise = generator.random(pixels.shape, dtype=np.float32)
        noise -= np.float32(0.5)
        noise *= np.float32(np.sqrt(12))  # the variance of a unit interval is 1/12
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
