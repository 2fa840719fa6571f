"""The canvas a painter works on: its randomness, colours, scale and coordinates."""

from dataclasses import dataclass, field
from math import tau
from typing import Any

import cv2
import numpy as np

# A picture is so small that to share it out among cores takes longer than it saves.
cv2.setNumThreads(1)

Real = float | np.floating  # a number of Python or of NumPy

# sRGB in [0, 1], spread so that a person would give each the name it has here.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.78, 0.10, 0.11),
    "maroon": (0.42, 0.07, 0.12),
    "orange": (0.93, 0.48, 0.09),
    "yellow": (0.95, 0.82, 0.15),
    "gold": (0.76, 0.57, 0.16),
    "olive": (0.43, 0.43, 0.14),
    "green": (0.16, 0.52, 0.18),
    "lime": (0.58, 0.80, 0.22),
    "teal": (0.07, 0.50, 0.50),
    "turquoise": (0.28, 0.78, 0.76),
    "sky blue": (0.50, 0.73, 0.92),
    "blue": (0.12, 0.28, 0.72),
    "navy": (0.07, 0.11, 0.32),
    "purple": (0.44, 0.18, 0.58),
    "lilac": (0.74, 0.62, 0.86),
    "magenta": (0.80, 0.14, 0.54),
    "pink": (0.95, 0.62, 0.70),
    "brown": (0.42, 0.25, 0.12),
    "tan": (0.72, 0.54, 0.36),
    "beige": (0.87, 0.79, 0.64),
    "cream": (0.97, 0.94, 0.82),
    "white": (0.96, 0.96, 0.96),
    "silver": (0.75, 0.76, 0.78),
    "grey": (0.50, 0.50, 0.51),
    "charcoal": (0.24, 0.24, 0.26),
    "black": (0.05, 0.05, 0.06),
}
# Sets that several textures draw from; what stands there twice is drawn twice as often.
EARTHS = ("brown", "tan", "beige", "cream", "maroon", "olive", "grey", "charcoal", "gold")
NEUTRALS = ("white", "white", "black", "black", "cream", "beige", "grey", "charcoal", "brown")
GREYS = ("white", "silver", "grey", "charcoal", "black")
METALS = ("silver", "grey", "charcoal", "gold", "tan")
BRIGHTS = ("red", "orange", "yellow", "lime", "green", "sky blue", "blue", "magenta", "pink",
           "purple", "white", "turquoise")  # fmt: skip
PASTELS = ("pink", "white", "cream", "sky blue", "lilac", "beige", "turquoise", "yellow")
STONES = ("beige", "cream", "tan", "grey", "silver", "charcoal", "white", "brown", "olive")
WATERS = ("blue", "navy", "teal", "turquoise", "sky blue", "green", "black", "charcoal", "gold",
          "orange", "purple", "magenta", "grey", "maroon")  # fmt: skip
LEAVES = ("green", "green", "green", "lime", "olive", "maroon", "gold", "teal", "purple")
MARBLES = ("white", "cream", "beige", "silver", "grey", "charcoal", "black", "tan", "maroon")
HAIRS = ("brown", "brown", "tan", "gold", "beige", "charcoal", "black", "maroon", "grey")

# Feature period as a fraction of the image's side, drawn log-uniformly within its word's range.
PERIODS = {"fine": (1 / 22, 1 / 14), "medium": (1 / 14, 1 / 8), "coarse": (1 / 8, 1 / 4)}


