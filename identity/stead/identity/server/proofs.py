"""DPoP at this issuer (RFC 9449): a proof is checked once, spent once, and decides to which key a token is bound."""

from sqlalchemy.dialects.sqlite import insert

from stead.identity.confirmation import JKT, X5T, Confirmation
from stead.identity.dpop import check_proof
from stead.identity.errors import InvalidProof, NonceRequired
from stead.identity.server import schema
from stead.identity.server.calls import Call
from stead.identity.server.errors import Refused, invalid_grant
from stead.identity.server.issuer import Issuer
from stead.identity.values import AccessToken


def proven_key(issuer: Issuer, call: Call, token: AccessToken | None = None) -> str | None:
    """The thumbprint of the key that the call proves to have; None without a proof. Raises `Refused` (s5)."""
    text = call.headers.get("dpop")
    if text is None:
        return None
    try:
        proof = check_proof(text, call.method, issuer.settings.url(call.path), issuer.now(), token=token)
        if issuer.nonces is not None:
            issuer.nonces.require(proof.nonce)
    except NonceRequired as error:
        nonce = str(error.details["nonce"])
        raise Refused(error.code, error.description, hint=error.hint, nonce=nonce) from None
    except InvalidProof as error:
        raise invalid_proof(error.description, hint=error.hint) from None
    row = {"thumbprint": proof.thumbprint, "jti": proof.jti, "expires": proof.until}
    if issuer.store.run(insert(schema.proofs).values(row).on_conflict_do_nothing()) != 1:
        raise invalid_proof("The DPoP proof was used before.", hint="Make a proof for each request.")
    return proof.thumbprint


def confirmed(issuer: Issuer, call: Call) -> Confirmation | None:
    """What the call proves to have: the key of its DPoP proof, else the certificate of its connection (RFC 8705 s3)."""
    key = proven_key(issuer, call)
    if key is not None:
        return Confirmation(JKT, key)
    return None if call.certificate is None else Confirmation(X5T, call.certificate)


def require_key(bound_to: str | None, proven: str | None) -> None:
    """Raises `Refused` where something was bound to a key and the call proves another, or none (s5, s10)."""
    if bound_to is not None and bound_to != proven:
        raise invalid_grant("This is bound to a key that the request does not prove to have.", hint="Send its proof.")


def invalid_proof(description: str, *, hint: str | None = None) -> Refused:
    """RFC 9449 s5: the proof is not a proof for this request."""
    return Refused("invalid_dpop_proof", description, hint=hint)
