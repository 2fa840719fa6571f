"""Sections of params.yaml as typed, validated models.

Each stage defines its own section, so that a new setting makes that stage alone run again.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import CoreSchema, core_schema
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from stages.core.runtime.errors import StudyError, one_line, quoted

MOST_BYTES = 2**20
# Beyond any use, and small enough for the integers of every library.
LARGEST = 10**9
LARGEST_SEED = 2**31 - 1  # scikit-learn takes twice as much, and claims counts up from it

Seed = Annotated[
    int, Field(ge=0, le=LARGEST_SEED, description="seed of every random choice of this stage")
]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
# In the form of Unicode (NFC) that the classes of a data set are in, whatever form a user typed.
ClassName = Annotated[Text, AfterValidator(partial(unicodedata.normalize, "NFC"))]


@dataclass(frozen=True)
class OneOf:
    """Marks a field, Annotated[str, OneOf(names)], whose choices are the names of a registry."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, *_: object) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


class Section(BaseModel):
    """A section of params.yaml; `name` is its key there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: ClassVar[str]

    @field_validator("*")
    @classmethod
    def _without_control_characters(cls, value: Any) -> Any:
        for text in _texts(value):
            if any(unicodedata.category(c) == "Cc" for c in text):
                raise ValueError(f"{quoted(text)} holds control characters; remove them")
        return value


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, at any depth of its lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_texts, value))


SectionT = TypeVar("SectionT", bound=Section)


def read_params(
    section: type[SectionT], file: Path, overrides: Mapping[str, Any] | None = None
) -> SectionT:
    """Read the section `section.name` of a params file, with `overrides` in place of its values.

    Raises StudyError that names the file, the key, the value and what would be right.
    """
    return validated(section, read_yaml(file), file, overrides)


def validated(
    section: type[SectionT],
    content: Mapping,
    file: Path,
    overrides: Mapping[str, Any] | None = None,
) -> SectionT:
    """The section of what `read_yaml` found in `file`; raises StudyError as `read_params` does."""
    if not isinstance(content.get(section.name), dict):
        raise StudyError(f"{file}: no section '{section.name}'; add one")
    overrides = overrides or {}
    try:
        return section.model_validate({**content[section.name], **overrides})
    except ValidationError as error:
        fault = error.errors()[0]
        given = fault["loc"] and fault["loc"][0] in overrides
        where = "the command line" if given else file
        raise StudyError(f"{where}: {_sentence(section, fault)}") from None


def read_yaml(file: Path) -> dict:
    """The mapping that a params file holds, read as DVC reads it: YAML 1.2, keys once each.

    Raises StudyError that names the line where it is no YAML, and where it is no mapping, no
    regular file, too large or not UTF-8.
    """
    if not file.exists():
        raise StudyError(f"{file}: not found; run from the project's top folder")
    if not file.is_file():
        raise StudyError(f"{file}: not a regular file; give the file of the settings")
    if file.stat().st_size > MOST_BYTES:
        raise StudyError(f"{file}: more than {MOST_BYTES:,} bytes; give the file of the settings")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StudyError(f"{file}: not UTF-8 text; save it as UTF-8") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        content = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        problem = one_line(error.problem or error.context, 200)
        raise StudyError(f"{file}: {line}{problem}; correct it") from None
    except YAMLError as error:
        raise StudyError(f"{file}: not YAML: {one_line(error, 200)}") from None
    except RecursionError:
        raise StudyError(f"{file}: nested too deeply; a setting is a value or a list") from None
    if not isinstance(content, dict):
        raise StudyError(f"{file}: holds no sections; each stage's settings stand under its name")
    return content


class _Constructor(SafeConstructor):
    """ruamel.yaml's, whose errors for values that do not exist, as a 13th month, name no line."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError, TypeError, AttributeError):
            kind = str(node.tag).rpartition(":")[2]
            value = quoted(node.value) if isinstance(node, ScalarNode) else "this"
            problem = f"{value} is no {kind}"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from None

    def flatten_mapping(self, node: MappingNode) -> Any:
        """Refuse merge keys, of which nested ones multiply without end."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                problem = "merge keys (<<) are not read; write the settings out"
                raise ConstructorError(problem=problem, problem_mark=key.start_mark)
        return super().flatten_mapping(node)


def _sentence(section: type[Section], fault: Mapping[str, Any]) -> str:
    """A fault of a validation in one line."""
    key = ".".join([section.name, *(one_line(part, 80) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; known are {', '.join(section.model_fields)}"
    if fault["type"] == "missing":
        return f"{key}: missing; add it"
    message = one_line(fault["msg"].removeprefix("Value error, "), 300)
    message = f"{key}: {quoted(fault['input'])}: {message[0].lower()}{message[1:]}"
    if fault["type"] == "string_type" and not isinstance(fault["input"], list | dict):
        message += "; put it in quotes"
    return message
