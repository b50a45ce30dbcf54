"""Where settings are: the sections, found by walking the models. Knows no file and no value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

Shape = Literal["section", "list", "by name"]
"""Whether a section is there once, many times, or once for each name."""

_SHAPES: Mapping[Any, Shape] = {tuple: "list", list: "list", Mapping: "by name", dict: "by name"}


@dataclass(frozen=True, slots=True)
class Section:
    """A model and where it is, as `issuers.clients`; the whole of the settings is at ""."""

    place: str
    model: type[BaseModel]
    shape: Shape = "section"

    def named(self, setting: str) -> str:
        """The place of one of its settings."""
        return f"{self.place}.{setting}" if self.place else setting


def sections(within: Section) -> Iterator[Section]:
    """The section, then each that lies in it, at any depth."""
    yield within
    for name, field in within.model.model_fields.items():
        inner = inside(field.annotation, within.named(name))
        if inner is not None:
            yield from sections(inner)


def inside(annotation: Any, place: str = "") -> Section | None:
    """The section that a setting of this type is, holds a list of, or holds by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Section(place, annotation)
    shape = _SHAPES.get(get_origin(annotation))
    for part in get_args(annotation):
        found = inside(part, place)
        if found is not None:
            return Section(place, found.model, shape or found.shape)
    return None
