"""How surely somebody signed in at Keycloak: level 1 by password, level 2 by a second factor besides.

Their names (`acr`) are those of our own provider, so that rules stay as they are. Without being asked for more, people
sign in at level 1. A request with `acr_values` for level 2 asks who is signed in already for the second factor alone,
and those who have none yet to set one up. An exchange forgets that in `acr`; when the session reached each level is
told by the claim `levels`, in every token of it.
"""

import json

from stead.identity.server.authorization import ACR_MFA, ACR_PASSWORD
from stead.identity.types import Json

FLOW = "stead browser"
NAMES = {1: ACR_PASSWORD, 2: ACR_MFA}
LASTS = {1: 8 * 3600, 2: 900}
"""Seconds for which a level counts once a session has reached it."""


def settings() -> Json:
    """The same, as our settings say it of an issuer."""
    return {str(level): {"acr": name, "lasts": LASTS[level]} for level, name in NAMES.items()}


def levels() -> Json:
    """The members of a realm that make it so."""
    return {
        "attributes": {"acr.loa.map": json.dumps({name: level for level, name in NAMES.items()})},
        "browserFlow": FLOW,
        "authenticationFlows": [
            _flow(FLOW, _step("auth-cookie", "ALTERNATIVE"), _within("stead levels", "ALTERNATIVE"), top=True),
            _flow("stead levels", _within("stead password"), _within("stead second factor")),
            _flow("stead password", _condition(1), _step("auth-username-password-form")),
            _flow("stead second factor", _condition(2), _step("auth-otp-form")),
        ],
        "authenticatorConfig": [
            {"alias": _named(level), "config": {"loa-condition-level": str(level), "loa-max-age": str(lasts)}}
            for level, lasts in LASTS.items()
        ],
    }


def _flow(alias: str, *steps: Json, top: bool = False) -> Json:
    placed = [{**step, "priority": 10 * place} for place, step in enumerate(steps, 1)]
    kind = {"providerId": "basic-flow", "topLevel": top, "builtIn": False}
    return {"alias": alias, **kind, "authenticationExecutions": placed}


def _step(authenticator: str, requirement: str = "REQUIRED") -> Json:
    return {"authenticator": authenticator, "authenticatorFlow": False, "requirement": requirement}


def _within(alias: str, requirement: str = "CONDITIONAL") -> Json:
    return {"flowAlias": alias, "authenticatorFlow": True, "requirement": requirement}


def _condition(level: int) -> Json:
    return {**_step("conditional-level-of-authentication"), "authenticatorConfig": _named(level)}


def _named(level: int) -> str:
    return f"stead level {level}"
