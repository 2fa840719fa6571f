"""One look for every picture."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no display in CI; set before pyplot is imported

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from stages.core.runtime.errors import can_be_written
from stages.core.runtime.files import whole_file

DPI = 120

LETTER_WIDTH = 0.56  # of the font size, on average

# Told apart with any colour vision, and dark enough on white (LEAST_CONTRAST): the four of Okabe
# and Ito (2008) that are, then those farthest from them by the distance of `_palette`.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#962D00", "#7887FF")
REFERENCE = "#000000"  # of lines to compare with
GREY = "#555555"  # of words at the edge of a picture
MARKERS = ("o", "s", "^", "D", "v", "P")
FOOT_POINTS = 8

# Of the classes: how many there are before they repeat, and where the search for them begins.
MOST_CLASS_COLOURS = 64
FIRST_CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73")
# The least contrast of graphics that WCAG 2.2 (1.4.11) asks for; pale yellow and lime have less.
LEAST_CONTRAST = 3.0
MOST_CONTRAST = 10.0  # nearly black is for lines of reference
# What is seen of linear RGB with all cones, without those of red and without those of green
# (Machado, Oliveira and Fernandes 2009, severity 1).
VISIONS = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ]
)

# Fonts of other scripts, as systems and office programs install them. Colour emoji fonts, which
# hold pictures instead of outlines, cannot be drawn.
OTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "SimHei",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Thai",
    "Nirmala UI",
    "Leelawadee UI",
    "Segoe UI",
    "FreeSans",
    "Unifont",
    "Arial Unicode MS",
    "Noto Emoji",
    "Symbola",
    "Segoe UI Symbol",
)
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
BOXES = "Last Resort High-Efficiency"  # comes with Matplotlib: a box for every character


def _font_families() -> list[str]:
    """The default font, then those installed of OTHER_SCRIPTS; each gives what the last lacks.

    With BOXES at the end no character is ever missing, of which Matplotlib would warn each time.
    """
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in OTHER_SCRIPTS if name in installed), BOXES]


plt.rcParams.update(
    {
        "font.family": _font_families(),
        "text.parse_math": False,  # a name that holds $ is a name
        "figure.dpi": DPI,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "axes.axisbelow": True,
        "legend.facecolor": "white",  # over the lines that it hides
        "legend.edgecolor": "none",
        "legend.framealpha": 0.85,
        "axes.prop_cycle": cycler(color=COLOURS),
        "image.cmap": "cividis",
    }
)


def not_applicable(why: str) -> Figure:
    """A line in place of a picture of which there is nothing to draw."""
    figure, axes = new_figure(6, 1.2)
    axes.set_axis_off()
    axes.text(0.5, 0.5, wrapped(f"Not applicable: {why}.", 5.6, 10), ha="center", va="center")
    return figure


def level_colours(levels: list[float]) -> dict[float, tuple]:
    """{noise level: colour}, from dark (clean) to light, ordered for any colour vision.

    The lightest still has LEAST_CONTRAST.
    """
    positions = np.linspace(0.0, 0.62, len(levels))
    return {level: plt.get_cmap("plasma")(x) for level, x in zip(levels, positions, strict=True)}


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """{class: '#rrggbb'}: the colour of each class, the same in every picture and page.

    classes: all of the study, in their order, whichever of them a picture shows. Beyond
    MOST_CLASS_COLOURS classes colours repeat.
    """
    palette = _palette()
    return {name: palette[i % len(palette)] for i, name in enumerate(classes)}


@cache
def _palette() -> tuple[str, ...]:
    """Colours on white, each as far as can be from those before it, with any colour vision.

    Of a grid of colours that hold on white and are no grey, which stands for what has no colour.
    The distance of two is that in OKLab (Ottosson 2020), in the vision of VISIONS that tells them
    least apart.
    """
    steps = np.arange(0, 256, 15)  # 18 values a channel, both ends included
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    first = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in FIRST_CLASS_COLOURS]
    lab, contrast = _oklab(grid), contrast_with_white(grid)
    fit = (contrast >= LEAST_CONTRAST) & (contrast <= MOST_CONTRAST)
    fit &= np.hypot(lab[0, :, 1], lab[0, :, 2]) >= 0.05
    colours = np.concatenate([first, grid[fit]])
    lab = _oklab(colours)  # (visions, colours, 3)
    chosen: list[int] = []
    nearest = np.full(len(colours), np.inf)
    while len(chosen) < MOST_CLASS_COLOURS:
        chosen.append(len(chosen) if len(chosen) < len(first) else int(nearest.argmax()))
        gaps = np.linalg.norm(lab - lab[:, chosen[-1:]], axis=2).min(axis=0)
        nearest = np.minimum(nearest, gaps)
    return tuple("#{:02X}{:02X}{:02X}".format(*colours[i]) for i in chosen)


def contrast_with_white(colours: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB values, 0 to 255 -> (n,) contrast ratio of WCAG 2.2, 1 to 21."""
    return 1.05 / (_linear(colours) @ (0.2126, 0.7152, 0.0722) + 0.05)


