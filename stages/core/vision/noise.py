"""Kinds of image noise, applied to [0, 1] pixels of the model's input size.

The random numbers of an image are a function of the seed, its id, the kind, the level and the draw
alone. STREAMS names the generators that make them of these: that of numpy here, and the one of
stages.core.vision.philox, which a GPU computes.

KINDS, at the end, has an entry for each kind. The choices and the help of `embed`, the range that
levels are checked against, the text in encoder.json, the labels of axes and the tables of
docs/noise.md follow from it. At level 0 every kind leaves the image as it is.

Many kinds follow a corruption of ImageNet-C (Hendrycks and Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations", ICLR 2019). Its constants are those of
the authors' code for images of 224 x 224 pixels, ImageNet-C/imagenet_c/imagenet_c/corruptions.py in
https://github.com/hendrycks/robustness. Two things differ in all kinds. The corrupted images of
ImageNet-C were cut to 8 bits and saved as JPEG of quality 85, ours are not. Theirs have 224 x
224 pixels, ours the size of the model's input; what a level means in pixels, as the sigma of a
blur, means more on smaller images.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stages.core.runtime.errors import StudyError
from stages.core.runtime.randomness import generator_for

Deviates = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Space:
    """The pixels that noise is added to.

    unit: of a standard deviation.
    help: what a level means there.
    """

    unit: str
    help: str


@dataclass(frozen=True)
class Corruption:
    """A corruption of ImageNet-C that a kind of noise follows.

    constants, meaning: those of its severities 1 to 5, and what they are.
    levels: the five levels here that mean the same.
    difference: how ours differs beyond what the module says; empty where it does not.
    """

    name: str
    meaning: str
    constants: tuple[float, ...] | tuple[tuple[float, float], ...]
    levels: tuple[float, ...]
    difference: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of noise. Either `deviates` or `change` is given.

    label: its name in titles and on axes.
    effect: what it does to an image.
    unit: what a level measures; {} stands for the unit of the space.
    largest: the largest level; reason: why there is none beyond.
    deviates: for noise that is added, in either space: (generator, shape) -> float32 deviates of
        mean 0 and standard deviation 1.
    change: for other noise, which is defined on [0, 1] pixels alone: (pixels, level, generator) ->
        pixels, all (3, H, W) float32 in [0, 1]; the given pixels are left unchanged.
    random: whether two draws differ.
    """

    label: str
    effect: str
    unit: str
    largest: float
    reason: str
    deviates: Deviates | None = None
    change: Change | None = None
    random: bool = True
    imagenet_c: Corruption | None = None

    @property
    def spaces(self) -> tuple[str, ...]:
        """The names of the spaces in which a level has a meaning."""
        return tuple(SPACES) if self.deviates else ("pixel",)


def require_defined(kind: str, space: str, levels: list[float], draws: int) -> None:
    """Raise StudyError for settings that this kind of noise gives no meaning to."""
    known = KINDS[kind]
    if space not in known.spaces:
        also = "" if known.random or draws == 1 else " and draws: 1 (there is no chance in it)"
        raise StudyError(
            f"embed.noise_space: {space!r} has no meaning for {kind}, which acts on [0, 1] "
            f"pixels; set noise_space: pixel{also}"
        )
    if draws > 1 and not known.random:
        raise StudyError(
            f"embed.draws: {draws} draws of {kind} would all be the same, there is no chance in "
            "it; set draws: 1"
        )
    if max(levels) > known.largest:
        raise StudyError(
            f"embed.noise_levels: {max(levels)} is more than {known.largest:g}, and "
            f"{known.reason}; lower it"
        )


def require_stream(stream: str, kind: str) -> None:
    """Raise StudyError for noise whose random numbers that generator does not make."""
    if stream == PHILOX and not KINDS[kind].deviates:
        added = ", ".join(name for name, each in KINDS.items() if each.deviates)
        raise StudyError(
            f"embed.noise_stream: {stream} makes noise that is added ({added}), not {kind}; set "
            f"noise_stream: {PCG64}"
        )


def level_unit(kind: str, space: str) -> str:
    """What a level of this kind measures."""
    return KINDS[kind].unit.format(SPACES[space].unit)


def level_label(kind: str, space: str) -> str:
    """The label of an axis of levels, in two lines."""
    return f"level of {KINDS[kind].label}\n({level_unit(kind, space)})"


def noise_generator(
    seed: int, image: str, kind: str, level: float, draw: int
) -> np.random.Generator:
    """The generator of one image's noise: a function of these alone, not of a batch's order."""
    return generator_for(*noise_key(seed, image, kind, level, draw))


