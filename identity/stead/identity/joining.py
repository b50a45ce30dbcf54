"""How a process that nobody set up beforehand becomes part of a running network.

It makes its key, takes an address of its own, and registers as a client (RFC 7591) with the initial access token that
lies in the state directory. That gives it a name and nothing else: audience, scopes and edges are added by a person
with `registry:admin` (`stead registry add URL`). What the first start settled is recorded and reused.
"""

import json
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from stead.identity.driver import bare_client, drive
from stead.identity.errors import ConfigurationError
from stead.identity.flows.discovery import discover
from stead.identity.flows.registration import register
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.types import Json
from stead.identity.values import AccessToken

Kind = Literal["agent", "mcp"]

_FIRST_ADDRESS, _LAST_ADDRESS = 32, 254
"""Each joiner has its own loopback address, because cookies reach every port of a host; below are the network's own."""

_TIMEOUT = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Joined:
    """Where a process serves, and who it is at `issuer`. Its key is `home.key(client_id)`."""

    url: str
    client_id: str
    issuer: str


async def join(
    name: str, kind: Kind, home: Home, *, scopes: Iterable[str] = (), redirect_uris: Iterable[str] = ()
) -> Joined:
    """Joins the network recorded in `home` as client `<name>-<kind>`; later calls return what the first one settled.

    An underscore in `name` is a hyphen in the client id. `scopes` are the ones the client will ask for. Raises
    `ConfigurationError` when no network is recorded, and the `GrantRefused` family when the authorization server does
    not register the client (RFC 7591 s3.2.2).
    """
    client_id, issuer = f"{name.replace('_', '-')}-{kind}", home.network.corporate_idp
    known = _recorded(home, client_id)
    joined = Joined(known.url if known else _own_address(home), client_id, issuer)
    if known != joined:
        metadata = _metadata(home, joined, scopes, redirect_uris)
        await _register(issuer, metadata, initial_access_token(home), Settings.load(home).believed())
        _record(home, joined)
    # A warning, because until somebody does this nobody can call it.
    log.warning("%s is at %s. Let it in: stead registry add %s --as admin", client_id, joined.url, joined.url)
    return joined


def joined_url(home: Home, client_id: str) -> str | None:
    """Where somebody who joined this network serves; None for who did not."""
    known = _recorded(home, client_id)
    return None if known is None or known.issuer != home.network.corporate_idp else known.url


def joined_names(home: Home) -> frozenset[str]:
    """Everybody who joined this network, by client id."""
    return frozenset(path.stem for path in (home.path / "joined").glob("*.json"))


def initial_access_token(home: Home) -> AccessToken:
    """What lets whoever can read the state directory register a client (RFC 7591 s3); the issuer compares with it."""
    return AccessToken(home.secret("initial-access-token").hex())


async def _register(issuer: str, metadata: Json, token: AccessToken, believed: ssl.SSLContext) -> None:
    async with bare_client(_TIMEOUT, believed) as client:
        endpoints = await drive(discover(issuer), client)
        registered = await drive(register(endpoints, metadata, token), client)
    if registered.client_id != metadata["client_name"]:
        raise ConfigurationError(
            f"{issuer} registered {metadata['client_name']} under another name.", hint="Choose a name that is free."
        )


def _metadata(home: Home, joined: Joined, scopes: Iterable[str], redirect_uris: Iterable[str]) -> Json:
    """RFC 7591 s2. Only the public half of the key leaves the state directory."""
    return {
        "client_name": joined.client_id,
        "client_uri": joined.url,
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "redirect_uris": list(redirect_uris),
        "scope": " ".join(scopes),
        "jwks": {"keys": [home.key(joined.client_id).as_dict(private=False)]},
    }


def _path(home: Home, client_id: str) -> Path:
    return home.folder("joined") / f"{client_id}.json"


def _recorded(home: Home, client_id: str) -> Joined | None:
    try:
        return Joined(**json.loads(_path(home, client_id).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"The record of {client_id} in the state directory is not readable.", hint="Remove it to join anew."
        ) from None


def _record(home: Home, joined: Joined) -> None:
    path = _path(home, joined.client_id)
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    draft.write_text(json.dumps(asdict(joined), indent=2))
    draft.chmod(0o600)
    os.replace(draft, path)


def _own_address(home: Home) -> str:
    """An origin nobody else has: an address of its own where the system binds it, else a port on 127.0.0.1."""
    taken = {json.loads(path.read_text())["url"].split(":")[1] for path in home.folder("joined").glob("*.json")}
    hosts = (f"127.0.0.{last}" for last in range(_FIRST_ADDRESS, _LAST_ADDRESS))
    host = next((host for host in hosts if f"//{host}" not in taken), "127.0.0.1")
    port, scheme = _free_port(host), urlsplit(home.network.corporate_idp).scheme
    return f"{scheme}://{host}:{port}" if port else f"{scheme}://127.0.0.1:{_free_port('127.0.0.1')}"


def _free_port(host: str) -> int | None:
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return None
        return int(probe.getsockname()[1])
