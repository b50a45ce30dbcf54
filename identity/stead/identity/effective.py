"""Which settings count, and where each was said: for an operator who asks why something is as it is."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource

from stead.identity.home import Home, variables
from stead.identity.issuer_settings import PRESETS, IssuerSettings
from stead.identity.settings import FILE, PREFIX, Settings, nearest_of, read_file

Origin = Literal["environment", "file", "preset", "default"]

REDACTED = "(set, not shown)"
_SECRET = re.compile(r"(?:.*_)?(?:secret|password|passphrase|token|api_key)")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting: its place (`issuers.0.client`), its value as JSON (no secrets), and who said so."""

    place: str
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is allowed, and is hardly meant."""

    place: str
    description: str
    hint: str


def effective(home: Home) -> list[Effective]:
    """Every setting of this directory and environment. Raises `ConfigurationError` as `Settings.load` does."""
    settings = Settings.load(home)
    said = _Said(EnvSettingsSource(Settings)(), read_file(home.path / FILE))
    return list(_of_model(settings, settings.model_dump(mode="json"), (), said))


def doubts(home: Home) -> list[Doubt]:
    """Variables that set nothing, and files that are named and not there. Raises `ConfigurationError`."""
    return [*_unknown_variables(), *_missing_files(Settings.load(home), ())]


@dataclass(frozen=True, slots=True)
class _Said:
    """What the environment and the file say of one part of the settings."""

    environment: Any
    file: Any

    def about(self, part: str | int) -> "_Said":
        environment = _part(self.environment, part)
        # A list in the environment takes the place of the file's, item by item it does not.
        replaced = isinstance(self.environment, Sequence) and isinstance(part, int)
        return _Said(environment, None if replaced else _part(self.file, part))

    @property
    def origin(self) -> Origin:
        if self.environment is not None:
            return "environment"
        return "default" if self.file is None else "file"


def _part(document: Any, part: str | int) -> Any:
    if isinstance(document, Mapping):
        return document.get(part)
    if isinstance(document, list) and isinstance(part, int) and part < len(document):
        return document[part]
    return None


def _of_model(model: BaseModel, dumped: Mapping[str, Any], place: tuple[str, ...], said: _Said) -> Iterator[Effective]:
    preset = PRESETS[model.preset] if isinstance(model, IssuerSettings) else {}
    for name in type(model).model_fields:
        here, value = said.about(name), getattr(model, name)
        within = _models_in(value, here)
        if within:
            for key, inner, inner_said in within:
                inner_dumped = dumped[name] if key is None else dumped[name][key]
                deeper = (*place, name) if key is None else (*place, name, str(key))
                yield from _of_model(inner, inner_dumped, deeper, inner_said)
        else:
            origin: Origin = "preset" if name in preset and here.origin == "default" else here.origin
            yield Effective(".".join((*place, name)), _shown(name, value, dumped[name]), origin)


def _models_in(value: object, said: _Said) -> list[tuple[str | int | None, BaseModel, _Said]]:
    if isinstance(value, BaseModel):
        return [(None, value, said)]
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, tuple):
        items = enumerate(value)
    return [(key, each, said.about(key)) for key, each in items if isinstance(each, BaseModel)]


def _shown(name: str, value: object, dumped: Any) -> Any:
    if isinstance(value, str):
        return REDACTED if _SECRET.fullmatch(name) else _USER_INFO.sub("…@", value)
    if isinstance(value, Mapping):
        return {key: _shown(key, each, dumped[key]) for key, each in value.items()}
    return sorted(dumped) if isinstance(value, frozenset) else dumped


def _unknown_variables() -> Iterator[Doubt]:
    """No error: a container platform makes variables of its own for a service that is called stead."""
    known = {"HOME", "VAULT_KEYS", *(name.upper() for name in Settings.model_fields)}
    for variable in sorted(variables(PREFIX)):
        name = variable.removeprefix(PREFIX).partition("__")[0].upper()
        if name not in known:
            yield Doubt(variable, f"The variable {variable} sets nothing.", nearest_of(name, known, PREFIX))


def _missing_files(model: BaseModel, place: tuple[str, ...]) -> Iterator[Doubt]:
    for name, value in model:
        if isinstance(value, Path) and not _is_there(value):
            where = ".".join((*place, name))
            yield Doubt(where, f"The file that {where} names is not there.", "Write it, or name another.")
        for key, inner, _ in _models_in(value, _Said(None, None)):
            yield from _missing_files(inner, (*place, name) if key is None else (*place, name, str(key)))


def _is_there(path: Path) -> bool:
    """A path for all workloads is there where it is for one of them."""
    return path.exists() or any(path.parent.glob(path.name.replace("{name}", "*")))