def lab(colours: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) in [0, 1] -> CIE L*a*b* (..., 3), float32, in which distance is contrast."""
    flat = np.ascontiguousarray(colours, np.float32).reshape(1, -1, 3)
    return cv2.cvtColor(flat, cv2.COLOR_RGB2Lab).reshape(np.shape(colours))


@dataclass
class Canvas:
    """A square canvas of `size` pixels with everything a painter draws at random.

    Lengths are fractions of the side and no draw depends on `size`, so that one seed gives one
    picture at every size. `scale` is the word for the size of the features, empty as long as
    nothing has asked for the `period`. `palette` (k, 3), 2 <= k <= 4, begins with the ground and
    a figure colour that contrasts with it. `light` is the unit vector towards the light, shared by
    all relief.
    """

    rng: np.random.Generator
    size: int
    scale: str = field(init=False)
    palette: np.ndarray = field(init=False)
    light: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rescale(*PERIODS)
        self.recolour()
        azimuth, height = self.uniform(0, tau), self.uniform(0.5, 1.1)
        light = np.array([np.cos(azimuth), np.sin(azimuth), np.tan(height)])
        self.light = light.astype(np.float32) / np.float32(np.linalg.norm(light))

    def rescale(self, *scales: str) -> None:
        """Draws a word for the size of the features among those given, and a `period` for it."""
        word = self.pick(*scales)
        low, high = np.log(PERIODS[word])
        self.scale, self._drawn = "", (word, float(np.exp(self.uniform(low, high))))

    @property
    def period(self) -> float:
        """The period of the features, a fraction of the side; asked for, it is the `scale`.

        A picture whose features have a size of their own never asks, and no word is said of it.
        """
        self.scale, period = self._drawn
        return period

    def recolour(self, *names: str) -> None:
        """Draws the palette, of the named colours only (any if none is given)."""
        contrast = self.uniform(25, 75)
        self.palette = self.colours(self.integer(2, 4), *names, contrast=contrast)

    @property
    def pixel(self) -> float:
        """The side of a pixel as a fraction of the image."""
        return 1 / self.size

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return float(self.rng.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, *options: Any) -> Any:
        """One of the options, all equally likely."""
        return options[int(self.rng.integers(len(options)))]

    def table(self, low: float = 0.0, high: float = 1.0, length: int = 4096) -> np.ndarray:
        """Random numbers (length,) float32 to look up by cell id: `table[ids % length]`."""
        return self.rng.uniform(low, high, length).astype(np.float32)

    def orientation(self) -> float:
        """An angle in radians: horizontal or vertical more often than not, as photos are."""
        if self.chance(0.3):
            return self.uniform(0, np.pi)
        slip = 0.0 if self.chance(0.4) else self.uniform(-0.12, 0.12)
        return self.pick(0.0, np.pi / 2) + slip

    def colour(self, *names: str, jitter: float = 0.05) -> np.ndarray:
        """A jittered colour (3,) float32 of one of the names; of any name if none is given."""
        plain = not names and self.chance(0.3)
        name = self.pick(*(NEUTRALS if plain else names or tuple(COLOURS)))
        shifts = self.rng.normal(0, jitter, 3) * 0.5 + self.rng.normal(0, jitter)
        return np.clip(COLOURS[name] + shifts, 0, 1).astype(np.float32)

    def colours(self, count: int, *names: str, contrast: float = 30.0) -> np.ndarray:
        """`count` colours (count, 3) float32 of the names (any if none is given).

        Neighbours in the list lie at least `contrast` apart (black and white: about 110), or as
        far apart as the best of some tries does.
        """
        chosen = [self.colour(*names)]
        for _ in range(count - 1):
            tries = np.stack([self.colour(*names) for _ in range(8)])
            difference = lab(tries) - lab(chosen[-1])
            # Lightness counts more: hue alone is lost in a dim or a greyscale picture.
            apart = np.linalg.norm(difference * np.array([1.2, 0.5, 0.5], np.float32), axis=1)
            enough = np.flatnonzero(apart >= contrast)
            chosen.append(tries[enough[0] if len(enough) else apart.argmax()])
        return np.stack(chosen)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel centres x (to the right), y (down), each (size, size) float32 in [-1/2, 1/2]."""
        axis = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size - 0.5
        x, y = np.meshgrid(axis, axis)
        return x, y

    def coordinates(
        self,
        angle: float | None = None,
        skew: float = 0.15,
        perspective: float = 0.3,
        warp: float = 0.02,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates u, v of a tilted, slightly bent surface, each (size, size) float32.

        In fractions of the side, about 0 at a random point near the middle. `angle` in radians
        (None: `orientation()`); the others are the largest strengths of shear, foreshortening
        and low-frequency displacement, each drawn anew: 0 switches it off.
        """
        x, y = self.grid()
        angle = self.orientation() if angle is None else angle
        tilt_x, tilt_y = self.rng.uniform(-perspective, perspective, 2) * self.pick(0, 1, 1)
        depth = (1 + tilt_x * x + tilt_y * y).astype(np.float32)
        bend = max(0.0, self.uniform(-0.5 * warp, warp))
        ripples = self.rng.normal(0, bend, (2, 4, 4)).astype(np.float32)
        bend_x, bend_y = (
            cv2.resize(r, (self.size,) * 2, interpolation=cv2.INTER_CUBIC) for r in ripples
        )
        x, y = x / depth + bend_x, y / depth + bend_y
        shear = self.uniform(-skew, skew)
        offset_u, offset_v = self.rng.uniform(-0.25, 0.25, 2)
        cos, sin = np.cos(angle), np.sin(angle)
        u = np.float32(cos + shear * sin) * x + np.float32(sin - shear * cos) * y
        v = np.float32(-sin) * x + np.float32(cos) * y
        return u + np.float32(offset_u), v + np.float32(offset_v)
