"""The page of many runs: one file that opens with no network."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt

from stages.core.report.page import embedded, slug

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Part:
    """A part of the page: a title, Markdown, and pictures between its two texts.

    pictures: [(what they show, PNG)].
    """

    title: str
    text: str
    pictures: Sequence[tuple[str, bytes]] = ()
    after: str = ""


def page(title: str, answers: Sequence[str], parts: Sequence[Part]) -> str:
    """The whole page: the answers first, then the parts, with links to them.

    answers: sentences in Markdown.
    """
    render = MarkdownIt("commonmark").enable("table").render
    links = "".join(
        f'<li><a href="#{slug(part.title)}">{html.escape(part.title)}</a></li>' for part in parts
    )
    told = render("\n\n".join(answers))
    body = [f'<section id="answers">{told}</section>']
    for part in parts:
        pictures = "".join(
            f'<img src="{embedded(png)}" alt="{html.escape(shows)}">'
            for shows, png in part.pictures
        )
        body.append(
            f'<section id="{slug(part.title)}"><h2>{html.escape(part.title)}</h2>'
            f"{framed(render(part.text))}{pictures}{framed(render(part.after))}</section>"
        )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), links=links, body="\n".join(body)
    )


def framed(rendered: str) -> str:
    """Tables in a frame of their own that scrolls, so that a wide one leaves the page as it is."""
    return rendered.replace("<table>", '<div class="wide"><table>').replace(
        "</table>", "</table></div>"
    )
