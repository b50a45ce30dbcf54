"""At the door: a bound token goes with its proof, and no other way. A stolen one is of no use."""

from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from stead.identity.dpop import sign_proof
from stead.identity.values import AccessToken
from stead.identity.verifier import Verifier
from tests.identity.conftest import NOW, PAY, READ


@dataclass
class Bearer:
    """Somebody with a bound token, and the key to it."""

    door: Any
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))

    def __post_init__(self) -> None:
        self.door.more = {"binding": "effects"}
        self.token = AccessToken(self.door.issuer.token(cnf={"jkt": self.key.thumbprint()}))
        self.client = self.door.client()

    def proof(self, **changes: Any) -> str:
        said = {
            "key": self.key,
            "method": "POST",
            "url": f"{self.door.issuer.audience}/",
            "token": self.token,
            **changes,
        }
        return sign_proof(said["key"], said["method"], said["url"], NOW, token=said["token"])

    async def ask(self, *proofs: str, scheme: str = "DPoP", resource: str = PAY, token: str | None = None) -> Any:
        sent = [("authorization", f"{scheme} {token or self.token.reveal()}"), *(("dpop", proof) for proof in proofs)]
        return await self.client.post("/", json={"do": resource}, headers=sent)

    def refused(self, answer: httpx.Response, code: str) -> None:
        assert answer.status_code == 401, answer.text
        challenge = answer.headers["www-authenticate"]
        assert f'error="{code}"' in challenge
        assert self.door.app.scopes == []


@pytest.fixture
def alice(door: Any) -> Bearer:
    return Bearer(door)


async def test_a_bound_token_with_its_proof_is_let_in(alice: Bearer) -> None:
    assert (await alice.ask(alice.proof())).status_code == 200
    assert (await alice.ask(alice.proof())).status_code == 200


async def test_the_app_and_its_policy_know_whether_the_token_was_bound(alice: Bearer) -> None:
    await alice.ask(alice.proof(), resource=READ)
    await alice.ask(scheme="Bearer", resource=READ, token=alice.door.issuer.token())
    assert [scope["user"].bound for scope in alice.door.app.scopes] == [True, False]


async def test_the_app_sees_neither_token_nor_proof(alice: Bearer) -> None:
    await alice.ask(alice.proof())
    (scope,) = alice.door.app.scopes
    assert {name for name, _ in scope["headers"]}.isdisjoint({b"authorization", b"dpop"})
    assert scope["user"].confirmation.thumbprint == alice.key.thumbprint()


@pytest.mark.parametrize("warm", [False, True], ids=["first seen", "remembered"])
async def test_a_stolen_token_without_a_proof_is_of_no_use(alice: Bearer, warm: bool) -> None:
    if warm:
        await alice.ask(alice.proof())
        alice.door.app.scopes.clear()
    for scheme in ("DPoP", "Bearer"):
        alice.refused(await alice.ask(scheme=scheme), "invalid_dpop_proof")


async def test_a_stolen_token_with_the_thiefs_own_proof_is_of_no_use(alice: Bearer) -> None:
    thief = ECKey.generate_key("P-256")
    alice.refused(await alice.ask(alice.proof(key=thief)), "invalid_dpop_proof")


async def test_a_bound_token_is_not_downgraded_to_a_bearer_token(alice: Bearer) -> None:
    alice.refused(await alice.ask(alice.proof(), scheme="Bearer"), "invalid_dpop_proof")
    alice.refused(await alice.ask(scheme="Bearer", resource=READ), "invalid_dpop_proof")


async def test_a_replayed_proof_is_refused(alice: Bearer) -> None:
    proof = alice.proof()
    assert (await alice.ask(proof)).status_code == 200
    alice.door.app.scopes.clear()
    alice.refused(await alice.ask(proof), "invalid_dpop_proof")


async def test_a_proof_for_another_request_is_refused(alice: Bearer) -> None:
    for changes in ({"method": "GET"}, {"url": f"{alice.door.issuer.audience}/other"}, {"url": "http://here/"}):
        alice.refused(await alice.ask(alice.proof(**changes)), "invalid_dpop_proof")


async def test_a_proof_for_another_token_is_refused(alice: Bearer) -> None:
    alice.refused(await alice.ask(alice.proof(token=AccessToken("another"))), "invalid_dpop_proof")


async def test_two_proofs_are_refused(alice: Bearer) -> None:
    alice.refused(await alice.ask(alice.proof(), alice.proof()), "invalid_dpop_proof")


async def test_an_unbound_token_moves_nothing_and_is_told_what_would(alice: Bearer) -> None:
    answer = await alice.ask(scheme="Bearer", token=alice.door.issuer.token())
    alice.refused(answer, "invalid_token")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("DPoP ")
    assert 'algs="ES256 ' in challenge
    (event,) = alice.door.events()
    assert (event["decision"], event["code"]) == ("deny", "invalid_token")


async def test_an_unbound_token_still_reads(alice: Bearer) -> None:
    assert (await alice.ask(scheme="Bearer", resource=READ, token=alice.door.issuer.token())).status_code == 200


async def test_an_unbound_token_is_not_passed_off_as_a_bound_one(alice: Bearer) -> None:
    unbound = AccessToken(alice.door.issuer.token())
    answer = await alice.ask(alice.proof(token=unbound), token=unbound.reveal(), resource=READ)
    alice.refused(answer, "invalid_token")
    answer = await alice.ask(alice.proof(token=unbound), token=unbound.reveal(), scheme="Bearer", resource=READ)
    alice.refused(answer, "invalid_token")


async def test_an_issuer_that_binds_nothing_is_let_pay_by_a_bearer_token_and_only_that_issuer(door: Any) -> None:
    alice, unbound = Bearer(door), door.issuer.token()
    alice.refused(await alice.ask(scheme="Bearer", resource=PAY, token=unbound), "invalid_token")
    trusted = [replace(issuer, binds=False) for issuer in door.verifier.issuers]
    door.verifier = Verifier(trusted, door.issuer.audience, door.web, door.clock)
    alice.client = door.client()
    assert (await alice.ask(scheme="Bearer", resource=PAY, token=unbound)).status_code == 200
    door.app.scopes.clear()
    alice.refused(await alice.ask(scheme="Bearer", resource=PAY), "invalid_dpop_proof")


async def test_one_setting_asks_for_proof_of_everything(door: Any) -> None:
    alice = Bearer(door)
    door.more = {"binding": "always"}
    alice.client = door.client()
    unbound = door.issuer.token()
    alice.refused(await alice.ask(scheme="Bearer", resource=READ, token=unbound), "invalid_token")
    poll = await alice.client.post("/", json={}, headers={"authorization": f"Bearer {unbound}"})
    alice.refused(poll, "invalid_token")
    assert (await alice.ask(alice.proof(), resource=READ)).status_code == 200


@pytest.mark.parametrize(
    "cnf",
    [{}, {"jkt": "short"}, {"jkt": 7}, {"x5c": ["a"]}, {"jwk": {}}, {"jkt": "a" * 43, "kid": "k"}, [], "jkt"],
    ids=str,
)
async def test_a_binding_that_is_not_known_is_refused(door: Any, cnf: object) -> None:
    alice = Bearer(door)
    alice.refused(await alice.ask(alice.proof(), token=door.issuer.token(cnf=cnf)), "invalid_token")
