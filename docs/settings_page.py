"""The reference of the settings and their JSON Schema, written from the models; every gap in it is an error.

A setting without a meaning, or a section without an example, stops the generator: it has to be written first, in
`docs.meanings` or `docs.setting_examples`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docs.meanings import MEANINGS
from docs.setting_examples import EXAMPLES
from stead.identity.issuer_settings import PRESETS
from stead.identity.setting_places import Section, inside, sections
from stead.identity.settings import PREFIX, Settings

SECTIONS = tuple(sections(Section("", Settings)))
_SHAPES = {"section": "", "list": "A list of sections. ", "by name": "One section for each name. "}


def settings_reference() -> str:
    """The page, as Markdown. Raises `KeyError` that says what is missing, or what is described and not there."""
    _refuse_leftovers()
    return "\n".join([_INTRODUCTION, *(_section(section) for section in SECTIONS), _presets()]).rstrip() + "\n"


def settings_schema() -> str:
    """The JSON Schema (2020-12) of the file, with the meanings as descriptions."""
    schema = Settings.model_json_schema()
    for section in SECTIONS:
        described = schema if section.model is Settings else schema["$defs"][section.model.__name__]
        described.pop("description", None)
        for name, member in described["properties"].items():
            member.pop("title", None)
            member["description"] = meaning(section.named(name))
            if isinstance(member.get("default"), list):
                member["default"] = sorted(member["default"])
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "stead.yaml"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def meaning(place: str) -> str:
    """What a setting means."""
    try:
        return MEANINGS[place]
    except KeyError:
        raise KeyError(f"The setting {place!r} has no meaning: write it in docs/meanings.py.") from None


def _refuse_leftovers() -> None:
    there = {section.named(name) for section in SECTIONS for name in section.model.model_fields}
    if gone := sorted({*MEANINGS, *EXAMPLES} - there - {""}):
        raise KeyError(f"There is no setting {gone[0]!r} any more: remove it from docs/meanings.py and its example.")


def _section(section: Section) -> str:
    if not section.place:
        return f"{_example('')}\n{_table(section)}{_VARIABLES}"
    told = f"{_SHAPES[section.shape]}{meaning(section.place)}"
    return f"## `{section.place}`\n\n{told}\n\n{_variable(section)}\n\n{_example(section.place)}\n{_table(section)}"


def _example(place: str) -> str:
    try:
        return f"```yaml\n{EXAMPLES[place].strip()}\n```\n"
    except KeyError:
        raise KeyError(f"The section {place!r} has no example: write one in docs/setting_examples.py.") from None


def _variable(section: Section) -> str:
    if section.shape == "section":
        return f"In the environment: `{_environment(section.place)}__…`, one variable for each setting."
    top = section.place.partition(".")[0]
    return f"In the environment: as JSON, within `{_environment(top)}`."


def _environment(place: str) -> str:
    return PREFIX + place.upper().replace(".", "__")


def _table(section: Section) -> str:
    """One row for each setting; a setting that is a section has a chapter of its own."""
    members = section.model.model_json_schema()["properties"]
    rows = [
        f"| `{place}` | {_values(field, members[name], place)} | {_default(field)} | {meaning(place)} |\n"
        for name, field in section.model.model_fields.items()
        for place in [section.named(name)]
    ]
    return f"| Setting | Values | Default | Meaning |\n|---|---|---|---|\n{''.join(rows)}"


def _values(field: Any, schema: Mapping[str, Any], place: str) -> str:
    within = inside(field.annotation)
    if within is not None:
        return f"[section](#{place.replace('.', '')})"
    return _kind(schema)


def _kind(schema: Mapping[str, Any]) -> str:
    """What a JSON Schema admits, in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return _TYPES[schema["type"]](schema)


def _number(schema: Mapping[str, Any]) -> str:
    bounds = [f"{sign} {schema[name]}" for name, sign in _BOUNDS.items() if name in schema]
    return " ".join([f"{'whole ' if schema['type'] == 'integer' else ''}number", *bounds])


def _text(schema: Mapping[str, Any]) -> str:
    return "path" if schema.get("format") == "path" else "text"


def _mapping(schema: Mapping[str, Any]) -> str:
    values = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    return f"{_kind(values) if values else 'anything'} by name"


_BOUNDS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
_TYPES = {
    "boolean": lambda _: "`true`, `false`",
    "integer": _number,
    "number": _number,
    "string": _text,
    "array": lambda schema: f"list of {_kind(schema['items'])}" if "items" in schema else "list",
    "object": _mapping,
}


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if inside(field.annotation) is not None:
        return "none" if value in (None, (), {}, []) else "as below"
    value = sorted(value) if isinstance(value, frozenset) else value
    return "none" if value in (None, (), {}, []) else f"`{json.dumps(value, default=str)}`"


def _presets() -> str:
    rows = "".join(f"| `{name}` | {_filled(preset)} |\n" for name, preset in PRESETS.items())
    return f"{_PRESETS}| Preset | Sets |\n|---|---|\n{rows}"


def _filled(preset: Mapping[str, Any]) -> str:
    return ", ".join(_assignments(preset)) or "nothing: it is what the defaults say"


def _assignments(preset: Mapping[str, Any]) -> Iterator[str]:
    for name, value in preset.items():
        value = sorted(value) if isinstance(value, frozenset) else value
        yield f"`{name}: {json.dumps(value)}`"


_INTRODUCTION = """\
# Settings

Written to `stead.yaml` in the state directory (`$STEAD_HOME`, else `.stead`), or set in the environment: `STEAD_` and
the key in capitals, a dot as two underscores, so `timeouts.connect` is `STEAD_TIMEOUTS__CONNECT`. The environment wins,
key by key. Lists and objects in a variable are JSON. A key that is not known is an error that names the one probably
meant. Settings are read once, when a process starts.

`stead config check` says whether they are in order, `stead config show` which count and who said so, and
`stead config schema` prints their JSON Schema. With the schema kept beside the file, an editor that knows
yaml-language-server completes and checks it: begin the file with `# yaml-language-server: $schema=stead.schema.json`.
"""

_VARIABLES = """
## Only in the environment

| Variable | Default | Meaning |
|---|---|---|
| `STEAD_HOME` | `.stead` | The state directory: addresses, keys, databases, audit chains, `stead.yaml`. |
"""

_PRESETS = """\
## Presets

What `issuers.preset` fills in. Whatever is said beside it counts more.

"""
