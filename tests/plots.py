"""The Vega-Lite templates of the plots, as DVC fills them."""

import json

from dvc_render.vega_templates import Template

from tests.study import ROOT

TEMPLATES = {file.stem: file for file in (ROOT / ".dvc" / "plots").glob("*.json")}


def read_template(name: str) -> dict:
    return json.loads(TEMPLATES[name].read_text())


def filled(template: str, rows: list[dict]) -> dict:
    """A template as DVC fills it."""
    made = Template(read_template(template), template)
    for anchor, value in {"data": rows, "title": "Title", "x_label": "noise level"}.items():
        made.fill_anchor(anchor, value)
    return made.content
