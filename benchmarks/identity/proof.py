"""A DPoP proof (RFC 9449): signed, checked, and checked together with its bound token and the store of spent ones."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.identity.tokens import PROOF_KEY, token, verifier
from benchmarks.measure import Effort, progress, report, side_by_side
from stead.identity.dpop import check_proof, sign_proof
from stead.identity.presented import Presented
from stead.identity.replay import SharedReplays
from stead.identity.values import AccessToken

ISSUER, AUDIENCE = "http://127.0.0.2:9001", "http://127.0.0.5:9002"
URL = f"{AUDIENCE}/a2a"


async def run(effort: Effort) -> None:
    """Sign, check, spend, and a bound token's warm verification."""
    progress("DPoP proofs")
    bound = AccessToken(token(ISSUER, AUDIENCE, bound=True))
    checks = verifier(ISSUER, AUDIENCE)
    one = sign_proof(PROOF_KEY, "POST", URL, time.time(), token=bound)
    proofs = _proofs(bound)

    async def sign() -> None:
        sign_proof(PROOF_KEY, "POST", URL, time.time(), token=bound)

    async def check() -> None:
        check_proof(one, "POST", URL, time.time(), token=bound)

    async def sign_and_verify() -> None:
        await checks.verify(bound, Presented("dpop", "POST", URL, next(proofs)))

    sign_us, check_us, both_us = await side_by_side(effort, 300, sign, check, sign_and_verify)
    report("identity.dpop.sign", sign_us, "us")
    report("identity.dpop.check", check_us, "us")
    report("identity.dpop.verify_warm", both_us - sign_us, "us")
    await _spending(effort)


async def _spending(effort: Effort) -> None:
    with tempfile.TemporaryDirectory() as folder:
        replays, numbers = SharedReplays(Path(folder) / "proofs.db"), iter(range(10**9))

        async def spend() -> None:
            replays.spend("thumbprint", str(next(numbers)), time.time() + 90)

        (spend_us,) = await side_by_side(effort, 300, spend)
        replays.close()
    report("identity.dpop.spend_shared", spend_us, "us")


def _proofs(bound: AccessToken) -> Iterator[str]:
    while True:
        yield sign_proof(PROOF_KEY, "POST", URL, time.time(), token=bound)
