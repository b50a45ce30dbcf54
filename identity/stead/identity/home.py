"""The state directory: where a network keeps its addresses, keys and databases.

`$STEAD_HOME`, else `.stead/` in the working directory; mode 0700. Keys are per workload, made once, shared by replicas.
"""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from stead.identity.errors import ConfigurationError
from stead.identity.types import Json


@dataclass(frozen=True)
class Network:
    """Where everything of one network listens: origins, chosen at the first start and reused ever after."""

    web: str
    broker: str
    trail: str
    corporate_idp: str
    bank_idp: str
    agents: Mapping[str, str] = field(default_factory=dict)
    mcp_servers: Mapping[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Mapping[str, str]:
        """Where each service that is called with tokens listens, by its client id."""
        agents = {f"{name.replace('_', '-')}-agent": url for name, url in self.agents.items()}
        servers = {f"{name.replace('_', '-')}-mcp": url for name, url in self.mcp_servers.items()}
        return {"broker": self.broker, "trail": self.trail, **agents, **servers}


class Home:
    """One state directory. Whatever is asked for and not there yet is made, readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def current(cls) -> "Home":
        """The directory that the environment names."""
        return cls(Path(os.environ.get("STEAD_HOME") or ".stead").absolute())

    @cached_property
    def network(self) -> Network:
        """The recorded addresses. Raises `ConfigurationError` when no network was started here."""
        try:
            return Network(**json.loads((self.path / "network.json").read_text()))
        except FileNotFoundError:
            raise ConfigurationError(
                f"No network is recorded in {self.path}.", hint="Start one with `stead demo`, or set STEAD_HOME."
            ) from None
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"{self.path / 'network.json'} is not readable.", hint="Start anew with `stead demo --fresh`."
            ) from None

    def record(self, network: Network) -> None:
        """Writes the addresses down, whole or not at all."""
        self._write("network.json", json.dumps(asdict(network), indent=2).encode())
        self.__dict__.pop("network", None)

    def write(self, name: str, content: bytes) -> None:
        """Puts a file of this name in the place of what was there, whole or not at all, for us alone to read."""
        self._write(name, content)

    def key(self, name: str) -> ECKey:
        """The ES256 key of a workload or issuer, with its thumbprint as `kid`; made at the first call."""
        stored = self._once(f"keys/{name}.json", _new_key)
        try:
            return ECKey.import_key(json.loads(stored))
        except (ValueError, KeyError, JoseError):
            raise ConfigurationError(
                f"The key of {name} in the state directory is not readable.", hint="Put the file back, or start anew."
            ) from None

    def public_key(self, name: str) -> Json | None:
        """The public half of a key that was made here, as a JWK; None where none was."""
        path = self.path / f"keys/{name}.json"
        return public_jwk(self.key(name)) if path.exists() else None

    def made_once(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What the file of this name holds; `make` makes it at the first call, whoever is first."""
        return self._once(name, make)

    def secret(self, name: str) -> bytes:
        """32 random bytes, made at the first call."""
        return self._once(f"secrets/{name}", lambda: secrets.token_bytes(32))

    def secrets(self, name: str) -> list[bytes]:
        """All secrets of that name that are not retired, newest first; one is made when there is none."""
        return self.kept_secrets(name) or [self.secret(name)]

    def kept_secrets(self, name: str) -> list[bytes]:
        """The same, and none where none was made."""
        return [path.read_bytes() for path in self._secrets(name)]

    def first_secret(self, name: str) -> bytes | None:
        """The secret that `secret` made; None where it was not, or is retired."""
        path = self.path / "secrets" / name
        return path.read_bytes() if path.exists() else None

    def renew_secret(self, name: str) -> None:
        """Makes a newer secret of that name; the older ones stay, until they are retired."""
        newest = _number(self._secrets(name)[0]) if self._secrets(name) else 0
        self._write(f"secrets/{name}.{newest + 1}", secrets.token_bytes(32), replace=False)

    def retire_secrets(self, name: str) -> None:
        """Deletes all but the newest secret of that name."""
        for path in self._secrets(name)[1:]:
            path.unlink(missing_ok=True)

    def _secrets(self, name: str) -> list[Path]:
        folder = self._folder("secrets")
        numbered = [path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdecimal()]
        first = [folder / name] if (folder / name).exists() else []
        return sorted([*numbered, *first], key=_number, reverse=True)

    def database(self, name: str) -> Path:
        """The path of a SQLite database; its folder exists."""
        return self._folder("data") / f"{name}.db"

    @property
    def policies(self) -> Path:
        """Where whoever runs the network puts rules of their own; not there unless they made it."""
        return self.path / "policies"

    def folder(self, name: str) -> Path:
        """A folder of this name, made if need be."""
        return self._folder(name)

    def _once(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self.path / name
        if not path.exists():
            self._write(name, make(), replace=False)
        return path.read_bytes()

    def _write(self, name: str, content: bytes, *, replace: bool = True) -> None:
        """Atomic, and where two processes race for the same name the first one wins unless `replace`."""
        target = self._folder(str(Path(name).parent)) / Path(name).name
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(target)
            return
        try:
            os.link(draft, target)
        except FileExistsError:
            pass
        finally:
            draft.unlink()

    def _folder(self, name: str) -> Path:
        folder = self.path / name
        try:
            # Parents that mkdir makes on the way get the default mode, so the directory itself comes first.
            for each in (self.path, folder):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{folder} cannot be made: {error.strerror}.", hint="Set STEAD_HOME to a directory of your own."
            ) from None
        return folder


def public_jwk(key: ECKey) -> Json:
    """The public half of a signing key as it is published (RFC 7517)."""
    return {**key.as_dict(private=False), "alg": "ES256", "use": "sig"}


def quiet_a2a() -> None:
    """Turns the A2A SDK's own spans off, unless somebody turned them on: with no exporter they cost a fifth of a call.

    It has to happen before the SDK is imported.
    """
    os.environ.setdefault("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", "false")


def variables(prefix: str) -> frozenset[str]:
    """The names of the environment variables that begin so."""
    return frozenset(name for name in os.environ if name.startswith(prefix))


def vault_keys_of_environment() -> list[str]:
    """The keys of `STEAD_VAULT_KEYS`, separated by spaces or commas, newest first."""
    return os.environ.get("STEAD_VAULT_KEYS", "").replace(",", " ").split()


def _number(path: Path) -> int:
    return int(path.suffix[1:]) if path.suffix[1:].isdecimal() else 1


def _new_key() -> bytes:
    key = ECKey.generate_key("P-256")
    document = {**key.as_dict(private=True), "alg": "ES256", "use": "sig", "kid": key.thumbprint()}
    return json.dumps(document).encode()
