"""The provider's answer on its way to becoming a credential: kept before it is spent, so that no crash loses it."""

import json
import logging
from dataclasses import dataclass

from stead.agents.kit.challenges import Question
from stead.identity.errors import IdentityError, InvalidToken
from stead.identity.flows import AuthorizationCode, AuthorizationRequest, TokenSet, redeem, revoke
from stead.identity.vault_async import AsyncVault
from stead.identity.workload import Workload

log = logging.getLogger("stead.kit")


@dataclass(frozen=True, slots=True)
class Codes:
    """Authorization codes of open questions, in the vault."""

    workload: Workload
    vault: AsyncVault

    async def keep(self, question: Question, request: AuthorizationRequest, code: AuthorizationCode) -> None:
        """Keeps a code with the request it answers."""
        kept = json.dumps({"request": request.to_json(), "code": code.reveal()}).encode()
        await self.vault.put(question.owner, question.challenge.task, _name(question), kept)

    async def redeem(self, question: Question) -> TokenSet:
        """Spends the code that is kept. Raises the `GrantRefused` family, and `InvalidToken` when there is none."""
        kept = await self.vault.get(question.owner, question.challenge.task, _name(question))
        if kept is None:
            raise InvalidToken("The code was not kept.")
        stored, workload = json.loads(kept), self.workload
        request, code = AuthorizationRequest.from_json(stored["request"]), AuthorizationCode(stored["code"])
        client, metadata = workload.proving_client_of(request.issuer), await workload.metadata(request.issuer)
        algorithms = workload.settings.described(request.issuer).algorithms
        flow = redeem(client, metadata, request, code, now=workload.clock(), algorithms=algorithms)
        return await workload.run(flow)

    async def forget(self, question: Question) -> None:
        """Forgets the code."""
        await self.vault.forget(question.owner, question.challenge.task, _name(question))

    async def give_back(self, issuer: str, tokens: TokenSet) -> None:
        """Revokes what was issued to the wrong person; that it cannot be told now is no reason to use it."""
        workload = self.workload
        try:
            metadata = await workload.metadata(issuer)
            flow = revoke(workload.client_of(issuer), metadata, tokens.access_token, now=workload.clock())
            await workload.run(flow)
        except IdentityError as error:
            log.info("a token could not be given back: %s", error.description)


def _name(question: Question) -> str:
    return f"code:{question.challenge.id}"
