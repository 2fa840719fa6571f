"""Markdown as GitHub renders it: tables, code, folded parts, and text in which nothing acts."""

import html
import json
import re
from collections.abc import Iterable

# Beyond ASCII's letters and digits, what may begin markup; `~` and `|` are GitHub's own.
MARKUP = re.compile(r"[\\`*_\[\]~|]")
# Begins a mention of a user, or of another issue; GitHub finds these in the text of the page.
MENTION = re.compile(r"([@#])(?=\w)")
WORD_JOINER = "\u2060"  # no width, no break


def table(head: Iterable[str], rows: Iterable[Iterable[str]], align: str = "") -> str:
    """A table of cells in Markdown; align: a letter per column, l or r, all l by default."""
    names = tuple(head)
    rules = ("---:" if letter == "r" else "---" for letter in align.ljust(len(names), "l"))
    lines = [names, tuple(rules), *(tuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(summary: str, content: str) -> str:
    """A part that a click opens; summary: HTML."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def warning(lines: Iterable[str]) -> str:
    """An alert, a line to a paragraph or list item of it."""
    return "\n".join(["> [!WARNING]", *(f"> {line}" for line in lines)])


def code(text: str) -> str:
    """A code span, in which nothing acts: no markup, no mention of a user, no end of a table."""
    return f"`{text.replace('`', '').replace('|', '')}`"


def html_code(text: str) -> str:
    """The same in HTML, for the summary of a folded part."""
    return f"<code>{html.escape(text)}</code>"


def plain(text: str) -> str:
    """Text that was written by others, as it is: no markup, no HTML, no mention of a user."""
    text = MENTION.sub(rf"\1{WORD_JOINER}", html.escape(text, quote=False))
    return MARKUP.sub(r"\\\g<0>", text)


def shown(value: object) -> str:
    """A value of params or metrics; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith("["):
        return code(value)  # a list, which DVC writes out
    return code(f"{value:.4g}" if isinstance(value, float) else json.dumps(value))
