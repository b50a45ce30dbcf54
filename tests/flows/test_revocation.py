"""RFC 7009, with the values of its section 2.1."""

from typing import Any

import pytest

from stead.identity.errors import GrantRefused, ProviderUnavailable
from stead.identity.flows import revoke
from stead.identity.values import AccessToken, RefreshToken


def test_the_request_names_the_token_and_its_kind(client: Any, metadata: Any, now: Any, form_of: Any) -> None:
    form = dict(form_of(next(revoke(client, metadata, RefreshToken("45ghiukldjahdnhzdauz"), now=now))))
    assert (form["token"], form["token_type_hint"]) == ("45ghiukldjahdnhzdauz", "refresh_token")
    form = dict(form_of(next(revoke(client, metadata, AccessToken("a"), now=now))))
    assert form["token_type_hint"] == "access_token"


def test_any_200_is_a_success_whatever_it_says(client: Any, metadata: Any, now: Any, finish: Any, answer: Any) -> None:
    finish(revoke(client, metadata, RefreshToken("r"), now=now), answer(b"", content_type=""))


def test_a_refusal_is_raised(client: Any, metadata: Any, now: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(GrantRefused, match="unsupported_token_type"):
        finish(revoke(client, metadata, RefreshToken("r"), now=now), answer({"error": "unsupported_token_type"}, 400))


def test_a_failing_server_is_unavailable(client: Any, metadata: Any, now: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(revoke(client, metadata, RefreshToken("r"), now=now), answer({}, 503))
