"""One look for every picture."""

import textwrap
import unicodedata
from collections.abc import Iterable
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

from stages.core.runtime.errors import can_be_written
from stages.core.runtime.files import whole_file

DPI = 120

LETTER_WIDTH = 0.56  # of the font size, on average

# Okabe and Ito (2008), told apart with any colour vision; black last, for reference lines.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

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
        "legend.frameon": False,
        "axes.prop_cycle": cycler(color=COLOURS),
        "image.cmap": "cividis",
    }
)


def not_applicable(why: str) -> Figure:
    """A line in place of a picture of which there is nothing to draw."""
    figure, axes = new_figure(6, 1.2)
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"Not applicable: {why}.", ha="center", va="center")
    return figure


def level_colours(levels: list[float]) -> dict[float, tuple]:
    """{noise level: colour}, from dark (clean) to light, ordered for any colour vision."""
    positions = np.linspace(0.0, 0.85, len(levels))
    return {level: plt.get_cmap("viridis")(x) for level, x in zip(levels, positions, strict=True)}


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


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone, and close the figure."""
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)


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
