"""Behind the agent's back, by programs of the profile."""

from dataclasses import dataclass
from pathlib import Path

from stead.demo.conformance.commands import require
from stead.demo.conformance.profile import Profile


@dataclass(frozen=True, slots=True)
class Programs:
    """What the profile's `tampering` and `executions` say."""

    profile: Profile
    folder: Path

    async def change(self) -> bool:
        """Runs `tampering.change`."""
        if self.profile.tampering is None:
            return False
        await require(self.profile.tampering.change, self.folder)
        return True

    async def undo(self) -> None:
        """Runs `tampering.undo`."""
        if self.profile.tampering is not None and self.profile.tampering.undo is not None:
            await require(self.profile.tampering.undo, self.folder)

    async def executions(self) -> str | None:
        """What `executions` prints."""
        return None if self.profile.executions is None else await require(self.profile.executions, self.folder)
