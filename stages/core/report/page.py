"""The page of a report: one file that opens with no network.

It has a contents list, what changed, the plots, drawn by Vega from their tables, and the pictures.
What is identical in both revisions is drawn once.
"""

import base64
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from PIL import Image

OF_DVC = {"filename", "field"}  # columns that DVC adds to every row, and no template here reads
REVISION = "rev"
# Of a picture in WebP: text stays sharp, and a photograph takes a tenth of its PNG. No reader's
# window shows more pixels.
QUALITY, WIDEST = 45, 1280
TALLEST = 16_383  # of WebP
IDENTICAL = "identical in both"


@dataclass(frozen=True)
class Plot:
    """A plot that is drawn from tables, as DVC fills its template; rows as columns take less room.

    identical: whether its tables are the same on both sides, of which `spec` then shows one.
    """

    name: str
    spec: dict
    identical: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture that a stage made: {revision: PNG}; path: where it lies in each."""

    path: str
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """'plots/drawn/angles/mean_angle.png' -> 'angles: mean angle'."""
        *_, folder, file = ("", *PurePosixPath(self.path).with_suffix("").parts)
        return f"{folder}: {file}".removeprefix(": ").replace("_", " ")

    @property
    def identical(self) -> bool:
        return len(self.files) > 1 and len(set(self.files.values())) == 1


@dataclass(frozen=True)
class Section:
    """A part of the page, in HTML, with what its anchor and its line in the contents say."""

    anchor: str
    title: str
    body: str


def page(
    text: str, remarks: Iterable[str], plots: Sequence[Plot], pictures: Sequence[Picture]
) -> str:
    """What goes into the body of the page; text, remarks: Markdown."""
    told = MarkdownIt("commonmark").enable("table").render("\n\n".join([text, *remarks]))
    parts = [
        ("Plots", [drawn(plot) for plot in plots]),
        ("Pictures", [shown(picture) for picture in pictures if picture.files]),
    ]
    parts = [(title, sections) for title, sections in parts if sections]
    body = [f'<section id="changes">{alerts(told)}</section>']
    for title, sections in parts:
        body.append(f"<h2>{title}</h2>")
        body += [
            f'<section id="{each.anchor}"><h3>{html.escape(each.title)}</h3>{each.body}</section>'
            for each in sections
        ]
    return "\n".join([contents(parts), *body])


def contents(parts: Sequence[tuple[str, Sequence[Section]]]) -> str:
    """A list of links to all sections."""
    lists = [
        f"<h3>{title}</h3><ul>"
        + "".join(f'<li><a href="#{s.anchor}">{html.escape(s.title)}</a></li>' for s in sections)
        + "</ul>"
        for title, sections in parts
    ]
    return f'<nav><a href="#changes">What changed</a>{"".join(lists)}</nav>'


def drawn(plot: Plot) -> Section:
    """A plot, with a script that draws it where it stands."""
    anchor = f"plot-{slug(plot.name)}"
    rows = plot.spec["data"]["values"]
    names = dict.fromkeys(key for row in rows for key in row if key not in OF_DVC)
    columns = {name: packed([row.get(name) for row in rows]) for name in names}
    spec = plot.spec | {"data": {key: v for key, v in plot.spec["data"].items() if key != "values"}}
    # As it is, "</script>" in a class's name would end the script.
    texts = (json.dumps(each, separators=(",", ":")) for each in (spec, columns))
    given = (text.replace("</", "<\\/") for text in texts)
    return Section(
        anchor,
        plot.name,
        (f"<p>{IDENTICAL}</p>" if plot.identical else "")
        + f'<div id="{anchor}-drawn" class="plot"></div>'
        + f"<script>drawRows('#{anchor}-drawn', {', '.join(given)});</script>",
    )


def packed(values: list) -> list | dict[str, list]:
    """A column, or its distinct values and which of them each row has, where those are few."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) * 4 > len(values):
        return values
    places = {value: place for place, value in enumerate(distinct)}
    return {"of": distinct, "at": [places[value] for value in values]}


def shown(picture: Picture) -> Section:
    """A picture of every revision, or one where they are identical."""
    files = dict(picture.files)
    if picture.identical:
        files = {IDENTICAL: next(iter(files.values()))}
    figures = (
        f"<figure><figcaption>{html.escape(name)}</figcaption>"
        f'<img src="{embedded(png)}" alt="{html.escape(f"{picture.name}, {name}")}"></figure>'
        for name, png in files.items()
    )
    return Section(f"picture-{slug(picture.name)}", picture.name, "".join(figures))


def embedded(png: bytes) -> str:
    """A picture as an address that holds it, in WebP where that is smaller."""
    kind, data = "png", png
    try:
        with Image.open(io.BytesIO(png)) as picture, io.BytesIO() as file:
            smaller = picture.convert("RGBA")
            smaller.thumbnail((WIDEST, TALLEST), Image.Resampling.LANCZOS)
            smaller.save(file, "WEBP", quality=QUALITY, method=4)
            if len(file.getvalue()) < len(png):
                kind, data = "webp", file.getvalue()
    except OSError:  # no picture: shown as it is
        pass
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def same_rows(spec: dict) -> bool:
    """Whether a plot shows the same rows of two revisions."""
    rows: dict[str, list[dict]] = {}
    for row in spec["data"]["values"]:
        values = {key: value for key, value in row.items() if key not in {REVISION, *OF_DVC}}
        rows.setdefault(row.get(REVISION, ""), []).append(values)
    first, *others = rows.values() or [[]]
    return bool(others) and all(other == first for other in others)


def alerts(told: str) -> str:
    """HTML of Markdown, with GitHub's alerts as such: only there are they more than a quotation."""
    return re.sub(r"<blockquote>\n<p>\[!WARNING\]\s*", '<blockquote class="warning"><p>', told)


def slug(name: str) -> str:
    """Of a name, for a file or an address: 'Confusion, clean' -> 'confusion-clean'."""
    words = "".join(c if c.isalnum() or c == "-" else " " for c in name.lower()).split()
    return "-".join(words)
