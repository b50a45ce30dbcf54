"""`stead idp`: what another identity provider must be told before the network can live on it."""

import json as jsonlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml

from stead.demo.cli.output import emit, say, tell
from stead.demo.idp import auth0, entra, keycloak, okta
from stead.demo.idp.demand import Demand, demand_of
from stead.demo.network.addresses import network_of
from stead.identity.certificates import certified
from stead.identity.clock import system_clock
from stead.identity.errors import InvalidRequest
from stead.identity.home import Home
from stead.identity.server.keyring import KeyRing
from stead.identity.types import Json

Files = Mapping[str, str]


def setup(product: str, issuer: str, out: Path, *, json: bool) -> None:
    """Writes the provider's side and ours into a folder."""
    write = _PRODUCTS.get(product)
    if write is None:
        raise InvalidRequest(f"There is no set-up for {product!r}.", hint=f"There is one for {', '.join(_PRODUCTS)}.")
    home = Home.current()
    network_of(home)
    files = write(home, issuer)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text)
    if json:
        emit({"files": [str(out / name) for name in files]})
        return
    for name in files:
        say(str(out / name))
    tell(f"Give the first to the provider. Then copy stead.yaml into {home.path}, and start: stead demo")


def _keycloak(home: Home, issuer: str) -> Files:
    demand = demand_of(home, issuer)
    realm = keycloak.realm_of(demand, issuer)
    return {
        f"{realm['realm']}-realm.json": jsonlib.dumps(realm, indent=2),
        "stead.yaml": _yaml(keycloak.settings_of(demand, issuer)),
    }


def _auth0(home: Home, issuer: str) -> Files:
    demand = demand_of(home, issuer)
    return {"auth0-setup.sh": auth0.script_of(demand, issuer, _certificates(home, demand))}


def _entra(home: Home, issuer: str) -> Files:
    demand = demand_of(home, issuer)
    vouched = {name: made for name, made in _certificates(home, demand).items() if name not in demand.platforms}
    return {"entra-setup.sh": entra.script_of(demand, issuer, vouched)}


def _certificates(home: Home, demand: Demand) -> dict[str, bytes]:
    return {one.client_id: certified(home, one.client_id).certificate for one in demand.clients if one.key}


def _okta(home: Home, issuer: str) -> Files:
    demand = demand_of(home, issuer)
    return {"okta-setup.sh": okta.script_of(demand, issuer), "stead.yaml": _yaml(okta.settings_of(demand, issuer))}


def _yaml(settings: Json) -> str:
    return yaml.safe_dump(settings, sort_keys=False)


_PRODUCTS: Mapping[str, Callable[[Home, str], Files]] = {
    "auth0": _auth0,
    "entra": _entra,
    "keycloak": _keycloak,
    "okta": _okta,
}


def rotate_keys(which: str, *, at_once: bool, json: bool) -> None:
    """Makes the next signing key of an embedded provider."""
    if which not in ("corporate", "bank"):
        raise InvalidRequest(f"There is no embedded provider {which!r}.", hint="There are corporate and bank.")
    made = KeyRing(Home.current(), f"issuer-{which}").rotate(system_clock(), at_once=at_once)
    since = datetime.fromtimestamp(made.since, UTC).strftime("%H:%M:%S UTC")
    if json:
        emit({"key": made.name, "since": made.since, "at_once": at_once})
    else:
        say(f"{made.name} signs from {since}.")