def _oklab(colours: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB values, 0 to 255 -> (visions, n, 3) OKLab, as each of VISIONS sees them."""
    seen = np.clip(_linear(colours) @ VISIONS.transpose(0, 2, 1), 0, 1)
    cones = seen @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def _linear(colours: np.ndarray) -> np.ndarray:
    """sRGB values, 0 to 255 -> linear RGB in [0, 1]."""
    values = np.asarray(colours) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def short_name(name: str, width: int = 24) -> str:
    """A name as it stands in pictures: one line, at most `width` characters wide.

    Of a longer one the middle is left out, since names often differ at their ends alone. Line
    breaks and what else cannot be printed become U+FFFD; Chinese, Japanese and Korean characters
    are two wide.
    """
    name = "".join(char if can_be_written(char) else "\ufffd" for char in name)
    if text_width(name) <= width:
        return name
    head, tail = name, name
    while text_width(head) > width // 2:
        head = head[:-1]
    while text_width(tail) > width - text_width(head) - 1:
        tail = tail[1:]
    return f"{head}…{tail}"


def text_width(text: str) -> int:
    """How many columns a text takes where every Latin letter takes one."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def homology_group(dim: int) -> str:
    """H with the dimension as its subscript, in plain text."""
    return f"H{str(dim).translate(SUBSCRIPTS)}"


def pair_names(table: pd.DataFrame) -> list[str]:
    """The name in pictures of each pair in the columns class_a and class_b."""
    pairs = zip(table["class_a"], table["class_b"], strict=True)
    return [f"{short_name(first)} - {short_name(second)}" for first, second in pairs]


def characters_without_font(texts: Iterable[str]) -> list[str]:
    """The characters of `texts`, sorted, that no font in use has: they are drawn as boxes."""
    families = [name for name in plt.rcParams["font.family"] if name != BOXES]
    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in families]
    characters = {char for text in texts for char in text if char.isprintable()}
    return sorted(
        char for char in characters if not any(font.get_char_index(ord(char)) for font in fonts)
    )


def save_figure(figure: Figure, path: Path, foot: str = "", shaded: bool = False) -> None:
    """Write a PNG whose bytes depend on the picture alone, and close the figure.

    foot: what the picture is of, written below all else in small letters. shaded: whether it holds
    photographs or shades of colour; any other drawing looks the same in 256 colours, at a third of
    the size.
    """
    width, height = figure.get_size_inches()
    text = wrapped(foot, width - 0.2, FOOT_POINTS)
    below = (1.4 * FOOT_POINTS * len(text.splitlines()) + 8) / 72 if text else 0.0
    # Below the figure, whose layout it leaves as it is; the file shows that part too.
    figure.text(
        0.1 / width, -0.03 / height, text, va="top", fontsize=FOOT_POINTS, color=GREY
    ).set_in_layout(False)
    drawn = BytesIO()
    bounds = Bbox.from_extents(0, -below, width, height)
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches=bounds)
    plt.close(figure)
    with Image.open(drawn) as image, whole_file(path) as unfinished:
        picture = image.convert("RGB")
        if not shaded:
            picture = picture.quantize(256, dither=Image.Dither.NONE)
        picture.save(unfinished, "PNG", optimize=True)


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A figure of width x height inches with its Axes, or with an array of them for a grid."""
    return plt.subplots(rows, columns, figsize=(width, height), **options)


def wrapped(text: str, inches: float, points: float = 12) -> str:
    """The text in as many lines as it needs at a width in inches and a font size in points.

    The default is that of a figure's title. Lines that the text has are kept.
    """
    letters = max(int(72 * inches / (LETTER_WIDTH * points)), 8)
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


def room_for(names: Iterable[str], points: float = 9) -> float:
    """Inches that the longest of the names takes."""
    return LETTER_WIDTH * points * max(map(text_width, names), default=0) / 72
