"""Sections of params.yaml as typed, validated models.

Each stage defines its own section, so that a new setting makes that stage alone run again.
"""

import unicodedata
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stages.core.errors import StudyError

Seed = Annotated[int, Field(ge=0, description="seed of every random choice of this stage")]
Count = Annotated[int, Field(ge=1)]
# In the form of Unicode (NFC) that the classes of a data set are in, whatever form a user typed.
ClassName = Annotated[str, AfterValidator(partial(unicodedata.normalize, "NFC"))]


class Section(BaseModel):
    """A section of params.yaml; `name` is its key there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: ClassVar[str]


SectionT = TypeVar("SectionT", bound=Section)


def read_params(
    section: type[SectionT], file: Path, overrides: Mapping[str, Any] | None = None
) -> SectionT:
    """Read the section `section.name` of a params file, with `overrides` in place of its values.

    Raises StudyError that names the file, the key, the value and what would be right.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StudyError(f"{file}: not found; run from the project's top folder") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(content.get(section.name), dict):
        raise StudyError(f"{file}: no section '{section.name}'; add one")
    try:
        return section(**{**content[section.name], **(overrides or {})})
    except ValidationError as error:
        raise StudyError(f"{file}: {_sentence(section, error)}") from None


def _sentence(section: type[Section], error: ValidationError) -> str:
    """The first fault of a validation in one line."""
    fault = error.errors()[0]
    key = ".".join([section.name, *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; known are {', '.join(section.model_fields)}"
    if fault["type"] == "missing":
        return f"{key}: missing; add it"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{key}: {fault['input']!r}: {message[0].lower()}{message[1:]}"
