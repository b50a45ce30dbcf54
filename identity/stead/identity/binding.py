"""Whether a request proves to have the key that its token is bound to (RFC 9449 s7.1, RFC 8705 s3)."""

from typing import Literal

from stead.identity.clock import Clock
from stead.identity.confirmation import JKT, X5T, Confirmation
from stead.identity.dpop import check_proof
from stead.identity.errors import InvalidProof, InvalidToken
from stead.identity.nonces import Nonces
from stead.identity.presented import Presented
from stead.identity.replay import Replays
from stead.identity.values import AccessToken

Binding = Literal["off", "effects", "always"]
"""Which calls take a bound token only: none, those with effects, or all."""


def is_wanted(binding: Binding, *, effects: bool) -> bool:
    """Whether a call, with effects or without, takes a bound token only."""
    return binding == "always" or (binding == "effects" and effects)


class Bindings:
    """Checks each request anew: a token may be remembered as true, a proof never is."""

    def __init__(self, replays: Replays, clock: Clock, nonces: Nonces | None = None) -> None:
        self._replays = replays
        self._nonces = nonces
        self._clock = clock

    def check(self, confirmation: Confirmation | None, token: AccessToken, presented: Presented | None) -> None:
        """Raises `InvalidProof`, or `InvalidToken` where a token was sent as what it is not."""
        if confirmation is None:
            _check_unbound(presented)
        elif presented is None:
            raise InvalidProof("The token is bound to a key, and nothing proves that its bearer has the key.")
        elif confirmation.method == X5T:
            _check_certificate(confirmation, presented)
        else:
            self._check_proof(confirmation, token, presented)

    def _check_proof(self, confirmation: Confirmation, token: AccessToken, presented: Presented) -> None:
        if presented.scheme != "dpop" or presented.proof is None:
            # RFC 9449 s7.2: a bound token that is let in as a bearer token is a bearer token.
            raise InvalidProof(
                "The token is bound to a key, and came without proof of it.", hint="RFC 9449, section 7."
            )
        proof = check_proof(presented.proof, presented.method, presented.url, self._clock(), token=token)
        if confirmation.method != JKT or proof.thumbprint != confirmation.thumbprint:
            raise InvalidProof("The DPoP proof is made with another key than the token is bound to.")
        if self._nonces is not None:
            self._nonces.require(proof.nonce)
        self._replays.spend(proof.thumbprint, proof.jti, proof.until)


def _check_unbound(presented: Presented | None) -> None:
    if presented is not None and (presented.scheme == "dpop" or presented.proof is not None):
        raise InvalidToken("The token is not bound to a key, and was sent as if it were.", hint="Send it as Bearer.")


def _check_certificate(confirmation: Confirmation, presented: Presented) -> None:
    if presented.scheme != "bearer" or presented.certificate != confirmation.thumbprint:
        raise InvalidToken("The token is bound to another certificate than the connection shows.")
