"""A plan leads by an allow-list: where the authorization server gave this broker no edge, it never goes."""

from types import SimpleNamespace
from typing import Any

import pytest

from stead.broker.errors import EdgesUnknown
from stead.broker.registry.edges import EDGES_ENDPOINT, Edges
from tests.broker.candidates import ALL, PORTFOLIO, SEND, TREND

EDGE = ("http://portfolio:1", "portfolio:read", "obo")


def workload() -> Any:
    """One whose issuer tells a client its edges."""

    async def metadata() -> Any:
        return SimpleNamespace(document={EDGES_ENDPOINT: "http://idp:1/edges"})

    return SimpleNamespace(clock=lambda: 0.0, metadata=metadata)


def edges(*known: tuple[str, str, str]) -> Edges:
    return Edges(workload(), frozenset(known), _until=1.0)


async def test_a_target_without_an_edge_is_never_planned_with() -> None:
    assert await edges().allow(ALL) == ()
    assert await edges(EDGE).allow(ALL) == (PORTFOLIO,)


@pytest.mark.parametrize(
    "edge",
    [
        ("http://portfolio:1", "portfolio:read", "s2s"),
        ("http://portfolio:1", "portfolio:write", "obo"),
        ("http://portfolio:1/", "portfolio:read", "obo"),
        ("http://portfolio:2", "portfolio:read", "obo"),
        ("https://portfolio:1", "portfolio:read", "obo"),
        ("http://transfer:1", "portfolio:read", "obo"),
    ],
)
async def test_an_edge_to_something_else_is_none(edge: tuple[str, str, str]) -> None:
    assert await edges(edge).allow((PORTFOLIO, TREND, SEND)) == ()


async def test_edges_that_nobody_told_are_not_taken_for_all() -> None:
    with pytest.raises(EdgesUnknown):
        await Edges(workload(), None, _until=1.0).allow(ALL)
