"""Asking a decision point over HTTP (OpenID AuthZEN Authorization API 1.0 s9 and s10)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from stead.identity.errors import ProviderUnavailable
from stead.identity.flows.wire import origin, parse_json, unusable
from stead.identity.types import Flow, Json, Request

WELL_KNOWN = "/.well-known/authzen-configuration"
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"

_NOT_THERE = 404

Credential = Callable[[str, str], Mapping[str, str]]
"""The headers that show who asks, for a method and an address."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a decision point answers one question, and several; not every one answers several."""

    evaluation: str
    evaluations: str | None


def find_endpoints(point: str) -> Flow[Endpoints]:
    """What the decision point says of itself (s9); the paths of the standard where it says nothing.

    Raises `ProviderUnavailable`, also for one that speaks for another, or sends its callers elsewhere.
    """
    address = _well_known(point)
    response = yield Request("GET", address, {"accept": "application/json"})
    if response.status == _NOT_THERE:
        return Endpoints(f"{point}{EVALUATION}", f"{point}{EVALUATIONS}")
    if response.status != 200:
        raise unusable(point, f"metadata with status {response.status}")
    said = parse_json(response, point)
    if said.get("policy_decision_point") != point:
        raise unusable(point, "its metadata speaks for another decision point")
    evaluations = said.get("access_evaluations_endpoint")
    return Endpoints(
        _there(said.get("access_evaluation_endpoint"), point),
        None if evaluations is None else _there(evaluations, point),
    )


def ask(endpoint: str, question: Json, credential: Credential) -> Flow[Json]:
    """The answer to one question or to several (s10.1). Raises `ProviderUnavailable` where there is none."""
    headers = {"accept": "application/json", **credential("POST", endpoint)}
    response = yield Request("POST", endpoint, headers, json=question)
    if response.status != 200:
        # Even a 403 is about who asks here, not about whom is asked (s10.1.2): no answer.
        raise ProviderUnavailable(
            "The decision point did not answer.", hint="Try again in a moment.", debug=f"{endpoint}: {response.status}"
        )
    return parse_json(response, endpoint)


def _well_known(point: str) -> str:
    """The well-known part stands before the path, as in RFC 8414 s3.1."""
    parts = urlsplit(point)
    return urlunsplit((parts.scheme, parts.netloc, WELL_KNOWN + parts.path, "", ""))


def _there(endpoint: object, point: str) -> str:
    if isinstance(endpoint, str) and origin(endpoint) == origin(point):
        return endpoint
    raise unusable(point, "its metadata names no endpoint of its own")
