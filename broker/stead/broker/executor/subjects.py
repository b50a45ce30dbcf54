"""In whose stead a task acts: the person's token, kept in the vault for as long as the task lives.

A task outlives its tokens; whoever owns it renews them by asking after it. It never falls back to the broker itself.
"""

from dataclasses import dataclass, field, replace

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import InvalidToken
from stead.identity.step_up import renews
from stead.identity.values import AccessToken, Principal
from stead.identity.vault_async import AsyncVault
from stead.identity.verifier import Verifier

_SUBJECT = "subject"


@dataclass
class Subjects:
    """Subject tokens by (owner, task)."""

    vault: AsyncVault
    verifier: Verifier
    clock: Clock = system_clock
    _held: dict[tuple[str, str], Principal] = field(default_factory=dict)

    async def keep(self, task: str, principal: Principal) -> bool:
        """Keeps the caller's token for their task. False when the one kept is as good; see `renews`."""
        key = (principal.owner, task)
        held = self._held.get(key)
        if principal.token is None or (held is not None and not renews(principal, held, self.clock())):
            return False
        await self.vault.put(principal.owner, task, _SUBJECT, principal.token)
        self._held[key] = replace(principal, token=None)
        return True

    async def principal(self, owner: str, task: str) -> Principal:
        """Who the task acts for. Raises `InvalidToken` when their token ran out, or is gone."""
        kept = await self.vault.get(owner, task, _SUBJECT)
        if kept is None:
            raise InvalidToken("No token is kept for this task.", hint="Sign in again.")
        principal = await self.verifier.recognize(AccessToken(kept.decode()))
        if principal.owner != owner:
            raise InvalidToken("The token kept for this task is somebody else's.")
        return principal

    async def forget(self, owner: str, task: str) -> None:
        """Deletes the token: the task is over."""
        self._held.pop((owner, task), None)
        await self.vault.forget(owner, task)
