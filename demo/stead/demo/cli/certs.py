"""`stead certs`: certificates by which a network on this machine speaks TLS. For development."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509

from stead.demo.cli.output import emit, say, tell
from stead.demo.network.addresses import hosts
from stead.demo.network.catalogue import SERVICES
from stead.demo.network.certificates import AUTHORITY, FOLDER, Authority, settings_section
from stead.identity.clock import system_clock
from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Home
from stead.identity.joining import joined_url
from stead.identity.settings import FILE, Settings, read_file

_WRITTEN = "\n# Written by `stead certs`: every service speaks TLS, and tokens are bound to its certificate.\n"


def issue(names: list[str], *, json: bool) -> None:
    """Issues to the named workloads, or to all of FinPort, and sets `tls` where nothing is said of it yet."""
    home = Home.current()
    places = {service.name: hosts()[service.place] for service in SERVICES}
    wanted = {name: places.get(name) or _joined(home, name) for name in names} or places
    authority = Authority.of(home)
    files = [authority.issue(home, name, host) for name, host in wanted.items()]
    is_set = _set(home)
    if json:
        emit({"authority": str(home.path / FOLDER / f"{AUTHORITY}.pem"), "certificates": [str(file) for file in files]})
        return
    for file in files:
        say(str(file))
    tell("Running services take them up by themselves." if not is_set else "Start on TLS: stead demo --fresh")
    tell(f"DEVELOPMENT: a browser shows no warning once it believes {home.path / FOLDER / AUTHORITY}.pem")


def days_left(settings: Settings) -> Mapping[Path, float | None]:
    """How long each service's certificate is good for, in days; None for a file that holds none, or is not there."""
    services = () if settings.tls is None else [settings.tls.files(service.name).certificate for service in SERVICES]
    return {path: _days_left(path) for path in services}


def _days_left(path: Path) -> float | None:
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
    return (ends.timestamp() - system_clock()) / 86_400


def _joined(home: Home, name: str) -> str:
    """Where somebody who joined the network serves."""
    try:
        url = joined_url(home, name)
    except ConfigurationError:
        url = None
    host = urlsplit(url or "").hostname
    if host is None:
        known = ", ".join(service.name for service in SERVICES)
        raise InvalidRequest(
            f"There is no service {name!r}.", hint=f"There are: {known}. One that joins is known once it was started."
        )
    return host


def _set(home: Home) -> bool:
    """Whether the settings had to be told. What stands in the file stays as it is."""
    path, said = home.path / FILE, read_file(home.path / FILE)
    if "tls" in said:
        return False
    section = {"tls": dict(settings_section(home))}
    text = _text(path) + _WRITTEN + yaml.safe_dump(section, sort_keys=False)
    if _parsed(text) != {**said, **section}:
        raise ConfigurationError(f"{path} cannot be added to.", hint=f"Add to it: {section}")
    home.write(FILE, text.encode())
    return True


def _text(path: Path) -> str:
    text = path.read_text() if path.exists() else ""
    return text if not text or text.endswith("\n") else f"{text}\n"


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return document if isinstance(document, dict) else None
