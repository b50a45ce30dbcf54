"""A token checked for the first time and again, beside what the libraries alone need for its signature."""

import base64
import time

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt

from benchmarks.identity.tokens import KEY, KEYS, token, verifier
from benchmarks.measure import Effort, progress, report, side_by_side
from stead.identity.values import AccessToken
from stead.identity.verification import TokenPolicy, verify

ISSUER, AUDIENCE = "http://127.0.0.2:9001", "http://127.0.0.5:9002"


async def run(effort: Effort) -> None:
    """Cold, warm, joserfc, raw."""
    progress("verification, cold and warm, beside joserfc and cryptography")
    text, checks, policy = token(ISSUER, AUDIENCE), verifier(ISSUER, AUDIENCE), TokenPolicy(ISSUER, AUDIENCE)
    registry = jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}, aud={"essential": True})
    message, signature = _parts(text)
    public = KEY.get_op_key("verify")

    async def cold() -> None:
        verify(text, KEYS, policy, time.time())

    async def warm() -> None:
        await checks.verify(AccessToken(text))

    async def joserfc() -> None:
        registry.validate(jwt.decode(text, KEY, algorithms=["ES256"]).claims)

    async def raw() -> None:
        public.verify(signature, message, ECDSA(SHA256()))

    cold_us, warm_us, joserfc_us, raw_us = await side_by_side(effort, 400, cold, warm, joserfc, raw)
    report("identity.verify.cold", cold_us, "us")
    report("identity.verify.warm", warm_us, "us")
    report("identity.verify.joserfc", joserfc_us, "us")
    report("identity.verify.cryptography", raw_us, "us")
    report("identity.verify.cold_over_warm", cold_us / warm_us, "ratio", at_least=10)
    report("identity.verify.cold_over_cryptography", cold_us / raw_us, "ratio")


def _parts(text: str) -> tuple[bytes, bytes]:
    """What is signed, and the signature in the form that cryptography takes."""
    signed, _, encoded = text.rpartition(".")
    both = base64.urlsafe_b64decode(f"{encoded}==")
    r, s = (int.from_bytes(half, "big") for half in (both[:32], both[32:]))
    return signed.encode(), encode_dss_signature(r, s)
