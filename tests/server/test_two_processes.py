"""What is good once is good once, also where two processes of one issuer are asked at the same moment."""

from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from stead.identity.server.approvals import keep_approval, redeem_approval
from stead.identity.server.authorization import ACR_PASSWORD, AMR_PASSWORD, Authorization, Code
from stead.identity.server.calls import Parameters
from stead.identity.server.clients import Client, add_client, find_client
from stead.identity.server.codes import claim_code, new_code, push_request, take_pushed
from stead.identity.server.errors import Refused
from stead.identity.server.issued import find_refresh, new_family, new_refresh_token, spend_refresh
from stead.identity.server.seeding import public_jwks
from stead.identity.server.store import Store
from tests.server.racing import Racing, Use, within
from tests.server.world import PAYMENT

NOW = 1_000.0
ALICE = Authorization("alice", "sid", 900, ("openid",), (), ACR_PASSWORD, AMR_PASSWORD)


def approval(store: Store) -> Use:
    kept = keep_approval(store, "alice", "transfer-agent", asked=(dict(PAYMENT),), granted=(), expires=NOW + 60)
    return lambda at: redeem_approval(at, kept.consent_id, "family", NOW)


def code(store: Store) -> Use:
    family = new_family(store, NOW + 60)
    text = new_code(store, "web", Code("http://a/", "c", None, family, ALICE), NOW + 60)

    def use(at: Store) -> bool:
        try:
            return bool(claim_code(at, text, "web", NOW))
        except Refused:
            return False

    return use


def pushed(store: Store) -> Use:
    reference = push_request(store, "web", Parameters({"scope": ("openid",)}), NOW + 60)
    return lambda at: take_pushed(at, reference, "web", NOW) is not None


def refresh(store: Store) -> Use:
    text = new_refresh_token(store, "web", new_family(store, NOW + 60), ALICE, NOW + 60)

    def use(at: Store) -> bool:
        found = find_refresh(at, text)
        return found is not None and spend_refresh(at, found, NOW)

    return use


def name(store: Store) -> Use:
    def use(at: Store) -> bool:
        key = ECKey.generate_key("P-256")
        free = find_client(at, "hello-agent") is None
        return free and add_client(at, Client("hello-agent", "Hello", public_jwks(key)), NOW)

    return use


@pytest.mark.parametrize("make", [approval, code, pushed, refresh, name])
def test_a_race_of_two_processes_for_what_is_good_once_has_one_winner(
    tmp_path: Path, make: Callable[[Store], Use]
) -> None:
    path = tmp_path / "issuer.db"
    first = Store(path)
    with first.transaction():
        use = make(first)
    won: list[bool] = []
    second = Racing(path, lambda: won.append(within(first, use)))
    won.append(within(second, use))
    for store in (first, second):
        store.close()
    assert sorted(won) == [False, True]
