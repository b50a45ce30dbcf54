"""The token of a person whom a profile describes, read or made anew when the agent takes the old one no more."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from stead.demo.conformance.commands import require
from stead.demo.conformance.profile import PersonProfile
from stead.identity.errors import ConfigurationError


@dataclass(slots=True)
class Bearer(httpx.Auth):
    """Shows the token (RFC 6750 s2.1). `shown` is every one there was."""

    described: PersonProfile
    folder: Path
    shown: set[str] = field(default_factory=set, repr=False)
    _token: str = field(default="", repr=False)

    async def obtain(self) -> None:
        """Gets the token. Raises `ConfigurationError` when there is none."""
        if self.described.token_file is not None:
            self._token = line_of(self.folder / self.described.token_file)
        elif self.described.token_command is not None:
            self._token = await require(self.described.token_command, self.folder)
        if not self._token.isascii() or not self._token.isprintable() or " " in self._token or not self._token:
            raise ConfigurationError("The profile's token is none.", hint="One line, nothing but the token.")
        self.shown.add(self._token)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        before = self._token
        request.headers["authorization"] = f"Bearer {before}"
        response = yield request
        if response.status_code == 401:
            await self.obtain()
            if self._token != before:
                request.headers["authorization"] = f"Bearer {self._token}"
                yield request


def line_of(path: Path) -> str:
    """What a file says. Raises `ConfigurationError`."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        raise ConfigurationError(f"{path} cannot be read.") from None