def noise_key(
    seed: int, image: str, kind: str, level: float, draw: int
) -> tuple[int, str, str, str, float, int]:
    """What the random numbers of one image's noise depend on, by whatever generator."""
    return seed, "noise", image, kind, float(level), draw


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
    Returns (3, H, W) float32, in [0, 1] but for noise that is added in space 'normalised'.
    """
    if level == 0:
        return pixels
    known = KINDS[kind]
    if known.change:
        return known.change(pixels, level, generator)
    assert known.deviates  # where there is no change
    noise = known.deviates(generator, pixels.shape)
    if space == "normalised":
        noise *= (level * scale).astype(np.float32)[:, None, None]
        noise += pixels
        return noise
    noise *= np.float32(level)
    noise += pixels
    return np.clip(noise, 0, 1, out=noise)


# Noise that is added


def standard_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Independent standard normal deviates in float32, by Box and Muller (1958).

    Every step runs on a whole array in SIMD. numpy's own standard_normal takes 2 to 3 times as long
    (python -m benchmarks.noise), a tenth of a small encoder's time. The uniform deviates have 24
    bits, so that no deviate lies beyond 5.8.
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


# Noise that changes [0, 1] pixels


def _salt_and_pepper(
    pixels: np.ndarray, level: float, generator: np.random.Generator
) -> np.ndarray:
    return _struck(pixels, level, generator.random(pixels.shape[1:], dtype=np.float32))


def _impulse(pixels: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    return _struck(pixels, level, generator.random(pixels.shape, dtype=np.float32))


def _struck(pixels: np.ndarray, level: float, chance: np.ndarray) -> np.ndarray:
    """Pixels of which a fraction turns black or white, as `chance`, uniform in [0, 1), says."""
    hit = np.where(chance < level / 2, np.float32(0), pixels)
    return np.where(chance >= 1 - level / 2, np.float32(1), hit)


def _shot(pixels: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    photons = generator.poisson(pixels / np.float64(level) ** 2)
    return np.clip(photons * level**2, 0, 1).astype(np.float32)


def _blur(pixels: np.ndarray, level: float, _: np.random.Generator) -> np.ndarray:
    import cv2  # here, for settings are checked without it

    blurred = cv2.GaussianBlur(pixels.transpose(1, 2, 0), (0, 0), level)
    return np.ascontiguousarray(blurred.transpose(2, 0, 1))


def _contrast(pixels: np.ndarray, level: float, _: np.random.Generator) -> np.ndarray:
    means = pixels.mean(axis=(1, 2), keepdims=True, dtype=np.float64)  # (3, 1, 1)
    return np.clip((pixels - means) * (1 - level) + means, 0, 1).astype(np.float32)


def _jpeg(pixels: np.ndarray, level: float, _: np.random.Generator) -> np.ndarray:
    """Through a JPEG file by Pillow, with its default of colours at half the resolution."""
    from PIL import Image  # here, for settings are checked without it

    file = io.BytesIO()
    eight_bits = np.rint(pixels.transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)
    # Levels have two decimals, so that each is one of JPEG's qualities, which are whole numbers.
    Image.fromarray(eight_bits).save(file, "JPEG", quality=round(100 * (1 - level)))
    decoded = np.asarray(Image.open(file), dtype=np.float32).transpose(2, 0, 1)
    return np.divide(decoded, np.float32(255), order="C")


# (thickness, decay) of ImageNet-C's severities 1 to 5.
FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))


def _fog(pixels: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    """White fog over the image, dimmed so that nothing gets brighter than the brightest pixel."""
    thicknesses, decays = zip(*FOG, strict=True)
    thickness = np.interp(level, range(6), (0, *thicknesses))  # severity 0 is the clean image
    decay = np.interp(level, range(1, 6), decays)
    _, height, width = pixels.shape
    brightest = np.float64(pixels.max())
    fogged = pixels + thickness * plasma(height, width, decay, generator)
    return np.clip(fogged * (brightest / (brightest + thickness)), 0, 1).astype(np.float32)


def plasma(height: int, width: int, decay: float, generator: np.random.Generator) -> np.ndarray:
    """A plasma fractal, by the diamond-square algorithm: (height, width) float64 in [0, 1].

    A periodic height map that begins with zeros `side` apart, the least power of two that is no
    less than the shorter side of the image. Each step halves the distance of known points: a new
    one is the mean of its four neighbours, plus a uniform deviate that is `decay` squared times
    as small as in the step before. On a square image this is the map of ImageNet-C, whose amplitude
    `wibble` occurs twice in the deviate; a longer image takes more than one period of the first
    zeros, so that the map is never more than a few times as large as the image.
    """
    side = 2 ** max(1, (min(height, width) - 1).bit_length())
    field = np.zeros((-(-height // side) * side, -(-width // side) * side))
    step, spread = side, 1.0

    def midpoints(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        return (a + b + c + d) / 4 + generator.uniform(-spread, spread, a.shape)

    while step > 1:
        half = step // 2
        corners = field[::step, ::step]
        below, beside = np.roll(corners, -1, 0), np.roll(corners, -1, 1)
        centres = midpoints(corners, below, beside, np.roll(below, -1, 1))
        field[half::step, half::step] = centres
        field[::step, half::step] = midpoints(corners, beside, centres, np.roll(centres, 1, 0))
        field[half::step, ::step] = midpoints(corners, below, centres, np.roll(centres, 1, 1))
        step, spread = half, spread / decay**2
    field -= field.min()
    field /= field.max()
    return field[:height, :width]


SPACES = {
    "normalised": Space(
        unit="normalised pixels",
        help="levels in normalised pixels, nothing is clipped",
    ),
    "pixel": Space(unit="[0, 1] pixels", help="levels in [0, 1] pixels, clipped to [0, 1]"),
}

PCG64, PHILOX = "pcg64", "philox"
STREAMS = {
    PCG64: "numpy's generator, on the cores of the CPU",
    PHILOX: "Philox4x32-10, on the device that encodes, which is faster on a GPU; of kinds that "
    "are added alone (gaussian, uniform)",
}

# A deviate reaches 5.8 standard deviations, so that pixels with noise stay a tenth of half
# precision's largest number (65,504); nothing of an image of [0, 1] pixels is left long before.
_DROWNED = "an image is drowned in noise of a hundredth of that"

KINDS = {
    "gaussian": Kind(
        label="Gaussian noise",
        effect="adds a normal deviate to each value",
        unit="standard deviation, {}",
        largest=1000,
        reason=_DROWNED,
        deviates=standard_normal,
        imagenet_c=Corruption(
            "Gaussian noise",
            "standard deviation",
            (0.08, 0.12, 0.18, 0.26, 0.38),
            (0.08, 0.12, 0.18, 0.26, 0.38),
        ),
    ),
    "uniform": Kind(
        label="uniform noise",
        effect="adds a uniform deviate to each value",
        unit="standard deviation, {}",
        largest=1000,
        reason=_DROWNED,
        deviates=standard_uniform,
    ),
    "salt-and-pepper": Kind(
        label="salt-and-pepper noise",
        effect="turns pixels black or white",
        unit="fraction of the pixels",
        largest=1,
        reason="the level of salt-and-pepper is a fraction of the pixels",
        change=_salt_and_pepper,
    ),
    "impulse": Kind(
        label="impulse noise",
        effect="turns single values, one channel of a pixel, to 0 or 1",
        unit="fraction of the values",
        largest=1,
        reason="the level of impulse is a fraction of the values",
        change=_impulse,
        imagenet_c=Corruption(
            "impulse noise",
            "fraction of the values",
            (0.03, 0.06, 0.09, 0.17, 0.27),
            (0.03, 0.06, 0.09, 0.17, 0.27),
        ),
    ),
    "shot": Kind(
        label="shot noise",
        effect="replaces a value x by level^2 times a Poisson count of mean x / level^2",
        unit="standard deviation at white, [0, 1] pixels",
        largest=100,
        reason="there white is one photon in 10,000 pixels, an image all but black",
        change=_shot,
        # A level is 1 / sqrt(photons at white); with two decimals 0.13 stands for 59.2 photons,
        # 0.29 for 11.9, 0.45 for 4.94 and 0.58 for 2.97.
        imagenet_c=Corruption(
            "shot noise",
            "photons at white",
            (60, 25, 12, 5, 3),
            (0.13, 0.20, 0.29, 0.45, 0.58),
            "photons to two digits, a level being 1 / sqrt(photons)",
        ),
    ),
    # The kernel has eight sigmas to a side, and its time grows with it.
    "blur": Kind(
        label="Gaussian blur",
        effect="Gaussian blur, the border mirrored",
        unit="sigma, pixels of the model's input",
        largest=500,
        reason="an image of a model's size has one colour long before",
        change=_blur,
        random=False,
        imagenet_c=Corruption(
            "Gaussian blur",
            "sigma",
            (1, 2, 3, 4, 6),
            (1, 2, 3, 4, 6),
            "theirs repeats the border",
        ),
    ),
    "contrast": Kind(
        label="loss of contrast",
        effect="draws each channel towards its mean over the image",
        unit="share of the contrast removed",
        largest=1,
        reason="at 1 no contrast is left",
        change=_contrast,
        random=False,
        imagenet_c=Corruption(
            "contrast",
            "share of the contrast kept",
            (0.4, 0.3, 0.2, 0.1, 0.05),
            (0.60, 0.70, 0.80, 0.90, 0.95),
        ),
    ),
    "jpeg": Kind(
        label="JPEG compression",
        effect="saves the image as JPEG and reads it again",
        unit="1 - JPEG quality / 100",
        largest=0.99,
        reason="the lowest quality of JPEG is 1",
        change=_jpeg,
        random=False,
        imagenet_c=Corruption(
            "JPEG compression", "quality", (25, 18, 15, 10, 7), (0.75, 0.82, 0.85, 0.90, 0.93)
        ),
    ),
    "fog": Kind(
        label="fog",
        effect="lays a random plasma fractal over the image and dims it",
        unit="severity of ImageNet-C, with steps in between",
        largest=5,
        reason="ImageNet-C has five severities of fog",
        change=_fog,
        imagenet_c=Corruption("fog", "(thickness, decay)", FOG, (1, 2, 3, 4, 5)),
    ),
}
